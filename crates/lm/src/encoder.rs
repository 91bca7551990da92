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
use crate::families::ENCODERS;
use crate::gguf_config;
use crate::inspect::Entry;
use crate::load::{Loader, WeightSizes};
use crate::nn::ffn::gate_of;
use crate::pooling::Pooling;
use crate::spec::{Activation, HeadSpec, ModelSpec, RopeScaling, RopeSpec};
use crate::weights::Weights;

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

    fn head_dim(&self) -> usize {
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
            sites: Default::default(),
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
