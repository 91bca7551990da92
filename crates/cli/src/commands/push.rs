//! `olivine push NAME`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use olivine_hub::{Hub, ModelName};

use crate::progress;
use crate::workshop::Formats;

/// Send a model to the registry in its name; `olivine cp` gives it such a name. OLIVINE_REGISTRY_AUTH says who you are:
/// HOST=TOKEN or HOST=USER:PASSWORD.
#[derive(Args)]
pub struct Push {
    /// registry.example/namespace/model:tag
    name: String,
    /// Allow a registry without TLS
    #[arg(long)]
    insecure: bool,
}

impl Push {
    pub fn run(self) -> Result<ExitCode> {
        let name = ModelName::parse(&self.name)?;
        let hub = Hub::of_user(Arc::new(Formats));
        progress::shown(|report| hub.push(&name, self.insecure, report))?;
        Ok(ExitCode::SUCCESS)
    }
}
