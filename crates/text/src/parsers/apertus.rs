//! Apertus: `<|tools_prefix|>[{"f": {…}}]<|tools_suffix|>`, reasoning between `<|inner_prefix|>` and `<|inner_suffix|>`.

use super::bodies::json::{JsonCalls, JsonShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "apertus", signs: &[&["<|tools_prefix|>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    thinking: &[("<|inner_prefix|>", "<|inner_suffix|>")],
    calls: &[Opener::new("<|tools_prefix|>", || JsonCalls::boxed(&SHAPE))],
    ..PLAIN
};

static SHAPE: JsonShape = JsonShape { name: &[], arguments: &[], close: &["<|tools_suffix|>"], known_only: false };
