//! Products with dense matrices (f32, f16, bf16) that lie row-major in a mapped file and are never repacked at load.
//!
//! Invariant: the bits of an output element depend on its weight row, its input row, the tier and the precision,
//! never on the number of rows, of threads, or on its place in a tile. [`reference`] is the scalar meaning.
//! Read next: `element` (units and the order of a sum), `stream` (few rows), `panel` (many rows), `plan` (the cut);
//! bf16 on the tier of AMX has a way and an order of its own, `amx`.

#[cfg(target_arch = "x86_64")]
mod amx;
mod element;
mod general;
mod matrix;
mod panel;
mod plan;
pub mod reference;
mod scratch;
mod stream;

use self::element::Kind;
use self::plan::{Call, Product, Rows};
use crate::pool::Pool;

pub use self::matrix::{DenseMatrix, DenseType, Precision};

/// `out[r, offset + j] = x[r, :] · w[j, :]` for every matrix `(w, offset)`; one parallel region for all of them.
///
/// `x`: `[m, columns]`; all matrices have the same `columns`. `out`: rows of `out_stride` elements, of which
/// `offset .. offset + w.rows` are written for each matrix.
pub fn matmul(
    pool: &Pool,
    x: &[f32],
    m: usize,
    matrices: &[(DenseMatrix<'_>, usize)],
    out: &mut [f32],
    out_stride: usize,
    precision: Precision,
) {
    let Some(columns) = check(x, m, matrices, out, out_stride) else { return };
    let products = matrices.iter().map(|&(matrix, offset)| Product { matrix, offset, group: 0 }).collect();
    multiply(pool, x, columns, &[Rows::All(m)], products, out, out_stride, precision);
}

/// A stack of matrices `[experts, rows, columns]`, one for each expert.
#[derive(Clone, Copy, Debug)]
pub struct DenseExperts<'a> {
    /// Element type.
    pub dtype: DenseType,
    /// How many matrices.
    pub experts: usize,
    /// Output features of each.
    pub rows: usize,
    /// Input features of each.
    pub columns: usize,
    /// All elements, expert after expert, each row-major.
    pub data: &'a [u8],
}

impl<'a> DenseExperts<'a> {
    /// The matrix of one expert.
    pub fn expert(&self, index: usize) -> DenseMatrix<'a> {
        assert!(index < self.experts, "[dense] expert {index} of {}", self.experts);
        let bytes = self.rows * self.columns * self.dtype.size();
        let data = &self.data[index * bytes..(index + 1) * bytes];
        DenseMatrix { dtype: self.dtype, rows: self.rows, columns: self.columns, data }
    }
}

/// The rows that one expert works on.
#[derive(Clone, Copy, Debug)]
pub struct ExpertGroup<'a> {
    /// Which matrix of the stack.
    pub expert: usize,
    /// `(row of x, row of out)` for each row routed to it. No row of `out` occurs twice in all groups.
    pub rows: &'a [(u32, u32)],
}

