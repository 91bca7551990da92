//! Seed-OSS: Qwen3-Coder's tags in `<seed:tool_call>`, reasoning in `<seed:think>`.

use super::bodies::tool_call::FUNCTION;
use super::bodies::xml::{XmlCalls, XmlShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "seed", signs: &[&["<seed:tool_call>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    thinking: &[("<seed:think>", "</seed:think>")],
    calls: &[Opener::new("<seed:tool_call>", || XmlCalls::boxed(&SHAPE))],
    ..PLAIN
};

static SHAPE: XmlShape = XmlShape { block_close: "</seed:tool_call>", ..FUNCTION };
