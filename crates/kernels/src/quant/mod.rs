//! Quantized storage: which formats there are, how a matrix lies in a file, and its scalar codecs.
//!
//! One file per format family holds the block layout, the decoder and (where there is one) the encoder; [`FORMATS`]
//! lists them all. Invariants: a decoder accepts any bytes of the right length; an encoder's output depends only on
//! the row, never on the number of threads or the instruction set. Packed layouts for matrix products are built
//! from [`Stored`] elsewhere. Read next: [`affine`], [`gguf_k`].

pub mod affine;
mod format;
pub mod gguf_iq;
pub mod gguf_iq_tables;
pub mod gguf_k;
mod gguf_k_search;
pub mod gguf_legacy;
pub mod mx;
mod tiers;

pub use format::{FORMATS, Format, FormatInfo, ScaleType};

use crate::pool::Pool;
use half::{bf16, f16};
use std::sync::Mutex;

/// One quantized matrix as it lies in a file, row-major: `rows` output features of `columns` input features.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// How the values are packed.
    pub format: Format,
    /// Output features.
    pub rows: usize,
    /// Input features; a multiple of [`Format::block_columns`].
    pub columns: usize,
    /// Packed values (MLX formats) or whole blocks (GGUF formats).
    pub data: &'a [u8],
    /// Affine: `rows * columns / group` of `scale_type`; mxfp4/mxfp8/nvfp4: one byte each; GGUF: empty.
    pub scales: &'a [u8],
    /// Affine only, as `scales`.
    pub biases: &'a [u8],
    /// Element type of `scales` and `biases` of the affine formats; no meaning for others.
    pub scale_type: ScaleType,
    /// Nvfp4's scale of the whole tensor: values are multiplied by it.
    pub global_scale: Option<f32>,
}

/// A quantized matrix with its own memory, as [`quantize`] makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOwned {
    /// As in [`Stored`].
    pub format: Format,
    /// As in [`Stored`].
    pub rows: usize,
    /// As in [`Stored`].
    pub columns: usize,
    /// As in [`Stored`].
    pub data: Vec<u8>,
    /// As in [`Stored`].
    pub scales: Vec<u8>,
    /// As in [`Stored`].
    pub biases: Vec<u8>,
    /// As in [`Stored`].
    pub scale_type: ScaleType,
    /// As in [`Stored`].
    pub global_scale: Option<f32>,
}

/// Float values to be quantized, row-major. The type matters: MLX keeps affine scales in the type of the source.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// IEEE half floats.
    F16(&'a [f16]),
    /// Brain floats.
    Bf16(&'a [bf16]),
}

/// One row of a [`Stored`]: what a decoder reads. Lengths are those of whole blocks.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Packed values or whole blocks.
    pub data: &'a [u8],
    /// Separate scales, if the format has them.
    pub scales: &'a [u8],
    /// Separate biases, if the format has them.
    pub biases: &'a [u8],
    /// Element type of affine scales and biases.
    pub scale_type: ScaleType,
    /// Factor of every value; 1 when the tensor has none.
    pub global_scale: f32,
}

/// One row of a [`StoredOwned`]: what an encoder writes. Every byte is overwritten.
#[derive(Debug)]
pub struct RowMut<'a> {
    /// Packed values or whole blocks.
    pub data: &'a mut [u8],
    /// Separate scales, if the format has them.
    pub scales: &'a mut [u8],
    /// Separate biases, if the format has them.
    pub biases: &'a mut [u8],
    /// Element type of affine scales and biases.
    pub scale_type: ScaleType,
}

