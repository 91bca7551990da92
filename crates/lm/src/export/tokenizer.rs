//! `tokenizer.json` and its neighbours as GGUF metadata.
//!
//! Byte-level byte-pair encodings whose split GGUF has a name for, and SentencePiece's encodings, whose merges become
//! scores; anything else is refused.

use std::collections::HashMap;
use std::path::Path;

use olivine_formats::gguf_writer::Field;
use olivine_text::gguf::{SENTENCE_PIECE, pre_of_expression};
use serde_json::Value;

use super::unsupported;
use crate::ModelError;
use crate::config::Config;

/// GGUF's numbers of token types.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// SentencePiece's space.
const SPACE: &str = "▁";

/// The split of a byte-level step that brings its own.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The tokenizer's metadata for `rows` tokens; none for a folder without tokenizer.
pub fn metadata(folder: &Path, config: &Config, rows: usize) -> Result<Vec<(String, Field)>, ModelError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let Some(definition) = read(&folder.join("tokenizer.json"))? else {
        return Ok(vec![(key("model"), Field::String("none".into()))]);
    };
    let settings = read(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    let generation = read(&folder.join("generation_config.json"))?.unwrap_or_default();
    let (tokens, mut types) = tokens(folder, &definition, rows)?;
    let id_of = |token: &str| tokens.iter().position(|known| known == token).map(|id| id as u32);
    let mut out = match definition["model"]["byte_fallback"].as_bool() {
        Some(true) => sentence_pieces(folder, &definition, &tokens, &mut types)?,
        _ => vec![
            (key("model"), Field::String("gpt2".into())),
            (key("pre"), Field::String(pre(folder, &definition)?.into())),
            (key("merges"), Field::Strings(merges(folder, &definition)?)),
        ],
    };
    let ids =
        [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("pad", "padding_token_id"), ("unk", "unknown_token_id")];
    for (name, key_name) in ids {
        let named = settings.get(format!("{name}_token"));
        let named = named.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str())).and_then(id_of);
        let field = format!("{name}_token_id");
        let listed = |value: Option<&Value>| match value? {
            Value::Array(ids) => ids.first()?.as_u64(),
            id => id.as_u64(),
        };
        let id =
            named.or_else(|| listed(config.get(&field)).or_else(|| listed(generation.get(&field))).map(|id| id as u32));
        out.extend(id.map(|id| (key(key_name), Field::U32(id))));
    }
    let with_bos = match settings.get("add_bos_token").and_then(Value::as_bool) {
        Some(flag) => flag,
        None => begins_with_special(&definition["post_processor"]),
    };
    out.push((key("add_bos_token"), Field::Bool(with_bos)));
    out.extend(template(folder, &settings)?.map(|text| ("tokenizer.chat_template".to_string(), Field::String(text))));
    out.push((key("tokens"), Field::Strings(tokens)));
    out.push((key("token_type"), Field::I32s(types)));
    Ok(out)
}

fn tokens(folder: &Path, definition: &Value, rows: usize) -> Result<(Vec<String>, Vec<i32>), ModelError> {
    let mut tokens: Vec<_> = (0..rows).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![UNUSED; rows];
    let mut set = |id: u64, token: &str, kind: i32| {
        let place = usize::try_from(id).ok().filter(|&id| id < rows);
        let place = place.ok_or_else(|| {
            let feature = format!("token `{token}` with the id {id} in a model of {rows} tokens");
            unsupported(&folder.join("tokenizer.json"), feature, String::new())
        })?;
        (tokens[place], types[place]) = (token.to_string(), kind);
        Ok::<_, ModelError>(())
    };
    for (token, id) in definition["model"]["vocab"].as_object().into_iter().flatten() {
        set(id.as_u64().unwrap_or(u64::MAX), token, NORMAL)?;
    }
    for added in definition["added_tokens"].as_array().into_iter().flatten() {
        let kind = if added["special"].as_bool().unwrap_or(false) { CONTROL } else { USER_DEFINED };
        set(added["id"].as_u64().unwrap_or(u64::MAX), added["content"].as_str().unwrap_or_default(), kind)?;
    }
    Ok((tokens, types))
}

