//! Linear layers over weights in any storage: dense as they lie in the file, or quantized and packed.
//!
//! Several matrices with the same input (q, k, v; gate, up) are one [`Linear`]: their outputs lie side by side and
//! their products run in one parallel region. A row's bits do not depend on the other rows.
//! Oracle: `dequantize` then `matmul`. Read next: [`crate::fast::moe`].

use std::sync::{Arc, Mutex, PoisonError};

use olivine_kernels::dense::{self, DenseMatrix, DenseType};
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{self, PackedMatrix, QuantizedActivations};

use crate::array::Array;
use crate::buffer::Owner;
use crate::dtype::Dtype;
use crate::primitive::{EvalContext, Primitive, Specs, Tensor, one};

/// How exactly products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// The processor's fastest: int8 activations with quantized weights, bf16 products with bf16 weights.
    Fast,
    /// f32 activations and f32 sums everywhere.
    Exact,
}

/// A weight matrix `[rows, columns]`: `rows` outputs, `columns` inputs.
pub enum Matrix {
    /// Row-major elements inside memory that `owner` keeps alive (a mapped file, usually).
    Dense {
        /// Element type.
        dtype: DenseType,
        /// Outputs.
        rows: usize,
        /// Inputs.
        columns: usize,
        /// Keeps the memory alive.
        owner: Owner,
        /// First byte in the owner's memory.
        start: usize,
    },
    /// Quantized, in the kernels' own layout.
    Packed(PackedMatrix),
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Matrix::Dense { rows, .. } => *rows,
            Matrix::Packed(packed) => packed.rows(),
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match self {
            Matrix::Dense { columns, .. } => *columns,
            Matrix::Packed(packed) => packed.columns(),
        }
    }

    /// Bytes of the weights in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Matrix::Dense { dtype, rows, columns, .. } => rows * columns * dtype.size(),
            Matrix::Packed(packed) => packed.bytes(),
        }
    }

    /// The dense view, if the weights are dense.
    pub fn dense(&self) -> Option<DenseMatrix<'_>> {
        let Matrix::Dense { dtype, rows, columns, owner, start } = self else { return None };
        let data = &(**owner).as_ref()[*start..start + rows * columns * dtype.size()];
        Some(DenseMatrix { dtype: *dtype, rows: *rows, columns: *columns, data })
    }

    /// Row `row` as f32 (an embedding): `out` is `[columns]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        match self {
            Matrix::Packed(packed) => packed.dequantize_row(row, out),
            Matrix::Dense { dtype, columns, .. } => {
                let dense = self.dense().expect("dense weights have a dense view");
                let bytes = columns * dtype.size();
                dtype.widen(&dense.data[row * bytes..(row + 1) * bytes], out);
            }
        }
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Matrix::Dense { dtype, .. } => format!("{dtype:?}"),
            Matrix::Packed(packed) => format!("{:?}", packed.format()),
        };
        write!(f, "{kind} [{}, {}]", self.rows(), self.columns())
    }
}

/// Matrices that share their input, and an optional bias `[rows of all]`.
#[derive(Debug)]
pub struct Linear {
    parts: Vec<Arc<Matrix>>,
    bias: Option<Vec<f32>>,
    precision: Precision,
    rows: usize,
    columns: usize,
    activations: Mutex<QuantizedActivations>,
}

