//! Mixture of experts: route each token to a few of many feed-forward blocks and add their outputs by weight.
//!
//! Tokens are grouped by expert, so that prefill is one product per expert and a weight is read once for all its
//! tokens. A token's result is the sum over its experts in the order of their rank: the batch does not change it.
//! Oracle: the same in plain ops, expert by expert. Read next: [`crate::fast::linear`].

use std::sync::{Arc, OnceLock};

use olivine_gpu::Memory;
use olivine_gpu::ops::matmul::{self as on_gpu, Input, Matmul};
use olivine_gpu::ops::moe as gpu_moe;
use olivine_kernels::activation::Gate;
use olivine_kernels::dense::{self, DenseExperts, DenseType, ExpertGroup};
use olivine_kernels::mix::{add_expert_biases, mix_rows};
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{self, PackedExperts};

use crate::array::Array;
use crate::buffer::Owner;
use crate::dtype::Dtype;
use crate::fast::gated::gpu_gate;
use crate::fast::linear::{GpuMatrix, Precision, with_activations};
use crate::fast::rows::{RowValues, Rows, Step};
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// The same projection of all experts: `[experts, rows, columns]`.
pub enum ExpertMatrix {
    /// Row-major elements inside memory that `owner` keeps alive.
    Dense {
        /// Element type.
        dtype: DenseType,
        /// How many experts.
        experts: usize,
        /// Outputs of each.
        rows: usize,
        /// Inputs of each.
        columns: usize,
        /// Keeps the memory alive.
        owner: Owner,
        /// First byte in the owner's memory.
        start: usize,
    },
    /// Quantized, in the kernels' own layout.
    Packed(PackedExperts),
    /// In any storage, on the GPU: each expert begins with a tile of its own.
    OnGpu {
        /// All experts.
        matrix: GpuMatrix,
        /// Outputs of each.
        rows: usize,
    },
}

impl ExpertMatrix {
    /// Outputs of one expert.
    pub fn rows(&self) -> usize {
        match self {
            ExpertMatrix::Dense { rows, .. } => *rows,
            ExpertMatrix::Packed(packed) => packed.rows(),
            ExpertMatrix::OnGpu { rows, .. } => *rows,
        }
    }

    /// Inputs of one expert.
    pub fn columns(&self) -> usize {
        match self {
            ExpertMatrix::Dense { columns, .. } => *columns,
            ExpertMatrix::Packed(packed) => packed.columns(),
            ExpertMatrix::OnGpu { matrix, .. } => matrix.matrix().columns,
        }
    }

    /// Bytes of the weights in memory.
    pub fn bytes(&self) -> usize {
        match self {
            ExpertMatrix::Dense { dtype, experts, rows, columns, .. } => experts * rows * columns * dtype.size(),
            ExpertMatrix::Packed(packed) => packed.bytes(),
            ExpertMatrix::OnGpu { matrix, .. } => matrix.bytes(),
        }
    }

    /// The dense view, if the weights are dense.
    pub fn dense(&self) -> Option<DenseExperts<'_>> {
        let ExpertMatrix::Dense { dtype, experts, rows, columns, owner, start } = self else { return None };
        let data = &(**owner).as_ref()[*start..start + self.bytes()];
        Some(DenseExperts { dtype: *dtype, experts: *experts, rows: *rows, columns: *columns, data })
    }
}

impl std::fmt::Debug for ExpertMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "experts of [{}, {}]", self.rows(), self.columns())
    }
}

/// Projections of all experts that share their input, and an optional bias `[experts, rows of all]`.
#[derive(Debug)]
pub struct ExpertLinear {
    /// The projections; their outputs lie side by side.
    pub parts: Vec<ExpertMatrix>,
    /// Added to an expert's outputs: `[experts, rows of all]`.
    pub bias: Option<Vec<f32>>,
    /// The bias of each part by itself, for the GPU.
    pub part_biases: OnceLock<Vec<Array>>,
    /// How exactly products are computed.
    pub precision: Precision,
}

