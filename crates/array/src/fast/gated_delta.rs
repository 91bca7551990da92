//! The gated delta-net block between its projections: causal convolution, gates, the delta rule, gated norm
//! (arXiv:2412.06464). Recurrent states live in slots, one for each sequence.
//!
//! Oracle: the rule written out token by token, in the kernels' scalar reference. Read next: `step.rs`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use olivine_gpu::Memory;
use olivine_gpu::device::ALIGNMENT;
use olivine_gpu::expression::{Binary, Expression, Unary};
use olivine_gpu::ops::copy::{Element as GpuElement, View, copy};
use olivine_gpu::ops::elementwise::{Operand, elementwise};
use olivine_gpu::ops::norm::{Norm, NormKind, norm};
use olivine_gpu::ops::recurrent;
use olivine_kernels::recurrent::{
    ConvolutionShape, DeltaInputs, DeltaShape, RecurrentRows, RowView, causal_convolution, delta_gates,
    gated_delta_rule, gated_rms_norm,
};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::step::{GpuStep, StepSlot};
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// Recurrent states of one layer: a slot holds the rule's state and the convolution's last inputs. They lie where the model
/// runs.
#[derive(Clone)]
pub struct StateHandle(Arc<Mutex<States>>);

struct States {
    /// Numbers of the rule's and of the convolution's state.
    slot_lengths: [usize; 2],
    place: Place,
}

enum Place {
    Host([Vec<f32>; 2]),
    Gpu(GpuStates),
}

/// States on a GPU, slot behind slot.
struct GpuStates {
    gpu: Arc<Gpu>,
    memory: [Memory; 2],
    zeros: [Memory; 2],
    slots: usize,
}

impl StateHandle {
    /// No slots yet, each of `shape` and `convolution`; on a GPU if one is given and has kernels for it.
    pub fn new(shape: &DeltaShape, convolution: &ConvolutionShape, gpu: Option<Arc<Gpu>>) -> StateHandle {
        let slot_lengths = [shape.state_len(), convolution.state_len()];
        let has_kernels =
            shape.key_dim.is_multiple_of(4) && shape.key_dim <= 256 && (2..=8).contains(&convolution.kernel);
        let place = match gpu.filter(|_| has_kernels) {
            Some(gpu) => Place::Gpu(GpuStates {
                memory: slot_lengths.map(|length| gpu.allocate(4 * length)),
                zeros: slot_lengths.map(|length| gpu.upload(bytemuck::cast_slice(&vec![0f32; length]))),
                slots: 1,
                gpu,
            }),
            None => Place::Host([Vec::new(), Vec::new()]),
        };
        StateHandle(Arc::new(Mutex::new(States { slot_lengths, place })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut States) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Make sure that slot `slot` exists and is empty.
    pub fn clear(&self, slot: usize) {
        self.with(|States { slot_lengths, place }| match place {
            Place::Host(all) => {
                for (values, &mut length) in all.iter_mut().zip(slot_lengths) {
                    values.resize(values.len().max((slot + 1) * length), 0.0);
                    values[slot * length..(slot + 1) * length].fill(0.0);
                }
            }
            Place::Gpu(states) => {
                states.grow(*slot_lengths, slot + 1);
                for index in 0..2 {
                    let to = states.part(*slot_lengths, index, slot);
                    states.gpu.record(|list| list.copy(&states.zeros[index], &to));
                }
            }
        });
    }

    /// Numbers in a slot, on all cards together.
    pub fn slot_len(&self) -> usize {
        self.with(|states| states.slot_lengths.iter().sum::<usize>() * states.place.cards())
    }

    /// Append a slot's numbers, card by card.
    pub fn read(&self, slot: usize, out: &mut Vec<f32>) {
        self.with(|States { slot_lengths, place }| {
            for card in 0..place.cards() {
                for (index, length) in slot_lengths.iter().copied().enumerate() {
                    match place {
                        Place::Host(all) => out.extend_from_slice(&all[index][slot * length..(slot + 1) * length]),
                        Place::Gpu(states) => {
                            let start = out.len();
                            out.resize(start + length, 0.0);
                            let from = states.part(*slot_lengths, index, slot);
                            states.gpu.download_from(card, &from, 0, bytemuck::cast_slice_mut(&mut out[start..]));
                        }
                    }
                }
            }
        });
    }

    /// Fill a slot that was cleared before with what [`StateHandle::read`] gave.
    pub fn write(&self, slot: usize, values: &[f32]) {
        self.with(|States { slot_lengths, place }| {
            let shares = values.chunks_exact(slot_lengths.iter().sum::<usize>().max(1));
            for (card, share) in shares.enumerate() {
                let (of_rule, of_convolution) = share.split_at(slot_lengths[0]);
                for (index, values) in [of_rule, of_convolution].into_iter().enumerate() {
                    let length = slot_lengths[index];
                    match place {
                        Place::Host(all) => all[index][slot * length..(slot + 1) * length].copy_from_slice(values),
                        Place::Gpu(states) => {
                            let to = states.part(*slot_lengths, index, slot);
                            states.gpu.write_to(card, &to, bytemuck::cast_slice(values));
                        }
                    }
                }
            }
        });
    }

    /// Bytes of all slots.
    pub fn bytes(&self) -> usize {
        self.with(|states| match &states.place {
            Place::Host(all) => all.iter().map(|values| 4 * values.len()).sum(),
            Place::Gpu(own) => own.memory.iter().map(|memory| memory.bytes() as usize * own.gpu.cards()).sum(),
        })
    }
}

impl Place {
    fn cards(&self) -> usize {
        if let Place::Gpu(states) = self { states.gpu.cards() } else { 1 }
    }
}

impl GpuStates {
    fn part(&self, slot_lengths: [usize; 2], index: usize, slot: usize) -> Memory {
        let bytes = 4 * slot_lengths[index] as u64;
        self.memory[index].slice(slot as u64 * bytes, bytes)
    }

    /// Twice the memory when it is full: the states move, and what was recorded before does not fit any more.
    fn grow(&mut self, slot_lengths: [usize; 2], slots: usize) {
        if slots <= self.slots {
            return;
        }
        self.slots = slots.max(2 * self.slots);
        for (memory, length) in self.memory.iter_mut().zip(slot_lengths) {
            let old = std::mem::replace(memory, self.gpu.allocate(4 * length * self.slots));
            self.gpu.record(|list| list.copy(&old, memory));
        }
        self.gpu.new_epoch();
    }
}

impl std::fmt::Debug for StateHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateHandle")
    }
}

