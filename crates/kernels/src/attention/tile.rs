//! The attention of a block of query rows of one KV head over one split of keys: an online softmax over tiles.
//!
//! A block's items are (row, query head of the group) pairs: all of them share the keys and values that they read.
//! A tile is 64 positions, at absolute multiples of 64; a split is 512. For an item the order of every sum depends
//! only on absolute positions: a tile that it does not see changes nothing (`2^0 = 1`, `+ 0`), so it does not matter
//! which other items made the block visit it. Read next: `schedule` for how splits join.

// Register tiles are indexed by row and vector in step with pointers.
#![allow(clippy::needless_range_loop)]

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::element::{Element, GROUP, group_words};
use super::groups::{AHEAD_ROWS, GROUPS, Line, MAX_ROWS, TILE, Tile, record_len};
use super::quantized;
use super::work::{Item, Work};
use crate::lanes::{self, Lanes};
use std::ops::Range;

/// Positions of a split: partial results of splits are merged in order.
pub(super) const SPLIT: usize = 512;

/// How far, in powers of two, weights may grow over 1 before the base of their exponents moves.
const SLACK: f32 = 8.0;

/// Working memory of a thread for one block.
pub(super) struct TileScratch {
    /// Packed queries, `[items][key_steps * words]`.
    pub queries: Vec<Line>,
    scores: Box<[Line; MAX_ROWS * GROUPS]>,
    weights: Box<[Line; MAX_ROWS * GROUPS]>,
    /// Keys and values of a quantized tile as bf16.
    unpacked: Vec<Line>,
    /// A query while it is rotated.
    rotated: Vec<f32>,
}

