//! Norms, formulas, copies, rows.

use std::sync::Arc;

use olivine_gpu::expression::{Binary, Expression, Unary};
use olivine_gpu::ops::copy::{Element, View, copy, scatter, take};
use olivine_gpu::ops::elementwise::{Operand, elementwise, gated};
use olivine_gpu::ops::matmul::Gate;
use olivine_gpu::ops::norm::{Norm, NormKind, norm};
use olivine_gpu::ops::rows::{RowKind, rows};
use olivine_kernels::norm as cpu;
use olivine_kernels::pool::Pool;

use crate::common::*;

#[test]
fn norms_are_the_cpus() {
    let Some(device) = device() else { return };
    let (count, dim) = (3, 700);
    let (x, weight, bias, delta) = (values(1, count * dim), values(2, dim), values(3, dim), values(4, count * dim));
    let pool = Pool::new(1);
    let [x_memory, weights, biases, deltas] = [&x, &weight, &bias, &delta].map(|v| upload(&*device, v));
    let out = room(&*device, count * dim);
    let rms = Norm { kind: NormKind::Rms, weight: Some(&weights), bias: None, epsilon: 1e-6 };
    run(&*device, |list| norm(list, &rms, &x_memory, dim, [count, dim], Some(&deltas), &out));
    let (mut sum, mut expected) = (x.clone(), vec![0.0; count * dim]);
    cpu::add_rms_norm(&pool, &mut sum, &delta, dim, Some(&weight), 1e-6, &mut expected);
    assert_near(&download(&*device, &out), &expected, 1e-6, "rms norm of a sum");
    assert_bits(&download(&*device, &x_memory), &sum, "the sum is kept");
    let layer = Norm { kind: NormKind::Layer, weight: Some(&weights), bias: Some(&biases), epsilon: 1e-5 };
    let x_memory = upload(&*device, &x);
    run(&*device, |list| norm(list, &layer, &x_memory, dim, [count, dim], None, &out));
    let expected: Vec<f32> = x
        .chunks(dim)
        .flat_map(|row| {
            let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / dim as f64;
            let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / dim as f64;
            let (weight, bias) = (&weight, &bias);
            row.iter().enumerate().map(move |(i, v)| {
                ((f64::from(*v) - mean) / (variance + 1e-5).sqrt() * f64::from(weight[i]) + f64::from(bias[i])) as f32
            })
        })
        .collect();
    assert_near(&download(&*device, &out), &expected, 1e-6, "layer norm");
}

#[test]
fn formulas_are_computed_with_broadcast_inputs() {
    let Some(device) = device() else { return };
    let x: Vec<f32> = values(1, 600).iter().map(|v| v * 6.0).collect();
    let (row, column) = (values(2, 30), values(3, 20));
    type Exact = fn(f64) -> f64;
    let functions: [(Unary, Exact); 12] = [
        (Unary::Exp, f64::exp),
        (Unary::Tanh, f64::tanh),
        (Unary::Sigmoid, |v| 1.0 / (1.0 + (-v).exp())),
        (Unary::Silu, |v| v / (1.0 + (-v).exp())),
        (Unary::GeluTanh, |v| {
            0.5 * v * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v * v * v)).tanh())
        }),
        (Unary::Softplus, |v| v.exp().ln_1p()),
        (Unary::ReluSquared, |v| v.max(0.0).powi(2)),
        (Unary::Round, f64::round_ties_even),
        (Unary::Sin, f64::sin),
        (Unary::Cos, f64::cos),
        (Unary::Absolute, f64::abs),
        (Unary::Negative, |v| -v),
    ];
    let [xs, rs, cs] = [&x, &row, &column].map(|v| upload(&*device, v));
    let out = room(&*device, 600);
    let inputs = [
        Operand { memory: &xs, divide: 1, modulo: 600 },
        Operand { memory: &rs, divide: 1, modulo: 30 },
        Operand { memory: &cs, divide: 30, modulo: 20 },
    ];
    for (function, exact) in functions {
        // f(x) * row + column, or the extra parameter where the row is negative.
        let product = Expression::input(0).unary(function).binary(Binary::Multiply, Expression::input(1));
        let sum = product.binary(Binary::Add, Expression::input(2));
        let positive = Expression::constant(0.0).binary(Binary::Less, Expression::input(1));
        let formula = Expression::Select(Arc::new(positive), Arc::new(sum), Arc::new(Expression::Parameter(0)));
        let formula = Arc::new(formula);
        run(&*device, |list| elementwise(list, &formula, &inputs, &[7.5], 600, &out));
        let expected: Vec<f32> = (0..600)
            .map(|e| {
                let (r, c) = (f64::from(row[e % 30]), f64::from(column[e / 30]));
                if r > 0.0 { (exact(f64::from(x[e])) * r + c) as f32 } else { 7.5 }
            })
            .collect();
        assert_near(&download(&*device, &out), &expected, 2e-6, &format!("{function:?}"));
        if other_width() {
            break;
        }
    }
    let joined = room(&*device, 300);
    run(&*device, |list| gated(list, Gate::Silu, &xs, [60, 30], [10, 30], &joined));
    let expected: Vec<f32> = (0..300)
        .map(|e| {
            let (gate, up) = (x[e / 30 * 60 + e % 30], x[e / 30 * 60 + 30 + e % 30]);
            gate / (1.0 + (-gate).exp()) * up
        })
        .collect();
    assert_near(&download(&*device, &joined), &expected, 1e-6, "gated");
}

