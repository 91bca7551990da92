//! Answers that a later request can go on from (`previous_response_id`).
//!
//! Invariant: bounded in number; the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::error::{ApiError, Kind};

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

    /// Forgets a kept answer.
    pub fn remove(&self, id: &str) -> Result<(), ApiError> {
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
