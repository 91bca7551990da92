//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_engine::Usage;
use olivine_text::parsers::{ParsedCall, ParserEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::failure::{Failure, error_value};
use super::{Chunk, OneOrMany, SamplingFields, StreamOptions, data, format, logprobs, messages, usage};
use crate::api::{body, new_id, now_seconds, refuse_unknown};
use crate::call::{Call, Input, Thinking};
use crate::conversation::{self};
use crate::error::ApiError;
use crate::generation::{Answer, Piece, TokenInfo, Why};
use crate::guard::RequestId;
use crate::respond::{self, EVENT_STREAM, Encoder};
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatRequest {
    #[serde(default)]
    model: String,
    #[serde(default)]
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<Value>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    n: Option<usize>,
    stop: Option<OneOrMany>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    reasoning_effort: Option<String>,
    thinking_budget: Option<usize>,
    verbosity: Option<String>,
    chat_template_kwargs: Option<Map<String, Value>>,
    modalities: Option<Vec<String>>,
    keep_alive: Option<Value>,
    cache_salt: Option<String>,
    adapter: Option<String>,
    ignore_eos: Option<bool>,
    #[serde(flatten)]
    sampling: SamplingFields,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Fields that say who asks and how it is billed.
const HINTS: &[&str] = &[
    "user",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    // What an answer probably says: it may make it faster, which the engine sees to by itself.
    "prediction",
];

/// What is left of the request once it is a call.
#[derive(Clone, Debug)]
pub struct Shape {
    id: String,
    created: u64,
    model: String,
    stream: bool,
    include_usage: bool,
    logprobs: bool,
    one_call: bool,
}

impl ChatRequest {
    /// Request → call.
    pub fn call(self) -> Result<(Call, Shape), ApiError> {
        refuse_unknown(&self.rest, HINTS)?;
        if self.modalities.as_ref().is_some_and(|list| list.iter().any(|modality| modality != "text")) {
            return Err(ApiError::unsupported("modalities", "answers are text"));
        }
        let choices = self.n.unwrap_or(1);
        if !(1..=128).contains(&choices) {
            return Err(ApiError::invalid("n", "`n` must be from 1 to 128"));
        }
        let asked = self.logprobs.unwrap_or(false);
        if self.top_logprobs.is_some() && !asked {
            return Err(ApiError::invalid("top_logprobs", "`top_logprobs` wants `logprobs: true`"));
        }
        if self.top_logprobs.unwrap_or(0) > 20 {
            return Err(ApiError::invalid("top_logprobs", "`top_logprobs` must be from 0 to 20"));
        }
        let list = messages::messages(&self.messages)?;
        let (tools, force) = messages::choose_tools(self.tool_choice.as_ref(), messages::tools(self.tools.as_ref())?)?;
        let input = Input::Chat { messages: list, tools, prefill: messages::is_begun(&self.messages)? };
        let call = Call {
            thinking: self.reasoning_effort.as_deref().map(effort),
            thinking_tokens: self.thinking_budget,
            variables: variables(self.chat_template_kwargs.clone().unwrap_or_default(), self.verbosity.as_deref()),
            sampling: self.sampling.overrides(asked.then(|| self.top_logprobs.unwrap_or(0)))?,
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop: self.stop.clone().map(OneOrMany::list).unwrap_or_default(),
            format: format(self.response_format.as_ref(), "response_format")?,
            force,
            strict: messages::strict(self.tools.as_ref()),
            choices,
            ignore_end: self.ignore_eos.unwrap_or(false),
            keep_alive: crate::api::ollama::keep_alive(self.keep_alive.as_ref())?,
            cache_salt: self.cache_salt.clone().unwrap_or_default(),
            adapter: self.adapter.clone(),
            ..Call::new(&self.model, input)
        };
        let shape = Shape {
            id: new_id("chatcmpl-"),
            created: now_seconds(),
            model: self.model,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.unwrap_or_default().include_usage,
            logprobs: asked,
            one_call: self.parallel_tool_calls == Some(false),
        };
        Ok((call, shape))
    }
}

/// A template that knows how long answers shall be is told.
pub(crate) fn variables(mut variables: Map<String, Value>, verbosity: Option<&str>) -> Map<String, Value> {
    if let Some(verbosity) = verbosity {
        variables.insert("verbosity".into(), json!(verbosity));
    }
    variables
}

/// `reasoning_effort`.
pub(crate) fn effort(word: &str) -> Thinking {
    match word {
        "none" => Thinking::Off,
        word => Thinking::Effort(word.to_string()),
    }
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let (mut call, shape) = body::<ChatRequest>(&bytes)?.call()?;
    call.ids = vec![asked.0, shape.id.clone()];
    let (generations, _) = conversation::start(&app, call).await?;
    if shape.stream {
        let encoder = ChatStream::new(shape);
        return Ok(respond::stream(generations, encoder, app.options.heartbeat));
    }
    let mut answers = Vec::new();
    for answer in futures_util::future::join_all(generations.into_iter().map(|one| one.whole())).await {
        answers.push(answer?);
    }
    Ok(respond::json(StatusCode::OK, &shape.whole(&answers)))
}

impl Shape {
    /// All answers in one document.
    pub fn whole(&self, answers: &[Answer]) -> Value {
        let choices: Vec<Value> =
            answers.iter().enumerate().map(|(index, answer)| self.choice(index, answer)).collect();
        let usages: Vec<Usage> = answers.iter().map(|answer| answer.end.usage).collect();
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "olivine",
            "choices": choices,
            "usage": with_reasoning(usage(&usages, usages.len()), answers.iter().map(|answer| answer.end.reasoning_tokens)),
        })
    }

    fn choice(&self, index: usize, answer: &Answer) -> Value {
        let mut calls: Vec<Value> = answer.output.calls.iter().map(tool_call).collect();
        if self.one_call {
            calls.truncate(1);
        }
        let content = &answer.output.content;
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !answer.output.thinking.is_empty() {
            message["reasoning_content"] = json!(answer.output.thinking);
        }
        let reason = finish_reason(&answer.end.why, !calls.is_empty());
        if !calls.is_empty() {
            if content.is_empty() {
                message["content"] = Value::Null;
            }
            message["tool_calls"] = json!(calls);
        }
        let logprobs =
            if self.logprobs { json!({"content": logprobs(&answer.tokens), "refusal": null}) } else { Value::Null };
        json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
    }

    fn chunk<C>(&self, choices: C, usage: Option<Value>) -> Chunk<'_, C> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            system_fingerprint: "olivine",
            choices,
            usage,
        }
    }
}

