//! Keys, values and recurrent states of all layers, in pages; and the sequences that own them.
//!
//! Layers of one KV group ([`KvGroup`]) share page numbers: a sequence has one block table per group. Windowed groups
//! give pages back once no future row can see them. Nothing is copied when a sequence grows. Pages are counted: a page
//! with several owners is copied before it is written. Read next: `model.rs`.

use std::sync::Arc;

use olivine_array::fast::adapter::Adapter;
use olivine_array::fast::gated_delta::StateHandle;
use olivine_array::fast::step::{KvHandle, Span};
use olivine_kernels::attention::{KvDtype, KvLayout};
use olivine_kernels::recurrent::ConvolutionShape;

use crate::spec::{KvGroup, Mixer, ModelSpec};

/// Tokens in a page: small enough to waste little, large enough to amortize a table entry.
pub const PAGE_TOKENS: usize = 64;

/// The share of the GPU's memory that pages have from the beginning, at most for so many tokens.
const FIRST_SHARE: usize = 64;
const FIRST_TOKENS: usize = 16_384;

/// In a block table: no page, because no row reads it any more.
pub const GONE: u32 = u32::MAX;

/// How many of its last tokens a sequence with windows can forget.
pub const REWIND_TOKENS: usize = 32;

/// All layers' stores and the free pages.
pub struct Cache {
    groups: Vec<Group>,
    layers: Vec<LayerStore>,
    free_states: Vec<usize>,
    states: usize,
}

struct Group {
    kind: KvGroup,
    free: Vec<u32>,
    /// Owners of each page.
    owners: Vec<u32>,
}

impl Group {
    fn take(&mut self) -> u32 {
        let page = self.free.pop().unwrap_or_else(|| {
            self.owners.push(0);
            (self.owners.len() - 1) as u32
        });
        self.owners[page as usize] = 1;
        page
    }

    fn give_back(&mut self, page: u32) {
        let owners = &mut self.owners[page as usize];
        assert!(*owners > 0, "[cache] page {page} of {:?} was given back twice", self.kind);
        *owners -= 1;
        if *owners == 0 {
            self.free.push(page);
        }
    }
}

enum LayerStore {
    Kv { group: usize, handle: KvHandle },
    State(StateHandle),
}

/// What one sequence holds. Give it back with [`Cache::release`].
#[derive(Debug, Default)]
pub struct Sequence {
    tokens: usize,
    pages: Vec<Vec<u32>>,
    state_slot: Option<usize>,
    adapter: Option<Arc<Adapter>>,
}

impl Sequence {
    /// Compute it under an adapter from now on; its tokens so far were computed under the same one.
    pub fn set_adapter(&mut self, adapter: Option<Arc<Adapter>>) {
        self.adapter = adapter;
    }

    /// Tokens in the cache.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Pages of a group in the order of their tokens; [`GONE`] where windows have passed.
    pub fn pages(&self, group: usize) -> &[u32] {
        &self.pages[group]
    }
}

impl Cache {
    /// Empty stores for every layer of `spec`; those of the first `gpu_layers` lie on the GPU, if there is one.
    pub fn new(spec: &ModelSpec, dtype: KvDtype, gpu_layers: usize) -> Cache {
        let kinds = spec.kv_groups();
        let gpu = |index: usize| olivine_array::gpu().filter(|_| index < gpu_layers);
        let stores = spec.layers.iter().enumerate();
        let layers = stores.map(|(index, layer)| match (&layer.mixer, layer.mixer.kv_shape()) {
            (Mixer::GatedDelta(delta), _) => {
                let convolution = ConvolutionShape { channels: delta.conv_channels(), kernel: delta.conv_taps };
                LayerStore::State(StateHandle::new(&delta.shape(), &convolution, gpu(index)))
            }
            (_, Some(shape)) => {
                let layout = KvLayout {
                    kv_heads: shape.heads,
                    key_dim: shape.key_dim,
                    value_dim: shape.value_dim,
                    page_tokens: PAGE_TOKENS,
                    dtype,
                };
                let group = kinds.iter().position(|&kind| kind == shape.group).expect("every group is listed");
                LayerStore::Kv { group, handle: KvHandle::new(layout, gpu(index)) }
            }
            (_, None) => unreachable!("a block has keys and values or a state"),
        });
        let layers = layers.collect();
        let groups = kinds.into_iter().map(|kind| Group { kind, free: Vec::new(), owners: Vec::new() }).collect();
        Cache { groups, layers, free_states: Vec::new(), states: 0 }
    }

