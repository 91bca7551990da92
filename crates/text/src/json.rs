//! `tokenizer.json` → a tokenizer.
//!
//! Byte-pair encodings whose every setting is understood become a [`Pipeline`]; anything else is left to the library,
//! which knows all of the format but takes several times as long to load. Invariant: a definition that is only partly
//! understood never becomes a pipeline. `model` reads the large part.

mod model;

use crate::added::{AddedToken, AddedTokens};
use crate::bpe::{Alphabet, Bpe};
use crate::error::TextError;
use crate::pairs::PairTable;
use crate::pipeline::{Model, Normalizer, Pipeline, Prefix};
use crate::split::{GPT2, Splitter};
use crate::tokenizer::{Encoder, Library, SpecialIds, Tokenizer};
use crate::vocabulary::{TextRule, TokenKind, Vocabulary};
use model::{Definition, ModelDefinition};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

impl Tokenizer {
    /// Loads a `tokenizer.json`.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Tokenizer, TextError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| TextError::io(path, source))?;
        load(&bytes, &path.display().to_string())
    }

    /// Loads the content of a `tokenizer.json`.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Tokenizer, TextError> {
        load(bytes, "tokenizer.json")
    }

    /// Loads the content of a `tokenizer.json` with the library whatever it holds: the reference that the pipeline of
    /// this crate is compared with, several times slower to load.
    pub fn from_json_bytes_by_library(bytes: &[u8]) -> Result<Tokenizer, TextError> {
        from_library(bytes, "tokenizer.json")
    }

    /// Loads the `tokenizer.json` of a model folder, with the special tokens that its `tokenizer_config.json` and
    /// `generation_config.json` name.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Tokenizer, TextError> {
        let folder = folder.as_ref();
        let mut tokenizer = Tokenizer::from_json_file(folder.join("tokenizer.json"))?;
        if let Some(config) = read_optional(&folder.join("tokenizer_config.json"))? {
            let id = |key: &str| {
                let value = &config[key];
                tokenizer.id_of(value.as_str().or_else(|| value["content"].as_str())?)
            };
            let (bos, eos, pad, unknown) = (id("bos_token"), id("eos_token"), id("pad_token"), id("unk_token"));
            let special = &mut tokenizer.special;
            (special.bos, special.eos) = (bos.or(special.bos), eos.or(special.eos));
            (special.pad, special.unknown) = (pad.or(special.pad), unknown.or(special.unknown));
            special.end.extend(eos);
        }
        if let Some(config) = read_optional(&folder.join("generation_config.json"))? {
            let value = &config["eos_token_id"];
            let ids = value.as_array().map_or(std::slice::from_ref(value), |ids| ids.as_slice());
            tokenizer.special.end.extend(ids.iter().filter_map(Value::as_u64).map(|id| id as u32));
        }
        tokenizer.special.end.sort_unstable();
        tokenizer.special.end.dedup();
        Ok(tokenizer)
    }
}

/// Loads a definition; `origin` is for messages of errors.
fn load(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
    let definition: Definition =
        serde_json::from_slice(bytes).map_err(|error| TextError::tokenizer(origin, "JSON", error))?;
    match own(&definition, origin)? {
        Some(tokenizer) => Ok(tokenizer),
        None => from_library(bytes, origin),
    }
}

/// Reads a JSON file that may be missing.
fn read_optional(path: &Path) -> Result<Option<Value>, TextError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TextError::io(path, error)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| TextError::tokenizer(&path.display().to_string(), "JSON", error))
}

/// Loads a definition with the library.
pub(crate) fn from_library(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
    let mut parsing =
        tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| TextError::tokenizer(origin, "definition", error))?;
    // Definitions of encoders cut and fill texts to the length of their last training batch.
    parsing.with_padding(None);
    parsing.with_truncation(None).map_err(|error| TextError::tokenizer(origin, "truncation", error))?;
    let decoder =
        serde_json::to_value(parsing.get_decoder()).map_err(|error| TextError::tokenizer(origin, "decoder", error))?;
    let by_piece = parsing.get_vocab(true);
    let count = by_piece.values().max().map_or(0, |&id| id as usize + 1);
    let mut tokens = vec![("", TokenKind::Unused); count];
    for (piece, &id) in &by_piece {
        tokens[id as usize] = (piece.as_str(), TokenKind::Normal);
    }
    for (id, token) in parsing.get_added_tokens_decoder() {
        tokens[id as usize].1 = if token.special { TokenKind::Special } else { TokenKind::Added };
    }
    let vocabulary = Vocabulary::new(text_rule(&decoder), tokens.into_iter());
    let library = Library { parsing, literal: OnceLock::new() };
    Ok(Tokenizer::new(vocabulary, Encoder::Library(Box::new(library)), SpecialIds::default()))
}

