//! One to four rows: a stream of memory, a panel at a time.
//!
//! Such a product takes as long as its weights take to come, if what it does with them is hidden behind that. So scales
//! are read where they are needed, and nothing is stored but the totals. Processors themselves ask for what comes, far
//! enough ahead, as long as lines are read in the order in which they lie: a unit's planes are loaded before its steps
//! begin. Planes read in turns, or a hint for each line, leave up to a third of what one core can read. Only where a
//! header is read in turns with the values its lines are touched before, and a hint a unit shows the way.
//!
//! That holds for AMD's up to Zen 4. From Zen 5 on a core computes faster than its own asking follows (17 instead of 43
//! GB/s in Q4_K): there the lines of each unit are asked for together, see [`falls_behind`]. Intel's, which have AMX, stop
//! asking while a core computes (10 instead of 19 GB/s): there `ASKS`, and each line is asked for whatever the number of
//! rows, for the second cache.
//! There too scales that are integers stay integers over a slab, see [`super::super::amx::whole`].
//! Order of operations: [`super::super::tile`], as everywhere else. Read next: [`super::scales`].

use super::super::layout::{Scales, Values};
use super::super::sizes::{FEWEST_ROWS, UNIT_COLUMNS};
use super::super::tile::Tile;
use super::scales::{Biased, E4m3, E8m0, Floats, Minimum4, Minimum8, Odd, Plain, Signed};
use super::*;
use crate::cpu::falls_behind;

/// Rows that are few.
pub const ROWS: usize = FEWEST_ROWS;

/// Rows that are few enough to wait for memory alone. More of them compute for so long that each line is asked for.
pub const STREAM_ROWS: usize = 2;

/// How far ahead of a unit its hint is, where it has one.
const AHEAD_BYTES: usize = 2 << 10;
/// How far ahead of a unit its lines are asked for, where the processor [`falls_behind`].
const UNIT_AHEAD_BYTES: usize = 8 << 10;
/// How far ahead each line is asked for: two slabs of three panels of 4 bits; where all rows ask, as far as memory takes
/// to answer.
const fn lines_ahead_bytes(asks: bool) -> usize {
    if asks { 8 << 10 } else { 14 << 10 }
}

/// All rows of a tile against packed values and their headers.
pub unsafe fn tile_few<const ASKS: bool>(tile: &Tile, values: Values) {
    // SAFETY: passed on.
    unsafe {
        match (values, tile.header_scales) {
            (Values::Bits4, Scales::Plain(form)) => each::<Bits4, _, false, ASKS>(tile, Plain(form)),
            (Values::Bits5, Scales::Plain(form)) => each::<Bits5, _, false, ASKS>(tile, Plain(form)),
            (Values::Bits8, Scales::Plain(form)) => each::<Bits8, _, false, ASKS>(tile, Plain(form)),
            (Values::Iq4, Scales::Plain(form)) => each::<Iq4, _, false, ASKS>(tile, Plain(form)),
            (Values::Bits2, Scales::Biased(form)) => each::<Bits2, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits3, Scales::Biased(form)) => each::<Bits3, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits4, Scales::Biased(form)) => each::<Bits4, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits5, Scales::Biased(form)) => each::<Bits5, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits6, Scales::Biased(form)) => each::<Bits6, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits8, Scales::Biased(form)) => each::<Bits8, _, false, ASKS>(tile, Biased(form)),
            (Values::Bits2, Scales::Minimum4) => each::<Bits2, _, true, ASKS>(tile, Minimum4),
            (Values::Bits3, Scales::Signed) => each::<Bits3, _, true, ASKS>(tile, Signed),
            (Values::Bits4, Scales::Minimum8) => each::<Bits4, _, false, ASKS>(tile, Minimum8),
            (Values::Bits5, Scales::Minimum8) => each::<Bits5, _, false, ASKS>(tile, Minimum8),
            (Values::Bits6, Scales::Signed) => each::<Bits6, _, true, ASKS>(tile, Signed),
            (Values::Iq4, Scales::Signed) => each::<Iq4, _, false, ASKS>(tile, Signed),
            (Values::E2m1, Scales::E8m0) => each::<E2m1, _, false, ASKS>(tile, E8m0),
            (Values::E2m1, Scales::E4m3) => each::<E2m1, _, true, ASKS>(tile, E4m3),
            (Values::Lattice(Kind::Iq2Xxs), Scales::Odd { eighths }) => {
                each::<Iq2Xxs, _, false, ASKS>(tile, Odd(eighths))
            }
            (Values::Lattice(Kind::Iq3Xxs), Scales::Odd { eighths }) => {
                each::<Iq3Xxs, _, false, ASKS>(tile, Odd(eighths))
            }
            (Values::Lattice(Kind::Iq3S), Scales::Odd { eighths }) => each::<Iq3S, _, false, ASKS>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq1S), Scales::Odd { eighths }) => each::<Iq1S, _, false, ASKS>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq2Xs), Scales::Odd { eighths }) => each::<Iq2Xs, _, true, ASKS>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq2S), Scales::Odd { eighths }) => each::<Iq2S, _, true, ASKS>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq1M), Scales::Odd { eighths }) => each::<Iq1M, _, true, ASKS>(tile, Odd(eighths)),
            (values, scales) => unreachable!("no format has {values:?} with {scales:?}"),
        }
    }
}

