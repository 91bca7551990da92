//! Small floats with a shared scale, as MLX stores them: mxfp4 and mxfp8 (OCP Microscaling Formats 1.0) and nvfp4.
//!
//! | format | values | packed | scale of a group |
//! |---|---|---|---|
//! | mxfp4 | e2m1, groups of 32 | two a byte, the first in the low half | e8m0: `2^(byte - 127)` |
//! | mxfp8 | e4m3, groups of 32 | one a byte | e8m0 |
//! | nvfp4 | e2m1, groups of 16 | as mxfp4 | e4m3, times an optional f32 of the whole tensor |
//!
//! The encoders give MLX's own bytes: the e8m0 scale is the smallest power of two with which the largest value of the
//! group does not saturate (2^0 for a group of zeros), the e4m3 scale is `largest / 6` rounded to nearest. All codes
//! decode to numbers as in MLX: e4m3's NaN code is 480, e8m0's is infinity. Read next: [`super::gguf_legacy`].

use super::tiers::tiered;
use super::{Row, RowMut, ScaleType};
use crate::convert::scalar::{one_f16_to_f32, one_f32_to_bf16, one_f32_to_f16};

/// The values of the sixteen e2m1 codes.
pub const E2M1: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// Largest e2m1 value.
const E2M1_LARGEST: f32 = 6.0;
/// Largest e4m3 value.
const E4M3_LARGEST: f32 = 448.0;

/// The value of an e8m0 scale, `2^(code - 127)`.
#[inline(always)]
pub fn e8m0_to_f32(code: u8) -> f32 {
    // The smallest is a subnormal f32.
    f32::from_bits(if code == 0 { 0x0040_0000 } else { (code as u32) << 23 })
}

/// The value of an e4m3 code (4 exponent bits of bias 7, 3 mantissa bits, no infinities).
#[inline(always)]
pub fn e4m3_to_f32(code: u8) -> f32 {
    let magnitude = f32::from_bits(((code & 0x7F) as u32) << 20) * f32::from_bits((127 + 120) << 23);
    f32::from_bits(magnitude.to_bits() | (((code & 0x80) as u32) << 24))
}

/// The nearest e4m3 code, ties to even; larger magnitudes (and NaN) saturate at 448.
#[inline(always)]
pub fn f32_to_e4m3(value: f32) -> u8 {
    let sign = (value.to_bits() >> 24) as u8 & 0x80;
    let magnitude = value.to_bits() & 0x7FFF_FFFF;
    // 2^14 has the unit of the last place of an e4m3 subnormal, 2^-9: the adder rounds.
    let subnormal = (f32::from_bits(magnitude) + 16384.0).to_bits().wrapping_sub(16384.0f32.to_bits());
    let normal = magnitude.wrapping_add(0x7FFFF + ((magnitude >> 20) & 1)).wrapping_sub(120 << 23) >> 20;
    let finite = if magnitude < 121 << 23 { subnormal } else { normal };
    sign | if magnitude >= E4M3_LARGEST.to_bits() { 0x7E } else { finite as u8 }
}

/// The nearest e2m1 code, ties towards zero, saturating. What rounds to zero loses its sign; a NaN gives the largest.
#[inline(always)]
pub fn f32_to_e2m1(value: f32) -> u8 {
    let sign = (value.to_bits() >> 28) as u8 & 8;
    let magnitude = value.abs();
    let mut code = 0;
    for boundary in [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0] {
        code += if magnitude <= boundary { 0 } else { 1 };
    }
    if code == 0 { 0 } else { sign | code }
}

/// Decode a row of mxfp4.
pub fn decode_mxfp4(row: Row<'_>, out: &mut [f32]) {
    decode_e2m1(row, out, 16, e8m0_to_f32)
}

/// Decode a row of nvfp4.
pub fn decode_nvfp4(row: Row<'_>, out: &mut [f32]) {
    decode_e2m1(row, out, 8, e4m3_to_f32)
}

#[inline(always)]
fn decode_e2m1(row: Row<'_>, out: &mut [f32], group_bytes: usize, scale_of: impl Fn(u8) -> f32) {
    let groups = row.data.chunks_exact(group_bytes).zip(row.scales);
    for (out, (data, scale)) in out.chunks_exact_mut(group_bytes * 2).zip(groups) {
        let scale = scale_of(*scale) * row.global_scale;
        for (out, byte) in out.chunks_exact_mut(2).zip(data) {
            out[0] = E2M1[(byte & 15) as usize] * scale;
            out[1] = E2M1[(byte >> 4) as usize] * scale;
        }
    }
}