/// `out[o, offset + j] = x[i, :] · stack[expert][j, :]` for every `(i, o)` of every group and every `(stack, offset)`.
///
/// `x`: `[x_rows, columns]`; `out`: rows of `out_stride` elements. The bits of a row are those of [`matmul`].
pub fn matmul_experts(
    pool: &Pool,
    x: &[f32],
    stacks: &[(DenseExperts<'_>, usize)],
    groups: &[ExpertGroup<'_>],
    out: &mut [f32],
    out_stride: usize,
    precision: Precision,
) {
    let Some(&(first, _)) = stacks.first() else { return };
    let columns = first.columns;
    let rows: Vec<Rows<'_>> = groups.iter().map(|group| Rows::Pairs(group.rows)).collect();
    let mut products = Vec::with_capacity(groups.len() * stacks.len());
    for (index, group) in groups.iter().enumerate() {
        for &(stack, offset) in stacks {
            let matrix = stack.expert(group.expert);
            assert!(offset + matrix.rows <= out_stride, "[matmul_experts] columns beyond a row of {out_stride}");
            assert_eq!(matrix.columns, columns, "[matmul_experts] stacks that share x have different columns");
            products.push(Product { matrix, offset, group: index });
        }
    }
    let (x_rows, out_rows) = (x.len() / columns.max(1), out.len().div_ceil(out_stride.max(1)));
    let fits = |&(i, o): &(u32, u32)| (i as usize) < x_rows && (o as usize) < out_rows;
    assert!(groups.iter().all(|group| group.rows.iter().all(fits)), "[matmul_experts] a row beyond x or out");
    multiply(pool, x, columns, &rows, products, out, out_stride, precision);
}

/// Run products of one kind together; kinds that differ (rare) one after the other.
fn multiply(
    pool: &Pool,
    x: &[f32],
    columns: usize,
    groups: &[Rows<'_>],
    products: Vec<Product<'_>>,
    out: &mut [f32],
    out_stride: usize,
    precision: Precision,
) {
    let mut rest = products;
    while let Some(first) = rest.first() {
        let kind = Kind::choose(first.matrix.dtype, precision);
        let same = |product: &Product<'_>| Kind::choose(product.matrix.dtype, precision) == kind;
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(same);
        let call = Call { kind, x, columns, groups, products: &now, out_stride };
        match kind {
            #[cfg(target_arch = "x86_64")]
            Kind::TilesBf16 => amx::run(pool, &call, out),
            _ => plan::run(pool, &call, out),
        }
        rest = later;
    }
}

/// A matrix of f32 with any strides (in elements): element `(i, j)` is `data[offset + i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct StridedMatrix<'a> {
    /// The elements that the offsets count in.
    pub data: &'a [f32],
    /// Distance of neighbouring rows.
    pub row_stride: isize,
    /// Distance of neighbouring columns.
    pub column_stride: isize,
}

/// Where the operands of one product of a batch begin, in elements.
#[derive(Clone, Copy, Debug)]
pub struct BatchOffsets {
    /// First element of the left operand.
    pub a: usize,
    /// First element of the right operand.
    pub b: usize,
    /// First element of the result.
    pub out: usize,
}

/// `out = a · b` for every entry of `batch`: a `[m, k]`, b `[k, n]`, out `[m, n]` with rows of `out_stride` elements.
///
/// Strides may be 0 or negative (broadcast, reversed views). The results of different entries must not overlap.
pub fn gemm_f32(
    pool: &Pool,
    (m, n, k): (usize, usize, usize),
    a: StridedMatrix<'_>,
    b: StridedMatrix<'_>,
    batch: &[BatchOffsets],
    out: &mut [f32],
    out_stride: usize,
) {
    assert!(m <= 1 || n <= out_stride, "[matmul] rows of {n} values at a stride of {out_stride}");
    for entry in batch {
        a.check(entry.a, m, k);
        b.check(entry.b, k, n);
    }
    general::run(pool, &general::Batch { m, n, k, a, b, entries: batch, out_stride }, out);
}

impl StridedMatrix<'_> {
    /// Element `(i, j)` of the matrix that begins at `offset`.
    pub fn at(&self, offset: usize, i: usize, j: usize) -> f32 {
        let index = offset as isize + i as isize * self.row_stride + j as isize * self.column_stride;
        self.data[index as usize]
    }

    /// Panics unless `[rows, columns]` from `offset` on lies inside the data.
    fn check(&self, offset: usize, rows: usize, columns: usize) {
        if rows == 0 || columns == 0 {
            return;
        }
        let reach = [(rows - 1) as isize * self.row_stride, (columns - 1) as isize * self.column_stride];
        let least = offset as isize + reach.iter().map(|&reach| reach.min(0)).sum::<isize>();
        let most = offset as isize + reach.iter().map(|&reach| reach.max(0)).sum::<isize>();
        let len = self.data.len();
        assert!(least >= 0 && most < len as isize, "[matmul] operand spans {least}..={most} of {len} elements");
    }
}

/// The number of columns, or `None` when there is nothing to do; panics on shapes that do not fit.
fn check(x: &[f32], m: usize, matrices: &[(DenseMatrix<'_>, usize)], out: &[f32], out_stride: usize) -> Option<usize> {
    let columns = matrices.first()?.0.columns;
    assert_eq!(x.len(), m * columns, "[matmul] x of {} values is not [{m}, {columns}]", x.len());
    for (matrix, offset) in matrices {
        assert_eq!(matrix.columns, columns, "[matmul] matrices that share x have different columns");
        let bytes = matrix.rows * columns * matrix.dtype.size();
        assert_eq!(matrix.data.len(), bytes, "[matmul] {:?} [{}, {columns}]", matrix.dtype, matrix.rows);
        let end = offset + matrix.rows;
        assert!(end <= out_stride, "[matmul] columns {offset}..{end} of an output row of {out_stride}");
        assert!(m == 0 || out.len() >= (m - 1) * out_stride + end, "[matmul] output of {} values is short", out.len());
    }
    (m > 0).then_some(columns)
}
