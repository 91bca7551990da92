//! More than sixteen input rows: two tiles of weights times two of input, whose four products stay in registers.
//!
//! A chunk of 256 columns of 32 weight rows is copied to where the first-level cache keeps it, tile after tile, and all
//! input passes by from the second-level one; sums wait there for the next chunk. Rows and columns beyond the matrix
//! are zeros in the copy. What will be copied next is asked for meanwhile, and so are the lines of the result.

use std::arch::asm;
use std::arch::x86_64::{_mm512_maskz_loadu_epi8, _mm512_setzero_si512, _mm512_store_si512};

use super::{Operands, STEP_COLUMNS, TILE_BYTES};
use crate::amx::{self, ROW_BYTES, ROWS, Sizes};
use crate::simd::{Avx512, MAX_LANES, Simd};

/// Weight rows of two tiles.
pub const BLOCK_ROWS: usize = 2 * ROWS;
/// Weight rows that one part takes at most.
pub const MOST_ROWS: usize = 256;
/// Products of tiles between two visits of the sums in memory. More would push the copy out of the first-level cache:
/// 16 and 32 are slower, for after the store of a tile loads that must go further cannot run ahead.
const CHUNK_STEPS: usize = 8;
/// Bytes of a weight row that a chunk covers.
pub const CHUNK_BYTES: usize = CHUNK_STEPS * ROW_BYTES;
/// f32 of a tile.
const TILE: usize = TILE_BYTES / 4;
/// f32 of a chunk of two tiles of weight rows.
const COPY: usize = 2 * CHUNK_STEPS * TILE;
/// f32 of four products.
const SUMS: usize = 4 * TILE;
/// f32 that a part needs: the copy and all sums.
pub const SCRATCH: usize = COPY + MOST_ROWS / BLOCK_ROWS * super::PIECE_ROWS.div_ceil(BLOCK_ROWS) * SUMS;

/// All weight rows of a part times all of its input rows.
///
/// # Safety
/// The tier is AMX; weights and input are as long as the fields say.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub unsafe fn multiply<'o>(part: &Operands<'_>, place: &impl Fn(usize) -> &'o mut [f32], scratch: &mut [f32]) {
    // SAFETY: the caller's promise.
    let s = unsafe { Avx512::new() };
    assert!(part.count <= MOST_ROWS && part.rows <= super::PIECE_ROWS && scratch.len() >= SCRATCH, "[matmul] part");
    let (copy, totals) = scratch.split_at_mut(COPY);
    let steps = part.columns.div_ceil(STEP_COLUMNS);
    let (blocks, pairs) = (part.count.div_ceil(BLOCK_ROWS), part.rows.div_ceil(BLOCK_ROWS));
    // SAFETY: the tier is AMX.
    unsafe { amx::configure(const { &Sizes::new([(16, 64); 8]) }) };
    for begin in (0..steps.max(1)).step_by(CHUNK_STEPS) {
        let chunk = CHUNK_STEPS.min(steps - begin);
        let mut lines = part.ahead.after(begin / CHUNK_STEPS);
        let share = lines.count().div_ceil((blocks * pairs * chunk).max(1));
        let ready = begin + chunk == steps;
        for block in 0..blocks {
            // SAFETY: the caller's promise.
            unsafe { copy_weights(part, block * BLOCK_ROWS, (begin, chunk), copy) };
            let columns = block * BLOCK_ROWS..part.count.min((block + 1) * BLOCK_ROWS);
            for pair in 0..pairs {
                let input = part.input[(pair * 2 * steps + begin) * TILE..].as_ptr();
                let two = pair * BLOCK_ROWS + ROWS < part.rows;
                let second = if two { input.wrapping_add(steps * TILE) } else { input };
                let sums = totals[(block * pairs + pair) * SUMS..][..SUMS].as_mut_ptr();
                let mut rows = pair * BLOCK_ROWS..part.rows.min((pair + 1) * BLOCK_ROWS);
                let asked = rows.len().div_ceil(chunk.max(1));
                // SAFETY: the caller's promise; sums have their places.
                unsafe {
                    load(sums, begin == 0);
                    for step in 0..chunk {
                        lines.ask(s, share);
                        if ready {
                            for row in rows.by_ref().take(asked) {
                                place(row)[columns.clone()]
                                    .chunks(16)
                                    .for_each(|line| s.prefetch_far(line.as_ptr().cast()));
                            }
                        }
                        products(copy.as_ptr().add(step * TILE), input.add(step * TILE), second.add(step * TILE));
                    }
                    store(sums);
                }
            }
        }
    }
    // SAFETY: the tier is AMX.
    unsafe { amx::release() };
    write(s, part, totals, place);
}

