//! Low-rank adapters: what they add to the outputs of linear layers, row by row as the step says.
//!
//! A linear layer that can be adapted knows its number; an [`Adapter`] has the factors for each number, and a span of the
//! step names the adapter of its rows. Invariant: a row's bits do not depend on the adapters of its neighbours.
//! Oracle: the same linear layer with `weights + scale · up · down`. Read next: [`crate::fast::linear`].

use std::sync::Arc;

use half::bf16;
use olivine_gpu::Memory;
use olivine_gpu::ops::matmul::{Experts, Input, MAX_ROWS, Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix, Packed};
use olivine_kernels::low_rank::{self, Placed, Run};
use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::fast::rows::RowValues;
use crate::fast::step::{Span, StepSlot};
use crate::gpu::{self, Gpu};

pub use olivine_kernels::low_rank::{LowRank, Storage};

/// The factors of one module.
pub struct Factors {
    placed: Placed,
    /// `down` and `up`, the scale in it.
    on_gpu: Option<[Matrix; 2]>,
}

impl Factors {
    /// `down` `[rank, columns]` and `up` `[outputs, rank]`, row by row, whose product times `scale` is added to the outputs
    /// from `first` on. They are brought to the GPU if there is one.
    pub fn new(columns: usize, first: usize, scale: f32, down: &[f32], up: &[f32], storage: Storage) -> Factors {
        let rank = down.len() / columns.max(1);
        let outputs = up.len() / rank.max(1);
        let placed = (LowRank::new(columns, outputs, scale, down, up, storage), first);
        let on_gpu = gpu::gpu().map(|gpu| {
            let scaled: Vec<f32> = up.iter().map(|value| value * scale).collect();
            let matrix = |rows, columns, values: &[f32]| {
                let (code, bytes) = match storage {
                    Storage::F32 => (Code::F32, bytemuck::cast_slice(values).to_vec()),
                    Storage::Bf16 => {
                        (Code::Bf16, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect())
                    }
                };
                gpu.bring(vec![Packed::dense(code, rows, columns, &bytes)])
            };
            [matrix(rank, columns, down), matrix(outputs, rank, &scaled)]
        });
        Factors { placed, on_gpu }
    }
}

/// Corrections of a model's linear layers.
#[derive(Debug, Default)]
pub struct Adapter {
    /// For each number of a layer its factors, each with the first output that it is added to.
    sites: Vec<Vec<Placed>>,
    /// The same on a GPU.
    on_gpu: Vec<Vec<[Matrix; 2]>>,
}

impl Adapter {
    /// Factors by the number of their layer.
    pub fn new(sites: Vec<Vec<Factors>>) -> Adapter {
        let mut adapter = Adapter::default();
        for site in sites {
            let (placed, on_gpu): (Vec<_>, Vec<_>) = site.into_iter().map(|own| (own.placed, own.on_gpu)).unzip();
            adapter.sites.push(placed);
            adapter.on_gpu.push(on_gpu.into_iter().flatten().collect());
        }
        adapter
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

/// Rows of a step under one adapter, as products on a GPU take them.
#[derive(Clone, Debug)]
pub(crate) struct AdaptedRows {
    adapter: Arc<Adapter>,
    /// Numbers of the rows, and the tiles that they make.
    numbers: Vec<u32>,
    pairs: Memory,
    tiles: Memory,
    tile_rows: usize,
}

impl AdaptedRows {
    /// Of the spans of a step, if they differ from those `before`.
    pub fn of(gpu: &Gpu, spans: &[Span], before: &[AdaptedRows]) -> Option<Vec<AdaptedRows>> {
        let mut all: Vec<(&Arc<Adapter>, Vec<u32>)> = Vec::new();
        for span in spans {
            let Some(adapter) = &span.adapter else { continue };
            let rows = span.first_row as u32..(span.first_row + span.rows) as u32;
            match all.iter_mut().find(|(known, _)| Arc::ptr_eq(known, adapter)) {
                Some((_, numbers)) => numbers.extend(rows),
                None => all.push((adapter, rows.collect())),
            }
        }
        let is_known = |((adapter, numbers), old): (&(&Arc<Adapter>, Vec<u32>), &AdaptedRows)| {
            Arc::ptr_eq(adapter, &old.adapter) && *numbers == old.numbers
        };
        if all.len() == before.len() && all.iter().zip(before).all(is_known) {
            return None;
        }
        let bring = |(adapter, numbers): (&Arc<Adapter>, Vec<u32>)| {
            let tile_rows = numbers.len().next_power_of_two().min(MAX_ROWS);
            let tile = |first: usize| [0, first as u32, (numbers.len() - first).min(tile_rows) as u32, 0];
            let tiles: Vec<[u32; 4]> = (0..numbers.len()).step_by(tile_rows).map(tile).collect();
            let (pairs, tiles) = (gpu.upload(bytemuck::cast_slice(&numbers)), gpu.upload(bytemuck::cast_slice(&tiles)));
            AdaptedRows { adapter: adapter.clone(), numbers, pairs, tiles, tile_rows }
        };
        Some(all.into_iter().map(bring).collect())
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
