//! `POST /v1/completions`: text goes on, without a chat template.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_engine::Usage;
use olivine_text::parsers::ParserEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::failure::{Failure, error_value};
use super::{Chunk, OneOrMany, SamplingFields, StreamOptions, data, format, usage};
use crate::api::{body, new_id, now_seconds, refuse_unknown};
use crate::call::{Call, Input};
use crate::conversation::{self};
use crate::error::ApiError;
use crate::generation::{Answer, Piece, TokenInfo, Why};
use crate::guard::RequestId;
use crate::registry::Lease;
use crate::respond::{self, EVENT_STREAM, Encoder};
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct CompletionRequest {
    #[serde(default)]
    model: String,
    prompt: Option<Value>,
    suffix: Option<String>,
    max_tokens: Option<usize>,
    n: Option<usize>,
    best_of: Option<usize>,
    echo: Option<bool>,
    stop: Option<OneOrMany>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    logprobs: Option<usize>,
    response_format: Option<Value>,
    keep_alive: Option<Value>,
    cache_salt: Option<String>,
    adapter: Option<String>,
    ignore_eos: Option<bool>,
    #[serde(flatten)]
    sampling: SamplingFields,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const HINTS: &[&str] = &["user"];

/// What is left of the request once it is calls.
#[derive(Clone, Debug)]
pub struct Shape {
    id: String,
    created: u64,
    model: String,
    stream: bool,
    include_usage: bool,
    logprobs: bool,
    /// Answers to each prompt.
    choices: usize,
    /// The prompt is to be repeated.
    repeats: bool,
    /// The prompt of each choice, where it is to be repeated.
    echo: Vec<String>,
}

impl CompletionRequest {
    /// Request → a call for each prompt.
    pub fn calls(self) -> Result<(Vec<Call>, Shape), ApiError> {
        refuse_unknown(&self.rest, HINTS)?;
        let choices = self.n.unwrap_or(1);
        if !(1..=128).contains(&choices) {
            return Err(ApiError::invalid("n", "`n` must be from 1 to 128"));
        }
        if self.best_of.is_some_and(|best| best != choices) {
            return Err(ApiError::unsupported("best_of", "answers are not made to be thrown away; use `n`"));
        }
        if self.logprobs.is_some_and(|count| count > 20) {
            return Err(ApiError::invalid("logprobs", "`logprobs` must be from 0 to 20"));
        }
        let echo = self.echo.unwrap_or(false);
        if echo && self.logprobs.is_some() {
            return Err(ApiError::unsupported("logprobs", "with `echo`: only the answer's tokens have probabilities"));
        }
        let mut inputs = prompts(self.prompt.as_ref())?;
        if let Some(after) = self.suffix.as_ref().filter(|suffix| !suffix.is_empty()) {
            inputs = inputs.into_iter().map(|input| fill(input, after)).collect::<Result<Vec<_>, _>>()?;
        }
        let base = Call {
            sampling: self.sampling.overrides(self.logprobs)?,
            // What the endpoint has always done where nobody says so.
            max_tokens: Some(self.max_tokens.unwrap_or(16)),
            stop: self.stop.clone().map(OneOrMany::list).unwrap_or_default(),
            format: format(self.response_format.as_ref(), "response_format")?,
            choices,
            ignore_end: self.ignore_eos.unwrap_or(false),
            keep_alive: crate::api::ollama::keep_alive(self.keep_alive.as_ref())?,
            cache_salt: self.cache_salt.clone().unwrap_or_default(),
            adapter: self.adapter.clone(),
            ..Call::new(&self.model, Input::Text(String::new()))
        };
        let calls = inputs.into_iter().map(|input| Call { input, ..base.clone() }).collect();
        let shape = Shape {
            id: new_id("cmpl-"),
            created: now_seconds(),
            model: self.model,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.unwrap_or_default().include_usage,
            logprobs: self.logprobs.is_some(),
            choices,
            repeats: echo,
            echo: Vec::new(),
        };
        Ok((calls, shape))
    }
}

/// A string, strings, tokens, or lists of tokens.
fn prompts(prompt: Option<&Value>) -> Result<Vec<Input>, ApiError> {
    let wrong = || ApiError::invalid("prompt", "`prompt` must be a string, strings, or lists of token ids");
    let tokens = |list: &[Value]| -> Option<Input> {
        list.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect::<Option<Vec<u32>>>().map(Input::Tokens)
    };
    match prompt {
        Some(Value::String(text)) => Ok(vec![Input::Text(text.clone())]),
        Some(Value::Array(list)) if list.first().is_some_and(Value::is_number) => {
            Ok(vec![tokens(list).ok_or_else(wrong)?])
        }
        Some(Value::Array(list)) if !list.is_empty() => {
            let one = |value: &Value| match value {
                Value::String(text) => Some(Input::Text(text.clone())),
                Value::Array(list) => tokens(list),
                _ => None,
            };
            list.iter().map(one).collect::<Option<Vec<Input>>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn fill(input: Input, after: &str) -> Result<Input, ApiError> {
    match input {
        Input::Text(before) => Ok(Input::Fill { before, after: after.to_string() }),
        _ => Err(ApiError::invalid("suffix", "`suffix` wants a `prompt` of text")),
    }
}

fn shown(input: &Input, lease: &Lease) -> String {
    match input {
        Input::Text(text) | Input::Fill { before: text, .. } => text.clone(),
        Input::Tokens(tokens) => lease.parts.tokenizer.decode(tokens, false),
        Input::Chat { .. } => String::new(),
    }
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let (calls, mut shape) = body::<CompletionRequest>(&bytes)?.calls()?;
    let mut generations = Vec::new();
    for mut call in calls {
        call.ids = vec![asked.0.clone(), shape.id.clone()];
        let input = call.input.clone();
        let started = conversation::start(&app, call).await?.0;
        if shape.repeats {
            shape.echo.extend(started.iter().map(|generation| shown(&input, generation.lease())));
        }
        generations.extend(started);
    }
    if shape.stream {
        let usages = vec![None; generations.len()];
        return Ok(respond::stream(generations, CompletionStream { shape, usages }, app.options.heartbeat));
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
        let choice = |(index, answer): (usize, &Answer)| {
            let before = self.echo.get(index).map(String::as_str).unwrap_or_default();
            let text = format!("{before}{}", answer.output.content);
            let logprobs = if self.logprobs { logprobs(&answer.tokens) } else { Value::Null };
            json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason(&answer.end.why)})
        };
        let choices: Vec<Value> = answers.iter().enumerate().map(choice).collect();
        let usages: Vec<Usage> = answers.iter().map(|answer| answer.end.usage).collect();
        let mut document = self.document(json!(choices));
        document["usage"] = usage(&usages, self.choices);
        document
    }

    fn document(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "olivine",
            "choices": choices,
        })
    }
}

