//! GGUF's blocks of 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4 (ggml's block formats, GGUF specification).
//!
//! | format | bytes of a block | value |
//! |---|---|---|
//! | Q4_0 | `d` f16, 16 × two nibbles | `d * (q - 8)` |
//! | Q4_1 | `d` f16, `m` f16, 16 × two nibbles | `d * q + m` |
//! | Q5_0 | `d` f16, 32 fifth bits, 16 × two nibbles | `d * (q - 16)` |
//! | Q5_1 | `d` f16, `m` f16, 32 fifth bits, 16 × two nibbles | `d * q + m` |
//! | Q8_0 | `d` f16, 32 × i8 | `d * q` |
//! | MXFP4 | `e` e8m0, 16 × two nibbles | `2^(e - 127) * e2m1(q)` |
//!
//! The low nibble of byte `j` is value `j`, the high one value `j + 16`; fifth bit `j` belongs to value `j`. The
//! encoders give the bytes of ggml's reference quantizers. Read next: [`super::gguf_k`].

use super::tiers::tiered;
use super::{Row, RowMut};
use crate::convert::scalar::{one_f16_to_f32, one_f32_to_f16};
use half::f16;

/// Twice the values of the sixteen e2m1 codes.
const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

tiered! {
    /// Decode a row of Q4_0.
    pub fn decode_q4_0(row: Row<'_>, out: &mut [f32]) = decode_q4_0_body;
    /// Decode a row of Q4_1.
    pub fn decode_q4_1(row: Row<'_>, out: &mut [f32]) = decode_q4_1_body;
    /// Decode a row of Q5_0.
    pub fn decode_q5_0(row: Row<'_>, out: &mut [f32]) = decode_q5_0_body;
    /// Decode a row of Q5_1.
    pub fn decode_q5_1(row: Row<'_>, out: &mut [f32]) = decode_q5_1_body;
    /// Decode a row of Q8_0.
    pub fn decode_q8_0(row: Row<'_>, out: &mut [f32]) = decode_q8_0_body;
    /// Decode a row of MXFP4 blocks.
    pub fn decode_mxfp4(row: Row<'_>, out: &mut [f32]) = decode_mxfp4_body;
    /// Encode a row of Q4_0.
    pub fn encode_q4_0(values: &[f32], row: RowMut<'_>) = encode_q4_0_body;
    /// Encode a row of Q4_1.
    pub fn encode_q4_1(values: &[f32], row: RowMut<'_>) = encode_q4_1_body;
    /// Encode a row of Q5_0.
    pub fn encode_q5_0(values: &[f32], row: RowMut<'_>) = encode_q5_0_body;
    /// Encode a row of Q5_1.
    pub fn encode_q5_1(values: &[f32], row: RowMut<'_>) = encode_q5_1_body;
    /// Encode a row of Q8_0.
    pub fn encode_q8_0(values: &[f32], row: RowMut<'_>) = encode_q8_0_body;
    /// Encode a row of MXFP4 blocks.
    pub fn encode_mxfp4(values: &[f32], row: RowMut<'_>) = encode_mxfp4_body;
}

/// Read the f16 at `offset`.
#[inline(always)]
pub(super) fn read_f16(block: &[u8], offset: usize) -> f32 {
    one_f16_to_f32(f16::from_le_bytes([block[offset], block[offset + 1]]))
}

/// Write `value` as an f16 at `offset`.
#[inline(always)]
pub(super) fn write_f16(block: &mut [u8], offset: usize, value: f32) {
    block[offset..offset + 2].copy_from_slice(&one_f32_to_f16(value).to_le_bytes());
}

#[inline(always)]
fn decode_q4_0_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<18>().0) {
        let scale = read_f16(block, 0);
        for (index, byte) in block[2..].iter().enumerate() {
            out[index] = scale * ((byte & 15) as i32 - 8) as f32;
            out[index + 16] = scale * ((byte >> 4) as i32 - 8) as f32;
        }
    }
}

#[inline(always)]
fn decode_q4_1_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<20>().0) {
        let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
        for (index, byte) in block[4..].iter().enumerate() {
            out[index] = scale * (byte & 15) as f32 + minimum;
            out[index + 16] = scale * (byte >> 4) as f32 + minimum;
        }
    }
}

#[inline(always)]
fn decode_q5_0_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<22>().0) {
        let scale = read_f16(block, 0);
        let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        for (index, byte) in block[6..].iter().enumerate() {
            let (low, high) = five_bits(*byte, fifth, index);
            out[index] = scale * (low - 16) as f32;
            out[index + 16] = scale * (high - 16) as f32;
        }
    }
}

#[inline(always)]
fn decode_q5_1_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<24>().0) {
        let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
        let fifth = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
        for (index, byte) in block[8..].iter().enumerate() {
            let (low, high) = five_bits(*byte, fifth, index);
            out[index] = scale * low as f32 + minimum;
            out[index + 16] = scale * high as f32 + minimum;
        }
    }
}

/// Values `index` and `index + 16` from their nibbles and the fifth bits.
#[inline(always)]
fn five_bits(byte: u8, fifth: u32, index: usize) -> (i32, i32) {
    let low = (byte & 15) as u32 | ((fifth >> index & 1) << 4);
    let high = (byte >> 4) as u32 | ((fifth >> (index + 16) & 1) << 4);
    (low as i32, high as i32)
}

#[inline(always)]
fn decode_q8_0_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<34>().0) {
        let scale = read_f16(block, 0);
        for (out, byte) in out.iter_mut().zip(&block[2..]) {
            *out = scale * (*byte as i8) as f32;
        }
    }
}

#[inline(always)]
fn decode_mxfp4_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(row.data.as_chunks::<17>().0) {
        let scale = half_of_e8m0(block[0]);
        for (index, byte) in block[1..].iter().enumerate() {
            out[index] = scale * E2M1_DOUBLED[(byte & 15) as usize] as f32;
            out[index + 16] = scale * E2M1_DOUBLED[(byte >> 4) as usize] as f32;
        }
    }
}

/// `2^(code - 128)`, so that the doubled e2m1 values stay integers; the two smallest are subnormal.
#[inline(always)]
fn half_of_e8m0(code: u8) -> f32 {
    f32::from_bits(if code < 2 { 0x0020_0000 << code } else { (code as u32 - 1) << 23 })
}

#[inline(always)]
fn encode_q4_0_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<18>().0) {
        let scale = largest_by_magnitude(values) / -8.0;
        let inverse = inverse_or_zero(scale);
        write_f16(block, 0, scale);
        let quant = |value: f32| ((value * inverse + 8.5) as i32).min(15) as u8;
        for index in 0..16 {
            block[2 + index] = quant(values[index]) | (quant(values[index + 16]) << 4);
        }
    }
}

