//! Matrices on a device: how the file's bytes are laid out for the kernels.
//!
//! Rows (output features) stand in tiles of 32, columns in blocks of 32. Inside a tile the rows' pieces of a block lie
//! side by side, so that 32 threads, one a row, read one stretch of memory, and none needs another's sums. Codes are
//! the file's own integers or small floats; scales keep the file's bits, so that a value is exactly what the CPU
//! decodes. Rows are padded to whole tiles with zeros.
//!
//! | part | word of row `r` of a tile |
//! |---|---|
//! | codes | `[tile][block][piece][32]` of 16 bytes (8 bytes for 2 and 3 bits); value `i` at bit `i * bits` of a block |
//! | high | 3, 5, 6 bits: `[tile][block][32]` of one or two words, value `i` at bit `i` or `2 i` |
//! | scales | `[tile][word][32]`, what a word holds see [`Scale`] |
//! | supers | K-quants: `[tile][256 columns][32]`, f16 scale low, f16 factor of the minima high |
//!
//! Read next: `wgsl/weights.wgsl`, which reads this.

use std::sync::Arc;

use olivine_kernels::f16;
use olivine_kernels::quant::gguf_k::{q3_k_scale, scale_and_minimum};
use olivine_kernels::quant::{Format, ScaleType, Stored};

use crate::device::{Device, Memory};
use crate::error::GpuError;

/// Rows of a tile.
pub const TILE: usize = 32;
/// Columns of a block.
pub const BLOCK: usize = 32;

/// How one value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// Unsigned integers.
    Bits2 = 2,
    /// Unsigned integers.
    Bits3 = 3,
    /// Unsigned integers.
    Bits4 = 4,
    /// Unsigned integers.
    Bits5 = 5,
    /// Unsigned integers.
    Bits6 = 6,
    /// Unsigned integers.
    Bits8 = 8,
    /// Signed integers of 8 bits.
    Signed8 = 9,
    /// Small floats of 4 bits.
    E2m1 = 20,
    /// Small floats of 8 bits.
    E4m3 = 21,
    /// Brain floats.
    Bf16 = 30,
    /// Half floats.
    F16 = 31,
    /// Floats.
    F32 = 32,
}

impl Code {
    /// Bits of a value in the codes part, and in the high part.
    pub fn bits(self) -> (usize, usize) {
        match self {
            Code::Bits2 => (2, 0),
            Code::Bits3 => (2, 1),
            Code::Bits4 | Code::E2m1 => (4, 0),
            Code::Bits5 => (4, 1),
            Code::Bits6 => (4, 2),
            Code::Bits8 | Code::Signed8 | Code::E4m3 => (8, 0),
            Code::Bf16 | Code::F16 => (16, 0),
            Code::F32 => (32, 0),
        }
    }

    /// Bytes of a thread's load from the codes part.
    pub fn piece_bytes(self) -> usize {
        if self.bits().0 == 2 { 8 } else { 16 }
    }
}

/// What turns a code into a value. `q` is the code, groups run along a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Scale {
    /// `q`; no scales.
    None = 0,
    /// `s q + b`; a word holds f16 `s` low and `b` high.
    PairF16 = 1,
    /// The same in bf16.
    PairBf16 = 2,
    /// The same in f32: two rows of words a group.
    PairF32 = 3,
    /// `s (q - zero)`; a word holds f16 `s` of two groups.
    Single = 4,
    /// `(d s) q - (m b)`; a word holds u8 `s`, `b` of two groups, supers hold `d`, `m`.
    Minima = 5,
    /// `(d s) (q - zero)`; a word holds i8 `s` of four groups, supers hold `d`.
    Signed = 6,
    /// `2^(e - 127) q`; a word holds `e` of four groups.
    E8m0 = 7,
    /// `g e4m3(e) q`; a word holds `e` of four groups.
    E4m3 = 8,
}

impl Scale {
    /// Groups that a word describes.
    fn groups(self) -> usize {
        match self {
            Scale::None | Scale::PairF16 | Scale::PairBf16 | Scale::PairF32 => 1,
            Scale::Single | Scale::Minima => 2,
            Scale::Signed | Scale::E8m0 | Scale::E4m3 => 4,
        }
    }

    fn words(self) -> usize {
        if self == Scale::PairF32 { 2 } else { 1 }
    }
}

