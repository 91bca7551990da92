//! `olivine perplexity MODEL FILE`: how well a model predicts a text.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use olivine_lm::perplexity::{Scored, Scoring, perplexity};

use crate::model::{ModelOptions, check_exists};

/// Perplexity of a text in windows without overlap.
#[derive(Args)]
pub struct Perplexity {
    /// A model folder, a .gguf file, a name of `olivine list`, or `mica` (built in)
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
    /// Which tokens of a window count
    #[arg(long, value_enum, default_value_t = Count::All)]
    count: Count,
    /// Print JSON: perplexity, mean_nll (natural logarithm), windows, window_nll
    #[arg(long)]
    json: bool,
}

/// Which tokens of a window count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Count {
    /// all but the first
    All,
    /// those with half a window before them, each window beginning with the begin token: as llama-perplexity counts
    SecondHalf,
}

impl Perplexity {
    pub fn run(self) -> Result<ExitCode> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("{}: give a text file", self.file.display()))?;
        check_exists(&self.model)?;
        let mut model = self.options.open(Some(&self.model))?;
        let tokens = model.tokenizer.encode(&text, olivine_lm::EncodeOptions::TEXT)?;
        let begin = model.tokenizer.special_ids().bos.filter(|bos| tokens.first() == Some(bos));
        let (scored, first) = match self.count {
            Count::All => (Scored::All, None),
            Count::SecondHalf => (Scored::SecondHalf, begin),
        };
        let scoring = Scoring { window: self.window as usize, windows: self.windows, scored, first };
        let result = perplexity(&mut model.model, &tokens, &scoring)?;
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
