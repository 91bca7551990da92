//! One to four rows: a stream of memory, a panel at a time.
//!
//! Such a product takes as long as its weights take to come, if what it does with them is hidden behind that. So scales
//! are read where they are needed, and nothing is stored but the totals. Processors themselves ask for what comes, far
//! enough ahead, as long as lines are read in the order in which they lie: a unit's planes are loaded before its steps
//! begin. Planes read in turns, or a hint for each line, leave up to a third of what one core can read. Only where a
//! header is read in turns with the values its lines are touched before, and a hint a unit shows the way.
//! Order of operations: [`super::super::tile`], as everywhere. Read next: [`super::scales`].

use super::super::layout::{Scales, Values};
use super::super::sizes::UNIT_COLUMNS;
use super::super::tile::Tile;
use super::scales::{Biased, E4m3, E8m0, Floats, Minimum4, Minimum8, Odd, Plain, Signed};
use super::*;

/// Rows that are few.
pub const ROWS: usize = 4;

/// Rows that are few enough to wait for memory alone. More of them compute for so long that each line is asked for.
pub const STREAM_ROWS: usize = 2;

/// How far ahead of a unit its hint is, where it has one.
const AHEAD_BYTES: usize = 2 << 10;
/// How far ahead each line is asked for: two slabs of three panels of 4 bits.
const LINES_AHEAD_BYTES: usize = 14 << 10;

/// All rows of a tile against packed values and their headers.
pub unsafe fn tile_few(tile: &Tile, values: Values) {
    // SAFETY: passed on.
    unsafe {
        match (values, tile.header_scales) {
            (Values::Bits4, Scales::Plain(form)) => each::<Bits4, _, false>(tile, Plain(form)),
            (Values::Bits5, Scales::Plain(form)) => each::<Bits5, _, false>(tile, Plain(form)),
            (Values::Bits8, Scales::Plain(form)) => each::<Bits8, _, false>(tile, Plain(form)),
            (Values::Iq4, Scales::Plain(form)) => each::<Iq4, _, false>(tile, Plain(form)),
            (Values::Bits2, Scales::Biased(form)) => each::<Bits2, _, false>(tile, Biased(form)),
            (Values::Bits3, Scales::Biased(form)) => each::<Bits3, _, false>(tile, Biased(form)),
            (Values::Bits4, Scales::Biased(form)) => each::<Bits4, _, false>(tile, Biased(form)),
            (Values::Bits5, Scales::Biased(form)) => each::<Bits5, _, false>(tile, Biased(form)),
            (Values::Bits6, Scales::Biased(form)) => each::<Bits6, _, false>(tile, Biased(form)),
            (Values::Bits8, Scales::Biased(form)) => each::<Bits8, _, false>(tile, Biased(form)),
            (Values::Bits2, Scales::Minimum4) => each::<Bits2, _, true>(tile, Minimum4),
            (Values::Bits3, Scales::Signed) => each::<Bits3, _, true>(tile, Signed),
            (Values::Bits4, Scales::Minimum8) => each::<Bits4, _, false>(tile, Minimum8),
            (Values::Bits5, Scales::Minimum8) => each::<Bits5, _, false>(tile, Minimum8),
            (Values::Bits6, Scales::Signed) => each::<Bits6, _, true>(tile, Signed),
            (Values::Iq4, Scales::Signed) => each::<Iq4, _, false>(tile, Signed),
            (Values::E2m1, Scales::E8m0) => each::<E2m1, _, false>(tile, E8m0),
            (Values::E2m1, Scales::E4m3) => each::<E2m1, _, true>(tile, E4m3),
            (Values::Lattice(Kind::Iq2Xxs), Scales::Odd { eighths }) => each::<Iq2Xxs, _, false>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq3Xxs), Scales::Odd { eighths }) => each::<Iq3Xxs, _, false>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq3S), Scales::Odd { eighths }) => each::<Iq3S, _, false>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq1S), Scales::Odd { eighths }) => each::<Iq1S, _, false>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq2Xs), Scales::Odd { eighths }) => each::<Iq2Xs, _, true>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq2S), Scales::Odd { eighths }) => each::<Iq2S, _, true>(tile, Odd(eighths)),
            (Values::Lattice(Kind::Iq1M), Scales::Odd { eighths }) => each::<Iq1M, _, true>(tile, Odd(eighths)),
            (values, scales) => unreachable!("no format has {values:?} with {scales:?}"),
        }
    }
}

