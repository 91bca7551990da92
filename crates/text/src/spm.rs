//! SentencePiece byte-pair encoding by score: merge the neighbours whose concatenation is the token of highest score,
//! leftmost first; what is no token is spelt in byte tokens.
//!
//! Invariant: works on text whose spaces are `▁` already. Read `pipeline` for the space put in front.

use crate::vocabulary::Vocabulary;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

const END: u32 = u32::MAX;

/// Scores and byte tokens of a vocabulary.
pub struct Spm {
    scores: Vec<f32>,
    byte_tokens: Box<[u32; 256]>,
    unknown: Option<u32>,
}

struct Symbol {
    start: u32,
    length: u32,
    previous: u32,
    next: u32,
}

struct Merge {
    score: f32,
    left: u32,
    right: u32,
    length: u32,
}

impl Ord for Merge {
    fn cmp(&self, other: &Merge) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Merge) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Merge) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}

impl Spm {
    /// A score for each id; `byte_tokens` holds `u32::MAX` for a byte without token.
    pub fn new(scores: Vec<f32>, byte_tokens: Box<[u32; 256]>, unknown: Option<u32>) -> Spm {
        Spm { scores, byte_tokens, unknown }
    }

    /// Encodes a text.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, out: &mut Vec<u32>) {
        let mut symbols = symbols(text);
        let mut heap = BinaryHeap::new();
        for right in 1..symbols.len() as u32 {
            self.propose(vocabulary, text, &symbols, right - 1, right, &mut heap);
        }
        while let Some(merge) = heap.pop() {
            let (left, right) = (merge.left as usize, merge.right as usize);
            let length = symbols[left].length + symbols[right].length;
            if symbols[left].length == 0 || symbols[right].length == 0 || length != merge.length {
                continue;
            }
            symbols[left].length = length;
            symbols[right].length = 0;
            let next = symbols[right].next;
            symbols[left].next = next;
            if next != END {
                symbols[next as usize].previous = merge.left;
                self.propose(vocabulary, text, &symbols, merge.left, next, &mut heap);
            }
            let previous = symbols[left].previous;
            if previous != END {
                self.propose(vocabulary, text, &symbols, previous, merge.left, &mut heap);
            }
        }
        for symbol in symbols.iter().filter(|symbol| symbol.length > 0) {
            let piece = &text[symbol.start as usize..(symbol.start + symbol.length) as usize];
            match vocabulary.id_of(piece) {
                Some(id) => out.push(id),
                None => out.extend(piece.bytes().filter_map(|byte| match self.byte_tokens[byte as usize] {
                    u32::MAX => self.unknown,
                    id => Some(id),
                })),
            }
        }
    }

    fn propose(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        symbols: &[Symbol],
        left: u32,
        right: u32,
        heap: &mut BinaryHeap<Merge>,
    ) {
        let start = symbols[left as usize].start;
        let length = symbols[left as usize].length + symbols[right as usize].length;
        if let Some(id) = vocabulary.id_of(&text[start as usize..(start + length) as usize]) {
            heap.push(Merge { score: self.scores[id as usize], left, right, length });
        }
    }
}

fn symbols(text: &str) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = text
        .char_indices()
        .enumerate()
        .map(|(index, (start, character))| Symbol {
            start: start as u32,
            length: character.len_utf8() as u32,
            previous: (index as u32).wrapping_sub(1),
            next: index as u32 + 1,
        })
        .collect();
    if let Some(last) = symbols.last_mut() {
        last.next = END;
    }
    symbols
}
