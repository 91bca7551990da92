//! Sizes and headers: what makes a file readable in one go.

use crate::source::Source;
use crate::tree::Tree;

const FUNCTION_LINES: usize = 100;
const FILE_LINES: usize = 1_000;
const TREE_BYTES: u64 = 55 << 20;

/// Files that are tables of numbers.
const TABLES: &[&str] = &["crates/kernels/src/quant/gguf_iq_tables.rs"];

/// Rust files without a `//!` header on the first line.
pub fn file_header(tree: &Tree) -> Vec<String> {
    let without = tree.rust().filter(|(_, text)| !text.starts_with("//! "));
    without.map(|(path, _)| format!("{path}:1: no `//!` header")).collect()
}

/// Functions that are too long.
pub fn function_lines(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    for (path, text) in tree.rust() {
        for f in Source::new(text).functions().into_iter().filter(|f| f.lines > FUNCTION_LINES) {
            findings.push(format!("{path}:{}: `{}` has {} lines", f.line, f.name, f.lines));
        }
    }
    findings
}

/// Files that are too long.
pub fn file_lines(tree: &Tree) -> Vec<String> {
    let counted =
        tree.rust().filter(|(path, _)| !TABLES.contains(path)).map(|(path, text)| (path, text.lines().count()));
    counted.filter(|(_, lines)| *lines > FILE_LINES).map(|(path, lines)| format!("{path}: {lines} lines")).collect()
}

/// Whether the whole tree is too large; names the largest files.
pub fn tree_bytes(tree: &Tree) -> Vec<String> {
    let total: u64 = tree.files.iter().map(|file| file.bytes).sum();
    if total < TREE_BYTES {
        return vec![];
    }
    let mut files: Vec<_> = tree.files.iter().map(|file| (file.bytes, &file.path[..])).collect();
    files.sort_unstable();
    let largest: Vec<String> = files.iter().rev().take(5).map(|(bytes, path)| format!("{path} {bytes}")).collect();
    vec![format!("{total} bytes; the largest files: {}", largest.join(", "))]
}
