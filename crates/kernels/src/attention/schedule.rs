//! Who does what: a batch is cut into blocks of query rows (of one sequence and KV head) and splits of keys, which
//! the threads take one by one.
//!
//! Invariant: the cut never shows in the result. A block's rows do not touch each other, and the partial results of
//! its splits are merged in the order of the splits, by one thread in passing or by whoever finishes last.

use super::cache::{KvCacheLayer, KvDtype};
use super::element::{Bf16, Element, F16, F32, GROUP};
use super::groups::{Line, record_len};
use super::quantized;
use super::tile::{SPLIT, TileScratch, attend_split, pack_queries};
use super::work::{Item, Work};
use crate::cpu::{self, Tier};
use crate::lanes::{self, Job, Lanes};
use crate::pool::Pool;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items of a block: their queries and records should stay in the second-level cache beside a tile.
const BLOCK_ITEMS: usize = 96;

/// A block of at most this many items (decoding) gives each split to whoever is free.
const SPLIT_ITEMS: usize = 32;

/// What a call of attention is about, before it is cut up.
pub(super) struct Attention<'a> {
    pub cache: &'a KvCacheLayer,
    pub queries: &'a [f32],
    pub heads: usize,
    /// Distance of two rows and of two heads in `queries` and in the output.
    pub query_strides: (usize, usize),
    pub output_strides: (usize, usize),
    pub scale: f32,
    pub window: Option<usize>,
    pub soft_cap: Option<f32>,
    pub sinks: Option<&'a [f32]>,
    pub causal: bool,
    pub mask: Option<Mask<'a>>,
}

/// An additive mask `[rows, keys]` for each sequence and head.
#[derive(Clone, Copy)]
pub(super) struct Mask<'a> {
    pub values: &'a [f32],
    pub keys: usize,
    pub strides: [usize; 3],
}

/// One sequence's rows, wherever they lie.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub query_start: usize,
    pub output_start: usize,
    pub rows: usize,
    pub first_position: isize,
    pub keys: usize,
    pub pages: &'a [u32],
}

/// A block of items of one sequence and KV head, and the splits of keys that it sees.
struct Block {
    sequence: usize,
    kv_head: usize,
    items: (usize, usize),
    splits: (usize, usize),
    /// Where its partial records begin, when its splits are done apart.
    records: Option<usize>,
}

/// What one thread takes at a time: a whole block, or some splits of it.
struct Task {
    block: usize,
    splits: Option<Range<usize>>,
}

#[derive(Default)]
struct Plan {
    blocks: Vec<Block>,
    tasks: Vec<Task>,
    pending: Vec<AtomicUsize>,
    records: usize,
}

struct OutPointer(*mut f32);
// SAFETY: tasks write disjoint rows.
unsafe impl Sync for OutPointer {}

struct Scratch {
    tile: TileScratch,
    items: Vec<Item>,
    partial: Vec<Line>,
    total: Vec<Line>,
}

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
    static RECORDS: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

