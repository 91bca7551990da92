//! Low-rank corrections of a product: `out += scale · (x · downᵀ) · upᵀ`, another pair of factors for each run of rows.
//!
//! The factors lie with ranks (down) and outputs (up) as lanes, so rows share what is loaded and no sum is horizontal.
//! Invariant: the bits of a row depend on its own values and factors alone: inputs are added in four interleaved sums,
//! ranks in their order, whatever the other rows are and however many threads there are. Read next: `lanes`.

use crate::lanes::{self, Job, LANES, Lanes};
use crate::pool::Pool;
use half::bf16;
use std::cell::RefCell;
use std::ops::Range;

/// Rows that share what is loaded of a factor.
const ROWS: usize = 4;
/// Interleaved sums over the inputs.
const SUMS: usize = 4;
/// Outputs that a thread takes at a time when rows are few.
const OUTPUT_BLOCK: usize = 512;
/// Multiplications below which other threads are not woken.
const SMALL: usize = 96 << 10;

/// How factors are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As they are.
    F32,
    /// Rounded: half the memory, which is what a step of few rows waits for.
    Bf16,
}

/// Two factors: `down` `[rank, columns]` and `up` `[outputs, rank]`.
pub struct LowRank {
    columns: usize,
    outputs: usize,
    rank: usize,
    scale: f32,
    /// `[columns][padded rank]`.
    down: Values,
    /// `[outputs / 16][rank][16]`.
    up: Values,
}

enum Values {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
}

impl LowRank {
    /// Factors in row-major order. Panics when they do not have these sizes.
    pub fn new(columns: usize, outputs: usize, scale: f32, down: &[f32], up: &[f32], storage: Storage) -> LowRank {
        let rank = down.len() / columns.max(1);
        assert!(
            rank > 0 && down.len() == rank * columns && up.len() == outputs * rank,
            "[low_rank] factors of {} and {} values for {columns} inputs and {outputs} outputs",
            down.len(),
            up.len()
        );
        let (padded, blocks) = (rank.next_multiple_of(LANES), outputs.div_ceil(LANES));
        let (mut by_input, mut by_output) = (vec![0.0; columns * padded], vec![0.0; blocks * rank * LANES]);
        for (r, row) in down.chunks_exact(columns).enumerate() {
            row.iter().enumerate().for_each(|(column, value)| by_input[column * padded + r] = *value);
        }
        for (output, row) in up.chunks_exact(rank).enumerate() {
            let start = output / LANES * rank * LANES + output % LANES;
            row.iter().enumerate().for_each(|(r, value)| by_output[start + r * LANES] = *value);
        }
        let (down, up) = (Values::new(by_input, storage), Values::new(by_output, storage));
        LowRank { columns, outputs, rank, scale, down, up }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.down.bytes() + self.up.bytes()
    }

    fn padded(&self) -> usize {
        self.rank.next_multiple_of(LANES)
    }
}

impl std::fmt::Debug for LowRank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LowRank [{}, {}, {}] * {}", self.columns, self.rank, self.outputs, self.scale)
    }
}

impl Values {
    fn new(values: Vec<f32>, storage: Storage) -> Values {
        match storage {
            Storage::F32 => Values::F32(values),
            Storage::Bf16 => Values::Bf16(values.into_iter().map(|value| bf16::from_f32(value).to_bits()).collect()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Values::F32(values) => 4 * values.len(),
            Values::Bf16(values) => 2 * values.len(),
        }
    }
}

/// Factors and the first of the outputs that they are added to.
pub type Placed = (LowRank, usize);

/// Consecutive rows that are corrected by the same factors.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The first row.
    pub first: usize,
    /// How many.
    pub rows: usize,
    /// All with the same inputs, and none with an output of another.
    pub factors: &'a [Placed],
}

