//! Muse Glimmer: messages to recipients; `self` is reasoning, `user` the answer, a tool's name a call in ATEM tags.

use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::core::{Body, Find, Input, Machine, Match, Output, ParserOptions, Step};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax { name: "glimmer", signs: &[&["<atem:function_calls>"]], machine };

const MESSAGE: &str = "<|message|>";
const START: &str = "<|start|>assistant";
const ENDS: &[&str] = &["<|eom|>", "<|eot|>", START];
const CALLS: &str = "<atem:function_calls>";

static SHAPE: XmlShape = XmlShape {
    call_open: "<atem:invoke name=\"",
    name_end: &["\">", "<atem:parameter"],
    key_open: "<atem:parameter name=\"",
    key_end: "\">",
    value_open: ValueOpen::Nothing,
    value_close: "</atem:parameter>",
    call_close: "</atem:invoke>",
    block_close: "</atem:function_calls>",
    trim_value: false,
    known_only: true,
};

fn machine(options: &ParserOptions) -> Box<dyn Machine> {
    let has_tools = options.tools.and_then(|tools| tools.as_array()).is_some_and(|list| !list.is_empty());
    Box::new(Glimmer { state: State::Header, has_tools })
}

struct Glimmer {
    state: State,
    has_tools: bool,
}

enum State {
    Header,
    Thinking,
    /// At the start of a message that is not reasoning.
    Begin,
    Content,
    Call(Box<dyn Body>),
}

impl Glimmer {
    fn header(&mut self, input: &mut Input) -> bool {
        let Find::At(at, _) = input.find(&[MESSAGE]) else { return false };
        let header = input.take(at);
        input.skip(MESSAGE.len());
        let recipient = header.rsplit_once("to=").map(|(_, name)| name.trim());
        self.state = if recipient == Some("self") { State::Thinking } else { State::Begin };
        true
    }

    fn begin(&mut self, input: &mut Input) -> bool {
        let rest = input.rest();
        if !self.has_tools {
            self.state = State::Content;
            return true;
        }
        if !input.last && (rest.trim().is_empty() || CALLS.starts_with(rest.trim_start())) {
            return false;
        }
        if rest.trim_start().starts_with(CALLS) {
            input.take_record();
            input.skip_whitespace();
            input.skip(CALLS.len());
            self.state = State::Call(XmlCalls::boxed(&SHAPE));
        } else {
            self.state = State::Content;
        }
        true
    }

    fn text(&mut self, input: &mut Input, output: &mut Output) -> bool {
        let (length, marker) = match input.find(ENDS) {
            Find::At(at, which) => (at, Some(ENDS[which])),
            Find::Safe(length) => (length, None),
        };
        let text = input.take(length);
        match self.state {
            State::Thinking => output.thinking(&text),
            _ => output.content(&text),
        }
        let Some(marker) = marker else { return length > 0 };
        match self.state {
            State::Thinking => output.flush_thinking(),
            _ => output.flush_content(),
        }
        input.skip(marker.len());
        self.state = State::Header;
        true
    }

    fn call(&mut self, input: &mut Input, output: &mut Output) -> bool {
        let State::Call(body) = &mut self.state else { return false };
        match body.step(input, output) {
            Step::Again => {}
            Step::More => return false,
            Step::Done => self.state = State::Content,
            Step::Failed => {
                output.broken(input);
                self.state = State::Content;
            }
        }
        true
    }
}

impl Machine for Glimmer {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> bool {
        match self.state {
            State::Header => {
                if let Some(marker) = ENDS.iter().find(|marker| input.matches(marker) == Match::Yes) {
                    input.skip(marker.len());
                    return true;
                }
                self.header(input)
            }
            State::Begin => self.begin(input),
            State::Thinking | State::Content => self.text(input, output),
            State::Call(_) => self.call(input, output),
        }
    }

    fn finish(&mut self, input: &mut Input, output: &mut Output) {
        let rest = input.rest().len();
        match self.state {
            State::Call(_) => {
                input.skip(rest);
                output.broken(input);
            }
            // No message ever began: a model that left the format.
            State::Header => {
                let text = input.take(rest);
                output.content(&text);
            }
            _ => {}
        }
        output.flush_thinking();
        output.flush_content();
    }
}
