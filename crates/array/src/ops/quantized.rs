//! Quantized matrices: `quantize`, `dequantize`, `quantized_matmul`, `gather_qmm`, for every format of the kernels.
//!
//! A [`Quantized`] holds the parts as MLX stores them: packed u32 words, scales, affine biases; GGUF blocks as bytes. The
//! products decode a tile of rows and multiply it in f32, each decoded once however many rows of `x` use it. Models keep
//! repacked weights of their own (`fast::linear`). Invariant: a result row does not depend on the other rows.
//! Read next: [`crate::ops::matmul`].

use std::any::Any;

use olivine_kernels::dense::{BatchOffsets, StridedMatrix, gemm_f32};
use olivine_kernels::quant::{self, Format, ScaleType, Source, Stored};
use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::norm::{f32_values, write_f32};
use crate::ops::arange;
use crate::ops::take::read_indices;
use crate::primitive::{EvalContext, Primitive, Spec, Specs, one};
use crate::shape::{Shape, broadcast, element_count};
use crate::tensor::Tensor;

/// Decoded values of a tile of weight rows: 2 MiB, so that it stays in the second-level cache of two cores.
const TILE: usize = 512 * 1024;

/// A stack of quantized matrices `[…, rows, columns]` in its parts.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// How the values are packed.
    pub format: Format,
    /// MLX formats: u32 words `[…, rows, columns · bits / 32]`; GGUF: bytes `[…, rows, bytes of a row]`.
    pub data: Array,
    /// `[…, rows, columns / group]`: floats for affine, codes (u8) for the mx formats and nvfp4, absent for GGUF.
    pub scales: Option<Array>,
    /// Affine only, as `scales`.
    pub biases: Option<Array>,
    /// A factor of all values (nvfp4).
    pub global_scale: Option<f32>,
}

/// Quantize the rows of `w` `[…, rows, columns]`; columns are a multiple of the format's block.
#[track_caller]
pub fn quantize(w: &Array, format: Format) -> Quantized {
    let info = format.try_info().unwrap_or_else(|error| panic!("[quantize] {error}"));
    let fits = w.rank() >= 2 && w.shape().last().is_some_and(|columns| columns.is_multiple_of(info.block_columns));
    assert!(fits, "[quantize] rows of {:?} are not multiples of {} for {format}", w.shape(), info.block_columns);
    assert!(info.encode.is_some(), "[quantize] {format} can be read but not written");
    let float = matches!(w.dtype(), Dtype::F32 | Dtype::F16 | Dtype::Bf16);
    assert!(float, "[quantize] only float32, float16 and bfloat16, not {}", w.dtype());
    let mut parts = Array::apply_multi(Quantize { format }, &[w]).into_iter();
    let data = parts.next().expect("quantized data");
    Quantized { format, data, scales: parts.next(), biases: parts.next(), global_scale: None }
}

impl Quantized {
    /// Columns of a row, decoded.
    pub fn columns(&self) -> usize {
        let words = self.data.dim(-1) * self.data.dtype().size();
        words / self.format.block_bytes() * self.format.block_columns()
    }

    /// `[…, rows, columns]`.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::from_slice(self.data.shape());
        if let Some(last) = shape.last_mut() {
            *last = self.columns();
        }
        shape
    }

    /// The values as `dtype`.
    #[track_caller]
    pub fn dequantize(&self, dtype: Dtype) -> Array {
        self.check("dequantize");
        Array::apply(Dequantize { parts: self.parts(), shape: self.shape(), dtype }, &self.inputs())
    }

    fn inputs(&self) -> SmallVec<[&Array; 4]> {
        std::iter::once(&self.data).chain(&self.scales).chain(&self.biases).collect()
    }

    fn parts(&self) -> Parts {
        Parts { format: self.format, columns: self.columns(), global_scale: self.global_scale.map(f32::to_bits) }
    }

    #[track_caller]
    fn check(&self, op: &str) {
        assert!(self.data.rank() >= 2, "[{op}] packed data {:?}", self.data.shape());
        let affine = matches!(self.format, Format::Affine { .. });
        let separate = affine || !self.format.is_gguf();
        let present = (self.scales.is_some(), self.biases.is_some()) == (separate, affine);
        assert!(present, "[{op}] {} has scales: {separate}, biases: {affine}", self.format);
        let mut shape = self.shape();
        if let Some(last) = shape.last_mut() {
            *last /= self.format.block_columns();
        }
        for part in self.scales.iter().chain(&self.biases) {
            let bytes = part.dtype().size() == if affine { part.dtype().size() } else { 1 };
            assert!(part.shape() == &shape[..] && bytes, "[{op}] scales {part:?}, not {shape:?}");
        }
    }
}

