//! Manifests: which blobs a model is made of, as registries and Ollama's store write it.
//!
//! Invariant: digests are checked when a manifest is read; names of files are checked when they are used
//! (`Layer::file_name`). Read `store` for where manifests lie.

use serde::{Deserialize, Serialize};

use crate::name::FileName;
use crate::{Digest, HubError};

/// The type of a manifest.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The type of the blob that describes a model.
pub const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A GGUF file.
pub const MODEL: &str = "application/vnd.ollama.image.model";
/// A vision tower as a GGUF file.
pub const PROJECTOR: &str = "application/vnd.ollama.image.projector";
/// An adapter.
pub const ADAPTER: &str = "application/vnd.ollama.image.adapter";
/// A chat template.
pub const TEMPLATE: &str = "application/vnd.ollama.image.template";
/// A chat template, in old manifests.
pub const PROMPT: &str = "application/vnd.ollama.image.prompt";
/// A system message.
pub const SYSTEM: &str = "application/vnd.ollama.image.system";
/// Parameters as JSON.
pub const PARAMS: &str = "application/vnd.ollama.image.params";
/// Messages as JSON.
pub const MESSAGES: &str = "application/vnd.ollama.image.messages";
/// A licence.
pub const LICENSE: &str = "application/vnd.ollama.image.license";
/// One tensor as a safetensors file; the layer's name is the tensor's.
pub const TENSOR: &str = "application/vnd.ollama.image.tensor";
/// A JSON file of a model folder; the layer's name is the file's.
pub const JSON: &str = "application/vnd.ollama.image.json";
/// A file of a model folder; the layer's name is the file's. Ours.
pub const FILE: &str = "application/vnd.olivine.image.file";
/// A file of an adapter's folder; the layer's name is the file's. Ours.
pub const ADAPTER_FILE: &str = "application/vnd.olivine.adapter.file";

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// See [`MANIFEST`].
    #[serde(default)]
    pub media_type: String,
    /// The blob that describes the model.
    pub config: Layer,
    /// Its parts.
    #[serde(default)]
    pub layers: Vec<Layer>,
}

/// A blob and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// One of the types above.
    pub media_type: String,
    /// The blob.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// The model it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The file or tensor it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the config blob says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `gguf` or `safetensors`.
    #[serde(default)]
    pub model_format: String,
    /// `qwen3`.
    #[serde(default)]
    pub model_family: String,
    /// All families in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_families: Option<Vec<String>>,
    /// `8.2B`.
    #[serde(default)]
    pub model_type: String,
    /// `Q4_K_M`.
    #[serde(default)]
    pub file_type: String,
    /// Ollama's own code for prompts, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renderer: Option<String>,
    /// Ollama's own code for answers, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// The oldest version of Ollama that knows the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Of the image; says nothing about models.
    #[serde(default)]
    pub architecture: String,
    /// The same.
    #[serde(default)]
    pub os: String,
    /// The layers once more.
    #[serde(default)]
    pub rootfs: RootFs,
}

/// See [`Config::rootfs`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Their digests.
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

impl Manifest {
    /// Of a config and layers.
    pub fn new(config: Layer, layers: Vec<Layer>) -> Manifest {
        Manifest { schema_version: 2, media_type: MANIFEST.into(), config, layers }
    }

    /// Reads a manifest; `what` is for messages.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Manifest, HubError> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| HubError::form(what, error))?;
        if manifest.schema_version != 2 {
            let reason = format!("schema version {} is not known", manifest.schema_version);
            return Err(HubError::form(what, reason));
        }
        Ok(manifest)
    }

    /// All blobs, each once.
    pub fn blobs(&self) -> Vec<&Layer> {
        let mut blobs: Vec<&Layer> = Vec::new();
        for layer in self.layers.iter().chain([&self.config]) {
            if !blobs.iter().any(|known| known.digest == layer.digest) {
                blobs.push(layer);
            }
        }
        blobs
    }

    /// Bytes of all blobs.
    pub fn size(&self) -> u64 {
        self.layers.iter().chain([&self.config]).map(|layer| layer.size).sum()
    }

    /// The layers of a type.
    pub fn of_type<'a>(&'a self, media_type: &'a str) -> impl Iterator<Item = &'a Layer> {
        self.layers.iter().filter(move |layer| layer.media_type == media_type)
    }
}

impl Layer {
    /// A blob without a name.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Layer {
        Layer { media_type: media_type.into(), digest, size, from: None, name: None }
    }

    /// A file of a folder.
    pub fn file(media_type: &str, digest: Digest, size: u64, name: &FileName) -> Layer {
        Layer { name: Some(name.as_str().to_string()), ..Layer::new(media_type, digest, size) }
    }

    /// The name as a file of the model's folder.
    pub fn file_name(&self) -> Result<FileName, HubError> {
        let name = self.name.as_deref().ok_or_else(|| HubError::form(self.digest, "the layer has no name"))?;
        match self.media_type == TENSOR {
            // Some names of tensors have slashes; the file's name says nothing.
            true => FileName::parse(&format!("{}.safetensors", name.replace('/', "_"))),
            false => FileName::parse(name),
        }
    }
}
