//! Reductions of f32 along one axis: `[outer, length, inner] -> [outer, inner]`. Other layouts are viewed that way first.
//!
//! Invariant: the order of a reduction depends on `length` and on whether `inner` is 1, never on the number of results.

use crate::pool::Pool;
use crate::simd::{Simd, tiered};

/// What to reduce by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Sum; 0 of nothing.
    Sum,
    /// Product; 1 of nothing.
    Product,
    /// Greatest, NaN if there is one; minus infinity of nothing.
    Maximum,
    /// Least, NaN if there is one; infinity of nothing.
    Minimum,
}

impl Reduction {
    /// The result for no elements.
    pub fn identity(self) -> f32 {
        match self {
            Reduction::Sum => 0.0,
            Reduction::Product => 1.0,
            Reduction::Maximum => f32::NEG_INFINITY,
            Reduction::Minimum => f32::INFINITY,
        }
    }

    /// One step.
    #[inline(always)]
    pub fn join(self, a: f32, b: f32) -> f32 {
        match self {
            Reduction::Sum => a + b,
            Reduction::Product => a * b,
            Reduction::Maximum => {
                if b.is_nan() || b > a {
                    b
                } else {
                    a
                }
            }
            Reduction::Minimum => {
                if b.is_nan() || b < a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// `out[o, i] = reduction over l of x[o, l, i]`. `x`: `[outer, length, inner]`; `out`: `[outer, inner]`.
pub fn reduce(pool: &Pool, reduction: Reduction, x: &[f32], length: usize, inner: usize, out: &mut [f32]) {
    assert!(inner > 0 && out.len().is_multiple_of(inner), "[reduce] {} results in rows of {inner}", out.len());
    let outer = out.len() / inner;
    assert_eq!(x.len(), outer * length * inner, "[reduce] input is not [{outer}, {length}, {inner}]");
    if inner == 1 {
        let rows = (BLOCK / length.max(1)).max(1);
        return pool.run_chunks(out, rows, |index, out| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = reduce_row(reduction, &x[(index * rows + i) * length..][..length]);
            }
        });
    }
    // Blocks of neighbouring results, none across two outer indices.
    let width = inner.min((BLOCK / length.max(1)).max(64));
    let blocks = inner.div_ceil(width);
    let shared = crate::pool::Disjoint::new(out);
    pool.run(outer * blocks, &|part| {
        let (o, first) = (part / blocks, part % blocks * width);
        let count = width.min(inner - first);
        // SAFETY: one part has these results.
        let out = unsafe { shared.slice(o * inner + first..o * inner + first + count) };
        out.fill(reduction.identity());
        for l in 0..length {
            join_rows(reduction, out, &x[(o * length + l) * inner + first..][..count]);
        }
    });
}

/// One reduction of a contiguous row.
pub fn reduce_row(reduction: Reduction, x: &[f32]) -> f32 {
    reduce_slice(reduction, x)
}

/// Elements of a part.
const BLOCK: usize = 16_384;
/// Partial results of a row, whatever the tier: element `i` goes to partial `i % PARTIALS`.
const PARTIALS: usize = 64;

tiered! { fn reduce_slice(reduction: Reduction, x: &[f32]) -> f32 = row_body; }
tiered! { fn join_rows(reduction: Reduction, out: &mut [f32], x: &[f32]) = join_body; }

macro_rules! for_each_reduction {
    ($reduction:expr, $function:ident, $($argument:expr),*) => {
        match $reduction {
            Reduction::Sum => $function($($argument),*, Reduction::Sum),
            Reduction::Product => $function($($argument),*, Reduction::Product),
            Reduction::Maximum => $function($($argument),*, Reduction::Maximum),
            Reduction::Minimum => $function($($argument),*, Reduction::Minimum),
        }
    };
}

#[inline(always)]
fn row_body<S: Simd>(_: S, reduction: Reduction, x: &[f32]) -> f32 {
    for_each_reduction!(reduction, row, x)
}

/// Plain loops over an array of partials: the compiler vectorizes them with the features of the tier.
#[inline(always)]
fn row(x: &[f32], reduction: Reduction) -> f32 {
    let mut partial = [reduction.identity(); PARTIALS];
    for block in x.chunks(PARTIALS) {
        if let Ok(block) = <&[f32; PARTIALS]>::try_from(block) {
            (0..PARTIALS).for_each(|i| partial[i] = reduction.join(partial[i], block[i]));
        } else {
            block.iter().zip(&mut partial).for_each(|(&x, partial)| *partial = reduction.join(*partial, x));
        }
    }
    let mut half = PARTIALS / 2;
    while half > 0 {
        (0..half).for_each(|i| partial[i] = reduction.join(partial[i], partial[i + half]));
        half /= 2;
    }
    partial[0]
}

#[inline(always)]
fn join_body<S: Simd>(_: S, reduction: Reduction, out: &mut [f32], x: &[f32]) {
    for_each_reduction!(reduction, join, out, x)
}

#[inline(always)]
fn join(out: &mut [f32], x: &[f32], reduction: Reduction) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = reduction.join(*out, x));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Reduction; 4] = [Reduction::Sum, Reduction::Product, Reduction::Maximum, Reduction::Minimum];

    #[test]
    fn matches_the_plain_loop_on_every_tier() {
        let shapes = [
            (1, 1, 1),
            (3, 0, 1),
            (5, 63, 1),
            (2, 64, 1),
            (2, 1000, 1),
            (1, 40_000, 1),
            (3, 7, 5),
            (2, 300, 129),
            (1, 3, 20_000),
        ];
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            for (outer, length, inner) in shapes {
                let x: Vec<f32> =
                    (0..outer * length * inner).map(|i| 1.0 + ((i * 7919 % 1009) as f32 - 504.0) * 1e-4).collect();
                for reduction in ALL {
                    let mut out = vec![0.0; outer * inner];
                    reduce(&pool, reduction, &x, length, inner, &mut out);
                    for (index, &value) in out.iter().enumerate() {
                        let (o, i) = (index / inner, index % inner);
                        let column = || (0..length).map(|l| x[(o * length + l) * inner + i]);
                        let expected = match reduction {
                            Reduction::Sum => column().map(f64::from).sum::<f64>() as f32,
                            Reduction::Product => column().map(f64::from).product::<f64>() as f32,
                            _ => column().fold(reduction.identity(), |a, b| reduction.join(a, b)),
                        };
                        let close = (value - expected).abs() <= 1e-4 * expected.abs() || value == expected;
                        assert!(close, "{tier:?} {reduction:?} [{outer}, {length}, {inner}] {value} {expected}");
                    }
                }
            }
        });
    }

    #[test]
    fn extremes_keep_not_a_number_and_rows_do_not_depend_on_each_other() {
        let pool = Pool::new(2);
        let mut x: Vec<f32> = (0..300 * 77).map(|i| (i * 31 % 97) as f32).collect();
        x[77 * 5 + 70] = f32::NAN;
        let mut out = vec![0.0; 300];
        reduce(&pool, Reduction::Maximum, &x, 77, 1, &mut out);
        assert!(out[5].is_nan() && !out[4].is_nan());
        reduce(&pool, Reduction::Sum, &x, 77, 1, &mut out);
        for r in [0, 4, 299] {
            let alone = reduce_row(Reduction::Sum, &x[r * 77..(r + 1) * 77]);
            assert_eq!(out[r].to_bits(), alone.to_bits(), "row {r}");
        }
    }
}
