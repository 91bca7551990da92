//! How one storage type is multiplied on one tier: the step of both inner products and its packed multiplier.
//!
//! A step is what one instruction group consumes: in bf16 a pair (two dimensions of a key, or two positions of a
//! value), otherwise a single value, for sixteen lanes at once. Multipliers (queries, probabilities) are packed in
//! u32 words so that a step's multiplier is broadcast straight from memory. Read next: `tile`.

use crate::lanes::{self, Lanes};
use std::marker::PhantomData;

/// Positions in a group: the lanes of one register.
pub(super) const GROUP: usize = 16;

/// A storage type on a tier.
///
/// # Safety
/// As [`Lanes`]; pointers are valid for a step, or for `GROUP` values in `pack`.
pub(super) trait Element: Copy {
    type L: Lanes;
    type Loaded: Copy;
    /// Values that a step multiplies in each lane.
    const STEP: usize;
    /// Bytes of one step of sixteen lanes.
    const STEP_BYTES: usize;
    /// u32 words of one step's multiplier.
    const WORDS: usize;

    unsafe fn load(from: *const u8) -> Self::Loaded;
    unsafe fn accumulate(
        acc: <Self::L as Lanes>::F,
        loaded: Self::Loaded,
        multiplier: *const u32,
    ) -> <Self::L as Lanes>::F;
    /// `2^x` for weights, as exact as this type's arithmetic.
    unsafe fn exp2(x: <Self::L as Lanes>::F) -> <Self::L as Lanes>::F;
    /// Sixteen multipliers, packed: `16 / STEP * WORDS` words.
    unsafe fn pack(values: <Self::L as Lanes>::F, to: *mut u32);
}

/// Words of sixteen packed multipliers.
pub(super) const fn group_words<E: Element>() -> usize {
    GROUP / E::STEP * E::WORDS
}

/// Values stored as f32.
#[derive(Clone, Copy)]
pub(super) struct F32<L>(PhantomData<L>);

/// Values stored as f16.
#[derive(Clone, Copy)]
pub(super) struct F16<L>(PhantomData<L>);

/// Values stored as bf16.
#[derive(Clone, Copy)]
pub(super) struct Bf16<L>(PhantomData<L>);

// SAFETY of every block below: what `Element` asks of its caller is what `Lanes` asks.
impl<L: Lanes> Element for F32<L> {
    type L = L;
    type Loaded = L::F;
    const STEP: usize = 1;
    const STEP_BYTES: usize = 4 * GROUP;
    const WORDS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> L::F {
        unsafe { L::load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn accumulate(acc: L::F, loaded: L::F, multiplier: *const u32) -> L::F {
        unsafe { L::fma(loaded, L::splat(multiplier.cast::<f32>().read()), acc) }
    }
    #[inline(always)]
    unsafe fn exp2(x: L::F) -> L::F {
        unsafe { lanes::exp2::<L>(x) }
    }
    #[inline(always)]
    unsafe fn pack(values: L::F, to: *mut u32) {
        unsafe { L::store(to.cast(), values) }
    }
}

impl<L: Lanes> Element for F16<L> {
    type L = L;
    type Loaded = L::F;
    const STEP: usize = 1;
    const STEP_BYTES: usize = 2 * GROUP;
    const WORDS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> L::F {
        unsafe { L::load_f16(from.cast()) }
    }
    #[inline(always)]
    unsafe fn accumulate(acc: L::F, loaded: L::F, multiplier: *const u32) -> L::F {
        unsafe { L::fma(loaded, L::splat(multiplier.cast::<f32>().read()), acc) }
    }
    #[inline(always)]
    unsafe fn exp2(x: L::F) -> L::F {
        unsafe { lanes::exp2::<L>(x) }
    }
    #[inline(always)]
    unsafe fn pack(values: L::F, to: *mut u32) {
        unsafe { L::store(to.cast(), values) }
    }
}

impl<L: Lanes> Element for Bf16<L> {
    type L = L;
    type Loaded = L::Pairs;
    const STEP: usize = 2;
    const STEP_BYTES: usize = 4 * GROUP;
    const WORDS: usize = L::PAIR_WORDS;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> L::Pairs {
        unsafe { L::load_pairs(from.cast()) }
    }
    #[inline(always)]
    unsafe fn accumulate(acc: L::F, loaded: L::Pairs, multiplier: *const u32) -> L::F {
        unsafe { L::dot_pairs(acc, loaded, multiplier) }
    }
    #[inline(always)]
    unsafe fn exp2(x: L::F) -> L::F {
        unsafe { lanes::exp2_coarse::<L>(x) }
    }
    #[inline(always)]
    unsafe fn pack(values: L::F, to: *mut u32) {
        unsafe { L::pack_pairs(values, to) }
    }
}
