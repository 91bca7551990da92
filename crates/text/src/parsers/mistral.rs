//! Mistral: `[TOOL_CALLS]` with a JSON list, or `[TOOL_CALLS]f[ARGS]{…}`; reasoning in `[THINK]`.

use super::bodies::json::{JsonCalls, USUAL};
use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::core::{Body, Input, Output, Step};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "mistral", signs: &[&["[TOOL_CALLS]"], &["[INST]"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline {
    thinking: &[("[THINK]", "[/THINK]"), ("<think>", "</think>")],
    thinking_anywhere: true,
    calls: &[Opener::new("[TOOL_CALLS]", body)],
    ..PLAIN
};

static NAMED: NamedShape = NamedShape {
    open: "[TOOL_CALLS]",
    separators: &["[ARGS]", "{"],
    close: "",
    block_close: "",
    name: |text| match text.split_once("[CALL_ID]") {
        Some((name, id)) => Name { name: name.trim().to_string(), id: Some(id.trim().to_string()) },
        None => Name::plain(text),
    },
};

fn body() -> Box<dyn Body> {
    Box::new(Calls { inner: None })
}

/// A list or an object is the older form.
struct Calls {
    inner: Option<Box<dyn Body>>,
}

impl Body for Calls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        let after = input.rest().trim_start();
        self.inner = Some(match after.chars().next() {
            Some('{' | '[') => JsonCalls::boxed(&USUAL),
            Some(_) => NamedCalls::behind_marker(&NAMED),
            None if input.last => return Step::Failed,
            None => return Step::More,
        });
        Step::Again
    }
}
