//! Products with every layout of weights, for every number of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use olivine_gpu::expression::{Binary, Expression};
use olivine_gpu::ops::elementwise::{Operand, elementwise};
use olivine_gpu::ops::embedding::embedding;
use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Gate, Input, Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix, Scale};
use olivine_gpu::{Device, List, Memory};
use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{FORMATS, Format, StoredOwned, quantize};

use crate::common::*;

/// `[rows, features]`, summed in f64.
pub fn product(x: &[f32], weights: &[f32], columns: usize) -> Vec<f32> {
    let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() as f32;
    x.chunks(columns).flat_map(|x| weights.chunks(columns).map(move |w| dot(x, w))).collect()
}

/// All values of a matrix.
pub fn decoded(stored: &StoredOwned) -> Vec<f32> {
    let mut all = vec![0.0; stored.rows * stored.columns];
    for (row, out) in all.chunks_mut(stored.columns).enumerate() {
        stored.as_stored().row_dequantize(row, out);
    }
    all
}

/// NVFP4 as checkpoints have it, scales near their largest and a factor for each of `parts` runs of rows, and its values.
pub fn nvfp4_with_factors(
    device: &dyn Device,
    parts: usize,
    rows: usize,
    columns: usize,
    source: &[f32],
) -> (Matrix, Vec<f32>) {
    let run = |(part, run): (usize, &[f32])| {
        let factor = (part + 1) as f32 / 2400.0;
        let large: Vec<f32> = run.iter().map(|value| value / factor).collect();
        let stored = quantize(&Pool::new(1), Format::Nvfp4, rows, columns, &large[..]).expect("a known format");
        StoredOwned { global_scale: Some(factor), ..stored }
    };
    let runs: Vec<StoredOwned> = source.chunks_exact(rows * columns).take(parts).enumerate().map(run).collect();
    let matrices = runs.iter().map(|run| FileMatrix::quantized(&run.as_stored()).expect("a layout"));
    let stack = FileMatrix::stack(matrices.collect()).expect("stored alike");
    assert_eq!(stack.layout.scale, Scale::E4m3Each);
    (stack.upload(device).expect("room"), runs.iter().flat_map(decoded).collect())
}

fn run_plain(device: &dyn Device, matrix: &olivine_gpu::ops::weights::Matrix, x: &[f32], options: &Matmul) -> Vec<f32> {
    let width = if matches!(options.input, Input::Gated(_)) { 2 * matrix.columns } else { matrix.columns };
    let rows = x.len() / width;
    let (x, out) = (upload(device, x), room(device, rows * matrix.rows));
    run(device, |list| matmul(list, matrix, &x, width, rows, options, &out));
    download(device, &out)
}

#[test]
fn every_storage_format_multiplies_what_it_decodes_to() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    let mut covered = 0;
    for info in &FORMATS {
        let (rows, columns) = (70, 768);
        let source = values(7, rows * columns);
        let Ok(stored) = quantize(&pool, info.format, rows, columns, &source[..]) else { continue };
        let Some(packed) = FileMatrix::quantized(&stored.as_stored()) else { continue };
        covered += 1;
        // Compiling takes the time: one format in four when the subgroups are of another width.
        if other_width() && covered % 4 != 0 {
            continue;
        }
        let matrix = packed.upload(&*device).unwrap();
        let x = values(9, 2 * columns);
        let expected = product(&x, &decoded(&stored), columns);
        let found = run_plain(&*device, &matrix, &x, &Matmul::default());
        assert_near(&found, &expected, product_tolerance(&*device, matrix.layout.code), info.name);
        let alone = run_plain(&*device, &matrix, &x[columns..], &Matmul::default());
        assert_bits(&alone, &found[rows..], info.name);
        let tokens = [69u32, 0, 33];
        let out = room(&*device, 3 * columns);
        let from = device.import(Arc::new(bytemuck::cast_slice(&tokens).to_vec()), 0..12).unwrap();
        run(&*device, |list| embedding(list, &matrix, &from, 3, 2.0, &out));
        let all = decoded(&stored);
        let expected =
            tokens.iter().flat_map(|&row| &all[row as usize * columns..][..columns]).map(|value| value * 2.0);
        assert_near(&download(&*device, &out), &expected.collect::<Vec<_>>(), 1e-6, info.name);
    }
    assert_eq!(covered, 18 + 3 + 5 + 5 + 1);
}

