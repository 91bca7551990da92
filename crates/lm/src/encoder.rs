//! Encoders: every token sees every other, nothing is cached; texts become vectors, pairs of texts become scores.
//!
//! Invariant: the bits of a text's hidden states depend on that text alone, not on those computed beside it.
//! Families are data, as those of decoders: `families/bert.rs`. Read next: `pooling.rs`.

use std::path::Path;
use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast;
use olivine_array::fast::attention::Mask;
use olivine_array::fast::linear::{Linear, Matrix, Precision, embedding, linear};
use olivine_array::fast::rope::Rope;
use olivine_array::fast::rows::Rows;
use olivine_array::fast::step::StepSlot;
use olivine_array::ops::concatenate;
use olivine_formats::gguf::Gguf;
use olivine_kernels::attention::KvDtype;
use olivine_text::Tokenizer;

use crate::ModelError;
use crate::cache::Cache;
use crate::config::Config;
use crate::encoder_spec::EncoderSpec;
use crate::families::ENCODERS;
use crate::gguf_config;
use crate::inspect::Entry;
use crate::load::{Loader, WeightSizes};
use crate::nn::ffn::gate_of;
use crate::pooling::Pooling;
use crate::spec::{Activation, HeadSpec, ModelSpec};
use crate::weights::Weights;

/// A text, or two texts one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct EncoderInput<'a> {
    /// The tokens.
    pub tokens: &'a [u32],
    /// Where the second text begins; behind the end: there is one text.
    pub second: usize,
}

/// A loaded encoder.
pub struct Encoder {
    spec: EncoderSpec,
    embedding: Arc<Matrix>,
    positions: Option<Arc<Matrix>>,
    segments: Option<Arc<Matrix>>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    rank: Option<(Arc<Linear>, Arc<Linear>)>,
    sizes: WeightSizes,
}

struct Layer {
    qkv: Arc<Linear>,
    out: Arc<Linear>,
    mixer_norm: Norm,
    up: Arc<Linear>,
    down: Arc<Linear>,
    ffn_norm: Norm,
}

struct Norm {
    weight: Array,
    bias: Array,
    epsilon: f32,
}

/// An encoder with everything that stands between it and text.
pub struct TextEncoder {
    /// The model.
    pub encoder: Encoder,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What its files say about pooling.
    pub pooling: Pooling,
}

/// Queries that attend together, so that the scores of a long text do not lie in memory all at once.
pub const QUERY_ROWS: usize = 512;

/// An encoder whose files were opened but not loaded.
pub struct EncoderFile {
    /// The resolved model.
    pub spec: EncoderSpec,
    /// Its tensors.
    pub weights: Weights,
}

impl EncoderFile {
    /// Open a folder or a GGUF file; none: it holds another kind of model.
    pub fn open(path: &Path) -> Result<Option<EncoderFile>, ModelError> {
        if path.is_file() {
            let gguf = Gguf::open(path)?;
            let architecture = gguf.architecture()?;
            let family = ENCODERS.iter().find(|family| family.gguf_architectures.contains(&architecture));
            let Some(family) = family else { return Ok(None) };
            let spec = (family.spec)(&gguf_config::config(path, &gguf)?)?;
            return Ok(Some(EncoderFile { spec, weights: Weights::from_gguf(path, gguf) }));
        }
        let config = path.join("config.json");
        if !config.is_file() {
            return Ok(None);
        }
        let config = Config::from_json_file(&config)?;
        let model_type = config.word_or("model_type", "")?;
        let Some(family) = ENCODERS.iter().find(|family| family.model_types.contains(&model_type)) else {
            return Ok(None);
        };
        let weights = Weights::of_encoder(path, &config, family.names)?;
        Ok(Some(EncoderFile { spec: (family.spec)(&config)?, weights }))
    }
}

impl EncoderFile {
    /// Every tensor in file order.
    pub fn entries(&self) -> Vec<Entry> {
        let entry =
            |(name, format, shape, bytes)| Entry { name, format, shape, bytes, quantized: false, canonical: None };
        self.weights.listing().into_iter().map(entry).collect()
    }
}

impl TextEncoder {
    /// Load an opened encoder with its tokenizer; `path` is where it came from.
    pub fn load(path: &Path, file: &EncoderFile, precision: Precision) -> Result<TextEncoder, ModelError> {
        let tokenizer = match file.weights.gguf() {
            Some(gguf) => Tokenizer::from_gguf(gguf)?,
            None => Tokenizer::from_folder(path)?,
        };
        let pooling = Pooling::of_path(path)?.unwrap_or(Pooling::Mean);
        Ok(TextEncoder { encoder: Encoder::load(file, precision)?, tokenizer, pooling })
    }
}

