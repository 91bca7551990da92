//! From a matrix as it lies in a file to panels, in parallel and once at load.
//!
//! A row of a slab is decoded to 256 unsigned bytes, then spread over the bit planes; scales are copied as they are,
//! so packing loses nothing. Read next: [`super::layout`].

use super::lattice;
use super::layout::{Layout, Scales, Values, scale_bytes};
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use crate::quant::{Format, Row, gguf_k};
use crate::simd::{MAX_LANES, Simd, tiered};

tiered! {
    /// Write the slab of a panel. `rows[i]` is output row `i` of it; missing rows are zeros. `out` holds zeros.
    pub fn pack_slab(layout: &Layout, format: Format, rows: &[Row<'_>], slab: &Columns, staged: &mut Staged, out: &mut [u8]) = pack;
}

/// What a row gives to a slab: 4 bytes to each register.
#[repr(align(64))]
pub struct Staged([[u8; SLAB_COLUMNS]; PANEL_ROWS]);

impl Default for Staged {
    fn default() -> Staged {
        Staged([[0; SLAB_COLUMNS]; PANEL_ROWS])
    }
}

#[inline(always)]
fn pack<S: Simd>(
    s: S,
    layout: &Layout,
    format: Format,
    rows: &[Row<'_>],
    slab: &Columns,
    staged: &mut Staged,
    out: &mut [u8],
) {
    let (header, values) = out.split_at_mut(layout.header_bytes(slab.width));
    if let Values::Lattice(kind) = layout.values {
        return lattice::pack(kind, rows, slab.first / SLAB_COLUMNS, header, values);
    }
    ask_next(s, rows, slab);
    for (lane, row) in rows.iter().enumerate() {
        pack_scales(layout, format, row, slab, lane, header);
        stage_values(layout.values, format, row, slab, &mut staged.0[lane]);
    }
    spread(s, staged, values);
}

/// Ask memory for these columns of the next panel: 16 rows side by side are more streams than a processor follows by itself.
#[inline(always)]
fn ask_next<S: Simd>(s: S, rows: &[Row<'_>], slab: &Columns) {
    let ask = |part: fn(&Row<'_>) -> *const [u8]| {
        let bytes = part(&rows[0]).len();
        let place = |column: usize| PANEL_ROWS * bytes + bytes * column / slab.columns;
        let (first, end) = (place(slab.first), place(slab.first + slab.real));
        for row in rows {
            let start = part(row).cast::<u8>();
            (first..end).step_by(64).for_each(|at| s.prefetch(start.wrapping_add(at)));
        }
    };
    ask(|row| row.data);
    ask(|row| row.scales);
    ask(|row| row.biases);
}

/// The columns of a slab.
pub struct Columns {
    /// How many the matrix has.
    pub columns: usize,
    /// The first one.
    pub first: usize,
    /// How many the matrix has.
    pub real: usize,
    /// How many there are with padding.
    pub width: usize,
}

/// The scales of one row into a header.
#[inline(always)]
fn pack_scales(layout: &Layout, format: Format, row: &Row<'_>, slab: &Columns, lane: usize, header: &mut [u8]) {
    let group = layout.group;
    let (groups, padded_groups) = (slab.real / group, slab.width.div_ceil(group));
    let first = slab.first / group;
    let block = |bytes: usize| &row.data[slab.first / SLAB_COLUMNS * bytes..][..bytes];
    match format {
        Format::Affine { .. } if scale_bytes(row.scale_type) == 2 => {
            let scales = row.scales[2 * first..].as_chunks::<2>().0;
            let biases = row.biases[2 * first..].as_chunks::<2>().0;
            for (g, (scale, bias)) in scales.iter().zip(biases).take(groups).enumerate() {
                put(header, (2 * g * PANEL_ROWS + lane) * 2, *scale);
                put(header, ((2 * g + 1) * PANEL_ROWS + lane) * 2, *bias);
            }
        }
        Format::Affine { .. } => {
            let scales = row.scales[4 * first..].as_chunks::<4>().0;
            let biases = row.biases[4 * first..].as_chunks::<4>().0;
            for (g, (scale, bias)) in scales.iter().zip(biases).take(groups).enumerate() {
                put(header, (2 * g * PANEL_ROWS + lane) * 4, *scale);
                put(header, ((2 * g + 1) * PANEL_ROWS + lane) * 4, *bias);
            }
        }
        Format::Mxfp4 => {
            (0..groups).for_each(|g| put(header, g * PANEL_ROWS + lane, [row.scales[first + g]]));
        }
        Format::GgufMxfp4 => {
            (0..groups).for_each(|g| put(header, g * PANEL_ROWS + lane, [row.data[(first + g) * 17]]));
        }
        Format::Nvfp4 => {
            put(header, lane * 4, row.global_scale.to_le_bytes());
            (0..groups).for_each(|g| put(header, 64 + g * PANEL_ROWS + lane, [row.scales[first + g]]));
        }
        Format::Q4_0 | Format::Iq4Nl => halves_of_blocks::<18>(&row.data[first * 18..], groups, lane, header),
        Format::Q5_0 => halves_of_blocks::<22>(&row.data[first * 22..], groups, lane, header),
        Format::Q8_0 => halves_of_blocks::<34>(&row.data[first * 34..], groups, lane, header),
        Format::Q4_1 | Format::Q5_1 => {
            let bytes = format.block_bytes();
            for (g, block) in row.data[first * bytes..].chunks_exact(bytes).take(groups).enumerate() {
                put(header, (2 * g * PANEL_ROWS + lane) * 2, [block[0], block[1]]);
                put(header, ((2 * g + 1) * PANEL_ROWS + lane) * 2, [block[2], block[3]]);
            }
        }
        Format::Q4K | Format::Q5K => {
            let block = block(if format == Format::Q4K { 144 } else { 176 });
            put(header, lane * 2, [block[0], block[1]]);
            put(header, (PANEL_ROWS + lane) * 2, [block[2], block[3]]);
            let scales = block[4..16].try_into().expect("twelve bytes");
            for g in 0..groups {
                let (scale, minimum) = gguf_k::scale_and_minimum(scales, g);
                put(header, 64 + g * PANEL_ROWS + lane, [scale]);
                put(header, 64 + (padded_groups + g) * PANEL_ROWS + lane, [minimum]);
            }
        }
        Format::Q2K => {
            let block = block(84);
            put(header, lane * 2, [block[80], block[81]]);
            put(header, (PANEL_ROWS + lane) * 2, [block[82], block[83]]);
            (0..groups).for_each(|g| put(header, 64 + g * PANEL_ROWS + lane, [block[g]]));
        }
        Format::Q3K => {
            let block = block(110);
            put(header, lane * 2, [block[108], block[109]]);
            let scales = block[96..108].try_into().expect("twelve bytes");
            for g in 0..groups {
                put(header, 32 + g * PANEL_ROWS + lane, [gguf_k::q3_k_scale(scales, g) as i8 as u8]);
            }
        }
        Format::Q6K => {
            let block = block(210);
            put(header, lane * 2, [block[208], block[209]]);
            (0..groups).for_each(|g| put(header, 32 + g * PANEL_ROWS + lane, [block[192 + g]]));
        }
        Format::Iq4Xs => {
            let block = block(136);
            put(header, lane * 2, [block[0], block[1]]);
            let high = u16::from_le_bytes([block[2], block[3]]);
            for g in 0..groups {
                let scale = (block[4 + g / 2] >> (4 * (g % 2))) & 15 | ((high >> (2 * g) & 3) as u8) << 4;
                put(header, 32 + g * PANEL_ROWS + lane, [(scale as i8 - 32) as u8]);
            }
        }
        other => unreachable!("{other:?} has no layout"),
    }
    debug_assert!(!matches!(layout.scales, Scales::Signed) || header.len() >= 32);
}

#[inline(always)]
fn put<const N: usize>(header: &mut [u8], at: usize, bytes: [u8; N]) {
    header[at..at + N].copy_from_slice(&bytes);
}

/// The first two bytes of each block.
#[inline(always)]
fn halves_of_blocks<const BYTES: usize>(data: &[u8], groups: usize, lane: usize, header: &mut [u8]) {
    let fields = header.as_chunks_mut::<{ 2 * PANEL_ROWS }>().0;
    for (block, field) in data.as_chunks::<BYTES>().0.iter().zip(fields).take(groups) {
        field[2 * lane..][..2].copy_from_slice(&block[..2]);
    }
}

/// The codes of one row of a slab as they lie in the registers, 4 bytes to each.
#[inline(always)]
fn stage_values(values: Values, format: Format, row: &Row<'_>, slab: &Columns, out: &mut [u8; SLAB_COLUMNS]) {
    let blocks = slab.real / 32;
    let whole = slab.real == slab.width;
    match format {
        // Blocks that hold 16 low halves and 16 high ones lie as the 4-bit plane does.
        Format::Q4_0 | Format::Iq4Nl if whole => {
            for (block, out) in
                row.data[slab.first / 32 * 18..].as_chunks::<18>().0.iter().zip(planes(out)).take(blocks)
            {
                out.copy_from_slice(&block[2..]);
            }
        }
        Format::Q8_0 if whole => {
            let data = row.data[slab.first / 32 * 34..].as_chunks::<34>().0;
            for (block, out) in data.iter().zip(out.as_chunks_mut::<32>().0).take(blocks) {
                out.copy_from_slice(&block[2..]);
                out.iter_mut().for_each(|byte| *byte ^= 0x80);
            }
        }
        Format::Affine { bits: 8, .. } => {
            out[slab.real..].fill(0);
            out[..slab.real].copy_from_slice(&row.data[slab.first..][..slab.real]);
        }
        Format::Affine { bits: 4, .. } | Format::Mxfp4 | Format::Nvfp4 if whole => {
            let pairs = row.data[slab.first / 2..].as_chunks::<16>().0;
            pairs.iter().zip(planes(out)).take(blocks).for_each(|(pairs, out)| plane4_of_pairs(pairs, out));
        }
        Format::Q4K => {
            let nibbles = row.data[slab.first / 256 * 144 + 16..].as_chunks::<32>().0;
            for (nibbles, out) in nibbles.iter().zip(out.as_chunks_mut::<32>().0).take(4) {
                let nibbles = *nibbles;
                let low: [u8; 16] = std::array::from_fn(|i| nibbles[i] & 15 | nibbles[16 + i] << 4);
                let high: [u8; 16] = std::array::from_fn(|i| nibbles[i] >> 4 | nibbles[16 + i] & 0xF0);
                out[..16].copy_from_slice(&low);
                out[16..].copy_from_slice(&high);
            }
        }
        Format::Q6K => stage_q6_k(row.data[slab.first / 256 * 210..].first_chunk().expect("a block"), out),
        _ => {
            let mut codes = [0u8; SLAB_COLUMNS];
            read_codes(format, row, slab, &mut codes[..slab.real.next_multiple_of(UNIT_COLUMNS)]);
            let units =
                codes.as_chunks::<UNIT_COLUMNS>().0.iter().zip(out.chunks_exact_mut(values.unit_bytes() / PANEL_ROWS));
            units.take(slab.width / UNIT_COLUMNS).for_each(|(codes, out)| stage_unit(values, codes, out));
        }
    }
}

/// The 4-bit planes of the units of a row.
#[inline(always)]
fn planes(out: &mut [u8; SLAB_COLUMNS]) -> &mut [[u8; 16]] {
    out.as_chunks_mut().0
}

/// A unit's plane from bytes that hold a column low and the next one high.
#[inline(always)]
fn plane4_of_pairs(pairs: &[u8; 16], out: &mut [u8; 16]) {
    for i in 0..8 {
        out[2 * i] = pairs[i] & 15 | pairs[8 + i] << 4;
        out[2 * i + 1] = pairs[i] >> 4 | pairs[8 + i] & 0xF0;
    }
}

/// A unit of a block is a field of one half: 4 low bits, then 2 high ones. Eight bytes at a time.
#[inline(always)]
fn stage_q6_k(block: &[u8; 210], out: &mut [u8; SLAB_COLUMNS]) {
    let word = |at: usize| u64::from_le_bytes(*block[at..].first_chunk().expect("eight bytes"));
    let bytes = |value: u8| u64::from(value) * 0x0101_0101_0101_0101;
    for (unit, out) in out.as_chunks_mut::<24>().0.iter_mut().enumerate().take(8) {
        let (half, field) = (unit / 4, unit % 4);
        let low = |i: usize| word(half * 64 + field % 2 * 32 + 8 * i) >> (4 * (field / 2)) & bytes(15);
        let high = |i: usize| word(128 + half * 32 + 8 * i) >> (2 * field) & bytes(3);
        out[..8].copy_from_slice(&(low(0) | low(2) << 4).to_le_bytes());
        out[8..16].copy_from_slice(&(low(1) | low(3) << 4).to_le_bytes());
        out[16..].copy_from_slice(&(high(0) | high(1) << 2 | high(2) << 4 | high(3) << 6).to_le_bytes());
    }
}

/// The planes of a unit, one behind the other.
#[inline(always)]
fn stage_unit(values: Values, codes: &[u8; UNIT_COLUMNS], out: &mut [u8]) {
    match values {
        Values::Bits8 => out.copy_from_slice(codes),
        Values::Bits4 | Values::E2m1 | Values::Iq4 => out.copy_from_slice(&plane4(codes)),
        Values::Bits2 => out.copy_from_slice(&plane2(codes, 0)),
        Values::Bits3 => {
            out[..8].copy_from_slice(&plane2(codes, 0));
            out[8..].copy_from_slice(&plane1(codes, 2));
        }
        Values::Bits5 => {
            out[..16].copy_from_slice(&plane4(codes));
            out[16..].copy_from_slice(&plane1(codes, 4));
        }
        Values::Bits6 => {
            out[..16].copy_from_slice(&plane4(codes));
            out[16..].copy_from_slice(&plane2(codes, 4));
        }
        Values::Lattice(_) => unreachable!("packed apart"),
    }
}

/// Four bytes of every row to each register: a transposition of 32-bit words.
#[inline(always)]
fn spread<S: Simd>(s: S, staged: &Staged, out: &mut [u8]) {
    let registers = out.as_chunks_mut::<64>().0;
    let blocks = registers.len() / S::LANES * S::LANES;
    for first in (0..blocks).step_by(S::LANES) {
        for row in (0..PANEL_ROWS).step_by(S::LANES) {
            let mut words = [s.zero(); MAX_LANES];
            for (i, words) in words[..S::LANES].iter_mut().enumerate() {
                let from = staged.0[row + i][4 * first..][..4 * S::LANES].as_ptr();
                // SAFETY: the slice holds a vector.
                *words = unsafe { s.load(from.cast()) };
            }
            s.transpose(&mut words[..S::LANES]);
            for (words, register) in words[..S::LANES].iter().zip(&mut registers[first..]) {
                let to = register[4 * row..][..4 * S::LANES].as_mut_ptr();
                // SAFETY: the slice holds a vector.
                unsafe { s.store(*words, to.cast()) };
            }
        }
    }
    for (register, out) in registers.iter_mut().enumerate().skip(blocks) {
        for (staged, word) in staged.0.iter().zip(out.as_chunks_mut::<4>().0) {
            word.copy_from_slice(&staged[4 * register..][..4]);
        }
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
fn read_codes(format: Format, row: &Row<'_>, slab: &Columns, out: &mut [u8]) {
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
