//! What all requests share: options, models, counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use olivine_engine::Usage;

use crate::adapter_folders::AdapterFolders;
use crate::library::Library;
use crate::registry::{Catalog, Registry, RegistryOptions};
use crate::running::Running;
use crate::stored::Stored;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Version to tell.
    pub version: String,
    /// Keys that clients must show one of; empty: no key is asked for.
    pub api_keys: Vec<String>,
    /// Origins of web pages that may call beside those of this machine; `*`: all.
    pub origins: Vec<String>,
    /// Names under which the server may be called beside those of this machine; `*`: all.
    pub hosts: Vec<String>,
    /// Largest body in bytes.
    pub body_bytes: usize,
    /// A stream that has nothing to say says so this often.
    pub heartbeat: Duration,
    /// Bounds of the registry.
    pub registry: RegistryOptions,
}

/// The server's state.
pub struct App {
    /// How it behaves.
    pub options: ServerOptions,
    /// Its models.
    pub registry: Arc<Registry>,
    /// Adapters that it may load.
    pub adapters: AdapterFolders,
    /// Its counters.
    pub metrics: Arc<Metrics>,
    /// The store; none: models come from the catalog alone.
    pub library: Option<Library>,
    /// Answers that can be gone on from.
    pub stored: Stored,
    /// Answers being made.
    pub running: Arc<Running>,
    /// When it started.
    pub started: Instant,
}

impl App {
    /// A server that has seen nothing yet.
    pub fn new(options: ServerOptions, catalog: Catalog) -> Arc<App> {
        App::with_library(options, catalog, None)
    }

    /// The same with a store.
    pub fn with_library(options: ServerOptions, catalog: Catalog, library: Option<Library>) -> Arc<App> {
        let registry = Registry::new(catalog, options.registry.clone());
        let (metrics, stored, running) = (Arc::default(), Stored::default(), Arc::default());
        Arc::new(App {
            options,
            registry,
            adapters: AdapterFolders::default(),
            metrics,
            library,
            stored,
            running,
            started: Instant::now(),
        })
    }
}

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// HTTP requests.
    pub requests: AtomicU64,
    /// Answers with a status of 400 or more.
    pub errors: AtomicU64,
    /// Answers that ended.
    pub finished: AtomicU64,
    /// Answers that failed.
    pub failed: AtomicU64,
    /// Prompt tokens of answers that ended.
    pub prompt_tokens: AtomicU64,
    /// Cached ones among them.
    pub cached_tokens: AtomicU64,
    /// Tokens of answers.
    pub answer_tokens: AtomicU64,
    /// Microseconds of prefill.
    pub prefill_us: AtomicU64,
    /// Microseconds of decoding.
    pub decode_us: AtomicU64,
}

impl Metrics {
    pub(crate) fn finished(&self, usage: &Usage) {
        let add = |counter: &AtomicU64, amount: u64| counter.fetch_add(amount, Ordering::Relaxed);
        add(&self.finished, 1);
        add(&self.prompt_tokens, usage.prompt_tokens as u64);
        add(&self.cached_tokens, usage.cached_tokens as u64);
        add(&self.answer_tokens, usage.answer_tokens as u64);
        add(&self.prefill_us, usage.prefill.as_micros() as u64);
        add(&self.decode_us, usage.decode.as_micros() as u64);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
