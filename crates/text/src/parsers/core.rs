//! The streaming core under every syntax: pending input, a machine that consumes it, events out.
//!
//! Invariant: a machine sees all input that has not been consumed and says `More` when it cannot decide; the pieces in
//! which the input came are invisible to it. Read `outline` next.

use serde_json::Value;

/// What was recognised, in order. The pieces of one kind that follow each other belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParserEvent {
    /// Reasoning.
    Thinking(String),
    /// Text of the answer.
    Content(String),
    /// A call begins. `index` counts from 0 over the answer.
    CallStart {
        /// Which call of the answer.
        index: usize,
        /// The function.
        name: String,
        /// The id the model gave, where its syntax has one.
        id: Option<String>,
    },
    /// More of the arguments, as JSON text.
    CallArguments {
        /// Which call.
        index: usize,
        /// The next characters.
        delta: String,
    },
    /// The call is whole: the deltas together are a JSON object.
    CallEnd {
        /// Which call.
        index: usize,
    },
    /// What began as a call is none: this is all its text.
    CallBroken {
        /// Which call.
        index: usize,
        /// What the model wrote from the start of the call on.
        text: String,
    },
}

/// What a parser must know of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParserOptions<'a> {
    /// The array of tools that the model was offered; their schemas give the types of arguments.
    pub tools: Option<&'a Value>,
    /// The end of the prompt: whether the answer begins inside reasoning is written there.
    pub prompt_end: &'a str,
    /// Leave reasoning out.
    pub hide_thinking: bool,
}

/// One whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedOutput {
    /// Reasoning.
    pub thinking: String,
    /// Text of the answer.
    pub content: String,
    /// Calls in order.
    pub calls: Vec<ParsedCall>,
}

/// A call of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedCall {
    /// The function.
    pub name: String,
    /// The id the model gave.
    pub id: Option<String>,
    /// A JSON object as text.
    pub arguments: String,
    index: usize,
}

impl ParsedOutput {
    /// Takes one event in.
    pub fn add(&mut self, event: ParserEvent) {
        match event {
            ParserEvent::Thinking(text) => self.thinking.push_str(&text),
            ParserEvent::Content(text) => self.content.push_str(&text),
            ParserEvent::CallStart { index, name, id } => {
                self.calls.push(ParsedCall { name, id, arguments: String::new(), index });
            }
            ParserEvent::CallArguments { delta, .. } => {
                if let Some(call) = self.calls.last_mut() {
                    call.arguments.push_str(&delta);
                }
            }
            ParserEvent::CallEnd { .. } => {}
            ParserEvent::CallBroken { index, text } => {
                self.calls.retain(|call| call.index != index);
                self.content.push_str(&text);
            }
        }
    }
}

/// A syntax at work.
pub(crate) trait Machine: Send {
    /// Consumes what can be decided. False when more input is needed (or none is left).
    fn step(&mut self, input: &mut Input, output: &mut Output) -> bool;
    /// The input has ended and `step` has said false: hands out what is left.
    fn finish(&mut self, input: &mut Input, output: &mut Output);
}

/// How far the inside of a call has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was consumed.
    Again,
    /// Nothing can be decided yet.
    More,
    /// The block of calls is over.
    Done,
    /// This is no call.
    Failed,
}

/// The inside of a block of calls, from behind its opening marker.
pub(crate) trait Body: Send {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step;
}

/// Where a marker stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// The first of the markers: its position and which.
    At(usize, usize),
    /// None; up to here nothing can be part of one.
    Safe(usize),
}

/// Whether the input goes on with a marker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    No,
    /// The input ends inside it.
    Maybe,
}

/// Input that has not been consumed, and a record of what a call has consumed.
#[derive(Default)]
pub(crate) struct Input {
    text: String,
    at: usize,
    /// Since the opening marker or the last whole call.
    record: String,
    pub(crate) last: bool,
}

impl Input {
    pub(crate) fn push(&mut self, text: &str) {
        self.text.drain(..self.at);
        self.at = 0;
        self.text.push_str(text);
    }

    pub(crate) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.text.len()
    }

    /// Consumes `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> String {
        let taken = self.rest()[..length].to_string();
        self.record.push_str(&taken);
        self.at += length;
        taken
    }

    pub(crate) fn skip(&mut self, length: usize) {
        let (from, to) = (self.at, self.at + length);
        self.record.push_str(&self.text[from..to]);
        self.at = to;
    }

    pub(crate) fn skip_whitespace(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start().len());
    }

    /// What has been consumed since the record began; the record begins anew.
    pub(crate) fn take_record(&mut self) -> String {
        std::mem::take(&mut self.record)
    }

    pub(crate) fn record_is_empty(&self) -> bool {
        self.record.is_empty()
    }

    pub(crate) fn record_is_blank(&self) -> bool {
        self.record.trim().is_empty()
    }

    pub(crate) fn matches(&self, marker: &str) -> Match {
        let rest = self.rest();
        if rest.starts_with(marker) {
            Match::Yes
        } else if !self.last && marker.starts_with(rest) {
            Match::Maybe
        } else {
            Match::No
        }
    }

    /// Whether nothing is left but the beginning of `marker`, with no more to come.
    pub(crate) fn ends_inside(&self, marker: &str) -> bool {
        self.last && marker.starts_with(self.rest())
    }

    pub(crate) fn find(&self, markers: &[&str]) -> Find {
        find(self.rest(), markers, self.last)
    }
}

