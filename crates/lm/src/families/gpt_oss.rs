//! gpt-oss: attention sinks, every other layer sees a window, MXFP4 experts with biases and a clamped gate.

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "gpt-oss",
    model_types: &["gpt_oss"],
    gguf_architectures: &["gpt-oss"],
    spec,
    names: &[
        ("moe.router", "model.layers.{}.mlp.router"),
        ("moe.stacked_gate", "model.layers.{}.mlp.experts.gate_proj"),
        ("moe.stacked_up", "model.layers.{}.mlp.experts.up_proj"),
        ("moe.stacked_down", "model.layers.{}.mlp.experts.down_proj"),
    ],
    export: Some(Export {
        architectures: &[("gpt_oss", "gpt-oss")],
        window_interval: 2,
        names: &[("ffn_norm", "blk.{}.post_attention_norm")],
    }),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    decoder(config, "gpt-oss", |layer| {
        let sliding = is_sliding(config, layer, layer.is_multiple_of(2))?;
        let plain = attention(config)?;
        let attention = AttentionSpec {
            rope: plain.rope.map(|rope| untruncated(config, rope)),
            window: if sliding { Some(config.size_or("sliding_window", 128)?) } else { None },
            sinks: true,
            ..plain
        };
        let ffn = Ffn::Moe(MoeSpec {
            experts: config.size_or("num_local_experts", config.size_or("num_experts", 128)?)?,
            active: config.size_or("num_experts_per_tok", 4)?,
            width: config.size_or("moe_intermediate_size", config.size("intermediate_size")?)?,
            activation: Activation::ClampedSwiglu { limit: config.number_or("swiglu_limit", 7.0)? },
            router: RouterSpec {
                scoring: Scoring::SoftmaxOfChosen,
                bias: true,
                correction: false,
                normalize: false,
                scale: 1.0,
                groups: None,
            },
            expert_biases: true,
            shared: None,
        });
        Ok(plain_layer(attention, ffn))
    })
}

/// GGUF has no key for YaRN's `truncate`; this family does not round the range of corrected dimensions.
fn untruncated(config: &Config, mut rope: RopeSpec) -> RopeSpec {
    if let (true, RopeScaling::Yarn { truncate, .. }) = (config.is_gguf(), &mut rope.scaling) {
        *truncate = false;
    }
    rope
}
