//! Multi-head latent attention: low-rank projections around one shared, cached latent.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::cards::sum_of_cards;
use olivine_array::fast::latent::{HeadMatrices, LatentRows, latent_rows, project_heads};
use olivine_array::fast::linear::{Linear, linear};
use olivine_array::fast::moe::ExpertMatrix;
use olivine_array::fast::paged_attention::{PagedAttention, paged_attention};
use olivine_array::fast::rows::Rows;
use olivine_kernels::dense::DenseType;
use olivine_kernels::rope::Pairing;

use crate::ModelError;
use crate::load::Loader;
use crate::spec::{KvGroup, LatentSpec};
use crate::split::Split;

/// Epsilon of the norms inside the block; checkpoints do not configure it.
const INNER_EPSILON: f32 = 1e-6;

/// One layer's latent attention.
#[derive(Debug)]
pub struct LatentAttention {
    query: Query,
    kv: Arc<Linear>,
    rows: LatentRows,
    attend: PagedAttention,
    values: Arc<HeadMatrices>,
    heads: usize,
    out: Arc<Linear>,
    cards: usize,
}

#[derive(Debug)]
enum Query {
    Direct(Arc<Linear>),
    LowRank { down: Arc<Linear>, norm: Array, up: Arc<Linear> },
}

impl LatentAttention {
    /// Load layer `layer`.
    pub fn load(loader: &mut Loader<'_>, layer: usize, spec: &LatentSpec) -> Result<LatentAttention, ModelError> {
        let (hidden, at) = (loader.spec.hidden, Some(layer));
        let query_width = spec.heads * (spec.nope_dim + spec.rope_dim);
        let (cards, heads) = (loader.cards, spec.heads / loader.cards);
        let by_heads = [Split::rows(cards, &[query_width])];
        let query = match spec.query_rank {
            None => Query::Direct(loader.split_linear(at, &[("latent.q", query_width)], hidden, &by_heads)?),
            Some(rank) => Query::LowRank {
                down: loader.linear(at, &[("latent.q_a", rank)], hidden)?,
                norm: loader.norm("latent.q_a_norm", at, rank)?,
                up: loader.split_linear(at, &[("latent.q_b", query_width)], rank, &by_heads)?,
            },
        };
        let pairing = if spec.rope.interleaved { Pairing::Interleaved } else { Pairing::Halves };
        let (absorb, values) = head_matrices(loader, layer, spec)?;
        Ok(LatentAttention {
            query,
            kv: loader.linear(at, &[("latent.kv_a", spec.latent + spec.rope_dim)], hidden)?,
            rows: LatentRows {
                heads,
                latent: spec.latent,
                nope_dim: spec.nope_dim,
                rope_dim: spec.rope_dim,
                norm: (loader.norm("latent.kv_a_norm", at, spec.latent)?, INNER_EPSILON),
                rope: (loader.rope(&spec.rope), pairing),
                absorb,
                step: loader.step.clone(),
            },
            attend: PagedAttention {
                heads,
                kv_heads: 1,
                key_dim: spec.latent + spec.rope_dim,
                value_dim: spec.latent,
                group: loader.cache.group_index(KvGroup::Full),
                scale: spec.scale,
                window: None,
                soft_cap: None,
                sinks: None,
                cache: loader.cache.kv(layer),
                step: loader.step.clone(),
            },
            values,
            heads,
            out: loader.split_linear(
                at,
                &[("latent.out", hidden)],
                spec.heads * spec.value_dim,
                &[Split::columns(cards, spec.heads * spec.value_dim)],
            )?,
            cards,
        })
    }

    /// `x`: `[tokens, hidden]` → `[tokens, hidden]`.
    pub fn forward(&self, x: &Rows) -> Array {
        let q = match &self.query {
            Query::Direct(query) => linear(x, query),
            Query::LowRank { down, norm, up } => linear(Rows::normed(&linear(x, down), norm, INNER_EPSILON), up),
        }; // [tokens, heads * (nope + rope)]
        let kv = linear(x, &self.kv); // [tokens, latent + rope]
        let rows = latent_rows(&q, &kv, self.rows.clone());
        let mixed = paged_attention(&rows, self.attend.clone()); // [tokens, heads * latent]
        sum_of_cards(&linear(&project_heads(&mixed, &self.values, self.heads), &self.out), self.cards)
    }
}

/// Onto the latent `[heads, latent, nope]`, and from it `[heads, value, latent]`: two tensors (GGUF), or the rows
/// `[nope | value]` of each head of one.
fn head_matrices(
    loader: &Loader<'_>,
    layer: usize,
    spec: &LatentSpec,
) -> Result<(Arc<HeadMatrices>, Arc<HeadMatrices>), ModelError> {
    let (heads, latent, nope, value) = (spec.heads, spec.latent, spec.nope_dim, spec.value_dim);
    let at = Some(layer);
    let (keys, values) = if loader.weights.find("latent.k_b", at, None, "weight")?.is_some() {
        let keys = loader.weights.floats("latent.k_b", at, "weight", &[heads, latent, nope])?;
        (keys, loader.weights.floats("latent.v_b", at, "weight", &[heads, value, latent])?)
    } else {
        let both = loader.weights.floats("latent.kv_b", at, "weight", &[heads * (nope + value), latent])?;
        let (mut keys, mut values) = (vec![0.0; heads * latent * nope], Vec::with_capacity(heads * value * latent));
        for (head, rows) in both.chunks_exact((nope + value) * latent).enumerate() {
            for (n, row) in rows[..nope * latent].chunks_exact(latent).enumerate() {
                for (l, weight) in row.iter().enumerate() {
                    keys[(head * latent + l) * nope + n] = *weight;
                }
            }
            values.extend_from_slice(&rows[nope * latent..]);
        }
        (keys, values)
    };
    let matrices = |values: Vec<f32>, rows: usize, columns: usize| {
        let (dtype, bytes) = compact(&values);
        let owner = Arc::new(bytes);
        let weights = ExpertMatrix::Dense { dtype, experts: heads, rows, columns, owner, start: 0 };
        Arc::new(HeadMatrices { weights, precision: loader.precision, on_gpu: Default::default() })
    };
    Ok((matrices(keys, latent, nope), matrices(values, value, latent)))
}

/// As bf16 where that loses nothing, else as f32.
fn compact(values: &[f32]) -> (DenseType, Vec<u8>) {
    let exact = values.iter().all(|v| v.to_bits() & 0xffff == 0);
    match exact {
        true => (DenseType::Bf16, values.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect()),
        false => (DenseType::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    }
}