/// The parts of a definition's text processing that the pipeline covers.
struct Steps {
    normalizers: Vec<Normalizer>,
    expressions: Vec<String>,
    byte_level: bool,
    space_in_front: bool,
}

fn own(definition: &Definition, origin: &str) -> Result<Option<Tokenizer>, TextError> {
    let model = &definition.model;
    let Some(added) = definition.added_tokens.as_array().map_or(Some(Vec::new()), |list| added_tokens(list)) else {
        return Ok(None);
    };
    let (Some(steps), Some((before, after)), true) =
        (steps(definition), post_processor(&definition.post_processor), model.is_plain_bpe())
    else {
        return Ok(None);
    };
    let rule = text_rule(&definition.decoder);
    if steps.byte_level != (rule == TextRule::ByteLevel) || rule == TextRule::WordPiece {
        return Ok(None);
    }
    let vocabulary = vocabulary(model, &added, rule);
    let Some(merges) = merges(model, &vocabulary) else { return Ok(None) };
    let Some(alphabet) = alphabet(model, &vocabulary, steps.byte_level) else { return Ok(None) };
    let (normalized, raw) = added.into_iter().partition(|token| token.normalized);
    let pipeline = Pipeline {
        added: AddedTokens::new(raw),
        added_normalized: AddedTokens::new(normalized),
        normalizers: steps.normalizers,
        splitter: Splitter::new(&steps.expressions, origin, "pre_tokenizer")?,
        space_in_front: steps.space_in_front,
        model: Model::Bpe(Bpe::new(merges, alphabet, model.ignore_merges)),
        before,
        after,
    };
    Ok(Some(Tokenizer::new(vocabulary, Encoder::Own(Box::new(pipeline)), SpecialIds::default())))
}

fn vocabulary(model: &ModelDefinition, added: &[AddedToken], rule: TextRule) -> Vocabulary {
    let last = model.vocabulary.iter().map(|(_, id)| *id).chain(added.iter().map(|token| token.id)).max();
    let mut tokens = vec![("", TokenKind::Unused); last.map_or(0, |id| id as usize + 1)];
    for (piece, id) in &model.vocabulary {
        tokens[*id as usize] = (piece, TokenKind::Normal);
    }
    for token in added {
        let kind = if token.special { TokenKind::Special } else { TokenKind::Added };
        tokens[token.id as usize] = (&token.content, kind);
    }
    Vocabulary::new(rule, tokens.into_iter())
}

/// `None` when a merge names a piece that is no token. Looking pieces up waits for memory, so threads share it.
fn merges(model: &ModelDefinition, vocabulary: &Vocabulary) -> Option<PairTable> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
    let share = model.merges.len().div_ceil(threads).max(4096);
    let shares: Vec<Option<Vec<[u32; 3]>>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            model.merges.chunks(share).map(|merges| scope.spawn(|| resolve(merges, vocabulary))).collect();
        workers.into_iter().map(|worker| worker.join().expect("resolving merges does not panic")).collect()
    });
    let mut table = PairTable::with_capacity(model.merges.len());
    let mut rank = 0;
    for share in shares {
        for [left, right, merged] in share? {
            table.insert(left, right, rank, merged);
            rank += 1;
        }
    }
    Some(table)
}

/// The ids of the pieces of merges: left, right, both.
fn resolve(merges: &[(Cow<str>, Cow<str>)], vocabulary: &Vocabulary) -> Option<Vec<[u32; 3]>> {
    let mut joined = String::new();
    let mut merged = 0;
    let resolve_one = |(left, right): &(Cow<str>, Cow<str>)| {
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        // Merges mostly come in the order of what they make: the same token again, or the next one.
        let near = [merged, merged + 1].into_iter().find(|&id| vocabulary.piece_is(id, &joined));
        merged = near.or_else(|| vocabulary.id_of(&joined))?;
        Some([vocabulary.id_of(left)?, vocabulary.id_of(right)?, merged])
    };
    merges.iter().map(resolve_one).collect()
}

fn alphabet(model: &ModelDefinition, vocabulary: &Vocabulary, byte_level: bool) -> Option<Alphabet> {
    if byte_level {
        return Some(Alphabet::Bytes(vocabulary.byte_level_tokens()));
    }
    let byte_tokens = match model.byte_fallback {
        true => Some(vocabulary.byte_tokens()).filter(|table| !table.contains(&u32::MAX)),
        false => None,
    };
    if model.byte_fallback && byte_tokens.is_none() {
        return None;
    }
    let unknown = match &model.unk_token {
        Some(token) => Some(vocabulary.id_of(token)?),
        None => None,
    };
    Some(Alphabet::Characters { byte_tokens, unknown, fuse_unknown: model.fuse_unk })
}

