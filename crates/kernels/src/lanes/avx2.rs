//! The AVX2 tier: sixteen lanes are two registers.

use super::{Job, Lanes};
use core::arch::x86_64::*;

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

type Two = [__m256; 2];

/// Run `job` compiled for this tier.
///
/// # Safety
/// The processor has these instructions.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn call<J: Job>(job: J) {
    // SAFETY: they are enabled here.
    unsafe { job.run::<Avx2>() }
}

// SAFETY of every block below: the caller runs inside `call` and gives pointers valid for the lanes of the trait.
impl Lanes for Avx2 {
    type F = Two;
    type Pairs = [__m256i; 2];
    const PAIR_WORDS: usize = 2;
    const ROWS: usize = 6;
    const WIDE: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Two {
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Two {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Two) {
        unsafe {
            _mm256_storeu_ps(to, value[0]);
            _mm256_storeu_ps(to.add(8), value[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Two, b: Two) -> Two {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn sub(a: Two, b: Two) -> Two {
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Two, b: Two) -> Two {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn div(a: Two, b: Two) -> Two {
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Two, b: Two, c: Two) -> Two {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn max(a: Two, b: Two) -> Two {
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn min(a: Two, b: Two) -> Two {
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn round(a: Two) -> Two {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
    }
    #[inline(always)]
    unsafe fn scale_by_power(a: Two, n: Two) -> Two {
        unsafe {
            let mut scaled = a;
            for half in 0..2 {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n[half]), _mm256_set1_epi32(127));
                scaled[half] = _mm256_mul_ps(a[half], _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)));
            }
            scaled
        }
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Two) -> f32 {
        unsafe {
            let half = _mm256_max_ps(a[0], a[1]);
            let quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let two = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: Two) -> f32 {
        unsafe {
            let half = _mm256_add_ps(a[0], a[1]);
            let quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let two = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    unsafe fn any_above(a: Two, b: Two) -> bool {
        unsafe {
            let low = _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]);
            _mm256_movemask_ps(_mm256_or_ps(low, _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1]))) != 0
        }
    }
    #[inline(always)]
    unsafe fn first(a: Two) -> f32 {
        unsafe { _mm256_cvtss_f32(a[0]) }
    }
    #[inline(always)]
    unsafe fn keep(a: Two, from: i32, to: i32) -> Two {
        unsafe {
            let mut kept = a;
            let mut lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            for half in 0..2 {
                let from_ok = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(from - 1));
                let inside = _mm256_and_si256(from_ok, _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
                let outside = _mm256_set1_ps(f32::NEG_INFINITY);
                kept[half] = _mm256_blendv_ps(outside, a[half], _mm256_castsi256_ps(inside));
                lane = _mm256_add_epi32(lane, _mm256_set1_epi32(8));
            }
            kept
        }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Two {
        unsafe {
            let low = _mm_loadu_si128(from.cast());
            let high = _mm_loadu_si128(from.add(8).cast());
            [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)]
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Two {
        unsafe {
            let half = |at: *const u16| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            };
            [half(from), half(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [__m256i; 2] {
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Two, pairs: [__m256i; 2], multiplier: *const u32) -> Two {
        unsafe {
            let first = _mm256_set1_ps(multiplier.cast::<f32>().read_unaligned());
            let second = _mm256_set1_ps(multiplier.cast::<f32>().add(1).read_unaligned());
            let high = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            let mut sum = acc;
            for half in 0..2 {
                let odd = _mm256_castsi256_ps(_mm256_and_si256(pairs[half], high));
                let even = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs[half]));
                sum[half] = _mm256_fmadd_ps(even, first, _mm256_fmadd_ps(odd, second, acc[half]));
            }
            sum
        }
    }
    #[inline(always)]
    unsafe fn pack_pairs(value: Two, to: *mut u32) {
        // SAFETY: 8 pairs of two words. Left unrounded: there is no bf16 instruction here that would want it rounded.
        unsafe { Self::store(to.cast(), value) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
}