#[inline(always)]
fn encode_q4_1_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<20>().0) {
        let (minimum, maximum) = range(values);
        let scale = (maximum - minimum) / 15.0;
        let inverse = inverse_or_zero(scale);
        write_f16(block, 0, scale);
        write_f16(block, 2, minimum);
        let quant = |value: f32| (((value - minimum) * inverse + 0.5) as i32).min(15) as u8;
        for index in 0..16 {
            block[4 + index] = quant(values[index]) | (quant(values[index + 16]) << 4);
        }
    }
}

#[inline(always)]
fn encode_q5_0_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<22>().0) {
        let scale = largest_by_magnitude(values) / -16.0;
        let inverse = inverse_or_zero(scale);
        write_f16(block, 0, scale);
        let quant = |value: f32| ((value * inverse + 16.5) as i32).min(31) as u8;
        pack_five_bits(&values.map(quant), &mut block[2..]);
    }
}

#[inline(always)]
fn encode_q5_1_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<24>().0) {
        let (minimum, maximum) = range(values);
        let scale = (maximum - minimum) / 31.0;
        let inverse = inverse_or_zero(scale);
        write_f16(block, 0, scale);
        write_f16(block, 2, minimum);
        let quant = |value: f32| (((value - minimum) * inverse + 0.5) as i32) as u8;
        pack_five_bits(&values.map(quant), &mut block[4..]);
    }
}

/// Write the 32 fifth bits, then the nibbles.
#[inline(always)]
fn pack_five_bits(quants: &[u8; 32], out: &mut [u8]) {
    let mut fifth = 0u32;
    for (index, quant) in quants.iter().enumerate() {
        fifth |= ((*quant >> 4 & 1) as u32) << index;
    }
    out[..4].copy_from_slice(&fifth.to_le_bytes());
    for index in 0..16 {
        out[4 + index] = (quants[index] & 15) | ((quants[index + 16] & 15) << 4);
    }
}

#[inline(always)]
fn encode_q8_0_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<34>().0) {
        let largest = values.iter().fold(0.0, |a: f32, value| if value.abs() > a { value.abs() } else { a });
        let scale = largest / 127.0;
        let inverse = inverse_or_zero(scale);
        write_f16(block, 0, scale);
        for (byte, value) in block[2..].iter_mut().zip(values) {
            *byte = round_away(value * inverse) as u8;
        }
    }
}

#[inline(always)]
fn encode_mxfp4_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<32>().0.iter().zip(row.data.as_chunks_mut::<17>().0) {
        let largest = largest_by_magnitude(values).abs();
        // The exponent of the largest value becomes that of 4.0, e2m1's largest power of two.
        let code = if largest > 0.0 { (largest.log2().floor() - 2.0 + 127.0) as u8 } else { 0 };
        let scale = half_of_e8m0(code);
        block[0] = code;
        for index in 0..16 {
            block[1 + index] = nearest_e2m1(values[index], scale) | (nearest_e2m1(values[index + 16], scale) << 4);
        }
    }
}

/// The code whose value is nearest; the first of equals, so a tie goes towards zero and zero has no sign.
#[inline(always)]
fn nearest_e2m1(value: f32, scale: f32) -> u8 {
    let mut best = (value.abs(), 0);
    for code in 1..16u8 {
        let error = (E2M1_DOUBLED[code as usize] as f32 * scale - value).abs();
        best = if error < best.0 { (error, code) } else { best };
    }
    best.1
}

/// The first value of largest magnitude, with its sign.
#[inline(always)]
fn largest_by_magnitude(values: &[f32; 32]) -> f32 {
    let (mut largest, mut signed) = (0.0, 0.0);
    for value in values {
        if value.abs() > largest {
            (largest, signed) = (value.abs(), *value);
        }
    }
    signed
}

#[inline(always)]
fn range(values: &[f32; 32]) -> (f32, f32) {
    values.iter().fold((f32::MAX, f32::MIN), |(minimum, maximum), value| {
        (if *value < minimum { *value } else { minimum }, if *value > maximum { *value } else { maximum })
    })
}

#[inline(always)]
fn inverse_or_zero(scale: f32) -> f32 {
    if scale != 0.0 { 1.0 / scale } else { 0.0 }
}

/// Round to nearest, ties away from zero. The largest float under one half keeps 0.49999997 at zero.
#[inline(always)]
fn round_away(value: f32) -> i32 {
    (value + f32::from_bits(0x3EFF_FFFF).copysign(value)) as i32
}