/// Decode a row of mxfp8.
pub fn decode_mxfp8(row: Row<'_>, out: &mut [f32]) {
    let groups = row.data.chunks_exact(32).zip(row.scales);
    for (out, (data, scale)) in out.chunks_exact_mut(32).zip(groups) {
        let scale = e8m0_to_f32(*scale) * row.global_scale;
        for (out, byte) in out.iter_mut().zip(data) {
            *out = e4m3_to_f32(*byte) * scale;
        }
    }
}

tiered! {
    /// Encode a row of mxfp4.
    pub fn encode_mxfp4(values: &[f32], row: RowMut<'_>) = encode_mxfp4_body;
    /// Encode a row of mxfp8.
    pub fn encode_mxfp8(values: &[f32], row: RowMut<'_>) = encode_mxfp8_body;
    /// Encode a row of nvfp4 (no scale of the whole tensor).
    pub fn encode_nvfp4(values: &[f32], row: RowMut<'_>) = encode_nvfp4_body;
}

#[inline(always)]
fn encode_mxfp4_body(values: &[f32], row: RowMut<'_>) {
    let groups = row.data.chunks_exact_mut(16).zip(row.scales);
    for (values, (data, scale)) in values.chunks_exact(32).zip(groups) {
        *scale = round_up_to_e8m0(round_to(row.scale_type, largest_magnitude(values) / E2M1_LARGEST));
        let factor = e8m0_to_f32(*scale);
        for (byte, values) in data.iter_mut().zip(values.chunks_exact(2)) {
            *byte = f32_to_e2m1(values[0] / factor) | (f32_to_e2m1(values[1] / factor) << 4);
        }
    }
}

#[inline(always)]
fn encode_mxfp8_body(values: &[f32], row: RowMut<'_>) {
    let groups = row.data.chunks_exact_mut(32).zip(row.scales);
    for (values, (data, scale)) in values.chunks_exact(32).zip(groups) {
        *scale = round_up_to_e8m0(round_to(row.scale_type, largest_magnitude(values) / E4M3_LARGEST));
        let factor = e8m0_to_f32(*scale);
        for (byte, value) in data.iter_mut().zip(values) {
            *byte = f32_to_e4m3(value / factor);
        }
    }
}

#[inline(always)]
fn encode_nvfp4_body(values: &[f32], row: RowMut<'_>) {
    let groups = row.data.chunks_exact_mut(8).zip(row.scales);
    for (values, (data, scale)) in values.chunks_exact(16).zip(groups) {
        *scale = f32_to_e4m3(largest_magnitude(values) / E2M1_LARGEST);
        let factor = e4m3_to_f32(*scale);
        for (byte, values) in data.iter_mut().zip(values.chunks_exact(2)) {
            // A group too small for its scale is zero, its signs too.
            let [low, high] = if factor == 0.0 { [0.0; 2] } else { [values[0] / factor, values[1] / factor] };
            *byte = f32_to_e2m1(low) | (f32_to_e2m1(high) << 4);
        }
    }
}

#[inline(always)]
fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| if value.abs() > largest { value.abs() } else { largest })
}

/// Round to a value of the type of the source.
#[inline(always)]
fn round_to(scale_type: ScaleType, value: f32) -> f32 {
    match scale_type {
        ScaleType::F32 => value,
        ScaleType::F16 => one_f16_to_f32(one_f32_to_f16(value)),
        ScaleType::Bf16 => one_f32_to_bf16(value).to_f32(),
    }
}

/// The smallest power of two that is not under `value`; 2^0 for zero.
#[inline(always)]
fn round_up_to_e8m0(value: f32) -> u8 {
    let bits = value.to_bits();
    if bits == 0 {
        return 127;
    }
    // A subnormal lies between 2^-149 and 2^-126; only those above 2^-127 need the scale 2^-126.
    let exponent = if bits < 0x0080_0000 { (bits > 0x0040_0000) as u32 } else { (bits + 0x007F_FFFF) >> 23 };
    exponent.min(254) as u8
}