fn reason(why: &Why) -> &'static str {
    if *why == Why::Length { "length" } else { "stop" }
}

/// The older form of log-probabilities: lists beside each other.
fn logprobs(tokens: &[TokenInfo]) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut offset = 0;
    let mut offsets = Vec::new();
    for token in tokens {
        offsets.push(offset);
        offset += text(&token.bytes).chars().count();
    }
    let top = |token: &TokenInfo| {
        token.top.iter().map(|(bytes, logprob)| (text(bytes), json!(logprob))).collect::<Map<String, Value>>()
    };
    json!({
        "tokens": tokens.iter().map(|token| text(&token.bytes)).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| token.logprob).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<Value>,
    finish_reason: Option<&'a str>,
}

/// A stream of chunks.
struct CompletionStream {
    shape: Shape,
    usages: Vec<Option<Usage>>,
}

impl CompletionStream {
    fn chunk(&self, index: usize, text: &str, tokens: &[TokenInfo], reason: Option<&str>) -> String {
        let logprobs = (self.shape.logprobs && !tokens.is_empty()).then(|| logprobs(tokens));
        let choice = ChunkChoice { index, text, logprobs, finish_reason: reason };
        data(&Chunk {
            id: &self.shape.id,
            object: "text_completion",
            created: self.shape.created,
            model: &self.shape.model,
            system_fingerprint: "olivine",
            choices: [choice],
            usage: self.shape.include_usage.then_some(Value::Null),
        })
    }
}

impl Encoder for CompletionStream {
    fn content_type(&self) -> &'static str {
        EVENT_STREAM
    }

    fn begin(&mut self) -> String {
        let echo = self.shape.echo.iter().enumerate();
        echo.map(|(index, text)| self.chunk(index, text, &[], None)).collect()
    }

    fn piece(&mut self, index: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, tokens } => {
                let content = |event: ParserEvent| match event {
                    ParserEvent::Content(text) => text,
                    _ => String::new(),
                };
                let text: String = events.into_iter().map(content).collect();
                if text.is_empty() && tokens.is_empty() {
                    String::new()
                } else {
                    self.chunk(index, &text, &tokens, None)
                }
            }
            Piece::End(end) => {
                self.usages[index] = Some(end.usage);
                self.chunk(index, "", &[], Some(reason(&end.why)))
            }
            Piece::Failed(error) => data(&error_value(&error)),
        }
    }

    fn heartbeat(&mut self) -> String {
        self.chunk(0, "", &[], None)
    }

    fn end(&mut self) -> String {
        let mut frames = String::new();
        if self.shape.include_usage {
            let usages: Vec<Usage> = self.usages.iter().flatten().copied().collect();
            let mut chunk = self.shape.document(json!([]));
            chunk["usage"] = usage(&usages, self.shape.choices);
            frames += &data(&chunk);
        }
        frames + "data: [DONE]\n\n"
    }
}
