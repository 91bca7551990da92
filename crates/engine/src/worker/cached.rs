//! What running requests and cached prefixes hold: admission, memory in bytes, records of what was computed.
//!
//! Invariant: bytes in use stay within the budget; cached prefixes give way to requests, the youngest request to older
//! ones. Read next: `saved.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use olivine_lm::cache::{GONE, PAGE_TOKENS};
use olivine_lm::spec::KvGroup;

use super::{CHECKPOINT_TOKENS, Worker};
use crate::live::Live;
use crate::memory::pages_for;
use crate::prefix::{Evicted, Kind, NodeId, Record};
use crate::shared::{BlockPlace, Command, Probe};
use crate::speculation::Drafter;
use crate::types::Event;

/// Prompts that probes are compared with, each of another adapter or salt.
const LAST_PROMPTS: usize = 64;

/// Pages of each group, and bytes in all, that are made before they are needed.
const PAGES_AHEAD: usize = 16;
const BYTES_AHEAD: usize = 64 << 20;

impl Worker {
    pub(super) fn admit(&mut self) {
        while self.running.len() < self.options.max_running && !self.waiting.is_empty() {
            let mut live = self.waiting.remove(0);
            let began = Instant::now();
            if !self.place(&mut live) {
                self.waiting.insert(0, live);
                return;
            }
            if live.started.is_none() {
                self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
                live.started = Some(began);
                live.usage.cached_tokens = live.computed();
                self.count(|status| {
                    status.prompt_tokens += live.usage.prompt_tokens as u64;
                    status.cached_tokens += live.usage.cached_tokens as u64;
                });
                live.sender.send(Event::Started { cached_tokens: live.usage.cached_tokens });
                if self.last_prompts.len() >= LAST_PROMPTS && !self.last_prompts.contains_key(&live.identity) {
                    self.last_prompts.clear();
                }
                self.last_prompts.insert(live.identity.clone(), live.request.tokens.clone());
            }
            self.running.push(live);
        }
    }

    /// Give a request a sequence that holds what is cached of its tokens, if there is memory for the rest. False when
    /// it has to wait: for memory, or for the next piece of what is on disk.
    fn place(&mut self, live: &mut Live) -> bool {
        let root = self.index.root(&live.identity);
        // Making room for it must not take the root away.
        self.index.pin(root);
        let placed = self.place_behind(root, live);
        self.index.unpin(root);
        placed
    }

    fn place_behind(&mut self, root: NodeId, live: &mut Live) -> bool {
        let mut sequence = if live.request.no_cache {
            live.node = root;
            self.model.cache().sequence()
        } else {
            let mut resume = self.index.resume(root, &live.tokens, self.store.is_some() && !live.loaded);
            if !resume.missing.is_empty() {
                if self.load(live, &resume.missing) {
                    return false;
                }
                live.loaded = true;
                resume = self.index.resume(root, &live.tokens, false);
            }
            live.node = resume.node;
            self.model.cache().sequence_from(resume.tokens, resume.pages, resume.state.as_deref())
        };
        sequence.set_adapter(live.adapter.as_ref().map(|loaded| loaded.adapter.clone()));
        live.recorded = sequence.tokens() / PAGE_TOKENS * PAGE_TOKENS;
        live.checkpoint = sequence.tokens();
        let mut needed = self.outstanding(&sequence, live.tokens.len() + 1) + 4 * self.state_len;
        for other in &self.running {
            let sequence = other.sequence.as_ref().expect("a running request has a sequence");
            needed += self.outstanding(sequence, other.tokens.len() + 1);
        }
        // The sequence's pages are in use by now, so eviction leaves them alone.
        if self.running.is_empty() || self.make_room(needed) {
            self.index.pin(live.node);
            live.sequence = Some(sequence);
            return true;
        }
        self.model.cache().release(sequence);
        false
    }

    /// While nobody asks for anything, pack weights and make pages that the next requests will write. Ends with a command
    /// that came.
    pub(super) fn make_pages_ahead(&mut self) -> Option<Command> {
        // Devices have their memory at once.
        while olivine_lm::device().is_none() {
            if let Ok(command) = self.commands.try_recv() {
                return Some(command);
            }
            if self.model.pack_one() {
                continue;
            }
            let page_bytes = &self.page_bytes;
            let cache = self.model.cache();
            let made = |(group, bytes)| bytes * (cache.pages_free(group) + cache.pages_in_use(group));
            let all_bytes: usize = page_bytes.iter().enumerate().map(made).sum();
            let free = |group: usize| cache.pages_free(group);
            let Some(group) = (0..page_bytes.len()).min_by_key(|&group| free(group)) else { break };
            let free_bytes: usize = page_bytes.iter().enumerate().map(|(group, bytes)| bytes * free(group)).sum();
            let next = page_bytes[group];
            if free(group) >= PAGES_AHEAD || free_bytes + next > BYTES_AHEAD || all_bytes + next > self.kv_bytes / 2 {
                break;
            }
            cache.make_page(group);
        }
        None
    }

