//! AVX-512 VNNI: weights unpacked by shifts and masks of whole registers, `vpdpbusd` with them as the unsigned operand.
//!
//! A tile of 4 rows x 3 panels keeps 12 integer accumulators and 12 float sums in registers: a larger one would store
//! floats at every group, and 64-byte stores cost more than the products they interleave with. Few rows take the packed
//! values as they are, many rows read them unpacked from the first-level cache, by assembly ([`many`]); the products are
//! the same.
//! Read next: [`super::tile`], whose bits these functions reproduce.

mod few;
mod lattice;
mod many;
pub(super) mod scales;

use super::lattice::{Kind, with_lattice};
use super::layout::{E2M1_TABLE, IQ4_TABLE, Layout, Values};
use super::sizes::{FEW_ROWS, PANEL_ROWS, UNIT_COLUMNS};
use super::tile::{FLOAT_ROWS, FloatTile, Kernels, Stored, Tile};
use crate::quant::gguf_iq::{Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs};
use std::arch::x86_64::*;

/// This tier.
pub const KERNELS: Kernels = Kernels {
    reads_packed,
    bytes_are_open: true,
    read_signed: None,
    read_values,
    read_scales: scales::read_scales,
    reads_headers,
    tile: tile::<false>,
    direct_rows,
    float_tile,
};

/// How far ahead of the values that are being unpacked memory is asked for.
const AHEAD_BYTES: usize = 4096;

/// How a register of unsigned bytes comes out of a unit of stored values.
trait Codes {
    /// Bytes of a unit.
    const BYTES: usize;
    /// Whether to ask for memory ahead: not for values that are in the cache already.
    const FETCHES: bool = true;
    /// Whether the registers of a unit are its steps, in order.
    const PLAIN: bool = false;
    /// A unit of a stream: its registers, or where they are.
    type Unit: Unit;
    /// What the four steps of half a unit have in common.
    type Half: Copy;

    /// The unit at `at` of values that are read as a stream: see [`few`].
    ///
    /// # Safety
    /// As [`Codes::half`].
    unsafe fn unit(at: *const u8) -> Self::Unit;

    /// The lower or upper 16 columns of all 16 rows.
    ///
    /// # Safety
    /// `unit` must be valid for all bytes, and the processor must have AVX-512 BW.
    unsafe fn half<const LOWER: bool>(unit: *const u8) -> Self::Half;

    /// Columns `4 * STEP` to `4 * STEP + 3` of all 16 rows, of the half that has them.
    ///
    /// # Safety
    /// As [`Codes::half`].
    unsafe fn step<const STEP: usize, U: Unit>(unit: U, half: Self::Half) -> __m512i;
}

/// The registers of a unit of stored values.
trait Unit: Copy {
    /// One of them.
    ///
    /// # Safety
    /// As [`Codes::half`].
    unsafe fn register(self, index: usize) -> __m512i;
}

/// In memory.
impl Unit for *const u8 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn register(self, index: usize) -> __m512i {
        // SAFETY: passed on.
        unsafe { _mm512_loadu_si512(self.add(index * 64).cast()) }
    }
}

/// Loaded before.
impl<const COUNT: usize> Unit for [__m512i; COUNT] {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn register(self, index: usize) -> __m512i {
        self[index]
    }
}

struct Open;
struct Bits2;
struct Bits3;
struct Bits4;
struct Bits5;
struct Bits6;
struct Bits8;
struct E2m1;
struct Iq4;

