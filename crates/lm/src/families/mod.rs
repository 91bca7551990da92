//! The model families: each file turns one kind of configuration into a [`ModelSpec`] and names its tensors.
//!
//! To add a family of a known shape: one file here and one line in [`FAMILIES`]. Canonical tensor names are those
//! of [`COMMON_NAMES`]; a family lists only what its checkpoints call otherwise. Read next: `llama.rs`, then `spec.rs`.

mod bert;
mod gemma2;
mod gemma3;
mod glm4_moe_lite;
mod gpt_oss;
mod llama;
mod nomic_bert;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod qwen3_next;

use crate::ModelError;
use crate::config::Config;
use crate::encoder::EncoderFamily;
use crate::spec::*;

/// One family of models.
pub struct Family {
    /// For people and for [`ModelSpec::family`].
    pub name: &'static str,
    /// `model_type` values of config.json.
    pub model_types: &'static [&'static str],
    /// `general.architecture` values of GGUF files.
    pub gguf_architectures: &'static [&'static str],
    /// Resolve a configuration.
    pub spec: fn(&Config) -> Result<ModelSpec, ModelError>,
    /// Canonical name → name in Hugging Face checkpoints, where it differs from [`COMMON_NAMES`].
    pub names: &'static [(&'static str, &'static str)],
    /// How GGUF files of the family are written, if they can be.
    pub export: Option<Export>,
}

/// What a GGUF writer must know beyond the spec and the names.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// `model_type` → `general.architecture`.
    pub architectures: &'static [(&'static str, &'static str)],
    /// Readers of these files see a window in every layer but each so manieth (1: in every layer); 0: windows cannot
    /// be said.
    pub window_interval: usize,
    /// Canonical name → name in the file, where it is not the first of [`GGUF_NAMES`].
    pub names: &'static [(&'static str, &'static str)],
}

impl Export {
    /// A family without windows and with the usual names.
    const fn plain(architectures: &'static [(&'static str, &'static str)]) -> Option<Export> {
        Some(Export { architectures, window_interval: 0, names: &[] })
    }
}

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

/// Canonical tensor names and what most Hugging Face checkpoints call them. `{}` is the layer; names without it
/// belong to the whole model.
pub const COMMON_NAMES: &[(&str, &str)] = &[
    ("embedding", "model.embed_tokens"),
    ("norm", "model.norm"),
    ("head", "lm_head"),
    ("mixer_norm", "model.layers.{}.input_layernorm"),
    ("ffn_norm", "model.layers.{}.post_attention_layernorm"),
    ("attention.q", "model.layers.{}.self_attn.q_proj"),
    ("attention.k", "model.layers.{}.self_attn.k_proj"),
    ("attention.v", "model.layers.{}.self_attn.v_proj"),
    ("attention.qkv", "model.layers.{}.self_attn.qkv_proj"),
    ("attention.out", "model.layers.{}.self_attn.o_proj"),
    ("attention.q_norm", "model.layers.{}.self_attn.q_norm"),
    ("attention.k_norm", "model.layers.{}.self_attn.k_norm"),
    ("attention.sinks", "model.layers.{}.self_attn.sinks"),
    ("latent.q", "model.layers.{}.self_attn.q_proj"),
    ("latent.q_a", "model.layers.{}.self_attn.q_a_proj"),
    ("latent.q_a_norm", "model.layers.{}.self_attn.q_a_layernorm"),
    ("latent.q_b", "model.layers.{}.self_attn.q_b_proj"),
    ("latent.kv_a", "model.layers.{}.self_attn.kv_a_proj_with_mqa"),
    ("latent.kv_a_norm", "model.layers.{}.self_attn.kv_a_layernorm"),
    ("latent.kv_b", "model.layers.{}.self_attn.kv_b_proj"),
    ("latent.k_b", "model.layers.{}.self_attn.embed_q"),
    ("latent.v_b", "model.layers.{}.self_attn.unembed_out"),
    ("latent.out", "model.layers.{}.self_attn.o_proj"),
    ("delta.qkvz", "model.layers.{}.linear_attn.in_proj_qkvz"),
    ("delta.ba", "model.layers.{}.linear_attn.in_proj_ba"),
    ("delta.qkv", "model.layers.{}.linear_attn.in_proj_qkv"),
    ("delta.z", "model.layers.{}.linear_attn.in_proj_z"),
    ("delta.b", "model.layers.{}.linear_attn.in_proj_b"),
    ("delta.a", "model.layers.{}.linear_attn.in_proj_a"),
    ("delta.conv", "model.layers.{}.linear_attn.conv1d"),
    ("delta.decay", "model.layers.{}.linear_attn.A_log"),
    ("delta.time_bias", "model.layers.{}.linear_attn.dt_bias"),
    ("delta.norm", "model.layers.{}.linear_attn.norm"),
    ("delta.out", "model.layers.{}.linear_attn.out_proj"),
    ("ffn.gate", "model.layers.{}.mlp.gate_proj"),
    ("ffn.up", "model.layers.{}.mlp.up_proj"),
    ("ffn.gate_up", "model.layers.{}.mlp.gate_up_proj"),
    ("ffn.down", "model.layers.{}.mlp.down_proj"),
    ("moe.router", "model.layers.{}.mlp.gate"),
    ("moe.correction", "model.layers.{}.mlp.gate.e_score_correction_bias"),
    ("moe.gate", "model.layers.{}.mlp.experts.{e}.gate_proj"),
    ("moe.up", "model.layers.{}.mlp.experts.{e}.up_proj"),
    ("moe.down", "model.layers.{}.mlp.experts.{e}.down_proj"),
    ("moe.stacked_gate", "model.layers.{}.mlp.switch_mlp.gate_proj"),
    ("moe.stacked_up", "model.layers.{}.mlp.switch_mlp.up_proj"),
    ("moe.stacked_down", "model.layers.{}.mlp.switch_mlp.down_proj"),
    ("moe.stacked_gate_up", "model.layers.{}.mlp.experts.gate_up_proj"),
    ("moe.fused_down", "model.layers.{}.mlp.experts.down_proj"),
    ("moe.shared_gate", "model.layers.{}.mlp.shared_expert.gate_proj"),
    ("moe.shared_up", "model.layers.{}.mlp.shared_expert.up_proj"),
    ("moe.shared_down", "model.layers.{}.mlp.shared_expert.down_proj"),
    ("moe.shared_scale", "model.layers.{}.mlp.shared_expert_gate"),
];

