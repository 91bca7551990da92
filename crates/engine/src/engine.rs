//! The narrow waist: [`Engine::submit`] takes a request and gives a receiver of its events. One thread owns the model.
//!
//! Invariant: whatever happens in a step, every accepted request ends with one last event, and the engine goes on.
//! Read next: `types.rs`, `shared.rs`, then `worker`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use olivine_lm::encoder::Encoder;
use olivine_lm::model::Model;
use olivine_lm::spec::KvGroup;

use crate::adapters::{AdapterError, AdapterInfo, Adapters};
use crate::channel::{Receiver, channel};
use crate::constraint::{Guide, Vocabulary};
use crate::encoding::{self, Encoding};
use crate::live::Live;
use crate::memory::{self, MemoryBudget, Reservation, pages_for};
use crate::scripted::{self, ScriptedOptions};
use crate::shared::{Command, EngineOptions, Probe, Shared, Status};
use crate::types::{EmbedOptions, Pooling, Request, SubmitError, Task};
use crate::worker::Worker;

/// Why an engine did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The draft model does not go with the model.
    #[error("the draft model cannot guess for this model: {0}")]
    Draft(String),
    /// The budget has no room.
    #[error("it needs {needed_bytes} bytes of memory ({what}), but of {budget_bytes} only {free_bytes} are free")]
    Memory {
        /// What the bytes are for.
        what: &'static str,
        /// What it needs.
        needed_bytes: usize,
        /// What nobody has.
        free_bytes: usize,
        /// The budget.
        budget_bytes: usize,
    },
}

/// A model that serves requests. Dropping it ends all of them and waits for the thread.
pub struct Engine {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    limits: Limits,
    adapters: Adapters,
    thread: Option<JoinHandle<()>>,
    /// Given back when the thread is gone and the model with it.
    _reservations: Vec<Reservation>,
}

/// What an encoder can do beside vectors.
struct Encodes {
    ranks: bool,
    pair_separators: usize,
}

/// What can be checked when a request comes in.
struct Limits {
    /// Of an encoder.
    encodes: Option<Encodes>,
    spelling: Option<Vocabulary>,
    vocabulary: usize,
    hidden: usize,
    context_tokens: usize,
    max_waiting: usize,
    kv_bytes: usize,
    /// Kind and page bytes of each KV group.
    groups: Vec<(KvGroup, usize)>,
    state_bytes: usize,
    pooling: Pooling,
}

/// The part of available memory that caches take when nobody says so.
const MEMORY_SHARE: f64 = 0.5;
/// Where the system does not tell what is available.
const FALLBACK_BYTES: usize = 4 << 30;
/// Caches of less are no use.
const LEAST_KV_BYTES: usize = 16 << 20;
/// How long a model waits for the memory of one that is being dropped.
const PATIENCE: Duration = Duration::from_secs(20);

impl Engine {
    /// Start the thread that owns `model`, outside of any budget.
    pub fn start(model: Model, options: EngineOptions) -> Engine {
        let options = EngineOptions { memory: None, ..options };
        Engine::open(model, None, options).expect("without a draft model and a budget nothing stands in the way")
    }

    /// Start with what is needed reserved of `options.memory`, and perhaps with a small model that guesses tokens for
    /// `model`. That must have the same tokens, as long a context and no recurrent states; its cache counts as well.
    pub fn open(mut model: Model, draft: Option<Model>, mut options: EngineOptions) -> Result<Engine, StartError> {
        if let Some(draft) = &draft {
            check_draft(&model, draft).map_err(StartError::Draft)?;
            options.speculation.get_or_insert_default();
        }
        let rows = options.scheduler.max_rows;
        let fixed = |model: &Model| model.weight_sizes().total() + model.spec().activation_bytes(rows);
        let fixed_bytes = fixed(&model) + draft.as_ref().map_or(0, fixed);
        let (kv_bytes, reservations) = reserve(&options, fixed_bytes, "weights and activations")?;
        let cache = model.cache();
        let kinds: Vec<KvGroup> = cache.groups().collect();
        let groups = kinds.iter().enumerate().map(|(index, &kind)| (kind, cache.page_bytes(index))).collect();
        let limits = Limits {
            encodes: None,
            pooling: options.pooling.unwrap_or(Pooling::Last),
            state_bytes: cache.state_len() * 4,
            groups,
            spelling: options.vocabulary.clone(),
            hidden: model.spec().hidden,
            vocabulary: model.spec().vocabulary,
            context_tokens: model.context_tokens(),
            max_waiting: options.max_waiting,
            kv_bytes,
        };
        let adapters = Adapters::new(model.adapters().clone(), options.memory.clone());
        let shared = Arc::new(Shared::default());
        let on_gpu = |layers: &usize| *layers < model.spec().layers.len();
        let status = Status {
            fixed_bytes,
            kv_bytes_budget: kv_bytes,
            device: olivine_lm::device(),
            device_bytes_used: olivine_lm::gpu_counters().map_or(0, |counters| counters.allocated_bytes),
            device_bytes: olivine_lm::gpu().and_then(|gpu| gpu.device().info().memory_bytes),
            device_layers: model.gpu_layers().filter(on_gpu),
            ..Status::default()
        };
        *shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        let (commands, receiver) = mpsc::channel();
        let worker_shared = shared.clone();
        let thread = std::thread::Builder::new().name("engine".into());
        let run = move || Worker::new(model, draft, options, kv_bytes, receiver, worker_shared).run();
        let thread = thread.spawn(run).expect("the system has room for a thread");
        Ok(Engine { commands, shared, limits, adapters, thread: Some(thread), _reservations: reservations })
    }

