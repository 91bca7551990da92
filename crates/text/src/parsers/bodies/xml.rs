//! Calls as tags with values: `<function=f><parameter=city>Paris</parameter></function>` and its kin.
//!
//! Invariant: a value whose type is a string is handed on while it is written; others are read when they are whole.

use super::values::{escaped, is_text, typed};
use crate::parsers::core::{Body, Find, Input, Match, Output, Step};
use serde_json::Value;

/// How a syntax writes a call in tags.
pub(crate) struct XmlShape {
    /// Before the function's name; empty: the block's marker was.
    pub(crate) call_open: &'static str,
    /// Behind the name. Several: the first that comes; the start of a parameter or the block's end stays for later.
    pub(crate) name_end: &'static [&'static str],
    /// Before a parameter's name.
    pub(crate) key_open: &'static str,
    /// Behind it.
    pub(crate) key_end: &'static str,
    /// Between the parameter's name and its value.
    pub(crate) value_open: ValueOpen,
    /// Behind the value.
    pub(crate) value_close: &'static str,
    /// Behind the call; empty: the block's end is.
    pub(crate) call_close: &'static str,
    /// Behind the block; empty: a call is a block.
    pub(crate) block_close: &'static str,
    /// One line break at each end of a value is the syntax's.
    pub(crate) trim_value: bool,
    /// A name that was not offered makes it text.
    pub(crate) known_only: bool,
}

/// What stands between a parameter's name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueOpen {
    Nothing,
    /// A tag, after whitespace.
    Tag(&'static str),
    /// Attributes up to `>`; `string="false"`, or a `type` that is none of a string, says that the value is JSON.
    Attributes,
}

/// A block of such calls.
pub(crate) struct XmlCalls {
    shape: &'static XmlShape,
    state: State,
    function: String,
    /// Names of the parameters so far.
    keys: Vec<String>,
    any: bool,
}

enum State {
    Open,
    Name,
    /// Before a parameter or the end of the call.
    Inside,
    Key,
    ValueOpen(String),
    Value(ValueState),
    CallEnd,
}

struct ValueState {
    types: Vec<String>,
    /// Known to be JSON (true) or a string (false).
    json: Option<bool>,
    begun: bool,
    /// A line break that may be the syntax's.
    held: String,
    /// The value so far, where it is read whole.
    text: String,
}

impl XmlCalls {
    pub(crate) fn boxed(shape: &'static XmlShape) -> Box<dyn Body> {
        let state = if shape.call_open.is_empty() { State::Name } else { State::Open };
        Box::new(XmlCalls { shape, state, function: String::new(), keys: Vec::new(), any: false })
    }

    /// Which of `markers` comes next, after whitespace.
    fn expect(&self, input: &mut Input, markers: &[&str]) -> Result<usize, Step> {
        let rest = input.rest();
        let space = rest.len() - rest.trim_start().len();
        let after = &rest[space..];
        if let Some(which) = markers.iter().position(|marker| !marker.is_empty() && after.starts_with(marker)) {
            input.skip(space + markers[which].len());
            return Ok(which);
        }
        if !input.last && markers.iter().any(|marker| !marker.is_empty() && marker.starts_with(after)) {
            return Err(Step::More);
        }
        Err(Step::Failed)
    }

    fn open(&mut self, input: &mut Input) -> Step {
        match self.expect(input, &[self.shape.call_open, self.shape.block_close]) {
            Ok(0) => {
                self.state = State::Name;
                Step::Again
            }
            Ok(_) => Step::Done,
            Err(Step::Failed) if self.any => Step::Done,
            Err(step) => step,
        }
    }

    fn name(&mut self, input: &mut Input, output: &mut Output) -> Step {
        input.skip_whitespace();
        let (at, marker) = match input.find(self.shape.name_end) {
            Find::At(at, which) => (at, self.shape.name_end[which]),
            Find::Safe(_) if input.last => return Step::Failed,
            Find::Safe(length) => return if length > 512 { Step::Failed } else { Step::More },
        };
        // Further attributes may stand behind the name.
        let written = &input.rest()[..at];
        let name = output.tools.resolve(written.split_once("\" ").map_or(written, |(name, _)| name));
        let unknown = self.shape.known_only && !output.tools.knows(&name);
        if unknown || name.is_empty() || name.contains(|c: char| c.is_whitespace() || "<>\"{}".contains(c)) {
            return Step::Failed;
        }
        let stays = self.shape.key_open.starts_with(marker) || marker == self.shape.block_close;
        input.skip(at + if stays { 0 } else { marker.len() });
        output.start(&name, None);
        output.arguments("{");
        self.function = name;
        self.keys.clear();
        self.state = State::Inside;
        Step::Again
    }

    fn inside(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let close = if self.shape.call_close.is_empty() { self.shape.block_close } else { self.shape.call_close };
        match self.expect(input, &[self.shape.key_open, close]) {
            Ok(0) => self.state = State::Key,
            Ok(_) => {
                self.end(input, output);
                self.state = State::CallEnd;
                if self.shape.call_close.is_empty() {
                    return Step::Done;
                }
            }
            // The end of the answer stands for the end of a call that has all it requires.
            Err(_)
                if input.last && self.may_stop(input, close) && output.tools.satisfied(&self.function, &self.keys) =>
            {
                input.skip(input.rest().len());
                self.end(input, output);
                return Step::Done;
            }
            Err(step) => return step,
        }
        Step::Again
    }

