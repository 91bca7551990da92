//! Our own endpoints: health, metrics, status, running requests, adapters, caches, tokens, ranking.

pub mod adapters;
pub mod cache;
pub mod health;
pub mod requests;
pub mod rerank;
pub mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::state::App;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(health::status))
        .route("/v1/rerank", post(rerank::serve))
        .route("/v2/rerank", post(rerank::serve))
        .route("/rerank", post(rerank::serve))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", delete(requests::cancel))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/adapters", get(adapters::list).post(adapters::load).delete(adapters::unload))
        .route("/v1/cache", delete(cache::clear))
        .route("/v1/cache/stats", get(cache::stats))
        .route("/v1/cache/probe", post(cache::probe))
        .route("/v1/tokenize", post(tokens::tokenize))
        .route("/tokenize", post(tokens::tokenize))
        .route("/v1/detokenize", post(tokens::detokenize))
        .route("/detokenize", post(tokens::detokenize))
}
