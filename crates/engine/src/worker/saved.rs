//! Between the prefix index and the disk: what was computed is written behind the requests' back, what is on disk is
//! loaded in pieces, between steps, before a request is placed.
//!
//! Invariant: a block is written after the block it stands on; whatever the disk does, requests only get slower.
//! Read next: `../disk/mod.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use olivine_lm::cache::{GONE, PAGE_TOKENS};
use olivine_lm::spec::KvGroup;

use super::Worker;
use crate::disk::{Content, Fate, Found, Store};
use crate::live::Live;
use crate::prefix::{Kind, NodeId, Place, Record};

/// Bytes that are loaded between two steps.
const LOAD_BYTES: u64 = 48 << 20;
/// The same where nobody waits for a step.
const LOAD_BYTES_ALONE: u64 = 256 << 20;

impl Worker {
    /// Open the store, if there is to be one, and learn what is in it.
    pub(super) fn open_store(&mut self) {
        let Some(options) = self.options.disk.clone().filter(|options| options.max_bytes > 0) else { return };
        let loaded = self.model.options();
        let groups: Vec<_> = self.groups.iter().zip(&self.page_bytes).collect();
        // All that the cached bits depend on beside the tokens.
        let identity = format!(
            "{}\nspec {}\nolivine {}, {:?}, {:?}, {:?}, pages of {PAGE_TOKENS}: {groups:?}, states of {}\n",
            self.options.identity,
            // A longer context may stretch positions.
            olivine_lm::digest::of_text(&format!("{:?}", self.model.spec())),
            env!("CARGO_PKG_VERSION"),
            olivine_lm::tier(),
            loaded.precision,
            loaded.kv_dtype,
            self.state_len,
        );
        match Store::open(options, &identity) {
            Ok((store, found)) => {
                self.learn(found);
                self.store = Some(store);
            }
            Err(error) => self.count(|status| status.disk_error = Some(error.to_string())),
        }
    }

    fn learn(&mut self, found: Vec<Found>) {
        for Found { id, parent, tokens, content } in found {
            match content {
                Content::Root(text) => {
                    let root = self.index.root(&text);
                    self.index.set_disk_id(root, id);
                }
                Content::Part(kind, place) => self.index.insert_from_disk(id, parent, &tokens, kind, place),
            }
        }
    }

    /// Records that could not be written after all.
    pub(super) fn forget_lost_records(&mut self) {
        let Some(store) = &mut self.store else { return };
        for (id, kind, place) in store.failed() {
            self.index.move_place(id, kind, place, None);
        }
    }

    /// Write what is not on disk of a request's blocks; `windows`: of windowed layers too, so that a prompt can be
    /// resumed here.
    pub(super) fn save(&mut self, index: usize, windows: bool) {
        if self.store.is_none() || self.running[index].request.no_cache {
            return;
        }
        let identity = self.running[index].identity.clone();
        self.save_node(&identity, self.running[index].node, windows);
    }

    /// Write what is not on disk of the chain that ends at `node`.
    pub(super) fn save_node(&mut self, identity: &str, node: NodeId, windows: bool) {
        if self.store.is_none() {
            return;
        }
        let reach = self.groups.iter().map(|group| match group {
            KvGroup::Full => 1,
            KvGroup::Window(window) => window.div_ceil(PAGE_TOKENS) + 1,
        });
        let reach = reach.max().unwrap_or(1);
        let (mut path, mut at) = (Vec::new(), node);
        while let Some(parent) = self.index.parent(at) {
            if path.len() >= reach && self.index.place(at, Kind::Full).is_some() {
                break;
            }
            path.push(at);
            at = parent;
        }
        if self.index.parent(at).is_none() && self.index.disk_id(at).is_none() {
            if !self.make_disk_room(1024 + identity.len() as u64) {
                return;
            }
            let Some(id) = self.store.as_mut().and_then(|store| store.write_root(identity)) else { return };
            self.index.set_disk_id(at, id);
        }
        let last = path.len().saturating_sub(reach);
        for (position, node) in path.into_iter().rev().enumerate() {
            let mut kinds = vec![Kind::Full, Kind::State];
            if windows && position >= last {
                kinds.push(Kind::Window);
            }
            for kind in kinds {
                if self.index.place(node, kind).is_none() && !self.save_part(node, kind) {
                    return;
                }
            }
        }
    }