macro_rules! codes {
    ($name:ident, $registers:literal, $fetches:literal, $unit:ident, $step:ident, $body:expr) => {
        codes!(@ $name, $registers, $fetches, *const u8, at, at, $unit, $step, $body);
    };
    ($name:ident, [$($register:literal)*], $unit:ident, $step:ident, $body:expr) => {
        codes!(@ $name, [$($register),*].len(), true, [__m512i; [$($register),*].len()], at, [$(in_order::<{ $register * 64 }>(at)),*], $unit, $step, $body);
    };
    (@ $name:ident, $registers:expr, $fetches:literal, $from:ty, $at:ident, $load:expr, $unit:ident, $step:ident, $body:expr) => {
        impl Codes for $name {
            const BYTES: usize = 64 * $registers;
            const FETCHES: bool = $fetches;
            const PLAIN: bool = !$fetches;
            type Unit = $from;
            type Half = ();

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw")]
            unsafe fn unit($at: *const u8) -> $from {
                // SAFETY: passed on.
                #[allow(unused_unsafe)]
                unsafe { $load }
            }

            unsafe fn half<const LOWER: bool>(_: *const u8) {}

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            unsafe fn step<const $step: usize, U: Unit>($unit: U, _: ()) -> __m512i {
                // SAFETY: the caller vouches for the unit.
                unsafe { $body }
            }
        }
    };
}

codes!(Open, 8, false, unit, STEP, unit.register(STEP));
codes!(Bits8, 8, true, unit, STEP, unit.register(STEP));
codes!(Bits4, [0 1 2 3], unit, STEP, field(unit.register(STEP % 4), STEP / 4 * 4, 0, 15));
codes!(Bits2, [0 1], unit, STEP, field(unit.register(STEP % 2), STEP / 2 * 2, 0, 3));
codes!(Bits3, [0 1 2], unit, STEP, {
    _mm512_or_si512(Bits2::step::<STEP, U>(unit, ()), field(unit.register(2), STEP, 2, 1))
});
codes!(Bits5, [0 1 2 3 4], unit, STEP, {
    _mm512_or_si512(Bits4::step::<STEP, U>(unit, ()), field(unit.register(4), STEP, 4, 1))
});
codes!(Bits6, [0 1 2 3 4 5], unit, STEP, {
    _mm512_or_si512(Bits4::step::<STEP, U>(unit, ()), field(unit.register(4 + STEP % 2), STEP / 2 * 2, 4, 3))
});
codes!(E2m1, [0 1 2 3], unit, STEP, _mm512_shuffle_epi8(table(&E2M1_TABLE), Bits4::step::<STEP, U>(unit, ())));
codes!(Iq4, [0 1 2 3], unit, STEP, _mm512_shuffle_epi8(table(&IQ4_TABLE), Bits4::step::<STEP, U>(unit, ())));

/// The register at `at + OFFSET`, loaded behind those before it and before those behind it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn in_order<const OFFSET: usize>(at: *const u8) -> __m512i {
    let register;
    // SAFETY: the caller vouches for the 64 bytes. Not `pure`, so that compilers leave them in their order.
    unsafe {
        std::arch::asm!("vmovdqu64 {}, zmmword ptr [{} + {}]", out(zmm_reg) register, in(reg) at, const OFFSET,
            options(nostack, preserves_flags, readonly));
    }
    register
}

