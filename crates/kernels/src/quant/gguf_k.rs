//! GGUF's K-quants: super-blocks of 256 values with quantized scales (ggml's block formats, GGUF specification).
//!
//! | format | sub-blocks | bytes of a super-block, in order | value |
//! |---|---|---|---|
//! | Q2_K | 16 × 16 | 16 × (scale, minimum) nibbles, 64 quants, `d` f16, `dmin` f16 | `d * s * q - dmin * m` |
//! | Q3_K | 16 × 16 | 32 high bits, 64 low quants, 12 scales, `d` f16 | `d * (s - 32) * (q - 4)` |
//! | Q4_K | 8 × 32 | `d` f16, `dmin` f16, 12 scales and minima, 128 nibbles | `d * s * q - dmin * m` |
//! | Q5_K | 8 × 32 | `d` f16, `dmin` f16, 12 scales and minima, 32 fifth bits, 128 nibbles | as Q4_K |
//! | Q6_K | 16 × 16 | 128 nibbles, 64 high pairs, 16 × i8 scale, `d` f16 | `d * s * (q - 32)` |
//!
//! The order of quants inside the bytes is described at each decoder. The encoders give the bytes of ggml's
//! reference quantizers (no importance matrix); their searches are in [`super::gguf_k_search`].
//! Read next: [`super::gguf_iq`].

use super::gguf_k_search::{Steps, coordinate_descent, nearest, symmetric, transpose, with_minimum};
use super::gguf_legacy::{read_f16, write_f16};
use super::tiers::tiered;
use super::{Row, RowMut};

