//! The vocabulary stored in a GGUF file (`tokenizer.ggml.*`) → a tokenizer.
//!
//! Invariant: texts get the ids of the original tokenizer, special tokens neither added nor parsed unless asked for.
//! Byte-pair encodings and SentencePiece run in the pipeline; Unigram (`t5`) and WordPiece (`bert`) are handed to the
//! library as the `tokenizer.json` they came from. `split` knows the pre-tokenizers by name.

use crate::added::{AddedToken, AddedTokens};
use crate::bpe::{Alphabet, Bpe};
use crate::error::TextError;
use crate::pairs::PairTable;
use crate::pipeline::{Model, Normalizer, Pipeline, Prefix};
use crate::split::{Splitter, expressions};
use crate::spm::Spm;
use crate::tokenizer::{Encoder, SpecialIds, Tokenizer};
use crate::vocabulary::{TextRule, TokenKind, Vocabulary};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use olivine_formats::gguf::{self, Gguf};
use serde_json::{Map, Value, json};

/// The `tokenizer.ggml.*` metadata of a GGUF file.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary<'a> {
    /// `model`: `gpt2`, `llama`, `gemma4`, `bert`, `t5`.
    pub model: &'a str,
    /// `pre`: name of the pre-tokenizer of a byte-pair encoding.
    pub pre: &'a str,
    /// `tokens`: pieces in the order of their ids.
    pub tokens: Vec<&'a str>,
    /// `scores`, where the model has them.
    pub scores: Vec<f32>,
    /// `token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_types: Vec<i32>,
    /// `merges`: `left right`.
    pub merges: Vec<&'a str>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `eot_token_id`.
    pub eot: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `unknown_token_id`.
    pub unknown: Option<u32>,
    /// `seperator_token_id` (as the format spells it).
    pub separator: Option<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `precompiled_charsmap`.
    pub precompiled_charsmap: Vec<u8>,
}

/// Pre-tokenizers whose words that are tokens stay whole.
const WHOLE_WORDS: [&str; 15] = [
    "llama3",
    "llama-v3",
    "llama-bpe",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
    "minicpm5",
    "youtu",
    "glm4",
    "glm5",
    "tekken",
    "granite-embed-multi-97m",
];
/// Pre-tokenizers that begin a text with BOS where the file does not say.
const WITH_BOS: [&str; 11] = [
    "llama3",
    "llama-v3",
    "llama-bpe",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
    "tekken",
    "chameleon",
];
/// Byte-pair encodings of text as it is, with `▁` for a space, not of GPT-2's byte table.
const RAW_TEXT: [&str; 4] = ["gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"];
/// Pre-tokenizers whose original normalizes to NFC.
const COMPOSED: [&str; 5] = ["qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2"];

/// `tokenizer.ggml.model` of SentencePiece's byte-pair encoding.
pub const SENTENCE_PIECE: &str = "llama";

const ORIGIN: &str = "GGUF metadata";
/// Merges that are looked up together.
const MERGE_BATCH: usize = 64;

/// The `tokenizer.ggml.pre` whose split is the expression of a tokenizer.json, which may spell the English
/// contractions in its own way. `whole_words`: words that are tokens are taken as they are (`ignore_merges`).
pub fn pre_of_expression(expression: &str, whole_words: bool) -> Option<&'static str> {
    let spelled = expression
        .replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)|", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|");
    let three_digits = if whole_words { "llama-bpe" } else { "smaug-bpe" };
    let known = [three_digits, "qwen2", "qwen35", "gpt-2", "gpt-4o", "tekken"];
    let is = |pre: &str, text: &str| matches!(crate::split::expressions(pre), Some([one]) if *one == text);
    known.into_iter().find(|pre| is(pre, &spelled) || is(pre, expression))
}

/// `left right`. A piece may itself begin with a space, so the separator is looked for from the second character on.
fn split_merge(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next().map_or(0, char::len_utf8);
    let at = first + merge.as_bytes()[first..].iter().position(|byte| *byte == b' ')?;
    Some((&merge[..at], &merge[at + 1..]))
}

impl Tokenizer {
    /// Builds the tokenizer of an opened GGUF file.
    pub fn from_gguf(file: &Gguf) -> Result<Tokenizer, TextError> {
        Tokenizer::from_gguf_vocabulary(&GgufVocabulary::read(file)?, ORIGIN)
    }

