//! Nomic BERT: rotary positions and gated feed-forward blocks without biases.

use super::*;
use crate::encoder_spec::{EncoderFamily, EncoderLayerSpec, EncoderSpec};

pub(super) const FAMILY: EncoderFamily = EncoderFamily {
    name: "nomic-bert",
    model_types: &["nomic_bert"],
    gguf_architectures: &["nomic-bert"],
    spec,
    names: &[
        ("embedding", "embeddings.word_embeddings"),
        ("segments", "embeddings.token_type_embeddings"),
        ("embedding_norm", "emb_ln"),
        ("embedding_norm", "embeddings.LayerNorm"),
        ("attention.qkv", "encoder.layers.{}.attn.Wqkv"),
        ("attention.q", "layers.{}.self_attn.q_proj"),
        ("attention.k", "layers.{}.self_attn.k_proj"),
        ("attention.v", "layers.{}.self_attn.v_proj"),
        ("attention.out", "encoder.layers.{}.attn.out_proj"),
        ("attention.out", "layers.{}.self_attn.o_proj"),
        ("mixer_out_norm", "encoder.layers.{}.norm1"),
        ("mixer_out_norm", "layers.{}.post_attention_layernorm"),
        ("ffn.up", "encoder.layers.{}.mlp.fc11"),
        ("ffn.up", "layers.{}.mlp.up_proj"),
        ("ffn.gate", "encoder.layers.{}.mlp.fc12"),
        ("ffn.gate", "layers.{}.mlp.gate_proj"),
        ("ffn.down", "encoder.layers.{}.mlp.fc2"),
        ("ffn.down", "layers.{}.mlp.down_proj"),
        ("ffn_out_norm", "encoder.layers.{}.norm2"),
        ("ffn_out_norm", "layers.{}.post_mlp_layernorm"),
    ],
};

/// Names of the original files → those that the library took over.
const OLDER: &[(&str, &str)] = &[
    ("n_embd", "hidden_size"),
    ("n_layer", "num_hidden_layers"),
    ("n_head", "num_attention_heads"),
    ("n_inner", "intermediate_size"),
    ("n_positions", "max_position_embeddings"),
    ("layer_norm_epsilon", "layer_norm_eps"),
    ("rotary_emb_base", "rope_theta"),
];

fn spec(config: &Config) -> Result<EncoderSpec, ModelError> {
    let mut config = config.clone();
    for (older, name) in OLDER {
        if let (None, Some(value)) = (config.get(name), config.get(older).cloned()) {
            config.set(name, value);
        }
    }
    for (field, wanted) in [("prenorm", false), ("use_rms_norm", false), ("rotary_emb_interleaved", false)] {
        if config.flag_or(field, wanted)? != wanted {
            return Err(config.error(field, "is not supported"));
        }
    }
    if config.size_or("moe_every_n_layers", 0)? > 0 {
        return Err(config.error("moe_every_n_layers", "layers of experts are not supported in encoders"));
    }
    let (gated, activation) = match config.word_or("activation_function", "swiglu")? {
        "swiglu" => (true, Activation::Silu),
        "geglu" => (true, Activation::Gelu),
        "gelu" => (false, Activation::Gelu),
        other => return Err(config.error("activation_function", format!("`{other}` is not supported"))),
    };
    let heads = config.size("num_attention_heads")?;
    let head_dim = config.size("hidden_size")? / heads.max(1);
    let mut rope = config.rope(head_dim, None)?;
    if config.get("rope_theta").is_none() && config.get("rope_parameters").is_none() {
        rope.theta = 1000.0;
    }
    let fraction = config.number_or("rotary_emb_fraction", 1.0)?;
    rope.dims = rope.dims.min((head_dim as f32 * fraction) as usize) & !1;
    let width = config.size("intermediate_size")?;
    let layer = EncoderLayerSpec { heads, rope: Some(rope), width, gated, activation };
    EncoderSpec {
        // Positions beyond those of training are stretched in a way of its own, which is not done here.
        context_tokens: config
            .size_or("max_position_embeddings", 2048)?
            .min(config.size_or("max_trained_positions", 2048)?),
        segments: config.size_or("type_vocab_size", 2)?,
        ..EncoderSpec::new(&config, "nomic-bert", layer)?
    }
    .checked(&config)
}
