//! Splits products into parts for the threads, unpacks weights and calls the tiles.
//!
//! A job is one matrix (or one expert of several) against some rows; all jobs of a call share one parallel region.
//! A part is two or three panels against a block of rows, slab by slab: few rows read the packed values, for many the
//! slab is unpacked into the first-level cache once. Slabs follow in one order, so the split changes no bits.
//! Read next: [`super::tile`].

use super::activations::QuantizedActivations;
use super::layout::{Layout, Values};
use super::memory::Memory;
use super::panels::{self, Panels};
use super::sizes::{BLOCK_ROWS, FEW_ROWS, PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use super::tiers::kernels;
use super::tile::{FLOAT_ROWS, FloatTile, Kernels, Stored, TILE_PANELS, Tile};
use super::unpack::Headers;
use crate::pool::Pool;
use std::cell::RefCell;

/// Rows that a part takes at once: their sums stay in the second-level cache.
const PART_ROWS: usize = 512;

/// One product: an expert of `panels` (0 for a plain matrix) with some rows of the activations.
pub struct Job<'a> {
    /// The weights.
    pub panels: &'a Panels,
    /// Which expert.
    pub expert: usize,
    /// Which rows.
    pub rows: Rows<'a>,
    /// First column of the output.
    pub column: usize,
}

/// Which activation rows go into which output rows.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// Row `i` into row `i`.
    All(usize),
    /// `(activation row, output row)`, no two output rows alike.
    List(&'a [(u32, u32)]),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::All(rows) => *rows,
            Rows::List(rows) => rows.len(),
        }
    }

    fn input(&self, index: usize) -> usize {
        match self {
            Rows::All(_) => index,
            Rows::List(rows) => rows[index].0 as usize,
        }
    }

    fn output(&self, index: usize) -> usize {
        match self {
            Rows::All(_) => index,
            Rows::List(rows) => rows[index].1 as usize,
        }
    }
}

/// Output that parts write at places of their own.
struct Output {
    start: *mut f32,
    length: usize,
    stride: usize,
}

// SAFETY: parts write disjoint columns of disjoint jobs; see `check`.
unsafe impl Sync for Output {}

