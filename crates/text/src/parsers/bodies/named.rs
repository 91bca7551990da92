//! Calls as a name, a separator and a JSON object: `get_weather<sep>{"city": "Paris"}<end>`.
//!
//! Invariant: the name is certain when the separator (or the object's brace) is read.

use super::json_stream::{Fed, JsonStream};
use crate::parsers::core::{Body, Find, Input, Match, Output, Step};

/// How a syntax writes a name and its arguments.
pub(crate) struct NamedShape {
    /// What begins each call inside the block; empty: the block's marker began the first.
    pub(crate) open: &'static str,
    /// Between name and arguments; the first that comes counts. `{` stands for nothing between.
    pub(crate) separators: &'static [&'static str],
    /// Ends each call.
    pub(crate) close: &'static str,
    /// Ends the block; empty: one call is a block.
    pub(crate) block_close: &'static str,
    /// Reads the text before the separator.
    pub(crate) name: fn(&str) -> Name,
}

/// What stands before the separator.
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
}

impl Name {
    /// The text is the name.
    pub(crate) fn plain(text: &str) -> Name {
        Name { name: text.trim().to_string(), id: None }
    }
}

/// A block of such calls.
pub(crate) struct NamedCalls {
    shape: &'static NamedShape,
    state: State,
    /// A call of this block is whole.
    any: bool,
}

enum State {
    Open,
    Name,
    Arguments(JsonStream, String),
    Close,
    Between,
}

impl NamedCalls {
    pub(crate) fn boxed(shape: &'static NamedShape) -> Box<dyn Body> {
        let state = if shape.open.is_empty() { State::Name } else { State::Open };
        Box::new(NamedCalls { shape, state, any: false })
    }

    /// The block's marker was also the first call's.
    pub(crate) fn behind_marker(shape: &'static NamedShape) -> Box<dyn Body> {
        Box::new(NamedCalls { shape, state: State::Name, any: false })
    }

    /// Before a call's marker, or at the end of the block.
    fn open(&mut self, input: &mut Input) -> Step {
        let rest = input.rest();
        let space = rest.len() - rest.trim_start().len();
        if self.shape.block_close.is_empty() && self.any {
            // No end marker: only another call goes on.
            let after = &rest[space..];
            let (open, last) = (self.shape.open, input.last);
            return match () {
                _ if !open.is_empty() && after.starts_with(open) => {
                    input.skip(space + open.len());
                    self.state = State::Name;
                    Step::Again
                }
                _ if !open.is_empty() && !last && open.starts_with(after) => Step::More,
                _ => Step::Done,
            };
        }
        input.skip(space);
        let mut undecided = false;
        for (marker, opens) in [(self.shape.open, true), (self.shape.block_close, false)] {
            match input.matches(marker) {
                Match::Yes if !marker.is_empty() => {
                    input.skip(marker.len());
                    self.state = State::Name;
                    return if opens { Step::Again } else { Step::Done };
                }
                Match::Maybe => undecided = true,
                _ => {}
            }
        }
        match (undecided, self.any) {
            (true, _) => Step::More,
            // The end marker is missing: what comes is text.
            (false, true) => Step::Done,
            (false, false) => Step::Failed,
        }
    }

    fn name(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let (at, length) = match input.find(self.shape.separators) {
            Find::At(at, which) => (at, self.shape.separators[which].len()),
            Find::Safe(_) if input.last => return Step::Failed,
            Find::Safe(length) => return if input.rest()[..length].len() > 512 { Step::Failed } else { Step::More },
        };
        let mut name = (self.shape.name)(&input.rest()[..at]);
        name.name = output.tools.resolve(&name.name);
        if name.name.is_empty() || name.name.contains(|c: char| c.is_whitespace() || "<>\"{}".contains(c)) {
            return Step::Failed;
        }
        input.skip(at + if input.rest()[at..].starts_with('{') { 0 } else { length });
        output.start(&name.name, name.id);
        self.state = State::Arguments(JsonStream::new(), String::new());
        Step::Again
    }

    fn arguments(&mut self, input: &mut Input, output: &mut Output) -> Step {
        let State::Arguments(stream, text) = &mut self.state else { return Step::Failed };
        if text.is_empty() {
            input.skip_whitespace();
            match input.rest().chars().next() {
                None if input.last => return Step::Failed,
                None => return Step::More,
                Some('{') => {}
                // No arguments at all.
                Some(_) if input.matches(self.shape.close) != Match::No && !self.shape.close.is_empty() => {
                    if input.matches(self.shape.close) == Match::Maybe {
                        return Step::More;
                    }
                    output.arguments("{}");
                    output.end(input);
                    self.any = true;
                    self.state = State::Close;
                    return Step::Again;
                }
                Some(_) => return Step::Failed,
            }
        }
        let mut delta = String::new();
        while let Some(c) = input.rest().chars().next() {
            let fed = stream.feed(c, &mut delta);
            if fed == Fed::Wrong {
                output.arguments(&delta);
                return Step::Failed;
            }
            input.skip(c.len_utf8());
            if fed == Fed::Last {
                output.arguments(&delta);
                output.end(input);
                self.any = true;
                self.state = State::Close;
                return Step::Again;
            }
        }
        text.push('{');
        output.arguments(&delta);
        Step::More
    }

    /// The marker behind a call; a model may leave it out.
    fn close(&mut self, input: &mut Input) -> Step {
        let close = self.shape.close;
        if close.is_empty() {
            self.state = State::Between;
            return Step::Again;
        }
        let rest = input.rest();
        let space = rest.len() - rest.trim_start().len();
        let after = &rest[space..];
        if after.starts_with(close) {
            input.skip(space + close.len());
        } else if close.starts_with(after) {
            if !input.last {
                return Step::More;
            }
            input.skip(input.rest().len());
        }
        self.state = State::Between;
        Step::Again
    }
}

impl Body for NamedCalls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        match self.state {
            State::Open => self.open(input),
            State::Name => self.name(input, output),
            State::Arguments(..) => self.arguments(input, output),
            State::Close => self.close(input),
            State::Between => {
                input.take_record();
                if self.shape.open.is_empty() {
                    return Step::Done;
                }
                self.open(input)
            }
        }
    }
}
