//! What a model is, resolved layer by layer: pure data that one decoder executes.
//!
//! Families translate configuration files into a [`ModelSpec`]; KV layout, memory need and quantization targets
//! are functions of it. Nothing here knows a family by name. Read next: `families/mod.rs`, then `decoder.rs`.

use std::fmt;

use olivine_kernels::attention::KvDtype;
use olivine_kernels::recurrent::DeltaShape;
use olivine_kernels::rope::{Frequencies, Scaling, Yarn};

/// A decoder-only language model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// The family's name, for people.
    pub family: &'static str,
    /// Rows of the embedding and of the output head.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Longest sequence the model was made for, in tokens.
    pub context_tokens: usize,
    /// Factor on the embedding rows.
    pub embedding_scale: f32,
    /// Epsilon of every norm.
    pub norm_epsilon: f32,
    /// Added to every norm weight at load (checkpoints that store `w - 1` have 1).
    pub norm_offset: f32,
    /// The output head.
    pub head: HeadSpec,
    /// The layers in order.
    pub layers: Vec<LayerSpec>,
}

/// How hidden states become logits.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSpec {
    /// The embedding matrix is the head.
    pub tied: bool,
    /// `logits = cap * tanh(logits / cap)`.
    pub soft_cap: Option<f32>,
    /// Factor on the logits.
    pub scale: f32,
}

/// One layer: `x += post(mixer(norm(x))); x += post(ffn(norm(x)))`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// What mixes tokens.
    pub mixer: Mixer,
    /// What works on each token alone.
    pub ffn: Ffn,
    /// Norms behind the mixer and the feed-forward block as well as before them.
    pub post_norms: bool,
}

/// The block that lets a token see others.
#[derive(Clone, Debug, PartialEq)]
pub enum Mixer {
    /// Softmax attention over cached keys and values.
    Attention(AttentionSpec),
    /// Multi-head latent attention: one shared latent per token is cached (arXiv:2405.04434).
    Latent(LatentSpec),
    /// Gated delta rule: a recurrent state instead of a cache (arXiv:2412.06464).
    GatedDelta(GatedDeltaSpec),
}

/// Softmax attention.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionSpec {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Rotary embedding; none for layers without positions.
    pub rope: Option<RopeSpec>,
    /// Sees the last `window` positions, its own among them.
    pub window: Option<usize>,
    /// `score = cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// RMS norm of each query and key head before the rotary embedding.
    pub head_norms: bool,
    /// A learned logit per head that takes part in the softmax and has no value.
    pub sinks: bool,
    /// The query projection has a second half whose sigmoid multiplies the output.
    pub output_gate: bool,
}

/// Multi-head latent attention.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentSpec {
    /// Query heads.
    pub heads: usize,
    /// Rank of the query projection; a single matrix when there is none.
    pub query_rank: Option<usize>,
    /// Width of the cached latent.
    pub latent: usize,
    /// Width of a head without positions.
    pub nope_dim: usize,
    /// Width of the rotated part, shared by all heads on the key side.
    pub rope_dim: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Rotary embedding of the rotated part.
    pub rope: RopeSpec,
}

/// Gated delta rule with a short causal convolution in front.
#[derive(Clone, Debug, PartialEq)]
pub struct GatedDeltaSpec {
    /// Query and key heads.
    pub key_heads: usize,
    /// Value heads; a multiple of the key heads.
    pub value_heads: usize,
    /// Width of a key head.
    pub key_dim: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Taps of the convolution.
    pub conv_taps: usize,
    /// Value head `h` goes with key head `h % key_heads` instead of its neighbours' one.
    pub tiled: bool,
}

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeSpec {
    /// Rotated dimensions of a head (the first ones).
    pub dims: usize,
    /// Base of the frequencies.
    pub theta: f32,
    /// Pairs are neighbours instead of halves.
    pub interleaved: bool,
    /// How the frequencies are stretched.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched to longer contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by one factor.
    Linear {
        /// Positions are divided by it.
        factor: f32,
    },
    /// By wavelength, as in Llama 3.1.
    Llama3 {
        /// Factor of the long wavelengths.
        factor: f32,
        /// Below this many turns in the original context: scaled.
        low_frequency: f32,
        /// Above this many turns: kept.
        high_frequency: f32,
        /// The original context, tokens.
        original_tokens: usize,
    },
    /// YaRN (arXiv:2309.00071).
    Yarn {
        /// Extension of the context.
        factor: f32,
        /// Turns above which a frequency is kept.
        beta_fast: f32,
        /// Turns below which it is scaled.
        beta_slow: f32,
        /// The original context, tokens.
        original_tokens: usize,
        /// Factor on the rotated vectors.
        attention_factor: f32,
        /// Round the ends of the ramp to whole dimensions.
        truncate: bool,
    },
    /// One divisor per pair of dimensions, and a factor on the rotated vectors.
    Factors {
        /// Divisors of the frequencies.
        factors: Vec<f32>,
        /// Factor on the rotated vectors.
        attention_factor: f32,
    },
}

