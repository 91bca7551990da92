//! What a file of a syntax gives: its name, its signs, its machine.
//!
//! Read next: `detect`, which lists them all.

use super::core::{Machine, ParserOptions};

/// How a family of models writes reasoning and calls.
pub struct Syntax {
    /// Its name: `hermes`, `harmony`, ….
    pub name: &'static str,
    /// A template that holds all of one of these lines speaks it.
    pub(crate) signs: &'static [&'static [&'static str]],
    pub(crate) machine: fn(&ParserOptions) -> Box<dyn Machine>,
}

impl std::fmt::Debug for Syntax {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Syntax").field(&self.name).finish()
    }
}