/// How a matrix is stored: what kernels are specialised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Values.
    pub code: Code,
    /// Scales.
    pub scale: Scale,
    /// Values that share a scale: 16, 32, 64 or 128; 32 without scales.
    pub group: u32,
    /// The code of zero.
    pub zero: u32,
}

impl Layout {
    /// Of a dense matrix.
    pub fn dense(code: Code) -> Layout {
        Layout { code, scale: Scale::None, group: 32, zero: 0 }
    }

    /// Of a storage format; `None` for those that are to be decoded first.
    pub fn of(format: Format, scale_type: ScaleType) -> Option<Layout> {
        let layout = |code, scale, group, zero| Some(Layout { code, scale, group, zero });
        match format {
            Format::Affine { bits, group } => {
                let code = match bits {
                    2 => Code::Bits2,
                    3 => Code::Bits3,
                    4 => Code::Bits4,
                    5 => Code::Bits5,
                    6 => Code::Bits6,
                    _ => Code::Bits8,
                };
                let scale = match scale_type {
                    ScaleType::F16 => Scale::PairF16,
                    ScaleType::Bf16 => Scale::PairBf16,
                    ScaleType::F32 => Scale::PairF32,
                };
                layout(code, scale, u32::from(group), 0)
            }
            Format::Q4_0 => layout(Code::Bits4, Scale::Single, 32, 8),
            Format::Q4_1 => layout(Code::Bits4, Scale::PairF16, 32, 0),
            Format::Q5_0 => layout(Code::Bits5, Scale::Single, 32, 16),
            Format::Q5_1 => layout(Code::Bits5, Scale::PairF16, 32, 0),
            Format::Q8_0 => layout(Code::Signed8, Scale::Single, 32, 0),
            Format::Q2K => layout(Code::Bits2, Scale::Minima, 16, 0),
            Format::Q3K => layout(Code::Bits3, Scale::Signed, 16, 4),
            Format::Q4K => layout(Code::Bits4, Scale::Minima, 32, 0),
            Format::Q5K => layout(Code::Bits5, Scale::Minima, 32, 0),
            Format::Q6K => layout(Code::Bits6, Scale::Signed, 16, 32),
            Format::Mxfp4 | Format::GgufMxfp4 => layout(Code::E2m1, Scale::E8m0, 32, 0),
            Format::Mxfp8 => layout(Code::E4m3, Scale::E8m0, 32, 0),
            Format::Nvfp4 => layout(Code::E2m1, Scale::E4m3, 16, 0),
            _ => None,
        }
    }

    /// Whether values carry an offset, so that kernels need the sums of their inputs.
    pub fn has_offset(&self) -> bool {
        matches!(self.scale, Scale::PairF16 | Scale::PairBf16 | Scale::PairF32 | Scale::Minima) || self.zero != 0
    }

    /// The constants that a kernel which reads such a matrix is specialised for.
    pub fn constants(&self) -> [(&'static str, u32); 4] {
        [("CODE", self.code as u32), ("SCALE", self.scale as u32), ("GROUP", self.group), ("ZERO", self.zero)]
    }

    /// Bytes of the parts of `tiles` tiles of `blocks` blocks: codes, high, scales, supers.
    fn part_bytes(&self, tiles: usize, blocks: usize) -> [usize; 4] {
        let (low, high) = self.code.bits();
        let groups = blocks * BLOCK / self.group as usize;
        let words =
            if self.scale == Scale::None { 0 } else { groups.div_ceil(self.scale.groups()) * self.scale.words() };
        let supers = if matches!(self.scale, Scale::Minima | Scale::Signed) { blocks / 8 } else { 0 };
        let rows = tiles * TILE;
        [rows * blocks * low * 4, rows * blocks * high * 4, rows * words * 4, rows * supers * 4]
    }
}

/// A matrix in the device's layout, still in the machine's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// How it is stored.
    pub layout: Layout,
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub columns: usize,
    /// Factor of all values (nvfp4).
    pub global_scale: f32,
    /// Codes of 4 bits: the power of two that brings the largest scale just below 2^-8, so that 2^24 times that is a half
    /// and so are offsets; else 1.
    pub scale_up: f32,
    /// Codes, high, scales, supers; the last three may be empty.
    pub parts: [Vec<u8>; 4],
}

