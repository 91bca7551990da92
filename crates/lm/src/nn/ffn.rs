//! Feed-forward blocks: dense, and mixtures of experts.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::cards::sum_of_cards;
use olivine_array::fast::linear::{Linear, linear};
use olivine_array::fast::moe::{ExpertMatrix, Experts, Router, Scoring as KernelScoring, moe};
use olivine_array::fast::rows::Rows;

use olivine_kernels::activation::{Activation as KernelActivation, Gate};

use crate::ModelError;
use crate::load::Loader;
use crate::spec::{Activation, Ffn, MoeSpec, Scoring};
use crate::split::{Split, rows_of};
use crate::weights::WeightTensor;

/// One layer's feed-forward block.
#[derive(Debug)]
pub enum FfnBlock {
    /// Dense.
    Dense(DenseBlock),
    /// Experts.
    Moe(MoeBlock),
}

/// `down(gate(x) * up(x))`.
#[derive(Debug)]
pub struct DenseBlock {
    gate_up: Arc<Linear>,
    gate: Gate,
    down: Arc<Linear>,
    cards: usize,
}

/// Routed experts, and one that every token goes to.
#[derive(Debug)]
pub struct MoeBlock {
    router: Arc<Linear>,
    experts: Arc<Experts>,
    shared: Option<(DenseBlock, Option<Arc<Linear>>)>,
    cards: usize,
}

impl FfnBlock {
    /// Load layer `layer`.
    pub fn load(loader: &Loader<'_>, layer: usize, spec: &Ffn) -> Result<FfnBlock, ModelError> {
        match spec {
            Ffn::Dense { width, activation } => {
                let names = ["ffn.gate", "ffn.up", "ffn.gate_up", "ffn.down"];
                Ok(FfnBlock::Dense(DenseBlock::load(loader, layer, names, *width, *activation)?))
            }
            Ffn::Moe(spec) => Ok(FfnBlock::Moe(MoeBlock::load(loader, layer, spec)?)),
        }
    }

    /// `x`: `[tokens, hidden]` → `[tokens, hidden]`, added to `residual` where there is one.
    pub fn forward(&self, x: &Rows, residual: Option<&Array>) -> Array {
        match self {
            FfnBlock::Dense(block) => added(sum_of_cards(&block.forward(x), block.cards), residual),
            FfnBlock::Moe(block) => block.forward(x, residual),
        }
    }
}

impl DenseBlock {
    fn load(
        loader: &Loader<'_>,
        layer: usize,
        [gate, up, gate_up, down]: [&str; 4],
        width: usize,
        activation: Activation,
    ) -> Result<DenseBlock, ModelError> {
        let hidden = loader.spec.hidden;
        let apart = loader.weights.find(gate, Some(layer), None, "weight")?.is_some();
        let (modules, runs): (&[_], &[&[usize]]) = match apart {
            true => (&[(gate, width), (up, width)], &[&[width], &[width]]),
            false => (&[(gate_up, 2 * width)], &[&[width, width]]),
        };
        let cards = loader.cards;
        let splits: Vec<Split> = runs.iter().map(|runs| Split::rows(cards, runs)).collect();
        Ok(DenseBlock {
            gate_up: loader.split_linear(Some(layer), modules, hidden, &splits)?,
            gate: gate_of(activation),
            down: loader.split_linear(Some(layer), &[(down, hidden)], width, &[Split::columns(cards, width)])?,
            cards,
        })
    }

    /// A card's part of the sum.
    fn forward(&self, x: &Rows) -> Array {
        let gate_up = linear(x, &self.gate_up); // [tokens, 2 * width]
        linear(Rows::gated(&gate_up, self.gate), &self.down)
    }
}

