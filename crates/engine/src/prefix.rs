//! The prefix index: which tokens' keys, values and states are in the cache. Pure: it knows page numbers, no pages.
//!
//! A tree of blocks under one root for each identity (adapter, salt); a node is a block of [`PAGE_TOKENS`] tokens (the
//! last of a chain may be shorter) and what is kept of it, of three kinds: pages of full layers (needed along the whole
//! chain), pages of windowed layers (needed inside the window) and a checkpoint of the recurrent state (needed at the
//! exact token). Each may be in memory, on disk, or both; a node is there as long as one of them is, or a node that
//! stands on it. Tokens are compared, not hashes: a match is exact. Read next: `worker.rs`, `disk/mod.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use olivine_lm::cache::{GONE, PAGE_TOKENS};
use olivine_lm::spec::KvGroup;

/// A node of the tree.
pub type NodeId = usize;

/// What is kept of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// A page for each KV group; [`GONE`] where there is none.
    pub pages: Vec<u32>,
    /// The recurrent state behind the block's last token.
    pub state: Option<Arc<[f32]>>,
}

/// The three kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Pages of full layers.
    Full,
    /// Pages of windowed layers.
    Window,
    /// A recurrent state.
    State,
}

impl Kind {
    /// All.
    pub const ALL: [Kind; 3] = [Kind::Full, Kind::Window, Kind::State];

    /// The kind of a group's pages.
    pub fn of(group: KvGroup) -> Kind {
        if group == KvGroup::Full { Kind::Full } else { Kind::Window }
    }
}

/// Where a record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the segment file.
    pub segment: u32,
    /// Offset of the record in it.
    pub offset: u64,
    /// Bytes of the payload.
    pub bytes: u64,
}

/// Where a prompt can go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// So many tokens need not be computed.
    pub tokens: usize,
    /// For each KV group the pages of those tokens; [`GONE`] outside the windows.
    pub pages: Vec<Vec<u32>>,
    /// The recurrent state at that token.
    pub state: Option<Arc<[f32]>>,
    /// The node of the last whole block among them, to record more behind it.
    pub node: NodeId,
    /// Parts that must be read from disk first.
    pub missing: Vec<(NodeId, Kind)>,
}

/// The tree.
pub struct PrefixIndex {
    groups: Vec<KvGroup>,
    recurrent: bool,
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    roots: HashMap<String, NodeId>,
    /// Nodes by their number on disk.
    on_disk: HashMap<u64, NodeId>,
    clock: u64,
    /// Numbers of all states in memory.
    state_len: usize,
}

#[derive(Debug, Default)]
struct Node {
    parent: Option<NodeId>,
    /// Of a root.
    identity: Box<str>,
    children: Vec<NodeId>,
    tokens: Vec<u32>,
    record: Record,
    /// When a prompt last ran through it, and when one last resumed at it.
    used: u64,
    resumed: u64,
    /// Sequences that record behind it.
    pins: usize,
    dead: bool,
    /// Its number on disk.
    disk_id: Option<u64>,
    /// Where its parts are there, by [`Kind`].
    places: [Option<Place>; 3],
}

/// What an eviction gave up; the pages have one owner less.
#[derive(Debug, Default, PartialEq)]
pub struct Evicted {
    /// Group and page.
    pub pages: Vec<(usize, u32)>,
    /// Numbers of dropped states.
    pub state_len: usize,
}

impl PrefixIndex {
    /// Empty; for a model with these KV groups and perhaps a recurrent state.
    pub fn new(groups: Vec<KvGroup>, recurrent: bool) -> PrefixIndex {
        PrefixIndex {
            groups,
            recurrent,
            nodes: Vec::new(),
            free: Vec::new(),
            roots: HashMap::new(),
            on_disk: HashMap::new(),
            clock: 0,
            state_len: 0,
        }
    }

