//! Multi-head latent attention in its absorbed form: queries are projected onto the cached latent, so that all heads
//! share one key and one value (arXiv:2405.04434, section 2.1).
//!
//! Oracle: keys and values expanded per head, then ordinary attention. Read next: `paged_attention.rs`.

use std::sync::Arc;

use olivine_kernels::dense::{self, ExpertGroup};
use olivine_kernels::norm::{Heads, rms_norm};
use olivine_kernels::pool::Pool;
use olivine_kernels::rope::{Pairing, rope};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::linear::Precision;
use crate::fast::moe::ExpertMatrix;
use crate::fast::step::StepSlot;
use crate::primitive::{EvalContext, Primitive, Specs, Tensor, one};

/// A matrix for each head: `[heads, outputs, inputs]`.
#[derive(Debug)]
pub struct HeadMatrices {
    /// The matrices, dense.
    pub weights: ExpertMatrix,
    /// How exactly products are computed.
    pub precision: Precision,
}

impl HeadMatrices {
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
    pub norm: (Vec<f32>, f32),
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
        rms_norm(pool, &latents, latent, Some(&self.norm.0), self.norm.1, &mut normed);
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
}
