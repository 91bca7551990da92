//! What can go wrong with a request, before a dialect gives it its shape.
//!
//! Invariant: a message names the field or model it is about. Read `api` for the shapes.

use std::time::Duration;

use axum::http::StatusCode;
use olivine_engine::{Failure, FailureKind, SubmitError};

/// The kind of an error; each dialect has its own word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A field has no sense or is not supported.
    Invalid,
    /// The prompt does not fit the context.
    TooLong,
    /// No such model, response or path.
    NotFound,
    /// No key, or a wrong one.
    Unauthorized,
    /// The Host or Origin is not one of ours.
    Forbidden,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The queue is full.
    Busy,
    /// No memory for the model, or the server is shutting down.
    Unavailable,
    /// Somebody cancelled the request by its id.
    Cancelled,
    /// A bug of ours, or a model that cannot be loaded.
    Internal,
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub message: String,
    /// The field it is about.
    pub param: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> ApiError {
        ApiError { kind, message: message.into(), param: None, retry_after: None }
    }

    /// A field that makes no sense.
    pub fn invalid(param: &str, message: impl Into<String>) -> ApiError {
        ApiError { param: Some(param.to_string()), ..ApiError::new(Kind::Invalid, message) }
    }

    /// A field that is known and cannot be honoured.
    pub fn unsupported(param: &str, why: &str) -> ApiError {
        ApiError::invalid(param, format!("`{param}` is not supported: {why}"))
    }

    /// The usual status of its kind.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Invalid | Kind::TooLong => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            // What other servers log for it; only who waits for an answer that somebody else cancels sees it.
            Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> ApiError {
        let message = error.to_string();
        match error {
            SubmitError::Invalid { field, .. } => ApiError::invalid(field, message),
            SubmitError::TooLong { .. } => ApiError::new(Kind::TooLong, message),
            SubmitError::TooLarge { .. } => ApiError::new(Kind::TooLong, message),
            SubmitError::QueueFull { retry_after, .. } => {
                ApiError { retry_after: Some(retry_after), ..ApiError::new(Kind::Busy, message) }
            }
            SubmitError::Closed => ApiError::new(Kind::Unavailable, message),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> ApiError {
        let kind = match failure.kind {
            FailureKind::Internal => Kind::Internal,
            FailureKind::Constraint => Kind::Invalid,
            FailureKind::Closed => Kind::Unavailable,
        };
        ApiError::new(kind, failure.message)
    }
}
