//! Four rows of many against three open panels: a whole slab in assembly.
//!
//! A slab of a tile is 768 products, and of them and their scaling all 32 registers are full: twelve sums of integers
//! (`zmm0` to `zmm11`), twelve of floats (`zmm12` to `zmm23`), three of weights, the rest for activations. Compilers move
//! loads around and spill; written down, the products wait for nothing but the two ports that multiply.
//! Order of operations: [`super::super::tile`], as everywhere. Read next: [`super::tile_panels`], which calls this.

use super::super::sizes::PANEL_ROWS;
use super::super::tile::Tile;
use std::arch::x86_64::*;

/// Rows of a tile.
pub const ROWS: usize = 4;
/// Panels of a tile.
pub const PANELS: usize = 3;

/// Adds a slab of four rows from `first` on to the totals.
pub type Slab = unsafe fn(&Tile, usize);

/// The function for a tile's groups and offsets.
pub fn slab_of(tile: &Tile) -> Slab {
    match (tile.group, tile.biased, tile.offset_shift) {
        (16, true, _) => halves_biased,
        (16, false, 2) => halves::<2>,
        (16, false, 4) => halves::<4>,
        (16, false, 5) => halves::<5>,
        (16, false, 7) => halves::<7>,
        (32, true, _) => units_biased::<1>,
        (64, true, _) => units_biased::<2>,
        (128, true, _) => units_biased::<4>,
        (32, false, 3) => units::<3>,
        (32, false, 4) => units::<4>,
        (32, false, 7) => units::<7>,
        (group, biased, shift) => unreachable!("no format has groups of {group}, biased {biased}, offset 2^{shift}"),
    }
}

macro_rules! lines {
    ($($line:expr),* $(,)?) => { concat!($($line, "\n"),*) };
}

/// Once for each row: its operand, its three integers and its three floats.
macro_rules! each_row {
    ($what:ident $(, $more:literal)*) => {
        concat!(
            $what!("r0", "0", "1", "2", "12", "13", "14" $(, $more)*),
            $what!("r1", "3", "4", "5", "15", "16", "17" $(, $more)*),
            $what!("r2", "6", "7", "8", "18", "19", "20" $(, $more)*),
            $what!("r3", "9", "10", "11", "21", "22", "23" $(, $more)*),
        )
    };
}

/// Integers begin with the offset times the negated sum of the activations.
macro_rules! from_offsets {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        lines!(
            concat!("vpslld zmm", $a, ", dword ptr [{", $row, "} + {sums}]{{1to16}}, {shift}"),
            concat!("vmovdqa64 zmm", $b, ", zmm", $a),
            concat!("vmovdqa64 zmm", $c, ", zmm", $a),
        )
    };
}

macro_rules! zero {
    ($register:literal) => {
        concat!("vpxord zmm", $register, ", zmm", $register, ", zmm", $register, "\n")
    };
}

macro_rules! from_nothing {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        concat!(zero!($a), zero!($b), zero!($c))
    };
}

macro_rules! floats_from_nothing {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        concat!(zero!($x), zero!($y), zero!($z))
    };
}

/// `{biases}` is where the floats of the biases are.
macro_rules! floats_from_biases {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        lines!(
            concat!("vmovups zmm", $x, ", zmmword ptr [{biases} + 64 * ", $a, "]"),
            concat!("vmovups zmm", $y, ", zmmword ptr [{biases} + 64 * ", $b, "]"),
            concat!("vmovups zmm", $z, ", zmmword ptr [{biases} + 64 * ", $c, "]"),
        )
    };
}

/// Four columns of a row.
macro_rules! products {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal, $step:literal) => {
        lines!(
            concat!("vpbroadcastd zmm27, dword ptr [{", $row, "} + 4 * ", $step, "]"),
            concat!("vpdpbusd zmm", $a, ", zmm24, zmm27"),
            concat!("vpdpbusd zmm", $b, ", zmm25, zmm27"),
            concat!("vpdpbusd zmm", $c, ", zmm26, zmm27"),
        )
    };
}

