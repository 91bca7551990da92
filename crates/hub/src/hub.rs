//! All that is done with models by name: pull, push, create, on one store.
//!
//! Invariant: every step is told to the `Reporter` in Ollama's words, and stops when it says so. Read `registry`,
//! `huggingface` and `create` for the steps.

use std::sync::Arc;

use crate::create::{self, Origin, Recipe, Scratch, Workshop};
use crate::http::{Client, Credentials};
use crate::{HubError, ModelName, Reporter, Store, huggingface, registry};

/// A store with the outside world.
#[derive(Clone)]
pub struct Hub {
    store: Store,
    client: Client,
    workshop: Arc<dyn Workshop>,
}

impl Hub {
    /// Opens nothing and asks nobody.
    pub fn new(store: Store, credentials: Credentials, workshop: Arc<dyn Workshop>) -> Hub {
        Hub { store, client: Client::new(credentials), workshop }
    }

    /// The user's store with the user's credentials.
    pub fn of_user(workshop: Arc<dyn Workshop>) -> Hub {
        Hub::new(Store::of_user(), Credentials::of_environment(), workshop)
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Brings a model into the store, or up to date.
    pub fn pull(&self, name: &ModelName, insecure: bool, report: Reporter) -> Result<(), HubError> {
        match name.is_hugging_face() {
            true => huggingface::pull(&self.store, &self.client, self.workshop.as_ref(), name, report),
            false => registry::pull(&self.store, &self.client, name, insecure, report),
        }
    }

    /// Sends a model to the registry in its name.
    pub fn push(&self, name: &ModelName, insecure: bool, report: Reporter) -> Result<(), HubError> {
        registry::push(&self.store, &self.client, name, insecure, report)
    }

    /// Makes a model; what it is made from is pulled where it is not here.
    pub fn create(&self, recipe: &Recipe, report: Reporter) -> Result<(), HubError> {
        if let Origin::Name(base) = &recipe.origin
            && self.store.find(base)?.is_none()
        {
            if let Some(files) = self.workshop.built_in(base) {
                let folder = Scratch::new(&self.store)?;
                for (name, bytes) in files {
                    let path = folder.0.join(name);
                    std::fs::write(&path, bytes).map_err(HubError::io(&path))?;
                }
                let recipe = Recipe { origin: Origin::Path(folder.0.clone()), ..recipe.clone() };
                return create::create(&self.store, &recipe, self.workshop.as_ref(), report);
            }
            // The end of the pull is not the end of the work.
            let quiet = |progress: crate::Progress| progress.status == "success" || (report.0)(progress);
            self.pull(base, false, Reporter(&quiet))?;
        }
        create::create(&self.store, recipe, self.workshop.as_ref(), report)
    }
}
