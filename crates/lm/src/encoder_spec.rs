//! What an encoder is: families turn configurations into an [`EncoderSpec`], as those of decoders do.
//!
//! Read next: [`crate::encoder`].

use crate::ModelError;
use crate::config::Config;
use crate::spec::{Activation, RopeScaling, RopeSpec};

/// One family of encoders.
pub struct EncoderFamily {
    /// For people.
    pub name: &'static str,
    /// `model_type` values of config.json.
    pub model_types: &'static [&'static str],
    /// `general.architecture` values of GGUF files.
    pub gguf_architectures: &'static [&'static str],
    /// Resolve a configuration.
    pub spec: fn(&Config) -> Result<EncoderSpec, ModelError>,
    /// Canonical name → name in Hugging Face checkpoints.
    pub names: &'static [(&'static str, &'static str)],
}

/// An encoder: `x = norm(embed)`, then layers `x = norm(x + mix(x)); x = norm(x + ffn(x))`.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// The family's name, for people.
    pub family: &'static str,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Longest text in tokens.
    pub context_tokens: usize,
    /// Epsilon of every norm.
    pub norm_epsilon: f32,
    /// A learned vector for each position, where positions are not rotary.
    pub positions: Option<LearnedPositions>,
    /// Vectors that tell a first text from a second; one or none: texts are not told apart.
    pub segments: usize,
    /// Separators between the two texts of a pair.
    pub pair_separators: usize,
    /// All layers are alike.
    pub layer: EncoderLayerSpec,
    /// How many.
    pub layers: usize,
    /// Numbers that the classification head gives, if there is one.
    pub labels: Option<usize>,
}

/// A table of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedPositions {
    /// Its rows.
    pub rows: usize,
    /// Row of the first token.
    pub offset: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderLayerSpec {
    /// Heads of attention.
    pub heads: usize,
    /// Rotary positions.
    pub rope: Option<RopeSpec>,
    /// Inner width of the feed-forward block.
    pub width: usize,
    /// It has a gate.
    pub gated: bool,
    /// Of the gate, or of the one projection.
    pub activation: Activation,
}

impl EncoderSpec {
    /// What nearly all families share.
    pub(crate) fn new(
        config: &Config,
        family: &'static str,
        layer: EncoderLayerSpec,
    ) -> Result<EncoderSpec, ModelError> {
        Ok(EncoderSpec {
            family,
            vocabulary: config.size("vocab_size")?,
            hidden: config.size("hidden_size")?,
            context_tokens: 0,
            norm_epsilon: config.number_or("layer_norm_eps", 1e-12)?,
            positions: None,
            segments: 0,
            pair_separators: 1,
            layer,
            layers: config.size("num_hidden_layers")?,
            labels: labels(config)?,
        })
    }

    /// Refuses what does not fit together.
    pub(crate) fn checked(self, config: &Config) -> Result<EncoderSpec, ModelError> {
        if self.layer.heads == 0 || !self.hidden.is_multiple_of(self.layer.heads) {
            let problem = format!("{} heads do not divide a width of {}", self.layer.heads, self.hidden);
            return Err(config.error("num_attention_heads", problem));
        }
        if self.context_tokens == 0 || self.layers > 4096 {
            return Err(config.error("max_position_embeddings", "leaves no room for a text"));
        }
        if self.layer.rope.as_ref().is_some_and(|rope| rope.scaling != RopeScaling::None) {
            return Err(config.error("rope_scaling", "is not supported in encoders"));
        }
        if config.flag_or("is_decoder", false)? {
            return Err(config.error("is_decoder", "only encoders of this kind are supported"));
        }
        Ok(self)
    }

    /// Width of a head.
    pub(crate) fn head_dim(&self) -> usize {
        self.hidden / self.layer.heads
    }
}

fn labels(config: &Config) -> Result<Option<usize>, ModelError> {
    if config.is_gguf() {
        return config.size_option("num_labels");
    }
    let classifies = config.words("architectures")?.unwrap_or_default();
    if !classifies.iter().any(|name| name.ends_with("ForSequenceClassification")) {
        return Ok(None);
    }
    let listed = config.get("id2label").and_then(|labels| labels.as_object()).map(|labels| labels.len());
    Ok(Some(config.size_option("num_labels")?.or(listed).unwrap_or(2)))
}
