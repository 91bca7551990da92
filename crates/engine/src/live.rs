//! A request on its way: its tokens so far, what it holds in the cache, what it took.
//!
//! Invariant: `tokens[..computed]` are in the cache; what is behind is pending. Read next: `worker.rs`.

use std::time::Instant;

use olivine_lm::cache::Sequence;

use crate::channel::Sender;
use crate::prefix::NodeId;
use crate::types::{Event, FinishReason, Finished, Request, RequestId, Usage};

pub(crate) struct Live {
    pub id: RequestId,
    pub request: Request,
    pub sender: Sender,
    /// The prompt, then the answer.
    pub tokens: Vec<u32>,
    /// What it holds in the cache while it runs.
    pub sequence: Option<Sequence>,
    /// The last whole block that is recorded, in the prefix index.
    pub node: NodeId,
    /// Tokens up to that block's end.
    pub recorded: usize,
    /// Token of the last checkpoint of the recurrent state.
    pub checkpoint: usize,
    /// How often something was loaded from disk for it, and how often at most.
    pub load_rounds: usize,
    pub load_limit: Option<usize>,
    /// Nothing more is to be loaded.
    pub loaded: bool,
    pub usage: Usage,
    pub submitted: Instant,
    pub started: Option<Instant>,
    pub first_token: Option<Instant>,
}

impl Live {
    pub fn new(id: RequestId, request: Request, sender: Sender) -> Live {
        let tokens = request.tokens.clone();
        let usage = Usage { prompt_tokens: tokens.len(), ..Usage::default() };
        Live {
            id,
            request,
            sender,
            tokens,
            sequence: None,
            node: 0,
            recorded: 0,
            checkpoint: 0,
            load_rounds: 0,
            load_limit: None,
            loaded: false,
            usage,
            submitted: Instant::now(),
            started: None,
            first_token: None,
        }
    }

    /// Tokens in the cache.
    pub fn computed(&self) -> usize {
        self.sequence.as_ref().map_or(0, Sequence::tokens)
    }

    /// Tokens that are not.
    pub fn pending(&self) -> usize {
        self.tokens.len() - self.computed()
    }

    /// Whether only the last token is missing, and it is one of the answer.
    pub fn is_decoding(&self) -> bool {
        self.tokens.len() > self.request.tokens.len() && self.pending() == 1
    }

    pub fn answer_tokens(&self) -> usize {
        self.tokens.len() - self.request.tokens.len()
    }

    /// Tell the receiver how far the prompt is.
    pub fn report_prefill(&self) {
        self.sender.send(Event::Prefill { done: self.computed(), total: self.tokens.len() });
    }

    /// Tell the receiver that it is over.
    pub fn finish(&mut self, reason: FinishReason, stop_token: Option<u32>) {
        let now = Instant::now();
        let started = self.started.unwrap_or(now);
        let first = self.first_token.unwrap_or(now);
        self.usage.queued = started - self.submitted;
        self.usage.prefill = first.saturating_duration_since(started);
        self.usage.decode = now.saturating_duration_since(first);
        self.usage.answer_tokens = self.answer_tokens() + usize::from(stop_token.is_some());
        self.sender.send(Event::Finished(Finished { reason, stop_token, usage: self.usage }));
    }
}