fn added_tokens(list: &[Value]) -> Option<Vec<AddedToken>> {
    let flag = |token: &Value, key: &str| token[key].as_bool().unwrap_or(false);
    list.iter()
        .map(|token| {
            Some(AddedToken {
                id: token["id"].as_u64()? as u32,
                content: token["content"].as_str()?.to_string(),
                special: flag(token, "special"),
                normalized: flag(token, "normalized"),
                lstrip: flag(token, "lstrip"),
                rstrip: flag(token, "rstrip"),
                single_word: flag(token, "single_word"),
            })
        })
        .collect()
}

/// The members of a `Sequence`, or the step itself; none for null.
fn members<'a>(step: &'a Value, key: &str) -> Vec<&'a Value> {
    match (step["type"].as_str(), step[key].as_array()) {
        (Some("Sequence"), Some(list)) => list.iter().collect(),
        (Some(_), _) => vec![step],
        (None, _) => vec![],
    }
}

fn steps(definition: &Definition) -> Option<Steps> {
    let mut steps =
        Steps { normalizers: Vec::new(), expressions: Vec::new(), byte_level: false, space_in_front: false };
    for step in members(&definition.normalizer, "normalizers") {
        steps.normalizers.push(normalizer(step)?);
    }
    let spaces_replaced =
        steps.normalizers.iter().any(|step| matches!(step, Normalizer::Replace(from, _) if from == " "));
    for step in members(&definition.pre_tokenizer, "pretokenizers") {
        // What follows the byte table would see its characters, not the text's.
        if steps.byte_level {
            return None;
        }
        match step["type"].as_str()? {
            "Split" if spaces_replaced && step["pattern"]["String"] == " " => {}
            "Split" if step["behavior"] == "Isolated" && step["invert"] != true => {
                steps.expressions.push(pattern(&step["pattern"])?);
            }
            "Digits" => {
                let one = step["individual_digits"].as_bool()?;
                steps.expressions.push(if one { r"\p{N}" } else { r"\p{N}+" }.to_string());
            }
            "ByteLevel" => {
                steps.byte_level = true;
                steps.space_in_front = step["add_prefix_space"].as_bool().unwrap_or(true);
                // The space would have to come before the splits.
                if steps.space_in_front && !steps.expressions.is_empty() {
                    return None;
                }
                if step["use_regex"].as_bool().unwrap_or(true) {
                    steps.expressions.push(GPT2.to_string());
                }
            }
            "Metaspace" if step["split"] == false && step["replacement"] == "▁" && steps.expressions.is_empty() => {
                let scheme = step["prepend_scheme"].as_str().unwrap_or("always");
                steps.normalizers.push(Normalizer::Metaspace(match scheme {
                    "first" => Prefix::First,
                    "never" => Prefix::Never,
                    "always" => Prefix::Always,
                    _ => return None,
                }));
            }
            _ => return None,
        }
    }
    Some(steps)
}

fn normalizer(step: &Value) -> Option<Normalizer> {
    Some(match step["type"].as_str()? {
        "NFC" => Normalizer::Nfc,
        "NFD" => Normalizer::Nfd,
        "NFKC" => Normalizer::Nfkc,
        "NFKD" => Normalizer::Nfkd,
        "Lowercase" => Normalizer::Lowercase,
        "Replace" => {
            Normalizer::Replace(step["pattern"]["String"].as_str()?.to_string(), step["content"].as_str()?.to_string())
        }
        "Prepend" => Normalizer::Prepend(step["prepend"].as_str()?.to_string()),
        _ => return None,
    })
}

fn pattern(pattern: &Value) -> Option<String> {
    match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
        (Some(expression), _) => Some(expression.to_string()),
        (None, Some(text)) => Some(fancy_regex::escape(text).into_owned()),
        (None, None) => None,
    }
}

/// The ids put before and after a text.
fn post_processor(value: &Value) -> Option<(Vec<u32>, Vec<u32>)> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for step in members(value, "processors") {
        match step["type"].as_str()? {
            "ByteLevel" => {}
            "TemplateProcessing" => {
                let mut seen = false;
                for part in step["single"].as_array()? {
                    if part.get("Sequence").is_some() {
                        seen = true;
                        continue;
                    }
                    let name = part["SpecialToken"]["id"].as_str()?;
                    let ids = step["special_tokens"][name]["ids"].as_array()?;
                    let ids = ids.iter().map(|id| id.as_u64().map(|id| id as u32)).collect::<Option<Vec<u32>>>()?;
                    if seen { after.extend(ids) } else { before.extend(ids) }
                }
            }
            "BertProcessing" | "RobertaProcessing" => {
                before.push(step["cls"][1].as_u64()? as u32);
                after.push(step["sep"][1].as_u64()? as u32);
            }
            _ => return None,
        }
    }
    Some((before, after))
}

/// Reads how a `decoder` spells text.
fn text_rule(decoder: &Value) -> TextRule {
    let steps = members(decoder, "decoders");
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