    /// Prompts whose next block another request has computed meanwhile go on behind it.
    pub(super) fn join_prefixes(&mut self) {
        for index in 0..self.running.len() {
            let live = &self.running[index];
            let known = next_block(live).is_some_and(|block| self.index.child(live.node, block).is_some());
            if self.state_len > 0 || !known {
                continue;
            }
            let root = self.index.root(&live.identity);
            let resume = self.index.resume(root, &live.tokens, false);
            let live = &mut self.running[index];
            if resume.tokens <= live.computed() {
                continue;
            }
            let mut sequence = self.model.cache().sequence_from(resume.tokens, resume.pages, None);
            sequence.set_adapter(live.adapter.as_ref().map(|loaded| loaded.adapter.clone()));
            live.usage.cached_tokens += (resume.tokens - live.computed()).min(live.usage.prompt_tokens);
            live.recorded = resume.tokens / PAGE_TOKENS * PAGE_TOKENS;
            self.index.pin(resume.node);
            self.index.unpin(std::mem::replace(&mut live.node, resume.node));
            if let Some(old) = live.sequence.replace(sequence) {
                self.model.cache().release(old);
            }
        }
    }

    /// Whether an older request is computing just the block that this one needs next: it is not computed twice.
    pub(super) fn is_being_computed(&self, index: usize) -> bool {
        let live = &self.running[index];
        let Some(block) = next_block(live).filter(|_| self.state_len == 0) else { return false };
        let same = |other: &Live| {
            let (older, there) = (other.id < live.id, other.node == live.node);
            older && there && !other.sender.is_cancelled() && next_block(other) == Some(block)
        };
        self.running.iter().any(same)
    }

    /// Bytes that a sequence will still take until it has `tokens`.
    fn outstanding(&self, sequence: &olivine_lm::cache::Sequence, tokens: usize) -> usize {
        let group = |(index, &kind): (usize, &KvGroup)| {
            let held = sequence.pages(index).iter().filter(|&&page| page != olivine_lm::cache::GONE).count();
            // One more for a shared last page, which is copied before it is written.
            self.page_bytes[index] * (pages_for(kind, tokens) + 1).saturating_sub(held)
        };
        self.groups.iter().enumerate().map(group).sum()
    }

    pub(super) fn used_bytes(&mut self) -> usize {
        let cache = self.model.cache();
        let pages = self.page_bytes.iter().enumerate().map(|(group, bytes)| cache.pages_in_use(group) * bytes);
        let drafted = self.drafter.as_mut().map_or(0, Drafter::used_bytes);
        pages.sum::<usize>() + 4 * (self.index.state_len() + self.running.len() * self.state_len) + drafted
    }

    /// Drop cached prefixes until `bytes` more are within the budget.
    pub(super) fn make_room(&mut self, bytes: usize) -> bool {
        let excess = (self.used_bytes() + bytes).saturating_sub(self.kv_bytes);
        if excess == 0 {
            return true;
        }
        let (page_bytes, cache) = (&self.page_bytes, self.model.cache());
        let sole = |group: usize, page: u32| cache.owners(group, page) == 1;
        let mut sum = Sum::default();
        if sum.of(&self.index.evictable(sole), page_bytes, sole) < excess {
            return false;
        }
        // A little more than needed, so that not every step has to look for what may go.
        let (wanted, mut sum) = (excess + self.kv_bytes / 64, Sum::default());
        let evicted = self.index.evict(sole, |evicted| sum.of(evicted, page_bytes, sole) >= wanted);
        let enough = sum.of(&evicted, page_bytes, sole) >= excess;
        evicted.pages.iter().for_each(|&(group, page)| cache.give_back(group, page));
        enough
    }

    /// Bytes that only the prefix index holds.
    pub(super) fn cached_bytes(&mut self) -> usize {
        let cache = self.model.cache();
        let sole = |group: usize, page: u32| cache.owners(group, page) == 1;
        Sum::default().of(&self.index.evictable(sole), &self.page_bytes, sole)
    }

    pub(super) fn clear_cache(&mut self) -> usize {
        let before = self.used_bytes();
        let evicted = self.index.evict(|_, _| true, |_| false);
        evicted.pages.iter().for_each(|&(group, page)| self.model.cache().give_back(group, page));
        if let Some(store) = &mut self.store {
            store.clear();
            self.index.forget_disk();
        }
        before - self.used_bytes()
    }

