//! The attention of a block of query rows of one KV head over one split of keys: an online softmax over tiles.
//!
//! A block's items are (row, query head of the group) pairs: all of them share the keys and values that they read.
//! A tile is 64 positions, at absolute multiples of 64; a split is 512. For an item the order of every sum depends
//! only on absolute positions: a tile that it does not see changes nothing (`2^0 = 1`, `+ 0`), so it does not matter
//! which other items made the block visit it. Read next: `schedule` for how splits join.

// Register tiles are indexed by row and vector in step with pointers.
#![allow(clippy::needless_range_loop)]

use super::cache::{GROUP, KvCacheLayer};
use super::element::{Element, group_words};
use super::schedule::{Item, Work};
use crate::lanes::{self, Lanes};

/// Positions of a tile.
pub(super) const TILE: usize = 64;
const GROUPS: usize = TILE / GROUP;

/// Positions of a split: partial results of splits are merged in order.
pub(super) const SPLIT: usize = 512;

/// Most rows of a register tile on any tier.
const MAX_ROWS: usize = 6;

/// An item's partial result: `[value_stride]` weighted values, `[16]` sums of weights, the maximum, padding.
pub(super) fn record_len(value_stride: usize) -> usize {
    value_stride + 2 * GROUP
}

/// Working memory of a thread for one block.
pub(super) struct TileScratch {
    /// Packed queries, `[items][key_steps * words]`.
    pub queries: Vec<Line>,
    scores: Box<[Line; MAX_ROWS * GROUPS]>,
    weights: Box<[Line; MAX_ROWS * GROUPS]>,
}

/// Sixteen f32 or words on a cache line of their own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([f32; GROUP]);

impl Line {
    /// Nothing in it yet.
    pub(super) const ZERO: Line = Line([0.0; GROUP]);
}

impl TileScratch {
    pub(super) fn new() -> TileScratch {
        TileScratch {
            queries: Vec::new(),
            scores: Box::new([Line::ZERO; MAX_ROWS * GROUPS]),
            weights: Box::new([Line::ZERO; MAX_ROWS * GROUPS]),
        }
    }
}

/// Words between the packed queries of two items.
pub(super) fn query_stride<E: Element>(key_dim: usize) -> usize {
    key_dim.div_ceil(GROUP) * group_words::<E>()
}

/// Pack and scale the queries of `items`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn pack_queries<E: Element>(work: &Work, items: &[Item], scratch: &mut TileScratch) {
    let stride = query_stride::<E>(work.key_dim);
    scratch.queries.resize((items.len() * stride).div_ceil(GROUP).max(scratch.queries.len()), Line::ZERO);
    let packed = scratch.queries.as_mut_ptr().cast::<u32>();
    // SAFETY: the buffer holds `items * stride` words; a query holds `key_dim` values.
    unsafe {
        let scale = E::L::splat(work.query_scale);
        for (index, item) in items.iter().enumerate() {
            let query = &work.queries[item.query..item.query + work.key_dim];
            for (group, values) in query.chunks(GROUP).enumerate() {
                let to = packed.add(index * stride + group * group_words::<E>());
                E::pack(E::L::mul(lanes::load_part::<E::L>(values), scale), to);
            }
        }
    }
}

