//! RMS norm and layer norm over rows. Each row is reduced in one fixed order, whatever the number of rows.
//!
//! Weights come as f32 (`1 + w` is folded at load). Read next: [`crate::rope`].

use crate::pool::{Disjoint, Pool};
use crate::simd::{Simd, tiered};

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
            add_rms_norm_row(residual, &delta[row], weight, eps, out);
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
        for r in range {
            for head in 0..heads.heads {
                let start = heads.start(r, head);
                // SAFETY: one part has row r, and heads do not overlap (checked).
                rms_norm_row_in_place(unsafe { shared.slice(start..start + heads.dim) }, weight, eps);
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

tiered! {
    /// One row of [`rms_norm`]; all slices have the row's length.
    pub fn rms_norm_row(x: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) = rms_body;
}
tiered! { fn rms_norm_row_in_place(x: &mut [f32], weight: Option<&[f32]>, eps: f32) = in_place_body; }
tiered! { fn add_rms_norm_row(residual: &mut [f32], delta: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) = add_body; }
tiered! { fn layer_norm_row(x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32, out: &mut [f32]) = layer_body; }

/// Vectors summed side by side.
const SUMS: usize = 4;

#[inline(always)]
fn join<S: Simd>(s: S, sums: [S::V; SUMS]) -> f32 {
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

/// `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
fn rms_scale<S: Simd>(s: S, x: &[f32], eps: f32) -> f32 {
    let mut sums = [s.zero(); SUMS];
    let groups = x.chunks_exact(SUMS * S::LANES);
    let rest = groups.remainder();
    // Numbered by constants, so that the sums stay in registers.
    for group in groups {
        for (i, sum) in sums.iter_mut().enumerate() {
            let v = s.load_slice(&group[i * S::LANES..]);
            *sum = s.fma(v, v, *sum);
        }
    }
    for (i, sum) in sums.iter_mut().enumerate() {
        if let Some(x) = rest.get(i * S::LANES..).filter(|x| !x.is_empty()) {
            let v = s.load_slice(x);
            *sum = s.fma(v, v, *sum);
        }
    }
    1.0 / (join(s, sums) / x.len() as f32 + eps).sqrt()
}

#[inline(always)]
fn rms_body<S: Simd>(s: S, x: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let scale = s.splat(rms_scale(s, x, eps));
    for (i, (x, out)) in x.chunks(S::LANES).zip(out.chunks_mut(S::LANES)).enumerate() {
        let v = s.mul(s.load_slice(x), scale);
        s.store_slice(weighted(s, v, weight, i), out);
    }
}

#[inline(always)]
pub(crate) fn in_place_body<S: Simd>(s: S, x: &mut [f32], weight: Option<&[f32]>, eps: f32) {
    let scale = s.splat(rms_scale(s, x, eps));
    for (i, x) in x.chunks_mut(S::LANES).enumerate() {
        let v = s.mul(s.load_slice(x), scale);
        s.store_slice(weighted(s, v, weight, i), x);
    }
}

/// `v * weight[i * LANES ..]`.
#[inline(always)]
fn weighted<S: Simd>(s: S, v: S::V, weight: Option<&[f32]>, i: usize) -> S::V {
    match weight {
        Some(weight) => s.mul(v, s.load_slice(&weight[i * S::LANES..])),
        None => v,
    }
}

#[inline(always)]
fn add_body<S: Simd>(s: S, residual: &mut [f32], delta: &[f32], weight: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    for (residual, delta) in residual.chunks_mut(S::LANES).zip(delta.chunks(S::LANES)) {
        let v = s.add(s.load_slice(residual), s.load_slice(delta));
        s.store_slice(v, residual);
    }
    rms_body(s, residual, weight, eps, out);
}

#[inline(always)]
fn layer_body<S: Simd>(s: S, x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let mut sums = [s.zero(); SUMS];
    for group in x.chunks(SUMS * S::LANES) {
        for (sum, x) in sums.iter_mut().zip(group.chunks(S::LANES)) {
            *sum = s.add(*sum, s.load_slice(x));
        }
    }
    let mean = s.splat(join(s, sums) / x.len() as f32);
    let mut squares = [s.zero(); SUMS];
    for (group, out) in x.chunks(SUMS * S::LANES).zip(out.chunks_mut(SUMS * S::LANES)) {
        for ((square, x), out) in squares.iter_mut().zip(group.chunks(S::LANES)).zip(out.chunks_mut(S::LANES)) {
            s.store_slice(s.sub(s.load_slice(x), mean), out);
            // Read back: the lanes beyond the row's end are zero.
            let v = s.load_slice(out);
            *square = s.fma(v, v, *square);
        }
    }
    let scale = s.splat(1.0 / (join(s, squares) / x.len() as f32 + eps).sqrt());
    for (i, out) in out.chunks_mut(S::LANES).enumerate() {
        let mut v = weighted(s, s.mul(s.load_slice(out), scale), weight, i);
        if let Some(bias) = bias {
            v = s.add(v, s.load_slice(&bias[i * S::LANES..]));
        }
        s.store_slice(v, out);
    }
}

/// What the norms mean, in f64, kept for ever.
pub mod reference {
    /// One row of [`super::rms_norm`].
    pub fn rms_norm(x: &[f32], weight: Option<&[f32]>, eps: f32) -> Vec<f32> {
        let mean = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + f64::from(eps)).sqrt();
        let weight = |i: usize| weight.map_or(1.0, |weight| f64::from(weight[i]));
        x.iter().enumerate().map(|(i, &x)| (f64::from(x) * scale * weight(i)) as f32).collect()
    }

    /// One row of [`super::layer_norm`].
    pub fn layer_norm(x: &[f32], weight: Option<&[f32]>, bias: Option<&[f32]>, eps: f32) -> Vec<f32> {
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        let weight = |i: usize| weight.map_or(1.0, |weight| f64::from(weight[i]));
        let bias = |i: usize| bias.map_or(0.0, |bias| f64::from(bias[i]));
        x.iter().enumerate().map(|(i, &x)| ((f64::from(x) - mean) * scale * weight(i) + bias(i)) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 500.0 - 1.7).collect()
    }

    fn assert_close(out: &[f32], expected: &[f32], what: &str) {
        for (i, (&a, &b)) in out.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= 3e-6 * b.abs() + 2e-6, "{what}: {a}, not {b}, at {i} of {}", out.len());
        }
    }

    const SHAPES: [(usize, usize); 8] = [(1, 1), (3, 7), (2, 16), (5, 64), (4, 100), (17, 129), (1, 5000), (100, 96)];

    #[test]
    fn rows_match_their_reference_alone_and_together() {
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            for (rows, dim) in SHAPES {
                let (x, weight, bias) = (values(rows * dim, 1), values(dim, 2), values(dim, 3));
                let delta = values(rows * dim, 4);
                for (weight, bias) in [(None, None), (Some(&weight[..]), None), (Some(&weight[..]), Some(&bias[..]))] {
                    let (mut rms, mut layer) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                    rms_norm(&pool, &x, dim, weight, 1e-5, &mut rms);
                    layer_norm(&pool, &x, dim, weight, bias, 1e-5, &mut layer);
                    let (mut residual, mut added) = (x.clone(), vec![0.0; x.len()]);
                    add_rms_norm(&pool, &mut residual, &delta, dim, weight, 1e-5, &mut added);
                    for r in 0..rows {
                        let row = r * dim..(r + 1) * dim;
                        let what = format!("{tier:?} row {r} of [{rows}, {dim}]");
                        assert_close(&rms[row.clone()], &reference::rms_norm(&x[row.clone()], weight, 1e-5), &what);
                        let expected = reference::layer_norm(&x[row.clone()], weight, bias, 1e-5);
                        if dim > 1 {
                            assert_close(&layer[row.clone()], &expected, &what);
                        }
                        let sum: Vec<f32> = row.clone().map(|i| x[i] + delta[i]).collect();
                        assert_eq!(residual[row.clone()], sum, "{what}");
                        assert_close(&added[row.clone()], &reference::rms_norm(&sum, weight, 1e-5), &what);
                        let mut alone = vec![0.0; dim];
                        rms_norm(&pool, &x[row.clone()], dim, weight, 1e-5, &mut alone);
                        assert_eq!(alone, rms[row], "{what} alone");
                    }
                }
            }
        });
    }

    #[test]
    fn heads_are_normed_in_place_and_nothing_else() {
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            let heads = Heads { rows: 9, row_stride: 5 * 40 + 3, first: 41, heads: 3, dim: 40 };
            let (x, weight) = (values(9 * 203, 5), values(40, 6));
            let mut out = x.clone();
            rms_norm_heads(&pool, &mut out, heads, Some(&weight), 1e-6);
            for r in 0..9 {
                for head in 0..3 {
                    let start = heads.start(r, head);
                    let expected = reference::rms_norm(&x[start..start + 40], Some(&weight), 1e-6);
                    assert_close(&out[start..start + 40], &expected, &format!("{tier:?} row {r} head {head}"));
                }
                assert_eq!(out[r * 203..r * 203 + 41], x[r * 203..r * 203 + 41]);
                assert_eq!(out[r * 203 + 161..(r + 1) * 203], x[r * 203 + 161..(r + 1) * 203]);
            }
        });
    }

    #[test]
    #[should_panic(expected = "[rms_norm] weight is not [4]")]
    fn a_wrong_weight_panics() {
        rms_norm(&Pool::new(1), &[1.0; 8], 4, Some(&[1.0; 3]), 1e-5, &mut [0.0; 8]);
    }
}
