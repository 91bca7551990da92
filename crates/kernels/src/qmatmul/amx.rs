//! AMX: many rows against open values, sixteen rows x sixteen output features x a whole group in one product of tiles.
//!
//! An open slab is what tiles want as their second operand: 16 output features x 4 columns in each 64 bytes. So a panel's
//! group is a tile as it lies there, rows of activations are the other one, and the integers of a group go through the
//! first-level cache to the vector units, which scale and sum them as on any tier: the bits are the same. Offsets are
//! taken from the values when these are opened. Few rows go the way of [`super::avx512`].
//! Read next: [`super::tile`], whose bits these functions reproduce, and [`crate::amx`].

use super::avx512;
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS};
use super::tile::{Kernels, Stored, Tile};
use crate::amx::{self, ROWS, Sizes};
use std::arch::asm;
use std::arch::x86_64::*;

/// This tier.
pub const KERNELS: Kernels = Kernels { tile, direct_rows, opens_signed: true, ..avx512::KERNELS };

/// All rows against open values.
fn direct_rows(stored: Stored, _: usize, count: usize) -> usize {
    if stored == Stored::Open { count } else { 0 }
}

/// See [`super::tile::tile`].
unsafe fn tile(tile: &Tile) {
    // SAFETY: passed on.
    unsafe {
        match (tile.stored, tile.group, tile.biased) {
            (Stored::Packed(_), ..) => (avx512::KERNELS.tile)(tile),
            (Stored::Open, 16, false) => open::<16, false>(tile),
            (Stored::Open, 16, true) => open::<16, true>(tile),
            (Stored::Open, 32, false) => open::<32, false>(tile),
            (Stored::Open, 32, true) => open::<32, true>(tile),
            (Stored::Open, 64, _) => open::<64, true>(tile),
            (Stored::Open, 128, _) => open::<128, true>(tile),
            (Stored::Open, group, _) => unreachable!("no format has groups of {group}"),
        }
    }
}

/// Bytes from one row of gathered activations to the next.
const GATHERED_STRIDE: usize = SLAB_COLUMNS + 64;
/// Groups of a slab at most.
const GROUPS: usize = SLAB_COLUMNS / 16;
/// Integers of a product of tiles.
const INTEGERS: usize = ROWS * PANEL_ROWS;

/// What a block of rows needs beside its rows.
#[repr(C, align(64))]
struct Block {
    /// Products of tiles on their way to the vector units, in turns.
    integers: [[i32; INTEGERS]; 2],
    /// Activations of rows that lie apart.
    gathered: [u8; ROWS * GATHERED_STRIDE],
    /// Negated sums of activations. `[rows, groups]`
    sums: [[f32; GROUPS]; ROWS],
}

/// All rows, sixteen at a time, against all panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn open<const GROUP: usize, const BIASED: bool>(tile: &Tile) {
    const {
        assert!(GROUP == 16 || GROUP == 32 || GROUP == 64 || GROUP == 128);
    }
    let depth = if GROUP < 64 { GROUP } else { 64 };
    let (rows, weights) = ((16, depth as u16), (depth as u8 / 4, 64));
    let sizes = Sizes::new([(16, 64), (16, 64), rows, rows, weights, weights, rows, weights]);
    let lines = tile.ahead_bytes.div_ceil(64);
    let share = lines.div_ceil(tile.count.div_ceil(ROWS));
    let mut block = std::mem::MaybeUninit::<Block>::uninit();
    // SAFETY: this tier has tiles; rows, groups and panels are those of the fields.
    unsafe {
        amx::configure(&sizes);
        for first in (0..tile.count).step_by(ROWS) {
            for line in first / ROWS * share..lines.min((first / ROWS + 1) * share) {
                _mm_prefetch::<_MM_HINT_T0>(tile.ahead.wrapping_add(line * 64).cast());
            }
            let block = block.as_mut_ptr();
            let records: [*const u8; ROWS] =
                std::array::from_fn(|row| tile.rows.add((first + row).min(tile.count - 1)).read());
            let activations = activations(tile, &records, block);
            if BIASED {
                float_sums(tile, &records, block);
            }
            for panel in 0..tile.panels {
                let sums = panel_sums::<GROUP, BIASED>(tile, panel, activations, block);
                add(tile, first, panel, &records, &sums);
            }
        }
        amx::release();
    }
}

/// Where the rows of a block begin, and their distance: as they lie where that is even, else copied side by side.
#[inline(always)]
unsafe fn activations(tile: &Tile, records: &[*const u8; ROWS], block: *mut Block) -> (*const u8, usize) {
    let stride = (records[1] as usize).wrapping_sub(records[0] as usize);
    let even = (1..ROWS).all(|row| (records[row] as usize).wrapping_sub(records[row - 1] as usize) == stride);
    // SAFETY: a slab of each row is there, padded to 256 columns.
    unsafe {
        if even {
            return (records[0].add(tile.values_at), stride);
        }
        let gathered = (&raw mut (*block).gathered).cast::<u8>();
        for (row, record) in records.iter().enumerate() {
            gathered.add(row * GATHERED_STRIDE).copy_from_nonoverlapping(record.add(tile.values_at), SLAB_COLUMNS);
        }
        (gathered, GATHERED_STRIDE)
    }
}

