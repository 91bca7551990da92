//! NEON: fused multiply-add on 16 accumulators.

use std::arch::aarch64::{vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32};

use super::{Burst, Operands};

const ACCUMULATORS: usize = 16;

/// The f32 peak.
pub(super) const BURSTS: [Burst; 1] =
    [Burst { operands: Operands::F32, instruction: "fmla", operations: 2 * 4 * ACCUMULATORS, run: fused }];

fn fused(rounds: usize) -> f32 {
    // SAFETY: NEON is part of every aarch64 processor that runs this program.
    unsafe {
        let (a, b) = (vdupq_n_f32(std::hint::black_box(0.5)), vdupq_n_f32(std::hint::black_box(0.25)));
        let mut sums = [vdupq_n_f32(0.0); ACCUMULATORS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = vfmaq_f32(*sum, a, b);
            }
        }
        vaddvq_f32(sums.into_iter().fold(vdupq_n_f32(0.0), |all, sum| vaddq_f32(all, sum)))
    }
}
