//! Products with quantized weights: packed once at load, multiplied with int8 or float activations.
//!
//! [`PackedMatrix`] holds weights in a layout made for streaming and for integer dot products; [`PackedExperts`] holds
//! those of a mixture of experts. [`QuantizedActivations`] is made once for all matrices that read the same rows.
//! [`matmul`] and [`matmul_experts`] multiply the two; the `_float` forms take float activations and dequantized
//! weights, for exact runs and for mxfp8 (see [`PackedMatrix::needs_float`]).
//! Invariant: the bits of an output row depend on its activations and the weights alone, never on the number of rows,
//! of threads or of matrices in the call; the integer products are the same on every tier, but for those of formats whose
//! scales are integers, of which AMX has bits of its own.
//! Read next: [`layout`], then [`driver`].

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
mod columns;
mod driver;
mod lattice;
mod layout;
mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod panels;
mod pending;
mod sizes;
mod tiers;
mod tile;
mod unpack;

#[cfg(test)]
mod tests;

pub use activations::QuantizedActivations;
pub use pending::Source;

use crate::dense::ExpertGroup;
use crate::pool::Pool;
use crate::quant::{Format, QuantError, Stored};
use driver::{Input, Job, Rows};
use panels::Panels;
use std::sync::Arc;

/// A quantized matrix of `rows` output features and `columns` input features, packed for products.
pub struct PackedMatrix {
    panels: Arc<Panels>,
}

/// What may be left of a matrix that is packed in use.
pub struct Rest(Arc<Panels>);

impl Rest {
    /// Pack what is left of it.
    pub fn pack(&self, pool: &Pool) {
        self.0.pack_rest(pool);
    }
}

impl PackedMatrix {
    /// Pack matrices of one format and width, one below the other (so that q, k and v become one). Panics when format,
    /// width or scale type differ.
    pub fn pack(pool: &Pool, parts: &[Stored]) -> Result<PackedMatrix, QuantError> {
        Ok(PackedMatrix { panels: Arc::new(Panels::pack(pool, parts, 1)?) })
    }

    /// The same matrix, of which each part is packed when it is used for the second time.
    pub fn pack_in_use(sources: Vec<Box<dyn Source>>) -> Result<PackedMatrix, QuantError> {
        Ok(PackedMatrix { panels: Arc::new(Panels::pack_in_use(sources, 1)?) })
    }

    /// To pack what is left before it is used.
    pub fn rest(&self) -> Rest {
        Rest(Arc::clone(&self.panels))
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.panels.rows()
    }

    /// Input features.
    pub fn columns(&self) -> usize {
        self.panels.columns()
    }

    /// Format of the source.
    pub fn format(&self) -> Format {
        self.panels.format()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// Whether only [`matmul_float`] can multiply it: mxfp8, whose values are no small integers.
    pub fn needs_float(&self) -> bool {
        self.panels.layout().is_none()
    }

    /// One row as floats (an embedding from a tied matrix), equal to decoding the source. `out` has `columns` values.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        self.panels.dequantize_row(0, row, out);
    }
}

/// The equal matrices of several experts.
pub struct PackedExperts {
    panels: Arc<Panels>,
}

impl PackedExperts {
    /// Pack the rows of all experts in their order: one stacked tensor, or one tensor after the other. Panics when
    /// format, width or scale type differ or the rows are not equal experts.
    pub fn pack(pool: &Pool, parts: &[Stored], experts: usize) -> Result<PackedExperts, QuantError> {
        Ok(PackedExperts { panels: Arc::new(Panels::pack(pool, parts, experts)?) })
    }

    /// As [`PackedMatrix::pack_in_use`].
    pub fn pack_in_use(sources: Vec<Box<dyn Source>>, experts: usize) -> Result<PackedExperts, QuantError> {
        Ok(PackedExperts { panels: Arc::new(Panels::pack_in_use(sources, experts)?) })
    }

    /// As [`PackedMatrix::rest`].
    pub fn rest(&self) -> Rest {
        Rest(Arc::clone(&self.panels))
    }

    /// Number of experts.
    pub fn experts(&self) -> usize {
        self.panels.experts()
    }

    /// Output features of one expert.
    pub fn rows(&self) -> usize {
        self.panels.rows()
    }

    /// Input features.
    pub fn columns(&self) -> usize {
        self.panels.columns()
    }

    /// Format of the source.
    pub fn format(&self) -> Format {
        self.panels.format()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.panels.bytes()
    }

