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
        if count >= S::LANES && bytes == vector_bytes {
            // SAFETY: as below.
            let from = |lane: usize| unsafe { self.data.as_ptr().add((first + lane) * self.row_bytes + at) };
            // SAFETY: as below.
            (0..S::LANES).for_each(|lane| block[lane] = unsafe { E::load(s, from(lane)) });
            return s.transpose(&mut block[..S::LANES]);
        }
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

impl<const PAIRS: bool> InputRows<'_, PAIRS> {
    /// Vector `step` of units of row `row`, zeros beyond its end.
    #[inline(always)]
    pub fn vector<S: Simd>(&self, s: S, row: usize, step: usize) -> S::V {
        let values = S::LANES * if PAIRS { 2 } else { 1 };
        let row = (self.row)(row);
        input_units::<S, PAIRS>(s, &self.x[row * self.columns + step * values..(row + 1) * self.columns])
    }
}

impl<const PAIRS: bool> Source for InputRows<'_, PAIRS> {
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, first: usize, count: usize, step: usize, block: &mut [S::V; MAX_LANES]) {
        for (lane, v) in block.iter_mut().enumerate().take(S::LANES) {
            *v = if lane < count { self.vector(s, first + lane, step) } else { s.zero() };
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
/// `place`: where row `i` of them goes, when this is the last tile.
#[inline(always)]
pub fn multiply<'o, S: Simd, const PAIRS: bool>(
    s: S,
    weights: &[f32],
    vectors: usize,
    (input, input_stride): (&[f32], usize),
    Shape { rows, steps }: Shape,
    totals: &mut [f32],
    fresh: bool,
    mut lines: Lines<'_>,
    place: Option<&impl Fn(usize) -> &'o mut [f32]>,
) {
    let width = vectors * S::LANES;
    assert!(weights.len() >= S::LANES * steps * width && steps <= TILE_STEPS, "[matmul] panel");
    assert!(rows == 0 || input.len() >= (rows - 1) / S::LANES * input_stride + S::LANES * steps * S::LANES);
    assert!(totals.len() >= rows.next_multiple_of(S::TILE_ROWS) * width, "[matmul] totals");
    let tiles = rows.div_ceil(S::TILE_ROWS) * S::LANES;
    let lines_per_tile = lines.count().div_ceil(tiles.max(1));
    // Blocks of rows, so that their totals stay in the first-level cache while all lanes are added.
    for block in (0..rows).step_by(BLOCK_ROWS) {
        let end = rows.min(block + BLOCK_ROWS);
        // Lines of the result are asked for while the block is multiplied, a few at a time.
        let mut asked = block..end;
        let share = (end - block).div_ceil((end - block).div_ceil(S::TILE_ROWS) * S::LANES);
        let input_of = |lane: usize, row: usize| row / S::LANES * input_stride + lane * steps * S::LANES;
        for lane in 0..S::LANES {
            let panel = &weights[lane * steps * width..];
            for first in (block..end).step_by(S::TILE_ROWS) {
                let x = &input[input_of(lane, first) + first % S::LANES..];
                let later = first / S::LANES * S::LANES + S::LANES;
                let next = if later < end { input_of(lane, later) } else { input_of(lane + 1, block) };
                let next = input.as_ptr().wrapping_add(next);
                let totals = &mut totals[first * width..];
                lines.ask(s, lines_per_tile);
                if let Some(place) = place {
                    for row in asked.by_ref().take(share) {
                        place(row).chunks(16).for_each(|line| s.prefetch_to_write(line.as_ptr().cast()));
                    }
                }
                // SAFETY: sizes checked above; a tile's rows do not cross a group, since TILE_ROWS divides LANES.
                unsafe {
                    let (w, x, totals, fresh) =
                        (panel.as_ptr(), (x.as_ptr(), next), totals.as_mut_ptr(), fresh && lane == 0);
                    let rows = S::TILE_ROWS.min((end - first).next_multiple_of(4));
                    match (rows, vectors) {
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
        if let Some(place) = place {
            for (row, totals) in (block..end).zip(totals[block * width..].chunks_exact(width)) {
                let place = place(row);
                place.copy_from_slice(&totals[..place.len()]);
            }
        }
    }
}

/// Sizes of the input of a panel.
pub struct Shape {
    pub rows: usize,
    pub steps: usize,
}

/// The weights that will be packed next, so that memory is read while a panel is multiplied.
pub struct Ahead<'a> {
    /// The rows of this panel.
    pub now: &'a [u8],
    /// The rows of the panel that this thread will probably take next.
    pub next: &'a [u8],
    pub row_bytes: usize,
    /// Bytes of a row that one tile covers.
    pub tile_bytes: usize,
}

impl<'a> Ahead<'a> {
    /// Nothing is known.
    pub const NONE: Ahead<'static> = Ahead { now: &[], next: &[], row_bytes: 0, tile_bytes: 1 };

    /// What will be packed after tile `tile`: the next tile of this panel, or the first of the next panel.
    pub fn after(&self, tile: usize) -> Lines<'a> {
        let begin = (tile + 1) * self.tile_bytes;
        let (data, begin) = if begin < self.row_bytes { (self.now, begin) } else { (self.next, 0) };
        let end = self.row_bytes.min(begin + self.tile_bytes);
        Lines { data, row_bytes: self.row_bytes, begin, end, row: 0, at: begin }
    }
}

/// Cache lines `begin..end` of every row of `data`, asked for a few at a time.
pub struct Lines<'a> {
    data: &'a [u8],
    row_bytes: usize,
    begin: usize,
    end: usize,
    row: usize,
    at: usize,
}

impl Lines<'_> {
    pub fn count(&self) -> usize {
        if self.data.is_empty() { 0 } else { self.data.len() / self.row_bytes * (self.end - self.begin).div_ceil(64) }
    }

    #[inline(always)]
    pub fn ask<S: Simd>(&mut self, s: S, count: usize) {
        for _ in 0..count {
            let at = self.row + self.at;
            if at >= self.data.len() {
                return;
            }
            s.prefetch_far(self.data.as_ptr().wrapping_add(at));
            self.at += 64;
            if self.at >= self.end {
                (self.row, self.at) = (self.row + self.row_bytes, self.begin);
            }
        }
    }
}

/// Rows whose totals are kept close; a multiple of every tier's lanes.
const BLOCK_ROWS: usize = 64;

/// `totals[R, V * LANES] += Σ_j x[j, r] * w[j, :]`, summed over j in registers first. What the next tile reads, as `x`,
/// is asked for meanwhile.
///
/// # Safety
/// `w`: `[steps, V * LANES]`, `x`: `[steps, LANES]` of which the first R of each row are used, `totals`: `[R, V * LANES]`.
#[inline(always)]
unsafe fn micro<S: Simd, const PAIRS: bool, const R: usize, const V: usize>(
    s: S,
    mut w: *const f32,
    (mut x, mut next): (*const f32, *const f32),
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
        s.prefetch(next.cast());
        next = next.wrapping_add(S::LANES);
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
