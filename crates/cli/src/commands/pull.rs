//! `olivine pull NAME`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use olivine_hub::{Hub, ModelName};

use crate::progress;
use crate::workshop::Formats;

/// Get a model. A pull that was stopped goes on where it was.
#[derive(Args)]
pub struct Pull {
    /// qwen3:0.6b, namespace/model:tag, registry.example/namespace/model:tag, hf.co/org/repository[:QUANT]
    name: String,
    /// Allow a registry without TLS
    #[arg(long)]
    insecure: bool,
}

impl Pull {
    pub fn run(self) -> Result<ExitCode> {
        let name = ModelName::parse(&self.name)?;
        let hub = Hub::of_user(Arc::new(Formats));
        progress::shown(|report| hub.pull(&name, self.insecure, report))?;
        Ok(ExitCode::SUCCESS)
    }
}
