//! Harmony (gpt-oss): channels; `analysis` is reasoning, `final` the answer, `commentary to=functions.f` a call.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::core::Body;
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "harmony",
    signs: &[&["<|channel|>", "analysis"], &["<|channel|>", "<|message|>"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<|channel|>analysis<|message|>", "<|end|>")],
    thinking_anywhere: true,
    calls: &[
        Opener::new("<|channel|>commentary to=functions.", body),
        Opener::new("<|channel|>analysis to=functions.", body),
        Opener::new("<|start|>assistant to=functions.", body),
        Opener::new(" to=functions.", body),
    ],
    dropped: &[
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "<|channel|>final <|constrain|>json<|message|>",
        "<|channel|>commentary<|message|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
    ],
    ..PLAIN
};

static SHAPE: NamedShape = NamedShape {
    open: "",
    separators: &["<|message|>"],
    close: "<|call|>",
    block_close: "",
    // `get_weather <|constrain|>json` or `get_weather<|channel|>commentary json`.
    name: |text| Name::plain(text.split([' ', '<']).next().unwrap_or_default()),
};

fn body() -> Box<dyn Body> {
    NamedCalls::boxed(&SHAPE)
}
