//! Functionary 3.1 (`<function=f>{…}</function>`) and FireFunction (`functools[…]`).

use super::bodies::json::{JsonCalls, USUAL};
use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// Functionary 3.1.
pub(crate) static V31: Syntax = Syntax {
    name: "functionary-3.1",
    signs: &[&["<function=example_function_name>"]],
    machine: |options| TAGS.machine(options),
};

/// FireFunction 2.
pub(crate) static FIREFUNCTION: Syntax =
    Syntax { name: "functools", signs: &[&["functools["]], machine: |options| FUNCTOOLS.machine(options) };

static TAGS: Outline = Outline {
    calls: &[Opener::new("<function=", || NamedCalls::behind_marker(&TAG))],
    dropped: &["<|eom_id|>"],
    ..PLAIN
};

static TAG: NamedShape =
    NamedShape { open: "<function=", separators: &[">"], close: "</function>", block_close: "", name: Name::plain };

static FUNCTOOLS: Outline = Outline { calls: &[Opener::new("functools", || JsonCalls::boxed(&USUAL))], ..PLAIN };
