//! Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, reasoning in `<think>`.
//!
//! Many families write it; models that speak a neighbouring dialect of `<tool_call>` are understood too (`bodies::tool_call`).

use super::bodies::tool_call;
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "hermes", signs: &[&["<tool_call>"], &["tool_call>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<tool_call>", tool_call::body)], ..PLAIN };