/// How the steps of a feed-forward part are sent.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Apart,
    InOne,
    /// In one list, and nobody but the list keeps the gates and ups.
    Forgotten,
}

/// A layer's feed-forward part: what its product gives, the sum with `before`, which goes where `to` says (over the product,
/// over `before`, elsewhere), what the next layer's product makes of it, and gates and ups unless they are forgotten. Rows are
/// of many sizes, up to what halves do not hold.
fn feed_forward(device: &dyn Device, matrices: &[Matrix; 2], rows: usize, to: usize, sent: Sent) -> Vec<Vec<f32>> {
    let [gate_up, down] = matrices;
    let (hidden, inner) = (gate_up.columns, down.columns);
    let x = upload(device, &values(1, rows * hidden));
    let sized = |(at, value): (usize, f32)| value * (4.0 * (at / hidden % 8) as f32 - 8.0).exp2();
    let before = upload(device, &values(2, rows * hidden).into_iter().enumerate().map(sized).collect::<Vec<_>>());
    let (both, out, other) =
        (room(device, rows * 2 * inner), room(device, rows * hidden), upload(device, &values(3, rows * hidden)));
    let norm_of = |exponent: i32| values(4, hidden).iter().map(|value| value * 2f32.powi(exponent)).collect::<Vec<_>>();
    let [norm, next_norm] = [[0, -6], [0, -16], [8, -6]][to].map(|exponent| upload(device, &norm_of(exponent)));
    let bias = upload(device, &values(5, 2 * inner));
    let next = room(device, rows * 2 * inner);
    let sum = Arc::new(Expression::input(0).binary(Binary::Add, Expression::input(1)));
    let operand = |memory| Operand { memory, divide: 1, modulo: rows * hidden };
    let first = |list: &mut List| {
        let input = Input::Norm { weight: &norm, epsilon: 1e-6 };
        let options = Matmul { input, bias: Some(&bias), ..Matmul::default() };
        matmul(list, gate_up, &x, hidden, rows, &options, &both);
    };
    let second = |list: &mut List| {
        let options = Matmul { input: Input::Gated(Gate::Silu), ..Matmul::default() };
        matmul(list, down, &both, 2 * inner, rows, &options, &out);
    };
    let third = |list: &mut List| {
        let operands = if to == 0 { [operand(&out), operand(&before)] } else { [operand(&before), operand(&out)] };
        elementwise(list, &sum, &operands, &[], rows * hidden, [&out, &before, &other][to]);
    };
    let fourth = |list: &mut List| {
        let options = Matmul { input: Input::Norm { weight: &next_norm, epsilon: 1e-6 }, ..Matmul::default() };
        matmul(list, gate_up, [&out, &before, &other][to], hidden, rows, &options, &next);
    };
    let mut memories = vec![out.clone(), before.clone(), other.clone(), next.clone()];
    if sent == Sent::Apart {
        run(device, first);
        run(device, second);
        run(device, third);
        run(device, fourth);
        memories.push(both);
    } else {
        let mut list = List::new();
        first(&mut list);
        second(&mut list);
        third(&mut list);
        fourth(&mut list);
        match sent {
            Sent::Forgotten => drop(both),
            _ => memories.push(both),
        }
        device.submit(&list).unwrap();
    }
    memories.iter().map(|memory| download(device, memory)).collect()
}

