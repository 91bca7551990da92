//! `POST /api/generate`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_text::parsers::ParserEvent;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Failure, error_value, finished, keep_alive, line, now, options};
use crate::api::{body, refuse_unknown};
use crate::call::{Call, Input, Thinking};
use crate::conversation::{self};
use crate::error::ApiError;
use crate::generation::{Answer, End, Piece, TokenInfo};
use crate::guard::RequestId;
use crate::respond::{self, Encoder, NDJSON};
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct GenerateRequest {
    #[serde(default)]
    model: String,
    #[serde(default)]
    prompt: String,
    suffix: Option<String>,
    system: Option<String>,
    template: Option<String>,
    context: Option<Vec<u32>>,
    stream: Option<bool>,
    raw: Option<bool>,
    format: Option<Value>,
    keep_alive: Option<Value>,
    images: Option<Vec<Value>>,
    options: Option<Map<String, Value>>,
    think: Option<Value>,
    truncate: Option<bool>,
    shift: Option<bool>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl GenerateRequest {
    /// Request → call.
    pub fn call(&self) -> Result<Call, ApiError> {
        refuse_unknown(&self.rest, &[])?;
        if self.images.as_ref().is_some_and(|images| !images.is_empty()) {
            return Err(ApiError::unsupported("images", "models read text"));
        }
        let raw = self.raw.unwrap_or(false);
        let context = self.context.clone().unwrap_or_default();
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (template, thinking) = (given(&self.template), options::think(self.think.as_ref())?);
        if raw && (template.is_some() || given(&self.system).is_some() || !context.is_empty()) {
            return Err(ApiError::invalid("raw", "raw mode does not support template, system, or context"));
        }
        let fills = given(&self.suffix).is_some();
        if fills && (template.is_some() || given(&self.system).is_some()) {
            return Err(ApiError::invalid("suffix", "a suffix goes without template and system"));
        }
        if (raw || fills) && thinking.as_ref().is_some_and(|thinking| *thinking != Thinking::Off) {
            return Err(ApiError::invalid("think", "think wants a chat template: neither raw nor suffix has one"));
        }
        let input = match (raw, self.suffix.as_ref().filter(|suffix| !suffix.is_empty())) {
            (true, None) => Input::Text(self.prompt.clone()),
            (false, Some(after)) => Input::Fill { before: self.prompt.clone(), after: after.clone() },
            (true, Some(_)) => return Err(ApiError::invalid("suffix", "raw mode does not support suffix")),
            (false, None) => {
                let system = self.system.iter().filter(|text| !text.is_empty());
                let mut messages: Vec<Value> = system.map(|text| json!({"role": "system", "content": text})).collect();
                messages.push(json!({"role": "user", "content": self.prompt}));
                Input::Chat { messages, tools: Vec::new(), prefill: false }
            }
        };
        let mut call = Call {
            keep_alive: keep_alive(self.keep_alive.as_ref())?,
            format: options::format(self.format.as_ref())?,
            thinking,
            template,
            context,
            tells_tokens: !raw,
            truncate: self.truncate.unwrap_or(true) && self.shift.unwrap_or(true),
            ..Call::new(&self.model, input)
        };
        call.sampling.logprobs = options::logprobs(self.logprobs, self.top_logprobs)?;
        options::apply(self.options.as_ref(), &mut call)?;
        Ok(call)
    }
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let request: GenerateRequest = body(&bytes)?;
    let call = Call { ids: vec![asked.0], ..request.call()? };
    if request.prompt.is_empty() && request.suffix.as_ref().is_none_or(String::is_empty) {
        return Ok(load_or_unload(&app, &call, "response", json!("")).await?);
    }
    let (mut generations, _) = conversation::start(&app, call).await?;
    if request.stream.unwrap_or(true) {
        let encoder = GenerateStream { model: request.model };
        return Ok(respond::stream(generations, encoder, app.options.heartbeat));
    }
    let answer = generations.remove(0).whole().await?;
    Ok(respond::json(StatusCode::OK, &whole(&request.model, &answer)))
}

/// A request without a prompt loads the model, or unloads it where `keep_alive` is 0.
pub(super) async fn load_or_unload(
    app: &Arc<App>,
    call: &Call,
    field: &str,
    empty: Value,
) -> Result<Response, ApiError> {
    use crate::registry::KeepAlive;
    let unload = call.keep_alive == Some(KeepAlive::For(std::time::Duration::ZERO));
    if unload {
        app.registry.unload(&call.model)?;
    } else {
        app.registry.lease(&call.model, call.keep_alive).await?;
    }
    let reason = if unload { "unload" } else { "load" };
    let mut document = Map::new();
    document.insert("model".into(), json!(call.model));
    document.insert("created_at".into(), json!(now()));
    document.insert(field.into(), empty);
    document.insert("done".into(), json!(true));
    document.insert("done_reason".into(), json!(reason));
    Ok(respond::json(StatusCode::OK, &Value::Object(document)))
}

/// `logprobs` of both endpoints.
pub(super) fn logprobs(tokens: &[TokenInfo]) -> Value {
    let one = |bytes: &[u8], logprob: f32| json!({"token": String::from_utf8_lossy(bytes), "logprob": logprob, "bytes": bytes});
    let token = |token: &TokenInfo| {
        let mut value = one(&token.bytes, token.logprob);
        value["top_logprobs"] = token.top.iter().map(|(bytes, logprob)| one(bytes, *logprob)).collect();
        value
    };
    tokens.iter().map(token).collect()
}

fn document(model: &str, response: &str) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("model".into(), json!(model));
    document.insert("created_at".into(), json!(now()));
    document.insert("response".into(), json!(response));
    document
}

