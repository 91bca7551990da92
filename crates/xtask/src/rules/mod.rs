//! The rules that keep the design: each is a function from the tree to findings. Their tables stand at the top of each file.
//!
//! Invariant: [`ALL`] is the complete list; `tests/rules.rs` runs it on the workspace and each rule on a tree that breaks it.

mod circles;
mod graph;
mod places;
mod size;
mod words;

pub use circles::file_circles;
pub use graph::crate_graph;
pub use places::{cfg_places, unsafe_places};
pub use size::{file_header, file_lines, function_lines, tree_bytes};
pub use words::{family_names, private_places};

use crate::tree::Tree;

/// A rule: what it asks for, and the check.
pub type Rule = (&'static str, fn(&Tree) -> Vec<String>);

/// All rules.
pub const ALL: &[Rule] = &[
    ("crates depend on each other as ARCHITECTURE.md draws it", crate_graph),
    ("files of a crate do not need each other in circles", file_circles),
    ("`unsafe` stands only where it is listed", unsafe_places),
    ("`cfg(target…)` and `cfg(feature…)` stand only at module roots", cfg_places),
    ("every Rust file opens with `//!`", file_header),
    ("no function has more than 100 lines", function_lines),
    ("no Rust file has more than 1,000 lines, tables aside", file_lines),
    ("the tree has less than 55 MiB", tree_bytes),
    ("model families are named only in crates/lm/src/families", family_names),
    ("no file names a package registry or a path of one machine", private_places),
];

/// Runs all rules; a line for each finding.
pub fn run(tree: &Tree) -> Vec<String> {
    ALL.iter()
        .flat_map(|(what, rule)| rule(tree).into_iter().map(move |finding| format!("{finding} ({what})")))
        .collect()
}
