//! The two products of a tile through the matrix registers of AMX: up to sixteen items at a time, one as many.
//!
//! The cache lies as the second operand of a product wants it: sixteen pairs of dimensions of a group's keys are a
//! tile of sixteen positions, sixteen pairs of positions (two groups) are a tile of sixteen dimensions of values.
//! Packed queries and weights are the first. A score is one chain over 32 dimensions at a time, a weighted value one
//! over 32 positions at a time, at absolute multiples of 32 (see [`crate::dense`]'s `amx` for the order inside one).
//! Pairs of positions that no item sees count as zeros, which add nothing: memory behind them may hold anything.
//! Read next: `tile`, whose softmax this shares.

use std::arch::asm;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::element::GROUP;
use super::groups::{AHEAD_ROWS, Line, MAX_ROWS, TILE, Tile, record_len};
use super::work::Work;
use crate::amx::{self, ROW_BYTES, ROWS, Sizes};
use crate::lanes::Lanes;

/// Bytes of a tile of matrix registers.
const TILE_BYTES: usize = ROWS * ROW_BYTES;
/// Pairs that one product adds up.
const STEP: usize = 16;
/// Products side by side: one for each group of keys, or vectors of values.
const WIDE: usize = 4;
/// Bytes between the weights of two items.
const WEIGHT_BYTES: usize = 2 * TILE;

/// Set the tiles for `rows` items: sums in 0 to 3, the first operand in 4, the second in 5; both of the last
/// dimensions of a key, where they fill no step, in 6 and 7.
///
/// # Safety
/// The tier is AMX.
#[inline(always)]
pub(super) unsafe fn configure(work: &Work, rows: usize) {
    let (rows, line, rest) = (rows as u8, ROW_BYTES as u16, work.key_steps % STEP);
    let mut tiles = [(rows, line); 8];
    tiles[5] = (STEP as u8, line);
    (tiles[6], tiles[7]) = if rest > 0 { ((rows, 4 * rest as u16), (rest as u8, line)) } else { (tiles[4], tiles[5]) };
    // SAFETY: the caller's promise.
    unsafe { amx::configure(&Sizes::new(tiles)) };
}

/// Scores of `rows` queries, `stride` words apart, with the groups of a tile that some of them see: `[rows][64]`.
///
/// # Safety
/// The tiles are [`configure`]d for `rows`; the groups are there, and so are queries and room for scores.
#[inline(always)]
pub(super) unsafe fn score<L: Lanes>(
    work: &Work,
    tile: &Tile,
    seen: &Range<usize>,
    rows: usize,
    queries: *const u32,
    stride: usize,
    scores: *mut f32,
) {
    let groups = seen.start / GROUP..seen.end.div_ceil(GROUP);
    // SAFETY: the caller's promise.
    unsafe {
        zero();
        let steps = work.key_steps.div_ceil(STEP);
        let is_asking = rows <= AHEAD_ROWS && !work.is_quantized;
        for step in 0..steps {
            let query = queries.add(step * STEP).cast::<u8>();
            let is_whole = (step + 1) * STEP <= work.key_steps;
            if is_whole {
                load_first(query, 4 * stride)
            } else {
                load_last_first(query, 4 * stride)
            }
            for group in groups.clone() {
                let keys = tile.keys[group].add(step * TILE_BYTES);
                if is_asking {
                    ask::<L>(tile.values[group], 2 * GROUP * work.value_stride, (step, steps));
                }
                match (group, is_whole) {
                    (0, true) => product::<0>(keys, ROW_BYTES),
                    (1, true) => product::<1>(keys, ROW_BYTES),
                    (2, true) => product::<2>(keys, ROW_BYTES),
                    (_, true) => product::<3>(keys, ROW_BYTES),
                    (0, false) => last_product::<0>(keys),
                    (1, false) => last_product::<1>(keys),
                    (2, false) => last_product::<2>(keys),
                    (_, false) => last_product::<3>(keys),
                }
            }
        }
        store(scores, 4 * TILE, WIDE);
    }
}

/// Add the weighted values of a tile to the records of `rows` items, after decaying them.
///
/// # Safety
/// As [`score`]; records and packed weights are those of `rows` items.
#[inline(always)]
pub(super) unsafe fn gather<L: Lanes>(
    work: &Work,
    tile: &Tile,
    seen: &Range<usize>,
    rows: usize,
    weights: *const u32,
    decays: &[f32; MAX_ROWS],
    records: *mut f32,
) {
    let record_stride = record_len(work.value_stride);
    let pair_bytes = 4 * work.value_stride;
    let pairs = seen.start / GROUP * (GROUP / 2)..seen.end.div_ceil(2);
    let mut copy = [MaybeUninit::<Line>::uninit(); STEP * WIDE];
    // SAFETY: the caller's promise; `first + wide` vectors lie inside a value.
    unsafe {
        for (row, &decay) in decays.iter().enumerate().take(rows) {
            // Most tiles decay nothing.
            if decay != 1.0 {
                let record = records.add(row * record_stride);
                for at in (0..work.value_stride).step_by(GROUP) {
                    L::store(record.add(at), L::mul(L::load(record.add(at)), L::splat(decay)));
                }
            }
        }
        let vectors = work.value_stride / GROUP;
        let is_asking = rows <= AHEAD_ROWS && !work.is_quantized;
        for first in (0..vectors).step_by(WIDE) {
            let wide = WIDE.min(vectors - first);
            let sums = records.add(first * GROUP);
            load(sums, 4 * record_stride, wide);
            for half in pairs.start / STEP..pairs.end.div_ceil(STEP) {
                load_first(weights.add(half * STEP).cast(), WEIGHT_BYTES);
                let begin = half * STEP;
                let groups = [tile.values[2 * half], tile.values[2 * half + 1]].map(|it| it.add(first * ROW_BYTES));
                if is_asking {
                    for keys in &tile.next_keys[2 * half..2 * half + 2] {
                        ask::<L>(*keys, 4 * GROUP * work.key_steps, (first / WIDE, vectors.div_ceil(WIDE)));
                    }
                }
                let is_whole = pairs.start <= begin && begin + STEP <= pairs.end;
                if is_whole && groups[1] == groups[0].wrapping_add(STEP / 2 * pair_bytes) {
                    products(groups[0], pair_bytes, wide);
                } else {
                    for (pair, to) in copy.chunks_exact_mut(WIDE).enumerate() {
                        let from = groups[pair / 8].wrapping_add(pair % 8 * pair_bytes);
                        if pairs.contains(&(begin + pair)) {
                            std::ptr::copy_nonoverlapping(from.cast(), to.as_mut_ptr(), wide);
                        } else {
                            to.fill(MaybeUninit::new(Line::ZERO));
                        }
                    }
                    products(copy.as_ptr().cast(), WIDE * ROW_BYTES, wide);
                }
            }
            store(sums, 4 * record_stride, wide);
        }
    }
}

