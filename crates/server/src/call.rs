//! A request without its dialect: what is asked of which model.
//!
//! Invariant: a dialect fills in a `Call`; from there on nothing knows which dialect it was. Read `api` for the
//! dialects and `conversation` for how it becomes tokens.

use std::time::Instant;

use olivine_engine::Grammar;
use serde_json::{Map, Value};

use crate::registry::KeepAlive;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Input {
    /// Messages, as chat templates take them, and tools.
    Chat {
        /// `role`, `content`, `reasoning_content`, `tool_calls` (arguments as objects), `tool_call_id`, `name`.
        messages: Vec<Value>,
        /// `{type: function, function: {name, description, parameters}}`.
        tools: Vec<Value>,
        /// The last message is the beginning of the answer.
        prefill: bool,
    },
    /// Text to go on with.
    Text(String),
    /// Tokens to go on with.
    Tokens(Vec<u32>),
    /// What stands between two texts is wanted.
    Fill {
        /// The text before it.
        before: String,
        /// The text behind it.
        after: String,
    },
}

/// Whether a model shall think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Yes.
    On,
    /// No.
    Off,
    /// So much.
    Effort(String),
    /// Yes, so much where it says so, where the model can.
    IfAble(Option<String>),
}

/// Which call the answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Force {
    /// One of any tool.
    Any,
    /// One of this tool.
    Named(String),
}

/// What a request changes of a model's sampling.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// See [`SamplingOptions`].
    pub temperature: Option<f32>,
    /// See [`SamplingOptions`].
    pub top_k: Option<usize>,
    /// See [`SamplingOptions`].
    pub top_p: Option<f32>,
    /// See [`SamplingOptions`].
    pub min_p: Option<f32>,
    /// See [`SamplingOptions`].
    pub typical_p: Option<f32>,
    /// See [`SamplingOptions`].
    pub repetition_penalty: Option<f32>,
    /// See [`SamplingOptions`].
    pub presence_penalty: Option<f32>,
    /// See [`SamplingOptions`].
    pub frequency_penalty: Option<f32>,
    /// See [`SamplingOptions`].
    pub penalty_tokens: Option<usize>,
    /// See [`SamplingOptions`].
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same text.
    pub seed: Option<u64>,
    /// How many alternatives to report.
    pub logprobs: Option<usize>,
}

/// [`Call::max_tokens`] of a request that wants no limit, whatever the model's defaults are.
pub const NO_LIMIT: usize = usize::MAX;

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The model's name.
    pub model: String,
    /// What is asked.
    pub input: Input,
    /// Whether to think; none: as the model does by itself.
    pub thinking: Option<Thinking>,
    /// Most tokens of the reasoning.
    pub thinking_tokens: Option<usize>,
    /// Further variables of the chat template.
    pub variables: Map<String, Value>,
    /// Sampling.
    pub sampling: Overrides,
    /// Most tokens of the answer.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub format: Option<Grammar>,
    /// The answer must be a call.
    pub force: Option<Force>,
    /// Tools whose arguments must satisfy their schema in calls that nobody forces, too.
    pub strict: Vec<String>,
    /// How many answers.
    pub choices: usize,
    /// Go on behind end tokens.
    pub ignore_end: bool,
    /// How long the model stays.
    pub keep_alive: Option<KeepAlive>,
    /// Requests share cached prefixes only with the same salt.
    pub cache_salt: String,
    /// Name of an adapter of the model.
    pub adapter: Option<String>,
    /// In the place of the model's chat template, in any of the forms that Modelfiles have.
    pub template: Option<String>,
    /// Longest prompt and answer together.
    pub context_tokens: Option<usize>,
    /// Leave the oldest messages out where the prompt is too long.
    pub truncate: bool,
    /// Tokens of an earlier conversation that comes before the input.
    pub context: Vec<u32>,
    /// The end tells all tokens, so that a later request can go on from them.
    pub tells_tokens: bool,
    /// Ids by which the answer can be cancelled.
    pub ids: Vec<String>,
    /// The model's defaults are in it.
    pub(crate) with_defaults: bool,
    /// When it came.
    pub started: Instant,
}

impl Call {
    /// A call with nothing set.
    pub fn new(model: &str, input: Input) -> Call {
        Call {
            model: model.to_string(),
            input,
            thinking: None,
            thinking_tokens: None,
            variables: Map::new(),
            sampling: Overrides::default(),
            max_tokens: None,
            stop: Vec::new(),
            format: None,
            force: None,
            strict: Vec::new(),
            choices: 1,
            ignore_end: false,
            keep_alive: None,
            cache_salt: String::new(),
            adapter: None,
            template: None,
            context_tokens: None,
            truncate: false,
            context: Vec::new(),
            tells_tokens: false,
            ids: Vec::new(),
            with_defaults: false,
            started: Instant::now(),
        }
    }
}