/// The block that works on each token alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Ffn {
    /// `down(activation(gate(x)) * up(x))`.
    Dense {
        /// Inner width.
        width: usize,
        /// Of the gate.
        activation: Activation,
    },
    /// A router sends each token to a few of many experts.
    Moe(MoeSpec),
}

/// Mixture of experts.
#[derive(Clone, Debug, PartialEq)]
pub struct MoeSpec {
    /// How many there are.
    pub experts: usize,
    /// How many a token goes to.
    pub active: usize,
    /// Inner width of an expert.
    pub width: usize,
    /// Of the gate.
    pub activation: Activation,
    /// How weights are made of router logits.
    pub router: RouterSpec,
    /// Experts' projections have biases.
    pub expert_biases: bool,
    /// An expert that every token goes to.
    pub shared: Option<SharedExpertSpec>,
}

/// From router logits to experts and their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterSpec {
    /// What turns logits into scores.
    pub scoring: Scoring,
    /// The router's matrix has a bias.
    pub bias: bool,
    /// A stored correction is added to the scores for the choice, not for the weights.
    pub correction: bool,
    /// Divide the chosen weights by their sum.
    pub normalize: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Experts are in this many groups and only the best groups take part: (groups, best).
    pub groups: Option<(usize, usize)>,
}

/// What turns router logits into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Softmax over all experts, then choose.
    Softmax,
    /// Choose by logit, then softmax over the chosen.
    SoftmaxOfChosen,
    /// Sigmoid of each logit.
    Sigmoid,
}

/// An expert beside the routed ones.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedExpertSpec {
    /// Inner width.
    pub width: usize,
    /// Its output is multiplied by the sigmoid of one more projection.
    pub gated: bool,
}

/// Gate of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// Gaussian error unit by erf.
    Gelu,
    /// Its tanh approximation.
    GeluTanh,
    /// `(up + 1) * gate * sigmoid(1.702 * gate)` with `gate` at most `limit` and `up` within ±`limit`.
    ClampedSwiglu {
        /// Bound of both.
        limit: f32,
    },
}

/// A group of layers whose KV pages live and die together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KvGroup {
    /// Keeps every token.
    Full,
    /// Keeps the last tokens.
    Window(usize),
}

/// Shape of one layer's KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Which block table the layer reads.
    pub group: KvGroup,
    /// Cached heads.
    pub heads: usize,
    /// Width of a key.
    pub key_dim: usize,
    /// Width of a value.
    pub value_dim: usize,
}

impl ModelSpec {
    /// The distinct KV groups, in order; a sequence has one block table for each.
    pub fn kv_groups(&self) -> Vec<KvGroup> {
        let mut groups: Vec<_> = self.layers.iter().filter_map(|l| l.mixer.kv_shape()).map(|s| s.group).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// Whether some layer carries recurrent state.
    pub fn is_recurrent(&self) -> bool {
        self.layers.iter().any(|l| matches!(l.mixer, Mixer::GatedDelta(_)))
    }

    /// Bytes of KV cache and recurrent state of one sequence of `tokens`, with keys and values of this type.
    pub fn cache_bytes(&self, tokens: usize, dtype: KvDtype) -> usize {
        self.layers.iter().map(|layer| layer.mixer.cache_bytes(tokens, dtype)).sum()
    }

    /// Weights in all, and weights read for one token (experts that are not chosen are not read; the embedding
    /// counts once when it is the head, else not at all).
    pub fn parameters(&self) -> (usize, usize) {
        let embedding = self.vocabulary * self.hidden;
        let (mut all, mut active) = (embedding * if self.head.tied { 1 } else { 2 } + self.hidden, embedding);
        for layer in &self.layers {
            let mixer = layer.mixer.parameters(self.hidden);
            let (ffn, ffn_active) = layer.ffn.parameters(self.hidden);
            all += mixer + ffn;
            active += mixer + ffn_active;
        }
        (all, active)
    }

    /// Weights read for one token behind the last mixing of rows, which only rows whose logits are wanted go through on the
    /// CPU; the head is not among them.
    pub fn last_parameters(&self) -> usize {
        let Some(layer) = self.layers.last() else { return 0 };
        let out = match &layer.mixer {
            Mixer::Attention(a) => a.heads * a.head_dim * self.hidden,
            Mixer::Latent(_) | Mixer::GatedDelta(_) => 0,
        };
        out + layer.ffn.parameters(self.hidden).1
    }
}

impl Mixer {
    /// Shape of the KV cache, if the block has one.
    pub fn kv_shape(&self) -> Option<KvShape> {
        match self {
            Mixer::Attention(a) => Some(KvShape {
                group: a.window.map_or(KvGroup::Full, KvGroup::Window),
                heads: a.kv_heads,
                key_dim: a.head_dim,
                value_dim: a.head_dim,
            }),
            Mixer::Latent(l) => {
                Some(KvShape { group: KvGroup::Full, heads: 1, key_dim: l.latent + l.rope_dim, value_dim: l.latent })
            }
            Mixer::GatedDelta(_) => None,
        }
    }

