//! `olivine quantize SRC DST --format F`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::Format;
use olivine_lm::export::{MIXES, Mix};

/// Make a smaller copy of a model.
#[derive(Args)]
pub struct Quantize {
    /// A model folder, or a GGUF file of bf16, f16 or f32
    source: PathBuf,
    /// The folder to write, or the file if it ends in .gguf
    target: PathBuf,
    /// Folders: affine2 to affine8 (groups of 64; affine4-g32 for others), mxfp4, mxfp8, nvfp4. GGUF files: q8_0,
    /// q6_k, q5_k_m, q4_k_m, q4_0, … [default: affine4, or q4_k_m]
    #[arg(long)]
    format: Option<String>,
}

impl Quantize {
    pub fn run(self) -> Result<ExitCode> {
        if !self.source.exists() {
            bail!("{}: no such file or folder", self.source.display());
        }
        let to_file = self.target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        let name = self.format.as_deref().unwrap_or(if to_file { "q4_k_m" } else { "affine4" });
        let (mix, format) = (Mix::parse(name), Format::parse(name).filter(|format| !format.is_gguf()));
        let bar = progress_bar();
        let progress = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        match (mix, format) {
            (Some(mix), _) if to_file => olivine_lm::export::write_gguf(&self.source, &self.target, mix, progress)?,
            (_, Some(format)) if !to_file && self.source.is_dir() => {
                olivine_lm::quantize::quantize_folder(&self.source, &self.target, format, progress)?;
            }
            (_, Some(_)) if !to_file => {
                bail!("{}: a folder is made from a folder; give the target a name in .gguf", self.source.display())
            }
            (Some(_), _) => bail!("--format {name} makes a GGUF file; let {} end in .gguf", self.target.display()),
            (_, Some(_)) => bail!("--format {name} makes a folder; let {} not end in .gguf", self.target.display()),
            (None, None) => bail!("--format {name}: not known; known are {}", known_formats()),
        }
        bar.finish_and_clear();
        println!("{}: {}", self.target.display(), mix.map_or(name, |mix| mix.name));
        Ok(ExitCode::SUCCESS)
    }
}

fn known_formats() -> String {
    let mixes = MIXES.iter().map(|mix| mix.name).collect::<Vec<_>>().join(", ");
    format!(
        "affine2, affine3, affine4, affine5, affine6, affine8 (with -g32, -g64 or -g128), mxfp4, mxfp8, nvfp4 for \
         folders; {mixes} for GGUF files"
    )
}

/// Bytes done, on a terminal only.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::no_length().with_style(style.expect("a valid template"))
}
