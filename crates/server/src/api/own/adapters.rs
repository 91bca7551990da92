//! `GET`, `POST` and `DELETE /v1/adapters`: which there are, loading and unloading.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_engine::AdapterInfo;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::adapters;
use crate::api::openai::failure::Failure;
use crate::api::{body, refuse_unknown};
use crate::error::{ApiError, Kind};
use crate::respond;
use crate::state::App;

/// A model and an adapter.
#[derive(Clone, Debug, Deserialize)]
pub struct AdapterRequest {
    model: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl AdapterRequest {
    fn parse(bytes: &Bytes) -> Result<AdapterRequest, ApiError> {
        let request: AdapterRequest = body(bytes)?;
        refuse_unknown(&request.rest, &[])?;
        if request.name.is_empty() {
            return Err(ApiError::invalid("name", "name is required"));
        }
        Ok(request)
    }
}

/// All names, and the models that they are loaded into.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let residents = app.registry.residents();
    let loaded = |name: &str| -> Vec<Value> {
        let one = |resident: &crate::registry::Resident| {
            let info = resident.model.parts.engine.adapters().into_iter().find(|info| info.name == name)?;
            Some(shape(&resident.model.card.name, &info))
        };
        residents.iter().filter_map(one).collect()
    };
    let mut names: Vec<String> = app.adapters.list().into_keys().collect();
    names.extend(residents.iter().flat_map(|one| one.model.parts.engine.adapters()).map(|info| info.name));
    names.sort();
    names.dedup();
    let adapters: Vec<Value> = names.iter().map(|name| json!({"name": name, "loaded": loaded(name)})).collect();
    respond::json(StatusCode::OK, &json!({ "adapters": adapters }))
}

/// Loads an adapter into a model, and the model if need be.
pub async fn load(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request = AdapterRequest::parse(&bytes)?;
    let lease = Arc::new(app.registry.lease(request.model.as_deref().unwrap_or_default(), None).await?);
    let info = adapters::load(&app, &lease, &request.name).await?;
    Ok(respond::json(StatusCode::OK, &shape(&lease.card.name, &info)))
}

/// Unloads an adapter from a model, or from all; running requests go on under it.
pub async fn unload(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request = AdapterRequest::parse(&bytes)?;
    let wanted = request.model.as_deref().map(|name| app.registry.find(name)).transpose()?;
    let residents = app.registry.residents();
    let meant = residents.iter().filter(|one| wanted.as_ref().is_none_or(|card| card.name == one.model.card.name));
    let models: Vec<&str> = meant
        .filter(|one| one.model.parts.engine.unload_adapter(&request.name))
        .map(|one| &one.model.card.name[..])
        .collect();
    if models.is_empty() {
        let message = format!("adapter '{}' is not loaded", request.name);
        return Err(ApiError::new(Kind::NotFound, message).into());
    }
    Ok(respond::json(StatusCode::OK, &json!({"name": request.name, "unloaded_from": models})))
}

fn shape(model: &str, info: &AdapterInfo) -> Value {
    json!({
        "model": model,
        "name": info.name,
        "digest": info.digest,
        "rank": info.rank,
        "modules": info.modules,
        "bytes": info.bytes,
    })
}
