//! The AVX-512 tier: sixteen lanes are one register, pairs of bf16 are multiplied by `vdpbf16ps`.

use super::{Job, Lanes};
use core::arch::x86_64::*;

/// AVX-512 F, BW, VL, DQ and BF16.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Run `job` compiled for this tier.
///
/// # Safety
/// The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn call<J: Job>(job: J) {
    // SAFETY: they are enabled here.
    unsafe { job.run::<Avx512>() }
}

// SAFETY of every block below: the caller runs inside `call` and gives pointers valid for the lanes of the trait.
impl Lanes for Avx512 {
    type F = __m512;
    type Pairs = __m512bh;
    const PAIR_WORDS: usize = 1;
    const ROWS: usize = 6;
    const WIDE: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m512) {
        unsafe { _mm512_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    unsafe fn scale_by_power(a: __m512, n: __m512) -> __m512 {
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_mul_ps(a, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    unsafe fn reduce_max(a: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(a) }
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: __m512) -> f32 {
        unsafe {
            let low = _mm512_castps512_ps256(a);
            let half = _mm256_add_ps(low, _mm512_extractf32x8_ps::<1>(a));
            let quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let two = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    unsafe fn any_above(a: __m512, b: __m512) -> bool {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) != 0 }
    }
    #[inline(always)]
    unsafe fn first(a: __m512) -> f32 {
        unsafe { _mm512_cvtss_f32(a) }
    }
    #[inline(always)]
    unsafe fn keep(a: __m512, from: i32, to: i32) -> __m512 {
        let below = |end: i32| (1u32 << end.clamp(0, 16)) - 1;
        let inside = (below(to) & !below(from)) as u16;
        unsafe { _mm512_mask_mov_ps(_mm512_set1_ps(f32::NEG_INFINITY), inside, a) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> __m512 {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> __m512bh {
        unsafe { core::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: __m512, pairs: __m512bh, multiplier: *const u32) -> __m512 {
        unsafe {
            let both = _mm512_set1_epi32(multiplier.cast::<i32>().read_unaligned());
            _mm512_dpbf16_ps(acc, pairs, core::mem::transmute::<__m512i, __m512bh>(both))
        }
    }
    #[inline(always)]
    unsafe fn pack_pairs(value: __m512, to: *mut u32) {
        unsafe {
            let packed = core::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value));
            _mm256_storeu_si256(to.cast(), packed);
        }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn exp2_by<const TERMS: usize>(x: __m512, coefficients: &[f32; TERMS]) -> __m512 {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        unsafe {
            // The remainder of an infinity is 0 here, so no bounds are needed.
            let rest = _mm512_reduce_ps::<NEAREST>(x);
            let mut sum = _mm512_set1_ps(coefficients[TERMS - 1]);
            for term in (0..TERMS - 1).rev() {
                sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(coefficients[term]));
            }
            sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.0));
            _mm512_scalef_ps(sum, _mm512_roundscale_ps::<NEAREST>(x))
        }
    }
}
