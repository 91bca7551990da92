//! Answers being made, by the ids that clients know them by: to list them and to cancel one.
//!
//! Invariant: an answer is listed from its submission until its `Ticket` is dropped. Read `api::own::requests`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use olivine_engine::Canceller;

/// All of them.
#[derive(Default)]
pub struct Running {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    ids: Vec<String>,
    model: String,
    prompt_tokens: usize,
    answer_tokens: Arc<AtomicUsize>,
    started: Instant,
    canceller: Canceller,
}

/// An answer being made, for listings.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The request's id, and the answer's where its dialect has one.
    pub ids: Vec<String>,
    /// The model.
    pub model: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer so far.
    pub answer_tokens: usize,
    /// Since the request came.
    pub age: Duration,
}

/// Keeps an answer listed.
pub struct Ticket {
    running: Arc<Running>,
    key: u64,
    answer_tokens: Arc<AtomicUsize>,
}

impl Running {
    /// Lists an answer.
    pub(crate) fn enter(
        self: &Arc<Running>,
        ids: &[String],
        model: &str,
        prompt_tokens: usize,
        started: Instant,
        canceller: Canceller,
    ) -> Ticket {
        let answer_tokens = Arc::new(AtomicUsize::new(0));
        let (ids, model) = (ids.to_vec(), model.to_string());
        let entry = Entry { ids, model, prompt_tokens, answer_tokens: answer_tokens.clone(), started, canceller };
        let mut inner = self.lock();
        inner.next += 1;
        let key = inner.next;
        inner.entries.insert(key, entry);
        Ticket { running: self.clone(), key, answer_tokens }
    }

    /// Cancels all answers with this id; how many there were.
    pub fn cancel(&self, id: &str) -> usize {
        let inner = self.lock();
        let named = inner.entries.values().filter(|entry| entry.ids.iter().any(|known| known == id));
        named.map(|entry| entry.canceller.cancel()).count()
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |entry: &Entry| Listed {
            ids: entry.ids.clone(),
            model: entry.model.clone(),
            prompt_tokens: entry.prompt_tokens,
            answer_tokens: entry.answer_tokens.load(Ordering::Relaxed),
            age: entry.started.elapsed(),
        };
        self.lock().entries.values().map(listed).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// One more token of the answer.
    pub(crate) fn count_token(&self) {
        self.answer_tokens.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.lock().entries.remove(&self.key);
    }
}
