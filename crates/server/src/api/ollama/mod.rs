//! Ollama's dialect: `/api/…`, newline-delimited JSON, and the strings and codes that its clients match.

pub mod chat;
pub mod embed;
pub mod generate;
pub mod library;
pub mod models;
pub mod options;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Map, Value, json};

use crate::api::timestamp;
use crate::error::{ApiError, Kind};
use crate::generation::{End, Why};
use crate::page;
use crate::registry::KeepAlive;
use crate::respond;
use crate::state::App;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(root).head(root))
        .route("/api/generate", post(generate::serve))
        .route("/api/chat", post(chat::serve))
        .route("/api/embed", post(embed::embed))
        .route("/api/embeddings", post(embed::embeddings))
        .route("/api/tags", get(models::tags).head(models::tags))
        .route("/api/ps", get(models::ps))
        .route("/api/show", post(models::show))
        .route("/api/pull", post(library::pull))
        .route("/api/push", post(library::push))
        .route("/api/create", post(library::create))
        .route("/api/copy", post(library::copy))
        .route("/api/delete", delete(library::delete))
        .route("/api/blobs/{digest}", post(library::put_blob).head(library::has_blob))
        .route("/api/version", get(models::version).head(models::version))
}

/// For browsers the page, for clients the words that they look for.
async fn root(headers: HeaderMap) -> Response {
    if page::is_wanted(&headers) {
        return page::index();
    }
    let mut response = Response::new("Ollama is running".into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// An error in Ollama's shape.
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => self.0.status(),
        };
        respond::failure(status, &self.0, &error_value(&self.0))
    }
}

/// `{"error": "…"}`
pub(crate) fn error_value(error: &ApiError) -> Value {
    match error.kind {
        Kind::Busy => json!({"error": "server busy, please try again.  maximum pending requests exceeded"}),
        _ => json!({"error": error.message}),
    }
}

/// `keep_alive`: seconds, or `5m`, `1h30m`, `-1`; below zero: forever.
pub(crate) fn keep_alive(value: Option<&Value>) -> Result<Option<KeepAlive>, ApiError> {
    let wrong = || ApiError::invalid("keep_alive", "`keep_alive` must be seconds or a duration such as 5m, 1h30m, -1");
    let seconds = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().ok_or_else(wrong)?,
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => duration_seconds(text).ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    Ok(Some(match seconds {
        seconds if seconds < 0.0 => KeepAlive::Forever,
        seconds => KeepAlive::For(Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?),
    }))
}

/// `keep_alive` as text.
pub fn parse_keep_alive(text: &str) -> Option<KeepAlive> {
    keep_alive(Some(&json!(text))).ok().flatten()
}

/// A number of seconds, or numbers with units.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, factor) = units.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total += number * factor;
        rest = &rest[unit.len()..];
    }
    Some(sign * total)
}

pub(crate) fn now() -> String {
    timestamp(SystemTime::now())
}

/// The last document of an answer: why it ended, and how long it took in nanoseconds.
pub(crate) fn finished(mut document: Map<String, Value>, end: &End) -> Value {
    let reason = if end.why == Why::Length { "length" } else { "stop" };
    let nanos = |time: Duration| json!(time.as_nanos() as u64);
    document.insert("done".into(), json!(true));
    document.insert("done_reason".into(), json!(reason));
    document.insert("total_duration".into(), nanos(end.total));
    document.insert("load_duration".into(), nanos(end.load));
    document.insert("prompt_eval_count".into(), json!(end.usage.prompt_tokens));
    document.insert("prompt_eval_duration".into(), nanos(end.usage.prefill));
    document.insert("eval_count".into(), json!(end.usage.answer_tokens));
    document.insert("eval_duration".into(), nanos(end.usage.decode));
    Value::Object(document)
}

/// A document a line.
pub(crate) fn line(value: &Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in
            [("5m", 300.0), ("1h30m", 5400.0), ("-1", -1.0), ("-1m", -60.0), ("0", 0.0), ("1.5s", 1.5), ("20ms", 0.02)]
        {
            assert_eq!(duration_seconds(text), Some(seconds), "{text}");
        }
        for text in ["", "m", "5x", "5 m", "1h30"] {
            assert_eq!(duration_seconds(text).filter(|_| !text.is_empty()), None, "{text}");
        }
        assert_eq!(keep_alive(Some(&json!(-1))).unwrap(), Some(KeepAlive::Forever));
        assert_eq!(keep_alive(Some(&json!("10m"))).unwrap(), Some(KeepAlive::For(Duration::from_secs(600))));
        assert!(keep_alive(Some(&json!("soon"))).is_err());
    }
}