    /// The root of an identity. Chains of different roots share nothing. It goes with the last of its chains, unless it
    /// is pinned.
    pub fn root(&mut self, identity: &str) -> NodeId {
        if let Some(&root) = self.roots.get(identity) {
            return root;
        }
        let root = self.new_node(Node { identity: identity.into(), ..Node::default() });
        self.roots.insert(identity.into(), root);
        root
    }

    /// Blocks of which something is in memory.
    pub fn blocks_in_memory(&self) -> usize {
        self.nodes.iter().filter(|node| node.in_memory()).count()
    }

    /// Blocks of which something is on disk.
    pub fn blocks_on_disk(&self) -> usize {
        self.nodes.iter().filter(|node| node.places.iter().any(Option::is_some)).count()
    }

    /// The longest prefix of `tokens` that is kept (on disk too, if so wanted) and can be resumed, leaving at least one
    /// token to compute.
    pub fn resume(&mut self, root: NodeId, tokens: &[u32], from_disk: bool) -> Resume {
        let chain = self.matching(root, tokens);
        self.clock += 1;
        for &(node, _) in &chain {
            self.nodes[node].used = self.clock;
        }
        let limit = tokens.len().saturating_sub(1);
        for end in (1..=chain.len()).rev() {
            let behind = if end == 1 { root } else { chain[end - 2].0 };
            let mut ends = vec![chain[end - 1]];
            ends.extend(self.inner_ends(behind, &tokens[(end - 1) * PAGE_TOKENS..]));
            for last in ends {
                let mut path = chain[..end - 1].to_vec();
                path.push(last);
                if let Some(resume) = self.resume_at(root, &path, limit, from_disk) {
                    self.nodes[last.0].resumed = self.clock;
                    self.nodes[last.0].used = self.clock;
                    return resume;
                }
            }
        }
        let pages = vec![Vec::new(); self.groups.len()];
        Resume { tokens: 0, pages, state: None, node: root, missing: Vec::new() }
    }

    /// For each block that `tokens` run through: its node, and how many tokens of it they share.
    pub fn matching(&self, root: NodeId, tokens: &[u32]) -> Vec<(NodeId, usize)> {
        let (mut chain, mut at, mut rest) = (Vec::new(), root, tokens);
        while !rest.is_empty() {
            let shared = |child: NodeId| self.nodes[child].tokens.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let children = self.nodes[at].children.iter().map(|&child| (child, shared(child)));
            // Among equally long ones, a block that ends there may have a state for it.
            let best = children.max_by_key(|&(child, shared)| (shared, self.nodes[child].tokens.len() == shared));
            let Some((child, shared)) = best.filter(|(_, shared)| *shared > 0) else { break };
            chain.push((child, shared));
            if shared < PAGE_TOKENS {
                break;
            }
            (at, rest) = (child, &rest[PAGE_TOKENS..]);
        }
        chain
    }

    /// The child of `parent` with exactly these tokens.
    pub fn child(&self, parent: NodeId, tokens: &[u32]) -> Option<NodeId> {
        self.nodes[parent].children.iter().copied().find(|&child| self.nodes[child].tokens == tokens)
    }

    /// Keep a block behind `parent`. What is new is added to what is there; returns the node, and the pages among
    /// `record`'s that the index owns from now on.
    pub fn record(&mut self, parent: NodeId, tokens: &[u32], record: Record) -> (NodeId, Vec<(usize, u32)>) {
        assert!(!tokens.is_empty() && tokens.len() <= PAGE_TOKENS, "[prefix] a block of {} tokens", tokens.len());
        self.clock += 1;
        let node = match self.child(parent, tokens) {
            Some(node) => node,
            None => self.new_child(parent, tokens),
        };
        let kept = &mut self.nodes[node];
        kept.used = self.clock;
        let mut added = Vec::new();
        for (group, (have, new)) in kept.record.pages.iter_mut().zip(record.pages).enumerate() {
            if *have == GONE && new != GONE {
                *have = new;
                added.push((group, new));
            }
        }
        if kept.record.state.is_none()
            && let Some(state) = record.state
        {
            self.state_len += state.len();
            kept.record.state = Some(state);
        }
        (node, added)
    }

