//! Rows of activations as int8, made once and shared by all products that read them.
//!
//! Every 256 columns of a row have one scale, `largest magnitude / 127`, rounding is to nearest even. Beside the values
//! lie the negated sums of each 16, 32, 64 and 128 columns, from which products take offsets and biases. A row depends
//! on nothing but itself, and all tiers give the same bytes. A row that holds a NaN or an infinity gets NaN scales.
//! Read next: [`super::tile`].

use super::blocks::Block;
use super::memory::Memory;
use super::sizes::{BLOCK_ROWS, FEW_TILE_ROWS, SLAB_COLUMNS};
use crate::pool::Pool;
use std::cell::RefCell;

/// Group sizes that sums are kept for.
const LEVELS: [usize; 4] = [16, 32, 64, 128];
/// Magnitudes below this have reciprocals that overflow; they count as zero.
const SMALLEST: f32 = 1e-35;

/// Rows quantized to int8.
pub struct QuantizedActivations {
    rows: usize,
    columns: usize,
    record: Record,
    memory: Memory,
    /// Where the tier wants them: all once more, as matrix registers take it. `[rows / 16, columns / 256]`
    blocks: Memory,
    /// Whether the blocks are those of these rows.
    has_blocks: bool,
}

/// Where the parts of a row lie, in bytes from its start: values, then sums of every level, then scales.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// Bytes of a row with all its parts.
    pub stride: usize,
    /// Start of the sums of each level.
    pub sums: [usize; 4],
    /// Start of the scales.
    pub scales: usize,
}

impl Record {
    fn new(columns: usize) -> Record {
        let padded = columns.next_multiple_of(SLAB_COLUMNS);
        let mut at = padded;
        let sums = LEVELS.map(|level| {
            let start = at;
            at += padded / level * 4;
            start
        });
        let mut stride = (at + padded / SLAB_COLUMNS * 4).next_multiple_of(64);
        // Rows a multiple of 4 KiB apart would compete for the same cache sets.
        if stride.is_multiple_of(1024) {
            stride += 64;
        }
        Record { stride, sums, scales: at }
    }

    /// Start of the sums of groups of `group` columns.
    pub fn sums_of(&self, group: usize) -> usize {
        self.sums[group.trailing_zeros() as usize - 4]
    }
}

/// No rows yet; see [`QuantizedActivations::requantize`].
impl Default for QuantizedActivations {
    fn default() -> QuantizedActivations {
        let (record, memory, blocks) = (Record::new(0), Memory::new(0), Memory::new(0));
        QuantizedActivations { rows: 0, columns: 0, record, memory, blocks, has_blocks: false }
    }
}

impl std::fmt::Debug for QuantizedActivations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "int8 activations [{}, {}]", self.rows, self.columns)
    }
}

impl QuantizedActivations {
    /// Quantize `x` of `rows * columns` values.
    pub fn new(pool: &Pool, x: &[f32], rows: usize, columns: usize) -> QuantizedActivations {
        let mut activations = QuantizedActivations::default();
        activations.requantize(pool, x, rows, columns);
        activations
    }

    /// Replace the contents by `x` of `rows * columns` values; allocates only to grow.
    pub fn requantize(&mut self, pool: &Pool, x: &[f32], rows: usize, columns: usize) {
        assert_eq!(x.len(), rows * columns, "[quantize activations] values do not fill the rows");
        self.resize(rows, columns);
        let quantize = quantize_row_of_tier();
        self.each_row(pool, |this, row| {
            // SAFETY: each row is written by one part only and the record lies inside the memory.
            unsafe { quantize(&x[row * columns..][..columns], &this.record, this.row(row).cast_mut()) };
        });
    }