/// Ask for one of `parts` parts of a group's keys or values. Keys pass while the values of the same tile are asked for,
/// values while the next tile's keys are: so the first-level cache holds both.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn ask<L: Lanes>(group: *const u8, bytes: usize, (part, parts): (usize, usize)) {
    let share = bytes.div_ceil(parts);
    // SAFETY: the caller's promise.
    (part * share..(part + 1) * share).step_by(64).for_each(|at| unsafe { L::prefetch(group.wrapping_add(at)) });
}

// SAFETY of every function below: the tiles are configured, and the memory of their rows is there.

/// Begin all sums.
#[inline(always)]
unsafe fn zero() {
    // SAFETY: touches tiles alone.
    unsafe {
        asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", out("tmm0") _, out("tmm1") _,
            out("tmm2") _, out("tmm3") _, options(nostack, preserves_flags, nomem));
    }
}

/// The first operand of the products that follow.
#[inline(always)]
unsafe fn load_first(from: *const u8, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("tileloadd tmm4, [{} + {}]", in(reg) from, in(reg) stride, out("tmm4") _,
            options(nostack, preserves_flags, readonly));
    }
}

/// The first operand of the last dimensions.
#[inline(always)]
unsafe fn load_last_first(from: *const u8, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("tileloadd tmm6, [{} + {}]", in(reg) from, in(reg) stride, out("tmm6") _,
            options(nostack, preserves_flags, readonly));
    }
}

/// Add a product to sum `SUM`.
#[inline(always)]
unsafe fn product<const SUM: usize>(second: *const u8, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("tileloadd tmm5, [{} + {}]", "tdpbf16ps tmm{}, tmm4, tmm5", in(reg) second, in(reg) stride, const SUM,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm5") _,
            options(nostack, preserves_flags, readonly));
    }
}

/// Add the product of the last dimensions to sum `SUM`.
#[inline(always)]
unsafe fn last_product<const SUM: usize>(second: *const u8) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("tileloadd tmm7, [{} + {}]", "tdpbf16ps tmm{}, tmm6, tmm7", in(reg) second, in(reg) ROW_BYTES, const SUM,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm7") _,
            options(nostack, preserves_flags, readonly));
    }
}

/// Products with `wide` vectors side by side.
#[inline(always)]
unsafe fn products(second: *const u8, stride: usize, wide: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        product::<0>(second, stride);
        if wide > 1 {
            product::<1>(second.add(ROW_BYTES), stride);
        }
        if wide > 2 {
            product::<2>(second.add(2 * ROW_BYTES), stride);
        }
        if wide > 3 {
            product::<3>(second.add(3 * ROW_BYTES), stride);
        }
    }
}

/// Once for each of the first `wide` sums: its tile, and where its vector is in a row.
macro_rules! first_tiles {
    ($wide:ident, $tile:ident) => {
        $tile!("tmm0", 0);
        if $wide > 1 {
            $tile!("tmm1", 64);
        }
        if $wide > 2 {
            $tile!("tmm2", 128);
        }
        if $wide > 3 {
            $tile!("tmm3", 192);
        }
    };
}

/// The first `wide` sums from rows `stride` bytes apart.
#[inline(always)]
unsafe fn load(from: *const f32, stride: usize, wide: usize) {
    macro_rules! tile {
        ($tile:literal, $at:literal) => {
            asm!(concat!("tileloadd ", $tile, ", [{} + {} + ", $at, "]"), in(reg) from, in(reg) stride, out("tmm0") _,
                out("tmm1") _, out("tmm2") _, out("tmm3") _, options(nostack, preserves_flags, readonly))
        };
    }
    // SAFETY: the caller's promise.
    unsafe {
        first_tiles!(wide, tile);
    }
}

/// The first `wide` sums to rows `stride` bytes apart.
#[inline(always)]
unsafe fn store(to: *mut f32, stride: usize, wide: usize) {
    macro_rules! tile {
        ($tile:literal, $at:literal) => {
            asm!(concat!("tilestored [{} + {} + ", $at, "], ", $tile), in(reg) to, in(reg) stride,
                options(nostack, preserves_flags))
        };
    }
    // SAFETY: the caller's promise.
    unsafe {
        first_tiles!(wide, tile);
    }
}
