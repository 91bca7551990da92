//! What stands around products with experts: their biases, and the weighted sum of what a token's experts gave, in the
//! order of their rank.
//!
//! Invariant: a sum's order is that of its rows, so it does not depend on the other tokens. Read next: [`crate::dense`].

use crate::dense::ExpertGroup;
use crate::pool::{Disjoint, Pool};
use crate::simd::{Simd, tiered};

/// `out[t] = Σ weights[t, k] * rows[t, k]`. `rows`: `[tokens, terms, dim]`, `weights`: `[tokens, terms]`, `out`:
/// `[tokens, dim]`.
pub fn mix_rows(pool: &Pool, rows: &[f32], weights: &[f32], terms: usize, out: &mut [f32]) {
    assert!(terms > 0 && weights.len().is_multiple_of(terms), "[mix_rows] {} weights by {terms}", weights.len());
    let tokens = weights.len() / terms;
    if tokens == 0 {
        return;
    }
    let dim = out.len() / tokens;
    assert_eq!((dim * tokens, dim * weights.len()), (out.len(), rows.len()), "[mix_rows] {tokens} tokens of {dim}");
    let shared = Disjoint::new(out);
    // Pieces of rows, so that one token is shared too.
    let pieces = dim.div_ceil(PIECE);
    let block = (PIECE / dim.max(1) / terms).max(1);
    pool.run_blocks(tokens * pieces, block, |range| {
        for index in range {
            let (token, first) = (index / pieces, index % pieces * PIECE);
            let count = PIECE.min(dim - first);
            // SAFETY: one part has this piece of the token's row.
            let out = unsafe { shared.slice(token * dim + first..token * dim + first + count) };
            let from = &rows[token * terms * dim + first..];
            mix_piece(from, dim, &weights[token * terms..(token + 1) * terms], out);
        }
    });
}

/// Add to each expert's rows of `out` (rows of `stride` elements) its bias: `biases` is `[experts, stride]`. Panics where
/// a row of the output occurs twice.
pub fn add_expert_biases(pool: &Pool, groups: &[ExpertGroup<'_>], biases: &[f32], out: &mut [f32], stride: usize) {
    let mut seen = vec![false; out.len() / stride.max(1)];
    for (_, row) in groups.iter().flat_map(|group| group.rows) {
        assert!(!std::mem::replace(&mut seen[*row as usize], true), "[add_expert_biases] row {row} occurs twice");
    }
    let shared = Disjoint::new(out);
    pool.run(groups.len(), &|index| {
        let bias = &biases[groups[index].expert * stride..][..stride];
        for &(_, row) in groups[index].rows {
            // SAFETY: no row occurs twice, as just checked.
            let row = unsafe { shared.slice(row as usize * stride..(row as usize + 1) * stride) };
            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
    });
}

/// Elements of a part.
const PIECE: usize = 8192;

tiered! { fn mix_piece(rows: &[f32], stride: usize, weights: &[f32], out: &mut [f32]) = mix_body; }

#[inline(always)]
fn mix_body<S: Simd>(s: S, rows: &[f32], stride: usize, weights: &[f32], out: &mut [f32]) {
    for (i, out) in out.chunks_mut(S::LANES).enumerate() {
        let mut sum = s.zero();
        for (term, weight) in weights.iter().enumerate() {
            let at = term * stride + i * S::LANES;
            sum = s.fma(s.splat(*weight), s.load_slice(&rows[at..at + out.len()]), sum);
        }
        s.store_slice(sum, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_gets_the_bias_of_its_expert() {
        let mut out = vec![1.0; 4 * 3];
        let groups = [ExpertGroup { expert: 2, rows: &[(0, 3), (1, 0)] }, ExpertGroup { expert: 0, rows: &[(0, 2)] }];
        let biases: Vec<f32> = (0..9).map(|i| i as f32).collect();
        add_expert_biases(&Pool::new(2), &groups, &biases, &mut out, 3);
        assert_eq!(out, [7.0, 8.0, 9.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn sums_match_f64_and_do_not_depend_on_the_other_tokens() {
        let pool = Pool::new(1);
        crate::cpu::tests::on_every_tier(|tier| {
            for (tokens, terms, dim) in [(1, 1, 1), (3, 2, 17), (40, 8, 1024), (1, 4, 9000)] {
                let rows: Vec<f32> = (0..tokens * terms * dim).map(|i| (i * 31 % 97) as f32 / 48.0 - 1.0).collect();
                let weights: Vec<f32> = (0..tokens * terms).map(|i| (i * 7 % 13) as f32 / 13.0).collect();
                let mut out = vec![f32::NAN; tokens * dim];
                mix_rows(&pool, &rows, &weights, terms, &mut out);
                for token in 0..tokens {
                    let row = |term: usize| &rows[(token * terms + term) * dim..][..dim];
                    for i in 0..dim {
                        let term = |k: usize| f64::from(weights[token * terms + k]) * f64::from(row(k)[i]);
                        let expected: f64 = (0..terms).map(term).sum();
                        let value = f64::from(out[token * dim + i]);
                        assert!((value - expected).abs() < 1e-5, "{tier:?} token {token}, {i}: {value} {expected}");
                    }
                    let mut alone = vec![0.0; dim];
                    let (rows, weights) = (&rows[token * terms * dim..][..terms * dim], &weights[token * terms..]);
                    mix_rows(&pool, rows, &weights[..terms], terms, &mut alone);
                    assert_eq!(alone, out[token * dim..(token + 1) * dim], "{tier:?} token {token} alone");
                }
            }
        });
    }
}