impl ExpertLinear {
    fn rows(&self) -> usize {
        self.parts.iter().map(ExpertMatrix::rows).sum()
    }

    /// `out[o] = x[i] · weights[expert]ᵀ + bias[expert]` for every `(i, o)` of every group.
    fn apply(&self, pool: &Pool, x: &RowValues<'_>, groups: &[ExpertGroup<'_>], out: &mut [f32]) {
        let stride = self.rows();
        let (mut dense, mut packed, mut float, mut offset) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for part in &self.parts {
            match part {
                ExpertMatrix::Packed(matrix) if self.precision == Precision::Exact || matrix.needs_float() => {
                    float.push((matrix, offset));
                }
                ExpertMatrix::Packed(matrix) => packed.push((matrix, offset)),
                ExpertMatrix::Dense { .. } => dense.extend(part.dense().map(|matrix| (matrix, offset))),
                ExpertMatrix::OnGpu { .. } => panic!("[moe] a product with {part:?} on the CPU"),
            }
            offset += part.rows();
        }
        if !dense.is_empty() || !float.is_empty() {
            let made = x.floats(pool);
            let floats = made.as_ref().map_or(x.values, |made| made.slice());
            if !dense.is_empty() {
                dense::matmul_experts(pool, floats, &dense, groups, out, stride, self.precision.into());
            }
            if !float.is_empty() {
                qmatmul::matmul_experts_float(pool, floats, &float, groups, out, stride);
            }
        }
        if !packed.is_empty() {
            with_activations(|activations| {
                x.quantize(pool, activations);
                qmatmul::matmul_experts(pool, activations, &packed, groups, out, stride);
            });
        }
        if let Some(bias) = &self.bias {
            add_expert_biases(pool, groups, bias, out, stride);
        }
    }
}

impl ExpertLinear {
    fn is_on_gpu(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, ExpertMatrix::OnGpu { .. }))
    }

    /// The bias of each part, `[experts, rows of the part]`.
    fn part_biases(&self) -> &[Array] {
        if let Some(known) = self.part_biases.get() {
            return known;
        }
        let Some(bias) = &self.bias else { return &[] };
        self.part_biases.get_or_init(|| {
            let (all, mut first) = (self.rows(), 0);
            let mut take = |part: &ExpertMatrix| {
                let range = first..first + part.rows();
                first = range.end;
                let values: Vec<f32> = bias.chunks(all).flat_map(|row| &row[range.clone()]).copied().collect();
                Array::from_slice(&values, &[values.len()])
            };
            self.parts.iter().map(&mut take).collect()
        })
    }

    /// Record the products of `pairs` sorted rows. `out`: `[pairs, rows]`.
    fn record(
        &self,
        gpu: &Arc<Gpu>,
        x: (&Memory, usize),
        pairs: usize,
        input: Input<'_>,
        sorted: &on_gpu::Experts<'_>,
        out: &Memory,
    ) {
        let (mut first, stride) = (0, self.rows());
        for (index, part) in self.parts.iter().enumerate() {
            let ExpertMatrix::OnGpu { matrix, rows } = part else { unreachable!("all parts are on the GPU") };
            let bias = self.part_biases().get(index).map(|bias| bias.tensor().buffer().on_gpu(gpu));
            let experts = Some(on_gpu::Experts { features: *rows, ..*sorted });
            let options = Matmul { input, bias, residual: None, experts, out_stride: stride, out_first: first };
            gpu.record(|list| on_gpu::matmul(list, matrix.matrix(), x.0, x.1, pairs, &options, out));
            first += rows;
        }
    }
}

/// What turns router logits into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Softmax over all experts, then choose.
    Softmax,
    /// Choose by logit, then softmax over the chosen.
    SoftmaxOfChosen,
    /// Sigmoid of each logit.
    Sigmoid,
}

