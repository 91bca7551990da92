//! RMS norm and layer norm over rows. Each row is reduced in one fixed order, whatever the number of rows.
//!
//! Weights come as f32 (`1 + w` is folded at load). Read next: [`crate::rope`].

use crate::pool::{Disjoint, Pool};

/// Where the heads of a row lie: head `h` of row `r` begins at `r * row_stride + first + h * dim`.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Rows (tokens).
    pub rows: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// First element of head 0 in its row.
    pub first: usize,
    /// Heads in a row.
    pub heads: usize,
    /// Elements of a head.
    pub dim: usize,
}

impl Heads {
    /// Panics unless the heads lie inside rows and the rows inside `len` elements.
    pub(crate) fn check(&self, op: &str, len: usize) {
        let end = self.first + self.heads * self.dim;
        assert!(end <= self.row_stride || self.rows <= 1, "[{op}] heads end at {end} of rows of {}", self.row_stride);
        assert!(
            self.rows == 0 || (self.rows - 1) * self.row_stride + end <= len,
            "[{op}] {self:?} in a slice of {len} elements"
        );
    }

    /// First element of a head.
    pub(crate) fn start(&self, row: usize, head: usize) -> usize {
        row * self.row_stride + self.first + head * self.dim
    }
}

/// `out = x / sqrt(mean(x²) + eps) * weight` for each row. `x`, `out`: `[rows, dim]`; `weight`: `[dim]` or none.
pub fn rms_norm(pool: &Pool, x: &[f32], dim: usize, weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    check_rows("rms_norm", x, dim, weight, out);
    let rows = Rows { count: x.len() / dim.max(1), dim };
    let shared = Disjoint::new(out);
    pool.run_blocks(rows.count, rows.block(), |range| {
        for r in range {
            // SAFETY: one part has row r.
            let out = unsafe { shared.slice(r * dim..(r + 1) * dim) };
            rms_norm_row(&x[r * dim..(r + 1) * dim], weight, eps, out);
        }
    });
}

/// `residual += delta`, then `out = rms_norm(residual)`. All `[rows, dim]`.
pub fn add_rms_norm(
    pool: &Pool,
    residual: &mut [f32],
    delta: &[f32],
    dim: usize,
    weight: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    check_rows("add_rms_norm", residual, dim, weight, out);
    assert_eq!(residual.len(), delta.len(), "[add_rms_norm] residual and delta differ in size");
    let rows = Rows { count: residual.len() / dim.max(1), dim };
    let (residual, shared) = (Disjoint::new(residual), Disjoint::new(out));
    pool.run_blocks(rows.count, rows.block(), |range| {
        for r in range {
            let row = r * dim..(r + 1) * dim;
            // SAFETY: one part has row r.
            let (residual, out) = unsafe { (residual.slice(row.clone()), shared.slice(row.clone())) };
            residual.iter_mut().zip(&delta[row]).for_each(|(value, &delta)| *value += delta);
            rms_norm_row(residual, weight, eps, out);
        }
    });
}

/// RMS norm of every head in place (query/key norm). `weight`: `[dim]` or none.
pub fn rms_norm_heads(pool: &Pool, x: &mut [f32], heads: Heads, weight: Option<&[f32]>, eps: f32) {
    heads.check("rms_norm_heads", x.len());
    assert!(weight.is_none_or(|weight| weight.len() == heads.dim), "[rms_norm_heads] weight is not [{}]", heads.dim);
    let rows = Rows { count: heads.rows, dim: heads.heads * heads.dim };
    let shared = Disjoint::new(x);
    pool.run_blocks(rows.count, rows.block(), |range| {
        let mut copy = vec![0.0; heads.dim];
        for r in range {
            for head in 0..heads.heads {
                let start = heads.start(r, head);
                // SAFETY: one part has row r, and heads do not overlap (checked).
                let values = unsafe { shared.slice(start..start + heads.dim) };
                copy.copy_from_slice(values);
                rms_norm_row(&copy, weight, eps, values);
            }
        }
    });
}

/// `out = (x - mean) / sqrt(variance + eps) * weight + bias` for each row. `x`, `out`: `[rows, dim]`.
pub fn layer_norm(
    pool: &Pool,
    x: &[f32],
    dim: usize,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [f32],
) {
    check_rows("layer_norm", x, dim, weight, out);
    assert!(bias.is_none_or(|bias| bias.len() == dim), "[layer_norm] bias is not [{dim}]");
    let rows = Rows { count: x.len() / dim.max(1), dim };
    let shared = Disjoint::new(out);
    pool.run_blocks(rows.count, rows.block(), |range| {
        for r in range {
            // SAFETY: one part has row r.
            let out = unsafe { shared.slice(r * dim..(r + 1) * dim) };
            layer_norm_row(&x[r * dim..(r + 1) * dim], weight, bias, eps, out);
        }
    });
}

struct Rows {
    count: usize,
    dim: usize,
}

impl Rows {
    /// Rows of a part: some 8 Ki elements, about 2 µs.
    fn block(&self) -> usize {
        (8192 / self.dim.max(1)).max(1)
    }
}

fn check_rows(op: &str, x: &[f32], dim: usize, weight: Option<&[f32]>, out: &[f32]) {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "[{op}] {} values are not rows of {dim}", x.len());
    assert_eq!(x.len(), out.len(), "[{op}] input and output differ in size");
    assert!(weight.is_none_or(|weight| weight.len() == dim), "[{op}] weight is not [{dim}]");
}

fn rms_norm_row(x: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let mean = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / x.len() as f64;
    let scale = (1.0 / (mean + f64::from(eps)).sqrt()) as f32;
    for (i, (out, &x)) in out.iter_mut().zip(x).enumerate() {
        *out = x * scale * weight.map_or(1.0, |weight| weight[i]);
    }
}

fn layer_norm_row(x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let (mean, scale) = (mean as f32, (1.0 / (variance + f64::from(eps)).sqrt()) as f32);
    for (i, (out, &x)) in out.iter_mut().zip(x).enumerate() {
        *out = (x - mean) * scale * weight.map_or(1.0, |weight| weight[i]) + bias.map_or(0.0, |bias| bias[i]);
    }
}