    pub(super) fn probe(&mut self, identity: &str, tokens: &[u32]) -> Probe {
        let root = self.index.root(identity);
        self.index.pin(root);
        let chain = self.index.matching(root, tokens);
        let place = |(index, block): (usize, &[u32])| {
            let Some(&(node, _)) = chain.get(index).filter(|(_, shared)| *shared == block.len()) else {
                return BlockPlace::Cold;
            };
            let pages = &self.index.kept(node).pages;
            let full = pages.iter().zip(&self.groups).filter(|(_, group)| **group == KvGroup::Full);
            match full.clone().all(|(&page, _)| page != GONE) && pages.iter().any(|&page| page != GONE) {
                true => BlockPlace::Memory,
                false if self.index.place(node, Kind::Full).is_some() => BlockPlace::Disk,
                false => BlockPlace::Cold,
            }
        };
        let blocks = tokens.chunks(PAGE_TOKENS).enumerate().map(place).collect();
        let last = self.last_prompts.get(identity);
        let differ = |last: &Vec<u32>| last.iter().zip(tokens).position(|(a, b)| a != b);
        let resumable_tokens = self.index.resume(root, tokens, self.store.is_some()).tokens;
        self.index.unpin(root);
        Probe { resumable_tokens, blocks, block_tokens: PAGE_TOKENS, first_difference: last.and_then(differ) }
    }
    /// Put whole blocks that were computed into the index, and the state where it is worth it.
    pub(super) fn record(&mut self, index: usize) {
        let live = &mut self.running[index];
        if live.request.no_cache {
            return;
        }
        let computed = live.computed();
        let first = live.recorded;
        while live.recorded + PAGE_TOKENS <= computed {
            let block = live.recorded / PAGE_TOKENS;
            let sequence = live.sequence.as_ref().expect("a running request has a sequence");
            let end = live.recorded + PAGE_TOKENS;
            let pages = (0..self.groups.len()).map(|group| sequence.pages(group)[block]).collect();
            let state = (self.state_len > 0 && end == computed && end.is_multiple_of(CHECKPOINT_TOKENS))
                .then(|| Arc::from(self.model.cache().save_state(sequence)));
            if state.is_some() {
                live.checkpoint = end;
            }
            let (node, added) = self.index.record(live.node, &live.tokens[live.recorded..end], Record { pages, state });
            added.iter().for_each(|&(group, page)| self.model.cache().retain(group, page));
            self.index.pin(node);
            self.index.unpin(std::mem::replace(&mut live.node, node));
            live.recorded = end;
        }
        if first == live.recorded && self.state_len == 0 {
            return;
        }
        self.save(index, computed + 1 >= self.running[index].request.tokens.len());
        let live = &mut self.running[index];
        if self.state_len > 0 && computed + 1 == live.request.tokens.len() && live.checkpoint < computed {
            live.checkpoint = computed;
            self.record_tail(index);
        }
    }

    /// Keep the tokens behind the last whole block, up to where the sequence stands.
    pub(super) fn record_tail(&mut self, index: usize) {
        let live = &self.running[index];
        let (computed, Some(sequence)) = (live.computed(), &live.sequence) else { return };
        if live.request.no_cache || computed == 0 {
            return;
        }
        let state = (self.state_len > 0).then(|| Arc::from(self.model.cache().save_state(sequence)));
        if live.recorded == computed {
            // A whole block ends here: only its state may be missing.
            if let Some(parent) = self.index.parent(live.node) {
                let block = &live.tokens[computed - PAGE_TOKENS..computed];
                self.index.record(parent, block, Record { pages: Vec::new(), state });
            }
            return;
        }
        let pages = (0..self.groups.len()).map(|group| sequence.pages(group)[live.recorded / PAGE_TOKENS]).collect();
        let tail = &live.tokens[live.recorded..computed];
        let (node, added) = self.index.record(live.node, tail, Record { pages, state });
        added.iter().for_each(|&(group, page)| self.model.cache().retain(group, page));
        let identity = live.identity.clone();
        self.save_node(&identity, node, true);
    }
}

/// The next whole block of a prompt that is being computed, where one begins.
fn next_block(live: &Live) -> Option<&[u32]> {
    let computed = live.computed();
    let at_block = computed == live.recorded && !live.request.no_cache && !live.is_decoding();
    live.tokens.get(computed..computed + PAGE_TOKENS).filter(|_| at_block)
}

/// Bytes of what is evicted, added up as it grows.
#[derive(Default)]
struct Sum {
    pages: usize,
    bytes: usize,
}

impl Sum {
    /// Bytes that become free: pages that nobody else owns, and states.
    fn of(&mut self, evicted: &Evicted, page_bytes: &[usize], sole: impl Fn(usize, u32) -> bool) -> usize {
        let new = evicted.pages[self.pages..].iter().filter(|&&(group, page)| sole(group, page));
        self.bytes += new.map(|&(group, _)| page_bytes[group]).sum::<usize>();
        self.pages = evicted.pages.len();
        self.bytes + 4 * evicted.state_len
    }
}
