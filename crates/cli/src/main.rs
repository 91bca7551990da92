//! The `olivine` command: one file per subcommand under `commands/`. The only crate that prints or exits.

mod built_in;
mod catalog;
mod commands;
mod data;
mod encoders;
mod kv_type;
mod library;
mod model;
mod progress;
mod signals;
mod table;
mod workshop;

use std::process::ExitCode;

use clap::Parser;

/// Run open-weight language models on this machine.
#[derive(Parser)]
#[command(name = "olivine", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("olivine: {error:#}");
            ExitCode::FAILURE
        }
    }
}
