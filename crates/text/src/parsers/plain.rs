//! Models whose template tells nothing of calls: text, reasoning in `<think>`, and Hermes' calls if there are tools.

use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax { name: "plain", signs: &[], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    calls: &[Opener { needs_tools: true, ..Opener::new("<tool_call>", super::bodies::tool_call::body) }],
    ..PLAIN
};
