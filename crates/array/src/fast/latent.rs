//! Multi-head latent attention in its absorbed form: queries are projected onto the cached latent, so that all heads
//! share one key and one value (arXiv:2405.04434, section 2.1).
//!
//! Oracle: keys and values expanded per head, then ordinary attention. Read next: `paged_attention.rs`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use olivine_gpu::Memory;
use olivine_gpu::ops::attention as on_gpu_attention;
use olivine_gpu::ops::copy::{Element, View, copy};
use olivine_gpu::ops::laying::{FileMatrix, Staging};
use olivine_gpu::ops::matmul::{Experts, MAX_ROWS, Matmul, matmul};
use olivine_gpu::ops::norm::{Norm as GpuNorm, NormKind, norm};
use olivine_gpu::ops::weights::Code;
use olivine_kernels::dense::{self, DenseType, ExpertGroup};
use olivine_kernels::norm::{Heads, rms_norm};
use olivine_kernels::pool::Pool;
use olivine_kernels::rope::{Pairing, rope};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::linear::{GpuMatrix, Precision};
use crate::fast::moe::ExpertMatrix;
use crate::fast::step::StepSlot;
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// A matrix for each head: `[heads, outputs, inputs]`.
#[derive(Debug)]
pub struct HeadMatrices {
    /// The matrices, dense.
    pub weights: ExpertMatrix,
    /// How exactly products are computed.
    pub precision: Precision,
    /// What a GPU needs for them.
    pub on_gpu: OnGpu,
}

/// The matrices on a GPU, and the rows of each head for the last few numbers of tokens.
#[derive(Debug, Default)]
pub struct OnGpu {
    matrix: OnceLock<GpuMatrix>,
    tiles: Mutex<Vec<(usize, Arc<HeadTiles>)>>,
}

/// Numbers of tokens that are remembered.
const MOST_TILES: usize = 16;

impl OnGpu {
    fn tiles(&self, gpu: &Gpu, tokens: usize, heads: usize) -> Arc<HeadTiles> {
        let mut all = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|(of, _)| *of == tokens);
        let entry =
            known.map_or_else(|| (tokens, Arc::new(HeadTiles::new(gpu, tokens, heads))), |index| all.remove(index));
        let tiles = entry.1.clone();
        all.push(entry);
        if all.len() > MOST_TILES {
            all.remove(0);
        }
        tiles
    }
}

/// Each row of tokens and heads under its head's matrix, as products on a GPU take them.
#[derive(Debug)]
struct HeadTiles {
    tiles: Memory,
    pairs: Memory,
    count: usize,
    tile_rows: usize,
}

impl HeadTiles {
    fn new(gpu: &Gpu, tokens: usize, heads: usize) -> HeadTiles {
        let tile_rows = tokens.next_power_of_two().min(MAX_ROWS);
        let pairs: Vec<u32> = (0..heads).flat_map(|head| (0..tokens).map(move |t| (t * heads + head) as u32)).collect();
        let tile = |head: usize, first: usize| {
            [head as u32, (head * tokens + first) as u32, (tokens - first).min(tile_rows) as u32, 0]
        };
        let firsts = || (0..tokens).step_by(tile_rows);
        let tiles: Vec<[u32; 4]> = (0..heads).flat_map(|head| firsts().map(move |first| tile(head, first))).collect();
        let (count, tiles) = (tiles.len(), gpu.upload(bytemuck::cast_slice(&tiles)));
        HeadTiles { tiles, pairs: gpu.upload(bytemuck::cast_slice(&pairs)), count, tile_rows }
    }
}

impl HeadMatrices {
    /// As [`HeadMatrices::apply`], on a GPU; a row of a head has its values `stride` behind those of the one before.
    fn record(&self, gpu: &Gpu, (x, stride): (&Memory, usize), [tokens, heads]: [usize; 2], out: &Memory) {
        let stack = self.weights.dense().expect("[latent] head matrices are dense");
        let matrix = self.on_gpu.matrix.get_or_init(|| {
            let code = match stack.dtype {
                DenseType::Bf16 => Code::Bf16,
                DenseType::F16 => Code::F16,
                DenseType::F32 => Code::F32,
            };
            let bytes: Vec<&[u8]> = stack.data.chunks_exact(stack.data.len() / stack.experts).collect();
            // Each card has as many heads as there are here.
            let shares = bytes.chunks(heads).map(|own| {
                let of_heads = own.iter().map(|bytes| FileMatrix::dense(code, stack.rows, stack.columns, *bytes));
                FileMatrix::of_experts(of_heads.collect()).expect("[latent] heads are stored alike")
            });
            let shares: Vec<FileMatrix> = shares.collect();
            GpuMatrix::new(gpu, &shares, &mut Staging::default())
        });
        let tiles = self.on_gpu.tiles(gpu, tokens, heads);
        let experts = Experts {
            tiles: &tiles.tiles,
            pairs: &tiles.pairs,
            max_tiles: tiles.count,
            tile_rows: tiles.tile_rows,
            choices: 1,
            features: stack.rows,
        };
        let options = Matmul { experts: Some(experts), ..Matmul::default() };
        gpu.record(|list| matmul(list, matrix.matrix(), x, stride, tokens * heads, &options, out));
    }

