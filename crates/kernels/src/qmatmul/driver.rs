//! Splits products into parts for the threads, unpacks weights and calls the tiles.
//!
//! A job is one matrix (or one expert of several) against some rows; all jobs of a call share one parallel region.
//! A part is three panels: with few rows each slab is unpacked into the first-level cache and used at once; with many,
//! three whole panels are unpacked into the second-level cache and reused for all rows. Both call the same tile in the
//! same order of slabs, so the split changes no bits. Read next: [`super::tile`].

use super::activations::QuantizedActivations;
use super::layout::{Layout, PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use super::memory::Memory;
use super::panels::Panels;
use super::tile::{FloatTile, Kernels, TILE_PANELS, TILE_ROWS, Tile, kernels};
use crate::pool::Pool;
use std::cell::RefCell;

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
    let units: usize = jobs.iter().map(|job| trios(job)).sum();
    let few = jobs.iter().all(|job| job.rows.len() <= TILE_ROWS);
    // Few rows: long sequential reads and few hand-outs. Many: every three panels are a lot of work.
    let block = if few { (units / (pool.threads() * 8)).max(1) } else { 1 };
    // More threads than panels: rows are cut too, at the price of unpacking more than once.
    let most = jobs.iter().map(|job| job.rows.len()).max().unwrap_or(0);
    let wanted = (pool.threads() * 3).div_ceil(units.max(1));
    let cuts = if few || pool.threads() == 1 { 1 } else { wanted.min(most / 64).max(1) };
    pool.run(units.div_ceil(block) * cuts, &|part| {
        let (part, cut) = (part / cuts, part % cuts);
        let mut index = part * block;
        let end = (index + block).min(units);
        let mut first = 0;
        for job in jobs {
            let count = trios(job);
            while index < end && index < first + count {
                let rows = job.rows.len();
                let tiles = rows.div_ceil(TILE_ROWS);
                let cut_rows =
                    (cut * tiles / cuts * TILE_ROWS).min(rows)..((cut + 1) * tiles / cuts * TILE_ROWS).min(rows);
                SCRATCH.with_borrow_mut(|scratch| {
                    Part {
                        kernels: &kernels,
                        job,
                        panel: (index - first) * TILE_PANELS,
                        rows: cut_rows,
                        output: &output,
                    }
                    .run(input, scratch)
                });
                index += 1;
            }
            first += count;
        }
    });
}

/// Threes of panels of a job; none when it has no rows.
fn trios(job: &Job) -> usize {
    if job.rows.len() == 0 { 0 } else { job.panels.expert_panels().div_ceil(TILE_PANELS) }
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
    weights: Memory,
}

impl Scratch {
    fn new() -> Scratch {
        let none = || Memory::new(0);
        Scratch { values: none(), scales: none(), biases: none(), totals: none(), weights: none() }
    }
}

/// At least `bytes`, for contents that need not outlive the part.
fn room(memory: &mut Memory, bytes: usize) -> *mut u8 {
    if memory.bytes() < bytes {
        *memory = Memory::new(bytes);
    }
    memory.start()
}

