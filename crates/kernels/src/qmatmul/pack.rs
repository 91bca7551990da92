//! From a matrix as it lies in a file to panels, in parallel and once at load.
//!
//! A row of a slab is decoded to 256 unsigned bytes, then spread over the bit planes; scales are copied as they are,
//! so packing loses nothing. Read next: [`super::layout`].

use super::layout::{Layout, PANEL_ROWS, SLAB_COLUMNS, Scales, UNIT_COLUMNS, Values, scale_bytes};
use crate::quant::{Format, Row, gguf_k};

/// Write one panel with the widest instructions there are; see [`pack_rows`].
pub fn pack_panel(layout: &Layout, format: Format, columns: usize, rows: &[Row<'_>], panel: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if crate::cpu::tier() >= crate::cpu::Tier::Avx2 {
        // SAFETY: the tier says that the processor has AVX2.
        return unsafe { pack_rows_avx2(layout, format, columns, rows, panel) };
    }
    pack_rows(layout, format, columns, rows, panel)
}

/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn pack_rows_avx2(layout: &Layout, format: Format, columns: usize, rows: &[Row<'_>], panel: &mut [u8]) {
    pack_rows(layout, format, columns, rows, panel)
}

/// Write one panel. `rows[i]` is output row `i` of it; missing rows are zeros. `panel` holds zeros.
#[inline(always)]
fn pack_rows(layout: &Layout, format: Format, columns: usize, rows: &[Row<'_>], panel: &mut [u8]) {
    let padded = columns.next_multiple_of(UNIT_COLUMNS);
    for (lane, row) in rows.iter().enumerate() {
        let mut at = 0;
        for first in (0..padded).step_by(SLAB_COLUMNS) {
            let width = SLAB_COLUMNS.min(padded - first);
            let (header, values) = panel[at..][..layout.slab_bytes(width)].split_at_mut(layout.header_bytes(width));
            let slab = Slab { first, real: width.min(columns - first), width };
            pack_scales(layout, format, row, &slab, lane, header);
            pack_values(layout.values, format, row, &slab, lane, values);
            at += layout.slab_bytes(width);
        }
    }
}

/// The columns of a slab: where it begins, how many the matrix has and how many with padding.
struct Slab {
    first: usize,
    real: usize,
    width: usize,
}

/// The scales of one row into a header.
fn pack_scales(layout: &Layout, format: Format, row: &Row<'_>, slab: &Slab, lane: usize, header: &mut [u8]) {
    let group = layout.group;
    let (groups, padded_groups) = (slab.real / group, slab.width.div_ceil(group));
    let first = slab.first / group;
    let mut put = |at: usize, bytes: &[u8]| header[at..][..bytes.len()].copy_from_slice(bytes);
    let block = |bytes: usize| &row.data[slab.first / SLAB_COLUMNS * bytes..][..bytes];
    match format {
        Format::Affine { .. } => {
            let size = scale_bytes(row.scale_type);
            for g in 0..groups {
                put((2 * g * PANEL_ROWS + lane) * size, &row.scales[(first + g) * size..][..size]);
                put(((2 * g + 1) * PANEL_ROWS + lane) * size, &row.biases[(first + g) * size..][..size]);
            }
        }
        Format::Mxfp4 => (0..groups).for_each(|g| put(g * PANEL_ROWS + lane, &row.scales[first + g..][..1])),
        Format::GgufMxfp4 => (0..groups).for_each(|g| put(g * PANEL_ROWS + lane, &row.data[(first + g) * 17..][..1])),
        Format::Nvfp4 => {
            put(lane * 4, &row.global_scale.to_le_bytes());
            (0..groups).for_each(|g| put(64 + g * PANEL_ROWS + lane, &row.scales[first + g..][..1]));
        }
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::Iq4Nl => {
            let bytes = format.block_bytes();
            (0..groups).for_each(|g| put((g * PANEL_ROWS + lane) * 2, &row.data[(first + g) * bytes..][..2]));
        }
        Format::Q4_1 | Format::Q5_1 => {
            let bytes = format.block_bytes();
            for g in 0..groups {
                put((2 * g * PANEL_ROWS + lane) * 2, &row.data[(first + g) * bytes..][..2]);
                put(((2 * g + 1) * PANEL_ROWS + lane) * 2, &row.data[(first + g) * bytes + 2..][..2]);
            }
        }
        Format::Q4K | Format::Q5K => {
            let block = block(if format == Format::Q4K { 144 } else { 176 });
            put(lane * 2, &block[..2]);
            put((PANEL_ROWS + lane) * 2, &block[2..4]);
            for g in 0..groups {
                let scales = block[4..16].try_into().expect("twelve bytes");
                let (scale, minimum) = gguf_k::scale_and_minimum(scales, g);
                put(64 + g * PANEL_ROWS + lane, &[scale]);
                put(64 + (padded_groups + g) * PANEL_ROWS + lane, &[minimum]);
            }
        }
        Format::Q2K => {
            let block = block(84);
            put(lane * 2, &block[80..82]);
            put((PANEL_ROWS + lane) * 2, &block[82..84]);
            (0..groups).for_each(|g| put(64 + g * PANEL_ROWS + lane, &block[g..][..1]));
        }
        Format::Q3K => {
            let block = block(110);
            put(lane * 2, &block[108..110]);
            for g in 0..groups {
                let scale = gguf_k::q3_k_scale(block[96..108].try_into().expect("twelve bytes"), g);
                put(32 + g * PANEL_ROWS + lane, &[scale as i8 as u8]);
            }
        }
        Format::Q6K => {
            let block = block(210);
            put(lane * 2, &block[208..210]);
            (0..groups).for_each(|g| put(32 + g * PANEL_ROWS + lane, &block[192 + g..][..1]));
        }
        Format::Iq4Xs => {
            let block = block(136);
            put(lane * 2, &block[..2]);
            let high = u16::from_le_bytes([block[2], block[3]]);
            for g in 0..groups {
                let scale = (block[4 + g / 2] >> (4 * (g % 2))) & 15 | ((high >> (2 * g) & 3) as u8) << 4;
                put(32 + g * PANEL_ROWS + lane, &[(scale as i8 - 32) as u8]);
            }
        }
        other => unreachable!("{other:?} has no layout"),
    }
    debug_assert!(!matches!(layout.scales, Scales::Signed) || header.len() >= 32);
}

/// The codes of one row into the planes.
#[inline(always)]
fn pack_values(values: Values, format: Format, row: &Row<'_>, slab: &Slab, lane: usize, out: &mut [u8]) {
    let mut codes = [0u8; SLAB_COLUMNS];
    read_codes(format, row, slab, &mut codes[..slab.real.next_multiple_of(UNIT_COLUMNS)]);
    let units = codes.chunks_exact(UNIT_COLUMNS).zip(out.chunks_exact_mut(values.unit_bytes()));
    for (codes, unit) in units.take(slab.width / UNIT_COLUMNS) {
        let codes: &[u8; UNIT_COLUMNS] = codes.try_into().expect("a unit");
        match values {
            Values::Bits8 => spread(codes, 0, lane, unit),
            Values::Bits4 | Values::E2m1 | Values::Iq4 => spread(&plane4(codes), 0, lane, unit),
            Values::Bits2 => spread(&plane2(codes, 0), 0, lane, unit),
            Values::Bits3 => {
                spread(&plane2(codes, 0), 0, lane, unit);
                spread(&plane1(codes, 2), 2, lane, unit);
            }
            Values::Bits5 => {
                spread(&plane4(codes), 0, lane, unit);
                spread(&plane1(codes, 4), 4, lane, unit);
            }
            Values::Bits6 => {
                spread(&plane4(codes), 0, lane, unit);
                spread(&plane2(codes, 4), 4, lane, unit);
            }
        }
    }
}

/// Four bytes of a plane into each register from `first` on.
#[inline(always)]
fn spread<const N: usize>(plane: &[u8; N], first: usize, lane: usize, unit: &mut [u8]) {
    for (register, bytes) in plane.chunks_exact(4).enumerate() {
        unit[(first + register) * 64 + lane * 4..][..4].copy_from_slice(bytes);
    }
}

/// The low 4 bits of 32 codes.
#[inline(always)]
fn plane4(codes: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| (codes[i] & 15) | codes[16 + i] << 4)
}

/// Two bits of 32 codes, from bit `shift` on.
#[inline(always)]
fn plane2(codes: &[u8; 32], shift: u32) -> [u8; 8] {
    std::array::from_fn(|i| (0..4).fold(0, |byte, f| byte | ((codes[8 * f + i] >> shift) & 3) << (2 * f)))
}

/// One bit of 32 codes.
#[inline(always)]
fn plane1(codes: &[u8; 32], shift: u32) -> [u8; 4] {
    std::array::from_fn(|i| (0..8).fold(0, |byte, f| byte | ((codes[4 * f + i] >> shift) & 1) << f))
}

/// The codes of the columns of a slab as unsigned bytes.
#[inline(always)]
fn read_codes(format: Format, row: &Row<'_>, slab: &Slab, out: &mut [u8]) {
    let out = &mut out[..slab.real];
    match format {
        Format::Affine { bits: 8, .. } => out.copy_from_slice(&row.data[slab.first..][..slab.real]),
        Format::Affine { bits: 4, .. } | Format::Mxfp4 | Format::Nvfp4 => {
            for (out, byte) in out.chunks_exact_mut(2).zip(&row.data[slab.first / 2..]) {
                out[0] = byte & 15;
                out[1] = byte >> 4;
            }
        }
        Format::Affine { bits, .. } => bit_string(&row.data[slab.first * bits as usize / 8..], bits as u32, out),
        Format::Q8_0 => {
            for (out, block) in out.chunks_exact_mut(32).zip(row.data[slab.first / 32 * 34..].chunks_exact(34)) {
                out.iter_mut().zip(&block[2..]).for_each(|(out, byte)| *out = byte ^ 0x80);
            }
        }
        Format::Q4_0 | Format::Q4_1 | Format::GgufMxfp4 | Format::Iq4Nl | Format::Q5_0 | Format::Q5_1 => {
            let bytes = format.block_bytes();
            let (high, low) = match format {
                Format::Q5_0 => (2, 6),
                Format::Q5_1 => (4, 8),
                _ => (0, bytes - 16),
            };
            for (out, block) in out.chunks_exact_mut(32).zip(row.data[slab.first / 32 * bytes..].chunks_exact(bytes)) {
                let out: &mut [u8; 32] = out.try_into().expect("a block");
                halves(block[low..].try_into().expect("sixteen bytes"), out);
                if high > 0 {
                    let bits = u32::from_le_bytes(block[high..][..4].try_into().expect("four bytes"));
                    (0..32).for_each(|i| out[i] |= ((bits >> i & 1) << 4) as u8);
                }
            }
        }
        _ => read_super_block(format, &row.data[slab.first / 256 * format.block_bytes()..], out),
    }
}

/// Low halves, then high halves.
#[inline(always)]
fn halves(bytes: &[u8; 16], out: &mut [u8; 32]) {
    for i in 0..16 {
        out[i] = bytes[i] & 15;
        out[16 + i] = bytes[i] >> 4;
    }
}

/// Little-endian bit string of equal fields that may cross bytes.
#[inline(always)]
fn bit_string(bytes: &[u8], bits: u32, out: &mut [u8]) {
    // Eight fields fill a whole number of bytes.
    for (out, bytes) in out.chunks_exact_mut(8).zip(bytes.chunks_exact(bits as usize)) {
        let word = bytes.iter().rev().fold(0u64, |word, byte| word << 8 | *byte as u64);
        for (i, out) in out.iter_mut().enumerate() {
            *out = (word >> (i as u32 * bits)) as u8 & ((1u32 << bits) - 1) as u8;
        }
    }
}

/// The 256 codes of a K-quant or IQ4 block.
#[inline(always)]
fn read_super_block(format: Format, block: &[u8], out: &mut [u8]) {
    match format {
        Format::Q4K | Format::Q5K => {
            let low = if format == Format::Q4K { &block[16..144] } else { &block[48..176] };
            for i in 0..128 {
                let (chunk, j) = (i / 32, i % 32);
                out[chunk * 64 + j] = low[i] & 15;
                out[chunk * 64 + 32 + j] = low[i] >> 4;
            }
            if format == Format::Q5K {
                (0..256).for_each(|i| out[i] |= (block[16 + i % 32] >> (i / 32) & 1) << 4);
            }
        }
        Format::Q6K => {
            for i in 0..256 {
                let (half, field, j) = (i / 128, i % 128 / 32, i % 32);
                let low = block[half * 64 + (field % 2) * 32 + j] >> (4 * (field / 2)) & 15;
                out[i] = low | (block[128 + half * 32 + j] >> (2 * field) & 3) << 4;
            }
        }
        Format::Q2K => (0..256).for_each(|i| out[i] = block[16 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3),
        Format::Q3K => {
            for i in 0..256 {
                let low = block[32 + i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
                out[i] = low | (block[i % 32] >> (i / 32) & 1) << 2;
            }
        }
        Format::Iq4Xs => {
            for (out, bytes) in out.chunks_exact_mut(32).zip(block[8..].chunks_exact(16)) {
                halves(bytes.try_into().expect("sixteen bytes"), out.try_into().expect("a block"));
            }
        }
        other => unreachable!("{other:?} has no layout"),
    }
}
