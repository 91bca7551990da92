//! More than sixteen input rows: two tiles of weights times two of input, whose four products stay in registers.
//!
//! A chunk of columns of 32 weight rows is copied tile after tile, and all input passes by from the second-level cache.
//! All columns are one chunk while the input stays there; else sums wait for the next chunk. Rows and columns beyond the
//! matrix are zeros in the copy. All that touches memory is done between products ([`Meanwhile`]): the next chunk is
//! copied, what comes after it is asked for, and what is ready is turned and written.
//! Read next: [`super::meanwhile`].

use std::arch::asm;

use super::meanwhile::{BlockCopy, Lines, Meanwhile, Results};
use super::{BLOCK_ROWS, Operands, PIECE_ROWS, STEP_COLUMNS, TILE, TILE_BYTES};
use crate::amx::{self, ROW_BYTES, ROWS, Sizes};

/// Weight rows that one part takes at most.
pub const MOST_ROWS: usize = 256;
/// Products of tiles along a row that are one chunk at most.
const WHOLE_STEPS: usize = 40;
/// Products of tiles of a chunk at most where there are more: the first-level cache keeps such a copy.
const CHUNK_STEPS: usize = 8;
/// Products between two visits to memory.
const TOGETHER: usize = 4;
/// f32 of a copy, and a line, for two copies must not meet in the same sets.
const COPY: usize = 2 * WHOLE_STEPS * TILE + ROWS;
/// f32 of four products.
const SUMS: usize = 4 * TILE;
/// f32 that a part needs: two copies, two results and all sums.
pub const SCRATCH: usize = 2 * COPY + 2 * SUMS + MOST_ROWS / BLOCK_ROWS * PIECE_ROWS / BLOCK_ROWS * SUMS;

/// Products of tiles along a row, cut into chunks.
#[derive(Clone, Copy)]
struct Chunks {
    steps: usize,
    count: usize,
}

impl Chunks {
    fn new(steps: usize) -> Chunks {
        let most = if steps <= WHOLE_STEPS { WHOLE_STEPS } else { CHUNK_STEPS };
        Chunks { steps, count: steps.div_ceil(most).max(1) }
    }

    /// First step of a chunk, and how many it has.
    fn range(&self, chunk: usize) -> (usize, usize) {
        let begin = self.steps * chunk / self.count;
        (begin, self.steps * (chunk + 1) / self.count - begin)
    }
}

/// The chunks of all blocks of a part, one after another, and behind them those of the part that likely comes next.
struct Units<'a> {
    part: &'a Operands<'a>,
    chunks: Chunks,
    blocks: usize,
}

impl Units<'_> {
    fn copy(&self, unit: usize) -> BlockCopy {
        let (part, all) = (self.part, self.blocks * self.chunks.count);
        let (data, count, unit) = match unit.checked_sub(all) {
            None => (part.data[part.first * part.row_bytes()..].as_ptr(), part.count, unit),
            Some(unit) => (part.next.as_ptr(), part.next.len() / part.row_bytes().max(1), unit),
        };
        let blocks = count.div_ceil(BLOCK_ROWS).max(1);
        let (block, chunk) = (unit % blocks * BLOCK_ROWS, unit / blocks % self.chunks.count);
        let rows = count.saturating_sub(block).min(BLOCK_ROWS);
        BlockCopy::new(data.wrapping_add(block * part.row_bytes()), rows, part.row_bytes(), self.chunks.range(chunk))
    }
}

/// All weight rows of a part times all of its input rows.
///
/// # Safety
/// The tier is AMX; weights and input are as long as the fields say.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub unsafe fn multiply<'o>(part: &Operands<'_>, place: &impl Fn(usize) -> &'o mut [f32], scratch: &mut [f32]) {
    assert!(part.count <= MOST_ROWS && part.rows <= PIECE_ROWS && scratch.len() >= SCRATCH, "[matmul] part");
    let (copies, rest) = scratch.split_at_mut(2 * COPY);
    let (results, totals) = rest.split_at_mut(2 * SUMS);
    let (copies, results) = (copies.as_mut_ptr(), results.as_mut_ptr());
    let (blocks, pairs) = (part.count.div_ceil(BLOCK_ROWS), part.rows.div_ceil(BLOCK_ROWS));
    let chunks = Chunks::new(part.columns.div_ceil(STEP_COLUMNS));
    let units = Units { part, chunks, blocks };
    let mut turn = 0;
    // SAFETY: the caller's promise; copies, results and sums have their places.
    unsafe {
        amx::configure(const { &Sizes::new([(16, 64); 8]) });
        let mut copy = units.copy(0);
        copy.lines(usize::MAX, copies);
        let mut meanwhile = Meanwhile::new(Results::none(part, place));
        for unit in 0..chunks.count * blocks {
            let (chunk, block) = (unit / blocks, unit % blocks);
            let (begin, steps) = chunks.range(chunk);
            let after = chunks.range((chunk + 1) % chunks.count);
            let turns = steps.div_ceil(TOGETHER);
            let visits = (pairs * turns).max(1);
            let last = unit + 1 == chunks.count * blocks;
            meanwhile.copy = if last { BlockCopy::none() } else { units.copy(unit + 1) };
            meanwhile.copies = meanwhile.copy.left().div_ceil(visits);
            meanwhile.weights = units.copy(unit + 2).source();
            meanwhile.weights_asked = meanwhile.weights.left().div_ceil(visits);
            if block == 0 && chunks.count > 1 {
                meanwhile.input = input_lines(part, chunks.steps, after);
                meanwhile.input_asked = meanwhile.input.left().div_ceil(blocks * visits);
            }
            let (copied, to) = (copies.add(unit % 2 * COPY), copies.add((unit + 1) % 2 * COPY));
            for pair in 0..pairs {
                let input = part.input[(pair * 2 * chunks.steps + begin) * TILE..].as_ptr();
                let two = pair * BLOCK_ROWS + ROWS < part.rows;
                let second = if two { input.wrapping_add(chunks.steps * TILE) } else { input };
                let sums = totals[(block * pairs + pair) * SUMS..][..SUMS].as_mut_ptr();
                load(sums, chunk == 0);
                for first in (0..steps).step_by(TOGETHER) {
                    for step in first..steps.min(first + TOGETHER) {
                        products_of(copied.add(step * 2 * TILE), input.add(step * TILE), second.add(step * TILE));
                    }
                    meanwhile.step(to);
                }
                meanwhile.results.finish();
                if chunk + 1 < chunks.count {
                    store(sums);
                } else {
                    store(results.add(turn * SUMS));
                    meanwhile.results.begin(results.add(turn * SUMS), pair * BLOCK_ROWS, block * BLOCK_ROWS, turns);
                    turn = 1 - turn;
                }
            }
            meanwhile.copy.lines(usize::MAX, to);
        }
        meanwhile.results.finish();
        amx::release();
        if part.past_caches {
            amx::drain();
        }
    }
}

/// The input of a chunk, `steps` products from `begin` on.
fn input_lines(part: &Operands<'_>, all: usize, (begin, steps): (usize, usize)) -> Lines {
    let start = part.input.as_ptr().wrapping_add(begin * TILE).cast();
    Lines::new(start, steps * TILE_BYTES / ROW_BYTES, all * TILE_BYTES, part.rows.div_ceil(ROWS))
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
unsafe fn products_of(weights: *const f32, first: *const f32, second: *const f32) {
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
            later = const TILE_BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            out("tmm7") _, options(nostack, preserves_flags, readonly)
        );
    }
}