/// Attend `items` to the keys of split `split`; `records` gets their partial results.
///
/// # Safety
/// As [`Lanes`]; `records` holds `items * record_len` floats; the queries of `items` are packed in `scratch`.
#[inline(always)]
pub(super) unsafe fn attend_split<E: Element>(
    work: &Work,
    items: &[Item],
    split: usize,
    records: *mut f32,
    scratch: &mut TileScratch,
) {
    let first = items.iter().map(|item| item.from).min().unwrap_or(0).max(split * SPLIT);
    let last = items.iter().map(|item| item.to).max().unwrap_or(0).min((split + 1) * SPLIT);
    let stride = record_len(work.value_stride);
    // SAFETY: the records are ours.
    unsafe {
        for index in 0..items.len() {
            let record = std::slice::from_raw_parts_mut(records.add(index * stride), stride);
            record.fill(0.0);
            record[work.value_stride + GROUP] = f32::NEG_INFINITY;
        }
    }
    let chunks = items.len().div_ceil(E::L::ROWS);
    for tile in first / TILE..last.div_ceil(TILE) {
        let mut start = 0;
        for chunk in 0..chunks {
            // Chunks as even as can be: 8 rows are 4 + 4, not 6 + 2.
            let end = items.len() * (chunk + 1) / chunks;
            // SAFETY: the caller's promise.
            unsafe { attend_tile::<E>(work, &items[start..end], start, tile, records.add(start * stride), scratch) };
            start = end;
        }
    }
}

/// The groups of a tile that a chunk of rows sees, and where they lie.
struct Tile {
    start: usize,
    first_group: usize,
    /// One behind the last position seen, relative to the tile.
    end: usize,
    keys: [*const u8; GROUPS],
    values: [*const u8; GROUPS],
}

impl Tile {
    fn find(work: &Work, items: &[Item], tile: usize) -> Option<Tile> {
        let start = tile * TILE;
        let from = items.iter().map(|item| item.from).min()?.max(start);
        let to = items.iter().map(|item| item.to).max()?.min(start + TILE);
        if from >= to {
            return None;
        }
        let cache: &KvCacheLayer = work.cache;
        let (first_group, end) = ((from - start) / GROUP, to - start);
        // Groups that no row sees may not exist: their lanes read another group and are masked.
        let seen = cache.group(work.pages, work.kv_head, start + first_group * GROUP);
        let (mut keys, mut values) = ([seen.0; GROUPS], [seen.1; GROUPS]);
        for group in first_group + 1..end.div_ceil(GROUP) {
            (keys[group], values[group]) = cache.group(work.pages, work.kv_head, start + group * GROUP);
        }
        Some(Tile { start, first_group, end, keys, values })
    }
}

#[inline(always)]
unsafe fn attend_tile<E: Element>(
    work: &Work,
    items: &[Item],
    first_item: usize,
    tile: usize,
    records: *mut f32,
    scratch: &mut TileScratch,
) {
    let Some(tile) = Tile::find(work, items, tile) else { return };
    let stride = query_stride::<E>(work.key_dim);
    let scores = scratch.scores.as_mut_ptr().cast::<f32>();
    let weights = scratch.weights.as_mut_ptr().cast::<u32>();
    // SAFETY: queries are packed for all items; scores and weights hold MAX_ROWS rows; records as promised.
    unsafe {
        let queries = scratch.queries.as_ptr().cast::<u32>().add(first_item * stride);
        match items.len() {
            1 => score::<E, 1>(work, &tile, queries, stride, scores),
            2 => score::<E, 2>(work, &tile, queries, stride, scores),
            3 => score::<E, 3>(work, &tile, queries, stride, scores),
            4 => score::<E, 4>(work, &tile, queries, stride, scores),
            5 => score::<E, 5>(work, &tile, queries, stride, scores),
            _ => score::<E, 6>(work, &tile, queries, stride, scores),
        }
        let mut decays = [1.0; MAX_ROWS];
        let record_stride = record_len(work.value_stride);
        for (row, item) in items.iter().enumerate() {
            let state = records.add(row * record_stride + work.value_stride);
            decays[row] = soften::<E>(
                work,
                item,
                &tile,
                scores.add(row * TILE),
                weights.add(row * GROUPS * group_words::<E>()),
                state,
            );
        }
        match items.len() {
            1 => gather::<E, 1>(work, &tile, weights, &decays, records),
            2 => gather::<E, 2>(work, &tile, weights, &decays, records),
            3 => gather::<E, 3>(work, &tile, weights, &decays, records),
            4 => gather::<E, 4>(work, &tile, weights, &decays, records),
            5 => gather::<E, 5>(work, &tile, weights, &decays, records),
            _ => gather::<E, 6>(work, &tile, weights, &decays, records),
        }
    }
}

