//! Speed of dense products beside the limits measured in the same process: `dense_bench [threads] [many | few] [kind]`.
//!
//! Many rows: Gop/s as a share of the register peak of the instruction. One and a few rows: GB/s of weights as a share
//! of the read bandwidth, over enough matrices that nothing is found in a cache. Best of several rounds.

use std::time::Instant;

use olivine_kernels::bf16;
use olivine_kernels::cpu::{Tier, tier};
use olivine_kernels::dense::{DenseMatrix, DenseType, Precision, matmul};
use olivine_kernels::pool::Pool;

fn best_s(rounds: usize, mut run: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Gop/s of the multiply-add instructions on all threads: bf16 dot products, f32 multiply-adds.
#[cfg(target_arch = "x86_64")]
fn peaks(pool: &Pool) -> (f64, f64) {
    const LOOPS: usize = 200_000;
    macro_rules! sixteen {
        ($instruction:literal) => {
            // SAFETY: registers only, all declared.
            unsafe {
                std::arch::asm!(
                    "vpxord zmm30, zmm30, zmm30", "vpxord zmm31, zmm31, zmm31",
                    "2:",
                    concat!($instruction, " zmm0, zmm30, zmm31"), concat!($instruction, " zmm1, zmm30, zmm31"),
                    concat!($instruction, " zmm2, zmm30, zmm31"), concat!($instruction, " zmm3, zmm30, zmm31"),
                    concat!($instruction, " zmm4, zmm30, zmm31"), concat!($instruction, " zmm5, zmm30, zmm31"),
                    concat!($instruction, " zmm6, zmm30, zmm31"), concat!($instruction, " zmm7, zmm30, zmm31"),
                    concat!($instruction, " zmm8, zmm30, zmm31"), concat!($instruction, " zmm9, zmm30, zmm31"),
                    concat!($instruction, " zmm10, zmm30, zmm31"), concat!($instruction, " zmm11, zmm30, zmm31"),
                    concat!($instruction, " zmm12, zmm30, zmm31"), concat!($instruction, " zmm13, zmm30, zmm31"),
                    concat!($instruction, " zmm14, zmm30, zmm31"), concat!($instruction, " zmm15, zmm30, zmm31"),
                    "dec {n}", "jnz 2b",
                    n = inout(reg) LOOPS => _,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                    out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm30") _, out("zmm31") _,
                )
            }
        };
    }
    if tier() != Tier::Avx512 {
        return (f64::NAN, f64::NAN);
    }
    let threads = pool.threads();
    let dots = best_s(9, || pool.run(threads, &|_| sixteen!("vdpbf16ps")));
    let fmas = best_s(9, || pool.run(threads, &|_| sixteen!("vfmadd231ps")));
    let count = (threads * LOOPS * 16) as f64 / 1e9;
    (count * 64.0 / dots, count * 32.0 / fmas)
}

#[cfg(not(target_arch = "x86_64"))]
fn peaks(_: &Pool) -> (f64, f64) {
    (f64::NAN, f64::NAN)
}

/// GB/s of reading `data`, four streams a part.
fn bandwidth_gbps(pool: &Pool, data: &[u8], rounds: usize) -> f64 {
    let words: &[u64] = bytemuck::cast_slice(data);
    let part = 64 * 1024;
    let sink = std::sync::atomic::AtomicU64::new(0);
    let seconds = best_s(rounds, || {
        pool.run(words.len() / part, &|index| {
            let words = &words[index * part..(index + 1) * part];
            let (a, b) = words.split_at(part / 2);
            let ((a, b), (c, d)) = (a.split_at(part / 4), b.split_at(part / 4));
            let mut sums = [0u64; 32];
            for (((a, b), c), d) in
                a.chunks_exact(8).zip(b.chunks_exact(8)).zip(c.chunks_exact(8)).zip(d.chunks_exact(8))
            {
                for i in 0..8 {
                    sums[i] ^= a[i];
                    sums[8 + i] ^= b[i];
                    sums[16 + i] ^= c[i];
                    sums[24 + i] ^= d[i];
                }
            }
            sink.fetch_add(sums.iter().fold(0, |a, b| a ^ b), std::sync::atomic::Ordering::Relaxed);
        });
    });
    std::hint::black_box(sink);
    (words.len() / part * part * 8) as f64 / seconds / 1e9
}

fn main() {
    let threads = std::env::args().nth(1).map_or(0, |text| text.parse().expect("threads"));
    let pool = Pool::new(threads);
    let (dots, fmas) = peaks(&pool);
    println!("{} threads, {:?}: bf16 peak {dots:.0} Gop/s, f32 peak {fmas:.0} Gop/s", pool.threads(), tier());
    let arena_bytes = 320usize << 20;
    let arena: Vec<u8> = bytemuck::cast_slice(
        &(0..arena_bytes / 2).map(|i| bf16::from_f32((i % 251) as f32 * 0.01 - 1.2)).collect::<Vec<bf16>>(),
    )
    .to_vec();
    let bandwidth = bandwidth_gbps(&pool, &arena, 5);
    println!("read bandwidth {bandwidth:.1} GB/s");
    let wanted = |index: usize, name: &str| std::env::args().nth(index).is_none_or(|text| name.starts_with(&text));
    for kind in KINDS.into_iter().filter(|kind| wanted(3, kind.0)) {
        if wanted(2, "many") {
            many_rows(&pool, &arena, (dots, fmas), kind);
        }
        if wanted(2, "few") {
            few_rows(&pool, &arena, kind);
        }
    }
}

type Kind = (&'static str, DenseType, Precision);

const KINDS: [Kind; 4] = [
    ("bf16 native", DenseType::Bf16, Precision::Native),
    ("bf16 f32", DenseType::Bf16, Precision::F32),
    ("f16", DenseType::F16, Precision::Native),
    ("f32", DenseType::F32, Precision::F32),
];

fn many_rows(pool: &Pool, arena: &[u8], (dots, fmas): (f64, f64), (name, dtype, precision): Kind) {
    let wide = [(3072, 1024), (1024, 3072), (1024, 1024), (2048, 8192)];
    let shapes = wide.map(|(n, k)| (512, n, k)).into_iter().chain([17, 24, 32, 64, 128].map(|m| (m, 3072, 1024)));
    for (m, n, k) in shapes {
        let x: Vec<f32> = (0..m * k).map(|i| (i % 97) as f32 * 0.02 - 1.0).collect();
        let mut out = vec![0.0; m * n];
        let size = n * k * dtype.size();
        // Other weights each time: in a model they come from memory too.
        let mut matrices = arena.chunks_exact(size).cycle();
        let seconds = best_s(12, || {
            let data = matrices.next().expect("[bench] the arena holds a matrix");
            let matrix = DenseMatrix { dtype, rows: n, columns: k, data };
            matmul(pool, &x, m, &[(matrix, 0)], &mut out, n, precision);
        });
        let rate = 2.0 * (m * n * k) as f64 / seconds / 1e9;
        let peak = if dtype == DenseType::Bf16 && precision == Precision::Native { dots } else { fmas };
        let share = rate / peak * 100.0;
        println!("{name:12} m {m:3} n {n:5} k {k:5}: {:7.3} ms {rate:6.0} Gop/s {share:5.1} % of peak", seconds * 1e3);
    }
}

fn few_rows(pool: &Pool, arena: &[u8], (name, dtype, precision): Kind) {
    for (n, k) in [(3072, 1024), (1024, 3072), (2048, 8192), (50_000, 1024)] {
        let size = n * k * dtype.size();
        let matrices = arena.len() / size;
        for m in [1, 2, 4, 8, 16] {
            let x: Vec<f32> = (0..m * k).map(|i| (i % 97) as f32 * 0.02 - 1.0).collect();
            let mut out = vec![0.0; m * n];
            let bandwidth = bandwidth_gbps(pool, arena, 2);
            let seconds = best_s(3, || {
                for data in arena.chunks_exact(size) {
                    let matrix = DenseMatrix { dtype, rows: n, columns: k, data };
                    matmul(pool, &x, m, &[(matrix, 0)], &mut out, n, precision);
                }
            });
            let bandwidth = bandwidth.max(bandwidth_gbps(pool, arena, 2));
            let rate = (matrices * size) as f64 / seconds / 1e9;
            let share = rate / bandwidth * 100.0;
            println!("{name:12} m {m:2} n {n:5} k {k:5}: {rate:5.1} GB/s of {bandwidth:5.1} = {share:5.1} %");
        }
    }
}