tiered! {
    /// Decode a row of Q2_K.
    pub fn decode_q2_k(row: Row<'_>, out: &mut [f32]) = decode_q2_k_body;
    /// Decode a row of Q3_K.
    pub fn decode_q3_k(row: Row<'_>, out: &mut [f32]) = decode_q3_k_body;
    /// Decode a row of Q4_K.
    pub fn decode_q4_k(row: Row<'_>, out: &mut [f32]) = decode_q4_k_body;
    /// Decode a row of Q5_K.
    pub fn decode_q5_k(row: Row<'_>, out: &mut [f32]) = decode_q5_k_body;
    /// Decode a row of Q6_K.
    pub fn decode_q6_k(row: Row<'_>, out: &mut [f32]) = decode_q6_k_body;
    /// Encode a row of Q2_K.
    pub fn encode_q2_k(values: &[f32], row: RowMut<'_>) = encode_q2_k_body;
    /// Encode a row of Q3_K.
    pub fn encode_q3_k(values: &[f32], row: RowMut<'_>) = encode_q3_k_body;
    /// Encode a row of Q4_K.
    pub fn encode_q4_k(values: &[f32], row: RowMut<'_>) = encode_q4_k_body;
    /// Encode a row of Q5_K.
    pub fn encode_q5_k(values: &[f32], row: RowMut<'_>) = encode_q5_k_body;
    /// Encode a row of Q6_K.
    pub fn encode_q6_k(values: &[f32], row: RowMut<'_>) = encode_q6_k_body;
}

/// The scale and the minimum (6 bits each) of sub-block `index` of Q4_K and Q5_K from their 12 bytes: the first four
/// lie in the low six bits of bytes `index` and `index + 4`, the others as nibbles of byte `index + 4` with their
/// high bits atop the first ones.
#[inline(always)]
pub fn scale_and_minimum(scales: &[u8; 12], index: usize) -> (u8, u8) {
    if index < 4 {
        (scales[index] & 63, scales[index + 4] & 63)
    } else {
        let both = scales[index + 4];
        ((both & 15) | (scales[index - 4] >> 6 << 4), (both >> 4) | (scales[index] >> 6 << 4))
    }
}

/// The scale (6 bits, offset 32) of sub-block `index` of Q3_K from its 12 bytes: low nibbles in the first eight,
/// high pairs in the last four.
#[inline(always)]
pub fn q3_k_scale(scales: &[u8; 12], index: usize) -> i32 {
    let low = if index < 8 { scales[index] & 15 } else { scales[index - 8] >> 4 };
    let high = scales[8 + index % 4] >> (2 * (index / 4)) & 3;
    (low | (high << 4)) as i32 - 32
}

/// Byte `l` of half `h` (32 bytes) holds values `128 h + l + 32 k` for `k` in `0..4`, two bits each.
#[inline(always)]
fn decode_q2_k_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<84>().0) {
        let (scale, minimum) = (read_f16(block, 80), read_f16(block, 82));
        for (index, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (half, pair, odd) = (index / 8, index / 2 % 4, index % 2);
            let factor = scale * (block[index] & 15) as f32;
            let offset = minimum * (block[index] >> 4) as f32;
            let quants = &block[16 + 32 * half + 16 * odd..][..16];
            for (out, byte) in out.iter_mut().zip(quants) {
                *out = factor * (byte >> (2 * pair) & 3) as f32 - offset;
            }
        }
    }
}

/// Low pairs as in Q2_K; the high bit of value `32 k + l` is bit `k` of byte `l` of the first 32.
#[inline(always)]
fn decode_q3_k_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<110>().0) {
        let scale = read_f16(block, 108);
        let scales: &[u8; 12] = block[96..108].as_array().expect("12 bytes");
        for (index, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (half, pair, odd) = (index / 8, index / 2 % 4, index % 2);
            let factor = scale * q3_k_scale(scales, index) as f32;
            let quants = &block[32 + 32 * half + 16 * odd..][..16];
            let high = &block[16 * odd..][..16];
            for ((out, byte), high) in out.iter_mut().zip(quants).zip(high) {
                let quant = (byte >> (2 * pair) & 3) | ((high >> (index / 2) & 1) << 2);
                *out = factor * (quant as i32 - 4) as f32;
            }
        }
    }
}

/// Byte `l` of quarter `k` (32 bytes) holds value `64 k + l` low and `64 k + 32 + l` high.
#[inline(always)]
fn decode_q4_k_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<144>().0) {
        let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
        let scales: &[u8; 12] = block[4..16].as_array().expect("12 bytes");
        for (index, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (s, m) = scale_and_minimum(scales, index);
            let (factor, offset) = (scale * s as f32, minimum * m as f32);
            for (out, byte) in out.iter_mut().zip(&block[16 + index / 2 * 32..][..32]) {
                *out = factor * (byte >> (4 * (index % 2)) & 15) as f32 - offset;
            }
        }
    }
}

/// Nibbles as in Q4_K; the fifth bit of value `32 k + l` is bit `k` of byte `l` of the 32.
#[inline(always)]
fn decode_q5_k_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<176>().0) {
        let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
        let scales: &[u8; 12] = block[4..16].as_array().expect("12 bytes");
        for (index, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (s, m) = scale_and_minimum(scales, index);
            let (factor, offset) = (scale * s as f32, minimum * m as f32);
            let nibbles = &block[48 + index / 2 * 32..][..32];
            for ((out, byte), fifth) in out.iter_mut().zip(nibbles).zip(&block[16..48]) {
                let quant = (byte >> (4 * (index % 2)) & 15) | ((fifth >> index & 1) << 4);
                *out = factor * quant as f32 - offset;
            }
        }
    }
}

/// In each half: value `l + 32 k` has its low nibble in byte `l + 32 (k % 2)` of 64 (high nibble for `k` of 2 and 3)
/// and its high pair `k` in byte `l` of 32.
#[inline(always)]
fn decode_q6_k_body(row: Row<'_>, out: &mut [f32]) {
    for (out, block) in out.as_chunks_mut::<256>().0.iter_mut().zip(row.data.as_chunks::<210>().0) {
        let scale = read_f16(block, 208);
        for (index, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let (half, pair, odd) = (index / 8, index / 2 % 4, index % 2);
            let factor = scale * (block[192 + index] as i8) as f32;
            let low = &block[64 * half + 32 * (pair % 2) + 16 * odd..][..16];
            let high = &block[128 + 32 * half + 16 * odd..][..16];
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                let quant = (low >> (4 * (pair / 2)) & 15) | ((high >> (2 * pair) & 3) << 4);
                *out = factor * (quant as i32 - 32) as f32;
            }
        }
    }
}

#[inline(always)]
fn encode_q2_k_body(values: &[f32], row: RowMut<'_>) {
    let steps = Steps { last: 3, first: -0.5, count: 15, absolute: true };
    for (values, block) in values.as_chunks::<256>().0.iter().zip(row.data.as_chunks_mut::<84>().0) {
        let columns = transpose::<16, 16>(values);
        let found = with_minimum(&columns, &columns.map(|column| column.map(f32::abs)), steps);
        let (largest_scale, largest_minimum) = (largest(&found.scales), largest(&found.minima));
        block[..16].fill(0);
        for (byte, (scale, minimum)) in block.iter_mut().zip(found.scales.iter().zip(&found.minima)) {
            if largest_scale > 0.0 {
                *byte = nearest(15.0 / largest_scale * scale) as u8;
            }
            if largest_minimum > 0.0 {
                *byte |= (nearest(15.0 / largest_minimum * minimum) as u8) << 4;
            }
        }
        write_f16(block, 80, if largest_scale > 0.0 { largest_scale / 15.0 } else { 0.0 });
        write_f16(block, 82, if largest_minimum > 0.0 { largest_minimum / 15.0 } else { 0.0 });
        let (scale, minimum) = (read_f16(block, 80), read_f16(block, 82));
        let mut quants = sub_blocks(&found.quants);
        for (index, quants) in quants.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let factor = scale * (block[index] & 15) as f32;
            let offset = minimum * (block[index] >> 4) as f32;
            requantize(&values[16 * index..][..16], quants, factor, offset, 0, 3, 0);
        }
        pack_pairs(&quants, &mut block[16..80]);
    }
}

