//! Softmax and log-sum-exp over rows, in f32, each row in one fixed order whatever the number of rows.
//!
//! A row of minus infinities gives NaN, as the formula does. Read next: [`crate::top_k`].

use crate::pool::Pool;
use crate::simd::{Simd, math, tiered};

/// `x = softmax(x)` for each row of `dim` elements, in place.
pub fn softmax(pool: &Pool, x: &mut [f32], dim: usize) {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "[softmax] {} values are not rows of {dim}", x.len());
    let rows = (4096 / dim).max(1);
    pool.run_chunks(x, rows * dim, |_, block| block.chunks_exact_mut(dim).for_each(softmax_row));
}

/// `x = x - log_sum_exp(x)` for each row of `dim` elements, in place.
pub fn log_softmax(pool: &Pool, x: &mut [f32], dim: usize) {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "[log_softmax] {} values are not rows of {dim}", x.len());
    let rows = (4096 / dim).max(1);
    pool.run_chunks(x, rows * dim, |_, block| {
        for row in block.chunks_exact_mut(dim) {
            let shift = log_sum_exp(row);
            row.iter_mut().for_each(|x| *x -= shift);
        }
    });
}

/// `ln Σ e^x` of one row; minus infinity for an empty one.
pub fn log_sum_exp(x: &[f32]) -> f32 {
    let (greatest, sum) = exp_sum(x);
    if greatest.is_infinite() { greatest } else { greatest + sum.ln() }
}

tiered! { fn softmax_row(x: &mut [f32]) = softmax_body; }
tiered! {
    /// The greatest value `m` and `Σ e^(x - m)`.
    fn exp_sum(x: &[f32]) -> (f32, f32) = exp_sum_body;
}

#[inline(always)]
fn greatest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut most = s.splat(f32::NEG_INFINITY);
    let blocks = x.chunks_exact(S::LANES);
    let rest = blocks.remainder();
    for block in blocks {
        // max gives its second operand for NaN, so NaN sticks once it is in the accumulator.
        most = s.max(s.load_slice(block), most);
    }
    rest.iter().fold(s.greatest(most), |a, &b| a.max(b))
}

/// `e^(x - shift)` for a block; lanes beyond its end are 0.
#[inline(always)]
fn shifted_exp<S: Simd>(s: S, block: &[f32], shift: S::V) -> S::V {
    let v = math::exp(s, s.sub(s.load_slice(block), shift));
    if block.len() == S::LANES {
        return v;
    }
    let mut lanes = s.lanes(v);
    lanes[block.len()..].fill(0.0);
    s.load_slice(&lanes)
}

#[inline(always)]
fn exp_sum_body<S: Simd>(s: S, x: &[f32]) -> (f32, f32) {
    let most = greatest(s, x);
    let shift = s.splat(most);
    // Four sums: shorter chains, less rounding.
    let mut sums = [s.zero(); 4];
    for group in x.chunks(4 * S::LANES) {
        for (sum, block) in sums.iter_mut().zip(group.chunks(S::LANES)) {
            *sum = s.add(*sum, shifted_exp(s, block, shift));
        }
    }
    let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
    (most, s.sum(sum))
}

#[inline(always)]
fn softmax_body<S: Simd>(s: S, x: &mut [f32]) {
    let shift = s.splat(greatest(s, x));
    let mut sums = [s.zero(); 4];
    for group in x.chunks_mut(4 * S::LANES) {
        for (sum, block) in sums.iter_mut().zip(group.chunks_mut(S::LANES)) {
            let v = shifted_exp(s, block, shift);
            *sum = s.add(*sum, v);
            s.store_slice(v, block);
        }
    }
    let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
    let scale = s.splat(1.0 / s.sum(sum));
    for block in x.chunks_mut(S::LANES) {
        let v = s.mul(s.load_slice(block), scale);
        s.store_slice(v, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What softmax means, in f64.
    fn reference(x: &[f32]) -> Vec<f64> {
        let most = x.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(f64::from(b)));
        let e: Vec<f64> = x.iter().map(|&x| (f64::from(x) - most).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|e| e / sum).collect()
    }

    #[test]
    fn matches_the_reference_on_every_tier() {
        let pool = Pool::new(1);
        crate::cpu::tests::on_every_tier(|tier| {
            for (rows, dim) in [(1, 1), (3, 7), (5, 16), (2, 33), (9, 1000), (1, 30_001)] {
                let x: Vec<f32> = (0..rows * dim).map(|i| ((i * 7919 % 1009) as f32 - 500.0) * 0.02).collect();
                let (mut out, mut log) = (x.clone(), x.clone());
                softmax(&pool, &mut out, dim);
                log_softmax(&pool, &mut log, dim);
                for r in 0..rows {
                    let row = r * dim..(r + 1) * dim;
                    for (i, expected) in reference(&x[row.clone()]).into_iter().enumerate() {
                        let (p, l) = (f64::from(out[row.start + i]), f64::from(log[row.start + i]));
                        assert!(
                            (p - expected).abs() <= 3e-6 * expected + 1e-12,
                            "{tier:?} [{rows}, {dim}] {p} {expected}"
                        );
                        assert!((l - expected.ln()).abs() < 1e-5, "{tier:?} [{rows}, {dim}] {l}");
                    }
                    let mut alone = x[row.clone()].to_vec();
                    softmax(&pool, &mut alone, dim);
                    assert_eq!(alone, out[row], "{tier:?} a row alone");
                }
            }
        });
    }

    #[test]
    fn masked_and_empty_rows() {
        let pool = Pool::new(1);
        let mut x = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, 0.0];
        softmax(&pool, &mut x, 4);
        assert_eq!(x, [0.0, 0.5, 0.0, 0.5]);
        assert_eq!(log_sum_exp(&[]), f32::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
    }
}
