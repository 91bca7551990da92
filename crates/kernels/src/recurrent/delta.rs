//! The gated delta rule (Gated DeltaNet, arXiv 2412.06464), as Qwen3-Next and Qwen3.5 use it.
//!
//! Per value head and token, with unit-length key `k` and query `q` (the latter over `sqrt(key_dim)`):
//! `S = decay * S`, `S += k ⊗ beta * (v - kᵀS)`, `out = qᵀS`, where `S` is `[key_dim, value_dim]`. Columns of `S` do
//! not touch each other, so a part is a head's block of columns, which stays in the first-level cache over all tokens.
//! One pass over the block finishes the update of the last token and reads for this one.
//! Invariant: a pass does the same operations in the same order wherever a piece of the prompt begins or ends.

// Register tiles are indexed by vector in step with pointers.
#![allow(clippy::needless_range_loop)]

use super::{RecurrentRows, RowView, SharedOut, check_rows};
use crate::lanes::{self, Job, LANES, Lanes};
use crate::pool::Pool;

/// Columns of a part: four vectors.
const COLUMNS: usize = 4 * LANES;

/// Tokens whose keys and queries are normalised together.
const BATCH: usize = 8;

/// Added to a squared length before its root.
const EPSILON: f32 = 1e-6;

/// Heads and widths of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaShape {
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values: a multiple of `key_heads`. Value head `h` goes with key head `h / (value_heads / key_heads)`.
    pub value_heads: usize,
    /// Width of queries and keys.
    pub key_dim: usize,
    /// Width of values.
    pub value_dim: usize,
}

impl DeltaShape {
    /// Values of one sequence's state `[value_heads, key_dim, value_dim]`.
    pub fn state_len(&self) -> usize {
        self.value_heads * self.key_dim * self.value_dim
    }
}

/// What the rule reads for each row.
#[derive(Clone, Copy, Debug)]
pub struct DeltaInputs<'a> {
    /// `[tokens, key_heads, key_dim]`, of any length: they are normalised here.
    pub queries: RowView<'a>,
    /// `[tokens, key_heads, key_dim]`, as the queries.
    pub keys: RowView<'a>,
    /// `[tokens, value_heads, value_dim]`.
    pub values: RowView<'a>,
    /// `[tokens, value_heads]`: what is left of the state, 0 to 1 (see [`delta_gates`]).
    pub decay: RowView<'a>,
    /// `[tokens, value_heads]`: how much of the error is corrected, 0 to 1.
    pub beta: RowView<'a>,
}

/// The gates of the rule: `decay = exp(-exp(a_log) * softplus(a + dt_bias))`, `beta = sigmoid(b)`.
///
/// `a`, `b`, `decay`, `beta`: `[tokens, value_heads]`; `a_log`, `dt_bias`: `[value_heads]`.
pub fn delta_gates(a: RowView, b: RowView, a_log: &[f32], dt_bias: &[f32], decay: &mut [f32], beta: &mut [f32]) {
    let heads = a_log.len();
    assert_eq!(dt_bias.len(), heads, "[delta_gates] dt_bias");
    assert!(decay.len() == beta.len() && decay.len().is_multiple_of(heads), "[delta_gates] outputs");
    lanes::run(Gates { a, b, a_log, dt_bias, decay, beta });
}

struct Gates<'a> {
    a: RowView<'a>,
    b: RowView<'a>,
    a_log: &'a [f32],
    dt_bias: &'a [f32],
    decay: &'a mut [f32],
    beta: &'a mut [f32],
}

impl Job for Gates<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let heads = self.a_log.len();
        let rows = self.decay.chunks_exact_mut(heads).zip(self.beta.chunks_exact_mut(heads));
        for (row, (decay, beta)) in rows.enumerate() {
            let (a, b) = (self.a.part(row, 0, heads), self.b.part(row, 0, heads));
            for first in (0..heads).step_by(LANES) {
                let part = first..(first + LANES).min(heads);
                // SAFETY: the caller has the instructions of `L`.
                unsafe {
                    let log2_e = L::splat(std::f32::consts::LOG2_E);
                    let input = lanes::load_part::<L>(&a[part.clone()]);
                    let step = softplus::<L>(L::add(input, lanes::load_part::<L>(&self.dt_bias[part.clone()])));
                    let rate = lanes::exp2::<L>(L::mul(lanes::load_part::<L>(&self.a_log[part.clone()]), log2_e));
                    let exponent = L::mul(L::mul(rate, step), L::splat(-std::f32::consts::LOG2_E));
                    lanes::store_part::<L>(&mut decay[part.clone()], lanes::exp2::<L>(exponent));
                    let gate = lanes::sigmoid::<L>(lanes::load_part::<L>(&b[part.clone()]));
                    lanes::store_part::<L>(&mut beta[part], gate);
                }
            }
        }
    }
}

