//! Answers that a later request can go on from (`previous_response_id`), and `GET`/`DELETE /v1/responses/ID`.
//!
//! Invariant: bounded in number; the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Failure;
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::state::App;

const LIMIT: usize = 1_000;

/// A stored answer.
#[derive(Clone, Debug)]
pub struct Record {
    /// The conversation up to and with the answer, as chat templates take it.
    pub messages: Vec<Value>,
    /// The document that was sent.
    pub document: Value,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Stored {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: HashMap<String, Record>,
    order: VecDeque<String>,
}

impl Stored {
    /// Keeps an answer.
    pub fn put(&self, id: &str, record: Record) {
        let mut inner = self.lock();
        inner.records.insert(id.to_string(), record);
        inner.order.push_back(id.to_string());
        if inner.order.len() > LIMIT
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.records.remove(&oldest);
        }
    }

    /// A kept answer.
    pub fn get(&self, id: &str) -> Result<Record, ApiError> {
        self.lock().records.get(id).cloned().ok_or_else(|| missing(id))
    }

    fn remove(&self, id: &str) -> Result<(), ApiError> {
        self.lock().records.remove(id).map(|_| ()).ok_or_else(|| missing(id))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &str) -> ApiError {
    let message = format!("Previous response with id '{id}' not found.");
    ApiError { param: Some("previous_response_id".into()), ..ApiError::new(Kind::NotFound, message) }
}

/// `GET`
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    Ok(respond::json(StatusCode::OK, &app.stored.get(&id)?.document))
}

/// `DELETE`
pub async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Failure> {
    app.stored.remove(&id)?;
    Ok(respond::json(StatusCode::OK, &json!({"id": id, "object": "response.deleted", "deleted": true})))
}