/// The bits of `mask` from bit `from` of every byte, moved to bit `to`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn field(x: __m512i, from: usize, to: usize, mask: u8) -> __m512i {
    let count = _mm_cvtsi32_si128(from.abs_diff(to) as i32);
    let moved = if from >= to { _mm512_srl_epi16(x, count) } else { _mm512_sll_epi16(x, count) };
    _mm512_and_si512(moved, _mm512_set1_epi8((mask << to) as i8))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn table(table: &[u8; 16]) -> __m512i {
    // SAFETY: sixteen bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// The eight steps of a unit, or four of them.
macro_rules! steps {
    ($call:ident, $($step:literal)*) => {
        $($call!($step);)*
    };
}

/// See [`super::unpack::read_values`].
unsafe fn read_values(values: Values, slab: &[u8], columns: usize, out: *mut u8) {
    // SAFETY: passed on.
    unsafe { read_less(values, slab, columns, out, (0, Asks::Behind)) }
}

/// The same less `offset`, by a tier that asks for what comes while it multiplies; meanwhile a line a unit from `ahead` on.
///
/// # Safety
/// As [`super::unpack::read_values`].
pub unsafe fn read_signed(
    values: Values,
    slab: &[u8],
    columns: usize,
    out: *mut u8,
    (offset, ahead): (u8, Option<*const u8>),
) {
    let asks = ahead.map_or(Asks::Nothing, Asks::Line);
    // SAFETY: passed on.
    unsafe { read_less(values, slab, columns, out, (offset, asks)) }
}

/// What memory is asked for while a unit is opened.
#[derive(Clone, Copy)]
enum Asks {
    Nothing,
    /// The unit that lies [`AHEAD_BYTES`] behind it.
    Behind,
    /// A line from here on, for the second cache.
    Line(*const u8),
}

/// `how`: the offset, and what to ask memory for.
unsafe fn read_less(values: Values, slab: &[u8], columns: usize, out: *mut u8, how: (u8, Asks)) {
    let (input, units) = (slab.as_ptr(), columns / UNIT_COLUMNS);
    // SAFETY: the caller vouches for the output; the slab holds all units.
    unsafe {
        match values {
            Values::Bits2 => open::<Bits2>(input, units, out, how),
            Values::Bits3 => open::<Bits3>(input, units, out, how),
            Values::Bits4 => open::<Bits4>(input, units, out, how),
            Values::Bits5 => open::<Bits5>(input, units, out, how),
            Values::Bits6 => open::<Bits6>(input, units, out, how),
            Values::Bits8 => open::<Bits8>(input, units, out, how),
            Values::E2m1 => open::<E2m1>(input, units, out, how),
            Values::Iq4 => open::<Iq4>(input, units, out, how),
            Values::Lattice(kind) => with_lattice!(kind, open(input, units, out, how)),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn open<V: Codes>(input: *const u8, units: usize, out: *mut u8, (offset, asks): (u8, Asks)) {
    let offset = _mm512_set1_epi8(offset as i8);
    for unit in 0..units {
        // SAFETY: the caller vouches for both ranges; fetching ahead touches nothing.
        unsafe {
            let (input, out) = (input.add(unit * V::BYTES), out.add(unit * 512));
            match asks {
                Asks::Nothing => {}
                Asks::Behind => (0..V::BYTES.div_ceil(64))
                    .for_each(|i| _mm_prefetch::<_MM_HINT_T0>(input.wrapping_add(AHEAD_BYTES + i * 64).cast())),
                Asks::Line(ahead) => _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(unit * 64).cast()),
            }
            let (lower, upper) = (V::half::<true>(input), V::half::<false>(input));
            macro_rules! keep {
                ($step:literal) => {
                    let half = if $step < 4 { lower } else { upper };
                    let codes = _mm512_sub_epi8(V::step::<$step, _>(input, half), offset);
                    _mm512_storeu_si512(out.add($step * 64).cast(), codes)
                };
            }
            steps!(keep, 0 1 2 3 4 5 6 7);
        }
    }
}

/// The body once for each row with a constant index: a loop that the compiler leaves rolled would put all accumulators
/// into memory.
macro_rules! each_row {
    ($rows:ident, $i:ident, $body:block) => {
        each_row!(@ $rows, $i, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $rows:ident, $i:ident, $body:block, $($index:literal)*) => {
        $(if $index < $rows {
            const $i: usize = $index;
            $body
        })*
    };
}
use each_row;

/// See [`super::tile::tile`]. `ASKS`: see [`few`].
pub unsafe fn tile<const ASKS: bool>(tile: &Tile) {
    // SAFETY: passed on.
    unsafe {
        match (tile.stored, tile.group) {
            (Stored::Packed(values), _) if tile.count <= few::ROWS => few::tile_few::<ASKS>(tile, values),
            (Stored::Open, 16) => tile_panels::<Open, true, false>(tile),
            (Stored::Packed(Values::Bits2), 16) => tile_panels::<Bits2, true, false>(tile),
            (Stored::Packed(Values::Bits3), 16) => tile_panels::<Bits3, true, false>(tile),
            (Stored::Packed(Values::Bits6), 16) => tile_panels::<Bits6, true, false>(tile),
            (Stored::Packed(Values::E2m1), 16) => tile_panels::<E2m1, true, false>(tile),
            (Stored::Packed(values), 16) => unreachable!("{values:?} in groups of 16 are none, or of few rows"),
            (Stored::Open, _) => tile_panels::<Open, false, false>(tile),
            (Stored::Packed(Values::Bits2), _) => tile_panels::<Bits2, false, false>(tile),
            (Stored::Packed(Values::Bits3), _) => tile_panels::<Bits3, false, false>(tile),
            (Stored::Packed(Values::Bits4), _) => tile_panels::<Bits4, false, false>(tile),
            (Stored::Packed(Values::Bits5), _) => tile_panels::<Bits5, false, false>(tile),
            (Stored::Packed(Values::Bits6), _) => tile_panels::<Bits6, false, false>(tile),
            (Stored::Packed(Values::Bits8), _) => tile_panels::<Bits8, false, false>(tile),
            (Stored::Packed(Values::E2m1), _) => tile_panels::<E2m1, false, false>(tile),
            (Stored::Packed(Values::Iq4), _) => tile_panels::<Iq4, false, false>(tile),
            (Stored::Packed(Values::Lattice(kind)), _) => unreachable!("{kind:?} is packed for few rows alone"),
        }
    }
}

/// As [`tile`], of packed values whose scales and minimums are integers: those of the tile are, as the floats' bits and
/// as floats. See [`super::amx`], whose order of operations this has.
pub unsafe fn tile_whole(tile: &Tile, values: Values) {
    // SAFETY: passed on.
    unsafe {
        match values {
            Values::Bits2 => tile_panels::<Bits2, true, true>(tile),
            Values::Bits3 => tile_panels::<Bits3, true, true>(tile),
            Values::Bits4 => tile_panels::<Bits4, false, true>(tile),
            Values::Bits5 => tile_panels::<Bits5, false, true>(tile),
            Values::Bits6 => tile_panels::<Bits6, true, true>(tile),
            Values::Iq4 => tile_panels::<Iq4, false, true>(tile),
            values => unreachable!("{values:?} have no scales that are integers"),
        }
    }
}

/// Few rows read packed values, fewer of lattices, whose points are worth looking up once for more.
pub fn reads_packed(layout: &Layout, rows: usize) -> bool {
    rows <= if matches!(layout.values, Values::Lattice(_)) { few::ROWS } else { FEW_ROWS }
}

/// Few rows read scales from the headers of packed values.
pub fn reads_headers(_: &Layout, stored: Stored, count: usize) -> bool {
    stored != Stored::Open && count <= few::ROWS
}

/// Four rows of many at a time, against three panels.
fn direct_rows(stored: Stored, panels: usize, count: usize) -> usize {
    if stored == Stored::Open && panels == many::PANELS { count / many::ROWS * many::ROWS } else { 0 }
}

/// Four rows after the other, or what is left, against all panels at once: more products for each byte of activations.
/// `HALVES`: a group is half a unit. `WHOLE`: see [`tile_whole`].
unsafe fn tile_panels<V: Codes, const HALVES: bool, const WHOLE: bool>(tile: &Tile) {
    // The next slab comes from memory while this one is multiplied: each four rows ask for their share of it.
    let lines = if V::FETCHES { 0 } else { tile.ahead_bytes.div_ceil(64) };
    let share = lines.div_ceil(tile.count.div_ceil(4));
    let many = (V::PLAIN && tile.panels == many::PANELS).then(|| many::slab_of(tile));
    for first in (0..tile.count).step_by(4) {
        for line in first / 4 * share..lines.min((first / 4 + 1) * share) {
            // SAFETY: a hint; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(tile.ahead.wrapping_add(line * 64).cast()) };
        }
        if let Some(slab) = many.filter(|_| tile.count - first >= many::ROWS) {
            // SAFETY: four rows and three panels of open values.
            unsafe { slab(tile, first) };
            continue;
        }
        // SAFETY: passed on; the rows are below the count.
        unsafe {
            match (tile.panels, tile.count - first) {
                (2, 1) => tile_of::<V, HALVES, WHOLE, 1, 2>(tile, first),
                (2, 2) => tile_of::<V, HALVES, WHOLE, 2, 2>(tile, first),
                (2, 3) => tile_of::<V, HALVES, WHOLE, 3, 2>(tile, first),
                (2, _) => tile_of::<V, HALVES, WHOLE, 4, 2>(tile, first),
                (_, 1) => tile_of::<V, HALVES, WHOLE, 1, 3>(tile, first),
                (_, 2) => tile_of::<V, HALVES, WHOLE, 2, 3>(tile, first),
                (_, 3) => tile_of::<V, HALVES, WHOLE, 3, 3>(tile, first),
                (_, _) => tile_of::<V, HALVES, WHOLE, 4, 3>(tile, first),
            }
        }
    }
}

/// `ROWS` rows from `first` on against `PANELS` panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_of<V: Codes, const HALVES: bool, const WHOLE: bool, const ROWS: usize, const PANELS: usize>(
    tile: &Tile,
    first: usize,
) {
    // SAFETY: the pointers advance over exactly the groups and units that the fields describe.
    unsafe {
        let rows: [*const u8; ROWS] = std::array::from_fn(|i| tile.rows.add(first + i).read());
        let mut sums = if tile.biased && !WHOLE { biases(tile, &rows) } else { [[_mm512_setzero_ps(); PANELS]; ROWS] };
        let (mut at, mut values_at) = (Place { values: tile.values, ahead: tile.ahead, second: false }, tile.values_at);
        let (mut scales, mut sums_at) = (tile.scales, tile.sums_at);
        // A shift by all bits leaves nothing: formats with a bias have no offset.
        let shift = _mm_cvtsi32_si128(if tile.biased { 32 } else { tile.offset_shift as i32 });
        let mut group = 0;
        while group < tile.groups {
            let mut dots = offsets(&rows, sums_at, shift);
            macro_rules! half {
                ($lower:literal) => {
                    let units = at.units(tile.stride);
                    half_unit::<V, _, ROWS, PANELS, $lower, true>(&rows, &units, at, tile.stride, values_at, &mut dots)
                };
            }
            half!(true);
            if HALVES {
                scale::<WHOLE, ROWS, PANELS>(load_floats(scales), &dots, &mut sums);
                (scales, sums_at, group) = (scales.add(PANELS * PANEL_ROWS), sums_at + 4, group + 1);
                dots = offsets(&rows, sums_at, shift);
            }
            half!(false);
            (at, values_at) = (at.next::<V, PANELS>(), values_at + UNIT_COLUMNS);
            for _ in 1..tile.group / UNIT_COLUMNS {
                half!(true);
                half!(false);
                (at, values_at) = (at.next::<V, PANELS>(), values_at + UNIT_COLUMNS);
            }
            scale::<WHOLE, ROWS, PANELS>(load_floats(scales), &dots, &mut sums);
            (scales, sums_at, group) = (scales.add(PANELS * PANEL_ROWS), sums_at + 4, group + 1);
        }
        if V::FETCHES {
            // The headers' share.
            let asked = (at.ahead as usize).wrapping_sub(tile.ahead as usize);
            for line in 0..(PANELS * tile.stride).saturating_sub(asked) / 64 {
                _mm_prefetch::<_MM_HINT_T0>(at.ahead.wrapping_add(line * 64).cast());
            }
        }
        if WHOLE {
            let minimums = if tile.biased { biases(tile, &rows) } else { [[_mm512_setzero_ps(); PANELS]; ROWS] };
            for p in 0..PANELS {
                let header = tile.header.add(p * tile.stride);
                let factor = scales::half(header, 0);
                let least = if tile.biased { scales::half(header, 1) } else { _mm512_setzero_ps() };
                each_row!(ROWS, I, {
                    let sum = _mm512_mul_ps(minimums[I][p], least);
                    let integers = _mm512_cvtepi32_ps(_mm512_castps_si512(sums[I][p]));
                    sums[I][p] = _mm512_fmadd_ps(integers, factor, sum);
                });
            }
        }
        each_row!(ROWS, I, {
            let scale = _mm512_castsi512_ps(broadcast(rows[I].add(tile.scale_at)));
            for p in 0..PANELS {
                let total = tile.totals.add(((first + I) * PANELS + p) * PANEL_ROWS);
                _mm512_storeu_ps(total, _mm512_fmadd_ps(sums[I][p], scale, _mm512_loadu_ps(total)));
            }
        });
    }
}

/// The part of the sums that the biases make.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn biases<const ROWS: usize, const PANELS: usize>(
    tile: &Tile,
    rows: &[*const u8; ROWS],
) -> [[__m512; PANELS]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); PANELS]; ROWS];
    for group in 0..tile.groups {
        // SAFETY: groups, rows and panels are those of the fields.
        unsafe {
            let bias: [__m512; PANELS] = load_floats(tile.biases.add(group * PANELS * PANEL_ROWS));
            each_row!(ROWS, I, {
                let negated = _mm512_cvtepi32_ps(broadcast(rows[I].add(tile.sums_at + group * 4)));
                for p in 0..PANELS {
                    sums[I][p] = _mm512_fnmadd_ps(bias[p], negated, sums[I][p]);
                }
            });
        }
    }
    sums
}

