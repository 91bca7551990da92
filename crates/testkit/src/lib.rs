//! What tests share: the conformance table, tolerances, golden files. Development only.

pub mod tiny;
pub mod tiny_gguf;