/// Scores of `ROWS` queries with the 64 keys of a tile: `scores` `[ROWS][64]`.
#[inline(always)]
unsafe fn score<E: Element, const ROWS: usize>(
    work: &Work,
    tile: &Tile,
    queries: *const u32,
    stride: usize,
    scores: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if E::L::WIDE == 4 {
            score_groups::<E, ROWS, 4>(work.key_steps, tile.keys, queries, stride, scores);
        } else {
            for group in 0..GROUPS {
                let keys = [tile.keys[group]];
                score_groups::<E, ROWS, 1>(work.key_steps, keys, queries, stride, scores.add(group * GROUP));
            }
        }
    }
}

#[inline(always)]
unsafe fn score_groups<E: Element, const ROWS: usize, const WIDE: usize>(
    steps: usize,
    keys: [*const u8; WIDE],
    queries: *const u32,
    stride: usize,
    scores: *mut f32,
) {
    // SAFETY: `steps` steps of keys in each group and of packed queries in each row.
    unsafe {
        let mut acc = [[E::L::splat(0.0); WIDE]; ROWS];
        for step in 0..steps {
            let mut loaded = [E::load(keys[0].add(step * E::STEP_BYTES)); WIDE];
            for group in 1..WIDE {
                loaded[group] = E::load(keys[group].add(step * E::STEP_BYTES));
            }
            for row in 0..ROWS {
                let multiplier = queries.add(row * stride + step * E::WORDS);
                for group in 0..WIDE {
                    acc[row][group] = E::accumulate(acc[row][group], loaded[group], multiplier);
                }
            }
        }
        for row in 0..ROWS {
            for group in 0..WIDE {
                E::L::store(scores.add(row * TILE + group * GROUP), acc[row][group]);
            }
        }
    }
}

/// Turn an item's 64 scores into packed weights, update its maximum and sums, return the decay of what it had.
/// `state` is the tail of its record.
#[inline(always)]
unsafe fn soften<E: Element>(
    work: &Work,
    item: &Item,
    tile: &Tile,
    scores: *mut f32,
    weights: *mut u32,
    state: *mut f32,
) -> f32 {
    let (from, to) = (item.from as isize - tile.start as isize, item.to as isize - tile.start as isize);
    let is_partial = from > 0 || to < TILE as isize;
    // SAFETY: 64 scores, 64 packed weights, 17 floats of state.
    unsafe {
        let mut lane = [E::L::splat(0.0); GROUPS];
        for group in 0..GROUPS {
            let mut value = E::L::load(scores.add(group * GROUP));
            if work.soft_cap > 0.0 {
                let capped = lanes::tanh::<E::L>(E::L::mul(value, E::L::splat(1.0 / work.soft_cap)));
                value = E::L::mul(capped, E::L::splat(work.soft_cap * std::f32::consts::LOG2_E));
            }
            let position = (group * GROUP) as isize;
            if !work.mask.is_empty() {
                value = E::L::add(value, mask_lanes::<E::L>(work, item, tile.start + group * GROUP));
            }
            if is_partial {
                let clamp = |bound: isize| (bound - position).clamp(0, GROUP as isize) as i32;
                value = E::L::keep(value, clamp(from), clamp(to));
            }
            lane[group] = value;
        }
        let best = E::L::max(E::L::max(lane[0], lane[1]), E::L::max(lane[2], lane[3]));
        let before = *state.add(GROUP);
        let after = before.max(E::L::reduce_max(best));
        // A row that has seen nothing yet keeps minus infinity; measured from 0, all its weights are 0.
        let base = E::L::splat(if after == f32::NEG_INFINITY { 0.0 } else { after });
        let decay = lanes::exp2::<E::L>(E::L::sub(E::L::splat(before), base));
        for group in 0..GROUPS {
            lane[group] = lanes::exp2::<E::L>(E::L::sub(lane[group], base));
            E::pack(lane[group], weights.add(group * group_words::<E>()));
        }
        let sum = E::L::add(E::L::add(lane[0], lane[1]), E::L::add(lane[2], lane[3]));
        E::L::store(state, E::L::fma(E::L::load(state), decay, sum));
        *state.add(GROUP) = after;
        let mut lanes_of_decay = [0.0; GROUP];
        E::L::store(lanes_of_decay.as_mut_ptr(), decay);
        lanes_of_decay[0]
    }
}