/// Devices may join the steps of a feed-forward part; they give what the steps give, and leave it where it was asked for.
#[test]
fn feed_forward_in_one_list_is_what_its_steps_are() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    let (hidden, inner) = (384, 640);
    let quantized = |seed, rows, columns| {
        let format = Format::Affine { bits: 4, group: 64 };
        let stored = quantize(&pool, format, rows, columns, &values(seed, rows * columns)[..]).unwrap();
        FileMatrix::quantized(&stored.as_stored()).unwrap().upload(&*device).unwrap()
    };
    let dense = |seed, rows, columns| {
        let brains: Vec<half::bf16> = values(seed, rows * columns).into_iter().map(half::bf16::from_f32).collect();
        FileMatrix::dense(Code::Bf16, rows, columns, bytemuck::cast_slice(&brains)).upload(&*device).unwrap()
    };
    for (name, matrices) in [
        ("4 bits", [quantized(6, 2 * inner, hidden), quantized(7, hidden, inner)]),
        (
            "4 bits, so wide that gates and ups are gated where they are made",
            [quantized(6, 2 * 1088, hidden), quantized(7, hidden, 1088)],
        ),
        ("bf16", [dense(6, 2 * inner, hidden), dense(7, hidden, inner)]),
        ("bf16, another width", [dense(6, 2 * 352, hidden), dense(7, hidden, 352)]),
        ("both", [dense(6, 2 * inner, hidden), quantized(7, hidden, inner)]),
    ] {
        for (rows, to) in
            [(1, 0), (1, 1), (1, 2), (3, 1), (16, 0), (16, 2), (20, 0), (40, 1), (64, 2), (70, 1), (70, 2), (200, 0)]
        {
            let parts = feed_forward(&*device, &matrices, rows, to, Sent::Apart);
            for sent in [Sent::InOne, Sent::Forgotten] {
                let one = feed_forward(&*device, &matrices, rows, to, sent);
                for (index, (one, part)) in one.iter().zip(&parts).enumerate() {
                    assert_bits(one, part, &format!("{name}, {rows} rows, sum {to}, buffer {index}"));
                }
            }
        }
    }
}