impl Encoder {
    /// Load an opened encoder.
    pub fn load(file: &EncoderFile, precision: Precision) -> Result<Encoder, ModelError> {
        let (spec, weights) = (file.spec.clone(), &file.weights);
        // What a loader knows of caches stays empty: it has no layers.
        let shell = ModelSpec {
            family: spec.family,
            vocabulary: spec.vocabulary,
            hidden: spec.hidden,
            context_tokens: spec.context_tokens,
            embedding_scale: 1.0,
            norm_epsilon: spec.norm_epsilon,
            norm_offset: 0.0,
            head: HeadSpec { tied: true, soft_cap: None, scale: 1.0 },
            layers: Vec::new(),
        };
        let cache = Cache::new(&shell, KvDtype::F32, 0);
        let loader = Loader {
            weights,
            spec: &shell,
            precision,
            pool: olivine_array::pool(),
            step: StepSlot::default(),
            cache: &cache,
            ropes: Vec::new(),
            sizes: Default::default(),
            rest: Default::default(),
            sites: Default::default(),
            staging: Default::default(),
            gpu: Default::default(),
            cards: 1,
        };
        loader.place(true);
        let table = |name: &str, rows: usize| loader.matrix(&[loader.tensor(name, None, rows, spec.hidden)?]);
        let rank = |labels: usize| {
            let dense = loader.linear(None, &[("rank.dense", spec.hidden)], spec.hidden)?;
            Ok::<_, ModelError>((dense, loader.linear(None, &[("rank.out", labels)], spec.hidden)?))
        };
        let layers = (0..spec.layers).map(|index| Layer::load(&loader, &spec, index));
        Ok(Encoder {
            embedding: table("embedding", spec.vocabulary)?,
            positions: spec.positions.map(|positions| table("positions", positions.rows)).transpose()?,
            segments: (spec.segments > 0).then(|| table("segments", spec.segments)).transpose()?,
            embedding_norm: Norm::load(&loader, "embedding_norm", None)?,
            layers: layers.collect::<Result<_, _>>()?,
            rank: spec.labels.map(rank).transpose()?,
            sizes: loader.sizes.get(),
            spec,
        })
    }

    /// The resolved model.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Bytes of the weights in memory.
    pub fn weight_sizes(&self) -> WeightSizes {
        self.sizes
    }

