//! GLM-4.7-Flash: multi-head latent attention, sigmoid router with a correction, a shared expert, dense first layers.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "glm4-moe-lite",
    model_types: &["glm4_moe_lite"],
    gguf_architectures: &["deepseek2"],
    spec,
    names: &[
        ("moe.shared_gate", "model.layers.{}.mlp.shared_experts.gate_proj"),
        ("moe.shared_up", "model.layers.{}.mlp.shared_experts.up_proj"),
        ("moe.shared_down", "model.layers.{}.mlp.shared_experts.down_proj"),
    ],
    export: Export::plain(&[("glm4_moe_lite", "deepseek2")]),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let first_sparse = config.count_or("first_k_dense_replace", 1)?;
    decoder(config, "glm4-moe-lite", |layer| {
        let sparse = match config.words("mlp_layer_types")? {
            Some(kinds) => kinds.get(layer) == Some(&"sparse"),
            None => layer >= first_sparse,
        };
        Ok(LayerSpec {
            mixer: Mixer::Latent(latent(config)?),
            ffn: if sparse { Ffn::Moe(experts(config)?) } else { dense(config)? },
            post_norms: false,
        })
    })
}

fn latent(config: &Config) -> Result<LatentSpec, ModelError> {
    let nope_dim = config.size("qk_nope_head_dim")?;
    let rope_dim = config.size("qk_rope_head_dim")?;
    let mut rope = config.rope(rope_dim, None)?;
    rope.dims = rope_dim;
    rope.interleaved = config.flag_or("rope_interleave", true)?;
    Ok(LatentSpec {
        heads: config.size("num_attention_heads")?,
        query_rank: config.size_option("q_lora_rank")?,
        latent: config.size("kv_lora_rank")?,
        nope_dim,
        rope_dim,
        value_dim: config.size("v_head_dim")?,
        scale: ((nope_dim + rope_dim) as f32).powf(-0.5) * yarn_scale(config),
        rope,
    })
}

/// YaRN's correction of the scores, which this family applies to the scale: `(0.1 m ln(factor) + 1)²`.
fn yarn_scale(config: &Config) -> f32 {
    let scaling = config.get("rope_scaling").or_else(|| config.get("rope_parameters"));
    let number = |key: &str| scaling.and_then(|s| s.get(key)).and_then(|v| v.as_f64()).unwrap_or(0.0);
    let (factor, m) = (number("factor"), number("mscale_all_dim"));
    if factor > 1.0 && m != 0.0 { (0.1 * m * factor.ln() + 1.0).powi(2) as f32 } else { 1.0 }
}

fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let width = config.size("moe_intermediate_size")?;
    let groups = config.size_or("n_group", 1)?;
    let shared = config.count_or("n_shared_experts", 1)?;
    if config.word_or("scoring_func", "sigmoid")? != "sigmoid" {
        return Err(config.error("scoring_func", "only `sigmoid` is supported for this family"));
    }
    Ok(MoeSpec {
        experts: config.size("n_routed_experts")?,
        active: config.size("num_experts_per_tok")?,
        width,
        activation: activation(config)?,
        router: RouterSpec {
            scoring: Scoring::Sigmoid,
            bias: false,
            correction: true,
            normalize: config.flag_or("norm_topk_prob", true)?,
            scale: config.number_or("routed_scaling_factor", 1.0)?,
            groups: if groups > 1 { Some((groups, config.size_or("topk_group", 1)?)) } else { None },
        },
        expert_biases: false,
        shared: (shared > 0).then_some(SharedExpertSpec { width: width * shared, gated: false }),
    })
}
