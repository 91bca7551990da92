//! AMX: many rows against open values, sixteen rows x sixteen output features x a whole group in one product of tiles.
//!
//! An open slab is what tiles want as their second operand: 16 output features x 4 columns in each 64 bytes. So a panel's
//! group is a tile as it lies there, rows of activations are the other one, and the integers of a group go through the
//! first-level cache to the vector units, which scale and sum them as on any tier: the bits are the same. Offsets are
//! taken from the values when these are opened.
//!
//! Work is a row of steps, one for each group of each panel of each block of sixteen rows. A step multiplies its tiles,
//! sends the integers of the step before to the cache, and scales those of the one before that, which have arrived: a
//! product that is waited for costs twice as much. A few rows go the way of [`super::avx512`].
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
            (Stored::Packed(_), ..) => avx512::tile::<true>(tile),
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

/// Groups of a slab at most.
const GROUPS: usize = SLAB_COLUMNS / 16;
/// Integers of a product of tiles.
const INTEGERS: usize = ROWS * PANEL_ROWS;
/// Tiles that take products in turns.
const TURNS: usize = 4;

/// Sixteen rows, of which those beyond the last repeat it.
#[repr(C, align(64))]
struct Block {
    /// Negated sums of activations. `[rows, groups]`
    sums: [[f32; GROUPS]; ROWS],
    /// Lines of rows that lie apart, side by side. `[columns / 64, rows, 64]`
    gathered: [u8; ROWS * SLAB_COLUMNS],
    /// Where such lines are: there, or as they came.
    activations: *const u8,
    /// The activations' scales in this slab.
    scales: [f32; ROWS],
}

/// What lies between the tiles and the vector units.
#[repr(C, align(64))]
struct Between {
    integers: [[i32; INTEGERS]; TURNS],
    /// The block that is multiplied, and the one that may still be scaled.
    blocks: [Block; 2],
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

/// All rows against all panels of a slab.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn open<const GROUP: usize, const BIASED: bool>(tile: &Tile) {
    let depth = const { if GROUP < 64 { GROUP } else { 64 } };
    let (integers, rows, weights) = ((16, 64), (16, depth as u16), (depth as u8 / 4, 64));
    let sizes = Sizes::new([integers, integers, integers, integers, rows, rows, weights, weights]);
    let mut between = std::mem::MaybeUninit::<Between>::uninit();
    let between = between.as_mut_ptr();
    let blocks = tile.count.div_ceil(ROWS);
    // SAFETY: this tier has tiles; blocks, panels and groups are those of the fields.
    unsafe {
        amx::configure(&sizes);
        let integers = |step: usize| (&raw mut (*between).integers[step % TURNS]).cast::<i32>();
        let block = |index: usize| &raw mut (*between).blocks[index % 2];
        fill::<BIASED>(tile, 0, block(0));
        let mut tiles =
            Tiles { block: block(0), index: 0, panel: 0, group: 0, left: blocks * tile.panels * tile.groups };
        tiles.step::<GROUP, BIASED>(tile, between, 0);
        tiles.step::<GROUP, BIASED>(tile, between, 1);
        let mut step = 0;
        for index in 0..blocks {
            if index + 1 < blocks {
                fill::<BIASED>(tile, index + 1, block(index + 1));
            }
            for panel in 0..tile.panels {
                let mut sums = [_mm512_setzero_ps(); ROWS];
                let mut bias_at = tile.biases.wrapping_add(panel * PANEL_ROWS);
                for group in 0..if BIASED { tile.groups } else { 0 } {
                    let bias = _mm512_loadu_ps(bias_at);
                    bias_at = bias_at.wrapping_add(tile.panels * PANEL_ROWS);
                    let negated = (&raw const (*block(index)).sums[0][group]).cast::<f32>();
                    each_row!(I, {
                        sums[I] = _mm512_fnmadd_ps(bias, _mm512_set1_ps(negated.add(I * GROUPS).read()), sums[I]);
                    });
                }
                let mut scale_at = tile.scales.add(panel * PANEL_ROWS);
                for _ in 0..tile.groups {
                    tiles.step::<GROUP, BIASED>(tile, between, step + 2);
                    let (scale, integers) = (_mm512_loadu_ps(scale_at), integers(step));
                    scale_at = scale_at.wrapping_add(tile.panels * PANEL_ROWS);
                    scale_integers(integers, scale, &mut sums);
                    step += 1;
                }
                // Onto the totals, times the activations' scale. Not a function: sums would go through memory.
                let first = index * ROWS;
                let count = ROWS.min(tile.count - first);
                each_row!(I, {
                    if count == ROWS || I < count {
                        let totals = tile.totals.add(((first + I) * tile.panels + panel) * PANEL_ROWS);
                        let before = if tile.fresh { _mm512_setzero_ps() } else { _mm512_loadu_ps(totals) };
                        let scale = _mm512_set1_ps((*block(index)).scales[I]);
                        _mm512_storeu_ps(place(tile, first + I, panel), _mm512_fmadd_ps(sums[I], scale, before));
                    }
                });
            }
        }
        amx::release();
    }
}

