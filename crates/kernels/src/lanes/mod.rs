//! Sixteen f32 lanes, the same on every tier: one generic body serves scalar code, AVX2, AVX-512 and NEON.
//!
//! A kernel is written once as a [`Job`] over [`Lanes`]; [`run`] compiles its body once per tier inside a function
//! that has the tier's instructions enabled, and calls the one of [`cpu::tier`]. The bodies must be
//! `#[inline(always)]` down to the last helper, else they would be compiled without those instructions.
//! Invariant: an operation on a lane never looks at another lane, except the two `reduce_` functions, whose order
//! is fixed. Read next: `scalar` for the meaning of each operation.

use crate::cpu::{self, Tier};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// A kernel body that can be compiled for any tier. Implementations of `run` are `#[inline(always)]`.
pub(crate) trait Job {
    /// Do the work with the instructions of `L`.
    ///
    /// # Safety
    /// The processor has the instructions of `L`.
    unsafe fn run<L: Lanes>(self);
}

/// Call `job` on the tier in use.
pub(crate) fn run<J: Job>(job: J) {
    match cpu::tier() {
        // SAFETY: `cpu::tier` only names tiers that this processor has.
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 | Tier::Amx => unsafe { avx512::call(job) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => unsafe { avx2::call(job) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Tier::Neon => unsafe { neon::call(job) },
        // SAFETY: portable code.
        _ => unsafe { job.run::<scalar::Scalar>() },
    }
}

/// Sixteen f32 lanes and the few operations on them that attention and the recurrent kernels need.
///
/// # Safety
/// Every function may only be called where the tier's instructions are available, and pointers must be valid for
/// the lanes that are named; no alignment is needed.
pub(crate) trait Lanes: Copy + 'static {
    /// Sixteen f32.
    type F: Copy;
    /// Sixteen pairs of bf16, in the form that [`Lanes::dot_pairs`] likes best.
    type Pairs: Copy;
    /// u32 words of one packed multiplier pair (see [`Lanes::pack_pairs`]).
    const PAIR_WORDS: usize;
    /// Rows of a register tile: `ROWS * WIDE` accumulators of sixteen lanes fit the register file.
    const ROWS: usize;
    /// Vectors across a register tile: 1 or 4.
    const WIDE: usize;

    unsafe fn splat(value: f32) -> Self::F;
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, value: Self::F);
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, fused where the tier has it.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The greater; `b` when either is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// The lesser; `b` when either is NaN.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// To the nearest integer, ties to even.
    unsafe fn round(a: Self::F) -> Self::F;
    /// `a * 2^n` for integral `n` in -127..=127; 0 where `n` is -127.
    unsafe fn scale_by_power(a: Self::F, n: Self::F) -> Self::F;
    unsafe fn reduce_max(a: Self::F) -> f32;
    unsafe fn reduce_sum(a: Self::F) -> f32;
    /// Whether a lane of `a` is greater than that of `b`.
    unsafe fn any_above(a: Self::F, b: Self::F) -> bool;
    /// Lane 0.
    unsafe fn first(a: Self::F) -> f32;
    /// Minus infinity in the lanes outside `from..to`.
    unsafe fn keep(a: Self::F, from: i32, to: i32) -> Self::F;
    /// Sixteen f16, widened.
    unsafe fn load_f16(from: *const u16) -> Self::F;
    /// Sixteen bf16, widened.
    unsafe fn load_bf16(from: *const u16) -> Self::F;
    /// Sixteen pairs of bf16.
    unsafe fn load_pairs(from: *const u32) -> Self::Pairs;
    /// `acc[i] + first(pairs[i]) * first(multiplier) + second(pairs[i]) * second(multiplier)`.
    unsafe fn dot_pairs(acc: Self::F, pairs: Self::Pairs, multiplier: *const u32) -> Self::F;
    /// Sixteen f32 as eight packed multiplier pairs (`8 * PAIR_WORDS` words).
    unsafe fn pack_pairs(value: Self::F, to: *mut u32);
    /// Ask for the cache line at `from`; any address may be given.
    unsafe fn prefetch(from: *const u8);
    /// `2^x`, with `2^r` as `1 + r * (c[0] + r * (c[1] + …))` on -0.5..=0.5. Results below 2^-126 may be 0.
    #[inline(always)]
    unsafe fn exp2_by<const TERMS: usize>(x: Self::F, coefficients: &[f32; TERMS]) -> Self::F {
        // SAFETY: the caller has the instructions.
        unsafe {
            let x = Self::min(Self::splat(127.0), Self::max(Self::splat(-127.0), x));
            let whole = Self::round(x);
            let rest = Self::sub(x, whole);
            let mut sum = Self::splat(coefficients[TERMS - 1]);
            for term in (0..TERMS - 1).rev() {
                sum = Self::fma(sum, rest, Self::splat(coefficients[term]));
            }
            Self::scale_by_power(Self::fma(sum, rest, Self::splat(1.0)), whole)
        }
    }
}

/// `2^r` on -0.5..=0.5 as `1 + r * (…)`, relative error 2e-9 before rounding (minimax fit, constant term exact).
const EXP2: [f32; 6] =
    [std::f32::consts::LN_2, 0.240_226_48, 0.055_503_324, 0.009_618_437, 0.001_339_887_5, 0.000_153_533_62];

/// The same with four terms, relative error 3e-6: enough for what is rounded to bf16 next.
const EXP2_COARSE: [f32; 4] = [0.693_124_2, 0.240_240_99, 0.055_906_426, 0.009_582_853];

/// `2^x` for `x` up to 127; exactly 1 at 0, exactly 0 at minus infinity, NaN for NaN.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp2<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has the instructions of `L`.
    unsafe { L::exp2_by(x, &EXP2) }
}

/// [`exp2`] with a relative error of 3e-6.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp2_coarse<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has the instructions of `L`.
    unsafe { L::exp2_by(x, &EXP2_COARSE) }
}

/// `1 / (1 + e^-x)`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn sigmoid<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has the instructions of `L`.
    unsafe {
        let power = exp2::<L>(L::mul(x, L::splat(-std::f32::consts::LOG2_E)));
        L::div(L::splat(1.0), L::add(L::splat(1.0), power))
    }
}

/// `tanh(x)`, as `1 - 2 / (e^2x + 1)`: its absolute error is below 1e-7, its relative error near 0 is not.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn tanh<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has the instructions of `L`.
    unsafe {
        let power = exp2::<L>(L::mul(x, L::splat(2.0 * std::f32::consts::LOG2_E)));
        L::sub(L::splat(1.0), L::div(L::splat(2.0), L::add(power, L::splat(1.0))))
    }
}

/// Up to sixteen values, zeros behind them.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn load_part<L: Lanes>(values: &[f32]) -> L::F {
    // SAFETY: sixteen values are there, or are copied to where they are.
    unsafe {
        if values.len() >= LANES {
            return L::load(values.as_ptr());
        }
        let mut padded = [0.0; LANES];
        padded[..values.len()].copy_from_slice(values);
        L::load(padded.as_ptr())
    }
}

/// As many of the lanes as `to` has room for.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn store_part<L: Lanes>(to: &mut [f32], value: L::F) {
    // SAFETY: there is room for sixteen values, in `to` or beside it.
    unsafe {
        if to.len() >= LANES {
            return L::store(to.as_mut_ptr(), value);
        }
        let mut padded = [0.0; LANES];
        L::store(padded.as_mut_ptr(), value);
        to.copy_from_slice(&padded[..to.len()]);
    }
}
