//! `GET /api/tags`, `GET /api/ps`, `POST /api/show`, `GET /api/version`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Failure;
use crate::api::{body, refuse_unknown, timestamp};
use crate::conversation::uses_tools;
use crate::error::{ApiError, Kind};
use crate::library::Details;
use crate::registry::{Loaded, ModelCard};
use crate::respond;
use crate::state::App;

/// Models that are here.
pub async fn tags(State(app): State<Arc<App>>) -> Response {
    let models: Vec<Value> = app.registry.list().iter().map(entry).collect();
    respond::json(StatusCode::OK, &json!({"models": models}))
}

/// A name as this dialect writes it: with a tag.
fn tagged(card: &ModelCard) -> String {
    let last = card.name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || (card.name.contains('/') && !card.stored) {
        card.name.clone()
    } else {
        format!("{}:latest", card.name)
    }
}

fn details(card: &ModelCard) -> Value {
    json!({
        "parent_model": "",
        "format": card.format,
        "family": card.family,
        "families": [card.family],
        "parameter_size": card.parameter_size,
        "quantization_level": card.quantization,
    })
}

fn entry(card: &ModelCard) -> Value {
    let name = tagged(card);
    json!({
        "name": name,
        "model": name,
        "modified_at": timestamp(card.modified.unwrap_or(UNIX_EPOCH)),
        "size": card.bytes,
        "digest": card.digest,
        "details": details(card),
    })
}

/// Models in memory.
pub async fn ps(State(app): State<Arc<App>>) -> Response {
    let model = |resident: crate::registry::Resident| {
        let card = &resident.model.card;
        let name = tagged(card);
        let hundred_years = Duration::from_secs(100 * 365 * 86_400);
        let expires = SystemTime::now() + resident.expires_in.unwrap_or(hundred_years);
        json!({
            "name": name,
            "model": name,
            "size": resident.model.parts.weight_bytes,
            "digest": card.digest,
            "details": details(card),
            "expires_at": timestamp(expires),
            "size_vram": device_bytes(&resident.model),
            "context_length": resident.model.parts.engine.context_tokens(),
        })
    };
    let models: Vec<Value> = app.registry.residents().into_iter().map(model).collect();
    respond::json(StatusCode::OK, &json!({"models": models}))
}

/// Bytes of the weights that lie in the memory of a GPU.
fn device_bytes(model: &Loaded) -> u64 {
    let (status, all) = (model.parts.engine.status(), model.parts.weight_bytes);
    match (&status.device, status.device_layers) {
        (None, _) => 0,
        (Some(_), None) => all,
        (Some(_), Some(_)) => all.min(status.device_bytes_used),
    }
}

/// The body of `/api/show`.
#[derive(Clone, Debug, Deserialize)]
pub struct ShowRequest {
    #[serde(default)]
    model: String,
    name: Option<String>,
    verbose: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// All that is known of a model.
pub async fn show(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: ShowRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &[])?;
    let name = request.name.filter(|_| request.model.is_empty()).unwrap_or(request.model);
    let card = app.registry.find(&name)?;
    let verbose = request.verbose.unwrap_or(false);
    let inspected = inspect(&app, &card, verbose).await?;
    let modelfile = if card.modelfile.is_empty() { format!("FROM {}\n", card.name) } else { card.modelfile.clone() };
    let mut document = json!({
        "license": card.license,
        "modelfile": modelfile,
        "parameters": parameter_lines(&card.options),
        "template": card.template,
        "system": card.system,
        "details": details(&card),
        "messages": card.messages,
        "model_info": inspected.info,
        "capabilities": capabilities(&card),
        "modified_at": timestamp(card.modified.unwrap_or(UNIX_EPOCH)),
    });
    if verbose {
        let tensor = |(name, format, shape): &(String, String, Vec<usize>)| json!({"name": name, "type": format, "shape": shape});
        document["tensors"] = inspected.tensors.iter().map(tensor).collect();
    }
    // Clients tell by their absence that there are none.
    let document = document.as_object_mut().map(std::mem::take).unwrap_or_default();
    let is_nothing = |value: &Value| value == "" || value.as_array().is_some_and(Vec::is_empty);
    let optional = ["system", "messages"];
    let document = document.into_iter().filter(|(key, value)| !(optional.contains(&key.as_str()) && is_nothing(value)));
    Ok(respond::json(StatusCode::OK, &Value::Object(document.collect())))
}

/// What clients offer a model for.
fn capabilities(card: &ModelCard) -> Vec<&'static str> {
    if card.embeds {
        return vec!["embedding"];
    }
    let thinks = card.template.contains("think") || card.template.contains(".Think");
    let all = [(true, "completion"), (uses_tools(card), "tools"), (thinks, "thinking")];
    all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

/// `stop                           "<|im_end|>"`
fn parameter_lines(options: &Map<String, Value>) -> String {
    let lines = olivine_hub::parameters::lines(options);
    let quoted = |name: &str, text: &str| if name == "stop" { format!("{text:?}") } else { text.to_string() };
    let lines: Vec<String> = lines.iter().map(|(name, text)| format!("{name:<30} {}", quoted(name, text))).collect();
    lines.join("\n")
}

/// What the model's files say, and what is known without them.
async fn inspect(app: &Arc<App>, card: &ModelCard, verbose: bool) -> Result<Details, ApiError> {
    let mut found = Details::default();
    if let Some(library) = app.library.clone() {
        let card = card.clone();
        let task = tokio::task::spawn_blocking(move || (library.inspect)(&card, verbose));
        // A file that cannot be read says so when the model is loaded.
        found = task
            .await
            .map_err(|_| ApiError::new(Kind::Internal, "reading the model's files panicked"))?
            .unwrap_or_default();
    }
    let family = &card.family;
    for (key, value) in [
        ("general.architecture".to_string(), json!(family)),
        // Under which editors list it.
        ("general.basename".to_string(), json!(card.name)),
        ("general.parameter_count".to_string(), json!(card.parameters)),
        (format!("{family}.context_length"), json!(card.context_tokens)),
        (format!("{family}.embedding_length"), json!(card.embedding_length)),
    ] {
        found.info.entry(key).or_insert(value);
    }
    Ok(found)
}

/// The version that clients hear. They compare it with the one that they want (editors 0.6.4, agents 0.14.2, importers of
/// files 0.34.0) and leave a server that says less; it is no promise of every field of that release.
const SPOKEN: &str = "0.35.0";

/// The version of the dialect, and our own.
pub async fn version(State(app): State<Arc<App>>) -> Response {
    respond::json(StatusCode::OK, &json!({"version": SPOKEN, "olivine": app.options.version}))
}
