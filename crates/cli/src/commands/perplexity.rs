//! `olivine perplexity MODEL FILE`: how well a model predicts a text.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::model::ModelOptions;

/// Perplexity of a text: windows without overlap, the first token of a window not scored.
#[derive(Args)]
pub struct Perplexity {
    /// A model folder, a .gguf file, or `mica` (built in)
    model: String,
    /// A text file
    file: PathBuf,
    #[command(flatten)]
    options: ModelOptions,
    /// Tokens of a window
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..))]
    window: u32,
    /// Use the first windows only
    #[arg(long)]
    windows: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Perplexity {
    pub fn run(self) -> Result<ExitCode> {
        let text = std::fs::read_to_string(&self.file).with_context(|| self.file.display().to_string())?;
        let mut model = self.options.open(Some(&self.model))?;
        let tokens = model.tokenizer.encode(&text, olivine_lm::EncodeOptions::TEXT)?;
        let result = olivine_lm::perplexity::perplexity(&mut model.model, &tokens, self.window as usize, self.windows)?;
        if self.json {
            let value = serde_json::json!({
                "perplexity": result.perplexity(),
                "mean_nll": result.mean_nll(),
                "windows": result.window_nll.len(),
                "window_nll": result.window_nll,
            });
            println!("{value}");
        } else {
            println!(
                "perplexity {:.4} over {} windows of {}",
                result.perplexity(),
                result.window_nll.len(),
                self.window
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
