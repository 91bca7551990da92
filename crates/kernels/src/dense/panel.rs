//! Products of many input rows: weights are packed on the fly into panels that stay in the caches, lanes run along
//! output features.
//!
//! Both operands are packed by lane of the sum: `[tile][lane][step][row]`. For each tile and lane a micro-kernel sums
//! the steps in registers from zero, then the sum is added to the total: the order of [`super::stream`], bit for bit.

use super::element::{Element, TILE_STEPS, step};
use crate::simd::{MAX_LANES, Simd};

/// Rows of units that can be packed.
pub trait Source: Sync {
    /// `block[l]` = units `step * LANES + l` of rows `first .. first + count`, one row a lane; zero beyond the rows'
    /// ends and for lanes from `count` on.
    fn block<S: Simd>(&self, s: S, first: usize, count: usize, step: usize, block: &mut [S::V; MAX_LANES]);
}

/// Weight rows as they lie in a file.
pub struct WeightRows<'a, E> {
    data: &'a [u8],
    row_bytes: usize,
    element: std::marker::PhantomData<E>,
}

// SAFETY: the marker holds no value.
unsafe impl<E> Sync for WeightRows<'_, E> {}

impl<'a, E: Element> WeightRows<'a, E> {
    /// All rows of a matrix.
    pub fn new(data: &'a [u8], columns: usize) -> Self {
        WeightRows { data, row_bytes: columns * E::BYTES, element: std::marker::PhantomData }
    }
}

impl<E: Element> Source for WeightRows<'_, E> {
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, first: usize, count: usize, step: usize, block: &mut [S::V; MAX_LANES]) {
        let vector_bytes = S::LANES * E::VALUES * E::BYTES;
        let at = step * vector_bytes;
        let bytes = (self.row_bytes - at).min(vector_bytes);
        assert!((first + count) * self.row_bytes <= self.data.len(), "[matmul] rows beyond the matrix");
        for (lane, v) in block.iter_mut().enumerate().take(S::LANES) {
            if lane >= count {
                *v = s.zero();
                continue;
            }
            // SAFETY: the row lies inside the data (checked above), and `bytes` does not reach beyond its end.
            unsafe {
                let from = self.data.as_ptr().add((first + lane) * self.row_bytes + at);
                *v = if bytes == vector_bytes { E::load(s, from) } else { E::load_partial(s, from, bytes) };
            }
        }
        s.transpose(&mut block[..S::LANES]);
    }
}

/// Input rows of f32, picked by `row`; rounded to pairs of bf16 when `PAIRS`.
pub struct InputRows<'a, const PAIRS: bool> {
    pub x: &'a [f32],
    pub columns: usize,
    /// Row of `x` for each row of the product.
    pub row: &'a (dyn Fn(usize) -> usize + Sync),
}

impl<const PAIRS: bool> Source for InputRows<'_, PAIRS> {
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, first: usize, count: usize, step: usize, block: &mut [S::V; MAX_LANES]) {
        let values = S::LANES * if PAIRS { 2 } else { 1 };
        for (lane, v) in block.iter_mut().enumerate().take(S::LANES) {
            if lane >= count {
                *v = s.zero();
                continue;
            }
            let row = (self.row)(first + lane);
            let from = &self.x[row * self.columns + step * values..(row + 1) * self.columns];
            *v = input_units::<S, PAIRS>(s, from);
        }
        s.transpose(&mut block[..S::LANES]);
    }
}

/// The first vector of units of an input row, zeros beyond its end.
#[inline(always)]
pub fn input_units<S: Simd, const PAIRS: bool>(s: S, from: &[f32]) -> S::V {
    if !PAIRS {
        return s.load_slice(from);
    }
    if from.len() >= 2 * S::LANES {
        // SAFETY: the slice has enough elements.
        return unsafe { s.load_rounded_pairs(from.as_ptr()) };
    }
    let mut buffer = [0.0; 2 * MAX_LANES];
    buffer[..from.len()].copy_from_slice(from);
    // SAFETY: the buffer has enough elements.
    unsafe { s.load_rounded_pairs(buffer.as_ptr()) }
}

