//! Points of lattices with AVX-512: 32 are looked up at once, in tables of 16-bit words that `vpermi2w` reads 64 words a
//! time; masks, loaded as they are stored, choose among the tables and turn signs.
//!
//! A gather of 16 points takes longer than all of this, but for the 2048 points of IQ1. Read next: [`crate::qmatmul::lattice`], the order of what is
//! read here, and [`crate::quant::gguf_iq_tables`].

use super::{Codes, Unit};
use crate::qmatmul::lattice::Places;
use crate::qmatmul::sizes::PANEL_ROWS;
use crate::quant::gguf_iq::{Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, Lattice};
use crate::quant::gguf_iq_tables::{NIBBLES_IQ1, WORDS_IQ2S, WORDS_IQ2XS, WORDS_IQ2XXS, WORDS_IQ3S, WORDS_IQ3XXS};
use std::arch::x86_64::*;

/// What the codes of IQ2 stand for, plus 128.
const VALUES_IQ2: [u8; 16] = [136, 153, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// What the codes of IQ3_XXS stand for, plus 128.
const VALUES_IQ3XXS: [u8; 16] = [132, 140, 148, 156, 164, 172, 180, 190, 0, 0, 0, 0, 0, 0, 0, 0];
/// What the codes of IQ3_S stand for, plus 128.
const VALUES_IQ3S: [u8; 16] = [129, 131, 133, 135, 137, 139, 141, 143, 0, 0, 0, 0, 0, 0, 0, 0];
/// What the codes of IQ1 stand for in eighths, shifted up, plus 128.
const VALUES_IQ1: [u8; 16] = [121, 129, 137, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

macro_rules! lattices {
    ($($name:ident: $half:ident, $words:ident, $values:ident;)*) => {
        $(impl Codes for $name {
            const BYTES: usize = Places::of::<$name>().bytes;
            type Unit = *const u8;
            type Half = [__m512i; 4];

            unsafe fn unit(at: *const u8) -> *const u8 {
                at
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn half<const LOWER: bool>(unit: *const u8) -> [__m512i; 4] {
                // SAFETY: passed on; the words are those of all points.
                unsafe { $half::<$name>(unit, if LOWER { 0 } else { 1 }, $words.as_ptr(), &$values) }
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn step<const STEP: usize, U: Unit>(_: U, half: [__m512i; 4]) -> __m512i {
                half[STEP % 4]
            }
        })*
    };
}

lattices! {
    Iq2Xxs: eights, WORDS_IQ2XXS, VALUES_IQ2;
    Iq2Xs: eights, WORDS_IQ2XS, VALUES_IQ2;
    Iq2S: eights, WORDS_IQ2S, VALUES_IQ2;
    Iq3Xxs: fours, WORDS_IQ3XXS, VALUES_IQ3XXS;
    Iq3S: fours, WORDS_IQ3S, VALUES_IQ3S;
    Iq1S: ternary, NIBBLES_IQ1, VALUES_IQ1;
    Iq1M: ternary, NIBBLES_IQ1, VALUES_IQ1;
}

/// Half a unit of points with eight coordinates: one lookup, the four registers of its 16 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn eights<L: Lattice>(unit: *const u8, half: usize, words: *const u16, values: &[u8; 16]) -> [__m512i; 4] {
    let values = super::table(values);
    let codes = _mm512_set1_epi8(3);
    // SAFETY: passed on.
    unsafe {
        let word = lookup::<L>(unit, half, words);
        // Coordinates 2 f and 2 f + 1 of both points of a row.
        let [a, b, c, d] = [
            _mm512_shuffle_epi8(values, _mm512_and_si512(word, codes)),
            _mm512_shuffle_epi8(values, _mm512_and_si512(_mm512_srli_epi16::<2>(word), codes)),
            _mm512_shuffle_epi8(values, _mm512_and_si512(_mm512_srli_epi16::<4>(word), codes)),
            _mm512_shuffle_epi8(values, _mm512_and_si512(_mm512_srli_epi16::<6>(word), codes)),
        ];
        let first = [_mm512_unpacklo_epi16(a, b), _mm512_unpacklo_epi16(c, d)];
        let second = [_mm512_unpackhi_epi16(a, b), _mm512_unpackhi_epi16(c, d)];
        signed::<L>(unit, half, [first[0], first[1], second[0], second[1]])
    }
}

/// Half a unit of ternary points: the two points of a lookup one after the other, gathered, 8 columns each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn ternary<L: Lattice>(unit: *const u8, half: usize, nibbles: *const u32, values: &[u8; 16]) -> [__m512i; 4] {
    let places = const { Places::of::<L>() };
    let values = super::table(values);
    // The lanes of the rows: `8 l + 4 h + i`.
    let rows = _mm512_setr_epi32(
        1,
        1 << 1,
        1 << 2,
        1 << 3,
        1 << 8,
        1 << 9,
        1 << 10,
        1 << 11,
        1 << 16,
        1 << 17,
        1 << 18,
        1 << 19,
        1 << 24,
        1 << 25,
        1 << 26,
        1 << 27,
    );
    let mut steps = [_mm512_setzero_si512(); 4];
    // SAFETY: points, high bits and shifts are in the unit; there are as many nibbles as bits can number.
    unsafe {
        let both = _mm256_loadu_si256(unit.add(2 * PANEL_ROWS * half).cast());
        for point in 0..2 {
            let (low, rows) = match point {
                0 => (_mm256_cvtepi64_epi32(both), rows),
                _ => (_mm256_cvtepi64_epi32(_mm256_srli_epi64::<32>(both)), _mm512_slli_epi32::<4>(rows)),
            };
            let set = |at: usize| {
                _mm512_test_epi32_mask(_mm512_set1_epi32(unit.add(at).cast::<i32>().read_unaligned()), rows)
            };
            let mut numbers = _mm512_cvtepu8_epi32(low);
            for bit in 0..L::HIGH_BITS {
                let high = set(places.high + 4 * (L::HIGH_BITS * half + bit));
                numbers = _mm512_mask_or_epi32(numbers, high, numbers, _mm512_set1_epi32(256 << bit));
            }
            let codes = _mm512_i32gather_epi32::<4>(numbers, nibbles.cast());
            let down = set(places.signs + 4 * half);
            // No byte borrows from its neighbour.
            let shifted = |x| _mm512_mask_sub_epi32(x, down, x, _mm512_set1_epi8(2));
            steps[2 * point] = shifted(_mm512_shuffle_epi8(values, codes));
            steps[2 * point + 1] = shifted(_mm512_shuffle_epi8(values, _mm512_srli_epi16::<4>(codes)));
        }
    }
    steps
}

/// Half a unit of points with four coordinates: two lookups, two registers of 8 columns each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn fours<L: Lattice>(unit: *const u8, half: usize, words: *const u16, values: &[u8; 16]) -> [__m512i; 4] {
    let values = super::table(values);
    // SAFETY: passed on.
    unsafe {
        let (first, second) = (lookup::<L>(unit, 2 * half, words), lookup::<L>(unit, 2 * half + 1, words));
        // Codes are below 8: bit 3, which would choose among entries, and bit 7, which would clear, are never set.
        let even = [first, second].map(|word| _mm512_shuffle_epi8(values, word));
        let odd = [first, second].map(|word| _mm512_shuffle_epi8(values, _mm512_srli_epi16::<4>(word)));
        let of = |i: usize| [_mm512_unpacklo_epi16(even[i], odd[i]), _mm512_unpackhi_epi16(even[i], odd[i])];
        let (a, b) = (of(0), of(1));
        signed::<L>(unit, half, [a[0], a[1], b[0], b[1]])
    }
}

/// The registers of half a unit with their signs: 128 plus a magnitude becomes 128 minus it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn signed<L: Lattice>(unit: *const u8, half: usize, mut steps: [__m512i; 4]) -> [__m512i; 4] {
    let at = const { Places::of::<L>().signs } + 32 * half;
    for (index, step) in steps.iter_mut().enumerate() {
        // SAFETY: the signs of all steps are in the unit.
        let minus: __mmask64 = unsafe { unit.add(at + 8 * index).cast::<u64>().read_unaligned() };
        *step = _mm512_mask_sub_epi8(*step, minus, _mm512_setzero_si512(), *step);
    }
    steps
}