    /// Builds the tokenizer of a GGUF file; `origin` is its name in errors.
    pub fn from_gguf_vocabulary(source: &GgufVocabulary, origin: &str) -> Result<Tokenizer, TextError> {
        if source.tokens.is_empty() {
            return Err(TextError::tokenizer(origin, "tokenizer.ggml.tokens", "is empty"));
        }
        match source.model {
            "gpt2" | "gemma4" | "whitespace" => source.bpe(origin),
            "llama" | "gemma" => source.sentence_piece(),
            "bert" => source.word_piece(origin),
            "t5" => source.unigram(origin),
            other => {
                let reason = format!("{other:?} is not one of gpt2, llama, gemma4, bert, t5");
                Err(TextError::tokenizer(origin, "tokenizer.ggml.model", reason))
            }
        }
    }
}

impl<'a> GgufVocabulary<'a> {
    /// Reads the metadata of an opened file.
    pub fn read(file: &'a Gguf) -> Result<GgufVocabulary<'a>, TextError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let wrong = |name: &str, error: &dyn std::fmt::Display| TextError::tokenizer(ORIGIN, key(name), error);
        let strings = |name: &str| match file.value(&key(name)) {
            None => Ok(Vec::new()),
            Some(_) => file.strings(&key(name)).map(Iterator::collect).map_err(|error| wrong(name, &error)),
        };
        let numbers = |name: &str| match file.value(&key(name)) {
            None => Ok(&[][..]),
            Some(_) => file.numbers(&key(name)).map_err(|error| wrong(name, &error)),
        };
        let id = |name: &str| file.value(&key(name)).and_then(gguf::Value::as_u64).map(|id| id as u32);
        let flag = |name: &str| match file.value(&key(name)) {
            Some(gguf::Value::Bool(flag)) => Some(*flag),
            _ => None,
        };
        let token_types = numbers("token_type")?.iter().map(|&number| number as i32).collect();
        let charsmap = numbers("precompiled_charsmap")?.iter().map(|&number| number as i64 as u8).collect();
        Ok(GgufVocabulary {
            model: file.string(&key("model")).map_err(|error| wrong("model", &error))?,
            pre: file.string(&key("pre")).unwrap_or_default(),
            tokens: strings("tokens")?,
            scores: numbers("scores")?.iter().map(|&score| score as f32).collect(),
            token_types,
            merges: strings("merges")?,
            bos: id("bos_token_id"),
            eos: id("eos_token_id"),
            eot: id("eot_token_id"),
            pad: id("padding_token_id"),
            unknown: id("unknown_token_id"),
            separator: id("seperator_token_id"),
            add_bos: flag("add_bos_token"),
            add_eos: flag("add_eos_token"),
            add_space_prefix: flag("add_space_prefix"),
            remove_extra_whitespaces: flag("remove_extra_whitespaces"),
            precompiled_charsmap: charsmap,
        })
    }

    fn kind(&self, id: usize) -> TokenKind {
        match self.token_types.get(id) {
            Some(2 | 3) => TokenKind::Special,
            Some(4) => TokenKind::Added,
            Some(5) => TokenKind::Unused,
            Some(6) => TokenKind::Byte,
            _ => TokenKind::Normal,
        }
    }

    fn vocabulary(&self, rule: TextRule) -> Vocabulary {
        Vocabulary::new(rule, self.tokens.iter().enumerate().map(|(id, piece)| (*piece, self.kind(id))))
    }

    fn added(&self) -> AddedTokens {
        let tokens = self.tokens.iter().enumerate().filter_map(|(id, piece)| match self.kind(id) {
            TokenKind::Special => Some(AddedToken::plain(id as u32, piece, true)),
            TokenKind::Added => Some(AddedToken::plain(id as u32, piece, false)),
            _ => None,
        });
        AddedTokens::new(tokens.collect())
    }

    fn special_ids(&self) -> SpecialIds {
        let end = self.eos.into_iter().chain(self.eot).collect();
        SpecialIds { bos: self.bos, eos: self.eos, pad: self.pad, unknown: self.unknown, end }
    }

    fn pipeline(&self, normalizers: Vec<Normalizer>, splitter: Splitter, model: Model, add_bos: bool) -> Pipeline {
        let add_bos = self.add_bos.unwrap_or(add_bos);
        let add_eos = self.add_eos.unwrap_or(false);
        Pipeline {
            added: self.added(),
            added_normalized: AddedTokens::new(Vec::new()),
            normalizers,
            splitter,
            space_in_front: false,
            model,
            before: self.bos.filter(|_| add_bos).into_iter().collect(),
            after: self.eos.filter(|_| add_eos).into_iter().collect(),
        }
    }

