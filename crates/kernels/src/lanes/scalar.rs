//! The scalar tier: sixteen lanes as an array. The reference for the meaning of every operation of `Lanes`.

use super::Lanes;
use half::{bf16, f16};

/// Portable lanes.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

type Array = [f32; 16];

#[inline(always)]
fn zip(a: Array, b: Array, f: impl Fn(f32, f32) -> f32) -> Array {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

// SAFETY of every block below: the caller gives pointers that are valid for the lanes that the trait names.
impl Lanes for Scalar {
    type F = Array;
    type Pairs = [u32; 16];
    const PAIR_WORDS: usize = 2;
    const ROWS: usize = 2;
    const WIDE: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Array {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Array {
        // SAFETY: valid for 16 lanes.
        unsafe { from.cast::<Array>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Array) {
        // SAFETY: valid for 16 lanes.
        unsafe { to.cast::<Array>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn add(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(a: Array, b: Array, c: Array) -> Array {
        zip(zip(a, b, |a, b| a * b), c, |product, c| product + c)
    }
    #[inline(always)]
    unsafe fn max(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: Array, b: Array) -> Array {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn round(a: Array) -> Array {
        // Adding and taking away 1.5 * 2^23 leaves the nearest integer for |a| < 2^22; larger values are not used.
        a.map(|a| (a + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    unsafe fn scale_by_power(a: Array, n: Array) -> Array {
        zip(a, n, |a, n| a * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Array) -> f32 {
        let mut best = a[0];
        for value in a {
            best = if best > value { best } else { value };
        }
        best
    }
    #[inline(always)]
    unsafe fn reduce_sum(a: Array) -> f32 {
        let mut sum = a;
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                sum[lane] += sum[lane + half];
            }
        }
        sum[0]
    }
    #[inline(always)]
    unsafe fn any_above(a: Array, b: Array) -> bool {
        a.iter().zip(b).any(|(&a, b)| a > b)
    }
    #[inline(always)]
    unsafe fn first(a: Array) -> f32 {
        a[0]
    }
    #[inline(always)]
    unsafe fn keep(a: Array, from: i32, to: i32) -> Array {
        std::array::from_fn(|lane| {
            let inside = lane as i32 >= from && (lane as i32) < to;
            if inside { a[lane] } else { f32::NEG_INFINITY }
        })
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Array {
        // SAFETY: valid for 16 lanes.
        unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(|bits| f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Array {
        // SAFETY: valid for 16 lanes.
        unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [u32; 16] {
        // SAFETY: valid for 16 lanes.
        unsafe { from.cast::<[u32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Array, pairs: [u32; 16], multiplier: *const u32) -> Array {
        // SAFETY: a packed pair is two f32.
        let [first, second] = unsafe { multiplier.cast::<[f32; 2]>().read_unaligned() };
        std::array::from_fn(|lane| {
            let second_product = f32::from_bits(pairs[lane] & 0xffff_0000) * second;
            acc[lane] + (second_product + f32::from_bits(pairs[lane] << 16) * first)
        })
    }
    #[inline(always)]
    unsafe fn pack_pairs(value: Array, to: *mut u32) {
        // SAFETY: valid for 8 pairs of two words. Rounded to bf16, as the tiers with a bf16 instruction do.
        unsafe { to.cast::<Array>().write_unaligned(value.map(|value| bf16::from_f32(value).to_f32())) }
    }
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
}
