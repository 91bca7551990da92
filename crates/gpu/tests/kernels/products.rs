//! Products of many rows: matrices in hardware where the device has them, tiles of floats elsewhere. Against exact sums,
//! and in bits against the same rows alone and in other company.

use olivine_gpu::Device;
use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Gate, Input, Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix};
use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{Format, quantize};

use crate::common::*;
use crate::matmul::{decoded, nvfp4_with_factors, product};

/// Formats whose codes, scales and offsets differ in kind.
const KINDS: [Format; 8] = [
    Format::Affine { bits: 4, group: 64 },
    Format::Q8_0,
    Format::Q6K,
    Format::Q4K,
    Format::Nvfp4,
    Format::Affine { bits: 3, group: 32 },
    Format::Q5_1,
    Format::Mxfp8,
];

/// Rows of the widths at which kernels take turns.
const ROWS: [usize; 7] = [1, 3, 16, 17, 40, 65, 150];

/// A matrix, what it holds, and its name.
fn matrices(device: &dyn Device, features: usize, columns: usize) -> Vec<(Matrix, Vec<f32>, String)> {
    let source = values(7, features * columns);
    let mut made = vec![];
    for format in KINDS {
        let stored = quantize(&Pool::new(1), format, features, columns, &source[..]).expect("a known format");
        let matrix = FileMatrix::quantized(&stored.as_stored()).expect("a layout").upload(device).expect("room");
        made.push((matrix, decoded(&stored), format!("{format:?}")));
    }
    let (matrix, exact) = nvfp4_with_factors(device, 2, features / 2, columns, &source);
    made.push((matrix, exact, "Nvfp4 with factors".into()));
    let brains: Vec<half::bf16> = source.iter().map(|&w| half::bf16::from_f32(w)).collect();
    let halves: Vec<half::f16> = source.iter().map(|&w| half::f16::from_f32(w)).collect();
    let dense: [(Code, &[u8], Vec<f32>); 3] = [
        (Code::Bf16, bytemuck::cast_slice(&brains), brains.iter().map(|w| w.to_f32()).collect()),
        (Code::F16, bytemuck::cast_slice(&halves), halves.iter().map(|w| w.to_f32()).collect()),
        (Code::F32, bytemuck::cast_slice(&source), source.clone()),
    ];
    for (code, bytes, exact) in dense {
        let matrix = FileMatrix::dense(code, features, columns, bytes).upload(device).expect("room");
        made.push((matrix, exact, format!("{code:?}")));
    }
    made
}

fn run_rows(device: &dyn Device, matrix: &Matrix, x: &[f32], width: usize, options: &Matmul) -> Vec<f32> {
    let rows = x.len() / width;
    let (x, out) = (upload(device, x), upload(device, &vec![f32::NAN; rows * matrix.rows]));
    run(device, |list| matmul(list, matrix, &x, width, rows, options, &out));
    download(device, &out)
}

#[test]
fn many_rows_are_exact_and_have_the_bits_of_each_row_alone() {
    let Some(device) = device() else { return };
    // Neither whole tiles of features nor, for a part of the sums, of columns.
    let (features, columns) = (70, 768);
    for (index, (matrix, exact, name)) in matrices(&*device, features, columns).into_iter().enumerate() {
        // Compiling takes the time, and most for matrices that are a program.
        let step = if device.info().software && !device.info().matrices.is_empty() { 3 } else { 1 };
        if index % if other_width() { 4 } else { step } != 0 {
            continue;
        }
        let tolerance = product_tolerance(&*device, matrix.layout.code);
        let x = values(9, 150 * columns);
        let expected = product(&x, &exact, columns);
        let all = run_rows(&*device, &matrix, &x, columns, &Matmul::default());
        assert_near(&all, &expected, tolerance, &name);
        for rows in ROWS {
            let first = 150 - rows;
            let some = run_rows(&*device, &matrix, &x[first * columns..], columns, &Matmul::default());
            assert_bits(&some, &all[first * features..], &format!("{name}, {rows} rows"));
        }
    }
}

/// Slices of columns that are whole stretches have kernels of their own, for 1 and for up to 16 rows.
#[test]
fn slices_of_whole_stretches_have_the_bits_of_any() {
    let Some(device) = device() else { return };
    let (features, columns, rows) = (if device.info().software { 70 } else { 4100 }, 8192, 17);
    let (source, x) = (values(7, features * columns), values(9, rows * columns));
    let mut made = vec![];
    let affine = [32, 64, 128].map(|group| Format::Affine { bits: 4, group });
    for format in affine.into_iter().chain([Format::Q4_0, Format::Q4K, Format::Mxfp4, Format::Nvfp4]) {
        let stored = quantize(&Pool::new(2), format, features, columns, &source[..]).expect("a known format");
        let matrix = FileMatrix::quantized(&stored.as_stored()).expect("a layout").upload(&*device).expect("room");
        made.push((matrix, decoded(&stored), format!("{format:?}")));
    }
    let (matrix, exact) = nvfp4_with_factors(&*device, 2, features / 2, columns, &source);
    made.push((matrix, exact, "Nvfp4 with factors".into()));
    for (matrix, exact, name) in made {
        let all = run_rows(&*device, &matrix, &x, columns, &Matmul::default());
        assert_near(&all, &product(&x, &exact, columns), product_tolerance(&*device, matrix.layout.code), &name);
        for some in [1, 2, 16] {
            let first = rows - some;
            let found = run_rows(&*device, &matrix, &x[first * columns..], columns, &Matmul::default());
            assert_bits(&found, &all[first * features..], &format!("{name}, {some} rows"));
        }
    }
}

