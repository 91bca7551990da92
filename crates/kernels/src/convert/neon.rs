//! The NEON tier of [`super`]: `fcvtl` and `fcvtn` for f16. The bf16 loops need no intrinsics.

use super::scalar;
use core::arch::aarch64::*;
use half::f16;

/// Four values at a time; the rest by the portable loop.
#[target_feature(enable = "neon")]
pub fn f16_to_f32(from: &[f16], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<4>();
    let (to, to_rest) = to.as_chunks_mut::<4>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 8 bytes and `to` 16; NEON loads need no alignment beyond the element's.
        unsafe { vst1q_f32(to.as_mut_ptr(), vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from.as_ptr().cast())))) }
    }
    scalar::f16_to_f32(from_rest, to_rest)
}

/// Four values at a time; the rest by the portable loop.
#[target_feature(enable = "neon")]
pub fn f32_to_f16(from: &[f32], to: &mut [f16]) {
    let (from, from_rest) = from.as_chunks::<4>();
    let (to, to_rest) = to.as_chunks_mut::<4>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 16 bytes and `to` 8; NEON loads need no alignment beyond the element's.
        unsafe { vst1_u16(to.as_mut_ptr().cast(), vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from.as_ptr())))) }
    }
    scalar::f32_to_f16(from_rest, to_rest)
}
