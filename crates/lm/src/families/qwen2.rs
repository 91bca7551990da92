//! Qwen2 and Qwen2.5: biases on q, k and v (found in the checkpoint).

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "qwen2",
    model_types: &["qwen2"],
    gguf_architectures: &["qwen2"],
    spec,
    names: &[],
    export: Export::plain(&[("qwen2", "qwen2")]),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    decoder(config, "qwen2", |layer| {
        let mut attention = attention(config)?;
        attention.window = window(config, layer)?;
        Ok(plain_layer(attention, dense(config)?))
    })
}

/// The window of a layer: from `max_window_layers` on, where `use_sliding_window` is set.
pub(super) fn window(config: &Config, layer: usize) -> Result<Option<usize>, ModelError> {
    if !config.flag_or("use_sliding_window", false)? {
        return Ok(None);
    }
    let first = config.count_or("max_window_layers", usize::MAX)?;
    if is_sliding(config, layer, layer >= first)? { config.size_option("sliding_window") } else { Ok(None) }
}