    /// Have room for the first pages in a GPU's own memory, a share of what is left of it, before anybody has one: where a cache
    /// grows all of its pages move, and steps that were recorded are recorded anew.
    pub fn reserve(&self) {
        let bytes: usize = (0..self.groups.len()).map(|group| self.page_bytes(group)).sum();
        let Some(room) = olivine_array::gpu::room_bytes().filter(|_| bytes > 0) else { return };
        let pages = (room / FIRST_SHARE / bytes).min(FIRST_TOKENS / PAGE_TOKENS);
        (0..self.groups.len()).flat_map(|group| self.kv_layers(group)).for_each(|handle| handle.reserve(pages));
    }

    /// Index of a group in every block table list.
    pub fn group_index(&self, kind: KvGroup) -> usize {
        self.groups.iter().position(|group| group.kind == kind).expect("[cache] a group that the model does not have")
    }

    /// Keys and values of a layer. Panics on a layer that has none.
    pub fn kv(&self, layer: usize) -> KvHandle {
        match &self.layers[layer] {
            LayerStore::Kv { handle, .. } => handle.clone(),
            LayerStore::State(_) => panic!("[cache] layer {layer} has a state, no keys and values"),
        }
    }

    /// Recurrent state of a layer. Panics on a layer that has none.
    pub fn state(&self, layer: usize) -> StateHandle {
        match &self.layers[layer] {
            LayerStore::State(handle) => handle.clone(),
            LayerStore::Kv { .. } => panic!("[cache] layer {layer} has keys and values, no state"),
        }
    }

    /// A sequence without tokens.
    pub fn sequence(&mut self) -> Sequence {
        let mut slot = None;
        if self.layers.iter().any(|layer| matches!(layer, LayerStore::State(_))) {
            let free = self.free_states.pop().unwrap_or_else(|| {
                self.states += 1;
                self.states - 1
            });
            for layer in &self.layers {
                if let LayerStore::State(handle) = layer {
                    handle.clear(free);
                }
            }
            slot = Some(free);
        }
        Sequence { pages: vec![Vec::new(); self.groups.len()], state_slot: slot, ..Sequence::default() }
    }

    /// A sequence that continues cached tokens: it becomes one more owner of `pages` (a list for each group, [`GONE`]
    /// outside the windows) and starts from `state`, which [`Cache::save_state`] made at the same token.
    pub fn sequence_from(&mut self, tokens: usize, pages: Vec<Vec<u32>>, state: Option<&[f32]>) -> Sequence {
        let mut sequence = self.sequence();
        for (index, table) in pages.iter().enumerate() {
            assert_eq!(table.len(), tokens.div_ceil(PAGE_TOKENS), "[cache] pages for {tokens} tokens");
            table.iter().filter(|&&page| page != GONE).for_each(|&page| self.retain(index, page));
        }
        if let Some(state) = state {
            self.restore_state(&sequence, state);
        }
        sequence.tokens = tokens;
        sequence.pages = pages;
        sequence
    }

