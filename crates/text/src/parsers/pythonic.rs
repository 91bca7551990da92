//! Llama 4 and models tuned like it: `[f(a=1), g(b="x")]` and nothing else.

use super::bodies::python::{Brackets, PythonCalls, PythonShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "pythonic",
    signs: &[&["<|header_start|>"], &["[func_name1(params_name1=params_value1"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[
        Opener { at_start: true, ..Opener::new("<|python_start|>", || PythonCalls::boxed(&TAGGED)) },
        Opener::bare_at_start("[", || PythonCalls::boxed(&LIST)),
    ],
    ..PLAIN
};

static LIST: PythonShape = PythonShape { brackets: Brackets::Required, close: "", known_only: true };
static TAGGED: PythonShape = PythonShape { brackets: Brackets::Optional, close: "<|python_end|>", known_only: false };