    /// `x`: `[tokens * heads, inputs]`, heads of a token together → `[tokens * heads, outputs]`.
    fn apply(&self, pool: &Pool, x: &[f32], heads: usize, out: &mut [f32]) {
        let stack = self.weights.dense().expect("[latent] head matrices are dense");
        let tokens = (x.len() / stack.columns / heads) as u32;
        let rows: Vec<Vec<(u32, u32)>> = (0..heads as u32)
            .map(|head| (0..tokens).map(|token| token * heads as u32 + head).map(|row| (row, row)).collect())
            .collect();
        let groups: Vec<_> = rows.iter().enumerate().map(|(expert, rows)| ExpertGroup { expert, rows }).collect();
        dense::matmul_experts(pool, x, &[(stack, 0)], &groups, out, stack.rows, self.precision.into());
    }
}

/// Each head's own projection: `x` `[tokens, heads * inputs]` → `[tokens, heads * outputs]`.
#[track_caller]
pub fn project_heads(x: &Array, matrices: &Arc<HeadMatrices>, heads: usize) -> Array {
    Array::apply(ProjectHeads { matrices: matrices.clone(), heads }, &[x])
}

#[derive(Debug)]
struct ProjectHeads {
    matrices: Arc<HeadMatrices>,
    heads: usize,
}

impl Primitive for ProjectHeads {
    fn name(&self) -> &'static str {
        "project_heads"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (shape, weights) = (inputs[0].shape(), &self.matrices.weights);
        assert!(
            shape.len() == 2 && shape[1] == self.heads * weights.columns(),
            "[project_heads] {shape:?} for {weights:?}"
        );
        one(&[shape[0], self.heads * weights.rows()], Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let x = inputs[0].contiguous();
        self.matrices.apply(context.pool(), x.slice(), self.heads, outputs[0].slice_mut());
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let Some(x) = inputs[0].on_gpu_dense(gpu) else { return false };
        let out = outputs[0].on_gpu_fresh(gpu);
        let sizes = [inputs[0].shape()[0], self.heads];
        self.matrices.record(gpu, (&x, self.matrices.weights.columns()), sizes, &out);
        true
    }
}

/// How queries and the latent become rows for [`crate::fast::paged_attention`].
#[derive(Clone, Debug)]
pub struct LatentRows {
    /// Query heads.
    pub heads: usize,
    /// Width of the latent.
    pub latent: usize,
    /// Width of a query head without positions.
    pub nope_dim: usize,
    /// Width of the rotated part.
    pub rope_dim: usize,
    /// Weight `[latent]` of the latent's RMS norm, and its epsilon.
    pub norm: (Array, f32),
    /// Index into the step's angles, and which elements form a pair.
    pub rope: (usize, Pairing),
    /// `[heads, latent, nope_dim]`: onto the latent.
    pub absorb: Arc<HeadMatrices>,
    /// The sequences.
    pub step: StepSlot,
}

/// `q` `[tokens, heads * (nope + rope)]`, `kv` `[tokens, latent + rope]` → rows of `heads` queries and one key of
/// `latent + rope`, and one value of `latent`.
#[track_caller]
pub fn latent_rows(q: &Array, kv: &Array, rows: LatentRows) -> Array {
    Array::apply(rows, &[q, kv])
}

