//! Bytes of weights a second that products read on a device: `matmul_bench [device] [rows…]`.
//!
//! Weights rotate through half a gigabyte, so that no cache holds them.

use std::time::Instant;

use olivine_gpu::ops::matmul::{Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix, Packed};
use olivine_gpu::{Device, List, open};
use olivine_kernels::quant::{Format, ScaleType, Stored};

const SHAPES: [(usize, usize); 4] = [(4096, 4096), (14336, 4096), (4096, 14336), (131_072, 4096)];
const ROTATION_BYTES: usize = 512 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let choice = arguments.next().unwrap_or_else(|| "auto".to_string());
    let device = open(choice.parse().expect("a device")).unwrap_or_else(|error| panic!("{error}"));
    let mut rows: Vec<usize> = arguments.map(|rows| rows.parse().expect("a number of rows")).collect();
    if rows.is_empty() {
        rows = vec![1, 4, 16, 512];
    }
    println!("{} ({})", device.info().name, device.info().driver);
    let formats = [
        Some(Format::Affine { bits: 4, group: 64 }),
        Some(Format::Q4_0),
        Some(Format::Q4K),
        Some(Format::Q6K),
        Some(Format::Q8_0),
        None,
    ];
    for format in formats {
        for (features, columns) in SHAPES {
            let packed = pack(format, features, columns);
            let bytes: usize = packed.parts.iter().map(Vec::len).sum();
            let copies = (ROTATION_BYTES / bytes).clamp(1, 64);
            let upload = |_| packed.clone().upload(&*device).expect("room");
            let matrices: Vec<Matrix> = (0..copies).map(upload).collect();
            let name = format.map_or("bf16", Format::name);
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

/// Any bytes will do: the time does not depend on them.
fn pack(format: Option<Format>, rows: usize, columns: usize) -> Packed {
    let noise = |count: usize| -> Vec<u8> { (0..count).map(|i| (i * 7 % 59) as u8).collect() };
    let Some(format) = format else { return Packed::dense(Code::Bf16, rows, columns, &noise(rows * columns * 2)) };
    let data = noise(rows * columns / format.block_columns() * format.block_bytes());
    let scales = match format {
        Format::Affine { group, .. } => noise(rows * columns / usize::from(group) * 2),
        _ => vec![],
    };
    let scale_type = ScaleType::Bf16;
    let stored =
        Stored { format, rows, columns, data: &data, scales: &scales, biases: &scales, scale_type, global_scale: None };
    Packed::quantized(&stored).expect("a layout")
}

/// Seconds of one product.
fn time(device: &dyn Device, matrices: &[Matrix], rows: usize) -> f64 {
    let (features, columns) = (matrices[0].rows, matrices[0].columns);
    let x = device.allocate((rows * columns * 4) as u64).expect("room");
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
