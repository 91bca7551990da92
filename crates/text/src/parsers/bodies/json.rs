//! Calls as JSON: `{"name": …, "arguments": {…}}`, one or several, or a list of them.
//!
//! Invariant: once the name is known the arguments are handed on as they are written; before that they wait.

use super::json_stream::{Fed, JsonStream};
use crate::parsers::core::{Body, Input, Match, Output, Step};
use serde_json::Value;

/// How a syntax writes its JSON calls.
pub(crate) struct JsonShape {
    /// Keys that hold the function's name. Empty: the name is the one key, its value the arguments.
    pub(crate) name: &'static [&'static str],
    /// Keys that hold the arguments.
    pub(crate) arguments: &'static [&'static str],
    /// What ends the block of calls, where anything does.
    pub(crate) close: &'static [&'static str],
    /// A name that was not offered makes it text.
    pub(crate) known_only: bool,
}

/// `{"name": …, "arguments": …}` without an end marker.
pub(crate) const USUAL: JsonShape =
    JsonShape { name: &["name", "function"], arguments: &["arguments", "parameters"], close: &[], known_only: false };

/// A block of calls.
pub(crate) struct JsonCalls {
    shape: &'static JsonShape,
    state: State,
    list: bool,
}

enum State {
    /// Before a `[` or the first `{`.
    Start,
    Object(ObjectCall),
    /// Behind a call.
    Between,
    /// Behind the list.
    Close,
}

impl JsonCalls {
    pub(crate) fn boxed(shape: &'static JsonShape) -> Box<dyn Body> {
        Box::new(JsonCalls { shape, state: State::Start, list: false })
    }

    fn close(&mut self, input: &mut Input) -> Step {
        let close = self.shape.close;
        let mut undecided = false;
        for marker in close {
            match input.matches(marker) {
                Match::Yes => {
                    input.skip(marker.len());
                    return Step::Done;
                }
                Match::Maybe => undecided = true,
                Match::No if input.last && !input.is_empty() && input.ends_inside(marker) => {
                    input.skip(input.rest().len());
                    return Step::Done;
                }
                Match::No => {}
            }
        }
        if undecided { Step::More } else { Step::Done }
    }

    fn begin(&mut self, input: &mut Input) -> Step {
        input.skip_whitespace();
        match input.rest().chars().next() {
            None if input.last => Step::Failed,
            None => Step::More,
            Some('[') if !self.list => {
                self.list = true;
                input.skip(1);
                Step::Again
            }
            Some(']') if self.list => {
                input.skip(1);
                self.state = State::Close;
                Step::Again
            }
            Some('{') => {
                self.state = State::Object(ObjectCall::new(self.shape));
                Step::Again
            }
            Some(_) => Step::Failed,
        }
    }

    fn between(&mut self, input: &mut Input) -> Step {
        let rest = input.rest();
        let trimmed = rest.trim_start();
        let space = rest.len() - trimmed.len();
        match trimmed.chars().next() {
            None if input.last => Step::Done,
            None => Step::More,
            Some(',' | ';') => {
                input.skip(space + 1);
                Step::Again
            }
            Some('{') => {
                input.skip(space);
                self.state = State::Object(ObjectCall::new(self.shape));
                Step::Again
            }
            Some(']') if self.list => {
                input.skip(space + 1);
                self.state = State::Close;
                Step::Again
            }
            Some(_) if self.list => Step::Failed,
            Some(_) => {
                if !self.shape.close.is_empty() {
                    input.skip(space);
                }
                self.state = State::Close;
                Step::Again
            }
        }
    }
}

impl Body for JsonCalls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        match &mut self.state {
            State::Start => self.begin(input),
            State::Object(call) => match call.step(input, output) {
                Step::Done => {
                    self.state = State::Between;
                    Step::Again
                }
                step => step,
            },
            State::Between => self.between(input),
            State::Close => {
                if !self.shape.close.is_empty() {
                    input.skip_whitespace();
                }
                self.close(input)
            }
        }
    }
}

/// Which value of a call's object is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Arguments,
    Id,
    Other,
}

enum Place {
    Open,
    KeyOrEnd,
    Key(JsonStream, String),
    Colon(Role),
    Value(Role, JsonStream, String),
    CommaOrEnd,
}

/// One `{…}` that is a call.
struct ObjectCall {
    shape: &'static JsonShape,
    place: Place,
    id: Option<String>,
    started: bool,
    /// Arguments that came before the name, or whole when they are a string of JSON.
    waiting: Option<String>,
    ended: bool,
}

