//! The transformer: a list of layers over a residual stream. All families run through this file.
//!
//! Rows are packed tokens of any mix of sequences; which row belongs to which sequence, and where its keys and
//! values are, the blocks learn from the step they share. Read next: `nn/attention.rs`, `nn/ffn.rs`.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::cards::join_cards;
use olivine_array::fast::linear::{Linear, Matrix, embedding, linear};
use olivine_array::fast::rows::Rows;

use crate::ModelError;
use crate::load::Loader;
use crate::nn::attention::Attention;
use crate::nn::ffn::FfnBlock;
use crate::nn::gated_delta::GatedDelta;
use crate::nn::latent::LatentAttention;
use crate::spec::{HeadSpec, LayerSpec, Mixer};
use crate::split::Split;

/// A decoder-only language model.
#[derive(Debug)]
pub struct Decoder {
    embedding: Arc<Matrix>,
    embedding_scale: f32,
    layers: Vec<Layer>,
    norm: Norm,
    head: Arc<Linear>,
    head_spec: HeadSpec,
    /// How many cards have a share of the head.
    head_cards: usize,
}

#[derive(Debug)]
struct Layer {
    mixer_norm: Norm,
    mixer: MixerBlock,
    mixer_post_norm: Option<Norm>,
    ffn_norm: Norm,
    ffn: FfnBlock,
    ffn_post_norm: Option<Norm>,
}

#[derive(Debug)]
enum MixerBlock {
    Attention(Attention),
    Latent(LatentAttention),
    GatedDelta(GatedDelta),
}

#[derive(Debug)]
struct Norm {
    weight: Array,
    epsilon: f32,
}

impl Decoder {
    /// Load every layer of the loader's spec: the first `gpu_layers` to the GPU, what is around them only when all are there.
    pub fn load(loader: &mut Loader<'_>, gpu_layers: usize) -> Result<Decoder, ModelError> {
        let spec = loader.spec;
        let is_whole = gpu_layers >= spec.layers.len();
        loader.place(is_whole);
        let table = loader.tensor("embedding", None, spec.vocabulary, spec.hidden)?;
        let embedding = loader.matrix(std::slice::from_ref(&table))?;
        loader.sizes.get_mut().embedding = embedding.bytes();
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (index, layer) in spec.layers.iter().enumerate() {
            loader.place(index < gpu_layers);
            layers.push(Layer::load(loader, index, layer)?);
        }
        loader.place(is_whole);
        let head_cards = if spec.vocabulary.is_multiple_of(loader.cards) { loader.cards } else { 1 };
        let by_rows = [Split::rows(head_cards, &[spec.vocabulary])];
        let head = match spec.head.tied {
            true if head_cards == 1 => Arc::new(Linear::new(vec![embedding.clone()], None, loader.precision)),
            true => Arc::new(Linear::new(vec![loader.split_matrix(&[table], &by_rows)?], None, loader.precision)),
            false => loader.split_linear(None, &[("head", spec.vocabulary)], spec.hidden, &by_rows)?,
        };
        let norm = Norm::load(loader, "norm", None)?;
        Ok(Decoder {
            embedding,
            embedding_scale: spec.embedding_scale,
            layers,
            norm,
            head,
            head_spec: spec.head.clone(),
            head_cards,
        })
    }

    /// `tokens`: `[n]` of u32; `outputs`: `[m]` of u32, the rows that are wanted → `[m, hidden]` of f32, behind the last
    /// norm. `early`: the others go no further than the last mixer, which no row needs that is not looked up by its place
    /// in the step, as adapters are.
    pub fn hidden(&self, tokens: &Array, outputs: &Array, early: bool) -> Rows {
        let mut x = embedding(tokens, &self.embedding, self.embedding_scale); // [tokens, hidden]
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, Some(outputs).filter(|_| early && index == last));
        }
        self.norm.forward(&if early { x } else { x.take(outputs, 0) }) // [outputs, hidden]
    }

    /// `tokens`: `[n]` of u32; `outputs`: `[m]` of u32, the rows whose logits are wanted → `[m, vocabulary]` of f32. `early`
    /// as for [`Decoder::hidden`].
    pub fn forward(&self, tokens: &Array, outputs: &Array, early: bool) -> Array {
        let rows = self.hidden(tokens, outputs, early);
        let mut logits = linear(rows, &self.head); // [outputs, vocabulary]
        if self.head_spec.scale != 1.0 {
            logits = logits.multiply(self.head_spec.scale);
        }
        if let Some(cap) = self.head_spec.soft_cap {
            logits = logits.divide(cap).tanh().multiply(cap);
        }
        join_cards(&logits, self.head_cards)
    }
}

impl Layer {
    fn load(loader: &mut Loader<'_>, index: usize, spec: &LayerSpec) -> Result<Layer, ModelError> {
        let post = |loader: &Loader<'_>, name| match spec.post_norms {
            true => Norm::load(loader, name, Some(index)).map(Some),
            false => Ok(None),
        };
        Ok(Layer {
            mixer_norm: Norm::load(loader, "mixer_norm", Some(index))?,
            mixer: match &spec.mixer {
                Mixer::Attention(spec) => MixerBlock::Attention(Attention::load(loader, index, spec)?),
                Mixer::Latent(spec) => MixerBlock::Latent(LatentAttention::load(loader, index, spec)?),
                Mixer::GatedDelta(spec) => MixerBlock::GatedDelta(GatedDelta::load(loader, index, spec)?),
            },
            mixer_post_norm: post(loader, "mixer_post_norm")?,
            ffn_norm: Norm::load(loader, "ffn_norm", Some(index))?,
            ffn: FfnBlock::load(loader, index, &spec.ffn)?,
            ffn_post_norm: post(loader, "ffn_post_norm")?,
        })
    }

    /// All rows, or those that are `wanted`.
    fn forward(&self, x: &Array, wanted: Option<&Array>) -> Array {
        let h = self.mixer_norm.forward(x);
        let taken = |x: &Array| wanted.map_or(x.clone(), |wanted| x.take(wanted, 0));
        let h = match &self.mixer {
            MixerBlock::Attention(attention) => attention.forward(&h, wanted),
            MixerBlock::Latent(attention) => taken(&attention.forward(&h)),
            MixerBlock::GatedDelta(delta) => taken(&delta.forward(&h)),
        };
        let x = taken(x);
        let h = self.mixer_post_norm.as_ref().map_or(h.clone(), |norm| norm.forward(&h).array());
        let x = x.add(&h);
        let normed = self.ffn_norm.forward(&x);
        match &self.ffn_post_norm {
            None => self.ffn.forward(&normed, Some(&x)),
            Some(norm) => x.add(norm.forward(&self.ffn.forward(&normed, None)).array()),
        }
    }
}

impl Norm {
    fn load(loader: &Loader<'_>, name: &str, layer: Option<usize>) -> Result<Norm, ModelError> {
        Ok(Norm { weight: loader.norm(name, layer, loader.spec.hidden)?, epsilon: loader.spec.norm_epsilon })
    }

    /// The normed rows, which the layers that read them make on the way in.
    fn forward(&self, x: &Array) -> Rows {
        Rows::normed(x, &self.weight, self.epsilon)
    }
}
