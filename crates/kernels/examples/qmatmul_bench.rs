//! Quantized products on one thread: Gop/s and share of the int8 peak, GB/s and share of the read bandwidth, both
//! limits measured in this process just before.
//!
//! `cargo run --release -p olivine-kernels --example qmatmul_bench [FORMAT,..] [ROWSxCOLUMNS,..] [M,..]`. Figures
//! are medians of five; weights are rotated through copies larger than the caches.

use olivine_kernels::pool::Pool;
use olivine_kernels::qmatmul::{PackedMatrix, QuantizedActivations, matmul};
use olivine_kernels::quant::{Format, quantize};

/// CPU time of this thread: other work on the machine does not count.
struct Clock(f64);

impl Clock {
    fn now() -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock writes the time.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
    }

    fn start() -> Clock {
        Clock(Clock::now())
    }

    fn seconds(&self) -> f64 {
        Clock::now() - self.0
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let list = |index: usize, or: &str| {
        let text = arguments.get(index).cloned().unwrap_or_else(|| or.to_string());
        text.split(',').map(str::to_string).collect::<Vec<_>>()
    };
    let pool = Pool::new(1);
    println!("format shape m: Gop/s (% of int8 peak), GB/s (% of read bandwidth), us");
    for format in list(1, "q4_0,affine4,q8_0,affine8,q4_k,q5_k,q6_k,mxfp4,nvfp4,q2_k,q3_k,affine3") {
        let format = Format::parse(&format).expect("a format");
        for shape in list(2, "3072x1024,1024x3072,8192x2048") {
            let (rows, columns) = shape.split_once('x').expect("ROWSxCOLUMNS");
            let (rows, columns) = (rows.parse().expect("rows"), columns.parse().expect("columns"));
            bench(&pool, format, rows, columns, &list(3, "1,8,64,512"));
        }
    }
}

fn bench(pool: &Pool, format: Format, rows: usize, columns: usize, batches: &[String]) {
    let values: Vec<f32> = (0..rows * columns).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect();
    let stored = quantize(pool, format, rows, columns, values.as_slice()).expect("quantizes");
    let start = Clock::start();
    let first = PackedMatrix::pack(pool, &[stored.as_stored()]).expect("packs");
    let packing = first.bytes() as f64 / start.seconds() / 1e9;
    let copies = (100_000_000 / first.bytes()).max(1);
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
        let mut out = vec![0.0; m * rows];
        let repeats = (matrices.len()).min((4096 / m).max(2));
        let mut results = Vec::new();
        for _ in 0..5 {
            let (peak, read) = (int8_peak(), read_bandwidth());
            let start = Clock::start();
            matrices[..repeats].iter().for_each(|matrix| matmul(pool, &x, &[(matrix, 0)], &mut out, rows));
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

/// Gop/s of independent `vpdpbusd` on this thread; 0 divides to infinity where the instruction is missing.
fn int8_peak() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") {
        const ROUNDS: usize = 40_000;
        let start = Clock::start();
        for _ in 0..ROUNDS {
            // SAFETY: registers only, declared as clobbered; the processor has the instruction.
            unsafe {
                std::arch::asm!(
                    ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "vpdpbusd zmm\\i, zmm30, zmm31", ".endr",
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                    out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, options(nomem, nostack));
            }
        }
        return (128 * 16 * ROUNDS) as f64 / start.seconds() / 1e9;
    }
    0.0
}

/// GB/s of this thread summing four streams, the best plain reading there is.
fn read_bandwidth() -> f64 {
    thread_local! { static DATA: Vec<u64> = vec![1; 16 << 20]; }
    DATA.with(|data| {
        let quarter = data.len() / 4;
        let start = Clock::start();
        let mut sums = [0u64; 32];
        for i in (0..quarter).step_by(8) {
            for stream in 0..4 {
                let line = &data[stream * quarter + i..][..8];
                (0..8).for_each(|j| sums[stream * 8 + j] = sums[stream * 8 + j].wrapping_add(line[j]));
            }
        }
        std::hint::black_box(sums);
        8e-9 * data.len() as f64 / start.seconds()
    })
}
