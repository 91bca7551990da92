//! Scales and biases out of the headers of packed slabs, 16 rows a register.
//!
//! Products of many rows have all of a slab turned into floats once; products of few rows read each where it is needed,
//! since storing floats and loading them again takes longer than making them.
//! Same floats as [`unpack::read_scale`](super::super::unpack::read_scale). Read next: [`super::few`].

use super::super::layout::{Layout, Scales};
use super::super::sizes::PANEL_ROWS;
use super::super::unpack::Headers;
use crate::quant::ScaleType;
use std::arch::x86_64::*;

/// How the floats of a group come out of a header.
pub trait Floats: Copy {
    /// Whether there are biases.
    const BIASED: bool = false;
    /// Whether a group reads several places of the header, which so is not read in the order in which it lies.
    const SPLIT: bool = false;

    /// Scales and biases of a group, one of `groups`; without biases the latter are zeros.
    ///
    /// # Safety
    /// `header` must be valid for the fields of all groups, and the processor must have AVX-512 DQ.
    unsafe fn read(self, header: *const u8, groups: usize, group: usize) -> (__m512, __m512);

    /// Whether both are integers times floats of the slab; see [`super::super::amx::whole`].
    const INTEGERS: bool = false;

    /// These integers: of scales, and of what biases are below zero.
    ///
    /// # Safety
    /// As [`Floats::read`].
    unsafe fn integers(self, _header: *const u8, _groups: usize, _group: usize) -> (__m512i, __m512i) {
        unreachable!("these scales are no integers times a float")
    }

    /// These floats.
    ///
    /// # Safety
    /// As [`Floats::read`].
    unsafe fn factors(self, _header: *const u8) -> (__m512, __m512) {
        unreachable!("these scales are no integers times a float")
    }
}

/// [`Scales::Plain`].
#[derive(Clone, Copy)]
pub struct Plain(pub ScaleType);
/// [`Scales::Biased`].
#[derive(Clone, Copy)]
pub struct Biased(pub ScaleType);
/// [`Scales::Signed`].
#[derive(Clone, Copy)]
pub struct Signed;
/// [`Scales::Minimum8`].
#[derive(Clone, Copy)]
pub struct Minimum8;
/// [`Scales::Minimum4`].
#[derive(Clone, Copy)]
pub struct Minimum4;
/// [`Scales::Odd`], with its eighths.
#[derive(Clone, Copy)]
pub struct Odd(pub u8);
/// [`Scales::E8m0`].
#[derive(Clone, Copy)]
pub struct E8m0;
/// [`Scales::E4m3`].
#[derive(Clone, Copy)]
pub struct E4m3;

macro_rules! floats {
    ($name:ident, $biased:literal, $split:literal, |$this:ident, $at:ident, $groups:pat_param, $group:ident| $body:expr) => {
        impl Floats for $name {
            const BIASED: bool = $biased;
            const SPLIT: bool = $split;

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn read($this, $at: *const u8, $groups: usize, $group: usize) -> (__m512, __m512) {
                // SAFETY: the caller vouches for the header.
                unsafe { $body }
            }
        }
    };
}

/// Scales, and with biases minimums, that are integers times floats of the slab.
macro_rules! integers {
    ($name:ident, $biased:literal, |$at:ident, $groups:pat_param, $group:ident| $body:expr) => {
        impl Floats for $name {
            const BIASED: bool = $biased;
            const SPLIT: bool = true;
            const INTEGERS: bool = true;

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn read(self, header: *const u8, groups: usize, group: usize) -> (__m512, __m512) {
                // SAFETY: passed on.
                let ((scale, minimum), (d, least)) =
                    unsafe { (self.integers(header, groups, group), self.factors(header)) };
                let bias = _mm512_mul_ps(least, _mm512_cvtepi32_ps(minimum));
                (_mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)), _mm512_xor_ps(bias, _mm512_set1_ps(-0.0)))
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn integers(self, $at: *const u8, $groups: usize, $group: usize) -> (__m512i, __m512i) {
                // SAFETY: the caller vouches for the header.
                unsafe { $body }
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn factors(self, header: *const u8) -> (__m512, __m512) {
                // SAFETY: the caller vouches for the header.
                unsafe { (half(header, 0), if $biased { half(header, 1) } else { _mm512_setzero_ps() }) }
            }
        }
    };
}

