//! `olivine list`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use olivine_hub::Store;

use crate::library::{self, human_age, human_bytes};
use crate::{built_in, table};

/// List the models of the store, those changed last first, and the built-in one.
#[derive(Args)]
pub struct List {
    /// Only names that begin so
    prefix: Option<String>,
}

impl List {
    pub fn run(self) -> Result<ExitCode> {
        let prefix = self.prefix.unwrap_or_default().to_lowercase();
        let mut rows = Vec::new();
        for model in Store::of_user().list()? {
            let name = model.name.short();
            if name.to_lowercase().starts_with(&prefix) {
                let age = model.modified.elapsed().unwrap_or_default().as_secs();
                rows.push(vec![name, model.digest.short(), human_bytes(model.manifest.size()), human_age(age)]);
            }
        }
        if built_in::NAME.starts_with(&prefix) && !rows.iter().any(|row| library::is_built_in(&row[0])) {
            let size = human_bytes(built_in::FILES.weights.len() as u64);
            rows.push(vec![built_in::NAME.into(), "built in".into(), size, "-".into()]);
        }
        table::print(&["NAME", "ID", "SIZE", "MODIFIED"], &rows);
        Ok(ExitCode::SUCCESS)
    }
}