/// A matrix on a device: what kernels read.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// How it is stored.
    pub layout: Layout,
    /// Output features; of all experts together when there are several.
    pub rows: usize,
    /// Input features.
    pub columns: usize,
    /// Factor of all values.
    pub global_scale: f32,
    /// As in [`Packed`].
    pub scale_up: f32,
    /// Codes, high, scales, supers.
    pub parts: [Option<Memory>; 4],
}

impl Packed {
    /// Lay out a quantized matrix; `None` when its format has no layout of its own (decode it and use [`Packed::dense`])
    /// or its rows are not whole blocks.
    pub fn quantized(stored: &Stored) -> Option<Packed> {
        let layout = Layout::of(stored.format, stored.scale_type)?;
        if !stored.columns.is_multiple_of(BLOCK) || stored.check().is_err() {
            return None;
        }
        let mut packed = Packed::empty(layout, stored.rows, stored.columns);
        packed.global_scale = stored.global_scale.unwrap_or(1.0);
        packed.fill(&|row, writer| write_quantized(stored, row, writer));
        Some(packed)
    }

    /// Lay out a dense matrix `[rows, columns]` of `code`, which is a float, from its little-endian bytes.
    pub fn dense(code: Code, rows: usize, columns: usize, bytes: &[u8]) -> Packed {
        let size = code.bits().0 / 8;
        assert_eq!(bytes.len(), rows * columns * size, "[weights] {code:?} matrix of {rows} x {columns}");
        let mut packed = Packed::empty(Layout::dense(code), rows, columns);
        packed.fill(&|row, writer| {
            let bytes = &bytes[row * columns * size..][..columns * size];
            for (block, values) in bytes.chunks(BLOCK * size).enumerate() {
                writer.codes(block, values);
            }
        });
        packed
    }

    /// Several matrices of one input under one another, so that one dispatch makes all their outputs side by side (and
    /// experts behind one another). All but the last must have whole tiles of rows.
    pub fn stack(matrices: &[Packed]) -> Option<Packed> {
        let first = matrices.first()?;
        let same = |other: &Packed| {
            (other.layout, other.columns, other.global_scale) == (first.layout, first.columns, first.global_scale)
        };
        let whole = matrices[..matrices.len() - 1].iter().all(|matrix| matrix.rows.is_multiple_of(TILE));
        if !whole || !matrices.iter().all(same) {
            return None;
        }
        let mut stacked = first.clone();
        for matrix in &matrices[1..] {
            stacked.rows += matrix.rows;
            stacked.scale_up = stacked.scale_up.min(matrix.scale_up);
            for (to, from) in stacked.parts.iter_mut().zip(&matrix.parts) {
                to.extend_from_slice(from);
            }
        }
        Some(stacked)
    }

    /// Bring it to a device.
    pub fn upload(self, device: &dyn Device) -> Result<Matrix, GpuError> {
        let Packed { layout, rows, columns, global_scale, scale_up, parts } = self;
        let mut memories = [None, None, None, None];
        for (memory, part) in memories.iter_mut().zip(parts) {
            if !part.is_empty() {
                let bytes = part.len();
                *memory = Some(device.import(Arc::new(part), 0..bytes)?);
            }
        }
        Ok(Matrix { layout, rows, columns, global_scale, scale_up, parts: memories })
    }

    /// Bring each card of a group its own matrix; all are of one size.
    pub fn upload_each(shares: Vec<Packed>, device: &dyn Device) -> Result<Matrix, GpuError> {
        let Packed { layout, rows, columns, global_scale, parts, .. } = &shares[0];
        let scale_up = shares.iter().fold(f32::INFINITY, |least, share| least.min(share.scale_up));
        let mut memories = [None, None, None, None];
        for (index, memory) in memories.iter_mut().enumerate().filter(|(index, _)| !parts[*index].is_empty()) {
            let room = device.allocate(parts[index].len() as u64)?;
            for (card, share) in shares.iter().enumerate() {
                assert_eq!((share.layout, share.rows, share.columns), (*layout, *rows, *columns), "[weights] shares");
                device.write_to(card, &room, 0, &share.parts[index])?;
            }
            *memory = Some(room);
        }
        let (layout, rows, columns, global_scale) = (*layout, *rows, *columns, *global_scale);
        Ok(Matrix { layout, rows, columns, global_scale, scale_up, parts: memories })
    }