floats!(Plain, false, false, |self, at, _, group| (float(self.0, at, group), _mm512_setzero_ps()));
floats!(Biased, true, false, |self, at, _, group| (float(self.0, at, 2 * group), float(self.0, at, 2 * group + 1)));
integers!(Signed, false, |at, _, group| {
    let factors = _mm512_cvtepi8_epi32(_mm_loadu_si128(at.add(32 + group * PANEL_ROWS).cast()));
    (factors, _mm512_setzero_si512())
});
integers!(Minimum8, true, |at, groups, group| (words(at.add(64), group), words(at.add(64), groups + group)));
integers!(Minimum4, true, |at, _, group| {
    let both = words(at.add(64), group);
    (_mm512_and_si512(both, _mm512_set1_epi32(15)), _mm512_srli_epi32::<4>(both))
});
floats!(Odd, false, false, |self, at, _, group| {
    let levels = _mm512_srl_epi32(words(at.add(32), group / 2), _mm_cvtsi32_si128(group as i32 % 2 * 4));
    let twice = _mm512_slli_epi32::<1>(_mm512_and_si512(levels, _mm512_set1_epi32(15)));
    let steps = _mm512_cvtepi32_ps(_mm512_or_si512(twice, _mm512_set1_epi32(1)));
    let scale = _mm512_mul_ps(half(at, 0), steps);
    (_mm512_mul_ps(scale, _mm512_set1_ps(0.125 * self.0 as f32)), _mm512_setzero_ps())
});
floats!(E8m0, false, false, |self, at, _, group| (e8m0_halved(words(at, group)), _mm512_setzero_ps()));
floats!(E4m3, false, true, |self, at, _, group| {
    let product = _mm512_mul_ps(_mm512_loadu_ps(at.cast()), e4m3(words(at.add(64), group)));
    (_mm512_mul_ps(_mm512_set1_ps(0.5), product), _mm512_setzero_ps())
});

/// See [`super::super::unpack::read_scales`].
pub unsafe fn read_scales(layout: &Layout, headers: &Headers, scales: *mut f32, biases: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match layout.scales {
            Scales::Plain(scale_type) => read_all(Plain(scale_type), headers, scales, biases),
            Scales::Biased(scale_type) => read_all(Biased(scale_type), headers, scales, biases),
            Scales::Signed => read_all(Signed, headers, scales, biases),
            Scales::Minimum8 => read_all(Minimum8, headers, scales, biases),
            Scales::Minimum4 => read_all(Minimum4, headers, scales, biases),
            Scales::Odd { eighths } => read_all(Odd(eighths), headers, scales, biases),
            Scales::E8m0 => read_all(E8m0, headers, scales, biases),
            Scales::E4m3 => read_all(E4m3, headers, scales, biases),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn read_all<S: Floats>(form: S, headers: &Headers, scales: *mut f32, biases: *mut f32) {
    for panel in 0..headers.panels {
        let header = headers.start.wrapping_add(panel * headers.stride);
        for group in 0..headers.groups {
            let at = (group * headers.panels + panel) * PANEL_ROWS;
            // SAFETY: headers hold the fields of all groups and the caller vouches for the output.
            unsafe {
                let (scale, bias) = form.read(header, headers.groups, group);
                _mm512_storeu_ps(scales.add(at), scale);
                if S::BIASED {
                    _mm512_storeu_ps(biases.add(at), bias);
                }
            }
        }
    }
}

/// Sixteen f16 as floats: array `index` of a header.
#[inline]
#[target_feature(enable = "avx512f")]
pub unsafe fn half(header: *const u8, index: usize) -> __m512 {
    // SAFETY: passed on.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(header.add(index * 32).cast())) }
}

/// Sixteen floats of a type: array `index` of a header.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn float(scale_type: ScaleType, header: *const u8, index: usize) -> __m512 {
    // SAFETY: passed on.
    unsafe {
        match scale_type {
            ScaleType::F32 => _mm512_loadu_ps(header.add(index * 64).cast()),
            ScaleType::F16 => half(header, index),
            ScaleType::Bf16 => {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(header.add(index * 32).cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
    }
}

/// Sixteen bytes as integers: array `index` of those that begin at `bytes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn words(bytes: *const u8, index: usize) -> __m512i {
    // SAFETY: passed on.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.add(index * PANEL_ROWS).cast()) })
}

/// Half of what e8m0 bytes stand for: `2^(byte - 128)`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn e8m0_halved(bytes: __m512i) -> __m512 {
    let none = _mm512_cmpeq_epi32_mask(bytes, _mm512_setzero_si512());
    let normal = _mm512_slli_epi32::<23>(bytes);
    // 2^-127 has no exponent of its own.
    let bits = _mm512_mask_mov_epi32(normal, none, _mm512_set1_epi32(0x0040_0000));
    _mm512_mul_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0.5))
}

/// What e4m3 bytes stand for.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn e4m3(bytes: __m512i) -> __m512 {
    let magnitude = _mm512_and_si512(bytes, _mm512_set1_epi32(0x7F));
    let sign = _mm512_slli_epi32::<24>(_mm512_and_si512(bytes, _mm512_set1_epi32(0x80)));
    // Exponents differ by 120; multiplying by a power of two brings subnormals along.
    let shifted = _mm512_castsi512_ps(_mm512_slli_epi32::<20>(magnitude));
    let value = _mm512_mul_ps(shifted, _mm512_set1_ps(f32::from_bits((127 + 120) << 23)));
    _mm512_or_ps(value, _mm512_castsi512_ps(sign))
}
