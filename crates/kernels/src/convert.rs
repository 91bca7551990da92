//! Conversions of whole slices between f32 and the half-width floats.
//!
//! Invariant: every tier gives the same bits, NaN included. Narrowing rounds to nearest, ties to even; a NaN stays
//! a (quiet) NaN. Widening bf16 is a shift, so it keeps the payload of a NaN. Memory-bound for anything beyond the
//! caches: split large tensors by rows over a [`crate::pool::Pool`]. Read next: [`crate::quant`].

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::{self, Tier};
use half::{bf16, f16};

/// `to[i] = from[i]`, exactly. Panics when the lengths differ.
pub fn bf16_to_f32(from: &[bf16], to: &mut [f32]) {
    bf16_to_f32_on(cpu::tier(), from, to)
}

/// `to[i] = from[i]` rounded to nearest even. Panics when the lengths differ.
pub fn f32_to_bf16(from: &[f32], to: &mut [bf16]) {
    f32_to_bf16_on(cpu::tier(), from, to)
}

/// `to[i] = from[i]`, exactly. Panics when the lengths differ.
pub fn f16_to_f32(from: &[f16], to: &mut [f32]) {
    f16_to_f32_on(cpu::tier(), from, to)
}

/// `to[i] = from[i]` rounded to nearest even; beyond 65,504 it becomes an infinity. Panics when the lengths differ.
pub fn f32_to_f16(from: &[f32], to: &mut [f16]) {
    f32_to_f16_on(cpu::tier(), from, to)
}

