//! `POST /api/pull`, `/api/push`, `/api/create`, `/api/copy`, `DELETE /api/delete`, `HEAD` and `POST /api/blobs/:digest`.
//!
//! Invariant: names and digests are parsed before anything else sees them; a path from a client is refused. Progress is
//! a document a line; a client that goes away ends the work. Read `olivine_hub::hub` for the work itself.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use olivine_hub::create::{Origin, Recipe};
use olivine_hub::name::FileName;
use olivine_hub::{Digest, Hub, HubError, ModelName, Progress, Reporter};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{Failure, line};
use crate::api::{body, refuse_unknown};
use crate::error::{ApiError, Kind};
use crate::respond::{self, NDJSON};
use crate::state::App;

/// The body of `/api/pull`, `/api/push` and `/api/delete`.
#[derive(Clone, Debug, Deserialize)]
pub struct NameRequest {
    #[serde(default)]
    model: String,
    name: Option<String>,
    insecure: Option<bool>,
    stream: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl NameRequest {
    fn read(bytes: &Bytes) -> Result<(NameRequest, ModelName), ApiError> {
        let request: NameRequest = body(bytes)?;
        // Sent by old clients; says nothing any more.
        refuse_unknown(&request.rest, &["username", "password"])?;
        let given = request.name.clone().filter(|_| request.model.is_empty()).unwrap_or(request.model.clone());
        let name = model_name(&given, "model", "invalid model name")?;
        Ok((request, name))
    }
}

/// `/api/pull`
pub async fn pull(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let (request, name) = NameRequest::read(&bytes)?;
    let insecure = request.insecure.unwrap_or(false);
    run(&app, request.stream, move |hub, report| hub.pull(&name, insecure, report)).await
}

/// `/api/push`
pub async fn push(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let (request, name) = NameRequest::read(&bytes)?;
    let insecure = request.insecure.unwrap_or(false);
    run(&app, request.stream, move |hub, report| hub.push(&name, insecure, report)).await
}

/// The body of `/api/create`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CreateRequest {
    #[serde(default)]
    model: String,
    name: Option<String>,
    from: Option<String>,
    files: Option<Map<String, Value>>,
    adapters: Option<Map<String, Value>>,
    template: Option<String>,
    system: Option<String>,
    license: Option<Value>,
    parameters: Option<Map<String, Value>>,
    messages: Option<Vec<Value>>,
    quantize: Option<String>,
    quantization: Option<String>,
    renderer: Option<String>,
    parser: Option<String>,
    requires: Option<String>,
    stream: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl CreateRequest {
    fn recipe(&self) -> Result<Recipe, ApiError> {
        refuse_unknown(&self.rest, &[])?;
        let given = self.name.as_deref().filter(|_| self.model.is_empty()).unwrap_or(&self.model);
        let name = model_name(given, "model", "invalid model name")?;
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let origin = match (text(&self.from), &self.files) {
            (Some(from), None) => Origin::Name(model_name(&from, "from", "invalid model name")?),
            (None, Some(files)) if !files.is_empty() => Origin::Blobs(blobs(files, "files")?),
            (Some(_), Some(_)) => return Err(ApiError::invalid("files", "`from` and `files` exclude each other")),
            _ => return Err(ApiError::invalid("from", "neither 'from' or 'files' was specified")),
        };
        let adapters = self.adapters.as_ref().filter(|files| !files.is_empty());
        let adapters = adapters.map(|files| blobs(files, "adapters").map(Origin::Blobs)).transpose()?;
        let licenses = match &self.license {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(|text| text.as_str().map(str::to_string)).collect()
            }
            Some(_) => return Err(ApiError::invalid("license", "`license` must be a text or a list of texts")),
        };
        let mut messages = Vec::new();
        for message in self.messages.iter().flatten() {
            match (message["role"].as_str(), message["content"].as_str()) {
                (Some(role @ ("system" | "user" | "assistant")), Some(content)) => {
                    messages.push(json!({"role": role, "content": content}));
                }
                _ => return Err(ApiError::invalid("messages", "a message wants `role` and `content`")),
            }
        }
        Ok(Recipe {
            name,
            origin,
            adapters: adapters.into_iter().collect(),
            template: text(&self.template),
            system: text(&self.system),
            parameters: self.parameters.clone().unwrap_or_default(),
            messages,
            licenses,
            renderer: text(&self.renderer),
            parser: text(&self.parser),
            requires: text(&self.requires),
            quantize: text(&self.quantize).or_else(|| text(&self.quantization)),
        })
    }
}

