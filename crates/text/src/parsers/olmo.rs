//! OLMo 3: `<function_calls>` with a Python call a line; the thinking model begins inside reasoning.

use super::bodies::python::{Brackets, PythonCalls, PythonShape};
use super::outline::{Opener, Outline, PLAIN, Trim};
use super::syntax::Syntax;

/// The syntax of the instruct model.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "olmo", signs: &[&["<function_calls>"]], machine: |options| OUTLINE.machine(options) };

/// The syntax of the thinking model.
pub(crate) static THINK: Syntax =
    Syntax { name: "olmo-think", signs: &[], machine: |options| THINKING.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<function_calls>", || PythonCalls::boxed(&SHAPE))], ..PLAIN };

static THINKING: Outline = Outline { trim: Trim::BehindThinking, ..PLAIN };

static SHAPE: PythonShape = PythonShape { brackets: Brackets::Optional, close: "</function_calls>", known_only: false };