#[test]
fn dense_matrices_of_any_width() {
    let Some(device) = device() else { return };
    for (rows, columns) in [(33, 40), (5, 1), (32, 1000), (34, 1028)] {
        let weights = values(3, rows * columns);
        let x = values(4, 3 * columns);
        let halves: Vec<half::f16> = weights.iter().map(|&w| half::f16::from_f32(w)).collect();
        let brains: Vec<half::bf16> = weights.iter().map(|&w| half::bf16::from_f32(w)).collect();
        let cases: [(Code, &[u8], Vec<f32>); 3] = [
            (Code::F32, bytemuck::cast_slice(&weights), weights.clone()),
            (Code::F16, bytemuck::cast_slice(&halves), halves.iter().map(|h| h.to_f32()).collect()),
            (Code::Bf16, bytemuck::cast_slice(&brains), brains.iter().map(|h| h.to_f32()).collect()),
        ];
        for (code, bytes, exact) in cases {
            let matrix = FileMatrix::dense(code, rows, columns, bytes).upload(&*device).unwrap();
            let found = run_plain(&*device, &matrix, &x, &Matmul::default());
            let tolerance = product_tolerance(&*device, code);
            assert_near(&found, &product(&x, &exact, columns), tolerance, &format!("{code:?} {rows} x {columns}"));
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_every_number_of_rows() {
    let Some(device) = device() else { return };
    // Rows that a workgroup holds, and others.
    for columns in [2080, 4200] {
        row_of_any_number(&*device, 64, columns);
    }
}

fn row_of_any_number(device: &dyn Device, features: usize, columns: usize) {
    let weights = values(5, features * columns);
    let matrix = FileMatrix::dense(Code::F32, features, columns, bytemuck::cast_slice(&weights));
    let matrix = matrix.upload(device).unwrap();
    let weight = upload(device, &values(6, columns));
    let inputs = [Input::Plain, Input::Norm { weight: &weight, epsilon: 1e-6 }, Input::Gated(Gate::Silu)];
    for input in inputs {
        let width = if matches!(input, Input::Gated(_)) { 2 * columns } else { columns };
        let x = values(8, 80 * width);
        let options = Matmul { input, ..Matmul::default() };
        let all = run_plain(device, &matrix, &x, &options);
        for rows in [1, 2, 4, 7, 40, 66] {
            let some = run_plain(device, &matrix, &x[12 * width..(12 + rows) * width], &options);
            assert_bits(&some, &all[12 * features..(12 + rows) * features], &format!("{input:?}, {rows} rows"));
        }
    }
}

/// Every format, its scales of every type, and long rows; all ways that products of many rows go.
#[test]
fn stored_rows_have_the_same_bits_in_every_number_of_rows() {
    let Some(device) = device() else { return };
    // A software device takes minutes for what one format with short rows shows there.
    let many = !device.info().software;
    let shapes: &[(usize, usize)] = if many { &[(160, 768), (160, 4608), (5120, 1024)] } else { &[(40, 256)] };
    let counts: &[usize] = if many { &[2, 5, 9, 17, 33, 64, 65, 130] } else { &[5] };
    let most = *counts.last().expect("some");
    for &(features, columns) in shapes {
        let source = values(5, features * columns);
        let x = values(8, most * columns);
        let stored = FORMATS.iter().flat_map(|info| with_every_scale(info.format, features, columns, &source));
        let stored: Vec<StoredOwned> = stored.take(if many { usize::MAX } else { 1 }).collect();
        let next = AtomicUsize::new(0);
        let compare = || {
            while let Some(stored) = stored.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(packed) = FileMatrix::quantized(&stored.as_stored()) else { continue };
                let matrix = packed.upload(&*device).unwrap();
                let all = run_plain(&*device, &matrix, &x, &Matmul::default());
                let last = (most - 1) * columns;
                let expected = product(&x[last..], &decoded(stored), columns);
                let tolerance = product_tolerance(&*device, matrix.layout.code);
                let what = format!("{:?} {:?} {features} x {columns}", stored.format, stored.scale_type);
                assert_near(&all[(most - 1) * features..], &expected, tolerance, &what);
                let alone = run_plain(&*device, &matrix, &x[last..], &Matmul::default());
                assert_bits(&alone, &all[(most - 1) * features..], &what);
                for &rows in counts {
                    let some = run_plain(&*device, &matrix, &x[..rows * columns], &Matmul::default());
                    assert_bits(&some, &all[..rows * features], &format!("{what}, {rows} rows"));
                }
            }
        };
        // Most of the time is the driver's, which compiles for each format.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(compare))));
    }
}

/// A matrix in a format; affine ones with scales of each type. None where the format has no encoder for the width.
pub fn with_every_scale(format: Format, rows: usize, columns: usize, source: &[f32]) -> Vec<StoredOwned> {
    let pool = Pool::new(1);
    let mut all: Vec<StoredOwned> = quantize(&pool, format, rows, columns, source).into_iter().collect();
    if matches!(format, Format::Affine { .. }) && !all.is_empty() {
        let halves: Vec<half::f16> = source.iter().map(|&value| half::f16::from_f32(value)).collect();
        let brains: Vec<half::bf16> = source.iter().map(|&value| half::bf16::from_f32(value)).collect();
        all.extend(quantize(&pool, format, rows, columns, &halves[..]));
        all.extend(quantize(&pool, format, rows, columns, &brains[..]));
    }
    all
}

/// Scales of a matrix may differ much: kernels that multiply all of them by one power of two keep small weights beside
/// large ones, to some 2^-20 of those.
#[test]
fn small_weights_beside_large_ones_keep_their_precision() {
    let Some(device) = device() else { return };
    for (least, tolerance) in [(1e-2, 2e-3), (1e-3, 15e-3)] {
        small_weights(&*device, least, tolerance);
    }
}

fn small_weights(device: &dyn Device, least: f32, tolerance: f32) {
    let (features, columns) = (64, 768);
    let mut source = values(21, features * columns);
    // The second tile of rows has small weights alone, the first has them in every other 256 columns.
    for (index, value) in source.iter_mut().enumerate() {
        let (row, column) = (index / columns, index % columns);
        *value *= if row >= 32 || column / 256 % 2 == 1 { least } else { 1.0 };
    }
    for format in [Format::Affine { bits: 4, group: 64 }, Format::Q4_0, Format::Q4_1, Format::Q4K] {
        for stored in with_every_scale(format, features, columns, &source) {
            let matrix = FileMatrix::quantized(&stored.as_stored()).expect("a layout").upload(device).unwrap();
            for rows in [1, 20, 70] {
                let x = values(22, rows * columns);
                let found = run_plain(device, &matrix, &x, &Matmul::default());
                let expected = product(&x, &decoded(&stored), columns);
                let what = format!("{format:?} {:?}, {rows} rows", stored.scale_type);
                for (found, expected) in found.chunks(features).zip(expected.chunks(features)) {
                    assert_near(&found[..32], &expected[..32], 2e-3, &what);
                    assert_near(&found[32..], &expected[32..], tolerance, &format!("{what}, weights of {least}"));
                }
            }
        }
    }
}

#[test]
fn norms_gates_bias_and_residual() {
    let Some(device) = device() else { return };
    let (features, columns, rows) = (40, 320, 5);
    let weights = values(5, features * columns);
    let matrix = FileMatrix::dense(Code::F32, features, columns, bytemuck::cast_slice(&weights));
    let matrix = matrix.upload(&*device).unwrap();
    let (x, weight, bias) = (values(1, rows * columns), values(2, columns), values(3, features));
    let residual = values(4, rows * features);
    let normed: Vec<f32> = x
        .chunks(columns)
        .flat_map(|row| {
            let mean = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / columns as f64;
            let inverse = 1.0 / (mean + 1e-5).sqrt();
            row.iter().zip(&weight).map(move |(v, w)| (f64::from(*v) * inverse) as f32 * w)
        })
        .collect();
    let mut expected = product(&normed, &weights, columns);
    for (index, value) in expected.iter_mut().enumerate() {
        *value += bias[index % features] + residual[index];
    }
    let [x, weight, bias, out] = [&x, &weight, &bias, &residual].map(|values| upload(&*device, values));
    let options = Matmul {
        input: Input::Norm { weight: &weight, epsilon: 1e-5 },
        bias: Some(&bias),
        residual: Some(&out),
        ..Matmul::default()
    };
    run(&*device, |list| matmul(list, &matrix, &x, columns, rows, &options, &out));
    assert_near(&download(&*device, &out), &expected, 1e-6, "norm, bias and residual in place");

    use olivine_kernels::activation::{Activation, Gate as CpuGate, GatedRows, gated};
    let gates = [
        (Gate::Silu, CpuGate::Product(Activation::Silu)),
        (Gate::GeluTanh, CpuGate::Product(Activation::GeluTanh)),
        (Gate::Gelu, CpuGate::Product(Activation::Gelu)),
        (Gate::Clamped { alpha: 1.702, limit: 0.5 }, CpuGate::Clamped { alpha: 1.702, limit: 0.5 }),
    ];
    let x: Vec<f32> = values(11, rows * 2 * columns).iter().map(|v| v * 4.0).collect();
    for (gate, cpu) in gates {
        let mut joined = vec![0.0; rows * columns];
        let layout = GatedRows { rows, stride: 2 * columns, gate: 0, up: columns, dim: columns };
        gated(&Pool::new(1), cpu, &x, layout, &mut joined, columns);
        let options = Matmul { input: Input::Gated(gate), ..Matmul::default() };
        let found = run_plain(&*device, &matrix, &x, &options);
        assert_near(&found, &product(&joined, &weights, columns), 2e-6, &format!("{gate:?}"));
    }
}

#[test]
fn stacked_matrices_give_their_outputs_side_by_side_from_slices_of_one_arena() {
    let Some(device) = device() else { return };
    let columns = 96;
    let parts = [values(1, 64 * columns), values(2, 32 * columns), values(3, 8 * columns)];
    let each: Vec<FileMatrix> = parts
        .iter()
        .map(|w| FileMatrix::dense(Code::F32, w.len() / columns, columns, bytemuck::cast_slice(w)))
        .collect();
    let other = FileMatrix::dense(Code::Bf16, 32, columns, vec![0; 64 * columns]);
    assert!(FileMatrix::stack(vec![each[0].clone(), other]).is_none());
    let matrix = FileMatrix::stack(each).unwrap().upload(&*device).unwrap();
    let x = values(4, 2 * columns);
    let arena = room(&*device, 4096);
    device.write(&arena, 1024, bytemuck::cast_slice(&x)).unwrap();
    let (from, to): (Memory, Memory) = (arena.slice(1024, 768), arena.slice(2048, 2 * 104 * 4));
    run(&*device, |list| matmul(list, &matrix, &from, columns, 2, &Matmul::default(), &to));
    assert_near(&download(&*device, &to), &product(&x, &parts.concat(), columns), 1e-6, "stacked");
}