impl Primitive for LatentRows {
    fn name(&self) -> &'static str {
        "latent_rows"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (q, kv) = (inputs[0].shape(), inputs[1].shape());
        let fits = q[1] == self.heads * (self.nope_dim + self.rope_dim) && kv == [q[0], self.latent + self.rope_dim];
        assert!(fits, "[latent_rows] queries {q:?}, latents {kv:?}");
        one(&[q[0], (self.heads + 1) * (self.latent + self.rope_dim) + self.latent], Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (pool, heads, latent, nope, rotated) =
            (context.pool(), self.heads, self.latent, self.nope_dim, self.rope_dim);
        let (q, kv) = (inputs[0].contiguous(), inputs[1].contiguous());
        let (q, kv) = (q.slice::<f32>(), kv.slice::<f32>());
        let tokens = kv.len() / (latent + rotated);
        let plain: Vec<f32> = q.chunks_exact(nope + rotated).flat_map(|head| &head[..nope]).copied().collect();
        let mut absorbed = vec![0.0; tokens * heads * latent];
        self.absorb.apply(pool, &plain, heads, &mut absorbed);
        let latents: Vec<f32> = kv.chunks_exact(latent + rotated).flat_map(|row| &row[..latent]).copied().collect();
        let mut normed = vec![0.0; latents.len()];
        rms_norm(pool, &latents, latent, Some(self.norm.0.tensor().slice()), self.norm.1, &mut normed);
        let out = outputs[0].slice_mut::<f32>();
        let (key_dim, stride) = (latent + rotated, (heads + 1) * (latent + rotated) + latent);
        for (token, row) in out.chunks_exact_mut(stride).enumerate() {
            let (queries, rest) = row.split_at_mut(heads * key_dim);
            for (head, query) in queries.chunks_exact_mut(key_dim).enumerate() {
                let index = token * heads + head;
                query[..latent].copy_from_slice(&absorbed[index * latent..][..latent]);
                query[latent..].copy_from_slice(&q[index * (nope + rotated) + nope..][..rotated]);
            }
            let normed = &normed[token * latent..][..latent];
            rest[..latent].copy_from_slice(normed);
            rest[latent..key_dim].copy_from_slice(&kv[token * key_dim + latent..][..rotated]);
            rest[key_dim..].copy_from_slice(normed);
        }
        let step = self.step.read();
        for head in 0..=heads {
            let part =
                Heads { rows: tokens, row_stride: stride, first: head * key_dim + latent, heads: 1, dim: rotated };
            rope(pool, out, part, &step.angles[self.rope.0], self.rope.1);
        }
    }
    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let step = self.step.read();
        let Some(on_gpu) = step.on_gpu() else { return false };
        let [q, kv] = [&inputs[0], &inputs[1]].map(|input| input.on_gpu_dense(gpu));
        let (Some(q), Some(kv)) = (q, kv) else { return false };
        let (heads, latent, nope, rotated) = (self.heads, self.latent, self.nope_dim, self.rope_dim);
        let (tokens, key_dim, query_dim) = (inputs[1].shape()[0], latent + rotated, nope + rotated);
        let stride = (heads + 1) * key_dim + latent;
        let sizes = [tokens * heads * latent, tokens * (heads + 1) * rotated, tokens * latent];
        let [absorbed, turned, normed] = gpu.scratch(sizes.map(|count| 4 * count));
        let weight = self.norm.0.tensor().buffer().on_gpu(gpu);
        let out = outputs[0].on_gpu_fresh(gpu);
        // Blocks of [tokens, heads, width] from one place to another.
        let put = |heads: usize, width: usize, from: Block<'_>, to: Block<'_>| {
            gpu.record(|list| copy(list, [1, tokens, heads, width], from.view(), to.view()));
        };
        self.absorb.record(gpu, (&q, query_dim), [tokens, heads], &absorbed);
        put(heads, latent, Block(&absorbed, 0, [heads * latent, latent]), Block(&out, 0, [stride, key_dim]));
        let all = [(heads + 1) * rotated, rotated];
        put(heads, rotated, Block(&q, nope, [heads * query_dim, query_dim]), Block(&turned, 0, all));
        put(1, rotated, Block(&kv, latent, [key_dim, 0]), Block(&turned, heads * rotated, [all[0], 0]));
        let pass = on_gpu_attention::Heads {
            heads: heads as u32,
            kv_heads: 1,
            head_dim: rotated as u32,
            row_stride: all[0] as u32,
            norms: None,
            epsilon: 0.0,
            rope: Some((&on_gpu.angles[self.rope.0], rotated as u32, self.rope.1 == Pairing::Interleaved)),
        };
        let rms = GpuNorm { kind: NormKind::Rms, weight: Some(weight), bias: None, epsilon: self.norm.1 };
        gpu.record(|list| {
            on_gpu_attention::heads(list, &pass, tokens as u32, &turned);
            norm(list, &rms, &kv, key_dim, [tokens, latent], None, &normed);
        });
        put(heads + 1, rotated, Block(&turned, 0, all), Block(&out, latent, [stride, key_dim]));
        for first in [heads * key_dim, (heads + 1) * key_dim] {
            put(1, latent, Block(&normed, 0, [latent, 0]), Block(&out, first, [stride, 0]));
        }
        true
    }
}

/// Memory, its first element, and the elements from token to token and from head to head.
struct Block<'a>(&'a Memory, usize, [usize; 2]);

impl<'a> Block<'a> {
    fn view(&self) -> View<'a> {
        let Block(memory, start, [token, head]) = *self;
        View { memory, element: Element::Word, start, strides: [0, token as isize, head as isize, 1] }
    }
}
