//! From matrices as files have them to the device's layout of [`super::weights`].
//!
//! Rows are written some tiles at a time by all cores, while what was written before is on its way to the device: a
//! matrix needs no second place of its size in the machine's memory, unless the device shares that memory and keeps it.
//! Rows that no matrix has, and what lies behind the last column, are zeros. Read next: `Writer`.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use olivine_kernels::f16;
use olivine_kernels::quant::gguf_k::{q3_k_scale, scale_and_minimum};
use olivine_kernels::quant::mx::e4m3_to_f32;
use olivine_kernels::quant::{Format, Stored};

use crate::device::Device;
use crate::error::GpuError;
use crate::ops::weights::{BLOCK, Code, Layout, Matrix, Scale, TILE, high_bit, supers};

/// So much of a matrix is laid out at a time.
const CHUNK_BYTES: usize = 32 << 20;
/// Fewest bytes that are worth a thread.
const THREAD_BYTES: usize = 256 << 10;

/// A matrix, or matrices of one input under one another, as files have them.
#[derive(Clone, Debug)]
pub struct FileMatrix<'a> {
    /// How a device will have it.
    pub layout: Layout,
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub columns: usize,
    /// Factor of all values (nvfp4).
    pub global_scale: f32,
    pieces: Vec<Piece<'a>>,
}

