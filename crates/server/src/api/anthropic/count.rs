//! `POST /v1/messages/count_tokens`: exact, by rendering and encoding the prompt.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Failure;
use super::parse::MessagesRequest;
use crate::api::body;
use crate::conversation;
use crate::respond;
use crate::state::App;

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let call = body::<MessagesRequest>(&bytes)?.call(true)?;
    let (_, prepared) = conversation::prepare(&app, &call).await?;
    Ok(respond::json(StatusCode::OK, &json!({"input_tokens": prepared.tokens.len()})))
}
