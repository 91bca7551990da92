//! What one forward pass works on: packed rows of any mix of sequences, told to primitives through a shared slot.
//!
//! Primitives hold the slot, not the content, so that a traced plan is replayed with the next step's sequences.
//! Read next: [`crate::fast::paged_attention`].

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use olivine_gpu::Memory;
use olivine_kernels::attention::{BatchSequence, KvCacheLayer, KvLayout};
use olivine_kernels::rope::Angles;

use crate::gpu::{self, Gpu};

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

/// Keys and values of one layer, shared by the model and whoever manages its pages. They lie where the model runs.
#[derive(Clone)]
pub struct KvHandle(Arc<Mutex<KvStore>>);

/// Where the pages are.
pub(crate) enum KvStore {
    Host(KvCacheLayer),
    Gpu(GpuKv),
}

/// Pages on a GPU, one behind the other.
pub(crate) struct GpuKv {
    pub gpu: Arc<Gpu>,
    pub layout: KvLayout,
    pub memory: Memory,
    pages: usize,
}

impl KvHandle {
    /// An empty store of `layout`, on the GPU if there is one.
    pub fn new(layout: KvLayout) -> KvHandle {
        let store = match gpu::gpu() {
            None => KvStore::Host(KvCacheLayer::new(layout)),
            Some(gpu) => KvStore::Gpu(GpuKv { memory: gpu.allocate(layout.page_bytes()), gpu, layout, pages: 1 }),
        };
        KvHandle(Arc::new(Mutex::new(store)))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut KvStore) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes of one page.
    pub fn page_bytes(&self) -> usize {
        self.with(|store| store.layout().page_bytes())
    }

    /// Have at least `pages` pages.
    pub fn grow(&self, pages: usize) {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.grow(pages),
            KvStore::Gpu(kv) => kv.grow(pages),
        });
    }

    /// Copy a whole page (before writing to one that is shared).
    pub fn copy_page(&self, from: u32, to: u32) {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.copy_page(from, to),
            KvStore::Gpu(kv) => kv.gpu.record(|list| list.copy(&kv.page(from), &kv.page(to))),
        });
    }

    /// Append a page's bytes. Pages of different devices do not fit each other.
    pub fn read_page(&self, page: u32, out: &mut Vec<u8>) {
        self.with(|store| match store {
            KvStore::Host(layer) => out.extend_from_slice(layer.page(page)),
            KvStore::Gpu(kv) => {
                let start = out.len();
                out.resize(start + kv.layout.page_bytes(), 0);
                kv.gpu.download(&kv.page(page), 0, &mut out[start..]);
            }
        });
    }

    /// Fill a page with what [`KvHandle::read_page`] gave.
    pub fn write_page(&self, page: u32, bytes: &[u8]) {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.page_mut(page).copy_from_slice(bytes),
            KvStore::Gpu(kv) => kv.gpu.write(&kv.page(page), 0, bytes),
        });
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.bytes(),
            KvStore::Gpu(kv) => kv.memory.bytes() as usize,
        })
    }
}

impl KvStore {
    fn layout(&self) -> &KvLayout {
        match self {
            KvStore::Host(layer) => layer.layout(),
            KvStore::Gpu(kv) => &kv.layout,
        }
    }
}

impl GpuKv {
    fn page(&self, page: u32) -> Memory {
        let bytes = self.layout.page_bytes() as u64;
        self.memory.slice(u64::from(page) * bytes, bytes)
    }

    /// Twice the memory when it is full: the pages move, and what was recorded before does not fit any more.
    fn grow(&mut self, pages: usize) {
        if pages <= self.pages {
            return;
        }
        let old = self.memory.clone();
        self.pages = pages.max(2 * self.pages);
        self.memory = self.gpu.allocate(self.pages * self.layout.page_bytes());
        self.gpu.record(|list| list.copy(&old, &self.memory));
        self.gpu.new_epoch();
    }
}

impl std::fmt::Debug for KvHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KvHandle")
    }
}
