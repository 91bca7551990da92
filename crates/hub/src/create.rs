//! A new name from a Modelfile or a request: files become blobs, texts become layers, and a manifest ties them.
//!
//! Invariant: what a recipe does not say is taken over from the model it is made from. Files are described and
//! quantized by a `Workshop`, for this crate knows no formats. Read `hub` for who cooks.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::manifest::{self, Config, Layer, Manifest, RootFs};
use crate::modelfile::Modelfile;
use crate::name::FileName;
use crate::store::link;
use crate::{Digest, HubError, ModelName, Reporter, Store, StoredModel, Weights, parameters};

/// What only those who know the formats can say and do.
pub trait Workshop: Send + Sync {
    /// What a model folder or GGUF file is.
    fn describe(&self, path: &Path) -> Result<Description, String>;
    /// Makes a smaller copy: a file where `target` ends in `.gguf`, else a folder. `progress` hears bytes done and of
    /// all; false ends it where that is possible.
    fn quantize(
        &self,
        source: &Path,
        target: &Path,
        format: &str,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), String>;
    /// The files of a model that the program brings along under this name.
    fn built_in(&self, _name: &ModelName) -> Option<Vec<(&'static str, &'static [u8])>> {
        None
    }
    /// Whether a format makes a GGUF file; none: it is not known.
    fn makes_gguf(&self, format: &str) -> Option<bool>;
}

/// See [`Workshop::describe`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `gguf` or `safetensors`.
    pub format: String,
    /// `qwen3`.
    pub family: String,
    /// `8.2B`.
    pub parameter_size: String,
    /// `Q4_K_M`.
    pub quantization: String,
}

/// What a model is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A model of the store.
    Name(ModelName),
    /// A folder or a GGUF file. Never from a client of the server.
    Path(PathBuf),
    /// Blobs of the store and the names that they have in a model folder.
    Blobs(Vec<(FileName, Digest)>),
}

/// How to make a model.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: ModelName,
    /// What it is made from.
    pub origin: Origin,
    /// Adapters.
    pub adapters: Vec<Origin>,
    /// See [`Modelfile`].
    pub template: Option<String>,
    /// See [`Modelfile`].
    pub system: Option<String>,
    /// See [`parameters`].
    pub parameters: Map<String, Value>,
    /// `[{role, content}]`.
    pub messages: Vec<Value>,
    /// See [`Modelfile`].
    pub licenses: Vec<String>,
    /// See [`Modelfile`].
    pub renderer: Option<String>,
    /// See [`Modelfile`].
    pub parser: Option<String>,
    /// See [`Modelfile`].
    pub requires: Option<String>,
    /// A format for the weights.
    pub quantize: Option<String>,
}

impl Recipe {
    /// Of a Modelfile. Paths in it begin at `folder`; what is no file there is a name.
    pub fn of_modelfile(name: ModelName, modelfile: &Modelfile, folder: &Path) -> Result<Recipe, HubError> {
        let [from] = &modelfile.from[..] else {
            return Err(HubError::Refused("a model of several FROM lines (a vision tower) is not supported".into()));
        };
        let mut adapters = Vec::new();
        for adapter in &modelfile.adapters {
            let path = at(folder, adapter);
            if !path.exists() {
                return Err(HubError::Refused(format!("ADAPTER {adapter}: no such file or folder")));
            }
            adapters.push(Origin::Path(path));
        }
        let pairs = modelfile.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Recipe {
            name,
            origin: Recipe::origin(from, folder)?,
            adapters,
            template: modelfile.template.clone(),
            system: modelfile.system.clone(),
            parameters: parameters::values(pairs)?,
            messages: modelfile.messages.iter().map(|(role, text)| json!({"role": role, "content": text})).collect(),
            licenses: modelfile.licenses.clone(),
            renderer: modelfile.renderer.clone(),
            parser: modelfile.parser.clone(),
            requires: modelfile.requires.clone(),
            quantize: None,
        })
    }

    fn origin(from: &str, folder: &Path) -> Result<Origin, HubError> {
        let path = at(folder, from);
        let is_path = from.starts_with(['.', '/', '~', '\\']) || from.ends_with(".gguf");
        if path.is_file() || path.join("config.json").is_file() || (is_path && path.exists()) {
            return Ok(Origin::Path(path));
        }
        if is_path {
            return Err(HubError::Refused(format!("FROM {from}: no such file or folder")));
        }
        ModelName::parse(from).map(Origin::Name)
    }
}

/// A path of a Modelfile.
fn at(folder: &Path, text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => folder.join(text),
    }
}

