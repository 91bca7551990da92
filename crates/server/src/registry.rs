//! Models by name: loaded when they are asked for, kept while they are used, dropped when they are not.
//!
//! Invariant: a model is loaded once however many ask for it at the same time, and its load blocks nobody who asks for
//! another. What a name means and how a model is loaded is not known here: `Catalog` is two functions.
//! Read `generation` for what is done with a model.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use olivine_engine::{Engine, SamplingOptions};
use olivine_text::{ChatTemplate, Tokenizer};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::error::{ApiError, Kind};

/// What is known of a model before it is loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelCard {
    /// The one name that all spellings of it lead to.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// When they changed last.
    pub modified: Option<SystemTime>,
    /// SHA-256 of what identifies it, in hex.
    pub digest: String,
    /// `gguf` or `safetensors`.
    pub format: String,
    /// The family in its configuration.
    pub family: String,
    /// `32.0M`, `8.2B`.
    pub parameter_size: String,
    /// Parameters.
    pub parameters: u64,
    /// `Q4_K_M`, `BF16`, ….
    pub quantization: String,
    /// Longest conversation in tokens.
    pub context_tokens: usize,
    /// Numbers in an embedding.
    pub embedding_length: usize,
    /// It is made for vectors: an encoder, or a model whose files say how hidden states become one.
    pub embeds: bool,
    /// The source of its chat template.
    pub template: String,
    /// Its licence.
    pub license: String,
    /// The Modelfile that makes it; empty for models without one.
    pub modelfile: String,
    /// Its system message, where the conversation has none.
    pub system: String,
    /// Messages that every conversation begins with.
    pub messages: Vec<Value>,
    /// Options that hold where a request says nothing, by their names in Ollama's dialect.
    pub options: Map<String, Value>,
    /// It is in the store, under a name that can be removed.
    pub stored: bool,
}

/// A loaded model with everything that stands between it and text.
pub struct ModelParts {
    /// The engine that runs it.
    pub engine: Engine,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template, if it has one.
    pub template: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub end_tokens: Vec<u32>,
    /// What its makers recommend.
    pub sampling: SamplingOptions,
    /// Bytes that its weights take in memory.
    pub weight_bytes: u64,
}

/// The source of the chat template of a model folder or a GGUF file; empty when it has none.
pub fn template_source(path: &std::path::Path) -> Result<String, String> {
    let template = ChatTemplate::open(path).map_err(|error| error.to_string())?;
    Ok(template.map_or_else(String::new, |template| template.source().to_string()))
}

/// See [`Catalog::find`].
pub type Find = Arc<dyn Fn(&str) -> Option<ModelCard> + Send + Sync>;
/// See [`Catalog::load`].
pub type Load = Arc<dyn Fn(&ModelCard) -> Result<ModelParts, String> + Send + Sync>;

/// Where models come from.
#[derive(Clone)]
pub struct Catalog {
    /// All models that are here.
    pub list: Arc<dyn Fn() -> Vec<ModelCard> + Send + Sync>,
    /// What a name means; none: no such model.
    pub find: Find,
    /// Loads a model. Called on a thread that may block.
    pub load: Load,
}

/// How long a model stays when nobody uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Until another needs the room.
    Forever,
    /// So long; zero: not at all.
    For(Duration),
}

/// Bounds of the registry.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Where the request does not say.
    pub keep_alive: KeepAlive,
    /// Bytes that all loaded models may take with their caches; none: no bound.
    pub memory_bytes: Option<u64>,
}

/// The models of a server.
pub struct Registry {
    catalog: Catalog,
    options: RegistryOptions,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    /// Names of models that stay, whoever needs the room.
    pinned: Mutex<HashSet<String>>,
}

struct Entry {
    card: ModelCard,
    cell: OnceCell<Arc<Loaded>>,
    leases: AtomicUsize,
    /// Room was made for it: it is being loaded, or is.
    reserved: AtomicBool,
    times: Mutex<Times>,
}

struct Times {
    used: Instant,
    keep_alive: KeepAlive,
}

/// A model in memory.
pub struct Loaded {
    /// What it is.
    pub card: ModelCard,
    /// Its parts.
    pub parts: ModelParts,
    /// How long loading took.
    pub load: Duration,
}

/// A model in use. It is not dropped before this is.
pub struct Lease {
    entry: Arc<Entry>,
    model: Arc<Loaded>,
    /// How long this request waited for the model.
    pub waited: Duration,
    registry: Arc<Registry>,
}

