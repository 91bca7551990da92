//! Low-rank adapters: what they add to the outputs of linear layers, row by row as the step says.
//!
//! A linear layer that can be adapted knows its number; an [`Adapter`](crate::fast::adapter::Adapter) has the factors for each number, and a span of the
//! step names the adapter of its rows. Invariant: a row's bits do not depend on the adapters of its neighbours.
//! Oracle: the same linear layer with `weights + scale · up · down`. Read next: [`crate::fast::linear`].

use olivine_gpu::Memory;
use olivine_gpu::ops::matmul::{Experts, Input, Matmul, matmul};
use olivine_kernels::low_rank::{self, Run};
use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::fast::rows::RowValues;
use crate::fast::step::StepSlot;
use crate::gpu::Gpu;

/// The number of a linear layer, and where its rows' adapters are told.
#[derive(Clone, Debug)]
pub struct AdapterSite {
    /// Number of the layer among those that can be adapted.
    pub index: usize,
    /// The step that all layers share.
    pub step: StepSlot,
}

impl AdapterSite {
    /// Add what the adapters of the rows add to `out`, rows of `width`.
    pub(crate) fn add(&self, pool: &Pool, x: &RowValues<'_>, out: &mut [f32], width: usize) {
        let step = self.step.read();
        let mut runs: SmallVec<[Run<'_>; 8]> = SmallVec::new();
        for span in &step.spans {
            let Some(factors) = span.adapter.as_ref().and_then(|adapter| adapter.sites.get(self.index)) else {
                continue;
            };
            match runs.last_mut() {
                // Neighbours with the same adapter share what is loaded of it.
                Some(last) if last.first + last.rows == span.first_row && std::ptr::eq(last.factors, &factors[..]) => {
                    last.rows += span.rows;
                }
                _ if factors.is_empty() => {}
                _ => runs.push(Run { first: span.first_row, rows: span.rows, factors }),
            }
        }
        if !runs.is_empty() {
            low_rank::apply(pool, &runs, &|row, to| x.row(row, to), out, width);
        }
    }

    /// As [`AdapterSite::add`], on a GPU: `x` rows and their stride, which `input` changes on the way.
    pub(crate) fn record(&self, gpu: &Gpu, x: (&Memory, usize), input: Input<'_>, out: &Memory, width: usize) {
        let step = self.step.read();
        let Some(on_gpu) = step.on_gpu() else { return };
        for rows in &on_gpu.adapted {
            let empty = (&Vec::new(), &Vec::new());
            let site = rows.adapter.sites.get(self.index).zip(rows.adapter.on_gpu.get(self.index));
            let (placed, matrices) = site.unwrap_or(empty);
            assert_eq!(placed.len(), matrices.len(), "[lora] an adapter that was loaded before there was a GPU");
            let last = rows.numbers.iter().max().map_or(0, |last| *last as usize + 1);
            for ((_, first), [down, up]) in placed.iter().zip(matrices) {
                let [low] = gpu.scratch([4 * last * down.rows]);
                let experts = |features| {
                    Some(Experts {
                        tiles: &rows.tiles,
                        pairs: &rows.pairs,
                        max_tiles: rows.numbers.len().div_ceil(rows.tile_rows),
                        tile_rows: rows.tile_rows,
                        choices: 1,
                        features,
                    })
                };
                let onto = Matmul { input, experts: experts(down.rows), ..Matmul::default() };
                let back = Matmul {
                    residual: Some(out),
                    experts: experts(up.rows),
                    out_stride: width,
                    out_first: *first,
                    ..Matmul::default()
                };
                gpu.record(|list| {
                    matmul(list, down, x.0, x.1, 1, &onto, &low);
                    matmul(list, up, &low, down.rows, 1, &back, out);
                });
            }
        }
    }
}