/// Layers and what they are.
struct Draft {
    config: Config,
    layers: Vec<Layer>,
}

/// Makes a model. What it is made from must be here.
pub fn create(store: &Store, recipe: &Recipe, workshop: &dyn Workshop, report: Reporter) -> Result<(), HubError> {
    parameters::check(&recipe.parameters)?;
    let kitchen = Kitchen { store, workshop, report };
    let mut draft = kitchen.base(recipe)?;
    for adapter in &recipe.adapters {
        draft.layers.extend(kitchen.adapter(adapter)?);
    }
    kitchen.texts(recipe, &mut draft)?;
    let config = &mut draft.config;
    for (to, from) in [
        (&mut config.renderer, &recipe.renderer),
        (&mut config.parser, &recipe.parser),
        (&mut config.requires, &recipe.requires),
    ] {
        *to = from.clone().or_else(|| to.take());
    }
    config.architecture = "amd64".into();
    config.os = "linux".into();
    let diff_ids = draft.layers.iter().map(|layer| layer.digest.to_string()).collect();
    config.rootfs = RootFs { kind: "layers".into(), diff_ids };
    let config = kitchen.json(manifest::CONFIG, &draft.config)?;
    report.status("writing manifest")?;
    let manifest = Manifest::new(config, draft.layers);
    let bytes = serde_json::to_vec(&manifest).map_err(|error| HubError::form(recipe.name.short(), error))?;
    store.write(&recipe.name, &bytes)?;
    report.status("success")
}

struct Kitchen<'a> {
    store: &'a Store,
    workshop: &'a dyn Workshop,
    report: Reporter<'a>,
}

