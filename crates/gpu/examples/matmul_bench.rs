//! Bytes of weights a second that products read on a device, and operations a second that they do:
//! `matmul_bench [device] [rows… | features x columns as 4096x4096 … | format…]`.
//!
//! Weights rotate through half a gigabyte, so that no cache holds them.

use std::time::Instant;

use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix};
use olivine_gpu::{Device, List, open};
use olivine_kernels::quant::{Format, ScaleType, Stored};

const SHAPES: [(usize, usize); 4] = [(4096, 4096), (14336, 4096), (4096, 14336), (131_072, 4096)];
const ROTATION_BYTES: usize = 512 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let choice = arguments.next().unwrap_or_else(|| "auto".to_string());
    let device = open(choice.parse().expect("a device")).unwrap_or_else(|error| panic!("{error}"));
    let (mut rows, mut shapes, mut names) = (vec![], vec![], vec![]);
    for argument in arguments {
        let pair = argument.split_once('x').and_then(|(f, c)| Some((f.parse().ok()?, c.parse().ok()?)));
        match (argument.parse::<usize>(), pair) {
            (Ok(count), _) => rows.push(count),
            (_, Some(pair)) => shapes.push(pair),
            _ => names.push(argument),
        }
    }
    if rows.is_empty() {
        rows = vec![1, 4, 16, 512];
    }
    if shapes.is_empty() {
        shapes = SHAPES.to_vec();
    }
    println!("{} ({})", device.info().name, device.info().driver);
    let stored = [Format::Affine { bits: 4, group: 64 }, Format::Q4_0, Format::Q4K, Format::Q6K, Format::Q8_0];
    let stored = stored.map(|format| (format.name(), Weights::Stored(format)));
    let dense = [("bf16", Weights::Dense(Code::Bf16)), ("f16", Weights::Dense(Code::F16))];
    for (name, weights) in stored.into_iter().chain(dense) {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        for &(features, columns) in &shapes {
            let noise = Noise::of(weights, features, columns);
            let upload = || noise.matrix(weights, features, columns).upload(&*device).expect("room");
            let mut matrices = vec![upload()];
            let bytes = matrices[0].bytes();
            matrices.resize_with((ROTATION_BYTES / bytes).clamp(1, 64), upload);
            print!("{name:>12} {features:>6} x {columns:<6}");
            for &rows in &rows {
                let seconds = time(&*device, &matrices, rows);
                let rate = bytes as f64 / seconds / 1e9;
                let tera = 2.0 * (rows * features * columns) as f64 / seconds / 1e12;
                print!(" | {rows:>4} rows {:>8.1} us {rate:>6.0} GB/s {tera:>6.2} TFLOP/s", seconds * 1e6);
            }
            println!();
        }
    }
}

/// How weights are stored.
#[derive(Clone, Copy)]
enum Weights {
    Stored(Format),
    Dense(Code),
}

/// Bytes that are no special floats in any format.
struct Noise {
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl Noise {
    fn of(weights: Weights, rows: usize, columns: usize) -> Noise {
        let noise = |count: usize| -> Vec<u8> { (0..count).map(|i| (i * 7 % 59) as u8).collect() };
        let (data, scales) = match weights {
            Weights::Dense(_) => (rows * columns * 2, 0),
            Weights::Stored(format) => {
                let groups = if let Format::Affine { group, .. } = format { usize::from(group) } else { usize::MAX };
                (rows * columns / format.block_columns() * format.block_bytes(), rows * columns / groups * 2)
            }
        };
        Noise { data: noise(data), scales: noise(scales) }
    }

    fn matrix(&self, weights: Weights, rows: usize, columns: usize) -> FileMatrix<'_> {
        let format = match weights {
            Weights::Stored(format) => format,
            Weights::Dense(code) => return FileMatrix::dense(code, rows, columns, &self.data),
        };
        let (data, scales, scale_type) = (&self.data[..], &self.scales[..], ScaleType::Bf16);
        let stored = Stored { format, rows, columns, data, scales, biases: scales, scale_type, global_scale: None };
        FileMatrix::quantized(&stored).expect("a layout")
    }
}

/// Seconds of one product.
fn time(device: &dyn Device, matrices: &[Matrix], rows: usize) -> f64 {
    let (features, columns) = (matrices[0].rows, matrices[0].columns);
    let x = device.allocate((rows * columns * 4) as u64).expect("room");
    let noise: Vec<f32> = (0..rows * columns).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
    device.write(&x, 0, bytemuck::cast_slice(&noise)).expect("written");
    let out = device.allocate((rows * features * 4) as u64).expect("room");
    let mut list = List::new();
    for matrix in matrices {
        matmul(&mut list, matrix, &x, columns, rows, &Matmul::default(), &out);
    }
    let recording = device.record(list).expect("recorded");
    let run = |count: usize| {
        let start = Instant::now();
        for _ in 0..count {
            recording.replay().expect("started");
        }
        device.wait().expect("done");
        start.elapsed().as_secs_f64()
    };
    let once = run(1).min(run(1));
    let count = (0.15 / once).clamp(1.0, 200.0) as usize;
    run(count) / (count * matrices.len()) as f64
}
