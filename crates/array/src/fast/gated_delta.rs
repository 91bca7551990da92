//! The gated delta-net block between its projections: causal convolution, gates, the delta rule, gated norm
//! (arXiv:2412.06464). Recurrent states live in slots, one for each sequence.
//!
//! Oracle: the rule written out token by token, in the kernels' scalar reference. Read next: `step.rs`.

use std::sync::{Arc, Mutex, PoisonError};

use olivine_kernels::recurrent::{
    ConvolutionShape, DeltaInputs, DeltaShape, RecurrentRows, RowView, causal_convolution, delta_gates,
    gated_delta_rule, gated_rms_norm,
};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::step::StepSlot;
use crate::primitive::{EvalContext, Primitive, Specs, Tensor, one};

/// Recurrent states of one layer: a slot holds the rule's state and the convolution's last inputs.
#[derive(Clone)]
pub struct StateHandle(Arc<Mutex<States>>);

struct States {
    slot_lengths: [usize; 2],
    rule: Vec<f32>,
    convolution: Vec<f32>,
}

impl StateHandle {
    /// No slots yet, each of `shape` and `convolution`.
    pub fn new(shape: &DeltaShape, convolution: &ConvolutionShape) -> StateHandle {
        let slot_lengths = [shape.state_len(), convolution.state_len()];
        StateHandle(Arc::new(Mutex::new(States { slot_lengths, rule: Vec::new(), convolution: Vec::new() })))
    }

    /// Make sure that slot `slot` exists and is empty.
    pub fn clear(&self, slot: usize) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let States { slot_lengths: [rule_length, convolution_length], rule, convolution } = &mut *states;
        for (values, length) in [(rule, *rule_length), (convolution, *convolution_length)] {
            values.resize(values.len().max((slot + 1) * length), 0.0);
            values[slot * length..(slot + 1) * length].fill(0.0);
        }
    }

    /// Numbers in a slot.
    pub fn slot_len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).slot_lengths.iter().sum()
    }

    /// Append a slot's numbers.
    pub fn read(&self, slot: usize, out: &mut Vec<f32>) {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [rule, convolution] = states.slot_lengths;
        out.extend_from_slice(&states.rule[slot * rule..(slot + 1) * rule]);
        out.extend_from_slice(&states.convolution[slot * convolution..(slot + 1) * convolution]);
    }

    /// Fill a slot that was cleared before with what [`StateHandle::read`] gave.
    pub fn write(&self, slot: usize, values: &[f32]) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [rule, convolution] = states.slot_lengths;
        let (of_rule, of_convolution) = values.split_at(rule);
        states.rule[slot * rule..(slot + 1) * rule].copy_from_slice(of_rule);
        states.convolution[slot * convolution..(slot + 1) * convolution].copy_from_slice(of_convolution);
    }

    /// Bytes of all slots.
    pub fn bytes(&self) -> usize {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        4 * (states.rule.len() + states.convolution.len())
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
    /// `[taps, channels]`, the newest input's last.
    pub convolution: Vec<f32>,
    /// `[value_heads]`.
    pub a_log: Vec<f32>,
    /// `[value_heads]`.
    pub time_bias: Vec<f32>,
    /// Weight `[value_dim]` of the norm, and its epsilon.
    pub norm: (Vec<f32>, f32),
    /// The states.
    pub states: StateHandle,
    /// The sequences.
    pub step: StepSlot,
}

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
        let kernel = block.convolution.len() / channels;
        let convolution = ConvolutionShape { channels, kernel };
        let mut mixed = Tensor::new(&[tokens, channels], Dtype::F32);
        let mixed = mixed.slice_mut::<f32>();
        let (weight, conv_states) = (&block.convolution, &mut states.convolution);
        causal_convolution(pool, &convolution, view(rows, width), weight, None, true, &sequences, conv_states, mixed);
        let (mut decay, mut beta) = (vec![0.0; tokens * heads], vec![0.0; tokens * heads]);
        let (b, a) = (view(&rows[channels + values..], width), view(&rows[channels + values + heads..], width));
        delta_gates(a, b, &block.a_log, &block.time_bias, &mut decay, &mut beta);
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
        gated_delta_rule(pool, &shape, &inputs, &sequences, &mut states.rule, out);
        gated_rms_norm(pool, out, heads, view(&rows[channels..], width), &block.norm.0, block.norm.1);
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
