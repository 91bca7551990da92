//! Up to sixteen input rows: weights pass through the tiles once, as fast as memory gives them.
//!
//! Sixteen weight rows are read side by side, and each is asked for a little ahead of its turn, at its end the row
//! that takes its place: without, a tenth of the memory bandwidth is left unused.

use std::arch::asm;

use super::{Operands, STEP_PAIRS, TILE_BYTES};
use crate::amx::{self, ROW_BYTES, ROWS, Sizes};
use crate::simd::{Avx512, MAX_LANES, Simd};

/// Weight rows that one part takes at most.
pub const MOST_ROWS: usize = 64;

/// How far ahead of a row memory is asked for, in bytes.
const PREFETCH_BYTES: usize = 512;

/// A tile of memory.
#[repr(C, align(64))]
struct Tile([u8; TILE_BYTES]);

/// All weight rows of a part, sixteen at a time.
///
/// # Safety
/// The tier is AMX; weights and input are as long as the fields say.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub unsafe fn multiply<'o>(part: &Operands<'_>, place: &impl Fn(usize) -> &'o mut [f32]) {
    // SAFETY: the caller's promise.
    let s = unsafe { Avx512::new() };
    let (row_bytes, width) = (part.row_bytes(), part.rows);
    let (whole, rest) = (row_bytes / ROW_BYTES, row_bytes % ROW_BYTES);
    let (mut last, mut sums, mut configured) = (Tile([0; TILE_BYTES]), Tile([0; TILE_BYTES]), 0);
    for first in (0..part.count).step_by(ROWS) {
        let rows = ROWS.min(part.count - first);
        // SAFETY: the caller's promise; a tile takes `rows` rows, of which each has `row_bytes`.
        unsafe {
            if rows != configured {
                amx::configure(&sizes(rows, width));
                configured = rows;
            }
            let weights = part.data.as_ptr().add((part.first + first) * row_bytes);
            let input = part.input.as_ptr().cast::<u8>();
            let follows = first + ROWS < part.count;
            let after = if follows { weights.wrapping_add(ROWS * row_bytes) } else { part.next.as_ptr() };
            asm!("tilezero tmm0", out("tmm0") _, options(nostack, preserves_flags, nomem));
            for step in 0..whole {
                let at = step * ROW_BYTES + PREFETCH_BYTES;
                let ahead = if at < row_bytes { weights.wrapping_add(at) } else { after.wrapping_add(at - row_bytes) };
                (0..ROWS).for_each(|row| s.prefetch(ahead.wrapping_add(row * row_bytes)));
                product(weights.add(step * ROW_BYTES), row_bytes, input.add(step * STEP_PAIRS * 4 * width), width);
            }
            if rest > 0 {
                for row in 0..rows {
                    let from = weights.add(row * row_bytes + whole * ROW_BYTES);
                    last.0.as_mut_ptr().add(row * ROW_BYTES).copy_from_nonoverlapping(from, rest);
                }
                product(last.0.as_ptr(), ROW_BYTES, input.add(whole * STEP_PAIRS * 4 * width), width);
            }
            asm!("tilestored [{sums} + {line}], tmm0", sums = in(reg) sums.0.as_mut_ptr(), line = in(reg) 64usize,
                options(nostack, preserves_flags));
        }
        let mut block = [s.zero(); MAX_LANES];
        for (row, v) in block.iter_mut().enumerate() {
            // SAFETY: sixteen floats of each row of a tile.
            *v = unsafe { s.load(sums.0.as_ptr().add(row * ROW_BYTES).cast()) };
        }
        s.transpose(&mut block);
        for (i, &v) in block.iter().enumerate().take(width) {
            s.store_slice(v, &mut place(i)[first..first + rows]);
        }
    }
    // SAFETY: the tier is AMX.
    unsafe { amx::release() };
}

/// `rows` weight rows in tile 4, `width` input rows in tile 6, their products in tile 0.
fn sizes(rows: usize, width: usize) -> Sizes {
    let (rows, line) = (rows as u8, 4 * width as u16);
    let mut tiles = [(0, 0); 8];
    (tiles[0], tiles[4], tiles[6]) = ((rows, line), (rows, ROW_BYTES as u16), (STEP_PAIRS as u8, line));
    Sizes::new(tiles)
}

/// One product of tiles.
///
/// # Safety
/// Tiles are configured, and the memory of both operands is there.
#[inline(always)]
unsafe fn product(weights: *const u8, row_bytes: usize, input: *const u8, width: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tileloadd tmm4, [{weights} + {row_bytes}]",
            "tileloadd tmm6, [{input} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            weights = in(reg) weights, row_bytes = in(reg) row_bytes, input = in(reg) input, line = in(reg) 4 * width,
            out("tmm0") _, out("tmm4") _, out("tmm6") _, options(nostack, preserves_flags, readonly)
        );
    }
}
