//! What the store cannot know of models: what a file is, and how a smaller copy of it is made.
//!
//! Invariant: describing opens files and loads nothing. Read `olivine_hub::create` for who asks.

use std::path::Path;

use olivine_hub::{Description, ModelName, Workshop};
use olivine_lm::Format;
use olivine_lm::export::{MIXES, Mix, write_gguf};
use olivine_lm::inspect::formats;
use olivine_lm::model::Checkpoint;
use olivine_lm::quantize::quantize_folder;
use olivine_server::Details;

use crate::{built_in, library};

/// The formats that this program knows.
pub struct Formats;

impl Workshop for Formats {
    fn describe(&self, path: &Path) -> Result<Description, String> {
        Checkpoint::open(path, None).map(|checkpoint| description(&checkpoint)).map_err(|error| error.to_string())
    }

    fn quantize(
        &self,
        source: &Path,
        target: &Path,
        format: &str,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), String> {
        let told = |done: usize, total: usize| {
            progress(done as u64, total as u64);
        };
        let done = match (Mix::parse(format), Format::parse(format).filter(|format| !format.is_gguf())) {
            (Some(mix), _) => write_gguf(source, target, mix, told),
            (None, Some(_)) if source.is_file() => {
                return Err(format!("{format} is made from a model folder, and {} is a file", source.display()));
            }
            (None, Some(format)) => quantize_folder(source, target, format, told),
            (None, None) => return Err(format!("unsupported quantization type {format}")),
        };
        done.map_err(|error| error.to_string())
    }

    fn built_in(&self, name: &ModelName) -> Option<Vec<(&'static str, &'static [u8])>> {
        library::is_built_in(&name.short()).then(built_in::files)
    }

    fn makes_gguf(&self, format: &str) -> Option<bool> {
        if Mix::parse(format).is_some() {
            return Some(true);
        }
        Format::parse(format).filter(|format| !format.is_gguf()).map(|_| false)
    }
}

/// What an opened model is.
pub fn description(checkpoint: &Checkpoint) -> Description {
    let parameters = checkpoint.entries().iter().map(|entry| entry.shape.iter().product::<usize>() as u64).sum();
    let gguf = checkpoint.weights.gguf().is_some();
    Description {
        format: if gguf { "gguf" } else { "safetensors" }.into(),
        family: checkpoint.spec.family.to_string(),
        parameter_size: short(parameters),
        quantization: quantization(checkpoint),
    }
}

/// What is in a model's files: for `/api/show`.
pub fn details(checkpoint: &Checkpoint, verbose: bool) -> Details {
    let entries = if verbose { checkpoint.entries() } else { Vec::new() };
    let tensors = entries.into_iter().map(|entry| (entry.name, entry.format, entry.shape)).collect();
    Details { info: checkpoint.metadata(verbose), tensors }
}

/// The name that a GGUF file gives its mix of formats, or the format of most bytes.
pub fn quantization(checkpoint: &Checkpoint) -> String {
    let declared = checkpoint.weights.gguf().and_then(|gguf| gguf.u32("general.file_type").ok());
    if let Some(mix) = declared.and_then(|number| MIXES.iter().find(|mix| mix.file_type == number)) {
        return mix.name.to_ascii_uppercase();
    }
    let largest = formats(&checkpoint.entries()).into_iter().max_by_key(|(_, _, bytes)| *bytes);
    largest.map_or_else(String::new, |(format, ..)| format)
}

/// `32.0M`, `8.2B`.
pub fn short(parameters: u64) -> String {
    match parameters {
        0..1_000_000_000 => format!("{:.1}M", parameters as f64 / 1e6),
        _ => format!("{:.1}B", parameters as f64 / 1e9),
    }
}
