//! Rotary position embedding: frequencies of every known scaling, angles of a batch's positions, the rotation.
//!
//! [`Frequencies`] is made once for a model, [`Angles`] once for a forward pass (all layers share them), and
//! [`rope`] turns heads in place. Angles are computed in f64 and rounded once, so a position's angle is the same in
//! every batch. Scalings follow the `rope_type` names of Hugging Face configurations.

use std::f64::consts::PI;

use crate::norm::Heads;
use crate::pool::{Disjoint, Pool};

/// How the base frequencies are changed for longer contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// `theta^(-2i/dim)`.
    None,
    /// All frequencies divided by `factor`.
    Linear {
        /// Context growth.
        factor: f64,
    },
    /// The base grows with the length of the sequence once it is longer than `original_context`.
    DynamicNtk {
        /// Context growth.
        factor: f64,
        /// Tokens the model was trained on.
        original_context: usize,
    },
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, smooth between.
    Llama3 {
        /// Context growth.
        factor: f64,
        /// Wavelengths above `original_context / low` are divided.
        low_frequency_factor: f64,
        /// Wavelengths below `original_context / high` are kept.
        high_frequency_factor: f64,
        /// Tokens the model was trained on.
        original_context: usize,
    },
    /// YaRN (arXiv 2309.00071): interpolation and extrapolation blended by a ramp over the dimensions.
    Yarn(Yarn),
    /// LongRoPE (arXiv 2402.13753; `longrope`, `su`): a factor for each frequency, one list for short and one for long sequences.
    LongRope {
        /// Divisors while the sequence is not longer than `original_context`; `[dim / 2]`.
        short: Vec<f64>,
        /// Divisors beyond it; `[dim / 2]`.
        long: Vec<f64>,
        /// Tokens the model was trained on.
        original_context: usize,
        /// Tokens the model is meant for now; with `attention_factor` absent it gives sqrt(1 + ln(s) / ln(original)).
        context: usize,
        /// Overrides the attention factor.
        attention_factor: Option<f64>,
    },
    /// Frequencies given as divisors of the base ones (GGUF's `rope_freqs.weight`); `[dim / 2]`.
    Divisors(Vec<f64>),
    /// Only the first `rotated` of `dim / 2` frequencies turn, the others are 0 (Gemma's `proportional`).
    Proportional {
        /// Frequencies that are not zero.
        rotated: usize,
        /// Context growth.
        factor: f64,
    },
}

/// The parameters of [`Scaling::Yarn`].
#[derive(Clone, Debug, PartialEq)]
pub struct Yarn {
    /// Context growth.
    pub factor: f64,
    /// Tokens the model was trained on.
    pub original_context: usize,
    /// Rotations above which a dimension is kept (32).
    pub beta_fast: f64,
    /// Rotations below which a dimension is interpolated (1).
    pub beta_slow: f64,
    /// Round the ends of the ramp to whole dimensions (true unless the configuration says `truncate: false`).
    pub truncate: bool,
    /// Overrides the attention factor.
    pub attention_factor: Option<f64>,
    /// DeepSeek's `mscale`; 0 or absent: not used.
    pub mscale: Option<f64>,
    /// DeepSeek's `mscale_all_dim`.
    pub mscale_all_dim: Option<f64>,
}

/// Inverse frequencies of a model's rope, and the factor that its cosines and sines carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// Radians a position: `[dim / 2]`.
    pub inverse: Vec<f64>,
    /// Cosines and sines are multiplied by it (YaRN, LongRoPE); else 1.
    pub attention_factor: f64,
}

impl Frequencies {
    /// Frequencies of `dim` rotated dimensions for a sequence of `tokens` tokens (it matters to
    /// [`Scaling::DynamicNtk`] and [`Scaling::LongRope`] only; see [`Scaling::depends_on_length`]).
    pub fn new(dim: usize, theta: f64, scaling: &Scaling, tokens: usize) -> Frequencies {
        assert!(dim.is_multiple_of(2), "[rope] {dim} rotated dimensions, which is odd");
        let half = dim / 2;
        let base: Vec<f64> = (0..half).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect();
        let plain = |inverse: Vec<f64>| Frequencies { inverse, attention_factor: 1.0 };
        match scaling {
            Scaling::None => plain(base),
            Scaling::Linear { factor } => plain(base.iter().map(|f| f / factor).collect()),
            Scaling::DynamicNtk { factor, original_context } => {
                let length = tokens.max(*original_context) as f64 / *original_context as f64;
                let growth = (factor * length - (factor - 1.0)).powf(dim as f64 / (dim as f64 - 2.0));
                plain((0..half).map(|i| (theta * growth).powf(-2.0 * i as f64 / dim as f64)).collect())
            }
            Scaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => {
                let ends = (*low_frequency_factor, *high_frequency_factor);
                plain(base.iter().map(|&f| llama3(f, *factor, ends, *original_context as f64)).collect())
            }
            Scaling::Yarn(yarn) => yarn.frequencies(&base, dim, theta),
            Scaling::LongRope { short, long, original_context, context, attention_factor } => {
                let divisors = if tokens > *original_context { long } else { short };
                assert_eq!(divisors.len(), half, "[rope] longrope factors");
                let inverse = base.iter().zip(divisors).map(|(f, divisor)| f / divisor).collect();
                let growth = *context as f64 / *original_context as f64;
                let factor =
                    || if growth > 1.0 { (1.0 + growth.ln() / (*original_context as f64).ln()).sqrt() } else { 1.0 };
                Frequencies { inverse, attention_factor: attention_factor.unwrap_or_else(factor) }
            }
            Scaling::Divisors(divisors) => {
                assert_eq!(divisors.len(), half, "[rope] frequency divisors");
                plain(base.iter().zip(divisors).map(|(f, divisor)| f / divisor).collect())
            }
            Scaling::Proportional { rotated, factor } => {
                plain(base.iter().enumerate().map(|(i, f)| if i < *rotated { f / factor } else { 0.0 }).collect())
            }
        }
    }

