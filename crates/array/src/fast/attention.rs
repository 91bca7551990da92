//! `fast::attention`: scaled dot-product attention on dense arrays, with grouped heads, masks and sinks.
//!
//! The paged form that models use lives beside its cache; this is the one of the array vocabulary, in plain ops, and the
//! oracle of the paged one. Invariant: scores and softmax are f32 whatever the dtype. Read next: [`crate::fast::norm`].

use crate::array::Array;
use crate::dtype::Dtype;
use crate::ops::select::where_;
use crate::ops::{arange, concatenate};
use crate::shape::Shape;

/// Which keys a query sees.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// All.
    None,
    /// Those up to its own position, when the last query is aligned with the last key.
    Causal,
    /// As `Causal`, but only the last so many of them.
    Window(usize),
    /// True where the key is seen (bool), or added to the scores (float); broadcast to `[batch, heads, queries, keys]`.
    Array(&'a Array),
}

/// `softmax(scale · q kᵀ + mask) v`.
///
/// `q` `[batch, heads, queries, dim]`, `k` `[batch, kv_heads, keys, dim]`, `v` `[batch, kv_heads, keys, value_dim]`;
/// `heads` is a multiple of `kv_heads`. `sinks` `[heads]` are scores of a key without a value.
#[track_caller]
pub fn attention(q: &Array, k: &Array, v: &Array, scale: f32, mask: Mask<'_>, sinks: Option<&Array>) -> Array {
    check(q, k, v, sinks);
    let (batch, heads, queries, dim) = (q.dim(0), q.dim(1), q.dim(2), q.dim(3));
    let (kv_heads, keys) = (k.dim(1), k.dim(2));
    let group = heads / kv_heads;
    let grouped = (q.astype(Dtype::F32) * scale).reshape_to(&[batch, kv_heads, group, queries, dim]);
    let k = k.astype(Dtype::F32).expand_dims(&[2]).t(); // [batch, kv_heads, 1, dim, keys]
    let scores = grouped.matmul(&k).reshape_to(&[batch, heads, queries, keys]);
    let scores = masked(scores, mask);
    let weights = match sinks {
        None => scores.softmax(&[-1]),
        Some(sinks) => {
            let sink = sinks.astype(Dtype::F32).reshape_to(&[1, heads, 1, 1]);
            let sink = sink.broadcast_to(&[batch, heads, queries, 1]);
            concatenate(&[&scores, &sink], -1).softmax(&[-1]).slice_axis(-1, 0..keys as i64)
        }
    };
    let weights = weights.reshape_to(&[batch, kv_heads, group, queries, keys]);
    let out = weights.matmul(&v.astype(Dtype::F32).expand_dims(&[2]));
    out.reshape_to(&[batch, heads, queries, v.dim(3)]).astype(q.dtype())
}

#[track_caller]
fn check(q: &Array, k: &Array, v: &Array, sinks: Option<&Array>) {
    let shapes = (q.shape(), k.shape(), v.shape());
    assert!(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, "[attention] four dimensions each, not {shapes:?}");
    let fits = q.dim(0) == k.dim(0) && q.dim(3) == k.dim(3) && k.shape()[..3] == v.shape()[..3];
    assert!(fits && k.dim(1) > 0 && q.dim(1).is_multiple_of(k.dim(1)), "[attention] the shapes {shapes:?}");
    assert!(q.dtype().is_float(), "[attention] only floats, not {}", q.dtype());
    assert!(sinks.is_none_or(|sinks| sinks.shape() == [q.dim(1)]), "[attention] sinks are one a head");
}

#[track_caller]
fn masked(scores: Array, mask: Mask<'_>) -> Array {
    let (queries, keys) = (scores.dim(2), scores.dim(3));
    let seen = match mask {
        Mask::None => return scores,
        Mask::Array(mask) if mask.dtype() != Dtype::Bool => return scores + mask.astype(Dtype::F32),
        Mask::Array(mask) => mask.clone(),
        Mask::Causal => distance(queries, keys).greater_equal(0),
        Mask::Window(window) => {
            let distance = distance(queries, keys);
            distance.greater_equal(0).logical_and(distance.less(window as i32))
        }
    };
    where_(&seen, scores, f32::NEG_INFINITY)
}

/// How far each key lies before each query: `[queries, keys]`.
fn distance(queries: usize, keys: usize) -> Array {
    let first = keys as f64 - queries as f64;
    let query = arange(first, keys as f64, 1.0, Dtype::I32);
    let shape = Shape::from_slice(&[queries, 1]);
    query.reshape_to(&shape) - arange(0.0, keys as f64, 1.0, Dtype::I32)
}
