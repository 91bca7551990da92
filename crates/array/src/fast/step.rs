//! What one forward pass works on: packed rows of any mix of sequences, told to primitives through a shared slot.
//!
//! Primitives hold the slot, not the content, so that a traced plan is replayed with the next step's sequences.
//! Read next: [`crate::fast::paged_attention`].

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use olivine_kernels::attention::{BatchSequence, KvCacheLayer};
use olivine_kernels::rope::Angles;

/// One sequence's share of a step.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// First packed row.
    pub first_row: usize,
    /// How many rows.
    pub rows: usize,
    /// Position of the first row in the sequence.
    pub first_position: usize,
    /// Pages of the sequence, one list per KV group.
    pub pages: Vec<Vec<u32>>,
    /// Slot of the sequence's recurrent state.
    pub state_slot: usize,
}

/// One step: spans in the order of their rows, and rotary angles of all rows, one set per kind of rope.
#[derive(Debug, Default)]
pub struct Step {
    /// The sequences.
    pub spans: Vec<Span>,
    /// Angles of the rows.
    pub angles: Vec<Angles>,
}

impl Step {
    /// The step as one KV group sees it.
    pub fn sequences<'a>(&'a self, group: usize) -> Vec<BatchSequence<'a>> {
        let sequence = |span: &'a Span| BatchSequence {
            first_row: span.first_row,
            rows: span.rows,
            first_position: span.first_position,
            pages: &span.pages[group],
        };
        self.spans.iter().map(sequence).collect()
    }
}

/// The slot that a model's primitives share.
#[derive(Clone, Debug, Default)]
pub struct StepSlot(Arc<RwLock<Step>>);

impl StepSlot {
    /// Change the step between two evaluations.
    pub fn update<T>(&self, change: impl FnOnce(&mut Step) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current step.
    pub fn read(&self) -> RwLockReadGuard<'_, Step> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys and values of one layer, shared by the model and whoever manages its pages.
#[derive(Clone)]
pub struct KvHandle(Arc<Mutex<KvCacheLayer>>);

impl KvHandle {
    /// A handle on `layer`.
    pub fn new(layer: KvCacheLayer) -> KvHandle {
        KvHandle(Arc::new(Mutex::new(layer)))
    }

    /// Work on the pages.
    pub fn with<T>(&self, work: impl FnOnce(&mut KvCacheLayer) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for KvHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KvHandle")
    }
}
