//! What one forward pass works on: packed rows of any mix of sequences, told to primitives through a shared slot.
//!
//! Primitives hold the slot, not the content, so that a traced plan is replayed with the next step's sequences.
//! Read next: [`crate::fast::paged_attention`].

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use olivine_gpu::Memory;
use olivine_gpu::ops::attention::{Element, KvShape, Rows, SPLIT_KEYS};
use olivine_kernels::attention::{BatchSequence, KvCacheLayer, KvDtype, KvLayout};
use olivine_kernels::rope::Angles;

use crate::fast::adapter::{AdaptedRows, Adapter};
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
    /// What corrects the linear layers for these rows.
    pub adapter: Option<Arc<Adapter>>,
}

/// One step: spans in the order of their rows, and rotary angles of all rows, one set per kind of rope.
#[derive(Debug, Default)]
pub struct Step {
    /// The sequences.
    pub spans: Vec<Span>,
    /// Angles of the rows.
    pub angles: Vec<Angles>,
    on_gpu: Option<GpuStep>,
    /// Cosines beside their sines on their way to the GPU.
    pairs: Vec<f32>,
}

/// A step as the GPU's kernels read it, in memory that stays where it is while it is large enough.
#[derive(Debug)]
pub(crate) struct GpuStep {
    /// Rows and their pages, as each KV group sees them.
    pub groups: Vec<Rows>,
    /// Cosines and sines of the rows, for each kind of rope.
    pub angles: Vec<Memory>,
    /// (first row, rows, slot of the state, 0) of each sequence.
    pub spans: Memory,
    /// How many sequences.
    pub sequences: usize,
    /// Rows that adapters correct.
    pub adapted: Vec<AdaptedRows>,
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

impl Step {
    /// The step on the GPU, if it was sent there.
    pub(crate) fn on_gpu(&self) -> Option<&GpuStep> {
        self.on_gpu.as_ref()
    }

    /// Tell the GPU. What was recorded for a step of other sizes does not fit this one.
    fn send(&mut self, gpu: &Gpu) {
        let count = self.spans.iter().map(|span| span.first_row + span.rows).max().unwrap_or(0);
        let keys = self.spans.iter().map(|span| span.first_position + span.rows).max().unwrap_or(0);
        let most_keys = keys.next_power_of_two().max(SPLIT_KEYS as usize) as u32;
        let groups = self.spans.iter().map(|span| span.pages.len()).max().unwrap_or(0);
        let old = self.on_gpu.take();
        let mut place = Place { gpu, fits: old.is_some() };
        let span = |span: &Span| [span.first_row as u32, span.rows as u32, span.state_slot as u32, 0];
        let spans: Vec<[u32; 4]> = self.spans.iter().map(span).collect();
        place.fits &= old.as_ref().is_some_and(|old| old.sequences == spans.len());
        let corrected = self.spans.iter().filter_map(|span| {
            let rows = span.first_row as u32..(span.first_row + span.rows) as u32;
            span.adapter.as_ref().map(|adapter| (adapter, rows))
        });
        let adapted = AdaptedRows::of(gpu, corrected, old.as_ref().map_or(&[], |old| &old.adapted));
        place.fits &= adapted.is_none();
        let mut sent = GpuStep {
            groups: Vec::new(),
            angles: Vec::new(),
            spans: place.bring(old.as_ref().map(|old| &old.spans), bytemuck::cast_slice(&spans)),
            sequences: spans.len(),
            adapted: adapted.unwrap_or_else(|| old.as_ref().map_or_else(Vec::new, |old| old.adapted.clone())),
        };
        for group in 0..groups {
            let (mut rows, mut tables) = (vec![[u32::MAX, 0]; count], Vec::new());
            for span in &self.spans {
                for row in 0..span.rows {
                    rows[span.first_row + row] = [(span.first_position + row) as u32, tables.len() as u32];
                }
                tables.extend_from_slice(&span.pages[group]);
            }
            let known = old.as_ref().and_then(|old| old.groups.get(group));
            place.fits &= known.is_some_and(|known| known.count == count as u32 && known.most_keys == most_keys);
            sent.groups.push(Rows {
                rows: place.bring(known.map(|known| &known.rows), bytemuck::cast_slice(&rows)),
                tables: place.bring(known.map(|known| &known.tables), bytemuck::cast_slice(&tables)),
                count: count as u32,
                most_keys,
                alone: spans.len() == count,
            });
        }
        for (kind, angles) in self.angles.iter().enumerate() {
            self.pairs.resize(angles.rows() * angles.dim(), 0.0);
            for (row, pairs) in self.pairs.chunks_exact_mut(angles.dim().max(1)).enumerate() {
                let (cos, sin) = angles.row(row);
                for ((pair, cos), sin) in pairs.chunks_exact_mut(2).zip(cos).zip(sin) {
                    pair.copy_from_slice(&[*cos, *sin]);
                }
            }
            let known = old.as_ref().and_then(|old| old.angles.get(kind));
            sent.angles.push(place.bring(known, bytemuck::cast_slice(&self.pairs)));
        }
        if !place.fits {
            gpu.new_epoch();
        }
        self.on_gpu = Some(sent);
    }
}

/// Brings tables to memory that is there already, if it is large enough.
struct Place<'a> {
    gpu: &'a Gpu,
    fits: bool,
}

