//! Norms of whole rows. Inside a product use [`super::matmul::Input::Norm`], which has the same bits.

use crate::device::{Kernel, List, Memory};

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + epsilon)`
    Rms = 0,
    /// `(x - mean) / sqrt(variance + epsilon)`
    Layer = 1,
}

/// A norm with its weights.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Which.
    pub kind: NormKind,
    /// `[dim]`
    pub weight: Option<&'a Memory>,
    /// `[dim]`
    pub bias: Option<&'a Memory>,
    /// Epsilon.
    pub epsilon: f32,
}

/// `out[rows, dim] = norm(x)`, rows of `x` being `x_stride` values apart. With `delta` `[rows, dim]`, `x += delta` first.
#[track_caller]
pub fn norm(
    list: &mut List,
    norm: &Norm,
    x: &Memory,
    x_stride: usize,
    [rows, dim]: [usize; 2],
    delta: Option<&Memory>,
    out: &Memory,
) {
    let constants = [
        ("KIND", norm.kind as u32),
        ("WEIGHT", u32::from(norm.weight.is_some())),
        ("BIAS", u32::from(norm.bias.is_some())),
        ("ADD", u32::from(delta.is_some())),
    ];
    let buffers = [x, norm.weight.unwrap_or(x), norm.bias.unwrap_or(x), delta.unwrap_or(x), out];
    let params = [dim as u32, x_stride as u32, dim as u32, norm.epsilon.to_bits()];
    list.dispatch(Kernel::new("norm", &constants), &buffers, &params, [rows as u32, 1, 1]);
}