fn with_reasoning(mut usage: Value, tokens: impl Iterator<Item = usize>) -> Value {
    usage["completion_tokens_details"] = json!({"reasoning_tokens": tokens.sum::<usize>()});
    usage
}

pub(crate) fn call_id(call: &Option<String>) -> String {
    call.clone().unwrap_or_else(|| new_id("call_"))
}

fn tool_call(call: &ParsedCall) -> Value {
    json!({"id": call_id(&call.id), "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

pub(crate) fn finish_reason(why: &Why, called: bool) -> &'static str {
    match why {
        Why::Length => "length",
        _ if called => "tool_calls",
        _ => "stop",
    }
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<Value>,
    finish_reason: Option<&'a str>,
}

/// What is new in a message.
#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Value>,
}

impl Delta<'_> {
    /// Data that says nothing.
    fn empty() -> Self {
        Delta { content: Some(""), ..Delta::default() }
    }
}

/// A stream of chunks.
pub struct ChatStream {
    shape: Shape,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    begun: bool,
    /// Calls of the parser that were told, in order: their place is their index.
    calls: Vec<usize>,
    usage: Option<Usage>,
    reasoning_tokens: usize,
}

impl ChatStream {
    /// Nothing was told yet.
    pub fn new(shape: Shape) -> ChatStream {
        ChatStream { shape, choices: Vec::new() }
    }

