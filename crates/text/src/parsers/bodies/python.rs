//! Calls as Python writes them: `[get_weather(city="Paris", days=3), now()]`, and Python's literals.
//!
//! Invariant: an argument is handed on when it is whole; only literals are values.

use crate::parsers::core::{Body, Input, Match, Output, Step};
use serde_json::{Map, Number, Value};

/// How a syntax frames Python calls.
pub(crate) struct PythonShape {
    /// The calls stand in `[…]`, or may.
    pub(crate) brackets: Brackets,
    /// What ends the block; empty: the bracket does.
    pub(crate) close: &'static str,
    /// A name that was not offered makes it text.
    pub(crate) known_only: bool,
}

/// Whether a list stands around the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brackets {
    Required,
    Optional,
}

/// A block of calls.
pub(crate) struct PythonCalls {
    shape: &'static PythonShape,
    state: State,
    list: bool,
    arguments: usize,
    any: bool,
}

#[derive(Clone, Copy)]
enum State {
    Start,
    Name,
    Arguments,
    Between,
    Close,
}

impl PythonCalls {
    pub(crate) fn boxed(shape: &'static PythonShape) -> Box<dyn Body> {
        Box::new(PythonCalls { shape, state: State::Start, list: false, arguments: 0, any: false })
    }

    fn start(&mut self, input: &mut Input) -> Step {
        input.skip_whitespace();
        match input.rest().chars().next() {
            None if input.last => return Step::Failed,
            None => return Step::More,
            Some('[') => {
                input.skip(1);
                self.list = true;
            }
            Some(_) if self.shape.brackets == Brackets::Required => return Step::Failed,
            Some(_) => {}
        }
        self.state = State::Name;
        Step::Again
    }

    fn name(&mut self, input: &mut Input, output: &mut Output) -> Step {
        input.skip_whitespace();
        let rest = input.rest();
        let length = rest.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c))).unwrap_or(rest.len());
        if length == rest.len() {
            return if input.last || length > 256 { Step::Failed } else { Step::More };
        }
        if self.list && length == 0 && rest.starts_with(']') {
            input.skip(1);
            self.state = State::Close;
            return if self.any || !self.shape.close.is_empty() { Step::Again } else { Step::Failed };
        }
        let name = rest[..length].to_string();
        if length == 0 || !rest[length..].starts_with('(') || self.shape.known_only && !output.tools.knows(&name) {
            return Step::Failed;
        }
        input.skip(length + 1);
        output.start(&name, None);
        output.arguments("{");
        self.arguments = 0;
        self.state = State::Arguments;
        Step::Again
    }

    fn argument(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let Some((length, end)) = until(input.rest(), &[',', ')']) else {
            return if input.last { Step::Failed } else { Step::More };
        };
        let text = input.rest()[..length].trim();
        if !text.is_empty() {
            let Some((key, value_text)) = text.split_once('=') else { return Step::Failed };
            let Some(value) = value(value_text.trim()) else { return Step::Failed };
            let comma = if self.arguments > 0 { "," } else { "" };
            output.arguments(&format!("{comma}{}:{value}", Value::String(key.trim().to_string())));
            self.arguments += 1;
        }
        input.skip(length + 1);
        if end == ')' {
            output.arguments("}");
            output.end(input);
            self.any = true;
            self.state = State::Between;
        }
        Step::Again
    }

    fn between(&mut self, input: &mut Input) -> Step {
        let rest = input.rest();
        let trimmed = rest.trim_start();
        let space = rest.len() - trimmed.len();
        match trimmed.chars().next() {
            None if input.last => Step::Done,
            None => Step::More,
            Some(',') => {
                input.skip(space + 1);
                self.state = State::Name;
                Step::Again
            }
            Some(']') if self.list => {
                input.skip(space + 1);
                self.state = State::Close;
                Step::Again
            }
            Some(_) if self.list => Step::Failed,
            Some(_) => {
                input.skip(space);
                match input.matches(self.shape.close) {
                    Match::Maybe => Step::More,
                    Match::Yes => {
                        self.state = State::Close;
                        Step::Again
                    }
                    Match::No if input.ends_inside(self.shape.close) => {
                        input.skip(input.rest().len());
                        Step::Done
                    }
                    Match::No => {
                        self.state = State::Name;
                        Step::Again
                    }
                }
            }
        }
    }

    fn close(&mut self, input: &mut Input) -> Step {
        if self.shape.close.is_empty() {
            return Step::Done;
        }
        input.skip_whitespace();
        match input.matches(self.shape.close) {
            Match::Maybe => Step::More,
            Match::Yes => {
                input.skip(self.shape.close.len());
                Step::Done
            }
            Match::No => {
                if input.ends_inside(self.shape.close) {
                    input.skip(input.rest().len());
                }
                Step::Done
            }
        }
    }
}

