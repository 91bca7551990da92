//! OpenAI's dialect: `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/models`, `/v1/responses`.

pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod failure;
pub mod messages;
pub mod models;
mod response_shape;
mod response_stream;
pub mod responses;
pub mod stored;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use olivine_engine::{Grammar, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::call::Overrides;
use crate::error::{ApiError, Kind};
use crate::generation::TokenInfo;
use crate::respond;
use crate::state::App;
use failure::error_value;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/chat/completions", post(chat::serve))
        .route("/v1/completions", post(completions::serve))
        .route("/v1/embeddings", post(embeddings::serve))
        .route("/v1/responses", post(responses::serve))
        .route("/v1/responses/{id}", get(stored::show).delete(stored::delete))
        .route("/v1/responses/{id}/cancel", post(crate::api::own::requests::cancel))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::show))
}

/// Fields of sampling that the endpoints share.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SamplingFields {
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    min_p: Option<f32>,
    typical_p: Option<f32>,
    repetition_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    logit_bias: Option<Map<String, Value>>,
    seed: Option<i64>,
}

impl SamplingFields {
    pub(crate) fn overrides(&self, logprobs: Option<usize>) -> Result<Overrides, ApiError> {
        range("temperature", self.temperature, 0.0, 2.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        range("min_p", self.min_p, 0.0, 1.0)?;
        range("typical_p", self.typical_p, 0.0, 1.0)?;
        range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        let mut logit_bias = Vec::new();
        for (token, bias) in self.logit_bias.iter().flatten() {
            let entry = token.parse::<u32>().ok().zip(bias.as_f64());
            let Some((token, bias)) = entry.filter(|(_, bias)| (-100.0..=100.0).contains(bias)) else {
                let message =
                    format!("`logit_bias` maps token ids to numbers from -100 to 100, not {token:?} to {bias}");
                return Err(ApiError::invalid("logit_bias", message));
            };
            logit_bias.push((token, bias as f32));
        }
        Ok(Overrides {
            temperature: self.temperature,
            // 0 and -1 mean all, in one server or the other.
            top_k: self.top_k.map(|k| k.max(0) as usize),
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            penalty_tokens: None,
            logit_bias,
            seed: self.seed.map(|seed| seed as u64),
            logprobs,
        })
    }
}

fn range(name: &str, value: Option<f32>, from: f32, to: f32) -> Result<(), ApiError> {
    match value {
        Some(value) if !(from..=to).contains(&value) => {
            Err(ApiError::invalid(name, format!("`{name}` must be from {from} to {to}, not {value}")))
        }
        _ => Ok(()),
    }
}

/// `stop`: a string or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn list(self) -> Vec<String> {
        match self {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(list) => list,
        }
    }
}

/// `stream_options`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamOptions {
    /// One more chunk with the usage.
    #[serde(default)]
    pub include_usage: bool,
    /// Random padding against side channels; there is none to hide behind on one's own machine.
    #[serde(default)]
    #[allow(dead_code)]
    include_obfuscation: bool,
}

/// `response_format`, and the `text.format` of responses.
pub(crate) fn format(value: Option<&Value>, param: &str) -> Result<Option<Grammar>, ApiError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match value["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Grammar::JsonObject)),
        Some("json_schema") => {
            let schema = value["json_schema"].get("schema").or_else(|| value.get("schema"));
            let schema = schema.filter(|schema| schema.is_object() || schema.is_boolean());
            let missing = || ApiError::invalid(param, format!("`{param}` of type json_schema wants a `schema`"));
            Ok(Some(Grammar::JsonSchema(schema.ok_or_else(missing)?.to_string())))
        }
        Some("regex") => text_of(value, "pattern", param).map(|pattern| Some(Grammar::Regex(pattern))),
        Some("grammar") => text_of(value, "grammar", param).map(|grammar| Some(Grammar::Lark(grammar))),
        _ => {
            let message = format!("`{param}.type` must be text, json_object, json_schema, regex or grammar");
            Err(ApiError::invalid(param, message))
        }
    }
}

fn text_of(value: &Value, field: &str, param: &str) -> Result<String, ApiError> {
    let missing = || ApiError::invalid(param, format!("`{param}` of this type wants a `{field}`"));
    value[field].as_str().map(str::to_string).ok_or_else(missing)
}

/// `usage` of chat and completions. `each`: answers to one prompt, whose tokens count once.
pub(crate) fn usage(all: &[Usage], each: usize) -> Value {
    let answer: usize = all.iter().map(|usage| usage.answer_tokens).sum();
    let prompts = || all.iter().step_by(each.max(1));
    let prompt: usize = prompts().map(|usage| usage.prompt_tokens).sum();
    let cached: usize = prompts().map(|usage| usage.cached_tokens).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    })
}

/// `logprobs.content`.
pub(crate) fn logprobs(tokens: &[TokenInfo]) -> Value {
    let one = |bytes: &[u8], logprob: f32| json!({"token": String::from_utf8_lossy(bytes), "logprob": logprob, "bytes": bytes});
    let token = |token: &TokenInfo| {
        let mut value = one(&token.bytes, token.logprob);
        value["top_logprobs"] = token.top.iter().map(|(bytes, logprob)| one(bytes, *logprob)).collect();
        value
    };
    tokens.iter().map(token).collect()
}

/// A server-sent event without a name.
pub(crate) fn data(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("[openai] chunks have string keys");
    format!("data: {text}\n\n")
}

/// A chunk of a stream; typed, for there is one a token.
#[derive(Serialize)]
pub(crate) struct Chunk<'a, C> {
    pub id: &'a str,
    pub object: &'static str,
    pub created: u64,
    pub model: &'a str,
    pub system_fingerprint: &'static str,
    pub choices: C,
    /// Null until the end, where the client asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
}

/// A method that a path does not have.
pub async fn no_method() -> Response {
    let error = ApiError::new(Kind::Invalid, "method not allowed");
    respond::failure(StatusCode::METHOD_NOT_ALLOWED, &error, &error_value(&error))
}