impl MoeBlock {
    fn load(loader: &Loader<'_>, layer: usize, spec: &MoeSpec) -> Result<MoeBlock, ModelError> {
        let hidden = loader.spec.hidden;
        let correction = match spec.router.correction {
            true => correction(loader, layer, spec.experts)?,
            false => None,
        };
        let router = Router {
            active: spec.active,
            scoring: match spec.router.scoring {
                Scoring::Softmax => KernelScoring::Softmax,
                Scoring::SoftmaxOfChosen => KernelScoring::SoftmaxOfChosen,
                Scoring::Sigmoid => KernelScoring::Sigmoid,
            },
            correction,
            normalize: spec.router.normalize,
            scale: spec.router.scale,
            groups: spec.router.groups,
        };
        let shared = match &spec.shared {
            None => None,
            Some(shared) => {
                let names = ["moe.shared_gate", "moe.shared_up", "moe.shared_gate_up", "moe.shared_down"];
                let block = DenseBlock::load(loader, layer, names, shared.width, spec.activation)?;
                let scale = match shared.gated {
                    true => Some(loader.linear(Some(layer), &[("moe.shared_scale", 1)], hidden)?),
                    false => None,
                };
                Some((block, scale))
            }
        };
        let (gate_up, gate_up_bias) = load_gate_up(loader, layer, spec)?;
        let (down, down_bias) = load_down(loader, layer, spec)?;
        let by_rows = match gate_up.len() {
            1 => vec![Split::rows(loader.cards, &[spec.width, spec.width])],
            _ => vec![Split::rows(loader.cards, &[spec.width]); 2],
        };
        let by_columns = [Split::columns(loader.cards, spec.width)];
        Ok(MoeBlock {
            router: loader.linear(Some(layer), &[("moe.router", spec.experts)], hidden)?,
            experts: Arc::new(Experts {
                correction: router.correction.as_ref().map(|values| Array::from_slice(values, &[values.len()])),
                router,
                gate_up: loader.expert_linear(gate_up, gate_up_bias, &by_rows),
                gate: gate_of(spec.activation),
                down: loader.expert_linear(vec![down], down_bias, &by_columns),
            }),
            shared,
            cards: loader.cards,
        })
    }

    fn forward(&self, x: &Rows, residual: Option<&Array>) -> Array {
        let logits = linear(x, &self.router); // [tokens, experts]
        let Some((block, scale)) = &self.shared else {
            // Each card has a part of the sum.
            return match self.cards {
                1 => moe(x, &logits, &self.experts, residual),
                cards => added(sum_of_cards(&moe(x, &logits, &self.experts, None), cards), residual),
            };
        };
        let mut shared = block.forward(x);
        if let Some(scale) = scale {
            shared = shared.multiply(linear(x, scale).sigmoid());
        }
        added(sum_of_cards(&moe(x, &logits, &self.experts, None).add(&shared), self.cards), residual)
    }
}

fn added(h: Array, residual: Option<&Array>) -> Array {
    residual.map_or(h.clone(), |residual| residual.add(&h))
}

pub(crate) fn gate_of(activation: Activation) -> Gate {
    match activation {
        Activation::Silu => Gate::Product(KernelActivation::Silu),
        Activation::Gelu => Gate::Product(KernelActivation::Gelu),
        Activation::GeluTanh => Gate::Product(KernelActivation::GeluTanh),
        Activation::ClampedSwiglu { limit } => Gate::Clamped { alpha: 1.702, limit },
    }
}

/// Stored as a tensor of its own in Hugging Face checkpoints, as a bias in GGUF.
fn correction(loader: &Loader<'_>, layer: usize, experts: usize) -> Result<Option<Vec<f32>>, ModelError> {
    let bias = loader.weights.floats_if("moe.correction", Some(layer), "bias", experts)?;
    if bias.is_some() { Ok(bias) } else { loader.weights.floats_if("moe.correction", Some(layer), "weight", experts) }
}

/// Gate and up projections, gates first, and their biases `[experts, 2 * width]`.
fn load_gate_up(
    loader: &Loader<'_>,
    layer: usize,
    spec: &MoeSpec,
) -> Result<(Vec<ExpertMatrix>, Option<Vec<f32>>), ModelError> {
    let (experts, width, hidden) = (spec.experts, spec.width, loader.spec.hidden);
    if let Some(fused) = loader.weights.find("moe.stacked_gate_up", Some(layer), None, "weight")? {
        return load_fused(loader, layer, spec, &fused);
    }
    let gate = tensors_of(loader, layer, ["moe.stacked_gate", "moe.gate"], experts, [width, hidden])?;
    let up = tensors_of(loader, layer, ["moe.stacked_up", "moe.up"], experts, [width, hidden])?;
    let parts = gates_and_ups(loader, experts, width, &gate, &up)?;
    let bias = match spec.expert_biases {
        false => None,
        true => {
            let gate = loader.weights.floats("moe.stacked_gate", Some(layer), "bias", &[experts, width])?;
            let up = loader.weights.floats("moe.stacked_up", Some(layer), "bias", &[experts, width])?;
            let rows = gate.chunks_exact(width).zip(up.chunks_exact(width));
            Some(rows.flat_map(|(g, u)| [g, u].concat()).collect())
        }
    };
    Ok((parts, bias))
}

