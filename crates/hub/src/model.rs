//! A model in the store: its parts, and what must be opened to load it.
//!
//! Invariant: reading a model changes nothing but its folder of links, which is made from the manifest alone. Read
//! `manifest` for the types of its parts.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::manifest::{self, Config, Layer, Manifest};
use crate::modelfile::Modelfile;
use crate::name::FileName;
use crate::store::link;
use crate::{Digest, HubError, ModelName, Store, parameters};

/// A name and what it means.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// Its name.
    pub name: ModelName,
    /// When its manifest was written.
    pub modified: SystemTime,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its parts.
    pub manifest: Manifest,
    /// What its config says.
    pub config: Config,
    store: Store,
}

/// What a loader opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    /// A GGUF file, whatever its name ends with.
    Gguf(PathBuf),
    /// A model folder, or the first file of a GGUF model in parts.
    Files(PathBuf),
}

impl Weights {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Weights::Gguf(path) | Weights::Files(path) => path,
        }
    }
}

impl StoredModel {
    pub(crate) fn open(store: &Store, name: ModelName, path: &Path, bytes: &[u8]) -> Result<StoredModel, HubError> {
        let manifest = Manifest::parse(&path.display().to_string(), bytes)?;
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(HubError::io(path))?;
        let config = store.read(&manifest.config)?;
        let what = store.blob(&manifest.config.digest).display().to_string();
        let config = serde_json::from_slice(&config).map_err(|error| HubError::form(what, error))?;
        Ok(StoredModel { name, modified, digest: Digest::of(bytes), manifest, config, store: store.clone() })
    }

    /// What to open, with files in place: a blob, or a folder of links to blobs.
    pub fn weights(&self) -> Result<Weights, HubError> {
        let models: Vec<&Layer> = self.manifest.of_type(manifest::MODEL).collect();
        if let [layer] = models[..]
            && layer.name.is_none()
        {
            return Ok(Weights::Gguf(self.blob(layer)?));
        }
        let in_folder = [manifest::MODEL, manifest::FILE, manifest::JSON, manifest::TENSOR];
        let files: Vec<&Layer> =
            self.manifest.layers.iter().filter(|layer| in_folder.contains(&layer.media_type.as_str())).collect();
        if files.is_empty() {
            return Err(HubError::form(self.name.short(), "its manifest names no weights"));
        }
        let folder = self.folder("", &files)?;
        let parts = files.iter().filter_map(|layer| layer.name.as_deref()).filter(|name| name.ends_with(".gguf"));
        Ok(Weights::Files(match parts.min() {
            Some(first) => folder.join(first),
            None => folder,
        }))
    }

    /// Digests of everything that decides what the model computes.
    pub fn weight_digests(&self) -> String {
        let texts = [manifest::SYSTEM, manifest::LICENSE, manifest::MESSAGES, manifest::TEMPLATE];
        let layers = self.manifest.layers.iter().filter(|layer| !texts.contains(&layer.media_type.as_str()));
        layers.map(|layer| format!("{} {}\n", layer.digest, layer.name.as_deref().unwrap_or_default())).collect()
    }

    /// Adapters: GGUF files and folders.
    pub fn adapters(&self) -> Result<Vec<PathBuf>, HubError> {
        let mut paths = Vec::new();
        for layer in self.manifest.of_type(manifest::ADAPTER) {
            paths.push(self.blob(layer)?);
        }
        let files: Vec<&Layer> = self.manifest.of_type(manifest::ADAPTER_FILE).collect();
        if !files.is_empty() {
            paths.push(self.folder("adapter", &files)?);
        }
        Ok(paths)
    }

    /// Whether there is a vision tower.
    pub fn has_projector(&self) -> bool {
        self.manifest.of_type(manifest::PROJECTOR).next().is_some()
    }