/// `/api/create`
pub async fn create(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: CreateRequest = body(&bytes)?;
    let recipe = request.recipe()?;
    run(&app, request.stream, move |hub, report| hub.create(&recipe, report)).await
}

/// The body of `/api/copy`.
#[derive(Clone, Debug, Deserialize)]
pub struct CopyRequest {
    #[serde(default)]
    source: String,
    #[serde(default)]
    destination: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// `/api/copy`
pub async fn copy(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: CopyRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &[])?;
    let given = &request.source;
    let source = model_name(given, "source", &format!("source {given:?} is invalid"))?;
    let target = &request.destination;
    let target = model_name(target, "destination", &format!("destination {target:?} is invalid"))?;
    let copied = blocking(&app, move |hub| hub.store().copy(&source, &target)).await;
    copied.map_err(|error| match error.kind {
        Kind::NotFound => ApiError { message: format!("model {:?} not found", request.source), ..error },
        _ => error,
    })?;
    Ok(Response::new(Body::empty()))
}

/// `/api/delete`
pub async fn delete(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let (request, name) = NameRequest::read(&bytes)?;
    let given = request.name.filter(|_| request.model.is_empty()).unwrap_or(request.model);
    let loaded = app.registry.find(&given).ok().filter(|card| card.stored);
    let removed = blocking(&app, move |hub| hub.store().remove(&name)).await;
    removed.map_err(|error| match error.kind {
        Kind::NotFound => ApiError { message: format!("model '{given}' not found"), ..error },
        _ => error,
    })?;
    if let Some(card) = loaded {
        app.registry.forget(&card.name);
    }
    Ok(Response::new(Body::empty()))
}

