//! `DELETE /v1/cache`, `GET /v1/cache/stats`, `POST /v1/cache/probe`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_engine::{BlockPlace, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::openai::failure::Failure;
use crate::api::openai::messages;
use crate::api::{body, refuse_unknown};
use crate::call::{Call, Input};
use crate::conversation::{self};
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::state::App;

/// Forgets all prefixes that no running request uses.
pub async fn clear(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let residents = app.registry.residents();
    let clear = move || residents.iter().map(|one| one.model.parts.engine.clear_cache()).sum::<usize>();
    let freed = blocking(clear).await?;
    Ok(respond::json(StatusCode::OK, &json!({"freed_bytes": freed})))
}

/// What the caches hold.
pub async fn stats(State(app): State<Arc<App>>) -> Response {
    let model = |resident: &crate::registry::Resident| {
        let status = resident.model.parts.engine.status();
        json!({
            "model": resident.model.card.name,
            "blocks": status.blocks,
            "used_bytes": status.kv_bytes_used,
            "cached_bytes": status.kv_bytes_cached,
            "budget_bytes": status.kv_bytes_budget,
            "disk_blocks": status.disk_blocks,
            "disk_bytes": status.disk_bytes,
            "disk_error": status.disk_error,
            "prompt_tokens": status.prompt_tokens,
            "cached_tokens": status.cached_tokens,
        })
    };
    let models: Vec<Value> = app.registry.residents().iter().map(model).collect();
    respond::json(StatusCode::OK, &json!({"models": models}))
}

/// The body of a probe: a chat, a text, or tokens.
#[derive(Clone, Debug, Deserialize)]
pub struct ProbeRequest {
    #[serde(default)]
    model: String,
    messages: Option<Vec<Value>>,
    tools: Option<Vec<Value>>,
    prompt: Option<String>,
    tokens: Option<Vec<u32>>,
    #[serde(default)]
    cache_salt: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl ProbeRequest {
    fn call(self) -> Result<Call, ApiError> {
        refuse_unknown(&self.rest, &[])?;
        let input = match (&self.messages, self.prompt, self.tokens) {
            (Some(list), None, None) => {
                let (messages, tools) = (messages::messages(list)?, messages::tools(self.tools.as_ref())?);
                Input::Chat { messages, tools, prefill: false }
            }
            (None, Some(text), None) => Input::Text(text),
            (None, None, Some(tokens)) => Input::Tokens(tokens),
            _ => return Err(ApiError::invalid("messages", "give one of `messages`, `prompt` and `tokens`")),
        };
        Ok(Call { cache_salt: self.cache_salt, ..Call::new(&self.model, input) })
    }
}

/// Where a prompt is in the caches, and where it parts from the last one.
pub async fn probe(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let call = body::<ProbeRequest>(&bytes)?.call()?;
    let (lease, prepared) = conversation::prepare(&app, &call).await?;
    let prompt_tokens = prepared.tokens.len();
    let (tokens, adapter) = (prepared.tokens, prepared.adapter);
    let request = Request { tokens, adapter, cache_salt: call.cache_salt, ..Request::default() };
    let probe = blocking(move || lease.parts.engine.probe(request)).await?;
    let probe = probe.ok_or_else(|| ApiError::new(Kind::Unavailable, "the engine is shutting down"))?;
    let place = |place: &BlockPlace| match place {
        BlockPlace::Memory => "memory",
        BlockPlace::Disk => "disk",
        BlockPlace::Cold => "cold",
    };
    let document = json!({
        "prompt_tokens": prompt_tokens,
        "resumable_tokens": probe.resumable_tokens,
        "block_tokens": probe.block_tokens,
        "blocks": probe.blocks.iter().map(place).collect::<Vec<_>>(),
        "first_difference": probe.first_difference,
    });
    Ok(respond::json(StatusCode::OK, &document))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::new(Kind::Internal, "the cache's answer was lost"))
}
