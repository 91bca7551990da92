//! Llama 3.1 to 3.3: bare JSON `{"name": …, "parameters": {…}}`, or behind `<|python_tag|>`.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::bodies::python::{Brackets, PythonCalls, PythonShape};
use super::core::{Body, Input, Output, Step};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax {
    name: "llama",
    signs: &[&["<|python_tag|>"], &["<|start_header_id|>", "parameters"]],
    machine: |options| OUTLINE.machine(options),
};

static OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<|python_tag|>", tagged),
        Opener::bare_at_start("{", || JsonCalls::boxed(&KNOWN)),
        Opener::bare_at_start("[", || PythonCalls::boxed(&LIST)),
    ],
    dropped: &["<|eom_id|>", "<|eot_id|>"],
    ..PLAIN
};

static KNOWN: JsonShape = JsonShape { known_only: true, ..USUAL };
static LIST: PythonShape = PythonShape { brackets: Brackets::Required, close: "", known_only: true };
static BUILT_IN: PythonShape = PythonShape { brackets: Brackets::Optional, close: "<|eom_id|>", known_only: false };

fn tagged() -> Box<dyn Body> {
    Box::new(Tagged { inner: None })
}

/// Behind the tag: JSON, or `tool.call(query="…")` for the tools that Llama knows by itself.
struct Tagged {
    inner: Option<Box<dyn Body>>,
}

impl Body for Tagged {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        input.skip_whitespace();
        self.inner = Some(match input.rest().chars().next() {
            Some('{' | '[') => JsonCalls::boxed(&USUAL),
            Some(_) => PythonCalls::boxed(&BUILT_IN),
            None if input.last => return Step::Failed,
            None => return Step::More,
        });
        Step::Again
    }
}