/// Four columns of all rows and panels.
macro_rules! step {
    ($step:literal) => {
        concat!(
            lines!(
                concat!("vmovdqu64 zmm24, zmmword ptr [{values} + 64 * ", $step, "]"),
                concat!("vmovdqu64 zmm25, zmmword ptr [{values} + {stride} + 64 * ", $step, "]"),
                concat!("vmovdqu64 zmm26, zmmword ptr [{values} + 2 * {stride} + 64 * ", $step, "]"),
            ),
            each_row!(products, $step),
        )
    };
}

macro_rules! half_unit {
    () => {
        concat!(step!("0"), step!("1"), step!("2"), step!("3"), advance!("16", "4"))
    };
}

macro_rules! unit {
    () => {
        concat!(
            step!("0"),
            step!("1"),
            step!("2"),
            step!("3"),
            step!("4"),
            step!("5"),
            step!("6"),
            step!("7"),
            advance!("32", "8"),
        )
    };
}

/// Behind columns. `{sums}` counts from where the rows are, so it goes back as they go on.
macro_rules! advance {
    ($columns:literal, $steps:literal) => {
        lines!(
            concat!("add {values}, 64 * ", $steps),
            concat!("add {r0}, ", $columns),
            concat!("add {r1}, ", $columns),
            concat!("add {r2}, ", $columns),
            concat!("add {r3}, ", $columns),
            concat!("sub {sums}, ", $columns),
        )
    };
}

macro_rules! scaled {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        lines!(
            concat!("vcvtdq2ps zmm", $a, ", zmm", $a),
            concat!("vfmadd231ps zmm", $x, ", zmm", $a, ", zmm24"),
            concat!("vcvtdq2ps zmm", $b, ", zmm", $b),
            concat!("vfmadd231ps zmm", $y, ", zmm", $b, ", zmm25"),
            concat!("vcvtdq2ps zmm", $c, ", zmm", $c),
            concat!("vfmadd231ps zmm", $z, ", zmm", $c, ", zmm26"),
        )
    };
}

/// The end of a group: integers times scales, on to the next group.
macro_rules! scale {
    () => {
        concat!(
            lines!(
                "vmovups zmm24, zmmword ptr [{scales}]",
                "vmovups zmm25, zmmword ptr [{scales} + 64]",
                "vmovups zmm26, zmmword ptr [{scales} + 128]",
                "add {scales}, 192",
                "add {sums}, 4",
            ),
            each_row!(scaled),
            lines!("dec {groups}", "jnz 2b"),
        )
    };
}

/// Sums times the activations' scale, onto the totals. The registers that counted have done so, and hold what [`End`] says.
macro_rules! totals {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        lines!(
            concat!("vbroadcastss zmm24, dword ptr [{", $row, "} + {sums}]"),
            concat!("vfmadd213ps zmm", $x, ", zmm24, zmmword ptr [{values} + 64 * ", $a, "]"),
            concat!("vfmadd213ps zmm", $y, ", zmm24, zmmword ptr [{values} + 64 * ", $b, "]"),
            concat!("vfmadd213ps zmm", $z, ", zmm24, zmmword ptr [{values} + 64 * ", $c, "]"),
            "mov {groups}, qword ptr [{end}]",
            "add {end}, 8",
            concat!("vmovups zmmword ptr [{groups}], zmm", $x),
            concat!("vmovups zmmword ptr [{groups} + 64], zmm", $y),
            concat!("vmovups zmmword ptr [{groups} + 128], zmm", $z),
        )
    };
}

/// What the assembly reads at the end of a slab, in this order.
#[repr(C)]
struct End {
    /// What sums are added to. `[rows, panels, 16]`
    from: *const f32,
    /// Where the activations' scale is, from the end of their values.
    scale: usize,
    /// Where the totals of each row go.
    to: [*mut f32; ROWS],
}

impl End {
    #[inline(always)]
    unsafe fn new(tile: &Tile, first: usize) -> End {
        // SAFETY: the totals of four rows from `first` on, and their outputs where there are any.
        unsafe {
            let totals = tile.totals.add(first * TOTALS / ROWS);
            let to = |row: usize| match tile.outputs.is_null() {
                true => totals.add(row * TOTALS / ROWS),
                false => tile.outputs.add(first + row).read(),
            };
            let from = if tile.fresh { ZEROS.0.as_ptr() } else { totals.cast_const() };
            let scale = tile.scale_at.wrapping_sub(tile.values_at + tile.groups * tile.group);
            End { from, scale, to: [to(0), to(1), to(2), to(3)] }
        }
    }
}