/// A loaded model, for listings.
pub struct Resident {
    /// The model.
    pub model: Arc<Loaded>,
    /// When it goes; none: not by itself.
    pub expires_in: Option<Duration>,
    /// Requests that use it.
    pub leases: usize,
}

impl std::ops::Deref for Lease {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.model
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.entry.lock().used = Instant::now();
        self.entry.leases.fetch_sub(1, Ordering::AcqRel);
        self.registry.sweep();
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        self.leases.load(Ordering::Acquire) == 0
    }

    /// None: not by itself.
    fn expires_in(&self) -> Option<Duration> {
        let times = self.lock();
        match times.keep_alive {
            KeepAlive::Forever => None,
            KeepAlive::For(time) => Some((times.used + time).saturating_duration_since(Instant::now())),
        }
    }
}

impl Registry {
    /// No model is loaded yet.
    pub fn new(catalog: Catalog, options: RegistryOptions) -> Arc<Registry> {
        Arc::new(Registry { catalog, options, entries: Mutex::default(), pinned: Mutex::default() })
    }

    /// All models that are here.
    pub fn list(&self) -> Vec<ModelCard> {
        (self.catalog.list)()
    }

    /// What a name means.
    pub fn find(&self, name: &str) -> Result<ModelCard, ApiError> {
        if name.is_empty() {
            return Err(ApiError::invalid("model", "model is required"));
        }
        let missing = || ApiError {
            param: Some("model".into()),
            ..ApiError::new(Kind::NotFound, format!("model '{name}' not found"))
        };
        (self.catalog.find)(name).ok_or_else(missing)
    }

    /// A model, loaded when it is not yet.
    pub async fn lease(self: &Arc<Registry>, name: &str, keep_alive: Option<KeepAlive>) -> Result<Lease, ApiError> {
        let card = self.find(name)?;
        let started = Instant::now();
        let entry = self.enter(card, keep_alive);
        // From here on the count is given back by the lease or by this guard.
        let guard = Guard { entry: entry.clone(), registry: self.clone(), armed: true };
        let registry = self.clone();
        let card = entry.card.clone();
        let model = entry.cell.get_or_try_init(|| async move { registry.load(card).await }).await?.clone();
        Ok(guard.into_lease(model, started.elapsed()))
    }

    /// Drops a model that nobody uses, or as soon as nobody does.
    pub fn unload(&self, name: &str) -> Result<(), ApiError> {
        let card = self.find(name)?;
        if let Some(entry) = self.lock().get(&card.name) {
            entry.lock().keep_alive = KeepAlive::For(Duration::ZERO);
        }
        self.sweep();
        Ok(())
    }

    /// Drops a model whose name means nothing any more. Who uses it keeps it.
    pub fn forget(&self, name: &str) {
        discard(self.lock().remove(name));
    }

