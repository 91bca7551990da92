//! Agreement with MLX's CPU build: promotion, result types, random numbers, sorting, indexing, fused ops.
//!
//! The answers lie in `data/mlx.json`; `data/make_mlx.py` writes it. Integers, bits of uniform numbers and orders must be
//! equal; functions agree within 1e-5.

use olivine_array::*;
use serde_json::Value;

fn data() -> Value {
    serde_json::from_str(include_str!("data/mlx.json")).expect("the data file is valid JSON")
}

fn dtype(name: &str) -> Dtype {
    *Dtype::ALL.iter().find(|dtype| dtype.name() == name.trim_end_matches('_')).expect("a dtype of the list")
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::String(text) => text.parse().expect("nan or inf"),
        _ => value.as_f64().expect("a number"),
    }
}

#[track_caller]
fn check(section: &Value, name: &str, got: &Array, tolerance: f64) {
    let case = &section[name];
    let shape: Vec<usize> =
        case["shape"].as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap() as usize).collect();
    assert_eq!(got.shape(), shape, "{name}: shape");
    assert_eq!(got.dtype().name(), case["dtype"].as_str().unwrap().trim_end_matches('_'), "{name}: dtype");
    let values = got.astype(Dtype::F64).to_vec::<f64>();
    for (i, (got, want)) in values.iter().zip(case["values"].as_array().unwrap()).enumerate() {
        let want = number(want);
        // JSON numbers are parsed to within one unit in the last place of f64, far below one of f32.
        let near = (got - want).abs() <= tolerance.max(1e-15) * want.abs().max(1.0);
        assert!(got == &want || near || got.is_nan() && want.is_nan(), "{name}[{i}]: {got} instead of {want}");
    }
}

#[test]
fn promotion_is_mlx_s_table() {
    let data = data();
    for (i, a) in Dtype::ALL.into_iter().enumerate() {
        for (j, b) in Dtype::ALL.into_iter().enumerate() {
            let want = data["promotion"][i][j].as_str().unwrap();
            assert_eq!(promote(a, b), dtype(want), "{a} with {b}");
        }
    }
}

fn typed(function: &str, a: &Array) -> Array {
    let square = |a: &Array| a.reshape(&[2, 2]);
    match function {
        "sum" => a.sum(&[], false),
        "prod" => a.prod(&[], false),
        "max" => a.max(&[], false),
        "mean" => a.mean(&[], false),
        "var" => a.var(&[], false, 0),
        "logsumexp" => a.logsumexp(&[], false),
        "cumsum" => a.cumsum(0, false, true),
        "cumprod" => a.cumprod(0, false, true),
        "argmax" => a.argmax(0, false),
        "softmax" => a.softmax(&[-1]),
        "abs" => a.abs(),
        "square" => a.square(),
        "sqrt" => a.sqrt(),
        "exp" => a.exp(),
        "negative" => a.negative(),
        "sign" => a.sign(),
        "round" => a.round(0),
        "logical_not" => a.logical_not(),
        "reciprocal" => a.reciprocal(),
        "bitwise_invert" => a.bitwise_invert(),
        "power" => a.power(a),
        "floor_divide" => a.floor_divide(a),
        "divide" => a.divide(a),
        "logaddexp" => a.logaddexp(a),
        "left_shift" => a << a,
        "bitwise_and" => a.bitwise_and(a),
        "maximum" => a.maximum(a),
        "add_float" => a + 1.5,
        "add_integer" => a + 1,
        "sort" => a.sort(-1),
        "isnan" => a.isnan(),
        "degrees" => a.degrees(),
        "tril" => square(a).tril(0),
        "trace" => square(a).trace(0),
        "median" => a.median(0, false),
        "clip" => a.clip(Some(0.5), Some(1.5)),
        "matmul" => a.reshape(&[1, 4]).matmul(&a.reshape(&[4, 1])),
        _ => panic!("no function {function}"),
    }
}

#[test]
fn result_types_are_mlx_s_and_every_type_runs() {
    let data = data();
    for (function, wanted) in data["types"].as_object().unwrap() {
        for (i, d) in Dtype::ALL.into_iter().enumerate() {
            let Some(want) = wanted[i].as_str() else { continue };
            let a = Array::from_slice(&[0i32, 1, 1, 1], &[4]).astype(d);
            let got = typed(function, &a);
            got.eval();
            assert_eq!(got.dtype(), dtype(want), "{function} of {d}");
        }
    }
}

