//! Settings into and out of JSON and TOML files that belong to others.
//!
//! Invariant: what we do not set stays as it is; undoing what was set leaves what others changed in the meantime, and
//! when they changed nothing, the very bytes of before.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table};

/// Keys from the outermost in.
pub type Keys = &'static [&'static str];

/// What we set in a file.
pub enum Edits {
    /// In a JSON file.
    Json(Vec<JsonEdit>),
    /// In a TOML file: tables, texts, numbers and truth values.
    Toml(Vec<(Keys, Value)>),
}

/// A change of a JSON file.
pub enum JsonEdit {
    /// This is the value.
    Set(Keys, Value),
    /// This is the value where there is none.
    Default(Keys, Value),
    /// In a list of objects, this is the one with its value of `key`.
    Item {
        /// The list.
        list: Keys,
        /// What tells the objects apart.
        key: &'static str,
        /// The object.
        value: Value,
    },
}

impl Edits {
    /// The text with our settings.
    pub fn apply(&self, text: &str) -> Result<String> {
        match self {
            Edits::Json(edits) => {
                let mut document = parse_json(text)?;
                edits.iter().try_for_each(|edit| edit.apply(&mut document))?;
                Ok(print_json(&document, text))
            }
            Edits::Toml(edits) => {
                let mut document: DocumentMut = text.parse().context("it is no TOML")?;
                for (keys, value) in edits {
                    set_toml(document.as_table_mut(), keys, toml(value)?)?;
                }
                Ok(document.to_string())
            }
        }
    }

    /// The text `now` without our settings, those of `before` in their place; none where no file is left.
    pub fn undo(&self, now: &str, before: &str) -> Result<Option<String>> {
        let (same, empty, text) = match self {
            Edits::Json(edits) => {
                let (mut document, original) = (parse_json(now)?, parse_json(before)?);
                edits.iter().try_for_each(|edit| edit.undo(&mut document, &original))?;
                (document == original, document == Value::Object(Map::new()), print_json(&document, now))
            }
            Edits::Toml(edits) => {
                let mut document: DocumentMut = now.parse().context("it is no TOML")?;
                let original: DocumentMut = before.parse().context("its copy is no TOML")?;
                for (keys, _) in edits {
                    undo_toml(document.as_table_mut(), Some(original.as_table()), keys);
                }
                let text = document.to_string();
                (text.trim() == before.trim(), document.is_empty() && text.trim().is_empty(), text)
            }
        };
        if before.trim().is_empty() {
            return Ok((!empty).then_some(text));
        }
        Ok(Some(if same { before.to_string() } else { text }))
    }
}

impl JsonEdit {
    fn apply(&self, document: &mut Value) -> Result<()> {
        match self {
            JsonEdit::Set(keys, value) => *place(document, keys)? = value.clone(),
            JsonEdit::Default(keys, value) => {
                let place = place(document, keys)?;
                if place.is_null() {
                    *place = value.clone();
                }
            }
            JsonEdit::Item { list, key, value } => {
                let place = place(document, list)?;
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let Some(items) = place.as_array_mut() else { bail!("`{}` is no list", list.join(".")) };
                match items.iter_mut().find(|item| item[*key] == value[*key]) {
                    Some(item) => *item = value.clone(),
                    None => items.push(value.clone()),
                }
            }
        }
        Ok(())
    }

    fn undo(&self, document: &mut Value, original: &Value) -> Result<()> {
        match self {
            JsonEdit::Set(keys, _) | JsonEdit::Default(keys, _) => match get(original, keys) {
                Some(value) => *place(document, keys)? = value.clone(),
                None => remove(document, Some(original), keys),
            },
            JsonEdit::Item { list, key, value } => {
                let before = get(original, list).and_then(Value::as_array);
                let old = before.and_then(|items| items.iter().find(|item| item[*key] == value[*key]));
                let place = place(document, list)?;
                let mut left = place.as_array().cloned().unwrap_or_default();
                match (left.iter().position(|item| item[*key] == value[*key]), old) {
                    (Some(at), Some(old)) => left[at] = old.clone(),
                    (Some(at), None) => drop(left.remove(at)),
                    (None, _) => {}
                }
                *place = Value::Array(left);
                if before.is_none() && place.as_array().is_some_and(Vec::is_empty) {
                    remove(document, Some(original), list);
                }
            }
        }
        Ok(())
    }
}

fn parse_json(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).context("it is no plain JSON (comments would be lost)")?;
    if !value.is_object() {
        bail!("it is no JSON object");
    }
    Ok(value)
}

/// In the manner of `like`: its indentation, its last line.
fn print_json(value: &Value, like: &str) -> String {
    let indented = like.lines().find(|line| line.starts_with([' ', '\t']));
    let indent = indented.map_or("  ", |line| &line[..line.len() - line.trim_start().len()]);
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).expect("values are JSON");
    let end = if like.is_empty() || like.ends_with('\n') { "\n" } else { "" };
    String::from_utf8(bytes).expect("JSON is UTF-8") + end
}

fn get<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

/// Where a value is or goes; objects on the way are made.
fn place<'a>(document: &'a mut Value, keys: &[&str]) -> Result<&'a mut Value> {
    let mut value = document;
    for (depth, key) in keys.iter().enumerate() {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        let Some(map) = value.as_object_mut() else { bail!("`{}` is no object", keys[..depth].join(".")) };
        value = map.entry(*key).or_insert(Value::Null);
    }
    Ok(value)
}

