//! The HTTP server: three dialects and our own endpoints on one port. The only crate that knows wire JSON.
//!
//! Invariant: nothing a client sends reaches the file system except through the catalog's `find`. The way of a request:
//! `guard`, a dialect in `api`, `conversation` (prompt), the engine, `generation` (pieces), `respond` (frames).

pub mod adapter_folders;
pub mod adapters;
pub mod api;
pub mod call;
pub mod conversation;
mod defaults;
pub mod embedding;
pub mod error;
pub mod generation;
pub mod guard;
pub mod library;
pub mod page;
pub mod ranking;
pub mod registry;
pub mod respond;
pub mod running;
pub mod state;
mod stop;
pub mod stored;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware;
use axum::response::Response;
use tokio::net::TcpListener;

use crate::error::{ApiError, Kind};
use crate::state::App;

pub use crate::library::{Details, Library};
pub use crate::registry::{Catalog, KeepAlive, ModelCard, ModelParts, RegistryOptions};
pub use crate::state::ServerOptions;

/// All routes behind the guard.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(api::openai::routes())
        .merge(api::anthropic::routes())
        .merge(api::ollama::routes())
        .merge(api::own::routes())
        .merge(page::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(api::openai::no_method)
        .layer(DefaultBodyLimit::max(app.options.body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app.clone())
}

async fn nowhere(uri: Uri) -> Response {
    guard::refuse(uri.path(), &ApiError::new(Kind::NotFound, format!("there is nothing at {}", uri.path())))
}

/// Serves on `listener` until `shutdown` is ready, then lets running answers end.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let sweeper = tokio::spawn(sweep(app.clone()));
    let served = axum::serve(listener, router(&app)).with_graceful_shutdown(shutdown).await;
    sweeper.abort();
    let registry = app.registry.clone();
    let _ = tokio::task::spawn_blocking(move || registry.close()).await;
    served
}

/// Drops models whose time is over.
async fn sweep(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        app.registry.sweep();
    }
}
