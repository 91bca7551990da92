//! Softmax attention: project, norm and rotate heads, write the cache, attend, project back.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::cards::{of_cards, sum_of_cards};
use olivine_array::fast::linear::{Linear, linear};
use olivine_array::fast::paged_attention::{HeadLayout, PagedAttention, paged_attention, prepare_heads};
use olivine_array::fast::rows::Rows;
use olivine_array::fast::step::StepSlot;
use olivine_kernels::rope::Pairing;

use crate::ModelError;
use crate::adapter::SiteModule;
use crate::load::Loader;
use crate::spec::{AttentionSpec, KvGroup};
use crate::split::{Ranges, Split, even, rows_of_heads};

/// One layer's attention.
#[derive(Debug)]
pub struct Attention {
    qkv: Arc<Linear>,
    heads: HeadLayout,
    attend: PagedAttention,
    gate_width: usize,
    out: Arc<Linear>,
    step: StepSlot,
    cards: usize,
}

impl Attention {
    /// Load layer `layer`.
    pub fn load(loader: &mut Loader<'_>, layer: usize, spec: &AttentionSpec) -> Result<Attention, ModelError> {
        let (hidden, dim, cards) = (loader.spec.hidden, spec.head_dim, loader.cards);
        let (heads, kv_heads, q_rows) = (spec.heads / cards, spec.kv_heads / cards, spec.heads * dim);
        let norms = match spec.head_norms {
            true => Some((
                loader.norm("attention.q_norm", Some(layer), dim)?,
                loader.norm("attention.k_norm", Some(layer), dim)?,
            )),
            false => None,
        };
        let rope = spec.rope.as_ref().map(|rope| {
            let pairing = if rope.interleaved { Pairing::Interleaved } else { Pairing::Halves };
            (loader.rope(rope), pairing)
        });
        let sinks = match spec.sinks {
            true => {
                let sinks = loader.weights.floats("attention.sinks", Some(layer), "weight", &[spec.heads])?;
                let shares = Split::rows(cards, &[spec.heads]);
                Some(of_cards(&(0..cards).map(|card| shares.values(&sinks, card)).collect::<Vec<_>>()))
            }
            false => None,
        };
        let group = spec.window.map_or(KvGroup::Full, KvGroup::Window);
        let attend = PagedAttention {
            heads,
            kv_heads,
            key_dim: dim,
            value_dim: dim,
            group: loader.cache.group_index(group),
            scale: spec.scale,
            window: spec.window,
            soft_cap: spec.soft_cap,
            sinks,
            cache: loader.cache.kv(layer),
            step: loader.step.clone(),
        };
        Ok(Attention {
            qkv: load_qkv(loader, layer, spec)?,
            heads: HeadLayout { heads, kv_heads, head_dim: dim, norms, epsilon: loader.spec.norm_epsilon, rope },
            attend,
            gate_width: if spec.output_gate { q_rows / cards } else { 0 },
            out: loader.split_linear(
                Some(layer),
                &[("attention.out", hidden)],
                q_rows,
                &[Split::columns(cards, q_rows)],
            )?,
            step: loader.step.clone(),
            cards,
        })
    }

    /// `x`: `[tokens, hidden]` → `[tokens, hidden]`, or those rows of it that are `wanted`.
    pub fn forward(&self, x: &Rows, wanted: Option<&Array>) -> Array {
        let rows = linear(x, &self.qkv); // [tokens, (heads + 2 kv_heads) * head_dim (+ gate)]
        let width = self.qkv.rows() - self.gate_width;
        let qkv = if self.gate_width > 0 { rows.slice_axis(1, 0..width as i64) } else { rows.clone() };
        let qkv = prepare_heads(&qkv, self.heads.clone(), &self.step);
        let mut mixed = paged_attention(&qkv, self.attend.clone()); // [tokens, heads * head_dim]
        if self.gate_width > 0 {
            let gate = rows.slice_axis(1, width as i64..);
            mixed = mixed.multiply(gate.sigmoid());
        }
        let mixed = wanted.map_or(mixed.clone(), |wanted| mixed.take(wanted, 0));
        sum_of_cards(&linear(&mixed, &self.out), self.cards)
    }
}

