//! `GET /v1/models` and `GET /v1/models/NAME`.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::failure::Failure;
use crate::adapters;
use crate::call::{Call, Input};
use crate::registry::ModelCard;
use crate::respond;
use crate::state::App;

/// The list.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let cards = app.registry.list();
    let mut models: Vec<Value> = cards.iter().map(model).collect();
    for (card, adapter) in adapters::offered(&app, &cards) {
        let mut entry = model(card);
        entry["id"] = json!(format!("{}:{adapter}", card.name));
        entry["parent"] = json!(card.name);
        models.push(entry);
    }
    respond::json(StatusCode::OK, &json!({"object": "list", "data": models}))
}

/// One of them.
pub async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, Failure> {
    let call = adapters::chosen(&app, &Call::new(&name, Input::Tokens(Vec::new())));
    let mut entry = model(&app.registry.find(&call.model)?);
    if call.adapter.is_some() {
        entry["parent"] = std::mem::replace(&mut entry["id"], json!(name));
    }
    Ok(respond::json(StatusCode::OK, &entry))
}

fn model(card: &ModelCard) -> Value {
    let created = card.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_secs());
    json!({"id": card.name, "object": "model", "created": created, "owned_by": "library"})
}
