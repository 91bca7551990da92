//! The tokenizer: text → ids → text.
//!
//! Invariant: for the same definition the ids are those of the reference implementation, id for id. Read `vocabulary` for
//! the table of tokens and `stream` for decoding.

use crate::error::TextError;
use crate::stream::StreamDecoder;
use crate::vocabulary::{TextRule, TokenKind, Vocabulary};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

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
    /// For plain text.
    pub const TEXT: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };
}

/// Text → ids → text.
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    parsing: tokenizers::Tokenizer,
    literal: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Loads a `tokenizer.json`.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Tokenizer, TextError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| TextError::io(path, source))?;
        Tokenizer::from_json(&bytes, &path.display().to_string())
    }

    /// Loads the content of a `tokenizer.json`.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Tokenizer, TextError> {
        Tokenizer::from_json(bytes, "tokenizer.json")
    }

    fn from_json(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
        let parsing = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| TextError::tokenizer(origin, "definition", error))?;
        let decoder = serde_json::to_value(parsing.get_decoder())
            .map_err(|error| TextError::tokenizer(origin, "decoder", error))?;
        let vocabulary = Arc::new(library_vocabulary(&parsing, text_rule(&decoder)));
        let mut literal = parsing.clone();
        literal.set_encode_special_tokens(true);
        Ok(Tokenizer { vocabulary, parsing, literal })
    }

    /// Text → ids.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, TextError> {
        let tokenizer = if options.parse_special { &self.parsing } else { &self.literal };
        let encoding =
            tokenizer.encode_fast(text, options.add_special).map_err(|error| TextError::Encode(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids → text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut decoder = self.stream_decoder(skip_special);
        let mut text = decoder.extend(ids);
        text.push_str(&decoder.finish());
        text
    }

    /// A decoder for ids that come one at a time.
    pub fn stream_decoder(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::new(self.vocabulary.clone(), skip_special)
    }

    /// The table of tokens.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// The bytes an id stands for in running text.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.token_bytes(id)
    }

    /// The id of a token's raw spelling (`<|im_end|>`, `Ġthe`).
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.vocabulary.id_of(token)
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether an id is a control token.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.kind(id) == TokenKind::Special
    }
}

fn library_vocabulary(tokenizer: &tokenizers::Tokenizer, rule: TextRule) -> Vocabulary {
    let by_piece = tokenizer.get_vocab(true);
    let count = by_piece.values().max().map_or(0, |&id| id as usize + 1);
    let mut tokens = vec![("", TokenKind::Unused); count];
    for (piece, &id) in &by_piece {
        tokens[id as usize] = (piece.as_str(), TokenKind::Normal);
    }
    for (id, token) in tokenizer.get_added_tokens_decoder() {
        tokens[id as usize].1 = if token.special { TokenKind::Special } else { TokenKind::Added };
    }
    Vocabulary::new(rule, tokens.into_iter())
}

/// Reads the `decoder` of a `tokenizer.json`.
fn text_rule(decoder: &Value) -> TextRule {
    let empty = Vec::new();
    let steps: Vec<&Value> = match decoder["type"].as_str() {
        Some("Sequence") => decoder["decoders"].as_array().unwrap_or(&empty).iter().collect(),
        Some(_) => vec![decoder],
        None => vec![],
    };
    let has = |kind: &str| steps.iter().find(|step| step["type"] == kind);
    if has("ByteLevel").is_some() {
        return TextRule::ByteLevel;
    }
    if has("WordPiece").is_some() {
        return TextRule::WordPiece;
    }
    if let Some(metaspace) = has("Metaspace") {
        let never = metaspace["prepend_scheme"] == "never" || metaspace["add_prefix_space"] == false;
        return TextRule::SentencePiece { strip_first_space: !never };
    }
    if has("ByteFallback").is_some() || has("Replace").is_some() {
        return TextRule::SentencePiece { strip_first_space: has("Strip").is_some() };
    }
    TextRule::Plain
}