    /// As [`PackedMatrix::needs_float`].
    pub fn needs_float(&self) -> bool {
        self.panels.layout().is_none()
    }

    /// One row of one expert as floats.
    pub fn dequantize_row(&self, expert: usize, row: usize, out: &mut [f32]) {
        self.panels.dequantize_row(expert, row, out);
    }
}

/// `out[row, offset + n] = x[row] . matrix[n]` for every `(matrix, offset)`, in one parallel region. Rows of `out` are
/// `out_stride` apart; columns of several matrices must not overlap. Panics when shapes do not fit.
pub fn matmul(
    pool: &Pool,
    x: &QuantizedActivations,
    matrices: &[(&PackedMatrix, usize)],
    out: &mut [f32],
    out_stride: usize,
) {
    distinct_columns(matrices.iter().map(|(matrix, offset)| (*offset, matrix.rows())));
    let rows = Rows::All(x.rows());
    if let [(matrix, column)] = matrices {
        let job = Job { panels: &matrix.panels, expert: 0, rows, column: *column };
        return driver::run(pool, Input::Quantized(x), &[job], out, out_stride);
    }
    let jobs: Vec<_> = matrices
        .iter()
        .map(|(matrix, column)| Job { panels: &matrix.panels, expert: 0, rows, column: *column })
        .collect();
    driver::run(pool, Input::Quantized(x), &jobs, out, out_stride);
}

/// As [`matmul`] with float activations `x` of `rows * columns` values and dequantized weights: every output is one
/// chain of fused multiply-adds over the columns in order.
pub fn matmul_float(pool: &Pool, x: &[f32], rows: usize, matrix: &PackedMatrix, out: &mut [f32], out_stride: usize) {
    assert_eq!(x.len(), rows * matrix.columns(), "[quantized product] values do not fill the rows");
    let job = Job { panels: &matrix.panels, expert: 0, rows: Rows::All(rows), column: 0 };
    driver::run(pool, Input::Float(x, rows), &[job], out, out_stride);
}

/// The product of every group's rows with its expert, for each `(experts, offset)`, in one parallel region; see
/// [`ExpertGroup`] and [`matmul`].
pub fn matmul_experts(
    pool: &Pool,
    x: &QuantizedActivations,
    matrices: &[(&PackedExperts, usize)],
    groups: &[ExpertGroup],
    out: &mut [f32],
    out_stride: usize,
) {
    distinct_columns(matrices.iter().map(|(matrix, offset)| (*offset, matrix.rows())));
    driver::run(pool, Input::Quantized(x), &expert_jobs(matrices, groups), out, out_stride);
}

/// [`matmul_experts`] with float activations `x`, rows of `columns` values; see [`matmul_float`].
pub fn matmul_experts_float(
    pool: &Pool,
    x: &[f32],
    matrices: &[(&PackedExperts, usize)],
    groups: &[ExpertGroup],
    out: &mut [f32],
    out_stride: usize,
) {
    distinct_columns(matrices.iter().map(|(matrix, offset)| (*offset, matrix.rows())));
    let columns = matrices.first().map_or(0, |(matrix, _)| matrix.columns());
    assert!(x.len().is_multiple_of(columns.max(1)), "[quantized product] values do not fill the rows");
    driver::run(pool, Input::Float(x, x.len() / columns.max(1)), &expert_jobs(matrices, groups), out, out_stride);
}

fn expert_jobs<'a>(matrices: &[(&'a PackedExperts, usize)], groups: &[ExpertGroup<'a>]) -> Vec<Job<'a>> {
    let mut seen: Vec<u32> = groups.iter().flat_map(|group| group.rows.iter().map(|(_, output)| *output)).collect();
    seen.sort_unstable();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "[quantized product] an output row appears twice");
    let jobs = groups.iter().flat_map(|group| {
        let rows = Rows::List(group.rows);
        let job = move |(matrix, column): &(&'a PackedExperts, usize)| Job {
            panels: &matrix.panels,
            expert: group.expert,
            rows,
            column: *column,
        };
        matrices.iter().map(job)
    });
    jobs.collect()
}

/// Threads write without locks, so two matrices must not share a column.
fn distinct_columns(ranges: impl Iterator<Item = (usize, usize)> + Clone) {
    for (i, (first, width)) in ranges.clone().enumerate() {
        for (other, other_width) in ranges.clone().skip(i + 1) {
            let apart = first + width <= other || other + other_width <= first;
            assert!(apart, "[quantized product] two matrices share output columns");
        }
    }
}