    fn empty(layout: Layout, rows: usize, columns: usize) -> Packed {
        let bytes = layout.part_bytes(rows.div_ceil(TILE), columns.div_ceil(BLOCK));
        Packed { layout, rows, columns, global_scale: 1.0, scale_up: 1.0, parts: bytes.map(|bytes| vec![0; bytes]) }
    }

    /// Have `write` write every row, some tiles on each core.
    fn fill(&mut self, write: &(dyn Fn(usize, &mut Writer) + Sync)) {
        let (tiles, blocks) = (self.rows.div_ceil(TILE), self.columns.div_ceil(BLOCK));
        let (layout, rows) = (self.layout, self.rows);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tiles.div_ceil(8)).max(1);
        let share = tiles.div_ceil(threads);
        let bytes = layout.part_bytes(1, blocks);
        let mut rest = self.parts.each_mut().map(|part| &mut part[..]);
        let largest = std::thread::scope(|scope| {
            let mut workers = Vec::new();
            for first in (0..tiles).step_by(share) {
                let count = share.min(tiles - first);
                let mut index = 0;
                let parts = rest.each_mut().map(|part| {
                    let taken = part.split_off_mut(..count * bytes[index]).expect("sizes of the same numbers");
                    index += 1;
                    taken
                });
                let work = move || {
                    let mut writer = Writer { layout, blocks, parts, row: 0 };
                    for row in first * TILE..((first + count) * TILE).min(rows) {
                        writer.row = row - first * TILE;
                        write(row, &mut writer);
                    }
                    writer.largest()
                };
                workers.push(scope.spawn(work));
            }
            let met = workers.into_iter().map(|worker| worker.join().expect("rows are written"));
            met.fold([0.0, 0.0], |a: [f32; 2], b| [a[0].max(b[0]), a[1].max(b[1])])
        });
        if layout.code == Code::Bits4 {
            self.scale_up = scale_up(largest);
        }
    }
}

/// The largest power of two that leaves scales below 2^-8, times which 2^24 is a half, and offsets below 2^14. What is too
/// small beside the matrix's largest loses bits only below 2^-20 of the largest weight.
fn scale_up([scale, offset]: [f32; 2]) -> f32 {
    // Magnitudes are below two to the power of this, the last of them rounded to a half too.
    let above = |magnitude: f32| ((magnitude * 1.001).to_bits() >> 23) as i32 - 126;
    let power = (-8 - above(scale)).min(14 - above(offset)).clamp(-100, 100);
    f32::from_bits(((power + 127) as u32) << 23)
}

/// Writes one row of some tiles.
struct Writer<'a> {
    layout: Layout,
    blocks: usize,
    parts: [&'a mut [u8]; 4],
    row: usize,
}

