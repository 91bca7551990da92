//! What tests share: the conformance table, tolerances, golden files. Development only.

pub mod cases;
pub mod conformance;
pub mod place;
pub mod plain;
pub mod snapshot;
pub mod tiny;
pub mod tiny_adapter;
pub mod tiny_gguf;
