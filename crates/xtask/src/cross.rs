//! `cargo xtask cross`: Apple Silicon without a Mac. Kernel and model tests for aarch64 Linux under qemu, whose `max` CPU has
//! dotprod, i8mm and bf16; and a type check of the macOS code.

use std::process::ExitCode;

use crate::command::{Steps, output};

const LINUX: &str = "aarch64-unknown-linux-gnu";
const MACOS: &str = "aarch64-apple-darwin";
/// Folder of the aarch64 C library, as Debian and Ubuntu install it.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const QEMU: &str = "qemu-aarch64";

/// Dependencies that compile C want Apple's SDK. A type check links nothing, so a compiler that does nothing will do.
const NO_COMPILER: [(&str, &str); 3] =
    [("CC_aarch64_apple_darwin", "true"), ("AR_aarch64_apple_darwin", "true"), ("SDKROOT", "/")];

/// Runs both; says what to install when something is missing. Further arguments go to the test programs.
pub fn run(filters: &[String]) -> ExitCode {
    let missing = missing();
    if !missing.is_empty() {
        eprintln!("cross needs what is not installed here:\n  {}", missing.join("\n  "));
        return ExitCode::FAILURE;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let runner = format!("{QEMU} -cpu max -L {LIBRARIES}");
    let environment = [
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner),
        ("OLIVINE_EMULATED", "1"),
    ];
    let mut steps = Steps::default();
    for package in ["olivine-kernels", "olivine-lm"] {
        let mut arguments = vec!["test", "--release", "--target", LINUX, "--package", package, "--lib", "--tests"];
        if !filters.is_empty() {
            arguments.push("--");
            arguments.extend(filters.iter().map(String::as_str));
        }
        steps.run(&format!("{package} on aarch64 under qemu"), &cargo, &arguments, &environment);
    }
    let arguments = ["check", "--release", "--target", MACOS, "--workspace"];
    steps.run("check for macOS", &cargo, &arguments, &NO_COMPILER);
    steps.finish()
}

/// What is missing, each with the command that installs it.
fn missing() -> Vec<String> {
    let mut missing = vec![];
    let targets = output("rustup", &["target", "list", "--installed"]);
    let targets = targets.unwrap_or_default();
    for target in [LINUX, MACOS] {
        if !targets.lines().any(|line| line.trim() == target) {
            missing.push(format!("Rust's standard library for {target}: rustup target add {target}"));
        }
    }
    if output(LINKER, &["--version"]).is_none() {
        missing.push(format!("{LINKER}: on Debian and Ubuntu, apt-get install gcc-aarch64-linux-gnu"));
    }
    if !std::path::Path::new(LIBRARIES).join("lib").is_dir() {
        missing.push(format!("{LIBRARIES}: on Debian and Ubuntu, apt-get install libc6-dev-arm64-cross"));
    }
    if output(QEMU, &["--version"]).is_none() {
        missing.push(format!("{QEMU}: on Debian and Ubuntu, apt-get install qemu-user"));
    }
    missing
}