fn merges(folder: &Path, definition: &Value) -> Result<Vec<String>, ModelError> {
    let merge = |merge: &Value| match merge {
        Value::String(pair) => Some(pair.clone()),
        pair => Some(format!("{} {}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
    };
    let merges = definition["model"]["merges"].as_array().map(|list| list.iter().map(merge).collect::<Option<_>>());
    merges.flatten().ok_or_else(|| refuse(folder, "without merges"))
}

/// SentencePiece's byte-pair encoding: a token's score falls with the place of the first merge that makes it, so that
/// the best score is the earliest merge. Marks the byte tokens in `types`.
fn sentence_pieces(
    folder: &Path,
    definition: &Value,
    tokens: &[String],
    types: &mut [i32],
) -> Result<Vec<(String, Field)>, ModelError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let Some(prefix) = space_prefix(definition) else { return Err(refuse(folder, "of this kind")) };
    let merges = merges(folder, definition)?;
    let mut places = HashMap::new();
    for (place, merge) in merges.iter().enumerate() {
        places.entry(merge.replacen(' ', "", 1)).or_insert(place);
    }
    // A token that no merge makes is never a candidate of readers that go by merges: it comes last.
    let score = |token: &String| -(places.get(token).copied().unwrap_or(merges.len()) as f32);
    let scores = tokens.iter().map(score).collect();
    let unknown = definition["model"]["unk_token"].as_str();
    for (token, kind) in tokens.iter().zip(types) {
        let is_byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        if is_byte && u8::from_str_radix(&token[3..5], 16).is_ok() {
            *kind = BYTE;
        } else if Some(&token[..]) == unknown {
            *kind = UNKNOWN;
        }
    }
    Ok(vec![
        (key("model"), Field::String(SENTENCE_PIECE.into())),
        (key("pre"), Field::String("default".into())),
        (key("scores"), Field::F32s(scores)),
        (key("add_space_prefix"), Field::Bool(prefix)),
    ])
}

/// Whether a space is put before the text; none if the definition does more than turn spaces into `▁`.
fn space_prefix(definition: &Value) -> Option<bool> {
    let steps = |value: &Value, list: &str| match value[list].as_array() {
        Some(steps) => steps.clone(),
        None if value.is_null() => Vec::new(),
        None => vec![value.clone()],
    };
    let mut prefix = false;
    for step in steps(&definition["normalizer"], "normalizers") {
        match step["type"].as_str()? {
            "Prepend" if step["prepend"] == SPACE => prefix = true,
            "Replace" if step["pattern"]["String"] == " " && step["content"] == SPACE => {}
            _ => return None,
        }
    }
    for step in steps(&definition["pre_tokenizer"], "pretokenizers") {
        match step["type"].as_str()? {
            "Metaspace" if step["replacement"] == SPACE && step["split"] == false => {
                let scheme = step["prepend_scheme"].as_str();
                prefix |= matches!(scheme, Some("always" | "first")) || step["add_prefix_space"] == true;
            }
            // No space is left when this step comes.
            "Split" if step["pattern"]["String"] == " " => {}
            _ => return None,
        }
    }
    Some(prefix)
}

/// `tokenizer.ggml.pre`: the name of the expression that splits text into words.
fn pre(folder: &Path, definition: &Value) -> Result<&'static str, ModelError> {
    let step = &definition["pre_tokenizer"];
    let steps = match step["pretokenizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![step],
    };
    let byte_level = steps.iter().find(|step| step["type"] == "ByteLevel");
    let splits: Vec<_> = steps.iter().filter(|step| step["type"] == "Split").collect();
    let is_bpe = definition["model"]["merges"].is_array() && definition["model"]["type"] != "Unigram";
    let whole_words = definition["model"]["ignore_merges"].as_bool().unwrap_or(false);
    let expression = match (byte_level, &splits[..]) {
        (Some(step), []) if steps.len() == 1 && step["use_regex"].as_bool().unwrap_or(true) => Some(GPT2),
        (Some(_), [split]) if steps.len() == 2 => split["pattern"]["Regex"].as_str(),
        _ => None,
    };
    let named = expression.filter(|_| is_bpe).and_then(|expression| pre_of_expression(expression, whole_words));
    named.ok_or_else(|| refuse(folder, "of this kind"))
}

/// Whether a template puts a special token before the text.
fn begins_with_special(processor: &Value) -> bool {
    let steps = match processor["processors"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![processor],
    };
    steps.iter().any(|step| step["single"][0].get("SpecialToken").is_some())
}

fn template(folder: &Path, settings: &Value) -> Result<Option<String>, ModelError> {
    let path = folder.join("chat_template.jinja");
    if path.is_file() {
        return std::fs::read_to_string(&path).map(Some).map_err(|source| ModelError::Io { path, source });
    }
    let listed = |list: &Value| {
        let default = list.as_array()?.iter().find(|entry| entry["name"] == "default")?;
        default["template"].as_str().map(String::from)
    };
    Ok(settings
        .get("chat_template")
        .and_then(|template| template.as_str().map(String::from).or_else(|| listed(template))))
}

