//! From checkpoint tensors to layers: dense weights stay in the mapped file, quantized ones are packed once, as they are
//! used.
//!
//! All normalising happens here and in the blocks' own `load`: names, merged and split projections, norm offsets.
//! Read next: `nn/attention.rs`, then `decoder.rs`.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use half::f16;
use olivine_array::fast::cards::of_cards;
use olivine_array::fast::linear::{GpuMatrix, Linear, Matrix, Precision};
use olivine_array::fast::lora::AdapterSite;
use olivine_array::fast::moe::{ExpertLinear, ExpertMatrix};
use olivine_array::fast::step::StepSlot;
use olivine_array::gpu::laying::{FileMatrix, Staging};
use olivine_array::gpu::weights::Code;
use olivine_array::{Array, Gpu};
use olivine_kernels::dense::DenseType;
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{PackedExperts, PackedMatrix, Rest, Source};
use olivine_kernels::quant::{self, Stored};
use olivine_kernels::rope::Frequencies;

use crate::ModelError;
use crate::adapter::{Site, SiteModule};
use crate::cache::Cache;
use crate::spec::{ModelSpec, RopeSpec};
use crate::split::{Split, rows_of};
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
    /// What is packed when it is used.
    pub rest: RefCell<Vec<Rest>>,
    /// Linear layers that adapters may correct, by their numbers.
    pub sites: RefCell<Vec<Site>>,
    /// How many cards the matrices are split among.
    pub cards: usize,
    /// Where matrices are laid out on their way to a GPU.
    pub staging: RefCell<Staging>,
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
        self.split_matrix(tensors, &vec![Split::Whole; tensors.len()])
    }

    /// The same, of which each card has its share of each tensor.
    pub fn split_matrix(&self, tensors: &[WeightTensor], splits: &[Split]) -> Result<Arc<Matrix>, ModelError> {
        let count = splits.iter().map(Split::count).max().unwrap_or(1);
        let share = |card: usize| {
            let mut own = Vec::new();
            for (tensor, split) in tensors.iter().zip(splits) {
                let part = split.share(std::slice::from_ref(tensor), card);
                own.extend(part.map_err(|problem| self.indivisible(tensor, &problem))?);
            }
            Ok(own)
        };
        let shares: Result<Vec<Vec<WeightTensor>>, ModelError> = (0..count).map(share).collect();
        let shares = shares?;
        let matrix = self.matrix_of(&shares)?;
        if matches!(matrix, Matrix::OnGpu(_)) {
            shares.iter().flatten().chain(tensors.iter().filter(|_| count > 1)).for_each(WeightTensor::release);
        }
        let mut sizes = self.sizes.get();
        sizes.matrices += matrix.bytes();
        sizes.quantized += if tensors[0].is_quantized() { matrix.bytes() } else { 0 };
        self.sizes.set(sizes);
        Ok(Arc::new(matrix))
    }

    fn indivisible(&self, tensor: &WeightTensor, problem: &str) -> ModelError {
        self.weights.error(&tensor.name, format!("cannot be split among {} devices: {problem}", self.cards))
    }

    /// From the tensors of all cards, or of each.
    fn matrix_of(&self, shares: &[Vec<WeightTensor>]) -> Result<Matrix, ModelError> {
        let tensors = &shares[0];
        let first = tensors.first().expect("a matrix has at least one tensor");
        shares.iter().flatten().for_each(|tensor| tensor.populate(&self.pool));
        if let Some(gpu) = &*self.gpu.borrow() {
            let shares: Result<Vec<FileMatrix>, ModelError> =
                shares.iter().map(|tensors| self.for_gpu(tensors)).collect();
            return Ok(Matrix::OnGpu(GpuMatrix::new(gpu, &shares?, &mut self.staging.borrow_mut())));
        }
        if let Some(sources) = sources_of(tensors) {
            let packed = PackedMatrix::pack_in_use(sources);
            let packed = packed.map_err(|source| ModelError::Quant { tensor: first.name.clone(), source })?;
            self.rest.borrow_mut().push(packed.rest());
            return Ok(Matrix::Packed(packed));
        }
        let (rows, columns) = (tensors.iter().map(WeightTensor::rows).sum(), first.columns());
        let (dtype, owner, start) = self.dense(tensors)?;
        Ok(Matrix::Dense { dtype, rows, columns, owner, start })
    }

    /// The rows of `tensors`, as a GPU takes them. Formats that its kernels do not know are decoded to half floats.
    fn for_gpu<'t>(&self, tensors: &'t [WeightTensor]) -> Result<FileMatrix<'t>, ModelError> {
        let each: Result<Vec<FileMatrix>, ModelError> =
            tensors.iter().map(|tensor| self.tensor_for_gpu(tensor)).collect();
        FileMatrix::stack(each?).ok_or_else(|| self.unlike(&tensors[0]))
    }

    fn tensor_for_gpu<'t>(&self, tensor: &'t WeightTensor) -> Result<FileMatrix<'t>, ModelError> {
        let (rows, columns) = (tensor.rows(), tensor.columns());
        let Some(stored) = tensor.stored() else {
            let (dtype, bytes) = self.dense_bytes(tensor)?;
            let code = match dtype {
                DenseType::F32 => Code::F32,
                DenseType::F16 => Code::F16,
                DenseType::Bf16 => Code::Bf16,
            };
            return Ok(FileMatrix::dense(code, rows, columns, bytes));
        };
        stored.check().map_err(|source| ModelError::Quant { tensor: tensor.name.clone(), source })?;
        Ok(FileMatrix::quantized(&stored).unwrap_or_else(|| {
            let mut floats = vec![0.0; rows * columns];
            quant::dequantize(&self.pool, &stored, &mut floats);
            let halves: Vec<u8> = floats.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
            FileMatrix::dense(Code::F16, rows, columns, halves)
        }))
    }

    fn unlike(&self, tensor: &WeightTensor) -> ModelError {
        let problem = "and its neighbours are not stored alike, which no GPU can have: use --device cpu";
        self.weights.error(&tensor.name, problem)
    }

    /// Whether tensors with one input become one matrix.
    pub fn joins(&self, a: &WeightTensor, b: &WeightTensor) -> bool {
        // On the CPU dense ones stay where they lie in the file.
        let on_gpu = self.gpu.borrow().is_some();
        a.joins(b, on_gpu) || on_gpu && a.is_dense_like(b)
    }

    /// A linear layer whose outputs are those of `modules` side by side: `(canonical name, rows)`.
    pub fn linear(
        &self,
        layer: Option<usize>,
        modules: &[(&str, usize)],
        columns: usize,
    ) -> Result<Arc<Linear>, ModelError> {
        self.split_linear(layer, modules, columns, &vec![Split::Whole; modules.len()])
    }

    /// The same, of which each card has its share of each module.
    pub fn split_linear(
        &self,
        layer: Option<usize>,
        modules: &[(&str, usize)],
        columns: usize,
        splits: &[Split],
    ) -> Result<Arc<Linear>, ModelError> {
        let (mut tensors, mut biased) = (Vec::new(), false);
        let mut bias = vec![Vec::new(); splits.iter().map(Split::count).max().unwrap_or(1)];
        for ((canonical, rows), split) in modules.iter().zip(splits) {
            tensors.push(self.tensor(canonical, layer, *rows, columns)?);
            let values = self.weights.floats_if(canonical, layer, "bias", *rows)?;
            biased |= values.is_some();
            let values = values.unwrap_or_else(|| vec![0.0; *rows]);
            bias.iter_mut().enumerate().for_each(|(card, own)| own.extend(split.values(&values, card)));
        }
        let (mut parts, mut rest) = (Vec::new(), splits);
        // Neighbours of one quantized format become one matrix.
        for group in tensors.chunk_by(|a, b| self.joins(a, b)) {
            let (own, others) = rest.split_at(group.len());
            parts.push(self.split_matrix(group, own)?);
            rest = others;
        }
        let (mut first, mut site) = (0, Vec::new());
        for (canonical, rows) in modules {
            site.extend(layer.map(|layer| SiteModule::in_order(canonical, layer, *rows, first)));
            first += rows;
        }
        Ok(self.linear_of(parts, biased.then_some(bias), site))
    }

    /// A linear layer of matrices side by side, with a bias for all cards or for each, in which the rows of `modules` are.
    pub fn linear_of(
        &self,
        parts: Vec<Arc<Matrix>>,
        bias: Option<Vec<Vec<f32>>>,
        mut modules: Vec<SiteModule>,
    ) -> Arc<Linear> {
        let linear = Linear::new(parts, bias.map(|shares| of_cards(&shares)), self.precision);
        if self.cards > 1 {
            return Arc::new(linear);
        }
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

    /// One projection of all experts from a stacked tensor `[experts, rows, columns]` or a tensor for each; each card has
    /// its share of each.
    pub fn experts(&self, tensors: &[WeightTensor], experts: usize, split: &Split) -> Result<ExpertMatrix, ModelError> {
        match tensors {
            [stacked] if stacked.is_quantized() => {
                let rows = stacked.rows() / experts;
                let slices: Vec<_> = (0..experts).map(|expert| stacked.slice_rows(expert * rows, rows)).collect();
                self.expert_matrix(&slices, experts, split)
            }
            _ => self.expert_matrix(tensors, experts, split),
        }
    }

    /// Whether so many experts go to the GPU.
    pub fn has_experts_on_gpu(&self, experts: usize) -> bool {
        self.gpu.borrow().is_some() && (experts <= MOST_GPU_EXPERTS || self.cards > 1)
    }

    /// One projection of all experts from tensors in the order of the experts; each card has its share of each expert.
    pub fn expert_matrix(
        &self,
        tensors: &[WeightTensor],
        experts: usize,
        split: &Split,
    ) -> Result<ExpertMatrix, ModelError> {
        let matrix = self.expert_matrix_of(tensors, experts, split)?;
        let mut sizes = self.sizes.get();
        sizes.experts += matrix.bytes();
        sizes.quantized += if tensors[0].is_quantized() { matrix.bytes() } else { 0 };
        self.sizes.set(sizes);
        Ok(matrix)
    }

    fn expert_matrix_of(
        &self,
        tensors: &[WeightTensor],
        experts: usize,
        split: &Split,
    ) -> Result<ExpertMatrix, ModelError> {
        let first = tensors.first().expect("experts have tensors");
        if let Some(gpu) = &*self.gpu.borrow()
            && self.has_experts_on_gpu(experts)
        {
            return self.gpu_experts(gpu, tensors, experts, split);
        }
        if let Some(sources) = sources_of(tensors) {
            tensors.iter().for_each(|tensor| tensor.populate(&self.pool));
            let packed = PackedExperts::pack_in_use(sources, experts);
            let packed = packed.map_err(|source| ModelError::Quant { tensor: first.name.clone(), source })?;
            self.rest.borrow_mut().push(packed.rest());
            return Ok(ExpertMatrix::Packed(packed));
        }
        let rows = tensors.iter().map(WeightTensor::rows).sum::<usize>() / experts;
        let (dtype, owner, start) = self.dense(tensors)?;
        Ok(ExpertMatrix::Dense { dtype, experts, rows, columns: first.columns(), owner, start })
    }

    /// The same on the GPU: every expert is laid out by itself.
    fn gpu_experts(
        &self,
        gpu: &Gpu,
        tensors: &[WeightTensor],
        experts: usize,
        split: &Split,
    ) -> Result<ExpertMatrix, ModelError> {
        tensors.iter().for_each(|tensor| tensor.populate(&self.pool));
        let all_rows = tensors.iter().map(WeightTensor::rows).sum::<usize>() / experts;
        let of_experts: Vec<Vec<WeightTensor>> =
            (0..experts).map(|expert| rows_of(tensors, expert * all_rows..(expert + 1) * all_rows)).collect();
        let share = |card: usize| -> Result<Vec<Vec<WeightTensor>>, ModelError> {
            let of_expert =
                |own: &Vec<WeightTensor>| split.share(own, card).map_err(|problem| self.indivisible(&own[0], &problem));
            of_experts.iter().map(of_expert).collect()
        };
        let owners: Vec<Vec<Vec<WeightTensor>>> = (0..split.count()).map(share).collect::<Result<_, _>>()?;
        let mut shares = Vec::new();
        for own in &owners {
            let each: Result<Vec<FileMatrix>, ModelError> = own.iter().map(|tensors| self.for_gpu(tensors)).collect();
            shares.push(FileMatrix::of_experts(each?).ok_or_else(|| self.unlike(&tensors[0]))?);
        }
        let rows = shares[0].rows / experts;
        let matrix = GpuMatrix::new(gpu, &shares, &mut self.staging.borrow_mut());
        tensors.iter().for_each(WeightTensor::release);
        Ok(ExpertMatrix::OnGpu { matrix, rows })
    }

    /// A projection of experts with its precision. The bias is `[experts, rows of all parts]`; `split` is that of each part.
    pub fn expert_linear(&self, parts: Vec<ExpertMatrix>, bias: Option<Vec<f32>>, splits: &[Split]) -> ExpertLinear {
        let (precision, part_biases) = (self.precision, OnceLock::new());
        if self.cards == 1 {
            return ExpertLinear { parts, bias, part_biases, precision };
        }
        let of_part = |(part, split): (usize, &Split)| {
            let all = bias.iter().flatten().copied().collect::<Vec<f32>>();
            let rows = |part: usize| match &splits[part] {
                Split::Rows(_) => parts[part].rows() * self.cards,
                Split::Whole | Split::Columns(_) => parts[part].rows(),
            };
            let (first, stride): (usize, usize) = ((0..part).map(rows).sum(), (0..parts.len()).map(rows).sum());
            let of_card = |card: usize| {
                let of_expert = |row: &[f32]| split.values(&row[first..first + rows(part)], card);
                all.chunks_exact(stride).flat_map(of_expert).collect()
            };
            of_cards(&(0..self.cards).map(of_card).collect::<Vec<Vec<f32>>>())
        };
        if bias.is_some() {
            let _ = part_biases.set(splits.iter().enumerate().map(of_part).collect());
        }
        ExpertLinear { parts, bias: None, part_biases, precision }
    }

    /// The type and the bytes of a tensor that is not quantized.
    fn dense_bytes<'t>(&self, tensor: &'t WeightTensor) -> Result<(DenseType, &'t [u8]), ModelError> {
        let Storage::Dense { dtype, data } = &tensor.storage else {
            return Err(self.weights.error(&tensor.name, "is quantized, its neighbours are not"));
        };
        match dense_type(*dtype) {
            Some(known) if data.len() == tensor.rows() * tensor.columns() * known.size() => {
                Ok((known, data.as_slice()))
            }
            _ => {
                let problem = format!("has {} bytes of {dtype} for the shape {:?}", data.len(), tensor.shape);
                Err(self.weights.error(&tensor.name, problem))
            }
        }
    }

    fn dense(&self, tensors: &[WeightTensor]) -> Result<DenseMemory, ModelError> {
        let (first, _) = self.dense_bytes(&tensors[0])?;
        if let [tensor] = tensors
            && let Storage::Dense { data, .. } = &tensor.storage
        {
            return Ok((first, Arc::new(data.clone()), 0));
        }
        let mut joined = Vec::new();
        for tensor in tensors {
            let (dtype, bytes) = self.dense_bytes(tensor)?;
            if dtype != first {
                return Err(self.weights.error(&tensor.name, format!("is {dtype:?}, its neighbours {first:?}")));
            }
            joined.extend_from_slice(bytes);
        }
        Ok((first, Arc::new(joined), 0))
    }
}

type DenseMemory = (olivine_kernels::dense::DenseType, olivine_array::buffer::Owner, usize);

/// A tensor whose pages go back to the system as it is packed.
struct Unpacked(WeightTensor);

impl Source for Unpacked {
    fn stored(&self) -> Stored<'_> {
        self.0.stored().expect("a quantized tensor")
    }

    fn release(&self, rows: Range<usize>) {
        self.0.slice_rows(rows.start, rows.len()).release();
    }
}

/// None where any is not quantized.
fn sources_of(tensors: &[WeightTensor]) -> Option<Vec<Box<dyn Source>>> {
    let source = |tensor: &WeightTensor| Box::new(Unpacked(tensor.clone())) as Box<dyn Source>;
    tensors.iter().all(WeightTensor::is_quantized).then(|| tensors.iter().map(source).collect())
}