/// What rows are multiplied with: int8 or floats.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Int8 activations.
    Quantized(&'a QuantizedActivations),
    /// Floats. `[rows, columns]`
    Float(&'a [f32], usize),
}

/// Run all jobs in one parallel region. `out` is row-major, rows `stride` apart.
pub fn run(pool: &Pool, input: Input, jobs: &[Job], out: &mut [f32], stride: usize) {
    check(input, jobs, out.len(), stride);
    let output = Output { start: out.as_mut_ptr(), length: out.len(), stride };
    let kernels = kernels();
    let units: usize = jobs.iter().map(parts).sum();
    let few = jobs.iter().all(|job| job.rows.len() <= FEW_ROWS);
    // Long stretches: memory is asked for the next part, which another thread must not have.
    let block = if few { units.div_ceil(pool.threads() * 2).max(1) } else { 1 };
    if few {
        pool.ahead().product(&starts(jobs, block, pool.threads()));
    }
    // More threads than panels: rows are cut too, at the price of unpacking more than once.
    let most = jobs.iter().map(|job| job.rows.len()).max().unwrap_or(0);
    let wanted = (pool.threads() * 3).div_ceil(units.max(1));
    let cuts = if few || pool.threads() == 1 { 1 } else { wanted.min(most / 64).max(1) };
    pool.run(units.div_ceil(block) * cuts, &|index| {
        let (index, cut) = (index / cuts, index % cuts);
        let (mut index, end) = (index * block, (index * block + block).min(units));
        let mut first = 0;
        for job in jobs {
            let count = parts(job);
            while index < end && index < first + count {
                let number = index - first;
                let (panel, panels) = job.panels.part(number);
                let edge =
                    |cut: usize| (cut * job.rows.len().div_ceil(BLOCK_ROWS) / cuts * BLOCK_ROWS).min(job.rows.len());
                let rows = edge(cut)..edge(cut + 1);
                SCRATCH.with_borrow_mut(|scratch| {
                    let spare = room(&mut scratch.spare, job.panels.spare_bytes());
                    // SAFETY: room for a part, which is used for nothing else before the next one.
                    let weights = unsafe { job.panels.open(job.expert, number, spare) };
                    Part { kernels: &kernels, job, weights, number, panel, panels, rows, output: &output }
                        .run(input, scratch)
                });
                index += 1;
            }
            first += count;
        }
    });
}

/// Where the first threads begin to read; nowhere for experts, which are others each time.
fn starts(jobs: &[Job], block: usize, threads: usize) -> Vec<*const u8> {
    if !jobs.iter().all(|job| matches!(job.rows, Rows::All(_))) {
        return Vec::new();
    }
    let start = |thread: usize| {
        let mut index = thread * block;
        let job = jobs.iter().find(|job| match index.checked_sub(parts(job)) {
            None => true,
            Some(rest) => {
                index = rest;
                false
            }
        })?;
        Some(job.panels.part_start(job.expert, index).cast_const())
    };
    (0..threads).map_while(start).collect()
}

/// Number of parts of a job; none when it has no rows.
fn parts(job: &Job) -> usize {
    if job.rows.len() == 0 { 0 } else { job.panels.parts() }
}

/// The bounds on which the unsafe code below relies.
fn check(input: Input, jobs: &[Job], length: usize, stride: usize) {
    let (rows, columns) = match input {
        Input::Quantized(x) => (x.rows(), x.columns()),
        Input::Float(x, rows) => (rows, x.len() / rows.max(1)),
    };
    for job in jobs {
        let panels = job.panels;
        assert_eq!(panels.columns(), columns, "[quantized product] activations of another width than the matrix");
        assert!(job.expert < panels.experts(), "[quantized product] no expert {}", job.expert);
        assert!(job.column + panels.rows() <= stride, "[quantized product] matrix reaches over the output's rows");
        for index in 0..job.rows.len() {
            assert!(job.rows.input(index) < rows, "[quantized product] no activation row {}", job.rows.input(index));
            let end = job.rows.output(index) * stride + job.column + panels.rows();
            assert!(end <= length, "[quantized product] output too short for row {}", job.rows.output(index));
        }
        let needs_float = matches!(input, Input::Quantized(_)) && panels.layout().is_none();
        assert!(!needs_float, "[quantized product] {:?} needs float activations", panels.format());
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Memory of one thread that products use again and again.
struct Scratch {
    values: Memory,
    scales: Memory,
    biases: Memory,
    totals: Memory,
    staged: Memory,
    weights: Memory,
    spare: Memory,
    rows: Vec<*const u8>,
    outputs: Vec<*mut f32>,
}

impl Scratch {
    fn new() -> Scratch {
        let none = || Memory::new(0);
        let (rows, outputs) = (Vec::new(), Vec::new());
        let (values, scales, biases, totals, staged) = (none(), none(), none(), none(), none());
        Scratch { values, scales, biases, totals, staged, weights: none(), spare: none(), rows, outputs }
    }
}

/// At least `bytes`, for contents that need not outlive the part.
fn room(memory: &mut Memory, bytes: usize) -> *mut u8 {
    if memory.bytes() < bytes {
        *memory = Memory::new(bytes);
    }
    memory.start()
}

/// Bytes of an open slab of one panel; a line more than a power of two, which would put all panels into the same sets.
const OPEN_STRIDE: usize = SLAB_COLUMNS * PANEL_ROWS + 64;

/// Up to three panels of a job against a range of its rows.
struct Part<'a> {
    kernels: &'a Kernels,
    job: &'a Job<'a>,
    weights: panels::Part<'a>,
    number: usize,
    panel: usize,
    panels: usize,
    rows: std::ops::Range<usize>,
    output: &'a Output,
}

impl Part<'_> {
    fn run(&self, input: Input, scratch: &mut Scratch) {
        match (input, self.job.panels.layout()) {
            (Input::Quantized(x), Some(layout)) => self.integers(x, layout, scratch),
            (Input::Float(x, _), _) => self.floats(x, scratch),
            (Input::Quantized(_), None) => unreachable!("refused by `check`"),
        }
    }

    /// The integer product of all rows, a block at a time.
    fn integers(&self, x: &QuantizedActivations, layout: &Layout, scratch: &mut Scratch) {
        for first in self.rows.clone().step_by(PART_ROWS) {
            let rows = first..self.rows.end.min(first + PART_ROWS);
            scratch.rows.clear();
            scratch.rows.extend(rows.clone().map(|row| x.row(self.job.rows.input(row))));
            let packed = (self.kernels.reads_packed)(layout, rows.len());
            // A tile has at least two panels: a lone one goes in twice.
            let panels = self.panels.max(2);
            let stored = if packed { Stored::Packed(layout.values) } else { Stored::Open };
            let direct = (self.kernels.direct_rows)(stored, panels, rows.len());
            let width = panels * PANEL_ROWS;
            // Tiles write whole panels.
            let whole = self.columns() == width;
            let staged = room(&mut scratch.staged, if whole { 0 } else { direct * width * 4 }).cast::<f32>();
            let place =
                |index: usize| if whole { self.output_of(first + index) } else { staged.wrapping_add(index * width) };
            scratch.outputs.clear();
            scratch.outputs.extend((0..direct).map(place));
            let totals = room(&mut scratch.totals, rows.len().next_multiple_of(BLOCK_ROWS) * width * 4).cast::<f32>();
            // SAFETY: the totals have room for all rows; those that tiles do not begin by themselves are zeroed.
            unsafe { totals.add(direct * width).write_bytes(0, (rows.len() - direct) * width) };
            for at in (0..self.job.panels.padded_columns()).step_by(SLAB_COLUMNS) {
                self.integer_slab(x, layout, (at, first), (stored, totals), scratch);
            }
            // SAFETY: tiles have written the totals of the rows that they have not ended, and what is staged.
            let (staged, totals) = unsafe {
                let staged = std::slice::from_raw_parts(staged, if whole { 0 } else { direct * width });
                (staged, std::slice::from_raw_parts(totals.add(direct * width), (rows.len() - direct) * width))
            };
            self.store(first, staged.len() / width, staged, width);
            self.store(first + direct, rows.len() - direct, totals, width);
        }
    }

    /// Add the products of the columns from `at` on to the totals of the rows in `scratch`, of which `first_row` is the
    /// first.
    fn integer_slab(
        &self,
        x: &QuantizedActivations,
        layout: &Layout,
        (at, first_row): (usize, usize),
        (stored, totals): (Stored, *mut f32),
        scratch: &mut Scratch,
    ) {
        let weights = self.job.panels;
        let sizes = weights.slab_sizes(at);
        let first = self.weights.slab(0, at);
        let (panels, stride) = (self.panels.max(2), if self.panels == 1 { 0 } else { sizes.bytes });
        let places = SLAB_COLUMNS / layout.group * panels * PANEL_ROWS;
        let scales = room(&mut scratch.scales, places * 4).cast::<f32>();
        let biases = room(&mut scratch.biases, places * 4).cast::<f32>();
        let mut source = (first[sizes.header..].as_ptr(), stride);
        let headers = Headers { start: first.as_ptr(), stride, bytes: sizes.header, panels, groups: sizes.groups };
        let signed = self.kernels.read_signed;
        // Bytes are open as they are, but those of a narrow slab may end with the memory.
        let bytes = layout.values == Values::Bits8 && sizes.width == SLAB_COLUMNS;
        let is_open = self.kernels.bytes_are_open && bytes && (layout.biased || signed.is_none());
        // What comes next is asked for all the time; opening takes a good part of that of few rows.
        let (mut ahead, mut ahead_bytes) = (self.after(at), self.panels * sizes.bytes);
        let asked = if scratch.rows.len() <= FEW_ROWS { sizes.width / UNIT_COLUMNS * 64 } else { 0 };
        // SAFETY: the scratch holds a slab of all panels; the rows exist as `check` has seen.
        unsafe {
            if !(self.kernels.reads_headers)(layout, stored, scratch.rows.len()) {
                (self.kernels.read_scales)(layout, &headers, scales, biases);
                let read = sizes.groups * panels * PANEL_ROWS;
                scales.add(read).write_bytes(0, places - read);
            }
            if stored == Stored::Open && !is_open {
                let open = room(&mut scratch.values, TILE_PANELS * OPEN_STRIDE);
                for p in 0..panels {
                    let slab = self.weights.slab(p.min(self.panels - 1), at);
                    let values = &slab[sizes.header..];
                    let open = open.add(p * OPEN_STRIDE);
                    match signed {
                        Some(read) => {
                            let offset = if layout.biased { 0 } else { 1 << layout.offset_shift };
                            read(layout.values, values, sizes.width, open, (offset, (asked > 0).then_some(ahead)));
                            (ahead, ahead_bytes) = (ahead.wrapping_add(asked), ahead_bytes.saturating_sub(asked));
                        }
                        None => (self.kernels.read_values)(layout.values, values, sizes.width, open),
                    }
                }
                source = (open, OPEN_STRIDE);
            }
            let (record, (values, stride)) = (x.record(), source);
            let (blocks, block_stride) = match self.job.rows {
                Rows::All(_) => x.blocks_from(first_row, at),
                Rows::List(_) => (std::ptr::null(), 0),
            };
            let ends = at + SLAB_COLUMNS >= weights.padded_columns() && !scratch.outputs.is_empty();
            (self.kernels.tile)(&Tile {
                stored,
                values,
                stride,
                header: headers.start,
                header_scales: layout.scales,
                ahead,
                ahead_bytes,
                scales,
                biases,
                groups: sizes.groups,
                group: layout.group,
                offset_shift: layout.offset_shift,
                biased: layout.biased,
                narrow: layout.values.below_128(),
                panels,
                rows: scratch.rows.as_ptr(),
                count: scratch.rows.len(),
                blocks,
                block_stride,
                values_at: at,
                sums_at: record.sums_of(layout.group) + at / layout.group * 4,
                finest_sums_at: record.sums_of(16) + at / 16 * 4,
                scale_at: record.scales + at / SLAB_COLUMNS * 4,
                totals,
                fresh: at == 0,
                outputs: if ends { scratch.outputs.as_ptr() } else { std::ptr::null() },
            });
        }
    }

    /// What is read after the slab at `at`: the next one, or the next part where it is packed.
    fn after(&self, at: usize) -> *const u8 {
        let panels = self.job.panels;
        if at + SLAB_COLUMNS < panels.padded_columns() {
            self.weights.slab(0, at + SLAB_COLUMNS).as_ptr()
        } else if self.number + 1 < panels.parts() {
            panels.part_start(self.job.expert, self.number + 1)
        } else {
            self.weights.slab(0, at).as_ptr()
        }
    }

    /// The float product: weights of one slab as floats at a time, totals of all rows kept.
    fn floats(&self, x: &[f32], scratch: &mut Scratch) {
        let (panels, columns) = (self.panels, self.job.panels.columns());
        let row_floats = panels * PANEL_ROWS;
        let totals = room(&mut scratch.totals, self.rows.len() * row_floats * 4).cast::<f32>();
        // SAFETY: the totals have room for all rows; columns and rows are those of `check`.
        unsafe {
            std::slice::from_raw_parts_mut(totals.cast::<std::mem::MaybeUninit<f32>>(), self.rows.len() * row_floats)
                .fill(std::mem::MaybeUninit::new(0.0));
            for at in (0..columns).step_by(SLAB_COLUMNS) {
                let width = SLAB_COLUMNS.min(columns - at);
                let weights = self.float_weights(at, width, scratch);
                for first in (0..self.rows.len()).step_by(FLOAT_ROWS) {
                    let count = FLOAT_ROWS.min(self.rows.len() - first);
                    let rows = std::array::from_fn(|i| {
                        let row = self.job.rows.input(self.rows.start + first + i.min(count - 1));
                        x.as_ptr().add(row * columns + at)
                    });
                    let totals = totals.add(first * row_floats);
                    (self.kernels.float_tile)(&FloatTile { weights, columns: width, panels, rows, count, totals });
                }
            }
            for first in (0..self.rows.len()).step_by(FLOAT_ROWS) {
                let count = FLOAT_ROWS.min(self.rows.len() - first);
                let totals = std::slice::from_raw_parts(totals.add(first * row_floats), count * row_floats);
                self.store(self.rows.start + first, count, totals, row_floats);
            }
        }
    }

    /// Weights of the columns from `at` on as floats. `[width, panels, 16]`
    fn float_weights(&self, at: usize, width: usize, scratch: &mut Scratch) -> *const f32 {
        let panels = self.panels;
        let weights = room(&mut scratch.weights, SLAB_COLUMNS * TILE_PANELS * PANEL_ROWS * 4).cast::<f32>();
        let Some(layout) = self.job.panels.layout() else {
            // SAFETY: there is room for that.
            let weights_of = unsafe { std::slice::from_raw_parts_mut(weights, width * panels * PANEL_ROWS) };
            for p in 0..panels {
                let out = &mut weights_of[p * PANEL_ROWS..];
                self.weights.read_columns(p, at, panels * PANEL_ROWS, out);
            }
            return weights;
        };
        let values = room(&mut scratch.values, SLAB_COLUMNS * PANEL_ROWS);
        let groups = SLAB_COLUMNS / layout.group.min(SLAB_COLUMNS);
        let scales = room(&mut scratch.scales, groups * PANEL_ROWS * 4).cast::<f32>();
        let biases = room(&mut scratch.biases, groups * PANEL_ROWS * 4).cast::<f32>();
        let offset = if layout.biased { 0 } else { 1i32 << layout.offset_shift };
        let sizes = self.job.panels.slab_sizes(at);
        for p in 0..panels {
            let slab = self.weights.slab(p, at);
            let (start, bytes, groups) = (slab.as_ptr(), sizes.header, sizes.groups);
            let headers = Headers { start, stride: 0, bytes, panels: 1, groups };
            // SAFETY: there is room for a slab, which the two functions fill, and for the floats of all panels.
            unsafe {
                (self.kernels.read_scales)(layout, &headers, scales, biases);
                (self.kernels.read_values)(layout.values, &slab[sizes.header..], sizes.width, values);
                for column in 0..width {
                    let codes = values.add(column / 4 * 64 + column % 4);
                    let group = column / layout.group * PANEL_ROWS;
                    let out = weights.add((column * panels + p) * PANEL_ROWS);
                    for lane in 0..PANEL_ROWS {
                        let value =
                            (codes.add(lane * 4).read() as i32 - offset) as f32 * scales.add(group + lane).read();
                        let bias = if layout.biased { biases.add(group + lane).read() } else { 0.0 };
                        out.add(lane).write(if layout.biased { value + bias } else { value });
                    }
                }
            }
        }
        weights
    }

    /// Columns of the part that the matrix has.
    fn columns(&self) -> usize {
        (self.panels * PANEL_ROWS).min(self.job.panels.rows() - self.panel * PANEL_ROWS)
    }

    /// Where the columns of a row go.
    fn output_of(&self, row: usize) -> *mut f32 {
        let column = self.job.column + self.panel * PANEL_ROWS;
        let at = self.job.rows.output(row) * self.output.stride + column;
        debug_assert!(at + self.columns() <= self.output.length);
        // SAFETY: inside the output as `check` has seen.
        unsafe { self.output.start.add(at) }
    }

    /// Totals of `count` rows from `first` on to their places, `width` floats a row.
    fn store(&self, first: usize, count: usize, totals: &[f32], width: usize) {
        let columns = self.columns();
        for (index, totals) in totals.chunks_exact(width).take(count).enumerate() {
            // SAFETY: no other part has these rows and columns.
            unsafe { self.output_of(first + index).copy_from_nonoverlapping(totals.as_ptr(), columns) };
        }
    }
}
