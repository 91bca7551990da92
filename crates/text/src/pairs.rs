//! The merges of a byte-pair encoding: (left id, right id) → (rank, merged id), in one open-addressing table.
//!
//! Invariant: the first merge given for a pair is the one kept. Read `bpe` for its use.

use crate::vocabulary::Vocabulary;

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
    fn with_capacity(pairs: usize) -> PairTable {
        let size = (pairs + pairs / 2).next_power_of_two().max(16);
        PairTable { slots: vec![Slot { pair: EMPTY, rank: 0, merged: 0 }; size], mask: size - 1 }
    }

    /// The table of merges given as pieces, in the order of their ranks, and how many of them name a piece that is no
    /// token (they are left out). Looking pieces up waits for memory, so threads share it.
    pub fn resolve<M: Sync>(
        merges: &[M],
        vocabulary: &Vocabulary,
        pieces: impl Fn(&M) -> (&str, &str) + Sync,
    ) -> (PairTable, usize) {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
        let share = merges.len().div_ceil(threads).max(4096);
        let shares: Vec<Vec<Option<[u32; 3]>>> = std::thread::scope(|scope| {
            let pieces = &pieces;
            let spawn = |merges| scope.spawn(move || ids_of(merges, vocabulary, pieces));
            let workers: Vec<_> = merges.chunks(share).map(spawn).collect();
            workers.into_iter().map(|worker| worker.join().expect("looking up does not panic")).collect()
        });
        let mut table = PairTable::with_capacity(merges.len());
        let mut unresolved = 0;
        for (rank, ids) in shares.into_iter().flatten().enumerate() {
            match ids {
                Some([left, right, merged]) => table.insert(left, right, rank as u32, merged),
                None => unresolved += 1,
            }
        }
        (table, unresolved)
    }

    /// Adds a merge; a pair that is known keeps its rank.
    fn insert(&mut self, left: u32, right: u32, rank: u32, merged: u32) {
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

/// The ids of the pieces of merges: left, right, both.
fn ids_of<M>(merges: &[M], vocabulary: &Vocabulary, pieces: &impl Fn(&M) -> (&str, &str)) -> Vec<Option<[u32; 3]>> {
    let mut joined = String::new();
    let mut merged = 0;
    let ids_of_one = |merge: &M| {
        let (left, right) = pieces(merge);
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        // Merges mostly come in the order of what they make: the same token again, or the next one.
        let near = [merged, merged + 1].into_iter().find(|&id| vocabulary.piece_is(id, &joined));
        merged = near.or_else(|| vocabulary.id_of(&joined))?;
        Some([vocabulary.id_of(left)?, vocabulary.id_of(right)?, merged])
    };
    merges.iter().map(ids_of_one).collect()
}

fn join(left: u32, right: u32) -> u64 {
    (left as u64) << 32 | right as u64
}

fn hash(pair: u64) -> usize {
    let mixed = pair.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) as usize >> 20
}