#[test]
fn random_numbers_are_mlx_s() {
    let data = data();
    let section = &data["random"];
    let key = random::key(7);
    let f32 = Dtype::F32;
    let logits = Array::from_slice(&[0f32, 1.0, 2.0, 2.0, 1.0, 0.0], &[2, 3]);
    check(section, "split", &random::split(&key, 3), 0.0);
    check(section, "uniform_5", &random::uniform(0.0, 1.0, &[5], f32, &key), 0.0);
    check(section, "uniform_6", &random::uniform(0.0, 1.0, &[6], f32, &key), 0.0);
    let (low, high) = (Array::from_slice(&[0f32, 1.0], &[2]), Array::from_slice(&[1f32, 5.0], &[2]));
    check(section, "uniform_range", &random::uniform(&low, &high, &[3, 2], f32, &key), 0.0);
    check(section, "uniform_f16", &random::uniform(0.0, 1.0, &[5], Dtype::F16, &key), 0.0);
    check(section, "uniform_bf16", &random::uniform(0.0, 1.0, &[5], Dtype::Bf16, &key), 0.0);
    check(section, "normal", &random::normal(&[64], f32, &key), 1e-6);
    check(section, "normal_f16", &random::normal(&[5], Dtype::F16, &key), 1e-3);
    check(section, "randint", &random::randint(-5, 100, &[64], Dtype::I32, &key), 0.0);
    check(section, "bernoulli", &random::bernoulli(0.3, &[64], &key), 0.0);
    check(section, "gumbel", &random::gumbel(&[16], f32, &key), 1e-5);
    check(section, "laplace", &random::laplace(&[16], f32, &key), 1e-5);
    check(section, "truncated_normal", &random::truncated_normal(-1.0, 2.0, &[64], f32, &key), 1e-5);
    check(section, "permutation", &random::permutation(33, &key), 0.0);
    let rows = arange(0.0, 12.0, 1.0, Dtype::I32).reshape(&[4, 3]);
    check(section, "shuffle", &random::shuffle(&rows, 0, &key), 0.0);
    check(section, "categorical", &random::categorical(&logits, -1, &key), 0.0);
    check(section, "categorical_samples", &random::categorical_samples(&logits, -1, 9, &key), 0.0);
    check(section, "categorical_axis_0", &random::categorical(&logits, 0, &key), 0.0);
    check(section, "key_of_large_seed", &random::key(12345678901234), 0.0);
}

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

#[test]
fn sorting_and_extremes_are_mlx_s() {
    let data = data();
    let section = &data["values"];
    let a = Array::from_slice(&[3.0, NAN, 1.0, -0.0, 0.0, NAN, 2.0, -INF, INF], &[9]);
    let ties = Array::from_slice(&[1i32, 0, 1, 0, 1, 2, 2, 1, 1, 0], &[2, 5]);
    check(section, "sort", &a.sort(0), 0.0);
    check(section, "argsort", &a.argsort(0), 0.0);
    check(section, "argsort_ties", &ties.argsort(-1), 0.0);
    check(section, "sort_axis_0", &ties.sort(0), 0.0);
    check(section, "argmax", &a.argmax(0, false), 0.0);
    check(section, "argmin", &a.argmin(0, false), 0.0);
    check(section, "argmax_ties", &ties.argmax(1, false), 0.0);
    check(section, "max", &a.max(&[], false), 0.0);
    check(section, "min", &a.min(&[], false), 0.0);
    check(section, "cummax", &a.cummax(0, false, true), 0.0);
    check(section, "cummin", &a.cummin(0, false, true), 0.0);
    check(section, "cumsum_reverse", &ties.cumsum(1, true, true), 0.0);
    check(section, "cumsum_exclusive", &ties.cumsum(0, false, false), 0.0);
    check(section, "cumprod_reverse_exclusive", &ties.cumprod(1, true, false), 0.0);
    check(section, "topk", &Array::from_slice(&[5i32, 3, 1, 4, 2], &[5]).topk(3, 0), 0.0);
    check(section, "maximum_nan", &a.maximum(2.5), 0.0);
    check(section, "minimum_nan", &a.minimum(2.5), 0.0);
}