impl Linear {
    /// A layer of `parts` side by side. Panics when their inputs differ or the bias does not fit.
    pub fn new(parts: Vec<Arc<Matrix>>, bias: Option<Vec<f32>>, precision: Precision) -> Linear {
        let columns = parts.first().expect("[linear] no matrices").columns();
        assert!(parts.iter().all(|part| part.columns() == columns), "[linear] inputs differ: {parts:?}");
        let rows = parts.iter().map(|part| part.rows()).sum();
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == rows), "[linear] bias does not fit {parts:?}");
        Linear { parts, bias, precision, rows, columns, activations: Mutex::default() }
    }

    /// Outputs of all parts.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The matrices.
    pub fn parts(&self) -> &[Arc<Matrix>] {
        &self.parts
    }

    /// `out = x · weightsᵀ + bias`. `x`: `[m, columns]`; `out`: `[m, rows]`.
    pub fn apply(&self, pool: &Pool, x: &[f32], out: &mut [f32]) {
        let m = x.len() / self.columns;
        let (mut dense, mut packed, mut offset) = (Vec::new(), Vec::new(), 0);
        for part in &self.parts {
            match &**part {
                Matrix::Packed(matrix) => packed.push((matrix, offset)),
                Matrix::Dense { .. } => dense.extend(part.dense().map(|matrix| (matrix, offset))),
            }
            offset += part.rows();
        }
        if !dense.is_empty() {
            dense::matmul(pool, x, m, &dense, out, self.rows, self.precision.into());
        }
        packed.retain(|(matrix, offset)| {
            let float = self.precision == Precision::Exact || matrix.needs_float();
            if float {
                qmatmul::matmul_float(pool, x, m, matrix, &mut out[*offset..], self.rows);
            }
            !float
        });
        if !packed.is_empty() {
            let mut activations = self.activations.lock().unwrap_or_else(PoisonError::into_inner);
            activations.requantize(pool, x, m, self.columns);
            qmatmul::matmul(pool, &activations, &packed, out, self.rows);
        }
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(self.rows) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
    }
}

impl From<Precision> for dense::Precision {
    fn from(precision: Precision) -> dense::Precision {
        match precision {
            Precision::Fast => dense::Precision::Native,
            Precision::Exact => dense::Precision::F32,
        }
    }
}

/// `x · weightsᵀ + bias`. `x`: `[.., columns]` of f32; result `[.., rows]`.
#[track_caller]
pub fn linear(x: &Array, layer: &Arc<Linear>) -> Array {
    Array::apply(LinearOp(layer.clone()), &[x])
}

#[derive(Debug)]
struct LinearOp(Arc<Linear>);

impl Primitive for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let x = &inputs[0];
        assert!(x.dtype() == Dtype::F32, "[linear] x is {}, not f32", x.dtype());
        assert_eq!(x.shape().last(), Some(&self.0.columns), "[linear] x {:?} for {:?}", x.shape(), self.0.parts);
        let mut shape = x.shape().to_vec();
        *shape.last_mut().expect("checked") = self.0.rows;
        one(&shape, Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let x = inputs[0].contiguous();
        self.0.apply(context.pool(), x.slice(), outputs[0].slice_mut());
    }
}

/// Rows of a matrix: `tokens` `[n]` of u32 → `[n, columns]` of f32, times `scale`.
#[track_caller]
pub fn embedding(tokens: &Array, weights: &Arc<Matrix>, scale: f32) -> Array {
    Array::apply(EmbeddingOp { weights: weights.clone(), scale }, &[tokens])
}

#[derive(Debug)]
struct EmbeddingOp {
    weights: Arc<Matrix>,
    scale: f32,
}

impl Primitive for EmbeddingOp {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        assert!(inputs[0].dtype() == Dtype::U32, "[embedding] tokens are {}, not u32", inputs[0].dtype());
        one(&[inputs[0].size(), self.weights.columns()], Dtype::F32)
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (tokens, columns) = (inputs[0].contiguous(), self.weights.columns());
        for (&token, out) in tokens.slice::<u32>().iter().zip(outputs[0].slice_mut::<f32>().chunks_exact_mut(columns)) {
            let rows = self.weights.rows();
            assert!((token as usize) < rows, "[embedding] token {token} of a vocabulary of {rows}");
            self.weights.row(token as usize, out);
            if self.scale != 1.0 {
                out.iter_mut().for_each(|value| *value *= self.scale);
            }
        }
    }
}
