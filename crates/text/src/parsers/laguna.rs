//! Laguna: GLM's calls, also in `<user>` tags and as bare JSON; whitespace at both ends of the answer is dropped.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::bodies::tool_call;
use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::core::{Body, Find, Input, Output, Step};
use super::outline::{Opener, Outline, Trim};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "laguna",
    signs: &[&["<user>", "<assistant>", "<arg_key>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<think>", "</think>")],
    thinking_anywhere: false,
    calls: &[
        Opener::new("<tool_call>", tool_call::body),
        Opener { needs_tools: true, ..Opener::new("<user>", in_user) },
        Opener::bare("{\"name\"", || JsonCalls::boxed(&BARE)),
    ],
    dropped: &["</think>", "</assistant>"],
    trim: Trim::All,
};

static BARE: JsonShape = JsonShape { known_only: true, ..USUAL };
static JSON: JsonShape = JsonShape { close: &["</user>"], ..USUAL };
static TAGS: XmlShape = XmlShape {
    call_open: "",
    name_end: &["<arg_key>"],
    key_open: "<arg_key>",
    key_end: "</arg_key>",
    value_open: ValueOpen::Tag("<arg_value>"),
    value_close: "</arg_value>",
    call_close: "",
    block_close: "</user>",
    trim_value: false,
    known_only: false,
};

fn in_user() -> Box<dyn Body> {
    Box::new(Call { inner: None })
}

struct Call {
    inner: Option<Box<dyn Body>>,
}

impl Body for Call {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        match input.find(&["<arg_key>", "</user>", "{"]) {
            Find::At(_, 0) => self.inner = Some(XmlCalls::boxed(&TAGS)),
            Find::At(at, 2) if input.rest()[..at].trim().is_empty() => self.inner = Some(JsonCalls::boxed(&JSON)),
            Find::At(..) => return Step::Failed,
            Find::Safe(length) => return if input.last || length > 512 { Step::Failed } else { Step::More },
        }
        Step::Again
    }
}
