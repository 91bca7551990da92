//! Low-rank adapters of one engine: loaded and unloaded while it runs, chosen by each request.
//!
//! Files are read on the caller's thread; the engine's thread only sees adapters on the requests that chose them.
//! Invariant: an adapter lives as long as it has a name or a request that runs under it, and its bytes are reserved as
//! long. Prefixes computed under one are found by its digest, not its name. Read next: `engine.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use olivine_lm::Adapter;
use olivine_lm::adapter::AdapterSites;

use crate::memory::{MemoryBudget, Reservation};

/// A loaded adapter, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// What requests call it.
    pub name: String,
    /// SHA-256 of its files.
    pub digest: String,
    /// Largest rank.
    pub rank: usize,
    /// Modules of the model that it corrects.
    pub modules: usize,
    /// Bytes in memory.
    pub bytes: usize,
}

/// Why an adapter was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A name that requests cannot use.
    #[error("`{0}` is no name for an adapter: letters, digits, `-`, `_` and `.` are, with a letter or digit first")]
    Name(String),
    /// Files that are broken, not supported or made for another model.
    #[error(transparent)]
    Files(#[from] olivine_lm::ModelError),
    /// The budget has no room.
    #[error("the adapter needs {needed_bytes} bytes of memory, but only {free_bytes} are free")]
    Memory {
        /// What it needs.
        needed_bytes: usize,
        /// What nobody has.
        free_bytes: usize,
    },
}

/// An adapter with what it holds.
pub(crate) struct Loaded {
    pub adapter: Arc<Adapter>,
    pub info: AdapterInfo,
    _reservation: Option<Reservation>,
}

/// The adapters of an engine by name.
#[derive(Default)]
pub(crate) struct Adapters {
    sites: Arc<AdapterSites>,
    budget: Option<Arc<MemoryBudget>>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    loaded: BTreeMap<String, Arc<Loaded>>,
    /// For requests that name none.
    usual: Option<Arc<Loaded>>,
}

impl Adapters {
    pub fn new(sites: Arc<AdapterSites>, budget: Option<Arc<MemoryBudget>>) -> Adapters {
        Adapters { sites, budget, known: RwLock::default() }
    }

    /// Read an adapter and give it a name; one that had it goes, as soon as no request runs under it.
    pub fn load(&self, name: &str, folder: &Path, usual: bool) -> Result<AdapterInfo, AdapterError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
            return Err(AdapterError::Name(name.into()));
        }
        let room = |needed_bytes: usize| match &self.budget {
            None => Ok(None),
            Some(budget) => match budget.reserve(needed_bytes, Duration::ZERO) {
                None => Err(AdapterError::Memory { needed_bytes, free_bytes: budget.free() }),
                some => Ok(some),
            },
        };
        let guess = room(self.sites.bytes(folder)?)?;
        let read = self.sites.load(folder)?;
        let (bytes, rank) = (read.adapter.bytes(), read.adapter.rank());
        drop(guess);
        let reservation = room(bytes)?;
        let info = AdapterInfo { name: name.into(), digest: read.digest, rank, modules: read.modules, bytes };
        let loaded = Arc::new(Loaded { adapter: read.adapter, info: info.clone(), _reservation: reservation });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if usual {
            known.usual = Some(loaded.clone());
        }
        known.loaded.insert(name.into(), loaded);
        Ok(info)
    }

    /// Forget a name. False when there is none such.
    pub fn unload(&self, name: &str) -> bool {
        self.known.write().unwrap_or_else(PoisonError::into_inner).loaded.remove(name).is_some()
    }

    /// The adapter of a request: the one that it names, or the usual one. An error: the name is not known.
    pub fn find(&self, name: Option<&str>) -> Result<Option<Arc<Loaded>>, String> {
        let known = self.read();
        match name {
            None => Ok(known.usual.clone()),
            Some(name) => match known.loaded.get(name) {
                Some(loaded) => Ok(Some(loaded.clone())),
                None => Err(format!("no adapter `{name}` is loaded")),
            },
        }
    }

    pub fn list(&self) -> Vec<AdapterInfo> {
        self.read().loaded.values().map(|loaded| loaded.info.clone()).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}
