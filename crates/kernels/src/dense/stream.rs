//! Products of a few input rows: weights are streamed once from memory, lanes run along a row.
//!
//! One sum for each lane and tile of [`TILE_STEPS`] vectors; then the lanes are added in order, tile after tile.
//! [`super::panel`] adds in the same order, so both give the same bits. A part is read as four streams of
//! neighbouring rows with prefetch: one stream alone leaves a third of the memory bandwidth unused.

use super::element::{Element, Kind, TILE_STEPS, step, with_element};
use super::scratch::{PANEL, Scratch};
use crate::pool::Disjoint;
use crate::simd::{MAX_LANES, Simd, tiered};

/// Weight rows that one part takes at most.
pub const PART_ROWS: usize = 64;
/// Input rows whose sums are held in registers at once.
const INPUT_ROWS: usize = 6;
/// Weight rows read side by side.
const STREAMS: usize = 4;
/// Tiles whose sums are kept before the lanes are joined, when there is one input row.
const PASS_TILES: usize = 8;
/// How far ahead of a stream memory is asked for, in bytes.
const PREFETCH_BYTES: usize = 2048;

/// Rows `first .. first + count` of a matrix times some input rows.
pub struct StreamPart<'a> {
    pub kind: Kind,
    /// The whole matrix.
    pub data: &'a [u8],
    pub columns: usize,
    pub first: usize,
    /// At most [`PART_ROWS`].
    pub count: usize,
    /// Input in units, rows of `input_stride`, padded with zeros to whole vectors.
    pub input: &'a [f32],
    pub input_stride: usize,
    /// `(row of input, first element in out)` for each row of the product.
    pub rows: &'a dyn Fn(usize) -> (usize, usize),
    pub row_count: usize,
    pub out: &'a Disjoint<'a, f32>,
}

/// Compute one part.
pub fn stream_part(part: &StreamPart<'_>) {
    // The buffer is fetched out here: a closure inside the tier's function would not have its features.
    PANEL.with_borrow_mut(|scratch| stream_rows(part, scratch));
}