/// Up to three panels of a job against a range of its rows.
struct Part<'a> {
    kernels: &'a Kernels,
    job: &'a Job<'a>,
    panel: usize,
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

    fn panels(&self) -> usize {
        TILE_PANELS.min(self.job.panels.expert_panels() - self.panel)
    }

    /// Unpack one slab of the part's panels. `at` is its first column; pointers are those of the slab.
    unsafe fn unpack(&self, layout: &Layout, at: usize, values: *mut u8, scales: *mut f32, biases: *mut f32) {
        let panels = self.panels();
        let width = SLAB_COLUMNS.min(self.job.panels.padded_columns() - at);
        let header = layout.header_bytes(width);
        for p in 0..panels {
            let slab = self.job.panels.slab(self.job.expert, self.panel + p, at);
            let (header, bytes) = slab.split_at(header);
            // SAFETY: the caller's memory has room for a slab of all panels.
            unsafe {
                let (scales, biases) = (scales.add(p * PANEL_ROWS), biases.add(p * PANEL_ROWS));
                (self.kernels.read_scales)(layout, header, width, scales, biases, panels * PANEL_ROWS);
                (self.kernels.read_values)(layout.values, bytes, width, values.add(p * 64), panels * 64);
            }
        }
    }

    fn integers(&self, x: &QuantizedActivations, layout: &Layout, scratch: &mut Scratch) {
        let (panels, padded) = (self.panels(), self.job.panels.padded_columns());
        let whole = self.rows.len() > TILE_ROWS;
        let kept = if whole { padded } else { padded.min(SLAB_COLUMNS) };
        let groups = kept.div_ceil(layout.group);
        let values = room(&mut scratch.values, kept * 16 * panels);
        let scales = room(&mut scratch.scales, groups * 64 * panels).cast::<f32>();
        let biases = room(&mut scratch.biases, groups * 64 * panels).cast::<f32>();
        let slab_group_floats = |at: usize| if whole { at / layout.group * panels * PANEL_ROWS } else { 0 };
        let slab_value_bytes = |at: usize| if whole { at * 16 * panels } else { 0 };
        let record = x.record();
        let mut totals = Totals([0.0; TILE_ROWS * TILE_PANELS * PANEL_ROWS]);
        // SAFETY: the scratch holds `kept` columns of all panels; the rows exist as `check` has seen.
        unsafe {
            if whole {
                for at in (0..padded).step_by(SLAB_COLUMNS) {
                    let floats = slab_group_floats(at);
                    self.unpack(layout, at, values.add(slab_value_bytes(at)), scales.add(floats), biases.add(floats));
                }
            }
            for first in self.rows.clone().step_by(TILE_ROWS) {
                let count = TILE_ROWS.min(self.rows.end - first);
                totals.0.fill(0.0);
                let rows = std::array::from_fn(|i| x.row(self.job.rows.input(first + i.min(count - 1))));
                for at in (0..padded).step_by(SLAB_COLUMNS) {
                    if !whole {
                        self.unpack(layout, at, values, scales, biases);
                    }
                    (self.kernels.tile)(&Tile {
                        values: values.add(slab_value_bytes(at)),
                        scales: scales.add(slab_group_floats(at)),
                        biases: biases.add(slab_group_floats(at)),
                        groups: SLAB_COLUMNS.min(padded - at).div_ceil(layout.group),
                        group: layout.group,
                        offset_shift: layout.offset_shift,
                        biased: layout.biased,
                        narrow: layout.values.below_128(),
                        panels,
                        rows,
                        count,
                        values_at: at,
                        sums_at: record.sums_of(layout.group) + at / layout.group * 4,
                        scale_at: record.scales + at / SLAB_COLUMNS * 4,
                        totals: totals.0.as_mut_ptr(),
                    });
                }
                self.store(first, count, &totals.0);
            }
        }
    }

    /// The float product: weights of one slab as floats at a time, totals of all rows kept.
    fn floats(&self, x: &[f32], scratch: &mut Scratch) {
        let (panels, columns) = (self.panels(), self.job.panels.columns());
        let row_floats = panels * PANEL_ROWS;
        let totals = room(&mut scratch.totals, self.rows.len() * row_floats * 4).cast::<f32>();
        // SAFETY: the totals have room for all rows; columns and rows are those of `check`.
        unsafe {
            std::slice::from_raw_parts_mut(totals.cast::<std::mem::MaybeUninit<f32>>(), self.rows.len() * row_floats)
                .fill(std::mem::MaybeUninit::new(0.0));
            for at in (0..columns).step_by(SLAB_COLUMNS) {
                let width = SLAB_COLUMNS.min(columns - at);
                let weights = self.float_weights(at, width, scratch);
                for first in (0..self.rows.len()).step_by(TILE_ROWS) {
                    let count = TILE_ROWS.min(self.rows.len() - first);
                    let rows = std::array::from_fn(|i| {
                        let row = self.job.rows.input(self.rows.start + first + i.min(count - 1));
                        x.as_ptr().add(row * columns + at)
                    });
                    let totals = totals.add(first * row_floats);
                    (self.kernels.float_tile)(&FloatTile { weights, columns: width, panels, rows, count, totals });
                }
            }
            for first in (0..self.rows.len()).step_by(TILE_ROWS) {
                let count = TILE_ROWS.min(self.rows.len() - first);
                let totals = std::slice::from_raw_parts(totals.add(first * row_floats), count * row_floats);
                self.store(self.rows.start + first, count, totals);
            }
        }
    }

    /// Weights of the columns from `at` on as floats. `[width, panels, 16]`
    fn float_weights(&self, at: usize, width: usize, scratch: &mut Scratch) -> *const f32 {
        let panels = self.panels();
        let weights = room(&mut scratch.weights, SLAB_COLUMNS * TILE_PANELS * PANEL_ROWS * 4).cast::<f32>();
        let Some(layout) = self.job.panels.layout() else {
            for p in 0..panels {
                self.job.panels.read_raw(self.job.expert, self.panel + p, at, width, |column, lane, value| {
                    // SAFETY: inside the room made above.
                    unsafe { weights.add((column * panels + p) * PANEL_ROWS + lane).write(value) }
                });
            }
            return weights;
        };
        let values = room(&mut scratch.values, SLAB_COLUMNS * 16 * panels);
        let groups = SLAB_COLUMNS / layout.group.min(UNIT_COLUMNS) * 2;
        let scales = room(&mut scratch.scales, groups * 64 * panels).cast::<f32>();
        let biases = room(&mut scratch.biases, groups * 64 * panels).cast::<f32>();
        let offset = if layout.biased { 0 } else { 1i32 << layout.offset_shift };
        // SAFETY: room for a slab of all panels was just made, and `unpack` fills it.
        unsafe {
            self.unpack(layout, at, values, scales, biases);
            for column in 0..width {
                for p in 0..panels {
                    let codes = values.add((column / 4 * panels + p) * 64 + column % 4);
                    let group = (column / layout.group * panels + p) * PANEL_ROWS;
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

    /// Totals of `count` rows from `first` on to their places. `[count, panels, 16]`
    fn store(&self, first: usize, count: usize, totals: &[f32]) {
        let width = self.panels() * PANEL_ROWS;
        let column = self.panel * PANEL_ROWS;
        let real = width.min(self.job.panels.rows() - column);
        for (index, totals) in totals.chunks_exact(width).take(count).enumerate() {
            let at = self.job.rows.output(first + index) * self.output.stride + self.job.column + column;
            debug_assert!(at + real <= self.output.length);
            // SAFETY: inside the output as `check` has seen; no other part has these rows and columns.
            unsafe { self.output.start.add(at).copy_from_nonoverlapping(totals.as_ptr(), real) };
        }
    }
}

/// Totals of a tile, aligned to registers.
#[repr(align(64))]
struct Totals([f32; TILE_ROWS * TILE_PANELS * PANEL_ROWS]);
