//! `POST /v1/tokenize` and `/v1/detokenize`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::openai::failure::Failure;
use crate::api::openai::messages;
use crate::api::{body, refuse_unknown};
use crate::call::{Call, Input};
use crate::conversation::{self};
use crate::error::ApiError;
use crate::respond;
use crate::state::App;

/// Text or messages.
#[derive(Clone, Debug, Deserialize)]
pub struct TokenizeRequest {
    #[serde(default)]
    model: String,
    #[serde(alias = "content", alias = "text")]
    prompt: Option<String>,
    messages: Option<Vec<Value>>,
    tools: Option<Vec<Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Text → tokens, as a prompt is made of it.
pub async fn tokenize(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: TokenizeRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &[])?;
    let input = match (&request.messages, request.prompt) {
        (Some(list), None) => {
            let (messages, tools) = (messages::messages(list)?, messages::tools(request.tools.as_ref())?);
            Input::Chat { messages, tools, prefill: false }
        }
        (None, Some(text)) => Input::Text(text),
        _ => return Err(ApiError::invalid("prompt", "give one of `prompt` and `messages`").into()),
    };
    let (lease, prepared) = conversation::prepare(&app, &Call::new(&request.model, input)).await?;
    let limit = lease.parts.engine.context_tokens();
    let document = json!({"tokens": prepared.tokens, "count": prepared.tokens.len(), "max_model_len": limit});
    Ok(respond::json(StatusCode::OK, &document))
}

/// Tokens.
#[derive(Clone, Debug, Deserialize)]
pub struct DetokenizeRequest {
    #[serde(default)]
    model: String,
    #[serde(default)]
    tokens: Vec<u32>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Tokens → text.
pub async fn detokenize(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: DetokenizeRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &[])?;
    let lease = app.registry.lease(&request.model, None).await?;
    let tokenizer = &lease.parts.tokenizer;
    if let Some(id) = request.tokens.iter().find(|id| **id as usize >= tokenizer.vocab_size()) {
        let message = format!("token {id} is beyond the vocabulary of {}", tokenizer.vocab_size());
        return Err(ApiError::invalid("tokens", message).into());
    }
    Ok(respond::json(StatusCode::OK, &json!({"prompt": tokenizer.decode(&request.tokens, false)})))
}
