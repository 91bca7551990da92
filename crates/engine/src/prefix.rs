//! The prefix index: which tokens' keys, values and states are in the cache. Pure: it knows page numbers, no pages.
//!
//! A tree of blocks under one root for each identity (adapter, salt); a node is a block of [`PAGE_TOKENS`] tokens (the
//! last of a chain may be shorter) and what is kept of it, of three kinds: pages of full layers (needed along the whole
//! chain), pages of windowed layers (needed inside the window) and a checkpoint of the recurrent state (needed at the
//! exact token). Tokens are compared, not hashes: a match is exact. Read next: `worker.rs`.

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
}

/// The tree.
pub struct PrefixIndex {
    groups: Vec<KvGroup>,
    recurrent: bool,
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    roots: HashMap<String, NodeId>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Node {
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    tokens: Vec<u32>,
    record: Record,
    /// When a prompt last ran through it, and when one last resumed at it.
    used: u64,
    resumed: u64,
    /// Sequences that record behind it.
    pins: usize,
    dead: bool,
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
        PrefixIndex { groups, recurrent, nodes: Vec::new(), free: Vec::new(), roots: HashMap::new(), clock: 0 }
    }

    /// The root of an identity. Chains of different roots share nothing.
    pub fn root(&mut self, identity: &str) -> NodeId {
        if let Some(&root) = self.roots.get(identity) {
            return root;
        }
        let root = self.new_node(Node::default());
        self.roots.insert(identity.into(), root);
        root
    }

