//! The subcommands: one file each, one line each in [`Command`].

mod bench;
mod completions;
mod inspect;
mod launch;
mod perplexity;
mod quantize;
mod run;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What `olivine` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Answer a prompt, or chat
    Run(run::Run),
    /// Serve models over HTTP
    Serve(serve::Serve),
    /// Start another program with our models
    Launch(launch::Launch),
    /// Show what a model is, what it takes, and how fast it could be here
    Inspect(inspect::Inspect),
    /// Make a smaller copy of a model
    Quantize(quantize::Quantize),
    /// Perplexity of a text
    Perplexity(perplexity::Perplexity),
    /// Measure speed beside the machine's limits
    Bench(bench::Bench),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

impl Command {
    /// Do it.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Command::Run(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Launch(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Quantize(command) => command.run(),
            Command::Perplexity(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Completions(command) => command.run(),
        }
    }
}
