//! Models at hand: names, the store on disk, Modelfiles, and getting models from registries and from the Hugging Face
//! hub. The only crate that opens outbound connections.
//!
//! Invariant: nothing that comes from a client, a registry or a file becomes a path before `ModelName`, `Digest` or
//! `FileName` has checked it; what lies in the store under a digest has that digest. Read `name`, then `store`.

pub mod create;
pub mod digest;
mod download;
pub mod error;
pub mod http;
pub mod hub;
pub mod huggingface;
pub mod key;
pub mod local;
pub mod manifest;
pub mod model;
pub mod modelfile;
pub mod name;
pub mod parameters;
pub mod progress;
mod quants;
pub mod registry;
pub mod server;
pub mod store;

pub use create::{Description, Origin, Recipe, Workshop};
pub use digest::Digest;
pub use error::HubError;
pub use hub::Hub;
pub use manifest::{Config, Layer, Manifest};
pub use model::{StoredModel, Weights};
pub use modelfile::Modelfile;
pub use name::ModelName;
pub use progress::{Progress, Reporter};
pub use server::LocalServer;
pub use store::Store;
