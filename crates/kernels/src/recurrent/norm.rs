//! The norm behind the gated delta rule: RMS norm of each head, then a gate.
//!
//! Invariant: a head's result depends on that head's values alone.

use super::{RowView, SharedOut};
use crate::lanes::{self, Job, LANES, Lanes};
use crate::pool::Pool;

/// `x = weight * x / rms(x) * silu(gate)` for each head of each row, in place.
///
/// `x`: `[tokens, heads, dim]`, `gate`: rows of `heads * dim`, `weight`: `[dim]`.
pub fn gated_rms_norm(pool: &Pool, x: &mut [f32], heads: usize, gate: RowView, weight: &[f32], eps: f32) {
    let width = heads * weight.len();
    assert!(width > 0 && x.len().is_multiple_of(width), "[gated_rms_norm] {} values, rows of {width}", x.len());
    let rows = x.len() / width;
    let x = SharedOut(x.as_mut_ptr());
    pool.run(rows, &|row| {
        let x = &x;
        // SAFETY: each part has a row of its own.
        let values = unsafe { std::slice::from_raw_parts_mut(x.0.add(row * width), width) };
        lanes::run(Row { values, gate: gate.part(row, 0, width), weight, eps });
    });
}

struct Row<'a> {
    values: &'a mut [f32],
    gate: &'a [f32],
    weight: &'a [f32],
    eps: f32,
}

impl Job for Row<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let dim = self.weight.len();
        for (values, gate) in self.values.chunks_exact_mut(dim).zip(self.gate.chunks_exact(dim)) {
            // SAFETY: the caller has the instructions of `L`.
            unsafe {
                let mut sum = L::splat(0.0);
                for part in values.chunks(LANES) {
                    let part = lanes::load_part::<L>(part);
                    sum = L::fma(part, part, sum);
                }
                let inverse = L::splat(1.0 / (L::reduce_sum(sum) / dim as f32 + self.eps).sqrt());
                let parts = values.chunks_mut(LANES).zip(gate.chunks(LANES)).zip(self.weight.chunks(LANES));
                for ((values, gate), weight) in parts {
                    let unit = L::mul(lanes::load_part::<L>(values), inverse);
                    let scaled = L::mul(lanes::load_part::<L>(weight), unit);
                    let gate = lanes::load_part::<L>(gate);
                    let opened = L::mul(gate, lanes::sigmoid::<L>(gate));
                    lanes::store_part::<L>(values, L::mul(scaled, opened));
                }
            }
        }
    }
}
