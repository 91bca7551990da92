//! MiniMax M2: `<minimax:tool_call><invoke name="f"><parameter name="k">v</parameter></invoke>`; M1: JSON in `<tool_calls>`.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// MiniMax M2.
pub(crate) static M2: Syntax =
    Syntax { name: "minimax", signs: &[&["<minimax:tool_call>"]], machine: |options| OUTLINE.machine(options) };

/// MiniMax M1.
pub(crate) static M1: Syntax = Syntax {
    name: "minimax-m1",
    signs: &[&["<tool_calls>", "<begin_of_document>"], &["<tool_calls>", "ai_setting"]],
    machine: |options| LINES.machine(options),
};

static OUTLINE: Outline =
    Outline { calls: &[Opener::new("<minimax:tool_call>", || XmlCalls::boxed(&SHAPE))], dropped: &["[e~["], ..PLAIN };

static SHAPE: XmlShape = XmlShape {
    call_open: "<invoke name=\"",
    name_end: &["\">"],
    key_open: "<parameter name=\"",
    key_end: "\">",
    value_open: ValueOpen::Nothing,
    value_close: "</parameter>",
    call_close: "</invoke>",
    block_close: "</minimax:tool_call>",
    trim_value: false,
    known_only: false,
};

static LINES: Outline = Outline { calls: &[Opener::new("<tool_calls>", || JsonCalls::boxed(&LINE))], ..PLAIN };

static LINE: JsonShape = JsonShape { close: &["</tool_calls>"], ..USUAL };
