//! The page for people: a few files by hand, in the binary.
//!
//! Invariant: the page loads nothing from elsewhere and runs no code but its own files; its policy says so to the
//! browser, so that no text of a model can change that. Read `web/app.js` for what it does.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::App;

const INDEX: &str = include_str!("../web/index.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type and text of what the page is made of.
const FILES: [(&str, &str, &str); 9] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../web/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../web/icon.svg")),
    ("app.js", SCRIPT, include_str!("../web/app.js")),
    ("api.js", SCRIPT, include_str!("../web/api.js")),
    ("chat.js", SCRIPT, include_str!("../web/chat.js")),
    ("dom.js", SCRIPT, include_str!("../web/dom.js")),
    ("live.js", SCRIPT, include_str!("../web/live.js")),
    ("markdown.js", SCRIPT, include_str!("../web/markdown.js")),
    ("store.js", SCRIPT, include_str!("../web/store.js")),
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The routes of the page's files; `/` itself is shared with Ollama's clients.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/web/{file}", get(file))
}

/// Whether who asks for `/` is a browser.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accept.flat_map(|text| text.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

/// The page.
pub fn index() -> Response {
    answer("text/html; charset=utf-8", INDEX)
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => answer(kind, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let fields = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer server has a newer page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}
