//! What a name means to the server: the built-in model, models named on the command line, models in a folder.
//!
//! Invariant: a client names a model that is in this list; nothing it sends is taken for a path. Read next:
//! `commands/serve.rs`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use olivine_engine::{DiskOptions, Engine, EngineOptions, Vocabulary};
use olivine_lm::digest;
use olivine_lm::inspect::formats;
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{Checkpoint, LoadOptions, Model};
use olivine_server::registry::template_source;
use olivine_server::{Catalog, ModelCard, ModelParts};

use crate::built_in;

/// How models are found and loaded.
#[derive(Clone, Default)]
pub struct Sources {
    /// Model folders and GGUF files.
    pub models: Vec<PathBuf>,
    /// Folders of such.
    pub folders: Vec<PathBuf>,
    /// How to load.
    pub load: LoadOptions,
    /// How to run.
    pub engine: EngineOptions,
    /// A small model that guesses for those in `models`, or for the built-in one when there are none.
    pub draft: Option<PathBuf>,
    /// Bytes of cached prefixes on disk for each model; 0: none.
    pub disk_bytes: u64,
    /// Where they are.
    pub data: Option<PathBuf>,
}

/// Cards of files that have not changed.
type Known = Arc<Mutex<HashMap<PathBuf, (SystemTime, ModelCard)>>>;

impl Sources {
    /// The two functions that the server wants.
    pub fn catalog(self) -> Catalog {
        let sources = Arc::new(self);
        let known = Known::default();
        let (list_sources, list_known) = (sources.clone(), known.clone());
        let (find_sources, find_known) = (sources.clone(), known);
        let list = move || {
            let found = list_sources.found();
            let cards = found.iter().filter_map(|(name, path)| card(&list_known, name, path.as_deref()).ok());
            cards.collect()
        };
        let find = move |wanted: &str| {
            let found = find_sources.found();
            let (name, path) = found.iter().find(|(name, path)| means(wanted, name, path.as_deref()))?;
            card(&find_known, name, path.as_deref()).ok()
        };
        let load = move |card: &ModelCard| sources.load(card).map_err(|error| format!("{error:#}"));
        Catalog { list: Arc::new(list), find: Arc::new(find), load: Arc::new(load) }
    }

    /// Names and paths of all models; no path: the built-in one.
    fn found(&self) -> Vec<(String, Option<PathBuf>)> {
        let mut paths = self.models.clone();
        for folder in &self.folders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut models: Vec<PathBuf> = entries.filter(|path| is_model(path)).collect();
            models.sort();
            paths.extend(models);
        }
        let mut found = vec![(built_in::NAME.to_string(), None)];
        for path in paths {
            let name = name_of(&path);
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, Some(path)));
            }
        }
        found
    }

    fn load(&self, card: &ModelCard) -> anyhow::Result<ModelParts> {
        let found = self.found();
        let path = found.iter().find(|(name, _)| *name == card.name).and_then(|(_, path)| path.clone());
        let model = match &path {
            None => LanguageModel::from_memory(&built_in::FILES, &self.load)?,
            Some(path) => LanguageModel::open(path, &self.load)?,
        };
        let options = self.engine_options(card, path.as_deref(), &model)?;
        let draft = self.draft_for(path.as_deref()).map(|path| Model::open(path, &self.load)).transpose()?;
        Ok(ModelParts {
            weight_bytes: card.bytes,
            tokenizer: model.tokenizer,
            template: model.template,
            end_tokens: model.end_tokens,
            sampling: model.sampling,
            engine: Engine::open(model.model, draft, options)?,
        })
    }

    fn engine_options(
        &self,
        card: &ModelCard,
        path: Option<&Path>,
        model: &LanguageModel,
    ) -> anyhow::Result<EngineOptions> {
        let tokenizer = &model.tokenizer;
        let spelling = |id: u32| (tokenizer.token_bytes(id).to_vec(), tokenizer.is_special(id));
        let spellings = (0..tokenizer.vocab_size() as u32).map(spelling);
        let vocabulary = model.end_tokens.first().map(|&end| Vocabulary::new(spellings, end));
        let mut options = EngineOptions { vocabulary, ..self.engine.clone() };
        if let Some(data) = self.data.as_ref().filter(|_| self.disk_bytes > 0) {
            options.identity = match path {
                None => digest::of_memory(&built_in::FILES),
                Some(path) => digest::of_model(path, Some(&data.join("digests.json")))?,
            };
            // Devices lay pages out in their own ways.
            if let Some(device) = olivine_lm::device() {
                options.identity = format!("{} on {device}", options.identity);
            }
            let folder = data.join("kv").join(folder_name(&card.name));
            options.disk = Some(DiskOptions { folder, max_bytes: self.disk_bytes });
        }
        Ok(options)
    }

    /// The small model for the one at `path`.
    fn draft_for(&self, path: Option<&Path>) -> Option<&Path> {
        let meant = path.map_or(self.models.is_empty(), |path| self.models.iter().any(|model| model == path));
        self.draft.as_deref().filter(|_| meant)
    }
}

