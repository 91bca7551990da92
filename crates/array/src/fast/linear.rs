//! Linear layers over weights in any storage: dense as they lie in the file, or quantized and packed.
//!
//! Several matrices with the same input (q, k, v; gate, up) are one [`Linear`]: their outputs lie side by side and
//! their products run in one parallel region. A row's bits do not depend on the other rows.
//! Oracle: `dequantize` then `matmul`. Read next: [`crate::fast::rows`], [`crate::fast::moe`].

use std::cell::RefCell;
use std::sync::Arc;

use olivine_gpu::ops::embedding::embedding as gpu_embedding;
use olivine_gpu::ops::laying::{FileMatrix, Staging};
use olivine_gpu::ops::matmul::{Input, Matmul, matmul};
use olivine_gpu::ops::weights;
use olivine_kernels::dense::{self, DenseMatrix, DenseType};
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{self, PackedMatrix, QuantizedActivations};

use smallvec::SmallVec;

use crate::array::Array;
use crate::buffer::Owner;
use crate::dtype::Dtype;
use crate::fast::gated::gpu_gate;
use crate::fast::lora::AdapterSite;
use crate::fast::rows::{RowValues, Rows, Step};
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

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
    /// In any storage, on the GPU.
    OnGpu(GpuMatrix),
}

/// A matrix on the GPU, for its kernels alone.
pub struct GpuMatrix {
    matrix: weights::Matrix,
    bytes: usize,
}

impl std::fmt::Debug for GpuMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} on the GPU", self.matrix.layout)
    }
}

impl GpuMatrix {
    /// Bring a matrix to the GPU: one for all cards, or a share for each.
    #[track_caller]
    pub fn new(gpu: &Gpu, shares: &[FileMatrix], staging: &mut Staging) -> GpuMatrix {
        let matrix = gpu.bring(shares, staging);
        let bytes = matrix.bytes() * gpu.cards();
        GpuMatrix { matrix, bytes }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn matrix(&self) -> &weights::Matrix {
        &self.matrix
    }
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Matrix::Dense { rows, .. } => *rows,
            Matrix::Packed(packed) => packed.rows(),
            Matrix::OnGpu(on_gpu) => on_gpu.matrix.rows,
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match self {
            Matrix::Dense { columns, .. } => *columns,
            Matrix::Packed(packed) => packed.columns(),
            Matrix::OnGpu(on_gpu) => on_gpu.matrix.columns,
        }
    }

    /// Bytes of the weights in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Matrix::Dense { dtype, rows, columns, .. } => rows * columns * dtype.size(),
            Matrix::Packed(packed) => packed.bytes(),
            Matrix::OnGpu(on_gpu) => on_gpu.bytes,
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
            Matrix::OnGpu(_) => panic!("[linear] a row of {self:?} for the CPU"),
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
            Matrix::OnGpu(on_gpu) => format!("{:?} on the GPU", on_gpu.matrix.layout),
        };
        write!(f, "{kind} [{}, {}]", self.rows(), self.columns())
    }
}

/// Matrices that share their input, and an optional bias `[rows of all]`.
#[derive(Debug)]
pub struct Linear {
    parts: Vec<Arc<Matrix>>,
    bias: Option<Array>,
    precision: Precision,
    rows: usize,
    columns: usize,
    site: Option<AdapterSite>,
}

thread_local! {
    /// The quantized input of the product that runs: one for all layers, or each would keep a prompt's.
    static ACTIVATIONS: RefCell<QuantizedActivations> = RefCell::default();
}

/// Let `work` use the memory for quantized inputs.
pub(crate) fn with_activations<T>(work: impl FnOnce(&mut QuantizedActivations) -> T) -> T {
    ACTIVATIONS.with_borrow_mut(work)
}

impl Linear {
    /// A layer of `parts` side by side. Panics when their inputs differ or the bias does not fit.
    pub fn new(parts: Vec<Arc<Matrix>>, bias: Option<Array>, precision: Precision) -> Linear {
        let columns = parts.first().expect("[linear] no matrices").columns();
        assert!(parts.iter().all(|part| part.columns() == columns), "[linear] inputs differ: {parts:?}");
        let rows = parts.iter().map(|part| part.rows()).sum();
        assert!(bias.as_ref().is_none_or(|bias| bias.size() == rows), "[linear] bias does not fit {parts:?}");
        Linear { parts, bias, precision, rows, columns, site: None }
    }

    /// The same layer, which adapters may correct.
    pub fn with_site(self, site: AdapterSite) -> Linear {
        Linear { site: Some(site), ..self }
    }

    /// Outputs of all parts.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether the weights are on the GPU, all of them.
    fn is_on_gpu(&self) -> bool {
        self.parts.iter().all(|part| matches!(**part, Matrix::OnGpu(_)))
    }

    /// The matrices.
    pub fn parts(&self) -> &[Arc<Matrix>] {
        &self.parts
    }