impl Attention<'_> {
    /// Run over `sequences`.
    pub(super) fn run(&self, pool: &Pool, sequences: &[Rows], out: &mut [f32]) {
        let plan = self.plan(pool.threads(), sequences);
        for rows in sequences.iter().filter(|rows| rows.rows > 0) {
            let (row, head) = self.output_strides;
            let end = rows.output_start + (rows.rows - 1) * row + (self.heads - 1) * head;
            assert!(end + self.cache.layout().value_dim <= out.len(), "[attention] output of {} values", out.len());
        }
        RECORDS.with_borrow_mut(|records| {
            if records.len() * GROUP < plan.records {
                records.resize(plan.records.div_ceil(GROUP), Line::ZERO);
            }
            let records = OutPointer(records.as_mut_ptr().cast());
            let out = OutPointer(out.as_mut_ptr());
            let order = |task: usize| {
                SCRATCH.with_borrow_mut(|scratch| {
                    let scratch = scratch.get_or_insert_with(|| Scratch {
                        tile: TileScratch::new(),
                        items: Vec::new(),
                        partial: Vec::new(),
                        total: Vec::new(),
                    });
                    let task = &plan.tasks[task];
                    let (records, out) = (&records, &out);
                    lanes::run(TaskJob { attention: self, sequences, plan: &plan, task, records, out, scratch });
                });
            };
            pool.run(plan.tasks.len(), &order);
        });
    }

    fn group(&self) -> usize {
        self.heads / self.cache.layout().kv_heads
    }

    fn plan(&self, threads: usize, sequences: &[Rows]) -> Plan {
        let mut block_items = BLOCK_ITEMS;
        loop {
            let plan = self.plan_with(threads, block_items, sequences);
            if plan.tasks.len() >= 2 * threads || block_items <= 6 || threads == 1 {
                return plan;
            }
            block_items /= 2;
        }
    }

    fn plan_with(&self, threads: usize, block_items: usize, sequences: &[Rows]) -> Plan {
        let mut plan = Plan::default();
        plan.blocks.reserve(4 * self.cache.layout().kv_heads);
        plan.tasks.reserve(8 * self.cache.layout().kv_heads);
        plan.pending.reserve(4 * self.cache.layout().kv_heads);
        // Few long reads: each begins with keys that nobody fetched ahead.
        let keys: usize = sequences.iter().map(|rows| rows.keys).sum();
        let run = (keys.div_ceil(SPLIT) * self.cache.layout().kv_heads / (8 * threads)).max(1);
        let layout = self.cache.layout();
        let record = record_len(layout.value_stride());
        for (sequence, rows) in sequences.iter().enumerate() {
            let items = rows.rows * self.group();
            let blocks = items.div_ceil(block_items);
            // Late rows see most keys: they go first, so that no thread is left with a long block at the end.
            for block in (0..blocks).rev() {
                let items = (block * block_items, ((block + 1) * block_items).min(items));
                let from = self.seen(rows, items.0 / self.group()).0;
                let to = self.seen(rows, (items.1 - 1) / self.group()).1;
                let splits = (from / SPLIT, to.div_ceil(SPLIT).max(from / SPLIT + 1));
                let count = items.1 - items.0;
                let is_split = count <= SPLIT_ITEMS && splits.1 - splits.0 > 1;
                for kv_head in 0..layout.kv_heads {
                    let index = plan.blocks.len();
                    let records = is_split.then_some(plan.records);
                    if is_split {
                        plan.records += (splits.1 - splits.0) * count * record;
                        plan.tasks.extend((splits.0..splits.1).step_by(run).map(|first| {
                            let splits = first..(first + run).min(splits.1);
                            Task { block: index, splits: Some(splits) }
                        }));
                    } else {
                        plan.tasks.push(Task { block: index, splits: None });
                    }
                    plan.pending.push(AtomicUsize::new(splits.1 - splits.0));
                    plan.blocks.push(Block { sequence, kv_head, items, splits, records });
                }
            }
        }
        plan
    }

    /// The positions that a row sees.
    fn seen(&self, rows: &Rows, row: usize) -> (usize, usize) {
        let position = rows.first_position + row as isize;
        let to = if self.causal { (position + 1).clamp(0, rows.keys as isize) as usize } else { rows.keys };
        let from = self.window.map_or(0, |window| (position + 1 - window as isize).max(0) as usize);
        (from.min(to), to)
    }

    fn collect_items(&self, sequences: &[Rows], block: &Block, items: &mut Vec<Item>) {
        items.clear();
        let rows = &sequences[block.sequence];
        let group = self.group();
        for index in block.items.0..block.items.1 {
            let (row, head) = (index / group, block.kv_head * group + index % group);
            let (from, to) = self.seen(rows, row);
            let place = |start: usize, strides: (usize, usize)| start + row * strides.0 + head * strides.1;
            let mask = self
                .mask
                .map_or(0, |mask| block.sequence * mask.strides[0] + head * mask.strides[1] + row * mask.strides[2]);
            items.push(Item {
                query: place(rows.query_start, self.query_strides),
                output: place(rows.output_start, self.output_strides),
                mask,
                head,
                from,
                to,
            });
        }
    }

    fn work<'a>(&'a self, rows: &Rows<'a>, block: &Block) -> Work<'a> {
        let layout = self.cache.layout();
        // Scores are kept in units of log2; a soft cap needs them in their own unit first.
        let unit = if self.soft_cap.is_some() { 1.0 } else { std::f32::consts::LOG2_E };
        Work {
            cache: self.cache,
            pages: rows.pages,
            kv_head: block.kv_head,
            queries: self.queries,
            query_scale: self.scale * unit,
            soft_cap: self.soft_cap.unwrap_or(0.0),
            mask: self.mask.map_or(&[], |mask| mask.values),
            mask_keys: self.mask.map_or(0, |mask| mask.keys),
            key_dim: layout.key_dim,
            key_steps: layout.key_steps(),
            value_stride: layout.value_stride(),
            is_quantized: layout.dtype.is_quantized(),
            by_matrix: cpu::tier() == Tier::Amx && layout.dtype.is_paired(),
            last: self.seen(rows, (block.items.1 - 1) / self.group()).1,
        }
    }
}

struct TaskJob<'a> {
    attention: &'a Attention<'a>,
    sequences: &'a [Rows<'a>],
    plan: &'a Plan,
    task: &'a Task,
    records: &'a OutPointer,
    out: &'a OutPointer,
    scratch: &'a mut Scratch,
}

impl Job for TaskJob<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller has the instructions of `L`.
        unsafe {
            match self.attention.cache.layout().dtype {
                KvDtype::F32 => self.run_as::<F32<L>>(),
                KvDtype::F16 => self.run_as::<F16<L>>(),
                KvDtype::Bf16 | KvDtype::Q8 | KvDtype::Q4 => self.run_as::<Bf16<L>>(),
            }
        }
    }
}

