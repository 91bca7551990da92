//! Qwen3: RMS norms on query and key heads.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "qwen3",
    model_types: &["qwen3"],
    gguf_architectures: &["qwen3"],
    spec,
    names: &[],
    export: Export::plain(&[("qwen3", "qwen3")]),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    decoder(config, "qwen3", |layer| Ok(plain_layer(head_normed(config, layer)?, dense(config)?)))
}

/// Attention with head norms and the window of the layer.
pub(super) fn head_normed(config: &Config, layer: usize) -> Result<AttentionSpec, ModelError> {
    let window = qwen2::window(config, layer)?;
    Ok(AttentionSpec { head_norms: true, window, ..attention(config)? })
}
