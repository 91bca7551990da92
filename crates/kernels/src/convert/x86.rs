//! The x86-64 tiers of [`super`]: F16C and AVX-512 for f16, the portable loops compiled for wider vectors for bf16.

use super::scalar;
use core::arch::x86_64::*;
use half::{bf16, f16};

/// The portable loop in 512-bit vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub fn bf16_to_f32_avx512(from: &[bf16], to: &mut [f32]) {
    scalar::bf16_to_f32(from, to)
}

/// The portable loop in 256-bit vectors.
#[target_feature(enable = "avx2")]
pub fn bf16_to_f32_avx2(from: &[bf16], to: &mut [f32]) {
    scalar::bf16_to_f32(from, to)
}

/// The portable loop in 512-bit vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub fn f32_to_bf16_avx512(from: &[f32], to: &mut [bf16]) {
    scalar::f32_to_bf16(from, to)
}

/// The portable loop in 256-bit vectors.
#[target_feature(enable = "avx2")]
pub fn f32_to_bf16_avx2(from: &[f32], to: &mut [bf16]) {
    scalar::f32_to_bf16(from, to)
}

/// Sixteen values at a time; the rest by the portable loop.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub fn f16_to_f32_avx512(from: &[f16], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<16>();
    let (to, to_rest) = to.as_chunks_mut::<16>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 32 bytes and `to` 64; unaligned access is allowed.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }
    scalar::f16_to_f32(from_rest, to_rest)
}

/// Eight values at a time; the rest by the portable loop.
#[target_feature(enable = "avx2,f16c")]
pub fn f16_to_f32_avx2(from: &[f16], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 16 bytes and `to` 32; unaligned access is allowed.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) }
    }
    scalar::f16_to_f32(from_rest, to_rest)
}

/// Sixteen values at a time; the rest by the portable loop.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub fn f32_to_f16_avx512(from: &[f32], to: &mut [f16]) {
    let (from, from_rest) = from.as_chunks::<16>();
    let (to, to_rest) = to.as_chunks_mut::<16>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 64 bytes and `to` 32; unaligned access is allowed.
        unsafe {
            let narrow =
                _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm512_loadu_ps(from.as_ptr()));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), narrow)
        }
    }
    scalar::f32_to_f16(from_rest, to_rest)
}

/// Eight values at a time; the rest by the portable loop.
#[target_feature(enable = "avx2,f16c")]
pub fn f32_to_f16_avx2(from: &[f32], to: &mut [f16]) {
    let (from, from_rest) = from.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: `from` is 32 bytes and `to` 16; unaligned access is allowed.
        unsafe {
            let narrow = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.as_ptr()));
            _mm_storeu_si128(to.as_mut_ptr().cast(), narrow)
        }
    }
    scalar::f32_to_f16(from_rest, to_rest)
}
