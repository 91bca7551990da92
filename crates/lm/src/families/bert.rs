//! BERT and its kin with learned positions: BERT, RoBERTa, XLM-RoBERTa, CamemBERT; with a classification head, rankers.

use super::*;
use crate::encoder_spec::{EncoderFamily, EncoderLayerSpec, EncoderSpec, LearnedPositions};

pub(super) const FAMILY: EncoderFamily = EncoderFamily {
    name: "bert",
    model_types: &["bert", "roberta", "xlm-roberta", "camembert"],
    gguf_architectures: &["bert"],
    spec,
    names: NAMES,
};

const NAMES: &[(&str, &str)] = &[
    ("embedding", "embeddings.word_embeddings"),
    ("positions", "embeddings.position_embeddings"),
    ("segments", "embeddings.token_type_embeddings"),
    ("embedding_norm", "embeddings.LayerNorm"),
    ("attention.q", "encoder.layer.{}.attention.self.query"),
    ("attention.k", "encoder.layer.{}.attention.self.key"),
    ("attention.v", "encoder.layer.{}.attention.self.value"),
    ("attention.out", "encoder.layer.{}.attention.output.dense"),
    ("mixer_out_norm", "encoder.layer.{}.attention.output.LayerNorm"),
    ("ffn.up", "encoder.layer.{}.intermediate.dense"),
    ("ffn.down", "encoder.layer.{}.output.dense"),
    ("ffn_out_norm", "encoder.layer.{}.output.LayerNorm"),
    ("rank.dense", "classifier.dense"),
    ("rank.dense", "pooler.dense"),
    ("rank.out", "classifier.out_proj"),
    ("rank.out", "classifier"),
];

fn spec(config: &Config) -> Result<EncoderSpec, ModelError> {
    let kind = config.word_or("position_embedding_type", "absolute")?;
    if kind != "absolute" {
        return Err(config.error("position_embedding_type", format!("`{kind}` is not supported")));
    }
    let is_bert = config.word_or("model_type", "bert")? == "bert";
    // The others count positions from behind that of the padding token; writers of GGUF files cut those rows off.
    let offset = if is_bert || config.is_gguf() { 0 } else { config.size_or("pad_token_id", 1)? + 1 };
    let rows = config.size("max_position_embeddings")?;
    let layer = EncoderLayerSpec {
        heads: config.size("num_attention_heads")?,
        rope: None,
        width: config.size("intermediate_size")?,
        gated: false,
        activation: match config.get("hidden_act") {
            None => Activation::Gelu,
            Some(_) => activation(config)?,
        },
    };
    EncoderSpec {
        positions: Some(LearnedPositions { rows, offset }),
        context_tokens: rows.saturating_sub(offset),
        segments: config.size_or("type_vocab_size", if config.is_gguf() { 0 } else { 2 })?,
        pair_separators: config.size_or("pair_separators", if is_bert { 1 } else { 2 })?,
        ..EncoderSpec::new(config, "bert", layer)?
    }
    .checked(config)
}
