//! Calls as Gemma writes them: `call:get_weather{city:<|"|>Paris<|"|>,days:3}`.
//!
//! Invariant: an argument is handed on when it is whole; the text between two quote tokens is taken as it is.

use crate::parsers::core::{Body, Find, Input, Match, Output, Step};
use serde_json::{Map, Value};

/// How a syntax writes its braces.
pub(crate) struct BraceShape {
    /// Stands on both sides of a string.
    pub(crate) quote: &'static str,
    /// Ends the call.
    pub(crate) close: &'static str,
}

/// One call.
pub(crate) struct BraceCall {
    shape: &'static BraceShape,
    state: State,
    arguments: usize,
}

#[derive(Clone, Copy)]
enum State {
    Name,
    Arguments,
    Close,
}

impl BraceCall {
    pub(crate) fn boxed(shape: &'static BraceShape) -> Box<dyn Body> {
        Box::new(BraceCall { shape, state: State::Name, arguments: 0 })
    }

    fn name(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let at = match input.find(&["{"]) {
            Find::At(at, _) => at,
            Find::Safe(length) => return if input.last || length > 512 { Step::Failed } else { Step::More },
        };
        let Some(name) = input.rest()[..at].trim().strip_prefix("call:") else { return Step::Failed };
        let name = name.trim().to_string();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '<') {
            return Step::Failed;
        }
        input.skip(at + 1);
        output.start(&name, None);
        output.arguments("{");
        self.state = State::Arguments;
        Step::Again
    }

    fn argument(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let Some((length, end)) = until(input.rest(), self.shape.quote, &[',', '}']) else {
            return if input.last { Step::Failed } else { Step::More };
        };
        let text = input.rest()[..length].trim();
        if !text.is_empty() {
            let Some((key, value)) = entry(text, self.shape.quote) else { return Step::Failed };
            let comma = if self.arguments > 0 { "," } else { "" };
            output.arguments(&format!("{comma}{}:{value}", Value::String(key)));
            self.arguments += 1;
        }
        input.skip(length + 1);
        if end == '}' {
            output.arguments("}");
            output.end(input);
            self.state = State::Close;
        }
        Step::Again
    }

    fn close(&mut self, input: &mut Input) -> Step {
        let rest = input.rest();
        let space = rest.len() - rest.trim_start().len();
        if rest[space..].starts_with(self.shape.close) {
            input.skip(space + self.shape.close.len());
            return Step::Done;
        }
        let partial = self.shape.close.starts_with(&rest[space..]);
        match (partial, input.last) {
            (true, false) => Step::More,
            (true, true) => {
                input.skip(input.rest().len());
                Step::Done
            }
            (false, _) => Step::Done,
        }
    }
}

impl Body for BraceCall {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        match self.state {
            State::Name => self.name(input, output),
            State::Arguments => self.argument(input, output),
            State::Close => match input.matches(self.shape.close) {
                Match::Maybe => Step::More,
                _ => self.close(input),
            },
        }
    }
}

/// The first of `ends` outside of strings and brackets.
fn until(text: &str, quote: &str, ends: &[char]) -> Option<(usize, char)> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(quote) {
            at += quote.len();
            at += text[at..].find(quote)? + quote.len();
            continue;
        }
        if quote.starts_with(rest) && rest.len() < quote.len() {
            return None;
        }
        match c {
            _ if depth == 0 && ends.contains(&c) => return Some((at, c)),
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '"' => {
                let mut inner = text[at + 1..].char_indices();
                at += loop {
                    let (offset, c) = inner.next()?;
                    match c {
                        '\\' => {
                            inner.next()?;
                        }
                        '"' => break offset + 1,
                        _ => {}
                    }
                };
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

fn entry(text: &str, quote: &str) -> Option<(String, Value)> {
    let (at, _) = until(text, quote, &[':'])?;
    let key = text[..at].trim();
    let key = key.strip_prefix(quote).and_then(|key| key.strip_suffix(quote)).unwrap_or(key);
    Some((key.trim_matches('"').to_string(), value(text[at + 1..].trim(), quote)?))
}

fn value(text: &str, quote: &str) -> Option<Value> {
    if let Some(rest) = text.strip_prefix(quote) {
        return rest.strip_suffix(quote).map(|text| Value::String(text.to_string()));
    }
    let inner = |open: char, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    if let Some(items) = inner('[', ']') {
        return parts(items, quote)
            .into_iter()
            .map(|item| value(item, quote))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array);
    }
    if let Some(items) = inner('{', '}') {
        let entries = parts(items, quote).into_iter().map(|item| entry(item, quote));
        return entries.collect::<Option<Map<String, Value>>>().map(Value::Object);
    }
    // Bare words are strings the model forgot to quote.
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string())))
}

fn parts<'a>(text: &'a str, quote: &str) -> Vec<&'a str> {
    let mut list = Vec::new();
    let mut rest = text;
    while let Some((at, _)) = until(rest, quote, &[',']) {
        list.push(rest[..at].trim());
        rest = &rest[at + 1..];
    }
    if !rest.trim().is_empty() {
        list.push(rest.trim());
    }
    list
}
