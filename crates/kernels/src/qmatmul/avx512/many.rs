//! Four rows of many against three open panels: a whole slab in assembly.
//!
//! A slab of a tile is 768 products, and of them and their scaling all 32 registers are full: twelve sums of integers
//! (`zmm0` to `zmm11`), twelve of floats (`zmm12` to `zmm23`), three of weights, the rest for activations. Compilers move
//! loads around and spill; written down, the products wait for nothing but the two ports that multiply.
//! Order of operations: [`super::super::tile`], as everywhere. Read next: [`super::tile_panels`], which calls this.

use super::super::sizes::PANEL_ROWS;
use super::super::tile::Tile;

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

macro_rules! zero_floats {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        concat!(zero!($x), zero!($y), zero!($z))
    };
}

macro_rules! floats_from_nothing {
    () => {
        each_row!(zero_floats)
    };
}

/// A group's biases times the activations' sums, which are stored negated.
macro_rules! biased {
    ($row:literal, $a:literal, $b:literal, $c:literal, $x:literal, $y:literal, $z:literal) => {
        lines!(
            concat!("vcvtdq2ps zmm27, dword ptr [{", $row, "} + {sums}]{{1to16}}"),
            concat!("vfnmadd231ps zmm", $x, ", zmm24, zmm27"),
            concat!("vfnmadd231ps zmm", $y, ", zmm25, zmm27"),
            concat!("vfnmadd231ps zmm", $z, ", zmm26, zmm27"),
        )
    };
}

/// Floats begin with the biases of all groups, which are where `{ask}` points as yet.
macro_rules! floats_from_biases {
    () => {
        concat!(
            floats_from_nothing!(),
            lines!(
                "mov {next}, {groups}",
                "5:",
                "vmovups zmm24, zmmword ptr [{ask}]",
                "vmovups zmm25, zmmword ptr [{ask} + 64]",
                "vmovups zmm26, zmmword ptr [{ask} + 128]",
            ),
            each_row!(biased),
            lines!(
                "add {ask}, 192",
                "add {sums}, 4",
                "dec {next}",
                "jnz 5b",
                "lea {next}, [4 * {groups}]",
                "sub {sums}, {next}",
            ),
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

/// What the next four rows read and write, a row at a time in every quarter of a slab: all at once they would take the
/// places that loads and stores of this tile wait for. `$left` leaves zero where a quarter begins or ends.
macro_rules! ask {
    ($($left:literal),*) => {
        lines!(
            $($left,)*
            "jnz 4f",
            "mov {next}, qword ptr [{ask}]",
            "prefetcht0 byte ptr [{next}]",
            "prefetcht0 byte ptr [{next} + 64]",
            "prefetcht0 byte ptr [{next} + 128]",
            "prefetcht0 byte ptr [{next} + 192]",
            "mov {next}, qword ptr [{ask} + 8]",
            "prefetchw byte ptr [{next}]",
            "prefetchw byte ptr [{next} + 64]",
            "prefetchw byte ptr [{next} + 128]",
            "add {ask}, 16",
            "4:",
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
    /// What is asked for meanwhile: values and totals of the next rows.
    next: [(*const u8, *mut f32); ROWS],
}

impl End {
    #[inline(always)]
    unsafe fn new(tile: &Tile, first: usize) -> End {
        // Behind the last four rows there are none: these again.
        let next = if first + 2 * ROWS <= tile.count { first + ROWS } else { first };
        // SAFETY: the totals of four rows from `first` and from `next` on, and their outputs where there are any.
        unsafe {
            let to = |row: usize| match tile.outputs.is_null() {
                true => tile.totals.add(row * TOTALS / ROWS),
                false => tile.outputs.add(row).read(),
            };
            let from = if tile.fresh { ZEROS.0.as_ptr() } else { tile.totals.add(first * TOTALS / ROWS).cast_const() };
            let scale = tile.scale_at.wrapping_sub(tile.values_at + tile.groups * tile.group);
            let values = |row: usize| tile.rows.add(row).read().add(tile.values_at);
            End {
                from,
                scale,
                to: std::array::from_fn(|row| to(first + row)),
                next: std::array::from_fn(|row| (values(next + row), to(next + row))),
            }
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
            $floats!(),
            "lea {ask}, [{end} + {next_at}]",
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
            end = inout(reg) &raw const end => _, next = out(reg) _, next_at = const std::mem::offset_of!(End, next), $($operands)*
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
        slab!(tile, first, floats_from_nothing, from_offsets, [ask!("test {groups:e}, 1"), unit!()],
            ask = out(reg) _, shift = const SHIFT,)
    }
}

/// Groups of `COUNT` times 32 with biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn units_biased<const COUNT: i32>(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe {
        slab!(tile, first, floats_from_biases, from_nothing,
            ["mov {units:e}, {count}", "3:", ask!("lea {next:e}, [{groups} + {units}]", "test {next:e}, 1"), unit!(), "dec {units:e}", "jnz 3b"],
            ask = inout(reg) tile.biases => _, count = const COUNT, units = out(reg) _,)
    }
}

/// Groups of 16 without biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn halves<const SHIFT: i32>(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe {
        slab!(tile, first, floats_from_nothing, from_offsets, [ask!("test {groups:e}, 3"), half_unit!()],
            ask = out(reg) _, shift = const SHIFT,)
    }
}

/// Groups of 16 with biases.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn halves_biased(tile: &Tile, first: usize) {
    // SAFETY: as in `units`.
    unsafe {
        slab!(tile, first, floats_from_biases, from_nothing, [ask!("test {groups:e}, 3"), half_unit!()],
            ask = inout(reg) tile.biases => _,)
    }
}