/// Where the tiles are: two steps ahead of the vector units.
struct Tiles {
    block: *const Block,
    index: usize,
    panel: usize,
    group: usize,
    /// Steps to come.
    left: usize,
}

impl Tiles {
    /// Multiply the tiles of this step, if there is one, and send the integers of the step before on their way.
    #[inline(always)]
    unsafe fn step<const GROUP: usize, const BIASED: bool>(&mut self, tile: &Tile, between: *mut Between, step: usize) {
        // SAFETY: passed on; the blocks are filled.
        unsafe {
            let before = (&raw mut (*between).integers[step.wrapping_sub(1) % TURNS]).cast::<i32>();
            if self.left == 0 {
                return store(step - 1, before);
            }
            self.left -= 1;
            let at = self.group * GROUP;
            let rows = (*self.block).activations.add(at / 64 * 64 * ROWS + at % 64);
            let values = tile.values.add(self.panel * tile.stride + self.group * GROUP * PANEL_ROWS);
            product::<GROUP, BIASED>(rows, values, step, before);
            self.group += 1;
            if self.group == tile.groups {
                (self.group, self.panel) = (0, self.panel + 1);
                if self.panel == tile.panels {
                    (self.panel, self.index) = (0, self.index + 1);
                    self.block = &raw const (*between).blocks[self.index % 2];
                }
            }
        }
    }
}

/// Bring the rows of a block side by side, unless they came so, and their sums and scales. Tiles could read rows where
/// they lie, but from the second cache they would wait for each line of each row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn fill<const BIASED: bool>(tile: &Tile, index: usize, block: *mut Block) {
    let first = index * ROWS;
    // The next slab comes from memory meanwhile: each block asks for its share of it.
    let lines = tile.ahead_bytes.div_ceil(64);
    let share = lines.div_ceil(tile.count.div_ceil(ROWS));
    for line in index * share..lines.min((index + 1) * share) {
        _mm_prefetch::<_MM_HINT_T0>(tile.ahead.wrapping_add(line * 64).cast());
    }
    // SAFETY: a slab of each row is there, padded to 256 columns, and a sum of each of its groups.
    unsafe {
        let record = |row: usize| tile.rows.add((first + row).min(tile.count - 1)).read();
        let own = tile.blocks.wrapping_add(index * tile.block_stride);
        if tile.blocks.is_null() {
            let gathered = (&raw mut (*block).gathered).cast::<u8>();
            (*block).activations = gathered;
            for row in 0..ROWS {
                let record = record(row);
                for line in 0..SLAB_COLUMNS / 64 {
                    let values = _mm512_loadu_si512(record.add(tile.values_at + line * 64).cast());
                    _mm512_store_si512(gathered.add((line * ROWS + row) * 64).cast(), values);
                }
                (*block).scales[row] = record.add(tile.scale_at).cast::<f32>().read();
            }
        } else {
            (*block).activations = own;
            (*block).scales = own.add(ROWS * SLAB_COLUMNS).cast::<[f32; ROWS]>().read();
        }
        for row in 0..if BIASED { ROWS } else { 0 } {
            let mask = ((1u32 << tile.groups) - 1) as u16;
            let sums = _mm512_maskz_loadu_epi32(mask, record(row).add(tile.sums_at).cast());
            _mm512_store_ps((&raw mut (*block).sums[row]).cast(), _mm512_cvtepi32_ps(sums));
        }
        // Outputs lie far apart and are written at the end of the block.
        let asked = if tile.outputs.is_null() { first } else { tile.count.min(first + ROWS) };
        for row in first..asked {
            for panel in 0..tile.panels {
                let to = place(tile, row, panel);
                asm!("prefetchw byte ptr [{to}]", to = in(reg) to, options(nostack, preserves_flags, readonly));
            }
        }
    }
}

