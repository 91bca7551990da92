//! Options that all commands with a model share, and opening what they name.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use olivine_lm::Precision;
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{Checkpoint, LoadOptions};

use crate::kv_type::KvType;
use crate::{built_in, library};

/// How a model is loaded and run.
#[derive(Args, Clone, Debug)]
pub struct ModelOptions {
    /// Threads to compute with [default: the physical cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Where to compute: auto (the best GPU if there is one, else the CPU), cpu, gpu (an error if there is none), metal,
    /// vulkan:N, cuda:N
    #[arg(long, default_value = "auto", env = "OLIVINE_DEVICE", value_name = "DEVICE")]
    pub device: String,
    /// Split the model among these CUDA devices, as in `0,1`; each has a share of every layer, so that all compute each
    /// token together
    #[arg(long, value_name = "N,N", conflicts_with = "gpu_layers")]
    pub devices: Option<String>,
    /// How many layers the GPU computes, from the first on; the CPU does the others [default: as many as it has room for]
    #[arg(long, value_name = "LAYERS")]
    pub gpu_layers: Option<u32>,
    /// Longest conversation in tokens [default: what the model was made for]. Models that stretch their positions for
    /// long contexts (LongRoPE, dynamic NTK) do so by this number, once for the whole run
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(2..))]
    pub context: Option<u32>,
    /// How exactly products are computed
    #[arg(long, value_enum, default_value_t = Accuracy::Fast)]
    pub precision: Accuracy,
    /// How keys and values are kept: 8 and 4 bits are rotated first, so that they lose little [default: bf16; f32 with
    /// --precision f32]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub kv_type: Option<KvType>,
}

/// Choice of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accuracy {
    /// int8 activations with quantized weights, bf16 products with bf16 weights
    Fast,
    /// f32 activations and sums everywhere
    F32,
}

impl ModelOptions {
    /// Whether anything was said about how to load and run.
    pub fn is_set(&self) -> bool {
        self.threads.is_some()
            || self.context.is_some()
            || self.kv_type.is_some()
            || self.precision != Accuracy::Fast
            || self.gpu_layers.is_some()
            || self.device != "auto"
            || self.devices.is_some()
    }

    /// Set the threads and the device, and say how to load.
    pub fn apply(&self) -> Result<LoadOptions> {
        let gpu = match &self.devices {
            Some(_) if !matches!(self.device.as_str(), "auto" | "gpu") => {
                bail!("--devices and --device {} say different things", self.device)
            }
            Some(numbers) => olivine_lm::use_device(&format!("cuda:{numbers}"))?,
            None => olivine_lm::use_device(&self.device)?,
        };
        if let (Some(layers @ 1..), None) = (self.gpu_layers, &gpu) {
            bail!("--gpu-layers {layers}: with --device {} there is no GPU for them", self.device);
        }
        if let Some(threads) = self.threads {
            olivine_lm::set_threads(threads.into());
        }
        Ok(LoadOptions {
            precision: match self.precision {
                Accuracy::Fast => Precision::Fast,
                Accuracy::F32 => Precision::Exact,
            },
            context_tokens: self.context.map(|tokens| tokens as usize),
            kv_dtype: self.kv_type.map(KvType::dtype),
            gpu_layers: self.gpu_layers.map(|layers| layers as usize),
        })
    }

    /// Open a model with its text side. No name: the built-in one.
    pub fn open(&self, model: Option<&str>) -> Result<LanguageModel> {
        let found = library::get(model.unwrap_or(built_in::NAME))?;
        if found.adapter()?.is_some() {
            bail!("{}: only `run` and `serve` use the ADAPTER of a model; name the model below it", found.name);
        }
        found.open(&self.apply()?)
    }

    /// Open a model's files without loading them.
    pub fn checkpoint(&self, model: Option<&str>) -> Result<Checkpoint> {
        let context = self.context.map(|tokens| tokens as usize);
        library::get(model.unwrap_or(built_in::NAME))?.checkpoint(context)
    }
}

/// The file or folder that a name means; none for the built-in model.
pub fn path_of(name: &str) -> Result<Option<PathBuf>> {
    Ok(library::get(name)?.path)
}

/// Whether the first of the words behind `run` names a model rather than beginning a prompt. A single bare word in
/// front of others does, as in other programs: a misspelt name must not become a question to the built-in model.
pub fn names_model(word: &str, others: usize) -> bool {
    let bare = !word.contains(char::is_whitespace) && !word.is_empty();
    let looks_like_a_name = word.contains(['/', ':']) || word.contains(|c: char| c.is_ascii_digit());
    word == built_in::NAME
        || word.ends_with(".gguf")
        || bare && (others > 0 || looks_like_a_name && word.contains(|c: char| c.is_ascii_alphabetic()))
        || Path::new(word).exists()
        || library::find(word).is_ok_and(|found| found.is_some())
}

/// An error that helps when `word` is no model that is here.
pub fn check_exists(word: &str) -> Result<()> {
    library::get(word).map(|_| ())
}
