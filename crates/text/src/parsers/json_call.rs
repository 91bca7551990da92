//! A call as plain JSON, whatever the model's own syntax: what an answer that is forced to be a call looks like.

use super::bodies::json::{JsonCalls, JsonShape, USUAL};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax = Syntax { name: "json", signs: &[], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::bare_at_start("{", || JsonCalls::boxed(&KNOWN))], ..PLAIN };

static KNOWN: JsonShape = JsonShape { known_only: true, ..USUAL };
