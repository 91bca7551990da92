//! `olivine quantize SRC DST --format F`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::Format;

/// Make a smaller copy of a model.
#[derive(Args)]
pub struct Quantize {
    /// A model folder
    source: PathBuf,
    /// The folder to write
    target: PathBuf,
    /// affine2 to affine8 (groups of 64; affine4-g32 for others), mxfp4, mxfp8, nvfp4
    #[arg(long, default_value = "affine4")]
    format: String,
}

impl Quantize {
    pub fn run(self) -> Result<ExitCode> {
        let Some(format) = Format::parse(&self.format) else {
            bail!(
                "--format {}: not known; known are affine2, affine3, affine4, affine5, affine6, affine8 (with -g32, -g64 or -g128), mxfp4, mxfp8, nvfp4",
                self.format
            );
        };
        if !self.source.exists() {
            bail!("{}: no such file or folder", self.source.display());
        }
        let bar = progress_bar();
        olivine_lm::quantize::quantize_folder(&self.source, &self.target, format, |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        println!("{}: {}", self.target.display(), format.name());
        Ok(ExitCode::SUCCESS)
    }
}

/// Bytes done, on a terminal only.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::no_length().with_style(style.expect("a valid template"))
}
