//! HTTP to registries and to the Hugging Face hub: one agent, tokens that go nowhere else, errors that name the address.
//!
//! Invariant: a token is sent to the host that it is for, never after a redirect to another one. Bodies of answers are
//! bounded or streamed. Read `download` for ranges.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
pub(crate) use ureq::http::Method;
use ureq::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::HubError;
use crate::key::{self, Key};
use crate::name::{DEFAULT_REGISTRY, hugging_face};

/// Largest document that is not a blob.
const MOST_BYTES: u64 = 64 << 20;

/// Longest time for one answer's body. A download that takes longer goes on with a new request, so this also ends
/// connections on which nothing comes any more.
const BODY: Duration = Duration::from_secs(60);

/// Who may come in where: `OLIVINE_REGISTRY_AUTH` holds `HOST=TOKEN` or `HOST=USER:PASSWORD`, several with spaces
/// between them. `HF_TOKEN` is for the Hugging Face hub alone, the key in `~/.ollama` for Ollama's registry.
#[derive(Clone, Default)]
pub struct Credentials {
    by_host: HashMap<String, Credential>,
    /// By whose signatures which host knows the user.
    key: Option<(String, Arc<Key>)>,
}

#[derive(Clone)]
enum Credential {
    Token(String),
    Basic(String),
}

impl Credentials {
    /// As the environment says.
    pub fn of_environment() -> Credentials {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let mut credentials = Credentials::parse(&set("OLIVINE_REGISTRY_AUTH").unwrap_or_default());
        if let Some(token) = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")) {
            let host = host_of(&hugging_face()).to_string();
            credentials.by_host.insert(host, Credential::Token(token.trim().into()));
        }
        // A file that cannot be read is as good as none: who needs it is told where it should lie.
        if let Some(key) = key::path_of_user().and_then(|path| Key::open(&path).ok().flatten()) {
            credentials = credentials.with_key(DEFAULT_REGISTRY, key);
        }
        credentials
    }

    /// The same, and a host that knows the user by this key.
    pub fn with_key(self, host: &str, key: Key) -> Credentials {
        Credentials { key: Some((host.to_ascii_lowercase(), Arc::new(key))), ..self }
    }

    fn key(&self, host: &str) -> Option<&Key> {
        self.key.as_ref().filter(|(known, _)| known.eq_ignore_ascii_case(host)).map(|(_, key)| &**key)
    }

    /// See [`Credentials`].
    pub fn parse(text: &str) -> Credentials {
        let mut by_host = HashMap::new();
        for entry in text.split_whitespace() {
            let Some((host, secret)) = entry.split_once('=') else { continue };
            let credential = match secret.contains(':') {
                true => Credential::Basic(BASE64_STANDARD.encode(secret)),
                false => Credential::Token(secret.to_string()),
            };
            by_host.insert(host.to_ascii_lowercase(), credential);
        }
        Credentials { by_host, key: None }
    }

    fn header(&self, host: &str) -> Option<String> {
        Some(match self.by_host.get(&host.to_ascii_lowercase())? {
            Credential::Token(token) => format!("Bearer {token}"),
            Credential::Basic(basic) => format!("Basic {basic}"),
        })
    }
}

/// A client for all that this crate asks for.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    credentials: Credentials,
    /// Tokens that registries gave, by host and scope.
    tokens: Arc<Mutex<HashMap<String, String>>>,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The whole address.
    pub url: &'a str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What a registry's token must allow: `repository:library/qwen3:pull`.
    pub scope: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// An address alone.
    pub fn new(url: &'a str) -> Ask<'a> {
        Ask { url, headers: Vec::new(), scope: None }
    }
}

