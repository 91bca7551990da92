//! Reading packed slabs, portable: values as bytes, scales as floats. The SIMD tiers are held to these bits.
//!
//! Every scale here is a product of exactly representable factors or of two rounded once, so all tiers have the same
//! floats. Read next: [`super::tile`] computes with what this unpacks.

use super::lattice;
use super::layout::{Layout, Scales, Values};
use super::sizes::{PANEL_ROWS, UNIT_COLUMNS};
use crate::quant::ScaleType;
use crate::quant::mx::{e4m3_to_f32, e8m0_to_f32};
use half::{bf16, f16};

/// The headers of the same slab of neighbouring panels.
pub struct Headers {
    /// The first one.
    pub start: *const u8,
    /// Bytes from one to the next.
    pub stride: usize,
    /// Bytes of each.
    pub bytes: usize,
    /// How many.
    pub panels: usize,
    /// Groups of columns in the slab.
    pub groups: usize,
}

/// Scales and, for layouts with biases, biases as floats. `[groups, panels, 16]`
///
/// # Safety
/// The headers must be valid; `scales` and `biases` for all groups and panels; `biases` is not touched by layouts
/// without.
pub unsafe fn read_scales(layout: &Layout, headers: &Headers, scales: *mut f32, biases: *mut f32) {
    for panel in 0..headers.panels {
        // SAFETY: the caller vouches for the headers.
        let header = unsafe { std::slice::from_raw_parts(headers.start.add(panel * headers.stride), headers.bytes) };
        for group in 0..headers.groups {
            for row in 0..PANEL_ROWS {
                let (scale, bias) = read_scale(layout, header, headers.groups, group, row);
                let at = (group * headers.panels + panel) * PANEL_ROWS + row;
                // SAFETY: the caller vouches for the output.
                unsafe {
                    scales.add(at).write(scale);
                    if layout.biased {
                        biases.add(at).write(bias);
                    }
                }
            }
        }
    }
}

/// Scale and bias of one row and group.
pub fn read_scale(layout: &Layout, header: &[u8], groups: usize, group: usize, row: usize) -> (f32, f32) {
    let half = |field: usize| {
        let at = (field * PANEL_ROWS + row) * 2;
        f16::from_bits(u16::from_le_bytes([header[at], header[at + 1]])).to_f32()
    };
    let byte = |at: usize, group: usize| header[at + group * PANEL_ROWS + row];
    let integers = || {
        let (scale, minimum) = read_integers(layout, header, groups, group, row);
        (scale as f32, minimum as f32)
    };
    match layout.scales {
        Scales::Plain(scale_type) => (read_float(scale_type, header, group * PANEL_ROWS + row), 0.0),
        Scales::Biased(scale_type) => (
            read_float(scale_type, header, 2 * group * PANEL_ROWS + row),
            read_float(scale_type, header, (2 * group + 1) * PANEL_ROWS + row),
        ),
        Scales::E8m0 => (0.5 * e8m0_to_f32(byte(0, group)), 0.0),
        Scales::E4m3 => (0.5 * (read_float(ScaleType::F32, header, row) * e4m3_to_f32(byte(64, group))), 0.0),
        Scales::Signed => (half(0) * integers().0, 0.0),
        Scales::Minimum8 | Scales::Minimum4 => (half(0) * integers().0, -(half(1) * integers().1)),
        Scales::Odd { eighths } => {
            let level = byte(32, group / 2) >> (4 * (group % 2)) & 15;
            (half(0) * (2 * level + 1) as f32 * (0.125 * eighths as f32), 0.0)
        }
    }
}

/// Scale and minimum of one row and group, of layouts that have integers for them.
pub fn read_integers(layout: &Layout, header: &[u8], groups: usize, group: usize, row: usize) -> (i32, i32) {
    let byte = |at: usize, group: usize| header[at + group * PANEL_ROWS + row];
    match layout.scales {
        Scales::Signed => (byte(32, group) as i8 as i32, 0),
        Scales::Minimum8 => (byte(64, group) as i32, byte(64, groups + group) as i32),
        Scales::Minimum4 => ((byte(64, group) & 15) as i32, (byte(64, group) >> 4) as i32),
        scales => unreachable!("{scales:?} are no integers"),
    }
}

/// The values of a slab of `columns` as unsigned bytes. `[columns / 4, 16, 4]`
///
/// # Safety
/// `out` must be valid for `columns * 16` bytes.
pub unsafe fn read_values(values: Values, slab: &[u8], columns: usize, out: *mut u8) {
    let mut codes = [0; UNIT_COLUMNS];
    for (unit, bytes) in slab.chunks_exact(values.unit_bytes()).take(columns / UNIT_COLUMNS).enumerate() {
        for row in 0..PANEL_ROWS {
            read_unit_row(values, bytes, row, &mut codes);
            for (step, codes) in codes.chunks_exact(4).enumerate() {
                // SAFETY: step and row are inside what the caller promised.
                unsafe {
                    let to = out.add((unit * (UNIT_COLUMNS / 4) + step) * 64 + row * 4);
                    to.copy_from_nonoverlapping(codes.as_ptr(), 4);
                }
            }
        }
    }
}

/// The 32 unsigned bytes of one row of a unit.
pub fn read_unit_row(values: Values, unit: &[u8], row: usize, out: &mut [u8; UNIT_COLUMNS]) {
    if let Values::Lattice(kind) = values {
        return lattice::read_unit_row(kind, unit, row, out);
    }
    let byte = |register: usize, j: usize| unit[register * 64 + row * 4 + j];
    for (column, out) in out.iter_mut().enumerate() {
        let (step, j) = (column / 4, column % 4);
        let four = || (byte(step % 4, j) >> (4 * (step / 4))) & 15;
        let two = |first: usize| (byte(first + step % 2, j) >> (2 * (step / 2))) & 3;
        let one = |first: usize| (byte(first, j) >> step) & 1;
        *out = match values {
            Values::Bits8 => byte(step, j),
            Values::Bits4 => four(),
            Values::Bits6 => four() | two(4) << 4,
            Values::Bits5 => four() | one(4) << 4,
            Values::Bits2 => two(0),
            Values::Bits3 => two(0) | one(2) << 2,
            Values::E2m1 | Values::Iq4 => values.table().expect("both have one")[four() as usize],
            Values::Lattice(_) => unreachable!("read above"),
        };
    }
}

/// Element `index` of an array of floats.
fn read_float(scale_type: ScaleType, bytes: &[u8], index: usize) -> f32 {
    let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    match scale_type {
        ScaleType::F32 => f32::from_bits(u32::from_le_bytes(bytes[4 * index..][..4].try_into().expect("four bytes"))),
        ScaleType::F16 => f16::from_bits(two(2 * index)).to_f32(),
        ScaleType::Bf16 => bf16::from_bits(two(2 * index)).to_f32(),
    }
}
