//! Quantized matrix products through rows decoded once at load. Exact, not fast: the reference of the packed kernels.
#![allow(missing_docs)]
use crate::dense::{self, DenseExperts, DenseMatrix, DenseType, ExpertGroup, Precision};
use crate::pool::Pool;
use crate::quant::{Format, QuantError, Stored};
pub struct PackedMatrix {
    format: Format,
    rows: usize,
    columns: usize,
    data: Vec<u8>,
}
fn dense_of(stored: &[Stored]) -> Result<Vec<u8>, QuantError> {
    let mut data = Vec::new();
    for s in stored {
        s.check()?;
        let mut row = vec![0f32; s.columns];
        for r in 0..s.rows {
            s.row_dequantize(r, &mut row);
            data.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        }
    }
    Ok(data)
}
impl PackedMatrix {
    pub fn pack(_: &Pool, stored: &[Stored]) -> Result<PackedMatrix, QuantError> {
        Ok(PackedMatrix {
            format: stored[0].format,
            rows: stored.iter().map(|s| s.rows).sum(),
            columns: stored[0].columns,
            data: dense_of(stored)?,
        })
    }
    pub fn rows(&self) -> usize {
        self.rows
    }
    pub fn columns(&self) -> usize {
        self.columns
    }
    pub fn bytes(&self) -> usize {
        self.data.len()
    }
    pub fn format(&self) -> Format {
        self.format
    }
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        let n = self.columns * 4;
        DenseType::F32.widen(&self.data[row * n..(row + 1) * n], out)
    }
    fn dense(&self) -> DenseMatrix<'_> {
        DenseMatrix { dtype: DenseType::F32, rows: self.rows, columns: self.columns, data: &self.data }
    }
}
#[derive(Debug, Default)]
pub struct QuantizedActivations {
    x: Vec<f32>,
    m: usize,
}
impl QuantizedActivations {
    pub fn requantize(&mut self, _: &Pool, x: &[f32], m: usize, _: usize) {
        self.x = x.to_vec();
        self.m = m;
    }
}
pub fn matmul(pool: &Pool, x: &QuantizedActivations, w: &[(&PackedMatrix, usize)], out: &mut [f32], stride: usize) {
    let m: Vec<_> = w.iter().map(|(w, o)| (w.dense(), *o)).collect();
    dense::matmul(pool, &x.x, x.m, &m, out, stride, Precision::F32);
}
pub fn matmul_float(pool: &Pool, x: &[f32], m: usize, w: &PackedMatrix, out: &mut [f32], stride: usize) {
    dense::matmul(pool, x, m, &[(w.dense(), 0)], out, stride, Precision::F32);
}
pub struct PackedExperts {
    m: PackedMatrix,
    experts: usize,
}
impl PackedExperts {
    pub fn pack(pool: &Pool, stored: &[Stored], experts: usize) -> Result<PackedExperts, QuantError> {
        Ok(PackedExperts { m: PackedMatrix::pack(pool, stored)?, experts })
    }
    pub fn rows(&self) -> usize {
        self.m.rows / self.experts
    }
    pub fn columns(&self) -> usize {
        self.m.columns
    }
    pub fn bytes(&self) -> usize {
        self.m.bytes()
    }
    fn dense(&self) -> DenseExperts<'_> {
        DenseExperts {
            dtype: DenseType::F32,
            experts: self.experts,
            rows: self.rows(),
            columns: self.m.columns,
            data: &self.m.data,
        }
    }
}
pub fn matmul_experts_float(
    pool: &Pool,
    x: &[f32],
    w: &[(&PackedExperts, usize)],
    groups: &[ExpertGroup<'_>],
    out: &mut [f32],
    stride: usize,
) {
    let m: Vec<_> = w.iter().map(|(w, o)| (w.dense(), *o)).collect();
    dense::matmul_experts(pool, x, &m, groups, out, stride, Precision::F32);
}
pub fn matmul_experts(
    pool: &Pool,
    x: &QuantizedActivations,
    w: &[(&PackedExperts, usize)],
    groups: &[ExpertGroup<'_>],
    out: &mut [f32],
    stride: usize,
) {
    matmul_experts_float(pool, &x.x, w, groups, out, stride)
}
