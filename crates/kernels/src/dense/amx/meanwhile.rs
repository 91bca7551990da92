//! What is done between products of tiles, a little after every few: memory is busy all the time, and never so busy that
//! tiles wait for it. The vector units, which sleep after half a microsecond without work and then hold up the store of
//! a tile for a quarter of one, stay awake.

use std::arch::x86_64::*;

use super::{BLOCK_ROWS, Operands, TILE};
use crate::amx::{self, ROW_BYTES, ROWS};
use crate::simd::{Avx512, MAX_LANES, Simd};

/// Cache lines that are asked for one after another: so many of a row, then those of the next.
pub struct Lines {
    at: *const u8,
    /// Lines of a row, and how many of this one are left.
    row: usize,
    row_left: usize,
    /// Bytes from the last line of a row to the first of the next.
    jump: usize,
    left: usize,
}

impl Lines {
    pub fn new(at: *const u8, row: usize, row_bytes: usize, rows: usize) -> Lines {
        Lines { at, row, row_left: row, jump: row_bytes.wrapping_sub(row * ROW_BYTES), left: row * rows }
    }

    pub fn none() -> Lines {
        Lines::new(std::ptr::null(), 0, 0, 0)
    }

    pub fn left(&self) -> usize {
        self.left
    }

    /// Up to `most` lines of a row: the first, and how many.
    #[inline(always)]
    fn next(&mut self, most: usize) -> (*const u8, usize) {
        let (line, count) = (self.at, most.min(self.row_left));
        self.left -= count;
        self.at = line.wrapping_add(count * ROW_BYTES);
        self.row_left -= count;
        if self.row_left == 0 {
            self.row_left = self.row;
            self.at = self.at.wrapping_add(self.jump);
        }
        (line, count)
    }

    /// Into the second-level cache: the first has no lines to spare.
    #[inline(always)]
    fn ask(&mut self, count: usize) {
        let mut count = count.min(self.left);
        while count > 0 {
            let (line, together) = self.next(count);
            for i in 0..together {
                // SAFETY: a hint; any address will do.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(line.wrapping_add(i * ROW_BYTES).cast()) };
            }
            count -= together;
        }
    }
}

/// A chunk of 32 weight rows on its way to tiles: `[step][tile][row]` of 64 bytes.
pub struct BlockCopy {
    lines: Lines,
    /// Weight rows that the matrix has here; the others are zeros.
    rows: usize,
    /// Bytes of the last line of a row.
    last: usize,
    row: usize,
}

impl BlockCopy {
    /// `steps` lines from line `begin` on of each of the rows at `data`.
    pub fn new(data: *const u8, rows: usize, row_bytes: usize, (begin, steps): (usize, usize)) -> BlockCopy {
        let lines = Lines::new(data.wrapping_add(begin * ROW_BYTES), steps, row_bytes, BLOCK_ROWS);
        BlockCopy {
            lines,
            rows,
            last: ROW_BYTES.min(row_bytes - (begin + steps).saturating_sub(1) * ROW_BYTES),
            row: 0,
        }
    }

    /// No rows.
    pub fn none() -> BlockCopy {
        BlockCopy { lines: Lines::none(), rows: 0, last: 0, row: 0 }
    }

    pub fn left(&self) -> usize {
        self.lines.left
    }

    /// The lines that will be read.
    pub fn source(self) -> Lines {
        Lines { left: self.rows * self.lines.row, ..self.lines }
    }

    /// The next lines.
    ///
    /// # Safety
    /// The tier is AMX, the rows are there, and `to` has room for all lines.
    #[inline(always)]
    pub unsafe fn lines(&mut self, count: usize, to: *mut f32) {
        let mut count = count.min(self.lines.left);
        while count > 0 {
            let step = self.lines.row - self.lines.row_left;
            let (from, together) = self.lines.next(count);
            // SAFETY: the caller's promise.
            unsafe {
                let place = to.add((2 * step + self.row / ROWS) * TILE + self.row % ROWS * 16);
                if self.row < self.rows && self.last == ROW_BYTES {
                    for i in 0..together {
                        let line = _mm512_loadu_si512(from.add(i * ROW_BYTES).cast());
                        _mm512_store_si512(place.add(i * 2 * TILE).cast(), line);
                    }
                } else {
                    self.edge(from, place, step, together);
                }
            }
            self.row += (step + together) / self.lines.row;
            count -= together;
        }
    }

    /// Lines of which not all may be there.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn edge(&self, from: *const u8, place: *mut f32, step: usize, count: usize) {
        for i in 0..count {
            let bytes = if step + i + 1 == self.lines.row { self.last } else { ROW_BYTES };
            let mask = if self.row < self.rows { u64::MAX >> (ROW_BYTES - bytes) } else { 0 };
            // SAFETY: `bytes` bytes of the row are there, and the place of the line.
            unsafe {
                let line = _mm512_maskz_loadu_epi8(mask, from.wrapping_add(i * ROW_BYTES).cast());
                _mm512_store_si512(place.add(i * 2 * TILE).cast(), line);
            }
        }
    }
}

