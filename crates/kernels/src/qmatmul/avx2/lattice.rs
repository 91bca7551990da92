//! Points of lattices with AVX2: eight are looked up at once by a gather.
//!
//! Read next: [`crate::qmatmul::lattice`], the order of what is read here.

use crate::qmatmul::lattice::{Kind, Places};
use crate::qmatmul::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use crate::quant::gguf_iq::{Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, Lattice};
use crate::quant::gguf_iq_tables::{GRID_IQ1, GRID_IQ2S, GRID_IQ2XS, GRID_IQ2XXS, GRID_IQ3S, GRID_IQ3XXS};
use std::arch::x86_64::*;

/// The values of a slab as unsigned bytes. `[64, 16, 4]`
///
/// # Safety
/// `slab` must be valid for its eight units, `out` for `16 * 256` bytes, and the processor must have AVX2.
pub unsafe fn read_values(kind: Kind, slab: *const u8, out: *mut u8) {
    // SAFETY: passed on; each grid is that of the lattice.
    unsafe {
        match kind {
            Kind::Iq2Xxs => units::<Iq2Xxs>(slab, GRID_IQ2XXS.as_ptr().cast(), out),
            Kind::Iq2Xs => units::<Iq2Xs>(slab, GRID_IQ2XS.as_ptr().cast(), out),
            Kind::Iq2S => units::<Iq2S>(slab, GRID_IQ2S.as_ptr().cast(), out),
            Kind::Iq3Xxs => units::<Iq3Xxs>(slab, GRID_IQ3XXS.as_ptr().cast(), out),
            Kind::Iq3S => units::<Iq3S>(slab, GRID_IQ3S.as_ptr().cast(), out),
            Kind::Iq1S => units::<Iq1S>(slab, GRID_IQ1.as_ptr().cast(), out),
            Kind::Iq1M => units::<Iq1M>(slab, GRID_IQ1.as_ptr().cast(), out),
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn units<L: Lattice>(slab: *const u8, grid: *const i32, out: *mut u8) {
    let places = const { Places::of::<L>() };
    for unit in 0..SLAB_COLUMNS / UNIT_COLUMNS {
        // SAFETY: units, lookups, sides and points are those of a slab.
        unsafe {
            let (unit, out) = (slab.add(unit * places.bytes), out.add(unit * UNIT_COLUMNS * PANEL_ROWS));
            for lookup in 0..UNIT_COLUMNS / (2 * L::POINT) {
                for side in 0..2 {
                    points::<L, 0>(unit, lookup, side, grid, out);
                    points::<L, 1>(unit, lookup, side, grid, out);
                }
            }
        }
    }
}

/// Point `POINT` of a lookup of the lower or upper 8 rows, to its places in an open unit.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn points<L: Lattice, const POINT: usize>(
    unit: *const u8,
    lookup: usize,
    side: usize,
    grid: *const i32,
    out: *mut u8,
) {
    let places = const { Places::of::<L>() };
    // The lanes of eight rows in the 16 bits of a side: `8 l + 4 h + i`.
    let lanes = _mm256_slli_epi32::<16>(_mm256_setr_epi32(1, 2, 4, 8, 256, 512, 1024, 2048));
    let lanes = _mm256_srl_epi32(lanes, _mm_cvtsi32_si128(16 - 4 * POINT as i32));
    // SAFETY: the parts of the unit are where their places say; points are below the length of the grid.
    unsafe {
        let word = |at: usize| _mm256_set1_epi32(unit.add(at + 2 * side).cast::<u16>().read_unaligned() as i32);
        let set = |at: usize| _mm256_cmpeq_epi32(_mm256_and_si256(word(at), lanes), lanes);
        let both = _mm_loadu_si128(unit.add(2 * PANEL_ROWS * lookup + PANEL_ROWS * side).cast());
        let order = _mm_set1_epi64x(0x0B0A_0908_0302_0100);
        let order = _mm_add_epi8(order, _mm_set1_epi8(4 * POINT as i8));
        let mut numbers = _mm256_cvtepu8_epi32(_mm_shuffle_epi8(both, order));
        for bit in 0..L::HIGH_BITS {
            let set = set(places.high + 4 * (L::HIGH_BITS * lookup + bit));
            numbers = _mm256_or_si256(numbers, _mm256_and_si256(set, _mm256_set1_epi32(256 << bit)));
        }
        let steps = L::POINT / 4;
        for half in 0..steps {
            let numbers = if steps == 2 { _mm256_slli_epi32::<1>(numbers) } else { numbers };
            let values = _mm256_i32gather_epi32::<4>(grid.add(half), numbers);
            let step = (2 * lookup + POINT) * steps + half;
            let values = if L::SIGNED {
                signed(values, unit.add(places.signs + 8 * step + 4 * side).cast::<u32>().read_unaligned())
            } else {
                shifted(values, set(places.signs + 4 * lookup))
            };
            let values = _mm256_xor_si256(values, _mm256_set1_epi8(-128));
            _mm256_storeu_si256(out.add(64 * step + 32 * side).cast(), values);
        }
    }
}

/// Magnitudes with signs, a bit a byte.
#[inline]
#[target_feature(enable = "avx2")]
fn signed(values: __m256i, signs: u32) -> __m256i {
    let spread = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201u64 as i64);
    let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(signs as i32), spread);
    let minus = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
    _mm256_sub_epi8(_mm256_xor_si256(values, minus), minus)
}

/// Ternary values as eighths, shifted by one of them: down where `down` is set.
#[inline]
#[target_feature(enable = "avx2")]
fn shifted(values: __m256i, down: __m256i) -> __m256i {
    let twice = |x: __m256i| _mm256_add_epi8(x, x);
    let shift = _mm256_or_si256(down, _mm256_set1_epi8(1));
    _mm256_add_epi8(twice(twice(twice(values))), shift)
}
