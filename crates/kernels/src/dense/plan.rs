//! Cuts products into parts for the pool: few input rows are streamed, many are packed into panels.
//!
//! Which way a product goes, and where it is cut, changes speed and no bit of the result.

use std::ops::Range;

use super::element::{Element, Kind, TILE_STEPS, steps_of, with_element};
use super::matrix::DenseMatrix;
use super::panel::{Ahead, InputRows, Shape, Source, WeightRows, input_units, multiply, pack};
use super::scratch::{INPUT, PANEL, Scratch};
use super::stream::{PART_ROWS, StreamPart, stream_part};
use crate::pool::{Disjoint, Pool};
use crate::simd::{Simd, tiered};

/// Up to this many input rows the weights are streamed; beyond, packed.
const STREAM_ROWS: usize = 16;
/// Input rows that one part takes at most when they are packed.
const PANEL_ROWS: usize = 512;

/// Which input rows make which output rows.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// Row i of the input makes row i of the output.
    All(usize),
    /// `(input row, output row)`.
    Pairs(&'a [(u32, u32)]),
}

impl Rows<'_> {
    pub fn count(&self) -> usize {
        match self {
            Rows::All(count) => *count,
            Rows::Pairs(pairs) => pairs.len(),
        }
    }

    #[inline(always)]
    pub fn input(&self, i: usize) -> usize {
        match self {
            Rows::All(_) => i,
            Rows::Pairs(pairs) => pairs[i].0 as usize,
        }
    }

    #[inline(always)]
    pub fn output(&self, i: usize) -> usize {
        match self {
            Rows::All(_) => i,
            Rows::Pairs(pairs) => pairs[i].1 as usize,
        }
    }
}

/// One matrix times the rows of one group, written to columns `offset ..` of the output.
pub struct Product<'a> {
    pub matrix: DenseMatrix<'a>,
    pub offset: usize,
    /// Index into the groups.
    pub group: usize,
}

/// What all products of a call share.
pub struct Call<'a> {
    pub kind: Kind,
    pub x: &'a [f32],
    pub columns: usize,
    pub groups: &'a [Rows<'a>],
    pub products: &'a [Product<'a>],
    pub out_stride: usize,
}

/// Run all products: at most one region to prepare the input and one to multiply.
pub fn run(pool: &Pool, call: &Call<'_>, out: &mut [f32]) {
    INPUT.with_borrow_mut(|scratch| {
        let layout = Layout::new(call);
        let buffer = scratch.take(layout.size);
        prepare(pool, call, &layout, buffer);
        let parts = cut(pool, call, &layout);
        let (buffer, out) = (&*buffer, Disjoint::new(out));
        pool.run(parts.len(), &|index| {
            let part = &parts[index];
            match part.input_rows {
                None => streamed(call, &layout, part, buffer, &out),
                Some(_) => {
                    // Likely this thread's next part, while all threads take parts in turn.
                    let next = parts.get(index + pool.threads());
                    let place = Place { call, layout: &layout, part, next, buffer, out: &out };
                    PANEL.with_borrow_mut(|scratch| panel_part(&place, scratch));
                }
            }
        });
    });
}

/// Where the prepared input lies in its buffer.
struct Layout {
    lanes: usize,
    steps: usize,
    /// Units of a row, padded to whole vectors.
    units: usize,
    /// Rows of `x` in units for streamed products; `None` when nothing is streamed.
    streamed: Option<Range<usize>>,
    /// First element of each group's packs; `None` for a streamed group.
    packs: Vec<Option<usize>>,
    size: usize,
}

impl Layout {
    fn new(call: &Call<'_>) -> Layout {
        let (lanes, _) = lanes_and_vectors();
        let steps = steps_of(call.columns, call.kind.values(), lanes);
        let units = steps * lanes;
        let mut size = 0;
        let x_rows = call.x.len() / call.columns.max(1);
        let any_streamed = call.groups.iter().any(|rows| (1..=STREAM_ROWS).contains(&rows.count()));
        let streamed = any_streamed.then(|| {
            // f32 rows of whole vectors are used as they are.
            size = if call.kind.values() == 1 && call.columns == units { 0 } else { x_rows * units };
            0..size
        });
        let packs = call.groups.iter().map(|rows| {
            (rows.count() > STREAM_ROWS).then(|| {
                let first = size;
                size += rows.count().next_multiple_of(lanes) * units;
                first
            })
        });
        let packs = packs.collect();
        Layout { lanes, steps, units, streamed, packs, size }
    }
}

/// A piece of a product: some columns of the result, and for packed products some of its rows.
struct Part {
    product: usize,
    columns: Range<usize>,
    /// `None`: streamed, all rows.
    input_rows: Option<Range<usize>>,
}