/// `ln(1 + e^x)` as `max(x, 0) + ln(1 + t)` with `t = e^-|x|`, and `ln(1 + t) = 2 artanh(t / (2 + t))` by its series:
/// the argument is at most 1/3, eight terms leave 1e-8.
#[inline(always)]
unsafe fn softplus<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has the instructions of `L`.
    unsafe {
        let zero = L::splat(0.0);
        let magnitude = L::max(x, L::sub(zero, x));
        let power = lanes::exp2::<L>(L::mul(magnitude, L::splat(-std::f32::consts::LOG2_E)));
        let ratio = L::div(power, L::add(power, L::splat(2.0)));
        let square = L::mul(ratio, ratio);
        let mut sum = L::splat(2.0 / 15.0);
        for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
            sum = L::fma(sum, square, L::splat(2.0 / odd));
        }
        L::fma(sum, ratio, L::max(zero, x))
    }
}

/// Run the rule over the rows of `sequences`. `states`: `[slots, value_heads, key_dim, value_dim]`, read and written;
/// `out`: `[tokens, value_heads, value_dim]`.
pub fn gated_delta_rule(
    pool: &Pool,
    shape: &DeltaShape,
    inputs: &DeltaInputs,
    sequences: &[RecurrentRows],
    states: &mut [f32],
    out: &mut [f32],
) {
    let DeltaShape { key_heads, value_heads, value_dim, .. } = *shape;
    assert!(value_heads.is_multiple_of(key_heads), "[gated_delta_rule] {shape:?}");
    let (rows, slots) = (out.len() / (value_heads * value_dim), states.len() / shape.state_len());
    check_rows("gated_delta_rule", sequences, rows, slots);
    let blocks = value_dim.div_ceil(COLUMNS);
    let per_sequence = value_heads * blocks;
    let (states, out) = (SharedOut(states.as_mut_ptr()), SharedOut(out.as_mut_ptr()));
    pool.run(sequences.len() * per_sequence, &|part| {
        let (sequence, head, block) = (part / per_sequence, part % per_sequence / blocks, part % blocks);
        let (states, out) = (&states, &out);
        let first_column = block * COLUMNS;
        let columns = COLUMNS.min(value_dim - first_column);
        lanes::run(Scan { shape, inputs, sequence: &sequences[sequence], head, first_column, columns, states, out });
    });
}

/// One head's block of columns over all rows of a sequence.
struct Scan<'a> {
    shape: &'a DeltaShape,
    inputs: &'a DeltaInputs<'a>,
    sequence: &'a RecurrentRows,
    head: usize,
    first_column: usize,
    columns: usize,
    states: &'a SharedOut,
    out: &'a SharedOut,
}

impl Job for Scan<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let DeltaShape { value_heads, key_dim, value_dim, .. } = *self.shape;
        if self.sequence.rows == 0 {
            return;
        }
        let start = (self.sequence.slot * value_heads + self.head) * key_dim * value_dim + self.first_column;
        // SAFETY: the slot was checked; the columns of this part are its own.
        unsafe {
            let state = self.states.0.add(start);
            let whole = self.columns / LANES * LANES;
            let mut column = 0;
            while L::WIDE == 4 && column + COLUMNS <= whole {
                self.scan::<L, 4>(state.add(column), value_dim, column, COLUMNS);
                column += COLUMNS;
            }
            while column < whole {
                self.scan::<L, 1>(state.add(column), value_dim, column, LANES);
                column += LANES;
            }
            if column < self.columns {
                // The last columns do not fill a vector: work on a copy that has room.
                let width = self.columns - column;
                let mut copy = vec![0.0; key_dim * LANES];
                for row in 0..key_dim {
                    let from = state.add(row * value_dim + column);
                    std::ptr::copy_nonoverlapping(from, copy.as_mut_ptr().add(row * LANES), width);
                }
                self.scan::<L, 1>(copy.as_mut_ptr(), LANES, column, width);
                for row in 0..key_dim {
                    let to = state.add(row * value_dim + column);
                    std::ptr::copy_nonoverlapping(copy.as_ptr().add(row * LANES), to, width);
                }
            }
        }
    }
}

