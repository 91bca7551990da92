//! GLM 4.5 to 4.7, Ling: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::core::{Body, Find, Input, Output, Step};
use super::detect::Syntax;
use super::hermes;
use super::outline::{Opener, Outline, PLAIN};

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "glm", signs: &[&["<arg_key>", "<arg_value>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<tool_call>", hermes::body)], ..PLAIN };

static SHAPE: XmlShape = XmlShape {
    call_open: "",
    name_end: &["<arg_key>", "</tool_call>"],
    key_open: "<arg_key>",
    key_end: "</arg_key>",
    value_open: ValueOpen::Tag("<arg_value>"),
    value_close: "</arg_value>",
    call_close: "",
    block_close: "</tool_call>",
    trim_value: false,
    known_only: false,
};

/// A model that writes JSON behind the name.
static NAMED: NamedShape =
    NamedShape { open: "", separators: &["{"], close: "</tool_call>", block_close: "", name: Name::plain };

/// From behind `<tool_call>`: a name, then tags or JSON.
pub(crate) fn body() -> Box<dyn Body> {
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
        match input.find(&["<arg_key>", "</tool_call>", "{"]) {
            Find::At(_, 2) => self.inner = Some(NamedCalls::boxed(&NAMED)),
            Find::At(..) => self.inner = Some(XmlCalls::boxed(&SHAPE)),
            Find::Safe(length) => return if input.last || length > 512 { Step::Failed } else { Step::More },
        }
        Step::Again
    }
}
