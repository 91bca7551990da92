//! What a linear layer reads: rows as they are, or rows that are normed or gated on the way in.
//!
//! A quantized product norms (or gates) and quantizes a row in one pass, so that what lies between never goes to memory.
//! Invariant: [`linear`](crate::fast::linear::linear) of rows has the bits of the same layer on [`Rows::array`].
//! Read next: [`crate::fast::linear`].

use olivine_kernels::activation::{self, Gate, GatedRows};
use olivine_kernels::norm;
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::QuantizedActivations;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast;
use crate::fast::gated::gated;
use crate::tensor::Tensor;

/// Rows on their way into linear layers.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What the rows are made from, `[.., columns]` or `[.., 2 * columns]` of f32.
    pub(crate) source: Array,
    /// The norm's weight.
    pub(crate) weight: Option<Array>,
    pub(crate) step: Step,
}

/// What happens to a row on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    None,
    /// RMS norm with this epsilon.
    Norm(f32),
    /// A gated unit over the halves of the row.
    Gate(Gate),
}

impl From<&Array> for Rows {
    fn from(array: &Array) -> Rows {
        Rows { source: array.clone(), weight: None, step: Step::None }
    }
}

impl From<&Rows> for Rows {
    fn from(rows: &Rows) -> Rows {
        rows.clone()
    }
}

impl Rows {
    /// `rms_norm(x) * weight`.
    pub fn normed(x: &Array, weight: &Array, epsilon: f32) -> Rows {
        Rows { source: x.clone(), weight: Some(weight.clone()), step: Step::Norm(epsilon) }
    }

    /// `[.., 2 * width]`, gates first, joined to `[.., width]`.
    pub fn gated(gate_up: &Array, gate: Gate) -> Rows {
        Rows { source: gate_up.clone(), weight: None, step: Step::Gate(gate) }
    }

    /// The rows as an array of their own, for other readers than linear layers.
    #[track_caller]
    pub fn array(&self) -> Array {
        match self.step {
            Step::None => self.source.clone(),
            Step::Norm(epsilon) => fast::rms_norm(&self.source, self.weight.as_ref(), epsilon),
            Step::Gate(gate) => gated(&self.source, gate),
        }
    }

    /// Width of a row when it arrives.
    pub(crate) fn columns(&self) -> usize {
        self.step.columns(self.source.shape().last().copied().unwrap_or(1))
    }
}

impl Step {
    fn columns(self, source: usize) -> usize {
        if matches!(self, Step::Gate(_)) { source / 2 } else { source }
    }
}

/// [`Rows`] with their values.
#[derive(Clone, Copy)]
pub(crate) struct RowValues<'a> {
    pub values: &'a [f32],
    pub weight: Option<&'a [f32]>,
    pub step: Step,
    /// Width of a row when it arrives.
    pub columns: usize,
}

impl<'a> RowValues<'a> {
    fn source_columns(&self) -> usize {
        if matches!(self.step, Step::Gate(_)) { 2 * self.columns } else { self.columns }
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.source_columns().max(1)
    }

    /// Row `row` as it arrives.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let width = self.source_columns();
        let source = &self.values[row * width..(row + 1) * width];
        match self.step {
            Step::None => out.copy_from_slice(source),
            Step::Norm(epsilon) => norm::rms_norm_row(source, self.weight, epsilon, out),
            Step::Gate(gate) => {
                let (gates, ups) = source.split_at(self.columns);
                activation::gated_row(gate, gates, ups, out);
            }
        }
    }

    /// Quantize the rows, made one by one.
    pub fn quantize(&self, pool: &Pool, to: &mut QuantizedActivations) {
        let (rows, columns, width) = (self.count(), self.columns, self.source_columns());
        let row = |r: usize| &self.values[r * width..(r + 1) * width];
        match self.step {
            Step::None => to.requantize(pool, self.values, rows, columns),
            Step::Norm(epsilon) => to.requantize_with(pool, rows, columns, |r, out| {
                norm::rms_norm_row(row(r), self.weight, epsilon, out);
            }),
            Step::Gate(gate) => to.requantize_with(pool, rows, columns, |r, out| {
                let (gates, ups) = row(r).split_at(columns);
                activation::gated_row(gate, gates, ups, out);
            }),
        }
    }

    /// The rows made as floats; none when nothing happens to them.
    pub fn floats(&self, pool: &Pool) -> Option<Tensor> {
        if self.step == Step::None {
            return None;
        }
        let (rows, columns) = (self.count(), self.columns);
        let mut made = Tensor::new(&[rows, columns], Dtype::F32);
        match self.step {
            Step::None => {}
            Step::Norm(epsilon) => norm::rms_norm(pool, self.values, columns, self.weight, epsilon, made.slice_mut()),
            Step::Gate(gate) => {
                let layout = GatedRows { rows, stride: 2 * columns, gate: 0, up: columns, dim: columns };
                activation::gated(pool, gate, self.values, layout, made.slice_mut(), columns);
            }
        }
        Some(made)
    }
}