#[test]
fn copies_take_strides_and_change_types() {
    let Some(device) = device() else { return };
    let x = values(1, 120);
    let from = upload(&*device, &x);
    let half = room(&*device, 60);
    let back = room(&*device, 120);
    for element in [Element::F16, Element::Bf16] {
        run(&*device, |list| {
            // [4, 5, 6] read as its transpose [6, 5, 4], to 16 bits, and back to f32 in the old order.
            let source = View { memory: &from, element: Element::Word, start: 0, strides: [0, 1, 6, 30] };
            let target = View { memory: &half, element, start: 0, strides: [120, 20, 4, 1] };
            copy(list, [1, 6, 5, 4], source, target);
            let target = View { memory: &back, element: Element::Word, start: 0, strides: [0, 1, 6, 30] };
            copy(list, [1, 6, 5, 4], View { memory: &half, element, start: 0, strides: [120, 20, 4, 1] }, target);
        });
        let round = |v: &f32| match element {
            Element::F16 => half::f16::from_f32(*v).to_f32(),
            _ => half::bf16::from_f32(*v).to_f32(),
        };
        let expected: Vec<f32> = x.iter().map(round).collect();
        assert_bits(&download(&*device, &back), &expected, &format!("{element:?}"));
    }
    let ids = upload_words(&*device, &[5, 99, 0]);
    let out = upload(&*device, &[1.0; 30]);
    run(&*device, |list| take(list, &from, [12, 10], &ids, 3, &out));
    let expected = [&x[50..60], &[1.0; 10], &x[..10]].concat();
    assert_bits(&download(&*device, &out), &expected, "take");
    run(&*device, |list| scatter(list, &out, [12, 10], &ids, 3, &back.slice(0, 480)));
    assert_bits(&download(&*device, &back)[50..60], &x[50..60], "scatter");
}

#[test]
fn rows_are_reduced() {
    let Some(device) = device() else { return };
    let (count, dim) = (3, 1000);
    let mut x = values(1, count * dim);
    x[700] = 5.0;
    x[1700] = 5.0;
    x[1900] = 5.0;
    let from = upload(&*device, &x);
    let max = |row: &[f32]| row.iter().fold(f32::MIN, |a, b| a.max(*b));
    let find = |kind: RowKind, row: &[f32]| match kind {
        RowKind::Sum => row.iter().map(|v| f64::from(*v)).sum::<f64>() as f32 * 0.5,
        RowKind::Mean => (row.iter().map(|v| f64::from(*v)).sum::<f64>() / dim as f64) as f32 * 0.5,
        RowKind::Maximum => max(row) * 0.5,
        RowKind::Minimum => row.iter().fold(f32::MAX, |a, b| a.min(*b)) * 0.5,
        _ => f32::from_bits(row.iter().position(|v| *v == max(row)).unwrap() as u32),
    };
    for kind in [RowKind::Sum, RowKind::Mean, RowKind::Maximum, RowKind::Minimum, RowKind::ArgMaximum] {
        let out = room(&*device, count);
        run(&*device, |list| rows(list, kind, &from, dim, [count, dim], 0.5, &out));
        let expected: Vec<f32> = x.chunks(dim).map(|row| find(kind, row)).collect();
        let found = download(&*device, &out);
        match kind {
            RowKind::ArgMaximum => assert_bits(&found, &expected, "argmax"),
            _ => assert_near(&found, &expected, 1e-5, &format!("{kind:?}")),
        }
    }
    let out = room(&*device, count * dim);
    run(&*device, |list| rows(list, RowKind::Softmax, &from, dim, [count, dim], 2.0, &out));
    let expected: Vec<f32> = x
        .chunks(dim)
        .flat_map(|row| {
            let sum: f64 = row.iter().map(|v| (f64::from(*v) * 2.0).exp()).sum();
            row.iter().map(move |v| ((f64::from(*v) * 2.0).exp() / sum) as f32)
        })
        .collect();
    assert_near(&download(&*device, &out), &expected, 1e-6, "softmax");
}
