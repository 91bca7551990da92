//! The functions that templates call: those of Go's templates and those that Ollama adds.
//!
//! Invariant: `is_known` and `call` have the same list; `and` and `or` are in `eval`, for they do not look at all of
//! their arguments.

use std::cmp::Ordering;
use std::rc::Rc;

use super::value::{Value, decimal, go_json};
use crate::chat_template::time;

const KNOWN: &[&str] = &[
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "slice",
    "print",
    "println",
    "printf",
    "json",
    "currentDate",
    "yesterdayDate",
    "toTypeScriptType",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Calls a function. `now_seconds` is the present.
pub(super) fn call(name: &str, arguments: &[Value], now_seconds: u64) -> Result<Value, String> {
    let wanted = |count: usize| match arguments.len() == count {
        true => Ok(()),
        false => Err(format!("{name} wants {count} argument(s), not {}", arguments.len())),
    };
    Ok(match name {
        "not" => {
            wanted(1)?;
            Value::Bool(!arguments[0].is_true())
        }
        "eq" => match arguments {
            [first, rest @ ..] if !rest.is_empty() => Value::Bool(rest.iter().any(|other| equal(first, other))),
            _ => return Err("eq wants two values or more".into()),
        },
        "ne" => {
            wanted(2)?;
            Value::Bool(!equal(&arguments[0], &arguments[1]))
        }
        "lt" | "le" | "gt" | "ge" => {
            wanted(2)?;
            let order = compare(&arguments[0], &arguments[1])?;
            Value::Bool(match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "len" => {
            wanted(1)?;
            Value::Whole(length(&arguments[0]).ok_or_else(|| format!("{} has no length", arguments[0].kind()))? as i64)
        }
        "index" => index(arguments)?,
        "slice" => slice(arguments)?,
        "print" => Value::text(&print(arguments)),
        "println" => Value::text(&(arguments.iter().map(Value::print).collect::<Vec<_>>().join(" ") + "\n")),
        "printf" => Value::text(&printf(arguments)?),
        "json" => {
            wanted(1)?;
            Value::text(&go_json(&arguments[0].json()))
        }
        "currentDate" => Value::text(&time::strftime("%Y-%m-%d", now_seconds)),
        "yesterdayDate" => Value::text(&time::strftime("%Y-%m-%d", now_seconds.saturating_sub(86_400))),
        "toTypeScriptType" => {
            wanted(1)?;
            Value::text(&typescript(&arguments[0].json()))
        }
        other => return Err(format!("function \"{other}\" not defined")),
    })
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Nil, Value::Nil) => true,
        (Value::Whole(a), Value::Whole(b)) => a == b,
        _ => matches!(compare(a, b), Ok(Ordering::Equal)),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, String> {
    let number = |value: &Value| match value {
        Value::Whole(number) => Some(*number as f64),
        Value::Decimal(number) => Some(*number),
        _ => None,
    };
    let order = match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Whole(a), Value::Whole(b)) => Some(a.cmp(b)),
        (a, b) => number(a).zip(number(b)).and_then(|(a, b)| a.partial_cmp(&b)),
    };
    order.ok_or_else(|| format!("{} and {} cannot be compared", a.kind(), b.kind()))
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Text(text) => Some(text.len()),
        Value::List(list) => Some(list.len()),
        Value::Map(entries) => Some(entries.len()),
        _ => None,
    }
}

fn place(value: &Value, most: usize) -> Result<usize, String> {
    match value {
        Value::Whole(number) => usize::try_from(*number)
            .ok()
            .filter(|at| *at <= most)
            .ok_or_else(|| format!("index out of range: {number}")),
        other => Err(format!("cannot index with {}", other.kind())),
    }
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let [first, keys @ ..] = arguments else { return Err("index wants a value and keys".into()) };
    let mut value = first.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::List(list), key) => {
                let at = place(key, list.len())?;
                list.get(at).cloned().ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Text(text), key) => {
                let at = place(key, text.len())?;
                let byte = text.as_bytes().get(at).ok_or_else(|| format!("index out of range: {at}"))?;
                Value::Whole(i64::from(*byte))
            }
            (Value::Map(_), Value::Text(key)) => value.field(key)?,
            (other, _) => return Err(format!("cannot index {}", other.kind())),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let [value, bounds @ ..] = arguments else { return Err("slice wants a value".into()) };
    let length = length(value).filter(|_| !matches!(value, Value::Map(_)));
    let length = length.ok_or_else(|| format!("{} cannot be cut", value.kind()))?;
    if bounds.len() > 2 {
        return Err("slice wants at most two indexes".into());
    }
    let from = bounds.first().map_or(Ok(0), |at| place(at, length))?;
    let to = bounds.get(1).map_or(Ok(length), |at| place(at, length))?;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match value {
        Value::List(list) => Ok(Value::List(Rc::new(list[from..to].to_vec()))),
        Value::Text(text) => {
            let part = text.get(from..to).ok_or("a slice must not cut a character")?;
            Ok(Value::text(part))
        }
        other => Err(format!("{} cannot be cut", other.kind())),
    }
}

/// Spaces stand between values that are both no texts.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    for (at, value) in arguments.iter().enumerate() {
        if at > 0 && !is_text(value) && !is_text(&arguments[at - 1]) {
            out.push(' ');
        }
        out.push_str(&value.print());
    }
    out
}

fn printf(arguments: &[Value]) -> Result<String, String> {
    let [Value::Text(format), values @ ..] = arguments else { return Err("printf wants a format".into()) };
    let (mut out, mut values) = (String::new(), values.iter());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        let verb = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || ".-+ #".contains(c) => flags.push(c),
                Some(c) => break c,
                None => return Err("printf: the format ends in %".into()),
            }
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or("printf: there are more verbs than values")?;
        let precision = flags.split_once('.').and_then(|(_, digits)| digits.parse::<usize>().ok());
        let text = match (verb, value) {
            ('s' | 'v', value) => value.print(),
            ('d', Value::Whole(number)) => number.to_string(),
            ('t', Value::Bool(value)) => value.to_string(),
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('f', Value::Decimal(number)) => format!("{number:.*}", precision.unwrap_or(6)),
            ('g', Value::Decimal(number)) => decimal(*number),
            (verb, value) => return Err(format!("printf: %{flags}{verb} of {} is not understood", value.kind())),
        };
        let width = flags.split('.').next().unwrap_or_default();
        let left = width.starts_with('-');
        let width: usize = width.trim_start_matches(['-', '+', ' ', '#']).parse().unwrap_or(0);
        out.push_str(&if left { format!("{text:<width$}") } else { format!("{text:>width$}") });
    }
    Ok(out)
}

/// A property of a tool as a type of TypeScript.
fn typescript(property: &serde_json::Value) -> String {
    if let Some(list) = property["anyOf"].as_array().filter(|list| !list.is_empty()) {
        return list.iter().map(typescript).collect::<Vec<_>>().join(" | ");
    }
    let named = |name: &str| match name {
        "string" => "string",
        "number" | "integer" => "number",
        "boolean" => "boolean",
        "array" => "any[]",
        "object" => "Record<string, any>",
        "null" => "null",
        _ => "any",
    };
    match &property["type"] {
        serde_json::Value::String(name) => named(name).to_string(),
        serde_json::Value::Array(list) if !list.is_empty() => {
            list.iter().map(|name| named(name.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" | ")
        }
        _ => "any".into(),
    }
}
