//! `olivine cp SOURCE TARGET`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use olivine_hub::{ModelName, Store};

/// Give a model a second name. No byte of it is copied.
#[derive(Args)]
pub struct Copy {
    /// A name of `olivine list`
    source: String,
    /// The other name
    target: String,
}

impl Copy {
    pub fn run(self) -> Result<ExitCode> {
        Store::of_user().copy(&ModelName::parse(&self.source)?, &ModelName::parse(&self.target)?)?;
        println!("copied '{}' to '{}'", self.source, self.target);
        Ok(ExitCode::SUCCESS)
    }
}