/// Weights and sizes of the block.
#[derive(Clone, Debug)]
pub struct GatedDelta {
    /// Heads and widths.
    pub shape: DeltaShape,
    /// Value head `h` goes with key head `h % key_heads` instead of `h / (value_heads / key_heads)`.
    pub tiled: bool,
    /// `[taps, channels]`, the newest input's last; one for each card that has heads of its own.
    pub convolution: Vec<Vec<f32>>,
    /// `[value_heads]`, for each card.
    pub a_log: Vec<Vec<f32>>,
    /// `[value_heads]`, for each card.
    pub time_bias: Vec<Vec<f32>>,
    /// Weight `[value_dim]` of the norm, and its epsilon.
    pub norm: (Vec<f32>, f32),
    /// The states.
    pub states: StateHandle,
    /// The sequences.
    pub step: StepSlot,
    /// The weights on a GPU.
    pub on_gpu: OnceLock<GpuWeights>,
}

/// Convolution, `-exp(a_log)`, bias of the decay, weight of the norm.
pub type GpuWeights = [Memory; 4];

impl GatedDelta {
    /// Channels of the convolution: queries, keys, values.
    pub fn channels(&self) -> usize {
        2 * self.shape.key_heads * self.shape.key_dim + self.values()
    }

    fn values(&self) -> usize {
        self.shape.value_heads * self.shape.value_dim
    }

    /// Width of a projected row: channels, output gate, beta, decay.
    pub fn row_width(&self) -> usize {
        self.channels() + self.values() + 2 * self.shape.value_heads
    }
}

/// `rows` `[tokens, channels + values + 2 * value_heads]`: queries, keys and values, then the output gate, then the
/// inputs of beta and of the decay → `[tokens, value_heads * value_dim]`.
#[track_caller]
pub fn gated_delta(rows: &Array, block: Arc<GatedDelta>) -> Array {
    Array::apply(GatedDeltaOp(block), &[rows])
}

#[derive(Debug)]
struct GatedDeltaOp(Arc<GatedDelta>);

