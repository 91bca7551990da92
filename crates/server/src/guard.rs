//! What a request must pass before a dialect sees it: Host, Origin, key, size.
//!
//! Invariant: on this machine's own addresses a web page of somebody else can neither read nor ask anything (DNS
//! rebinding shows a foreign Host, a foreign page a foreign Origin). Read `lib` for the order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use crate::api::{new_id, ollama, openai};
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::state::App;

/// The id of a request: the client's own (`x-request-id`), or a new one. The response tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<RequestId, Infallible> {
        Ok(parts.extensions.get::<RequestId>().cloned().unwrap_or_default())
    }
}

const ID_HEADER: &str = "x-request-id";

/// Longest id that is taken over.
const ID_BYTES: usize = 128;

fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| (1..=ID_BYTES).contains(&id.len()));
    RequestId(given.map_or_else(|| new_id("req_"), str::to_string))
}

/// The middleware.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    app.metrics.requests.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path().to_string();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let id = request_id(request.headers());
    request.extensions_mut().insert(id.clone());
    let checked = check(&app, &request, &path);
    let mut response = match checked {
        Err(error) => refuse(&path, &error),
        Ok(()) if request.method() == Method::OPTIONS && origin.is_some() => {
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Ok(()) => next.run(request).await,
    };
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(ID_HEADER, id);
    }
    if response.status().as_u16() >= 400 {
        app.metrics.errors.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(origin) = origin.filter(|_| response.status() != StatusCode::FORBIDDEN) {
        allow(response.headers_mut(), origin);
    }
    response
}

fn check(app: &App, request: &Request, path: &str) -> Result<(), ApiError> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let listed =
        |list: &[String], name: &str| list.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name));
    if !host.is_empty() && !is_here(hostname(host)) && !listed(&app.options.hosts, hostname(host)) {
        return Err(ApiError::new(Kind::Forbidden, format!("host `{host}` is not one of this server's (--host-name)")));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let name = hostname(authority);
        let app_scheme = ["app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"];
        // The server's own page: its Host has been checked above.
        let own = is_here(name)
            || authority.eq_ignore_ascii_case(host)
            || app_scheme.iter().any(|scheme| origin.starts_with(scheme));
        if !own && !listed(&app.options.origins, origin) {
            return Err(ApiError::new(
                Kind::Forbidden,
                format!("origin `{origin}` may not call this server (--origin)"),
            ));
        }
    }
    let page = path == "/" || path.starts_with("/web/");
    let open = page || ["/healthz", "/readyz"].contains(&path) || request.method() == Method::OPTIONS;
    if !open && !app.options.api_keys.is_empty() && !has_key(headers, &app.options.api_keys) {
        return Err(ApiError::new(
            Kind::Unauthorized,
            "a valid API key is wanted (Authorization: Bearer …, or x-api-key)",
        ));
    }
    Ok(())
}

fn hostname(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Names and addresses of this machine. An address that is not of the loopback was dialled as such: a page cannot
/// rebind an address, only a name.
fn is_here(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let local = ["localhost", "host.docker.internal"].contains(&name.as_str()) || name.ends_with(".localhost");
    local || name.ends_with(".local") || name.ends_with(".internal") || name.parse::<std::net::IpAddr>().is_ok()
}

fn has_key(headers: &HeaderMap, keys: &[String]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bearer = text("authorization");
    let bearer = bearer.strip_prefix("Bearer ").unwrap_or(bearer).trim();
    keys.iter().any(|key| same(key, bearer) || same(key, text("x-api-key")))
}

/// Takes the same time wherever two texts differ.
fn same(key: &str, given: &str) -> bool {
    key.len() == given.len() && key.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let methods = HeaderValue::from_static("GET, POST, DELETE, HEAD, OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = "authorization, content-type, x-api-key, x-request-id, anthropic-version, anthropic-beta, user-agent, accept, \
                 x-stainless-lang, x-stainless-package-version, x-stainless-os, x-stainless-arch, x-stainless-runtime, \
                 x-stainless-runtime-version, x-stainless-retry-count, x-stainless-timeout";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ID_HEADER));
}

/// An error in the shape of the dialect that the path belongs to.
pub fn refuse(path: &str, error: &ApiError) -> Response {
    let value: Value = match path {
        path if path.starts_with("/api/") => ollama::error_value(error),
        path if path.starts_with("/v1/messages") => crate::api::anthropic::error_value(error),
        _ => openai::failure::error_value(error),
    };
    respond::failure(error.status(), error, &value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_here() {
        for host in
            ["localhost", "localhost:11434", "127.0.0.1:80", "[::1]:11434", "192.168.1.7", "mac.local", "LOCALHOST"]
        {
            assert!(is_here(hostname(host)), "{host}");
        }
        for host in ["evil.com", "localhost.evil.com", "127.0.0.1.evil.com:11434", "evil.com:127"] {
            assert!(!is_here(hostname(host)), "{host}");
        }
    }

    #[test]
    fn keys_are_compared_whole() {
        let mut headers = HeaderMap::new();
        let keys = vec!["secret".to_string()];
        assert!(!has_key(&headers, &keys));
        headers.insert("authorization", HeaderValue::from_static("Bearer secre"));
        assert!(!has_key(&headers, &keys));
        headers.insert("x-api-key", HeaderValue::from_static("secret"));
        assert!(has_key(&headers, &keys));
    }
}
