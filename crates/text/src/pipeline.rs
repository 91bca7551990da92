//! The steps from text to ids: find added tokens, normalize, cut into words, encode each.
//!
//! Invariant: the steps run in the order of Hugging Face's definition: tokens matched in raw text, normalizers, tokens
//! matched in normalized text, pre-tokenizer, model. `json` and `gguf` build a pipeline; `added`, `split`, `bpe`, `spm`
//! are its steps.

use crate::added::{AddedTokens, Segment};
use crate::bpe::{Bpe, Scratch};
use crate::error::TextError;
use crate::split::Splitter;
use crate::spm::Spm;
use crate::vocabulary::Vocabulary;
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization};

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add the tokens that start and end a text (BOS, `[CLS]`, …) where the definition says so.
    pub add_special: bool,
    /// Take the spelling of special tokens in the text for the tokens themselves.
    pub parse_special: bool,
}

impl EncodeOptions {
    /// For text rendered by a chat template: it spells its special tokens itself.
    pub const RENDERED: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };
    /// For plain text to be continued.
    pub const TEXT: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };
    /// For text that is data: nothing in it is a special token and nothing is added.
    pub const LITERAL: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
}

/// A change of text before encoding.
pub enum Normalizer {
    /// Unicode's composed form.
    Nfc,
    /// Unicode's decomposed form.
    Nfd,
    /// Unicode's compatible composed form.
    Nfkc,
    /// Unicode's compatible decomposed form.
    Nfkd,
    /// Lower case.
    Lowercase,
    /// A string for each occurrence of another.
    Replace(String, String),
    /// A string in front of a text that is not empty.
    Prepend(String),
    /// `▁` for each space, and one in front where the scheme says so.
    Metaspace(Prefix),
}

/// Where a space is put in front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Nowhere.
    Never,
    /// At the start of the whole text, unless it starts with a space.
    First,
    /// At the start and after each added token, unless a space is there.
    Always,
    /// At the start and after each control token, even if a space is there.
    AfterSpecial,
}

/// What turns words into ids.
pub enum Model {
    /// Byte-pair encoding by merges.
    Bpe(Bpe),
    /// Byte-pair encoding by scores.
    Spm(Spm),
}

/// All steps of a tokenizer.
pub struct Pipeline {
    /// Tokens matched in raw text.
    pub added: AddedTokens,
    /// Tokens matched in normalized text.
    pub added_normalized: AddedTokens,
    /// Changes of text, in order.
    pub normalizers: Vec<Normalizer>,
    /// Cuts text into words.
    pub splitter: Splitter,
    /// A space in front of each text that does not start with one (byte-level `add_prefix_space`).
    pub space_in_front: bool,
    /// Encodes words.
    pub model: Model,
    /// Ids before a text.
    pub before: Vec<u32>,
    /// Ids after a text.
    pub after: Vec<u32>,
}

/// What precedes a piece of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    AfterSpecial,
    AfterAdded,
}

impl Pipeline {
    /// Text → ids.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, options: EncodeOptions) -> Result<Vec<u32>, TextError> {
        let mut out = Vec::with_capacity(text.len() / 3 + 4);
        if options.add_special {
            out.extend_from_slice(&self.before);
        }
        let mut place = Place::Start;
        let mut scratch = Scratch::default();
        let mut result = Ok(());
        self.added.split(text, options.parse_special, |segment| match segment {
            Segment::Token(id) => {
                out.push(id);
                place = place_after(vocabulary, id);
            }
            Segment::Text(text) if result.is_ok() => {
                let text = self.normalize(text, place);
                self.added_normalized.split(&text, options.parse_special, |segment| match segment {
                    Segment::Token(id) => out.push(id),
                    Segment::Text(text) if result.is_ok() => {
                        result = self.encode_text(vocabulary, text, &mut scratch, &mut out);
                    }
                    Segment::Text(_) => {}
                });
                place = Place::AfterAdded;
            }
            Segment::Text(_) => {}
        });
        result?;
        if options.add_special {
            out.extend_from_slice(&self.after);
        }
        Ok(out)
    }

    fn encode_text(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let text = match self.space_in_front && !text.starts_with(' ') {
            true => Cow::Owned(format!(" {text}")),
            false => Cow::Borrowed(text),
        };
        match &self.model {
            Model::Bpe(bpe) => self.splitter.split(&text, &mut |word| bpe.encode_word(vocabulary, word, scratch, out)),
            Model::Spm(spm) => {
                spm.encode(vocabulary, &text, out);
                Ok(())
            }
        }
    }

    fn normalize<'a>(&self, text: &'a str, place: Place) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for normalizer in &self.normalizers {
            if let Some(changed) = normalizer.apply(&text, place) {
                text = Cow::Owned(changed);
            }
        }
        text
    }
}

fn place_after(vocabulary: &Vocabulary, id: u32) -> Place {
    match vocabulary.kind(id) {
        crate::vocabulary::TokenKind::Special => Place::AfterSpecial,
        _ => Place::AfterAdded,
    }
}

impl Normalizer {
    /// The changed text, or `None` when nothing changes.
    fn apply(&self, text: &str, place: Place) -> Option<String> {
        match self {
            Normalizer::Nfc if is_nfc(text) => None,
            Normalizer::Nfc => Some(text.nfc().collect()),
            Normalizer::Nfd | Normalizer::Nfkc | Normalizer::Nfkd if text.is_ascii() => None,
            Normalizer::Nfd => Some(text.nfd().collect()),
            Normalizer::Nfkc => Some(text.nfkc().collect()),
            Normalizer::Nfkd => Some(text.nfkd().collect()),
            Normalizer::Lowercase => Some(text.to_lowercase()),
            Normalizer::Replace(from, to) => text.contains(from.as_str()).then(|| text.replace(from.as_str(), to)),
            Normalizer::Prepend(front) => (!text.is_empty()).then(|| format!("{front}{text}")),
            Normalizer::Metaspace(prefix) => {
                let starts = text.starts_with(' ') || text.starts_with('▁');
                let front = match prefix {
                    Prefix::Never => false,
                    Prefix::First => place == Place::Start && !starts,
                    Prefix::Always => !starts,
                    Prefix::AfterSpecial => place != Place::AfterAdded,
                };
                let text = text.replace(' ', "▁");
                Some(if front { format!("▁{text}") } else { text })
            }
        }
    }
}

fn is_nfc(text: &str) -> bool {
    text.is_ascii() || unicode_normalization::is_nfc_quick(text.chars()) == IsNormalized::Yes
}
