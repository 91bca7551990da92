//! Speculation: guess the next tokens of an answer, and let one step of the model check all of them.
//!
//! Guesses come from the answer's own past (prompt lookup) or from a small model. A guess is right when it is the token
//! that the model's own logits give with the random number of that position, so the text is the same bit for bit with
//! and without guesses, at every temperature; for guesses that are certain of themselves this accepts as many as
//! rejection sampling (arXiv:2211.17192) does. Invariant: guesses only change how long an answer takes.
//! Read next: `worker/mod.rs`.

use std::collections::HashMap;

use olivine_lm::cache::{PAGE_TOKENS, REWIND_TOKENS, Sequence};
use olivine_lm::logits::Ask;
use olivine_lm::model::PREFILL_ROWS;
use olivine_lm::model::{Model, Outputs, Work};
use olivine_lm::sampling_options::SamplingOptions;

use crate::types::RequestId;

/// How much is guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeculationOptions {
    /// Most guesses for a sequence and step.
    pub max_tokens: usize,
    /// Most rows of a step, guesses and certain ones together: beyond it rows are not free any more.
    pub max_rows: usize,
    /// Guess what followed the last tokens when they came before.
    pub lookup: bool,
}

impl Default for SpeculationOptions {
    fn default() -> SpeculationOptions {
        SpeculationOptions { max_tokens: 6, max_rows: 12, lookup: true }
    }
}

/// Finds what followed the last tokens when they came before.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// Where the token behind these is.
    behind: HashMap<[u32; NGRAM], usize>,
    seen: usize,
}

/// Tokens that must have come before.
const NGRAM: usize = 3;

impl Lookup {
    /// At most `most` tokens that may follow `tokens`, which only ever grow.
    pub fn guess<'a>(&mut self, tokens: &'a [u32], most: usize) -> &'a [u32] {
        for at in self.seen.max(NGRAM)..tokens.len() {
            self.behind.insert(ngram(&tokens[..at]), at);
        }
        self.seen = tokens.len();
        if tokens.len() < NGRAM {
            return &[];
        }
        let Some(&at) = self.behind.get(&ngram(tokens)) else { return &[] };
        &tokens[at..(at + most).min(tokens.len())]
    }
}

/// The last tokens.
fn ngram(tokens: &[u32]) -> [u32; NGRAM] {
    tokens[tokens.len() - NGRAM..].try_into().expect("so many tokens")
}

/// How many guesses are worth while for a sequence: more after right ones, none for a while after wrong ones.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    pause: usize,
}

/// Tokens without guesses after guesses were wrong.
const PAUSE: usize = 8;

impl Default for Pace {
    fn default() -> Pace {
        Pace { most: 3, pause: 0 }
    }
}

impl Pace {
    /// Guesses for the next step.
    pub fn guesses(&mut self, most: usize) -> usize {
        if self.pause > 0 {
            self.pause -= 1;
            return 0;
        }
        self.most.min(most)
    }

    /// Learn from a step in which so many of the guesses were right.
    pub fn learn(&mut self, guessed: usize, right: usize) {
        if guessed == 0 {
            return;
        }
        if right == guessed {
            self.most += 2;
        } else if right == 0 {
            self.most = (self.most / 2).max(1);
            self.pause = if self.most == 1 { PAUSE } else { 0 };
        } else {
            self.most = right + 1;
        }
        self.most = self.most.min(REWIND_TOKENS);
    }
}

/// A small model that guesses for a larger one with the same tokens.
pub(crate) struct Drafter {
    model: Model,
    sequences: HashMap<RequestId, Drafted>,
}

struct Drafted {
    sequence: Sequence,
    /// The tokens in it.
    tokens: Vec<u32>,
}

/// A sequence to guess for.
pub(crate) struct Guess<'a> {
    pub id: RequestId,
    pub tokens: &'a [u32],
    pub sampling: &'a SamplingOptions,
    pub most: usize,
}

impl Drafter {
    pub fn new(model: Model) -> Drafter {
        Drafter { model, sequences: HashMap::new() }
    }

