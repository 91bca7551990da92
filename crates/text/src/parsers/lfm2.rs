//! LFM2: `<|tool_call_start|>[f(a=1)]<|tool_call_end|>`.

use super::bodies::python::{Brackets, PythonCalls, PythonShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "lfm2",
    signs: &[
        &["<|tool_call_start|>"],
        &["<|tool_list_start|>"],
        &["<|startoftext|>", "List of tools: ["],
        &["List of tools: [", "<|im_start|>"],
    ],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<|tool_call_start|>", || PythonCalls::boxed(&SHAPE)),
        Opener::bare_at_start("[", || PythonCalls::boxed(&BARE)),
    ],
    ..PLAIN
};

static SHAPE: PythonShape = PythonShape { brackets: Brackets::Optional, close: "<|tool_call_end|>", known_only: false };
static BARE: PythonShape = PythonShape { brackets: Brackets::Required, close: "", known_only: true };
