//! MiniCPM 5: `<function name="f"><param name="k">v</param></function>`.

use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "minicpm",
    signs: &[&["<function name=", "<param name="]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline =
    Outline { calls: &[Opener::inside("<function name=\"", || XmlCalls::boxed(&SHAPE))], ..PLAIN };

static SHAPE: XmlShape = XmlShape {
    call_open: "<function name=\"",
    name_end: &["\">"],
    key_open: "<param name=\"",
    key_end: "\">",
    value_open: ValueOpen::Nothing,
    value_close: "</param>",
    call_close: "</function>",
    block_close: "",
    trim_value: false,
    known_only: false,
};
