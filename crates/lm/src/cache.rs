//! Keys, values and recurrent states of all layers, in pages; and the sequences that own them.
//!
//! Layers of one KV group ([`KvGroup`]) share page numbers: a sequence has one block table per group. Windowed groups
//! give pages back once no future row can see them. Nothing is copied when a sequence grows. Read next: `model.rs`.

use olivine_array::fast::gated_delta::StateHandle;
use olivine_array::fast::step::{KvHandle, Span};
use olivine_kernels::attention::{KvCacheLayer, KvDtype, KvLayout};
use olivine_kernels::recurrent::ConvolutionShape;

use crate::spec::{KvGroup, Mixer, ModelSpec};

/// Tokens in a page: small enough to waste little, large enough to amortize a table entry.
pub const PAGE_TOKENS: usize = 64;

/// A page that was given back: no row reads it any more.
const GONE: u32 = u32::MAX;

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
    pages: usize,
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
}

impl Sequence {
    /// Tokens in the cache.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

impl Cache {
    /// Empty stores for every layer of `spec`.
    pub fn new(spec: &ModelSpec, dtype: KvDtype) -> Cache {
        let kinds = spec.kv_groups();
        let layers = spec.layers.iter().map(|layer| match (&layer.mixer, layer.mixer.kv_shape()) {
            (Mixer::GatedDelta(delta), _) => {
                let convolution = ConvolutionShape { channels: delta.conv_channels(), kernel: delta.conv_taps };
                LayerStore::State(StateHandle::new(&delta.shape(), &convolution))
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
                LayerStore::Kv { group, handle: KvHandle::new(KvCacheLayer::new(layout)) }
            }
            (_, None) => unreachable!("a block has keys and values or a state"),
        });
        let layers = layers.collect();
        let groups = kinds.into_iter().map(|kind| Group { kind, free: Vec::new(), pages: 0 }).collect();
        Cache { groups, layers, free_states: Vec::new(), states: 0 }
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
        Sequence { tokens: 0, pages: vec![Vec::new(); self.groups.len()], state_slot: slot }
    }

    /// Make room for `rows` more tokens and describe them as the rows from `first_row` on.
    pub fn extend(&mut self, sequence: &mut Sequence, first_row: usize, rows: usize) -> Span {
        let first_position = sequence.tokens;
        let end = first_position + rows;
        for (index, group) in self.groups.iter_mut().enumerate() {
            let table = &mut sequence.pages[index];
            while table.len() * PAGE_TOKENS < end {
                let page = group.free.pop().unwrap_or_else(|| {
                    group.pages += 1;
                    (group.pages - 1) as u32
                });
                table.push(page);
            }
            for layer in &self.layers {
                if let LayerStore::Kv { group: of, handle } = layer
                    && *of == index
                {
                    handle.with(|layer| {
                        if layer.pages() < group.pages {
                            layer.grow(group.pages);
                        }
                    });
                }
            }
        }
        sequence.tokens = end;
        let pages = sequence.pages.clone();
        self.drop_passed_pages(sequence);
        Span { first_row, rows, first_position, pages, state_slot: sequence.state_slot.unwrap_or(0) }
    }

    /// Pages that no row from `sequence.tokens` on can see. They are given back now but not written before the next
    /// step, which is after the rows of this one have read them.
    fn drop_passed_pages(&mut self, sequence: &mut Sequence) {
        for (group, table) in self.groups.iter_mut().zip(&mut sequence.pages) {
            let KvGroup::Window(window) = group.kind else { continue };
            let first_seen = (sequence.tokens + 1).saturating_sub(window) / PAGE_TOKENS;
            for page in table.iter_mut().take(first_seen).filter(|page| **page != GONE) {
                group.free.push(std::mem::replace(page, GONE));
            }
        }
    }

    /// Forget all but the first `tokens` tokens. Only for models without windows and states: what those forgot
    /// cannot be brought back. Returns whether it was possible.
    pub fn truncate(&mut self, sequence: &mut Sequence, tokens: usize) -> bool {
        let whole = sequence.state_slot.is_none() && self.groups.iter().all(|group| group.kind == KvGroup::Full);
        if !whole || tokens > sequence.tokens {
            return tokens == sequence.tokens;
        }
        for (group, table) in self.groups.iter_mut().zip(&mut sequence.pages) {
            group.free.extend(table.drain(tokens.div_ceil(PAGE_TOKENS)..));
        }
        sequence.tokens = tokens;
        true
    }

    /// Give back everything a sequence holds.
    pub fn release(&mut self, sequence: Sequence) {
        for (group, table) in self.groups.iter_mut().zip(sequence.pages) {
            group.free.extend(table.into_iter().filter(|&page| page != GONE));
        }
        self.free_states.extend(sequence.state_slot);
    }

    /// Bytes of all stores.
    pub fn bytes(&self) -> usize {
        let bytes = |layer: &LayerStore| match layer {
            LayerStore::Kv { handle, .. } => handle.with(|layer| layer.bytes()),
            LayerStore::State(handle) => handle.bytes(),
        };
        self.layers.iter().map(bytes).sum()
    }
}
