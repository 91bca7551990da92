//! `olivine create NAME [-f Modelfile]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use olivine_hub::create::{Origin, Recipe};
use olivine_hub::{Hub, ModelName, Modelfile};

use crate::workshop::Formats;
use crate::{library, progress};

/// Make a model from a Modelfile: FROM (a name, a folder, a .gguf file), PARAMETER, TEMPLATE, SYSTEM, MESSAGE, ADAPTER,
/// LICENSE.
#[derive(Args)]
pub struct Create {
    /// Its name
    name: String,
    /// The Modelfile; `-`: standard input
    #[arg(short, long, default_value = "Modelfile")]
    file: PathBuf,
    /// Make a smaller copy of the weights: q8_0, q4_K_M, …; affine4, mxfp4, … keep a folder
    #[arg(short, long, value_name = "FORMAT")]
    quantize: Option<String>,
}

impl Create {
    pub fn run(self) -> Result<ExitCode> {
        let name = ModelName::parse(&self.name)?;
        let modelfile = match self.file.as_os_str() == "-" {
            true => Modelfile::parse("standard input", &std::io::read_to_string(std::io::stdin())?),
            false => Modelfile::read(&self.file),
        };
        let modelfile = modelfile.with_context(|| "give a Modelfile with -f")?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let mut recipe = Recipe::of_modelfile(name, &modelfile, folder)?;
        recipe.quantize = self.quantize;
        let hub = Hub::of_user(Arc::new(Formats));
        // A repository that the Hugging Face libraries have is not downloaded again.
        if let Origin::Name(base) = &recipe.origin
            && hub.store().find(base)?.is_none()
            && let Some(path) = library::of_cache(base).and_then(|found| found.path)
        {
            recipe.origin = Origin::Path(path);
        }
        progress::shown(|report| hub.create(&recipe, report))?;
        Ok(ExitCode::SUCCESS)
    }
}
