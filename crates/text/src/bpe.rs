//! Byte-pair encoding of one word: start from bytes or characters, merge the pair of lowest rank, leftmost first, until
//! none is left.
//!
//! Invariant: the result depends on the merges alone; the two ways of searching (a scan for short words, a heap for long
//! ones) give the same ids. Read `pipeline` for how a text becomes words.

use crate::pairs::PairTable;
use crate::vocabulary::{Vocabulary, byte_level_characters};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No token.
pub const NONE: u32 = u32::MAX;
/// Words up to this many symbols are merged by scanning.
const SCAN_SYMBOLS: usize = 48;

/// What a word is before its first merge.
pub enum Alphabet {
    /// One token per byte.
    Bytes(Box<[u32; 256]>),
    /// One token per character; what has none is spelt in byte tokens, else unknown.
    Characters {
        /// The tokens `<0x00>` … `<0xFF>`.
        byte_tokens: Option<Box<[u32; 256]>>,
        /// The unknown token.
        unknown: Option<u32>,
        /// One unknown token for a run of unknown characters.
        fuse_unknown: bool,
    },
}

/// Merges and alphabet of a vocabulary.
pub struct Bpe {
    merges: PairTable,
    alphabet: Alphabet,
    whole_words: bool,
    characters: Box<[char; 256]>,
}

/// Memory that encoding reuses from word to word.
#[derive(Default)]
pub struct Scratch {
    ids: Vec<u32>,
    ranks: Vec<(u32, u32)>,
    next: Vec<u32>,
    previous: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32, u32)>>,
    piece: String,
}

impl Bpe {
    /// `whole_words`: a word that is itself a token is that token, whatever the merges say.
    pub fn new(merges: PairTable, alphabet: Alphabet, whole_words: bool) -> Bpe {
        Bpe { merges, alphabet, whole_words, characters: Box::new(byte_level_characters()) }
    }

    /// Encodes a word.
    pub fn encode_word(&self, vocabulary: &Vocabulary, word: &str, scratch: &mut Scratch, out: &mut Vec<u32>) {
        if self.whole_words
            && let Some(id) = self.whole_word(vocabulary, word, scratch)
        {
            out.push(id);
            return;
        }
        scratch.ids.clear();
        self.spell(vocabulary, word, &mut scratch.ids);
        if scratch.ids.len() <= SCAN_SYMBOLS {
            self.merge_by_scan(scratch);
            out.extend_from_slice(&scratch.ids);
        } else {
            self.merge_by_heap(scratch, out);
        }
    }

    fn whole_word(&self, vocabulary: &Vocabulary, word: &str, scratch: &mut Scratch) -> Option<u32> {
        match &self.alphabet {
            Alphabet::Bytes(_) => {
                scratch.piece.clear();
                scratch.piece.extend(word.bytes().map(|byte| self.characters[byte as usize]));
                vocabulary.id_of(&scratch.piece)
            }
            Alphabet::Characters { .. } => vocabulary.id_of(word),
        }
    }

    fn spell(&self, vocabulary: &Vocabulary, word: &str, ids: &mut Vec<u32>) {
        match &self.alphabet {
            Alphabet::Bytes(table) => {
                ids.extend(word.bytes().map(|byte| table[byte as usize]).filter(|&id| id != NONE));
            }
            Alphabet::Characters { byte_tokens, unknown, fuse_unknown } => {
                let mut after_unknown = false;
                for (start, character) in word.char_indices() {
                    let spelling = &word[start..start + character.len_utf8()];
                    let was_unknown = std::mem::replace(&mut after_unknown, false);
                    if let Some(id) = vocabulary.id_of(spelling) {
                        ids.push(id);
                    } else if let Some(table) = byte_tokens {
                        ids.extend(spelling.bytes().map(|byte| table[byte as usize]));
                    } else if let Some(id) = unknown {
                        if !(*fuse_unknown && was_unknown) {
                            ids.push(*id);
                        }
                        after_unknown = true;
                    }
                }
            }
        }
    }

    /// (rank, merged id) of a pair; rank `NONE` when it does not merge.
    fn rank(&self, left: u32, right: u32) -> (u32, u32) {
        self.merges.get(left, right).unwrap_or((NONE, NONE))
    }

    fn merge_by_scan(&self, scratch: &mut Scratch) {
        let (ids, ranks) = (&mut scratch.ids, &mut scratch.ranks);
        ranks.clear();
        ranks.extend(ids.windows(2).map(|pair| self.rank(pair[0], pair[1])));
        loop {
            let Some((at, &(rank, merged))) = ranks.iter().enumerate().min_by_key(|(_, (rank, _))| *rank) else {
                return;
            };
            if rank == NONE {
                return;
            }
            ids[at] = merged;
            ids.remove(at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = self.rank(ids[at - 1], merged);
            }
            if at + 1 < ids.len() {
                ranks[at] = self.rank(merged, ids[at + 1]);
            }
        }
    }

    fn merge_by_heap(&self, scratch: &mut Scratch, out: &mut Vec<u32>) {
        let Scratch { ids, next, previous, heap, .. } = scratch;
        let count = ids.len() as u32;
        next.clear();
        next.extend(1..=count);
        previous.clear();
        previous.extend((0..count).map(|at| at.wrapping_sub(1)));
        heap.clear();
        for (at, pair) in ids.windows(2).enumerate() {
            if let Some((rank, merged)) = self.merges.get(pair[0], pair[1]) {
                heap.push(Reverse((rank, at as u32, merged)));
            }
        }
        while let Some(Reverse((rank, at, merged))) = heap.pop() {
            let left = at as usize;
            let right = next[left];
            if ids[left] == NONE || right == count || self.rank(ids[left], ids[right as usize]) != (rank, merged) {
                continue;
            }
            ids[left] = merged;
            ids[right as usize] = NONE;
            let after = next[right as usize];
            next[left] = after;
            if after != count {
                previous[after as usize] = at;
                if let Some((rank, merged)) = self.merges.get(merged, ids[after as usize]) {
                    heap.push(Reverse((rank, at, merged)));
                }
            }
            let before = previous[left];
            if before != NONE
                && let Some((rank, merged)) = self.merges.get(ids[before as usize], merged)
            {
                heap.push(Reverse((rank, before, merged)));
            }
        }
        out.extend(ids.iter().copied().filter(|&id| id != NONE));
    }
}