/// What the integers of a group start from.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn offsets<const ROWS: usize, const PANELS: usize>(
    rows: &[*const u8; ROWS],
    sums_at: usize,
    shift: __m128i,
) -> [[__m512i; PANELS]; ROWS] {
    let mut dots = [[_mm512_setzero_si512(); PANELS]; ROWS];
    each_row!(ROWS, I, {
        // SAFETY: the caller vouches for the sums of each row.
        dots[I] = [_mm512_sll_epi32(unsafe { broadcast(rows[I].add(sums_at)) }, shift); PANELS];
    });
    dots
}

/// The floats of all panels.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_floats<const PANELS: usize>(floats: *const f32) -> [__m512; PANELS] {
    // SAFETY: passed on.
    std::array::from_fn(|p| unsafe { _mm512_loadu_ps(floats.add(p * PANEL_ROWS)) })
}

/// Add a group's integers times their scales to the sums. `WHOLE`: scales and sums are integers, in the floats' bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn scale<const WHOLE: bool, const ROWS: usize, const PANELS: usize>(
    scales: [__m512; PANELS],
    dots: &[[__m512i; PANELS]; ROWS],
    sums: &mut [[__m512; PANELS]; ROWS],
) {
    for (p, scale) in scales.into_iter().enumerate() {
        each_row!(ROWS, I, {
            sums[I][p] = match WHOLE {
                true => {
                    let scaled = _mm512_mullo_epi32(dots[I][p], _mm512_castps_si512(scale));
                    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sums[I][p]), scaled))
                }
                false => _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[I][p]), scale, sums[I][p]),
            };
        });
    }
}