/// Sixteen values of the additive mask, in units of log2; zeros behind its end.
#[inline(always)]
unsafe fn mask_lanes<L: Lanes>(work: &Work, item: &Item, position: usize) -> L::F {
    let row = &work.mask[item.mask..item.mask + work.mask_keys];
    // SAFETY: the caller has the instructions of `L`.
    unsafe { L::mul(lanes::load_part::<L>(row.get(position..).unwrap_or(&[])), L::splat(std::f32::consts::LOG2_E)) }
}

/// Add the weighted values of a tile to the records of `ROWS` items, after decaying them.
#[inline(always)]
unsafe fn gather<E: Element, const ROWS: usize>(
    work: &Work,
    tile: &Tile,
    weights: *const u32,
    decays: &[f32; MAX_ROWS],
    records: *mut f32,
) {
    let mut first = 0;
    let vectors = work.value_stride / GROUP;
    // SAFETY: the caller's promise; `first` stays within the vectors of a value.
    unsafe {
        while E::L::WIDE == 4 && first + 4 <= vectors {
            gather_vectors::<E, ROWS, 4>(work, tile, weights, decays, records, first);
            first += 4;
        }
        while first < vectors {
            gather_vectors::<E, ROWS, 1>(work, tile, weights, decays, records, first);
            first += 1;
        }
    }
}

#[inline(always)]
unsafe fn gather_vectors<E: Element, const ROWS: usize, const WIDE: usize>(
    work: &Work,
    tile: &Tile,
    weights: *const u32,
    decays: &[f32; MAX_ROWS],
    records: *mut f32,
    first: usize,
) {
    let record_stride = record_len(work.value_stride);
    let row_words = GROUPS * group_words::<E>();
    let step_bytes = work.value_stride * E::STEP_BYTES / GROUP;
    // SAFETY: `first + WIDE` vectors lie inside a value; groups before `end` exist and their values are written.
    unsafe {
        let mut acc = [[E::L::splat(0.0); WIDE]; ROWS];
        for row in 0..ROWS {
            let decay = E::L::splat(decays[row]);
            for vector in 0..WIDE {
                let from = records.add(row * record_stride + (first + vector) * GROUP);
                acc[row][vector] = E::L::mul(E::L::load(from), decay);
            }
        }
        for group in tile.first_group..tile.end.div_ceil(GROUP) {
            let values = tile.values[group].add(first * E::STEP_BYTES);
            let steps = (tile.end - group * GROUP).min(GROUP).div_ceil(E::STEP);
            for step in 0..steps {
                let from = values.add(step * step_bytes);
                let mut loaded = [E::load(from); WIDE];
                for vector in 1..WIDE {
                    loaded[vector] = E::load(from.add(vector * E::STEP_BYTES));
                }
                for row in 0..ROWS {
                    let multiplier = weights.add(row * row_words + group * group_words::<E>() + step * E::WORDS);
                    for vector in 0..WIDE {
                        acc[row][vector] = E::accumulate(acc[row][vector], loaded[vector], multiplier);
                    }
                }
            }
        }
        for row in 0..ROWS {
            for vector in 0..WIDE {
                E::L::store(records.add(row * record_stride + (first + vector) * GROUP), acc[row][vector]);
            }
        }
    }
}
