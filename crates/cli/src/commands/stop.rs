//! `olivine stop NAME`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::ps::server;

/// Unload a model from the server, as soon as nobody uses it.
#[derive(Args)]
pub struct Stop {
    /// A name of `olivine ps`
    name: String,
}

impl Stop {
    pub fn run(self) -> Result<ExitCode> {
        server()?.post("/api/generate", &json!({"model": self.name, "keep_alive": 0}))?;
        Ok(ExitCode::SUCCESS)
    }
}
