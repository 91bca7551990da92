//! Values of a template: the truth of them, how they print, their fields, as Go has it.
//!
//! Messages, calls and tools are structs: their fields have Go's names, missing ones are empty, unknown ones are an
//! error. Arguments and properties are maps: any key, sorted when they are gone through. Invariant: what Ollama prints
//! as JSON prints as JSON. Read `eval` for who asks.

use std::rc::Rc;

use serde_json::{Map, Value as Json};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Whole(i64),
    Decimal(f64),
    Text(Rc<str>),
    List(Rc<Vec<Value>>),
    Map(Rc<Vec<(String, Value)>>),
    Struct(&'static Shape, Rc<Map<String, Json>>),
}

/// A struct of Ollama's.
pub(super) struct Shape {
    pub name: &'static str,
    /// Go's name, the JSON key, what it is.
    fields: &'static [(&'static str, &'static str, Type)],
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

#[derive(Clone, Copy, Debug)]
enum Type {
    Text,
    Whole,
    Plain,
    List,
    Map,
    Struct(&'static Shape),
    Structs(&'static Shape),
    /// A map of structs.
    MapOf(&'static Shape),
    /// A text, or a list that prints as its only element.
    Kind,
}

pub(super) static MESSAGE: Shape = Shape {
    name: "Message",
    fields: &[
        ("Role", "role", Type::Text),
        ("Content", "content", Type::Text),
        ("Thinking", "thinking", Type::Text),
        ("Images", "images", Type::List),
        ("ToolCalls", "tool_calls", Type::Structs(&CALL)),
        ("ToolName", "tool_name", Type::Text),
        ("ToolCallID", "tool_call_id", Type::Text),
    ],
};

static CALL: Shape =
    Shape { name: "ToolCall", fields: &[("ID", "id", Type::Text), ("Function", "function", Type::Struct(&CALLED))] };

static CALLED: Shape = Shape {
    name: "ToolCallFunction",
    fields: &[("Index", "index", Type::Whole), ("Name", "name", Type::Text), ("Arguments", "arguments", Type::Map)],
};

pub(super) static TOOL: Shape = Shape {
    name: "Tool",
    fields: &[
        ("Type", "type", Type::Text),
        ("Items", "items", Type::Plain),
        ("Function", "function", Type::Struct(&FUNCTION)),
    ],
};

static FUNCTION: Shape = Shape {
    name: "ToolFunction",
    fields: &[
        ("Name", "name", Type::Text),
        ("Description", "description", Type::Text),
        ("Parameters", "parameters", Type::Struct(&PARAMETERS)),
    ],
};

static PARAMETERS: Shape = Shape {
    name: "ToolFunctionParameters",
    fields: &[
        ("Type", "type", Type::Text),
        ("Defs", "$defs", Type::Plain),
        ("Items", "items", Type::Plain),
        ("Required", "required", Type::List),
        ("Properties", "properties", Type::MapOf(&PROPERTY)),
    ],
};

static PROPERTY: Shape = Shape {
    name: "ToolProperty",
    fields: &[
        ("AnyOf", "anyOf", Type::Structs(&PROPERTY)),
        ("Type", "type", Type::Kind),
        ("Items", "items", Type::Plain),
        ("Description", "description", Type::Text),
        ("Enum", "enum", Type::List),
        ("Properties", "properties", Type::MapOf(&PROPERTY)),
        ("Required", "required", Type::List),
    ],
};

impl Value {
    pub(super) fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// Plain JSON.
    pub(super) fn plain(json: &Json) -> Value {
        match json {
            Json::Null => Value::Nil,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Whole(whole),
                None => Value::Decimal(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::List(Rc::new(list.iter().map(Value::plain).collect())),
            Json::Object(map) => {
                let entries = map.iter().map(|(key, value)| (key.clone(), Value::plain(value)));
                Value::Map(Rc::new(entries.collect()))
            }
        }
    }

    /// A list of structs.
    pub(super) fn structs(shape: &'static Shape, json: &Json) -> Value {
        let list = json.as_array().into_iter().flatten().map(|entry| Value::of(Type::Struct(shape), entry));
        Value::List(Rc::new(list.collect()))
    }

    fn of(kind: Type, json: &Json) -> Value {
        match kind {
            Type::Text => Value::text(json.as_str().unwrap_or_default()),
            Type::Whole => Value::Whole(json.as_i64().unwrap_or(0)),
            Type::Plain => Value::plain(json),
            Type::List => Value::List(Rc::new(json.as_array().into_iter().flatten().map(Value::plain).collect())),
            Type::Map => Value::plain(&if json.is_null() { Json::Object(Map::new()) } else { json.clone() }),
            Type::Struct(shape) => Value::Struct(shape, Rc::new(json.as_object().cloned().unwrap_or_default())),
            Type::Structs(shape) => Value::structs(shape, json),
            Type::MapOf(shape) => {
                let entries = json.as_object().into_iter().flatten();
                let entries = entries.map(|(key, value)| (key.clone(), Value::of(Type::Struct(shape), value)));
                Value::Map(Rc::new(entries.collect()))
            }
            Type::Kind => match json.as_array().map(Vec::as_slice) {
                Some([one]) => Value::plain(one),
                _ => Value::plain(json),
            },
        }
    }

    /// A field of a struct, or the value of a key.
    pub(super) fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Value::Struct(shape, map) => match shape.fields.iter().find(|(field, ..)| *field == name) {
                Some((_, key, kind)) => Ok(Value::of(*kind, map.get(*key).unwrap_or(&Json::Null))),
                None => Err(format!("can't evaluate field {name} in type {}", shape.name)),
            },
            Value::Map(entries) => {
                Ok(entries.iter().find(|(key, _)| key == name).map_or(Value::Nil, |(_, value)| value.clone()))
            }
            Value::Nil => Err(format!("nil has no field {name}")),
            other => Err(format!("can't evaluate field {name} in {}", other.kind())),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "a truth value",
            Value::Whole(_) | Value::Decimal(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Struct(shape, _) => shape.name,
        }
    }

    /// Whether `if` takes it.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Whole(number) => *number != 0,
            Value::Decimal(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
            Value::Struct(..) => true,
        }
    }

    /// As it stands in the prompt.
    pub(super) fn print(&self) -> String {
        match self {
            Value::Nil => "<no value>".into(),
            Value::Bool(value) => value.to_string(),
            Value::Whole(number) => number.to_string(),
            Value::Decimal(number) => decimal(*number),
            Value::Text(text) => text.to_string(),
            Value::List(list) if !list.iter().any(|value| matches!(value, Value::Struct(..) | Value::Map(_))) => {
                let parts: Vec<String> = list.iter().map(Value::print).collect();
                format!("[{}]", parts.join(" "))
            }
            other => go_json(&other.json()),
        }
    }

    /// As JSON, with the fields of structs in their order.
    pub(super) fn json(&self) -> Json {
        match self {
            Value::Nil => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Whole(number) => Json::from(*number),
            Value::Decimal(number) => Json::from(*number),
            Value::Text(text) => Json::from(text.as_ref()),
            Value::List(list) => list.iter().map(Value::json).collect(),
            // Go writes maps in the order of their keys.
            Value::Map(entries) => {
                let mut entries: Vec<(String, Json)> =
                    entries.iter().map(|(key, value)| (key.clone(), value.json())).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Json::Object(entries.into_iter().collect())
            }
            Value::Struct(shape, map) => Json::Object(ordered(shape, map)),
        }
    }
}

/// Known fields in their order, then the rest: what a schema says beyond them is not lost.
fn ordered(shape: &'static Shape, map: &Map<String, Json>) -> Map<String, Json> {
    let mut out = Map::new();
    for (_, key, kind) in shape.fields {
        let Some(value) = map.get(*key).filter(|value| !value.is_null()) else { continue };
        let value = match kind {
            Type::Text | Type::Whole => value.clone(),
            _ => Value::of(*kind, value).json(),
        };
        out.insert((*key).to_string(), value);
    }
    for (key, value) in map {
        if !out.contains_key(key) && !value.is_null() {
            out.insert(key.clone(), value.clone());
        }
    }
    out
}

/// JSON as Go writes it: `<`, `>` and `&` are escaped.
pub(super) fn go_json(json: &Json) -> String {
    let mut text = json.to_string();
    for (c, escape) in
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
    {
        if text.contains(c) {
            text = text.replace(c, escape);
        }
    }
    text
}

/// A number as Go's `%v` writes it.
pub(super) fn decimal(number: f64) -> String {
    let magnitude = number.abs();
    if number != 0.0 && number.is_finite() && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    number.to_string()
}