    fn bpe(&self, origin: &str) -> Result<Tokenizer, TextError> {
        let pre = if self.model == "gemma4" { "gemma4" } else { self.pre };
        let Some(expressions) = expressions(pre) else {
            return Err(TextError::tokenizer(origin, "tokenizer.ggml.pre", format!("{pre:?} is not known")));
        };
        if self.merges.is_empty() {
            return Err(TextError::tokenizer(origin, "tokenizer.ggml.merges", "is missing or empty"));
        }
        let raw = RAW_TEXT.contains(&pre);
        let rule = if raw { TextRule::SentencePiece { strip_first_space: false } } else { TextRule::ByteLevel };
        let vocabulary = self.vocabulary(rule);
        let merges = self.merges(&vocabulary, origin)?;
        let alphabet = match raw {
            true => Alphabet::Characters {
                byte_tokens: Some(vocabulary.byte_tokens()).filter(|table| !table.contains(&u32::MAX)),
                unknown: self.unknown,
                fuse_unknown: true,
            },
            false => Alphabet::Bytes(vocabulary.byte_level_tokens()),
        };
        let mut normalizers = Vec::new();
        if COMPOSED.contains(&pre) {
            normalizers.push(Normalizer::Nfc);
        }
        if raw && pre != "whitespace" {
            normalizers.push(Normalizer::Metaspace(Prefix::Never));
        }
        let splitter = Splitter::new(expressions, origin, "tokenizer.ggml.pre")?;
        let model = Model::Bpe(Bpe::new(merges, alphabet, WHOLE_WORDS.contains(&pre)));
        let pipeline = self.pipeline(normalizers, splitter, model, WITH_BOS.contains(&pre));
        Ok(Tokenizer::new(vocabulary, Encoder::Own(Box::new(pipeline)), self.special_ids()))
    }

    fn merges(&self, vocabulary: &Vocabulary, origin: &str) -> Result<PairTable, TextError> {
        let mut table = PairTable::with_capacity(self.merges.len());
        let mut joined = String::new();
        // Tokens usually lie in the order of the merges that make them.
        let mut next = 0;
        for (batch, merges) in self.merges.chunks(MERGE_BATCH).enumerate() {
            let first_rank = batch * MERGE_BATCH;
            let (mut lefts, mut rights) = ([""; MERGE_BATCH], [""; MERGE_BATCH]);
            for (index, merge) in merges.iter().enumerate() {
                let Some(pair) = split_merge(merge) else {
                    let field = format!("tokenizer.ggml.merges[{}]", first_rank + index);
                    return Err(TextError::tokenizer(origin, field, format!("{merge:?} has no space")));
                };
                (lefts[index], rights[index]) = pair;
            }
            let (left_ids, right_ids) = (vocabulary.ids_of(&lefts), vocabulary.ids_of(&rights));
            for index in 0..merges.len() {
                let (Some(left), Some(right)) = (left_ids[index], right_ids[index]) else { continue };
                if !vocabulary.is_joined(next, lefts[index], rights[index]) {
                    joined.clear();
                    joined.push_str(lefts[index]);
                    joined.push_str(rights[index]);
                    let Some(merged) = vocabulary.id_of(&joined) else { continue };
                    next = merged;
                }
                table.insert(left, right, (first_rank + index) as u32, next);
                next += 1;
            }
        }
        Ok(table)
    }

    fn sentence_piece(&self) -> Result<Tokenizer, TextError> {
        let space = self.add_space_prefix.unwrap_or(true);
        let vocabulary = self.vocabulary(TextRule::SentencePiece { strip_first_space: space });
        let mut scores = self.scores.clone();
        scores.resize(vocabulary.len(), 0.0);
        let prefix = if space { Prefix::AfterSpecial } else { Prefix::Never };
        let model = Model::Spm(Spm::new(scores, vocabulary.byte_tokens(), self.unknown.or(Some(0))));
        let splitter = Splitter::new::<&str>(&[], "", "")?;
        let pipeline = self.pipeline(vec![Normalizer::Metaspace(prefix)], splitter, model, true);
        Ok(Tokenizer::new(vocabulary, Encoder::Own(Box::new(pipeline)), self.special_ids()))
    }

    fn piece(&self, id: u32) -> &str {
        self.tokens.get(id as usize).copied().unwrap_or_default()
    }

    fn added_json(&self) -> Vec<Value> {
        let flags = |id: usize, piece: &str, special: bool| {
            json!({"id": id, "content": piece, "special": special, "normalized": false,
                   "lstrip": false, "rstrip": false, "single_word": false})
        };
        let tokens = self.tokens.iter().enumerate();
        tokens
            .filter_map(|(id, piece)| match self.kind(id) {
                TokenKind::Special => Some(flags(id, piece, true)),
                TokenKind::Added => Some(flags(id, piece, false)),
                _ => None,
            })
            .collect()
    }

