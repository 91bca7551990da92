//! What a dense product means, in plain Rust, kept for ever: tests compare every tier with it.

use half::bf16;

use super::{DenseMatrix, DenseType, Precision};

/// Row `j` of `matrix`, widened. `out`: `[columns]`.
pub fn weight_row(matrix: &DenseMatrix<'_>, j: usize, out: &mut [f32]) {
    let bytes = matrix.columns * matrix.dtype.size();
    matrix.dtype.widen(&matrix.data[j * bytes..(j + 1) * bytes], out);
}

/// `x · w` with the input rounded as `precision` says for weights of `dtype`, summed in f64.
pub fn dot(x: &[f32], w: &[f32], dtype: DenseType, precision: Precision) -> f32 {
    let round = precision == Precision::Native && dtype == DenseType::Bf16;
    let value = |x: f32| if round { bf16::from_f32(x).to_f32() } else { x };
    x.iter().zip(w).map(|(&x, &w)| f64::from(value(x)) * f64::from(w)).sum::<f64>() as f32
}

/// `out[r, j] = x[r, :] · w[j, :]`; x `[m, columns]`, out `[m, rows]`.
pub fn matmul(x: &[f32], m: usize, matrix: &DenseMatrix<'_>, precision: Precision) -> Vec<f32> {
    let columns = matrix.columns;
    let mut row = vec![0.0; columns];
    let mut out = vec![0.0; m * matrix.rows];
    for j in 0..matrix.rows {
        weight_row(matrix, j, &mut row);
        for r in 0..m {
            out[r * matrix.rows + j] = dot(&x[r * columns..(r + 1) * columns], &row, matrix.dtype, precision);
        }
    }
    out
}