impl ObjectCall {
    fn new(shape: &'static JsonShape) -> ObjectCall {
        ObjectCall { shape, place: Place::Open, id: None, started: false, waiting: None, ended: false }
    }

    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let mut delta = String::new();
        while let Some(c) = input.rest().chars().next() {
            let step = self.feed(c, &mut delta, output);
            match step {
                Step::Again => input.skip(c.len_utf8()),
                // The character belongs to what follows.
                Step::More => continue,
                Step::Done => {
                    input.skip(c.len_utf8());
                    return self.finish(input, output);
                }
                Step::Failed => {
                    self.hand_on(&mut delta, output);
                    return Step::Failed;
                }
            }
        }
        self.hand_on(&mut delta, output);
        Step::More
    }

    fn hand_on(&mut self, delta: &mut String, output: &mut Output) {
        if self.started && !delta.is_empty() {
            output.arguments(delta);
        }
        delta.clear();
    }

    fn role(&self, key: &str) -> Role {
        match key {
            _ if self.shape.name.is_empty() => Role::Arguments,
            key if self.shape.name.contains(&key) => Role::Name,
            key if self.shape.arguments.contains(&key) => Role::Arguments,
            "id" | "tool_call_id" => Role::Id,
            _ => Role::Other,
        }
    }

    /// `More`: look at the same character again.
    fn feed(&mut self, c: char, delta: &mut String, output: &mut Output) -> Step {
        match &mut self.place {
            Place::Open => self.place = Place::KeyOrEnd,
            Place::KeyOrEnd | Place::Colon(_) | Place::CommaOrEnd if c.is_ascii_whitespace() => {}
            Place::KeyOrEnd if c == '"' => {
                self.place = Place::Key(JsonStream::new(), String::new());
                return Step::More;
            }
            Place::KeyOrEnd if c == '}' => return Step::Done,
            Place::KeyOrEnd => return Step::Failed,
            Place::Key(stream, text) => match stream.feed(c, text) {
                Fed::Last => {
                    let Ok(key) = serde_json::from_str::<String>(text) else { return Step::Failed };
                    let role = self.role(&key);
                    if self.shape.name.is_empty() && !self.start(&key, output) {
                        return Step::Failed;
                    }
                    self.place = Place::Colon(role);
                }
                Fed::Taken => {}
                _ => return Step::Failed,
            },
            Place::Colon(role) if c == ':' => self.place = Place::Value(*role, JsonStream::new(), String::new()),
            Place::Colon(_) => return Step::Failed,
            Place::CommaOrEnd if c == ',' => self.place = Place::KeyOrEnd,
            Place::CommaOrEnd if c == '}' => return Step::Done,
            Place::CommaOrEnd => return Step::Failed,
            Place::Value(..) => return self.feed_value(c, delta, output),
        }
        Step::Again
    }

    fn feed_value(&mut self, c: char, delta: &mut String, output: &mut Output) -> Step {
        let Place::Value(role, stream, text) = &mut self.place else { return Step::Failed };
        if text.is_empty() && c.is_ascii_whitespace() {
            return Step::Again;
        }
        let role = *role;
        let before = text.len();
        let fed = stream.feed(c, text);
        if fed == Fed::Wrong {
            return Step::Failed;
        }
        // An object streams; a string of JSON is opened when it is whole.
        if role == Role::Arguments && self.started && text.starts_with('{') {
            delta.push_str(&text[before..]);
        }
        match fed {
            Fed::Taken => return Step::Again,
            Fed::Last | Fed::Before => {}
            Fed::Wrong => return Step::Failed,
        }
        let text = std::mem::take(text);
        self.place = Place::CommaOrEnd;
        self.hand_on(delta, output);
        if !self.take_value(role, text, output) {
            return Step::Failed;
        }
        if fed == Fed::Before { Step::More } else { Step::Again }
    }

    /// A value is whole. False when the call cannot be one.
    fn take_value(&mut self, role: Role, text: String, output: &mut Output) -> bool {
        match role {
            Role::Name => match serde_json::from_str::<String>(&text) {
                Ok(name) => self.start(&name, output),
                // `"function": {…}` and the like: not the name.
                Err(_) => true,
            },
            Role::Arguments if self.started && text.starts_with('{') => {
                self.ended = true;
                true
            }
            Role::Arguments => {
                let object = match text.starts_with('"') {
                    true => serde_json::from_str::<String>(&text).unwrap_or_default(),
                    false => text,
                };
                let object = if object == "null" || object.trim().is_empty() { "{}".to_string() } else { object };
                if !matches!(serde_json::from_str(&object), Ok(Value::Object(_))) {
                    return false;
                }
                if self.started {
                    output.arguments(&object);
                    self.ended = true;
                } else {
                    self.waiting = Some(object);
                }
                true
            }
            Role::Id => {
                let value = serde_json::from_str::<Value>(&text).unwrap_or_default();
                self.id = value.as_str().map(str::to_string).or_else(|| value.as_u64().map(|id| id.to_string()));
                true
            }
            Role::Other => true,
        }
    }

    fn start(&mut self, name: &str, output: &mut Output) -> bool {
        if self.started || name.is_empty() || self.shape.known_only && !output.tools.knows(name) {
            return false;
        }
        self.started = true;
        output.start(name, self.id.take());
        if let Some(arguments) = self.waiting.take() {
            output.arguments(&arguments);
            self.ended = true;
        }
        true
    }

    fn finish(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if !self.started {
            return Step::Failed;
        }
        if !self.ended {
            output.arguments("{}");
        }
        output.end(input);
        Step::Done
    }
}