/// `HALVES`: a group is half a unit.
unsafe fn each<V: Codes, S: Floats, const HALVES: bool>(tile: &Tile, form: S) {
    for panel in 0..tile.panels {
        // SAFETY: passed on.
        unsafe {
            match tile.count {
                1 => rows_of::<V, S, HALVES, 1>(tile, form, panel),
                2 => rows_of::<V, S, HALVES, 2>(tile, form, panel),
                3 => rows_of::<V, S, HALVES, 3>(tile, form, panel),
                _ => rows_of::<V, S, HALVES, ROWS>(tile, form, panel),
            }
        }
    }
}

/// All rows against a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn rows_of<V: Codes, S: Floats, const HALVES: bool, const ROWS: usize>(tile: &Tile, form: S, panel: usize) {
    // SAFETY: the pointers advance over exactly the groups and units that the fields describe.
    unsafe {
        let rows: [*const u8; ROWS] = std::array::from_fn(|i| tile.rows.add(i).read());
        let (header, values) = (tile.header.add(panel * tile.stride), tile.values.add(panel * tile.stride));
        if S::SPLIT && ROWS == 1 {
            (0..values as usize - header as usize).step_by(64).for_each(|at| touch(header.wrapping_add(at)));
        }
        if ROWS > STREAM_ROWS {
            (0..values as usize - header as usize)
                .step_by(64)
                .for_each(|at| touch(header.wrapping_add(LINES_AHEAD_BYTES + at)));
        }
        let mut sums = [[_mm512_setzero_ps(); 1]; ROWS];
        for group in 0..if S::BIASED { tile.groups } else { 0 } {
            let (_, bias) = form.read(header, tile.groups, group);
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
        let streams = const { ROWS <= STREAM_ROWS };
        macro_rules! half {
            ($unit:ident, $at:ident, $values_at:ident, $dots:ident, $lower:literal) => {
                match &$unit {
                    Some(unit) => half_unit::<V, _, ROWS, 1, $lower>(&rows, unit, $at, 0, $values_at, &mut $dots),
                    None => half_unit::<V, _, ROWS, 1, $lower>(&rows, &$at.units(0), $at, 0, $values_at, &mut $dots),
                }
            };
        }
        let mut at = Place { values, ahead: values.wrapping_add(LINES_AHEAD_BYTES) };
        let (mut values_at, mut group) = (tile.values_at, 0);
        while group < tile.groups {
            let mut dots = start(group);
            if S::SPLIT && ROWS == 1 {
                touch(at.values.wrapping_add(AHEAD_BYTES));
            }
            let mut unit = if streams { Some([V::unit(at.values)]) } else { None };
            half!(unit, at, values_at, dots, true);
            if HALVES {
                scale([form.read(header, tile.groups, group).0], &dots, &mut sums);
                group += 1;
                dots = start(group);
            }
            half!(unit, at, values_at, dots, false);
            (at, values_at) = (at.next::<V, 1>(), values_at + UNIT_COLUMNS);
            for _ in 1..tile.group / UNIT_COLUMNS {
                unit = if streams { Some([V::unit(at.values)]) } else { None };
                half!(unit, at, values_at, dots, true);
                half!(unit, at, values_at, dots, false);
                (at, values_at) = (at.next::<V, 1>(), values_at + UNIT_COLUMNS);
            }
            scale([form.read(header, tile.groups, group).0], &dots, &mut sums);
            group += 1;
        }
        each_row!(ROWS, I, {
            let scale = _mm512_castsi512_ps(broadcast(rows[I].add(tile.scale_at)));
            let total = tile.totals.add((I * tile.panels + panel) * PANEL_ROWS);
            _mm512_storeu_ps(total, _mm512_fmadd_ps(sums[I][0], scale, _mm512_loadu_ps(total)));
        });
    }
}

/// Ask for a line, where the source does.
#[inline(always)]
fn touch(line: *const u8) {
    // SAFETY: a hint; any address will do.
    unsafe { std::arch::asm!("prefetcht0 byte ptr [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
}
