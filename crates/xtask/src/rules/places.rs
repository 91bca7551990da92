//! Where `unsafe` and conditional compilation may stand.

use crate::source::{Source, line_of, words};
use crate::tree::Tree;

/// Files and folders (with a `/` at the end) that may hold `unsafe`, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("crates/kernels/", "SIMD intrinsics and the thread pool"),
    ("crates/gpu/src/wgpu/", "shaders without bounds checks, memory of the driver's"),
    ("crates/gpu/src/cuda/", "the driver's calls"),
    ("crates/formats/src/mapped.rs", "mapping a file"),
    ("crates/array/src/buffer.rs", "uninitialised and shared memory behind arrays"),
];

/// Module roots that pick an implementation by target.
const CFG: &[&str] = &[
    "crates/formats/src/mapped.rs",
    "crates/gpu/src/wgpu/mod.rs",
    "crates/cli/src/signals.rs",
    "crates/kernels/examples/",
    "crates/kernels/src/amx.rs",
    "crates/kernels/src/attention/mod.rs",
    "crates/kernels/src/attention/tile.rs",
    "crates/kernels/src/convert.rs",
    "crates/kernels/src/cpu.rs",
    "crates/kernels/src/dense/mod.rs",
    "crates/kernels/src/lanes/mod.rs",
    "crates/kernels/src/lib.rs",
    "crates/kernels/src/limits.rs",
    "crates/kernels/src/pages.rs",
    "crates/kernels/src/pool.rs",
    "crates/kernels/src/qmatmul/activations.rs",
    "crates/kernels/src/qmatmul/memory.rs",
    "crates/kernels/src/qmatmul/mod.rs",
    "crates/kernels/src/qmatmul/tiers.rs",
    "crates/kernels/src/quant/mod.rs",
    "crates/kernels/src/quant/tiers.rs",
    "crates/kernels/src/simd/mod.rs",
    "crates/lm/src/digest.rs",
];

/// `unsafe` outside the table. (That each block has its `// SAFETY:` reason is clippy's business.)
pub fn unsafe_places(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    for (path, text) in tree.rust() {
        let allowed = UNSAFE.iter().any(|(place, _)| within(path, place));
        let source = Source::new(text);
        for (at, _) in words(&source.code).filter(|&(_, word)| word == "unsafe") {
            if !allowed {
                findings.push(format!("{path}:{}: `unsafe`", line_of(text, at)));
            }
        }
    }
    findings
}

/// `cfg` on a target or a feature outside the table.
pub fn cfg_places(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    for (path, text) in tree.rust().filter(|(path, _)| !CFG.iter().any(|place| within(path, place))) {
        let source = Source::new(text);
        for (at, word) in words(&source.code) {
            if !matches!(word, "cfg" | "cfg_attr" | "cfg_select") {
                continue;
            }
            let condition: String = condition(&source.code[at + word.len()..]);
            if words(&condition).any(|(_, word)| word.starts_with("target_") || word == "feature" || word == "unix") {
                findings.push(format!("{path}:{}: {word}{condition}", line_of(text, at)));
            }
        }
    }
    findings
}

/// From the opening parenthesis to the closing one.
fn condition(rest: &str) -> String {
    let mut depth = 0;
    let mut taken = String::new();
    for c in rest.chars().skip_while(|c| *c == '!') {
        depth += i32::from(matches!(c, '(' | '{')) - i32::from(matches!(c, ')' | '}'));
        taken.push(c);
        if depth <= 0 {
            break;
        }
    }
    taken
}

fn within(path: &str, place: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}