/// `copy[tile][step][row]`: 64 bytes of each row of a block, steps `begin .. begin + chunk`.
///
/// # Safety
/// The weights are as long as the fields say.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn copy_weights(part: &Operands<'_>, first: usize, (begin, chunk): (usize, usize), copy: &mut [f32]) {
    assert!(copy.len() >= COPY && chunk <= CHUNK_STEPS, "[matmul] copy");
    let row_bytes = part.row_bytes();
    for row in 0..BLOCK_ROWS {
        let (tile, line) = (row / ROWS, row % ROWS);
        for step in 0..chunk {
            let at = (begin + step) * ROW_BYTES;
            let bytes = if first + row < part.count { ROW_BYTES.min(row_bytes - at) } else { 0 };
            // SAFETY: `bytes` bytes of the row are there, and the copy has room for all rows and steps.
            unsafe {
                let to = copy.as_mut_ptr().add((tile * CHUNK_STEPS + step) * TILE + line * 16);
                let values = if bytes == 0 {
                    _mm512_setzero_si512()
                } else {
                    let from = part.data.as_ptr().add((part.first + first + row) * row_bytes + at);
                    _mm512_maskz_loadu_epi8(u64::MAX >> (ROW_BYTES - bytes), from.cast())
                };
                _mm512_store_si512(to.cast(), values);
            }
        }
    }
}

/// The four sums, or zeros.
#[inline(always)]
unsafe fn load(from: *const f32, fresh: bool) {
    // SAFETY: four tiles are there.
    unsafe {
        match fresh {
            true => asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", out("tmm0") _,
                out("tmm1") _, out("tmm2") _, out("tmm3") _, options(nostack, preserves_flags, nomem)),
            false => asm!(
                "tileloadd tmm0, [{from} + {line}]",
                "tileloadd tmm1, [{from} + {line} + 1024]",
                "tileloadd tmm2, [{from} + {line} + 2048]",
                "tileloadd tmm3, [{from} + {line} + 3072]",
                from = in(reg) from, line = in(reg) 64usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, options(nostack, preserves_flags, readonly)
            ),
        }
    }
}

/// The four sums to memory.
#[inline(always)]
unsafe fn store(to: *mut f32) {
    // SAFETY: there is room for four tiles.
    unsafe {
        asm!(
            "tilestored [{to} + {line}], tmm0",
            "tilestored [{to} + {line} + 1024], tmm1",
            "tilestored [{to} + {line} + 2048], tmm2",
            "tilestored [{to} + {line} + 3072], tmm3",
            to = in(reg) to, line = in(reg) 64usize, options(nostack, preserves_flags)
        );
    }
}

/// One step of all four sums: `[first tile of weights, second][first of input]`, then with the second of input.
#[inline(always)]
unsafe fn products(weights: *const f32, first: *const f32, second: *const f32) {
    // SAFETY: the tiles are there.
    unsafe {
        asm!(
            "tileloadd tmm4, [{weights} + {line}]",
            "tileloadd tmm6, [{first} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{weights} + {line} + {later}]",
            "tdpbf16ps tmm1, tmm5, tmm6",
            "tileloadd tmm7, [{second} + {line}]",
            "tdpbf16ps tmm2, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            weights = in(reg) weights, first = in(reg) first, second = in(reg) second, line = in(reg) 64usize,
            later = const CHUNK_STEPS * TILE_BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            out("tmm7") _, options(nostack, preserves_flags, readonly)
        );
    }
}

/// All sums, turned, to their rows.
#[inline(always)]
fn write<'o>(s: Avx512, part: &Operands<'_>, totals: &[f32], place: &impl Fn(usize) -> &'o mut [f32]) {
    let pairs = part.rows.div_ceil(BLOCK_ROWS);
    for first in (0..part.rows).step_by(ROWS) {
        for column in (0..part.count).step_by(ROWS) {
            let sums = (column / BLOCK_ROWS * pairs + first / BLOCK_ROWS) * SUMS;
            let tile = first % BLOCK_ROWS / ROWS * 2 + column % BLOCK_ROWS / ROWS;
            let sums = &totals[sums + tile * TILE..][..TILE];
            let mut block = [s.zero(); MAX_LANES];
            block.iter_mut().zip(sums.chunks_exact(ROWS)).for_each(|(v, row)| *v = s.load_slice(row));
            s.transpose(&mut block);
            for (row, &v) in (first..part.rows).zip(&block) {
                s.store_slice(v, &mut place(row)[column..part.count.min(column + ROWS)]);
            }
        }
    }
}
