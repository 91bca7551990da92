//! The inside of `<tool_call>`, which many families write and fill each in its way: told by how it begins.
//!
//! JSON with name and arguments, a name with tagged values or with JSON behind it, or `<function=…>` with parameters.

use super::json::{JsonCalls, JsonShape, USUAL};
use super::named::{Name, NamedCalls, NamedShape};
use super::xml::{ValueOpen, XmlCalls, XmlShape};
use crate::parsers::core::{Body, Find, Input, Output, Step};

static OBJECT: JsonShape = JsonShape { close: &["</tool_call>"], ..USUAL };

/// What stands in `<tool_call>`: told by how it begins.
pub(crate) fn body() -> Box<dyn Body> {
    Box::new(AnyCall { inner: None })
}

struct AnyCall {
    inner: Option<Box<dyn Body>>,
}

impl Body for AnyCall {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        input.skip_whitespace();
        let rest = input.rest();
        if "<function=".starts_with(rest) && !input.last {
            return Step::More;
        }
        self.inner = Some(match rest.chars().next() {
            Some('{' | '[') => JsonCalls::boxed(&OBJECT),
            Some('<') if rest.starts_with("<function=") => function(),
            Some('<') | None => return Step::Failed,
            Some(_) => Box::new(TagsOrJson { inner: None }),
        });
        Step::Again
    }
}

static TAGS: XmlShape = XmlShape {
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

/// A name, then tags or JSON.
struct TagsOrJson {
    inner: Option<Box<dyn Body>>,
}

impl Body for TagsOrJson {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        match input.find(&["<arg_key>", "</tool_call>", "{"]) {
            Find::At(_, 2) => self.inner = Some(NamedCalls::boxed(&NAMED)),
            Find::At(..) => self.inner = Some(XmlCalls::boxed(&TAGS)),
            Find::Safe(length) => return if input.last || length > 512 { Step::Failed } else { Step::More },
        }
        Step::Again
    }
}

/// `<function=f><parameter=k>v</parameter></function>`.
pub(crate) const FUNCTION: XmlShape = XmlShape {
    call_open: "<function=",
    name_end: &[">"],
    key_open: "<parameter=",
    key_end: ">",
    value_open: ValueOpen::Nothing,
    value_close: "</parameter>",
    call_close: "</function>",
    block_close: "</tool_call>",
    trim_value: true,
    known_only: false,
};

/// From behind `<tool_call>`, or without it where a model forgot it; its end may come nevertheless.
pub(crate) fn function() -> Box<dyn Body> {
    static SHAPE: XmlShape = FUNCTION;
    XmlCalls::boxed(&SHAPE)
}
