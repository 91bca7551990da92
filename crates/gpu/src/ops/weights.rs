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
//! | high | 3, 5, 6 bits: `[tile][block][32]` of one or two words; 3 bits: value `i` at bit `i`; else see [`high_bit`] |
//! | scales | `[tile][word][32]`, what a word holds see [`Scale`] |
//! | supers | K-quants: `[tile][256 columns][32]`, f16 scale low, f16 factor of the minima high |
//!
//! Read next: [`super::laying`], which writes this, and `wgsl/weights.wgsl`, which reads it.

use olivine_kernels::quant::{Format, ScaleType};

use crate::device::Memory;

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

/// Where the high bits of value `value` begin in its word, of codes of 5 bits (`width` 1, a word for 32 values) and 6 bits (2, one
/// for 16): as nibbles that are two and two in the halves of a word want them, so that a shift serves four values.
pub fn high_bit(width: usize, value: usize) -> usize {
    let pair = value / 8 * 2 + value / 2 % 2;
    pair % (4 / width) * width + pair / (4 / width) * 8 + value % 2 * 4 + value / 4 % 2 * 16
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
    /// `g d e4m3(e) q` of matrices whose `g` differ, under one another: the same, and supers hold f32 `d`.
    E4m3Each = 9,
}

impl Scale {
    /// Groups that a word describes.
    pub(super) fn groups(self) -> usize {
        match self {
            Scale::None | Scale::PairF16 | Scale::PairBf16 | Scale::PairF32 => 1,
            Scale::Single | Scale::Minima => 2,
            Scale::Signed | Scale::E8m0 | Scale::E4m3 | Scale::E4m3Each => 4,
        }
    }

    pub(super) fn words(self) -> usize {
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
    pub(super) fn part_bytes(&self, tiles: usize, blocks: usize) -> [usize; 4] {
        let (low, high) = self.code.bits();
        let has_supers = matches!(self.scale, Scale::Minima | Scale::Signed | Scale::E4m3Each);
        let supers = if has_supers { supers(blocks) } else { 0 };
        let rows = tiles * TILE;
        [rows * blocks * low * 4, rows * blocks * high * 4, rows * self.scale_words(blocks) * 4, rows * supers * 4]
    }

    /// Words of scales of a row of so many blocks.
    pub(super) fn scale_words(&self, blocks: usize) -> usize {
        let groups = blocks * BLOCK / self.group as usize;
        if self.scale == Scale::None { 0 } else { groups.div_ceil(self.scale.groups()) * self.scale.words() }
    }
}

/// Supers of a row of so many blocks: one for 256 columns.
pub(super) fn supers(blocks: usize) -> usize {
    blocks.div_ceil(8)
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
    /// The power of two that brings the largest scale so low that its products with codes are halves: of codes of 4 to 6
    /// bits just below 2^-8, so that 2^24 times that is a half and so are offsets, of small floats below 1; else 1.
    pub scale_up: f32,
    /// Codes, high, scales, supers.
    pub parts: [Option<Memory>; 4],
}

impl Matrix {
    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        self.parts.iter().flatten().map(|part| part.bytes() as usize).sum()
    }
}