impl Place<'_> {
    fn bring(&mut self, known: Option<&Memory>, bytes: &[u8]) -> Memory {
        let known = known.filter(|known| known.bytes() >= bytes.len() as u64).cloned();
        self.fits &= known.is_some();
        let memory = known.unwrap_or_else(|| self.gpu.allocate(bytes.len().next_power_of_two().max(256)));
        self.gpu.write(&memory, 0, bytes);
        memory
    }
}

/// The slot that a model's primitives share.
#[derive(Clone, Debug, Default)]
pub struct StepSlot(Arc<RwLock<Step>>);

impl StepSlot {
    /// Change the step between two evaluations.
    pub fn update<T>(&self, change: impl FnOnce(&mut Step) -> T) -> T {
        let mut step = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut step);
        if let Some(gpu) = gpu::gpu() {
            step.send(&gpu);
        }
        result
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
    gpu: Arc<Gpu>,
    pub shape: KvShape,
    pub memory: Memory,
    pages: usize,
}

impl KvHandle {
    /// An empty store of `layout`, on a GPU if one is given.
    pub fn new(layout: KvLayout, gpu: Option<Arc<Gpu>>) -> KvHandle {
        let store = match gpu {
            None => KvStore::Host(KvCacheLayer::new(layout)),
            Some(gpu) => match GpuKv::new(gpu, layout) {
                Some(kv) => KvStore::Gpu(kv),
                None => KvStore::Host(KvCacheLayer::new(layout)),
            },
        };
        KvHandle(Arc::new(Mutex::new(store)))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut KvStore) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes of one page, on all cards together.
    pub fn page_bytes(&self) -> usize {
        self.with(|store| store.page_bytes())
    }

    /// Have at least `pages` pages.
    pub fn grow(&self, pages: usize) {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.grow(pages),
            KvStore::Gpu(kv) => kv.grow(pages),
        });
    }

    /// On a GPU, have room for so many pages, of which none has anything yet.
    pub fn reserve(&self, pages: usize) {
        self.with(|store| {
            if let KvStore::Gpu(kv) = store {
                kv.reserve(pages);
            }
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
                for card in 0..kv.gpu.cards() {
                    let start = out.len();
                    out.resize(start + kv.own_page_bytes(), 0);
                    kv.gpu.download_from(card, &kv.page(page), 0, &mut out[start..]);
                }
            }
        });
    }

    /// Fill a page with what [`KvHandle::read_page`] gave.
    pub fn write_page(&self, page: u32, bytes: &[u8]) {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.page_mut(page).copy_from_slice(bytes),
            KvStore::Gpu(kv) => {
                let shares = bytes.chunks_exact(kv.own_page_bytes()).enumerate();
                shares.for_each(|(card, bytes)| kv.gpu.write_to(card, &kv.page(page), bytes));
            }
        });
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.with(|store| match store {
            KvStore::Host(layer) => layer.bytes(),
            KvStore::Gpu(kv) => kv.memory.bytes() as usize * kv.gpu.cards(),
        })
    }
}

impl KvStore {
    fn page_bytes(&self) -> usize {
        match self {
            KvStore::Host(layer) => layer.layout().page_bytes(),
            KvStore::Gpu(kv) => kv.page_bytes(),
        }
    }
}

impl GpuKv {
    /// One page; none for a layout that the GPU has no kernels for.
    fn new(gpu: Arc<Gpu>, layout: KvLayout) -> Option<GpuKv> {
        let element = match layout.dtype {
            KvDtype::F32 => Element::F32,
            KvDtype::F16 => Element::F16,
            KvDtype::Bf16 => Element::Bf16,
            KvDtype::Q8 | KvDtype::Q4 => return None,
        };
        let shape = KvShape {
            kv_heads: layout.kv_heads as u32,
            key_dim: layout.key_dim as u32,
            value_dim: layout.value_dim as u32,
            page_tokens: layout.page_tokens as u32,
            element,
        };
        if !shape.is_supported() {
            return None;
        }
        let memory = gpu.allocate(shape.page_bytes() as usize);
        Some(GpuKv { gpu, shape, memory, pages: 1 })
    }

    fn page_bytes(&self) -> usize {
        self.own_page_bytes() * self.gpu.cards()
    }

    /// Of each card.
    fn own_page_bytes(&self) -> usize {
        self.shape.page_bytes() as usize
    }

    fn page(&self, page: u32) -> Memory {
        let bytes = self.own_page_bytes() as u64;
        self.memory.slice(u64::from(page) * bytes, bytes)
    }

    /// As many pages as are asked for, if half of the largest matrix of the device has room for them.
    fn reserve(&mut self, pages: usize) {
        let limits = &self.gpu.device().info().limits;
        let most = limits.allocation_bytes.min(limits.binding_bytes) / 2 / self.own_page_bytes() as u64;
        let pages = pages.min(most as usize);
        if pages > self.pages {
            self.pages = pages;
            self.memory = self.gpu.allocate(pages * self.own_page_bytes());
            self.gpu.new_epoch();
        }
    }

    /// Twice the memory when it is full: the pages move, and what was recorded before does not fit any more.
    fn grow(&mut self, pages: usize) {
        if pages <= self.pages {
            return;
        }
        let old = self.memory.clone();
        self.pages = pages.max(2 * self.pages);
        self.memory = self.gpu.allocate(self.pages * self.own_page_bytes());
        self.gpu.record(|list| list.copy(&old, &self.memory));
        self.gpu.new_epoch();
    }
}

impl std::fmt::Debug for KvHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KvHandle")
    }
}
