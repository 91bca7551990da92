//! GigaChat 3: one call behind `function call<|role_sep|>` (3.1: `<|function_call|>`), as JSON.

use super::bodies::json::{JsonCalls, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "gigachat",
    signs: &[&["<|role_sep|>", "<|message_sep|>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<|function_call|>", || JsonCalls::boxed(&USUAL)),
        Opener::new("function call<|role_sep|>\n", || JsonCalls::boxed(&USUAL)),
    ],
    dropped: &["<|message_sep|>\n\n", "<|message_sep|>"],
    ..PLAIN
};