    /// Write one part of a block, if there is one. False when the disk does not take it now.
    fn save_part(&mut self, node: NodeId, kind: Kind) -> bool {
        let Some(payload) = self.payload(node, kind) else { return true };
        let parent = self.index.parent(node).expect("roots have no parts");
        let Some(parent) = self.index.disk_id(parent) else { return false };
        let tokens = self.index.tokens(node).to_vec();
        let bytes = payload.len() as u64 + 1024;
        if !self.make_disk_room(bytes) {
            return false;
        }
        let Some(store) = &mut self.store else { return false };
        // Its number may have gone with the last of its records.
        let id = self.index.disk_id(node).unwrap_or_else(|| store.new_id());
        let Some(place) = store.write_part(kind, id, parent, &tokens, payload) else { return false };
        self.index.set_disk_id(node, id);
        self.index.set_place(node, kind, place);
        true
    }

    /// Let old segments go until `bytes` more can be written. False when nothing can be written now.
    fn make_disk_room(&mut self, bytes: u64) -> bool {
        let Some(store) = self.store.as_mut().filter(|store| store.is_ready()) else { return false };
        while store.is_full(bytes) {
            let fates = store.evict(|id, kind| self.index.disk_rank(id, kind));
            if fates.is_empty() {
                return false;
            }
            for (id, kind, place, fate) in fates {
                let new = match fate {
                    Fate::Moved(place) => Some(place),
                    Fate::Dropped => None,
                };
                self.index.move_place(id, kind, place, new);
            }
        }
        true
    }