    /// The block before a node; none for a root.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node].parent
    }

    /// What is kept of a node in memory.
    pub fn kept(&self, node: NodeId) -> &Record {
        &self.nodes[node].record
    }

    /// A node's tokens.
    pub fn tokens(&self, node: NodeId) -> &[u32] {
        &self.nodes[node].tokens
    }

    /// A node's number on disk.
    pub fn disk_id(&self, node: NodeId) -> Option<u64> {
        self.nodes[node].disk_id
    }

    /// Where a part of a node is on disk.
    pub fn place(&self, node: NodeId, kind: Kind) -> Option<Place> {
        self.nodes[node].places[kind as usize]
    }

    /// Give a node its number on disk.
    pub fn set_disk_id(&mut self, node: NodeId, id: u64) {
        self.nodes[node].disk_id = Some(id);
        self.on_disk.insert(id, node);
    }

    /// A part of a node is on disk.
    pub fn set_place(&mut self, node: NodeId, kind: Kind, place: Place) {
        self.nodes[node].places[kind as usize] = Some(place);
    }

    /// A part of the block with this number is not at `place` any more; it is at `new`, or nowhere.
    pub fn move_place(&mut self, id: u64, kind: Kind, place: Place, new: Option<Place>) {
        let Some(&node) = self.on_disk.get(&id) else { return };
        let known = &mut self.nodes[node].places[kind as usize];
        if *known == Some(place) {
            *known = new;
            self.drop_if_bare(node);
        }
    }

    /// A block that is on disk and was found there: `parent` and `id` are numbers on disk. Blocks whose parent is not
    /// known are left out.
    pub fn insert_from_disk(&mut self, id: u64, parent: u64, tokens: &[u32], kind: Kind, place: Place) {
        let Some(&parent) = self.on_disk.get(&parent) else { return };
        if tokens.is_empty() || tokens.len() > PAGE_TOKENS {
            return;
        }
        let node = match self.child(parent, tokens) {
            Some(node) => node,
            None => self.new_child(parent, tokens),
        };
        self.set_disk_id(node, id);
        self.set_place(node, kind, place);
    }

    /// Nothing is on disk any more.
    pub fn forget_disk(&mut self) {
        self.on_disk.clear();
        for id in 0..self.nodes.len() {
            self.nodes[id].disk_id = None;
            self.nodes[id].places = [None; 3];
        }
        (0..self.nodes.len()).for_each(|id| self.drop_if_bare(id));
    }

    /// How much a part of the block with this number is worth keeping on disk: 0 for what nobody can use, more for
    /// blocks that others stand on and for those used lately.
    pub fn disk_rank(&self, id: u64, kind: Kind) -> u64 {
        let Some(&node) = self.on_disk.get(&id) else { return 0 };
        let node = &self.nodes[node];
        let shared = kind == Kind::Full && !node.children.is_empty();
        if shared { (1 << 40) + node.used } else { node.used }
    }

    /// A sequence records behind `node`: it must not go.
    pub fn pin(&mut self, node: NodeId) {
        self.nodes[node].pins += 1;
    }

    /// The sequence is gone.
    pub fn unpin(&mut self, node: NodeId) {
        self.nodes[node].pins -= 1;
        self.drop_if_bare(node);
    }

    /// Drop what was not used for longest until `enough` says so of what was dropped; returns it. Leaves go before the
    /// blocks that they stand on, so a prefix that many share goes last. Inside a chain, window pages and states go on
    /// their own: the chain can still be resumed elsewhere. `worth` tells whether nobody else owns a page, so that
    /// dropping it frees memory.
    pub fn evict(&mut self, worth: impl Fn(usize, u32) -> bool, mut enough: impl FnMut(&Evicted) -> bool) -> Evicted {
        let mut evicted = Evicted::default();
        while !enough(&evicted) {
            let candidates = self.candidates(&worth);
            if candidates.is_empty() {
                break;
            }
            for (_, node, whole) in candidates {
                if whole {
                    self.remove(node, &mut evicted);
                } else {
                    self.thin(node, &mut evicted);
                }
                if enough(&evicted) {
                    break;
                }
            }
        }
        evicted
    }

    /// Pages and numbers of states that [`PrefixIndex::evict`] could give up.
    pub fn evictable(&self, worth: impl Fn(usize, u32) -> bool) -> Evicted {
        let mut all = Evicted::default();
        for node in self.nodes.iter().filter(|node| !node.dead) {
            all.pages.extend(node.record.pages().filter(|&(group, page)| worth(group, page)));
            all.state_len += node.record.state.as_ref().map_or(0, |state| state.len());
        }
        all
    }

    /// Numbers of all states that are kept.
    pub fn state_len(&self) -> usize {
        self.state_len
    }

    fn new_child(&mut self, parent: NodeId, tokens: &[u32]) -> NodeId {
        let record = Record { pages: vec![GONE; self.groups.len()], state: None };
        let node = Node {
            parent: Some(parent),
            tokens: tokens.to_vec(),
            record,
            used: self.clock,
            resumed: self.clock,
            ..Node::default()
        };
        let node = self.new_node(node);
        self.nodes[parent].children.push(node);
        node
    }

    fn new_node(&mut self, node: Node) -> NodeId {
        match self.free.pop() {
            Some(id) => {
                self.nodes[id] = node;
                id
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        }
    }

    /// Blocks behind `node` that end inside a page and are whole in `rest`, longest first: they have states.
    fn inner_ends(&self, node: NodeId, rest: &[u32]) -> Vec<(NodeId, usize)> {
        if !self.recurrent {
            return Vec::new();
        }
        let inner = |&child: &NodeId| {
            let tokens = &self.nodes[child].tokens;
            tokens.len() < PAGE_TOKENS && rest.starts_with(tokens)
        };
        let children = self.nodes[node].children.iter().copied().filter(inner);
        let mut ends: Vec<_> = children.map(|child| (child, self.nodes[child].tokens.len())).collect();
        ends.sort_unstable_by_key(|&(_, count)| std::cmp::Reverse(count));
        ends
    }

    /// Resume behind the last block of `chain`, or inside it where nothing depends on the exact token.
    fn resume_at(&self, root: NodeId, chain: &[(NodeId, usize)], limit: usize, from_disk: bool) -> Option<Resume> {
        let &(last, shared) = chain.last()?;
        let before = (chain.len() - 1) * PAGE_TOKENS;
        let tokens = (before + shared).min(limit);
        if tokens <= before {
            return None;
        }
        let on_disk = |node: NodeId, kind: Kind| from_disk && self.nodes[node].places[kind as usize].is_some();
        let mut missing = Vec::new();
        let mut state = None;
        if self.recurrent {
            if tokens != before + self.nodes[last].tokens.len() {
                return None;
            }
            state = self.nodes[last].record.state.clone();
            if state.is_none() {
                on_disk(last, Kind::State).then(|| missing.push((last, Kind::State)))?;
            }
        }
        let mut pages = Vec::with_capacity(self.groups.len());
        for (group, kind) in self.groups.iter().enumerate() {
            let first = match kind {
                KvGroup::Full => 0,
                KvGroup::Window(window) => (tokens + 1).saturating_sub(*window) / PAGE_TOKENS,
            };
            let mut table = vec![GONE; chain.len()];
            for (page, &(node, _)) in table.iter_mut().zip(chain).skip(first) {
                *page = self.nodes[node].record.pages[group];
                if *page == GONE {
                    on_disk(node, Kind::of(*kind)).then(|| missing.push((node, Kind::of(*kind))))?;
                }
            }
            pages.push(table);
        }
        missing.sort_unstable();
        missing.dedup();
        let whole = if tokens.is_multiple_of(PAGE_TOKENS) { chain.len() } else { chain.len() - 1 };
        let node = if whole == 0 { root } else { chain[whole - 1].0 };
        Some(Resume { tokens, pages, state, node, missing })
    }

    /// What may go, the longest unused first: (time, node, all of it).
    fn candidates(&self, worth: &impl Fn(usize, u32) -> bool) -> Vec<(u64, NodeId, bool)> {
        let mut list = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            if !node.in_memory() {
                continue;
            }
            let free = |(group, page)| worth(group, page);
            let stood_on = node.children.iter().any(|&child| self.nodes[child].in_memory());
            if !stood_on && node.pins == 0 {
                if node.record.state.is_some() || node.record.pages().all(free) {
                    list.push((node.used, id, true));
                }
            } else if node.record.state.is_some() || node.record.pages().any(|p| self.is_window(p.0) && free(p)) {
                list.push((node.resumed, id, false));
            }
        }
        list.sort_unstable();
        list
    }

    fn is_window(&self, group: usize) -> bool {
        self.groups[group] != KvGroup::Full
    }

    fn remove(&mut self, id: NodeId, evicted: &mut Evicted) {
        let record = &mut self.nodes[id].record;
        evicted.pages.extend(record.pages());
        record.pages.fill(GONE);
        let state_len = record.state.take().map_or(0, |state| state.len());
        evicted.state_len += state_len;
        self.state_len -= state_len;
        self.drop_if_bare(id);
    }

    /// A node of which nothing is left goes, and then perhaps the one that it stood on.
    fn drop_if_bare(&mut self, mut id: NodeId) {
        loop {
            let node = &self.nodes[id];
            let used = node.dead || node.in_memory() || node.pins > 0 || node.places.iter().any(Option::is_some);
            if used || !node.children.is_empty() {
                return;
            }
            if let Some(disk_id) = node.disk_id {
                self.on_disk.remove(&disk_id);
            }
            let gone = std::mem::replace(&mut self.nodes[id], Node { dead: true, ..Node::default() });
            self.free.push(id);
            let Some(parent) = gone.parent else {
                self.roots.remove(&*gone.identity);
                return;
            };
            self.nodes[parent].children.retain(|&child| child != id);
            id = parent;
        }
    }

    /// Give up what is only needed to resume right here.
    fn thin(&mut self, id: NodeId, evicted: &mut Evicted) {
        let groups = &self.groups;
        let record = &mut self.nodes[id].record;
        let state_len = record.state.take().map_or(0, |state| state.len());
        evicted.state_len += state_len;
        self.state_len -= state_len;
        for (group, page) in record.pages.iter_mut().enumerate() {
            if groups[group] != KvGroup::Full && *page != GONE {
                evicted.pages.push((group, std::mem::replace(page, GONE)));
            }
        }
    }
}

