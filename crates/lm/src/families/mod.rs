//! The model families: each file turns one kind of configuration into a [`ModelSpec`] and names its tensors.
//!
//! To add a family of a known shape: one file here and one line in [`FAMILIES`]. Canonical tensor names are those
//! of [`names::COMMON_NAMES`]; a family lists only what its checkpoints call otherwise. Read next: `llama.rs`, then `spec.rs`.

mod bert;
pub mod family;
mod gemma2;
mod gemma3;
mod glm4_moe_lite;
mod gpt_oss;
mod llama;
pub mod names;
mod nomic_bert;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod qwen3_next;

use crate::ModelError;
use crate::config::Config;
use crate::encoder_spec::EncoderFamily;
use crate::spec::*;
use family::{Export, Family};

/// All families.
pub const FAMILIES: &[&Family] = &[
    &llama::FAMILY,
    &qwen2::FAMILY,
    &qwen3::FAMILY,
    &qwen3_moe::FAMILY,
    &gemma2::FAMILY,
    &gemma3::FAMILY,
    &phi3::FAMILY,
    &gpt_oss::FAMILY,
    &glm4_moe_lite::FAMILY,
    &qwen3_next::FAMILY,
];

/// All families of encoders, which make vectors of texts.
pub const ENCODERS: &[&EncoderFamily] = &[&bert::FAMILY, &nomic_bert::FAMILY];

/// The family of a config.json.
pub fn of_config(config: &Config) -> Result<&'static Family, ModelError> {
    let model_type = config.word_or("model_type", "")?;
    let known = FAMILIES.iter().flat_map(|f| f.model_types);
    find(config, model_type, |family| family.model_types.contains(&model_type), known)
}

/// The family of a GGUF `general.architecture`.
pub fn of_gguf(config: &Config, architecture: &str) -> Result<&'static Family, ModelError> {
    let known = FAMILIES.iter().flat_map(|f| f.gguf_architectures);
    find(config, architecture, |family| family.gguf_architectures.contains(&architecture), known)
}

fn find(
    config: &Config,
    asked: &str,
    matches: impl Fn(&Family) -> bool,
    known: impl Iterator<Item = &'static &'static str>,
) -> Result<&'static Family, ModelError> {
    let is_encoder =
        ENCODERS.iter().any(|family| family.model_types.contains(&asked) || family.gguf_architectures.contains(&asked));
    if is_encoder {
        return Err(ModelError::Unsupported {
            file: config.file().into(),
            feature: format!("text from an encoder (`{asked}`)"),
            hint: "; it makes vectors: `olivine serve` has them at /v1/embeddings".into(),
        });
    }
    FAMILIES.iter().copied().find(|family| matches(family)).ok_or_else(|| ModelError::Architecture {
        file: config.file().into(),
        architecture: if asked.is_empty() { "(no model_type)".into() } else { asked.into() },
        known: known.copied().collect::<Vec<_>>().join(", "),
    })
}

/// A spec with what nearly all families share; the layers come from `layer(index)`.
fn decoder(
    config: &Config,
    family: &'static str,
    layer: impl Fn(usize) -> Result<LayerSpec, ModelError>,
) -> Result<ModelSpec, ModelError> {
    let layers = config.size("num_hidden_layers")?;
    if layers > 4096 {
        return Err(config.error("num_hidden_layers", format!("{layers} layers are not a sensible number")));
    }
    Ok(ModelSpec {
        family,
        vocabulary: config.size("vocab_size")?,
        hidden: config.size("hidden_size")?,
        context_tokens: config.context_tokens()?,
        embedding_scale: 1.0,
        norm_epsilon: config.number_or("rms_norm_eps", 1e-6)?,
        norm_offset: 0.0,
        head: HeadSpec { tied: config.flag_or("tie_word_embeddings", false)?, soft_cap: None, scale: 1.0 },
        layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
    })
}

/// Ordinary grouped-query attention with a rotary embedding, without extras.
fn attention(config: &Config) -> Result<AttentionSpec, ModelError> {
    let heads = config.size("num_attention_heads")?;
    let kv_heads = config.size_or("num_key_value_heads", heads)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.error("num_key_value_heads", format!("{kv_heads} does not divide {heads} query heads")));
    }
    let head_dim = config.size_or("head_dim", config.size("hidden_size")?.div_ceil(heads))?;
    if head_dim > 1024 {
        return Err(config.error("head_dim", format!("{head_dim} is more than 1024")));
    }
    Ok(AttentionSpec {
        heads,
        kv_heads,
        head_dim,
        scale: 1.0 / (head_dim as f32).sqrt(),
        rope: Some(config.rope(head_dim, None)?),
        window: None,
        soft_cap: None,
        head_norms: false,
        sinks: false,
        output_gate: false,
    })
}

/// A gated feed-forward block with the configured activation.
fn dense(config: &Config) -> Result<Ffn, ModelError> {
    Ok(Ffn::Dense { width: config.size("intermediate_size")?, activation: activation(config)? })
}

/// `hidden_act` (or its older and newer names) as an [`Activation`].
fn activation(config: &Config) -> Result<Activation, ModelError> {
    let field = if config.get("hidden_activation").is_some() { "hidden_activation" } else { "hidden_act" };
    match config.word_or(field, "silu")? {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Activation::GeluTanh),
        other => Err(config.error(field, format!("activation `{other}` is not supported"))),
    }
}

/// Layer kinds as `layer_types` lists them, else as `otherwise` says.
fn is_sliding(config: &Config, layer: usize, otherwise: bool) -> Result<bool, ModelError> {
    match config.words("layer_types")? {
        None => Ok(otherwise),
        Some(kinds) => match kinds.get(layer) {
            Some(&"sliding_attention") => Ok(true),
            Some(_) => Ok(false),
            None => Err(config.error("layer_types", format!("has {} entries, layer {layer} has none", kinds.len()))),
        },
    }
}

/// Attention and a dense block in the ordinary order.
fn plain_layer(attention: AttentionSpec, ffn: Ffn) -> LayerSpec {
    LayerSpec { mixer: Mixer::Attention(attention), ffn, post_norms: false }
}
