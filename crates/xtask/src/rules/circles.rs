//! Files of a crate that need each other in a circle.
//!
//! A file needs another when it names something in it, in a `use` or by a path that begins with `crate` or `super`; what
//! its tests name does not count, nor what a module's root lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::tree::Tree;

/// Circles that stay, by a file of theirs, and why.
const KNOWN: &[(&str, &str)] =
    &[("crates/array/src/array.rs", "a node holds its primitive, and a primitive is told its inputs")];

/// The files that a file needs.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// Circles that are not known.
pub fn file_circles(tree: &Tree) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, text) in tree.rust() {
        if let Some((name, _)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) {
            crates.entry(name).or_default().push((path, text));
        }
    }
    let mut findings = vec![];
    for (name, files) in crates {
        let needs = needs(name, &files);
        for circle in circles(&needs) {
            if !KNOWN.iter().any(|(known, _)| circle.contains(*known)) {
                let files: Vec<&str> = circle.iter().map(String::as_str).collect();
                findings.push(format!("{} form a circle", files.join(", ")));
            }
        }
    }
    findings
}

/// Which file needs which, in one crate.
fn needs(name: &str, files: &[(&str, &str)]) -> Needs {
    let root = format!("crates/{name}/src/");
    let module = |path: &str| -> Vec<String> {
        let parts = path.trim_start_matches(&root).trim_end_matches(".rs").split('/');
        parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).map(String::from).collect()
    };
    let by_module: BTreeMap<Vec<String>, &str> = files.iter().map(|(path, _)| (module(path), *path)).collect();
    let mut needs = Needs::new();
    for (path, text) in files {
        let own = module(path);
        let code = Source::new(text).code;
        let code = &code[..code.find("mod tests {").unwrap_or(code.len())];
        let needed = needs.entry(path.to_string()).or_default();
        for named in paths(code).into_iter().filter(|_| !own.is_empty()) {
            let mut at = own.clone();
            for part in named {
                match &part[..] {
                    "crate" => at.clear(),
                    "self" => {}
                    "super" => drop(at.pop()),
                    _ => at.push(part),
                }
            }
            while !at.is_empty() && !by_module.contains_key(&at) {
                at.pop();
            }
            if let Some(other) = by_module.get(&at).filter(|other| *other != path && !at.is_empty()) {
                needed.insert(other.to_string());
            }
        }
    }
    needs
}

/// All paths that begin with `crate` or `super`, groups taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = vec![];
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| is_word(c) || c == ':') {
                group(&code[at..], &mut vec![], &mut found);
            }
        }
    }
    found
}

/// Reads one path, or the paths of a group, behind `before`; how many bytes it took.
fn group(code: &str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = before.len();
    let mut at = 0;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        let word: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        at += word.len();
        if !word.is_empty() {
            before.push(word);
        }
        match code[at..].strip_prefix("::") {
            Some(rest) if rest.starts_with('{') => {
                at += 3;
                while !code[at..].trim_start().starts_with('}') && at < code.len() {
                    at += group(&code[at..], before, found);
                    at += code[at..].find([',', '}']).map_or(code.len() - at, |end| end);
                    at += usize::from(code[at..].starts_with(','));
                }
                at += code[at..].find('}').map_or(0, |end| end + 1);
                break;
            }
            Some(_) => at += 2,
            None => {
                found.push(before.clone());
                break;
            }
        }
        if at >= code.len() {
            break;
        }
    }
    before.truncate(depth);
    at
}

/// Groups of files of which each leads to each.
fn circles(needs: &Needs) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_string()]);
        while let Some(next) = open.pop() {
            for other in needs.get(&next).into_iter().flatten() {
                if seen.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = needs.keys().map(|file| (file, reach(file))).collect();
    let mut found: Vec<BTreeSet<String>> = vec![];
    for (file, others) in reached.iter().filter(|(file, others)| others.contains(**file)) {
        if !found.iter().any(|circle| circle.contains(*file)) {
            found.push(others.iter().filter(|other| reached[*other].contains(*file)).cloned().collect());
        }
    }
    found
}
