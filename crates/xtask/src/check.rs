//! `cargo xtask check`: format, rules, clippy and tests, the cheap ones first.

use std::process::ExitCode;

use olivine_xtask::{rules, tree::Tree};

use crate::command::Steps;

/// Runs all of it, the tests if asked for; stops at the first failure.
pub fn run(tests: bool) -> ExitCode {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut steps = Steps::default();
    steps.run("format (repair: cargo fmt --all)", &cargo, &["fmt", "--all", "--check"], &[]);
    steps.step("rules", || {
        let findings = rules::run(&Tree::load()?);
        if findings.is_empty() { Ok(()) } else { Err(format!("\n{}", findings.join("\n"))) }
    });
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps.run("clippy", &cargo, &clippy, &[]);
    if tests {
        steps.run("tests", &cargo, &["test", "--release", "--workspace"], &[]);
    }
    steps.finish()
}