/// Rows of one place in a file, and the row of the device's layout where they begin.
#[derive(Clone, Debug)]
struct Piece<'a> {
    first: usize,
    rows: usize,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Quantized(Stored<'a>),
    Dense(Cow<'a, [u8]>),
}

/// Memory that matrices are laid out in on their way to a device: of two chunks, used again and again.
#[derive(Debug)]
pub struct Staging {
    chunk_bytes: usize,
    parts: [Parts; 2],
}

impl Default for Staging {
    fn default() -> Staging {
        Staging { chunk_bytes: CHUNK_BYTES, parts: Default::default() }
    }
}

/// Codes, high, scales, supers.
type Parts = [Vec<u8>; 4];
/// Takes the number of a part, where bytes of it belong, and them.
type Write<'a> = dyn Fn(usize, u64, &[u8]) -> Result<(), GpuError> + Sync + 'a;

impl<'a> FileMatrix<'a> {
    /// A quantized matrix; `None` when its format has no layout of its own (decode it and use [`FileMatrix::dense`]) or its
    /// rows are not whole blocks.
    pub fn quantized(stored: &Stored<'a>) -> Option<FileMatrix<'a>> {
        let layout = Layout::of(stored.format, stored.scale_type)?;
        if !stored.columns.is_multiple_of(BLOCK) || stored.check().is_err() {
            return None;
        }
        let mut matrix = FileMatrix::of(layout, stored.rows, stored.columns, Source::Quantized(*stored));
        matrix.global_scale = stored.global_scale.unwrap_or(1.0);
        Some(matrix)
    }

    /// A dense matrix `[rows, columns]` of `code`, which is a float, from its little-endian bytes.
    pub fn dense(code: Code, rows: usize, columns: usize, bytes: impl Into<Cow<'a, [u8]>>) -> FileMatrix<'a> {
        let bytes = bytes.into();
        assert_eq!(bytes.len(), rows * columns * code.bits().0 / 8, "[weights] {code:?} matrix of {rows} x {columns}");
        FileMatrix::of(Layout::dense(code), rows, columns, Source::Dense(bytes))
    }

    fn of(layout: Layout, rows: usize, columns: usize, source: Source<'a>) -> FileMatrix<'a> {
        FileMatrix { layout, rows, columns, global_scale: 1.0, pieces: vec![Piece { first: 0, rows, source }] }
    }

    /// Several matrices of one input under one another, so that one dispatch makes all their outputs side by side; `None`
    /// where they are not stored alike. Factors of whole matrices may differ.
    pub fn stack(matrices: Vec<FileMatrix<'a>>) -> Option<FileMatrix<'a>> {
        FileMatrix::under_one_another(matrices, 1)
    }

    /// The same of experts, each of which begins with a tile of its own.
    pub fn of_experts(matrices: Vec<FileMatrix<'a>>) -> Option<FileMatrix<'a>> {
        FileMatrix::under_one_another(matrices, TILE)
    }

    fn under_one_another(matrices: Vec<FileMatrix<'a>>, step: usize) -> Option<FileMatrix<'a>> {
        let mut matrices = matrices.into_iter();
        let mut whole = matrices.next()?;
        let mut end = whole.end();
        for matrix in matrices {
            let alike = |layout: Layout| match layout.scale {
                Scale::E4m3Each => Layout { scale: Scale::E4m3, ..layout },
                _ => layout,
            };
            if (alike(matrix.layout), matrix.columns) != (alike(whole.layout), whole.columns) {
                return None;
            }
            if matrix.layout != whole.layout || matrix.global_scale != whole.global_scale {
                whole.layout.scale = Scale::E4m3Each;
                if matrix.global_scale.abs() > whole.global_scale.abs() {
                    whole.global_scale = matrix.global_scale;
                }
            }
            let first = end.next_multiple_of(step);
            end = first + matrix.end();
            whole.rows += matrix.rows;
            whole.pieces.extend(matrix.pieces.into_iter().map(|piece| Piece { first: first + piece.first, ..piece }));
        }
        Some(whole)
    }

    /// The row behind the last one, in the device's layout.
    fn end(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.first + piece.rows)
    }

    fn tiles(&self) -> usize {
        self.end().div_ceil(TILE)
    }

    fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    /// Bring it to a device, on its way through memory of its own.
    pub fn upload(&self, device: &dyn Device) -> Result<Matrix, GpuError> {
        FileMatrix::upload_each(std::slice::from_ref(self), device, &mut Staging::default())
    }

    /// Bring a matrix to all cards of a device, or each card of a group its own matrix; all are of one size.
    pub fn upload_each(
        shares: &[FileMatrix<'a>],
        device: &dyn Device,
        staging: &mut Staging,
    ) -> Result<Matrix, GpuError> {
        let FileMatrix { layout, rows, columns, global_scale, .. } = shares[0];
        let mut matrix = Matrix { layout, rows, columns, global_scale, scale_up: 1.0, parts: [None, None, None, None] };
        let bytes = layout.part_bytes(shares[0].tiles(), shares[0].blocks());
        let largest = if shares.len() == 1 && device.info().unified {
            let mut parts = bytes.map(|bytes| vec![0; bytes]);
            let largest = shares[0].lay(0..shares[0].tiles(), &mut parts);
            for (memory, part) in matrix.parts.iter_mut().zip(parts) {
                if !part.is_empty() {
                    let bytes = part.len();
                    *memory = Some(device.import(Arc::new(part), 0..bytes)?);
                }
            }
            largest
        } else {
            for (memory, bytes) in matrix.parts.iter_mut().zip(bytes) {
                *memory = if bytes > 0 { Some(device.allocate(bytes as u64)?) } else { None };
            }
            let mut largest = [0.0; 2];
            for (card, share) in shares.iter().enumerate() {
                let same = (share.layout, share.rows, share.columns, share.tiles());
                assert_eq!(same, (layout, rows, columns, shares[0].tiles()), "[weights] shares");
                let write = |part: usize, offset: u64, bytes: &[u8]| match (&matrix.parts[part], shares.len()) {
                    (None, _) => Ok(()),
                    (Some(to), 1) => device.write(to, offset, bytes),
                    (Some(to), _) => device.write_to(card, to, offset, bytes),
                };
                largest = both(largest, share.stream(staging, &write)?);
            }
            largest
        };
        matrix.scale_up = scale_up(layout.code, largest);
        Ok(matrix)
    }

    /// Have `write` write all parts, at the bytes where they belong, one chunk while the next one is laid out. What
    /// [`FileMatrix::lay`] gives.
    fn stream(&self, staging: &mut Staging, write: &Write) -> Result<[f32; 2], GpuError> {
        let bytes = self.layout.part_bytes(1, self.blocks());
        let at_once = (staging.chunk_bytes / bytes.iter().sum::<usize>().max(1)).max(1);
        let (mut largest, mut laid) = ([0.0; 2], 0..0);
        let [mut here, mut there] = staging.parts.each_mut();
        while laid.end < self.tiles() || !laid.is_empty() {
            let next = laid.end..(laid.end + at_once).min(self.tiles());
            let written = std::thread::scope(|scope| {
                let on_its_way = &*there;
                let send = || {
                    on_its_way
                        .iter()
                        .enumerate()
                        .try_for_each(|(part, of_chunk)| write(part, (laid.start * bytes[part]) as u64, of_chunk))
                };
                let writing = (!laid.is_empty()).then(|| scope.spawn(send));
                for (part, bytes) in here.iter_mut().zip(bytes) {
                    part.resize(next.len() * bytes, 0);
                }
                largest = both(largest, self.lay(next.clone(), here));
                writing.map_or(Ok(()), |writing| writing.join().expect("bytes are written"))
            });
            written?;
            (here, there, laid) = (there, here, next);
        }
        Ok(largest)
    }

    /// Lay out some tiles, each core its share. What [`Writer::largest`] gives.
    fn lay(&self, tiles: Range<usize>, parts: &mut Parts) -> [f32; 2] {
        let bytes = self.layout.part_bytes(1, self.blocks());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(tiles.len() * bytes.iter().sum::<usize>() / THREAD_BYTES).max(1);
        let share = tiles.len().div_ceil(threads).max(1);
        let mut rest = parts.each_mut().map(|part| &mut part[..]);
        std::thread::scope(|scope| {
            let mut workers = Vec::new();
            for first in tiles.clone().step_by(share) {
                let own = first..(first + share).min(tiles.end);
                let mut index = 0;
                let parts = rest.each_mut().map(|part| {
                    let taken = part.split_off_mut(..own.len() * bytes[index]).expect("sizes of the same numbers");
                    index += 1;
                    taken
                });
                let (layout, global_scale) = (self.layout, self.global_scale);
                let writer = Writer { layout, global_scale, blocks: self.blocks(), parts, row: 0 };
                let work = move || self.lay_share(own, writer);
                if threads == 1 {
                    return work();
                }
                workers.push(scope.spawn(work));
            }
            let met = workers.into_iter().map(|worker| worker.join().expect("rows are written"));
            met.fold([0.0; 2], both)
        })
    }

    fn lay_share(&self, tiles: Range<usize>, mut writer: Writer) -> [f32; 2] {
        let (first, end) = (tiles.start * TILE, tiles.end * TILE);
        let of = self.pieces.partition_point(|piece| piece.first + piece.rows <= first);
        let pieces = self.pieces[of..].iter().take_while(|piece| piece.first < end);
        let covered: usize =
            pieces.clone().map(|piece| (piece.first + piece.rows).min(end) - piece.first.max(first)).sum();
        let groups = self.columns / self.layout.group as usize;
        let is_whole = self.columns.is_multiple_of(BLOCK) && groups.is_multiple_of(self.layout.scale.groups());
        if covered < end - first || !is_whole {
            writer.parts.iter_mut().for_each(|part| part.fill(0));
        }
        for piece in pieces {
            for row in piece.first.max(first)..(piece.first + piece.rows).min(end) {
                writer.row = row - first;
                self.write(piece, row - piece.first, &mut writer);
            }
        }
        writer.largest()
    }

    fn write(&self, piece: &Piece, row: usize, writer: &mut Writer) {
        match &piece.source {
            Source::Quantized(stored) => write_quantized(stored, row, writer),
            Source::Dense(bytes) => {
                let size = self.layout.code.bits().0 / 8;
                let bytes = &bytes[row * self.columns * size..][..self.columns * size];
                for (block, values) in bytes.chunks(BLOCK * size).enumerate() {
                    writer.codes(block, values);
                }
            }
        }
    }
}

fn both(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}

/// The power of two below which scales of such codes are brought, if they are: those of codes of 4 to 6 bits come times
/// 2^24 to halves, those of small floats make halves.
fn scales_below(code: Code) -> Option<i32> {
    match code {
        Code::Bits4 | Code::Bits5 | Code::Bits6 => Some(-8),
        Code::E2m1 | Code::E4m3 => Some(0),
        _ => None,
    }
}

/// The largest power of two that leaves scales where they are wanted, and offsets below 2^14. What is too small beside the
/// matrix's largest loses bits only below 2^-20 of the largest weight.
fn scale_up(code: Code, [scale, offset]: [f32; 2]) -> f32 {
    let Some(most) = scales_below(code) else { return 1.0 };
    // Magnitudes are below two to the power of this, the last of them rounded to a half too.
    let above = |magnitude: f32| ((magnitude * 1.001).to_bits() >> 23) as i32 - 126;
    let power = (most - above(scale)).min(14 - above(offset)).clamp(-100, 100);
    f32::from_bits(((power + 127) as u32) << 23)
}

/// Writes one row of some tiles.
struct Writer<'a> {
    layout: Layout,
    global_scale: f32,
    blocks: usize,
    parts: [&'a mut [u8]; 4],
    row: usize,
}

impl Writer<'_> {
    /// The packed low bits of a block, or fewer bytes at the end of a dense row.
    fn codes(&mut self, block: usize, bytes: &[u8]) {
        let (piece, pieces) = (self.layout.code.piece_bytes(), self.layout.code.bits().0 * 4);
        let pieces = pieces / piece;
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        for (index, bytes) in bytes.chunks(piece).enumerate() {
            let at = (((tile * self.blocks + block) * pieces + index) * TILE + lane) * piece;
            let to = &mut self.parts[0][at..at + bytes.len()];
            // Most are of this size, which the compiler then knows.
            match (to.as_mut_array::<16>(), bytes.as_array::<16>()) {
                (Some(to), Some(bytes)) => *to = *bytes,
                _ => to.copy_from_slice(bytes),
            }
        }
    }

    /// One byte a value: packs low and high bits.
    fn values(&mut self, block: usize, values: &[u8; BLOCK]) {
        let (low, high) = self.layout.code.bits();
        match low {
            2 => self.codes(block, &in_bytes::<2, 8>(values, 0)),
            4 => self.codes(block, &in_bytes::<4, 16>(values, 0)),
            _ => self.codes(block, values),
        }
        match high {
            1 if low == 2 => self.high(block, in_bytes::<1, 4>(values, low)),
            1 => self.high(block, high_word::<1>(values).to_le_bytes()),
            2 => {
                let [first, second]: &[[u8; 16]; 2] = values.as_chunks().0.as_array().expect("32 values");
                let both = u64::from(high_word::<2>(first)) | u64::from(high_word::<2>(second)) << 32;
                self.high(block, both.to_le_bytes());
            }
            _ => {}
        }
    }

    fn high<const N: usize>(&mut self, block: usize, bytes: [u8; N]) {
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        let at = ((tile * self.blocks + block) * TILE + lane) * N;
        self.parts[1][at..at + N].copy_from_slice(&bytes);
    }

    /// The scale bytes of a group: 4 (pairs), 8 (pairs of f32), 2 or 1.
    fn scale(&mut self, group: usize, bytes: &[u8]) {
        let scale = self.layout.scale;
        let words = self.layout.scale_words(self.blocks);
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        let word = group / scale.groups() * scale.words();
        if let Some(bytes) = bytes.as_array::<4>() {
            let at = ((tile * words + word) * TILE + lane) * 4;
            *self.parts[2][at..].first_chunk_mut().expect("a word") = *bytes;
            return;
        }
        for (index, bytes) in bytes.chunks(4).enumerate() {
            let at = ((tile * words + word + index) * TILE + lane) * 4 + group % scale.groups() * bytes.len();
            self.parts[2][at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// The largest magnitudes of what codes of 4 to 6 bits and small floats are multiplied by, and of what is added then.
    fn largest(&self) -> [f32; 2] {
        let Layout { code, scale, group, zero } = self.layout;
        if scales_below(code).is_none() {
            return [0.0; 2];
        }
        let (supers, words_of_row) = (supers(self.blocks), self.layout.scale_words(self.blocks));
        // The super of a word of scales.
        let factors_of = |index: usize| {
            let (tile, place, lane) = (index / TILE / words_of_row, index / TILE % words_of_row, index % TILE);
            let at = place * scale.groups() * group as usize / (8 * BLOCK);
            word_at(&self.parts[3][((tile * supers + at) * TILE + lane) * 4..][..4])
        };
        let words = self.parts[2].chunks_exact(4).map(word_at);
        let half = |bits: u32| f16::from_bits(bits as u16 & 0x7fff).to_f32();
        match scale {
            Scale::PairF16 | Scale::PairBf16 | Scale::Single => {
                // Magnitudes of one type are ordered as their bits.
                let most = |a: [u32; 2], word: u32| [a[0].max(word & 0x7fff), a[1].max(word >> 16 & 0x7fff)];
                let most = words.fold([0; 2], most);
                match scale {
                    Scale::PairF16 => most.map(half),
                    Scale::PairBf16 => most.map(|bits| f32::from_bits(bits << 16)),
                    _ => [half(most[0].max(most[1])), half(most[0].max(most[1])) * zero as f32],
                }
            }
            Scale::PairF32 => {
                let is_offset = |index: usize| index / TILE % 2;
                words.enumerate().fold([0.0; 2], |mut most, (index, word)| {
                    most[is_offset(index)] = f32::max(most[is_offset(index)], f32::from_bits(word).abs());
                    most
                })
            }
            Scale::Minima => words.enumerate().fold([0.0; 2], |most, (index, word)| {
                let factors = factors_of(index);
                let largest = |shift: u32| (word >> shift & 255).max(word >> (16 + shift) & 255) as f32;
                both(most, [half(factors) * largest(0), half(factors >> 16) * largest(8)])
            }),
            Scale::Signed => words.enumerate().fold([0.0; 2], |most, (index, word)| {
                let largest = word.to_le_bytes().map(|scale| (scale as i8).unsigned_abs()).into_iter().max();
                let scale = half(factors_of(index)) * f32::from(largest.expect("four scales"));
                both(most, [scale, scale * zero as f32])
            }),
            Scale::E8m0 => {
                let largest = self.parts[2].iter().copied().max().unwrap_or(0);
                [f32::from_bits(u32::from(largest) << 23), 0.0]
            }
            Scale::E4m3 | Scale::E4m3Each => words.enumerate().fold([0.0; 2], |most, (index, word)| {
                // Magnitudes are ordered as their bits.
                let largest = word.to_le_bytes().map(|scale| scale & 0x7f).into_iter().max().expect("four scales");
                let factor = if scale == Scale::E4m3 { 1.0 } else { f32::from_bits(factors_of(index)).abs() };
                both(most, [e4m3_to_f32(largest) * factor, 0.0])
            }),
            Scale::None => unreachable!("codes of {code:?} have scales"),
        }
    }

    /// What belongs to all scales of 256 columns.
    fn super_scale(&mut self, index: usize, bytes: [u8; 4]) {
        let (tile, lane) = (self.row / TILE, self.row % TILE);
        let at = ((tile * supers(self.blocks) + index) * TILE + lane) * 4;
        self.parts[3][at..at + 4].copy_from_slice(&bytes);
    }
}

/// Copy one row of a quantized matrix.
fn write_quantized(stored: &Stored, index: usize, writer: &mut Writer) {
    let row = stored.row(index);
    match stored.format {
        Format::Affine { bits, .. } => {
            let bits = usize::from(bits);
            for (block, bytes) in row.data.chunks_exact(BLOCK * bits / 8).enumerate() {
                // Whole bytes of codes lie as they should; the others are taken apart.
                if matches!(bits, 2 | 4 | 8) {
                    writer.codes(block, bytes);
                } else {
                    writer.values(block, &unpack(bytes, bits));
                }
            }
            let size = stored.scale_type.bytes();
            for (group, (scale, bias)) in row.scales.chunks_exact(size).zip(row.biases.chunks_exact(size)).enumerate() {
                let mut pair = [0; 8];
                pair[..size].copy_from_slice(scale);
                pair[size..2 * size].copy_from_slice(bias);
                writer.scale(group, &pair[..2 * size]);
            }
        }
        Format::Mxfp4 | Format::Mxfp8 | Format::Nvfp4 => {
            let bytes = if stored.format == Format::Mxfp8 { 32 } else { 16 };
            for (block, bytes) in row.data.chunks_exact(bytes).enumerate() {
                writer.codes(block, bytes);
            }
            for (group, scale) in row.scales.iter().enumerate() {
                writer.scale(group, &[*scale]);
            }
            if writer.layout.scale == Scale::E4m3Each {
                let factor = stored.global_scale.unwrap_or(1.0) / writer.global_scale;
                (0..supers(writer.blocks)).for_each(|index| writer.super_scale(index, factor.to_le_bytes()));
            }
        }
        Format::Q2K | Format::Q3K | Format::Q4K | Format::Q5K | Format::Q6K => {
            for (index, bytes) in row.data.chunks_exact(stored.format.block_bytes()).enumerate() {
                write_k(stored.format, index, bytes, writer);
            }
        }
        _ => {
            for (block, bytes) in row.data.chunks_exact(stored.format.block_bytes()).enumerate() {
                write_legacy(stored.format, block, bytes, writer);
            }
        }
    }
}

/// Values of a little-endian string of `bits` each.
fn unpack(bytes: &[u8], bits: usize) -> [u8; BLOCK] {
    std::array::from_fn(|index| {
        let bit = index * bits;
        let low = bytes[bit / 8];
        let high = bytes.get(bit / 8 + 1).copied().unwrap_or(0);
        ((u16::from_le_bytes([low, high]) >> (bit % 8)) & ((1 << bits) - 1)) as u8
    })
}

/// A block of 32 values of GGUF's older formats.
fn write_legacy(format: Format, block: usize, bytes: &[u8], writer: &mut Writer) {
    let (scale, nibbles) = match format {
        Format::GgufMxfp4 => (&bytes[..1], &bytes[1..]),
        Format::Q8_0 => {
            writer.scale(block, &bytes[..2]);
            return writer.codes(block, &bytes[2..]);
        }
        Format::Q4_1 | Format::Q5_1 => (&bytes[..4], &bytes[bytes.len() - 16..]),
        _ => (&bytes[..2], &bytes[bytes.len() - 16..]),
    };
    writer.scale(block, scale);
    let nibbles: &[u8; 16] = nibbles.as_array().expect("16 bytes");
    if !matches!(format, Format::Q5_0 | Format::Q5_1) {
        // Neighbours share a byte in our order, values 16 apart in the file's.
        let codes: [u8; 16] = std::array::from_fn(|index| {
            let (one, two) = (nibbles[index % 8 * 2], nibbles[index % 8 * 2 + 1]);
            if index < 8 { one & 15 | two << 4 } else { one >> 4 | two & 0xf0 }
        });
        return writer.codes(block, &codes);
    }
    let high: [u8; 4] = *bytes[scale.len()..].first_chunk().expect("4 bytes");
    let high = u32::from_le_bytes(high);
    writer.values(
        block,
        &std::array::from_fn(|index| (nibbles[index % 16] >> (index / 16 * 4)) & 15 | ((high >> index & 1) as u8) << 4),
    );
}

/// A block of 256 values of GGUF's K-quants.
fn write_k(format: Format, index: usize, bytes: &[u8], writer: &mut Writer) {
    writer.super_scale(
        index,
        match format {
            Format::Q2K => [bytes[80], bytes[81], bytes[82], bytes[83]],
            Format::Q3K => [bytes[108], bytes[109], 0, 0],
            Format::Q6K => [bytes[208], bytes[209], 0, 0],
            _ => [bytes[0], bytes[1], bytes[2], bytes[3]],
        },
    );
    let groups = if writer.layout.group == 16 { 16 } else { 8 };
    let packed: &[u8; 12] = match format {
        Format::Q3K => bytes[96..108].as_array().expect("12 bytes"),
        _ => bytes[4..16].as_array().expect("12 bytes"),
    };
    for group in 0..groups {
        let at = index * groups + group;
        match format {
            Format::Q2K => writer.scale(at, &[bytes[group] & 15, bytes[group] >> 4]),
            Format::Q3K => writer.scale(at, &[q3_k_scale(packed, group) as i8 as u8]),
            Format::Q6K => writer.scale(at, &[bytes[192 + group]]),
            _ => {
                let (scale, minimum) = scale_and_minimum(packed, group);
                writer.scale(at, &[scale, minimum]);
            }
        }
    }
    for block in 0..8 {
        write_k_block(format, bytes, block, index * 8 + block, writer);
    }
}

/// Codes 32 `of` .. 32 `of` + 31 of a K-quant's block.
fn write_k_block(format: Format, bytes: &[u8], of: usize, block: usize, writer: &mut Writer) {
    let (half, quarter) = (of / 4, of % 4);
    let from = |at: usize| -> &[u8; BLOCK] { bytes[at..].first_chunk().expect("32 bytes") };
    let nibbles = |at: usize| (from(at + of / 2 * 32), 4 * (of % 2));
    let pairs = |at: usize| (from(at + 32 * half), 2 * quarter);
    match format {
        Format::Q2K => {
            let (codes, shift) = pairs(16);
            writer.values(block, &codes.map(|code| code >> shift & 3));
        }
        Format::Q3K => {
            let ((codes, shift), high) = (pairs(32), from(0));
            writer.values(block, &std::array::from_fn(|i| codes[i] >> shift & 3 | (high[i] >> of & 1) << 2));
        }
        Format::Q4K => {
            let (codes, shift) = nibbles(16);
            writer.values(block, &codes.map(|code| code >> shift & 15));
        }
        Format::Q5K => {
            let ((codes, shift), high) = (nibbles(48), from(16));
            writer.values(block, &std::array::from_fn(|i| codes[i] >> shift & 15 | (high[i] >> of & 1) << 4));
        }
        _ => {
            let (codes, (high, shift)) = (from(64 * half + 32 * (quarter % 2)), pairs(128));
            let low = 4 * (quarter / 2);
            writer.values(block, &std::array::from_fn(|i| codes[i] >> low & 15 | (high[i] >> shift & 3) << 4));
        }
    }
}

/// The bits above the lowest four of each value, where [`high_bit`] has them.
fn high_word<const WIDTH: usize>(values: &[u8]) -> u32 {
    let bits = values.iter().enumerate();
    bits.fold(0, |word, (index, value)| word | u32::from(value >> 4) << high_bit(WIDTH, index))
}

fn word_at(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(*bytes.as_array().expect("a word"))
}

/// BITS bits of each value, from bit `first` on, the earliest lowest.
fn in_bytes<const BITS: usize, const BYTES: usize>(values: &[u8; BLOCK], first: usize) -> [u8; BYTES] {
    let each = 8 / BITS;
    std::array::from_fn(|byte| {
        (0..each).fold(0, |all, i| all | ((values[byte * each + i] >> first) & ((1 << BITS) - 1)) << (i * BITS))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use olivine_kernels::pool::Pool;
    use olivine_kernels::quant::{FORMATS, StoredOwned, quantize};

    use super::*;

    /// All at once, and in chunks of a tile.
    fn laid(matrix: &FileMatrix) -> [(Parts, [f32; 2]); 2] {
        let room = || matrix.layout.part_bytes(matrix.tiles(), matrix.blocks()).map(|bytes| vec![7; bytes]);
        let (mut whole, met) = (room(), Mutex::new(room()));
        let largest = matrix.lay(0..matrix.tiles(), &mut whole);
        let mut staging = Staging { chunk_bytes: 1, ..Staging::default() };
        let write = |part: usize, at: u64, bytes: &[u8]| {
            met.lock().unwrap()[part][at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        };
        let largest_met = matrix.stream(&mut staging, &write).unwrap();
        [(whole, largest), (met.into_inner().unwrap(), largest_met)]
    }

    #[test]
    fn chunks_of_matrices_that_begin_anywhere_are_those_of_one_matrix() {
        let (rows, columns) = (150, 768);
        let source: Vec<f32> = (0..rows * columns).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
        let mut covered = 0;
        for info in &FORMATS {
            let of = |range: Range<usize>| {
                let values = &source[range.start * columns..range.end * columns];
                quantize(&Pool::new(1), info.format, range.len(), columns, values)
            };
            let Ok(whole) = of(0..rows) else { continue };
            let Some(whole) = FileMatrix::quantized(&whole.as_stored()).map(|matrix| laid(&matrix)) else { continue };
            covered += 1;
            assert_eq!(whole[0], whole[1], "{}", info.name);
            let parts: Vec<StoredOwned> = [0..45, 45..46, 46..109, 109..150].map(|range| of(range).unwrap()).into();
            let each = || parts.iter().map(|part| FileMatrix::quantized(&part.as_stored()).unwrap()).collect();
            let stack = laid(&FileMatrix::stack(each()).unwrap());
            assert_eq!([&stack[0], &stack[1]], [&whole[0], &whole[0]], "{}", info.name);
            let experts = FileMatrix::of_experts(each()).unwrap();
            assert_eq!((experts.rows, experts.tiles()), (rows, 2 + 1 + 2 + 2));
            let [one, other] = laid(&experts);
            assert_eq!(one, other, "{}", info.name);
            let bytes = experts.layout.part_bytes(2, experts.blocks());
            let first = laid(&FileMatrix::quantized(&parts[0].as_stored()).unwrap());
            assert!((0..4).all(|part| one.0[part][..bytes[part]] == first[0].0[part]), "{}", info.name);
        }
        assert!(covered > 12);
    }

    #[test]
    fn what_lies_behind_the_last_column_and_the_last_row_is_zero() {
        let matrix = FileMatrix::dense(Code::Bf16, 33, 40, vec![0xff; 33 * 80]);
        let [(parts, _), (met, _)] = laid(&matrix);
        assert_eq!(parts, met);
        assert_eq!(parts[0].len(), 2 * 2 * TILE * BLOCK * 2);
        assert_eq!(parts[0].iter().filter(|byte| **byte == 0xff).count(), 33 * 80);
        assert_eq!(parts[0].iter().filter(|byte| **byte == 0).count(), parts[0].len() - 33 * 80);
    }

    #[test]
    fn matrices_with_factors_of_their_own_have_them_beside_their_scales() {
        let (data, scales) = ([0; 40 * 288 / 2], [0x7e; 40 * 288 / 16]);
        let of = |global_scale| Stored {
            format: Format::Nvfp4,
            rows: 40,
            columns: 288,
            data: &data,
            scales: &scales,
            biases: &[],
            scale_type: olivine_kernels::quant::ScaleType::F32,
            global_scale: Some(global_scale),
        };
        let stack = |scales: &[f32]| {
            let matrices = scales.iter().map(|scale| FileMatrix::quantized(&of(*scale)).unwrap());
            FileMatrix::of_experts(matrices.collect()).unwrap()
        };
        assert_eq!(stack(&[3.0, 3.0]).layout.scale, Scale::E4m3);
        let stack = stack(&[0.5, 2.0, 2.0]);
        assert_eq!((stack.layout.scale, stack.global_scale), (Scale::E4m3Each, 2.0));
        let [(parts, largest), (met, _)] = laid(&stack);
        assert_eq!((&parts, largest), (&met, [448.0, 0.0]));
        // Each of 64 rows, two words: of the first 256 columns and of the rest.
        let factors: Vec<f32> = parts[3].chunks(4).map(|word| f32::from_bits(word_at(word))).collect();
        let (rows, none) = (|tile: usize, lane| tile * TILE * 2 + lane, 0.0);
        assert_eq!([rows(0, 0), rows(0, 63), rows(1, 7), rows(2, 0)].map(|at| factors[at]), [0.25, 0.25, 0.25, 1.0]);
        assert_eq!((factors.len(), factors[rows(1, 8)]), (6 * TILE * 2, none));
    }
}