/// The first of `markers` in `text`, the longest where several begin; otherwise how much of `text` is no marker's start.
pub(crate) fn find(text: &str, markers: &[&str], last: bool) -> Find {
    let mut best: Option<(usize, usize)> = None;
    for (which, marker) in markers.iter().enumerate() {
        let Some(at) = text.find(marker) else { continue };
        let better = best.is_none_or(|(to, old)| at < to || at == to && marker.len() > markers[old].len());
        if better {
            best = Some((at, which));
        }
    }
    if let Some((at, which)) = best {
        // A longer marker may still begin no later than this one.
        let undecided = held_back(text, markers, last);
        return if undecided <= at { Find::Safe(undecided) } else { Find::At(at, which) };
    }
    Find::Safe(held_back(text, markers, last))
}

/// Where the longest end of `text` that a marker begins with starts.
fn held_back(text: &str, markers: &[&str], last: bool) -> usize {
    if last {
        return text.len();
    }
    let longest = markers.iter().map(|marker| marker.len()).max().unwrap_or(0);
    let from = text.len().saturating_sub(longest.saturating_sub(1));
    (from..text.len())
        .find(|&at| text.is_char_boundary(at) && markers.iter().any(|marker| marker.starts_with(&text[at..])))
        .unwrap_or(text.len())
}

/// The tools of a request, as far as parsers look at them.
#[derive(Default)]
pub(crate) struct Tools {
    list: Vec<(String, Value)>,
}

impl Tools {
    fn new(tools: Option<&Value>) -> Tools {
        let list = tools.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = list.iter().filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            let parameters = function.get("parameters").or_else(|| function.get("input_schema"));
            Some((function["name"].as_str()?.to_string(), parameters.cloned().unwrap_or(Value::Null)))
        });
        Tools { list: named.collect() }
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.list.iter().any(|(known, _)| known == name)
    }

    /// Whether `function` was offered and `keys` are all the arguments that it requires.
    pub(crate) fn satisfied(&self, function: &str, keys: &[String]) -> bool {
        let Some((_, schema)) = self.list.iter().find(|(name, _)| name == function) else { return false };
        let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.all(|name| keys.iter().any(|key| key == name))
    }

    /// The function that a model means: names repeated (`read.read`) or with tokens in them are repaired.
    pub(crate) fn resolve(&self, written: &str) -> String {
        let mut name = written.trim().trim_matches('"').to_string();
        while let Some((before, rest)) = name.split_once("<|") {
            let Some((_, after)) = rest.split_once("|>") else { break };
            name = format!("{before}{after}").trim().to_string();
        }
        match name.split_once('.') {
            Some((once, again)) if once == again && !self.knows(&name) && self.knows(once) => once.to_string(),
            _ => name,
        }
    }

    /// The schema of the arguments of `function`.
    pub(crate) fn schema(&self, function: &str) -> Option<&Value> {
        self.list.iter().find(|(name, _)| name == function).map(|(_, schema)| schema)
    }

    /// The JSON types that the schema of `function` allows for `parameter`; empty when it does not say.
    pub(crate) fn types(&self, function: &str, parameter: &str) -> Vec<String> {
        self.schema(function).map_or_else(Vec::new, |schema| types_of(&schema["properties"][parameter]))
    }
}

/// The JSON types that a schema allows; empty when it does not say.
pub(crate) fn types_of(schema: &Value) -> Vec<String> {
    let mut types = Vec::new();
    collect_types(schema, &mut types);
    types
}

fn collect_types(schema: &Value, types: &mut Vec<String>) {
    match &schema["type"] {
        Value::String(one) if !one.is_empty() => types.push(one.clone()),
        Value::Array(several) => types.extend(several.iter().filter_map(Value::as_str).map(str::to_string)),
        _ => {}
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for branch in schema[key].as_array().into_iter().flatten() {
            collect_types(branch, types);
        }
    }
    if types.is_empty() && schema["enum"].as_array().is_some_and(|values| values.iter().all(Value::is_string)) {
        types.push("string".into());
    }
}

/// Events so far, and the whitespace that waits for what follows it.
#[derive(Default)]
pub(crate) struct Output {
    events: Vec<ParserEvent>,
    pub(crate) tools: Tools,
    hide_thinking: bool,
    /// Calls begun so far.
    calls: usize,
    /// A call has begun and not ended.
    open: bool,
    content: Held,
    thinking: Held,
}