/// `HEAD /api/blobs/:digest`
pub async fn has_blob(State(app): State<Arc<App>>, Path(digest): Path<String>) -> Result<Response, Failure> {
    let digest = parse_digest(&digest)?;
    let here = blocking(&app, move |hub| Ok(hub.store().has(&digest))).await?;
    let mut response = Response::new(Body::empty());
    if !here {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// `POST /api/blobs/:digest`: the bytes go to the disk as they come, however many they are.
pub async fn put_blob(
    State(app): State<Arc<App>>,
    Path(digest): Path<String>,
    bytes: Body,
) -> Result<Response, Failure> {
    let digest = parse_digest(&digest)?;
    let hub = hub(&app)?.clone();
    let mut response = Response::new(Body::empty());
    if hub.store().has(&digest) {
        return Ok(response);
    }
    let (sender, mut receiver) = mpsc::channel::<Bytes>(8);
    let writer = tokio::task::spawn_blocking(move || {
        let mut incoming = hub.store().incoming()?;
        while let Some(bytes) = receiver.blocking_recv() {
            incoming.write(&bytes)?;
        }
        Ok(incoming)
    });
    let mut pieces = bytes.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| ApiError::new(Kind::Invalid, format!("the body broke off: {error}")))?;
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let lost = |_| ApiError::new(Kind::Internal, "writing the blob panicked");
    let incoming = writer.await.map_err(lost)?.map_err(|error: HubError| api_error(&error))?;
    let kept = tokio::task::spawn_blocking(move || incoming.keep(Some(&digest))).await.map_err(lost)?;
    kept.map_err(|error| match error {
        HubError::DigestMismatch { want, got } => {
            ApiError::new(Kind::Invalid, format!("digest mismatch, expected {want:?}, got {got:?}"))
        }
        other => api_error(&other),
    })?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn hub(app: &App) -> Result<&Hub, ApiError> {
    let library = app.library.as_ref();
    let missing = || ApiError::new(Kind::Unavailable, "this server was started without a store of models");
    library.map(|library| &library.hub).ok_or_else(missing)
}

fn model_name(text: &str, param: &str, message: &str) -> Result<ModelName, ApiError> {
    ModelName::parse(text).map_err(|_| ApiError::invalid(param, message))
}

fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    Digest::parse(text).map_err(|_| ApiError::invalid("digest", "invalid digest format"))
}

/// Names of files and the blobs that they are.
fn blobs(files: &Map<String, Value>, param: &str) -> Result<Vec<(FileName, Digest)>, ApiError> {
    let one = |(name, digest): (&String, &Value)| {
        // Some clients send the path that the file has on their side.
        let last = FilePath::new(name).file_name().map_or("", |name| name.to_str().unwrap_or_default());
        let name = FileName::parse(if name.starts_with('/') { last } else { name });
        let name = name.map_err(|_| ApiError::invalid(param, "invalid file name"))?;
        Ok((name, parse_digest(digest.as_str().unwrap_or_default())?))
    };
    files.iter().map(one).collect()
}

fn api_error(error: &HubError) -> ApiError {
    let kind = match error {
        HubError::NotFound(_) => Kind::NotFound,
        HubError::Name { .. } | HubError::DigestForm(_) | HubError::Modelfile { .. } => Kind::Invalid,
        _ => Kind::Internal,
    };
    ApiError::new(kind, error.to_string())
}

async fn blocking<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Hub) -> Result<T, HubError> + Send + 'static,
) -> Result<T, ApiError> {
    let hub = hub(app)?.clone();
    let done = tokio::task::spawn_blocking(move || work(&hub)).await;
    done.map_err(|_| ApiError::new(Kind::Internal, "the store's answer was lost"))?.map_err(|error| api_error(&error))
}

fn progress_value(progress: &Progress) -> Value {
    let mut value = json!({"status": progress.status});
    if let Some(digest) = progress.digest {
        value["digest"] = json!(digest);
    }
    if progress.total > 0 {
        value["total"] = json!(progress.total);
        value["completed"] = json!(progress.completed);
    }
    value
}

/// Runs work that reports, as a stream of its progress or to its end.
async fn run(
    app: &Arc<App>,
    streamed: Option<bool>,
    work: impl FnOnce(&Hub, Reporter) -> Result<(), HubError> + Send + 'static,
) -> Result<Response, Failure> {
    let hub = hub(app)?.clone();
    let (sender, receiver) = mpsc::channel::<Value>(64);
    let task = tokio::task::spawn_blocking(move || {
        let told = |progress: Progress| sender.blocking_send(progress_value(&progress)).is_ok();
        let done = work(&hub, Reporter(&told));
        if let Err(error) = &done {
            let _ = sender.blocking_send(json!({"error": error.to_string()}));
        }
        done
    });
    if streamed.unwrap_or(true) {
        let lines = stream::unfold(receiver, |mut receiver| async move {
            let value = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(line(&value))), receiver))
        });
        let mut response = Response::new(Body::from_stream(lines));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
        return Ok(response);
    }
    let mut receiver = receiver;
    let mut last = json!({"status": "success"});
    while let Some(value) = receiver.recv().await {
        last = value;
    }
    let done =
        task.await.map_err(|_| ApiError::new(Kind::Internal, "the work panicked; the server's log says where"))?;
    done.map_err(|error| api_error(&error))?;
    Ok(respond::json(StatusCode::OK, &last))
}