fn cut(pool: &Pool, call: &Call<'_>, layout: &Layout) -> Vec<Part> {
    let (lanes, vectors) = lanes_and_vectors();
    let width = lanes * vectors;
    let panels: usize = call.products.iter().map(|product| product.matrix.rows.div_ceil(width)).sum();
    // Many threads on few panels: cut the rows too, though each piece packs the weights again.
    let row_pieces = (8 * pool.threads()).div_ceil(panels.max(1));
    let mut parts = Vec::new();
    for (index, product) in call.products.iter().enumerate() {
        let (rows, columns) = (call.groups[product.group].count(), product.matrix.rows);
        if rows == 0 {
            continue;
        }
        if layout.packs[product.group].is_none() {
            for first in (0..columns).step_by(PART_ROWS) {
                let columns = first..(first + PART_ROWS).min(columns);
                parts.push(Part { product: index, columns, input_rows: None });
            }
            continue;
        }
        let piece = rows.div_ceil(row_pieces).clamp(64, PANEL_ROWS).next_multiple_of(lanes);
        for first in (0..columns).step_by(width) {
            for row in (0..rows).step_by(piece) {
                let columns = first..(first + width).min(columns);
                parts.push(Part { product: index, columns, input_rows: Some(row..(row + piece).min(rows)) });
            }
        }
    }
    parts
}

/// Bring the input to units: rows for streamed groups, packs for the others.
fn prepare(pool: &Pool, call: &Call<'_>, layout: &Layout, buffer: &mut [f32]) {
    let shared = Disjoint::new(buffer);
    if let Some(range) = layout.streamed.clone().filter(|range| !range.is_empty()) {
        // SAFETY: the range of streamed rows is apart from all packs.
        let rows = unsafe { shared.slice(range) };
        let block = STREAM_ROWS * layout.units;
        pool.run_chunks(rows, block, |index, rows| {
            let first = index * STREAM_ROWS * call.columns;
            let x = &call.x[first..first + rows.len() / layout.units * call.columns];
            round_rows(call.kind, x, call.columns, rows, layout.units);
        });
    }
    let mut jobs = Vec::new();
    for (group, start) in layout.packs.iter().enumerate() {
        let Some(start) = start else { continue };
        for first in (0..call.groups[group].count()).step_by(layout.lanes) {
            jobs.push((group, first, start + first * layout.units));
        }
    }
    pool.run(jobs.len(), &|index| {
        let (group, first, start) = jobs[index];
        let rows = &call.groups[group];
        // SAFETY: each group of rows has its own place.
        let out = unsafe { shared.slice(start..start + layout.lanes * layout.units) };
        pack_input(call, rows, first, layout.steps, out);
    });
}

fn streamed(call: &Call<'_>, layout: &Layout, part: &Part, buffer: &[f32], out: &Disjoint<'_, f32>) {
    let product = &call.products[part.product];
    let rows = &call.groups[product.group];
    let range = layout.streamed.clone().expect("[matmul] a streamed part has its input");
    let input = if range.is_empty() { call.x } else { &buffer[range] };
    stream_part(&StreamPart {
        kind: call.kind,
        data: product.matrix.data,
        columns: call.columns,
        first: part.columns.start,
        count: part.columns.len(),
        input,
        input_stride: layout.units,
        rows: &|i| (rows.input(i), rows.output(i) * call.out_stride + product.offset),
        row_count: rows.count(),
        out,
    });
}