/// The activations' negated sums as floats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn float_sums(tile: &Tile, records: &[*const u8; ROWS], block: *mut Block) {
    let mask = ((1u32 << tile.groups) - 1) as u16;
    for (row, record) in records.iter().enumerate() {
        // SAFETY: a sum of each group; what is written has room for the most.
        unsafe {
            let sums = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, record.add(tile.sums_at).cast()));
            _mm512_store_ps((&raw mut (*block).sums[row]).cast(), sums);
        }
    }
}

/// The body once for each row with a constant index, so that sums stay in registers.
macro_rules! each_row {
    ($i:ident, $body:block) => {
        each_row!(@ $i, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $i:ident, $body:block, $($index:literal)*) => {
        $({
            const $i: usize = $index;
            $body
        })*
    };
}

/// Sixteen rows against one panel, before the activations' scale.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn panel_sums<const GROUP: usize, const BIASED: bool>(
    tile: &Tile,
    panel: usize,
    (rows, stride): (*const u8, usize),
    block: *mut Block,
) -> [__m512; ROWS] {
    let mut sums = [_mm512_setzero_ps(); ROWS];
    // SAFETY: groups and panels are those of the fields.
    unsafe {
        let values = tile.values.add(panel * tile.stride);
        let integers = |group: usize| (&raw mut (*block).integers[group % 2]).cast::<i32>();
        let of_panel =
            |floats: *const f32, group: usize| _mm512_loadu_ps(floats.add((group * tile.panels + panel) * PANEL_ROWS));
        product::<GROUP, BIASED>(rows, stride, values, integers(0));
        if BIASED {
            for group in 0..tile.groups {
                let bias = of_panel(tile.biases, group);
                each_row!(I, {
                    let negated = _mm512_set1_ps((*block).sums[I][group]);
                    sums[I] = _mm512_fnmadd_ps(bias, negated, sums[I]);
                });
            }
        }
        for group in 0..tile.groups {
            if group + 1 < tile.groups {
                let (rows, values) = (rows.add((group + 1) * GROUP), values.add((group + 1) * GROUP * PANEL_ROWS));
                product::<GROUP, BIASED>(rows, stride, values, integers(group + 1));
            }
            let (scale, integers) = (of_panel(tile.scales, group), integers(group));
            each_row!(I, {
                let integers = _mm512_cvtepi32_ps(_mm512_load_si512(integers.add(I * PANEL_ROWS).cast()));
                sums[I] = _mm512_fmadd_ps(integers, scale, sums[I]);
            });
        }
    }
    sums
}

/// The integers of a group of sixteen rows and one panel. `UNSIGNED`: what the values are.
#[inline(always)]
unsafe fn product<const GROUP: usize, const UNSIGNED: bool>(
    rows: *const u8,
    stride: usize,
    values: *const u8,
    integers: *mut i32,
) {
    macro_rules! tiles {
        ($first:literal, $product:literal, $more:literal) => {
            asm!(
                concat!("tileloadd tmm4, [{values} + {line}]\n", "tileloadd tmm2, [{rows} + {stride}]\n", $first),
                concat!($product, " tmm0, tmm2, tmm4\n", $more),
                "tilestored [{integers} + {line}], tmm0",
                rows = in(reg) rows, stride = in(reg) stride, values = in(reg) values, integers = in(reg) integers,
                line = in(reg) 64usize, out("tmm0") _, out("tmm2") _, out("tmm4") _,
                options(nostack, preserves_flags)
            )
        };
    }
    // SAFETY: the caller has a group of sixteen rows and of a panel, and room for the integers.
    unsafe {
        match (GROUP, UNSIGNED) {
            (128, _) => tiles!(
                "tilezero tmm0",
                "tdpbsud",
                "tileloadd tmm4, [{values} + {line} + 1024]\ntileloadd tmm2, [{rows} + {stride} + 64]\ntdpbsud tmm0, tmm2, tmm4"
            ),
            (_, true) => tiles!("tilezero tmm0", "tdpbsud", ""),
            (_, false) => tiles!("tilezero tmm0", "tdpbssd", ""),
        }
    }
}

/// Sums times the activations' scale onto the totals of a panel.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn add(tile: &Tile, first: usize, panel: usize, records: &[*const u8; ROWS], sums: &[__m512; ROWS]) {
    let count = ROWS.min(tile.count - first);
    for row in 0..count {
        // SAFETY: totals and outputs of all rows are there, and the scale of the slab.
        unsafe {
            let totals = tile.totals.add(((first + row) * tile.panels + panel) * PANEL_ROWS);
            let before = if tile.fresh { _mm512_setzero_ps() } else { _mm512_loadu_ps(totals) };
            let scale = _mm512_set1_ps(records[row].add(tile.scale_at).cast::<f32>().read());
            let to = match tile.outputs.is_null() {
                true => totals,
                false => tile.outputs.add(first + row).read().add(panel * PANEL_ROWS),
            };
            _mm512_storeu_ps(to, _mm512_fmadd_ps(sums[row], scale, before));
        }
    }
}
