//! `GET /api/tags`, `GET /api/ps`, `POST /api/show`, `GET /api/version`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Failure;
use crate::api::{body, refuse_unknown, timestamp};
use crate::conversation::uses_tools;
use crate::error::ApiError;
use crate::registry::ModelCard;
use crate::respond;
use crate::state::App;

/// Models that are here.
pub async fn tags(State(app): State<Arc<App>>) -> Response {
    let models: Vec<Value> = app.registry.list().iter().map(entry).collect();
    respond::json(StatusCode::OK, &json!({"models": models}))
}

/// A name as this dialect writes it: with a tag.
fn tagged(card: &ModelCard) -> String {
    let last = card.name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || card.name.contains('/') { card.name.clone() } else { format!("{}:latest", card.name) }
}

fn details(card: &ModelCard) -> Value {
    json!({
        "parent_model": "",
        "format": card.format,
        "family": card.family,
        "families": [card.family],
        "parameter_size": card.parameter_size,
        "quantization_level": card.quantization,
    })
}

fn entry(card: &ModelCard) -> Value {
    let name = tagged(card);
    json!({
        "name": name,
        "model": name,
        "modified_at": timestamp(card.modified.unwrap_or(UNIX_EPOCH)),
        "size": card.bytes,
        "digest": card.digest,
        "details": details(card),
    })
}

/// Models in memory.
pub async fn ps(State(app): State<Arc<App>>) -> Response {
    let model = |resident: crate::registry::Resident| {
        let card = &resident.model.card;
        let name = tagged(card);
        let hundred_years = Duration::from_secs(100 * 365 * 86_400);
        let expires = SystemTime::now() + resident.expires_in.unwrap_or(hundred_years);
        json!({
            "name": name,
            "model": name,
            "size": resident.model.parts.weight_bytes,
            "digest": card.digest,
            "details": details(card),
            "expires_at": timestamp(expires),
            "size_vram": 0,
            "context_length": resident.model.parts.engine.context_tokens(),
        })
    };
    let models: Vec<Value> = app.registry.residents().into_iter().map(model).collect();
    respond::json(StatusCode::OK, &json!({"models": models}))
}

/// The body of `/api/show`.
#[derive(Clone, Debug, Deserialize)]
pub struct ShowRequest {
    #[serde(default)]
    model: String,
    name: Option<String>,
    verbose: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// All that is known of a model.
pub async fn show(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: ShowRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &[])?;
    if request.verbose == Some(true) {
        return Err(ApiError::unsupported("verbose", "the tensors of a model are listed by `olivine inspect`").into());
    }
    let name = request.name.filter(|_| request.model.is_empty()).unwrap_or(request.model);
    let card = app.registry.find(&name)?;
    let mut capabilities = vec!["completion"];
    if uses_tools(&card) {
        capabilities.push("tools");
    }
    if card.template.contains("think") {
        capabilities.push("thinking");
    }
    let family = &card.family;
    let mut info = Map::new();
    info.insert("general.architecture".into(), json!(family));
    info.insert("general.parameter_count".into(), json!(card.parameters));
    info.insert(format!("{family}.context_length"), json!(card.context_tokens));
    info.insert(format!("{family}.embedding_length"), json!(card.embedding_length));
    let document = json!({
        "license": card.license,
        "modelfile": format!("FROM {}\n", card.name),
        "parameters": "",
        "template": card.template,
        "details": details(&card),
        "model_info": info,
        "capabilities": capabilities,
        "modified_at": timestamp(card.modified.unwrap_or(UNIX_EPOCH)),
    });
    Ok(respond::json(StatusCode::OK, &document))
}

/// The version.
pub async fn version(State(app): State<Arc<App>>) -> Response {
    respond::json(StatusCode::OK, &json!({"version": app.options.version}))
}