fn read(path: &Path) -> Result<Option<Value>, ModelError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| ModelError::Field {
        file: path.display().to_string(),
        field: "(whole file)".into(),
        problem: format!("not valid JSON: {error}"),
    })
}

fn refuse(folder: &Path, kind: &str) -> ModelError {
    let hint = "; byte-level BPE with a known split of words and SentencePiece's BPE can be written".into();
    unsupported(&folder.join("tokenizer.json"), format!("writing a tokenizer {kind} to a GGUF file"), hint)
}

#[cfg(test)]
mod tests {
    use olivine_formats::Mapped;
    use olivine_formats::gguf::Gguf;
    use olivine_formats::gguf_writer::in_memory;
    use olivine_text::{EncodeOptions, Tokenizer};
    use serde_json::json;

    use super::*;

    /// Bytes, letters, and a few words with all ways to merge them, in the order of a training.
    fn sentence_piece(normalizer: Value) -> Value {
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
        tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
        let words =
            ["he", "ll", "lo", "▁w", "or", "ld", "hell", "llo", "wor", "hello", "▁hello", "▁wor", "▁world", "▁▁"];
        tokens.extend(words.map(String::from));
        tokens.extend("▁helowrd é".chars().filter(|c| *c != ' ').map(String::from));
        tokens.sort_by_key(|token| tokens_place(token, &words));
        tokens.dedup();
        let is_token = |text: &str| tokens.iter().any(|token| token == text);
        let mut merges = Vec::new();
        for word in words {
            let splits = word.char_indices().skip(1).map(|(at, _)| word.split_at(at));
            merges.extend(splits.filter(|(a, b)| is_token(a) && is_token(b)).map(|(a, b)| format!("{a} {b}")));
        }
        let vocab: serde_json::Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
        let special = |id: usize| {
            json!({"id": id, "content": tokens[id], "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false})
        };
        json!({
            "version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
            "added_tokens": [special(0), special(1), special(2)],
            "normalizer": normalizer,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": vocab, "merges": merges},
        })
    }

    /// Controls and bytes first, then words in order, then letters.
    fn tokens_place(token: &str, words: &[&str]) -> (usize, usize) {
        match words.iter().position(|word| *word == token) {
            Some(place) => (1, place),
            None if token.starts_with('<') => (0, 0),
            None => (2, token.chars().next().map_or(0, |c| c as usize)),
        }
    }

    #[test]
    fn sentence_pieces_keep_their_ids() {
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let prepend = json!({"type": "Prepend", "prepend": "▁"});
        let both = json!({"type": "Sequence", "normalizers": [prepend, replace]});
        for (normalizer, prefix) in [(replace.clone(), false), (both, true)] {
            let mut definition = sentence_piece(normalizer);
            if prefix {
                let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
                definition["decoder"]["decoders"].as_array_mut().unwrap().push(strip);
            }
            let folder = std::env::temp_dir().join(format!("olivine-spm-{prefix}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("tokenizer.json"), definition.to_string()).unwrap();
            let config = Config::from_json("config.json", r#"{"bos_token_id": 1, "eos_token_id": 2}"#).unwrap();
            let fields = metadata(&folder, &config, 300).unwrap();
            let original = Tokenizer::from_folder(&folder).unwrap();
            std::fs::remove_dir_all(&folder).unwrap();
            let file = Mapped::of_vec("x.gguf", in_memory("x.gguf", &fields, &[], &[]).unwrap());
            let file = Gguf::from_mapped(file).unwrap();
            assert_eq!(file.bool("tokenizer.ggml.add_space_prefix").unwrap(), prefix);
            let written = Tokenizer::from_gguf(&file).unwrap();
            for text in
                ["hello world", "hellow orld", "he ll  hello", "Привет, é world", "lo<s>hell", "w", "  ", "x\n日本"]
            {
                for options in [EncodeOptions::LITERAL, EncodeOptions::RENDERED] {
                    let (ours, theirs) =
                        (written.encode(text, options).unwrap(), original.encode(text, options).unwrap());
                    assert_eq!(ours, theirs, "{text:?}, prefix {prefix}");
                    assert_eq!(written.decode(&ours, true), original.decode(&theirs, true), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn tokenizers_that_do_more_are_refused() {
        let definition = sentence_piece(json!({"type": "NFKC"}));
        assert_eq!(space_prefix(&definition), None);
        let lower = json!({"type": "Sequence", "normalizers": [{"type": "Lowercase"}]});
        assert_eq!(space_prefix(&sentence_piece(lower)), None);
        let mut metaspace = sentence_piece(Value::Null);
        metaspace["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
        assert_eq!(space_prefix(&metaspace), Some(true));
    }
}