/// Where the totals of a row and a panel go.
#[inline(always)]
unsafe fn place(tile: &Tile, row: usize, panel: usize) -> *mut f32 {
    // SAFETY: totals and outputs of all rows are there.
    unsafe {
        match tile.outputs.is_null() {
            true => tile.totals.add((row * tile.panels + panel) * PANEL_ROWS),
            false => tile.outputs.add(row).read().add(panel * PANEL_ROWS),
        }
    }
}

/// The integers of a group of sixteen rows and one panel, in the tile of this step; those of the step before go to
/// `integers`. `UNSIGNED`: what the values are.
#[inline(always)]
unsafe fn product<const GROUP: usize, const UNSIGNED: bool>(
    rows: *const u8,
    values: *const u8,
    step: usize,
    integers: *mut i32,
) {
    macro_rules! tiles {
        ($this:literal, $before:literal, $product:literal, $($more:expr),*) => {
            asm!(
                "tileloadd tmm6, [{values} + {line}]",
                "tileloadd tmm4, [{rows} + {line}]",
                concat!("tilezero ", $this),
                concat!($product, " ", $this, ", tmm4, tmm6"),
                $($more,)*
                concat!("tilestored [{integers} + {line}], ", $before),
                rows = in(reg) rows, values = in(reg) values, integers = in(reg) integers,
                line = in(reg) 64usize, out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _,
                out("tmm6") _, options(nostack, preserves_flags)
            )
        };
    }
    macro_rules! of {
        ($this:literal, $before:literal) => {
            match (GROUP, UNSIGNED) {
                (128, _) => tiles!(
                    $this,
                    $before,
                    "tdpbsud",
                    "tileloadd tmm6, [{values} + {line} + 1024]",
                    "tileloadd tmm4, [{rows} + {line} + 1024]",
                    concat!("tdpbsud ", $this, ", tmm4, tmm6")
                ),
                (_, true) => tiles!($this, $before, "tdpbsud",),
                (_, false) => tiles!($this, $before, "tdpbssd",),
            }
        };
    }
    // SAFETY: the caller has a group of sixteen rows and of a panel, and room for the integers.
    unsafe {
        match step % TURNS {
            0 => of!("tmm0", "tmm3"),
            1 => of!("tmm1", "tmm0"),
            2 => of!("tmm2", "tmm1"),
            _ => of!("tmm3", "tmm2"),
        }
    }
}

/// Add integers times scales to the sums: compilers would load all of them first, and spill.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scale_integers(integers: *const i32, scale: __m512, sums: &mut [__m512; ROWS]) {
    macro_rules! two {
        ($a:literal, $b:literal) => {
            // SAFETY: the caller has the integers of sixteen rows.
            unsafe {
                asm!(
                    concat!("vcvtdq2ps zmm30, zmmword ptr [{integers} + 64 * ", $a, "]"),
                    concat!("vcvtdq2ps zmm31, zmmword ptr [{integers} + 64 * ", $b, "]"),
                    "vfmadd231ps {x}, zmm30, {scale}",
                    "vfmadd231ps {y}, zmm31, {scale}",
                    integers = in(reg) integers, scale = in(zmm_reg) scale, x = inout(zmm_reg) sums[$a],
                    y = inout(zmm_reg) sums[$b], out("zmm30") _, out("zmm31") _,
                    options(nostack, preserves_flags, readonly)
                )
            }
        };
    }
    two!(0, 1);
    two!(2, 3);
    two!(4, 5);
    two!(6, 7);
    two!(8, 9);
    two!(10, 11);
    two!(12, 13);
    two!(14, 15);
}

/// The integers of the last step.
#[inline(always)]
unsafe fn store(step: usize, integers: *mut i32) {
    macro_rules! tile {
        ($tile:literal) => {
            asm!(concat!("tilestored [{integers} + {line}], ", $tile), integers = in(reg) integers,
                line = in(reg) 64usize, options(nostack, preserves_flags))
        };
    }
    // SAFETY: the caller has room for the integers.
    unsafe {
        match step % TURNS {
            0 => tile!("tmm0"),
            1 => tile!("tmm1"),
            2 => tile!("tmm2"),
            _ => tile!("tmm3"),
        }
    }
}