#[test]
fn arithmetic_is_mlx_s() {
    let data = data();
    let section = &data["values"];
    let a = Array::from_slice(&[3.0, NAN, 1.0, -0.0, 0.0, NAN, 2.0, -INF, INF], &[9]);
    let x = Array::from_slice(&[7i32, -7, 7, -7, 0, 5], &[6]);
    let y = Array::from_slice(&[2i32, 2, -2, -2, 3, -5], &[6]);
    let (xf, yf) = (x.astype(Dtype::F32), y.astype(Dtype::F32));
    check(section, "floor_divide", &x.floor_divide(&y), 0.0);
    check(section, "remainder", &(&x % &y), 0.0);
    check(section, "floor_divide_float", &xf.floor_divide(&yf), 0.0);
    check(section, "remainder_float", &(&xf % &yf), 0.0);
    check(section, "power", &y.abs().power(Array::from_slice(&[3i32, 0, 5, 1, 2, 4], &[6])), 0.0);
    check(section, "logaddexp", &a.slice_axis(0, 2..5).logaddexp(a.slice_axis(0, 6..9)), 1e-6);
    check(section, "sign", &Array::from_slice(&[3.0, -2.0, 0.0, -0.0, INF, -INF], &[6]).sign(), 0.0);
    check(section, "round", &Array::from_slice(&[0.5f32, 1.5, 2.5, -0.5, -1.5, 2.4], &[6]).round(0), 0.0);
    check(section, "round_decimals", &Array::from_slice(&[1.2345f32, -6.789, 155.0], &[3]).round(2), 1e-7);
    check(section, "nan_to_u8", &Array::from_slice(&[300i32, -1, 77], &[3]).astype(Dtype::U8), 0.0);
    let table = Array::from_slice(&[1f32, 2.0, 4.0, 3.0, 3.0, 9.0], &[2, 3]);
    check(section, "var", &table.var(&[1], false, 1), 1e-6);
    check(section, "median", &Array::from_slice(&[5f32, 1.0, 4.0, 2.0], &[1, 4]).median(1, false), 0.0);
    let large = Array::from_slice(&[1000.0, 1000.0, -INF, -INF, INF, 0.0], &[3, 2]);
    check(section, "logsumexp", &large.logsumexp(&[1], false), 1e-6);
    let scores = Array::from_slice(&[1f32, 2.0, 3.0, 1000.0, 0.0, -1000.0], &[2, 3]);
    check(section, "softmax", &scores.softmax(&[-1]), 1e-6);
    let at = Array::from_slice(&[-3.5f32, -1.0, -0.1, 0.0, 0.3, 0.9, 2.0, 5.0], &[8]);
    check(section, "erf", &at.erf(), 1e-6);
    let at = Array::from_slice(&[-0.999f32, -0.9, -0.3, 0.0, 0.1, 0.5, 0.97, 0.99999, 1.0], &[9]);
    check(section, "erfinv", &at.erfinv(), 2e-6);
}

#[test]
fn indexing_and_shapes_are_mlx_s() {
    let data = data();
    let section = &data["values"];
    let m = arange(0.0, 24.0, 1.0, Dtype::I32).reshape(&[2, 3, 4]);
    let range = |start: Option<i64>, stop: Option<i64>, step: i64| Range { start, stop, step };
    check(
        section,
        "slice_negative_step",
        &m.slice(&[Range::ALL, range(None, None, -2), range(Some(3), Some(0), -1)]),
        0.0,
    );
    check(section, "slice_out_of_range", &m.slice(&[(-5..9).into(), (1..2).into(), (-3..20).into()]), 0.0);
    check(section, "slice_empty", &m.slice(&[Range::ALL, range(Some(2), Some(1), 1)]), 0.0);
    check(section, "slice_step", &arange(0.0, 10.0, 1.0, Dtype::I32).slice(&[range(Some(8), Some(2), -3)]), 0.0);
    check(section, "take_negative", &m.take(&Array::from_slice(&[-1i32, 0, 1, -3], &[2, 2]), 1), 0.0);
    let along = Array::from_slice(&[2i32, 0, 1, 1, 0, 0, 2, 1], &[2, 1, 4]);
    check(section, "take_along", &m.take_along_axis(&along, 1), 0.0);
    let put = Array::from_slice(&[3i32, 0, 1], &[1, 3, 1]);
    check(section, "put_along", &m.put_along_axis(&put, &Array::scalar(-1i32), 2), 0.0);
    check(section, "roll", &m.roll(5, 2), 0.0);
    let s = Array::from_slice(&[1i32, 2, 3, 4], &[2, 2]);
    check(section, "tile", &s.tile(&[2, 1, 2]), 0.0);
    check(section, "repeat", &s.repeat(3, 1), 0.0);
    check(section, "pad", &s.pad(&[(1, 0), (2, 1)], Pad::Constant(9.0)), 0.0);
    check(section, "pad_edge", &s.pad(&[(1, 0), (2, 1)], Pad::Edge), 0.0);
    check(section, "linspace", &linspace(-1.5, 4.0, 7, Dtype::F32), 1e-6);
    check(section, "arange", &arange(5.0, -2.0, -1.5, Dtype::F32), 0.0);
    check(section, "eye", &eye(3, 4, 1, Dtype::F32), 0.0);
    check(section, "tri", &tri(3, 4, -1, Dtype::F32), 0.0);
    check(section, "triu", &arange(0.0, 12.0, 1.0, Dtype::I32).reshape(&[3, 4]).triu(1), 0.0);
    let mf = m.astype(Dtype::F32);
    check(section, "tensordot", &mf.tensordot(&ones(&[4, 3], Dtype::F32), &[1, 2], &[1, 0]), 0.0);
    let line = |count: f64| arange(0.0, count, 1.0, Dtype::F32);
    check(section, "matmul_vector", &line(4.0).matmul(&line(8.0).reshape(&[4, 2])), 0.0);
}