    /// As [`QuantizedActivations::requantize`], of rows that are made on the way: `make(row, values)` fills `columns`
    /// values, which never go to memory.
    pub fn requantize_with(
        &mut self,
        pool: &Pool,
        rows: usize,
        columns: usize,
        make: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        self.resize(rows, columns);
        let quantize = quantize_row_of_tier();
        self.each_row(pool, |this, row| {
            ROW.with_borrow_mut(|values| {
                values.resize(columns.max(values.len()), 0.0);
                make(row, &mut values[..columns]);
                // SAFETY: as in `requantize`.
                unsafe { quantize(&values[..columns], &this.record, this.row(row).cast_mut()) };
            });
        });
    }

    fn resize(&mut self, rows: usize, columns: usize) {
        self.rows = rows;
        self.columns = columns;
        self.record = Record::new(columns);
        let bytes = rows * self.record.stride;
        if self.memory.bytes() < bytes {
            self.memory = Memory::new(bytes);
        }
        self.has_blocks = super::tiers::kernels().read_signed.is_some() && rows > FEW_TILE_ROWS;
        let bytes = rows.div_ceil(BLOCK_ROWS) * columns.div_ceil(SLAB_COLUMNS) * size_of::<Block>();
        if self.has_blocks && self.blocks.bytes() < bytes {
            self.blocks = Memory::new(bytes);
        }
    }

    /// The slab at column `at` of the block that begins at `row`, and how many further that of the next block is; null
    /// where there are no blocks, or none begins there. Rows of the last one that are beyond the others hold anything.
    pub(super) fn blocks_from(&self, row: usize, at: usize) -> (*const Block, usize) {
        let slabs = self.columns.div_ceil(SLAB_COLUMNS);
        if !self.has_blocks || !row.is_multiple_of(BLOCK_ROWS) || row >= self.rows || at >= self.columns {
            return (std::ptr::null(), 0);
        }
        // SAFETY: inside the memory, as just checked.
        (unsafe { self.blocks.start().cast::<Block>().add(row / BLOCK_ROWS * slabs + at / SLAB_COLUMNS) }, slabs)
    }

    /// Write a row to its block, slab by slab.
    ///
    /// # Safety
    /// Nobody else writes this row, and nobody reads it. The tier has blocks.
    #[cfg(target_arch = "x86_64")]
    unsafe fn write_to_blocks(&self, row: usize) {
        let (record, lane) = (self.row(row), row % BLOCK_ROWS);
        for at in (0..self.columns).step_by(SLAB_COLUMNS) {
            // SAFETY: the record has whole slabs, and the row a place of its own in its block.
            unsafe {
                let block = self.blocks_from(row - lane, at).0.cast_mut();
                let scale = record.add(self.record.scales + at / SLAB_COLUMNS * 4).cast::<f32>();
                let sums = record.add(self.record.sums[0] + at / 16 * 4).cast::<i32>();
                super::amx::write_row(block, lane, record.add(at), sums, scale);
            }
        }
    }

    /// No other processor has a tier with blocks.
    ///
    /// # Safety
    /// Safe.
    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn write_to_blocks(&self, _: usize) {}

    /// Call `work` once for every row, in parallel, and bring what it wrote to the blocks.
    fn each_row(&self, pool: &Pool, work: impl Fn(&QuantizedActivations, usize) + Sync) {
        let mut block = (16_384 / self.columns.max(1)).max(1);
        if self.has_blocks && self.rows >= pool.threads() * BLOCK_ROWS {
            // Lines that all rows of a block share are one thread's.
            block = block.next_multiple_of(BLOCK_ROWS);
        }
        pool.run_blocks(self.rows, block, |rows| {
            rows.for_each(|row| {
                work(self, row);
                if self.has_blocks {
                    // SAFETY: each row is written by one part only.
                    unsafe { self.write_to_blocks(row) };
                }
            });
        });
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Where the parts of a row lie.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Start of a row.
    pub(super) fn row(&self, row: usize) -> *const u8 {
        assert!(row < self.rows, "[quantized product] activation row {row} of {}", self.rows);
        // SAFETY: inside the memory, as just checked.
        unsafe { self.memory.start().add(row * self.record.stride) }
    }

    /// A row as floats again.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.columns, "[dequantize activations] output of another length than the row");
        for (column, out) in out.iter_mut().enumerate() {
            // SAFETY: columns are inside the record, which `requantize` wrote.
            unsafe {
                let scale = self.row(row).add(self.record.scales + column / SLAB_COLUMNS * 4).cast::<f32>().read();
                *out = scale * self.row(row).add(column).cast::<i8>().read() as f32;
            }
        }
    }
}

