//! `olivine rm NAME…`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use olivine_hub::{ModelName, Store};

/// Remove models from the store, with the files that no other name needs.
#[derive(Args)]
pub struct Remove {
    /// Names of `olivine list`
    #[arg(required = true)]
    names: Vec<String>,
}

impl Remove {
    pub fn run(self) -> Result<ExitCode> {
        let store = Store::of_user();
        for name in &self.names {
            store.remove(&ModelName::parse(name)?)?;
            println!("deleted '{name}'");
        }
        Ok(ExitCode::SUCCESS)
    }
}