    /// Loads a model and keeps it, whoever needs the room.
    pub async fn pin(self: &Arc<Registry>, name: &str) -> Result<(), ApiError> {
        let lease = self.lease(name, Some(KeepAlive::Forever)).await?;
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.card.name.clone());
        Ok(())
    }

    /// Models in memory.
    pub fn residents(&self) -> Vec<Resident> {
        let entries = self.lock();
        let resident = |entry: &Arc<Entry>| {
            let leases = entry.leases.load(Ordering::Acquire);
            Some(Resident { model: entry.cell.get()?.clone(), expires_in: entry.expires_in(), leases })
        };
        let mut list: Vec<Resident> = entries.values().filter_map(resident).collect();
        list.sort_by(|a, b| a.model.card.name.cmp(&b.model.card.name));
        list
    }

    /// The loaded model of this name, without loading it.
    pub fn resident(&self, name: &str) -> Result<Option<Arc<Loaded>>, ApiError> {
        let card = self.find(name)?;
        Ok(self.lock().get(&card.name).and_then(|entry| entry.cell.get().cloned()))
    }

    /// Drops idle models whose time is over. Engines end on threads of their own: their last step may take a while.
    pub fn sweep(&self) {
        let mut entries = self.lock();
        let over = |entry: &Entry| entry.is_idle() && entry.expires_in() == Some(Duration::ZERO);
        let names: Vec<String> =
            entries.iter().filter(|(_, entry)| over(entry)).map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| discard(entries.remove(name)));
    }

    /// Drops all models, waiting for requests that run.
    pub fn close(&self) {
        let entries = std::mem::take(&mut *self.lock());
        drop(entries);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a user of the model, so that it stays.
    fn enter(&self, card: ModelCard, keep_alive: Option<KeepAlive>) -> Arc<Entry> {
        let mut entries = self.lock();
        // A name that means other files now is another model; who uses the old one keeps it. One whose engine has ended, as
        // it does when its device is lost, is loaded again.
        let is_gone = |entry: &Entry| entry.cell.get().is_some_and(|loaded| loaded.parts.engine.is_gone());
        if entries.get(&card.name).is_some_and(|entry| entry.card.digest != card.digest || is_gone(entry)) {
            discard(entries.remove(&card.name));
        }
        let entry = entries.entry(card.name.clone()).or_insert_with(|| {
            let times = Times { used: Instant::now(), keep_alive: self.options.keep_alive };
            let (leases, reserved) = (AtomicUsize::new(0), AtomicBool::new(false));
            Arc::new(Entry { card, cell: OnceCell::new(), leases, reserved, times: Mutex::new(times) })
        });
        entry.leases.fetch_add(1, Ordering::AcqRel);
        if let Some(keep_alive) = keep_alive {
            entry.lock().keep_alive = keep_alive;
        }
        entry.clone()
    }

    async fn load(self: Arc<Registry>, card: ModelCard) -> Result<Arc<Loaded>, ApiError> {
        self.make_room(&card)?;
        let load = self.catalog.load.clone();
        let started = Instant::now();
        let task = tokio::task::spawn_blocking(move || {
            let parts = load(&card)?;
            Ok::<_, String>(Arc::new(Loaded { parts, load: started.elapsed(), card }))
        });
        match task.await {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(message)) => Err(ApiError::new(Kind::Internal, message)),
            Err(_) => Err(ApiError::new(Kind::Internal, "loading the model panicked; the server's log says where")),
        }
    }

    /// Drops idle models, the one unused the longest first, until `card` fits.
    fn make_room(&self, card: &ModelCard) -> Result<(), ApiError> {
        let Some(budget) = self.options.memory_bytes else { return Ok(()) };
        if card.bytes > budget {
            let message = format!("{} needs {} bytes, but there are only {budget} for models", card.name, card.bytes);
            return Err(ApiError::new(Kind::Unavailable, message));
        }
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut entries = self.lock();
        loop {
            let loaded = entries.values().filter(|entry| entry.card.name != card.name);
            // What a model takes beside its weights must not keep another out that could be dropped for it.
            let taken = |entry: &Arc<Entry>| match entry.cell.get() {
                Some(model) => model.parts.engine.memory_bytes() as u64,
                None if entry.reserved.load(Ordering::Relaxed) => entry.card.bytes,
                None => 0,
            };
            let used: u64 = loaded.map(taken).sum();
            if used + card.bytes <= budget {
                // Under the lock: two loads at once must not take the same room.
                if let Some(entry) = entries.get(&card.name) {
                    entry.reserved.store(true, Ordering::Relaxed);
                }
                return Ok(());
            }
            let idle = entries.iter().filter(|(name, entry)| entry.is_idle() && !pinned.contains(*name));
            let Some(oldest) = idle.min_by_key(|(_, entry)| entry.lock().used).map(|(name, _)| name.clone()) else {
                let message = format!("no room for {}: the models in memory are in use", card.name);
                let retry_after = Some(Duration::from_secs(5));
                return Err(ApiError { retry_after, ..ApiError::new(Kind::Unavailable, message) });
            };
            discard(entries.remove(&oldest));
        }
    }
}

/// Gives the count back when a load fails or its request is dropped.
struct Guard {
    entry: Arc<Entry>,
    registry: Arc<Registry>,
    armed: bool,
}

impl Guard {
    fn into_lease(mut self, model: Arc<Loaded>, waited: Duration) -> Lease {
        self.armed = false;
        Lease { entry: self.entry.clone(), model, waited, registry: self.registry.clone() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.armed {
            self.entry.leases.fetch_sub(1, Ordering::AcqRel);
            let mut entries = self.registry.lock();
            let failed = self.entry.is_idle() && !self.entry.cell.initialized();
            if failed && entries.get(&self.entry.card.name).is_some_and(|entry| Arc::ptr_eq(entry, &self.entry)) {
                entries.remove(&self.entry.card.name);
            }
        }
    }
}

fn discard(entry: Option<Arc<Entry>>) {
    if let Some(entry) = entry {
        std::thread::spawn(move || drop(entry));
    }
}