    /// The chat template.
    pub fn template(&self) -> Result<Option<String>, HubError> {
        match self.text(manifest::TEMPLATE)? {
            Some(template) => Ok(Some(template)),
            None => self.text(manifest::PROMPT),
        }
    }

    /// The system message.
    pub fn system(&self) -> Result<Option<String>, HubError> {
        self.text(manifest::SYSTEM)
    }

    /// Licences, one text after the other.
    pub fn licenses(&self) -> Result<Vec<String>, HubError> {
        self.manifest.of_type(manifest::LICENSE).map(|layer| self.layer_text(layer)).collect()
    }

    /// Parameters by their names in Modelfiles.
    pub fn parameters(&self) -> Result<Map<String, Value>, HubError> {
        Ok(match self.json(manifest::PARAMS)? {
            Some(Value::Object(map)) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            Some(other) => return Err(HubError::form(self.name.short(), format!("its parameters are {other}"))),
            None => Map::new(),
        })
    }

    /// Messages that every conversation begins with: `[{role, content}]`.
    pub fn messages(&self) -> Result<Vec<Value>, HubError> {
        Ok(match self.json(manifest::MESSAGES)? {
            Some(Value::Array(list)) => list,
            Some(other) => return Err(HubError::form(self.name.short(), format!("its messages are {other}"))),
            None => Vec::new(),
        })
    }

    /// The Modelfile that would make it again.
    pub fn modelfile(&self) -> Result<Modelfile, HubError> {
        let path = |path: PathBuf| path.display().to_string();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_string();
        let messages = self.messages()?;
        Ok(Modelfile {
            from: vec![path(self.weights()?.path().to_path_buf())],
            adapters: self.adapters()?.into_iter().map(path).collect(),
            template: self.template()?,
            system: self.system()?,
            parameters: parameters::lines(&self.parameters()?),
            messages: messages.iter().map(|message| (text(message, "role"), text(message, "content"))).collect(),
            licenses: self.licenses()?,
            renderer: self.config.renderer.clone().filter(|name| !name.is_empty()),
            parser: self.config.parser.clone().filter(|name| !name.is_empty()),
            requires: self.config.requires.clone().filter(|version| !version.is_empty()),
        })
    }

    fn blob(&self, layer: &Layer) -> Result<PathBuf, HubError> {
        let path = self.store.blob(&layer.digest);
        if path.is_file() {
            return Ok(path);
        }
        let reason = format!("its blob {} is missing; pull the model again", layer.digest);
        Err(HubError::form(self.name.short(), reason))
    }

    fn text(&self, media_type: &str) -> Result<Option<String>, HubError> {
        let layer = self.manifest.of_type(media_type).last();
        layer.map(|layer| self.layer_text(layer)).transpose()
    }

    fn layer_text(&self, layer: &Layer) -> Result<String, HubError> {
        let what = || self.store.blob(&layer.digest).display().to_string();
        String::from_utf8(self.store.read(layer)?).map_err(|_| HubError::form(what(), "this is no text"))
    }

    fn json(&self, media_type: &str) -> Result<Option<Value>, HubError> {
        let Some(layer) = self.manifest.of_type(media_type).last() else { return Ok(None) };
        let what = || self.store.blob(&layer.digest).display().to_string();
        serde_json::from_slice(&self.store.read(layer)?).map(Some).map_err(|error| HubError::form(what(), error))
    }

    /// A folder in which the layers' files have their names.
    fn folder(&self, part: &str, layers: &[&Layer]) -> Result<PathBuf, HubError> {
        let mut files: Vec<(FileName, PathBuf)> = Vec::new();
        for layer in layers {
            files.push((layer.file_name()?, self.blob(layer)?));
        }
        let folder = self.store.folder(&self.digest);
        let folder = if part.is_empty() { folder.join("model") } else { folder.join(part) };
        for (name, blob) in &files {
            link(blob, &folder.join(name.as_str()))?;
        }
        Ok(folder)
    }
}
