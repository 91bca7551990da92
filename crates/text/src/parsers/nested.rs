//! MiniMax M3: calls in tags behind a mark of their own, whose values are tags again where they are lists or objects.
//!
//! Invariant: a call is handed on when it is whole, for only then it is known whether a value is text or holds tags.

use super::bodies::values::typed;
use super::core::{Body, Find, Input, Match, Output, Step};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;
use serde_json::{Map, Value};

/// MiniMax M3.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "minimax-m3", signs: &[&["]<]minimax[>["]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    thinking: &[("<mm:think>", "</mm:think>")],
    calls: &[Opener::new("]<]minimax[>[<tool_call>", || Box::new(Calls))],
    dropped: &["[e~[", "</mm:think>"],
    ..PLAIN
};

const MARK: &str = "]<]minimax[>[";
const OPEN: &str = "]<]minimax[>[<invoke name=\"";
const CLOSE: &str = "]<]minimax[>[</invoke>";
const BLOCK_CLOSE: &str = "]<]minimax[>[</tool_call>";

struct Calls;

impl Body for Calls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        input.skip_whitespace();
        match (input.matches(OPEN), input.matches(BLOCK_CLOSE)) {
            (_, Match::Yes) => {
                input.skip(BLOCK_CLOSE.len());
                return Step::Done;
            }
            (Match::Yes, _) => {}
            (Match::No, Match::No) => return Step::Failed,
            _ => return Step::More,
        }
        let Find::At(end, _) = input.find(&[CLOSE]) else {
            return if input.last { Step::Failed } else { Step::More };
        };
        let Some((name, inside)) = input.rest()[OPEN.len()..end].split_once("\">") else { return Step::Failed };
        let name = output.tools.resolve(name);
        let schema = output.tools.schema(&name).cloned().unwrap_or(Value::Null);
        let Some(arguments) = fields(inside, &schema).filter(|_| !name.is_empty()) else { return Step::Failed };
        input.skip(end + CLOSE.len());
        output.start(&name, None);
        output.arguments(&Value::Object(arguments).to_string());
        output.end(input);
        Step::Again
    }
}

/// Tags side by side, each a field.
fn fields(mut text: &str, schema: &Value) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    while !text.trim().is_empty() {
        let (name, inside, rest) = tag(text)?;
        map.insert(name.to_string(), value(inside, &schema["properties"][name])?);
        text = rest;
    }
    Some(map)
}

fn value(text: &str, schema: &Value) -> Option<Value> {
    let kind = schema["type"].as_str();
    if !text.trim_start().starts_with(MARK) {
        return Some(match kind {
            Some("array") if text.trim().is_empty() => Value::Array(Vec::new()),
            Some("object") if text.trim().is_empty() => Value::Object(Map::new()),
            _ => typed(text, &super::core::types_of(schema)),
        });
    }
    let (first, ..) = tag(text)?;
    if kind == Some("array") || first == "item" && kind != Some("object") {
        let (mut items, mut text) = (Vec::new(), text);
        while !text.trim().is_empty() {
            let (_, inside, rest) = tag(text)?;
            items.push(value(inside, &schema["items"])?);
            text = rest;
        }
        return Some(Value::Array(items));
    }
    fields(text, schema).map(Value::Object)
}

/// The first tag: its name, what it holds, what follows it.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let (name, after) = text.trim_start().strip_prefix(MARK)?.strip_prefix('<')?.split_once('>')?;
    let (open, close) = (format!("{MARK}<{name}>"), format!("{MARK}</{name}>"));
    let (mut depth, mut at) = (1, 0);
    loop {
        let rest = &after[at..];
        let closed = rest.find(&close)?;
        match rest.find(&open).filter(|&opened| opened < closed) {
            Some(opened) => (depth, at) = (depth + 1, at + opened + open.len()),
            None if depth > 1 => (depth, at) = (depth - 1, at + closed + close.len()),
            None => return Some((name, &after[..at + closed], &after[at + closed + close.len()..])),
        }
    }
}
