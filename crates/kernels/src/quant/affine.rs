//! MLX affine quantization: `w = scale * q + bias`, `q` unsigned of 2, 3, 4, 5, 6 or 8 bits, in groups of 32, 64 or
//! 128 along a row (MLX documentation, `mlx.core.quantize`).
//!
//! Storage: the values of a row are one little-endian bit string, value `i` at bit `i * bits`; MLX shows it as u32
//! words. Scales and biases are separate tensors in the type of the source. The encoder gives MLX's own bytes: it
//! spans the group from the edge of larger magnitude, and moves the scale so that zero is a value of the grid. It
//! counts in f32; the stored scale and bias are rounded afterwards. Read next: [`super::mx`].

use super::tiers::tiered;
use super::{Row, RowMut, ScaleType};
use crate::convert::scalar::{one_f16_to_f32, one_f32_to_bf16, one_f32_to_f16};
use half::f16;

/// Decode a row. The group length follows from the number of scales.
pub fn decode<const BITS: usize>(row: Row<'_>, out: &mut [f32]) {
    let scale_bytes = row.scale_type.bytes();
    let groups = row.scales.len() / scale_bytes;
    if groups == 0 {
        return;
    }
    let group = out.len() / groups;
    let scales = row.scales.chunks_exact(scale_bytes);
    let biases = row.biases.chunks_exact(scale_bytes);
    let data = row.data.chunks_exact(group / 8 * BITS);
    for (((out, data), scale), bias) in out.chunks_exact_mut(group).zip(data).zip(scales).zip(biases) {
        let scale = read_scale(row.scale_type, scale);
        let bias = read_scale(row.scale_type, bias);
        for (out, data) in out.chunks_exact_mut(8).zip(data.chunks_exact(BITS)) {
            let mut word = [0; 8];
            word[..BITS].copy_from_slice(data);
            let word = u64::from_le_bytes(word);
            for (index, out) in out.iter_mut().enumerate() {
                let value = (word >> (index * BITS)) & ((1 << BITS) - 1);
                *out = scale * value as f32 + bias;
            }
        }
    }
}

/// Encode a row. The group length follows from the number of scales.
pub fn encode<const BITS: usize>(values: &[f32], row: RowMut<'_>) {
    let scale_bytes = row.scale_type.bytes();
    let groups = row.scales.len() / scale_bytes;
    if groups == 0 {
        return;
    }
    let group = values.len() / groups;
    let data = row.data.chunks_exact_mut(group / 8 * BITS);
    let scales = row.scales.chunks_exact_mut(scale_bytes).zip(row.biases.chunks_exact_mut(scale_bytes));
    for ((values, data), (scale_out, bias_out)) in values.chunks_exact(group).zip(data).zip(scales) {
        let mut scale_bias = [0.0; 2];
        encode_group(BITS, values, data, &mut scale_bias);
        write_scale(row.scale_type, scale_bias[0], scale_out);
        write_scale(row.scale_type, scale_bias[1], bias_out);
    }
}

/// Read one scale or bias.
#[inline(always)]
pub fn read_scale(scale_type: ScaleType, bytes: &[u8]) -> f32 {
    match scale_type {
        ScaleType::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        ScaleType::F16 => one_f16_to_f32(f16::from_le_bytes([bytes[0], bytes[1]])),
        ScaleType::Bf16 => f32::from_bits((u16::from_le_bytes([bytes[0], bytes[1]]) as u32) << 16),
    }
}

fn write_scale(scale_type: ScaleType, value: f32, bytes: &mut [u8]) {
    match scale_type {
        ScaleType::F32 => bytes.copy_from_slice(&value.to_le_bytes()),
        ScaleType::F16 => bytes.copy_from_slice(&one_f32_to_f16(value).to_le_bytes()),
        ScaleType::Bf16 => bytes.copy_from_slice(&one_f32_to_bf16(value).to_le_bytes()),
    }
}

tiered! {
    /// Encode one group; gives the scale and the bias.
    fn encode_group(bits: usize, values: &[f32], data: &mut [u8], scale_bias: &mut [f32; 2]) = encode_group_any;
}

#[inline(always)]
fn encode_group_any(bits: usize, values: &[f32], data: &mut [u8], scale_bias: &mut [f32; 2]) {
    match bits {
        2 => encode_group_body::<2>(values, data, scale_bias),
        3 => encode_group_body::<3>(values, data, scale_bias),
        4 => encode_group_body::<4>(values, data, scale_bias),
        5 => encode_group_body::<5>(values, data, scale_bias),
        6 => encode_group_body::<6>(values, data, scale_bias),
        _ => encode_group_body::<8>(values, data, scale_bias),
    }
}

#[inline(always)]
fn encode_group_body<const BITS: usize>(values: &[f32], data: &mut [u8], scale_bias: &mut [f32; 2]) {
    let last = ((1u32 << BITS) - 1) as f32;
    let (minimum, maximum) = range(values);
    let from_minimum = minimum.abs() > maximum.abs();
    let span = (maximum - minimum) / last;
    let step = if span > 1e-7 { span } else { 1e-7 };
    let mut scale = if from_minimum { step } else { -step };
    let mut bias = 0.0;
    let edge = if from_minimum { minimum } else { maximum };
    let edge_steps = (edge / scale).round_ties_even();
    if edge_steps != 0.0 {
        scale = edge / edge_steps;
        bias = edge;
    }
    for (values, data) in values.chunks_exact(8).zip(data.chunks_exact_mut(BITS)) {
        let mut quants = [0u32; 8];
        for (quant, value) in quants.iter_mut().zip(values) {
            *quant = round_within((value - bias) / scale, last);
        }
        let mut word = 0u64;
        for (index, quant) in quants.iter().enumerate() {
            word |= (*quant as u64) << (index * BITS);
        }
        data.copy_from_slice(&word.to_le_bytes()[..BITS]);
    }
    *scale_bias = [scale, bias];
}

/// Round to even within `0..=last`. Adding 1.5 * 2^23 leaves the rounded integer in the low bits.
#[inline(always)]
fn round_within(value: f32, last: f32) -> u32 {
    let value = if value > 0.0 { value } else { 0.0 };
    let value = if value < last { value } else { last };
    (value + 12_582_912.0).to_bits() & 0xFF
}

/// Smallest and largest value, sixteen at a time.
#[inline(always)]
fn range(values: &[f32]) -> (f32, f32) {
    let mut minima = [f32::INFINITY; 16];
    let mut maxima = [f32::NEG_INFINITY; 16];
    for values in values.chunks_exact(16) {
        for ((minimum, maximum), value) in minima.iter_mut().zip(&mut maxima).zip(values) {
            *minimum = if *value < *minimum { *value } else { *minimum };
            *maximum = if *value > *maximum { *value } else { *maximum };
        }
    }
    let minimum = minima.into_iter().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
    let maximum = maxima.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    (minimum, maximum)
}
