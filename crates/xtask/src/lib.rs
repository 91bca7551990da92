//! The workspace's rules as functions over its tracked files, so that a test and `cargo xtask check` run the same ones.
//!
//! Invariant: a rule reads files and gives findings; it changes nothing. Read next: [`rules`].

pub mod rules;
pub mod source;
pub mod tree;