/// Pack `vectors` groups of `LANES` rows from row `first` on, vectors `begin..end` of units:
/// `out[lane][step][vector * LANES + row]`. Rows from `first + count` on are zero.
#[inline(always)]
pub fn pack<S: Simd>(
    s: S,
    source: &impl Source,
    (first, count): (usize, usize),
    vectors: usize,
    (begin, end): (usize, usize),
    out: &mut [f32],
) {
    let (width, steps) = (vectors * S::LANES, end - begin);
    assert!(out.len() >= S::LANES * steps * width, "[matmul] packing buffer");
    let mut block = [s.zero(); MAX_LANES];
    for vector in 0..vectors {
        let row = vector * S::LANES;
        for j in 0..steps {
            source.block(s, first + row, count.saturating_sub(row).min(S::LANES), begin + j, &mut block);
            for (lane, &v) in block.iter().enumerate().take(S::LANES) {
                // SAFETY: inside `out` (checked above): lane < LANES, j < steps, row + LANES <= width.
                unsafe { s.store(v, out.as_mut_ptr().add((lane * steps + j) * width + row)) };
            }
        }
    }
}

/// `totals[group rows][width] += x · wᵀ` over one tile, both packed by [`pack`]: `weights` with `vectors` groups,
/// `input` as `groups` packs of one group each, `input_stride` elements apart.
///
/// `totals`: `[groups * LANES, vectors * LANES]`; only the first `rows` rows matter. `fresh`: totals begin at zero.
#[inline(always)]
pub fn multiply<S: Simd, const PAIRS: bool>(
    s: S,
    weights: &[f32],
    vectors: usize,
    (input, input_stride): (&[f32], usize),
    rows: usize,
    steps: usize,
    totals: &mut [f32],
    fresh: bool,
) {
    let width = vectors * S::LANES;
    assert!(weights.len() >= S::LANES * steps * width && steps <= TILE_STEPS, "[matmul] panel");
    assert!(rows == 0 || input.len() >= (rows - 1) / S::LANES * input_stride + S::LANES * steps * S::LANES);
    assert!(totals.len() >= rows.next_multiple_of(S::TILE_ROWS) * width, "[matmul] totals");
    for lane in 0..S::LANES {
        let panel = &weights[lane * steps * width..];
        for first in (0..rows).step_by(S::TILE_ROWS) {
            let x = &input[first / S::LANES * input_stride + lane * steps * S::LANES + first % S::LANES..];
            let totals = &mut totals[first * width..];
            // SAFETY: sizes checked above; a tile's rows do not cross a group, since TILE_ROWS divides LANES.
            unsafe {
                let (w, x, totals, fresh) = (panel.as_ptr(), x.as_ptr(), totals.as_mut_ptr(), fresh && lane == 0);
                match (S::TILE_ROWS, vectors) {
                    (8, 1) => micro::<S, PAIRS, 8, 1>(s, w, x, steps, totals, fresh),
                    (8, 2) => micro::<S, PAIRS, 8, 2>(s, w, x, steps, totals, fresh),
                    (8, 3) => micro::<S, PAIRS, 8, 3>(s, w, x, steps, totals, fresh),
                    (4, 1) => micro::<S, PAIRS, 4, 1>(s, w, x, steps, totals, fresh),
                    (4, 2) => micro::<S, PAIRS, 4, 2>(s, w, x, steps, totals, fresh),
                    (4, 3) => micro::<S, PAIRS, 4, 3>(s, w, x, steps, totals, fresh),
                    (4, 4) => micro::<S, PAIRS, 4, 4>(s, w, x, steps, totals, fresh),
                    (4, 5) => micro::<S, PAIRS, 4, 5>(s, w, x, steps, totals, fresh),
                    other => unreachable!("[matmul] no tile {other:?}"),
                }
            }
        }
    }
}

/// `totals[R, V * LANES] += Σ_j x[j, r] * w[j, :]`, summed over j in registers first.
///
/// # Safety
/// `w`: `[steps, V * LANES]`, `x`: `[steps, LANES]` of which the first R of each row are used, `totals`: `[R, V * LANES]`.
#[inline(always)]
unsafe fn micro<S: Simd, const PAIRS: bool, const R: usize, const V: usize>(
    s: S,
    mut w: *const f32,
    mut x: *const f32,
    steps: usize,
    totals: *mut f32,
    fresh: bool,
) {
    let mut acc = [[s.zero(); V]; R];
    let mut weights = [s.zero(); V];
    for _ in 0..steps {
        for (v, weights) in weights.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *weights = unsafe { s.load(w.add(v * S::LANES)) };
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: as above.
            let value = s.splat(unsafe { *x.add(r) });
            for v in 0..V {
                acc[v] = step::<S, PAIRS>(s, acc[v], weights[v], value);
            }
        }
        // SAFETY: as above; one past the end at most.
        unsafe { (w, x) = (w.add(V * S::LANES), x.add(S::LANES)) };
    }
    for (r, acc) in acc.iter().enumerate() {
        for (v, &sum) in acc.iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let at = totals.add((r * V + v) * S::LANES);
                s.store(if fresh { sum } else { s.add(s.load(at), sum) }, at);
            }
        }
    }
}
