//! Words that must not stand in a file.

use crate::source::{Source, line_of, words};
use crate::tree::Tree;

/// Beginnings of family names, in lower case, as words of code or in literals.
const FAMILIES: &[&str] = &[
    "llama",
    "mistral",
    "mixtral",
    "smollm",
    "qwen",
    "gemma",
    "phi3",
    "gpt_oss",
    "gptoss",
    "glm4",
    "deepseek",
    "falcon",
    "lfm2",
    "olmo",
    "granite",
    "starcoder",
    "cohere",
    "mamba",
];

/// Words that look like a family and are the public name of something else: the RoPE scaling of config files.
const NOT_FAMILIES: &[&str] = &["llama3"];

/// Crates whose code must not know a family by name. (In `text`, such words are names of GGUF pre-tokenizers and of
/// tool-call syntaxes, which are facts of those formats.)
const NEUTRAL: &[&str] =
    &["crates/kernels/src/", "crates/array/src/", "crates/formats/src/", "crates/lm/src/", "crates/engine/src/"];
const FAMILY_HOME: &str = "crates/lm/src/families/";

/// Hosts of package registries and folders that only one machine has; divided, so that this file does not hold them.
const PRIVATE: &[&str] = &[
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("/wo", "rk/"),
    concat!("/var", "/peers"),
    concat!("/ro", "ot/"),
];

/// Family names in code or literals outside the families' own folder; comments and tests inside a file are free.
pub fn family_names(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    let neutral = |path: &str| NEUTRAL.iter().any(|place| path.starts_with(place)) && !path.starts_with(FAMILY_HOME);
    for (path, text) in tree.rust().filter(|(path, _)| neutral(path)) {
        let source = Source::new(text);
        let tests = source.code.find("#[cfg(test)]").unwrap_or(source.code.len());
        for (at, word) in words(&source.code_and_literals[..tests]) {
            let lower = word.to_lowercase();
            let named = lower.split('_').any(|part| FAMILIES.iter().any(|family| part.starts_with(family)));
            if !NOT_FAMILIES.contains(&&lower[..]) && (named || lower.contains("gpt_oss")) {
                findings.push(format!("{path}:{}: {word}", line_of(text, at)));
            }
        }
    }
    findings
}

/// Registry hosts and machine paths in any text file; `Cargo.lock` is cargo's.
pub fn private_places(tree: &Tree) -> Vec<String> {
    let mut findings = vec![];
    for (path, text) in tree.texts().filter(|(path, _)| *path != "Cargo.lock") {
        for word in PRIVATE {
            if let Some(at) = text.find(word) {
                findings.push(format!("{path}:{}: {word}", line_of(text, at)));
            }
        }
    }
    findings
}