    /// Guesses for all at once, in their order. A prompt that is new to the small model is computed in pieces; there
    /// are no guesses until it is done.
    pub fn guess(&mut self, wanted: &[Guess<'_>]) -> Vec<Vec<u32>> {
        let mut guesses = vec![Vec::new(); wanted.len()];
        let mut drafted: Vec<Drafted> = wanted.iter().map(|guess| self.take(guess)).collect();
        for round in 0..wanted.iter().map(|guess| guess.most).max().unwrap_or(0) {
            let mut pieces: Vec<Vec<u32>> = Vec::new();
            for ((guess, drafted), guesses) in wanted.iter().zip(&drafted).zip(&guesses) {
                let done: Vec<u32> = guess.tokens.iter().chain(guesses).copied().collect();
                let rest = &done[drafted.tokens.len().min(done.len())..];
                let active = guesses.len() == round && round < guess.most;
                pieces.push(if active { rest[..rest.len().min(PREFILL_ROWS)].to_vec() } else { Vec::new() });
            }
            let mut work = Vec::new();
            for (drafted, piece) in drafted.iter_mut().zip(&pieces).filter(|(_, piece)| !piece.is_empty()) {
                work.push(Work { sequence: &mut drafted.sequence, tokens: piece, outputs: Outputs::Last });
            }
            if work.is_empty() {
                break;
            }
            let logits = self.model.logits(&mut work);
            for (index, piece) in pieces.iter().enumerate() {
                drafted[index].tokens.extend(piece);
            }
            let active: Vec<usize> = (0..pieces.len()).filter(|&index| !pieces[index].is_empty()).collect();
            // A prompt that is not done has no token yet; its row is asked all the same, once in a while.
            let asks = active.iter().map(|&index| {
                let history = &drafted[index].tokens[..];
                Ask { sampling: wanted[index].sampling, history, position: history.len() }
            });
            let choices = logits.choose(&asks.collect::<Vec<_>>());
            for (&index, choice) in active.iter().zip(choices) {
                if drafted[index].tokens.len() == wanted[index].tokens.len() + guesses[index].len() {
                    guesses[index].push(choice.token);
                }
            }
        }
        for (guess, drafted) in wanted.iter().zip(drafted) {
            self.sequences.insert(guess.id, drafted);
        }
        guesses
    }

    /// Bytes of keys and values in use.
    pub fn used_bytes(&mut self) -> usize {
        let cache = self.model.cache();
        (0..cache.groups().count()).map(|group| cache.pages_in_use(group) * cache.page_bytes(group)).sum()
    }

    /// Bytes that these guesses add at most.
    pub fn needed_bytes(&mut self, wanted: &[Guess<'_>]) -> usize {
        let cache = self.model.cache();
        let page_bytes: Vec<usize> = (0..cache.groups().count()).map(|group| cache.page_bytes(group)).collect();
        let pages = |guess: &Guess<'_>, group: usize| {
            let known = self.sequences.get(&guess.id).map_or(0, |drafted| drafted.sequence.pages(group).len());
            (guess.tokens.len() + guess.most).div_ceil(PAGE_TOKENS).saturating_sub(known)
        };
        let bytes = |guess: &Guess<'_>| {
            page_bytes.iter().enumerate().map(|(group, bytes)| bytes * pages(guess, group)).sum::<usize>()
        };
        wanted.iter().map(bytes).sum()
    }

    /// Forget all sequences: memory is wanted for something better.
    pub fn clear(&mut self) {
        for (_, drafted) in self.sequences.drain() {
            self.model.cache().release(drafted.sequence);
        }
    }

    /// A sequence is over.
    pub fn release(&mut self, id: RequestId) {
        if let Some(drafted) = self.sequences.remove(&id) {
            self.model.cache().release(drafted.sequence);
        }
    }

    /// The sequence of a request without the guesses that were wrong; its last token is still to be computed.
    fn take(&mut self, guess: &Guess<'_>) -> Drafted {
        let known = self.sequences.remove(&guess.id);
        let mut drafted =
            known.unwrap_or_else(|| Drafted { sequence: self.model.cache().sequence(), tokens: Vec::new() });
        let same = drafted.tokens.iter().zip(guess.tokens).take_while(|(a, b)| a == b).count();
        let same = same.min(guess.tokens.len() - 1);
        if !self.model.cache().truncate(&mut drafted.sequence, same) {
            self.model.cache().release(drafted.sequence);
            return Drafted { sequence: self.model.cache().sequence(), tokens: Vec::new() };
        }
        drafted.tokens.truncate(same);
        drafted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_continues_what_came_before() {
        let mut lookup = Lookup::default();
        let mut tokens = vec![1, 2, 3, 4, 5, 6, 1, 2];
        assert!(lookup.guess(&tokens, 4).is_empty());
        tokens.push(3);
        assert_eq!(lookup.guess(&tokens, 4), [4, 5, 6, 1]);
        tokens.extend([9, 1, 2, 3]);
        assert_eq!(lookup.guess(&tokens, 2), [9, 1], "the latest occurrence counts");
        let same = vec![7; 10];
        assert_eq!(Lookup::default().guess(&same, 5).len(), 1);
        assert!(Lookup::default().guess(&same[..2], 5).is_empty());
    }

    #[test]
    fn wrong_guesses_pause_and_right_ones_make_more() {
        let mut pace = Pace::default();
        pace.learn(3, 3);
        assert_eq!(pace.guesses(99), 5);
        pace.learn(5, 2);
        assert_eq!(pace.guesses(99), 3);
        pace.learn(3, 0);
        assert_eq!((pace.guesses(99), pace.guesses(99)), (0, 0));
        // Two of the pause are over.
        assert!((2..PAUSE).all(|_| pace.guesses(99) == 0));
        assert_eq!(pace.guesses(99), 1);
    }
}
