//! `POST /v1/messages`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Failure;
use super::parse::MessagesRequest;
use super::shape::Shape;
use super::stream::MessageStream;
use crate::api::{body, new_id};
use crate::conversation;
use crate::guard::RequestId;
use crate::respond;
use crate::state::App;

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let request: MessagesRequest = body(&bytes)?;
    let mut call = request.call(false)?;
    let (one_call, hides_thinking) = (request.one_call(), request.hides_thinking());
    let shape = Shape { id: new_id("msg_"), model: request.model.clone(), one_call, hides_thinking };
    call.ids = vec![asked.0, shape.id.clone()];
    let (mut generations, prompt_tokens) = conversation::start(&app, call).await?;
    if request.stream.unwrap_or(false) {
        let encoder = MessageStream::new(shape, prompt_tokens);
        return Ok(respond::stream(generations, encoder, app.options.heartbeat));
    }
    let answer = generations.remove(0).whole().await?;
    Ok(respond::json(StatusCode::OK, &shape.whole(&answer)))
}