/// A model's name as that of a folder.
fn folder_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let plain: String = name.chars().map(safe).collect();
    // Two names that look alike now still differ.
    format!("{}-{}", plain.trim_start_matches('.'), &digest::of_text(name)[..8])
}

fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gguf") || path.join("config.json").is_file()
}

/// `models/Qwen3-0.6B` and `models/Qwen3-0.6B.gguf` are called `Qwen3-0.6B`.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let name = if path.is_file() { path.file_stem() } else { path.file_name() };
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Names are the same in any case, with and without `:latest`; a path as on the command line is one too.
fn means(wanted: &str, name: &str, path: Option<&Path>) -> bool {
    let wanted = wanted.strip_suffix(":latest").unwrap_or(wanted);
    wanted.eq_ignore_ascii_case(name) || path.is_some_and(|path| path == Path::new(wanted))
}

fn card(known: &Known, name: &str, path: Option<&Path>) -> anyhow::Result<ModelCard> {
    let (key, changed) = match path {
        None => (PathBuf::new(), SystemTime::UNIX_EPOCH),
        Some(path) => (path.to_path_buf(), std::fs::metadata(path)?.modified()?),
    };
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((then, card)) = known.get(&key)
        && *then == changed
    {
        return Ok(card.clone());
    }
    let card = read_card(name, path, changed)?;
    known.insert(key, (changed, card.clone()));
    Ok(card)
}

fn read_card(name: &str, path: Option<&Path>, changed: SystemTime) -> anyhow::Result<ModelCard> {
    let (checkpoint, template) = match path {
        None => (Checkpoint::from_memory(&built_in::FILES, None)?, built_in::FILES.chat_template.to_string()),
        Some(path) => (Checkpoint::open(path, None)?, template_source(path).map_err(anyhow::Error::msg)?),
    };
    let entries = checkpoint.entries();
    let bytes: u64 = entries.iter().map(|entry| entry.bytes as u64).sum();
    let parameters: u64 = entries.iter().map(|entry| entry.shape.iter().product::<usize>() as u64).sum();
    let largest = formats(&entries).into_iter().max_by_key(|(_, _, bytes)| *bytes);
    Ok(ModelCard {
        name: name.to_string(),
        bytes,
        modified: path.map(|_| changed),
        digest: digest(name, bytes, changed, &template),
        format: if path.is_some_and(Path::is_file) { "gguf" } else { "safetensors" }.into(),
        family: checkpoint.spec.family.to_string(),
        parameter_size: short(parameters),
        parameters,
        quantization: largest.map_or_else(String::new, |(format, ..)| format),
        context_tokens: checkpoint.spec.context_tokens,
        embedding_length: checkpoint.spec.hidden,
        template,
        license: String::new(),
    })
}

/// Of a model's files as they are now: their size and time, not all their bytes, which would take minutes.
fn digest(name: &str, bytes: u64, changed: SystemTime, template: &str) -> String {
    let part = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, name, bytes, changed, template).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(part).collect()
}

fn short(parameters: u64) -> String {
    match parameters {
        0..1_000_000_000 => format!("{:.1}M", parameters as f64 / 1e6),
        _ => format!("{:.1}B", parameters as f64 / 1e9),
    }
}