/// From router logits to experts and weights.
#[derive(Clone, Debug)]
pub struct Router {
    /// Experts a token goes to.
    pub active: usize,
    /// What turns logits into scores.
    pub scoring: Scoring,
    /// Added to the scores for the choice only: `[experts]`.
    pub correction: Option<Vec<f32>>,
    /// Divide the chosen weights by their sum.
    pub normalize: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Only experts of the best groups take part: (groups, best).
    pub groups: Option<(usize, usize)>,
}

impl Router {
    /// The experts of one token, best first, and their weights. `logits`: `[experts]`.
    pub fn choose(&self, logits: &[f32]) -> Vec<(usize, f32)> {
        let mut scores = logits.to_vec();
        match self.scoring {
            Scoring::Softmax => softmax(&mut scores),
            Scoring::SoftmaxOfChosen => {}
            Scoring::Sigmoid => scores.iter_mut().for_each(|s| *s = 1.0 / (1.0 + (-*s).exp())),
        }
        let mut ranks = scores.clone();
        if let Some(correction) = &self.correction {
            ranks.iter_mut().zip(correction).for_each(|(rank, c)| *rank += c);
        }
        if let Some((groups, best)) = self.groups {
            keep_best_groups(&mut ranks, groups, best);
        }
        let mut order: Vec<usize> = (0..ranks.len()).collect();
        // Ties go to the lower index, on every machine.
        let better = |&a: &usize, &b: &usize| ranks[b].total_cmp(&ranks[a]).then(a.cmp(&b));
        if self.active < order.len() {
            order.select_nth_unstable_by(self.active, better);
            order.truncate(self.active);
        }
        order.sort_unstable_by(better);
        let mut weights: Vec<f32> = order.iter().map(|&expert| scores[expert]).collect();
        if self.scoring == Scoring::SoftmaxOfChosen {
            softmax(&mut weights);
        }
        if self.normalize {
            let sum: f32 = weights.iter().sum::<f32>() + if self.scoring == Scoring::Sigmoid { 1e-20 } else { 0.0 };
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        order.into_iter().zip(weights.into_iter().map(|w| w * self.scale)).collect()
    }
}

/// Where all tokens go.
struct Routes {
    /// `(token, slot)` for each expert; a token's slots are `token * active` and following, best first.
    rows: Vec<Vec<(u32, u32)>>,
    /// The weight of each slot.
    weights: Vec<f32>,
}

impl Routes {
    /// `logits`: `[tokens, experts]`.
    fn choose(pool: &Pool, router: &Router, logits: &[f32], experts: usize) -> Routes {
        let (tokens, active) = (logits.len() / experts, router.active);
        let mut chosen = vec![(0usize, 0f32); tokens * active];
        let block = (TOKENS_OF_PART * active).max(1);
        pool.run_chunks(&mut chosen, block, |part, chosen| {
            let logits = logits[part * TOKENS_OF_PART * experts..].chunks_exact(experts);
            for (slots, logits) in chosen.chunks_exact_mut(active).zip(logits) {
                slots.copy_from_slice(&router.choose(logits));
            }
        });
        let mut rows: Vec<Vec<(u32, u32)>> = vec![Vec::new(); experts];
        for (slot, &(expert, _)) in chosen.iter().enumerate() {
            rows[expert].push(((slot / active) as u32, slot as u32));
        }
        Routes { rows, weights: chosen.into_iter().map(|(_, weight)| weight).collect() }
    }
}

/// Tokens whose experts a thread chooses at a time.
const TOKENS_OF_PART: usize = 16;

fn softmax(values: &mut [f32]) {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

/// Groups are ranked by the sum of their two best experts; the others leave the race.
fn keep_best_groups(ranks: &mut [f32], groups: usize, best: usize) {
    let size = ranks.len() / groups;
    let strength = |group: &[f32]| {
        let mut sorted = group.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted.iter().take(2).sum::<f32>()
    };
    let strengths: Vec<f32> = ranks.chunks(size).map(strength).collect();
    let mut order: Vec<usize> = (0..groups).collect();
    order.sort_by(|&a, &b| strengths[b].total_cmp(&strengths[a]).then(a.cmp(&b)));
    for &group in &order[best.min(groups)..] {
        ranks[group * size..(group + 1) * size].fill(f32::NEG_INFINITY);
    }
}

/// All experts of a layer.
#[derive(Debug)]
pub struct Experts {
    /// How tokens choose.
    pub router: Router,
    /// Gate and up projections.
    pub gate_up: ExpertLinear,
    /// Between up and down.
    pub gate: Gate,
    /// Down projection.
    pub down: ExpertLinear,
    /// The router's correction, for the GPU.
    pub correction: Option<Array>,
}

impl Experts {
    fn apply(&self, pool: &Pool, x: &RowValues<'_>, logits: &[f32], out: &mut [f32]) {
        let tokens = x.count();
        if tokens == 0 {
            return;
        }
        let active = self.router.active;
        let mut routes = Routes::choose(pool, &self.router, logits, logits.len() / tokens);
        let groups = used_experts(&routes.rows);
        let (double, hidden) = (self.gate_up.rows(), self.down.rows());
        let mut gate_up = Tensor::new(&[tokens * active, double], Dtype::F32);
        self.gate_up.apply(pool, x, &groups, gate_up.slice_mut());
        // From here on, a slot's row goes where it came from.
        routes.rows.iter_mut().flatten().for_each(|(row, slot)| *row = *slot);
        let groups = used_experts(&routes.rows);
        let gate = Step::Gate(self.gate);
        let inner = RowValues { values: gate_up.slice(), weight: None, step: gate, columns: double / 2 };
        let mut down = Tensor::new(&[tokens * active, hidden], Dtype::F32);
        self.down.apply(pool, &inner, &groups, down.slice_mut());
        mix_rows(pool, down.slice(), &routes.weights, active, out);
    }
}

/// The experts that have rows.
fn used_experts(rows: &[Vec<(u32, u32)>]) -> Vec<ExpertGroup<'_>> {
    let used = rows.iter().enumerate().filter(|(_, rows)| !rows.is_empty());
    used.map(|(expert, rows)| ExpertGroup { expert, rows }).collect()
}

/// Experts' sum, added to `residual` where there is one: `x` `[tokens, hidden]`, or rows that are still to be normed,
/// `logits` `[tokens, experts]` of f32 → `[tokens, hidden]`.
#[track_caller]
pub fn moe(x: impl Into<Rows>, logits: &Array, experts: &Arc<Experts>, residual: Option<&Array>) -> Array {
    let x = x.into();
    assert!(!matches!(x.step, Step::Gate(_)), "[moe] rows that are still to be gated");
    let op = MoeOp { experts: experts.clone(), step: x.step, has_residual: residual.is_some() };
    let inputs: Vec<&Array> = [&x.source, logits].into_iter().chain(residual).chain(&x.weight).collect();
    Array::apply(op, &inputs)
}

#[derive(Debug)]
struct MoeOp {
    experts: Arc<Experts>,
    step: Step,
    has_residual: bool,
}

impl MoeOp {
    /// The residual and the norm's weight among the inputs.
    fn others<'a>(&self, inputs: &'a [Tensor]) -> (Option<&'a Tensor>, Option<&'a Tensor>) {
        let (residual, rest) = inputs[2..].split_at(usize::from(self.has_residual));
        (residual.first(), rest.first())
    }
}