impl Client {
    /// With the user's credentials.
    pub fn new(credentials: Credentials) -> Client {
        let tls = TlsConfig::builder().root_certs(roots()).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_recv_body(Some(BODY))
            .max_redirects(10)
            .user_agent(concat!("olivine/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Client { agent: config.into(), credentials, tokens: Arc::default() }
    }

    /// The bytes of a document, and its headers.
    pub fn document(&self, ask: &Ask) -> Result<(Vec<u8>, HeaderMap), HubError> {
        let mut response = self.get(ask, None)?;
        self.expect(ask.url, &mut response, &[200])?;
        let read = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let bytes = read.map_err(|error| broken(ask.url, &error))?;
        Ok((bytes, response.headers().clone()))
    }

    /// A document as JSON, and its headers.
    pub fn json(&self, ask: &Ask) -> Result<(Value, HeaderMap), HubError> {
        let (bytes, headers) = self.document(ask)?;
        let value = serde_json::from_slice(&bytes).map_err(|error| HubError::form(ask.url, error))?;
        Ok((value, headers))
    }

    /// A stream from `start` on, up to `end` (not included) where that is given, and whether the answer honours it.
    pub(crate) fn range(&self, ask: &Ask, start: u64, end: Option<u64>) -> Result<(impl Read + use<>, bool), HubError> {
        let range = match end {
            Some(end) => format!("bytes={start}-{}", end - 1),
            None => format!("bytes={start}-"),
        };
        let mut response = self.get(ask, Some(range))?;
        self.expect(ask.url, &mut response, &[200, 206])?;
        let partial = response.status().as_u16() == 206;
        if partial {
            let said =
                response.headers().get("content-range").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let from = said.strip_prefix("bytes ").and_then(|rest| rest.split('-').next());
            if from.and_then(|from| from.parse::<u64>().ok()) != Some(start) {
                return Err(failed(ask.url, 206, format!("asked for bytes from {start}, the answer says `{said}`")));
            }
        }
        Ok((response.into_body().into_reader(), partial))
    }

    /// Whether something is there.
    pub fn exists(&self, ask: &Ask) -> Result<bool, HubError> {
        let mut response = self.send(Method::HEAD, ask, None)?;
        match response.status().as_u16() {
            404 => Ok(false),
            _ => self.expect(ask.url, &mut response, &[200]).map(|()| true),
        }
    }

    /// Sends bytes; the headers of the answer.
    pub fn upload(&self, method: Method, ask: &Ask, bytes: &[u8], expected: &[u16]) -> Result<HeaderMap, HubError> {
        let mut response = self.send(method, ask, Some(bytes))?;
        self.expect(ask.url, &mut response, expected)?;
        Ok(response.headers().clone())
    }

    fn get(&self, ask: &Ask, range: Option<String>) -> Result<Response<Body>, HubError> {
        let mut ask = ask.clone();
        ask.headers.extend(range.map(|range| ("Range", range)));
        self.send(Method::GET, &ask, None)
    }

    fn send_once(
        &self,
        method: &Method,
        ask: &Ask,
        body: Option<&[u8]>,
        token: Option<&str>,
    ) -> Result<Response<Body>, HubError> {
        let mut builder = Request::builder().method(method.clone()).uri(ask.url);
        for (name, value) in &ask.headers {
            builder = builder.header(*name, value);
        }
        if let Some(token) = token {
            builder = builder.header(AUTHORIZATION, token);
        }
        let wrong = |error| HubError::form(ask.url, error);
        let response = match body {
            Some(bytes) => self.agent.run(builder.body(bytes).map_err(wrong)?),
            None => self.agent.run(builder.body(()).map_err(wrong)?),
        };
        response.map_err(|error| unreachable(ask.url, &error))
    }

    /// Asks, and once more with a token where the other side wants one.
    fn send(&self, method: Method, ask: &Ask, body: Option<&[u8]>) -> Result<Response<Body>, HubError> {
        let host = host_of(ask.url);
        let key = format!("{host} {}", ask.scope.unwrap_or_default());
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let token = known.or_else(|| self.credentials.header(host));
        let response = self.send_once(&method, ask, body, token.as_deref())?;
        if response.status().as_u16() != 401 {
            return Ok(response);
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(token) = challenge.map(|challenge| self.token(ask, challenge)).transpose()?.flatten() else {
            return Ok(response);
        };
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token.clone());
        self.send_once(&method, ask, body, Some(&token))
    }

    /// Gets a token as the challenge of a registry says. None: it wants something else.
    fn token(&self, ask: &Ask, challenge: &str) -> Result<Option<String>, HubError> {
        let Some(fields) = challenge.strip_prefix("Bearer ").or_else(|| challenge.strip_prefix("bearer ")) else {
            return Ok(None);
        };
        let field = |name: &str| {
            let at = fields.find(&format!("{name}=\""))? + name.len() + 2;
            fields[at..].split('"').next()
        };
        let Some(realm) = field("realm").filter(|realm| realm.contains("://")) else { return Ok(None) };
        let (secure, here) = (realm.starts_with("https://"), ask.url.starts_with("http://"));
        if !secure && !here {
            return Err(failed(ask.url, 401, format!("it wants a token from {realm}, which is not encrypted")));
        }
        let scope = ask.scope.or_else(|| field("scope")).unwrap_or_default();
        let host = host_of(ask.url);
        let (url, credential) = match self.credentials.key(host) {
            Some(key) => {
                let scope = field("scope").unwrap_or(scope);
                let (url, header) = key.token_request(realm, field("service").unwrap_or_default(), scope)?;
                (url, Some(header))
            }
            None => {
                let mut query = vec![("scope", scope)];
                query.extend(field("service").map(|service| ("service", service)));
                let query: Vec<String> =
                    query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
                let joint = if realm.contains('?') { '&' } else { '?' };
                // The registry says where its tokens come from; what is meant for it is meant for that place.
                (format!("{realm}{joint}{}", query.join("&")), self.credentials.header(host))
            }
        };
        let mut builder = Request::builder().uri(&url);
        if let Some(credential) = credential {
            builder = builder.header(AUTHORIZATION, credential);
        }
        let request = builder.body(()).map_err(|error| HubError::form(&url, error))?;
        let mut response = self.agent.run(request).map_err(|error| unreachable(&url, &error))?;
        if let (401 | 403, Some(advice)) = (response.status().as_u16(), self.key_advice(host)) {
            return Err(failed(&url, response.status().as_u16(), advice));
        }
        self.expect(&url, &mut response, &[200])?;
        let text = response.body_mut().with_config().limit(1 << 20).read_to_string();
        let text = text.map_err(|error| broken(&url, &error))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| HubError::form(&url, error))?;
        let token = value["token"].as_str().or_else(|| value["access_token"].as_str());
        token
            .map(|token| Some(format!("Bearer {token}")))
            .ok_or_else(|| HubError::form(url, "the answer holds no token"))
    }

    /// What the user of a registry that knows its users by keys has to do.
    fn key_advice(&self, host: &str) -> Option<String> {
        let path = key::path_of_user().map_or_else(|| "~/.ollama/id_ed25519".into(), |path| path.display().to_string());
        match self.credentials.key(host) {
            Some(_) => Some(format!(
                "it does not take this user's key: {path}.pub must be among the keys of the account, and the model's name \
                 must begin with that of the account"
            )),
            None if host == DEFAULT_REGISTRY => Some(format!(
                "it wants the key of an Ollama account, which is not here: {path} (ssh-keygen -t ed25519 makes one; its \
                 public half goes into the settings of the account)"
            )),
            None => None,
        }
    }

    /// An error that says what the other side said.
    fn expect(&self, url: &str, response: &mut Response<Body>, expected: &[u16]) -> Result<(), HubError> {
        let status = response.status().as_u16();
        if expected.contains(&status) {
            return Ok(());
        }
        let text = response.body_mut().with_config().limit(1 << 16).read_to_string().unwrap_or_default();
        let reason = match (status, reason(&text)) {
            (401 | 403, said) => {
                let advice = "a token is wanted (HF_TOKEN, OLIVINE_REGISTRY_AUTH), or this one may not";
                said.map_or_else(|| format!("status {status}: {advice}"), |said| format!("{said}: {advice}"))
            }
            (_, Some(said)) => format!("status {status}: {said}"),
            (404, None) => "it is not there (status 404)".to_string(),
            (_, None) => format!("status {status}"),
        };
        Err(failed(url, status, reason))
    }
}

/// What an error document says, in the forms that registries and the hub use.
fn reason(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let said = value["errors"][0]["message"].as_str().or_else(|| value["error"].as_str());
    said.or_else(|| value["message"].as_str()).map(str::to_string)
}

fn failed(url: &str, status: u16, reason: String) -> HubError {
    HubError::Http { url: without_query(url).into(), status, reason }
}

fn unreachable(url: &str, error: &ureq::Error) -> HubError {
    failed(url, 0, error.to_string())
}

fn broken(url: &str, error: &ureq::Error) -> HubError {
    failed(url, 0, format!("the answer broke off: {error}"))
}

/// Signed addresses hold secrets behind the question mark.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// Host and port of an address.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Percent-encodes what must not stand in a query or a path's part.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Certificates of `SSL_CERT_FILE` where that is set (a company's own), else those of the browsers.
fn roots() -> RootCerts {
    let file = std::env::var_os("SSL_CERT_FILE").and_then(|path| std::fs::read(path).ok());
    let certificates: Vec<Certificate<'static>> = file
        .iter()
        .flat_map(|bytes| ureq::tls::parse_pem(bytes))
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_belong_to_hosts() {
        let credentials = Credentials::parse("a.example=token  B.example:5000=user:secret nonsense");
        assert_eq!(credentials.header("A.EXAMPLE").unwrap(), "Bearer token");
        assert_eq!(credentials.header("b.example:5000").unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        for other in ["example", "b.example", "a.example.evil.com", ""] {
            assert!(credentials.header(other).is_none(), "{other}");
        }
    }

    #[test]
    fn who_has_no_key_is_told_where_it_belongs() {
        let client = Client::new(Credentials::default());
        let advice = client.key_advice(DEFAULT_REGISTRY).unwrap();
        assert!(advice.contains("id_ed25519") && advice.contains("settings of the account"), "{advice}");
        assert!(client.key_advice("a.example").is_none());
    }

    #[test]
    fn hosts_and_words_of_addresses() {
        assert_eq!(host_of("https://a.b:1/c?d"), "a.b:1");
        assert_eq!(encode("repository:a/b:pull c&d"), "repository:a/b:pull%20c%26d");
    }
}