tiered! { fn stream_rows(part: &StreamPart<'_>, scratch: &mut Scratch) = stream_body; }

#[inline(always)]
fn stream_body<S: Simd>(s: S, part: &StreamPart<'_>, scratch: &mut Scratch) {
    with_element!(part.kind, stream_kind::<S>(s, part, scratch))
}

#[inline(always)]
fn stream_kind<S: Simd, E: Element>(s: S, part: &StreamPart<'_>, scratch: &mut Scratch) {
    let sums = scratch.take(PASS_TILES * PART_ROWS * INPUT_ROWS * S::LANES);
    // Equal chunks, as large as the registers allow; the weights of a part stay in the second-level cache for all.
    let chunk = part.row_count.div_ceil(part.row_count.div_ceil(INPUT_ROWS).max(1)).max(1);
    for first in (0..part.row_count).step_by(chunk) {
        match chunk.min(part.row_count - first) {
            1 => rows::<S, E, 1>(s, part, first, sums),
            2 => rows::<S, E, 2>(s, part, first, sums),
            3 => rows::<S, E, 3>(s, part, first, sums),
            4 => rows::<S, E, 4>(s, part, first, sums),
            5 => rows::<S, E, 5>(s, part, first, sums),
            _ => rows::<S, E, 6>(s, part, first, sums),
        }
    }
}

/// Input rows `first .. first + M`.
#[inline(always)]
fn rows<S: Simd, E: Element, const M: usize>(s: S, part: &StreamPart<'_>, first: usize, sums: &mut [f32]) {
    let row_bytes = part.columns * E::BYTES;
    let whole = part.columns / (S::LANES * E::VALUES);
    let rest_bytes = row_bytes - whole * S::LANES * E::VALUES * E::BYTES;
    let tiles = (whole + usize::from(rest_bytes > 0)).div_ceil(TILE_STEPS);
    let targets: [(usize, usize); M] = std::array::from_fn(|i| (part.rows)(first + i));
    let stream_rows = part.count.div_ceil(STREAMS);
    let mut totals = [[0.0f32; PART_ROWS]; M];
    for pass in (0..tiles.max(1)).step_by(PASS_TILES) {
        let pass_tiles = PASS_TILES.min(tiles - pass.min(tiles));
        for i in 0..stream_rows {
            let row: [usize; STREAMS] = std::array::from_fn(|n| (n * stream_rows + i).min(part.count - 1));
            for t in 0..pass_tiles {
                let begin = (pass + t) * TILE_STEPS;
                let end = (begin + TILE_STEPS).min(whole);
                // SAFETY: the rows lie inside `data` and the inputs inside `input`: the plan has checked the shapes.
                let acc = unsafe {
                    let w = row.map(|row| part.data.as_ptr().add((part.first + row) * row_bytes));
                    let x = targets.map(|(row, _)| part.input.as_ptr().add(row * part.input_stride));
                    let rest = if begin + TILE_STEPS > whole { rest_bytes } else { 0 };
                    tile::<S, E, M>(s, w, x, begin, end, rest)
                };
                for (row, acc) in row.into_iter().zip(acc) {
                    for (m, sum) in acc.into_iter().enumerate() {
                        let at = ((t * M + m) * PART_ROWS + row) * S::LANES;
                        s.store_slice(sum, &mut sums[at..at + S::LANES]);
                    }
                }
            }
        }
        for t in 0..pass_tiles {
            for (m, totals) in totals.iter_mut().enumerate() {
                join_lanes(s, &sums[(t * M + m) * PART_ROWS * S::LANES..], part.count, totals);
            }
        }
    }
    for (totals, (_, out)) in totals.iter().zip(targets) {
        let at = out + part.first;
        // SAFETY: the plan gives each (row, column) of the result to one part.
        unsafe { part.out.slice(at..at + part.count) }.copy_from_slice(&totals[..part.count]);
    }
}

/// Sums by lane of `STREAMS` weight rows times `M` input rows over vectors `begin..end`, and the last `rest` bytes.
///
/// # Safety
/// `w` point to weight rows, `x` to input rows in units, all at least as long as what is read.
#[inline(always)]
unsafe fn tile<S: Simd, E: Element, const M: usize>(
    s: S,
    w: [*const u8; STREAMS],
    x: [*const f32; M],
    begin: usize,
    end: usize,
    rest: usize,
) -> [[S::V; M]; STREAMS] {
    let vector_bytes = S::LANES * E::VALUES * E::BYTES;
    let mut acc = [[s.zero(); M]; STREAMS];
    let mut input = [s.zero(); M];
    for j in begin..end {
        for (input, x) in input.iter_mut().zip(x) {
            // SAFETY: the caller's promise.
            *input = unsafe { s.load(x.add(j * S::LANES)) };
        }
        for n in 0..STREAMS {
            s.prefetch(w[n].wrapping_add(j * vector_bytes + PREFETCH_BYTES));
            // SAFETY: the caller's promise.
            let weights = unsafe { E::load(s, w[n].add(j * vector_bytes)) };
            for m in 0..M {
                acc[n][m] = step_of::<S, E>(s, acc[n][m], weights, input[m]);
            }
        }
    }
    if rest > 0 {
        for (input, x) in input.iter_mut().zip(x) {
            // SAFETY: the caller's promise; the input is padded to whole vectors.
            *input = unsafe { s.load(x.add(end * S::LANES)) };
        }
        for n in 0..STREAMS {
            // SAFETY: the caller's promise.
            let weights = unsafe { E::load_partial(s, w[n].add(end * vector_bytes), rest) };
            for m in 0..M {
                acc[n][m] = step_of::<S, E>(s, acc[n][m], weights, input[m]);
            }
        }
    }
    acc
}

#[inline(always)]
fn step_of<S: Simd, E: Element>(s: S, acc: S::V, w: S::V, x: S::V) -> S::V {
    if E::PAIRS { step::<S, true>(s, acc, w, x) } else { step::<S, false>(s, acc, w, x) }
}

/// `totals[row] += sums[row][0] + sums[row][1] + …`, one lane after the other.
#[inline(always)]
fn join_lanes<S: Simd>(s: S, sums: &[f32], count: usize, totals: &mut [f32; PART_ROWS]) {
    for first in (0..count).step_by(S::LANES) {
        let mut block = [s.zero(); MAX_LANES];
        for (lane, v) in block.iter_mut().enumerate().take(S::LANES) {
            *v = s.load_slice(&sums[(first + lane) * S::LANES..]);
        }
        s.transpose(&mut block[..S::LANES]);
        let mut total = s.load_slice(&totals[first..]);
        for &lane in &block[..S::LANES] {
            total = s.add(total, lane);
        }
        s.store_slice(total, &mut totals[first..first + S::LANES]);
    }
}
