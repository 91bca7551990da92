//! The server's side of the store: what `cli` hands in so that models can be pulled, made, shown and removed.
//!
//! Invariant: work on models runs on threads that may block, and stops when its client goes. Read
//! `api::ollama::library` for the endpoints.

use std::sync::Arc;

use olivine_hub::Hub;
use serde_json::{Map, Value};

use crate::registry::ModelCard;

/// What is in a model's files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Keys and values of the files.
    pub info: Map<String, Value>,
    /// Name, storage format and shape of every tensor.
    pub tensors: Vec<(String, String, Vec<usize>)>,
}

/// Looks into a model's files; `true`: at large arrays and tensors too.
pub type Inspect = Arc<dyn Fn(&ModelCard, bool) -> Result<Details, String> + Send + Sync>;

/// The store and what looks into files.
#[derive(Clone)]
pub struct Library {
    /// The store with the outside world.
    pub hub: Hub,
    /// See [`Inspect`].
    pub inspect: Inspect,
    /// What computes: `CPU`, or the name of a GPU.
    pub device: String,
}
