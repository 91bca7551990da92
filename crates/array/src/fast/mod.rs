//! Fused operations: each has a composition in plain ops that is its fallback, its gradient and its test oracle.
//!
//! Invariant: one file an operation; the fused primitive and the composition agree within the tolerance of their tests.
//! Read next: [`norm`].

pub mod adapter;
pub mod attention;
pub mod cards;
pub mod gated;
pub mod gated_delta;
pub mod greatest;
pub mod latent;
pub mod linear;
pub mod lora;
pub mod moe;
pub mod norm;
pub mod paged_attention;
pub mod rope;
pub mod rows;
pub mod step;

pub use attention::{Mask, attention};
pub use norm::{layer_norm, layer_norm_composed, rms_norm, rms_norm_composed};
pub use rope::{Rope, rope, rope_composed};