#[test]
fn fused_ops_are_mlx_s_and_their_composition() {
    let data = data();
    let section = &data["values"];
    let line = |count: f64| arange(0.0, count, 1.0, Dtype::F32);
    let x = line(8.0).reshape(&[2, 4]);
    let weight = Array::from_slice(&[1f32, 2.0, 0.5, 1.0], &[4]);
    let bias = ones(&[4], Dtype::F32);
    check(section, "rms_norm", &fast::rms_norm(&x, Some(&weight), 1e-5), 1e-6);
    check(section, "rms_norm", &fast::rms_norm_composed(&x, Some(&weight), 1e-5), 1e-6);
    check(section, "layer_norm", &fast::layer_norm(&x, Some(&weight), Some(&bias), 1e-5), 1e-6);
    check(section, "layer_norm", &fast::layer_norm_composed(&x, Some(&weight), Some(&bias), 1e-5), 1e-6);
    let x = line(24.0).reshape(&[1, 2, 2, 6]);
    let halves = fast::Rope { dims: 4, traditional: false, base: 10000.0, scale: 0.5 };
    check(section, "rope", &fast::rope(&x, halves, &Array::scalar(3i32), None), 1e-6);
    check(section, "rope", &fast::rope_composed(&x, halves, &Array::scalar(3i32), None), 1e-6);
    let pairs = fast::Rope { dims: 6, traditional: true, base: 100.0, scale: 1.0 };
    check(section, "rope_traditional", &fast::rope(&x, pairs, &Array::scalar(1i32), None), 1e-6);
    check(section, "rope_traditional", &fast::rope_composed(&x, pairs, &Array::scalar(1i32), None), 1e-6);
    let q = line(48.0).sin().reshape(&[1, 4, 3, 4]);
    let k = line(40.0).cos().reshape(&[1, 2, 5, 4]);
    let v = &k * 0.5;
    let bias = (line(15.0) * 3.0).sin().reshape(&[3, 5]);
    let sinks = Array::from_slice(&[0.5f32, -1.0, 2.0, 0.0], &[4]);
    let seen = bias.greater(-0.5);
    let attend = |mask, sinks| fast::attention(&q, &k, &v, 0.5, mask, sinks);
    check(section, "attention", &attend(fast::Mask::None, None), 1e-5);
    check(section, "attention_causal", &attend(fast::Mask::Causal, None), 1e-5);
    check(section, "attention_causal", &attend(fast::Mask::Window(9), None), 1e-5);
    check(section, "attention_bias", &attend(fast::Mask::Array(&bias), None), 1e-5);
    check(section, "attention_bool", &attend(fast::Mask::Array(&seen), None), 1e-5);
    check(section, "attention_sinks", &attend(fast::Mask::Causal, Some(&sinks)), 1e-5);
}

