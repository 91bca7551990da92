//! Nemotron Nano 2: `<TOOLCALL>[{"name": …, "arguments": …}]</TOOLCALL>`. Nemotron 3 writes Qwen3-Coder's tags.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static NANO_V2: Syntax =
    Syntax { name: "nemotron", signs: &[&["<TOOLCALL>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<TOOLCALL>", || JsonCalls::boxed(&SHAPE))], ..PLAIN };

static SHAPE: JsonShape = JsonShape { close: &["</TOOLCALL>"], ..USUAL };
