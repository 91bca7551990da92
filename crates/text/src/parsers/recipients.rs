//! Functionary 3.2: `>>>` and a recipient on a line of its own; `all` is the user, a tool's name a call with JSON.
//!
//! Invariant: `>>>` before anything else than a recipient is text.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::core::{Body, Find, Input, Machine, Output, ParserOptions, Step};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "functionary-3.2", signs: &[&[">>>all", "recipient"], &[">>>${recipient}"]], machine };

const MARK: &str = ">>>";
const USER: &str = "all";

/// Longest line that may name a recipient.
const LINE_BYTES: usize = 128;

static SHAPE: NamedShape =
    NamedShape { open: "", separators: &["\n", "{"], close: "", block_close: "", name: Name::plain };

fn machine(options: &ParserOptions) -> Box<dyn Machine> {
    // The prompt ends with the mark: the answer begins with a recipient.
    let state = if options.prompt_end.trim_end().ends_with(MARK) { State::Line { mark: "" } } else { State::Text };
    Box::new(Recipients { state, begun: false })
}

struct Recipients {
    state: State,
    /// Something was read.
    begun: bool,
}

enum State {
    Text,
    /// Behind a mark, which was `mark` in the input.
    Line {
        mark: &'static str,
    },
    Call(Box<dyn Body>),
}

impl Recipients {
    fn text(&mut self, input: &mut Input, output: &mut Output) -> bool {
        let (length, found) = match input.find(&[MARK]) {
            Find::At(at, _) => (at, true),
            Find::Safe(length) => (length, false),
        };
        let text = input.take(length);
        output.content(&text);
        self.begun |= length > 0;
        if found {
            input.skip(MARK.len());
            self.state = State::Line { mark: MARK };
        }
        found || length > 0
    }

    fn line(&mut self, input: &mut Input, output: &mut Output, mark: &'static str) -> bool {
        let rest = input.rest();
        let end = rest.find('\n');
        if end.is_none() && !input.last && rest.len() < LINE_BYTES {
            return false;
        }
        let line = &rest[..end.unwrap_or(rest.len())];
        let name = output.tools.resolve(line.split('{').next().unwrap_or_default());
        if line.trim() == USER && end.is_some() {
            let length = line.len() + 1;
            input.skip(length);
            self.begun.then(|| output.trim_content());
            self.state = State::Text;
        } else if output.tools.knows(&name) {
            input.take_record();
            output.trim_content();
            self.state = State::Call(NamedCalls::boxed(&SHAPE));
        } else {
            output.content(mark);
            self.state = State::Text;
        }
        self.begun = true;
        true
    }

    fn call(&mut self, input: &mut Input, output: &mut Output) -> bool {
        let State::Call(body) = &mut self.state else { return false };
        match body.step(input, output) {
            Step::Again => {}
            Step::More => return false,
            Step::Done => {
                output.trim_content();
                self.state = State::Text;
            }
            Step::Failed => {
                output.broken(input);
                self.state = State::Text;
            }
        }
        true
    }
}

impl Machine for Recipients {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> bool {
        match self.state {
            State::Text => !input.is_empty() && self.text(input, output),
            State::Line { mark } => {
                (!input.is_empty() || input.last && !mark.is_empty()) && self.line(input, output, mark)
            }
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
            _ => {
                let text = input.take(rest);
                output.content(&text);
            }
        }
        output.flush_content();
    }
}
