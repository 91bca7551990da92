//! The gated delta rule, the causal convolution and the gated norm: values made by transformers' own functions, a
//! plain f64 loop, and the promise of equal bits, on every tier. `data/recurrent.json` says what made it.

mod common;

use common::{exclusive, random};
use olivine_kernels::cpu;
use olivine_kernels::pool::Pool;
use olivine_kernels::recurrent::{
    ConvolutionShape, DeltaInputs, DeltaShape, RecurrentRows, RowView, causal_convolution, delta_gates,
    gated_delta_rule, gated_rms_norm,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("data/recurrent.json")).expect("the golden file is JSON")
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number") as f32).collect()
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}

fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let allowed = tolerance * expected.abs().max(0.1);
        assert!((got - expected).abs() <= allowed, "{what}, value {index}: {got} for {expected}");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn gates_and_delta_rule_equal_the_golden_values() {
    let _turn = exclusive();
    let golden = &golden()["delta"];
    let [key_heads, value_heads, key_dim, value_dim, tokens] =
        ["key_heads", "value_heads", "key_dim", "value_dim", "tokens"].map(|name| size(&golden[name]));
    let shape = DeltaShape { key_heads, value_heads, key_dim, value_dim };
    let [queries, keys, values, a, b] = ["queries", "keys", "values", "a", "b"].map(|name| floats(&golden[name]));
    for tier in cpu::available() {
        cpu::force(tier);
        let (mut decay, mut beta) = (vec![0.0; tokens * value_heads], vec![0.0; tokens * value_heads]);
        let gates = |values| RowView::packed(values, value_heads);
        let (a_log, dt_bias) = (floats(&golden["a_log"]), floats(&golden["dt_bias"]));
        delta_gates(gates(&a), gates(&b), &a_log, &dt_bias, &mut decay, &mut beta);
        assert_close(&decay, &floats(&golden["decay"]), 2e-6, "decay");
        assert_close(&beta, &floats(&golden["beta"]), 2e-6, "beta");
        let inputs = DeltaInputs {
            queries: RowView::packed(&queries, key_heads * key_dim),
            keys: RowView::packed(&keys, key_heads * key_dim),
            values: RowView::packed(&values, value_heads * value_dim),
            decay: gates(&decay),
            beta: gates(&beta),
        };
        // The state lies in the second of three slots; its neighbours stay as they are.
        let mut states = vec![7.0; 3 * shape.state_len()];
        states[shape.state_len()..2 * shape.state_len()].copy_from_slice(&floats(&golden["state"]));
        let mut out = vec![f32::NAN; tokens * value_heads * value_dim];
        let rows = RecurrentRows { first_row: 0, rows: tokens, slot: 1 };
        gated_delta_rule(&Pool::new(2), &shape, &inputs, &[rows], &mut states, &mut out);
        assert_close(&out, &floats(&golden["out"]), 5e-6, "out");
        let state = &states[shape.state_len()..2 * shape.state_len()];
        assert_close(state, &floats(&golden["final_state"]), 5e-6, "state");
        assert!(states.iter().filter(|&&value| value == 7.0).count() == 2 * shape.state_len());
    }
}

#[test]
fn convolution_equals_the_golden_values() {
    let _turn = exclusive();
    let golden = &golden()["convolution"];
    let [channels, kernel, tokens] = ["channels", "kernel", "tokens"].map(|name| size(&golden[name]));
    let shape = ConvolutionShape { channels, kernel };
    let [input, weight, bias] = ["input", "weight", "bias"].map(|name| floats(&golden[name]));
    for tier in cpu::available() {
        cpu::force(tier);
        for piece in [1, 2, tokens] {
            let mut state = floats(&golden["state"]);
            let mut out = Vec::new();
            for first in (0..tokens).step_by(piece) {
                let rows = piece.min(tokens - first);
                let input = RowView::packed(&input[first * channels..], channels);
                let mut part = vec![f32::NAN; rows * channels];
                let row = [RecurrentRows { first_row: 0, rows, slot: 0 }];
                let pool = Pool::new(2);
                causal_convolution(&pool, &shape, input, &weight, Some(&bias), true, &row, &mut state, &mut part);
                out.extend(part);
            }
            assert_close(&out, &floats(&golden["out"]), 3e-6, "out");
            assert_eq!(state, floats(&golden["final_state"]), "the state is a copy of the last inputs");
        }
    }
}

