//! A request on its way: its tokens so far, what it holds in the cache, what it took.
//!
//! Invariant: `tokens[..computed]` are in the cache; what is behind is pending. Read next: `worker.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use olivine_lm::cache::Sequence;

use crate::adapters::Loaded;
use crate::channel::Sender;
use crate::constraint::Guide;
use crate::prefix::NodeId;
use crate::speculation::{Lookup, Pace};
use crate::types::{EmbedOptions, Event, FinishReason, Finished, Pooling, Request, RequestId, Task, Usage};

/// Tokens that come within this time of each other are handed out together: every wake of another thread takes time from
/// the model.
const TOGETHER: Duration = Duration::from_millis(16);

pub(crate) struct Live {
    pub id: RequestId,
    pub request: Request,
    pub sender: Sender,
    /// What corrects the model for it.
    pub adapter: Option<Arc<Loaded>>,
    /// What prefixes must share with it beside their tokens.
    pub identity: String,
    /// Of a constrained answer.
    pub guide: Option<Guide>,
    /// Guesses that the next step checks.
    pub guesses: Vec<u32>,
    pub lookup: Lookup,
    pub pace: Pace,
    /// Sum of the hidden states so far, of an embedding that needs all.
    pub pooled: Vec<f32>,
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
    /// When the receiver was last woken for tokens.
    pub told: Option<Instant>,
    /// Tokens lie in its queue for which it was not woken.
    pub untold: bool,
}

impl Live {
    pub fn new(
        id: RequestId,
        request: Request,
        adapter: Option<Arc<Loaded>>,
        guide: Option<Guide>,
        sender: Sender,
    ) -> Live {
        let mut request = request;
        if let Task::Embed(options) = &request.task {
            // Cached tokens have no hidden states any more.
            request.no_cache |= options.pooling != Pooling::Last;
        }
        let tokens = request.tokens.clone();
        let usage = Usage { prompt_tokens: tokens.len(), ..Usage::default() };
        Live {
            id,
            identity: identity(adapter.as_deref(), &request.cache_salt),
            request,
            sender,
            adapter,
            guide,
            guesses: Vec::new(),
            lookup: Lookup::default(),
            pace: Pace::default(),
            pooled: Vec::new(),
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
            told: None,
            untold: false,
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

    /// How many tokens may be guessed: the answer must not pass its limits.
    pub fn room(&self, context: usize) -> usize {
        let answer = self.request.max_tokens.map_or(usize::MAX, |most| most.saturating_sub(self.answer_tokens()));
        answer.min(context.saturating_sub(self.tokens.len())).saturating_sub(1)
    }

    /// Whether only the last token is missing, and it is one of the answer.
    pub fn is_decoding(&self) -> bool {
        self.tokens.len() > self.request.tokens.len() && self.pending() == 1
    }

    pub fn answer_tokens(&self) -> usize {
        self.tokens.len() - self.request.tokens.len()
    }

    /// Add the hidden states of the next tokens, row by row, so that the sum does not depend on how they were cut.
    pub fn pool<'a>(&mut self, options: &EmbedOptions, rows: impl Iterator<Item = &'a [f32]>) {
        for row in rows {
            if self.pooled.is_empty() {
                self.pooled = row.to_vec();
            } else if options.pooling != Pooling::First {
                self.pooled.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// The vector of all that was pooled.
    pub fn embedding(&mut self, options: &EmbedOptions) -> Vec<f32> {
        options.finish(std::mem::take(&mut self.pooled), self.tokens.len())
    }

    /// Wake the receiver for what lies in its queue, unless the next token, `next_seconds` away, can go with it.
    pub fn tell(&mut self, next_seconds: f64) {
        let now = Instant::now();
        let due = self.told.is_none_or(|told| (now - told).as_secs_f64() + next_seconds > TOGETHER.as_secs_f64());
        if self.untold && due {
            self.sender.wake();
            (self.told, self.untold) = (Some(now), false);
        }
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

/// What prefixes must share beside their tokens: the adapter's content, and the salt.
pub(crate) fn identity(adapter: Option<&Loaded>, salt: &str) -> String {
    format!("{}\0{salt}", adapter.map_or("", |adapter| &adapter.info.digest))
}
