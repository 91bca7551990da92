//! Activation functions and gated units over rows. Every element goes through the same vector steps, whatever its place.
//!
//! Read next: [`crate::elementwise`] for the array vocabulary.

use crate::pool::{Disjoint, Pool};
use crate::simd::{Simd, math, tiered};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Φ(x)` by the error function.
    Gelu,
    /// GELU's tanh approximation.
    GeluTanh,
    /// GELU's `x * sigmoid(1.702 x)`.
    GeluQuick,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²`.
    ReluSquared,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`.
    Exp,
    /// Error function.
    Erf,
    /// `ln(1 + e^x)`.
    Softplus,
}

/// How a gated unit joins its two halves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// `activation(gate) * up`: SwiGLU, GeGLU.
    Product(Activation),
    /// gpt-oss: `(min(max(up, -limit), limit) + 1) * g * sigmoid(alpha * g)` with `g = min(gate, limit)`.
    Clamped {
        /// Slope of the sigmoid (1.702).
        alpha: f32,
        /// Bound of both halves (7).
        limit: f32,
    },
}

/// `out = activation(x)`, element by element.
pub fn activate(pool: &Pool, activation: Activation, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "[activation] input and output differ in size");
    pool.run_chunks(out, BLOCK, |index, out| {
        out.copy_from_slice(&x[index * BLOCK..][..out.len()]);
        activate_slice(activation, out);
    });
}

/// `x = activation(x)`, element by element.
pub fn activate_in_place(pool: &Pool, activation: Activation, x: &mut [f32]) {
    pool.run_chunks(x, BLOCK, |_, x| activate_slice(activation, x));
}

/// Where the halves of a gated unit lie in each row.
#[derive(Clone, Copy, Debug)]
pub struct GatedRows {
    /// Rows (tokens).
    pub rows: usize,
    /// Elements from one input row to the next.
    pub stride: usize,
    /// First gate element of a row.
    pub gate: usize,
    /// First up element of a row.
    pub up: usize,
    /// Elements of each half.
    pub dim: usize,
}

/// `out[r, i] = join(gate[r, i], up[r, i])`. `x`: rows as `layout` says; `out`: rows of `out_stride` elements.
pub fn gated(pool: &Pool, join: Gate, x: &[f32], layout: GatedRows, out: &mut [f32], out_stride: usize) {
    let GatedRows { rows, stride, gate, up, dim } = layout;
    if rows == 0 || dim == 0 {
        return;
    }
    let end = gate.max(up) + dim;
    assert!(rows == 1 || end <= stride && dim <= out_stride, "[gated] {layout:?}, output rows of {out_stride}");
    assert!((rows - 1) * stride + end <= x.len(), "[gated] {layout:?} in {} values", x.len());
    assert!((rows - 1) * out_stride + dim <= out.len(), "[gated] {layout:?} into {} values", out.len());
    let shared = Disjoint::new(out);
    // Pieces of rows, so that one wide row is shared too.
    let pieces = dim.div_ceil(BLOCK);
    let block = (BLOCK / dim).max(1);
    pool.run_blocks(rows * pieces, block, |range| {
        for index in range {
            let (r, first) = (index / pieces, index % pieces * BLOCK);
            let count = BLOCK.min(dim - first);
            let (gate, up) = (&x[r * stride + gate + first..][..count], &x[r * stride + up + first..][..count]);
            // SAFETY: one part has this piece of the row.
            let out = unsafe { shared.slice(r * out_stride + first..r * out_stride + first + count) };
            gated_row(join, gate, up, out);
        }
    });
}

/// `out = join(gate, up)`, element by element; all of one length.
pub fn gated_row(join: Gate, gate: &[f32], up: &[f32], out: &mut [f32]) {
    match join {
        Gate::Product(Activation::Silu) => swiglu_slice(gate, up, out),
        Gate::Product(activation) => {
            out.copy_from_slice(gate);
            activate_slice(activation, out);
            multiply_slice(out, up);
        }
        Gate::Clamped { alpha, limit } => clamped_slice(gate, up, alpha, limit, out),
    }
}

/// What the functions mean, in plain Rust, kept for ever.
pub mod reference {
    use super::{Activation, Gate};

    /// One value, computed in f64.
    pub fn activation(activation: Activation, x: f32) -> f32 {
        let x = f64::from(x);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let value = match activation {
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
            }
            Activation::GeluQuick => x * sigmoid(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::ReluSquared => x.max(0.0).powi(2),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Exp => x.exp(),
            Activation::Erf => erf(x),
            Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        };
        value as f32
    }

    /// One element of a gated unit.
    pub fn gated(join: Gate, gate: f32, up: f32) -> f32 {
        match join {
            Gate::Product(function) => activation(function, gate) * up,
            Gate::Clamped { alpha, limit } => {
                let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
                (up + 1.0) * gate * activation(Activation::Sigmoid, alpha * gate)
            }
        }
    }

    /// Error function: Taylor series below 3, continued fraction of the complement above.
    fn erf(x: f64) -> f64 {
        let z = x.abs();
        if z < 3.0 {
            let (mut term, mut sum) = (z, z);
            for n in 1..120 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return (sum * std::f64::consts::FRAC_2_SQRT_PI).copysign(x);
        }
        let fraction = (1..80).rev().fold(z, |fraction, n| z + f64::from(n) / 2.0 / fraction);
        (1.0 - (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
    }
}

/// Elements of a part: a few microseconds of exponentials.
const BLOCK: usize = 4096;

/// A function on vectors; a struct instead of a closure so that it is always inlined.
pub(crate) trait Lanewise: Copy {
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V;
}

macro_rules! lanewise {
    ($($name:ident: |$s:ident, $x:ident| $body:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        impl Lanewise for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $s: S, $x: S::V) -> S::V {
                $body
            }
        }
    )*};
}

lanewise! {
    Silu: |s, x| s.div(x, s.add(s.splat(1.0), math::exp(s, s.sub(s.zero(), x))));
    Gelu: |s, x| {
        let half = s.mul(x, s.splat(0.5));
        s.fma(half, math::erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
    };
    GeluTanh: |s, x| {
        // 0.5 (1 + tanh u) = sigmoid(2u), which keeps its precision in the negative tail.
        let inner = s.fma(s.mul(x, x), s.splat(0.071_354_814), s.splat(1.595_769));
        s.div(x, s.add(s.splat(1.0), math::exp(s, s.mul(s.sub(s.zero(), x), inner))))
    };
    GeluQuick: |s, x| s.div(x, s.add(s.splat(1.0), math::exp(s, s.mul(x, s.splat(-1.702)))));
    Relu: |s, x| s.max(s.zero(), x);
    ReluSquared: |s, x| {
        let x = s.max(s.zero(), x);
        s.mul(x, x)
    };
    Sigmoid: |s, x| math::sigmoid(s, x);
    Tanh: |s, x| math::tanh(s, x);
    Exp: |s, x| math::exp(s, x);
    Erf: |s, x| math::erf(s, x);
}

/// `x = f(x)` on a slice.
#[inline(always)]
pub(crate) fn map_body<S: Simd, F: Lanewise>(s: S, x: &mut [f32], f: F) {
    for x in x.chunks_mut(S::LANES) {
        let v = s.load_slice(x);
        s.store_slice(f.apply(s, v), x);
    }
}

#[inline(always)]
fn activate_body<S: Simd>(s: S, activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::Silu => map_body(s, x, Silu),
        Activation::Gelu => map_body(s, x, Gelu),
        Activation::GeluTanh => map_body(s, x, GeluTanh),
        Activation::GeluQuick => map_body(s, x, GeluQuick),
        Activation::Relu => map_body(s, x, Relu),
        Activation::ReluSquared => map_body(s, x, ReluSquared),
        Activation::Sigmoid => map_body(s, x, Sigmoid),
        Activation::Tanh => map_body(s, x, Tanh),
        Activation::Exp => map_body(s, x, Exp),
        Activation::Erf => map_body(s, x, Erf),
        // Rare and never hot: gates of recurrent layers, a few values a token.
        Activation::Softplus => x.iter_mut().for_each(|x| *x = reference::activation(activation, *x)),
    }
}

/// Values between what is computed and what is asked for.
const AHEAD: usize = 256;

#[inline(always)]
fn swiglu_body<S: Simd>(s: S, gate: &[f32], up: &[f32], out: &mut [f32]) {
    let whole = out.len() / S::LANES * S::LANES;
    let (vectors, rest) = out.split_at_mut(whole);
    let gates = gate[..whole].chunks_exact(S::LANES);
    for ((gate, up), out) in gates.zip(up[..whole].chunks_exact(S::LANES)).zip(vectors.chunks_exact_mut(S::LANES)) {
        // Rows of many tokens come from a far cache, in pieces too short for the processor to see a stream.
        s.prefetch(gate.as_ptr().wrapping_add(AHEAD).cast());
        s.prefetch(up.as_ptr().wrapping_add(AHEAD).cast());
        s.store_slice(s.mul(Silu.apply(s, s.load_slice(gate)), s.load_slice(up)), out);
    }
    if !rest.is_empty() {
        let v = s.mul(Silu.apply(s, s.load_slice(&gate[whole..])), s.load_slice(&up[whole..]));
        s.store_slice(v, rest);
    }
}

#[inline(always)]
fn clamped_body<S: Simd>(s: S, gate: &[f32], up: &[f32], alpha: f32, limit: f32, out: &mut [f32]) {
    for ((gate, up), out) in gate.chunks(S::LANES).zip(up.chunks(S::LANES)).zip(out.chunks_mut(S::LANES)) {
        let g = s.min(s.splat(limit), s.load_slice(gate));
        let u = s.max(s.splat(-limit), s.min(s.splat(limit), s.load_slice(up)));
        let swish = s.div(g, s.add(s.splat(1.0), math::exp(s, s.mul(g, s.splat(-alpha)))));
        s.store_slice(s.mul(s.add(u, s.splat(1.0)), swish), out);
    }
}

#[inline(always)]
fn multiply_body<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    for (x, y) in x.chunks_mut(S::LANES).zip(y.chunks(S::LANES)) {
        let v = s.mul(s.load_slice(x), s.load_slice(y));
        s.store_slice(v, x);
    }
}

tiered! { pub(crate) fn activate_slice(activation: Activation, x: &mut [f32]) = activate_body; }
tiered! { fn swiglu_slice(gate: &[f32], up: &[f32], out: &mut [f32]) = swiglu_body; }
tiered! { fn clamped_slice(gate: &[f32], up: &[f32], alpha: f32, limit: f32, out: &mut [f32]) = clamped_body; }
tiered! { fn multiply_slice(x: &mut [f32], y: &[f32]) = multiply_body; }

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 11] = [
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::GeluQuick,
        Activation::Relu,
        Activation::ReluSquared,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Exp,
        Activation::Erf,
        Activation::Softplus,
    ];

    fn inputs(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 % 20011) as f32 / 20011.0 - 0.5) * 24.0).collect()
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() <= 2e-6 * b.abs() + 1e-6
    }

    #[test]
    fn activations_match_their_reference_on_every_tier() {
        let pool = Pool::new(1);
        crate::cpu::tests::on_every_tier(|tier| {
            for count in [0, 1, 3, 8, 15, 16, 17, 31, 100, 5000] {
                let x = inputs(count);
                for activation in ALL {
                    let mut out = vec![0.0; count];
                    activate(&pool, activation, &x, &mut out);
                    for (i, (&x, &out)) in x.iter().zip(&out).enumerate() {
                        let expected = reference::activation(activation, x);
                        assert!(close(out, expected), "{tier:?} {activation:?}({x}) = {out}, not {expected}");
                        let mut alone = [x];
                        activate_in_place(&pool, activation, &mut alone);
                        assert_eq!(alone[0].to_bits(), out.to_bits(), "{tier:?} {activation:?} alone and at {i}");
                    }
                }
            }
        });
    }

    #[test]
    fn gated_units_match_their_reference_on_every_tier() {
        let pool = Pool::new(1);
        let joins = [
            Gate::Product(Activation::Silu),
            Gate::Product(Activation::GeluTanh),
            Gate::Clamped { alpha: 1.702, limit: 7.0 },
        ];
        crate::cpu::tests::on_every_tier(|tier| {
            for (rows, dim) in [(1, 1), (3, 17), (2, 64), (1, 9001), (5, 33)] {
                let stride = 2 * dim + 3;
                let x = inputs(rows * stride);
                for join in joins {
                    let layout = GatedRows { rows, stride, gate: 1, up: dim + 2, dim };
                    let mut out = vec![0.0; rows * (dim + 1)];
                    gated(&pool, join, &x, layout, &mut out, dim + 1);
                    for r in 0..rows {
                        for i in 0..dim {
                            let (gate, up) = (x[r * stride + 1 + i], x[r * stride + dim + 2 + i]);
                            let (value, expected) = (out[r * (dim + 1) + i], reference::gated(join, gate, up));
                            assert!(
                                (value - expected).abs() <= 4e-6 * expected.abs() + 1e-5,
                                "{tier:?} {join:?}: {value} {expected}"
                            );
                        }
                        assert_eq!(out[r * (dim + 1) + dim], 0.0, "written beyond the row");
                    }
                }
            }
        });
    }
}
