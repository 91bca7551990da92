//! GGUF's IQ formats: groups of values from lattices, and the four-bit ones with a non-linear grid (ggml's block
//! formats, GGUF specification). Decoders only. Tables: [`super::gguf_iq_tables`].
//!
//! A lattice point gives 8 (or 4) magnitudes (see [`Lattice`]); signs are 8 bits, or 7 with the eighth chosen so that the number of
//! minus signs is even. Super-blocks hold 256 values in eight groups of 32, except IQ4_NL's blocks of 32.
//!
//! | format | bytes of a super-block, in order | value |
//! |---|---|---|
//! | IQ2_XXS | `d` f16, 8 × (4 indices, 4 × 7 signs, 4-bit scale) | `d * (s + 1/2) / 4 * point` |
//! | IQ2_XS | `d` f16, 32 × u16 (9 index, 7 sign bits), 8 × two 4-bit scales | as IQ2_XXS |
//! | IQ2_S | `d` f16, 32 indices, 32 signs, 8 × high index bits, 8 × two 4-bit scales | as IQ2_XXS |
//! | IQ3_XXS | `d` f16, 64 indices, 8 × (4 × 7 signs, 4-bit scale) | `d * (s + 1/2) / 2 * point` |
//! | IQ3_S | `d` f16, 64 indices, 8 high index bits, 32 signs, 4 × two 4-bit scales | `d * (2 s + 1) * point` |
//! | IQ1_S | `d` f16, 32 indices, 8 × u16 (4 × 3 index bits, 3-bit scale, shift) | `d * (2 s + 1) * (point ± 1/8)` |
//! | IQ1_M | 32 indices, 16 × (3 index bits, shift) twice, 4 × u16 (4 × 3-bit scale, a nibble of `d`) | as IQ1_S |
//! | IQ4_NL | `d` f16, 16 × two nibbles | `d * grid` |
//! | IQ4_XS | `d` f16, u16 high scale bits, 4 × two low scale nibbles, 128 × two nibbles | `d * (s - 32) * grid` |

use super::Row;
use super::gguf_iq_tables::{GRID_IQ1, GRID_IQ2S, GRID_IQ2XS, GRID_IQ2XXS, GRID_IQ3S, GRID_IQ3XXS, GRID_IQ4};
use super::gguf_legacy::read_f16;
use crate::convert::scalar::one_f16_to_f32;
use half::f16;

/// Values of a super-block.
const BLOCK: usize = 256;

/// A lattice format: every value is a small integer times the scale of its group, exactly.
pub trait Lattice {
    /// Bytes of a super-block.
    const BYTES: usize;
    /// Values that share a scale.
    const GROUP: usize;
    /// Coordinates of a point: eight, or four.
    const POINT: usize;
    /// Bits of a point's number beyond the lowest eight.
    const HIGH_BITS: usize;
    /// Whether points are magnitudes, with a sign for every value; else they are ternary and shifted by an eighth.
    const SIGNED: bool;
    /// A scale is `factor * (2 level + 1) * EIGHTHS / 8`.
    const EIGHTHS: u8;

    /// The factor of all scales, where a super-block begins with it.
    #[inline(always)]
    fn factor(block: &[u8]) -> f16 {
        f16::from_bits(read_u16(block, 0))
    }

    /// The level of a group's scale, below 16.
    fn level(block: &[u8], group: usize) -> u8;

    /// What is stored of eight values from `8 * index` on.
    fn code(block: &[u8], index: usize) -> Code;

    /// The integers of eight values.
    fn integers(code: Code) -> [i8; 8];

    /// The scale of a group.
    #[inline(always)]
    fn scale(block: &[u8], group: usize) -> f32 {
        let steps = 2 * Self::level(block, group) + 1;
        one_f16_to_f32(Self::factor(block)) * steps as f32 * (0.125 * Self::EIGHTHS as f32)
    }
}

/// What is stored of eight values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// Number of the point, or of the two points with four coordinates.
    pub points: [u16; 2],
    /// A bit for each value that is negative; of ternary points 1 when they are shifted down and 0 when up.
    pub signs: u8,
}