impl Node {
    fn in_memory(&self) -> bool {
        self.record.state.is_some() || self.record.pages().next().is_some()
    }
}

impl Record {
    fn pages(&self) -> impl Iterator<Item = (usize, u32)> {
        self.pages.iter().copied().enumerate().filter(|(_, page)| *page != GONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: usize = PAGE_TOKENS;

    fn tokens(count: usize, salt: u32) -> Vec<u32> {
        (0..count as u32).map(|index| index + salt).collect()
    }

    /// Record all blocks of `tokens`, with pages numbered from `first_page` on in every group.
    fn record_chain(index: &mut PrefixIndex, root: NodeId, tokens: &[u32], first_page: u32) -> NodeId {
        let groups = index.groups.len();
        tokens.chunks(B).zip(first_page..).fold(root, |at, (block, page)| {
            index.record(at, block, Record { pages: vec![page; groups], state: None }).0
        })
    }

    fn state(value: f32) -> Option<Arc<[f32]>> {
        Some(Arc::from([value]))
    }

    #[test]
    fn a_prefix_is_found_to_the_token_and_one_is_left_to_compute() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full], false);
        let root = index.root("");
        let prompt = tokens(3 * B + 10, 0);
        let tip = record_chain(&mut index, root, &prompt, 100);
        let resume = index.resume(root, &prompt, false);
        assert_eq!(resume.tokens, 3 * B + 9);
        assert_eq!(resume.pages, [vec![100, 101, 102, 103]]);
        let mut other = prompt.clone();
        other[2 * B + 5] = 9_999;
        assert_eq!(index.resume(root, &other, false).tokens, 2 * B + 5);
        assert_eq!(index.resume(root, &prompt[..2 * B], false).tokens, 2 * B - 1);
        assert_eq!(index.resume(root, &tokens(9, 5), false).tokens, 0);
        let strange = index.root("another adapter");
        assert_eq!(index.resume(strange, &prompt, false).tokens, 0);
        assert_eq!(index.blocks_in_memory(), 4);
        // A second sequence with the same tokens adds nothing.
        let again =
            index.record(index.nodes[tip].parent.unwrap(), &prompt[3 * B..], Record { pages: vec![7], state: None });
        assert_eq!(again, (tip, vec![]));
    }

    #[test]
    fn windows_need_only_their_last_pages() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full, KvGroup::Window(B + 1)], false);
        let root = index.root("");
        let prompt = tokens(4 * B + 1, 0);
        let mut at = root;
        for (number, block) in prompt[..4 * B].chunks(B).enumerate() {
            let window = if number < 2 { GONE } else { 50 + number as u32 };
            at = index.record(at, block, Record { pages: vec![number as u32, window], state: None }).0;
        }
        let resume = index.resume(root, &prompt, false);
        assert_eq!((resume.tokens, resume.node), (4 * B, at));
        assert_eq!(resume.pages, [vec![0, 1, 2, 3], vec![GONE, GONE, GONE, 53]]);
        // Inside block 2, its window reaches into block 1, whose page is gone; at its end, one page is enough.
        assert_eq!(index.resume(root, &prompt[..2 * B + 9], false).tokens, 0);
        assert_eq!(index.resume(root, &prompt[..3 * B + 1], false).tokens, 3 * B);
    }

    #[test]
    fn states_resume_at_their_token_only() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full], true);
        let root = index.root("");
        let prompt = tokens(3 * B, 0);
        let one = index.record(root, &prompt[..B], Record { pages: vec![0], state: state(1.0) }).0;
        let two = index.record(one, &prompt[B..2 * B], Record { pages: vec![1], state: None }).0;
        let tail = index.record(two, &prompt[2 * B..2 * B + 7], Record { pages: vec![2], state: state(3.0) }).0;
        let resume = index.resume(root, &prompt, false);
        assert_eq!((resume.tokens, resume.node, resume.state), (2 * B + 7, two, state(3.0)));
        assert_eq!(index.resume(root, &prompt[..2 * B + 5], false).tokens, B);
        // The whole block with the same tokens does not hide the state inside it.
        index.record(two, &prompt[2 * B..], Record { pages: vec![3], state: None });
        assert_eq!(index.resume(root, &prompt[..2 * B + 8], false).tokens, 2 * B + 7);
        assert_eq!(index.kept(tail).pages, [2]);
    }

    #[test]
    fn eviction_takes_the_longest_unused_and_keeps_what_others_stand_on() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full], false);
        let root = index.root("");
        let (mut a, mut b) = (tokens(3 * B, 0), tokens(3 * B, 0));
        a[2 * B] = 1_000_000;
        b[2 * B] = 2_000_000;
        record_chain(&mut index, root, &a, 0);
        record_chain(&mut index, root, &b, 10);
        let lone = tokens(B, 77_000);
        record_chain(&mut index, root, &lone, 20);
        index.resume(root, &a, false);
        let one = index.evict(|_, _| true, |e| !e.pages.is_empty());
        assert_eq!(one.pages, [(0, 12)], "b's own block is the oldest leaf");
        let two = index.evict(|_, _| true, |e| !e.pages.is_empty());
        assert_eq!(two.pages, [(0, 20)]);
        // Pages that a live sequence owns as well are not worth dropping.
        assert_eq!(index.evict(|_, page| page != 2, |e| !e.pages.is_empty()), Evicted::default());
        let rest = index.evict(|_, _| true, |_| false);
        assert_eq!(rest.pages, [(0, 2), (0, 1), (0, 0)]);
        assert!((index.blocks_in_memory() == 0));
    }

    #[test]
    fn pinned_blocks_stay_and_inner_blocks_give_up_windows_first() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full, KvGroup::Window(B)], false);
        let root = index.root("");
        let tip = record_chain(&mut index, root, &tokens(3 * B, 0), 0);
        index.pin(tip);
        let evicted = index.evict(|_, _| true, |_| false);
        assert_eq!(evicted.pages, [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(index.blocks_in_memory(), 3);
        index.unpin(tip);
        index.evict(|_, _| true, |_| false);
        assert!((index.blocks_in_memory() == 0));
    }

    #[test]
    fn what_is_on_disk_can_be_resumed_when_so_wanted() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full, KvGroup::Window(B)], false);
        let root = index.root("");
        index.set_disk_id(root, 1);
        let prompt = tokens(3 * B + 1, 0);
        let place = |offset| Place { segment: 0, offset, bytes: 1 };
        for (number, block) in prompt[..3 * B].chunks(B).enumerate() {
            let id = 2 + number as u64;
            index.insert_from_disk(id, id - 1, block, Kind::Full, place(id));
            if number != 1 {
                index.insert_from_disk(id, id - 1, block, Kind::Window, place(100 + id));
            }
        }
        index.insert_from_disk(99, 77, &prompt[..5], Kind::Full, place(0));
        assert_eq!((index.blocks_on_disk(), index.blocks_in_memory()), (3, 0), "an orphan is left out");
        assert_eq!(index.resume(root, &prompt, false).tokens, 0);
        let resume = index.resume(root, &prompt, true);
        let nodes: Vec<NodeId> = index.matching(root, &prompt).into_iter().map(|(node, _)| node).collect();
        assert_eq!(resume.tokens, 3 * B);
        let full = nodes.iter().map(|&node| (node, Kind::Full));
        let mut missing: Vec<_> = full.chain([(nodes[2], Kind::Window)]).collect();
        missing.sort_unstable();
        assert_eq!(resume.missing, missing);
        // Loaded, dropped from memory, lost on disk.
        let (_, added) = index.record(root, &prompt[..B], Record { pages: vec![5, 6], state: None });
        assert_eq!(added, [(0, 5), (1, 6)]);
        assert_eq!(index.resume(root, &prompt[..B + 1], false).tokens, B);
        index.evict(|_, _| true, |_| false);
        assert_eq!((index.blocks_on_disk(), index.blocks_in_memory()), (3, 0));
        assert!(index.disk_rank(2, Kind::Full) > index.disk_rank(4, Kind::Full));
        index.move_place(4, Kind::Full, place(4), Some(place(40)));
        assert_eq!(index.place(nodes[2], Kind::Full), Some(place(40)));
        for (id, kind, offset) in [(4, Kind::Full, 40), (4, Kind::Window, 104), (3, Kind::Full, 3)] {
            index.move_place(id, kind, place(offset), None);
        }
        assert_eq!(index.blocks_on_disk(), 1);
        assert_eq!(index.resume(root, &prompt, true).tokens, B);
    }
}