/// Decode one row into `out`, whose length is the number of columns.
pub type Decode = fn(row: Row<'_>, out: &mut [f32]);

/// Encode one row of floats, whose length is the number of columns.
pub type Encode = fn(values: &[f32], row: RowMut<'_>);

/// A matrix whose parts do not fit together, or a format that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantError {
    /// Rows must hold whole blocks.
    #[error("{format} needs rows of a multiple of {block} columns, this matrix has {columns}")]
    Columns {
        /// Name of the format.
        format: &'static str,
        /// Columns of the matrix.
        columns: usize,
        /// Columns of one block.
        block: usize,
    },
    /// A part has the wrong number of bytes (or of values, for the source of [`quantize`]).
    #[error("{format} matrix of {rows} x {columns}: {part} has length {found}, expected {expected}")]
    Length {
        /// Name of the format.
        format: &'static str,
        /// "data", "scales", "biases" or "source".
        part: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
        /// Length the shape asks for.
        expected: usize,
        /// Length that was given.
        found: usize,
    },
    /// `rows * columns` and its bytes must be countable.
    #[error("a matrix of {rows} x {columns} is too large")]
    Overflow {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// The format can be read but not written.
    #[error("{format} can be read but not written")]
    NoEncoder {
        /// Name of the format.
        format: &'static str,
    },
    /// An [`Format::Affine`] that MLX does not have.
    #[error("no affine format of {bits} bits in groups of {group}: bits are 2, 3, 4, 5, 6, 8, groups 32, 64, 128")]
    NoSuchAffine {
        /// Bits of a value.
        bits: u8,
        /// Values of a group.
        group: u8,
    },
}

/// How many bytes one row takes in each part.
#[derive(Clone, Copy)]
struct RowBytes {
    data: usize,
    scales: usize,
    biases: usize,
}

impl<'a> Stored<'a> {
    /// Make sure that all lengths agree with the shape; the functions below rely on it.
    pub fn check(&self) -> Result<(), QuantError> {
        let info = self.format.try_info()?;
        let bytes = row_bytes(info, self.rows, self.columns, self.scale_type)?;
        let parts = [
            ("data", bytes.data, self.data.len()),
            ("scales", bytes.scales, self.scales.len()),
            ("biases", bytes.biases, self.biases.len()),
        ];
        for (part, row, found) in parts {
            let expected = row * self.rows;
            if expected != found {
                let (rows, columns) = (self.rows, self.columns);
                return Err(QuantError::Length { format: info.name, part, rows, columns, expected, found });
            }
        }
        Ok(())
    }

    /// The parts of one row. Panics when there is no such row or when [`Stored::check`] would fail.
    pub fn row(&self, row: usize) -> Row<'a> {
        assert!(row < self.rows, "[quant] row {row} of {}", self.rows);
        let part = |bytes: &'a [u8]| {
            let length = bytes.len() / self.rows;
            &bytes[row * length..][..length]
        };
        Row {
            data: part(self.data),
            scales: part(self.scales),
            biases: part(self.biases),
            scale_type: self.scale_type,
            global_scale: self.global_scale.unwrap_or(1.0),
        }
    }

    /// Decode one row into `out` of `columns` values. Panics when the lengths do not fit.
    pub fn row_dequantize(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.columns, "[quant] output of another length than the row");
        (self.format.info().decode)(self.row(row), out)
    }
}

impl StoredOwned {
    /// Zeros of the right lengths.
    fn new(format: Format, rows: usize, columns: usize, scale_type: ScaleType) -> Result<StoredOwned, QuantError> {
        let bytes = row_bytes(format.try_info()?, rows, columns, scale_type)?;
        let [data, scales, biases] = [bytes.data, bytes.scales, bytes.biases].map(|row| vec![0; row * rows]);
        Ok(StoredOwned { format, rows, columns, data, scales, biases, scale_type, global_scale: None })
    }

    /// A view, as of a matrix in a file.
    pub fn as_stored(&self) -> Stored<'_> {
        Stored {
            format: self.format,
            rows: self.rows,
            columns: self.columns,
            data: &self.data,
            scales: &self.scales,
            biases: &self.biases,
            scale_type: self.scale_type,
            global_scale: self.global_scale,
        }
    }
}

impl Source<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Source::F32(values) => values.len(),
            Source::F16(values) => values.len(),
            Source::Bf16(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type in which MLX would keep scales for this source.
    pub fn scale_type(&self) -> ScaleType {
        match self {
            Source::F32(_) => ScaleType::F32,
            Source::F16(_) => ScaleType::F16,
            Source::Bf16(_) => ScaleType::Bf16,
        }
    }

    /// Widen `out.len()` values from `start` on.
    fn read(&self, start: usize, out: &mut [f32]) {
        match self {
            Source::F32(values) => out.copy_from_slice(&values[start..][..out.len()]),
            Source::F16(values) => crate::convert::f16_to_f32(&values[start..][..out.len()], out),
            Source::Bf16(values) => crate::convert::bf16_to_f32(&values[start..][..out.len()], out),
        }
    }
}

impl<'a> From<&'a [f32]> for Source<'a> {
    fn from(values: &'a [f32]) -> Source<'a> {
        Source::F32(values)
    }
}

impl<'a> From<&'a [f16]> for Source<'a> {
    fn from(values: &'a [f16]) -> Source<'a> {
        Source::F16(values)
    }
}

