//! Talking to an Olivine server on this machine, as `olivine run`, `ps` and `stop` do.
//!
//! Invariant: a server that is not ours (another program at the same port) is not taken for one. Read `http` for the
//! world outside.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::HubError;

/// Where a server listens when nobody says otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:11434";

/// A server that answers.
pub struct LocalServer {
    agent: Agent,
    base: String,
    key: Option<String>,
}

impl LocalServer {
    /// The server at `OLIVINE_HOST` or the usual address, with `OLIVINE_API_KEY` where it wants a key; none where
    /// nobody answers or somebody else does.
    pub fn find() -> Option<LocalServer> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let address = set("OLIVINE_HOST").unwrap_or_else(|| DEFAULT_ADDRESS.into());
        LocalServer::at(&address, set("OLIVINE_API_KEY"))
    }

    /// The server at an address.
    pub fn at(address: &str, key: Option<String>) -> Option<LocalServer> {
        let address = address.trim().trim_end_matches('/');
        let (scheme, host) = address.split_once("://").unwrap_or(("http", address));
        // What a server listens at is not always what it is called by.
        let host = host.replacen("0.0.0.0", "127.0.0.1", 1).replacen("[::]", "[::1]", 1);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_millis(500)))
            .build();
        let server = LocalServer { agent: config.into(), base: format!("{scheme}://{host}"), key };
        let status = server.get("/v1/status").ok()?;
        (status["version"].is_string() && status["uptime_seconds"].is_number()).then_some(server)
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A document.
    pub fn get(&self, path: &str) -> Result<Value, HubError> {
        let mut request = self.agent.get(self.url(path));
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        // Asking for a document is quick even where answers are not.
        let request = request.config().timeout_global(Some(Duration::from_secs(10))).build();
        document(&self.url(path), request.call())
    }

    /// A document for a document.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, HubError> {
        document(&self.url(path), self.send(path, body))
    }

    /// Documents as they come, a line each, until `each` says false.
    pub fn stream(&self, path: &str, body: &Value, mut each: impl FnMut(Value) -> bool) -> Result<(), HubError> {
        let url = self.url(path);
        let response = answer(&url, self.send(path, body))?;
        let broken = |reason: String| HubError::Http { url: url.clone(), status: 0, reason };
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let line = line.map_err(|error| broken(format!("the answer broke off: {error}")))?;
            if line.trim().is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&line).map_err(|error| HubError::form(&url, error))?;
            if let Some(error) = value["error"].as_str() {
                return Err(HubError::Refused(error.to_string()));
            }
            if !each(value) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn send(&self, path: &str, body: &Value) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.post(self.url(path)).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        request.send(body.to_string())
    }
}

/// An answer that is no error.
fn answer(url: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, HubError> {
    let http = |status, reason| HubError::Http { url: url.to_string(), status, reason };
    let mut response = sent.map_err(|error| http(0, error.to_string()))?;
    let status = response.status().as_u16();
    if status < 400 {
        return Ok(response);
    }
    let mut text = String::new();
    let _ = response.body_mut().as_reader().take(1 << 20).read_to_string(&mut text);
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let said = value["error"].as_str().or_else(|| value["error"]["message"].as_str()).unwrap_or(text.trim());
    Err(http(status, said.to_string()))
}

fn document(url: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<Value, HubError> {
    let mut response = answer(url, sent)?;
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string();
    let text = text.map_err(|error| HubError::Http { url: url.into(), status: 0, reason: error.to_string() })?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).map_err(|error| HubError::form(url, error))
}
