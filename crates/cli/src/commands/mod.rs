//! The subcommands: one file each, one line each in [`Command`].

mod bench;
mod completions;
mod copy;
mod create;
mod inspect;
mod launch;
mod list;
mod perplexity;
mod ps;
mod pull;
mod push;
mod quantize;
mod remove;
mod run;
mod serve;
mod show;
mod stop;

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
    /// Get a model from a registry or from the Hugging Face hub
    Pull(pull::Pull),
    /// Send a model to a registry
    Push(push::Push),
    /// Make a model from a Modelfile
    Create(create::Create),
    /// List the models of the store
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show what a model of the store is made of
    Show(show::Show),
    /// Give a model a second name
    Cp(copy::Copy),
    /// Remove models from the store
    Rm(remove::Remove),
    /// List the models that the server has loaded
    Ps(ps::Ps),
    /// Unload a model from the server
    Stop(stop::Stop),
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
            Command::Pull(command) => command.run(),
            Command::Push(command) => command.run(),
            Command::Create(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Cp(command) => command.run(),
            Command::Rm(command) => command.run(),
            Command::Ps(command) => command.run(),
            Command::Stop(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Quantize(command) => command.run(),
            Command::Perplexity(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Completions(command) => command.run(),
        }
    }
}