/// Floats of a tile.
const TOTALS: usize = ROWS * PANELS * PANEL_ROWS;

#[repr(align(64))]
struct Zeros([f32; TOTALS]);
static ZEROS: Zeros = Zeros([0.0; TOTALS]);

/// The assembly of a whole slab: what floats begin with, what integers begin with, and the columns of a group.
macro_rules! slab {
    ($tile:ident, $first:ident, $floats:ident, $integers:ident, [$($columns:expr),*], $($operands:tt)*) => {{
        let rows: [*const u8; ROWS] = std::array::from_fn(|row| $tile.rows.add($first + row).read().add($tile.values_at));
        let end = End::new($tile, $first);
        std::arch::asm!(
            each_row!($floats),
            "2:",
            each_row!($integers),
            $($columns,)*
            scale!(),
            "mov {values}, qword ptr [{end}]",
            "mov {sums}, qword ptr [{end} + 8]",
            "add {end}, 16",
            each_row!(totals),
            r0 = inout(reg) rows[0] => _, r1 = inout(reg) rows[1] => _,
            r2 = inout(reg) rows[2] => _, r3 = inout(reg) rows[3] => _,
            values = inout(reg) $tile.values => _, stride = in(reg) $tile.stride,
            scales = inout(reg) $tile.scales => _, groups = inout(reg) $tile.groups => _,
            sums = inout(reg) $tile.sums_at.wrapping_sub($tile.values_at) => _,
            end = inout(reg) &raw const end => _, $($operands)*
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _, out("zmm6") _,
            out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _, out("zmm12") _,
            out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _,
            out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _,
            out("zmm25") _, out("zmm26") _, out("zmm27") _,
            options(nostack)
        );
    }};
}

/// Groups of 32 without biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn units<const SHIFT: i32>(tile: &Tile, first: usize) {
    // SAFETY: the caller has four rows and three panels of a slab; nothing is written but the totals.
    unsafe {
        ask_for_next(tile, first);
        slab!(tile, first, floats_from_nothing, from_offsets, [unit!()], shift = const SHIFT,)
    }
}

/// Groups of `COUNT` times 32 with biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn units_biased<const COUNT: i32>(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe {
        ask_for_next(tile, first);
        let biases = biases(tile, first);
        slab!(tile, first, floats_from_biases, from_nothing,
            ["mov {units:e}, {count}", "3:", unit!(), "dec {units:e}", "jnz 3b"],
            biases = in(reg) &biases, count = const COUNT, units = out(reg) _,)
    }
}

/// Groups of 16 without biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn halves<const SHIFT: i32>(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe { slab!(tile, first, floats_from_nothing, from_offsets, [half_unit!()], shift = const SHIFT,) }
}

/// Groups of 16 with biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn halves_biased(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe {
        ask_for_next(tile, first);
        let biases = biases(tile, first);
        slab!(tile, first, floats_from_biases, from_nothing, [half_unit!()], biases = in(reg) &biases,)
    }
}

/// The part of the sums that the biases make.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn biases(tile: &Tile, first: usize) -> [[__m512; PANELS]; ROWS] {
    // SAFETY: the rows exist.
    unsafe { super::biases(tile, 0, &std::array::from_fn(|row| tile.rows.add(first + row).read())) }
}

/// The next four rows wait in a farther cache.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn ask_for_next(tile: &Tile, first: usize) {
    for next in first + ROWS..tile.count.min(first + 2 * ROWS) {
        // SAFETY: the row is below the count; fetching ahead touches nothing.
        unsafe {
            let values = tile.rows.add(next).read().wrapping_add(tile.values_at);
            _mm_prefetch::<_MM_HINT_T0>(values.cast());
            _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(64).cast());
            _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(128).cast());
            _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(192).cast());
        }
    }
}
