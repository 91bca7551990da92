//! Hunyuan 3: GLM's arguments behind `<tool_sep>`, every tag with the suffix `:opensource`.

use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "hunyuan",
    signs: &[&["<tool_calls{}>", "<tool_sep{}>"], &["<tool_calls:opensource>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<think:opensource>", "</think:opensource>")],
    calls: &[Opener::new("<tool_calls:opensource>", || XmlCalls::boxed(&SHAPE))],
    ..PLAIN
};

static SHAPE: XmlShape = XmlShape {
    call_open: "<tool_call:opensource>",
    name_end: &["<tool_sep:opensource>"],
    key_open: "<arg_key:opensource>",
    key_end: "</arg_key:opensource>",
    value_open: ValueOpen::Tag("<arg_value:opensource>"),
    value_close: "</arg_value:opensource>",
    call_close: "</tool_call:opensource>",
    block_close: "</tool_calls:opensource>",
    trim_value: false,
    known_only: false,
};
