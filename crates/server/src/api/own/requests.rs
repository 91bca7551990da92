//! `GET /v1/requests`, `DELETE /v1/requests/ID` (and `POST /v1/requests/ID/cancel`): answers being made.
//!
//! An id is that of the answer (`chatcmpl-…`, `msg_…`, `resp_…`), or the request's: the header `x-request-id` of the
//! response, which is the client's own where it sent one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::api::openai::failure::Failure;
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::running::Listed;
use crate::state::App;

/// All of them.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let requests: Vec<Value> = app.running.list().iter().map(request).collect();
    respond::json(StatusCode::OK, &json!({"requests": requests}))
}

fn request(listed: &Listed) -> Value {
    json!({
        "ids": listed.ids,
        "model": listed.model,
        "prompt_tokens": listed.prompt_tokens,
        "answer_tokens": listed.answer_tokens,
        "age_seconds": listed.age.as_secs_f64(),
    })
}

/// Ends an answer: whoever waits for it is told that it was cancelled.
pub async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    match app.running.cancel(&id) {
        0 => Err(ApiError::new(Kind::NotFound, format!("no answer with the id `{id}` is being made")).into()),
        count => Ok(respond::json(StatusCode::OK, &json!({"id": id, "cancelled": count}))),
    }
}
