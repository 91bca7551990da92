//! Cohere: `<|START_ACTION|>[{"tool_name": …, "parameters": …}]<|END_ACTION|>`, text between response markers.

use super::bodies::json::{JsonCalls, JsonShape};
use super::detect::Syntax;
use super::outline::{Opener, Outline, PLAIN};

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "cohere",
    signs: &[&["<|START_ACTION|>"], &["<|START_RESPONSE|>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<|START_THINKING|>", "<|END_THINKING|>")],
    calls: &[Opener::new("<|START_ACTION|>", || JsonCalls::boxed(&SHAPE))],
    dropped: &[
        "<|START_TEXT|>",
        "<|END_TEXT|>",
        "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|END_THINKING|>",
    ],
    ..PLAIN
};

static SHAPE: JsonShape = JsonShape {
    name: &["tool_name", "name"],
    arguments: &["parameters", "arguments"],
    close: &["<|END_ACTION|>"],
    known_only: false,
};
