//! Rows of a stored matrix, decoded.

use crate::device::{Kernel, List, Memory};
use crate::ops::weights::{BLOCK, Matrix};

/// `out[i] = matrix[tokens[i]] * factor` for `count` tokens; `out`: `[count, columns]` of f32. Every token must be a row.
pub fn embedding(list: &mut List, matrix: &Matrix, tokens: &Memory, count: usize, factor: f32, out: &Memory) {
    let mut buffers = vec![tokens];
    buffers.extend(matrix.parts.iter().map(|part| part.as_ref().unwrap_or(tokens)));
    buffers.push(out);
    let params = [matrix.columns as u32, matrix.global_scale.to_bits(), factor.to_bits()];
    let groups = [matrix.columns.div_ceil(BLOCK).div_ceil(64) as u32, count as u32, 1];
    list.dispatch(Kernel::new("embedding", &matrix.layout.constants()), &buffers, &params, groups);
}
