//! Cohere: `<|START_ACTION|>[{"tool_name": …, "parameters": …}]<|END_ACTION|>`, text between response markers; Command
//! R+: the same list in a JSON fence behind `Action:`.

use super::bodies::json::{JsonCalls, JsonShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

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

/// Command R+. Its `directly-answer`, which stands for no call, is no tool that was offered: it comes out as text.
pub(crate) static ACTIONS: Syntax = Syntax {
    name: "command-r-plus",
    signs: &[&["<|CHATBOT_TOKEN|>", "Action:"]],
    machine: |options| ACTION.machine(options),
};

static ACTION: Outline = Outline {
    calls: &[
        Opener::new("Action:\n```json", || JsonCalls::boxed(&LISTED)),
        Opener::new("Action: ```json", || JsonCalls::boxed(&LISTED)),
        Opener::new("Action:```json", || JsonCalls::boxed(&LISTED)),
    ],
    dropped: &["<|END_OF_TURN_TOKEN|>"],
    ..PLAIN
};

static LISTED: JsonShape = JsonShape { close: &["```"], known_only: true, ..SHAPE };
