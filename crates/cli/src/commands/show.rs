//! `olivine show MODEL`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use olivine_hub::parameters;

use crate::library::{self, Found};
use crate::workshop;

/// Show what a model is and what its Modelfile says.
#[derive(Args)]
pub struct Show {
    /// A name of `olivine list`, a model folder, a .gguf file, or `mica` (built in)
    model: String,
    /// The Modelfile that makes it
    #[arg(long, group = "part")]
    modelfile: bool,
    /// Its parameters
    #[arg(long, group = "part")]
    parameters: bool,
    /// Its chat template
    #[arg(long, group = "part")]
    template: bool,
    /// Its system message
    #[arg(long, group = "part")]
    system: bool,
    /// Its licence
    #[arg(long, group = "part")]
    license: bool,
}

impl Show {
    pub fn run(self) -> Result<ExitCode> {
        let found = library::get(&self.model)?;
        let overlay = found.overlay()?;
        let stored = found.stored.as_ref();
        if self.modelfile {
            match stored {
                Some(model) => {
                    println!("# To make a model from this one, put its name behind FROM:\n# FROM {}\n", found.name);
                    print!("{}", model.modelfile()?);
                }
                None => println!("FROM {}", found.name),
            }
        } else if self.parameters {
            for (name, value) in parameters::lines(&overlay.parameters) {
                println!("{name:<30} {value}");
            }
        } else if self.template {
            println!("{}", template(&found)?);
        } else if self.system {
            println!("{}", overlay.system.unwrap_or_default());
        } else if self.license {
            match stored {
                Some(model) => println!("{}", model.licenses()?.join("\n")),
                None => bail!("{}: only models of the store have a licence with them", self.model),
            }
        } else {
            summary(&found)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The manifest's template, or that of the files.
fn template(found: &Found) -> Result<String> {
    if let Some(template) = found.overlay()?.template {
        return Ok(template);
    }
    Ok(match &found.path {
        None => crate::built_in::FILES.chat_template.to_string(),
        Some(path) => olivine_server::registry::template_source(path).map_err(anyhow::Error::msg)?,
    })
}

fn summary(found: &Found) -> Result<()> {
    let overlay = found.overlay()?;
    let checkpoint = found.checkpoint(None)?;
    let description = workshop::description(&checkpoint);
    let section = |title: &str, lines: &[(String, String)]| {
        if !lines.is_empty() {
            println!("  {title}");
            lines.iter().for_each(|(name, value)| println!("    {name:<20} {value}"));
            println!();
        }
    };
    let line = |name: &str, value: &dyn std::fmt::Display| (name.to_string(), value.to_string());
    section(
        "Model",
        &[
            line("architecture", &description.family),
            line("parameters", &description.parameter_size),
            line("context length", &checkpoint.spec.context_tokens),
            line("embedding length", &checkpoint.spec.hidden),
            line("quantization", &description.quantization),
            line("format", &description.format),
        ],
    );
    section("Parameters", &parameters::lines(&overlay.parameters));
    let first_lines = |text: &str| text.trim().lines().take(2).map(|line| (line.to_string(), String::new())).collect();
    let system: Vec<(String, String)> = overlay.system.as_deref().map(first_lines).unwrap_or_default();
    section("System", &system);
    for license in found.stored.as_ref().map(|model| model.licenses()).transpose()?.unwrap_or_default() {
        let lines: Vec<(String, String)> = first_lines(&license);
        section("License", &lines);
    }
    Ok(())
}