thread_local! {
    /// A row between its making and its quantization.
    static ROW: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

type QuantizeRow = unsafe fn(&[f32], &Record, *mut u8);

fn quantize_row_of_tier() -> QuantizeRow {
    match crate::cpu::tier() {
        #[cfg(target_arch = "x86_64")]
        crate::cpu::Tier::Avx512 | crate::cpu::Tier::Amx => quantize_row_avx512,
        #[cfg(target_arch = "x86_64")]
        crate::cpu::Tier::Avx2 => quantize_row_avx2,
        _ => quantize_row,
    }
}

/// # Safety
/// As [`quantize_row`], and the processor must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn quantize_row_avx512(x: &[f32], record: &Record, out: *mut u8) {
    for (slab, x) in x.chunks(SLAB_COLUMNS).enumerate() {
        // SAFETY: each part of the record has room for whole slabs.
        unsafe {
            let values = out.add(slab * SLAB_COLUMNS).cast::<i8>();
            let (scale, sums) = match x.first_chunk() {
                Some(x) => quantize_slab_avx512(x, values),
                None => {
                    let mut padded = [0.0; SLAB_COLUMNS];
                    padded[..x.len()].copy_from_slice(x);
                    quantize_slab_avx512(&padded, values)
                }
            };
            out.add(record.scales + slab * 4).cast::<f32>().write(scale);
            write_sums(sums, record, slab, out);
        }
    }
}

/// What [`quantize_slab`] gives, and the negated sums of each 16 values.
///
/// # Safety
/// The processor must have these features; `values` is valid for a slab.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn quantize_slab_avx512(x: &[f32; SLAB_COLUMNS], values: *mut i8) -> (f32, [i32; SLAB_COLUMNS / 16]) {
    use std::arch::x86_64::*;
    // SAFETY: sixteen vectors of sixteen floats are read, four of 64 bytes written; the result has sixteen sums.
    unsafe {
        let load = |i: usize| _mm512_loadu_ps(x.as_ptr().add(16 * i));
        let magnitude = |i: usize| _mm512_and_si512(_mm512_castps_si512(load(i)), _mm512_set1_epi32(0x7FFF_FFFF));
        let mut most = [magnitude(0), magnitude(1), magnitude(2), magnitude(3)];
        for i in 4..SLAB_COLUMNS / 16 {
            most[i % 4] = _mm512_max_epu32(most[i % 4], magnitude(i));
        }
        let most = _mm512_max_epu32(_mm512_max_epu32(most[0], most[1]), _mm512_max_epu32(most[2], most[3]));
        let largest = f32::from_bits(_mm512_reduce_max_epu32(most));
        if !largest.is_finite() || largest < SMALLEST {
            values.write_bytes(0, SLAB_COLUMNS);
            return (if largest.is_finite() { 0.0 } else { f32::NAN }, [0; SLAB_COLUMNS / 16]);
        }
        let inverse = _mm512_set1_ps(127.0 / largest);
        let rounded = |i: usize| {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            _mm512_cvtepi32_epi8(_mm512_cvt_roundps_epi32::<NEAREST>(_mm512_mul_ps(load(i), inverse)))
        };
        // In every 128 bits, the sum of its 16 values in all four lanes.
        let quarter = |i: usize| {
            let bytes = _mm512_castsi128_si512(rounded(4 * i));
            let bytes = _mm512_inserti32x4::<1>(bytes, rounded(4 * i + 1));
            let bytes = _mm512_inserti32x4::<2>(bytes, rounded(4 * i + 2));
            let bytes = _mm512_inserti32x4::<3>(bytes, rounded(4 * i + 3));
            _mm512_storeu_si512(values.add(64 * i).cast(), bytes);
            let fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), bytes);
            let eights = _mm512_add_epi32(fours, _mm512_shuffle_epi32::<0b10_11_00_01>(fours));
            _mm512_add_epi32(eights, _mm512_shuffle_epi32::<0b01_00_11_10>(eights))
        };
        let joined = _mm512_mask_blend_epi32(0x2222, quarter(0), quarter(1));
        let joined = _mm512_mask_blend_epi32(0x4444, joined, quarter(2));
        let joined = _mm512_mask_blend_epi32(0x8888, joined, quarter(3));
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let negated = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_permutexvar_epi32(order, joined));
        let mut sums = [0; SLAB_COLUMNS / 16];
        _mm512_storeu_si512(sums.as_mut_ptr().cast(), negated);
        (largest / 127.0, sums)
    }
}