impl Primitive for GatedDeltaOp {
    fn name(&self) -> &'static str {
        "gated_delta"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (shape, width) = (inputs[0].shape(), self.0.row_width());
        assert!(shape.len() == 2 && shape[1] == width, "[gated_delta] rows {shape:?}, not [tokens, {width}]");
        one(&[shape[0], self.0.values()], Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (block, pool) = (&*self.0, context.pool());
        let rows = inputs[0].contiguous();
        let (rows, width) = (rows.slice::<f32>(), block.row_width());
        let tokens = rows.len() / width;
        let view = |values, row_stride| RowView { values, row_stride };
        let (channels, values, heads) = (block.channels(), block.values(), block.shape.value_heads);
        let step = block.step.read();
        let sequence = |span: &crate::fast::step::Span| RecurrentRows {
            first_row: span.first_row,
            rows: span.rows,
            slot: span.state_slot,
        };
        let sequences: Vec<_> = step.spans.iter().map(sequence).collect();
        let mut states = block.states.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Place::Host([rule_states, conv_states]) = &mut states.place else {
            panic!("[gated_delta] a step that the GPU does not know")
        };
        let kernel = block.convolution[0].len() / channels;
        let convolution = ConvolutionShape { channels, kernel };
        let mut mixed = Tensor::new(&[tokens, channels], Dtype::F32);
        let mixed = mixed.slice_mut::<f32>();
        let weight = &block.convolution[0];
        causal_convolution(pool, &convolution, view(rows, width), weight, None, true, &sequences, conv_states, mixed);
        let (mut decay, mut beta) = (vec![0.0; tokens * heads], vec![0.0; tokens * heads]);
        let (b, a) = (view(&rows[channels + values..], width), view(&rows[channels + values + heads..], width));
        delta_gates(a, b, &block.a_log[0], &block.time_bias[0], &mut decay, &mut beta);
        let keys_width = block.shape.key_heads * block.shape.key_dim;
        let (shape, queries, keys) = block.heads(mixed);
        let inputs = DeltaInputs {
            queries: queries.as_ref().map_or(view(mixed, channels), |q| view(q, values_of(&shape))),
            keys: keys.as_ref().map_or(view(&mixed[keys_width..], channels), |k| view(k, values_of(&shape))),
            values: view(&mixed[2 * keys_width..], channels),
            decay: view(&decay, heads),
            beta: view(&beta, heads),
        };
        let out = outputs[0].slice_mut::<f32>();
        gated_delta_rule(pool, &shape, &inputs, &sequences, rule_states, out);
        gated_rms_norm(pool, out, heads, view(&rows[channels..], width), &block.norm.0, block.norm.1);
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let block = &*self.0;
        let step = block.step.read();
        block.states.with(|states| {
            let (Place::Gpu(states), Some(step)) = (&states.place, step.on_gpu()) else { return false };
            let Some(rows) = inputs[0].on_gpu_dense(gpu) else { return false };
            let out = outputs[0].on_gpu_fresh(gpu);
            block.record(gpu, (&rows, inputs[0].shape()[0]), step, &states.memory, &out);
            true
        })
    }
}

/// Columns of rows on a GPU: the first value's memory and the values from row to row.
struct Columns<'a> {
    memory: &'a Memory,
    stride: usize,
    first: usize,
}

impl Columns<'_> {
    /// Where a kernel can read them: in place if they begin where it can, else in a copy.
    fn place(&self, gpu: &Gpu, tokens: usize, width: usize, room: &Memory) -> (Memory, usize) {
        let start = 4 * self.first as u64;
        if start.is_multiple_of(ALIGNMENT) {
            return (self.memory.slice(start, self.memory.bytes() - start), self.stride);
        }
        self.copy(gpu, [tokens, 1, width], room);
        (room.clone(), width)
    }

    /// Copy them, each row's `width` values `repeat` times one behind the other.
    fn copy(&self, gpu: &Gpu, [tokens, repeat, width]: [usize; 3], to: &Memory) {
        let element = GpuElement::Word;
        let strides = [0, self.stride as isize, 0, 1];
        let from = View { memory: self.memory, element, start: self.first, strides };
        let strides = [0, (repeat * width) as isize, width as isize, 1];
        gpu.record(|list| {
            copy(list, [1, tokens, repeat, width], from, View { memory: to, element, start: 0, strides })
        });
    }
}

impl GatedDelta {
    fn weights(&self, gpu: &Gpu) -> &GpuWeights {
        self.on_gpu.get_or_init(|| {
            let rate = |of_card: &Vec<f32>| of_card.iter().map(|a| -a.exp()).collect::<Vec<f32>>();
            let rates: Vec<Vec<f32>> = self.a_log.iter().map(rate).collect();
            let [convolution, rates, bias] =
                [&self.convolution, &rates, &self.time_bias].map(|shares| gpu.upload_floats(shares));
            [convolution, rates, bias, gpu.upload(bytemuck::cast_slice(&self.norm.0))]
        })
    }