/// Takes a value out, and objects that it leaves empty unless they were there before.
fn remove(document: &mut Value, original: Option<&Value>, keys: &[&str]) {
    let (Some(map), Some((key, rest))) = (document.as_object_mut(), keys.split_first()) else { return };
    let before = original.and_then(|original| original.get(key));
    if let (Some(inner), false) = (map.get_mut(*key), rest.is_empty()) {
        remove(inner, before, rest);
        if before.is_some() || inner.as_object().is_none_or(|inner| !inner.is_empty()) {
            return;
        }
    }
    map.shift_remove(*key);
}

fn toml(value: &Value) -> Result<Item> {
    Ok(match value {
        Value::Object(map) => {
            let mut table = Table::new();
            for (key, value) in map {
                table.insert(key, toml(value)?);
            }
            Item::Table(table)
        }
        Value::String(text) => toml_edit::value(text.as_str()),
        Value::Bool(truth) => toml_edit::value(*truth),
        Value::Number(number) if number.is_i64() => toml_edit::value(number.as_i64().unwrap_or_default()),
        _ => bail!("{value} has no place in TOML"),
    })
}

fn set_toml(table: &mut Table, keys: &[&str], item: Item) -> Result<()> {
    let (key, rest) = keys.split_first().context("a setting has a name")?;
    if rest.is_empty() {
        table.insert(key, item);
        return Ok(());
    }
    let inner = table.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let inner = inner.as_table_mut().with_context(|| format!("`{key}` is no table of its own"))?;
    set_toml(inner, rest, item)
}

fn undo_toml(table: &mut Table, original: Option<&Table>, keys: &[&str]) {
    let Some((key, rest)) = keys.split_first() else { return };
    let before = original.and_then(|original| original.get(key));
    if rest.is_empty() {
        match before {
            Some(item) => drop(table.insert(key, item.clone())),
            None => drop(table.remove(key)),
        }
        return;
    }
    if let Some(inner) = table.get_mut(key).and_then(Item::as_table_mut) {
        undo_toml(inner, before.and_then(Item::as_table), rest);
        if inner.is_empty() && before.is_none() {
            table.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edits() -> Edits {
        Edits::Json(vec![
            JsonEdit::Set(&["a", "b"], json!(1)),
            JsonEdit::Default(&["version"], json!(2)),
            JsonEdit::Item { list: &["list"], key: "id", value: json!({"id": "ours", "x": 1}) },
        ])
    }

    #[test]
    fn json_goes_in_and_out() {
        let before = "{\n    \"z\": [1, 2],\n    \"a\": { \"keep\": true },\n    \"list\": [{\"id\": \"theirs\"}]\n}\n";
        let after = edits().apply(before).unwrap();
        assert_eq!(
            parse_json(&after).unwrap(),
            json!({"z": [1, 2], "a": {"keep": true, "b": 1}, "list": [{"id": "theirs"}, {"id": "ours", "x": 1}], "version": 2})
        );
        assert!(after.contains("\n    \"z\""), "{after}");
        assert_eq!(edits().apply(&after).unwrap(), after, "twice is once");
        assert_eq!(edits().undo(&after, before).unwrap().as_deref(), Some(before));
        let changed = after.replace("\"keep\": true", "\"keep\": false");
        let undone = parse_json(&edits().undo(&changed, before).unwrap().unwrap()).unwrap();
        assert_eq!(undone, json!({"z": [1, 2], "a": {"keep": false}, "list": [{"id": "theirs"}]}));
    }

    #[test]
    fn a_file_that_was_not_there_goes_unless_others_wrote_in_it() {
        let after = edits().apply("").unwrap();
        assert_eq!(edits().undo(&after, "").unwrap(), None);
        let more = after.replace("\"version\": 2", "\"version\": 2,\n  \"theirs\": 3");
        let undone = edits().undo(&more, "").unwrap().unwrap();
        assert_eq!(parse_json(&undone).unwrap(), json!({"theirs": 3}));
    }

    #[test]
    fn what_was_ours_before_comes_back() {
        let before = r#"{"a": {"b": 7}, "list": [{"id": "ours", "x": 9}], "version": 1}"#;
        let after = edits().apply(before).unwrap();
        assert_eq!(parse_json(&after).unwrap(), json!({"a": {"b": 1}, "list": [{"id": "ours", "x": 1}], "version": 1}));
        assert_eq!(edits().undo(&after, before).unwrap().as_deref(), Some(before));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in ["{ // why\n}", "[1]", "{\"a\": 3}", "{\"list\": {}}"] {
            assert!(edits().apply(text).is_err(), "{text}");
        }
        let toml = Edits::Toml(vec![(&["p", "q"], json!({"x": 1}))]);
        for text in ["p = 3", "= 3", "p = { x = 1 }"] {
            assert!(toml.apply(text).is_err(), "{text}");
        }
    }

    #[test]
    fn toml_keeps_comments_and_order() {
        let edits = Edits::Toml(vec![(&["providers", "ours"], json!({"name": "N", "port": 1, "on": true}))]);
        let before = "# mine\nmodel = \"m\" # why\n\n[providers.theirs]\nname = \"T\"\n\n[z]\nq = 1\n";
        let after = edits.apply(before).unwrap();
        assert!(after.contains("[providers.ours]\nname = \"N\"\nport = 1\non = true\n"), "{after}");
        assert!(after.starts_with("# mine\nmodel = \"m\" # why\n") && after.contains("[z]\nq = 1\n"), "{after}");
        assert_eq!(edits.apply(&after).unwrap(), after, "twice is once");
        assert_eq!(edits.undo(&after, before).unwrap().as_deref(), Some(before));
        assert_eq!(edits.undo(&edits.apply("").unwrap(), "").unwrap(), None);
        let changed = after.replace("q = 1", "q = 2");
        assert_eq!(edits.undo(&changed, before).unwrap(), Some(before.replace("q = 1", "q = 2")));
    }
}
