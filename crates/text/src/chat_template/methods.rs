//! Methods of Python's strings, lists and dicts that the engine's own compatibility layer lacks.
//!
//! Invariant: positions and widths count characters, as in Python. Read `python` for the rest of its behaviour.

use minijinja::value::{Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Calls a method by name.
pub fn call(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => string_method(text, name, args)?,
        (ValueKind::Seq, _) => list_method(value, name, args)?,
        (ValueKind::Map, _) if name == "copy" => Some(value.clone()),
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

fn string_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "rsplit" => {
            let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
            rsplit(text, separator, usize::try_from(most.unwrap_or(-1)).unwrap_or(usize::MAX - 1))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (before, found, after) = match text.split_once(separator) {
                Some((before, after)) => (before, separator, after),
                None => (text, "", ""),
            };
            triple(before, found, after)
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (before, found, after) = match text.rsplit_once(separator) {
                Some((before, after)) => (before, separator, after),
                None => ("", "", text),
            };
            triple(before, found, after)
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let at = if name == "index" { text.find(part) } else { text.rfind(part) };
            let at = at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            Value::from(text[..at].chars().count())
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<&str>) = from_args(args)?;
            let missing = width.saturating_sub(text.chars().count());
            let left = match name {
                "ljust" => 0,
                "rjust" => missing,
                _ => missing / 2 + (missing & width & 1),
            };
            let fill = fill.unwrap_or(" ");
            Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)))
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let missing = "0".repeat(width.saturating_sub(text.chars().count()));
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            Value::from(format!("{}{missing}{digits}", &text[..text.len() - digits.len()]))
        }
        "isspace" => {
            let () = from_args(args)?;
            Value::from(!text.is_empty() && text.chars().all(char::is_whitespace))
        }
        _ => return Ok(None),
    }))
}

fn list_method(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match name {
        "copy" => Ok(Some(value.clone())),
        "index" => {
            let (wanted,): (Value,) = from_args(args)?;
            let at = value.try_iter()?.position(|item| item == wanted);
            let at = at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("{wanted} is not in list")))?;
            Ok(Some(Value::from(at)))
        }
        _ => Ok(None),
    }
}

fn rsplit(text: &str, separator: Option<&str>, most: usize) -> Value {
    let mut parts: Vec<&str> = Vec::new();
    match separator {
        Some(separator) => parts.extend(text.rsplitn(most + 1, separator)),
        None => {
            let mut rest = text.trim_end();
            while !rest.is_empty() && parts.len() < most {
                let start = rest.char_indices().rev().find(|(_, c)| c.is_whitespace());
                let start = start.map_or(0, |(at, c)| at + c.len_utf8());
                parts.push(&rest[start..]);
                rest = rest[..start].trim_end();
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
        }
    }
    parts.into_iter().rev().map(Value::from).collect()
}

fn triple(before: &str, found: &str, after: &str) -> Value {
    Value::from(Tuple::from(vec![Value::from(before), Value::from(found), Value::from(after)]))
}