impl Writer<'_> {
    /// The packed low bits of a block, or fewer bytes at the end of a dense row.
    fn codes(&mut self, block: usize, bytes: &[u8]) {
        let (piece, pieces) = (self.layout.code.piece_bytes(), self.layout.code.bits().0 * 4);
        let pieces = pieces / piece;
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        for (index, bytes) in bytes.chunks(piece).enumerate() {
            let at = (((tile * self.blocks + block) * pieces + index) * TILE + lane) * piece;
            self.parts[0][at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// One byte a value: packs low and high bits.
    fn values(&mut self, block: usize, values: &[u8; BLOCK]) {
        let (low, high) = self.layout.code.bits();
        let mut codes = [0; BLOCK];
        for (index, value) in values.iter().enumerate() {
            let bit = index * low;
            codes[bit / 8] |= (value & ((1u16 << low) - 1) as u8) << (bit % 8);
        }
        self.codes(block, &codes[..low * 4]);
        if high > 0 {
            let mut bits = 0u64;
            for (index, value) in values.iter().enumerate() {
                bits |= u64::from(value >> low) << (index * high);
            }
            let (tile, lane) = (self.row / TILE, self.row % TILE);
            let at = ((tile * self.blocks + block) * TILE + lane) * high * 4;
            self.parts[1][at..at + high * 4].copy_from_slice(&bits.to_le_bytes()[..high * 4]);
        }
    }

    /// The scale bytes of a group: 4 (pairs), 8 (pairs of f32), 2 or 1.
    fn scale(&mut self, group: usize, bytes: &[u8]) {
        let scale = self.layout.scale;
        let words = (self.blocks * BLOCK / self.layout.group as usize).div_ceil(scale.groups()) * scale.words();
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        let word = group / scale.groups() * scale.words();
        for (index, bytes) in bytes.chunks(4).enumerate() {
            let at = ((tile * words + word + index) * TILE + lane) * 4 + group % scale.groups() * bytes.len();
            self.parts[2][at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// The largest magnitudes of what codes of 4 bits are multiplied by, and of what is added then.
    fn largest(&self) -> [f32; 2] {
        let Layout { code, scale, group, zero } = self.layout;
        if code != Code::Bits4 {
            return [0.0; 2];
        }
        let word_at = |bytes: &[u8]| u32::from_le_bytes(*bytes.as_array().expect("a word"));
        let words = self.parts[2].chunks_exact(4).map(word_at);
        let half = |bits: u32| f16::from_bits(bits as u16 & 0x7fff).to_f32();
        let both = |a: [f32; 2], b: [f32; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        match scale {
            Scale::PairF16 | Scale::PairBf16 | Scale::Single => {
                // Magnitudes of one type are ordered as their bits.
                let most = |a: [u32; 2], word: u32| [a[0].max(word & 0x7fff), a[1].max(word >> 16 & 0x7fff)];
                let most = words.fold([0; 2], most);
                match scale {
                    Scale::PairF16 => most.map(half),
                    Scale::PairBf16 => most.map(|bits| f32::from_bits(bits << 16)),
                    _ => [half(most[0].max(most[1])), half(most[0].max(most[1])) * zero as f32],
                }
            }
            Scale::PairF32 => {
                let is_offset = |index: usize| index / TILE % 2;
                words.enumerate().fold([0.0; 2], |mut most, (index, word)| {
                    most[is_offset(index)] = f32::max(most[is_offset(index)], f32::from_bits(word).abs());
                    most
                })
            }
            Scale::Minima => {
                let (supers, of_row) = (self.blocks / 8, self.blocks * BLOCK / group as usize / 2);
                words.enumerate().fold([0.0; 2], |most, (index, word)| {
                    let (tile, place, lane) = (index / TILE / of_row, index / TILE % of_row, index % TILE);
                    let at = ((tile * supers + place * supers / of_row) * TILE + lane) * 4;
                    let factors = word_at(&self.parts[3][at..at + 4]);
                    let largest = |shift: u32| (word >> shift & 255).max(word >> (16 + shift) & 255) as f32;
                    both(most, [half(factors) * largest(0), half(factors >> 16) * largest(8)])
                })
            }
            _ => unreachable!("no codes of 4 bits have scales like {scale:?}"),
        }
    }

    fn super_scale(&mut self, index: usize, scale: [u8; 2], minimum: [u8; 2]) {
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        let at = ((tile * (self.blocks / 8) + index) * TILE + lane) * 4;
        self.parts[3][at..at + 2].copy_from_slice(&scale);
        self.parts[3][at + 2..at + 4].copy_from_slice(&minimum);
    }
}

/// Copy one row of a quantized matrix.
fn write_quantized(stored: &Stored, index: usize, writer: &mut Writer) {
    let row = stored.row(index);
    match stored.format {
        Format::Affine { bits, .. } => {
            let bits = usize::from(bits);
            for (block, bytes) in row.data.chunks_exact(BLOCK * bits / 8).enumerate() {
                // Whole bytes of codes lie as they should; the others are taken apart.
                if matches!(bits, 2 | 4 | 8) {
                    writer.codes(block, bytes);
                } else {
                    writer.values(block, &unpack(bytes, bits));
                }
            }
            let size = stored.scale_type.bytes();
            for (group, (scale, bias)) in row.scales.chunks_exact(size).zip(row.biases.chunks_exact(size)).enumerate() {
                let mut pair = [0; 8];
                pair[..size].copy_from_slice(scale);
                pair[size..2 * size].copy_from_slice(bias);
                writer.scale(group, &pair[..2 * size]);
            }
        }
        Format::Mxfp4 | Format::Mxfp8 | Format::Nvfp4 => {
            let bytes = if stored.format == Format::Mxfp8 { 32 } else { 16 };
            for (block, bytes) in row.data.chunks_exact(bytes).enumerate() {
                writer.codes(block, bytes);
            }
            for (group, scale) in row.scales.iter().enumerate() {
                writer.scale(group, &[*scale]);
            }
        }
        Format::Q2K | Format::Q3K | Format::Q4K | Format::Q5K | Format::Q6K => {
            for (index, bytes) in row.data.chunks_exact(stored.format.block_bytes()).enumerate() {
                write_k(stored.format, index, bytes, writer);
            }
        }
        _ => {
            for (block, bytes) in row.data.chunks_exact(stored.format.block_bytes()).enumerate() {
                write_legacy(stored.format, block, bytes, writer);
            }
        }
    }
}

/// Values of a little-endian string of `bits` each.
fn unpack(bytes: &[u8], bits: usize) -> [u8; BLOCK] {
    std::array::from_fn(|index| {
        let bit = index * bits;
        let low = bytes[bit / 8];
        let high = bytes.get(bit / 8 + 1).copied().unwrap_or(0);
        ((u16::from_le_bytes([low, high]) >> (bit % 8)) & ((1 << bits) - 1)) as u8
    })
}

/// A block of 32 values of GGUF's older formats.
fn write_legacy(format: Format, block: usize, bytes: &[u8], writer: &mut Writer) {
    let (scale, nibbles) = match format {
        Format::GgufMxfp4 => (&bytes[..1], &bytes[1..]),
        Format::Q8_0 => {
            writer.scale(block, &bytes[..2]);
            return writer.codes(block, &bytes[2..]);
        }
        Format::Q4_1 | Format::Q5_1 => (&bytes[..4], &bytes[bytes.len() - 16..]),
        _ => (&bytes[..2], &bytes[bytes.len() - 16..]),
    };
    writer.scale(block, scale);
    let mut values: [u8; BLOCK] = std::array::from_fn(|index| (nibbles[index % 16] >> (index / 16 * 4)) & 15);
    if matches!(format, Format::Q5_0 | Format::Q5_1) {
        let at = scale.len();
        for (index, value) in values.iter_mut().enumerate() {
            *value |= ((bytes[at + index / 8] >> (index % 8)) & 1) << 4;
        }
    }
    writer.values(block, &values);
}

/// A block of 256 values of GGUF's K-quants.
fn write_k(format: Format, index: usize, bytes: &[u8], writer: &mut Writer) {
    let two = |at: usize| [bytes[at], bytes[at + 1]];
    let (scale, minimum) = match format {
        Format::Q2K => (two(80), two(82)),
        Format::Q3K => (two(108), [0; 2]),
        Format::Q6K => (two(208), [0; 2]),
        _ => (two(0), two(2)),
    };
    writer.super_scale(index, scale, minimum);
    let groups = if writer.layout.group == 16 { 16 } else { 8 };
    let packed: &[u8; 12] = match format {
        Format::Q3K => bytes[96..108].as_array().expect("12 bytes"),
        _ => bytes[4..16].as_array().expect("12 bytes"),
    };
    for group in 0..groups {
        let at = index * groups + group;
        match format {
            Format::Q2K => writer.scale(at, &[bytes[group] & 15, bytes[group] >> 4]),
            Format::Q3K => writer.scale(at, &[q3_k_scale(packed, group) as i8 as u8]),
            Format::Q6K => writer.scale(at, &[bytes[192 + group]]),
            _ => {
                let (scale, minimum) = scale_and_minimum(packed, group);
                writer.scale(at, &[scale, minimum]);
            }
        }
    }
    for block in 0..8 {
        let values: [u8; BLOCK] = std::array::from_fn(|value| k_code(format, bytes, block, value));
        writer.values(index * 8 + block, &values);
    }
}

/// Code of value `32 block + value` of a K-quant's block.
fn k_code(format: Format, bytes: &[u8], block: usize, value: usize) -> u8 {
    let (half, quarter) = (block / 4, block % 4);
    let pair = |at: usize| (bytes[at + 32 * half + value] >> (2 * quarter)) & 3;
    let nibble = |at: usize| (bytes[at + block / 2 * 32 + value] >> (4 * (block % 2))) & 15;
    match format {
        Format::Q2K => pair(16),
        Format::Q3K => pair(32) | (((bytes[value] >> block) & 1) << 2),
        Format::Q4K => nibble(16),
        Format::Q5K => nibble(48) | (((bytes[16 + value] >> block) & 1) << 4),
        _ => {
            let low = bytes[64 * half + 32 * (quarter % 2) + value] >> (4 * (quarter / 2)) & 15;
            low | (pair(128) << 4)
        }
    }
}