/// Add the corrections of all runs to `out`, rows of `width` values. `fill(row, x)` gives a row's inputs. No two runs
/// have a row in common.
pub fn apply(pool: &Pool, runs: &[Run<'_>], fill: &(dyn Fn(usize, &mut [f32]) + Sync), out: &mut [f32], width: usize) {
    let Some(columns) = runs.iter().flat_map(|run| run.factors).map(|placed| placed.0.columns).next() else { return };
    let mut blocks = Vec::new();
    let (mut low_len, mut work, mut rows_before) = (0, 0, 0);
    let mut order: Vec<&Run<'_>> = runs.iter().filter(|run| !run.factors.is_empty()).collect();
    order.sort_unstable_by_key(|run| run.first);
    for run in order {
        assert!(run.first >= rows_before, "[low_rank] two runs have row {} in common", run.first);
        rows_before = run.first + run.rows;
        assert!(rows_before * width <= out.len(), "[low_rank] row {rows_before} of {}", out.len() / width);
        let mut outputs: Vec<_> =
            run.factors.iter().map(|(factors, first)| (*first, first + factors.outputs)).collect();
        outputs.sort_unstable();
        assert!(outputs.windows(2).all(|pair| pair[0].1 <= pair[1].0), "[low_rank] factors share outputs: {outputs:?}");
        let padded: usize = run.factors.iter().map(|placed| placed.0.padded()).sum();
        for (factors, first) in run.factors {
            let fits = factors.columns == columns && first + factors.outputs <= width;
            assert!(fits, "[low_rank] {factors:?} at {first} for {columns} inputs and {width} outputs");
            work += run.rows * factors.padded() * (columns + factors.outputs);
        }
        for first in (0..run.rows).step_by(ROWS) {
            let rows = ROWS.min(run.rows - first);
            blocks.push(Block { first: run.first + first, rows, factors: run.factors, low: low_len });
            low_len += rows * padded;
        }
    }
    let mut low = vec![0.0; low_len];
    let (low, out) = (SharedPointer(low.as_mut_ptr()), SharedPointer(out.as_mut_ptr()));
    let call = Call { fill, columns, width, low: &low, out: &out };
    if work < SMALL {
        blocks.iter().for_each(|block| call.whole(block));
    } else if blocks.len() >= 2 * pool.threads() {
        pool.run(blocks.len(), &|index| call.whole(&blocks[index]));
    } else {
        pool.run(blocks.len(), &|index| call.shrink(&blocks[index]));
        let parts: Vec<(usize, Range<usize>)> = (0..blocks.len())
            .flat_map(|block| (0..width).step_by(OUTPUT_BLOCK).map(move |from| (block, from..from + OUTPUT_BLOCK)))
            .collect();
        pool.run(parts.len(), &|part| call.expand(&blocks[parts[part].0], parts[part].1.clone()));
    }
}

/// At most [`ROWS`] rows of a run, and where their values between the factors begin.
struct Block<'a> {
    first: usize,
    rows: usize,
    factors: &'a [Placed],
    low: usize,
}

struct SharedPointer(*mut f32);
// SAFETY: blocks have disjoint rows, and parts of a block disjoint outputs.
unsafe impl Sync for SharedPointer {}

struct Call<'a> {
    fill: &'a (dyn Fn(usize, &mut [f32]) + Sync),
    columns: usize,
    width: usize,
    low: &'a SharedPointer,
    out: &'a SharedPointer,
}

thread_local! {
    static INPUTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Call<'_> {
    fn whole(&self, block: &Block<'_>) {
        self.shrink(block);
        self.expand(block, 0..self.width);
    }

    /// `low = scale · x · downᵀ` for all factors of a block.
    fn shrink(&self, block: &Block<'_>) {
        INPUTS.with_borrow_mut(|inputs| {
            inputs.resize(inputs.len().max(ROWS * self.columns), 0.0);
            for (row, x) in inputs.chunks_exact_mut(self.columns).take(block.rows).enumerate() {
                (self.fill)(block.first + row, x);
            }
            let mut low = block.low;
            for (factors, _) in block.factors {
                // SAFETY: this part of `low` is the block's own.
                let to = unsafe { self.low.0.add(low) };
                lanes::run(Shrink { factors, x: inputs.as_ptr(), rows: block.rows, to });
                low += block.rows * factors.padded();
            }
        });
    }

    /// Add to the outputs `range` of a block's rows, which begins at a multiple of [`OUTPUT_BLOCK`].
    fn expand(&self, block: &Block<'_>, range: Range<usize>) {
        let mut low = block.low;
        for (factors, first) in block.factors {
            // Blocks of sixteen outputs that begin inside the range are this part's.
            let from = range.start.saturating_sub(*first).div_ceil(LANES);
            let to = range.end.saturating_sub(*first).min(factors.outputs).div_ceil(LANES);
            // SAFETY: rows and outputs are inside `out`, and no other thread has them.
            unsafe {
                let (low, out) = (self.low.0.add(low), self.out.0.add(block.first * self.width + first));
                lanes::run(Expand { factors, low, rows: block.rows, out, width: self.width, blocks: from..to });
            }
            low += block.rows * factors.padded();
        }
    }
}

/// A way to load sixteen stored values.
trait Load {
    type Stored;
    unsafe fn load<L: Lanes>(from: *const Self::Stored) -> L::F;
}

struct Wide;
struct Narrow;

impl Load for Wide {
    type Stored = f32;
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const f32) -> L::F {
        // SAFETY: the caller's promise.
        unsafe { L::load(from) }
    }
}

impl Load for Narrow {
    type Stored = u16;
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u16) -> L::F {
        // SAFETY: the caller's promise.
        unsafe { L::load_bf16(from) }
    }
}

struct Shrink<'a> {
    factors: &'a LowRank,
    x: *const f32,
    rows: usize,
    to: *mut f32,
}