/// Queries, keys, values and, last, the gate: one projection. Checkpoints have q, k and v apart or merged; where
/// there is a gate, each head's query is followed by its gate.
fn load_qkv(loader: &Loader<'_>, layer: usize, spec: &AttentionSpec) -> Result<Arc<Linear>, ModelError> {
    let (hidden, dim, cards) = (loader.spec.hidden, spec.head_dim, loader.cards);
    let (q_rows, kv_rows) = (spec.heads * dim, spec.kv_heads * dim);
    if loader.weights.find("attention.qkv", Some(layer), None, "weight")?.is_some() {
        let split = Split::rows(cards, &[q_rows, kv_rows, kv_rows]);
        return loader.split_linear(Some(layer), &[("attention.qkv", q_rows + 2 * kv_rows)], hidden, &[split]);
    }
    let modules = [("attention.q", q_rows), ("attention.k", kv_rows), ("attention.v", kv_rows)];
    if !spec.output_gate {
        let splits = [q_rows, kv_rows, kv_rows].map(|rows| Split::rows(cards, &[rows]));
        let linear = loader.split_linear(Some(layer), &modules, hidden, &splits)?;
        if loader.weights.is_gguf() && spec.rope.as_ref().is_some_and(|rope| rope.interleaved) {
            let mut sites = loader.sites.borrow_mut();
            let modules = sites.last_mut().into_iter().flat_map(|site| &mut site.modules);
            modules.filter(|module| module.canonical != "attention.v").for_each(|module| module.pair_halves(dim));
        }
        return Ok(linear);
    }
    let queries = loader.tensor("attention.q", Some(layer), 2 * q_rows, hidden)?;
    // Of each card: its heads' queries, or their gates.
    let pick = |offset: usize| -> Vec<Ranges> {
        let heads = |card: usize| even(&[spec.heads], card, cards).remove(0).map(|head| 2 * head + offset);
        (0..cards).map(|card| rows_of_heads(&heads(card).collect::<Vec<_>>(), 0, dim)).collect()
    };
    let (picked, gates) = (Split::Rows(pick(0)), Split::Rows(pick(1)));
    let of_kv = Split::rows(cards, &[kv_rows]);
    let keys = loader.tensor("attention.k", Some(layer), kv_rows, hidden)?;
    let values = loader.tensor("attention.v", Some(layer), kv_rows, hidden)?;
    let parts = [
        loader.split_matrix(std::slice::from_ref(&queries), std::slice::from_ref(&picked))?,
        loader.split_matrix(&[keys], std::slice::from_ref(&of_kv))?,
        loader.split_matrix(&[values], std::slice::from_ref(&of_kv))?,
        loader.split_matrix(&[queries], std::slice::from_ref(&gates))?,
    ];
    let bias = match loader.weights.floats_if("attention.q", Some(layer), "bias", 2 * q_rows)? {
        None => None,
        Some(q) => {
            let k = loader.weights.floats("attention.k", Some(layer), "bias", &[kv_rows])?;
            let v = loader.weights.floats("attention.v", Some(layer), "bias", &[kv_rows])?;
            let of_card = |card: usize| {
                let parts = [(&picked, &q), (&of_kv, &k), (&of_kv, &v), (&gates, &q)];
                parts.iter().flat_map(|(split, values)| split.values(values, card)).collect()
            };
            Some((0..cards).map(of_card).collect())
        }
    };
    let keys = SiteModule::in_order("attention.k", layer, kv_rows, q_rows);
    let values = SiteModule::in_order("attention.v", layer, kv_rows, q_rows + kv_rows);
    let order = |offset: usize| (0..q_rows).map(|row| (2 * (row / dim) + offset) * dim + row % dim).collect();
    let places = vec![(0, order(0)), (q_rows + 2 * kv_rows, order(1))];
    let queries = SiteModule { canonical: "attention.q".into(), layer, rows: 2 * q_rows, places };
    Ok(loader.linear_of(parts.to_vec(), bias, vec![queries, keys, values]))
}