fn whole(model: &str, answer: &Answer) -> Value {
    let mut document = document(model, &answer.output.content);
    if !answer.output.thinking.is_empty() {
        document.insert("thinking".into(), json!(answer.output.thinking));
    }
    if !answer.tokens.is_empty() {
        document.insert("logprobs".into(), logprobs(&answer.tokens));
    }
    finished(with_context(document, &answer.end), &answer.end)
}

/// The tokens of prompt and answer, to be sent back with the next prompt.
fn with_context(mut document: Map<String, Value>, end: &End) -> Map<String, Value> {
    if !end.tokens.is_empty() {
        document.insert("context".into(), json!(end.tokens));
    }
    document
}

struct GenerateStream {
    model: String,
}

impl Encoder for GenerateStream {
    fn content_type(&self) -> &'static str {
        NDJSON
    }

    fn begin(&mut self) -> String {
        String::new()
    }

    fn piece(&mut self, _choice: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, tokens } => {
                let (mut thinking, mut response) = (String::new(), String::new());
                for event in events {
                    match event {
                        ParserEvent::Thinking(text) => thinking += &text,
                        ParserEvent::Content(text) | ParserEvent::CallBroken { text, .. } => response += &text,
                        _ => {}
                    }
                }
                if thinking.is_empty() && response.is_empty() && tokens.is_empty() {
                    return String::new();
                }
                let mut document = document(&self.model, &response);
                if !thinking.is_empty() {
                    document.insert("thinking".into(), json!(thinking));
                }
                document.insert("done".into(), json!(false));
                if !tokens.is_empty() {
                    document.insert("logprobs".into(), logprobs(&tokens));
                }
                line(&Value::Object(document))
            }
            Piece::End(end) => line(&finished(with_context(document(&self.model, ""), &end), &end)),
            Piece::Failed(error) => line(&error_value(&error)),
        }
    }

    fn heartbeat(&mut self) -> String {
        let mut document = document(&self.model, "");
        document.insert("done".into(), json!(false));
        line(&Value::Object(document))
    }

    fn end(&mut self) -> String {
        String::new()
    }
}