    fn cache_bytes(&self, tokens: usize, dtype: KvDtype) -> usize {
        match (self, self.kv_shape()) {
            (_, Some(s)) => {
                let kept = match s.group {
                    KvGroup::Full => tokens,
                    KvGroup::Window(window) => tokens.min(window),
                };
                kept * s.heads * (dtype.bytes_of(s.key_dim) + dtype.bytes_of(s.value_dim) + 2 * dtype.scale_bytes())
            }
            (Mixer::GatedDelta(d), _) => {
                4 * (d.value_heads * d.key_dim * d.value_dim + d.conv_channels() * (d.conv_taps - 1))
            }
            _ => 0,
        }
    }

    fn parameters(&self, hidden: usize) -> usize {
        match self {
            Mixer::Attention(a) => {
                let queries = a.heads * a.head_dim * if a.output_gate { 2 } else { 1 };
                hidden * (queries + 2 * a.kv_heads * a.head_dim + a.heads * a.head_dim)
            }
            Mixer::Latent(l) => {
                let queries = l.heads * (l.nope_dim + l.rope_dim);
                l.query_rank.map_or(hidden * queries, |rank| rank * (hidden + queries))
                    + hidden * (l.latent + l.rope_dim)
                    + l.latent * l.heads * (l.nope_dim + l.value_dim)
                    + l.heads * l.value_dim * hidden
            }
            Mixer::GatedDelta(d) => {
                let value = d.value_heads * d.value_dim;
                hidden * (d.conv_channels() + value + 2 * d.value_heads) + value * hidden
            }
        }
    }
}

impl RopeSpec {
    /// Inverse frequencies and the factor on the rotated vectors.
    pub fn frequencies(&self) -> Frequencies {
        let scaling = match &self.scaling {
            RopeScaling::None => Scaling::None,
            RopeScaling::Linear { factor } => Scaling::Linear { factor: f64::from(*factor) },
            RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_tokens } => Scaling::Llama3 {
                factor: f64::from(*factor),
                low_frequency_factor: f64::from(*low_frequency),
                high_frequency_factor: f64::from(*high_frequency),
                original_context: *original_tokens,
            },
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original_tokens, attention_factor, truncate } => {
                Scaling::Yarn(Yarn {
                    factor: f64::from(*factor),
                    original_context: *original_tokens,
                    beta_fast: f64::from(*beta_fast),
                    beta_slow: f64::from(*beta_slow),
                    truncate: *truncate,
                    attention_factor: Some(f64::from(*attention_factor)),
                    mscale: None,
                    mscale_all_dim: None,
                })
            }
            RopeScaling::Factors { factors, .. } => Scaling::Divisors(factors.iter().map(|&f| f64::from(f)).collect()),
        };
        let mut frequencies = Frequencies::new(self.dims, f64::from(self.theta), &scaling, 0);
        if let RopeScaling::Factors { attention_factor, .. } = &self.scaling {
            frequencies.attention_factor = f64::from(*attention_factor);
        }
        frequencies
    }
}

impl GatedDeltaSpec {
    /// Heads and widths as the kernels want them.
    pub fn shape(&self) -> DeltaShape {
        let GatedDeltaSpec { key_heads, value_heads, key_dim, value_dim, .. } = *self;
        DeltaShape { key_heads, value_heads, key_dim, value_dim }
    }

    /// Channels of the convolution: queries, keys and values.
    pub fn conv_channels(&self) -> usize {
        2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim
    }
}

