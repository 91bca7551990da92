//! Where a tile's keys and values lie, and the sizes that both ways of multiplying them share.
//!
//! A tile is 64 positions, four groups of the cache, at absolute multiples of 64. Quantized groups are unpacked to bf16
//! before they are multiplied. Read next: `tile`, which attends to one, and `amx`, for the tier that has matrix registers.

use super::cache::{KvCacheLayer, KvDtype};
use super::element::GROUP;
use super::quantized::{self, SCALE_BYTES};
use super::work::Work;
use crate::lanes::Lanes;

/// Positions of a tile.
pub(super) const TILE: usize = 64;
pub(super) const GROUPS: usize = TILE / GROUP;

/// Most rows of a register tile on any tier, and of matrix registers.
pub(super) const MAX_ROWS: usize = 16;

/// With at most this many rows, memory is slower than arithmetic: what comes next is fetched ahead.
pub(super) const AHEAD_ROWS: usize = 6;

/// An item's partial result: `[value_stride]` weighted values, `[16]` sums of weights, `[16]` times the base
/// of their exponents.
pub(super) fn record_len(value_stride: usize) -> usize {
    value_stride + 2 * GROUP
}

/// Sixteen f32 or words on a cache line of their own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([f32; GROUP]);

impl Line {
    /// Nothing in it yet.
    pub(super) const ZERO: Line = Line([0.0; GROUP]);
}

/// Where the groups of a tile lie.
pub(super) struct Tile {
    pub start: usize,
    pub keys: [*const u8; GROUPS],
    pub values: [*const u8; GROUPS],
    /// Those of the tile behind it, to be fetched ahead; any address where there is none.
    pub next_keys: [*const u8; GROUPS],
    pub next_values: [*const u8; GROUPS],
    /// Sixteen scales for each group, where it is quantized.
    pub key_scales: [*const f32; GROUPS],
    pub value_scales: [*const f32; GROUPS],
}

impl Tile {
    /// Tile number `tile`, of which positions `first..last` are seen by some row of the block.
    pub fn find(work: &Work, tile: usize, first: usize, last: usize) -> Tile {
        let start = tile * TILE;
        let cache: &KvCacheLayer = work.cache;
        // Groups that no row sees may not exist: their lanes read the nearest that does, and are masked.
        let nearest = |group: usize| (start + group * GROUP).clamp(first / GROUP * GROUP, last - 1);
        let groups: [_; GROUPS] = std::array::from_fn(|group| cache.group(work.pages, work.kv_head, nearest(group)));
        let ahead = |group: usize| (start + TILE + group * GROUP).min(work.last - 1);
        let next: [_; GROUPS] = std::array::from_fn(|group| cache.group(work.pages, work.kv_head, ahead(group)));
        Tile {
            start,
            keys: groups.map(|group| group.0),
            values: groups.map(|group| group.1),
            next_keys: next.map(|group| group.0),
            next_values: next.map(|group| group.1),
            key_scales: groups.map(|group| group.0.cast()),
            value_scales: groups.map(|group| group.1.cast()),
        }
    }

    /// Unpack the integers of a quantized tile into `memory`, and look there from now on.
    ///
    /// # Safety
    /// As [`Lanes`]; the groups are whole.
    #[inline(always)]
    pub unsafe fn unpack<L: Lanes>(&mut self, work: &Work, memory: &mut Vec<Line>) {
        let layout = work.cache.layout();
        let (keys, values) = layout.group_integers();
        // In lines of 32 bf16.
        let (key_lines, value_lines) = (keys / 32, values / 32);
        let needed = GROUPS * (key_lines + value_lines);
        if memory.len() < needed {
            memory.resize(needed, Line::ZERO);
        }
        let bits_8 = layout.dtype == KvDtype::Q8;
        let mut to = memory.as_mut_ptr();
        // SAFETY: `memory` has room for all groups, and the caller's promise.
        unsafe {
            for (found, ahead, count) in
                [(&mut self.keys, &mut self.next_keys, keys), (&mut self.values, &mut self.next_values, values)]
            {
                for (found, ahead) in found.iter_mut().zip(ahead) {
                    for at in (0..layout.dtype.bytes_of(count) + SCALE_BYTES).step_by(64) {
                        L::prefetch(ahead.wrapping_add(at));
                    }
                    let from = found.add(SCALE_BYTES);
                    match bits_8 {
                        true => quantized::unpack_8(from, count, to.cast()),
                        false => quantized::unpack_4(from, count, to.cast()),
                    }
                    *found = to.cast_const().cast();
                    // What comes next was fetched here already.
                    *ahead = *found;
                    to = to.add(count / 32);
                }
            }
        }
    }
}
