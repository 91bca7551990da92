//! Whole rows to rows or single values.

use crate::device::{Kernel, List, Memory};

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Softmax of `scale * x`: a row.
    Softmax = 0,
    /// `scale` times the sum.
    Sum = 1,
    /// `scale` times the mean.
    Mean = 2,
    /// `scale` times the maximum.
    Maximum = 3,
    /// `scale` times the minimum.
    Minimum = 4,
    /// Place of the first maximum, a word.
    ArgMaximum = 5,
}

/// Reduce (or soften) rows `[rows, dim]`, `x_stride` values apart. Each row is summed in one order.
#[track_caller]
pub fn rows(
    list: &mut List,
    kind: RowKind,
    x: &Memory,
    x_stride: usize,
    [rows, dim]: [usize; 2],
    scale: f32,
    out: &Memory,
) {
    let params = [dim as u32, x_stride as u32, scale.to_bits()];
    list.dispatch(Kernel::new("rows", &[("KIND", kind as u32)]), &[x, out], &params, [rows as u32, 1, 1]);
}
