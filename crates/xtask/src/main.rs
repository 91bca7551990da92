//! Automation of the workspace: `cargo xtask check | cross | cuda | device-pack | golden | matrices`. One file per command.

mod check;
mod command;
mod cross;
mod cuda;
mod device_pack;
mod golden;
mod matrices;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  check [--tested]   format, rules, clippy, tests (not again, where they have just run)
  cross [FILTER…]    kernel and model tests on aarch64 under qemu, type check for macOS
  cuda [OPTION…]     compile the CUDA kernels again
  device-pack [OPTION…] programs that test and measure a GPU; --run does it here
  golden [OPTION…]   make the golden data of the tiny models again
  matrices           kernels with matrices in hardware, on a software device that has some";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &[][..]),
    };
    match command {
        "check" if rest.is_empty() => check::run(true),
        "check" if rest == ["--tested"] => check::run(false),
        "cross" => cross::run(rest),
        "cuda" => cuda::run(rest),
        "device-pack" => device_pack::run(rest),
        "matrices" if rest.is_empty() => matrices::run(),
        "golden" => golden::run(rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