/// Where a tile reads, and what it asks memory for meanwhile.
#[derive(Clone, Copy)]
struct Place {
    values: *const u8,
    ahead: *const u8,
    /// Whether what it asks for is to come to the second cache, which waits for more lines at a time than the first.
    second: bool,
}

impl Place {
    fn next<V: Codes, const PANELS: usize>(self) -> Place {
        let ahead = self.ahead.wrapping_add(V::BYTES * PANELS);
        Place { values: self.values.wrapping_add(V::BYTES), ahead, ..self }
    }

    /// The unit of each panel.
    fn units<const PANELS: usize>(self, stride: usize) -> [*const u8; PANELS] {
        std::array::from_fn(|p| self.values.wrapping_add(p * stride))
    }
}

/// Four bytes in all lanes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(at: *const u8) -> __m512i {
    // SAFETY: passed on.
    _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// Ask for one of the lines of a unit. Where every step has one, compilers gather them, and several at once hold up the
/// loads behind them: there they stay where they are.
#[inline(always)]
fn ask<V: Codes>(line: *const u8, second: bool) {
    // SAFETY: a hint; any address will do.
    unsafe {
        match V::BYTES / 64 {
            _ if second => {
                std::arch::asm!("prefetcht1 byte ptr [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
            }
            8 => std::arch::asm!("prefetcht0 byte ptr [{}]", in(reg) line, options(nostack, preserves_flags, readonly)),
            _ => _mm_prefetch::<_MM_HINT_T0>(line.cast()),
        }
    }
}

/// The lower or upper 16 columns of a unit of all rows and panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn half_unit<V: Codes, U: Unit, const ROWS: usize, const PANELS: usize, const LOWER: bool, const ASKS: bool>(
    rows: &[*const u8; ROWS],
    units: &[U; PANELS],
    at: Place,
    stride: usize,
    values_at: usize,
    dots: &mut [[__m512i; PANELS]; ROWS],
) {
    // SAFETY: the caller has a unit of all panels here.
    let mut halves = [unsafe { V::half::<LOWER>(at.values) }; PANELS];
    for (p, half) in halves.iter_mut().enumerate().skip(1) {
        // SAFETY: as above.
        *half = unsafe { V::half::<LOWER>(at.values.add(p * stride)) };
    }
    macro_rules! step {
        ($step:literal) => {
            let mut w = [_mm512_setzero_si512(); PANELS];
            for (p, w) in w.iter_mut().enumerate() {
                // SAFETY: the caller has a unit of all panels here; fetching ahead touches nothing.
                unsafe {
                    *w = V::step::<$step, U>(units[p], halves[p]);
                    if V::FETCHES && ASKS && $step < V::BYTES.div_ceil(64) {
                        ask::<V>(at.ahead.wrapping_add(($step * PANELS + p) * 64), at.second);
                    }
                }
            }
            each_row!(ROWS, I, {
                // SAFETY: the caller has a unit of columns of each row here.
                let x = unsafe { broadcast(rows[I].add(values_at + $step * 4)) };
                for p in 0..PANELS {
                    dots[I][p] = _mm512_dpbusd_epi32(dots[I][p], w[p], x);
                }
            });
        };
    }
    if LOWER {
        steps!(step, 0 1 2 3);
    } else {
        steps!(step, 4 5 6 7);
    }
}

