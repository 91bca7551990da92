//! What the handle of an engine and the thread that owns its model say to each other: options, commands, the status.
//!
//! Read next: `engine.rs` for the handle, `worker` and `encoding.rs` for the threads.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, mpsc};

use crate::adapters::Loaded;
use crate::constraint::Vocabulary;
use crate::disk::DiskOptions;
use crate::live::Live;
use crate::memory::MemoryBudget;
use crate::scheduler::SchedulerOptions;
use crate::speculation::SpeculationOptions;
use crate::types::{Pooling, Request, RequestId};

/// How an engine runs its model.
#[derive(Clone)]
pub struct EngineOptions {
    /// What the cached numbers depend on beside the tokens: a digest of the model's files, its quantization and its
    /// template. Caches on disk are only used by engines with the same identity.
    pub identity: String,
    /// Bytes of keys, values and states in memory, those of running requests and cached ones together. None: a part
    /// of what is available now.
    pub kv_bytes: Option<usize>,
    /// What the engines of this process may take together; weights, activations and caches are reserved of it. None:
    /// nothing is reserved.
    pub memory: Option<Arc<MemoryBudget>>,
    /// Where cached prefixes are kept on disk; none: nowhere.
    pub disk: Option<DiskOptions>,
    /// Most requests that run at once.
    pub max_running: usize,
    /// Most requests that wait.
    pub max_waiting: usize,
    /// What the tokens spell; without it constraints are refused.
    pub vocabulary: Option<Vocabulary>,
    /// Guess tokens ahead; none: never. Only for models without recurrent states.
    pub speculation: Option<SpeculationOptions>,
    /// Which hidden states embeddings are made of where a request leaves that to the model; none: all of an encoder's,
    /// the last one of a decoder.
    pub pooling: Option<Pooling>,
    /// How prompts and answers share the machine.
    pub scheduler: SchedulerOptions,
    /// Called before each step with the requests in it and their rows: for traces and tests.
    pub on_step: Option<StepHook>,
}

/// See [`EngineOptions::on_step`].
pub type StepHook = Arc<dyn Fn(&[(RequestId, usize)]) + Send + Sync>;

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            identity: String::new(),
            kv_bytes: None,
            memory: None,
            disk: None,
            max_running: 64,
            max_waiting: 64,
            vocabulary: None,
            speculation: None,
            pooling: None,
            scheduler: SchedulerOptions::default(),
            on_step: None,
        }
    }
}

/// What an engine is doing and has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Requests that run.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Bytes of weights and activations, those of a draft model among them.
    pub fixed_bytes: usize,
    /// Bytes of keys, values and states in use, those of a draft model among them.
    pub kv_bytes_used: usize,
    /// Of those, bytes that are only cached.
    pub kv_bytes_cached: usize,
    /// Bytes that may be in use.
    pub kv_bytes_budget: usize,
    /// Blocks in the prefix index.
    pub blocks: usize,
    /// Blocks on disk.
    pub disk_blocks: usize,
    /// Bytes of the files there.
    pub disk_bytes: u64,
    /// Why there is no disk tier, or what went wrong last; requests are served all the same.
    pub disk_error: Option<String>,
    /// Steps so far.
    pub steps: u64,
    /// Steps that panicked.
    pub panics: u64,
    /// Requests that ended.
    pub finished: u64,
    /// Requests that were set back for want of memory.
    pub preempted: u64,
    /// Prompt tokens of admitted requests, and how many of those were cached.
    pub prompt_tokens: u64,
    /// Cached ones among them.
    pub cached_tokens: u64,
    /// Prompt tokens that were computed.
    pub prefilled_tokens: u64,
    /// Tokens of answers.
    pub answer_tokens: u64,
    /// Tokens that speculation proposed.
    pub drafted_tokens: u64,
    /// Right ones among them.
    pub accepted_tokens: u64,
    /// Tokens of answers a second, of the last seconds.
    pub tokens_per_second: f64,
    /// The GPU that computes, as it calls itself; none: the CPU.
    pub device: Option<String>,
    /// Bytes of its memory that this process has taken, all models together.
    pub device_bytes_used: u64,
    /// All of its memory, where its driver says.
    pub device_bytes: Option<u64>,
    /// Layers that it computes, where the CPU does the others.
    pub device_layers: Option<usize>,
}

/// How much of a prompt is cached, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// Tokens that a request with this prompt would not compute.
    pub resumable_tokens: usize,
    /// For each block of tokens, where it is.
    pub blocks: Vec<BlockPlace>,
    /// Tokens of a block.
    pub block_tokens: usize,
    /// The first token that differs from the prompt that ran last under the same adapter and salt; none when one is
    /// a prefix of the other, or nothing ran.
    pub first_difference: Option<usize>,
}

/// Where a block of a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPlace {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
    /// Nowhere.
    Cold,
}

pub(crate) enum Command {
    Submit(Box<Live>),
    Probe { request: Box<Request>, adapter: Option<Arc<Loaded>>, answer: mpsc::Sender<Probe> },
    ClearCache { answer: mpsc::Sender<usize> },
    Shutdown,
}

/// What the engine's thread tells the handles.
#[derive(Default)]
pub(crate) struct Shared {
    pub status: Mutex<Status>,
    /// Requests between submission and admission.
    pub waiting: AtomicUsize,
}