impl Array {
    /// `x · wᵀ` (or `x · w` unless `transpose`) with a quantized `w` `[rows, columns]`.
    #[track_caller]
    pub fn quantized_matmul(&self, w: &Quantized, transpose: bool) -> Array {
        assert_eq!(w.data.rank(), 2, "[quantized_matmul] one matrix; stacks are for gather_qmm");
        assert!(self.rank() >= 1, "[quantized_matmul] x has no dimension");
        let rows = self.reshape(&[1, -1, self.dim(-1) as i32]);
        let zero = Array::from_slice(&[0u32], &[1]);
        let out = product("quantized_matmul", &rows, w, &zero, &zero, transpose);
        let mut shape = Shape::from_slice(self.shape());
        *shape.last_mut().expect("at least one dimension") = out.dim(-1);
        out.reshape_to(&shape)
    }
}

/// Products of matrices chosen by indices: `x[lhs] · w[rhs]ᵀ`, where the indices count the matrices `[m, k]` of `x` and those
/// of `w` in row-major order. Absent indices are all of them in order. The result is `[indices…, m, n]`.
#[track_caller]
pub fn gather_qmm(
    x: &Array,
    w: &Quantized,
    lhs_indices: Option<&Array>,
    rhs_indices: Option<&Array>,
    transpose: bool,
) -> Array {
    assert!(x.rank() >= 2 && w.data.rank() >= 2, "[gather_qmm] matrices, not {:?} and {:?}", x.shape(), w.shape());
    let all = |lead: &[usize]| arange(0.0, element_count(lead) as f64, 1.0, Dtype::U32).reshape_to(lead);
    let lhs = lhs_indices.cloned().unwrap_or_else(|| all(&x.shape()[..x.rank() - 2]));
    let rhs = rhs_indices.cloned().unwrap_or_else(|| all(&w.data.shape()[..w.data.rank() - 2]));
    let Some(lead) = broadcast(lhs.shape(), rhs.shape()) else {
        panic!("[gather_qmm] indices {:?} and {:?} do not broadcast", lhs.shape(), rhs.shape());
    };
    product("gather_qmm", x, w, &lhs.broadcast_to(&lead), &rhs.broadcast_to(&lead), transpose)
}

/// Products of matrices chosen by indices, not quantized: `a[lhs] · b[rhs]`, as in [`gather_qmm`].
#[track_caller]
pub fn gather_mm(a: &Array, b: &Array, lhs_indices: Option<&Array>, rhs_indices: Option<&Array>) -> Array {
    assert!(a.rank() >= 2 && b.rank() >= 2, "[gather_mm] matrices, not {:?} and {:?}", a.shape(), b.shape());
    let chosen = |x: &Array, indices: Option<&Array>| match indices {
        Some(indices) => x.reshape(&[-1, x.dim(-2) as i32, x.dim(-1) as i32]).take(indices, 0),
        None => x.clone(),
    };
    chosen(a, lhs_indices).matmul(&chosen(b, rhs_indices))
}

#[track_caller]
fn product(op: &'static str, x: &Array, w: &Quantized, lhs: &Array, rhs: &Array, transpose: bool) -> Array {
    w.check(op);
    let (rows, columns) = (w.data.dim(-2), w.columns());
    let (inner, width) = if transpose { (columns, rows) } else { (rows, columns) };
    assert_eq!(x.dim(-1), inner, "[{op}] x {:?} with w {:?}", x.shape(), w.shape());
    assert!(x.dtype().is_float(), "[{op}] x is a float, not {}", x.dtype());
    let mut inputs: SmallVec<[&Array; 6]> = SmallVec::from_slice(&[x, lhs, rhs]);
    inputs.extend(w.inputs());
    Array::apply(QuantizedProduct { op, parts: w.parts(), transpose, width }, &inputs)
}

/// What the kernels must know beside the arrays.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parts {
    format: Format,
    columns: usize,
    /// Bits of the f32, so that equality is exact.
    global_scale: Option<u32>,
}

/// Contiguous tensors of data, scales and biases.
struct Storage {
    tensors: SmallVec<[Tensor; 3]>,
    parts: Parts,
}

impl Storage {
    fn new(tensors: &[Tensor], parts: Parts) -> Storage {
        Storage { tensors: tensors.iter().map(Tensor::contiguous).collect(), parts }
    }

    /// All rows of all matrices as one.
    fn rows(&self) -> usize {
        let shape = self.tensors[0].shape();
        element_count(&shape[..shape.len() - 1])
    }

