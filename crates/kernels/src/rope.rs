//! Rotary position embedding: frequencies of every known scaling, angles of a batch's positions, the rotation.
//!
//! [`Frequencies`] is made once for a model, [`Angles`] once for a forward pass (all layers share them), and
//! [`rope`] turns heads in place. Angles are computed in f64 and rounded once, so a position's angle is the same in
//! every batch. Scalings follow the `rope_type` names of Hugging Face configurations.

use std::f64::consts::PI;

use crate::norm::Heads;
use crate::pool::{Disjoint, Pool};
use crate::simd::{Simd, tiered};

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

    /// Dimensions of a head that are rotated.
    pub fn dim(&self) -> usize {
        2 * self.half
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

tiered! { fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) = rotate_body; }

#[inline(always)]
pub(crate) fn rotate_body<S: Simd>(s: S, x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    let half = cos.len();
    if pairing == Pairing::Interleaved {
        // A plain loop, vectorized by the compiler with the features of the tier.
        for (x, (&cos, &sin)) in x.chunks_exact_mut(2).zip(cos.iter().zip(sin)) {
            let (a, b) = (x[0], x[1]);
            x[0] = a * cos - b * sin;
            x[1] = a * sin + b * cos;
        }
        return;
    }
    let (first, second) = x.split_at_mut(half);
    let angles = cos.chunks(S::LANES).zip(sin.chunks(S::LANES));
    for ((first, second), (cos, sin)) in first.chunks_mut(S::LANES).zip(second.chunks_mut(S::LANES)).zip(angles) {
        let (a, b) = (s.load_slice(first), s.load_slice(second));
        let (cos, sin) = (s.load_slice(cos), s.load_slice(sin));
        // Rounded after each product, as the plain loop does.
        s.store_slice(s.sub(s.mul(a, cos), s.mul(b, sin)), first);
        s.store_slice(s.add(s.mul(a, sin), s.mul(b, cos)), second);
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

/// What the rotation means, in plain Rust, kept for ever.
pub mod reference {
    use super::Pairing;

    /// Rotate one head by its angles, `cos` and `sin` of `[half]`.
    pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_has_the_bits_of_the_reference() {
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            for (dim, rotated, first) in [(2, 2, 0), (64, 64, 0), (80, 20, 3), (128, 128, 64), (46, 46, 1)] {
                let heads = Heads { rows: 12, row_stride: first + 3 * dim + 5, first, heads: 3, dim };
                let x: Vec<f32> = (0..12 * heads.row_stride).map(|i| (i * 31 % 101) as f32 / 50.0 - 1.0).collect();
                let positions: Vec<i32> = (0..6).map(|i| i * 997).collect();
                let angles = Angles::new(&pool, &Frequencies::new(rotated, 1e4, &Scaling::None, 0), &positions);
                for pairing in [Pairing::Halves, Pairing::Interleaved] {
                    let (mut out, mut expected) = (x.clone(), x.clone());
                    rope(&pool, &mut out, heads, &angles, pairing);
                    for r in 0..12 {
                        let (cos, sin) = angles.row(r % 6);
                        for head in 0..3 {
                            reference::rotate(&mut expected[heads.start(r, head)..][..rotated], cos, sin, pairing);
                        }
                    }
                    assert_eq!(out, expected, "{tier:?} {pairing:?} {rotated} of {dim}");
                }
            }
        });
    }

    #[test]
    fn angles_are_exact_at_long_positions() {
        let pool = Pool::new(2);
        let frequencies = Frequencies::new(4, 100.0, &Scaling::None, 0);
        assert_eq!(frequencies.inverse, [1.0, 0.1]);
        let angles = Angles::new(&pool, &frequencies, &[0, 1, 131_071]);
        assert_eq!(angles.row(0), (&[1.0, 1.0][..], &[0.0, 0.0][..]));
        let (cos, sin) = angles.row(2);
        assert_eq!(cos, [131_071f64.cos() as f32, 13_107.1f64.cos() as f32]);
        assert_eq!(sin, [131_071f64.sin() as f32, 13_107.1f64.sin() as f32]);
    }

    /// Values computed with the formulas of the scalings' papers in double precision, apart from this code.
    #[test]
    fn scalings() {
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b.abs(), "{a} {b}");
        let linear = Frequencies::new(8, 1e4, &Scaling::Linear { factor: 4.0 }, 0);
        close(linear.inverse[1], 0.025);
        // NTK: at twice the original length the base is 1e4 * 3^(8/6).
        let scaling = Scaling::DynamicNtk { factor: 2.0, original_context: 100 };
        close(Frequencies::new(8, 1e4, &scaling, 200).inverse[1], (1e4 * 3f64.powf(4.0 / 3.0)).powf(-0.25));
        close(Frequencies::new(8, 1e4, &scaling, 50).inverse[1], 0.1);
        // Llama 3: wavelengths 2π (kept), 2π·10^4 (divided), and one between.
        let llama = Scaling::Llama3 {
            factor: 8.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context: 8192,
        };
        let inverse = Frequencies::new(128, 500_000.0, &llama, 0).inverse;
        close(inverse[0], 1.0);
        close(inverse[63], 500_000f64.powf(-126.0 / 128.0) / 8.0);
        let between = 500_000f64.powf(-64.0 / 128.0);
        let smooth = (8192.0 * between / (2.0 * PI) - 1.0) / 3.0;
        close(inverse[32], between * ((1.0 - smooth) / 8.0 + smooth));
        let proportional = Frequencies::new(8, 1e4, &Scaling::Proportional { rotated: 2, factor: 1.0 }, 0);
        assert_eq!(proportional.inverse[2..], [0.0, 0.0]);
        let divided = Frequencies::new(4, 1e4, &Scaling::Divisors(vec![1.0, 5.0]), 0);
        close(divided.inverse[1], 0.002);
    }

    #[test]
    fn yarn_and_longrope_carry_an_attention_factor() {
        let yarn = Yarn {
            factor: 40.0,
            original_context: 4096,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
            attention_factor: None,
            mscale: None,
            mscale_all_dim: None,
        };
        let frequencies = Frequencies::new(64, 1e4, &Scaling::Yarn(yarn.clone()), 0);
        assert!((frequencies.attention_factor - 1.368_887_945_4).abs() < 1e-9);
        // The ramp runs from dimension 10 to 23: kept before, interpolated after, half-way blended.
        let base = |i: i32| 1e4f64.powf(f64::from(-i) / 32.0);
        assert_eq!((frequencies.inverse[10], frequencies.inverse[23]), (base(10), base(23) / 40.0));
        let ramp = 6.0 / 13.0;
        assert!((frequencies.inverse[16] / (base(16) * (ramp / 40.0 + 1.0 - ramp)) - 1.0).abs() < 1e-12);
        let equal = Yarn { mscale: Some(1.0), mscale_all_dim: Some(1.0), ..yarn };
        assert_eq!(Frequencies::new(64, 1e4, &Scaling::Yarn(equal), 0).attention_factor, 1.0);
        let long = Scaling::LongRope {
            short: vec![1.0, 2.0],
            long: vec![4.0, 8.0],
            original_context: 4096,
            context: 131_072,
            attention_factor: None,
        };
        let (near, far) = (Frequencies::new(4, 100.0, &long, 4096), Frequencies::new(4, 100.0, &long, 4097));
        assert_eq!((near.inverse[1], far.inverse[1]), (0.1 / 2.0, 0.1 / 8.0));
        assert!((far.attention_factor - (1.0 + 32f64.ln() / 4096f64.ln()).sqrt()).abs() < 1e-12);
        assert!(long.depends_on_length());
    }
}