impl Kitchen<'_> {
    /// The weights, and all that comes with a model of the store.
    fn base(&self, recipe: &Recipe) -> Result<Draft, HubError> {
        match (&recipe.origin, &recipe.quantize) {
            (Origin::Name(name), None) => {
                let model = self.store.get(name)?;
                for layer in &model.manifest.layers {
                    self.report.status(format!("using existing layer {}", layer.digest))?;
                }
                let from = |layer: &Layer| Layer { from: Some(name.short()), ..layer.clone() };
                Ok(Draft { config: model.config, layers: model.manifest.layers.iter().map(from).collect() })
            }
            (Origin::Name(name), Some(format)) => {
                let model = self.store.get(name)?;
                let mut draft = self.quantized(model.weights()?.path(), format)?;
                draft.layers.extend(texts_of(&model));
                draft.config.renderer = model.config.renderer;
                draft.config.parser = model.config.parser;
                Ok(draft)
            }
            (Origin::Path(path), None) => self.of_path(path),
            (Origin::Path(path), Some(format)) => self.quantized(path, format),
            (Origin::Blobs(files), None) => self.of_blobs(files),
            (Origin::Blobs(files), Some(format)) => {
                let folder = Scratch::new(self.store)?;
                let path = lay_out(self.store, files, &folder.0)?;
                self.quantized(&path, format)
            }
        }
    }

    fn of_path(&self, path: &Path) -> Result<Draft, HubError> {
        let description = self.describe(path)?;
        if path.is_file() && !is_part(path) {
            return Ok(Draft { config: config(&description), layers: vec![self.file(manifest::MODEL, path, None)?] });
        }
        let (folder, files) = match path.is_file() {
            true => (path.parent().unwrap_or(Path::new(".")), parts_beside(path)?),
            false => (path, model_files(path)?),
        };
        let mut layers = Vec::new();
        for name in files {
            layers.push(self.file(manifest::FILE, &folder.join(name.as_str()), Some(&name))?);
        }
        Ok(Draft { config: config(&description), layers })
    }

    fn of_blobs(&self, files: &[(FileName, Digest)]) -> Result<Draft, HubError> {
        let mut layers = Vec::new();
        for (name, digest) in files {
            let path = self.store.blob(digest);
            let metadata = std::fs::metadata(&path);
            let metadata =
                metadata.map_err(|_| HubError::Refused(format!("blob {digest} ({}) is not here", name.as_str())))?;
            self.report.status(format!("using existing layer {digest}"))?;
            layers.push(Layer::file(manifest::FILE, *digest, metadata.len(), name));
        }
        let description = match files {
            [(name, digest)] if name.as_str().ends_with(".gguf") => {
                layers[0] = Layer::new(manifest::MODEL, *digest, layers[0].size);
                self.describe(&self.store.blob(digest))?
            }
            files => {
                self.report.status("reading model metadata")?;
                describe_files(self.store, self.workshop, files)?
            }
        };
        Ok(Draft { config: config(&description), layers })
    }

    fn quantized(&self, source: &Path, format: &str) -> Result<Draft, HubError> {
        let gguf = self.workshop.makes_gguf(format);
        let gguf = gguf.ok_or_else(|| HubError::Refused(format!("unsupported quantization type {format}")))?;
        let scratch = Scratch::new(self.store)?;
        let target = scratch.0.join(if gguf { "model.gguf" } else { "model" });
        let status = format!("quantizing model to {format}");
        self.report.status(status.clone())?;
        let report = self.report;
        let progress = |completed, total| {
            report.tell(crate::Progress { status: status.clone(), digest: None, total, completed }).is_ok()
        };
        self.workshop.quantize(source, &target, format, &progress).map_err(HubError::Refused)?;
        self.of_path(&target)
    }

    fn adapter(&self, origin: &Origin) -> Result<Vec<Layer>, HubError> {
        let files: Vec<(FileName, PathBuf)> = match origin {
            Origin::Path(path) if path.is_file() => {
                return Ok(vec![self.file(manifest::ADAPTER, path, None)?]);
            }
            Origin::Path(path) => {
                let names = folder_files(path, |name| name.starts_with("adapter") || name == "config.json")?;
                names.into_iter().map(|name| (name.clone(), path.join(name.as_str()))).collect()
            }
            Origin::Blobs(files) => {
                files.iter().map(|(name, digest)| (name.clone(), self.store.blob(digest))).collect()
            }
            Origin::Name(name) => return Err(HubError::Refused(format!("{}: an adapter is a file", name.short()))),
        };
        if !files.iter().any(|(name, _)| name.as_str().ends_with(".safetensors") || name.as_str().ends_with(".gguf")) {
            return Err(HubError::Refused(
                "an adapter's folder holds adapter*.safetensors and its configuration".into(),
            ));
        }
        files.iter().map(|(name, path)| self.file(manifest::ADAPTER_FILE, path, Some(name))).collect()
    }

    /// Template, system message, parameters, messages and licences in place of those of the base.
    fn texts(&self, recipe: &Recipe, draft: &mut Draft) -> Result<(), HubError> {
        let layers = &mut draft.layers;
        if let Some(template) = &recipe.template {
            layers.retain(|layer| ![manifest::TEMPLATE, manifest::PROMPT].contains(&layer.media_type.as_str()));
            layers.push(self.text(manifest::TEMPLATE, template)?);
            // A template of one's own replaces the code that made prompts before.
            draft.config.renderer = None;
        }
        if let Some(system) = &recipe.system {
            layers.retain(|layer| layer.media_type != manifest::SYSTEM);
            layers.push(self.text(manifest::SYSTEM, system)?);
        }
        if !recipe.parameters.is_empty() {
            let before = layers.iter().position(|layer| layer.media_type == manifest::PARAMS);
            let mut parameters = Map::new();
            if let Some(before) = before.map(|at| layers.remove(at)) {
                let what = before.digest;
                let known = serde_json::from_slice(&self.store.read(&before)?);
                parameters = known.map_err(|error| HubError::form(what, error))?;
            }
            parameters.extend(recipe.parameters.clone());
            layers.push(self.json(manifest::PARAMS, &parameters)?);
        }
        if !recipe.messages.is_empty() {
            layers.retain(|layer| layer.media_type != manifest::MESSAGES);
            layers.push(self.json(manifest::MESSAGES, &recipe.messages)?);
        }
        for license in &recipe.licenses {
            layers.push(self.text(manifest::LICENSE, license)?);
        }
        Ok(())
    }

    fn describe(&self, path: &Path) -> Result<Description, HubError> {
        self.report.status("reading model metadata")?;
        self.workshop.describe(path).map_err(HubError::Refused)
    }

    fn file(&self, media_type: &str, path: &Path, name: Option<&FileName>) -> Result<Layer, HubError> {
        let total = std::fs::metadata(path).map_err(HubError::io(path))?.len();
        let status = format!("copying file {}", path.file_name().unwrap_or_default().to_string_lossy());
        let report = self.report;
        let progress =
            |completed| report.tell(crate::Progress { status: status.clone(), digest: None, total, completed }).is_ok();
        let layer = self.store.add_file(media_type, path, progress)?;
        self.report.status(format!("creating new layer {}", layer.digest))?;
        Ok(Layer { name: name.map(|name| name.as_str().to_string()), ..layer })
    }

    fn text(&self, media_type: &str, text: &str) -> Result<Layer, HubError> {
        let layer = self.store.add_bytes(media_type, text.as_bytes())?;
        self.report.status(format!("creating new layer {}", layer.digest))?;
        Ok(layer)
    }

    fn json(&self, media_type: &str, value: &impl serde::Serialize) -> Result<Layer, HubError> {
        let bytes = serde_json::to_vec(value).map_err(|error| HubError::form(media_type, error))?;
        self.store.add_bytes(media_type, &bytes)
    }
}