/// Decode a row.
pub fn decode<L: Lattice>(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<BLOCK>().0.iter_mut().zip(row.data.chunks_exact(L::BYTES)) {
        let out: &mut [[f32; 8]; BLOCK / 8] = out.as_chunks_mut().0.first_chunk_mut().expect("a super-block");
        for (index, out) in out.iter_mut().enumerate() {
            let scale = L::scale(block, index * 8 / L::GROUP);
            let integers = L::integers(L::code(block, index));
            out.iter_mut().zip(integers).for_each(|(out, integer)| *out = integer as f32 * scale);
        }
    }
}

/// IQ2_XXS.
pub struct Iq2Xxs;

impl Lattice for Iq2Xxs {
    const BYTES: usize = 66;
    const GROUP: usize = 32;
    const POINT: usize = 8;
    const HIGH_BITS: usize = 0;
    const SIGNED: bool = true;
    const EIGHTHS: u8 = 1;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        (read_u32(block, 6 + 8 * group) >> 28) as u8
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let (group, within) = (2 + 8 * (index / 4), index % 4);
        let signs = even_signs(read_u32(block, group + 4) >> (7 * within));
        Code { points: [block[group + within] as u16, 0], signs }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        signed(GRID_IQ2XXS[code.points[0] as usize], code.signs)
    }
}

/// IQ2_XS.
pub struct Iq2Xs;

impl Lattice for Iq2Xs {
    const BYTES: usize = 74;
    const GROUP: usize = 16;
    const POINT: usize = 8;
    const HIGH_BITS: usize = 1;
    const SIGNED: bool = true;
    const EIGHTHS: u8 = 1;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        nibble(block, 66, group)
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let code = read_u16(block, 2 + 2 * index);
        Code { points: [code & 511, 0], signs: even_signs((code >> 9) as u32) }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        signed(GRID_IQ2XS[code.points[0] as usize], code.signs)
    }
}

/// IQ2_S.
pub struct Iq2S;

impl Lattice for Iq2S {
    const BYTES: usize = 82;
    const GROUP: usize = 16;
    const POINT: usize = 8;
    const HIGH_BITS: usize = 2;
    const SIGNED: bool = true;
    const EIGHTHS: u8 = 1;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        nibble(block, 74, group)
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let high = block[66 + index / 4] >> (2 * (index % 4)) & 3;
        Code { points: [block[2 + index] as u16 | (high as u16) << 8, 0], signs: block[34 + index] }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        signed(GRID_IQ2S[code.points[0] as usize], code.signs)
    }
}

/// IQ3_XXS.
pub struct Iq3Xxs;

impl Lattice for Iq3Xxs {
    const BYTES: usize = 98;
    const GROUP: usize = 32;
    const POINT: usize = 4;
    const HIGH_BITS: usize = 0;
    const SIGNED: bool = true;
    const EIGHTHS: u8 = 2;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        (read_u32(block, 66 + 4 * group) >> 28) as u8
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let signs = even_signs(read_u32(block, 66 + 4 * (index / 4)) >> (7 * (index % 4)));
        Code { points: [0, 1].map(|half| block[2 + 2 * index + half] as u16), signs }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        let [a, b] = code.points.map(|point| GRID_IQ3XXS[point as usize]);
        signed(join(a, b), code.signs)
    }
}

/// IQ3_S.
pub struct Iq3S;

impl Lattice for Iq3S {
    const BYTES: usize = 110;
    const GROUP: usize = 32;
    const POINT: usize = 4;
    const HIGH_BITS: usize = 1;
    const SIGNED: bool = true;
    const EIGHTHS: u8 = 8;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        nibble(block, 106, group)
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let points = [0, 1].map(|half| {
            let high = block[66 + index / 4] >> (2 * (index % 4) + half) & 1;
            block[2 + 2 * index + half] as u16 | (high as u16) << 8
        });
        Code { points, signs: block[74 + index] }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        let [a, b] = code.points.map(|point| GRID_IQ3S[point as usize]);
        signed(join(a, b), code.signs)
    }
}

/// IQ1_S.
pub struct Iq1S;

impl Lattice for Iq1S {
    const BYTES: usize = 50;
    const GROUP: usize = 32;
    const POINT: usize = 8;
    const HIGH_BITS: usize = 3;
    const SIGNED: bool = false;
    const EIGHTHS: u8 = 1;

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        (read_u16(block, 34 + 2 * group) >> 12 & 7) as u8
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let code = read_u16(block, 34 + 2 * (index / 4));
        let high = code >> (3 * (index % 4)) & 7;
        Code { points: [block[2 + index] as u16 | high << 8, 0], signs: (code >> 15) as u8 }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        ternary(code.points[0] as usize, code.signs != 0)
    }
}

