//! Gemma 2: norms behind both blocks, soft caps, every other layer sees a window, embeddings scaled by √hidden.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "gemma2",
    model_types: &["gemma2"],
    gguf_architectures: &["gemma2"],
    spec,
    names: POST_NORM_NAMES,
    export: Some(Export { architectures: &[("gemma2", "gemma2")], window_interval: 2, names: &[] }),
};

/// The four norms of a layer.
pub(super) const POST_NORM_NAMES: &[(&str, &str)] = &[
    ("mixer_post_norm", "model.layers.{}.post_attention_layernorm"),
    ("ffn_norm", "model.layers.{}.pre_feedforward_layernorm"),
    ("ffn_post_norm", "model.layers.{}.post_feedforward_layernorm"),
];

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let mut spec = decoder(config, "gemma2", |layer| {
        let mut attention = attention(config)?;
        attention.scale = query_scale(config, attention.head_dim, 46)?;
        attention.soft_cap = config.number_option("attn_logit_softcapping")?;
        if is_sliding(config, layer, layer.is_multiple_of(2))? {
            attention.window = Some(config.size_or("sliding_window", 4096)?);
        }
        Ok(LayerSpec { mixer: Mixer::Attention(attention), ffn: gelu_dense(config)?, post_norms: true })
    })?;
    finish(config, &mut spec)?;
    Ok(spec)
}

/// `query_pre_attn_scalar ^ -0.5`. GGUF files do not record it: there it is the head width, but hidden / heads in the
/// largest model of the family, known by its `largest_layers`.
pub(super) fn query_scale(config: &Config, head_dim: usize, largest_layers: usize) -> Result<f32, ModelError> {
    let largest = config.is_gguf() && config.size("num_hidden_layers")? == largest_layers;
    let unrecorded = match largest {
        true => config.size("hidden_size")? as f32 / config.size("num_attention_heads")? as f32,
        false => head_dim as f32,
    };
    Ok(config.number_or("query_pre_attn_scalar", unrecorded)?.powf(-0.5))
}

/// A feed-forward block gated by the tanh form of GELU unless the configuration says otherwise.
pub(super) fn gelu_dense(config: &Config) -> Result<Ffn, ModelError> {
    let named = config.get("hidden_activation").is_some() || config.get("hidden_act").is_some();
    // Early configurations say `gelu` and mean the tanh form, which the weights were trained with.
    let activation = match if named { activation(config)? } else { Activation::GeluTanh } {
        Activation::Gelu => Activation::GeluTanh,
        other => other,
    };
    Ok(Ffn::Dense { width: config.size("intermediate_size")?, activation })
}

/// Embedding scale, head and norm offset.
pub(super) fn finish(config: &Config, spec: &mut ModelSpec) -> Result<(), ModelError> {
    // Rounded to bfloat16, as the weights' own arithmetic has it.
    spec.embedding_scale = half::bf16::from_f32((spec.hidden as f32).sqrt()).to_f32();
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    spec.head.soft_cap = config.number_option("final_logit_softcapping")?;
    spec.norm_offset = if config.is_gguf() { 0.0 } else { 1.0 };
    Ok(())
}