#[inline(always)]
fn encode_q3_k_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<256>().0.iter().zip(row.data.as_chunks_mut::<110>().0) {
        let found = coordinate_descent(&transpose::<16, 16>(values), 4);
        let largest = largest_by_magnitude(&found.scales);
        block.fill(0);
        if largest != 0.0 {
            let inverse = -32.0 / largest;
            for (index, scale) in found.scales.iter().enumerate() {
                let level = (nearest(inverse * scale).clamp(-32, 31) + 32) as u8;
                block[96 + index % 8] |= (level & 15) << (4 * (index / 8));
                block[104 + index % 4] |= (level >> 4) << (2 * (index / 4));
            }
            write_f16(block, 108, 1.0 / inverse);
        }
        let scale = read_f16(block, 108);
        let scales: [u8; 12] = *block[96..108].as_array().expect("12 bytes");
        let mut quants = sub_blocks(&found.quants);
        for (index, quants) in quants.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let factor = scale * q3_k_scale(&scales, index) as f32;
            requantize(&values[16 * index..][..16], quants, factor, 0.0, -4, 3, 4);
        }
        for (index, quants) in quants.as_chunks::<32>().0.iter().enumerate() {
            for (byte, quant) in block[..32].iter_mut().zip(quants) {
                *byte |= (quant >> 2) << index;
            }
        }
        pack_pairs(&quants.map(|quant| quant & 3), &mut block[32..96]);
    }
}

#[inline(always)]
fn encode_q4_k_body(values: &[f32], row: RowMut<'_>) {
    let steps = Steps { last: 15, first: -1.0, count: 20, absolute: false };
    for (values, block) in values.as_chunks::<256>().0.iter().zip(row.data.as_chunks_mut::<144>().0) {
        let quants = encode_with_minima(values, steps, block.first_chunk_mut().expect("16 bytes"));
        pack_nibbles(&quants, &mut block[16..]);
    }
}

#[inline(always)]
fn encode_q5_k_body(values: &[f32], row: RowMut<'_>) {
    let steps = Steps { last: 31, first: -0.5, count: 15, absolute: false };
    for (values, block) in values.as_chunks::<256>().0.iter().zip(row.data.as_chunks_mut::<176>().0) {
        let quants = encode_with_minima(values, steps, block.first_chunk_mut().expect("16 bytes"));
        block[16..48].fill(0);
        for (index, quants) in quants.as_chunks::<32>().0.iter().enumerate() {
            for (byte, quant) in block[16..48].iter_mut().zip(quants) {
                *byte |= (quant >> 4) << index;
            }
        }
        pack_nibbles(&quants.map(|quant| quant & 15), &mut block[48..]);
    }
}