impl Scan<'_> {
    /// `VECTORS` vectors of columns from `column` of the block on, of which `width` columns exist.
    #[inline(always)]
    unsafe fn scan<L: Lanes, const VECTORS: usize>(&self, state: *mut f32, stride: usize, column: usize, width: usize) {
        let DeltaShape { key_heads, value_heads, key_dim, value_dim } = *self.shape;
        let key_start = self.head / (value_heads / key_heads) * key_dim;
        let column = self.head * value_dim + self.first_column + column;
        let mut unit = vec![0.0; (BATCH + 1) * 2 * key_dim];
        // The key of the last token lies in front of the batch: its update is still to be done.
        let (last_key, unit) = unit.split_at_mut(2 * key_dim);
        let rows = self.sequence.first_row..self.sequence.first_row + self.sequence.rows;
        // SAFETY: the caller has the instructions of `L` and gives the state of these columns; slices are checked.
        unsafe {
            let mut delta = [L::splat(0.0); VECTORS];
            for batch in rows.clone().step_by(BATCH) {
                let batch = batch..(batch + BATCH).min(rows.end);
                for (row, pair) in batch.clone().zip(unit.chunks_exact_mut(2 * key_dim)) {
                    let (key, query) = pair.split_at_mut(key_dim);
                    normalise::<L>(self.inputs.keys.part(row, key_start, key_dim), 1.0, key);
                    let scale = 1.0 / (key_dim as f32).sqrt();
                    normalise::<L>(self.inputs.queries.part(row, key_start, key_dim), scale, query);
                }
                for (row, pair) in batch.zip(unit.chunks_exact(2 * key_dim)) {
                    let decay = self.inputs.decay.part(row, self.head, 1)[0];
                    let beta = L::splat(self.inputs.beta.part(row, self.head, 1)[0]);
                    let values = self.inputs.values.part(row, column, width);
                    let out =
                        std::slice::from_raw_parts_mut(self.out.0.add(row * value_heads * value_dim + column), width);
                    let (key, query) = pair.split_at(key_dim);
                    let read = if row == rows.start {
                        pass::<L, VECTORS, false>(state, stride, last_key, &delta, decay, key, query)
                    } else {
                        pass::<L, VECTORS, true>(state, stride, last_key, &delta, decay, key, query)
                    };
                    let agreement = L::splat(dot::<L>(key, query));
                    for vector in 0..VECTORS {
                        let part = vector * LANES..((vector + 1) * LANES).min(width);
                        let error = L::sub(lanes::load_part::<L>(&values[part.clone()]), read.of_key[vector]);
                        delta[vector] = L::mul(error, beta);
                        lanes::store_part::<L>(&mut out[part], L::fma(delta[vector], agreement, read.of_query[vector]));
                    }
                    last_key.copy_from_slice(pair);
                }
            }
            for (row, &key) in last_key[..key_dim].iter().enumerate() {
                for vector in 0..VECTORS {
                    let at = state.add(row * stride + vector * LANES);
                    L::store(at, L::fma(L::splat(key), delta[vector], L::load(at)));
                }
            }
        }
    }
}

/// What the state answers to a key and to a query.
struct Read<F, const VECTORS: usize> {
    of_key: [F; VECTORS],
    of_query: [F; VECTORS],
}

/// Finish the last token's update (unless there was none), decay, and read the state with this token's key and query.
#[inline(always)]
unsafe fn pass<L: Lanes, const VECTORS: usize, const HAS_LAST: bool>(
    state: *mut f32,
    stride: usize,
    last_key: &[f32],
    delta: &[L::F; VECTORS],
    decay: f32,
    key: &[f32],
    query: &[f32],
) -> Read<L::F, VECTORS> {
    // SAFETY: the state has a row of `VECTORS` vectors for each value of the key.
    unsafe {
        let mut read = Read { of_key: [L::splat(0.0); VECTORS], of_query: [L::splat(0.0); VECTORS] };
        let decay = L::splat(decay);
        for (row, ((&last, &key), &query)) in last_key.iter().zip(key).zip(query).enumerate() {
            let (last, key, query) = (L::splat(last), L::splat(key), L::splat(query));
            for vector in 0..VECTORS {
                let at = state.add(row * stride + vector * LANES);
                let mut value = L::load(at);
                if HAS_LAST {
                    value = L::fma(last, delta[vector], value);
                }
                value = L::mul(value, decay);
                L::store(at, value);
                read.of_key[vector] = L::fma(value, key, read.of_key[vector]);
                read.of_query[vector] = L::fma(value, query, read.of_query[vector]);
            }
        }
        read
    }
}

/// `values` at unit length, times `scale`.
#[inline(always)]
unsafe fn normalise<L: Lanes>(values: &[f32], scale: f32, unit: &mut [f32]) {
    // SAFETY: the caller has the instructions of `L`.
    unsafe {
        let factor = L::splat(scale / (dot::<L>(values, values) + EPSILON).sqrt());
        for (from, to) in values.chunks(LANES).zip(unit.chunks_mut(LANES)) {
            lanes::store_part::<L>(to, L::mul(lanes::load_part::<L>(from), factor));
        }
    }
}

#[inline(always)]
unsafe fn dot<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller has the instructions of `L`.
    unsafe {
        let mut sum = L::splat(0.0);
        for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
            sum = L::fma(lanes::load_part::<L>(a), lanes::load_part::<L>(b), sum);
        }
        L::reduce_sum(sum)
    }
}
