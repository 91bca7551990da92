//! NEON: `sdot` by lane, or `usdot` where the processor has i8mm. Through `asm!`, as stable Rust lacks both.
//!
//! `sdot` multiplies signed bytes, so 8-bit weights go in with the top bit flipped and 128 times the activation sum is
//! added back. Same bits as [`super::tile`].

use super::sizes::PANEL_ROWS;
use super::tile::{
    FloatTile, Kernels, Stored, Tile, float_tile as portable_float_tile, no_direct_rows, no_headers, nothing_packed,
};
use super::unpack;
use std::arch::aarch64::*;
use std::arch::asm;

/// The kernels for this processor.
pub fn kernels() -> Kernels {
    let tile = if std::arch::is_aarch64_feature_detected!("i8mm") { tile::<true> } else { tile::<false> };
    let (read_values, read_scales) = (unpack::read_values, unpack::read_scales);
    let (reads_packed, reads_headers, direct_rows) = (nothing_packed, no_headers, no_direct_rows);
    Kernels {
        reads_packed,
        bytes_are_open: false,
        read_signed: None,
        read_values,
        read_scales,
        reads_headers,
        tile,
        direct_rows,
        float_tile,
    }
}

/// See [`super::tile::tile`].
unsafe fn tile<const I8MM: bool>(tile: &Tile) {
    debug_assert_eq!(tile.stored, Stored::Open);
    for line in 0..tile.ahead_bytes / 64 {
        // SAFETY: a hint; any address will do.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) tile.ahead.wrapping_add(line * 64), options(nostack, readonly)) };
    }
    for panel in 0..tile.panels {
        let mut row = 0;
        while row < tile.count {
            // SAFETY: passed on; rows stay below the count.
            unsafe {
                if tile.count - row >= 4 {
                    tile_panel::<4, I8MM>(tile, row, panel);
                    row += 4;
                } else {
                    tile_panel::<1, I8MM>(tile, row, panel);
                    row += 1;
                }
            }
        }
    }
}

/// Products of the four bytes of every lane of `w` with those of lane 0 of `x`, added to `sum`.
#[inline(always)]
unsafe fn dot<const I8MM: bool>(mut sum: int32x4_t, w: uint8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: register operands only; the caller has seen that the instruction exists.
    unsafe {
        if I8MM {
            asm!(".arch_extension i8mm", "usdot {s:v}.4s, {w:v}.16b, {x:v}.4b[0]",
                s = inout(vreg) sum, w = in(vreg) w, x = in(vreg) x, options(pure, nomem, nostack));
        } else {
            asm!(".arch_extension dotprod", "sdot {s:v}.4s, {w:v}.16b, {x:v}.4b[0]",
                s = inout(vreg) sum, w = in(vreg) w, x = in(vreg) x, options(pure, nomem, nostack));
        }
    }
    sum
}

/// `ROWS` rows from `first` on against one panel, four quarters of 4 lanes.
#[target_feature(enable = "neon")]
unsafe fn tile_panel<const ROWS: usize, const I8MM: bool>(tile: &Tile, first: usize, panel: usize) {
    // SAFETY: the caller vouches for the rows.
    let rows: [*const u8; ROWS] = std::array::from_fn(|i| unsafe { tile.rows.add(first + i).read() });
    let mut sums = [[vdupq_n_f32(0.0); 4]; ROWS];
    let flip = vdupq_n_u8(if I8MM || tile.narrow { 0 } else { 0x80 });
    // SAFETY: groups, steps, rows and lanes stay below the bounds of the fields.
    unsafe {
        let negated = |row: *const u8, group: usize| row.add(tile.sums_at + group * 4).cast::<i32>().read();
        for group in 0..if tile.biased { tile.groups } else { 0 } {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let negated = vdupq_n_f32(negated(row, group) as f32);
                for (quarter, sum) in sums.iter_mut().enumerate() {
                    let at = (group * tile.panels + panel) * PANEL_ROWS + quarter * 4;
                    *sum = vfmsq_f32(*sum, vld1q_f32(tile.biases.add(at)), negated);
                }
            }
        }
        for group in 0..tile.groups {
            let negated = rows.map(|row| negated(row, group));
            let mut dots = negated.map(|n| {
                let offset = if tile.biased { 0 } else { n << tile.offset_shift };
                let flipped = if I8MM || tile.narrow { 0 } else { n << 7 };
                [vdupq_n_s32(offset - flipped); 4]
            });
            for step in group * tile.group / 4..(group + 1) * tile.group / 4 {
                let weights = tile.values.add(panel * tile.stride + step * 64);
                let x = rows.map(|row| {
                    let x = row.add(tile.values_at + step * 4).cast::<i32>().read_unaligned();
                    vreinterpretq_s8_s32(vdupq_n_s32(x))
                });
                for quarter in 0..4 {
                    let w = veorq_u8(vld1q_u8(weights.add(quarter * 16)), flip);
                    for i in 0..ROWS {
                        dots[i][quarter] = dot::<I8MM>(dots[i][quarter], w, x[i]);
                    }
                }
            }
            for quarter in 0..4 {
                let at = (group * tile.panels + panel) * PANEL_ROWS + quarter * 4;
                let scale = vld1q_f32(tile.scales.add(at));
                for i in 0..ROWS {
                    let integers = vcvtq_f32_s32(dots[i][quarter]);
                    sums[i][quarter] = vfmaq_f32(sums[i][quarter], integers, scale);
                }
            }
        }
        for (i, row) in rows.into_iter().enumerate() {
            let scale = vdupq_n_f32(row.add(tile.scale_at).cast::<f32>().read());
            for quarter in 0..4 {
                let total = tile.totals.add(((first + i) * tile.panels + panel) * PANEL_ROWS + quarter * 4);
                vst1q_f32(total, vfmaq_f32(vld1q_f32(total), sums[i][quarter], scale));
            }
        }
    }
}

/// See [`super::tile::float_tile`].
unsafe fn float_tile(tile: &FloatTile) {
    // SAFETY: passed on.
    unsafe { portable_float_tile(tile) }
}