/// [`bf16_to_f32`] on a given tier, which this processor must have.
pub fn bf16_to_f32_on(tier: Tier, from: &[bf16], to: &mut [f32]) {
    check(tier, "bf16_to_f32", from.len(), to.len());
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `check` made sure that the processor has this tier.
        Tier::Avx512 | Tier::Amx => unsafe { x86::bf16_to_f32_avx512(from, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { x86::bf16_to_f32_avx2(from, to) },
        // On aarch64 NEON is part of the base set, so the portable loop is already vectorized.
        _ => scalar::bf16_to_f32(from, to),
    }
}

/// [`f32_to_bf16`] on a given tier, which this processor must have.
pub fn f32_to_bf16_on(tier: Tier, from: &[f32], to: &mut [bf16]) {
    check(tier, "f32_to_bf16", from.len(), to.len());
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `check` made sure that the processor has this tier.
        Tier::Avx512 | Tier::Amx => unsafe { x86::f32_to_bf16_avx512(from, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { x86::f32_to_bf16_avx2(from, to) },
        _ => scalar::f32_to_bf16(from, to),
    }
}

/// [`f16_to_f32`] on a given tier, which this processor must have.
pub fn f16_to_f32_on(tier: Tier, from: &[f16], to: &mut [f32]) {
    check(tier, "f16_to_f32", from.len(), to.len());
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `check` made sure that the processor has this tier.
        Tier::Avx512 | Tier::Amx => unsafe { x86::f16_to_f32_avx512(from, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { x86::f16_to_f32_avx2(from, to) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Tier::Neon => unsafe { neon::f16_to_f32(from, to) },
        _ => scalar::f16_to_f32(from, to),
    }
}

/// [`f32_to_f16`] on a given tier, which this processor must have.
pub fn f32_to_f16_on(tier: Tier, from: &[f32], to: &mut [f16]) {
    check(tier, "f32_to_f16", from.len(), to.len());
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `check` made sure that the processor has this tier.
        Tier::Avx512 | Tier::Amx => unsafe { x86::f32_to_f16_avx512(from, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { x86::f32_to_f16_avx2(from, to) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Tier::Neon => unsafe { neon::f32_to_f16(from, to) },
        _ => scalar::f32_to_f16(from, to),
    }
}

#[track_caller]
fn check(tier: Tier, op: &str, from: usize, to: usize) {
    assert_eq!(from, to, "[{op}] lengths differ");
    // `tier()` only ever gives a tier of this processor; any other must be looked up.
    assert!(tier == cpu::tier() || cpu::available().contains(&tier), "[{op}] no {tier:?} tier on this processor");
}

/// The reference. The bodies are inlined into the SIMD tiers, where the compiler vectorizes them.
pub(crate) mod scalar {
    use half::{bf16, f16};

    /// Widen by a shift.
    #[inline(always)]
    pub fn bf16_to_f32(from: &[bf16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits((from.to_bits() as u32) << 16);
        }
    }

    /// Narrow one value: add just under half of the last place kept, and one more when that place is odd.
    #[inline(always)]
    pub fn one_f32_to_bf16(value: f32) -> bf16 {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16;
        let quiet = (bits >> 16) | 0x0040;
        bf16::from_bits(if bits & 0x7FFF_FFFF > 0x7F80_0000 { quiet } else { rounded } as u16)
    }

    /// Narrow by integer arithmetic: the AVX-512 instruction for it would flush subnormals to zero.
    #[inline(always)]
    pub fn f32_to_bf16(from: &[f32], to: &mut [bf16]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = one_f32_to_bf16(*from);
        }
    }

    /// Widen one value without hardware support: scaling by a power of two renormalizes subnormals exactly.
    #[inline(always)]
    pub fn one_f16_to_f32(value: f16) -> f32 {
        let bits = value.to_bits() as u32;
        let sign = (bits & 0x8000) << 16;
        let magnitude = bits & 0x7FFF;
        let finite = (f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000)).to_bits();
        // Infinity keeps an empty mantissa, a NaN becomes quiet.
        let quiet = if magnitude > 0x7C00 { 0x0040_0000 } else { 0 };
        let special = 0x7F80_0000 | (magnitude << 13) | quiet;
        f32::from_bits(sign | if magnitude >= 0x7C00 { special } else { finite })
    }

    /// Widen every value.
    #[inline(always)]
    pub fn f16_to_f32(from: &[f16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = one_f16_to_f32(*from);
        }
    }

    /// Narrow one value without hardware support. Subnormal results are rounded by the adder: 0.5 has the unit of
    /// the last place of an f16 subnormal, 2^-24.
    #[inline(always)]
    pub fn one_f32_to_f16(value: f32) -> f16 {
        let bits = value.to_bits();
        let sign = (bits >> 16) & 0x8000;
        let magnitude = bits & 0x7FFF_FFFF;
        let normal = magnitude.wrapping_add(0xFFF + ((magnitude >> 13) & 1)).wrapping_sub(112 << 23) >> 13;
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        let nan = 0x7E00 | ((magnitude >> 13) & 0x3FF);
        let finite = if magnitude < 0x3880_0000 { subnormal } else { normal.min(0x7C00) };
        f16::from_bits((sign | if magnitude > 0x7F80_0000 { nan } else { finite }) as u16)
    }

    /// Narrow every value.
    #[inline(always)]
    pub fn f32_to_f16(from: &[f32], to: &mut [f16]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = one_f32_to_f16(*from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit patterns around every boundary of the two formats, and a spread over all of f32.
    fn patterns() -> Vec<f32> {
        let mut bits: Vec<u32> = (0..=0xFFFFu32).flat_map(|high| [high << 16, (high << 16) | 0x8000]).collect();
        bits.extend((0..=0xFFFFu32).map(|high| (high << 16) | (high.wrapping_mul(40503) & 0xFFFF)));
        for half in 0..=0xFFFFu16 {
            let exact = f16::from_bits(half).to_f32().to_bits();
            // The value itself, its neighbours, the tie towards the next and the tie's neighbours.
            bits.extend([exact, exact ^ 1, exact | 0x1000, exact | 0x0FFF, exact | 0x1001, exact.wrapping_add(0x2FFF)]);
        }
        bits.extend((0..200_000u32).map(|index| index.wrapping_mul(2_654_435_761)));
        bits.push(1);
        bits.into_iter().map(f32::from_bits).collect()
    }

    #[test]
    fn scalar_narrowing_equals_half() {
        for value in patterns() {
            let (ours, theirs) = (scalar::one_f32_to_f16(value), f16::from_f32(value));
            assert_eq!(ours.to_bits(), theirs.to_bits(), "f16 of {:#010x}", value.to_bits());
            let (ours, theirs) = (scalar::one_f32_to_bf16(value), bf16::from_f32(value));
            assert_eq!(ours.to_bits(), theirs.to_bits(), "bf16 of {:#010x}", value.to_bits());
        }
    }

    #[test]
    fn scalar_widening_equals_half() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (scalar::one_f16_to_f32(f16::from_bits(bits)), f16::from_bits(bits).to_f32());
            assert_eq!(ours.to_bits(), theirs.to_bits(), "f16 {bits:#06x}");
        }
    }

    #[test]
    fn all_tiers_give_the_same_bits() {
        let floats = patterns();
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let halves = &halves[..65_535]; // a length that leaves a tail for every vector width
        let as_bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        for tier in cpu::available() {
            let mut narrow = vec![f16::ZERO; floats.len()];
            f32_to_f16_on(tier, &floats, &mut narrow);
            let mut expected = narrow.clone();
            scalar::f32_to_f16(&floats, &mut expected);
            assert!(narrow.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "f32_to_f16 {tier:?}");

            let mut narrow = vec![bf16::ZERO; floats.len()];
            f32_to_bf16_on(tier, &floats, &mut narrow);
            let mut expected = narrow.clone();
            scalar::f32_to_bf16(&floats, &mut expected);
            assert!(narrow.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "f32_to_bf16 {tier:?}");

            let (mut wide, mut expected) = (vec![0.0; halves.len()], vec![0.0; halves.len()]);
            f16_to_f32_on(tier, bytemuck::cast_slice(halves), &mut wide);
            scalar::f16_to_f32(bytemuck::cast_slice(halves), &mut expected);
            assert_eq!(as_bits(&wide), as_bits(&expected), "f16_to_f32 {tier:?}");
            bf16_to_f32_on(tier, bytemuck::cast_slice(halves), &mut wide);
            scalar::bf16_to_f32(bytemuck::cast_slice(halves), &mut expected);
            assert_eq!(as_bits(&wide), as_bits(&expected), "bf16_to_f32 {tier:?}");
        }
    }

    #[test]
    #[should_panic(expected = "[f16_to_f32] lengths differ")]
    fn lengths_must_agree() {
        f16_to_f32(&[f16::ONE], &mut [0.0; 2]);
    }
}