/// Canonical tensor names in GGUF files; one table serves all architectures.
pub const GGUF_NAMES: &[(&str, &str)] = &[
    ("embedding", "token_embd"),
    ("positions", "position_embd"),
    ("segments", "token_types"),
    ("embedding_norm", "token_embd_norm"),
    ("mixer_out_norm", "blk.{}.attn_output_norm"),
    ("ffn_out_norm", "blk.{}.layer_output_norm"),
    ("rank.dense", "cls"),
    ("rank.out", "cls.output"),
    ("norm", "output_norm"),
    ("head", "output"),
    ("mixer_norm", "blk.{}.attn_norm"),
    ("mixer_post_norm", "blk.{}.post_attention_norm"),
    ("ffn_norm", "blk.{}.ffn_norm"),
    ("ffn_norm", "blk.{}.post_attention_norm"),
    ("ffn_post_norm", "blk.{}.post_ffw_norm"),
    ("attention.q", "blk.{}.attn_q"),
    ("attention.k", "blk.{}.attn_k"),
    ("attention.v", "blk.{}.attn_v"),
    ("attention.qkv", "blk.{}.attn_qkv"),
    ("attention.out", "blk.{}.attn_output"),
    ("attention.q_norm", "blk.{}.attn_q_norm"),
    ("attention.k_norm", "blk.{}.attn_k_norm"),
    ("attention.sinks", "blk.{}.attn_sinks"),
    ("latent.q", "blk.{}.attn_q"),
    ("latent.q_a", "blk.{}.attn_q_a"),
    ("latent.q_a_norm", "blk.{}.attn_q_a_norm"),
    ("latent.q_b", "blk.{}.attn_q_b"),
    ("latent.kv_a", "blk.{}.attn_kv_a_mqa"),
    ("latent.kv_a_norm", "blk.{}.attn_kv_a_norm"),
    ("latent.kv_b", "blk.{}.attn_kv_b"),
    ("latent.k_b", "blk.{}.attn_k_b"),
    ("latent.v_b", "blk.{}.attn_v_b"),
    ("latent.out", "blk.{}.attn_output"),
    ("delta.qkvz", "blk.{}.ssm_in"),
    ("delta.qkv", "blk.{}.attn_qkv"),
    ("delta.z", "blk.{}.attn_gate"),
    ("delta.ba", "blk.{}.ssm_ba"),
    ("delta.b", "blk.{}.ssm_beta"),
    ("delta.a", "blk.{}.ssm_alpha"),
    ("delta.conv", "blk.{}.ssm_conv1d"),
    ("delta.decay", "blk.{}.ssm_a"),
    ("delta.time_bias", "blk.{}.ssm_dt"),
    ("delta.norm", "blk.{}.ssm_norm"),
    ("delta.out", "blk.{}.ssm_out"),
    ("ffn.gate", "blk.{}.ffn_gate"),
    ("ffn.up", "blk.{}.ffn_up"),
    ("ffn.gate_up", "blk.{}.ffn_up"),
    ("ffn.down", "blk.{}.ffn_down"),
    ("moe.router", "blk.{}.ffn_gate_inp"),
    ("moe.correction", "blk.{}.exp_probs_b"),
    ("moe.stacked_gate", "blk.{}.ffn_gate_exps"),
    ("moe.stacked_up", "blk.{}.ffn_up_exps"),
    ("moe.stacked_gate_up", "blk.{}.ffn_gate_up_exps"),
    ("moe.stacked_down", "blk.{}.ffn_down_exps"),
    ("moe.shared_gate", "blk.{}.ffn_gate_shexp"),
    ("moe.shared_up", "blk.{}.ffn_up_shexp"),
    ("moe.shared_down", "blk.{}.ffn_down_shexp"),
    ("moe.shared_scale", "blk.{}.ffn_gate_inp_shexp"),
];

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
