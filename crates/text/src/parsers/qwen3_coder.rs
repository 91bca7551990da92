//! Qwen3-Coder, Qwen3.5, Nemotron 3, Step: `<tool_call><function=f><parameter=k>v</parameter></function></tool_call>`.

use super::bodies::tool_call;
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "qwen3-coder",
    signs: &[&["<tool_call>", "<function=", "<parameter="]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[Opener::new("<tool_call>", tool_call::body), Opener::inside("<function=", tool_call::function)],
    ..PLAIN
};
