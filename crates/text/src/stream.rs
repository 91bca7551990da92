//! Token ids one at a time → text, never half a character.
//!
//! Invariant: the concatenation of what `push` and `finish` return is `Tokenizer::decode` of the same ids. Bytes that can
//! still become a character wait; bytes that cannot are U+FFFD. Read `vocabulary` for how a token spells bytes.

use crate::vocabulary::{TextRule, TokenKind, Vocabulary};
use std::sync::Arc;

/// Turns a stream of ids into text as it completes.
#[derive(Clone)]
pub struct StreamDecoder {
    vocabulary: Arc<Vocabulary>,
    skip_special: bool,
    /// The next bytes are the first of the text: an artificial leading space is still to be dropped.
    at_start: bool,
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// A decoder for a text that starts with the first pushed id.
    pub fn new(vocabulary: Arc<Vocabulary>, skip_special: bool) -> StreamDecoder {
        let at_start = match vocabulary.rule() {
            TextRule::SentencePiece { strip_first_space } => strip_first_space,
            TextRule::WordPiece | TextRule::PhantomSpace => true,
            TextRule::ByteLevel | TextRule::Plain => false,
        };
        StreamDecoder { vocabulary, skip_special, at_start, pending: Vec::new() }
    }

    /// A decoder for the continuation of another text: a leading space is kept.
    pub fn continuing(vocabulary: Arc<Vocabulary>, skip_special: bool) -> StreamDecoder {
        StreamDecoder { vocabulary, skip_special, at_start: false, pending: Vec::new() }
    }

    /// Takes an id; returns the text that is complete now.
    pub fn push(&mut self, id: u32) -> String {
        self.take(id);
        self.emit(false)
    }

    /// Takes ids; returns the text that is complete now.
    pub fn extend(&mut self, ids: &[u32]) -> String {
        for &id in ids {
            self.take(id);
        }
        self.emit(false)
    }

    /// Ends the text; an unfinished character is U+FFFD.
    pub fn finish(&mut self) -> String {
        self.emit(true)
    }

    fn take(&mut self, id: u32) {
        let special = self.vocabulary.kind(id) == TokenKind::Special;
        if special && self.skip_special {
            return;
        }
        let mut bytes = self.vocabulary.token_bytes(id);
        if self.at_start && !bytes.is_empty() {
            if !special {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
            self.at_start = false;
        }
        self.pending.extend_from_slice(bytes);
    }

    fn emit(&mut self, last: bool) -> String {
        let mut text = String::new();
        let mut used = 0;
        while used < self.pending.len() {
            match std::str::from_utf8(&self.pending[used..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    used = self.pending.len();
                }
                Err(error) => {
                    let valid = &self.pending[used..used + error.valid_up_to()];
                    text.push_str(std::str::from_utf8(valid).expect("checked up to here"));
                    used += error.valid_up_to();
                    match error.error_len() {
                        Some(length) => used += length,
                        None if last => used = self.pending.len(),
                        None => break,
                    }
                    text.push('\u{FFFD}');
                }
            }
        }
        self.pending.drain(..used);
        text
    }
}