/// One tensor with both projections: `[experts, 2 * width, hidden]`, gates first; or row by row in turn, where dense
/// experts are stored inputs first.
fn load_fused(
    loader: &Loader<'_>,
    layer: usize,
    spec: &MoeSpec,
    fused: &WeightTensor,
) -> Result<(Vec<ExpertMatrix>, Option<Vec<f32>>), ModelError> {
    let (experts, width, hidden) = (spec.experts, spec.width, loader.spec.hidden);
    let in_turn = matches!(spec.activation, Activation::ClampedSwiglu { .. });
    let fused = &if in_turn && !fused.is_quantized() {
        loader.weights.check(fused, &[experts, hidden, 2 * width])?;
        fused.transposed().map_err(|problem| loader.weights.error(&fused.name, problem))?
    } else {
        loader.weights.check(fused, &[experts, 2 * width, hidden])?;
        fused.clone()
    };
    if !in_turn {
        let split = Split::rows(loader.cards, &[width, width]);
        return Ok((vec![loader.experts(std::slice::from_ref(fused), experts, &split)?], None));
    }
    let rows =
        |offset: usize| (0..experts * width).map(|row| fused.slice_rows(2 * row + offset, 1)).collect::<Vec<_>>();
    let parts = gates_and_ups(loader, experts, width, &rows(0), &rows(1))?;
    let bias = match spec.expert_biases {
        false => None,
        true => {
            let both = loader.weights.floats("moe.stacked_gate_up", Some(layer), "bias", &[experts, 2 * width])?;
            let turn =
                |row: &[f32]| [0, 1].map(|o| row.iter().skip(o).step_by(2).copied().collect::<Vec<_>>()).concat();
            Some(both.chunks_exact(2 * width).flat_map(turn).collect())
        }
    };
    Ok((parts, bias))
}

fn load_down(
    loader: &Loader<'_>,
    layer: usize,
    spec: &MoeSpec,
) -> Result<(ExpertMatrix, Option<Vec<f32>>), ModelError> {
    let (experts, width, hidden) = (spec.experts, spec.width, loader.spec.hidden);
    let fused = loader.weights.find("moe.fused_down", Some(layer), None, "weight")?;
    let name = if fused.is_some() { "moe.fused_down" } else { "moe.stacked_down" };
    let down = match fused {
        Some(mut fused) => {
            // Beside projections that take turns, dense experts are stored inputs first.
            if matches!(spec.activation, Activation::ClampedSwiglu { .. }) && !fused.is_quantized() {
                loader.weights.check(&fused, &[experts, width, hidden])?;
                fused = fused.transposed().map_err(|problem| loader.weights.error(&fused.name, problem))?;
            }
            loader.weights.check(&fused, &[experts, hidden, width])?;
            loader.experts(&[fused], experts, &Split::columns(loader.cards, width))?
        }
        None => {
            let split = Split::columns(loader.cards, width);
            let tensors = tensors_of(loader, layer, ["moe.stacked_down", "moe.down"], experts, [hidden, width])?;
            loader.experts(&tensors, experts, &split)?
        }
    };
    let bias = match spec.expert_biases {
        false => None,
        true => Some(loader.weights.floats(name, Some(layer), "bias", &[experts, hidden])?),
    };
    Ok((down, bias))
}

/// Gates and ups of all experts, whose rows lie one below the other in each: on a GPU one projection where their storage
/// allows it, else two.
fn gates_and_ups(
    loader: &Loader<'_>,
    experts: usize,
    width: usize,
    gates: &[WeightTensor],
    ups: &[WeightTensor],
) -> Result<Vec<ExpertMatrix>, ModelError> {
    if loader.has_experts_on_gpu(experts) && loader.joins(&gates[0], &ups[0]) {
        let of_expert = |expert: usize| {
            let range = expert * width..(expert + 1) * width;
            [rows_of(gates, range.clone()), rows_of(ups, range)].concat()
        };
        let both: Vec<WeightTensor> = (0..experts).flat_map(of_expert).collect();
        return Ok(vec![loader.expert_matrix(&both, experts, &Split::rows(loader.cards, &[width, width]))?]);
    }
    let split = Split::rows(loader.cards, &[width]);
    [gates, ups].into_iter().map(|tensors| loader.experts(tensors, experts, &split)).collect()
}

/// A projection of all experts: one stacked tensor, or one tensor for each.
fn tensors_of(
    loader: &Loader<'_>,
    layer: usize,
    [together, apart]: [&str; 2],
    experts: usize,
    [rows, columns]: [usize; 2],
) -> Result<Vec<WeightTensor>, ModelError> {
    if let Some(tensor) = loader.weights.find(together, Some(layer), None, "weight")? {
        loader.weights.check(&tensor, &[experts, rows, columns])?;
        return Ok(vec![tensor]);
    }
    let mut tensors = Vec::with_capacity(experts);
    for expert in 0..experts {
        let tensor = loader.weights.find(apart, Some(layer), Some(expert), "weight")?;
        let tensor = tensor.ok_or_else(|| {
            loader
                .weights
                .error(&format!("{apart} of layer {layer}, expert {expert}"), "is missing from the checkpoint")
        })?;
        loader.weights.check(&tensor, &[rows, columns])?;
        tensors.push(tensor);
    }
    Ok(tensors)
}
