//! Low-rank adapters: what they add to the outputs of linear layers, row by row as the step says.
//!
//! A linear layer that can be adapted knows its number; an [`Adapter`] has the factors for each number, and a span of the
//! step names the adapter of its rows. Invariant: a row's bits do not depend on the adapters of its neighbours.
//! Oracle: the same linear layer with `weights + scale · up · down`. Read next: [`crate::fast::linear`].

use olivine_kernels::low_rank::{self, Placed, Run};
use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::fast::rows::RowValues;
use crate::fast::step::StepSlot;

pub use olivine_kernels::low_rank::{LowRank, Storage};

/// Corrections of a model's linear layers.
#[derive(Debug, Default)]
pub struct Adapter {
    /// For each number of a layer its factors, each with the first output that it is added to.
    sites: Vec<Vec<Placed>>,
}

impl Adapter {
    /// Factors by the number of their layer.
    pub fn new(sites: Vec<Vec<Placed>>) -> Adapter {
        Adapter { sites }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.sites.iter().flatten().map(|placed| placed.0.bytes()).sum()
    }

    /// Largest rank.
    pub fn rank(&self) -> usize {
        self.sites.iter().flatten().map(|placed| placed.0.rank()).max().unwrap_or(0)
    }
}

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
}
