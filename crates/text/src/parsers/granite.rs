//! Granite 3: `<|tool_call|>[{"name": …, "arguments": …}]`. Granite 4 writes Hermes' tags.

use super::bodies::json::{JsonCalls, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "granite",
    signs: &[&["<|start_of_role|>", "<|tool_call|>"], &["<|start_of_role|>", "<response>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<|tool_call|>", || JsonCalls::boxed(&USUAL)),
        Opener::new("<tool_call>", super::bodies::tool_call::body),
    ],
    dropped: &["<response>", "</response>"],
    ..PLAIN
};
