//! A dense matrix as it lies in a file.
//!
//! Read next: [`super::element`].

use half::{bf16, f16};

/// Element type of a dense matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenseType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of binary32.
    Bf16,
}

impl DenseType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DenseType::F32 => 4,
            DenseType::F16 | DenseType::Bf16 => 2,
        }
    }

    /// Widen little-endian elements to f32; `bytes.len() == out.len() * size`.
    pub fn widen(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(bytes.len(), out.len() * self.size(), "[dense] {self:?} row of {} values", out.len());
        match self {
            DenseType::F32 => {
                for (value, quad) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                    *value = f32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]);
                }
            }
            DenseType::F16 => match bytemuck::try_cast_slice(bytes) {
                Ok(halves) => crate::convert::f16_to_f32(halves, out),
                Err(_) => widen_unaligned(bytes, out, |bits| f16::from_bits(bits).to_f32()),
            },
            DenseType::Bf16 => match bytemuck::try_cast_slice(bytes) {
                Ok(halves) => crate::convert::bf16_to_f32(halves, out),
                Err(_) => widen_unaligned(bytes, out, |bits| bf16::from_bits(bits).to_f32()),
            },
        }
    }
}

fn widen_unaligned(bytes: &[u8], out: &mut [f32], widen: impl Fn(u16) -> f32) {
    for (value, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *value = widen(u16::from_le_bytes([pair[0], pair[1]]));
    }
}

/// One matrix of `rows` output features by `columns` input features, row-major, as it lies in a file.
#[derive(Clone, Copy, Debug)]
pub struct DenseMatrix<'a> {
    /// Element type.
    pub dtype: DenseType,
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub columns: usize,
    /// `rows * columns` little-endian elements; no alignment is asked for.
    pub data: &'a [u8],
}

/// How exact a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// What the tier does fastest. AVX-512 and AMX: bf16 weights times the input rounded to bf16, sums in f32; AMX takes
    /// subnormal numbers for zero. Else as [`Precision::F32`].
    Native,
    /// Weights widened to f32, f32 multiply-add.
    F32,
}