    /// Hidden states of all tokens of all inputs: `[tokens, hidden]`.
    pub fn hidden(&self, inputs: &[EncoderInput<'_>]) -> Vec<f32> {
        let spans: Vec<usize> = inputs.iter().map(|input| input.tokens.len()).collect();
        assert!(
            spans.iter().all(|&tokens| (1..=self.spec.context_tokens).contains(&tokens)),
            "[encoder] texts of {spans:?} tokens for a context of {}",
            self.spec.context_tokens
        );
        let mut x = self.embed(inputs); // [tokens, hidden]
        for layer in &self.layers {
            x = layer.forward(&x, &self.spec, &spans);
        }
        x.to_vec::<f32>()
    }

    /// What the classification head makes of hidden states of first tokens, `[texts, hidden]` → `[texts, labels]`. None:
    /// there is no head.
    pub fn scores(&self, first: &[f32]) -> Option<Vec<f32>> {
        let (dense, out) = self.rank.as_ref()?;
        let x = Array::from_slice(first, &[first.len() / self.spec.hidden, self.spec.hidden]);
        Some(linear(&linear(&x, dense).tanh(), out).to_vec::<f32>())
    }

    fn embed(&self, inputs: &[EncoderInput<'_>]) -> Array {
        let all = |rows: Vec<u32>| Array::from_slice(&rows, &[rows.len()]);
        let tokens = inputs.iter().flat_map(|input| input.tokens.iter().copied()).collect();
        let mut x = embedding(&all(tokens), &self.embedding, 1.0); // [tokens, hidden]
        if let (Some(table), Some(positions)) = (&self.positions, self.spec.positions) {
            let row = |token: usize| (positions.offset + token) as u32;
            let rows = inputs.iter().flat_map(|input| (0..input.tokens.len()).map(row)).collect();
            x = x.add(embedding(&all(rows), table, 1.0));
        }
        if let Some(table) = &self.segments {
            let last = self.spec.segments as u32 - 1;
            let segment = |input: &EncoderInput<'_>, token: usize| u32::from(token >= input.second).min(last);
            let rows = inputs.iter().flat_map(|input| (0..input.tokens.len()).map(move |token| segment(input, token)));
            x = x.add(embedding(&all(rows.collect()), table, 1.0));
        }
        self.embedding_norm.forward(&x)
    }
}

impl Layer {
    fn load(loader: &Loader<'_>, spec: &EncoderSpec, index: usize) -> Result<Layer, ModelError> {
        let (hidden, width, layer) = (spec.hidden, spec.layer.width, Some(index));
        let merged = loader.weights.find("attention.qkv", layer, None, "weight")?.is_some();
        let apart = [("attention.q", hidden), ("attention.k", hidden), ("attention.v", hidden)];
        let projections: &[_] = if merged { &[("attention.qkv", 3 * hidden)] } else { &apart };
        let up: &[_] = if spec.layer.gated { &[("ffn.gate", width), ("ffn.up", width)] } else { &[("ffn.up", width)] };
        Ok(Layer {
            qkv: loader.linear(layer, projections, hidden)?,
            out: loader.linear(layer, &[("attention.out", hidden)], hidden)?,
            mixer_norm: Norm::load(loader, "mixer_out_norm", layer)?,
            up: loader.linear(layer, up, hidden)?,
            down: loader.linear(layer, &[("ffn.down", hidden)], width)?,
            ffn_norm: Norm::load(loader, "ffn_out_norm", layer)?,
        })
    }

    /// `x`: `[tokens, hidden]`, the texts one behind the other, each of `spans` tokens.
    fn forward(&self, x: &Array, spec: &EncoderSpec, spans: &[usize]) -> Array {
        let qkv = linear(x, &self.qkv); // [tokens, 3 * hidden]
        let (mut mixed, mut start) = (Vec::new(), 0);
        for &tokens in spans {
            mixed.push(attend(&qkv.slice_axis(0, start as i64..(start + tokens) as i64), spec));
            start += tokens;
        }
        let mixed = concatenate(&mixed.iter().collect::<Vec<_>>(), 0); // [tokens, hidden]
        let x = self.mixer_norm.forward(&x.add(linear(&mixed, &self.out)));
        let up = linear(&x, &self.up); // [tokens, width], or twice as wide with a gate
        let down = match (spec.layer.gated, spec.layer.activation) {
            (true, activation) => linear(Rows::gated(&up, gate_of(activation)), &self.down),
            (false, Activation::Silu | Activation::ClampedSwiglu { .. }) => linear(&up.silu(), &self.down),
            (false, Activation::Gelu) => linear(&up.gelu(), &self.down),
            (false, Activation::GeluTanh) => linear(&up.gelu_tanh(), &self.down),
        };
        self.ffn_norm.forward(&x.add(down))
    }
}

/// Attention within one text: `qkv` `[tokens, 3 * hidden]` → `[tokens, hidden]`.
fn attend(qkv: &Array, spec: &EncoderSpec) -> Array {
    let (tokens, heads, dim, hidden) = (qkv.dim(0), spec.layer.heads, spec.head_dim(), spec.hidden as i64);
    let part = |which: i64| {
        let rows = qkv.slice_axis(1, which * hidden..(which + 1) * hidden);
        rows.reshape_to(&[1, tokens, heads, dim]).transpose(&[0, 2, 1, 3]) // [1, heads, tokens, dim]
    };
    let (mut q, mut k, v) = (part(0), part(1), part(2));
    if let Some(rope) = &spec.layer.rope {
        let how = Rope { dims: rope.dims, traditional: rope.interleaved, base: rope.theta, scale: 1.0 };
        let start = Array::from_slice(&[0i32], &[1]);
        (q, k) = (fast::rope(&q, how, &start, None), fast::rope(&k, how, &start, None));
    }
    let scale = 1.0 / (dim as f32).sqrt();
    let mut parts = Vec::new();
    for start in (0..tokens).step_by(QUERY_ROWS) {
        let queries = q.slice_axis(2, start as i64..(start + QUERY_ROWS).min(tokens) as i64);
        parts.push(fast::attention(&queries, &k, &v, scale, Mask::None, None));
    }
    let mixed = concatenate(&parts.iter().collect::<Vec<_>>(), 2); // [1, heads, tokens, dim]
    mixed.transpose(&[0, 2, 1, 3]).reshape_to(&[tokens, heads * dim])
}

impl Norm {
    fn load(loader: &Loader<'_>, name: &str, layer: Option<usize>) -> Result<Norm, ModelError> {
        let size = loader.spec.hidden;
        let values = |part: &str| loader.weights.floats(name, layer, part, &[size]);
        let (weight, bias) = (values("weight")?, values("bias")?);
        let array = |values: &[f32]| Array::from_slice(values, &[size]);
        Ok(Norm { weight: array(&weight), bias: array(&bias), epsilon: loader.spec.norm_epsilon })
    }

    fn forward(&self, x: &Array) -> Array {
        fast::layer_norm(x, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}