    /// The post-processor that puts tokens before and after a text.
    fn template_json(&self, before: Option<u32>, after: Option<u32>) -> Value {
        let mut special = Map::new();
        let mut part = |id: u32| {
            let name = self.piece(id).to_string();
            special.insert(name.clone(), json!({"id": name, "ids": [id], "tokens": [name]}));
            json!({"SpecialToken": {"id": name, "type_id": 0}})
        };
        let mut single: Vec<Value> = before.into_iter().map(&mut part).collect();
        single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
        single.extend(after.into_iter().map(&mut part));
        json!({"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special})
    }

    /// WordPiece: the file marks the start of a word (`▁`), the original what continues one (`##`).
    fn word_piece(&self, origin: &str) -> Result<Tokenizer, TextError> {
        let unknown =
            self.unknown.or_else(|| self.tokens.iter().position(|piece| *piece == "[UNK]").map(|id| id as u32));
        let Some(unknown) = unknown else {
            return Err(TextError::tokenizer(origin, "tokenizer.ggml.unknown_token_id", "is missing"));
        };
        let mut vocabulary = Map::new();
        for (id, piece) in self.tokens.iter().enumerate() {
            let piece = match (self.kind(id), piece.strip_prefix('▁')) {
                (TokenKind::Normal, Some(start)) => start.to_string(),
                (TokenKind::Normal, None) if !is_bracketed(piece) => format!("##{piece}"),
                _ => piece.to_string(),
            };
            vocabulary.entry(piece).or_insert(id.into());
        }
        let named = |name: &str| self.tokens.iter().position(|piece| *piece == name).map(|id| id as u32);
        let before = self.bos.or_else(|| named("[CLS]")).filter(|_| self.add_bos.unwrap_or(true));
        let after = self.separator.or(self.eos).or_else(|| named("[SEP]"));
        // A vocabulary with capital letters is one of texts as they are.
        let cased = |(id, piece): (usize, &&str)| {
            self.kind(id) == TokenKind::Normal
                && !is_bracketed(piece)
                && piece.contains(|c: char| c.is_ascii_uppercase())
        };
        let lowercase = !self.tokens.iter().enumerate().any(cased);
        let definition = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": self.added_json(),
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                           "strip_accents": null, "lowercase": lowercase},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": self.template_json(before, after),
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": self.piece(unknown), "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": vocabulary},
        });
        self.library(&definition, origin)
    }

    /// Unigram: the pieces with their scores.
    fn unigram(&self, origin: &str) -> Result<Tokenizer, TextError> {
        if self.scores.len() != self.tokens.len() {
            let reason = format!("{} scores for {} tokens", self.scores.len(), self.tokens.len());
            return Err(TextError::tokenizer(origin, "tokenizer.ggml.scores", reason));
        }
        let pieces: Vec<Value> =
            self.tokens.iter().zip(&self.scores).map(|(piece, score)| json!([piece, score])).collect();
        let mut normalizers = Vec::new();
        if !self.precompiled_charsmap.is_empty() {
            normalizers
                .push(json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(&self.precompiled_charsmap)}));
        }
        if self.remove_extra_whitespaces.unwrap_or(true) {
            normalizers.push(json!({"type": "Strip", "strip_left": true, "strip_right": true}));
            normalizers.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
        }
        let scheme = if self.add_space_prefix.unwrap_or(true) { "always" } else { "never" };
        let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true});
        let before = self.bos.filter(|_| self.add_bos.unwrap_or(false));
        let after = self.eos.filter(|_| self.add_eos.unwrap_or(true));
        let definition = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": self.added_json(),
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": metaspace,
            "post_processor": self.template_json(before, after),
            "decoder": metaspace,
            "model": {"type": "Unigram", "unk_id": self.unknown.unwrap_or(2), "vocab": pieces, "byte_fallback": false},
        });
        self.library(&definition, origin)
    }

    fn library(&self, definition: &Value, origin: &str) -> Result<Tokenizer, TextError> {
        let mut tokenizer = crate::json::from_library(definition.to_string().as_bytes(), origin)?;
        tokenizer.set_special_ids(self.special_ids());
        Ok(tokenizer)
    }
}

fn is_bracketed(piece: &str) -> bool {
    piece.starts_with('[') && piece.ends_with(']') && piece.len() > 2
}
