//! Qwen3-Next and Qwen3.5, dense and with experts: three gated delta-net layers to one gated attention layer.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "qwen3-next",
    model_types: &["qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"],
    gguf_architectures: &["qwen3next", "qwen35", "qwen35moe"],
    spec,
    names: &[],
    export: Some(Export {
        architectures: &[
            ("qwen3_next", "qwen3next"),
            ("qwen3_5", "qwen35"),
            ("qwen3_5_text", "qwen35"),
            ("qwen3_5_moe", "qwen35moe"),
            ("qwen3_5_moe_text", "qwen35moe"),
        ],
        window_interval: 0,
        names: &[("ffn_norm", "blk.{}.post_attention_norm")],
    }),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let interval = config.size_or("full_attention_interval", 4)?;
    let kinds = config.words("layer_types")?;
    let sparse_model = config.get("num_experts").is_some_and(|n| n.as_u64() != Some(0));
    let mut spec = decoder(config, "qwen3-next", |layer| {
        let full = match &kinds {
            Some(kinds) => kinds.get(layer) == Some(&"full_attention"),
            None => (layer + 1).is_multiple_of(interval),
        };
        let mixer = if full {
            let heads = attention(config)?;
            Mixer::Attention(AttentionSpec { head_norms: true, output_gate: true, ..heads })
        } else {
            Mixer::GatedDelta(GatedDeltaSpec {
                key_heads: config.size("linear_num_key_heads")?,
                value_heads: config.size("linear_num_value_heads")?,
                key_dim: config.size("linear_key_head_dim")?,
                value_dim: config.size("linear_value_head_dim")?,
                conv_taps: config.size_or("linear_conv_kernel_dim", 4)?,
                // The GGUF converter reorders the value heads of the later generation.
                tiled: config.is_gguf() && config.word_or("model_type", "")? != "qwen3next",
            })
        };
        let ffn = if sparse_model && qwen3_moe::is_sparse(config, layer)? {
            let shared = config.size_option("shared_expert_intermediate_size")?;
            Ffn::Moe(MoeSpec {
                shared: shared.map(|width| SharedExpertSpec { width, gated: true }),
                ..qwen3_moe::experts(config)?
            })
        } else {
            dense(config)?
        };
        Ok(LayerSpec { mixer, ffn, post_norms: false })
    })?;
    spec.norm_offset = if config.is_gguf() { 0.0 } else { 1.0 };
    Ok(spec)
}
