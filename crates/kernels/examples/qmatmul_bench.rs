//! Quantized products: Gop/s and share of the int8 peak, GB/s and share of the read bandwidth, both limits measured in
//! this process just before.
//!
//! `cargo run --release -p olivine-kernels --example qmatmul_bench [FORMAT,..] [ROWSxCOLUMNS,..] [M,..] [THREADS] [TIER]
//! [cached]`. Figures are medians of five; weights are rotated through copies larger than the caches, or the same ones
//! again and again. One thread counts its own CPU time, several the time on the wall.

use olivine_kernels::limits::{Limits, Operands};
use olivine_kernels::pages::{HUGE_PAGE_BYTES, Pages};
use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{PackedMatrix, QuantizedActivations, matmul};
use olivine_kernels::quant::{Format, ScaleType, StoredOwned, quantize};

/// Time of the wall, or of this thread: then other work on the machine does not count.
struct Clock {
    wall: bool,
    start: f64,
}

impl Clock {
    fn now(wall: bool) -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let clock = if wall { libc::CLOCK_MONOTONIC } else { libc::CLOCK_THREAD_CPUTIME_ID };
        // SAFETY: the clock writes the time.
        unsafe { libc::clock_gettime(clock, &mut time) };
        time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
    }

    fn start(wall: bool) -> Clock {
        Clock { wall, start: Clock::now(wall) }
    }

    fn seconds(&self) -> f64 {
        Clock::now(self.wall) - self.start
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let list = |index: usize, or: &str| {
        let text = arguments.get(index).cloned().unwrap_or_else(|| or.to_string());
        text.split(',').map(str::to_string).collect::<Vec<_>>()
    };
    if let Some(name) = arguments.get(5) {
        let tiers = olivine_kernels::cpu::available();
        olivine_kernels::cpu::force(
            *tiers.iter().find(|tier| format!("{tier:?}") == *name).expect("a tier of this processor"),
        );
    }
    let cached = arguments.get(6).is_some();
    assert!(arguments.get(6).is_none_or(|word| word == "cached"), "the last word is `cached`, or there is none");
    let pool = Pool::new(list(4, "1")[0].parse().expect("a number of threads"));
    println!("format shape m: Gop/s (% of int8 peak), GB/s (% of read bandwidth), us");
    for format in list(1, "q4_0,affine4,q8_0,affine8,q4_k,q5_k,q6_k,mxfp4,nvfp4,q2_k,q3_k,affine3") {
        let format = Format::parse(&format).expect("a format");
        for shape in list(2, "3072x1024,1024x3072,8192x2048") {
            let (rows, columns) = shape.split_once('x').expect("ROWSxCOLUMNS");
            let (rows, columns) = (rows.parse().expect("rows"), columns.parse().expect("columns"));
            bench(&pool, format, (rows, columns), cached, &list(3, "1,8,64,512"));
        }
    }
}

/// A matrix of a format without encoder: any bytes are one.
fn noise(format: Format, rows: usize, columns: usize) -> StoredOwned {
    let info = format.info();
    let bytes = rows * columns / info.block_columns * info.block_bytes;
    let data = (0..bytes as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    let (scales, biases, scale_type) = (vec![], vec![], ScaleType::F32);
    StoredOwned { format, rows, columns, data, scales, biases, scale_type, global_scale: None }
}

fn bench(pool: &Pool, format: Format, (rows, columns): (usize, usize), cached: bool, batches: &[String]) {
    let values: Vec<f32> = (0..rows * columns).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect();
    let stored = match format.info().encode {
        Some(_) => quantize(pool, format, rows, columns, values.as_slice()).expect("quantizes"),
        None => noise(format, rows, columns),
    };
    let wall = pool.threads() > 1;
    let start = Clock::start(wall);
    let first = PackedMatrix::pack(pool, &[stored.as_stored()]).expect("packs");
    let packing = first.bytes() as f64 / start.seconds() / 1e9;
    let copies = if cached { 0 } else { (100_000_000 / first.bytes()).max(1) };
    let mut matrices = vec![first];
    matrices.extend((0..copies).map(|_| PackedMatrix::pack(pool, &[stored.as_stored()]).expect("packs")));
    println!("{} {rows}x{columns}: packed at {packing:.1} GB/s", format.name());
    for m in batches {
        let m: usize = m.parse().expect("a number of rows");
        let x = QuantizedActivations::new(
            pool,
            &values[..1024].repeat((m * columns).div_ceil(1024))[..m * columns],
            m,
            columns,
        );
        // In huge pages, as arrays are.
        let mut out = Pages::zeroed((m * rows * 4).next_multiple_of(HUGE_PAGE_BYTES), true);
        out.fill(0);
        let out: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut out)[..m * rows];
        let repeats = if cached { 400 } else { matrices.len() }.min((4096 / m).max(2));
        let mut results = Vec::new();
        let limits = Limits::measure(pool);
        let peak = limits.peak(Operands::Int8).operations_per_second / 1e9;
        let read = limits.read_bytes_per_second / 1e9;
        for _ in 0..5 {
            let start = Clock::start(wall);
            let turns = matrices.iter().cycle().take(repeats);
            turns.for_each(|matrix| matmul(pool, &x, &[(matrix, 0)], out, rows));
            let seconds = start.seconds() / repeats as f64;
            let gops = 2e-9 * (m * rows * columns) as f64 / seconds;
            let gigabytes = 1e-9 * matrices[0].bytes() as f64 / seconds;
            results.push((gops, 100.0 * gops / peak, gigabytes, 100.0 * gigabytes / read, 1e6 * seconds));
        }
        results.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (gops, of_peak, gigabytes, of_read, us) = results[2];
        println!("  m {m:4}: {gops:7.0} ({of_peak:5.1} %) {gigabytes:6.1} ({of_read:5.1} %) {us:9.1} us");
    }
}