#[test]
fn gated_norm_equals_the_golden_values() {
    let _turn = exclusive();
    let golden = &golden()["norm"];
    let dim = size(&golden["dim"]);
    let [x, gate, weight] = ["x", "gate", "weight"].map(|name| floats(&golden[name]));
    for tier in cpu::available() {
        cpu::force(tier);
        let mut x = x.clone();
        gated_rms_norm(&Pool::new(2), &mut x, 2, RowView::packed(&gate, 2 * dim), &weight, 1e-6);
        assert_close(&x, &floats(&golden["out"]), 3e-6, "norm");
    }
}

/// Real head sizes and one that fills neither a block nor a vector.
const SHAPES: [DeltaShape; 3] = [
    DeltaShape { key_heads: 1, value_heads: 2, key_dim: 128, value_dim: 128 },
    DeltaShape { key_heads: 2, value_heads: 2, key_dim: 64, value_dim: 96 },
    DeltaShape { key_heads: 1, value_heads: 3, key_dim: 17, value_dim: 75 },
];

/// Inputs as a model has them: queries, keys and values side by side in one row, gates in another buffer.
struct Setup {
    shape: DeltaShape,
    mixed: Vec<f32>,
    decay: Vec<f32>,
    beta: Vec<f32>,
}

impl Setup {
    fn new(shape: DeltaShape, tokens: usize, seed: u64) -> Setup {
        let gates = |seed| random(tokens * shape.value_heads, seed).iter().map(|value| 0.5 + 0.499 * value).collect();
        let mixed = random(tokens * Setup::width(&shape), seed);
        Setup { shape, mixed, decay: gates(seed + 1), beta: gates(seed + 2) }
    }

    fn width(shape: &DeltaShape) -> usize {
        2 * shape.key_heads * shape.key_dim + shape.value_heads * shape.value_dim
    }

    fn inputs(&self, first: usize) -> DeltaInputs<'_> {
        let (width, keys) = (Setup::width(&self.shape), self.shape.key_heads * self.shape.key_dim);
        let heads = self.shape.value_heads;
        let part = |start: usize| RowView { values: &self.mixed[first * width + start..], row_stride: width };
        DeltaInputs {
            queries: part(0),
            keys: part(keys),
            values: part(2 * keys),
            decay: RowView::packed(&self.decay[first * heads..], heads),
            beta: RowView::packed(&self.beta[first * heads..], heads),
        }
    }

    /// Outputs of rows `range` and the state after them, in pieces of `piece` rows.
    fn run(&self, pool: &Pool, range: std::ops::Range<usize>, piece: usize, state: &mut [f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for first in range.clone().step_by(piece) {
            let rows = piece.min(range.end - first);
            let mut part = vec![f32::NAN; rows * self.shape.value_heads * self.shape.value_dim];
            let sequence = RecurrentRows { first_row: 0, rows, slot: 0 };
            gated_delta_rule(pool, &self.shape, &self.inputs(first), &[sequence], state, &mut part);
            out.extend(part);
        }
        out
    }

    /// The definition, in f64.
    fn expected(&self, tokens: usize) -> Vec<f32> {
        let DeltaShape { key_heads, value_heads, key_dim, value_dim } = self.shape;
        let width = Setup::width(&self.shape);
        let mut out = vec![0.0; tokens * value_heads * value_dim];
        for head in 0..value_heads {
            let mut state = vec![0.0f64; key_dim * value_dim];
            let key_head = head / (value_heads / key_heads);
            for token in 0..tokens {
                let row = &self.mixed[token * width..][..width];
                let unit = |start: usize| -> Vec<f64> {
                    let values: Vec<f64> = row[start..][..key_dim].iter().map(|&value| f64::from(value)).collect();
                    let length = (values.iter().map(|value| value * value).sum::<f64>() + 1e-6).sqrt();
                    values.iter().map(|value| value / length).collect()
                };
                let (query, key) = (unit(key_head * key_dim), unit((key_heads + key_head) * key_dim));
                let gate = |gates: &[f32]| f64::from(gates[token * value_heads + head]);
                state.iter_mut().for_each(|value| *value *= gate(&self.decay));
                for column in 0..value_dim {
                    let value = f64::from(row[2 * key_heads * key_dim + head * value_dim + column]);
                    let known: f64 = (0..key_dim).map(|at| state[at * value_dim + column] * key[at]).sum();
                    let delta = (value - known) * gate(&self.beta);
                    (0..key_dim).for_each(|at| state[at * value_dim + column] += key[at] * delta);
                    let read: f64 = (0..key_dim).map(|at| state[at * value_dim + column] * query[at]).sum();
                    out[(token * value_heads + head) * value_dim + column] = (read / (key_dim as f64).sqrt()) as f32;
                }
            }
        }
        out
    }
}

