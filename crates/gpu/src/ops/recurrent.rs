//! Layers with a state: the causal convolution and the gated delta rule.
//!
//! Which rows belong to which sequence and which slot of the states is a table in memory: (first row, rows, slot, 0);
//! entries without rows do nothing. Tokens are taken one by one in order, so that the bits do not depend on how a
//! prompt is cut.

use crate::device::{Kernel, List, Memory};

/// A convolution of each channel by itself.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Channels.
    pub channels: usize,
    /// Inputs that an output depends on: 2 to 8.
    pub kernel: usize,
    /// `[kernel, channels]`, the newest input's last.
    pub weight: &'a Memory,
    /// `[channels]`
    pub bias: Option<&'a Memory>,
    /// Followed by silu.
    pub has_silu: bool,
}

/// The sequences of a step and their states.
#[derive(Clone, Copy, Debug)]
pub struct States<'a> {
    /// (first row, rows, slot, 0) each.
    pub spans: &'a Memory,
    /// How many entries.
    pub count: usize,
    /// All states.
    pub states: &'a Memory,
}

/// Convolve rows `input_stride` values apart: `out` `[rows, channels]`; states `[slots, kernel - 1, channels]`.
#[track_caller]
pub fn convolution(
    list: &mut List,
    convolution: &Convolution,
    states: &States,
    input: &Memory,
    input_stride: usize,
    out: &Memory,
) {
    assert!((2..=8).contains(&convolution.kernel), "[convolution] kernel of {}", convolution.kernel);
    let constants = [
        ("KERNEL", convolution.kernel as u32),
        ("BIAS", u32::from(convolution.bias.is_some())),
        ("SILU", u32::from(convolution.has_silu)),
    ];
    let bias = convolution.bias.unwrap_or(input);
    let buffers = [input, convolution.weight, bias, states.spans, states.states, out];
    let params = [convolution.channels as u32, input_stride as u32, convolution.channels as u32];
    let groups = [convolution.channels.div_ceil(64) as u32, states.count as u32, 1];
    list.dispatch(Kernel::new("convolution", &constants), &buffers, &params, groups);
}

/// Heads and widths of the rule.
#[derive(Clone, Copy, Debug)]
pub struct DeltaShape {
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values: a multiple of `key_heads`.
    pub value_heads: usize,
    /// Width of queries and keys: a multiple of 4, at most 256.
    pub key_dim: usize,
    /// Width of values.
    pub value_dim: usize,
}

/// What the rule reads for each row; strides in values.
#[derive(Clone, Copy, Debug)]
pub struct DeltaInputs<'a> {
    /// `[rows, key_heads, key_dim]` of any length, and the stride of rows.
    pub queries: (&'a Memory, usize),
    /// As the queries.
    pub keys: (&'a Memory, usize),
    /// `[rows, value_heads, value_dim]` and the stride of rows.
    pub values: (&'a Memory, usize),
    /// `[rows, value_heads]`: what is left of the state.
    pub decay: &'a Memory,
    /// `[rows, value_heads]`: how much of the error is corrected.
    pub beta: &'a Memory,
}

/// The gated delta rule: `out` `[rows, value_heads, value_dim]`; states `[slots, value_heads, key_dim, value_dim]`.
#[track_caller]
pub fn gated_delta(list: &mut List, shape: &DeltaShape, inputs: &DeltaInputs, states: &States, out: &Memory) {
    let fits = shape.key_dim.is_multiple_of(4) && shape.key_dim <= 256;
    assert!(fits && shape.value_heads.is_multiple_of(shape.key_heads), "[gated_delta] {shape:?}");
    let constants = [("KEY_DIM", shape.key_dim as u32), ("VALUE_DIM", shape.value_dim as u32)];
    let DeltaInputs { queries, keys, values, decay, beta } = *inputs;
    let buffers = [queries.0, keys.0, values.0, decay, beta, states.spans, states.states, out];
    let params = [
        shape.key_heads as u32,
        shape.value_heads as u32,
        queries.1 as u32,
        keys.1 as u32,
        values.1 as u32,
        shape.value_heads as u32,
        (shape.value_heads * shape.value_dim) as u32,
    ];
    let groups = [shape.value_dim.div_ceil(32) as u32, shape.value_heads as u32, states.count as u32];
    list.dispatch(Kernel::new("delta", &constants), &buffers, &params, groups);
}
