//! Qwen3-Coder, Qwen3.5, Nemotron 3, Step: `<tool_call><function=f><parameter=k>v</parameter></function></tool_call>`.

use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::core::Body;
use super::detect::Syntax;
use super::hermes;
use super::outline::{Opener, Outline, PLAIN};

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "qwen3-coder",
    signs: &[&["<tool_call>", "<function=", "<parameter="]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline =
    Outline { calls: &[Opener::new("<tool_call>", hermes::body), Opener::inside("<function=", bare)], ..PLAIN };

const SHAPE: XmlShape = XmlShape {
    call_open: "<function=",
    name_end: &[">"],
    key_open: "<parameter=",
    key_end: ">",
    value_open: ValueOpen::Nothing,
    value_close: "</parameter>",
    call_close: "</function>",
    block_close: "",
    trim_value: true,
    known_only: false,
};

static INSIDE: XmlShape = XmlShape { block_close: "</tool_call>", ..SHAPE };

/// The model forgot `<tool_call>`; its end may come nevertheless.
fn bare() -> Box<dyn Body> {
    XmlCalls::boxed(&INSIDE)
}

/// From behind `<tool_call>`.
pub(crate) fn inside_tool_call() -> Box<dyn Body> {
    XmlCalls::boxed(&INSIDE)
}
