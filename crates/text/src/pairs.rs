//! The merges of a byte-pair encoding: (left id, right id) → (rank, merged id), in one open-addressing table.
//!
//! Invariant: the first merge given for a pair is the one kept. Read `bpe` for its use.

const EMPTY: u64 = u64::MAX;

/// A table of merges.
pub struct PairTable {
    slots: Vec<Slot>,
    mask: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    pair: u64,
    rank: u32,
    merged: u32,
}

impl PairTable {
    /// A table for up to `pairs` merges.
    pub fn with_capacity(pairs: usize) -> PairTable {
        let size = (pairs + pairs / 2).next_power_of_two().max(16);
        PairTable { slots: vec![Slot { pair: EMPTY, rank: 0, merged: 0 }; size], mask: size - 1 }
    }

    /// Adds a merge; a pair that is known keeps its rank.
    pub fn insert(&mut self, left: u32, right: u32, rank: u32, merged: u32) {
        let pair = join(left, right);
        let mut index = hash(pair) & self.mask;
        while self.slots[index].pair != EMPTY {
            if self.slots[index].pair == pair {
                return;
            }
            index = (index + 1) & self.mask;
        }
        self.slots[index] = Slot { pair, rank, merged };
    }

    /// Rank and result of merging two tokens.
    #[inline]
    pub fn get(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let pair = join(left, right);
        let mut index = hash(pair) & self.mask;
        loop {
            let slot = &self.slots[index];
            if slot.pair == pair {
                return Some((slot.rank, slot.merged));
            }
            if slot.pair == EMPTY {
                return None;
            }
            index = (index + 1) & self.mask;
        }
    }
}

fn join(left: u32, right: u32) -> u64 {
    (left as u64) << 32 | right as u64
}

fn hash(pair: u64) -> usize {
    let mixed = pair.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) as usize >> 20
}
