//! `tokenizer.json` and its neighbours as GGUF metadata.
//!
//! Byte-level byte-pair encodings whose split GGUF has a name for; anything else is refused.

use std::path::Path;

use olivine_formats::gguf_writer::Field;
use olivine_text::gguf::pre_of_expression;
use serde_json::Value;

use super::unsupported;
use crate::ModelError;
use crate::config::Config;

/// GGUF's numbers of token types.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

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
    let (tokens, types) = tokens(folder, &definition, rows)?;
    let id_of = |token: &str| tokens.iter().position(|known| known == token).map(|id| id as u32);
    let mut out = vec![
        (key("model"), Field::String("gpt2".into())),
        (key("pre"), Field::String(pre(folder, &definition)?.into())),
        (key("merges"), Field::Strings(merges(folder, &definition)?)),
    ];
    for (name, key_name) in [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("pad", "padding_token_id")] {
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
    let hint = "; only byte-level BPE with one of the known pre-tokenizer splits can be written".into();
    unsupported(&folder.join("tokenizer.json"), format!("writing a tokenizer {kind} to a GGUF file"), hint)
}
