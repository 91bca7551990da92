//! Automation of the workspace: `cargo xtask golden`. One file per command.

mod golden;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == "golden" => golden::run(rest),
        _ => {
            eprintln!("usage: cargo xtask golden");
            ExitCode::from(2)
        }
    }
}
