//! Kimi K2: `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>` in a section; K3: tags of
//! `<|open|>name<|sep|>` and `<|close|>name<|sep|>` for reasoning, response, calls and arguments.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "kimi",
    signs: &[&["<|tool_calls_section_begin|>"], &["<|im_middle|>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<think>", "</think>"), ("◁think▷", "◁/think▷")],
    calls: &[Opener::new("<|tool_calls_section_begin|>", || NamedCalls::boxed(&SHAPE))],
    ..PLAIN
};

static SHAPE: NamedShape = NamedShape {
    open: "<|tool_call_begin|>",
    separators: &["<|tool_call_argument_begin|>"],
    close: "<|tool_call_end|>",
    block_close: "<|tool_calls_section_end|>",
    name,
};

/// `functions.get_weather:0` is the id; the name stands between.
fn name(text: &str) -> Name {
    let id = text.trim();
    let name = id.strip_prefix("functions.").unwrap_or(id);
    let name = match name.rsplit_once(':') {
        Some((name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    Name { name: name.to_string(), id: Some(id.to_string()) }
}

/// Kimi K3.
pub(crate) static K3: Syntax = Syntax {
    name: "kimi-k3",
    signs: &[&["<|open|>", "<|sep|>", "<|close|>"]],
    machine: |options| TAGS.machine(options),
};

static TAGS: Outline = Outline {
    thinking: &[("<|open|>think<|sep|>", "<|close|>think<|sep|>")],
    calls: &[Opener::new("<|open|>tools<|sep|>", || XmlCalls::boxed(&TAG))],
    dropped: &["<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|end_of_msg|>"],
    ..PLAIN
};

static TAG: XmlShape = XmlShape {
    call_open: "<|open|>call tool=\"",
    name_end: &["<|sep|>"],
    key_open: "<|open|>argument key=\"",
    key_end: "\"",
    value_open: ValueOpen::Attributes,
    value_close: "<|close|>argument<|sep|>",
    call_close: "<|close|>call<|sep|>",
    block_close: "<|close|>tools<|sep|>",
    trim_value: false,
    known_only: false,
};