/// `HALVES`: a group is half a unit.
unsafe fn each<V: Codes, S: Floats, const HALVES: bool, const ASKS: bool>(tile: &Tile, form: S) {
    for panel in 0..tile.panels {
        // SAFETY: passed on.
        unsafe {
            match tile.count {
                1 => rows_of::<V, S, HALVES, ASKS, 1>(tile, form, panel),
                2 => rows_of::<V, S, HALVES, ASKS, 2>(tile, form, panel),
                3 => rows_of::<V, S, HALVES, ASKS, 3>(tile, form, panel),
                _ => rows_of::<V, S, HALVES, ASKS, ROWS>(tile, form, panel),
            }
        }
    }
}

/// All rows against a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn rows_of<V: Codes, S: Floats, const HALVES: bool, const ASKS: bool, const ROWS: usize>(
    tile: &Tile,
    form: S,
    panel: usize,
) {
    let streams = const { !ASKS && ROWS <= STREAM_ROWS };
    let asks_units = streams && falls_behind();
    let lines_ahead = const { lines_ahead_bytes(ASKS) };
    // SAFETY: the pointers advance over exactly the groups and units that the fields describe.
    unsafe {
        let rows: [*const u8; ROWS] = std::array::from_fn(|i| tile.rows.add(i).read());
        let (header, values) = (tile.header.add(panel * tile.stride), tile.values.add(panel * tile.stride));
        let header_bytes = values as usize - header as usize;
        match streams {
            _ if asks_units => touch_lines(header.wrapping_add(UNIT_AHEAD_BYTES), header_bytes),
            true if S::SPLIT && ROWS == 1 => touch_lines(header, header_bytes),
            true => {}
            false => touch_lines(header.wrapping_add(lines_ahead), header_bytes),
        }
        let mut sums = [[_mm512_setzero_ps(); 1]; ROWS];
        // Of scales that are integers: exact sums of a whole slab, as the tiles have them.
        let (whole, zero) = (const { ASKS && S::INTEGERS }, _mm512_setzero_si512());
        let mut integers = [[_mm512_setzero_ps(); 1]; ROWS];
        for group in 0..if S::BIASED { tile.groups } else { 0 } {
            let bias = match whole {
                true => _mm512_cvtepi32_ps(_mm512_sub_epi32(zero, form.integers(header, tile.groups, group).1)),
                false => form.read(header, tile.groups, group).1,
            };
            each_row!(ROWS, I, {
                let negated = _mm512_cvtepi32_ps(broadcast(rows[I].add(tile.sums_at + group * 4)));
                sums[I][0] = _mm512_fnmadd_ps(bias, negated, sums[I][0]);
            });
        }
        let shift = _mm_cvtsi32_si128(tile.offset_shift as i32);
        let start = |group: usize| match S::BIASED {
            true => [[_mm512_setzero_si512(); 1]; ROWS],
            false => offsets(&rows, tile.sums_at + group * 4, shift),
        };
        macro_rules! half {
            ($unit:ident, $at:ident, $values_at:ident, $dots:ident, $lower:literal) => {
                match &$unit {
                    Some(unit) => {
                        half_unit::<V, _, ROWS, 1, $lower, false>(&rows, unit, $at, 0, $values_at, &mut $dots)
                    }
                    None => {
                        half_unit::<V, _, ROWS, 1, $lower, true>(&rows, &$at.units(0), $at, 0, $values_at, &mut $dots)
                    }
                }
            };
        }
        macro_rules! scale_group {
            ($dots:ident, $group:ident) => {
                if whole {
                    let factors = _mm512_castsi512_ps(form.integers(header, tile.groups, $group).0);
                    scale::<true, ROWS, 1>([factors], &$dots, &mut integers);
                } else {
                    scale::<false, ROWS, 1>([form.read(header, tile.groups, $group).0], &$dots, &mut sums);
                }
            };
        }
        let next_unit = |values: *const u8| streams.then(|| [stream_unit::<V>(values, asks_units)]);
        let mut at = Place { values, ahead: values.wrapping_add(lines_ahead), second: ASKS };
        let (mut values_at, mut group) = (tile.values_at, 0);
        while group < tile.groups {
            let mut dots = start(group);
            if streams && S::SPLIT && ROWS == 1 && !asks_units {
                touch(at.values.wrapping_add(AHEAD_BYTES));
            }
            let mut unit = next_unit(at.values);
            half!(unit, at, values_at, dots, true);
            if HALVES {
                scale_group!(dots, group);
                group += 1;
                dots = start(group);
            }
            half!(unit, at, values_at, dots, false);
            (at, values_at) = (at.next::<V, 1>(), values_at + UNIT_COLUMNS);
            for _ in 1..tile.group / UNIT_COLUMNS {
                unit = next_unit(at.values);
                half!(unit, at, values_at, dots, true);
                half!(unit, at, values_at, dots, false);
                (at, values_at) = (at.next::<V, 1>(), values_at + UNIT_COLUMNS);
            }
            scale_group!(dots, group);
            group += 1;
        }
        if whole {
            let (factor, least) = form.factors(header);
            sums = whole_sums(&sums, &integers, factor, least);
        }
        each_row!(ROWS, I, {
            let scale = _mm512_castsi512_ps(broadcast(rows[I].add(tile.scale_at)));
            let total = tile.totals.add((I * tile.panels + panel) * PANEL_ROWS);
            _mm512_storeu_ps(total, _mm512_fmadd_ps(sums[I][0], scale, _mm512_loadu_ps(total)));
        });
    }
}