impl Primitive for MoeOp {
    fn name(&self) -> &'static str {
        "moe"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (x, logits) = (inputs[0].shape(), inputs[1].shape());
        assert!(x.len() == 2 && logits.len() == 2 && x[0] == logits[0], "[moe] x {x:?} with logits {logits:?}");
        let shape = [x[0], self.experts.down.rows()];
        if self.has_residual {
            assert_eq!(inputs[2].shape(), shape, "[moe] a residual for {shape:?}");
        }
        one(&shape, Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (x, logits) = (inputs[0].contiguous(), inputs[1].contiguous());
        let (residual, weight) = self.others(inputs);
        let weight = weight.map(Tensor::contiguous);
        let weight = weight.as_ref().map(|weight| weight.slice());
        let rows = RowValues { values: x.slice(), weight, step: self.step, columns: x.shape()[1] };
        let out: &mut [f32] = outputs[0].slice_mut();
        self.experts.apply(context.pool(), &rows, logits.slice(), out);
        if let Some(residual) = residual {
            let residual = residual.contiguous();
            out.iter_mut().zip(residual.slice::<f32>()).for_each(|(out, residual)| *out += residual);
        }
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let experts = &*self.experts;
        if !experts.gate_up.is_on_gpu() || !experts.down.is_on_gpu() {
            return false;
        }
        let [x, logits] = [&inputs[0], &inputs[1]].map(|input| input.on_gpu_dense(gpu));
        let (Some(x), Some(logits)) = (x, logits) else { return false };
        let (residual, weight) = self.others(inputs);
        let [residual, weight] = [residual, weight].map(|input| input.map(|input| input.on_gpu_dense(gpu)));
        if [&residual, &weight].into_iter().any(|input| matches!(input, Some(None))) {
            return false;
        }
        let (residual, weight) = (residual.flatten(), weight.flatten());
        let input = match (&weight, self.step) {
            (Some(weight), Step::Norm(epsilon)) => Input::Norm { weight, epsilon },
            _ => Input::Plain,
        };
        let (tokens, hidden, count) = (inputs[0].shape()[0], inputs[0].shape()[1], inputs[1].shape()[1]);
        let router = &experts.router;
        let correction = experts.correction.as_ref().map(|values| values.tensor().buffer().on_gpu(gpu));
        let on_gpu_router = gpu_moe::Router {
            experts: count,
            active: router.active,
            scoring: match router.scoring {
                Scoring::Softmax => gpu_moe::Scoring::Softmax,
                Scoring::SoftmaxOfChosen => gpu_moe::Scoring::SoftmaxOfChosen,
                Scoring::Sigmoid => gpu_moe::Scoring::Sigmoid,
            },
            correction,
            normalize: router.normalize,
            scale: router.scale,
            groups: router.groups,
        };
        let pairs = tokens * router.active;
        let tile_rows = gpu_moe::tile_rows(pairs, count);
        let max_tiles = gpu_moe::max_tiles(pairs, count, tile_rows);
        let (double, width) = (experts.gate_up.rows(), experts.down.rows());
        let words = [pairs, pairs, pairs, 4 * max_tiles, pairs * double, pairs * width];
        let [chosen, weights, sorted, tiles, gate_up, down] = gpu.scratch(words.map(|count| 4 * count));
        gpu.record(|list| {
            gpu_moe::route(list, &on_gpu_router, &logits, tokens, &chosen, &weights);
            gpu_moe::sort(list, &chosen, pairs, count, tile_rows, &sorted, &tiles);
        });
        let shared = on_gpu::Experts {
            tiles: &tiles,
            pairs: &sorted,
            max_tiles,
            tile_rows,
            choices: router.active,
            features: 0,
        };
        let gate = gpu_gate(experts.gate).unwrap_or_else(|| panic!("[moe] no {:?} on the GPU", experts.gate));
        experts.gate_up.record(gpu, (&x, hidden), pairs, input, &shared, &gate_up);
        let alone = on_gpu::Experts { choices: 1, ..shared };
        experts.down.record(gpu, (&gate_up, double), pairs, Input::Gated(gate), &alone, &down);
        let out = outputs[0].on_gpu_fresh(gpu);
        gpu.record(|list| gpu_moe::mix(list, &down, &weights, [tokens, router.active, width], residual.as_ref(), &out));
        true
    }
}