    /// Record the block. `states`: of the rule, of the convolution.
    fn record(&self, gpu: &Gpu, (rows, tokens): (&Memory, usize), step: &GpuStep, states: &[Memory; 2], out: &Memory) {
        let (channels, values, heads, width) =
            (self.channels(), self.values(), self.shape.value_heads, self.row_width());
        let [convolution, rates, bias, norm_weight] = self.weights(gpu);
        let DeltaShape { key_heads, key_dim, value_dim, .. } = self.shape;
        let keys_width = heads * key_dim;
        let sizes = [channels, heads, heads, heads, heads, values, values, values, keys_width, keys_width, values];
        let [mixed, a, b, decay, beta, gate, core, normed, query_room, key_room, value_room] =
            gpu.scratch(sizes.map(|width| 4 * tokens * width));
        let of = |states| recurrent::States { spans: &step.spans, count: step.sequences, states };
        let taps = recurrent::Convolution {
            channels,
            kernel: self.convolution[0].len() / channels,
            weight: convolution,
            bias: None,
            has_silu: true,
        };
        gpu.record(|list| recurrent::convolution(list, &taps, &of(&states[1]), rows, width, &mixed));
        let columns = |first| Columns { memory: rows, stride: width, first };
        columns(channels).copy(gpu, [tokens, 1, values], &gate);
        columns(channels + values).copy(gpu, [tokens, 1, heads], &b);
        columns(channels + values + heads).copy(gpu, [tokens, 1, heads], &a);
        // decay = exp(-exp(a_log) * softplus(a + bias)), beta = sigmoid(b)
        let softplus = Expression::input(0).binary(Binary::Add, Expression::input(1)).unary(Unary::Softplus);
        let formula = Arc::new(softplus.binary(Binary::Multiply, Expression::input(2)).unary(Unary::Exp));
        let count = tokens * heads;
        let each = |memory| Operand { memory, divide: 1, modulo: count };
        let of_head = |memory| Operand { memory, divide: 1, modulo: heads };
        let sigmoid = Arc::new(Expression::input(0).unary(Unary::Sigmoid));
        gpu.record(|list| {
            elementwise(list, &formula, &[each(&a), of_head(bias), of_head(rates)], &[], count, &decay);
            elementwise(list, &sigmoid, &[each(&b)], &[], count, &beta);
        });
        let of_mixed = |first| Columns { memory: &mixed, stride: channels, first };
        let keys = key_heads * key_dim;
        let is_repeated = self.tiled && key_heads != heads;
        let pair = |first: usize, room: &Memory| match is_repeated {
            true => {
                of_mixed(first).copy(gpu, [tokens, heads / key_heads, keys], room);
                (room.clone(), keys_width)
            }
            false => of_mixed(first).place(gpu, tokens, keys, room),
        };
        let (queries, keys_read) = (pair(0, &query_room), pair(keys, &key_room));
        let values_read = of_mixed(2 * keys).place(gpu, tokens, values, &value_room);
        let shape = recurrent::DeltaShape {
            key_heads: if is_repeated { heads } else { key_heads },
            value_heads: heads,
            key_dim,
            value_dim,
        };
        let inputs = recurrent::DeltaInputs {
            queries: (&queries.0, queries.1),
            keys: (&keys_read.0, keys_read.1),
            values: (&values_read.0, values_read.1),
            decay: &decay,
            beta: &beta,
        };
        let rms = Norm { kind: NormKind::Rms, weight: Some(norm_weight), bias: None, epsilon: self.norm.1 };
        let opened = Expression::input(1).unary(Unary::Silu);
        let gated = Arc::new(Expression::input(0).binary(Binary::Multiply, opened));
        let count = tokens * values;
        let each = |memory| Operand { memory, divide: 1, modulo: count };
        gpu.record(|list| {
            recurrent::gated_delta(list, &shape, &inputs, &of(&states[0]), &core);
            norm(list, &rms, &core, value_dim, [tokens * heads, value_dim], None, &normed);
            elementwise(list, &gated, &[each(&normed), each(&gate)], &[], count, out);
        });
    }
}

fn values_of(shape: &DeltaShape) -> usize {
    shape.key_heads * shape.key_dim
}

impl GatedDelta {
    /// The rule's shape, and queries and keys repeated for each value head where heads are tiled.
    fn heads(&self, mixed: &[f32]) -> (DeltaShape, Option<Vec<f32>>, Option<Vec<f32>>) {
        let DeltaShape { key_heads, value_heads, key_dim, .. } = self.shape;
        if !self.tiled || key_heads == value_heads {
            return (self.shape, None, None);
        }
        let repeat = |first: usize| {
            let row = |row: &[f32]| row[first..first + key_heads * key_dim].repeat(value_heads / key_heads);
            mixed.chunks_exact(self.channels()).flat_map(row).collect()
        };
        let shape = DeltaShape { key_heads: value_heads, ..self.shape };
        (shape, Some(repeat(0)), Some(repeat(key_heads * key_dim)))
    }
}
