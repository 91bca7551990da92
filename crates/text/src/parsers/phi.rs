//! Phi 4 mini: `<|tool_call|>[{"name": …, "arguments": …}]<|/tool_call|>`, or `functools[…]`.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "phi", signs: &[&["<|tool|>", "<|/tool|>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<|tool_call|>", || JsonCalls::boxed(&SHAPE)),
        Opener { needs_tools: true, ..Opener::new("functools", || JsonCalls::boxed(&USUAL)) },
    ],
    ..PLAIN
};

static SHAPE: JsonShape = JsonShape { close: &["<|/tool_call|>"], ..USUAL };
