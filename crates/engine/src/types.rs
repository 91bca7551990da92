//! What crosses the narrow waist: requests go down, events come up. No strings of text, no JSON, no async.
//!
//! Invariant: a request that [`crate::Engine::submit`] accepted ends with exactly one `Finished` or `Failed`.
//! Read next: `engine.rs`.

use std::time::Duration;

pub use olivine_lm::pooling::Pooling;
use olivine_lm::sampling_options::SamplingOptions;

use crate::reasoning::ReasoningLimit;

/// A request's number, unique in the process.
pub type RequestId = u64;

/// What to do with some tokens.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The prompt; at least one token.
    pub tokens: Vec<u32>,
    /// What is wanted.
    pub task: Task,
    /// How tokens are chosen. Random numbers depend on its seed and a token's position alone.
    pub sampling: SamplingOptions,
    /// Most tokens of the answer; none: until the context is full.
    pub max_tokens: Option<usize>,
    /// Tokens that end the answer. They are not sent as [`Event::Token`]; [`Finished::stop_token`] names it.
    pub stop_tokens: Vec<u32>,
    /// What the answer must look like.
    pub constraint: Option<Constraint>,
    /// How long the answer may reason; none: as long as it likes.
    pub reasoning: Option<ReasoningLimit>,
    /// Name of a loaded adapter.
    pub adapter: Option<String>,
    /// Requests share cached prefixes only with requests of the same salt.
    pub cache_salt: String,
    /// Do not look for a cached prefix and leave none behind.
    pub no_cache: bool,
    /// Higher ones are admitted and prefilled first.
    pub priority: i32,
}

/// What is wanted of the tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Task {
    /// An answer.
    #[default]
    Generate,
    /// One vector for all of them.
    Embed(EmbedOptions),
    /// Natural logarithms of the probabilities that these tokens come next (to rank documents).
    Score(Vec<u32>),
    /// What an encoder's classification head says of a text, or of two one behind the other.
    Classify {
        /// Where the second text begins; behind the end: there is one.
        second: usize,
    },
}

/// How hidden states become one vector.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedOptions {
    /// Which rows.
    pub pooling: Pooling,
    /// Divide by the length.
    pub normalize: bool,
    /// Keep only the first so many numbers (before normalizing).
    pub dimensions: Option<usize>,
}

impl EmbedOptions {
    /// The vector of what was picked of `tokens` rows, summed up.
    pub(crate) fn finish(&self, mut vector: Vec<f32>, tokens: usize) -> Vec<f32> {
        if self.pooling == Pooling::Mean {
            vector.iter_mut().for_each(|value| *value /= tokens as f32);
        }
        vector.truncate(self.dimensions.unwrap_or(usize::MAX));
        if self.normalize {
            let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
        vector
    }
}

/// What an answer must look like, from its first token on or behind a marker.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// The form.
    pub grammar: Grammar,
    /// The form begins behind the first occurrence of these tokens in the answer (the end of a thinking block);
    /// empty: at the first token.
    pub after: Vec<u32>,
    /// What follows the form is free, and every further occurrence of `after` begins it anew. Without this the answer
    /// ends with the form.
    pub again: bool,
}

/// A form of text.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies this schema (the schema's text).
    JsonSchema(String),
    /// The same between line breaks, and then a token that closes it.
    Closed {
        /// The schema's text.
        schema: String,
        /// The token.
        close: u32,
    },
    /// A regular expression that matches the whole answer.
    Regex(String),
    /// A Lark grammar, as llguidance reads it.
    Lark(String),
    /// One of these strings.
    Choice(Vec<String>),
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It waits; so many requests are before it.
    Queued {
        /// Requests before it.
        ahead: usize,
    },
    /// It has memory and its turn; so many prompt tokens are cached.
    Started {
        /// Prompt tokens that need not be computed.
        cached_tokens: usize,
    },
    /// A piece of the prompt is computed. Also sent when a request was set back for want of memory.
    Prefill {
        /// Prompt tokens that are in the cache.
        done: usize,
        /// Tokens to be there before the next token of the answer.
        total: usize,
    },
    /// The next token of the answer.
    Token(Token),
    /// The vector of an embedding request; the numbers of a scoring or classifying one.
    Embedding(Vec<f32>),
    /// The end of a request that went well.
    Finished(Finished),
    /// The end of one that did not.
    Failed(Failure),
}

/// A token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Natural logarithm of its probability, where `sampling.logprobs` asks for it.
    pub logprob: Option<f32>,
    /// The most likely tokens with theirs, as many as `sampling.logprobs` says.
    pub top: Vec<(u32, f32)>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Why.
    pub reason: FinishReason,
    /// The token that ended it.
    pub stop_token: Option<u32>,
    /// What it took.
    pub usage: Usage,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop token, or the constraint's text is complete.
    Stop,
    /// The limit of tokens, or the context is full.
    Length,
    /// The receiver asked for it or went away.
    Cancelled,
}

/// What a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Prompt tokens that were cached.
    pub cached_tokens: usize,
    /// Cached tokens that came from disk.
    pub disk_tokens: usize,
    /// Tokens of the answer, a stop token among them.
    pub answer_tokens: usize,
    /// Tokens proposed by speculation, and how many of them were right.
    pub drafted_tokens: usize,
    /// Right ones among the drafted.
    pub accepted_tokens: usize,
    /// From submission to the first step.
    pub queued: Duration,
    /// From there to the first token of the answer.
    pub prefill: Duration,
    /// From there to the end.
    pub decode: Duration,
}

/// Why a request that was accepted failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// What happened, naming the op or field.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A step panicked; a bug of ours. The requests of that step fail, others go on.
    Internal,
    /// The constraint cannot be kept.
    Constraint,
    /// The engine shut down.
    Closed,
}

/// Why a request was not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// A field with a value that makes no sense; `field` is the name in [`Request`].
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The prompt does not fit the context.
    #[error("the prompt has {prompt_tokens} tokens, but the context only {context_tokens}")]
    TooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens of the context.
        context_tokens: usize,
    },
    /// It needs more cache memory than there is in all.
    #[error("the request needs {needed_bytes} bytes of cache memory, but there are only {budget_bytes}")]
    TooLarge {
        /// What it needs.
        needed_bytes: usize,
        /// What there is.
        budget_bytes: usize,
    },
    /// The queue is full.
    #[error("{limit} requests are waiting already; try again in about {} s", retry_after.as_secs().max(1))]
    QueueFull {
        /// The queue's length.
        limit: usize,
        /// When there may be room.
        retry_after: Duration,
    },
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    Closed,
}