/// The part that Q4_K and Q5_K share: writes the header (`d`, `dmin`, 12 scales and minima), gives the quants.
#[inline(always)]
fn encode_with_minima(values: &[f32; 256], steps: Steps, header: &mut [u8; 16]) -> [u8; 256] {
    let columns = transpose::<8, 32>(values);
    let mut squares = [0.0f32; 8];
    for column in &columns {
        for (square, value) in squares.iter_mut().zip(column) {
            *square += value * value;
        }
    }
    let root_mean_square = squares.map(|square| (square / 32.0).sqrt());
    let mut weights = columns; // [32, 8]
    for column in &mut weights {
        for (weight, mean) in column.iter_mut().zip(&root_mean_square) {
            *weight = mean + weight.abs();
        }
    }
    let found = with_minimum(&columns, &weights, steps);
    let (largest_scale, largest_minimum) = (largest(&found.scales), largest(&found.minima));
    let inverse = |largest: f32| if largest > 0.0 { 63.0 / largest } else { 0.0 };
    let (inverse_scale, inverse_minimum) = (inverse(largest_scale), inverse(largest_minimum));
    header.fill(0);
    for (index, (scale, minimum)) in found.scales.iter().zip(&found.minima).enumerate() {
        let scale = (nearest(inverse_scale * scale) as u8).min(63);
        let minimum = (nearest(inverse_minimum * minimum) as u8).min(63);
        let scales = &mut header[4..];
        if index < 4 {
            scales[index] = scale;
            scales[index + 4] = minimum;
        } else {
            scales[index + 4] = (scale & 15) | ((minimum & 15) << 4);
            scales[index - 4] |= scale >> 4 << 6;
            scales[index] |= minimum >> 4 << 6;
        }
    }
    write_f16(header, 0, largest_scale / 63.0);
    write_f16(header, 2, largest_minimum / 63.0);
    let (scale, minimum) = (read_f16(header, 0), read_f16(header, 2));
    let scales: &[u8; 12] = header.last_chunk().expect("12 bytes");
    let mut quants = sub_blocks(&found.quants);
    for (index, quants) in quants.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (s, m) = scale_and_minimum(scales, index);
        let (factor, offset) = (scale * s as f32, minimum * m as f32);
        requantize(&values[32 * index..][..32], quants, factor, offset, 0, steps.last, 0);
    }
    quants
}

#[inline(always)]
fn encode_q6_k_body(values: &[f32], row: RowMut<'_>) {
    for (values, block) in values.as_chunks::<256>().0.iter().zip(row.data.as_chunks_mut::<210>().0) {
        let found = symmetric(&transpose::<16, 16>(values), 32);
        let largest = largest_by_magnitude(&found.scales);
        block.fill(0);
        if largest.abs() < 1e-15 {
            continue;
        }
        let inverse = -128.0 / largest;
        write_f16(block, 208, 1.0 / inverse);
        for (byte, scale) in block[192..208].iter_mut().zip(&found.scales) {
            *byte = nearest(inverse * scale).min(127) as u8;
        }
        let scale = read_f16(block, 208);
        let mut quants = sub_blocks(&found.quants);
        for (index, quants) in quants.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let factor = scale * (block[192 + index] as i8) as f32;
            requantize(&values[16 * index..][..16], quants, factor, 0.0, -32, 31, 32);
        }
        for (half, quants) in quants.as_chunks::<128>().0.iter().enumerate() {
            for index in 0..32 {
                let [a, b, c, d] = [0, 32, 64, 96].map(|offset| quants[offset + index]);
                block[64 * half + index] = (a & 15) | ((c & 15) << 4);
                block[64 * half + 32 + index] = (b & 15) | ((d & 15) << 4);
                block[128 + 32 * half + index] = (a >> 4) | (b >> 4 << 2) | (c >> 4 << 4) | (d >> 4 << 6);
            }
        }
    }
}

/// Quants for the scales as they are stored; where the stored scale is zero those of the search stay.
#[inline(always)]
fn requantize(values: &[f32], quants: &mut [u8], factor: f32, offset: f32, first: i32, last: i32, zero: i32) {
    if factor != 0.0 {
        for (quant, value) in quants.iter_mut().zip(values) {
            *quant = (nearest((value + offset) / factor).min(last).max(first) + zero) as u8;
        }
    }
}

/// Lanes back into consecutive sub-blocks.
#[inline(always)]
fn sub_blocks<const LANES: usize, const LENGTH: usize>(quants: &[[i32; LANES]; LENGTH]) -> [u8; 256] {
    let mut out = [0; 256];
    for (column, quants) in quants.iter().enumerate() {
        for (lane, quant) in quants.iter().enumerate() {
            out[lane * LENGTH + column] = *quant as u8;
        }
    }
    out
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| if *value > largest { *value } else { largest })
}

/// The first value of largest magnitude, with its sign.
#[inline(always)]
fn largest_by_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0f32, |largest, value| if value.abs() > largest.abs() { *value } else { largest })
}

/// Four values a byte, in the order of Q2_K.
#[inline(always)]
fn pack_pairs(quants: &[u8; 256], out: &mut [u8]) {
    for (quants, out) in quants.as_chunks::<128>().0.iter().zip(out.chunks_exact_mut(32)) {
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = quants[index] | (quants[index + 32] << 2) | (quants[index + 64] << 4) | (quants[index + 96] << 6);
        }
    }
}

/// Two values a byte, in the order of Q4_K.
#[inline(always)]
fn pack_nibbles(quants: &[u8; 256], out: &mut [u8]) {
    for (quants, out) in quants.as_chunks::<64>().0.iter().zip(out.chunks_exact_mut(32)) {
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = quants[index] | (quants[index + 32] << 4);
        }
    }
}
