//! `cargo xtask cuda`: compiles the CUDA kernels again.
//!
//! Runs `crates/gpu/cuda/compile.py`, which needs a Python (`--python`, by default `python3`) with the compiler's package,
//! and no GPU: `pip install nvidia-cuda-nvrtc-cu12==12.9.86`. It prints registers and spills of every kernel. The result,
//! `kernels.bin`, is part of the repository; a test of the crate compares it with the sources.

use std::process::{Command, ExitCode};

const USAGE: &str = "cargo xtask cuda [--python PROGRAM]";

/// Runs the script.
pub fn run(arguments: &[String]) -> ExitCode {
    let python = match arguments {
        [] => "python3",
        [name, python] if name == "--python" => python,
        _ => {
            eprintln!("usage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    let arguments = ["crates/gpu/cuda/compile.py", "crates/gpu/cuda"];
    match Command::new(python).args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("{python} {}: {status}", arguments.join(" "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{python}: {error}");
            ExitCode::FAILURE
        }
    }
}