    /// Blocks, roots not counted.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len() - self.roots.len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest prefix of `tokens` that is kept and can be resumed, leaving at least one token to compute.
    pub fn resume(&mut self, root: NodeId, tokens: &[u32]) -> Resume {
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
                if let Some(resume) = self.resume_at(root, &path, limit) {
                    self.nodes[last.0].resumed = self.clock;
                    self.nodes[last.0].used = self.clock;
                    return resume;
                }
            }
        }
        Resume { tokens: 0, pages: vec![Vec::new(); self.groups.len()], state: None, node: root }
    }

    /// For each block of `tokens`: how many of its tokens are kept.
    pub fn matched(&self, root: NodeId, tokens: &[u32]) -> Vec<usize> {
        self.matching(root, tokens).into_iter().map(|(_, count)| count).collect()
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
        let node = self.child(parent, tokens).unwrap_or_else(|| {
            let pages = vec![GONE; self.groups.len()];
            let node = Node {
                parent: Some(parent),
                tokens: tokens.to_vec(),
                record: Record { pages, state: None },
                resumed: self.clock,
                ..Node::default()
            };
            let node = self.new_node(node);
            self.nodes[parent].children.push(node);
            node
        });
        let kept = &mut self.nodes[node];
        kept.used = self.clock;
        let mut added = Vec::new();
        for (group, (have, new)) in kept.record.pages.iter_mut().zip(record.pages).enumerate() {
            if *have == GONE && new != GONE {
                *have = new;
                added.push((group, new));
            }
        }
        if kept.record.state.is_none() {
            kept.record.state = record.state;
        }
        (node, added)
    }

    /// The block before a node; none for a root.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node].parent
    }

    /// What is kept of a node.
    pub fn kept(&self, node: NodeId) -> &Record {
        &self.nodes[node].record
    }

    /// A sequence records behind `node`: it must not go.
    pub fn pin(&mut self, node: NodeId) {
        self.nodes[node].pins += 1;
    }

    /// The sequence is gone.
    pub fn unpin(&mut self, node: NodeId) {
        self.nodes[node].pins -= 1;
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
        self.nodes.iter().filter_map(|node| node.record.state.as_ref()).map(|state| state.len()).sum()
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

    /// The chain of blocks that `tokens` run through, with how many tokens of each they share: all but of the last.
    fn matching(&self, root: NodeId, tokens: &[u32]) -> Vec<(NodeId, usize)> {
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
    fn resume_at(&self, root: NodeId, chain: &[(NodeId, usize)], limit: usize) -> Option<Resume> {
        let &(last, shared) = chain.last()?;
        let tokens = ((chain.len() - 1) * PAGE_TOKENS + shared).min(limit);
        if tokens <= (chain.len() - 1) * PAGE_TOKENS {
            return None;
        }
        let exact = tokens == (chain.len() - 1) * PAGE_TOKENS + self.nodes[last].tokens.len();
        let state = self.nodes[last].record.state.clone().filter(|_| exact);
        if self.recurrent && state.is_none() {
            return None;
        }
        let mut pages = Vec::with_capacity(self.groups.len());
        for (group, kind) in self.groups.iter().enumerate() {
            let first = match kind {
                KvGroup::Full => 0,
                KvGroup::Window(window) => (tokens + 1).saturating_sub(*window) / PAGE_TOKENS,
            };
            let page = |(index, (node, _)): (usize, &(NodeId, usize))| match self.nodes[*node].record.pages[group] {
                _ if index < first => Some(GONE),
                GONE => None,
                page => Some(page),
            };
            pages.push(chain.iter().enumerate().map(page).collect::<Option<Vec<u32>>>()?);
        }
        let whole = if tokens.is_multiple_of(PAGE_TOKENS) { chain.len() } else { chain.len() - 1 };
        let node = if whole == 0 { root } else { chain[whole - 1].0 };
        Some(Resume { tokens, pages, state, node })
    }

    /// What may go, the longest unused first: (time, node, all of it).
    fn candidates(&self, worth: &impl Fn(usize, u32) -> bool) -> Vec<(u64, NodeId, bool)> {
        let mut list = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            if node.dead || node.parent.is_none() {
                continue;
            }
            let free = |(group, page)| worth(group, page);
            if node.children.is_empty() && node.pins == 0 {
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
        let node = std::mem::replace(&mut self.nodes[id], Node { dead: true, ..Node::default() });
        evicted.pages.extend(node.record.pages());
        evicted.state_len += node.record.state.map_or(0, |state| state.len());
        let parent = node.parent.expect("roots are not removed");
        self.nodes[parent].children.retain(|&child| child != id);
        self.free.push(id);
    }

    /// Give up what is only needed to resume right here.
    fn thin(&mut self, id: NodeId, evicted: &mut Evicted) {
        let groups = &self.groups;
        let record = &mut self.nodes[id].record;
        evicted.state_len += record.state.take().map_or(0, |state| state.len());
        for (group, page) in record.pages.iter_mut().enumerate() {
            if groups[group] != KvGroup::Full && *page != GONE {
                evicted.pages.push((group, std::mem::replace(page, GONE)));
            }
        }
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
        let resume = index.resume(root, &prompt);
        assert_eq!(resume.tokens, 3 * B + 9);
        assert_eq!(resume.pages, [vec![100, 101, 102, 103]]);
        let mut other = prompt.clone();
        other[2 * B + 5] = 9_999;
        assert_eq!(index.resume(root, &other).tokens, 2 * B + 5);
        assert_eq!(index.resume(root, &prompt[..2 * B]).tokens, 2 * B - 1);
        assert_eq!(index.resume(root, &tokens(9, 5)).tokens, 0);
        let strange = index.root("another adapter");
        assert_eq!(index.resume(strange, &prompt).tokens, 0);
        assert_eq!(index.len(), 4);
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
        let resume = index.resume(root, &prompt);
        assert_eq!((resume.tokens, resume.node), (4 * B, at));
        assert_eq!(resume.pages, [vec![0, 1, 2, 3], vec![GONE, GONE, GONE, 53]]);
        // Inside block 2, its window reaches into block 1, whose page is gone; at its end, one page is enough.
        assert_eq!(index.resume(root, &prompt[..2 * B + 9]).tokens, 0);
        assert_eq!(index.resume(root, &prompt[..3 * B + 1]).tokens, 3 * B);
    }

    #[test]
    fn states_resume_at_their_token_only() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full], true);
        let root = index.root("");
        let prompt = tokens(3 * B, 0);
        let one = index.record(root, &prompt[..B], Record { pages: vec![0], state: state(1.0) }).0;
        let two = index.record(one, &prompt[B..2 * B], Record { pages: vec![1], state: None }).0;
        let tail = index.record(two, &prompt[2 * B..2 * B + 7], Record { pages: vec![2], state: state(3.0) }).0;
        let resume = index.resume(root, &prompt);
        assert_eq!((resume.tokens, resume.node, resume.state), (2 * B + 7, two, state(3.0)));
        assert_eq!(index.resume(root, &prompt[..2 * B + 5]).tokens, B);
        // The whole block with the same tokens does not hide the state inside it.
        index.record(two, &prompt[2 * B..], Record { pages: vec![3], state: None });
        assert_eq!(index.resume(root, &prompt[..2 * B + 8]).tokens, 2 * B + 7);
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
        index.resume(root, &a);
        let one = index.evict(|_, _| true, |e| !e.pages.is_empty());
        assert_eq!(one.pages, [(0, 12)], "b's own block is the oldest leaf");
        let two = index.evict(|_, _| true, |e| !e.pages.is_empty());
        assert_eq!(two.pages, [(0, 20)]);
        // Pages that a live sequence owns as well are not worth dropping.
        assert_eq!(index.evict(|_, page| page != 2, |e| !e.pages.is_empty()), Evicted::default());
        let rest = index.evict(|_, _| true, |_| false);
        assert_eq!(rest.pages, [(0, 2), (0, 1), (0, 0)]);
        assert!(index.is_empty());
    }

    #[test]
    fn pinned_blocks_stay_and_inner_blocks_give_up_windows_first() {
        let mut index = PrefixIndex::new(vec![KvGroup::Full, KvGroup::Window(B)], false);
        let root = index.root("");
        let tip = record_chain(&mut index, root, &tokens(3 * B, 0), 0);
        index.pin(tip);
        let evicted = index.evict(|_, _| true, |_| false);
        assert_eq!(evicted.pages, [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(index.len(), 3);
        index.unpin(tip);
        index.evict(|_, _| true, |_| false);
        assert!(index.is_empty());
    }
}
