//! Qwen3 mixture of experts: softmax router, every `decoder_sparse_step`th layer sparse.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "qwen3-moe",
    model_types: &["qwen3_moe"],
    gguf_architectures: &["qwen3moe"],
    spec,
    names: &[],
    export: Export::plain(&[("qwen3_moe", "qwen3moe")]),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    decoder(config, "qwen3-moe", |layer| {
        let ffn = if is_sparse(config, layer)? { Ffn::Moe(experts(config)?) } else { dense(config)? };
        Ok(plain_layer(qwen3::head_normed(config, layer)?, ffn))
    })
}

/// Whether a layer has experts.
pub(super) fn is_sparse(config: &Config, layer: usize) -> Result<bool, ModelError> {
    let step = config.size_or("decoder_sparse_step", 1)?;
    let dense = config.numbers("mlp_only_layers")?.unwrap_or_default();
    Ok((layer + 1).is_multiple_of(step) && !dense.contains(&layer))
}

/// The experts of a layer, without a shared one.
pub(super) fn experts(config: &Config) -> Result<MoeSpec, ModelError> {
    let field = if config.get("num_experts").is_some() { "num_experts" } else { "num_local_experts" };
    let (experts, active) = (config.size(field)?, config.size("num_experts_per_tok")?);
    if active > experts {
        return Err(config.error("num_experts_per_tok", format!("{active} is more than the {experts} experts")));
    }
    Ok(MoeSpec {
        experts,
        active,
        width: config.size("moe_intermediate_size")?,
        activation: activation(config)?,
        router: RouterSpec {
            scoring: Scoring::Softmax,
            bias: false,
            correction: false,
            normalize: config.flag_or("norm_topk_prob", true)?,
            scale: 1.0,
            groups: None,
        },
        expert_biases: false,
        shared: None,
    })
}
