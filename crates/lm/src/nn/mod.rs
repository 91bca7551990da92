//! The blocks of a decoder: each loads itself from a checkpoint and maps `[tokens, hidden]` to `[tokens, hidden]`.

pub mod attention;
pub mod ffn;
pub mod gated_delta;
pub mod latent;