/// See [`super::tile::float_tile`].
unsafe fn float_tile(tile: &FloatTile) {
    // SAFETY: passed on; missing rows repeat the last one and are not stored.
    unsafe {
        match tile.panels {
            1 => float_tile_of::<1>(tile),
            2 => float_tile_of::<2>(tile),
            _ => float_tile_of::<3>(tile),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn float_tile_of<const PANELS: usize>(tile: &FloatTile) {
    let rows: [*const f32; FLOAT_ROWS] = std::array::from_fn(|i| tile.rows[i.min(tile.count - 1)]);
    // SAFETY: columns, rows and panels stay below the bounds of the fields.
    unsafe {
        let mut totals: [[__m512; PANELS]; FLOAT_ROWS] = std::array::from_fn(|i| {
            std::array::from_fn(|p| _mm512_loadu_ps(tile.totals.add((i.min(tile.count - 1) * PANELS + p) * PANEL_ROWS)))
        });
        for column in 0..tile.columns {
            let w: [__m512; PANELS] =
                std::array::from_fn(|p| _mm512_loadu_ps(tile.weights.add((column * PANELS + p) * PANEL_ROWS)));
            each_row!(FLOAT_ROWS, I, {
                let x = _mm512_set1_ps(rows[I].add(column).read());
                for p in 0..PANELS {
                    totals[I][p] = _mm512_fmadd_ps(x, w[p], totals[I][p]);
                }
            });
        }
        for (i, totals) in totals.iter().enumerate().take(tile.count) {
            for (p, total) in totals.iter().enumerate() {
                _mm512_storeu_ps(tile.totals.add((i * PANELS + p) * PANEL_ROWS), *total);
            }
        }
    }
}