#[test]
fn sizes_that_are_no_whole_tiles() {
    let Some(device) = device() else { return };
    // The last: 65 blocks in 8 parts of 9.
    for (features, columns) in [(33, 40), (5, 1), (200, 100), (64, 2080)] {
        let (weights, x) = (values(3, features * columns), values(4, 70 * columns));
        let brains: Vec<half::bf16> = weights.iter().map(|&w| half::bf16::from_f32(w)).collect();
        let exact: Vec<f32> = brains.iter().map(|w| w.to_f32()).collect();
        let matrix = FileMatrix::dense(Code::Bf16, features, columns, bytemuck::cast_slice(&brains));
        let matrix = matrix.upload(&*device).unwrap();
        let expected = product(&x, &exact, columns);
        for rows in [70, 1] {
            let found = run_rows(&*device, &matrix, &x[..rows * columns], columns, &Matmul::default());
            let what = format!("{features} x {columns}, {rows} rows");
            assert_near(&found, &expected[..rows * features], product_tolerance(&*device, Code::Bf16), &what);
        }
    }
}

#[test]
fn wide_tiles_have_the_bits_of_rows_alone() {
    let Some(device) = device() else { return };
    // Enough tiles of 128 by 128 for the widest kernel, the last of them not whole.
    let (features, columns, rows) = (8180, 96, 150);
    let weights = values(3, features * columns);
    let brains: Vec<half::bf16> = weights.iter().map(|&w| half::bf16::from_f32(w)).collect();
    let matrix = FileMatrix::dense(Code::Bf16, features, columns, bytemuck::cast_slice(&brains));
    let matrix = matrix.upload(&*device).unwrap();
    // Rows of whole quads, and others.
    for width in [columns, columns + 2] {
        let x = values(4, rows * width);
        let all = run_rows(&*device, &matrix, &x, width, &Matmul::default());
        for first in [0, 77, 127, 128, 149] {
            let alone = run_rows(&*device, &matrix, &x[first * width..][..width], width, &Matmul::default());
            assert_bits(&alone, &all[first * features..][..features], &format!("row {first} of {width}"));
        }
    }
}

#[test]
fn inputs_and_ends_of_many_rows_are_those_of_few() {
    let Some(device) = device() else { return };
    let (features, columns, rows) = (48, 320, 100);
    let source = values(5, features * columns);
    let stored =
        quantize(&Pool::new(1), Format::Affine { bits: 4, group: 64 }, features, columns, &source[..]).unwrap();
    let matrix = FileMatrix::quantized(&stored.as_stored()).unwrap().upload(&*device).unwrap();
    let exact = decoded(&stored);
    let weights = values(6, columns);
    let [weight, bias] = [&weights, &values(3, features)].map(|values| upload(&*device, values));
    let tolerance = product_tolerance(&*device, Code::Bits4);
    // Rows whose largest values differ much: a scale of one row must not touch another.
    let mut x = values(8, rows * 2 * columns);
    for (row, values) in x.chunks_mut(2 * columns).enumerate() {
        let factor = [1.0, 3e4, 1e-4, 7.0, 1e7][row % 5];
        values.iter_mut().for_each(|value| *value *= factor);
    }
    for input in [Input::Plain, Input::Norm { weight: &weight, epsilon: 1e-6 }, Input::Gated(Gate::GeluTanh)] {
        let width = if matches!(input, Input::Gated(_)) { 2 * columns } else { columns };
        let x = &x[..rows * width];
        let options = Matmul { input, bias: Some(&bias), ..Matmul::default() };
        let all = run_rows(&*device, &matrix, x, width, &options);
        for count in [1, 2, 7, 30, 66] {
            let some = run_rows(&*device, &matrix, &x[12 * width..(12 + count) * width], width, &options);
            assert_bits(&some, &all[12 * features..(12 + count) * features], &format!("{input:?}, {count} rows"));
        }
        if matches!(input, Input::Plain) {
            let plain = run_rows(&*device, &matrix, x, width, &Matmul::default());
            for (row, found) in plain.chunks(features).enumerate() {
                let expected = product(&x[row * columns..][..columns], &exact, columns);
                assert_near(found, &expected, tolerance, &format!("row {row}"));
            }
        }
    }
    // A residual in place, beside other features of the same rows, and where those end in the middle of a quad.
    let x = upload(&*device, &values(8, rows * columns));
    let plain = product(&values(8, rows * columns), &exact, columns);
    for (first, stride) in [(features, 2 * features), (features + 2, 2 * features + 4)] {
        let start = values(2, rows * stride);
        let out = upload(&*device, &start);
        let residual = Matmul { residual: Some(&out), out_stride: stride, out_first: first, ..Matmul::default() };
        run(&*device, |list| matmul(list, &matrix, &x, columns, rows, &residual, &out));
        let found = download(&*device, &out);
        for row in 0..rows {
            let [begin, at] = [row * stride, row * stride + first];
            assert_bits(&found[begin..at], &start[begin..at], "beside");
            let expected: Vec<f32> = (0..features).map(|f| start[at + f] + plain[row * features + f]).collect();
            assert_near(&found[at..at + features], &expected, tolerance, "residual");
        }
    }
}