    /// Start the thread that owns an encoder. Of the options, those of queues and of memory count.
    pub fn open_encoder(encoder: Encoder, options: EngineOptions) -> Result<Engine, StartError> {
        let needed_bytes = encoder.weight_sizes().total() + encoding::activation_bytes(encoder.spec());
        let reserve = |budget: &Arc<MemoryBudget>| {
            let (free_bytes, budget_bytes) = (budget.free(), budget.total());
            let what = "weights and activations";
            let error = StartError::Memory { what, needed_bytes, free_bytes, budget_bytes };
            budget.reserve(needed_bytes, PATIENCE).ok_or(error)
        };
        let reservation = options.memory.as_ref().map(reserve).transpose()?;
        let limits = Limits {
            pooling: options.pooling.unwrap_or(Pooling::Mean),
            encodes: Some(Encodes {
                // Several labels are classes, not a score.
                ranks: encoder.spec().labels == Some(1),
                pair_separators: encoder.spec().pair_separators,
            }),
            hidden: encoder.spec().hidden,
            vocabulary: encoder.spec().vocabulary,
            context_tokens: encoder.spec().context_tokens,
            max_waiting: options.max_waiting,
            spelling: None,
            kv_bytes: usize::MAX,
            groups: Vec::new(),
            state_bytes: 0,
        };
        let shared = Arc::new(Shared::default());
        let (commands, receiver) = mpsc::channel();
        let work =
            Encoding { encoder, commands: receiver, shared: shared.clone(), waiting: Vec::new(), closing: false };
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || work.run());
        let thread = Some(thread.expect("the system has room for a thread"));
        let adapters = Adapters::default();
        Ok(Engine { commands, shared, limits, adapters, thread, _reservations: reservation.into_iter().collect() })
    }

    /// Whether its thread has ended, because the device under the model was lost: the model must be loaded again.
    pub fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether it makes vectors and writes no text.
    pub fn is_encoder(&self) -> bool {
        self.limits.encodes.is_some()
    }

    /// Which hidden states embeddings are made of, as the model's files say.
    pub fn pooling(&self) -> Pooling {
        self.limits.pooling
    }

    /// Separators between the texts of a pair, for one that ranks.
    pub fn pair_separators(&self) -> usize {
        self.limits.encodes.as_ref().map_or(1, |encodes| encodes.pair_separators)
    }

    /// Whether its classification head scores pairs of texts.
    pub fn ranks(&self) -> bool {
        self.limits.encodes.as_ref().is_some_and(|encodes| encodes.ranks)
    }

    /// Start without a model: for tests of what stands above the engine.
    pub fn scripted(options: ScriptedOptions) -> Engine {
        let limits = Limits {
            pooling: Pooling::Last,
            encodes: None,
            spelling: None,
            vocabulary: options.vocabulary,
            hidden: 0,
            context_tokens: options.context_tokens,
            max_waiting: usize::MAX,
            kv_bytes: usize::MAX,
            groups: Vec::new(),
            state_bytes: 0,
        };
        let shared = Arc::new(Shared::default());
        let (commands, receiver) = mpsc::channel();
        let worker_shared = shared.clone();
        let run = move || scripted::run(&options, &receiver, &worker_shared);
        let thread = std::thread::Builder::new().name("script".into()).spawn(run);
        let thread = Some(thread.expect("the system has room for a thread"));
        let adapters = Adapters::default();
        Engine { commands, shared, limits, adapters, thread, _reservations: Vec::new() }
    }

    /// Hand in a request; its events come on the receiver.
    pub fn submit(&self, request: Request) -> Result<Receiver, SubmitError> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        self.limits.check(&request)?;
        let adapter = self.adapters.find(request.adapter.as_deref());
        let adapter = adapter.map_err(|problem| SubmitError::Invalid { field: "adapter", problem })?;
        let guide = self.limits.guide(&request)?;
        let limit = self.limits.max_waiting;
        let take = |waiting: usize| (waiting < limit).then_some(waiting + 1);
        if self.shared.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err() {
            return Err(SubmitError::QueueFull { limit, retry_after: self.retry_after() });
        }
        let (sender, receiver) = channel(IDS.fetch_add(1, Ordering::Relaxed));
        let live = Live::new(receiver.id(), request, adapter, guide, sender);
        self.commands.send(Command::Submit(Box::new(live))).map_err(|_| SubmitError::Closed)?;
        Ok(receiver)
    }

    /// Read the low-rank adapter in a folder, as PEFT or mlx-lm writes it, and let requests choose it by `name`. One that
    /// had the name before goes when the requests that run under it end.
    pub fn load_adapter(&self, name: &str, folder: &Path) -> Result<AdapterInfo, AdapterError> {
        self.adapters.load(name, folder, false)
    }

    /// As [`Engine::load_adapter`], for all requests that name no other.
    pub fn load_usual_adapter(&self, name: &str, folder: &Path) -> Result<AdapterInfo, AdapterError> {
        self.adapters.load(name, folder, true)
    }

    /// Forget an adapter; requests that run under it go on. False when there is none of this name.
    pub fn unload_adapter(&self, name: &str) -> bool {
        self.adapters.unload(name)
    }

    /// The adapters that requests can choose.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        self.adapters.list()
    }

    /// What the engine is doing.
    pub fn status(&self) -> Status {
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.waiting = self.shared.waiting.load(Ordering::Acquire);
        status
    }

    /// Bytes that the engine takes at most: weights, activations, caches.
    pub fn memory_bytes(&self) -> usize {
        let status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.fixed_bytes + status.kv_bytes_budget
    }

    /// Longest sequence, in tokens.
    pub fn context_tokens(&self) -> usize {
        self.limits.context_tokens
    }

    /// Where a request's prompt is in the caches (its tokens, adapter and salt count). None when the engine is gone.
    pub fn probe(&self, request: Request) -> Option<Probe> {
        let (answer, probe) = mpsc::channel();
        let Ok(adapter) = self.adapters.find(request.adapter.as_deref()) else { return Some(Probe::default()) };
        self.commands.send(Command::Probe { request: Box::new(request), adapter, answer }).ok()?;
        probe.recv().ok()
    }

    /// Drop all cached prefixes, in memory (but for what running requests use) and on disk; bytes of memory that became free.
    pub fn clear_cache(&self) -> usize {
        let (answer, freed) = mpsc::channel();
        let sent = self.commands.send(Command::ClearCache { answer });
        sent.ok().and_then(|()| freed.recv().ok()).unwrap_or(0)
    }

    /// Take no more requests, finish those that are running or waiting, keep what is cached, end the thread.
    pub fn shutdown(mut self) {
        let _ = self.commands.send(Command::Shutdown);
        self.join();
    }

    fn retry_after(&self) -> Duration {
        let status = self.status();
        let each = status.running.max(1) as f64 / status.tokens_per_second.max(1.0) * 100.0;
        Duration::from_secs_f64(each.clamp(1.0, 60.0))
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic outside a step has been printed by its hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Bytes for the cache, and what was reserved for it and for `fixed_bytes`.
fn reserve(
    options: &EngineOptions,
    fixed_bytes: usize,
    what: &'static str,
) -> Result<(usize, Vec<Reservation>), StartError> {
    let Some(budget) = &options.memory else {
        let available = || (memory::available_bytes().unwrap_or(FALLBACK_BYTES) as f64 * MEMORY_SHARE) as usize;
        return Ok((options.kv_bytes.unwrap_or_else(available), Vec::new()));
    };
    let error = |what, needed_bytes| StartError::Memory {
        what,
        needed_bytes,
        free_bytes: budget.free(),
        budget_bytes: budget.total(),
    };
    let least = options.kv_bytes.unwrap_or(LEAST_KV_BYTES);
    // Both at once, so that two models that are loaded at the same time do not wait for each other with half of it.
    let both = budget.reserve(fixed_bytes + least, PATIENCE).ok_or_else(|| error(what, fixed_bytes + least))?;
    if options.kv_bytes.is_some() {
        return Ok((least, vec![both]));
    }
    let more = (budget.free() as f64 * MEMORY_SHARE) as usize;
    match budget.reserve(more, Duration::ZERO) {
        Some(rest) => Ok((least + more, vec![both, rest])),
        None => Ok((least, vec![both])),
    }
}

/// Whether a model can guess for another; what stands in the way otherwise.
fn check_draft(model: &Model, draft: &Model) -> Result<(), String> {
    let vocabularies = (model.spec().vocabulary, draft.spec().vocabulary);
    if vocabularies.0 != vocabularies.1 {
        return Err(format!("it has {} tokens, the model {}", vocabularies.1, vocabularies.0));
    }
    if draft.spec().is_recurrent() || model.spec().is_recurrent() {
        return Err("speculation needs models without recurrent states".into());
    }
    let contexts = (model.context_tokens(), draft.context_tokens());
    if contexts.1 < contexts.0 {
        return Err(format!("it has a context of {} tokens, the model {}", contexts.1, contexts.0));
    }
    Ok(())
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The thread ends its requests when the last sender of commands is gone.
        let (closed, _) = mpsc::channel();
        self.commands = closed;
        self.join();
    }
}

