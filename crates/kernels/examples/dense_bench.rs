//! Speed of dense products beside the limits measured in the same process: `dense_bench [threads] [many | few] [kind] [tier]`,
//! where an empty kind means all and `avx512` is a tier.
//!
//! Many rows: Gop/s as a share of the register peak of the instruction. One and a few rows: GB/s of weights as a share
//! of the read bandwidth, over enough matrices that nothing is found in a cache. Best of several rounds.

use std::time::Instant;

use olivine_kernels::bf16;
use olivine_kernels::cpu::{available, force, tier};
use olivine_kernels::dense::{DenseMatrix, DenseType, Precision, matmul};
use olivine_kernels::limits::{Limits, Operands};
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
    if let Some(name) = std::env::args().nth(4) {
        let named = available().into_iter().find(|tier| format!("{tier:?}").eq_ignore_ascii_case(&name));
        force(named.expect("[bench] a tier of this processor"));
    }
    let limits = Limits::measure(&pool);
    let [dots, fmas] =
        [Operands::Bf16, Operands::F32].map(|operands| limits.peak(operands).operations_per_second / 1e9);
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
        // On a cache line, as the memory of arrays is.
        let mut out = vec![0.0; m * n + 16];
        let start = out.as_ptr().align_offset(64);
        let out = &mut out[start..start + m * n];
        let size = n * k * dtype.size();
        // Other weights each time: in a model they come from memory too.
        let mut matrices = arena.chunks_exact(size).cycle();
        let seconds = best_s(12, || {
            let data = matrices.next().expect("[bench] the arena holds a matrix");
            let matrix = DenseMatrix { dtype, rows: n, columns: k, data };
            matmul(pool, &x, m, &[(matrix, 0)], out, n, precision);
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
