//! From checkpoint tensors to layers: dense weights stay in the mapped file, quantized ones are packed once.
//!
//! All normalising happens here and in the blocks' own `load`: names, merged and split projections, norm offsets.
//! Read next: `nn/attention.rs`, then `decoder.rs`.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use half::f16;
use olivine_array::fast::linear::{GpuMatrix, Linear, Matrix, Precision};
use olivine_array::fast::lora::AdapterSite;
use olivine_array::fast::moe::{ExpertLinear, ExpertMatrix};
use olivine_array::fast::step::StepSlot;
use olivine_array::gpu::weights::{Code, Packed};
use olivine_array::{Array, Gpu};
use olivine_kernels::dense::DenseType;
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{PackedExperts, PackedMatrix};
use olivine_kernels::quant::{self, Stored};
use olivine_kernels::rope::Frequencies;

use crate::ModelError;
use crate::adapter::{Site, SiteModule};
use crate::cache::Cache;
use crate::spec::{ModelSpec, RopeSpec};
use crate::weights::{Storage, WeightTensor, Weights, dense_type};

/// Most experts that the GPU's router knows.
const MOST_GPU_EXPERTS: usize = olivine_array::gpu::MAX_EXPERTS;

/// What blocks need while they are being made.
pub struct Loader<'a> {
    /// The checkpoint.
    pub weights: &'a Weights,
    /// The resolved model.
    pub spec: &'a ModelSpec,
    /// How exactly products are computed.
    pub precision: Precision,
    /// Threads for packing.
    pub pool: Arc<Pool>,
    /// Slot of the step that all blocks share.
    pub step: StepSlot,
    /// Keys, values and states of all layers.
    pub cache: &'a Cache,
    /// The distinct ropes met so far, with their frequencies.
    pub ropes: Vec<(RopeSpec, Frequencies)>,
    /// What was loaded so far.
    pub sizes: Cell<WeightSizes>,
    /// Linear layers that adapters may correct, by their numbers.
    pub sites: RefCell<Vec<Site>>,
    /// Where matrices go; none: they stay with the CPU. See [`Loader::place`].
    pub gpu: RefCell<Option<Arc<Gpu>>>,
}

/// Bytes of matrices in memory, as the kernels read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightSizes {
    /// Every matrix that is not an expert's, the embedding among them.
    pub matrices: usize,
    /// All experts of all layers.
    pub experts: usize,
    /// Of both, what is quantized.
    pub quantized: usize,
    /// The embedding.
    pub embedding: usize,
}

impl WeightSizes {
    /// Everything.
    pub fn total(&self) -> usize {
        self.matrices + self.experts
    }
}

