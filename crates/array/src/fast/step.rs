//! What one forward pass works on: packed rows of any mix of sequences, told to primitives through a shared slot.
//!
//! Primitives hold the slot, not the content, so that a traced plan is replayed with the next step's sequences.
//! Read next: [`crate::fast::paged_attention`].

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use olivine_gpu::Memory;
use olivine_gpu::device::ALIGNMENT;
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
}

/// A step as the GPU's kernels read it.
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
    /// Where all but these lie.
    tables: Tables,
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
        let mut old = self.on_gpu.take();
        let span = |span: &Span| [span.first_row as u32, span.rows as u32, span.state_slot as u32, 0];
        let spans: Vec<[u32; 4]> = self.spans.iter().map(span).collect();
        let corrected = self.spans.iter().filter_map(|span| {
            let rows = span.first_row as u32..(span.first_row + span.rows) as u32;
            span.adapter.as_ref().map(|adapter| (adapter, rows))
        });
        let adapted = AdaptedRows::of(gpu, corrected, old.as_ref().map_or(&[], |old| &old.adapted));
        let mut tables: Vec<Vec<u8>> = vec![bytemuck::cast_slice(&spans).to_vec()];
        for group in 0..groups {
            let (mut rows, mut pages) = (vec![[u32::MAX, 0]; count], Vec::new());
            for span in &self.spans {
                for row in 0..span.rows {
                    rows[span.first_row + row] = [(span.first_position + row) as u32, pages.len() as u32];
                }
                pages.extend_from_slice(&span.pages[group]);
            }
            tables.extend([bytemuck::cast_slice(&rows).to_vec(), bytemuck::cast_slice(&pages).to_vec()]);
        }
        for angles in &self.angles {
            let mut pairs = vec![0.0; angles.rows() * angles.dim()];
            for (row, pairs) in pairs.chunks_exact_mut(angles.dim().max(1)).enumerate() {
                let (cos, sin) = angles.row(row);
                for ((pair, cos), sin) in pairs.chunks_exact_mut(2).zip(cos).zip(sin) {
                    pair.copy_from_slice(&[*cos, *sin]);
                }
            }
            tables.push(bytemuck::cast_slice(&pairs).to_vec());
        }
        let same = |old: &GpuStep| {
            let same_rows = |rows: &Rows| rows.count == count as u32 && rows.most_keys == most_keys;
            old.sequences == spans.len() && old.groups.len() == groups && old.groups.iter().all(same_rows)
        };
        let is_same = adapted.is_none() && old.as_ref().is_some_and(same);
        let known = old.as_mut().map(|old| std::mem::take(&mut old.tables));
        let (tables, is_there) = Tables::bring(gpu, known.unwrap_or_default(), &tables);
        if !(is_same && is_there) {
            gpu.new_epoch();
        }
        let rows_of = |group: usize| Rows {
            rows: tables.memory(1 + 2 * group),
            tables: tables.memory(2 + 2 * group),
            count: count as u32,
            most_keys,
            alone: spans.len() == count,
        };
        self.on_gpu = Some(GpuStep {
            groups: (0..groups).map(rows_of).collect(),
            angles: (0..self.angles.len()).map(|kind| tables.memory(1 + 2 * groups + kind)).collect(),
            spans: tables.memory(0),
            sequences: spans.len(),
            adapted: adapted.unwrap_or_else(|| old.map_or_else(Vec::new, |old| old.adapted)),
            tables,
        });
    }
}

/// Tables one behind the other in one memory, which stays where it is while it has room for them.
#[derive(Debug, Default)]
struct Tables {
    memory: Option<Memory>,
    /// Where each begins, and where the last one's room ends.
    starts: Vec<usize>,
    /// What lies there.
    bytes: Vec<u8>,
}

impl Tables {
    /// What differs from the `old` ones is brought together. Whether it went where these are.
    fn bring(gpu: &Gpu, old: Tables, tables: &[Vec<u8>]) -> (Tables, bool) {
        let has_room = |old: &Tables| {
            let room = old.starts.windows(2).map(|pair| pair[1] - pair[0]);
            old.starts.len() == tables.len() + 1 && tables.iter().zip(room).all(|(table, room)| table.len() <= room)
        };
        let is_there = has_room(&old);
        let mut all = if is_there { old } else { Tables::with_room(gpu, tables) };
        let mut changed = (!is_there).then_some(0..all.bytes.len());
        for (table, &start) in tables.iter().zip(&all.starts) {
            let own = &mut all.bytes[start..start + table.len()];
            if own != &table[..] {
                own.copy_from_slice(table);
                let before = changed.unwrap_or(start..start);
                changed = Some(before.start.min(start)..before.end.max(start + table.len()));
            }
        }
        if let (Some(memory), Some(changed)) = (&all.memory, changed) {
            gpu.write(memory, changed.start, &all.bytes[changed]);
        }
        (all, is_there)
    }

    fn with_room(gpu: &Gpu, tables: &[Vec<u8>]) -> Tables {
        let mut starts = vec![0];
        for table in tables {
            let room = table.len().next_power_of_two().max(ALIGNMENT as usize);
            starts.push(starts[starts.len() - 1] + room);
        }
        let end = starts[starts.len() - 1];
        Tables { memory: Some(gpu.allocate(end)), starts, bytes: vec![0; end] }
    }

    /// Of a table, with all of its room.
    fn memory(&self, index: usize) -> Memory {
        let (start, end) = (self.starts[index], self.starts[index + 1]);
        self.memory.as_ref().expect("brought before").slice(start as u64, (end - start) as u64)
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