impl<'a> From<&'a [bf16]> for Source<'a> {
    fn from(values: &'a [bf16]) -> Source<'a> {
        Source::Bf16(values)
    }
}

/// Decode a whole matrix into `out` of `rows * columns` values, rows shared among the threads. Panics when
/// [`Stored::check`] fails or `out` has another length.
pub fn dequantize(pool: &Pool, stored: &Stored, out: &mut [f32]) {
    if let Err(error) = stored.check() {
        panic!("[dequantize] {error}");
    }
    assert_eq!(out.len(), stored.rows * stored.columns, "[dequantize] output of another length than the matrix");
    if out.is_empty() {
        return;
    }
    let part_rows = part_rows(stored.columns);
    let parts: Vec<_> = out.chunks_mut(part_rows * stored.columns).map(Mutex::new).collect();
    pool.run(parts.len(), &|part| {
        let mut out = parts[part].lock().expect("a part has one thread");
        for (index, out) in out.chunks_exact_mut(stored.columns).enumerate() {
            stored.row_dequantize(part * part_rows + index, out);
        }
    });
}

/// Encode a matrix of `rows * columns` values, rows shared among the threads. MLX formats get the bytes that MLX
/// stores, GGUF formats those of ggml's reference quantizers (no importance matrix).
pub fn quantize<'a>(
    pool: &Pool,
    format: Format,
    rows: usize,
    columns: usize,
    source: impl Into<Source<'a>>,
) -> Result<StoredOwned, QuantError> {
    let source = source.into();
    let info = format.try_info()?;
    let encode = info.encode.ok_or(QuantError::NoEncoder { format: info.name })?;
    let mut stored = StoredOwned::new(format, rows, columns, source.scale_type())?;
    let (expected, found) = (rows * columns, source.len());
    if expected != found {
        return Err(QuantError::Length { format: info.name, part: "source", rows, columns, expected, found });
    }
    if expected == 0 {
        return Ok(stored);
    }
    let bytes = row_bytes(info, rows, columns, stored.scale_type)?;
    let part_rows = part_rows(columns);
    let scale_type = stored.scale_type;
    let mut rest = (&mut stored.data[..], &mut stored.scales[..], &mut stored.biases[..]);
    let mut parts = Vec::new();
    for first in (0..rows).step_by(part_rows) {
        let count = part_rows.min(rows - first);
        let data = rest.0.split_off_mut(..count * bytes.data).expect("lengths were made from the same numbers");
        let scales = rest.1.split_off_mut(..count * bytes.scales).expect("as above");
        let biases = rest.2.split_off_mut(..count * bytes.biases).expect("as above");
        parts.push(Mutex::new((data, scales, biases)));
    }
    pool.run(parts.len(), &|part| {
        let mut guard = parts[part].lock().expect("a part has one thread");
        let (data, scales, biases) = &mut *guard;
        let mut values = vec![0.0; columns]; // [columns]
        for index in 0..data.len() / bytes.data {
            source.read((part * part_rows + index) * columns, &mut values);
            let row = RowMut {
                data: &mut data[index * bytes.data..][..bytes.data],
                scales: &mut scales[index * bytes.scales..][..bytes.scales],
                biases: &mut biases[index * bytes.biases..][..bytes.biases],
                scale_type,
            };
            encode(&values, row);
        }
    });
    Ok(stored)
}

/// Rows that one thread takes at a time: about 64 K values.
fn part_rows(columns: usize) -> usize {
    (65_536 / columns).max(1)
}

/// Bytes of one row, with a check that all rows together are countable.
fn row_bytes(info: &FormatInfo, rows: usize, columns: usize, scale_type: ScaleType) -> Result<RowBytes, QuantError> {
    if !columns.is_multiple_of(info.block_columns) {
        return Err(QuantError::Columns { format: info.name, columns, block: info.block_columns });
    }
    let blocks = columns / info.block_columns;
    // f32 is the largest thing there is, so when the floats are countable every part is.
    if rows.checked_mul(columns).and_then(|values| values.checked_mul(size_of::<f32>())).is_none() {
        return Err(QuantError::Overflow { rows, columns });
    }
    let scale = info.format.scale_bytes(scale_type);
    let bias = if matches!(info.format, Format::Affine { .. }) { scale } else { 0 };
    Ok(RowBytes { data: blocks * info.block_bytes, scales: blocks * scale, biases: blocks * bias })
}

#[cfg(test)]
mod tests;