    /// The bytes of a part of a block; none when it is not in memory. Blocks of models without full layers have an
    /// empty part of that kind, so that the chain is on disk.
    fn payload(&mut self, node: NodeId, kind: Kind) -> Option<Vec<u8>> {
        let record = self.index.kept(node);
        if kind == Kind::State {
            return record.state.as_ref().map(|state| state.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        let pages: Vec<_> = record.pages.iter().copied().enumerate().collect();
        let mine = |&(group, _): &(usize, u32)| Kind::of(self.groups[group]) == kind;
        let pages: Vec<_> = pages.into_iter().filter(mine).collect();
        if pages.iter().any(|&(_, page)| page == GONE) || (pages.is_empty() && kind == Kind::Window) {
            return None;
        }
        let mut bytes = Vec::new();
        pages.iter().for_each(|&(group, page)| self.model.cache().read_page(group, page, &mut bytes));
        Some(bytes)
    }

    /// Load the first of the missing parts into memory. False when that is not possible: there is no room, or it was
    /// tried often enough.
    pub(super) fn load(&mut self, live: &mut Live, missing: &[(NodeId, Kind)]) -> bool {
        let mut wanted = Vec::new();
        let mut bytes = 0;
        let most_bytes = if self.running.is_empty() { LOAD_BYTES_ALONE } else { LOAD_BYTES };
        for &(node, kind) in missing {
            let (Some(place), Some(id)) = (self.index.place(node, kind), self.index.disk_id(node)) else {
                return false;
            };
            if bytes > 0 && bytes + place.bytes > most_bytes {
                break;
            }
            bytes += place.bytes;
            wanted.push((node, (id, kind, place)));
        }
        live.load_rounds += 1;
        let all: u64 = missing.iter().filter_map(|&(node, kind)| self.index.place(node, kind)).map(|p| p.bytes).sum();
        let most = live.load_limit.get_or_insert(2 * (all / LOAD_BYTES) as usize + missing.len() + 2);
        if live.load_rounds > *most || !self.make_room(bytes as usize) {
            return false;
        }
        let records = self.read(&wanted);
        for ((node, (id, kind, place)), record) in wanted.into_iter().zip(records) {
            let kept = record.is_some_and(|record| self.keep(node, record));
            if !kept {
                self.index.move_place(id, kind, place, None);
            } else if kind == Kind::Full {
                live.usage.disk_tokens += self.index.tokens(node).len();
            }
        }
        true
    }

    /// Read parts of blocks into pages of their own. None for what is damaged or does not have the right length.
    fn read(&mut self, wanted: &[(NodeId, (u64, Kind, Place))]) -> Vec<Option<Record>> {
        let Some(store) = &self.store else { return wanted.iter().map(|_| None).collect() };
        let cache = self.model.cache();
        let mut records = Vec::new();
        for (_, (_, kind, _)) in wanted {
            let mut record = Record { pages: vec![GONE; self.groups.len()], state: None };
            for group in groups_of(&self.groups, *kind) {
                record.pages[group] = cache.take_page(group);
            }
            records.push(record);
        }
        let keys: Vec<_> = wanted.iter().map(|(_, key)| *key).collect();
        let (cache, groups, page_bytes, state_len) = (&*cache, &self.groups, &self.page_bytes, self.state_len);
        let states: Mutex<HashMap<usize, Arc<[f32]>>> = Mutex::default();
        let take = |index: usize, payload: &[u8]| {
            let kind = keys[index].1;
            if kind == Kind::State {
                let values = payload.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
                let state = Arc::from(values.collect::<Vec<f32>>());
                states.lock().unwrap_or_else(PoisonError::into_inner).insert(index, state);
                return payload.len() == 4 * state_len;
            }
            if payload.len() != groups_of(groups, kind).map(|group| page_bytes[group]).sum::<usize>() {
                return false;
            }
            let mut rest = payload;
            for group in groups_of(groups, kind) {
                let (own, behind) = rest.split_at(page_bytes[group]);
                cache.write_page(group, records[index].pages[group], own);
                rest = behind;
            }
            true
        };
        let good = store.read(&keys, take);
        let mut states = states.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut read = Vec::new();
        for (index, (record, good)) in records.into_iter().zip(good).enumerate() {
            if good {
                read.push(Some(Record { state: states.remove(&index), ..record }));
                continue;
            }
            self.drop_pages(&record.pages);
            read.push(None);
        }
        read
    }

    /// Put what was read into the index. False when the block is gone.
    fn keep(&mut self, node: NodeId, record: Record) -> bool {
        let pages = record.pages.clone();
        let Some(parent) = self.index.parent(node) else {
            self.drop_pages(&pages);
            return false;
        };
        let tokens = self.index.tokens(node).to_vec();
        let (_, added) = self.index.record(parent, &tokens, record);
        let added: HashMap<usize, u32> = added.into_iter().collect();
        // What was in memory already is not kept twice.
        let twice = |(group, page): (usize, &u32)| if added.get(&group) == Some(page) { GONE } else { *page };
        self.drop_pages(&pages.iter().enumerate().map(twice).collect::<Vec<_>>());
        true
    }

    /// Give back pages, one of each group at most.
    fn drop_pages(&mut self, pages: &[u32]) {
        let cache = self.model.cache();
        let there = pages.iter().enumerate().filter(|(_, page)| **page != GONE);
        there.for_each(|(group, &page)| cache.give_back(group, page));
    }
}

/// The groups whose pages make a part of a block.
fn groups_of(groups: &[KvGroup], kind: Kind) -> impl Iterator<Item = usize> {
    groups
        .iter()
        .enumerate()
        .filter(move |(_, group)| kind != Kind::State && Kind::of(**group) == kind)
        .map(|(at, _)| at)
}
