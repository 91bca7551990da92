//! What a name means to the server: the built-in model, models named on the command line, models in a folder, models
//! of the store and of the Hugging Face libraries' cache.
//!
//! Invariant: a client names a model that is here; nothing it sends is taken for a path. Read next: `library.rs`,
//! `commands/serve.rs`.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use olivine_engine::{DiskOptions, Engine, EngineOptions, Vocabulary};
use olivine_hub::http::Credentials;
use olivine_hub::{Hub, ModelName, Store, StoredModel};
use olivine_lm::digest;
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{LoadOptions, Model};
use olivine_lm::pooling::Pooling;
use olivine_server::registry::template_source;
use olivine_server::{Catalog, Library, ModelCard, ModelParts};

use crate::library::{self, Found};
use crate::{built_in, encoders, workshop};

/// How models are found and loaded.
#[derive(Clone, Default)]
pub struct Sources {
    /// Model folders, GGUF files and names, as the user gave them.
    pub models: Vec<String>,
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
    /// The same for all models together.
    pub disk_total_bytes: Option<u64>,
    /// Where they are.
    pub data: Option<PathBuf>,
    /// The store; none: only what was named above.
    pub store: Option<Store>,
}

/// Cards of models that have not changed.
type Known = Arc<Mutex<HashMap<PathBuf, (SystemTime, ModelCard)>>>;

impl Sources {
    /// The functions that the server wants.
    pub fn catalog(self) -> Catalog {
        let sources = Arc::new(self);
        let known = Known::default();
        let (list_sources, list_known) = (sources.clone(), known.clone());
        let (find_sources, find_known) = (sources.clone(), known);
        let list = move || {
            let found = list_sources.named();
            let mut cards: Vec<ModelCard> = found.iter().filter_map(|found| card(&list_known, found).ok()).collect();
            let stored = list_sources.store.as_ref().and_then(|store| store.list().ok()).unwrap_or_default();
            let stored = stored.iter().map(|model| card_of_manifest(&list_known, model));
            cards.extend(stored.filter(|card| !found.iter().any(|named| means(&card.name, named))));
            cards
        };
        let find = move |wanted: &str| {
            let found = find_sources.find(wanted)?;
            match (card(&find_known, &found), &found.stored) {
                (Ok(card), _) => Some(card),
                // Loading says what is wrong with it.
                (Err(_), Some(model)) => Some(card_of_manifest(&find_known, model)),
                (Err(_), None) => None,
            }
        };
        let load = move |card: &ModelCard| sources.load(card).map_err(|error| format!("{error:#}"));
        Catalog { list: Arc::new(list), find: Arc::new(find), load: Arc::new(load) }
    }

    /// The store for the server; none where it has none.
    pub fn library(&self) -> Option<Library> {
        let hub = Hub::new(self.store.clone()?, Credentials::of_environment(), Arc::new(workshop::Formats));
        let sources = self.clone();
        let inspect = move |card: &ModelCard, verbose: bool| {
            let found = sources.find(&card.name).ok_or_else(|| format!("{}: it is gone", card.name))?;
            let checkpoint = found.checkpoint(None).map_err(|error| format!("{error:#}"))?;
            Ok(workshop::details(&checkpoint, verbose))
        };
        let device = olivine_lm::device().unwrap_or_else(|| "CPU".into());
        Some(Library { hub, inspect: Arc::new(inspect), device })
    }

