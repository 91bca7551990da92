//! The NEON tier: sixteen lanes are four registers.

use super::{Job, Lanes};
use core::arch::aarch64::*;
use core::arch::asm;

/// NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

type Four = [float32x4_t; 4];

/// Run `job` compiled for this tier.
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn call<J: Job>(job: J) {
    // SAFETY: it is enabled here.
    unsafe { job.run::<Neon>() }
}

#[inline(always)]
fn map(a: Four, f: impl Fn(float32x4_t) -> float32x4_t) -> Four {
    [f(a[0]), f(a[1]), f(a[2]), f(a[3])]
}

#[inline(always)]
fn zip(a: Four, b: Four, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Four {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

// SAFETY of every block below: the caller runs inside `call` and gives pointers valid for the lanes of the trait.
impl Lanes for Neon {
    type F = Four;
    type Pairs = [uint32x4_t; 4];
    const PAIR_WORDS: usize = 2;
    const ROWS: usize = 5;
    const WIDE: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Four {
        unsafe { [vdupq_n_f32(value); 4] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Four {
        unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Four) {
        for (quarter, part) in value.into_iter().enumerate() {
            unsafe { vst1q_f32(to.add(4 * quarter), part) }
        }
    }
    #[inline(always)]
    unsafe fn add(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn sub(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn mul(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn div(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn fma(a: Four, b: Four, c: Four) -> Four {
        let mut sum = c;
        for quarter in 0..4 {
            sum[quarter] = unsafe { vfmaq_f32(c[quarter], a[quarter], b[quarter]) };
        }
        sum
    }
    #[inline(always)]
    unsafe fn max(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) })
    }
    #[inline(always)]
    unsafe fn min(a: Four, b: Four) -> Four {
        zip(a, b, |a, b| unsafe { vbslq_f32(vcltq_f32(a, b), a, b) })
    }
    #[inline(always)]
    unsafe fn round(a: Four) -> Four {
        map(a, |a| unsafe { vrndnq_f32(a) })
    }
    #[inline(always)]
    unsafe fn scale_by_power(a: Four, n: Four) -> Four {
        zip(a, n, |a, n| unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        })
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Four) -> f32 {
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(a[0], a[1]), vmaxq_f32(a[2], a[3]))) }
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: Four) -> f32 {
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]))) }
    }
    #[inline(always)]
    unsafe fn any_above(a: Four, b: Four) -> bool {
        unsafe {
            let low = vorrq_u32(vcgtq_f32(a[0], b[0]), vcgtq_f32(a[1], b[1]));
            let high = vorrq_u32(vcgtq_f32(a[2], b[2]), vcgtq_f32(a[3], b[3]));
            vmaxvq_u32(vorrq_u32(low, high)) != 0
        }
    }
    #[inline(always)]
    unsafe fn first(a: Four) -> f32 {
        unsafe { vgetq_lane_f32::<0>(a[0]) }
    }
    #[inline(always)]
    unsafe fn keep(a: Four, from: i32, to: i32) -> Four {
        let mut kept = a;
        for quarter in 0..4 {
            let first = 4 * quarter as i32;
            let lane = [first, first + 1, first + 2, first + 3];
            kept[quarter] = unsafe {
                let lane = vld1q_s32(lane.as_ptr());
                let inside = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(from)), vcltq_s32(lane, vdupq_n_s32(to)));
                vbslq_f32(inside, a[quarter], vdupq_n_f32(f32::NEG_INFINITY))
            };
        }
        kept
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Four {
        unsafe {
            let halves = [vld1q_u16(from), vld1q_u16(from.add(8))];
            let mut wide = [vdupq_n_f32(0.0); 4];
            for (index, half) in halves.into_iter().enumerate() {
                let (low, high): (float32x4_t, float32x4_t);
                // The intrinsics for f16 are not stable yet; these two instructions are part of base NEON.
                asm!(
                    "fcvtl {low:v}.4s, {half:v}.4h",
                    "fcvtl2 {high:v}.4s, {half:v}.8h",
                    half = in(vreg) half, low = out(vreg) low, high = lateout(vreg) high,
                    options(pure, nomem, nostack)
                );
                wide[2 * index] = low;
                wide[2 * index + 1] = high;
            }
            wide
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Four {
        unsafe {
            let quarter = |at: *const u16| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at)));
            [quarter(from), quarter(from.add(4)), quarter(from.add(8)), quarter(from.add(12))]
        }
    }
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [uint32x4_t; 4] {
        unsafe { [vld1q_u32(from), vld1q_u32(from.add(4)), vld1q_u32(from.add(8)), vld1q_u32(from.add(12))] }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Four, pairs: [uint32x4_t; 4], multiplier: *const u32) -> Four {
        unsafe {
            let both = vld1_f32(multiplier.cast());
            let mut sum = acc;
            for quarter in 0..4 {
                let odd = vreinterpretq_f32_u32(vandq_u32(pairs[quarter], vdupq_n_u32(0xffff_0000)));
                let even = vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs[quarter]));
                sum[quarter] = vfmaq_lane_f32::<0>(vfmaq_lane_f32::<1>(acc[quarter], odd, both), even, both);
            }
            sum
        }
    }
    #[inline(always)]
    unsafe fn pack_pairs(value: Four, to: *mut u32) {
        // SAFETY: 8 pairs of two words. Left unrounded: there is no bf16 instruction here that would want it rounded.
        unsafe { Self::store(to.cast(), value) }
    }
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
}
