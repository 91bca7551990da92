//! f32 products of strided operands in batches: the array layer's `matmul`.
//!
//! The order of a sum is that of [`super::matmul`] on f32 weights, so both give the same bits.

use super::element::steps_of;
use super::panel::{Ahead, Shape, Source};
use super::plan::{pack_tiles, panel};
use super::scratch::{INPUT, PANEL, Scratch};
use super::{BatchOffsets, StridedMatrix};
use crate::pool::{Disjoint, Pool};
use crate::simd::{MAX_LANES, Simd, tiered};

/// Sizes and operands of a batch of products.
pub struct Batch<'a> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: StridedMatrix<'a>,
    pub b: StridedMatrix<'a>,
    pub entries: &'a [BatchOffsets],
    pub out_stride: usize,
}

/// Input rows that one part packs and multiplies.
const PIECE_ROWS: usize = 128;

/// Run the batch: a part is a block of rows times a few panels of columns; it packs both operands itself.
pub fn run(pool: &Pool, batch: &Batch<'_>, out: &mut [f32]) {
    let (pieces, width) = (batch.m.div_ceil(PIECE_ROWS), columns_of_a_part(pool, batch));
    let blocks = batch.n.div_ceil(width);
    let shared = Disjoint::new(out);
    pool.run(batch.entries.len() * pieces * blocks, &|part| {
        let (entry, rest) = (part / (pieces * blocks), part % (pieces * blocks));
        let (row, column) = (rest / blocks * PIECE_ROWS, rest % blocks * width);
        let rows = (row, PIECE_ROWS.min(batch.m - row));
        let columns = (column, width.min(batch.n - column));
        // The buffers are fetched out here: a closure inside the tier's function would not have its features.
        INPUT.with_borrow_mut(|input| {
            PANEL.with_borrow_mut(|panel| multiply_block(batch, entry, rows, columns, &shared, input, panel));
        });
    });
}

/// Enough parts for all threads, yet as few packings of the rows as possible.
fn columns_of_a_part(pool: &Pool, batch: &Batch<'_>) -> usize {
    let others = batch.entries.len() * batch.m.div_ceil(PIECE_ROWS);
    let wanted = (4 * pool.threads()).div_ceil(others.max(1));
    batch.n.div_ceil(wanted).next_multiple_of(panel_width())
}

tiered! { fn panel_width() -> usize = width_body; }
tiered! { fn multiply_block(batch: &Batch<'_>, entry: usize, rows: (usize, usize), columns: (usize, usize), out: &Disjoint<'_, f32>, input: &mut Scratch, scratch: &mut Scratch) = block_body; }

#[inline(always)]
fn width_body<S: Simd>(_: S) -> usize {
    S::LANES * S::TILE_VECTORS
}

#[inline(always)]
fn block_body<S: Simd>(
    s: S,
    batch: &Batch<'_>,
    entry: usize,
    (row, rows): (usize, usize),
    (column, columns): (usize, usize),
    out: &Disjoint<'_, f32>,
    input: &mut Scratch,
    scratch: &mut Scratch,
) {
    let offsets = &batch.entries[entry];
    let steps = steps_of(batch.k, 1, S::LANES);
    let units = steps * S::LANES;
    let (a, b) = (&batch.a, &batch.b);
    let left = StridedRows { matrix: a, start: offsets.a, row: a.row_stride, unit: a.column_stride, units: batch.k };
    let right = StridedRows { matrix: b, start: offsets.b, row: b.column_stride, unit: b.row_stride, units: batch.k };
    let packed = input.take(rows.next_multiple_of(S::LANES) * units);
    for (group, out) in packed.chunks_mut((units * S::LANES).max(1)).enumerate() {
        let first = group * S::LANES;
        if first < rows {
            pack_tiles(s, &left, (row + first, S::LANES.min(rows - first)), steps, out);
        }
    }
    let width = S::LANES * S::TILE_VECTORS;
    for first in (column..column + columns).step_by(width) {
        let count = width.min(column + columns - first);
        let place = |i: usize| {
            let at = offsets.out + (row + i) * batch.out_stride + first;
            // SAFETY: one part has these rows and columns, and the caller promises that entries do not overlap.
            unsafe { out.slice(at..at + count) }
        };
        panel::<S, false>(
            s,
            &right,
            (first, count),
            (packed, units),
            Shape { rows, steps },
            Ahead::NONE,
            scratch,
            place,
        );
    }
}

/// Rows (or columns) of a strided matrix as rows of units.
struct StridedRows<'a> {
    matrix: &'a StridedMatrix<'a>,
    start: usize,
    row: isize,
    unit: isize,
    units: usize,
}

impl Source for StridedRows<'_> {
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, first: usize, count: usize, step: usize, block: &mut [S::V; MAX_LANES]) {
        let unit = step * S::LANES;
        let units = S::LANES.min(self.units - unit);
        let at = |row: usize, unit: usize| {
            (self.start as isize + (first + row) as isize * self.row + unit as isize * self.unit) as usize
        };
        let data = self.matrix.data;
        if self.row == 1 && self.unit != 1 {
            // Neighbouring rows are neighbours in memory: already transposed.
            for (l, v) in block.iter_mut().enumerate().take(S::LANES) {
                let filled = l < units && count > 0;
                *v = if filled { s.load_slice(&data[at(0, unit + l)..][..count]) } else { s.zero() };
            }
            return;
        }
        for (lane, v) in block.iter_mut().enumerate().take(S::LANES) {
            *v = if lane >= count {
                s.zero()
            } else if self.unit == 1 {
                s.load_slice(&data[at(lane, unit)..][..units])
            } else {
                let mut values = [0.0; MAX_LANES];
                (0..units).for_each(|u| values[u] = data[at(lane, unit + u)]);
                s.load_slice(&values)
            };
        }
        s.transpose(&mut block[..S::LANES]);
    }
}
