//! Apriel: `<tool_calls>[{"name": …, "arguments": …}]</tool_calls>`; 1.6 reasons up to `[BEGIN FINAL RESPONSE]`.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// Apriel 1.5.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "apriel",
    signs: &[&["<tool_calls>[", "<|assistant|>"]],
    machine: |options| OUTLINE.machine(options),
};

/// Apriel 1.6, whose prompt ends in the first words of its reasoning.
pub(crate) static APRIEL16: Syntax = Syntax {
    name: "apriel-1.6",
    signs: &[&["[BEGIN FINAL RESPONSE]", "Here are my reasoning steps:\\n' -%}"]],
    machine: |options| THINKING.machine(options),
};

const CALLS: &[Opener] = &[Opener::new("<tool_calls>", || JsonCalls::boxed(&SHAPE))];

static OUTLINE: Outline =
    Outline { thinking: &[("<thinking>", "</thinking>")], calls: CALLS, dropped: &["<|end|>"], ..PLAIN };

static THINKING: Outline = Outline {
    thinking: &[("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]")],
    calls: CALLS,
    dropped: &["[END FINAL RESPONSE]", "<|end|>"],
    ..PLAIN
};

static SHAPE: JsonShape = JsonShape { close: &["</tool_calls>"], ..USUAL };
