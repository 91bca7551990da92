//! GGUF's IQ formats: groups of values from lattices, and the four-bit ones with a non-linear grid (ggml's block
//! formats, GGUF specification). Decoders only. Tables: [`super::gguf_iq_tables`].
//!
//! A lattice point gives 8 (or 4) magnitudes; signs are 8 bits, or 7 with the eighth chosen so that the number of
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

/// Decode a row of IQ2_XXS.
pub fn decode_iq2_xxs(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<66>().0) {
        let scale = read_f16(block, 0);
        for (out, group) in out.as_chunks_mut::<32>().0.iter_mut().zip(block[2..].chunks_exact(8)) {
            let signs = read_u32(group, 4);
            let factor = scale * (0.5 + (signs >> 28) as f32) * 0.25;
            for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                put(out, factor, &GRID_IQ2XXS[group[index] as usize], even_signs(signs >> (7 * index)));
            }
        }
    }
}

/// Decode a row of IQ2_XS.
pub fn decode_iq2_xs(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<74>().0) {
        let scale = read_f16(block, 0);
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let level = block[66 + index / 4] >> (4 * (index / 2 % 2)) & 15;
            let factor = scale * (0.5 + level as f32) * 0.25;
            let code = read_u16(block, 2 + 2 * index);
            put(out, factor, &GRID_IQ2XS[(code & 511) as usize], even_signs((code >> 9) as u32));
        }
    }
}

/// Decode a row of IQ2_S.
pub fn decode_iq2_s(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<82>().0) {
        let scale = read_f16(block, 0);
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let level = block[74 + index / 4] >> (4 * (index / 2 % 2)) & 15;
            let factor = scale * (0.5 + level as f32) * 0.25;
            let high = block[66 + index / 4] >> (2 * (index % 4)) & 3;
            let point = &GRID_IQ2S[block[2 + index] as usize | (high as usize) << 8];
            put(out, factor, point, block[34 + index]);
        }
    }
}

/// Decode a row of IQ3_XXS.
pub fn decode_iq3_xxs(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<98>().0) {
        let scale = read_f16(block, 0);
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let signs = read_u32(block, 66 + 4 * (index / 4));
            let factor = scale * (0.5 + (signs >> 28) as f32) * 0.5;
            let [a, b] = [0, 1].map(|half| GRID_IQ3XXS[block[2 + 2 * index + half] as usize]);
            put(out, factor, &join(a, b), even_signs(signs >> (7 * (index % 4))));
        }
    }
}

/// Decode a row of IQ3_S.
pub fn decode_iq3_s(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<110>().0) {
        let scale = read_f16(block, 0);
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let level = block[106 + index / 8] >> (4 * (index / 4 % 2)) & 15;
            let factor = scale * (1 + 2 * level) as f32;
            let [a, b] = [0, 1].map(|half| {
                let high = block[66 + index / 4] >> (2 * (index % 4) + half) & 1;
                GRID_IQ3S[block[2 + 2 * index + half] as usize | (high as usize) << 8]
            });
            put(out, factor, &join(a, b), block[74 + index]);
        }
    }
}

/// Decode a row of IQ1_S.
pub fn decode_iq1_s(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<50>().0) {
        let scale = read_f16(block, 0);
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let code = read_u16(block, 34 + 2 * (index / 4));
            let factor = scale * (2 * (code >> 12 & 7) + 1) as f32;
            let high = code >> (3 * (index % 4)) & 7;
            put_ternary(out, factor, block[2 + index] as usize | (high as usize) << 8, code & 0x8000 != 0);
        }
    }
}

/// Decode a row of IQ1_M.
pub fn decode_iq1_m(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<56>().0) {
        let scales = [0, 1, 2, 3].map(|index| read_u16(block, 48 + 2 * index));
        let [a, b, c, d] = scales.map(|scale| scale >> 12);
        let scale = one_f16_to_f32(f16::from_bits(a | b << 4 | c << 8 | d << 12));
        for (index, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let level = scales[index / 8] >> (3 * (index / 2 % 4)) & 7;
            let code = block[32 + index / 2] >> (4 * (index % 2));
            let point = block[index] as usize | ((code & 7) as usize) << 8;
            put_ternary(out, scale * (2 * level + 1) as f32, point, code & 8 != 0);
        }
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

/// Write eight values; a set bit of `signs` is a minus.
#[inline(always)]
fn put(out: &mut [f32; 8], factor: f32, point: &[u8; 8], signs: u8) {
    for (index, (out, magnitude)) in out.iter_mut().zip(point).enumerate() {
        let value = factor * *magnitude as f32;
        *out = if signs >> index & 1 == 1 { -value } else { value };
    }
}

/// Write eight values of -1, 0 or 1, all shifted by an eighth.
#[inline(always)]
fn put_ternary(out: &mut [f32; 8], factor: f32, point: usize, down: bool) {
    let shift = if down { -0.125 } else { 0.125 };
    for (out, value) in out.iter_mut().zip(&GRID_IQ1[point]) {
        *out = factor * (*value as f32 + shift);
    }
}

#[inline(always)]
fn put_nibbles(out: &mut [f32; 32], factor: f32, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        out[index] = factor * GRID_IQ4[(byte & 15) as usize] as f32;
        out[index + 16] = factor * GRID_IQ4[(byte >> 4) as usize] as f32;
    }
}
