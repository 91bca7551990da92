//! What one family of models tells the rest.
//!
//! Read next: [`super::names`], [`crate::spec`].

use crate::ModelError;
use crate::config::Config;
use crate::spec::ModelSpec;

/// One family of models.
pub struct Family {
    /// For people and for [`ModelSpec::family`].
    pub name: &'static str,
    /// `model_type` values of config.json.
    pub model_types: &'static [&'static str],
    /// `general.architecture` values of GGUF files.
    pub gguf_architectures: &'static [&'static str],
    /// Resolve a configuration.
    pub spec: fn(&Config) -> Result<ModelSpec, ModelError>,
    /// Canonical name → name in Hugging Face checkpoints, where it differs from [`COMMON_NAMES`](super::names::COMMON_NAMES).
    pub names: &'static [(&'static str, &'static str)],
    /// How GGUF files of the family are written, if they can be.
    pub export: Option<Export>,
}

/// What a GGUF writer must know beyond the spec and the names.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// `model_type` → `general.architecture`.
    pub architectures: &'static [(&'static str, &'static str)],
    /// Readers of these files see a window in every layer but each so manieth (1: in every layer); 0: windows cannot
    /// be said.
    pub window_interval: usize,
    /// Canonical name → name in the file, where it is not the first of [`GGUF_NAMES`](super::names::GGUF_NAMES).
    pub names: &'static [(&'static str, &'static str)],
}

impl Export {
    /// A family without windows and with the usual names.
    pub(super) const fn plain(architectures: &'static [(&'static str, &'static str)]) -> Option<Export> {
        Some(Export { architectures, window_interval: 0, names: &[] })
    }
}