impl TaskJob<'_> {
    #[inline(always)]
    unsafe fn run_as<E: Element>(self) {
        let block = &self.plan.blocks[self.task.block];
        let Scratch { tile, items, partial, total } = self.scratch;
        self.attention.collect_items(self.sequences, block, items);
        let work = self.attention.work(&self.sequences[block.sequence], block);
        let lines = items.len() * record_len(work.value_stride) / GROUP;
        for buffer in [&mut *partial, &mut *total] {
            buffer.resize(lines.max(buffer.len()), Line::ZERO);
        }
        let (partial, total) = (partial.as_mut_ptr().cast::<f32>(), total.as_mut_ptr().cast::<f32>());
        // SAFETY: every buffer holds a record for each item (and split); the output rows of a block are its own.
        unsafe {
            pack_queries::<E>(&work, items, tile);
            let merge = Merge { work: &work, items, attention: self.attention, total };
            match (&self.task.splits, block.records) {
                (Some(splits), Some(start)) => {
                    let records = self.records.0.add(start);
                    let count = items.len() * record_len(work.value_stride);
                    for split in splits.clone() {
                        attend_split::<E>(&work, items, split, records.add((split - block.splits.0) * count), tile);
                    }
                    // The last to finish sees everybody's records.
                    let done = splits.len();
                    if self.plan.pending[self.task.block].fetch_sub(done, Ordering::AcqRel) == done {
                        for split in 0..block.splits.1 - block.splits.0 {
                            merge.join::<E::L>(records.add(split * count), split == 0);
                        }
                        merge.finish::<E::L>(self.out.0);
                    }
                }
                _ => {
                    attend_split::<E>(&work, items, block.splits.0, total, tile);
                    for split in block.splits.0 + 1..block.splits.1 {
                        attend_split::<E>(&work, items, split, partial, tile);
                        merge.join::<E::L>(partial, false);
                    }
                    merge.finish::<E::L>(self.out.0);
                }
            }
        }
    }
}

/// Joins the partial records of splits, in order, into one record an item, and from it makes the output.
struct Merge<'a> {
    work: &'a Work<'a>,
    items: &'a [Item],
    attention: &'a Attention<'a>,
    total: *mut f32,
}

impl Merge<'_> {
    /// # Safety
    /// As [`Lanes`]; `partial` and `total` hold a record for each item.
    #[inline(always)]
    unsafe fn join<L: Lanes>(&self, partial: *const f32, is_first: bool) {
        let stride = record_len(self.work.value_stride);
        // SAFETY: the caller's promise.
        unsafe {
            if is_first {
                std::ptr::copy_nonoverlapping(partial, self.total, self.items.len() * stride);
                return;
            }
            for index in 0..self.items.len() {
                let (from, to) = (partial.add(index * stride), self.total.add(index * stride));
                let best = to.add(self.work.value_stride + GROUP);
                let (before, new) = (*best, *from.add(self.work.value_stride + GROUP));
                if new == f32::NEG_INFINITY {
                    continue;
                }
                let after = before.max(new);
                let keep = lanes::exp2::<L>(L::splat(before - after));
                let add = lanes::exp2::<L>(L::splat(new - after));
                // The sums of weights lie behind the values and are joined like them.
                for at in (0..self.work.value_stride + GROUP).step_by(GROUP) {
                    let scaled = L::mul(L::load(to.add(at)), keep);
                    L::store(to.add(at), L::fma(L::load(from.add(at)), add, scaled));
                }
                *best = after;
            }
        }
    }

    /// # Safety
    /// As [`Lanes`]; `total` holds a record for each item, and the items' output rows are nobody else's.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, out: *mut f32) {
        let value_stride = self.work.value_stride;
        let value_dim = self.attention.cache.layout().value_dim;
        // SAFETY: the caller's promise.
        unsafe {
            for (index, item) in self.items.iter().enumerate() {
                let record = self.total.add(index * record_len(value_stride));
                let best = *record.add(value_stride + GROUP);
                let mut sum = L::splat(L::reduce_sum(L::load(record.add(value_stride))));
                let mut scale = L::splat(1.0);
                if let Some(sinks) = self.attention.sinks {
                    let sink = sinks[item.head] * std::f32::consts::LOG2_E;
                    let base = best.max(sink);
                    scale = lanes::exp2::<L>(L::splat(best - base));
                    sum = L::fma(sum, scale, lanes::exp2::<L>(L::splat(sink - base)));
                }
                let mut inverse = [0.0; GROUP];
                L::store(inverse.as_mut_ptr(), L::div(scale, sum));
                // A row that sees no key has no weights: its output is zero.
                let inverse = L::splat(if best == f32::NEG_INFINITY { 0.0 } else { inverse[0] });
                for first in (0..value_dim).step_by(GROUP) {
                    let value = L::mul(L::load(record.add(first)), inverse);
                    if first + GROUP <= value_dim {
                        L::store(out.add(item.output + first), value);
                    } else {
                        let mut lanes = [0.0; GROUP];
                        L::store(lanes.as_mut_ptr(), value);
                        let to = out.add(item.output + first);
                        std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, value_dim - first);
                    }
                }
                if self.work.is_quantized {
                    quantized::rotate(std::slice::from_raw_parts_mut(out.add(item.output), value_dim));
                }
            }
        }
    }
}