#[test]
fn delta_rule_equals_its_definition_in_pieces_of_any_length() {
    let _turn = exclusive();
    for (number, shape) in SHAPES.into_iter().enumerate() {
        let tokens = 150;
        let setup = Setup::new(shape, tokens, number as u64 + 1);
        let expected = setup.expected(tokens);
        for tier in cpu::available() {
            cpu::force(tier);
            let mut state = vec![0.0; shape.state_len()];
            let whole = setup.run(&Pool::new(1), 0..tokens, tokens, &mut state);
            assert_close(&whole, &expected, 2e-5, &format!("{shape:?}, {tier:?}"));
            for (threads, piece) in [(1, 1), (2, 7), (3, 64)] {
                let mut other = vec![0.0; shape.state_len()];
                let pieces = setup.run(&Pool::new(threads), 0..tokens, piece, &mut other);
                assert!(bits(&pieces) == bits(&whole), "{shape:?}, {tier:?}, pieces of {piece}");
                assert!(bits(&other) == bits(&state), "state, {shape:?}, {tier:?}, pieces of {piece}");
            }
        }
    }
}

/// Seventeen sequences with rows of different counts in one batch, slots in another order than rows.
#[test]
fn delta_rule_bits_do_not_depend_on_the_batch() {
    let _turn = exclusive();
    for shape in SHAPES {
        let setup = Setup::new(shape, 17 * 6, 40);
        let mut sequences = Vec::new();
        let mut first_row = 0;
        for index in 0..17 {
            let rows = 1 + index % 6;
            sequences.push(RecurrentRows { first_row, rows, slot: (index * 5) % 17 });
            first_row += rows;
        }
        let before = random(17 * shape.state_len(), 50);
        for tier in cpu::available() {
            cpu::force(tier);
            let mut states = before.clone();
            let width = shape.value_heads * shape.value_dim;
            let mut out = vec![f32::NAN; first_row * width];
            gated_delta_rule(&Pool::new(3), &shape, &setup.inputs(0), &sequences, &mut states, &mut out);
            for sequence in &sequences {
                let slot = sequence.slot * shape.state_len()..(sequence.slot + 1) * shape.state_len();
                let range = sequence.first_row..sequence.first_row + sequence.rows;
                let mut state = before[slot.clone()].to_vec();
                let alone = setup.run(&Pool::new(1), range.clone(), 1, &mut state);
                assert!(bits(&alone) == bits(&out[range.start * width..range.end * width]), "{shape:?}, {tier:?}");
                assert!(bits(&state) == bits(&states[slot]), "state, {shape:?}, {tier:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "share a slot")]
fn two_sequences_may_not_share_a_state() {
    let setup = Setup::new(SHAPES[2], 4, 1);
    let sequences = [0, 2].map(|first_row| RecurrentRows { first_row, rows: 2, slot: 0 });
    let (mut states, mut out) = (vec![0.0; 2 * SHAPES[2].state_len()], vec![0.0; 4 * 3 * 75]);
    gated_delta_rule(&Pool::new(1), &SHAPES[2], &setup.inputs(0), &sequences, &mut states, &mut out);
}
