//! Parameters of Modelfiles: their names, and their values as JSON.
//!
//! Invariant: a parameter that is not in the table is refused, so that a misspelt one does not change nothing in
//! silence. Read `modelfile` for where they stand and `create` for where they go.

use serde_json::{Map, Value, json};

use crate::HubError;

enum Kind {
    Whole,
    Decimal,
    Switch,
    Texts,
    OneOf(&'static [&'static str]),
}

const PARAMETERS: &[(&str, Kind)] = &[
    ("num_ctx", Kind::Whole),
    ("num_predict", Kind::Whole),
    ("num_keep", Kind::Whole),
    ("num_batch", Kind::Whole),
    ("num_gpu", Kind::Whole),
    ("main_gpu", Kind::Whole),
    ("num_thread", Kind::Whole),
    ("num_gqa", Kind::Whole),
    ("seed", Kind::Whole),
    ("top_k", Kind::Whole),
    ("repeat_last_n", Kind::Whole),
    ("mirostat", Kind::Whole),
    ("draft_num_predict", Kind::Whole),
    ("temperature", Kind::Decimal),
    ("top_p", Kind::Decimal),
    ("min_p", Kind::Decimal),
    ("typical_p", Kind::Decimal),
    ("tfs_z", Kind::Decimal),
    ("repeat_penalty", Kind::Decimal),
    ("presence_penalty", Kind::Decimal),
    ("frequency_penalty", Kind::Decimal),
    ("mirostat_tau", Kind::Decimal),
    ("mirostat_eta", Kind::Decimal),
    ("rope_frequency_base", Kind::Decimal),
    ("rope_frequency_scale", Kind::Decimal),
    ("penalize_newline", Kind::Switch),
    ("use_mmap", Kind::Switch),
    ("use_mlock", Kind::Switch),
    ("numa", Kind::Switch),
    ("low_vram", Kind::Switch),
    ("f16_kv", Kind::Switch),
    ("vocab_only", Kind::Switch),
    ("logits_all", Kind::Switch),
    ("stop", Kind::Texts),
    // Our own: how keys and values are kept.
    ("kv_type", Kind::OneOf(&["bf16", "f16", "f32", "q8", "q4"])),
];

/// Names and texts of a Modelfile → a map of values; a name that may come several times becomes a list.
pub fn values<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Map<String, Value>, HubError> {
    let mut map = Map::new();
    for (name, text) in parameters {
        let (_, kind) = known(name)?;
        let wrong =
            |wanted: &str| HubError::form(format!("parameter {name}"), format!("{wanted} is wanted, not `{text}`"));
        let value = match kind {
            Kind::Whole => json!(text.parse::<i64>().map_err(|_| wrong("a whole number"))?),
            Kind::Decimal => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                json!(number.ok_or_else(|| wrong("a number"))?)
            }
            Kind::Switch => json!(text.parse::<bool>().map_err(|_| wrong("true or false"))?),
            Kind::OneOf(words) if words.contains(&text) => json!(text),
            Kind::OneOf(words) => return Err(wrong(&words.join(", "))),
            Kind::Texts => {
                let list = map.entry(name).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(json!(text));
                }
                continue;
            }
        };
        map.insert(name.to_string(), value);
    }
    Ok(map)
}

/// Checks values that come as JSON.
pub fn check(map: &Map<String, Value>) -> Result<(), HubError> {
    for (name, value) in map {
        let (_, kind) = known(name)?;
        let (fits, wanted) = match kind {
            Kind::OneOf(words) => (words.iter().any(|word| value == word), "another word"),
            Kind::Whole => (value.as_f64().is_some_and(|number| number.fract() == 0.0), "a whole number"),
            Kind::Decimal => (value.is_number(), "a number"),
            Kind::Switch => (value.is_boolean(), "true or false"),
            Kind::Texts => {
                let list = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
                (value.is_string() || list, "a text or a list of texts")
            }
        };
        if !fits {
            return Err(HubError::form(format!("parameter {name}"), format!("{wanted} is wanted, not {value}")));
        }
    }
    match refused(map) {
        Some(why) => Err(HubError::Refused(why)),
        None => Ok(()),
    }
}

/// The parameter among them that would change answers in a way that is not here, and why.
pub fn refused(map: &Map<String, Value>) -> Option<String> {
    let plain = |name: &str| match name {
        "mirostat" => Some((json!(0), "use temperature, top_p or min_p")),
        "tfs_z" => Some((json!(1), "use top_p or min_p")),
        "penalize_newline" => Some((json!(true), "line breaks are tokens like others")),
        "rope_frequency_scale" => Some((json!(1), "positions are those of the model's files")),
        _ => None,
    };
    map.iter().find_map(|(name, value)| {
        let (usual, why) = plain(name)?;
        let same = *value == usual || value.as_f64().is_some_and(|value| Some(value) == usual.as_f64());
        (!same).then(|| format!("parameter {name} {value} is not supported: {why}"))
    })
}

/// Values → names and texts, as Modelfiles write them.
pub fn lines(map: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let mut lines = Vec::new();
    for (name, value) in map {
        match value {
            Value::Array(list) => lines.extend(list.iter().map(|value| (name.clone(), text(value)))),
            value => lines.push((name.clone(), text(value))),
        }
    }
    lines
}

fn known(name: &str) -> Result<&'static (&'static str, Kind), HubError> {
    PARAMETERS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| HubError::Refused(format!("unknown parameter '{name}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_kinds() {
        let given = [("stop", "a"), ("temperature", "0.5"), ("stop", "b"), ("num_ctx", "4096"), ("use_mmap", "true")];
        let map = values(given).unwrap();
        let expected = json!({"stop": ["a", "b"], "temperature": 0.5, "num_ctx": 4096, "use_mmap": true});
        assert_eq!(Value::Object(map.clone()), expected);
        let back = lines(&map);
        let back = values(back.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
        assert_eq!(back, map);
        check(&map).unwrap();
        for (name, text, part) in [
            ("warmth", "1", "unknown parameter 'warmth'"),
            ("num_ctx", "many", "a whole number is wanted, not `many`"),
            ("temperature", "NaN", "a number is wanted"),
            ("use_mmap", "1", "true or false"),
            ("kv_type", "q3", "bf16, f16, f32, q8, q4"),
        ] {
            let error = values([(name, text)]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        for wrong in [json!({"num_ctx": 1.5}), json!({"kv_type": "q3"}), json!({"kv_type": 8})] {
            assert!(check(wrong.as_object().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_would_change_answers_otherwise_is_refused() {
        for (name, usual, other) in [
            ("mirostat", "0", "1"),
            ("tfs_z", "1.0", "0.5"),
            ("penalize_newline", "true", "false"),
            ("rope_frequency_scale", "1", "0.5"),
        ] {
            let of = |text| values([(name, text)]).unwrap();
            check(&of(usual)).unwrap();
            let error = check(&of(other)).unwrap_err().to_string();
            assert!(error.contains(&format!("parameter {name} {other} is not supported")), "{error}");
        }
        check(&values([("mirostat_tau", "5"), ("kv_type", "q8"), ("rope_frequency_base", "1e6")]).unwrap()).unwrap();
    }
}
