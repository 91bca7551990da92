//! The rules hold for the workspace, and each of them finds what it is there to find.

use olivine_xtask::rules;
use olivine_xtask::source::{Function, Source};
use olivine_xtask::tree::Tree;

#[test]
fn the_workspace_keeps_the_rules() {
    let tree = Tree::load().expect("git lists the workspace");
    assert!(
        tree.files.iter().any(|file| file.path == "crates/xtask/tests/rules.rs"),
        "the listing is not the workspace"
    );
    let findings = rules::run(&tree);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn one(path: &str, text: &str) -> Tree {
    Tree::of(&[(path, text)])
}

#[test]
fn graph() {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"olivine-{name}\"\n{rest}");
    let findings =
        |name: &str, rest: &str| rules::crate_graph(&one(&format!("crates/{name}/Cargo.toml"), &manifest(name, rest)));
    assert!(findings("text", "[dependencies]\nolivine-formats.workspace = true\nserde = \"1\"\n").is_empty());
    assert!(findings("text", "[dev-dependencies]\nolivine-testkit.workspace = true\n").is_empty());
    for wrong in [
        "[dependencies]\nolivine-array.workspace = true\n",
        "[dependencies]\nolivine-array = { path = \"../array\" }\n",
        "[dependencies.olivine-array]\nworkspace = true\n",
        "[build-dependencies]\nolivine-array.workspace = true\n",
        "[target.'cfg(unix)'.dependencies]\nolivine-array.workspace = true\n",
    ] {
        let found = findings("text", wrong);
        assert!(found.len() == 1 && found[0].contains("text must not depend on array"), "{wrong}: {found:?}");
    }
    assert!(findings("surprise", "")[0].contains("not in the graph"));
    assert!(!rules::crate_graph(&one("crates/text/Cargo.toml", &manifest("array", ""))).is_empty(), "package name");
}

#[test]
fn file_circles() {
    let found = |a: &str, b: &str| {
        let files = [("crates/lm/src/a.rs", a), ("crates/lm/src/b/mod.rs", b), ("crates/lm/src/b/c.rs", "//! x\n")];
        rules::file_circles(&Tree::of(&files))
    };
    let to_b = "use crate::{x, b::{self, C as D}};\n";
    assert_eq!(found(to_b, "use super::a::A;\n"), ["crates/lm/src/a.rs, crates/lm/src/b/mod.rs form a circle"]);
    assert_eq!(found("fn f() { crate::b::g() }\n", "use crate::a;\n").len(), 1);
    assert!(
        found(to_b, "// use crate::a;\nmod c;\nuse self::c::E;\n#[cfg(test)]\nmod tests { use crate::a; }\n")
            .is_empty()
    );
    assert!(found(to_b, "use crate::ab::A;\nuse std::{a, b};\n").is_empty());
    let files = [
        ("crates/lm/src/b/mod.rs", "mod c;\nuse c::E;\nuse self::c::F;\n"),
        ("crates/lm/src/b/c.rs", "use super::G;\n"),
    ];
    assert_eq!(rules::file_circles(&Tree::of(&files)).len(), 1);
}

#[test]
fn unsafe_places() {
    let text = "//! x\nfn f() { unsafe { g() } }\n";
    assert_eq!(rules::unsafe_places(&one("crates/lm/src/x.rs", text)).len(), 1);
    assert_eq!(rules::unsafe_places(&one("crates/formats/src/mapped_other.rs", text)).len(), 1);
    assert!(rules::unsafe_places(&one("crates/kernels/src/x.rs", text)).is_empty());
    let quiet = "//! unsafe\n#![deny(unsafe_op_in_unsafe_fn)]\nconst A: &str = \"unsafe\"; // unsafe\n";
    assert!(rules::unsafe_places(&one("crates/lm/src/x.rs", quiet)).is_empty());
}

#[test]
fn cfg_places() {
    let found = |text: &str| rules::cfg_places(&one("crates/lm/src/x.rs", text)).len();
    assert_eq!(found("#[cfg(target_arch = \"x86_64\")]\nfn f() {}"), 1);
    assert_eq!(found("#[cfg_attr(not(feature = \"a\"), allow(b))]\nfn f() {}"), 1);
    assert_eq!(found("fn f() { if cfg!(target_os = \"macos\") {} }"), 1);
    assert_eq!(found("#[cfg(all(test, unix))]\nmod t;"), 1);
    assert_eq!(found("#[cfg(test)]\nmod t; // cfg(target_os)\n#[target_feature(enable = \"avx2\")]\nfn f() {}"), 0);
    assert!(
        rules::cfg_places(&one("crates/kernels/src/simd/mod.rs", "#[cfg(target_arch = \"x\")]\nmod a;")).is_empty()
    );
}

#[test]
fn headers_and_sizes() {
    assert!(rules::file_header(&one("a.rs", "//! Yes.\n")).is_empty());
    assert_eq!(rules::file_header(&one("a.rs", "// No.\n//! Late.\n")).len(), 1);
    let body = |lines: usize| format!("//! x\nfn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2));
    assert!(rules::function_lines(&one("a.rs", &body(100))).is_empty());
    assert_eq!(rules::function_lines(&one("a.rs", &body(101))), ["a.rs:2: `long` has 101 lines"]);
    assert!(rules::file_lines(&one("a.rs", &"\n".repeat(1_000))).is_empty());
    assert_eq!(rules::file_lines(&one("a.rs", &"\n".repeat(1_001))).len(), 1);
    let mut tree = one("big.bin", "");
    tree.files[0].bytes = 55 << 20;
    assert!(rules::tree_bytes(&tree)[0].contains("big.bin"));
}

#[test]
fn words() {
    let found = |path: &str, text: &str| rules::family_names(&one(path, text)).len();
    assert_eq!(found("crates/lm/src/decoder.rs", "fn qwen3_norm() {}"), 1);
    assert_eq!(found("crates/lm/src/decoder.rs", "fn f() { g(\"Gemma2\") }"), 1);
    assert_eq!(found("crates/lm/src/decoder.rs", "fn is_gpt_oss() {}"), 1);
    assert_eq!(found("crates/lm/src/rope.rs", "enum Scaling { Llama3, Llama4 }"), 1);
    assert_eq!(
        found("crates/lm/src/decoder.rs", "// as in llama2.c\nfn f() {}\n#[cfg(test)]\nmod t { fn qwen() {} }"),
        0
    );
    assert_eq!(found("crates/lm/src/families/qwen3.rs", "fn qwen3() {}"), 0);
    assert_eq!(found("crates/text/src/pre.rs", "fn f() { g(\"qwen2\") }"), 0);
    let path = concat!("see /wo", "rk/shared\n");
    assert_eq!(rules::private_places(&one("docs/a.md", path)).len(), 1);
    assert!(rules::private_places(&one("docs/a.md", "see our network/peers\n")).is_empty());
}

#[test]
fn source_views() {
    let text = "fn a<'x>(c: char) -> bool { c == '\"' || c == '\\'' } /* { /* \" */ */ fn b() { r#\"fn c() { \"# ; }\n";
    let source = Source::new(text);
    assert_eq!(source.code.len(), text.len());
    assert!(!source.code.contains("fn c") && source.code_and_literals.contains("fn c"));
    assert!(source.comments.contains("/* \" */") && !source.code.contains("/*"));
    let functions = Source::new("trait T { fn d(x: fn(u8));\n fn e(\n) where A: B {\n  {}\n }\n}").functions();
    assert_eq!(functions, [Function { name: "e".into(), line: 2, lines: 4 }]);
    let names: Vec<String> = source.functions().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "b"]);
}
