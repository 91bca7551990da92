//! Python's behaviour for the template engine: how values print, `tojson`, methods of strings, lists and dicts.
//!
//! Invariant: a value printed by a template reads as Python's `str` and `json.dumps` would spell it.

use super::{methods, time};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::fmt::Write;

/// An environment with the settings and names that Hugging Face gives templates.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters are valid"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|output, _, value| {
        if let Some(text) = value.as_str() {
            output.write_str(text).map_err(Error::from)
        } else {
            output.write_str(&python_str(value)).map_err(Error::from)
        }
    });
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: Value| python_str(&value));
    environment.add_filter("striptags", minijinja_contrib::filters::striptags);
    environment.add_filter("wordcount", |text: String| text.split_whitespace().count());
    environment.add_filter("center", |state: &mut State, text: Value, width: Option<usize>| {
        methods::call(state, &text, "center", &[Value::from(width.unwrap_or(80))])
    });
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    for name in ["escape", "e", "forceescape"] {
        environment.add_filter(name, escape);
    }
    let kinds = |kinds: &'static [ValueKind]| move |value: Value| kinds.contains(&value.kind());
    environment.add_test(
        "iterable",
        kinds(&[ValueKind::Iterable, ValueKind::Map, ValueKind::Seq, ValueKind::String, ValueKind::Undefined]),
    );
    environment.add_test("sequence", kinds(&[ValueKind::Map, ValueKind::Seq, ValueKind::String]));
    environment.add_test("number", kinds(&[ValueKind::Bool, ValueKind::Number]));
    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, python_str(&message)))
    });
    environment.add_function("strftime_now", |format: String| time::format_now(&format));
    environment
}

/// A JSON value as the engine's; keys keep their order.
pub fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(pairs) => Value::from_pairs(pairs.iter().map(|(key, item)| (key.as_str(), value(item)))),
    }
}

/// Rewrites what the engine's parser does not know: `{% generation %}` blocks mark text for training and render as is.
pub fn translate(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        result.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inner = tag[2..end].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match inner {
            "generation" => result.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => result.push_str(&tag.replace("endgeneration", "endif")),
            _ => result.push_str(tag),
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// `str(value)`.
pub fn python_str(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_string(),
        None if value.is_undefined() => String::new(),
        None => {
            let mut out = String::new();
            write_repr(&mut out, value);
            out
        }
    }
}

fn write_repr(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::Undefined => {}
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => write_number(out, value),
        ValueKind::String => write_quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Map => {
            out.push('{');
            for (index, (key, item)) in pairs(value).into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, &key);
                out.push_str(": ");
                write_repr(out, &item);
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            let items = items(value);
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            if value.is_tuple() && items.len() == 1 {
                out.push(',');
            }
            out.push(close);
        }
        _ => write!(out, "{value}").expect("a string takes all"),
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.try_iter().map(|items| items.collect()).unwrap_or_default()
}

fn pairs(value: &Value) -> Vec<(Value, Value)> {
    items(value).into_iter().map(|key| (key.clone(), value.get_item(&key).unwrap_or(Value::UNDEFINED))).collect()
}

fn write_number(out: &mut String, value: &Value) {
    if value.is_integer() {
        write!(out, "{value}").expect("a string takes all");
        return;
    }
    write_float(out, f64::try_from(value.clone()).unwrap_or(f64::NAN));
}

/// `repr(float)`: the shortest digits that read back, with an exponent outside 1e-4 ≤ |x| < 1e16.
fn write_float(out: &mut String, number: f64) {
    if number.is_nan() || number.is_infinite() {
        out.push_str(if number.is_nan() {
            "nan"
        } else if number > 0.0 {
            "inf"
        } else {
            "-inf"
        });
        return;
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').expect("formatted with an exponent");
        let exponent: i32 = exponent.parse().expect("an integer");
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs()).expect("a string takes all");
    } else {
        write!(out, "{number:?}").expect("a string takes all");
    }
}

/// `repr(str)`.
fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                write!(out, "\\x{:02x}", c as u32).expect("a string takes all");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// The text with what HTML reserves written as entities.
fn escape(value: Value) -> String {
    let mut out = String::new();
    for character in python_str(&value).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            other => out.push(other),
        }
    }
    out
}

/// How `json.dumps` is asked to write.
struct JsonStyle {
    ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

fn to_json(value: Value, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = match kwargs.get::<Option<Value>>("indent")? {
        Some(value) if value.is_none() || value.is_undefined() => None,
        Some(value) => Some(match value.as_str() {
            Some(text) => text.to_string(),
            None => " ".repeat(value.as_usize().unwrap_or(0)),
        }),
        None => None,
    };
    let mut style = JsonStyle {
        ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        item_separator: if indent.is_some() { "," } else { ", " }.to_string(),
        key_separator: ": ".to_string(),
        indent,
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    if let Some(separators) = kwargs.get::<Option<Value>>("separators")?
        && let [item, key] = items(&separators).as_slice()
    {
        style.item_separator = python_str(item);
        style.key_separator = python_str(key);
    }
    kwargs.assert_all_used()?;
    let mut out = String::new();
    write_json(&mut out, &value, &style, 0)?;
    Ok(Value::from(out))
}

fn write_json(out: &mut String, value: &Value, style: &JsonStyle, depth: usize) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => write_number(out, value),
        ValueKind::Number => {
            let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
            if number.is_nan() {
                out.push_str("NaN");
            } else if number.is_infinite() {
                out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
            } else {
                write_float(out, number);
            }
        }
        ValueKind::String => write_json_string(out, value.as_str().unwrap_or_default(), style.ascii),
        ValueKind::Map => {
            let mut pairs = pairs(value);
            if style.sort_keys {
                pairs.sort_by_key(|(key, _)| json_key(key));
            }
            write_json_items(out, ('{', '}'), &pairs, style, depth, |out, (key, item)| {
                write_json_string(out, &json_key(key), style.ascii);
                out.push_str(&style.key_separator);
                write_json(out, item, style, depth + 1)
            })?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            write_json_items(out, ('[', ']'), &items(value), style, depth, |out, item| {
                write_json(out, item, style, depth + 1)
            })?;
        }
        kind => {
            let reason = format!("Object of type {kind} is not JSON serializable");
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
    }
    Ok(())
}

fn write_json_items<T>(
    out: &mut String,
    brackets: (char, char),
    items: &[T],
    style: &JsonStyle,
    depth: usize,
    mut write: impl FnMut(&mut String, &T) -> Result<(), Error>,
) -> Result<(), Error> {
    let new_line = |out: &mut String, depth: usize| {
        if let Some(indent) = &style.indent {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        }
    };
    out.push(brackets.0);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&style.item_separator);
        }
        new_line(out, depth + 1);
        write(out, item)?;
    }
    if !items.is_empty() {
        new_line(out, depth);
    }
    out.push(brackets.1);
    Ok(())
}

fn json_key(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".to_string(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_string(),
        _ => python_str(key),
    }
}

fn write_json_string(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => write!(out, "\\u{:04x}", c as u32).expect("a string takes all"),
            c if ascii && (!c.is_ascii() || c == '\u{7f}') => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("a string takes all");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
