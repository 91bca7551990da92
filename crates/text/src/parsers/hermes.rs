//! Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, reasoning in `<think>`.
//!
//! Many families write it; models that speak a neighbouring dialect of `<tool_call>` are understood too (`body`).

use super::bodies::json::{JsonCalls, JsonShape};
use super::core::{Body, Input, Output, Step};
use super::detect::Syntax;
use super::outline::{Opener, Outline, PLAIN};
use super::{glm, qwen3_coder};

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "hermes", signs: &[&["<tool_call>"], &["tool_call>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<tool_call>", body)], ..PLAIN };

static SHAPE: JsonShape = JsonShape { close: &["</tool_call>"], ..super::bodies::json::USUAL };

/// What stands in `<tool_call>`: told by how it begins.
pub(crate) fn body() -> Box<dyn Body> {
    Box::new(AnyCall { inner: None })
}

struct AnyCall {
    inner: Option<Box<dyn Body>>,
}

impl Body for AnyCall {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        input.skip_whitespace();
        let rest = input.rest();
        if "<function=".starts_with(rest) && !input.last {
            return Step::More;
        }
        self.inner = Some(match rest.chars().next() {
            Some('{' | '[') => JsonCalls::boxed(&SHAPE),
            Some('<') if rest.starts_with("<function=") => qwen3_coder::inside_tool_call(),
            Some('<') | None => return Step::Failed,
            Some(_) => glm::body(),
        });
        Step::Again
    }
}
