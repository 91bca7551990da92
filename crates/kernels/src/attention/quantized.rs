//! Keys and values in 8 or 4 bits: rotated, one scale for each position and head, unpacked tile by tile to bf16.
//!
//! A Hadamard rotation spreads what sticks out of a vector over all of its dimensions, so that one scale serves them all;
//! queries are rotated alike, which leaves scores as they were, and outputs are rotated back (the rotation is its own
//! inverse). A width that is no power of two is rotated in blocks of the largest one that divides it. Integers of 8 bits
//! are exact in bf16, and their scales go to the scores and weights, so unpacking rounds nothing. Invariant: rotating and
//! quantizing use the same operations in the same order on every tier. Read next: `cache` for the layout, `tile`.

use super::element::GROUP;

/// Bytes of the scales in front of a group's integers.
pub(super) const SCALE_BYTES: usize = 4 * GROUP;

/// Rotate a vector.
#[inline(always)]
pub(super) fn rotate(values: &mut [f32]) {
    let block = 1 << values.len().trailing_zeros();
    if block < 2 {
        return;
    }
    let scale = 1.0 / (block as f32).sqrt();
    for block in values.chunks_exact_mut(block) {
        let mut half = 1;
        while half < block.len() {
            for pair in block.chunks_exact_mut(2 * half) {
                let (low, high) = pair.split_at_mut(half);
                for (a, b) in low.iter_mut().zip(high) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            half *= 2;
        }
        block.iter_mut().for_each(|value| *value *= scale);
    }
}

/// Rotated values as integers of -127..=127 times the scale that is returned.
pub(super) fn quantize_8(values: &[f32], to: &mut [i8]) -> f32 {
    let most = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    // Of values that are no numbers the scale is none either: scores must show it.
    let most = if values.iter().any(|value| value.is_nan()) { f32::NAN } else { most };
    let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
    for (to, value) in to.iter_mut().zip(values) {
        *to = (value * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
    }
    most / 127.0
}

/// Half of the step, in standard deviations, that loses least of a normal distribution with sixteen levels.
const HALF_STEP: f32 = 0.1676;

/// Rotated values, which are distributed almost normally, as the odd integers of -15..=15 times the scale that is returned.
pub(super) fn quantize_4(values: &[f32], to: &mut [i8]) -> f32 {
    let squares = sum(values.iter().map(|value| value * value));
    let half_step = (squares / values.len() as f32).sqrt() * HALF_STEP;
    let inverse = if half_step > 0.0 { 0.5 / half_step } else { 0.0 };
    for (to, value) in to.iter_mut().zip(values) {
        *to = (2.0 * (value * inverse).floor().clamp(-8.0, 7.0) + 1.0) as i8;
    }
    // The scale that fits these levels best.
    let product = sum(to.iter().zip(values).map(|(level, value)| f32::from(*level) * value));
    product / sum(to.iter().map(|level| f32::from(*level) * f32::from(*level)))
}

/// A sum in sixteen interleaved parts.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut parts = [0.0; GROUP];
    values.enumerate().for_each(|(index, value)| parts[index % GROUP] += value);
    parts.iter().sum()
}

/// The place of integer `index` of a group in four bits: its byte, and whether it is in the upper half. Thirty-two
/// integers share sixteen bytes.
pub(super) fn nibble(index: usize) -> (usize, bool) {
    (index / 32 * 16 + index % 16, index % 32 >= 16)
}

/// `count` integers of 8 bits as bf16.
///
/// # Safety
/// There are so many at `from`, and room for them at `to`.
#[inline(always)]
pub(super) unsafe fn unpack_8(from: *const u8, count: usize, to: *mut u16) {
    // SAFETY: the caller's promise.
    let (from, to) =
        unsafe { (std::slice::from_raw_parts(from.cast::<i8>(), count), std::slice::from_raw_parts_mut(to, count)) };
    for (to, from) in to.iter_mut().zip(from) {
        *to = (f32::from(*from).to_bits() >> 16) as u16;
    }
}

/// `count` odd integers of 4 bits as bf16; a multiple of 32.
///
/// # Safety
/// As [`unpack_8`], of half as many bytes.
#[inline(always)]
pub(super) unsafe fn unpack_4(from: *const u8, count: usize, to: *mut u16) {
    // SAFETY: the caller's promise.
    let (from, to) =
        unsafe { (std::slice::from_raw_parts(from, count / 2), std::slice::from_raw_parts_mut(to, count)) };
    let widen = |nibble: u8| (((2 * i32::from(nibble) - 15) as f32).to_bits() >> 16) as u16;
    for (to, from) in to.as_chunks_mut::<32>().0.iter_mut().zip(from.as_chunks::<16>().0) {
        let (low, high) = to.split_at_mut(16);
        for ((low, high), &byte) in low.iter_mut().zip(high).zip(from) {
            *low = widen(byte & 15);
            *high = widen(byte >> 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<f32> {
        // Sums of uniform numbers are almost normal.
        let mut state = 7u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| (0..6).map(|_| uniform()).sum()).collect()
    }

    #[test]
    fn a_rotation_is_its_own_inverse_and_keeps_products() {
        for width in [1, 7, 24, 64, 80, 128, 576] {
            let (a, b) = (noise(width), noise(2 * width)[width..].to_vec());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let (mut c, mut d) = (a.clone(), b.clone());
            rotate(&mut c);
            rotate(&mut d);
            assert!((dot(&a, &b) - dot(&c, &d)).abs() < 1e-3 * (1.0 + dot(&a, &a)), "{width}");
            rotate(&mut c);
            assert!(a.iter().zip(&c).all(|(a, c)| (a - c).abs() < 1e-5), "{width}");
        }
        let mut spike = vec![0.0; 128];
        spike[5] = 16.0;
        rotate(&mut spike);
        assert!(spike.iter().all(|value| (value.abs() - 2f32.sqrt()).abs() < 1e-5), "it is spread evenly");
    }

    #[test]
    fn what_is_lost_is_what_so_many_bits_lose() {
        let values = noise(4096);
        let power: f32 = values.iter().map(|value| value * value).sum();
        let lost = |scale: f32, integers: &[i8]| {
            let error = values.iter().zip(integers).map(|(value, &q)| (value - f32::from(q) * scale).powi(2));
            10.0 * (power / error.sum::<f32>()).log10()
        };
        let mut integers = vec![0i8; values.len()];
        let scale = quantize_8(&values, &mut integers);
        assert!(lost(scale, &integers) > 40.0, "{} dB", lost(scale, &integers));
        let scale = quantize_4(&values, &mut integers);
        assert!(integers.iter().all(|&q| q % 2 != 0 && q.abs() < 16));
        assert!(lost(scale, &integers) > 19.0, "{} dB", lost(scale, &integers));
        for zeros in [quantize_8(&[0.0; 8], &mut integers[..8]), quantize_4(&[0.0; 8], &mut integers[..8])] {
            assert_eq!(zeros, 0.0);
        }
        assert!(quantize_8(&[f32::NAN, 1.0], &mut integers[..2]).is_nan());
        assert!(quantize_4(&[f32::NAN, 1.0], &mut integers[..2]).is_nan());
    }
}