    /// The built-in model and those that the user named.
    fn named(&self) -> Vec<Found> {
        let mut found = vec![Found { name: built_in::NAME.to_string(), path: None, stored: None }];
        let mut add = |model: Found| {
            if !found.iter().any(|known| known.name == model.name) {
                found.push(model);
            }
        };
        for word in &self.models {
            match library::find(word) {
                Ok(Some(model)) if Path::new(word).exists() => {
                    let name = model.path.as_deref().map_or(String::new(), name_of);
                    add(Found { name, ..model });
                }
                Ok(Some(model)) => add(model),
                _ => {}
            }
        }
        for folder in &self.folders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut models: Vec<PathBuf> = entries.filter(|path| library::is_model(path)).collect();
            models.sort();
            models.into_iter().for_each(|path| add(Found { name: name_of(&path), path: Some(path), stored: None }));
        }
        found
    }

    /// What a client's name means. Paths are not looked at: only words that the user gave are.
    fn find(&self, wanted: &str) -> Option<Found> {
        let named = self.named();
        let path_given = self.models.iter().any(|word| word == wanted);
        if let Some(found) = named.into_iter().find(|found| means(wanted, found)) {
            return Some(found);
        }
        if path_given {
            return library::find(wanted).ok().flatten();
        }
        let store = self.store.as_ref()?;
        let name = ModelName::parse(wanted).ok()?;
        library::of_store(store, &name).ok().flatten().or_else(|| library::of_cache(&name))
    }

    fn load(&self, card: &ModelCard) -> anyhow::Result<ModelParts> {
        let found = self.find(&card.name).ok_or_else(|| anyhow::anyhow!("{}: it is gone", card.name))?;
        if let Some(path) = &found.path
            && let Some(parts) = encoders::load(path, self.load.precision, &self.engine)?
        {
            if found.adapter()?.is_some() {
                anyhow::bail!("{}: ADAPTER: encoders cannot be adapted", found.name);
            }
            return Ok(parts);
        }
        olivine_lm::reopen_if_lost()?;
        let model = found.open(&self.load)?;
        let adapter = found.adapter()?;
        let options = self.engine_options(card, &found, &model)?;
        let draft = self.draft_for(found.path.as_deref()).map(|path| Model::open(path, &self.load)).transpose()?;
        let engine = Engine::open(model.model, draft, options)?;
        if let Some(folder) = adapter {
            engine.load_usual_adapter("modelfile", &folder)?;
        }
        Ok(ModelParts {
            weight_bytes: card.bytes,
            tokenizer: model.tokenizer,
            template: model.template,
            end_tokens: model.end_tokens,
            sampling: model.sampling,
            engine,
        })
    }

    fn engine_options(&self, card: &ModelCard, found: &Found, model: &LanguageModel) -> anyhow::Result<EngineOptions> {
        let tokenizer = &model.tokenizer;
        let spelling = |id: u32| (tokenizer.token_bytes(id).to_vec(), tokenizer.is_special(id));
        let spellings = (0..tokenizer.vocab_size() as u32).map(spelling);
        let vocabulary = model.end_tokens.first().map(|&end| Vocabulary::new(spellings, end));
        let pooling = found.path.as_deref().map(Pooling::of_path).transpose()?.flatten();
        let mut options = EngineOptions { vocabulary, pooling, ..self.engine.clone() };
        if let Some(data) = self.data.as_ref().filter(|_| self.disk_bytes > 0) {
            options.identity = match (&found.path, &found.stored) {
                (None, _) => digest::of_memory(&built_in::FILES),
                // The store has read every byte already.
                (_, Some(stored)) => digest::of_text(&stored.weight_digests()),
                (Some(path), None) => digest::of_model(path, Some(&data.join("digests.json")))?,
            };
            // Devices lay pages out in their own ways.
            if let Some(device) = olivine_lm::device() {
                options.identity = format!("{} on {device}", options.identity);
            }
            let folder = data.join("kv").join(folder_name(&card.name));
            options.disk = Some(DiskOptions { folder, max_bytes: self.disk_bytes, total_bytes: self.disk_total_bytes });
        }
        Ok(options)
    }

    /// The small model for the one at `path`.
    fn draft_for(&self, path: Option<&Path>) -> Option<&Path> {
        let is_named = |path: &Path| {
            let named = self.models.iter().filter_map(|word| library::find(word).ok().flatten());
            named.into_iter().any(|found| found.path.as_deref() == Some(path))
        };
        let meant = path.map_or(self.models.is_empty(), is_named);
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

/// `models/Qwen3-0.6B` and `models/Qwen3-0.6B.gguf` are called `Qwen3-0.6B`.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let name = if path.is_file() { path.file_stem() } else { path.file_name() };
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Names are the same in any case, with and without `:latest`.
fn means(wanted: &str, found: &Found) -> bool {
    let plain = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_ascii_lowercase();
    if plain(wanted) == plain(&found.name) {
        return true;
    }
    let same = |model: &StoredModel| ModelName::parse(wanted).is_ok_and(|name| name == model.name);
    found.stored.as_ref().is_some_and(same)
}

fn card(known: &Known, found: &Found) -> anyhow::Result<ModelCard> {
    let (key, changed) = match (&found.stored, &found.path) {
        (Some(stored), _) => (PathBuf::from(format!("{} {}", stored.name, stored.digest)), stored.modified),
        (None, None) => (PathBuf::new(), SystemTime::UNIX_EPOCH),
        (None, Some(path)) => (path.clone(), std::fs::metadata(path)?.modified()?),
    };
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((then, card)) = known.get(&key)
        && *then == changed
    {
        return Ok(card.clone());
    }
    let card = read_card(found, changed)?;
    known.insert(key, (changed, card.clone()));
    Ok(card)
}

fn read_card(found: &Found, changed: SystemTime) -> anyhow::Result<ModelCard> {
    let (name, path) = (found.name.as_str(), found.path.as_deref());
    if let Some(path) = path
        && let Some(card) = encoders::card(path)?
    {
        let (name, modified) = (name.to_string(), Some(changed));
        let digest = digest(&name, card.bytes, changed, "");
        return Ok(ModelCard { name, modified, digest, parameter_size: workshop::short(card.parameters), ..card });
    }
    let checkpoint = found.checkpoint(None)?;
    let template = match path {
        None => built_in::FILES.chat_template.to_string(),
        Some(path) => template_source(path).map_err(anyhow::Error::msg)?,
    };
    let overlay = found.overlay()?;
    let template = overlay.template.clone().unwrap_or(template);
    let entries = checkpoint.entries();
    let bytes: u64 = entries.iter().map(|entry| entry.bytes as u64).sum();
    let parameters: u64 = entries.iter().map(|entry| entry.shape.iter().product::<usize>() as u64).sum();
    let description = workshop::description(&checkpoint);
    let stored = found.stored.as_ref();
    Ok(ModelCard {
        name: name.to_string(),
        bytes,
        modified: path.map(|_| changed),
        digest: stored.map_or_else(|| digest(name, bytes, changed, &template), |model| model.digest.hex()),
        format: description.format,
        family: description.family,
        parameter_size: description.parameter_size,
        parameters,
        quantization: description.quantization,
        context_tokens: checkpoint.spec.context_tokens,
        embedding_length: checkpoint.spec.hidden,
        embeds: path.map(Pooling::of_path).transpose()?.flatten().is_some(),
        template,
        license: stored.map_or_else(|| Ok(Vec::new()), StoredModel::licenses)?.join("\n"),
        modelfile: stored.map(|model| model.modelfile().map(|file| file.to_string())).transpose()?.unwrap_or_default(),
        system: overlay.system.unwrap_or_default(),
        messages: overlay.messages,
        options: overlay.parameters,
        stored: stored.is_some(),
    })
}

/// What the manifest alone says, for lists: opening the files of all models takes too long. The whole card where it is
/// known already.
fn card_of_manifest(known: &Known, model: &StoredModel) -> ModelCard {
    let key = PathBuf::from(format!("{} {}", model.name, model.digest));
    if let Some((_, card)) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return ModelCard { bytes: model.manifest.size(), ..card.clone() };
    }
    ModelCard {
        name: model.name.short(),
        bytes: model.manifest.size(),
        modified: Some(model.modified),
        digest: model.digest.hex(),
        format: model.config.model_format.clone(),
        family: model.config.model_family.clone(),
        parameter_size: model.config.model_type.clone(),
        quantization: model.config.file_type.clone(),
        stored: true,
        ..ModelCard::default()
    }
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