impl Ffn {
    fn parameters(&self, hidden: usize) -> (usize, usize) {
        match self {
            Ffn::Dense { width, .. } => (3 * hidden * width, 3 * hidden * width),
            Ffn::Moe(m) => {
                let shared = m.shared.as_ref().map_or(0, |s| 3 * hidden * s.width);
                let common = hidden * m.experts + shared;
                (common + 3 * hidden * m.width * m.experts, common + 3 * hidden * m.width * m.active)
            }
        }
    }
}

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, active) = self.parameters();
        writeln!(f, "family      {}", self.family)?;
        writeln!(f, "parameters  {all} ({active} read per token)")?;
        writeln!(f, "hidden      {}", self.hidden)?;
        writeln!(f, "vocabulary  {}", self.vocabulary)?;
        writeln!(f, "context     {} tokens", self.context_tokens)?;
        write!(f, "embedding   scale {}", self.embedding_scale)?;
        writeln!(f, "\nnorm        rms, epsilon {:e}, stored offset {}", self.norm_epsilon, self.norm_offset)?;
        write!(f, "head        {}", if self.head.tied { "tied to the embedding" } else { "own matrix" })?;
        if let Some(cap) = self.head.soft_cap {
            write!(f, ", soft cap {cap}")?;
        }
        if self.head.scale != 1.0 {
            write!(f, ", scale {}", self.head.scale)?;
        }
        writeln!(f)?;
        let mut start = 0;
        while start < self.layers.len() {
            let same = self.layers[start..].iter().take_while(|l| **l == self.layers[start]).count();
            let layer = &self.layers[start];
            let range = if same == 1 { format!("{start}") } else { format!("{start}-{}", start + same - 1) };
            writeln!(f, "layer {range:<6}{}", layer.mixer)?;
            writeln!(f, "            {}{}", layer.ffn, if layer.post_norms { ", norms behind both" } else { "" })?;
            start += same;
        }
        Ok(())
    }
}

impl fmt::Display for Mixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mixer::Attention(a) => {
                write!(f, "attention {} heads / {} kv x {}, scale {}", a.heads, a.kv_heads, a.head_dim, a.scale)?;
                match &a.rope {
                    Some(rope) => write!(f, ", {rope}")?,
                    None => write!(f, ", no rope")?,
                }
                if let Some(window) = a.window {
                    write!(f, ", window {window}")?;
                }
                if let Some(cap) = a.soft_cap {
                    write!(f, ", soft cap {cap}")?;
                }
                for (on, name) in [(a.head_norms, "q/k norm"), (a.sinks, "sinks"), (a.output_gate, "output gate")] {
                    if on {
                        write!(f, ", {name}")?;
                    }
                }
                Ok(())
            }
            Mixer::Latent(l) => write!(
                f,
                "latent attention {} heads, latent {}, head {}+{} / {}, query rank {}, scale {}, {}",
                l.heads,
                l.latent,
                l.nope_dim,
                l.rope_dim,
                l.value_dim,
                l.query_rank.map_or("full".into(), |rank| rank.to_string()),
                l.scale,
                l.rope
            ),
            Mixer::GatedDelta(d) => write!(
                f,
                "gated delta rule {} key heads x {}, {} value heads x {}{}, convolution of {}",
                d.key_heads,
                d.key_dim,
                d.value_heads,
                d.value_dim,
                if d.tiled { " (tiled)" } else { "" },
                d.conv_taps
            ),
        }
    }
}

impl fmt::Display for RopeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rope {} dims, theta {}", self.dims, self.theta)?;
        if self.interleaved {
            write!(f, " interleaved")?;
        }
        match &self.scaling {
            RopeScaling::None => Ok(()),
            RopeScaling::Linear { factor } => write!(f, ", linear / {factor}"),
            RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_tokens } => {
                write!(f, ", llama3 / {factor} from {original_tokens} (turns {low_frequency} to {high_frequency})")
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original_tokens, attention_factor, truncate } => write!(
                f,
                ", yarn / {factor} from {original_tokens} (turns {beta_slow} to {beta_fast}{}, attention factor \
                 {attention_factor})",
                if *truncate { "" } else { ", not rounded" }
            ),
            RopeScaling::Factors { factors, attention_factor } => {
                let (low, high) = factors.iter().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
                write!(f, ", {} divisors {low} to {high} (attention factor {attention_factor})", factors.len())
            }
        }
    }
}

impl fmt::Display for Ffn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ffn::Dense { width, activation } => write!(f, "dense {width}, {activation:?}"),
            Ffn::Moe(m) => {
                write!(f, "{} experts of {}, {} active, {:?}", m.experts, m.width, m.active, m.activation)?;
                let r = &m.router;
                write!(f, ", router {:?}", r.scoring)?;
                for (on, name) in [
                    (r.bias, "bias"),
                    (r.correction, "correction"),
                    (r.normalize, "normalized"),
                    (m.expert_biases, "expert biases"),
                ] {
                    if on {
                        write!(f, ", {name}")?;
                    }
                }
                if r.scale != 1.0 {
                    write!(f, ", scale {}", r.scale)?;
                }
                if let Some((groups, best)) = r.groups {
                    write!(f, ", best {best} of {groups} groups")?;
                }
                if let Some(s) = &m.shared {
                    write!(f, ", shared {}{}", s.width, if s.gated { " gated" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}