/// The words of two points of all rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn lookup<L: Lattice>(unit: *const u8, index: usize, words: *const u16) -> __m512i {
    let places = const { Places::of::<L>() };
    // SAFETY: points and high bits are in the unit; there are as many words as bits can number.
    unsafe {
        let low = _mm256_loadu_si256(unit.add(2 * PANEL_ROWS * index).cast());
        let numbers = _mm512_cvtepu8_epi16(low);
        let mut bits: [__mmask32; 4] = [0; 4];
        bits[0] = _mm512_test_epi16_mask(numbers, _mm512_set1_epi16(64));
        bits[1] = _mm512_test_epi16_mask(numbers, _mm512_set1_epi16(128));
        let high = unit.add(places.high + 4 * L::HIGH_BITS * index).cast::<u32>();
        for (bit, mask) in bits[2..].iter_mut().enumerate().take(L::HIGH_BITS) {
            *mask = high.add(bit).read_unaligned();
        }
        match L::HIGH_BITS {
            0 => of_256(words, numbers, &bits),
            1 => of_512(words, numbers, &bits),
            _ => of_1024(words, numbers, &bits),
        }
    }
}

/// One of 64 words for each lane, by the lowest six bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn of_64(words: *const u16, numbers: __m512i, _: &[__mmask32; 4]) -> __m512i {
    // SAFETY: passed on.
    let [low, high] = unsafe { [0, 32].map(|at| _mm512_loadu_si512(words.add(at).cast())) };
    _mm512_permutex2var_epi16(low, numbers, high)
}

/// One of twice as many words: `bits[$bit]` of each lane says from which half.
macro_rules! twice {
    ($($name:ident: $half:ident, $words:literal, $bit:literal;)*) => {
        $(#[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        unsafe fn $name(words: *const u16, numbers: __m512i, bits: &[__mmask32; 4]) -> __m512i {
            // SAFETY: passed on.
            unsafe {
                let (low, high) = ($half(words, numbers, bits), $half(words.add($words), numbers, bits));
                _mm512_mask_blend_epi16(bits[$bit], low, high)
            }
        })*
    };
}

twice! {
    of_128: of_64, 64, 0;
    of_256: of_128, 128, 1;
    of_512: of_256, 256, 2;
    of_1024: of_512, 512, 3;
}