/// A unit of a stream, and the lines of a later one asked for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn stream_unit<V: Codes>(values: *const u8, asks: bool) -> V::Unit {
    if asks {
        touch_lines(values.wrapping_add(UNIT_AHEAD_BYTES), V::BYTES);
    }
    // SAFETY: passed on.
    unsafe { V::unit(values) }
}

/// Sums of a slab whose biases and products are integers still.
#[inline]
#[target_feature(enable = "avx512f")]
fn whole_sums<const ROWS: usize>(
    biases: &[[__m512; 1]; ROWS],
    integers: &[[__m512; 1]; ROWS],
    factor: __m512,
    least: __m512,
) -> [[__m512; 1]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); 1]; ROWS];
    each_row!(ROWS, I, {
        let products = _mm512_cvtepi32_ps(_mm512_castps_si512(integers[I][0]));
        sums[I][0] = _mm512_fmadd_ps(products, factor, _mm512_mul_ps(biases[I][0], least));
    });
    sums
}

/// Ask for all lines of `bytes`.
#[inline(always)]
fn touch_lines(from: *const u8, bytes: usize) {
    (0..bytes).step_by(64).for_each(|at| touch(from.wrapping_add(at)));
}

/// Ask for a line, where the source does.
#[inline(always)]
fn touch(line: *const u8) {
    // SAFETY: a hint; any address will do.
    unsafe { std::arch::asm!("prefetcht0 byte ptr [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
}
