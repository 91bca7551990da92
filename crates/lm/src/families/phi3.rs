//! Phi-3 and Phi-4-mini: fused projections, LongRoPE, partial rotary embedding.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "phi3",
    model_types: &["phi3"],
    gguf_architectures: &["phi3"],
    spec,
    names: &[],
    export: Some(Export { architectures: &[("phi3", "phi3")], window_interval: 1, names: &[] }),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    decoder(config, "phi3", |_| {
        let window = config.size_option("sliding_window")?;
        Ok(plain_layer(AttentionSpec { window, ..attention(config)? }, dense(config)?))
    })
}
