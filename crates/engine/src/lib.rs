//! Requests on a language model: continuous batching, one scheduler, shared prefixes. No HTTP, no JSON, no async.
//!
//! Read `types.rs`, then `engine.rs` and `worker.rs`; `scheduler.rs` and `prefix.rs` are pure.

mod adapters;
pub mod channel;
mod constraint;
mod disk;
mod encoding;
pub mod engine;
mod live;
mod memory;
pub mod prefix;
mod reasoning;
pub mod scheduler;
pub mod scripted;
mod shared;
mod speculation;
pub mod types;
mod worker;

pub use adapters::{AdapterError, AdapterInfo};
pub use channel::{Canceller, Receiver};
pub use constraint::Vocabulary;
pub use disk::DiskOptions;
pub use engine::{Engine, StartError};
pub use memory::{MemoryBudget, Reservation, available_bytes};
pub use olivine_lm::sampling_options::SamplingOptions;
pub use reasoning::ReasoningLimit;
pub use scheduler::SchedulerOptions;
pub use scripted::ScriptedOptions;
pub use shared::{BlockPlace, EngineOptions, Probe, Status, StepHook};
pub use speculation::SpeculationOptions;
pub use types::*;
