//! Low-rank adapters and the rows of a step that they correct.
//!
//! An [`Adapter`] has factors for each numbered linear layer; a span of the step names the adapter of its rows, and a GPU
//! is told which rows those are. Read next: [`crate::fast::lora`], which adds what they add.

use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use olivine_gpu::Memory;
use olivine_gpu::ops::laying::{FileMatrix, Staging};
use olivine_gpu::ops::matmul::MAX_ROWS;
use olivine_gpu::ops::weights::{Code, Matrix};
use olivine_kernels::low_rank::Placed;

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
                gpu.bring(&[FileMatrix::dense(code, rows, columns, bytes)], &mut Staging::default())
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
    pub(super) sites: Vec<Vec<Placed>>,
    /// The same on a GPU.
    pub(super) on_gpu: Vec<Vec<[Matrix; 2]>>,
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
    pub(super) adapter: Arc<Adapter>,
    /// Numbers of the rows, and the tiles that they make.
    pub(super) numbers: Vec<u32>,
    pub(super) pairs: Memory,
    pub(super) tiles: Memory,
    pub(super) tile_rows: usize,
}

impl AdaptedRows {
    /// Of stretches of rows and their adapters, if they differ from those `before`.
    pub fn of<'a>(
        gpu: &Gpu,
        adapted: impl Iterator<Item = (&'a Arc<Adapter>, Range<u32>)>,
        before: &[AdaptedRows],
    ) -> Option<Vec<AdaptedRows>> {
        let mut all: Vec<(&Arc<Adapter>, Vec<u32>)> = Vec::new();
        for (adapter, rows) in adapted {
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
