//! Which crate may depend on which.
//!
//! Development dependencies are free, except that nothing may form a cycle, which cargo itself refuses.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// Crate and the crates of ours that it may use. `xtask` and `testkit` are for development only.
const GRAPH: &[(&str, &[&str])] = &[
    ("kernels", &[]),
    // Storage formats, head pairings and cache types are shared with the CPU; the pool packs weights.
    ("gpu", &["kernels"]),
    ("formats", &[]),
    ("hub", &[]),
    ("proxy", &[]),
    // Arrays are loaded and saved.
    ("array", &["kernels", "gpu", "formats"]),
    ("text", &["formats"]),
    // The loader repacks weights in the kernels' storage formats before they become arrays.
    ("lm", &["kernels", "array", "text", "formats"]),
    ("train", &["lm", "array"]),
    ("engine", &["lm"]),
    ("server", &["engine", "text", "hub"]),
    ("python", &["array"]),
    ("cli", &["server", "engine", "train", "lm", "hub"]),
    ("testkit", &["kernels", "array", "text", "formats", "lm", "engine"]),
    ("xtask", &[]),
];

/// Dependencies that the graph does not have, and crates that it does not know.
pub fn crate_graph(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    for (path, text) in tree.texts() {
        let Some(name) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        if !text.contains(&format!("name = \"olivine-{name}\"")) {
            findings.push(format!("{path}: the package should be called olivine-{name}"));
        }
        let Some((_, allowed)) = GRAPH.iter().find(|(known, _)| *known == name) else {
            findings.push(format!("{path}: the crate is not in the graph; add it to crates/xtask/src/rules/graph.rs"));
            continue;
        };
        for dependency in dependencies(text) {
            if !allowed.contains(&&dependency[..]) {
                findings.push(format!("{path}: {name} must not depend on {dependency}"));
            }
        }
    }
    findings
}

/// Crates of ours in the sections of dependencies and build dependencies, of every target.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        }
        if section.contains("dev-dependencies") || !section.contains("dependencies") {
            continue;
        }
        let name = if line.starts_with('[') { section.rsplit('.').next().unwrap_or("") } else { line };
        if let Some(rest) = name.strip_prefix("olivine-") {
            found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect());
        }
    }
    found
}