impl Loader<'_> {
    /// Bring what is loaded next to the GPU, if there is one, or leave it with the CPU.
    pub fn place(&self, on_gpu: bool) {
        *self.gpu.borrow_mut() = olivine_array::gpu().filter(|_| on_gpu);
    }

    /// A norm weight `[dim]` with the stored offset folded in.
    pub fn norm(&self, canonical: &str, layer: Option<usize>, dim: usize) -> Result<Array, ModelError> {
        Ok(Array::from_slice(&self.norm_values(canonical, layer, dim)?, &[dim]))
    }

    /// As [`Loader::norm`], as numbers.
    pub fn norm_values(&self, canonical: &str, layer: Option<usize>, dim: usize) -> Result<Vec<f32>, ModelError> {
        let mut values = self.weights.floats(canonical, layer, "weight", &[dim])?;
        if !self.weights.norm_offset_is_folded() {
            values.iter_mut().for_each(|value| *value += self.spec.norm_offset);
        }
        Ok(values)
    }

    /// The module's weight, checked to be `[rows, columns]`.
    pub fn tensor(
        &self,
        canonical: &str,
        layer: Option<usize>,
        rows: usize,
        columns: usize,
    ) -> Result<WeightTensor, ModelError> {
        let tensor = self.weights.get(canonical, layer, "weight")?;
        self.weights.check(&tensor, &[rows, columns])?;
        Ok(tensor)
    }

    /// One matrix from the rows of `tensors`, in order. Dense rows of one tensor stay where they are.
    pub fn matrix(&self, tensors: &[WeightTensor]) -> Result<Arc<Matrix>, ModelError> {
        let matrix = self.matrix_of(tensors)?;
        let mut sizes = self.sizes.get();
        sizes.matrices += matrix.bytes();
        sizes.quantized += if tensors[0].is_quantized() { matrix.bytes() } else { 0 };
        self.sizes.set(sizes);
        Ok(Arc::new(matrix))
    }

    fn matrix_of(&self, tensors: &[WeightTensor]) -> Result<Matrix, ModelError> {
        let first = tensors.first().expect("a matrix has at least one tensor");
        tensors.iter().for_each(|tensor| tensor.populate(&self.pool));
        if let Some(gpu) = &*self.gpu.borrow() {
            return self.gpu_matrix(gpu, tensors);
        }
        if let Some(stored) = stored_all(tensors) {
            let packed = PackedMatrix::pack(&self.pool, &stored);
            let packed = packed.map_err(|source| ModelError::Quant { tensor: first.name.clone(), source })?;
            tensors.iter().for_each(WeightTensor::release);
            return Ok(Matrix::Packed(packed));
        }
        let (rows, columns) = (tensors.iter().map(WeightTensor::rows).sum(), first.columns());
        let (dtype, owner, start) = self.dense(tensors)?;
        Ok(Matrix::Dense { dtype, rows, columns, owner, start })
    }

    /// The rows of all tensors as one matrix on the GPU.
    fn gpu_matrix(&self, gpu: &Gpu, tensors: &[WeightTensor]) -> Result<Matrix, ModelError> {
        let packed = self.packed_for_gpu(tensors)?;
        tensors.iter().for_each(WeightTensor::release);
        Ok(Matrix::OnGpu(GpuMatrix::new(gpu, packed)))
    }

    /// As the GPU's kernels read it. Formats that they do not know are decoded to half floats.
    fn packed_for_gpu(&self, tensors: &[WeightTensor]) -> Result<Packed, ModelError> {
        let first = &tensors[0];
        let (rows, columns) = (tensors.iter().map(WeightTensor::rows).sum::<usize>(), first.columns());
        let Some(parts) = stored_all(tensors) else {
            let (dtype, owner, start) = self.dense(tensors)?;
            let code = match dtype {
                DenseType::F32 => Code::F32,
                DenseType::F16 => Code::F16,
                DenseType::Bf16 => Code::Bf16,
            };
            let bytes = &(*owner).as_ref()[start..start + rows * columns * dtype.size()];
            return Ok(Packed::dense(code, rows, columns, bytes));
        };
        for (part, tensor) in parts.iter().zip(tensors) {
            part.check().map_err(|source| ModelError::Quant { tensor: tensor.name.clone(), source })?;
        }
        let joined = |bytes: for<'b> fn(&'b Stored<'b>) -> &'b [u8]| -> Vec<u8> {
            if parts.len() > 1 { parts.iter().flat_map(bytes).copied().collect() } else { Vec::new() }
        };
        // Rows lie one behind the other in every part of the storage.
        let (data, scales, biases) = (joined(|p| p.data), joined(|p| p.scales), joined(|p| p.biases));
        let whole = match &parts[..] {
            [one] => *one,
            _ => Stored { rows, data: &data, scales: &scales, biases: &biases, ..parts[0] },
        };
        Ok(Packed::quantized(&whole).unwrap_or_else(|| {
            let mut floats = vec![0.0; rows * columns];
            quant::dequantize(&self.pool, &whole, &mut floats);
            let halves: Vec<u8> = floats.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
            Packed::dense(Code::F16, rows, columns, &halves)
        }))
    }

    /// Whether tensors with one input become one matrix.
    fn joins(&self, a: &WeightTensor, b: &WeightTensor) -> bool {
        // On the CPU dense ones stay where they lie in the file.
        a.is_quantized() && a.joins(b) || self.gpu.borrow().is_some() && a.is_dense_like(b)
    }

    /// A linear layer whose outputs are those of `modules` side by side: `(canonical name, rows)`.
    pub fn linear(
        &self,
        layer: Option<usize>,
        modules: &[(&str, usize)],
        columns: usize,
    ) -> Result<Arc<Linear>, ModelError> {
        let (mut tensors, mut bias, mut biased) = (Vec::new(), Vec::new(), false);
        for (canonical, rows) in modules {
            tensors.push(self.tensor(canonical, layer, *rows, columns)?);
            match self.weights.floats_if(canonical, layer, "bias", *rows)? {
                Some(values) => {
                    bias.extend(values);
                    biased = true;
                }
                None => bias.resize(bias.len() + rows, 0.0),
            }
        }
        let mut parts = Vec::new();
        // Neighbours of one quantized format become one matrix.
        for group in tensors.chunk_by(|a, b| self.joins(a, b)) {
            parts.push(self.matrix(group)?);
        }
        let (mut first, mut site) = (0, Vec::new());
        for (canonical, rows) in modules {
            site.extend(layer.map(|layer| SiteModule::in_order(canonical, layer, *rows, first)));
            first += rows;
        }
        Ok(self.linear_of(parts, biased.then_some(bias), site))
    }

    /// A linear layer of matrices side by side, in which the rows of `modules` are.
    pub fn linear_of(
        &self,
        parts: Vec<Arc<Matrix>>,
        bias: Option<Vec<f32>>,
        mut modules: Vec<SiteModule>,
    ) -> Arc<Linear> {
        let linear = Linear::new(parts, bias, self.precision);
        // The converter of GGUF files changes the order of heads in layers with a state.
        let reordered = |module: &&mut SiteModule| self.weights.is_gguf() && module.canonical.starts_with("delta.");
        modules.iter_mut().filter(reordered).for_each(|module| module.places.clear());
        let mut sites = self.sites.borrow_mut();
        let index = sites.len();
        sites.push(Site { columns: linear.columns(), modules });
        Arc::new(linear.with_site(AdapterSite { index, step: self.step.clone() }))
    }

    /// Index of a rope among the distinct ones of the model.
    pub fn rope(&mut self, rope: &RopeSpec) -> usize {
        let known = self.ropes.iter().position(|(spec, _)| spec == rope);
        known.unwrap_or_else(|| {
            self.ropes.push((rope.clone(), rope.frequencies()));
            self.ropes.len() - 1
        })
    }

    /// One projection of all experts from a stacked tensor `[experts, rows, columns]`, of it the rows `range` of each.
    pub fn experts(
        &self,
        tensor: &WeightTensor,
        experts: usize,
        range: Range<usize>,
    ) -> Result<ExpertMatrix, ModelError> {
        let per_expert = tensor.rows() / experts;
        let slices: Vec<_> =
            (0..experts).map(|e| tensor.slice_rows(e * per_expert + range.start, range.len())).collect();
        if range.len() == per_expert && !tensor.is_quantized() {
            return self.expert_matrix(std::slice::from_ref(tensor), experts);
        }
        self.expert_matrix(&slices, experts)
    }

    /// One projection of all experts from tensors in the order of the experts.
    pub fn expert_matrix(&self, tensors: &[WeightTensor], experts: usize) -> Result<ExpertMatrix, ModelError> {
        let matrix = self.expert_matrix_of(tensors, experts)?;
        let mut sizes = self.sizes.get();
        sizes.experts += matrix.bytes();
        sizes.quantized += if tensors[0].is_quantized() { matrix.bytes() } else { 0 };
        self.sizes.set(sizes);
        Ok(matrix)
    }

    fn expert_matrix_of(&self, tensors: &[WeightTensor], experts: usize) -> Result<ExpertMatrix, ModelError> {
        let first = tensors.first().expect("experts have tensors");
        if let Some(gpu) = &*self.gpu.borrow()
            && experts <= MOST_GPU_EXPERTS
        {
            return self.gpu_experts(gpu, tensors, experts);
        }
        if let Some(stored) = stored_all(tensors) {
            tensors.iter().for_each(|tensor| tensor.populate(&self.pool));
            let packed = PackedExperts::pack(&self.pool, &stored, experts);
            let packed = packed.map_err(|source| ModelError::Quant { tensor: first.name.clone(), source })?;
            tensors.iter().for_each(WeightTensor::release);
            return Ok(ExpertMatrix::Packed(packed));
        }
        let rows = tensors.iter().map(WeightTensor::rows).sum::<usize>() / experts;
        let (dtype, owner, start) = self.dense(tensors)?;
        Ok(ExpertMatrix::Dense { dtype, experts, rows, columns: first.columns(), owner, start })
    }

    /// The same on the GPU: every expert is laid out by itself.
    fn gpu_experts(&self, gpu: &Gpu, tensors: &[WeightTensor], experts: usize) -> Result<ExpertMatrix, ModelError> {
        let rows = tensors.iter().map(WeightTensor::rows).sum::<usize>() / experts;
        let mut whole: Option<Packed> = None;
        for expert in 0..experts {
            let (mut own, mut left, mut skip) = (Vec::new(), rows, expert * rows);
            for tensor in tensors {
                let start = skip.min(tensor.rows());
                let count = (tensor.rows() - start).min(left);
                (skip, left) = (skip - start, left - count);
                if count > 0 {
                    own.push(tensor.slice_rows(start, count));
                }
            }
            let packed = self.packed_for_gpu(&own)?;
            match &mut whole {
                None => whole = Some(packed),
                Some(whole) => {
                    whole.rows += packed.rows;
                    whole.parts.iter_mut().zip(&packed.parts).for_each(|(to, from)| to.extend_from_slice(from));
                }
            }
        }
        tensors.iter().for_each(WeightTensor::release);
        let whole = whole.expect("a mixture has experts");
        Ok(ExpertMatrix::OnGpu { matrix: GpuMatrix::new(gpu, whole), rows })
    }

    /// A projection of experts with its precision.
    pub fn expert_linear(&self, parts: Vec<ExpertMatrix>, bias: Option<Vec<f32>>) -> ExpertLinear {
        ExpertLinear { parts, bias, part_biases: OnceLock::new(), precision: self.precision }
    }

    fn dense(&self, tensors: &[WeightTensor]) -> Result<DenseMemory, ModelError> {
        let first = &tensors[0];
        let mut joined = Vec::new();
        for tensor in tensors {
            let Storage::Dense { dtype, data } = &tensor.storage else {
                return Err(self.weights.error(&tensor.name, "is quantized, its neighbours are not"));
            };
            let size = dense_type(*dtype).map_or(0, |t| t.size());
            if size == 0 || data.len() != tensor.rows() * tensor.columns() * size {
                let problem = format!("has {} bytes of {dtype} for the shape {:?}", data.len(), tensor.shape);
                return Err(self.weights.error(&tensor.name, problem));
            }
            if let [_] = tensors {
                let kernel_type = dense_type(*dtype).expect("checked above");
                return Ok((kernel_type, Arc::new(data.clone()), 0));
            }
            if let Storage::Dense { dtype: first_type, .. } = &first.storage
                && first_type != dtype
            {
                return Err(self.weights.error(&tensor.name, format!("is {dtype}, its neighbours {first_type}")));
            }
            joined.extend_from_slice(data.as_slice());
        }
        let Storage::Dense { dtype, .. } = &first.storage else { unreachable!("checked above") };
        Ok((dense_type(*dtype).expect("checked above"), Arc::new(joined), 0))
    }
}

type DenseMemory = (olivine_kernels::dense::DenseType, olivine_array::buffer::Owner, usize);

fn stored_all(tensors: &[WeightTensor]) -> Option<Vec<Stored<'_>>> {
    tensors.iter().map(WeightTensor::stored).collect()
}
