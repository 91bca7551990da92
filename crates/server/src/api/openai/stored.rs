//! `GET` and `DELETE /v1/responses/ID`: answers that are kept.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::failure::Failure;
use crate::respond;
use crate::state::App;

/// `GET`
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    Ok(respond::json(StatusCode::OK, &app.stored.get(&id)?.document))
}

/// `DELETE`
pub async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    app.stored.remove(&id)?;
    Ok(respond::json(StatusCode::OK, &json!({"id": id, "object": "response.deleted", "deleted": true})))
}