/// What blobs are under the names of a model folder.
pub(crate) fn describe_files(
    store: &Store,
    workshop: &dyn Workshop,
    files: &[(FileName, Digest)],
) -> Result<Description, HubError> {
    let folder = Scratch::new(store)?;
    let path = lay_out(store, files, &folder.0)?;
    workshop.describe(&path).map_err(HubError::Refused)
}

/// Links to blobs under the names of a model folder; what to open there.
fn lay_out(store: &Store, files: &[(FileName, Digest)], folder: &Path) -> Result<PathBuf, HubError> {
    for (name, digest) in files {
        link(&store.blob(digest), &folder.join(name.as_str()))?;
    }
    let gguf = files.iter().map(|(name, _)| name.as_str()).filter(|name| name.ends_with(".gguf")).min();
    Ok(gguf.map_or_else(|| folder.to_path_buf(), |name| folder.join(name)))
}

/// All layers of a model but its weights.
fn texts_of(model: &StoredModel) -> Vec<Layer> {
    let weights = [manifest::MODEL, manifest::FILE, manifest::JSON, manifest::TENSOR];
    let rest = model.manifest.layers.iter().filter(|layer| !weights.contains(&layer.media_type.as_str()));
    rest.cloned().collect()
}

pub(crate) fn config(description: &Description) -> Config {
    let Description { format, family, parameter_size, quantization } = description.clone();
    Config {
        model_format: format,
        model_families: Some(vec![family.clone()]),
        model_family: family,
        model_type: parameter_size,
        file_type: quantization,
        ..Config::default()
    }
}

/// Whether a file of a model folder says anything about the model, by its name.
pub(crate) fn is_model_file(name: &str) -> bool {
    let first_folder = name.split_once('/').map(|(folder, _)| folder);
    let is_text = [".json", ".jinja", ".model", ".tiktoken"].iter().any(|end| name.ends_with(end))
        || ["merges.txt", "vocab.txt"].contains(&name);
    match first_folder {
        None => (name.ends_with(".safetensors") && !name.starts_with("consolidated")) || is_text,
        // The parts of sentence-transformers' models have folders such as `1_Pooling`.
        Some(folder) => {
            let numbered = folder.starts_with(|c: char| c.is_ascii_digit()) && folder.contains('_');
            numbered && (name.ends_with(".json") || name.ends_with(".safetensors"))
        }
    }
}

fn model_files(folder: &Path) -> Result<Vec<FileName>, HubError> {
    let files = folder_files(folder, is_model_file)?;
    let has = |end: &str| files.iter().any(|name| name.as_str().ends_with(end));
    if !has("config.json") || !has(".safetensors") {
        let reason = "a model folder holds config.json and *.safetensors; a GGUF file is named itself".to_string();
        return Err(HubError::form(folder.display(), reason));
    }
    Ok(files)
}

/// Files of a folder and of the folders in it, in order.
fn folder_files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<FileName>, HubError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&path).map_err(HubError::io(&path))?.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                if prefix.is_empty() {
                    folders.push((entry.path(), format!("{name}/")));
                }
            } else if wanted(&name) {
                files.push(FileName::parse(&name)?);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether this is one of the files of a GGUF model in parts.
fn is_part(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("-of-"))
}

fn parts_beside(path: &Path) -> Result<Vec<FileName>, HubError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem =
        name.rsplit_once("-of-").and_then(|(rest, _)| rest.rsplit_once('-')).map_or(name.as_str(), |(stem, _)| stem);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(HubError::io(folder))?.flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(stem) && other.ends_with(".gguf") && other.contains("-of-") {
            files.push(FileName::parse(&other)?);
        }
    }
    files.sort();
    Ok(files)
}

/// A folder in the store that goes when it is dropped; on the same disk as the blobs.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(store: &Store) -> Result<Scratch, HubError> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = store.root().join("scratch").join(format!("{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(HubError::io(&path))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        // Gone when nobody else works there.
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

impl Weights {
    /// Whether the weights are in GGUF files.
    pub fn is_gguf(&self) -> bool {
        match self {
            Weights::Gguf(_) => true,
            Weights::Files(path) => path.is_file(),
        }
    }
}