    /// Rows `first..first + count`.
    fn stored(&self, first: usize, count: usize) -> Stored<'_> {
        let all = self.rows();
        let part = |index: usize| {
            let bytes = self.tensors.get(index).map_or(&[][..], Tensor::bytes);
            let row = bytes.len() / all.max(1);
            &bytes[first * row..(first + count) * row]
        };
        let scale_type = match self.tensors.get(1).map(Tensor::dtype) {
            Some(Dtype::F16) => ScaleType::F16,
            Some(Dtype::Bf16) => ScaleType::Bf16,
            _ => ScaleType::F32,
        };
        Stored {
            format: self.parts.format,
            rows: count,
            columns: self.parts.columns,
            data: part(0),
            scales: part(1),
            biases: part(2),
            scale_type,
            global_scale: self.parts.global_scale.map(f32::from_bits),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Quantize {
    format: Format,
}

impl Primitive for Quantize {
    fn name(&self) -> &'static str {
        "quantize"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (w, info) = (&inputs[0], self.format.info());
        let blocks = w.dim(-1) / info.block_columns;
        let with_last = |last: usize, dtype: Dtype| {
            let mut spec = Spec::new(w.shape(), dtype);
            spec.shape[w.rank() - 1] = last;
            spec
        };
        let mut specs = Specs::new();
        if self.format.is_gguf() {
            specs.push(with_last(blocks * info.block_bytes, Dtype::U8));
            return specs;
        }
        specs.push(with_last(blocks * info.block_bytes / 4, Dtype::U32));
        if let Format::Affine { .. } = self.format {
            specs.push(with_last(blocks, w.dtype()));
            specs.push(with_last(blocks, w.dtype()));
        } else {
            specs.push(with_last(blocks, Dtype::U8));
        }
        specs
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let w = inputs[0].contiguous();
        let columns = w.shape()[w.shape().len() - 1];
        let source = match w.dtype() {
            Dtype::F16 => Source::F16(w.slice()),
            Dtype::Bf16 => Source::Bf16(w.slice()),
            _ => Source::F32(w.slice()),
        };
        let rows = w.size() / columns.max(1);
        let stored = quant::quantize(context.pool(), self.format, rows, columns, source)
            .unwrap_or_else(|error| panic!("[quantize] {error}"));
        for (out, bytes) in outputs.iter_mut().zip([&stored.data, &stored.scales, &stored.biases]) {
            out.bytes_mut().copy_from_slice(bytes);
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Quantize>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct Dequantize {
    parts: Parts,
    shape: Shape,
    dtype: Dtype,
}

impl Primitive for Dequantize {
    fn name(&self) -> &'static str {
        "dequantize"
    }

    fn infer(&self, _: &[Array]) -> Specs {
        one(&self.shape, self.dtype)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let storage = Storage::new(inputs, self.parts);
        write_f32(&mut outputs[0], |out| quant::dequantize(context.pool(), &storage.stored(0, storage.rows()), out));
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Dequantize>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct QuantizedProduct {
    op: &'static str,
    parts: Parts,
    transpose: bool,
    width: usize,
}

impl Primitive for QuantizedProduct {
    fn name(&self) -> &'static str {
        self.op
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut shape = Shape::from_slice(inputs[1].shape());
        shape.extend_from_slice(&[inputs[0].dim(-2), self.width]);
        one(&shape, inputs[0].dtype())
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let x = f32_values(&inputs[0]);
        let shape = inputs[0].shape();
        let (m, k) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let storage = Storage::new(&inputs[3..], self.parts);
        let matrix_rows = inputs[3].shape()[inputs[3].shape().len() - 2];
        let lhs = read_indices(self.op, &inputs[1], element_count(&shape[..shape.len() - 2]));
        let rhs = read_indices(self.op, &inputs[2], storage.rows() / matrix_rows.max(1));
        if outputs[0].size() == 0 {
            return;
        }
        // Entries by the matrix they use, so that each is decoded once.
        let mut order: Vec<usize> = (0..rhs.len()).collect();
        order.sort_by_key(|&entry| rhs[entry]);
        let step = if self.transpose { (TILE / k.max(1)).clamp(1, matrix_rows) } else { matrix_rows };
        let mut tile = vec![0f32; step * self.parts.columns];
        write_f32(&mut outputs[0], |out| {
            for entries in order.chunk_by(|&a, &b| rhs[a] == rhs[b]) {
                for first in (0..matrix_rows).step_by(step) {
                    let count = step.min(matrix_rows - first);
                    let tile = &mut tile[..count * self.parts.columns];
                    let stored = storage.stored(rhs[entries[0]] * matrix_rows + first, count);
                    quant::dequantize(context.pool(), &stored, tile);
                    let batch: Vec<BatchOffsets> = entries
                        .iter()
                        .map(|&entry| BatchOffsets { a: lhs[entry] * m * k, b: 0, out: entry * m * self.width + first })
                        .collect();
                    let (n, row_stride, column_stride) = match self.transpose {
                        true => (count, 1, k as isize),
                        false => (self.width, self.width as isize, 1),
                    };
                    let a = StridedMatrix { data: &x, row_stride: k as isize, column_stride: 1 };
                    let b = StridedMatrix { data: tile, row_stride, column_stride };
                    gemm_f32(context.pool(), (m, n, k), a, b, &batch, out, self.width);
                }
            }
        });
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<QuantizedProduct>() == Some(self)
    }
}
