//! Element by element: any formula with broadcast inputs, and gated units.

use std::sync::Arc;

use crate::device::{Kernel, List, Memory};
use crate::expression::{Binary, Expression};
use crate::ops::matmul::Gate;

/// An input of a formula: element `e` of the result reads value `(e / divide) % modulo`.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Its values.
    pub memory: &'a Memory,
    /// How many neighbours share a value.
    pub divide: usize,
    /// How many values there are.
    pub modulo: usize,
}

/// Most inputs of a formula.
pub const MAX_INPUTS: usize = 4;

/// `out[e] = formula(inputs, extras)` for `count` elements of f32. Extras are the formula's parameters.
#[track_caller]
pub fn elementwise(
    list: &mut List,
    formula: &Arc<Expression>,
    inputs: &[Operand],
    extras: &[f32],
    count: usize,
    out: &Memory,
) {
    assert!(formula.inputs() as usize <= inputs.len() && inputs.len() <= MAX_INPUTS, "[elementwise] {formula:?}");
    let mut kernel = Kernel::new("elementwise", &[("INPUTS", inputs.len() as u32), ("EXTRA", extras.len() as u32)]);
    kernel.expression = Some(formula.clone());
    let mut buffers: Vec<&Memory> = inputs.iter().map(|input| input.memory).collect();
    buffers.push(out);
    let mut params = vec![count as u32];
    params.extend(inputs.iter().flat_map(|input| [input.divide as u32, input.modulo as u32]));
    params.extend(extras.iter().map(|extra| extra.to_bits()));
    list.dispatch(kernel, &buffers, &params, grid(count));
}

/// `out[rows, dim] = gate(x[.., ..dim], x[.., up..up + dim])`.
#[track_caller]
pub fn gated(
    list: &mut List,
    gate: Gate,
    x: &Memory,
    [x_stride, up]: [usize; 2],
    [rows, dim]: [usize; 2],
    out: &Memory,
) {
    let (number, alpha, limit) = gate.numbers();
    let params = [(rows * dim) as u32, dim as u32, x_stride as u32, up as u32, alpha.to_bits(), limit.to_bits()];
    list.dispatch(Kernel::new("gated", &[("GATE", number)]), &[x, out], &params, grid(rows * dim));
}

/// Workgroups of 256 threads for `count` elements: 32,768 in a row of the grid, as the kernels count them.
pub(crate) fn grid(count: usize) -> [u32; 3] {
    let groups = count.div_ceil(256);
    [groups.min(32_768) as u32, groups.div_ceil(32_768) as u32, 1]
}

/// Whether a dispatch adds two times `count` values, neighbour to neighbour.
pub(crate) fn is_sum(kernel: &Kernel, params: &[u32], count: u32) -> bool {
    let Some(Expression::Binary(Binary::Add, a, b)) = kernel.expression.as_deref() else { return false };
    let are_inputs = matches!(
        (&**a, &**b),
        (Expression::Input(0), Expression::Input(1)) | (Expression::Input(1), Expression::Input(0))
    );
    are_inputs
        && kernel.name == "elementwise"
        && (kernel.constant("INPUTS"), kernel.constant("EXTRA")) == (2, 0)
        && params == [count, 1, count, 1, count]
}