impl Body for PythonCalls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        match self.state {
            State::Start => self.start(input),
            State::Name => self.name(input, output),
            State::Arguments => self.argument(input, output),
            State::Between => self.between(input),
            State::Close => self.close(input),
        }
    }
}

/// The first of `ends` outside of strings and brackets.
fn until(text: &str, ends: &[char]) -> Option<(usize, char)> {
    let mut depth = 0usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if depth == 0 && ends.contains(&c) => return Some((at, c)),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '"' | '\'' => loop {
                match chars.next()?.1 {
                    '\\' => {
                        chars.next()?;
                    }
                    inner if inner == c => break,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    None
}

/// The value of a literal of Python or JSON.
pub(crate) fn value(text: &str) -> Option<Value> {
    let text = text.trim();
    match text {
        "True" | "true" => return Some(Value::Bool(true)),
        "False" | "false" => return Some(Value::Bool(false)),
        "None" | "null" => return Some(Value::Null),
        _ => {}
    }
    let inner = |open: char, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    if let Some(items) = inner('[', ']').or_else(|| inner('(', ')')) {
        return parts(items)?.into_iter().map(value).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    if let Some(items) = inner('{', '}') {
        let mut map = Map::new();
        for item in parts(items)? {
            let (at, _) = until(item, &[':'])?;
            let key = match value(&item[..at])? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            map.insert(key, value(&item[at + 1..])?);
        }
        return Some(Value::Object(map));
    }
    for quote in ['"', '\''] {
        if text.len() >= 2 && text.starts_with(quote) {
            return text.strip_suffix(quote).and_then(|text| unquoted(&text[1..], quote)).map(Value::String);
        }
    }
    number(text)
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('+').unwrap_or(text).replace('_', "");
    if let Ok(whole) = digits.parse::<i64>() {
        return Some(whole.into());
    }
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    digits.parse::<f64>().ok().filter(|_| plain).and_then(Number::from_f64).map(Value::Number)
}

fn parts(text: &str) -> Option<Vec<&str>> {
    let mut list = Vec::new();
    let mut rest = text;
    loop {
        match until(rest, &[',']) {
            Some((at, _)) => {
                list.push(&rest[..at]);
                rest = &rest[at + 1..];
            }
            None => {
                if !rest.trim().is_empty() {
                    list.push(rest);
                }
                return Some(list);
            }
        }
    }
}

fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            other @ ('"' | '\'' | '\\') => out.push(other),
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_values_and_names_are_none() {
        let cases = [
            ("'it\\'s'", Some(json!("it's"))),
            ("[1, 2.5, -3e2, 'a,b']", Some(json!([1, 2.5, -300.0, "a,b"]))),
            ("{'a': {'b': None}, \"c\": (True,)}", Some(json!({"a": {"b": null}, "c": [true]}))),
            ("\"a\\u00e9\\n\"", Some(json!("aé\n"))),
            ("open('/etc/passwd')", None),
            ("name", None),
            ("inf", None),
            ("'a' + 'b'", None),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
