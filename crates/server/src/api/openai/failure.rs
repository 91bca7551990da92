//! Errors in OpenAI's shape.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::{ApiError, Kind};
use crate::respond;

/// An error in OpenAI's shape.
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        respond::failure(self.0.status(), &self.0, &error_value(&self.0))
    }
}

/// `{"error": {…}}`
pub fn error_value(error: &ApiError) -> Value {
    let (kind, code) = match error.kind {
        Kind::Invalid => ("invalid_request_error", Value::Null),
        Kind::TooLong => ("invalid_request_error", json!("context_length_exceeded")),
        Kind::NotFound => ("invalid_request_error", json!("model_not_found")),
        Kind::Unauthorized => ("invalid_request_error", json!("invalid_api_key")),
        Kind::Forbidden => ("invalid_request_error", json!("forbidden")),
        Kind::BodyTooLarge => ("invalid_request_error", json!("request_too_large")),
        Kind::Busy => ("rate_limit_error", json!("queue_full")),
        Kind::Unavailable => ("server_error", json!("unavailable")),
        Kind::Cancelled => ("server_error", json!("cancelled")),
        Kind::Internal => ("server_error", Value::Null),
    };
    json!({"error": {"message": error.message, "type": kind, "param": error.param, "code": code}})
}
