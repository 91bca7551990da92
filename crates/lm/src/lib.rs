//! Language models on `olivine-array`: specs, families, one decoder, caches, sampling. No requests, no network.
//!
//! Read `spec.rs`, then `families/mod.rs`, then `decoder.rs`; `language_model.rs` is where text comes in.

pub mod adapter;
pub mod cache;
pub mod config;
pub mod cost;
pub mod decoder;
pub mod digest;
mod draw;
pub mod encoder;
pub mod encoder_spec;
mod error;
pub mod export;
pub mod families;
pub mod files;
pub mod generate;
mod gguf_config;
pub mod inspect;
pub mod language_model;
pub mod load;
pub mod logits;
pub mod model;
pub mod nn;
pub mod perplexity;
pub mod pooling;
pub mod quantize;
pub mod sampling;
pub mod sampling_options;
pub mod spec;
pub mod split;
pub mod weights;

pub use error::ModelError;
pub use olivine_array::fast::adapter::Adapter;
pub use olivine_array::fast::linear::Precision;
pub use olivine_array::gpu::{
    Counters, GpuError, device, discard_recorded, gpu_counters, reopen_if_lost, room_bytes, use_device,
};
pub use olivine_array::{Gpu, gpu};
pub use olivine_array::{pool, set_threads};
pub use olivine_kernels::attention::KvDtype;
pub use olivine_kernels::cpu::tier;
pub use olivine_kernels::limits;
pub use olivine_kernels::quant::Format;
pub use olivine_text::{ChatTemplate, EncodeOptions, parsers};