/// Whitespace at the end of a text is held back: it goes where a marker follows.
#[derive(Default)]
pub(crate) struct Held {
    whitespace: String,
    skip_leading: bool,
}

impl Held {
    /// What of `text` can be handed out.
    fn admit(&mut self, text: &str) -> String {
        let text = if self.skip_leading { text.trim_start() } else { text };
        if text.is_empty() {
            return String::new();
        }
        self.skip_leading = false;
        let kept = text.trim_end();
        if kept.is_empty() {
            self.whitespace.push_str(text);
            return String::new();
        }
        let mut out = std::mem::replace(&mut self.whitespace, text[kept.len()..].to_string());
        out.push_str(kept);
        out
    }
}

impl Output {
    /// Of an answer to a prompt with these options.
    pub(crate) fn new(options: &ParserOptions) -> Output {
        Output { tools: Tools::new(options.tools), hide_thinking: options.hide_thinking, ..Output::default() }
    }

    /// What was recognised since it was last asked.
    pub(crate) fn take_events(&mut self) -> Vec<ParserEvent> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn content(&mut self, text: &str) {
        let text = self.content.admit(text);
        self.emit_content(text);
    }

    pub(crate) fn thinking(&mut self, text: &str) {
        let text = self.thinking.admit(text);
        self.emit_thinking(text);
    }

    /// Whitespace held back at the end of the text goes out.
    pub(crate) fn flush_content(&mut self) {
        let text = std::mem::take(&mut self.content.whitespace);
        self.emit_content(text);
    }

    /// Whitespace held back at the end of the reasoning goes out.
    pub(crate) fn flush_thinking(&mut self) {
        let text = std::mem::take(&mut self.thinking.whitespace);
        self.emit_thinking(text);
    }

    /// Whitespace at the end of the text goes, and what follows is skipped too.
    pub(crate) fn trim_content(&mut self) {
        self.content.whitespace.clear();
        self.content.skip_leading = true;
    }

    /// Whitespace at the end of the reasoning goes, and at the start of what follows.
    pub(crate) fn trim_thinking(&mut self) {
        self.thinking.whitespace.clear();
        self.thinking.skip_leading = true;
    }

    /// A call has begun and not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    fn emit_content(&mut self, text: String) {
        match self.events.last_mut() {
            _ if text.is_empty() => {}
            Some(ParserEvent::Content(before)) => before.push_str(&text),
            _ => self.events.push(ParserEvent::Content(text)),
        }
    }

    fn emit_thinking(&mut self, text: String) {
        match self.events.last_mut() {
            _ if text.is_empty() || self.hide_thinking => {}
            Some(ParserEvent::Thinking(before)) => before.push_str(&text),
            _ => self.events.push(ParserEvent::Thinking(text)),
        }
    }

    /// A call begins.
    pub(crate) fn start(&mut self, name: &str, id: Option<String>) {
        self.open = true;
        self.events.push(ParserEvent::CallStart { index: self.calls, name: name.to_string(), id });
        self.calls += 1;
    }

    /// More of the open call's arguments.
    pub(crate) fn arguments(&mut self, text: &str) {
        match self.events.last_mut() {
            _ if text.is_empty() => {}
            Some(ParserEvent::CallArguments { delta, .. }) => delta.push_str(text),
            _ => self.events.push(ParserEvent::CallArguments { index: self.calls - 1, delta: text.to_string() }),
        }
    }

    /// The open call is whole: the record begins anew.
    pub(crate) fn end(&mut self, input: &mut Input) {
        self.open = false;
        input.take_record();
        self.events.push(ParserEvent::CallEnd { index: self.calls - 1 });
    }

    /// What has been recorded is no call but text.
    pub(crate) fn broken(&mut self, input: &mut Input) {
        let text = input.take_record();
        if self.open {
            self.open = false;
            self.content.skip_leading = false;
            let text = std::mem::take(&mut self.content.whitespace) + &text;
            self.events.push(ParserEvent::CallBroken { index: self.calls - 1, text });
        } else {
            self.content.skip_leading = false;
            self.content(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_become_a_marker_waits() {
        assert_eq!(find("abc<tool", &["<tool_call>"], false), Find::Safe(3));
        assert_eq!(find("abc<tool", &["<tool_call>"], true), Find::Safe(8));
        assert_eq!(find("abc<tools>", &["<tool_call>"], false), Find::Safe(10));
        assert_eq!(find("a</think>b", &["<tool_call>", "</think>"], false), Find::At(1, 1));
        assert_eq!(find("a<<b", &["<b>", "<"], false), Find::At(1, 1));
        assert_eq!(find("[T", &["[T", "[TOOLS]"], false), Find::Safe(0));
    }
}