impl Job for Shrink<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: `x` holds `rows` rows of inputs, `to` as many of padded ranks.
        unsafe {
            match &self.factors.down {
                Values::F32(down) => self.run_as::<L, Wide>(down.as_ptr()),
                Values::Bf16(down) => self.run_as::<L, Narrow>(down.as_ptr()),
            }
        }
    }
}

impl Shrink<'_> {
    #[inline(always)]
    unsafe fn run_as<L: Lanes, S: Load>(&self, down: *const S::Stored) {
        // SAFETY: as in `run`.
        unsafe {
            match self.rows {
                1 => self.rows::<L, S, 1>(down),
                2 => self.rows::<L, S, 2>(down),
                3 => self.rows::<L, S, 3>(down),
                _ => self.rows::<L, S, 4>(down),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<L: Lanes, S: Load, const N: usize>(&self, down: *const S::Stored) {
        let (columns, padded) = (self.factors.columns, self.factors.padded());
        // SAFETY: as in `run`.
        unsafe {
            for first in (0..padded).step_by(LANES) {
                let mut sums = [[L::splat(0.0); SUMS]; N];
                for column in (0..columns - columns % SUMS).step_by(SUMS) {
                    for turn in 0..SUMS {
                        let weights = S::load::<L>(down.add((column + turn) * padded + first));
                        for row in 0..N {
                            let x = L::splat(*self.x.add(row * columns + column + turn));
                            sums[row][turn] = L::fma(weights, x, sums[row][turn]);
                        }
                    }
                }
                for turn in 0..columns % SUMS {
                    let column = columns - columns % SUMS + turn;
                    let weights = S::load::<L>(down.add(column * padded + first));
                    for row in 0..N {
                        let x = L::splat(*self.x.add(row * columns + column));
                        sums[row][turn] = L::fma(weights, x, sums[row][turn]);
                    }
                }
                for row in 0..N {
                    let sum = L::add(L::add(sums[row][0], sums[row][1]), L::add(sums[row][2], sums[row][3]));
                    L::store(self.to.add(row * padded + first), L::mul(sum, L::splat(self.factors.scale)));
                }
            }
        }
    }
}

struct Expand<'a> {
    factors: &'a LowRank,
    low: *const f32,
    rows: usize,
    out: *mut f32,
    width: usize,
    blocks: Range<usize>,
}

impl Job for Expand<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: `low` holds `rows` rows of padded ranks, `out` as many of `width` values.
        unsafe {
            match &self.factors.up {
                Values::F32(up) => self.run_as::<L, Wide>(up.as_ptr()),
                Values::Bf16(up) => self.run_as::<L, Narrow>(up.as_ptr()),
            }
        }
    }
}

impl Expand<'_> {
    #[inline(always)]
    unsafe fn run_as<L: Lanes, S: Load>(&self, up: *const S::Stored) {
        // SAFETY: as in `run`.
        unsafe {
            match self.rows {
                1 => self.rows::<L, S, 1>(up),
                2 => self.rows::<L, S, 2>(up),
                3 => self.rows::<L, S, 3>(up),
                _ => self.rows::<L, S, 4>(up),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<L: Lanes, S: Load, const N: usize>(&self, up: *const S::Stored) {
        // SAFETY: as in `run`.
        unsafe {
            let mut block = self.blocks.start;
            while block + 4 <= self.blocks.end {
                self.several::<L, S, N, 4>(up, block);
                block += 4;
            }
            while block < self.blocks.end {
                self.several::<L, S, N, 1>(up, block);
                block += 1;
            }
        }
    }

    /// `WIDE` blocks of sixteen outputs side by side.
    #[inline(always)]
    unsafe fn several<L: Lanes, S: Load, const N: usize, const WIDE: usize>(&self, up: *const S::Stored, block: usize) {
        let (rank, padded, outputs) = (self.factors.rank, self.factors.padded(), self.factors.outputs);
        // SAFETY: as in `run`.
        unsafe {
            let mut sums = [[L::splat(0.0); WIDE]; N];
            for r in 0..rank {
                for wide in 0..WIDE {
                    let weights = S::load::<L>(up.add(((block + wide) * rank + r) * LANES));
                    for row in 0..N {
                        sums[row][wide] = L::fma(weights, L::splat(*self.low.add(row * padded + r)), sums[row][wide]);
                    }
                }
            }
            for row in 0..N {
                for wide in 0..WIDE {
                    let first = (block + wide) * LANES;
                    let to = self.out.add(row * self.width + first);
                    let to = std::slice::from_raw_parts_mut(to, LANES.min(outputs - first));
                    lanes::store_part::<L>(to, L::add(lanes::load_part::<L>(to), sums[row][wide]));
                }
            }
        }
    }
}