    fn may_stop(&self, input: &Input, close: &str) -> bool {
        close.starts_with(input.rest().trim_start())
    }

    fn end(&mut self, input: &mut Input, output: &mut Output) {
        output.arguments("}");
        output.end(input);
        self.any = true;
    }

    fn key(&mut self, input: &mut Input) -> Step {
        let at = match input.find(&[self.shape.key_end]) {
            Find::At(at, _) => at,
            Find::Safe(_) if input.last => return Step::Failed,
            Find::Safe(length) => return if length > 512 { Step::Failed } else { Step::More },
        };
        let key = input.take(at).trim().trim_matches('"').to_string();
        input.skip(self.shape.key_end.len());
        self.state = State::ValueOpen(key);
        Step::Again
    }

    fn value_open(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let State::ValueOpen(key) = &self.state else { return Step::Failed };
        let mut json = None;
        match self.shape.value_open {
            ValueOpen::Nothing => {}
            ValueOpen::Tag(tag) => {
                if let Err(step) = self.expect(input, &[tag]) {
                    return step;
                }
            }
            ValueOpen::Attributes => {
                let Find::At(at, _) = input.find(&[">"]) else {
                    return if input.last { Step::Failed } else { Step::More };
                };
                let attributes = input.take(at);
                input.skip(1);
                json = match attributes.contains("type=\"") {
                    true => Some(!attributes.contains("type=\"string\"")),
                    false => attributes.contains("string=").then(|| attributes.contains("string=\"false\"")),
                };
            }
        }
        let types = output.tools.types(&self.function, key);
        let comma = if !self.keys.is_empty() { "," } else { "" };
        output.arguments(&format!("{comma}{}:", Value::String(key.clone())));
        self.keys.push(key.clone());
        let held = String::new();
        self.state = State::Value(ValueState { types, json, begun: false, held, text: String::new() });
        Step::Again
    }

    fn value(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let shape = self.shape;
        let State::Value(value) = &mut self.state else { return Step::Failed };
        let (length, closed) = match input.find(&[shape.value_close]) {
            Find::At(at, _) => (at, true),
            Find::Safe(_) if input.last => return Step::Failed,
            Find::Safe(0) => return Step::More,
            Find::Safe(length) => (length, false),
        };
        let piece = input.take(length);
        value.add(&piece, shape.trim_value, output);
        if !closed {
            return Step::Again;
        }
        input.skip(shape.value_close.len());
        value.finish(shape.trim_value, output);
        self.state = State::Inside;
        Step::Again
    }
}

impl ValueState {
    fn streams(&self) -> bool {
        !self.json.unwrap_or(!is_text(&self.types))
    }

    fn add(&mut self, piece: &str, trim: bool, output: &mut Output) {
        if !self.streams() {
            self.text.push_str(piece);
            return;
        }
        let mut text = std::mem::take(&mut self.held) + piece;
        if !self.begun {
            if text.is_empty() {
                return;
            }
            if trim && (text == "\r" || text.starts_with('\n') || text.starts_with("\r\n")) {
                if text == "\r" {
                    self.held = text;
                    return;
                }
                let line_break = if text.starts_with('\n') { 1 } else { 2 };
                text.drain(..line_break);
            }
            self.begun = true;
            output.arguments("\"");
        }
        if trim {
            let kept = text.strip_suffix('\n').unwrap_or(&text).len();
            let kept = text[..kept].strip_suffix('\r').map_or(kept, str::len);
            self.held = text.split_off(kept);
        }
        output.arguments(&escaped(&text));
    }

    fn finish(&mut self, trim: bool, output: &mut Output) {
        if self.streams() {
            if !self.begun {
                output.arguments("\"");
            }
            let lone = self.held == "\r";
            output.arguments(if lone { "\\r\"" } else { "\"" });
            return;
        }
        let mut text = self.text.as_str();
        if trim {
            text = text.strip_prefix('\n').unwrap_or(text);
            text = text.strip_suffix('\n').unwrap_or(text);
        }
        let value = match self.json {
            Some(true) => serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.to_string())),
            _ => typed(text, &self.types),
        };
        output.arguments(&value.to_string());
    }
}

impl Body for XmlCalls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        match self.state {
            State::Open => self.open(input),
            State::Name => self.name(input, output),
            State::Inside => self.inside(input, output),
            State::Key => self.key(input),
            State::ValueOpen(_) => self.value_open(input, output),
            State::Value(_) => self.value(input, output),
            State::CallEnd => {
                if self.shape.block_close.is_empty() {
                    return Step::Done;
                }
                if input.last && input.matches(self.shape.block_close) == Match::No && input.rest().trim().is_empty() {
                    return Step::Done;
                }
                if self.shape.call_open.is_empty() {
                    return Step::Done;
                }
                self.open(input)
            }
        }
    }
}