impl Limits {
    fn check(&self, request: &Request) -> Result<(), SubmitError> {
        let invalid = |field, problem: String| Err(SubmitError::Invalid { field, problem });
        let prompt = request.tokens.len();
        if prompt == 0 {
            return invalid("tokens", "a prompt needs at least one token".into());
        }
        if let Some(token) = request.tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            return invalid("tokens", format!("{token} is beyond the vocabulary of {}", self.vocabulary));
        }
        if let Some(encodes) = &self.encodes {
            return self.check_encoding(request, encodes);
        }
        if prompt >= self.context_tokens {
            return Err(SubmitError::TooLong { prompt_tokens: prompt, context_tokens: self.context_tokens });
        }
        if let Err(problem) = request.sampling.check() {
            return invalid("sampling", problem);
        }
        match &request.task {
            Task::Generate => {}
            Task::Embed(EmbedOptions { dimensions: Some(dimensions), .. })
                if *dimensions == 0 || *dimensions > self.hidden =>
            {
                return invalid("task", format!("{dimensions} dimensions of {}", self.hidden));
            }
            Task::Score(tokens) if tokens.iter().any(|&token| token as usize >= self.vocabulary) => {
                return invalid("task", format!("a token beyond the vocabulary of {}", self.vocabulary));
            }
            Task::Classify { .. } => return invalid("task", "only encoders have a classification head".into()),
            Task::Embed(_) | Task::Score(_) => {}
        }
        if request.task != Task::Generate && request.constraint.is_some() {
            return invalid("constraint", "only answers can be constrained".into());
        }
        if let Some(limit) = &request.reasoning {
            let tokens = || limit.open.iter().chain(&limit.close);
            if limit.close.is_empty() || tokens().any(|&token| token as usize >= self.vocabulary) {
                return invalid("reasoning", "its markers must be tokens of the vocabulary".into());
            }
        }
        let tokens = prompt.saturating_add(request.max_tokens.unwrap_or(1)).min(self.context_tokens);
        let needed_bytes = self.bytes_for(tokens);
        if needed_bytes > self.kv_bytes {
            return Err(SubmitError::TooLarge { needed_bytes, budget_bytes: self.kv_bytes });
        }
        Ok(())
    }

    /// What an encoder is asked for.
    fn check_encoding(&self, request: &Request, encodes: &Encodes) -> Result<(), SubmitError> {
        let invalid = |problem: String| Err(SubmitError::Invalid { field: "task", problem });
        if request.tokens.len() > self.context_tokens {
            let (prompt_tokens, context_tokens) = (request.tokens.len(), self.context_tokens);
            return Err(SubmitError::TooLong { prompt_tokens, context_tokens });
        }
        match &request.task {
            Task::Embed(EmbedOptions { dimensions: Some(dimensions), .. })
                if *dimensions == 0 || *dimensions > self.hidden =>
            {
                invalid(format!("{dimensions} dimensions of {}", self.hidden))
            }
            Task::Embed(_) => Ok(()),
            Task::Classify { .. } if encodes.ranks => Ok(()),
            Task::Classify { .. } => invalid("the model has no classification head".into()),
            Task::Generate | Task::Score(_) => invalid("the model is an encoder: it writes no text".into()),
        }
    }

    fn guide(&self, request: &Request) -> Result<Option<Guide>, SubmitError> {
        let Some(constraint) = &request.constraint else { return Ok(None) };
        let invalid = |problem: String| SubmitError::Invalid { field: "constraint", problem };
        let Some(spelling) = &self.spelling else {
            return Err(invalid("this engine was started without a vocabulary".into()));
        };
        spelling.compile(constraint).map(Some).map_err(invalid)
    }

    fn bytes_for(&self, tokens: usize) -> usize {
        let group = |&(kind, bytes): &(KvGroup, usize)| bytes * pages_for(kind, tokens);
        self.groups.iter().map(group).sum::<usize>() + self.state_bytes
    }
}