    fn choice(&mut self, index: usize) -> &mut Choice {
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }

    fn delta(&mut self, index: usize, mut delta: Delta, tokens: &[TokenInfo], reason: Option<&str>) -> String {
        let choice = self.choice(index);
        if !std::mem::replace(&mut choice.begun, true) {
            delta.role = Some("assistant");
            if delta.content.is_none() && delta.tool_calls.is_none() {
                delta.content = Some("");
            }
        }
        let logprobs = (!tokens.is_empty()).then(|| json!({"content": logprobs(tokens), "refusal": null}));
        let usage = self.shape.include_usage.then_some(Value::Null);
        data(&self.shape.chunk([ChunkChoice { index, delta, logprobs, finish_reason: reason }], usage))
    }

    fn event(&mut self, index: usize, event: ParserEvent, tokens: &[TokenInfo]) -> String {
        let one_call = self.shape.one_call;
        let told = |choice: &Choice, call: usize| choice.calls.iter().position(|known| *known == call);
        let call_delta = |call: Value| Delta { tool_calls: Some(json!([call])), ..Delta::default() };
        let delta = match &event {
            ParserEvent::Thinking(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
            ParserEvent::Content(text) => Delta { content: Some(text), ..Delta::default() },
            &ParserEvent::CallStart { index: call, ref name, ref id } => {
                let choice = self.choice(index);
                if one_call && !choice.calls.is_empty() {
                    return String::new();
                }
                choice.calls.push(call);
                let function = json!({"name": name, "arguments": ""});
                let place = choice.calls.len() - 1;
                call_delta(json!({"index": place, "id": call_id(id), "type": "function", "function": function}))
            }
            &ParserEvent::CallArguments { index: call, ref delta } => match told(self.choice(index), call) {
                Some(place) => call_delta(json!({"index": place, "function": {"arguments": delta}})),
                None => return String::new(),
            },
            ParserEvent::CallEnd { .. } => return String::new(),
            ParserEvent::CallBroken { text, .. } => Delta { content: Some(text), ..Delta::default() },
        };
        self.delta(index, delta, tokens, None)
    }
}

impl Encoder for ChatStream {
    fn content_type(&self) -> &'static str {
        EVENT_STREAM
    }

    fn begin(&mut self) -> String {
        String::new()
    }

    fn piece(&mut self, index: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, tokens } => {
                let mut frames = String::new();
                let mut tokens = &tokens[..];
                if events.is_empty() && !tokens.is_empty() {
                    frames += &self.delta(index, Delta::empty(), tokens, None);
                }
                for event in events {
                    frames += &self.event(index, event, std::mem::take(&mut tokens));
                }
                frames
            }
            Piece::End(end) => {
                let choice = self.choice(index);
                (choice.usage, choice.reasoning_tokens) = (Some(end.usage), end.reasoning_tokens);
                let reason = finish_reason(&end.why, end.called);
                self.delta(index, Delta::default(), &[], Some(reason))
            }
            Piece::Failed(error) => data(&error_value(&error)),
        }
    }

    fn heartbeat(&mut self) -> String {
        // An empty delta: data to a client that drops comments, and nothing new to one that reads it.
        self.delta(0, Delta::empty(), &[], None)
    }

    fn end(&mut self) -> String {
        let mut frames = String::new();
        if self.shape.include_usage {
            let usages: Vec<Usage> = self.choices.iter().filter_map(|choice| choice.usage).collect();
            let none: [(); 0] = [];
            let reasoning = self.choices.iter().map(|choice| choice.reasoning_tokens);
            let usage = with_reasoning(usage(&usages, usages.len()), reasoning);
            frames += &data(&self.shape.chunk(none, Some(usage)));
        }
        frames + "data: [DONE]\n\n"
    }
}
