//! `GET /v1/models` and `GET /v1/models/NAME`.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Failure;
use crate::registry::ModelCard;
use crate::respond;
use crate::state::App;

/// The list.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let models: Vec<Value> = app.registry.list().iter().map(model).collect();
    respond::json(StatusCode::OK, &json!({"object": "list", "data": models}))
}

/// One of them.
pub async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, Failure> {
    Ok(respond::json(StatusCode::OK, &model(&app.registry.find(&name)?)))
}

fn model(card: &ModelCard) -> Value {
    let created = card.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_secs());
    json!({"id": card.name, "object": "model", "created": created, "owned_by": "library"})
}
