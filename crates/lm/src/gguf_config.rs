//! GGUF metadata under config.json names, so that families read one vocabulary.
//!
//! Keys and their meaning: the GGUF specification (ggml documentation, "GGUF", standardized key-value pairs).

use std::path::Path;

use olivine_formats::gguf::{Gguf, Value as GgufValue};
use serde_json::{Map, Value};

use crate::ModelError;
use crate::config::Config;

/// `{architecture}.<key>` → config.json field.
const KEYS: &[(&str, &str)] = &[
    ("block_count", "num_hidden_layers"),
    ("context_length", "max_position_embeddings"),
    ("embedding_length", "hidden_size"),
    ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.key_length", "head_dim"),
    ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ("attention.layer_norm_epsilon", "layer_norm_eps"),
    ("pooling_type", "pooling_type"),
    ("attention.sliding_window", "sliding_window"),
    ("attention.sliding_window_pattern", "sliding_window_pattern"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
    ("rope.freq_base", "rope_theta"),
    ("rope.freq_base_swa", "rope_local_base_freq"),
    ("rope.dimension_count", "rope_dims"),
    ("rope.scaling.original_context_length", "original_max_position_embeddings"),
    ("expert_count", "num_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "moe_intermediate_size"),
    ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    ("expert_shared_count", "n_shared_experts"),
    ("expert_weights_norm", "norm_topk_prob"),
    ("expert_weights_scale", "routed_scaling_factor"),
    ("expert_group_count", "n_group"),
    ("expert_group_used_count", "topk_group"),
    ("leading_dense_block_count", "first_k_dense_replace"),
    ("attention.q_lora_rank", "q_lora_rank"),
    ("attention.kv_lora_rank", "kv_lora_rank"),
    ("full_attention_interval", "full_attention_interval"),
    ("ssm.conv_kernel", "linear_conv_kernel_dim"),
    ("ssm.state_size", "linear_key_head_dim"),
    ("ssm.group_count", "linear_num_key_heads"),
    ("ssm.time_step_rank", "linear_num_value_heads"),
    ("vocab_size", "vocab_size"),
];

/// Hyper-parameters of a GGUF file.
pub fn config(path: &Path, gguf: &Gguf) -> Result<Config, ModelError> {
    let architecture = gguf.architecture()?;
    let file = path.display().to_string();
    let field = |key: &str| gguf.value(&format!("{architecture}.{key}"));
    let mut values = Map::new();
    for (key, name) in KEYS {
        if let Some(value) = field(key).and_then(json) {
            values.insert((*name).into(), value);
        }
    }
    values.insert("model_type".into(), architecture.into());
    let table = gguf.get("token_embd.weight");
    let rows = table.map(|tensor| tensor.shape.first().copied().unwrap_or(0));
    if let Some(rows) = rows {
        values.insert("vocab_size".into(), rows.into());
    }
    values.insert("tie_word_embeddings".into(), gguf.get("output.weight").is_none().into());
    insert_encoder(&mut values, gguf);
    insert_experts(&mut values, gguf, field("expert_gating_func").and_then(GgufValue::as_u64));
    insert_latent(&mut values, &field);
    if let Some(scaling) = rope_scaling(gguf, &field) {
        values.insert("rope_scaling".into(), scaling);
    }
    if let (Some(inner), Some(heads)) = (field("ssm.inner_size").and_then(json), values.get("linear_num_value_heads")) {
        let width = inner.as_u64().unwrap_or(0) / heads.as_u64().unwrap_or(1).max(1);
        values.insert("linear_value_head_dim".into(), width.into());
    }
    Ok(Config::from_gguf_values(&file, values))
}

/// Encoders: what their tables say, and how many separators stand between the texts of a pair.
fn insert_encoder(values: &mut Map<String, Value>, gguf: &Gguf) {
    for (tensor, field) in [
        ("position_embd.weight", "max_position_embeddings"),
        ("token_types.weight", "type_vocab_size"),
        ("cls.output.weight", "num_labels"),
    ] {
        if let Some(rows) = gguf.get(tensor).and_then(|view| view.shape.first().copied()) {
            values.insert(field.into(), rows.into());
        }
    }
    if gguf.string("tokenizer.ggml.model").is_ok_and(|model| model == "t5") {
        values.insert("pair_separators".into(), 2.into());
    }
}

/// `gating`: the scoring function by GGUF's number, 1 softmax, 2 sigmoid; files without it tell by the correction.
fn insert_experts(values: &mut Map<String, Value>, gguf: &Gguf, gating: Option<u64>) {
    if values.get("num_experts").and_then(Value::as_u64) == Some(0) {
        values.remove("num_experts");
    }
    if let Some(experts) = values.get("num_experts").cloned() {
        values.insert("n_routed_experts".into(), experts);
        let corrected = gguf.tensors().any(|tensor| tensor.name.ends_with(".exp_probs_b.bias"));
        let scoring = match (gating, corrected) {
            (Some(2), _) | (None, true) => "sigmoid",
            _ => "softmax",
        };
        values.insert("scoring_func".into(), scoring.into());
    }
}

/// Latent attention: the widths that GGUF gives in sum.
fn insert_latent<'a>(values: &mut Map<String, Value>, field: &impl Fn(&str) -> Option<&'a GgufValue>) {
    let number = |key: &str| field(key).and_then(json).and_then(|value| value.as_u64());
    if number("attention.kv_lora_rank").is_none() {
        return;
    }
    let rope = number("rope.dimension_count").unwrap_or(64);
    let key = number("attention.key_length_mla").or(number("attention.key_length")).unwrap_or(rope);
    let value = number("attention.value_length_mla").or(number("attention.value_length"));
    values.insert("qk_rope_head_dim".into(), rope.into());
    values.insert("qk_nope_head_dim".into(), key.saturating_sub(rope).into());
    values.insert("v_head_dim".into(), value.unwrap_or(key).into());
}

fn rope_scaling<'a>(gguf: &Gguf, field: &impl Fn(&str) -> Option<&'a GgufValue>) -> Option<Value> {
    let number = |key: &str| field(key).and_then(json).and_then(|value| value.as_f64());
    let tensor = |name: &str| gguf.get(name).map(|view| crate::weights::widen(&view));
    let mut map = Map::new();
    if let (Some(short), Some(long)) = (tensor("rope_factors_short.weight"), tensor("rope_factors_long.weight")) {
        map.insert("rope_type".into(), "longrope".into());
        map.insert("short_factor".into(), short.into());
        map.insert("long_factor".into(), long.into());
        let factor = number("rope.scaling.attn_factor");
        map.extend(factor.map(|factor| ("attention_factor".into(), factor.into())));
    } else if let Some(factors) = tensor("rope_freqs.weight") {
        map.insert("rope_type".into(), "factors".into());
        map.insert("factors".into(), factors.into());
    } else {
        let kind = match field("rope.scaling.type") {
            Some(GgufValue::String(kind)) if kind != "none" => kind.clone(),
            _ => return None,
        };
        map.insert("rope_type".into(), kind.into());
        map.insert("factor".into(), number("rope.scaling.factor")?.into());
        for (key, name) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] {
            let value = number(&format!("rope.scaling.{key}"));
            map.extend(value.map(|value| (name.into(), value.into())));
        }
        let attention_factor = number("rope.scaling.attn_factor");
        map.extend(attention_factor.map(|factor| ("attention_factor".into(), factor.into())));
        // Latent attention scales its scores; the key is a tenth of the configuration's `mscale_all_dim`.
        if let Some(multiplier) = number("rope.scaling.yarn_log_multiplier") {
            map.insert("mscale".into(), (multiplier * 10.0).into());
            map.insert("mscale_all_dim".into(), (multiplier * 10.0).into());
        }
    }
    Some(Value::Object(map))
}

fn json(value: &GgufValue) -> Option<Value> {
    match value {
        GgufValue::Bool(b) => Some((*b).into()),
        GgufValue::String(s) => Some(s.clone().into()),
        other => other.as_u64().map(Value::from).or_else(|| other.as_f64().map(Value::from)),
    }
}
