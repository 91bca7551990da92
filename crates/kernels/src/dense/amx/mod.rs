//! AMX: products of bf16 through the matrix registers, for one input row as for many.
//!
//! A tile of sixteen weight rows x 32 columns is the first operand as it lies in the file; sixteen input rows, rounded
//! and interleaved in pairs of columns once a call ([`input`]), are the second. An output element is one chain: for
//! each 32 columns in order, the sum of the even columns and that of the odd ones, both from zero by fused products in
//! order, are added to each other and then to the element. What lies beyond the last column counts as zero. The chain
//! may be cut between any two steps, and its length, its place in a tile and the neighbours in the tile change no bit.
//! The instruction takes subnormal numbers for zero and gives none.
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, `TDPBF16PS`.
//! Read next: [`few`] (memory is the limit), then [`many`] (the tiles are).

mod few;
mod input;
mod many;
mod meanwhile;

use std::ops::Range;

use super::plan::{Call, Rows};
use super::scratch::{INPUT, PANEL};
use crate::amx::{PAST_CACHES_ROWS, ROWS};
use crate::pool::{Disjoint, Pool};

/// Columns of one product of tiles.
const STEP_COLUMNS: usize = 32;
/// Pairs of columns of one product of tiles.
const STEP_PAIRS: usize = STEP_COLUMNS / 2;
/// Bytes of a tile.
const TILE_BYTES: usize = 1024;
/// f32 of a tile.
const TILE: usize = TILE_BYTES / 4;
/// Weight rows of two tiles, and input rows.
const BLOCK_ROWS: usize = 2 * ROWS;

/// Input rows that are multiplied in one go at most.
const PIECE_ROWS: usize = 512;
/// Parts for each thread, so that none waits long for the last.
const PARTS_A_THREAD: usize = 2;

/// Run all products: one region to prepare the input and one to multiply.
pub fn run(pool: &Pool, call: &Call<'_>, out: &mut [f32]) {
    INPUT.with_borrow_mut(|scratch| {
        let layout = Layout::new(call);
        let buffer = scratch.take(layout.size);
        input::prepare(pool, call, &layout, buffer);
        let parts = cut(pool, call);
        let (buffer, out) = (&*buffer, Disjoint::new(out));
        pool.run(parts.len(), &|index| {
            // Likely this thread's next part, while all threads take parts in turn.
            let next = parts.get(index + pool.threads());
            PANEL.with_borrow_mut(|scratch| {
                multiply(call, &layout, &parts[index], next, buffer, &out, scratch.take(many::SCRATCH))
            });
        });
    });
}

/// Where the prepared input lies in its buffer.
struct Layout {
    /// Products of tiles along a row.
    steps: usize,
    /// First element of each group.
    starts: Vec<usize>,
    size: usize,
}

impl Layout {
    fn new(call: &Call<'_>) -> Layout {
        let steps = call.columns.div_ceil(STEP_COLUMNS);
        let mut size = 0;
        let starts = call.groups.iter().map(|rows| {
            let first = size;
            size += (steps * STEP_PAIRS * width(rows) * packs(rows)).next_multiple_of(ROWS);
            first
        });
        let starts = starts.collect();
        Layout { steps, starts, size }
    }

    /// Elements of a pack of `width` rows.
    fn pack(&self, width: usize) -> usize {
        self.steps * STEP_PAIRS * width
    }
}

/// Rows of a pack: all of a few rows, else sixteen, of which the last may be empty.
fn width(rows: &Rows<'_>) -> usize {
    rows.count().min(ROWS)
}

/// Packs of a group.
fn packs(rows: &Rows<'_>) -> usize {
    rows.count().div_ceil(ROWS)
}

/// A piece of a product: some columns of the result, and some of its rows.
struct Part {
    product: usize,
    columns: Range<usize>,
    input_rows: Range<usize>,
}

fn cut(pool: &Pool, call: &Call<'_>) -> Vec<Part> {
    let count = |product: usize| call.groups[call.products[product].group].count();
    let parts_of = |most: usize| -> usize {
        let all = call.products.iter().enumerate();
        all.map(|(index, product)| product.matrix.rows.div_ceil(most) * count(index).div_ceil(PIECE_ROWS)).sum()
    };
    // Input that no second-level cache holds is read from further away for every part: fewer, larger ones.
    let mut large = many::MOST_ROWS;
    while large > BLOCK_ROWS && parts_of(large) < PARTS_A_THREAD * pool.threads() {
        large /= 2;
    }
    let mut pieces = 1;
    while parts_of(large) * pieces < PARTS_A_THREAD * pool.threads() && pieces < PIECE_ROWS / 64 {
        pieces *= 2;
    }
    let mut parts = Vec::new();
    for (index, product) in call.products.iter().enumerate() {
        let (rows, columns) = (count(index), product.matrix.rows);
        let piece = if rows <= ROWS { ROWS } else { (PIECE_ROWS / pieces).min(rows).next_multiple_of(2 * ROWS) };
        let width = if rows <= ROWS { few::MOST_ROWS } else { large };
        for row in (0..rows).step_by(piece) {
            for first in (0..columns).step_by(width) {
                let columns = first..(first + width).min(columns);
                parts.push(Part { product: index, columns, input_rows: row..(row + piece).min(rows) });
            }
        }
    }
    parts
}

/// Weight rows of a matrix, and input rows that are multiplied with them.
struct Operands<'a> {
    /// The whole matrix.
    data: &'a [u8],
    columns: usize,
    /// Weight rows `first .. first + count`.
    first: usize,
    count: usize,
    /// Prepared packs, from the first of these rows on.
    input: &'a [f32],
    rows: usize,
    /// Weight rows of the part that this thread will probably take next.
    next: &'a [u8],
    /// Whether results go past the caches.
    past_caches: bool,
}

impl Operands<'_> {
    /// Bytes of a weight row.
    fn row_bytes(&self) -> usize {
        self.columns * 2
    }
}

/// Compute one part.
fn multiply(
    call: &Call<'_>,
    layout: &Layout,
    part: &Part,
    next: Option<&Part>,
    buffer: &[f32],
    out: &Disjoint<'_, f32>,
    scratch: &mut [f32],
) {
    let product = &call.products[part.product];
    let group = &call.groups[product.group];
    let weights = |part: &Part| {
        let data = call.products[part.product].matrix.data;
        &data[part.columns.start * call.columns * 2..part.columns.end * call.columns * 2]
    };
    let place = |i: usize| {
        let at = group.output(part.input_rows.start + i) * call.out_stride + product.offset + part.columns.start;
        // SAFETY: the plan gives each (row, column) of the result to one part.
        unsafe { out.slice(at..at + part.columns.len()) }
    };
    let width = width(group);
    let operands = Operands {
        data: product.matrix.data,
        columns: call.columns,
        first: part.columns.start,
        count: part.columns.len(),
        input: &buffer[layout.starts[product.group] + part.input_rows.start / ROWS * layout.pack(width)..],
        rows: part.input_rows.len(),
        next: next.map_or(&[], weights),
        past_caches: group.count() >= PAST_CACHES_ROWS,
    };
    assert!(operands.data.len() >= part.columns.end * call.columns * 2, "[matmul] rows beyond the matrix");
    assert!(operands.input.len() >= part.input_rows.len().div_ceil(ROWS) * layout.pack(width), "[matmul] packed input");
    // SAFETY: this module runs on the tier of AMX alone; weights and input are as long as was checked.
    unsafe {
        if width == group.count() {
            few::multiply(&operands, &place);
        } else {
            many::multiply(&operands, &place, scratch);
        }
    }
}