    /// Make room for `rows` more tokens and describe them as the rows from `first_row` on.
    pub fn extend(&mut self, sequence: &mut Sequence, first_row: usize, rows: usize) -> Span {
        self.drop_passed_pages(sequence);
        let first_position = sequence.tokens;
        let end = first_position + rows;
        for (index, group) in self.groups.iter_mut().enumerate() {
            let table = &mut sequence.pages[index];
            let mut copies = Vec::new();
            for page in table.iter_mut().skip(first_position / PAGE_TOKENS) {
                if group.owners[*page as usize] > 1 {
                    let own = group.take();
                    group.give_back(*page);
                    copies.push((std::mem::replace(page, own), own));
                }
            }
            while table.len() * PAGE_TOKENS < end {
                table.push(group.take());
            }
            for layer in &self.layers {
                if let LayerStore::Kv { group: of, handle } = layer
                    && *of == index
                {
                    handle.grow(group.owners.len());
                    copies.iter().for_each(|&(from, to)| handle.copy_page(from, to));
                }
            }
        }
        sequence.tokens = end;
        let pages = sequence.pages.clone();
        let (state_slot, adapter) = (sequence.state_slot.unwrap_or(0), sequence.adapter.clone());
        Span { first_row, rows, first_position, pages, state_slot, adapter }
    }

    /// Give back pages that no row from `sequence.tokens` on can see. Another sequence of the same step may write them,
    /// so this comes before the sequence gets more rows, never after.
    fn drop_passed_pages(&mut self, sequence: &mut Sequence) {
        for (group, table) in self.groups.iter_mut().zip(&mut sequence.pages) {
            let KvGroup::Window(window) = group.kind else { continue };
            let first_seen = (sequence.tokens + 1).saturating_sub(window + REWIND_TOKENS) / PAGE_TOKENS;
            for page in table.iter_mut().take(first_seen).filter(|page| **page != GONE) {
                group.give_back(std::mem::replace(page, GONE));
            }
        }
    }

    /// Forget all but the first `tokens` tokens. Models with windows can forget the last [`REWIND_TOKENS`], those with
    /// states none: what they dropped cannot be brought back. Returns whether it was possible.
    pub fn truncate(&mut self, sequence: &mut Sequence, tokens: usize) -> bool {
        let windowed = self.groups.iter().any(|group| group.kind != KvGroup::Full);
        let reach = match (sequence.state_slot, windowed) {
            (Some(_), _) => 0,
            (None, true) => REWIND_TOKENS,
            (None, false) => sequence.tokens,
        };
        if tokens > sequence.tokens || tokens + reach < sequence.tokens {
            return false;
        }
        for (group, table) in self.groups.iter_mut().zip(&mut sequence.pages) {
            table.drain(tokens.div_ceil(PAGE_TOKENS)..).for_each(|page| group.give_back(page));
        }
        sequence.tokens = tokens;
        true
    }

    /// Give back everything a sequence holds.
    pub fn release(&mut self, sequence: Sequence) {
        for (group, table) in self.groups.iter_mut().zip(sequence.pages) {
            table.into_iter().filter(|&page| page != GONE).for_each(|page| group.give_back(page));
        }
        self.free_states.extend(sequence.state_slot);
    }

    /// The KV groups; all lists of pages are in this order.
    pub fn groups(&self) -> impl Iterator<Item = KvGroup> {
        self.groups.iter().map(|group| group.kind)
    }

    /// One more owner for a page that has one.
    pub fn retain(&mut self, group: usize, page: u32) {
        let owners = &mut self.groups[group].owners[page as usize];
        assert!(*owners > 0, "[cache] page {page} has no owner");
        *owners += 1;
    }

    /// One owner less.
    pub fn give_back(&mut self, group: usize, page: u32) {
        self.groups[group].give_back(page);
    }

    /// A page with one owner, the caller; its content is what it was.
    pub fn take_page(&mut self, group: usize) -> u32 {
        let page = self.groups[group].take();
        let pages = self.groups[group].owners.len();
        for handle in self.kv_layers(group) {
            handle.grow(pages);
        }
        page
    }

    /// Make a free page ahead of its use and write it once: the first touch of memory costs more than what is written there.
    pub fn make_page(&mut self, group: usize) {
        let pages = &mut self.groups[group];
        let page = pages.owners.len() as u32;
        pages.owners.push(0);
        pages.free.push(page);
        for handle in self.kv_layers(group) {
            handle.grow(page as usize + 1);
            handle.write_page(page, &vec![0; handle.page_bytes()]);
        }
    }

