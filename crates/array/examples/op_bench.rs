//! How fast ops are on large arrays: bytes moved or operations done in a second, one thread and all.
//!
//! Every op runs on evaluated inputs with a warm buffer cache; the best of 7 runs counts. Run with
//! `cargo run --release -p olivine-array --example op_bench`.

use std::time::Instant;

use olivine_array::*;

/// Seconds of the best run of `op`.
fn best(op: &dyn Fn() -> Array) -> f64 {
    let run = || {
        let start = Instant::now();
        op().eval();
        start.elapsed().as_secs_f64()
    };
    (0..7).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let x = random::normal(&[1024, 4096], Dtype::F32, &random::key(1));
    let y = random::normal(&[1024, 4096], Dtype::F32, &random::key(2));
    let (xb, yb) = (x.astype(Dtype::Bf16), y.astype(Dtype::Bf16));
    let xi = (&x * 100.0).astype(Dtype::I32);
    let small = x.slice(&[(0..512).into(), (0..1024).into()]).contiguous();
    let square = y.slice(&[Range::ALL, (0..1024).into()]).contiguous();
    eval([&x, &y, &xb, &yb, &xi, &small, &square]);
    let bytes = x.byte_count() as f64 / 1e9;
    let product = 2.0 * 512.0 * 1024.0 * 1024.0 / 1e9;
    let ops: [(&str, &str, f64, &dyn Fn() -> Array); 13] = [
        ("add f32", "GB/s", 3.0 * bytes, &|| &x + &y),
        ("add f32, broadcast row", "GB/s", 2.0 * bytes, &|| &x + &y.slice_axis(0, 0..1)),
        ("add bf16", "GB/s", 1.5 * bytes, &|| &xb + &yb),
        ("add i32", "GB/s", 3.0 * bytes, &|| &xi + &xi),
        ("exp f32", "GB/s", 2.0 * bytes, &|| x.exp()),
        ("log f32", "GB/s", 2.0 * bytes, &|| x.abs().log()),
        ("where f32", "GB/s", 3.25 * bytes, &|| where_(&x.greater(0.0), &x, &y)),
        ("transpose copy f32", "GB/s", 2.0 * bytes, &|| x.t().contiguous()),
        ("sum rows f32", "GB/s", bytes, &|| x.sum(&[1], false)),
        ("sum columns f32", "GB/s", bytes, &|| x.sum(&[0], false)),
        ("softmax f32", "GB/s", 2.0 * bytes, &|| x.softmax(&[-1])),
        ("rms_norm f32", "GB/s", 2.0 * bytes, &|| fast::rms_norm(&x, None, 1e-5)),
        ("matmul f32 512x1024x1024", "GFLOP/s", product, &|| small.matmul(&square)),
    ];
    println!("{:<28}{:>12}{:>12}", "op", "1 thread", "all threads");
    for (name, unit, amount, op) in ops {
        set_threads(1);
        let one = amount / best(op);
        set_threads(0);
        let all = amount / best(op);
        println!("{name:<28}{one:>12.1}{all:>12.1} {unit}");
    }
}