/// Four products that are ready: turned one after another, then written row after row.
pub struct Results<'a, P> {
    part: &'a Operands<'a>,
    place: &'a P,
    tiles: *mut f32,
    first_row: usize,
    first_column: usize,
    /// Tiles that are not turned yet.
    unturned: usize,
    /// Rows that are not written yet, and how many are written together.
    rows: std::ops::Range<usize>,
    together: usize,
}

impl<'o, 'a, P: Fn(usize) -> &'o mut [f32]> Results<'a, P> {
    pub fn none(part: &'a Operands<'a>, place: &'a P) -> Self {
        let tiles = std::ptr::null_mut();
        Results { part, place, tiles, first_row: 0, first_column: 0, unturned: 0, rows: 0..0, together: 0 }
    }

    /// The products of the input rows and the weight rows from these on, in so many visits.
    pub fn begin(&mut self, tiles: *mut f32, first_row: usize, first_column: usize, visits: usize) {
        (self.tiles, self.first_row, self.first_column, self.unturned) = (tiles, first_row, first_column, 4);
        self.rows = 0..BLOCK_ROWS.min(self.part.rows - first_row);
        self.together = BLOCK_ROWS.div_ceil(visits.saturating_sub(2).max(1));
    }

    /// All that is left.
    ///
    /// # Safety
    /// The tier is AMX.
    #[inline(always)]
    pub unsafe fn finish(&mut self) {
        while self.unturned > 0 || !self.rows.is_empty() {
            // SAFETY: passed on.
            unsafe { self.step() };
        }
    }

    #[inline(always)]
    unsafe fn step(&mut self) {
        // SAFETY: passed on.
        unsafe {
            if self.unturned > 0 {
                self.unturned -= 2;
                turn(self.tiles.add(self.unturned * TILE));
                turn(self.tiles.add((self.unturned + 1) * TILE));
                return;
            }
            for row in self.rows.by_ref().take(self.together) {
                let place = &mut (self.place)(self.first_row + row)[self.first_column..];
                let tiles = self.tiles.add(row / ROWS * 2 * TILE + row % ROWS * 16);
                write(tiles, place, self.part.past_caches);
                if place.len() > ROWS {
                    write(tiles.add(TILE), &mut place[ROWS..], self.part.past_caches);
                }
            }
        }
    }
}

/// Sixteen floats, or as many as there is room for.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn write(from: *const f32, to: &mut [f32], past_caches: bool) {
    // SAFETY: the tier is AMX, and a line of a tile is there.
    unsafe {
        let line = _mm512_load_ps(from);
        match to.len() {
            0..ROWS => _mm512_mask_storeu_ps(to.as_mut_ptr(), (1 << to.len()) - 1, line),
            _ => amx::write(to.as_mut_ptr(), line, past_caches),
        }
    }
}

/// A tile, rows to columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
unsafe fn turn(tile: *mut f32) {
    // SAFETY: the tier is AMX, and a tile is there.
    unsafe {
        let s = Avx512::new();
        let mut block = [s.zero(); MAX_LANES];
        for (row, v) in block.iter_mut().enumerate() {
            *v = s.load(tile.add(row * 16));
        }
        s.transpose(&mut block);
        for (row, &v) in block.iter().enumerate() {
            s.store(v, tile.add(row * 16));
        }
    }
}

/// All of it.
pub struct Meanwhile<'a, P> {
    pub copy: BlockCopy,
    /// Lines copied at each visit.
    pub copies: usize,
    pub weights: Lines,
    /// Lines of weights asked for at each visit.
    pub weights_asked: usize,
    pub input: Lines,
    /// Lines of the input asked for at each visit.
    pub input_asked: usize,
    pub results: Results<'a, P>,
}

impl<'o, 'a, P: Fn(usize) -> &'o mut [f32]> Meanwhile<'a, P> {
    pub fn new(results: Results<'a, P>) -> Self {
        let (copy, weights, input) = (BlockCopy::none(), Lines::none(), Lines::none());
        Meanwhile { copy, copies: 0, weights, weights_asked: 0, input, input_asked: 0, results }
    }

    /// One visit to memory. The copy goes to `to`.
    ///
    /// # Safety
    /// The tier is AMX; rows and places are there.
    #[inline(always)]
    pub unsafe fn step(&mut self, to: *mut f32) {
        self.weights.ask(self.weights_asked);
        self.input.ask(self.input_asked);
        // SAFETY: passed on.
        unsafe {
            self.copy.lines(self.copies, to);
            self.results.step();
        }
    }
}
