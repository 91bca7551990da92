//! The greatest values of a row and where they are. Ties go to the lower index; NaN counts as the least value.
//!
//! Invariant: the result does not depend on the tier or on how the row is cut.

use crate::pool::Pool;
use crate::simd::{Simd, tiered};

/// Index of the greatest value, the first of equals; 0 for an empty row or one of NaN alone.
pub fn argmax(x: &[f32]) -> usize {
    let most = greatest(x);
    x.iter().position(|&x| x == most).unwrap_or(0)
}

/// Index of the least value, the first of equals; NaN is passed over.
pub fn argmin(x: &[f32]) -> usize {
    let mut best = 0;
    for (i, &value) in x.iter().enumerate() {
        if value < x[best] || x[best].is_nan() && !value.is_nan() {
            best = i;
        }
    }
    best
}

/// [`argmax`] of each row of `dim` elements. `out`: `[rows]`.
pub fn argmax_rows(pool: &Pool, x: &[f32], dim: usize, out: &mut [u32]) {
    assert!(dim > 0 && x.len() == out.len() * dim, "[argmax] {} values are not {} rows of {dim}", x.len(), out.len());
    pool.run_chunks(out, 1, |row, out| out[0] = argmax(&x[row * dim..(row + 1) * dim]) as u32);
}

/// The `k` greatest values (all of a shorter row), greatest first, as `(index, value)`.
pub fn top_k(x: &[f32], k: usize) -> Vec<(u32, f32)> {
    let k = k.min(x.len());
    if k == 0 {
        return Vec::new();
    }
    let mut best: Vec<(u32, f32)> = if k <= INSERTION { by_insertion(x, k) } else { by_selection(x, k) };
    best.sort_unstable_by(order);
    best
}

/// [`top_k`] of each row of `dim` elements, in parallel. `indices`, `values`: `[rows, k]` with `k <= dim`.
pub fn top_k_rows(pool: &Pool, x: &[f32], dim: usize, k: usize, indices: &mut [u32], values: &mut [f32]) {
    assert!(dim > 0 && k <= dim && x.len().is_multiple_of(dim), "[top_k] {k} of {} values in rows of {dim}", x.len());
    assert!(indices.len() == x.len() / dim * k && values.len() == indices.len(), "[top_k] output is not [rows, {k}]");
    if k == 0 {
        return;
    }
    let values = crate::pool::Disjoint::new(values);
    let rows = (8192 / dim).max(1);
    pool.run_chunks(indices, rows * k, |block, indices| {
        for (i, indices) in indices.chunks_exact_mut(k).enumerate() {
            let row = block * rows + i;
            // SAFETY: one part has this row.
            let values = unsafe { values.slice(row * k..(row + 1) * k) };
            for (at, (index, value)) in top_k(&x[row * dim..(row + 1) * dim], k).into_iter().enumerate() {
                (indices[at], values[at]) = (index, value);
            }
        }
    });
}

/// Up to this k a sorted list is kept while the row is read once.
const INSERTION: usize = 128;
/// Elements looked at together: a block without a value above the threshold is passed over.
const BLOCK: usize = 64;

/// Greater values first, then lower indices; NaN last.
fn order(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    let key = |value: f32| if value.is_nan() { f32::NEG_INFINITY } else { value };
    let by_value = key(b.1).partial_cmp(&key(a.1)).expect("[top_k] keys are numbers");
    by_value.then(a.1.is_nan().cmp(&b.1.is_nan())).then(a.0.cmp(&b.0))
}

fn by_insertion(x: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = x[..k].iter().enumerate().map(|(i, &value)| (i as u32, value)).collect();
    best.sort_unstable_by(order);
    for (block, values) in x[k..].chunks(BLOCK).enumerate() {
        let least = best[k - 1].1;
        // A later index loses a tie, so only greater values matter; a NaN in the list loses to everything.
        if !least.is_nan() && greatest(values) <= least {
            continue;
        }
        for (i, &value) in values.iter().enumerate() {
            let entry = ((k + block * BLOCK + i) as u32, value);
            if order(&entry, &best[k - 1]).is_lt() {
                let at = best.partition_point(|other| order(other, &entry).is_lt());
                best.pop();
                best.insert(at, entry);
            }
        }
    }
    best
}

fn by_selection(x: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = x.iter().enumerate().map(|(i, &value)| (i as u32, value)).collect();
    if k < all.len() {
        all.select_nth_unstable_by(k - 1, order);
        all.truncate(k);
    }
    all
}

tiered! {
    /// The greatest number; minus infinity when there is none.
    fn greatest(x: &[f32]) -> f32 = greatest_body;
}

#[inline(always)]
fn greatest_body<S: Simd>(s: S, x: &[f32]) -> f32 {
    let least = s.splat(f32::NEG_INFINITY);
    let (mut a, mut b) = (least, least);
    let mut blocks = x.chunks_exact(2 * S::LANES);
    for block in blocks.by_ref() {
        // max gives its second operand for NaN: the accumulator stays a number.
        a = s.max(s.load_slice(&block[..S::LANES]), a);
        b = s.max(s.load_slice(&block[S::LANES..]), b);
    }
    blocks.remainder().iter().fold(s.greatest(s.max(a, b)), |a, &b| a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 311) as f32 * 0.5 - 40.0).collect()
    }

    #[test]
    fn top_k_is_a_stable_sort_cut_off() {
        crate::cpu::tests::on_every_tier(|tier| {
            for count in [1, 5, 63, 64, 65, 1000, 20_000] {
                let x = values(count, count);
                let mut all: Vec<(u32, f32)> = x.iter().enumerate().map(|(i, &value)| (i as u32, value)).collect();
                all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap());
                for k in [0, 1, 2, 8, 40, 128, 129, 500, 30_000] {
                    assert_eq!(top_k(&x, k), all[..k.min(count)], "{tier:?} {k} of {count}");
                }
                assert_eq!(argmax(&x), all[0].0 as usize, "{tier:?}");
            }
        });
    }

    #[test]
    fn not_a_number_comes_last() {
        let x = [f32::NAN, 1.0, f32::NEG_INFINITY, f32::NAN, 3.0];
        let indices: Vec<u32> = top_k(&x, 5).iter().map(|&(index, _)| index).collect();
        assert_eq!(indices, [4, 1, 2, 0, 3]);
        assert_eq!((argmax(&x), argmin(&x)), (4, 2));
        assert_eq!((argmax(&[]), argmax(&[f32::NAN])), (0, 0));
    }

    #[test]
    fn rows_in_parallel() {
        let pool = Pool::new(2);
        let (rows, dim, k) = (300, 64, 8);
        let x = values(rows * dim, 1);
        let (mut indices, mut best, mut first) = (vec![0; rows * k], vec![0.0; rows * k], vec![0; rows]);
        top_k_rows(&pool, &x, dim, k, &mut indices, &mut best);
        argmax_rows(&pool, &x, dim, &mut first);
        for r in 0..rows {
            for (i, (index, value)) in top_k(&x[r * dim..(r + 1) * dim], k).into_iter().enumerate() {
                assert_eq!((indices[r * k + i], best[r * k + i]), (index, value));
            }
            assert_eq!(first[r], indices[r * k]);
        }
    }
}
