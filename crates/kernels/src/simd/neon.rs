//! Vectors of the NEON tier: 4 lanes, 32 registers.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Simd;

/// NEON, part of every aarch64 processor.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// # Safety
    /// The processor has the tier.
    #[inline(always)]
    pub unsafe fn new() -> Neon {
        Neon(())
    }
}

// SAFETY of every `unsafe` block below: a value of `Neon` exists only where the instructions do, and pointers are
// valid by the trait's contract.
impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 5;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::V {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, v: Self::V, to: *mut f32) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> Self::V {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from))) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> Self::V {
        // SAFETY: see above; the instruction reads one register and writes one.
        unsafe {
            let half = vld1_u16(from);
            let wide: float32x4_t;
            asm!("fcvtl {wide:v}.4s, {half:v}.4h", wide = out(vreg) wide, half = in(vreg) half,
                options(pure, nomem, nostack, preserves_flags));
            wide
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vrndnq_f32(a) }
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vabsq_f32(a) }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign, magnitude) }
    }
    #[inline(always)]
    fn select_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { vbslq_f32(vcltq_f32(a, b), x, y) }
    }
    #[inline(always)]
    fn scale2(self, v: Self::V, n: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe {
            let n = vcvtnq_s32_f32(n);
            let first = vshrq_n_s32::<1>(n);
            let bias = vdupq_n_s32(127);
            let power = |n| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, bias)));
            vmulq_f32(vmulq_f32(v, power(first)), power(vsubq_s32(n, first)))
        }
    }
    #[inline(always)]
    fn dot_bf16(self, _: Self::V, _: Self::V, _: Self::V) -> Self::V {
        unreachable!("[simd] the NEON tier widens bf16")
    }
    #[inline(always)]
    unsafe fn load_rounded_pairs(self, _: *const f32) -> Self::V {
        unreachable!("[simd] the NEON tier widens bf16")
    }
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn prefetch_to_write(self, at: *const u8) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { asm!("prfm pstl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    fn prefetch_far(self, at: *const u8) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { asm!("prfm pldl2keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn transpose(self, rows: &mut [Self::V]) {
        let r: &mut [float32x4_t; 4] = rows.try_into().expect("[simd] 4 rows");
        // SAFETY: see above.
        unsafe {
            let wide = |v| vreinterpretq_f64_f32(v);
            let (a, b) = (vtrn1q_f32(r[0], r[1]), vtrn2q_f32(r[0], r[1]));
            let (c, d) = (vtrn1q_f32(r[2], r[3]), vtrn2q_f32(r[2], r[3]));
            r[0] = vreinterpretq_f32_f64(vtrn1q_f64(wide(a), wide(c)));
            r[1] = vreinterpretq_f32_f64(vtrn1q_f64(wide(b), wide(d)));
            r[2] = vreinterpretq_f32_f64(vtrn2q_f64(wide(a), wide(c)));
            r[3] = vreinterpretq_f32_f64(vtrn2q_f64(wide(b), wide(d)));
        }
    }
}