/// # Safety
/// As [`quantize_row`], and the processor must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn quantize_row_avx2(x: &[f32], record: &Record, out: *mut u8) {
    // SAFETY: passed on.
    unsafe { quantize_row(x, record, out) }
}

/// # Safety
/// `out` must be valid for one record.
#[inline(always)]
unsafe fn quantize_row(x: &[f32], record: &Record, out: *mut u8) {
    for (slab, x) in x.chunks(SLAB_COLUMNS).enumerate() {
        let mut padded = [0.0; SLAB_COLUMNS];
        padded[..x.len()].copy_from_slice(x);
        let mut values = [0i8; SLAB_COLUMNS];
        let scale = quantize_slab(&padded, &mut values);
        // SAFETY: each part of the record has room for whole slabs.
        unsafe {
            out.add(slab * SLAB_COLUMNS).cast::<[i8; SLAB_COLUMNS]>().write(values);
            out.add(record.scales + slab * 4).cast::<f32>().write(scale);
            let mut sums = [0i32; SLAB_COLUMNS / 16];
            for (sum, values) in sums.iter_mut().zip(values.chunks_exact(16)) {
                *sum = -values.iter().map(|value| *value as i32).sum::<i32>();
            }
            write_sums(sums, record, slab, out);
        }
    }
}

/// The sums of a slab at every level.
///
/// # Safety
/// `out` must be valid for one record that has this slab.
#[inline(always)]
unsafe fn write_sums(mut sums: [i32; SLAB_COLUMNS / 16], record: &Record, slab: usize, out: *mut u8) {
    let mut count = sums.len();
    for start in record.sums {
        // SAFETY: each level has room for whole slabs.
        unsafe { out.add(start + slab * count * 4).cast::<i32>().copy_from_nonoverlapping(sums.as_ptr(), count) };
        count /= 2;
        (0..count).for_each(|i| sums[i] = sums[2 * i] + sums[2 * i + 1]);
    }
}

#[inline(always)]
fn quantize_slab(x: &[f32; SLAB_COLUMNS], values: &mut [i8; SLAB_COLUMNS]) -> f32 {
    // As integers, so that a NaN is the largest.
    let largest = f32::from_bits(x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7FFF_FFFF)));
    if !largest.is_finite() {
        return f32::NAN;
    }
    if largest < SMALLEST {
        return 0.0;
    }
    let inverse = 127.0 / largest;
    for (value, x) in values.iter_mut().zip(x) {
        // SAFETY: the magnitude is at most 127 and a rounding error.
        *value = unsafe { (x * inverse).round_ties_even().to_int_unchecked::<i32>() } as i8;
    }
    largest / 127.0
}