tiered! { fn lanes_and_vectors() -> (usize, usize) = tile_body; }
tiered! { fn round_rows(kind: Kind, x: &[f32], columns: usize, out: &mut [f32], units: usize) = round_body; }
tiered! { fn pack_input(call: &Call<'_>, rows: &Rows<'_>, first: usize, steps: usize, out: &mut [f32]) = input_body; }
tiered! { fn panel_part(place: &Place<'_>, scratch: &mut Scratch) = panel_body; }

#[inline(always)]
fn tile_body<S: Simd>(_: S) -> (usize, usize) {
    (S::LANES, S::TILE_VECTORS)
}

/// `x`: `[rows, columns]` to `out`: `[rows, units]`.
#[inline(always)]
fn round_body<S: Simd>(s: S, kind: Kind, x: &[f32], columns: usize, out: &mut [f32], units: usize) {
    for (row, out) in x.chunks_exact(columns).zip(out.chunks_exact_mut(units)) {
        for (j, out) in out.chunks_exact_mut(S::LANES).enumerate() {
            let from = &row[(j * S::LANES * kind.values()).min(columns)..];
            let v = match kind {
                Kind::PairsBf16 if S::HAS_DOT_BF16 => input_units::<S, true>(s, from),
                _ => input_units::<S, false>(s, from),
            };
            s.store_slice(v, out);
        }
    }
}

#[inline(always)]
fn input_body<S: Simd>(s: S, call: &Call<'_>, rows: &Rows<'_>, first: usize, steps: usize, out: &mut [f32]) {
    let row = |i: usize| rows.input(i);
    let (x, columns) = (call.x, call.columns);
    let count = (rows.count() - first).min(S::LANES);
    if call.kind == Kind::PairsBf16 && S::HAS_DOT_BF16 {
        pack_tiles(s, &InputRows::<true> { x, columns, row: &row }, (first, count), steps, out);
    } else {
        pack_tiles(s, &InputRows::<false> { x, columns, row: &row }, (first, count), steps, out);
    }
}

/// One group of `LANES` rows, tile after tile.
#[inline(always)]
pub fn pack_tiles<S: Simd>(s: S, source: &impl Source, rows: (usize, usize), steps: usize, out: &mut [f32]) {
    for begin in (0..steps).step_by(TILE_STEPS) {
        let end = (begin + TILE_STEPS).min(steps);
        pack(s, source, rows, 1, (begin, end), &mut out[begin * S::LANES * S::LANES..]);
    }
}

#[inline(always)]
fn panel_body<S: Simd>(s: S, place: &Place<'_>, scratch: &mut Scratch) {
    with_element!(place.call.kind, panel_kind::<S>(s, place, scratch))
}

/// A packed part and what surrounds it.
struct Place<'a> {
    call: &'a Call<'a>,
    layout: &'a Layout,
    part: &'a Part,
    next: Option<&'a Part>,
    buffer: &'a [f32],
    out: &'a Disjoint<'a, f32>,
}

#[inline(always)]
fn panel_kind<S: Simd, E: Element>(s: S, place: &Place<'_>, scratch: &mut Scratch) {
    let Place { call, layout, part, next, buffer, out } = *place;
    let product = &call.products[part.product];
    let rows = part.input_rows.clone().expect("[matmul] a packed part has its rows");
    let pack_start = layout.packs[product.group].expect("[matmul] a packed part has its input");
    let input = &buffer[pack_start + rows.start * layout.units..];
    let source = WeightRows::<E>::new(product.matrix.data, call.columns);
    let (first, count) = (part.columns.start, part.columns.len());
    let groups = &call.groups[product.group];
    let place = |i: usize| {
        let at = groups.output(rows.start + i) * call.out_stride + product.offset + first;
        // SAFETY: the plan gives each (row, column) of the result to one part.
        unsafe { out.slice(at..at + count) }
    };
    let row_bytes = call.columns * E::BYTES;
    let weights = |part: &Part| {
        let data = call.products[part.product].matrix.data;
        &data[part.columns.start * row_bytes..part.columns.end * row_bytes]
    };
    let tile_bytes = TILE_STEPS * S::LANES * E::VALUES * E::BYTES;
    let ahead = Ahead { now: weights(part), next: next.map_or(&[], weights), row_bytes, tile_bytes };
    let (shape, input) = (Shape { rows: rows.len(), steps: layout.steps }, (input, layout.units));
    if E::PAIRS {
        panel::<S, true>(s, &source, (first, count), input, shape, ahead, scratch, place);
    } else {
        panel::<S, false>(s, &source, (first, count), input, shape, ahead, scratch, place);
    }
}

/// Weight rows `first .. first + count` (at most one panel) times `rows` packed input rows; `place(i)` is where row `i`
/// of the result goes, of `count` values. `units`: elements of a packed input row.
#[inline(always)]
pub fn panel<'o, S: Simd, const PAIRS: bool>(
    s: S,
    source: &impl Source,
    (first, count): (usize, usize),
    (input, units): (&[f32], usize),
    Shape { rows, steps }: Shape,
    ahead: Ahead<'_>,
    scratch: &mut Scratch,
    place: impl Fn(usize) -> &'o mut [f32],
) {
    let vectors = count.div_ceil(S::LANES);
    let width = vectors * S::LANES;
    let packed_size = S::LANES * TILE_STEPS.min(steps) * width;
    let scratch = scratch.take(packed_size + rows.next_multiple_of(S::LANES) * width);
    let (packed, totals) = scratch.split_at_mut(packed_size);
    if steps == 0 {
        (0..rows).for_each(|row| place(row).fill(0.0));
    }
    for begin in (0..steps).step_by(TILE_STEPS) {
        let end = (begin + TILE_STEPS).min(steps);
        pack(s, source, (first, count), vectors, (begin, end), packed);
        let input = (&input[begin * S::LANES * S::LANES..], units * S::LANES);
        let lines = ahead.after(begin / TILE_STEPS);
        let place = (end == steps).then_some(&place);
        let shape = Shape { rows, steps: end - begin };
        multiply::<S, PAIRS>(s, packed, vectors, input, shape, totals, begin == 0, lines, place);
    }
}