/// IQ1_M.
pub struct Iq1M;

impl Lattice for Iq1M {
    const BYTES: usize = 56;
    const GROUP: usize = 16;
    const POINT: usize = 8;
    const HIGH_BITS: usize = 3;
    const SIGNED: bool = false;
    const EIGHTHS: u8 = 1;

    #[inline(always)]
    fn factor(block: &[u8]) -> f16 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| read_u16(block, 48 + 2 * index) >> 12);
        f16::from_bits(a | b << 4 | c << 8 | d << 12)
    }

    #[inline(always)]
    fn level(block: &[u8], group: usize) -> u8 {
        (read_u16(block, 48 + 2 * (group / 4)) >> (3 * (group % 4)) & 7) as u8
    }

    #[inline(always)]
    fn code(block: &[u8], index: usize) -> Code {
        let block: &[u8; Self::BYTES] = block.first_chunk().expect("a super-block");
        let code = block[32 + index / 2] >> (4 * (index % 2));
        Code { points: [block[index] as u16 | ((code & 7) as u16) << 8, 0], signs: code >> 3 & 1 }
    }

    #[inline(always)]
    fn integers(code: Code) -> [i8; 8] {
        ternary(code.points[0] as usize, code.signs != 0)
    }
}

/// Decode a row of IQ4_NL. Nibbles lie as in Q4_0.
pub fn decode_iq4_nl(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<18>().0) {
        put_nibbles(out, read_f16(block, 0), &block[2..]);
    }
}

/// Decode a row of IQ4_XS. Nibbles of each 32 values lie as in Q4_0.
pub fn decode_iq4_xs(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<136>().0) {
        let (scale, high) = (read_f16(block, 0), read_u16(block, 2));
        for (index, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = block[4 + index / 2] >> (4 * (index % 2)) & 15;
            let level = low as i32 | ((high >> (2 * index) & 3) << 4) as i32;
            put_nibbles(out, scale * (level - 32) as f32, &block[8 + 16 * index..][..16]);
        }
    }
}

#[inline(always)]
fn read_u16(block: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([block[offset], block[offset + 1]])
}

#[inline(always)]
fn read_u32(block: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([block[offset], block[offset + 1], block[offset + 2], block[offset + 3]])
}

/// Seven stored signs and the eighth that makes the number of minus signs even.
#[inline(always)]
fn even_signs(code: u32) -> u8 {
    let seven = (code & 127) as u8;
    seven | (((seven.count_ones() & 1) as u8) << 7)
}

#[inline(always)]
fn join(a: [u8; 4], b: [u8; 4]) -> [u8; 8] {
    [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]
}

/// Four bits a group, two groups a byte.
#[inline(always)]
fn nibble(block: &[u8], offset: usize, group: usize) -> u8 {
    block[offset + group / 2] >> (4 * (group % 2)) & 15
}

/// All bits of a byte for each set bit.
const SPREAD: [u64; 256] = {
    let mut spread = [0; 256];
    let mut at = 0;
    while at < 256 * 8 {
        spread[at / 8] |= (0xFF * (((at / 8) >> (at % 8)) & 1) as u64) << (8 * (at % 8));
        at += 1;
    }
    spread
};

/// Magnitudes with their signs; a set bit is a minus. No magnitude is zero, so that no sum carries into its neighbour.
#[inline(always)]
fn signed(point: [u8; 8], signs: u8) -> [i8; 8] {
    let minus = SPREAD[signs as usize];
    ((u64::from_le_bytes(point) ^ minus) + (minus & 0x0101_0101_0101_0101)).to_le_bytes().map(|byte| byte as i8)
}

/// Eighths: values of -1, 0 or 1, all shifted by one eighth.
#[inline(always)]
fn ternary(point: usize, down: bool) -> [i8; 8] {
    let shift = if down { -1 } else { 1 };
    GRID_IQ1[point].map(|value| 8 * value + shift)
}

#[inline(always)]
fn put_nibbles(out: &mut [f32; 32], factor: f32, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        out[index] = factor * GRID_IQ4[(byte & 15) as usize] as f32;
        out[index + 16] = factor * GRID_IQ4[(byte >> 4) as usize] as f32;
    }
}
