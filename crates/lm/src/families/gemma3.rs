//! Gemma 3 (text): five windowed layers to a full one, each kind with its own rotary base, head norms.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "gemma3",
    model_types: &["gemma3_text", "gemma3"],
    gguf_architectures: &["gemma3"],
    spec,
    names: gemma2::POST_NORM_NAMES,
    export: Some(Export {
        architectures: &[("gemma3_text", "gemma3"), ("gemma3", "gemma3")],
        window_interval: 6,
        names: &[],
    }),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let pattern = config.size_or("sliding_window_pattern", config.size_or("_sliding_window_pattern", 6)?)?;
    let mut spec = decoder(config, "gemma3", |layer| {
        let heads = attention(config)?;
        let sliding = is_sliding(config, layer, !(layer + 1).is_multiple_of(pattern))?;
        let kind = if sliding { "sliding_attention" } else { "full_attention" };
        let mut rope = config.rope(heads.head_dim, Some(kind))?;
        if config.get("rope_parameters").is_none() {
            if sliding {
                rope.theta = config.number_or("rope_local_base_freq", 10_000.0)?;
                rope.scaling = RopeScaling::None;
            } else {
                rope.theta = config.number_or("rope_theta", 1_000_000.0)?;
            }
        }
        let attention = AttentionSpec {
            scale: gemma2::query_scale(config, heads.head_dim, 62)?,
            rope: Some(rope),
            window: if sliding { Some(config.size_or("sliding_window", 4096)?) } else { None },
            soft_cap: config.number_option("attn_logit_softcapping")?,
            head_norms: true,
            ..heads
        };
        Ok(LayerSpec { mixer: Mixer::Attention(attention), ffn: gemma2::gelu_dense(config)?, post_norms: true })
    })?;
    gemma2::finish(config, &mut spec)?;
    Ok(spec)
}
