//! Query and key heads of packed rows: norm, then rotary embedding, in one pass while a row is in the cache.
//!
//! Invariant: the bits are those of [`crate::norm::rms_norm_heads`] followed by [`crate::rope::rope`], whatever the number
//! of rows. Read next: [`crate::norm`], [`crate::rope`].

use crate::norm::{self, Heads};
use crate::pool::{Disjoint, Pool};
use crate::rope::{self, Angles, Pairing};
use crate::simd::{Simd, tiered};

/// What is done to the heads of a row.
#[derive(Clone, Copy, Debug)]
pub struct HeadPass<'a> {
    /// Query heads.
    pub queries: Heads,
    /// Key heads, of the same rows.
    pub keys: Heads,
    /// Weights `[dim]` of the RMS norms of queries and keys.
    pub norms: Option<(&'a [f32], &'a [f32])>,
    /// Epsilon of the norms.
    pub epsilon: f32,
    /// Rotation by the angles of each row; row `r` uses row `r % angles.rows()`.
    pub rope: Option<(&'a Angles, Pairing)>,
}

/// Norm and rotate the heads of all rows in place.
pub fn norm_and_rotate(pool: &Pool, x: &mut [f32], pass: &HeadPass<'_>) {
    for heads in [&pass.queries, &pass.keys] {
        heads.check("norm_and_rotate", x.len());
        let rotated = pass.rope.map_or(0, |(angles, _)| angles.dim());
        assert!(rotated <= heads.dim, "[norm_and_rotate] {rotated} rotated of {} dimensions", heads.dim);
        assert_eq!(heads.row_stride, pass.queries.row_stride, "[norm_and_rotate] queries and keys of different rows");
    }
    if let Some((query, key)) = pass.norms {
        let fits = query.len() == pass.queries.dim && key.len() == pass.keys.dim;
        assert!(fits, "[norm_and_rotate] weights of {} and {} for {pass:?}", query.len(), key.len());
    }
    let (rows, stride) = (pass.queries.rows, pass.queries.row_stride);
    let block = (8192 / stride.max(1)).max(1);
    let shared = Disjoint::new(x);
    let length = shared.len();
    pool.run_blocks(rows, block, |range| {
        for r in range {
            // SAFETY: one part has row r.
            let row = unsafe { shared.slice(r * stride..((r + 1) * stride).min(length)) };
            pass_row(row, r, pass);
        }
    });
}

/// Values of a cache line.
const LINE: usize = 16;

tiered! { fn pass_row(row: &mut [f32], r: usize, pass: &HeadPass<'_>) = pass_body; }

#[inline(always)]
fn pass_body<S: Simd>(s: S, row: &mut [f32], r: usize, pass: &HeadPass<'_>) {
    let weights = (pass.norms.map(|norms| norms.0), pass.norms.map(|norms| norms.1));
    for (heads, weight) in [(&pass.queries, weights.0), (&pass.keys, weights.1)] {
        for head in row[heads.first..][..heads.heads * heads.dim].chunks_exact_mut(heads.dim) {
            // The norm waits for a whole head before it writes any of it: the next one can come meanwhile.
            for line in (0..heads.dim).step_by(LINE) {
                s.prefetch(head.as_ptr().wrapping_add(heads.dim + line).cast());
            }
            if weight.is_some() {
                norm::in_place_body(s, head, weight, pass.epsilon);
            }
            if let Some((angles, pairing)) = pass.rope {
                let (cos, sin) = angles.row(r % angles.rows());
                rope::rotate_body(s, &mut head[..angles.dim()], cos, sin, pairing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rope::{Frequencies, Scaling};

    #[test]
    fn one_pass_has_the_bits_of_norm_then_rope_on_every_tier() {
        let pool = Pool::new(1);
        crate::cpu::tests::on_every_tier(|tier| {
            for (rows, dim, rotated) in [(1, 64, 64), (9, 40, 20), (300, 128, 128)] {
                let queries = Heads { rows, row_stride: 6 * dim + 5, first: 2, heads: 3, dim };
                let keys = Heads { first: 2 + 3 * dim, heads: 2, ..queries };
                let x: Vec<f32> = (0..rows * queries.row_stride).map(|i| (i * 37 % 211) as f32 / 99.0 - 1.0).collect();
                let weights: Vec<f32> = (0..2 * dim).map(|i| (i * 13 % 31) as f32 / 31.0 + 0.5).collect();
                let positions: Vec<i32> = (0..rows as i32).map(|row| row * 31).collect();
                let angles = Angles::new(&pool, &Frequencies::new(rotated, 1e4, &Scaling::None, 0), &positions);
                for (normed, rotates) in [(true, true), (true, false), (false, true)] {
                    let norms = normed.then(|| weights.split_at(dim));
                    let rope = rotates.then_some((&angles, Pairing::Halves));
                    let (mut out, mut expected) = (x.clone(), x.clone());
                    norm_and_rotate(&pool, &mut out, &HeadPass { queries, keys, norms, epsilon: 1e-6, rope });
                    if let Some((query, key)) = norms {
                        norm::rms_norm_heads(&pool, &mut expected, queries, Some(query), 1e-6);
                        norm::rms_norm_heads(&pool, &mut expected, keys, Some(key), 1e-6);
                    }
                    if rotates {
                        let both = Heads { heads: 5, ..queries };
                        rope::rope(&pool, &mut expected, both, &angles, Pairing::Halves);
                    }
                    assert_eq!(out, expected, "{tier:?} {rows} rows of {dim}, norm {normed}, rope {rotates}");
                }
            }
        });
    }
}