impl TileScratch {
    pub(super) fn new() -> TileScratch {
        TileScratch {
            queries: Vec::new(),
            scores: Box::new([Line::ZERO; MAX_ROWS * GROUPS]),
            weights: Box::new([Line::ZERO; MAX_ROWS * GROUPS]),
            unpacked: Vec::new(),
            rotated: Vec::new(),
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
            if let Some(later) = items.get(index + 4) {
                for at in (0..work.key_dim).step_by(GROUP) {
                    E::L::prefetch(work.queries.as_ptr().wrapping_add(later.query + at).cast());
                }
            }
            let mut query = &work.queries[item.query..item.query + work.key_dim];
            if work.is_quantized {
                scratch.rotated.clear();
                scratch.rotated.extend_from_slice(query);
                quantized::rotate(&mut scratch.rotated);
                query = &scratch.rotated;
            }
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
    let (Some(top), Some(bottom)) = (items.first(), items.last()) else { return };
    // Items are in order of position: the first sees farthest back, the last farthest on.
    let (first, last) = (top.from.max(split * SPLIT), bottom.to.min((split + 1) * SPLIT));
    let stride = record_len(work.value_stride);
    // SAFETY: the records are ours.
    unsafe {
        for index in 0..items.len() {
            let (values, state) = std::slice::from_raw_parts_mut(records.add(index * stride), stride)
                .split_at_mut(work.value_stride + GROUP);
            values.fill(0.0);
            state.fill(f32::NEG_INFINITY);
        }
    }
    let most = if work.by_matrix { MAX_ROWS } else { E::L::ROWS };
    let chunks = items.len().div_ceil(most);
    #[cfg(target_arch = "x86_64")]
    let mut configured = 0;
    for tile in first / TILE..last.div_ceil(TILE) {
        let mut tile = Tile::find(work, tile, first, last);
        if work.is_quantized {
            // SAFETY: the groups that the tile found are whole.
            unsafe { tile.unpack::<E::L>(work, &mut scratch.unpacked) };
        }
        let mut start = 0;
        for chunk in 0..chunks {
            // Chunks as even as can be: 8 rows are 4 + 4, not 6 + 2.
            let end = items.len() * (chunk + 1) / chunks;
            let rows = &items[start..end];
            let (from, to) = (rows[0].from.max(tile.start), rows[rows.len() - 1].to.min(tile.start + TILE));
            if from < to {
                let seen = from - tile.start..to - tile.start;
                #[cfg(target_arch = "x86_64")]
                if work.by_matrix && configured != rows.len() {
                    configured = rows.len();
                    // SAFETY: the tier is AMX.
                    unsafe { amx::configure(work, configured) };
                }
                // SAFETY: the caller's promise.
                unsafe { attend_tile::<E>(work, rows, start, &tile, seen, records.add(start * stride), scratch) };
            }
            start = end;
        }
    }
    #[cfg(target_arch = "x86_64")]
    if work.by_matrix {
        // SAFETY: the tier is AMX.
        unsafe { crate::amx::release() };
    }
}

/// Attend one register tile of rows to a tile of keys, of which they see `seen`.
#[inline(always)]
unsafe fn attend_tile<E: Element>(
    work: &Work,
    items: &[Item],
    first_item: usize,
    tile: &Tile,
    seen: Range<usize>,
    records: *mut f32,
    scratch: &mut TileScratch,
) {
    let stride = query_stride::<E>(work.key_dim);
    let scores = scratch.scores.as_mut_ptr().cast::<f32>();
    let weights = scratch.weights.as_mut_ptr().cast::<u32>();
    // SAFETY: queries are packed for all items; scores and weights hold MAX_ROWS rows; records as promised.
    unsafe {
        let queries = scratch.queries.as_ptr().cast::<u32>().add(first_item * stride);
        match items.len() {
            #[cfg(target_arch = "x86_64")]
            rows if work.by_matrix => amx::score::<E::L>(work, tile, &seen, rows, queries, stride, scores),
            1 => score::<E, 1>(work, tile, &seen, queries, stride, scores),
            2 => score::<E, 2>(work, tile, &seen, queries, stride, scores),
            3 => score::<E, 3>(work, tile, &seen, queries, stride, scores),
            4 => score::<E, 4>(work, tile, &seen, queries, stride, scores),
            5 => score::<E, 5>(work, tile, &seen, queries, stride, scores),
            _ => score::<E, 6>(work, tile, &seen, queries, stride, scores),
        }
        let mut decays = [1.0; MAX_ROWS];
        let record_stride = record_len(work.value_stride);
        for (row, item) in items.iter().enumerate() {
            let state = records.add(row * record_stride + work.value_stride);
            let weights = weights.add(row * GROUPS * group_words::<E>());
            decays[row] = soften::<E>(work, item, tile, scores.add(row * TILE), weights, state);
        }
        match items.len() {
            #[cfg(target_arch = "x86_64")]
            rows if work.by_matrix => amx::gather::<E::L>(work, tile, &seen, rows, weights, &decays, records),
            1 => gather::<E, 1>(work, tile, seen, weights, &decays, records),
            2 => gather::<E, 2>(work, tile, seen, weights, &decays, records),
            3 => gather::<E, 3>(work, tile, seen, weights, &decays, records),
            4 => gather::<E, 4>(work, tile, seen, weights, &decays, records),
            5 => gather::<E, 5>(work, tile, seen, weights, &decays, records),
            _ => gather::<E, 6>(work, tile, seen, weights, &decays, records),
        }
    }
}

/// Scores of `ROWS` queries with the keys of a tile that some of them see, in groups of 16: `scores` `[ROWS][64]`.
#[inline(always)]
unsafe fn score<E: Element, const ROWS: usize>(
    work: &Work,
    tile: &Tile,
    seen: &Range<usize>,
    queries: *const u32,
    stride: usize,
    scores: *mut f32,
) {
    let (steps, keys, ahead) = (work.key_steps, &tile.keys, &tile.next_keys);
    let end = seen.end.div_ceil(GROUP);
    // SAFETY: the caller's promise.
    unsafe {
        if E::L::WIDE < 4 {
            for group in seen.start / GROUP..end {
                let scores = scores.add(group * GROUP);
                score_groups::<E, ROWS, 1>(steps, [keys[group]], ahead[group], queries, stride, scores);
            }
            return;
        }
        match end {
            1 => score_groups::<E, ROWS, 1>(steps, [keys[0]], ahead[0], queries, stride, scores),
            2 => score_groups::<E, ROWS, 2>(steps, [keys[0], keys[1]], ahead[0], queries, stride, scores),
            3 => score_groups::<E, ROWS, 3>(steps, [keys[0], keys[1], keys[2]], ahead[0], queries, stride, scores),
            _ => score_groups::<E, ROWS, 4>(steps, *keys, ahead[0], queries, stride, scores),
        }
    }
}

#[inline(always)]
unsafe fn score_groups<E: Element, const ROWS: usize, const WIDE: usize>(
    steps: usize,
    keys: [*const u8; WIDE],
    ahead: *const u8,
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
            if ROWS <= AHEAD_ROWS {
                for group in 0..WIDE {
                    E::L::prefetch(ahead.wrapping_add((step * WIDE + group) * E::STEP_BYTES));
                }
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

/// Turn an item's 64 scores into packed weights `2^(score - base)`, update its sums, return the decay of what it had.
/// The base moves to the maximum only when a score is `SLACK` above it, so most tiles decay nothing. `state` is the
/// tail of the item's record: sums and base, sixteen lanes each.
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
            if work.is_quantized {
                value = E::L::mul(value, E::L::load(tile.key_scales[group]));
            }
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
        let mut base = E::L::load(state.add(GROUP));
        let mut decay = 1.0;
        if E::L::any_above(best, E::L::add(base, E::L::splat(SLACK))) {
            let before = base;
            base = E::L::splat(E::L::reduce_max(E::L::max(best, before)));
            let factor = lanes::exp2::<E::L>(E::L::sub(before, base));
            decay = E::L::first(factor);
            E::L::store(state, E::L::mul(E::L::load(state), factor));
            E::L::store(state.add(GROUP), base);
        } else if *state.add(GROUP) == f32::NEG_INFINITY {
            // The row has seen nothing yet: measured from 0, all its weights are 0.
            base = E::L::splat(0.0);
        }
        for group in 0..GROUPS {
            lane[group] = E::exp2(E::L::sub(lane[group], base));
            let mut weight = lane[group];
            if work.is_quantized {
                weight = E::L::mul(weight, E::L::load(tile.value_scales[group]));
            }
            E::pack(weight, weights.add(group * group_words::<E>()));
        }
        let sum = E::L::add(E::L::add(lane[0], lane[1]), E::L::add(lane[2], lane[3]));
        E::L::store(state, E::L::add(E::L::load(state), sum));
        decay
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
    seen: Range<usize>,
    weights: *const u32,
    decays: &[f32; MAX_ROWS],
    records: *mut f32,
) {
    let mut first = 0;
    let vectors = work.value_stride / GROUP;
    // SAFETY: the caller's promise; `first` stays within the vectors of a value.
    unsafe {
        while ROWS <= 2 && E::L::WIDE == 4 && first + 8 <= vectors {
            gather_vectors::<E, ROWS, 8>(work, tile, seen.clone(), weights, decays, records, first);
            first += 8;
        }
        while E::L::WIDE == 4 && first + 4 <= vectors {
            gather_vectors::<E, ROWS, 4>(work, tile, seen.clone(), weights, decays, records, first);
            first += 4;
        }
        while first < vectors {
            gather_vectors::<E, ROWS, 1>(work, tile, seen.clone(), weights, decays, records, first);
            first += 1;
        }
    }
}

#[inline(always)]
unsafe fn gather_vectors<E: Element, const ROWS: usize, const WIDE: usize>(
    work: &Work,
    tile: &Tile,
    seen: Range<usize>,
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
        for group in seen.start / GROUP..seen.end.div_ceil(GROUP) {
            let values = tile.values[group].add(first * E::STEP_BYTES);
            let steps = (seen.end - group * GROUP).min(GROUP).div_ceil(E::STEP);
            // Each pass over the values fetches its share of the next ones.
            let ahead = tile.next_values[group].wrapping_add(first * GROUP / E::STEP * E::STEP_BYTES);
            for step in 0..steps {
                if ROWS <= AHEAD_ROWS {
                    for vector in 0..WIDE {
                        E::L::prefetch(ahead.wrapping_add((step * WIDE + vector) * E::STEP_BYTES));
                    }
                }
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
