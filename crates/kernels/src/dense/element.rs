//! How a weight row is read: units of 32-bit lanes, and the step that adds one vector of units to a sum.
//!
//! A unit is a pair of bf16 (native precision on a tier with bf16 dot products) or one value widened to f32. The
//! input of a product is brought to the same units. Read next: [`super::stream`].

use super::matrix::{DenseType, Precision};
use crate::cpu::{Tier, tier};
use crate::simd::{MAX_LANES, Simd};

/// What a unit is, for a type of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two bf16 in 32 bits, multiplied by the dot-product instruction.
    PairsBf16,
    /// The same, multiplied in the matrix registers: a way of its own, `amx`.
    TilesBf16,
    /// One bf16 widened.
    Bf16,
    /// One binary16 widened.
    F16,
    /// One f32.
    F32,
}

impl Kind {
    /// The kind that the tier in use takes for weights of `dtype`.
    pub fn choose(dtype: DenseType, precision: Precision) -> Kind {
        match dtype {
            DenseType::F32 => Kind::F32,
            DenseType::F16 => Kind::F16,
            DenseType::Bf16 => match (precision, tier()) {
                (Precision::Native, Tier::Avx512) => Kind::PairsBf16,
                (Precision::Native, Tier::Amx) => Kind::TilesBf16,
                _ => Kind::Bf16,
            },
        }
    }

    /// Values in a unit.
    pub fn values(self) -> usize {
        if matches!(self, Kind::PairsBf16 | Kind::TilesBf16) { 2 } else { 1 }
    }
}

/// A kind as a type, for loops that are compiled for it.
pub trait Element: Copy {
    /// Whether the units are pairs.
    const PAIRS: bool;
    /// Values in a unit.
    const VALUES: usize;
    /// Bytes of a value in the file.
    const BYTES: usize;

    /// `LANES` units of weights.
    ///
    /// # Safety
    /// `from` points to `LANES * VALUES * BYTES` readable bytes.
    unsafe fn load<S: Simd>(s: S, from: *const u8) -> S::V;

    /// The units in `bytes`, which are fewer than a vector; the others are zero.
    ///
    /// # Safety
    /// `from` points to `bytes` readable bytes.
    #[inline(always)]
    unsafe fn load_partial<S: Simd>(s: S, from: *const u8, bytes: usize) -> S::V {
        let mut buffer = [0u8; MAX_LANES * 4];
        // SAFETY: a vector of units has at most this size, and the caller vouches for `bytes`.
        unsafe {
            std::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), bytes);
            Self::load(s, buffer.as_ptr())
        }
    }
}

/// `acc + w * x` for each lane, or the sum of both products of each lane's pairs.
#[inline(always)]
pub fn step<S: Simd, const PAIRS: bool>(s: S, acc: S::V, w: S::V, x: S::V) -> S::V {
    if PAIRS { s.dot_bf16(acc, w, x) } else { s.fma(w, x, acc) }
}

macro_rules! element {
    ($($(#[$meta:meta])* $name:ident, $pairs:expr, $bytes:expr, |$s:ident, $from:ident| $load:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name;
        impl Element for $name {
            const PAIRS: bool = $pairs;
            const VALUES: usize = if $pairs { 2 } else { 1 };
            const BYTES: usize = $bytes;
            #[inline(always)]
            unsafe fn load<S: Simd>($s: S, $from: *const u8) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { $load }
            }
        }
    )*};
}

element! {
    /// [`Kind::PairsBf16`].
    PairsBf16, true, 2, |s, from| s.load(from.cast());
    /// [`Kind::Bf16`].
    WideBf16, false, 2, |s, from| s.load_bf16(from.cast());
    /// [`Kind::F16`].
    WideF16, false, 2, |s, from| s.load_f16(from.cast());
    /// [`Kind::F32`].
    PlainF32, false, 4, |s, from| s.load(from.cast());
}

/// `with_element!(kind, function::<S>(arguments))`: call `function::<S, E>` with the type of `kind`.
macro_rules! with_element {
    ($kind:expr, $function:ident::<$s:ident>($($argument:expr),* $(,)?)) => {
        match $kind {
            $crate::dense::element::Kind::PairsBf16 if $s::HAS_DOT_BF16 => {
                $function::<$s, $crate::dense::element::PairsBf16>($($argument),*)
            }
            $crate::dense::element::Kind::PairsBf16 => unreachable!("[matmul] pairs on a tier without bf16 dot products"),
            $crate::dense::element::Kind::TilesBf16 => unreachable!("[matmul] tiles go their own way"),
            $crate::dense::element::Kind::Bf16 => $function::<$s, $crate::dense::element::WideBf16>($($argument),*),
            $crate::dense::element::Kind::F16 => $function::<$s, $crate::dense::element::WideF16>($($argument),*),
            $crate::dense::element::Kind::F32 => $function::<$s, $crate::dense::element::PlainF32>($($argument),*),
        }
    };
}
pub(crate) use with_element;

/// Vectors of units that are summed by lane before the lanes are joined: part of what a product means, for all tiers'
/// paths alike. Long sums stay accurate, and a packed panel stays in the caches.
pub const TILE_STEPS: usize = 64;

/// Vectors of `lanes` units that cover a row of `columns` values.
pub fn steps_of(columns: usize, values: usize, lanes: usize) -> usize {
    columns.div_ceil(values).div_ceil(lanes)
}
