//! Solar Open: `<|tool_call:begin|>id<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>`, one message a kind.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "solar", signs: &[&["<|tool_call:begin|>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    thinking: &[("<|think|>", "<|end|>")],
    thinking_anywhere: true,
    calls: &[Opener::new("<|tool_call:begin|>", || NamedCalls::behind_marker(&SHAPE))],
    dropped: &["<|begin|>assistant", "<|content|>", "<|tool_calls|>", "<|calls|>", "<|end|>"],
    ..PLAIN
};

static SHAPE: NamedShape = NamedShape {
    open: "<|tool_call:begin|>",
    separators: &["<|tool_call:args|>"],
    close: "<|tool_call:end|>",
    block_close: "",
    name: |text| match text.split_once("<|tool_call:name|>") {
        Some((id, name)) => Name { name: name.trim().to_string(), id: Some(id.trim().to_string()) },
        None => Name::plain(text),
    },
};