    /// Dimensions of a head that are rotated.
    pub fn dim(&self) -> usize {
        self.inverse.len() * 2
    }
}

impl Scaling {
    /// Whether [`Frequencies::new`] looks at the number of tokens.
    pub fn depends_on_length(&self) -> bool {
        matches!(self, Scaling::DynamicNtk { .. } | Scaling::LongRope { .. })
    }
}

/// Cosines and sines of the positions of one forward pass, attention factor included.
#[derive(Clone, Debug, Default)]
pub struct Angles {
    half: usize,
    /// `[rows, half]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// Angles of `positions`, one row each.
    pub fn new(pool: &Pool, frequencies: &Frequencies, positions: &[i32]) -> Angles {
        let mut angles = Angles::default();
        angles.fill(pool, frequencies, positions);
        angles
    }

    /// As [`Angles::new`], into the memory of an earlier pass.
    pub fn fill(&mut self, pool: &Pool, frequencies: &Frequencies, positions: &[i32]) {
        let half = frequencies.inverse.len();
        self.half = half;
        self.cos.resize(positions.len() * half, 0.0);
        self.sin.resize(positions.len() * half, 0.0);
        let (cos, sin) = (Disjoint::new(&mut self.cos), Disjoint::new(&mut self.sin));
        pool.run_blocks(positions.len(), 16, |range| {
            for r in range {
                // SAFETY: one part has row r.
                let (cos, sin) = unsafe { (cos.slice(r * half..(r + 1) * half), sin.slice(r * half..(r + 1) * half)) };
                for (i, inverse) in frequencies.inverse.iter().enumerate() {
                    let (s, c) = (f64::from(positions[r]) * inverse).sin_cos();
                    cos[i] = (c * frequencies.attention_factor) as f32;
                    sin[i] = (s * frequencies.attention_factor) as f32;
                }
            }
        });
    }

    /// How many positions.
    pub fn rows(&self) -> usize {
        self.cos.len() / self.half.max(1)
    }

    /// Cosines and sines of row `r`, `[half]` each.
    pub fn row(&self, r: usize) -> (&[f32], &[f32]) {
        let range = r * self.half..(r + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

/// Which elements of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pairing {
    /// `(i, i + rotated / 2)`: Hugging Face, NeoX.
    Halves,
    /// `(2i, 2i + 1)`: the paper's, Llama's GGUF files, MLX's `traditional`.
    Interleaved,
}

/// Rotate the first `2 * half` elements of every head in place. Row `r` uses the angles of row `r % angles.rows()`,
/// so that `[batch * heads, tokens, dim]` with one head a row works too.
pub fn rope(pool: &Pool, x: &mut [f32], heads: Heads, angles: &Angles, pairing: Pairing) {
    heads.check("rope", x.len());
    assert!(angles.half * 2 <= heads.dim, "[rope] {} rotated of {} dimensions", angles.half * 2, heads.dim);
    if angles.half == 0 || heads.rows == 0 {
        return;
    }
    let shared = Disjoint::new(x);
    let block = (8192 / (heads.heads * heads.dim).max(1)).max(1);
    pool.run_blocks(heads.rows, block, |range| {
        for r in range {
            let (cos, sin) = angles.row(r % angles.rows());
            for head in 0..heads.heads {
                let start = heads.start(r, head);
                // SAFETY: one part has row r, and heads do not overlap (checked).
                rotate(unsafe { shared.slice(start..start + 2 * angles.half) }, cos, sin, pairing);
            }
        }
    });
}

fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    for i in 0..half {
        let (first, second) = match pairing {
            Pairing::Halves => (i, i + half),
            Pairing::Interleaved => (2 * i, 2 * i + 1),
        };
        let (a, b) = (x[first], x[second]);
        x[first] = a * cos[i] - b * sin[i];
        x[second] = a * sin[i] + b * cos[i];
    }
}

fn llama3(frequency: f64, factor: f64, (low, high): (f64, f64), original: f64) -> f64 {
    let wavelength = 2.0 * PI / frequency;
    if wavelength < original / high {
        frequency
    } else if wavelength > original / low {
        frequency / factor
    } else {
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

impl Yarn {
    fn frequencies(&self, base: &[f64], dim: usize, theta: f64) -> Frequencies {
        let dimension_of = |rotations: f64| {
            dim as f64 * (self.original_context as f64 / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln())
        };
        let (mut low, mut high) = (dimension_of(self.beta_fast), dimension_of(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(dim as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        let inverse = base
            .iter()
            .enumerate()
            .map(|(i, f)| {
                let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                f / self.factor * ramp + f * (1.0 - ramp)
            })
            .collect();
        Frequencies { inverse, attention_factor: self.attention_factor() }
    }

    fn attention_factor(&self) -> f64 {
        let magnitude = |mscale: f64| if self.factor <= 1.0 { 1.0 } else { 0.1 * mscale * self.factor.ln() + 1.0 };
        let used = |value: Option<f64>| value.filter(|&value| value != 0.0);
        self.attention_factor.unwrap_or_else(|| match (used(self.mscale), used(self.mscale_all_dim)) {
            (Some(mscale), Some(all)) => magnitude(mscale) / magnitude(all),
            _ => magnitude(1.0),
        })
    }
}