#[test]
fn gather_scatter_and_compositions_are_mlx_s() {
    let data = data();
    let section = &data["values"];
    let grid = arange(0.0, 12.0, 1.0, Dtype::F32).reshape(&[3, 4]);
    let m = arange(0.0, 24.0, 1.0, Dtype::I32).reshape(&[2, 3, 4]);
    let index = |values: &[i32]| Array::from_slice(values, &[values.len()]);
    let (rows, columns) = (index(&[0, -1, 0]), index(&[1, 2, 1]));
    let updates = Array::from_slice(&[10f32, 20.0, 30.0], &[3, 1, 1]);
    check(section, "scatter_add", &grid.scatter(&[&rows, &columns], &updates, &[0, 1], ScatterMode::Add), 0.0);
    let updates = full(&[3, 1, 4], 2.5, Dtype::F32);
    check(section, "scatter_max", &grid.scatter(&[&rows], &updates, &[0], ScatterMode::Maximum), 0.0);
    check(section, "gather_rows", &grid.gather(&[&index(&[2, -3])], &[0], &[1, 4]).squeeze(&[1]), 0.0);
    check(section, "gather_points", &grid.gather(&[&rows, &columns], &[0, 1], &[1, 1]).reshape(&[3]), 0.0);
    check(section, "diagonal", &m.diagonal(1, 1, 2), 0.0);
    check(section, "diag", &index(&[1, 2, 3]).diag(-1), 0.0);
    check(section, "diag_of", &grid.diag(1), 0.0);
    let (a, b) = (index(&[1, 2, 3]), index(&[4, 5]));
    check(section, "meshgrid_xy", &meshgrid(&[&a, &b], true)[0], 0.0);
    check(section, "meshgrid_ij", &meshgrid(&[&a, &b], false)[1], 0.0);
    let mf = m.astype(Dtype::F32);
    check(section, "einsum_matmul", &einsum("bij, bkj -> bik", &[&mf, &mf]), 0.0);
    check(section, "einsum_trace", &einsum("ii", &[&grid.slice_axis(1, 0..3)]), 0.0);
    let vector = Array::from_slice(&[1f32, 0.0, 2.0, -1.0], &[4]);
    check(section, "einsum_three", &einsum("ij,j,kj->ki", &[&grid, &vector, &grid.slice_axis(0, 0..2)]), 0.0);
    let odd = Array::from_slice(&[3.0, NAN, 1.0, -0.0, 0.0, NAN, 2.0, -INF, INF], &[9]);
    check(section, "nan_to_num", &odd.nan_to_num(7.0), 0.0);
}

#[test]
fn quantized_ops_are_mlx_s() {
    use olivine_kernels::quant::Format;
    let data = data();
    let section = &data["values"];
    let sample = |count: f64, step: i32, modulus: i32, middle: i32| {
        (((arange(0.0, count, 1.0, Dtype::I32) * step) % modulus) - middle).astype(Dtype::F32)
    };
    let w = (sample(768.0, 37, 101, 50) / 32.0).reshape(&[3, 4, 64]);
    let x = (sample(384.0, 29, 67, 33) / 64.0).reshape(&[2, 3, 64]);
    let formats = [
        ("affine4", Format::Affine { bits: 4, group: 32 }),
        ("affine3", Format::Affine { bits: 3, group: 64 }),
        ("mxfp44", Format::Mxfp4),
        ("mxfp88", Format::Mxfp8),
        ("nvfp44", Format::Nvfp4),
    ];
    for (label, format) in formats {
        let q = quantize(&w, format);
        let named = |what: &str| format!("{label}_{what}");
        check(section, &named("data"), &q.data, 0.0);
        check(section, &named("scales"), q.scales.as_ref().unwrap(), 1e-6);
        check(section, &named("dequantized"), &q.dequantize(Dtype::F32), 1e-6);
        let one = |part: &Array| part.index_axis(0, 0);
        let first = Quantized {
            format,
            data: one(&q.data),
            scales: q.scales.as_ref().map(one),
            biases: q.biases.as_ref().map(one),
            global_scale: None,
        };
        check(section, &named("matmul"), &x.quantized_matmul(&first, true), 2e-5);
        let (lhs, rhs) = (Array::from_slice(&[1u32, 0, 1], &[3]), Array::from_slice(&[2u32, 0, 2], &[3]));
        check(section, &named("gather"), &gather_qmm(&x, &q, Some(&lhs), Some(&rhs), true), 2e-5);
        if q.biases.is_some() {
            let narrow = x.slice_axis(-1, 0..4);
            check(section, &named("not_transposed"), &narrow.quantized_matmul(&first, false), 2e-5);
        }
    }
    let blocks = quantize(&w, Format::Q8_0);
    let direct = x.matmul(&blocks.dequantize(Dtype::F32).index_axis(0, 1).t());
    let one = Quantized { data: blocks.data.index_axis(0, 1), ..blocks };
    assert!(x.quantized_matmul(&one, true).allclose(&direct, 1e-5, 1e-5).item::<bool>());
}