    /// Pages of a group that are made and nobody owns.
    pub fn pages_free(&self, group: usize) -> usize {
        self.groups[group].free.len()
    }

    /// How many own a page.
    pub fn owners(&self, group: usize, page: u32) -> usize {
        self.groups[group].owners[page as usize] as usize
    }

    /// Pages of a group that somebody owns.
    pub fn pages_in_use(&self, group: usize) -> usize {
        self.groups[group].owners.len() - self.groups[group].free.len()
    }

    /// Pages of a group that `rows` more tokens take, those that are copied because they are shared among them.
    pub fn pages_needed(&self, sequence: &Sequence, group: usize, rows: usize) -> usize {
        let (table, group) = (&sequence.pages[group], &self.groups[group]);
        let shared = table.iter().skip(sequence.tokens / PAGE_TOKENS);
        let copies = shared.filter(|&&page| group.owners[page as usize] > 1).count();
        copies + (sequence.tokens + rows).div_ceil(PAGE_TOKENS).saturating_sub(table.len())
    }

    /// Bytes of a page in all layers of its group.
    pub fn page_bytes(&self, group: usize) -> usize {
        self.kv_layers(group).map(KvHandle::page_bytes).sum()
    }

    /// Append a page's bytes, layer by layer.
    pub fn read_page(&self, group: usize, page: u32, out: &mut Vec<u8>) {
        for handle in self.kv_layers(group) {
            handle.read_page(page, out);
        }
    }

    /// Fill a page with what [`Cache::read_page`] gave.
    pub fn write_page(&self, group: usize, page: u32, mut bytes: &[u8]) {
        assert_eq!(bytes.len(), self.page_bytes(group), "[cache] bytes of a page");
        for handle in self.kv_layers(group) {
            let (own, rest) = bytes.split_at(handle.page_bytes());
            handle.write_page(page, own);
            bytes = rest;
        }
    }

    /// Numbers in a sequence's recurrent state, all layers together; 0 for models without.
    pub fn state_len(&self) -> usize {
        self.state_layers().map(|handle| handle.slot_len()).sum()
    }

    /// A sequence's recurrent state.
    pub fn save_state(&self, sequence: &Sequence) -> Vec<f32> {
        let mut state = Vec::with_capacity(self.state_len());
        if let Some(slot) = sequence.state_slot {
            self.state_layers().for_each(|handle| handle.read(slot, &mut state));
        }
        state
    }

    /// Put a sequence's recurrent state back to what [`Cache::save_state`] gave.
    pub fn restore_state(&self, sequence: &Sequence, mut state: &[f32]) {
        assert_eq!(state.len(), self.state_len(), "[cache] numbers of a state");
        let Some(slot) = sequence.state_slot else { return };
        for handle in self.state_layers() {
            let (own, rest) = state.split_at(handle.slot_len());
            handle.write(slot, own);
            state = rest;
        }
    }

    fn kv_layers(&self, group: usize) -> impl Iterator<Item = &KvHandle> {
        self.layers.iter().filter_map(move |layer| match layer {
            LayerStore::Kv { group: of, handle } if *of == group => Some(handle),
            _ => None,
        })
    }

    fn state_layers(&self) -> impl Iterator<Item = &StateHandle> {
        self.layers.iter().filter_map(|layer| match layer {
            LayerStore::State(handle) => Some(handle),
            LayerStore::Kv { .. } => None,
        })
    }

    /// Bytes of all stores.
    pub fn bytes(&self) -> usize {
        let bytes = |layer: &LayerStore| match layer {
            LayerStore::Kv { handle, .. } => handle.bytes(),
            LayerStore::State(handle) => handle.bytes(),
        };
        self.layers.iter().map(bytes).sum()
    }
}
