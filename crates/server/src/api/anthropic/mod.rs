//! Anthropic's dialect: `/v1/messages` and `/v1/messages/count_tokens`.

pub mod count;
pub mod messages;
pub mod parse;
pub mod shape;
pub mod stream;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::api::new_id;
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::state::App;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/messages", post(messages::serve)).route("/v1/messages/count_tokens", post(count::serve))
}

/// An error in Anthropic's shape.
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            // The status that its clients retry.
            Kind::Busy | Kind::Unavailable => StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            _ => self.0.status(),
        };
        respond::failure(status, &self.0, &error_value(&self.0))
    }
}

/// `{"type": "error", "error": {…}}`
pub(crate) fn error_value(error: &ApiError) -> Value {
    let kind = match error.kind {
        Kind::Invalid | Kind::TooLong => "invalid_request_error",
        Kind::NotFound => "not_found_error",
        Kind::Unauthorized => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::BodyTooLarge => "request_too_large",
        Kind::Busy | Kind::Unavailable => "overloaded_error",
        Kind::Cancelled | Kind::Internal => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": error.message}, "request_id": new_id("req_")})
}