    /// `out = x · weightsᵀ + bias`. `out`: `[m, rows]`.
    fn apply(&self, pool: &Pool, x: &RowValues<'_>, out: &mut [f32]) {
        let m = x.count();
        let (mut dense, mut float, mut offset) = (SmallVec::<[_; 3]>::new(), SmallVec::<[_; 3]>::new(), 0);
        let mut packed = SmallVec::<[_; 3]>::new();
        for part in &self.parts {
            match &**part {
                Matrix::Packed(matrix) if self.precision == Precision::Exact || matrix.needs_float() => {
                    float.push((matrix, offset));
                }
                Matrix::Packed(matrix) => packed.push((matrix, offset)),
                Matrix::Dense { .. } => dense.extend(part.dense().map(|matrix| (matrix, offset))),
                Matrix::OnGpu(_) => panic!("[linear] a product with {part:?} on the CPU"),
            }
            offset += part.rows();
        }
        if !dense.is_empty() || !float.is_empty() {
            let made = x.floats(pool);
            let floats = made.as_ref().map_or(x.values, |made| made.slice());
            if !dense.is_empty() {
                dense::matmul(pool, floats, m, &dense, out, self.rows, self.precision.into());
            }
            for (matrix, offset) in float {
                qmatmul::matmul_float(pool, floats, m, matrix, &mut out[offset..], self.rows);
            }
        }
        if !packed.is_empty() {
            with_activations(|activations| {
                x.quantize(pool, activations);
                qmatmul::matmul(pool, activations, &packed, out, self.rows);
            });
        }
        if let Some(site) = &self.site {
            site.add(pool, x, out, self.rows);
        }
        if let Some(bias) = &self.bias {
            let bias = bias.tensor().slice::<f32>();
            let rows_of_part = (16_384 / self.rows).max(1);
            pool.run_chunks(out, rows_of_part * self.rows, |_, rows| {
                for row in rows.chunks_exact_mut(self.rows) {
                    row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                }
            });
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

/// `x · weightsᵀ + bias`. `x`: `[.., columns]` of f32, or rows that are still to be normed or gated; result `[.., rows]`.
#[track_caller]
pub fn linear(x: impl Into<Rows>, layer: &Arc<Linear>) -> Array {
    let x = x.into();
    let (shape, columns) = (x.source.shape(), x.columns());
    assert_eq!(columns, layer.columns, "[linear] x {shape:?} ({:?}) for {:?}", x.step, layer.parts);
    let inputs: Vec<&Array> = std::iter::once(&x.source).chain(&x.weight).collect();
    Array::apply(LinearOp { layer: layer.clone(), step: x.step }, &inputs)
}

#[derive(Debug)]
struct LinearOp {
    layer: Arc<Linear>,
    step: Step,
}

impl Primitive for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let x = &inputs[0];
        assert!(x.dtype() == Dtype::F32, "[linear] x is {}, not f32", x.dtype());
        let mut shape = x.shape().to_vec();
        *shape.last_mut().expect("[linear] x is a scalar") = self.layer.rows;
        one(&shape, Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let x = inputs[0].contiguous();
        let weight = inputs.get(1).map(Tensor::contiguous);
        let weight = weight.as_ref().map(|weight| weight.slice());
        let rows = RowValues { values: x.slice(), weight, step: self.step, columns: self.layer.columns };
        self.layer.apply(context.pool(), &rows, outputs[0].slice_mut());
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        if !self.layer.is_on_gpu() {
            return false;
        }
        let x = &inputs[0];
        let weight = inputs.get(1).map(|weight| weight.on_gpu_dense(gpu));
        let (Some(from), true) = (x.on_gpu_dense(gpu), weight.as_ref().is_none_or(Option::is_some)) else {
            return false;
        };
        let weight = weight.flatten();
        let input = match self.step {
            Step::None => Input::Plain,
            Step::Norm(epsilon) => Input::Norm { weight: weight.as_ref().expect("a norm has a weight"), epsilon },
            Step::Gate(gate) => {
                Input::Gated(gpu_gate(gate).unwrap_or_else(|| panic!("[linear] no {gate:?} on the GPU")))
            }
        };
        let x_stride = *x.shape().last().expect("rows have columns");
        let rows = x.size() / x_stride;
        let bias = self.layer.bias.as_ref().map(|bias| bias.tensor().buffer().on_gpu(gpu));
        let out = outputs[0].on_gpu_fresh(gpu);
        let mut first = 0;
        for part in &self.layer.parts {
            let Matrix::OnGpu(part) = &**part else { unreachable!("all parts are on the GPU") };
            let options = Matmul { input, bias, out_stride: self.layer.rows, out_first: first, ..Matmul::default() };
            gpu.record(|list| matmul(list, part.matrix(), &from, x_stride, rows, &options, &out));
            first += part.matrix().rows;
        }
        if let Some(site) = &self.layer.site {
            site.record(gpu, (&from, x_stride), input, &out, self.layer.rows);
        }
        true
    }
}

/// Rows of a matrix: `tokens` `[n]` of u32 → `[n, columns]` of f32, times `scale`.
#[track_caller]
pub fn embedding(tokens: &Array, weights: &Arc<Matrix>, scale: f32) -> Array {
    Array::apply(EmbeddingOp { weights: weights.clone(), scale }, &[tokens])
}

/// Rows that a thread looks up at a time.
const EMBEDDING_ROWS: usize = 16;

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

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (tokens, columns) = (inputs[0].contiguous(), self.weights.columns());
        let tokens = tokens.slice::<u32>();
        context.pool().run_chunks(outputs[0].slice_mut::<f32>(), EMBEDDING_ROWS * columns, |part, out| {
            for (&token, out) in tokens[part * EMBEDDING_ROWS..].iter().zip(out.chunks_exact_mut(columns)) {
                let rows = self.weights.rows();
                assert!((token as usize) < rows, "[embedding] token {token} of a vocabulary of {rows}");
                self.weights.row(token as usize, out);
                if self.scale != 1.0 {
                    out.iter_mut().for_each(|value| *value *= self.scale);
                }
            }
        });
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let Matrix::OnGpu(weights) = &*self.weights else { return false };
        let Some(from) = inputs[0].on_gpu_dense(gpu) else { return false };
        let out = outputs[0].on_gpu_fresh(gpu);
        gpu.record(|list| gpu_embedding(list, weights.matrix(), &from, inputs[0].size(), self.scale, &out));
        true
    }
}
