//! Adapters by name: which there are, which a request chooses, and loading one when it is asked for.
//!
//! Invariant: names lead to folders that whoever started the server named; nothing a client sends is taken for a path.
//! Read `api/own/adapters.rs` for the endpoint.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use olivine_engine::{AdapterError, AdapterInfo};
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::registry::{Lease, ModelCard};
use crate::state::App;

/// Models and the adapters that lists show with them: those that a model has loaded; and, for models that whoever started
/// the server named, all that do not say that they were made for another.
pub fn offered<'a>(app: &App, cards: &'a [ModelCard]) -> Vec<(&'a ModelCard, String)> {
    let known = app.adapters.list();
    let bases: BTreeMap<&String, Option<String>> = known.iter().map(|(name, folder)| (name, base_of(folder))).collect();
    let same = |card: &ModelCard, base: &str| card.name.eq_ignore_ascii_case(base);
    let mut offered = Vec::new();
    for card in cards.iter().filter(|card| !card.embeds) {
        let resident = app.registry.resident(&card.name).ok().flatten();
        let loaded = resident.map_or_else(Vec::new, |model| model.parts.engine.adapters());
        for (&name, base) in &bases {
            let is_loaded = loaded.iter().any(|info| info.name == *name);
            let fits =
                base.as_ref().is_none_or(|base| same(card, base) || !cards.iter().any(|other| same(other, base)));
            if is_loaded || (!card.stored && fits) {
                offered.push((card, name.clone()));
            }
        }
    }
    offered
}

/// The last part of the name of the model that an adapter says it was made for.
fn base_of(folder: &Path) -> Option<String> {
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).ok()?).ok()?;
    let base = config["base_model_name_or_path"].as_str().filter(|base| !base.is_empty())?;
    base.trim_end_matches('/').rsplit('/').next().map(str::to_string)
}

/// The call with `base:adapter` taken apart, where no model has that name and both parts are known.
pub fn chosen(app: &App, call: &Call) -> Call {
    let mut call = call.clone();
    if call.adapter.is_some() || app.registry.find(&call.model).is_ok() {
        return call;
    }
    if let Some((base, adapter)) = call.model.rsplit_once(':')
        && app.registry.find(base).is_ok()
        && app.adapters.list().contains_key(adapter)
    {
        call.adapter = Some(adapter.into());
        call.model = base.into();
    }
    call
}

/// Load an adapter into a model, unless it is there.
pub async fn load(app: &Arc<App>, lease: &Arc<Lease>, name: &str) -> Result<AdapterInfo, ApiError> {
    if let Some(info) = lease.parts.engine.adapters().into_iter().find(|info| info.name == name) {
        return Ok(info);
    }
    let missing = || ApiError {
        param: Some("adapter".into()),
        ..ApiError::new(Kind::NotFound, format!("adapter '{name}' not found"))
    };
    let folder = app.adapters.list().remove(name).ok_or_else(missing)?;
    let (lease, name) = (lease.clone(), name.to_string());
    let task = tokio::task::spawn_blocking(move || lease.parts.engine.load_adapter(&name, &folder));
    let loaded = task.await.map_err(|_| ApiError::new(Kind::Internal, "loading the adapter panicked"))?;
    loaded.map_err(|error| match error {
        AdapterError::Memory { .. } => ApiError::new(Kind::Unavailable, error.to_string()),
        AdapterError::Name(_) | AdapterError::Files(_) => ApiError::invalid("adapter", error.to_string()),
    })
}
