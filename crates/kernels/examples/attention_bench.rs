//! Times attention and the gated delta rule beside the limits of the same minute: bf16 products in registers and
//! reading memory. `cargo run --release -p olivine-kernels --example attention_bench -- [threads] [only names with]`.
//!
//! Causal work is counted once: only keys that a row sees.

use olivine_kernels::attention::{
    AttentionParams, BatchSequence, KvCacheLayer, KvDtype, KvLayout, RaggedBatch, attend,
};
use olivine_kernels::pool::Pool;
use olivine_kernels::recurrent::{DeltaInputs, DeltaShape, RecurrentRows, RowView, gated_delta_rule};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Best time of several runs, in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let mut least = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed().as_millis() < 400 {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_in_registers(rounds: usize) -> f32 {
    use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let mut acc: [__m512; 12] = [_mm512_set1_ps(0.0); 12];
    // SAFETY: both are 64 plain bytes.
    let factor: __m512bh = unsafe { std::mem::transmute(black_box(_mm512_set1_ps(1.0e-20))) };
    for _ in 0..rounds {
        for acc in &mut acc {
            *acc = _mm512_dpbf16_ps(*acc, factor, factor);
        }
    }
    acc.into_iter().map(|acc| _mm512_reduce_add_ps(acc)).sum()
}

/// bf16 operations a second (a multiplication and an addition count as two), 0 where there is no such instruction.
fn bf16_peak(pool: &Pool) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512bf16") {
        let rounds = 200_000;
        let seconds = best(|| {
            pool.run(pool.threads(), &|_| {
                // SAFETY: just detected.
                black_box(unsafe { multiply_in_registers(rounds) });
            })
        });
        return (pool.threads() * rounds * 12 * 64) as f64 / seconds;
    }
    let _ = pool;
    0.0
}

/// Bytes a second of reading a buffer that no cache holds, four streams a thread.
fn read_bandwidth(pool: &Pool) -> f64 {
    let words = vec![1u64; 24 << 20];
    let total = AtomicU64::new(0);
    let streams = 4;
    let seconds = best(|| {
        pool.run(pool.threads(), &|part| {
            let share = words.len() / pool.threads();
            let piece = &words[part * share..(part + 1) * share];
            let quarter = share / streams;
            let mut sums = [[0u64; 8]; 4];
            for at in (0..quarter / 8 * 8).step_by(8) {
                for (stream, sum) in sums.iter_mut().enumerate() {
                    let line = &piece[stream * quarter + at..][..8];
                    sum.iter_mut().zip(line).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
                }
            }
            total.fetch_add(sums.iter().flatten().sum(), Ordering::Relaxed);
        })
    });
    black_box(total.into_inner());
    (words.len() * 8) as f64 / seconds
}

fn random(count: usize) -> Vec<f32> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

struct Bench {
    pool: Pool,
    peak: f64,
    only: String,
}

/// A model's attention layer.
#[derive(Clone, Copy)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    key_dim: usize,
    value_dim: usize,
    dtype: KvDtype,
}

impl Bench {
    fn cache(&self, shape: Shape, tokens: usize, sequences: usize) -> (KvCacheLayer, Vec<Vec<u32>>) {
        let Shape { kv_heads, key_dim, value_dim, dtype, .. } = shape;
        let mut cache = KvCacheLayer::new(KvLayout { kv_heads, key_dim, value_dim, page_tokens: 64, dtype });
        let each = tokens.div_ceil(64);
        cache.grow(each * sequences);
        let (keys, values) = (random(tokens * kv_heads * key_dim), random(tokens * kv_heads * value_dim));
        let tables: Vec<Vec<u32>> =
            (0..sequences).map(|index| (index * each..(index + 1) * each).map(|page| page as u32).collect()).collect();
        for pages in &tables {
            let sequence = BatchSequence { first_row: 0, rows: tokens, first_position: 0, pages };
            cache.write(&self.pool, &keys, &values, &RaggedBatch { sequences: &[sequence] });
        }
        (cache, tables)
    }

    fn params(shape: Shape) -> AttentionParams<'static> {
        let scale = 1.0 / (shape.key_dim as f32).sqrt();
        AttentionParams { heads: shape.heads, scale, window: None, soft_cap: None, sinks: None, causal: true }
    }

    /// Rows of a prompt at its end.
    fn prefill(&self, name: &str, shape: Shape, rows: usize, context: usize) {
        if !format!("prefill {name}").contains(&self.only) {
            return;
        }
        let (cache, tables) = self.cache(shape, context, 1);
        let queries = random(rows * shape.heads * shape.key_dim);
        let mut out = vec![0.0; rows * shape.heads * shape.value_dim];
        let sequence = BatchSequence { first_row: 0, rows, first_position: context - rows, pages: &tables[0] };
        let batch = RaggedBatch { sequences: &[sequence] };
        let params = Bench::params(shape);
        let seconds = best(|| attend(&self.pool, &queries, &cache, &batch, &params, &mut out));
        let seen: usize = (context - rows + 1..=context).sum();
        let work = (2 * seen * shape.heads * (shape.key_dim + shape.value_dim)) as f64;
        let share = if self.peak > 0.0 { 100.0 * work / seconds / self.peak } else { 0.0 };
        println!(
            "prefill {name:<34} {rows:>5} rows of {context:>5}: {:>8.1} us {:>7.1} Gop/s {share:>5.1} % of bf16 peak",
            seconds * 1e6,
            work / seconds / 1e9
        );
    }

    /// One row of each of `sequences` sequences. The caches of several layers take turns, so that none stays in the
    /// processor's caches.
    fn decode(&self, name: &str, shape: Shape, sequences: usize, context: usize, layers: usize) {
        if !format!("decode {name}").contains(&self.only) {
            return;
        }
        let caches: Vec<_> = (0..layers).map(|_| self.cache(shape, context, sequences)).collect();
        let queries = random(sequences * shape.heads * shape.key_dim);
        let mut out = vec![0.0; sequences * shape.heads * shape.value_dim];
        let params = Bench::params(shape);
        let seconds = best(|| {
            for (cache, tables) in &caches {
                let rows: Vec<BatchSequence> = tables
                    .iter()
                    .enumerate()
                    .map(|(row, pages)| BatchSequence { first_row: row, rows: 1, first_position: context - 1, pages })
                    .collect();
                attend(&self.pool, &queries, cache, &RaggedBatch { sequences: &rows }, &params, &mut out);
            }
        }) / layers as f64;
        let width = shape.kv_heads * shape.dtype.bytes_of(shape.key_dim + shape.value_dim);
        let bytes = (sequences * context * width) as f64;
        println!(
            "decode  {name:<34} {sequences:>2} x {context:>5}, {layers:>3} layers: {:>8.2} us a layer {:>6.1} GB/s",
            seconds * 1e6,
            bytes / seconds / 1e9
        );
    }

    /// Storing the keys and values of `rows` rows.
    fn write(&self, name: &str, shape: Shape, rows: usize, context: usize) {
        if !format!("write {name}").contains(&self.only) {
            return;
        }
        let (mut cache, tables) = self.cache(shape, context, 1);
        let (keys, values) =
            (random(rows * shape.kv_heads * shape.key_dim), random(rows * shape.kv_heads * shape.value_dim));
        let sequence = BatchSequence { first_row: 0, rows, first_position: context - rows, pages: &tables[0] };
        let seconds = best(|| cache.write(&self.pool, &keys, &values, &RaggedBatch { sequences: &[sequence] }));
        println!("write   {name:<34} {rows:>5} rows: {:>8.2} us", seconds * 1e6);
    }

    fn delta(&self, shape: DeltaShape, rows: usize) {
        if !"delta".contains(&self.only) {
            return;
        }
        let keys = shape.key_heads * shape.key_dim;
        let (queries, values) = (random(rows * keys), random(rows * shape.value_heads * shape.value_dim));
        let gates = vec![0.9; rows * shape.value_heads];
        let mut states = vec![0.0; shape.state_len()];
        let mut out = vec![0.0; values.len()];
        let inputs = DeltaInputs {
            queries: RowView::packed(&queries, keys),
            keys: RowView::packed(&queries, keys),
            values: RowView::packed(&values, shape.value_heads * shape.value_dim),
            decay: RowView::packed(&gates, shape.value_heads),
            beta: RowView::packed(&gates, shape.value_heads),
        };
        let sequence = RecurrentRows { first_row: 0, rows, slot: 0 };
        let seconds = best(|| gated_delta_rule(&self.pool, &shape, &inputs, &[sequence], &mut states, &mut out));
        // Seven operations a state value: update, decay, two reads.
        let work = (7 * rows * shape.state_len()) as f64;
        println!(
            "delta   {} heads {} x {}, {rows:>4} rows: {:>8.2} us a row {:>7.1} Gop/s",
            shape.value_heads,
            shape.key_dim,
            shape.value_dim,
            seconds * 1e6 / rows as f64,
            work / seconds / 1e9
        );
    }
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1);
    let pool = Pool::new(threads);
    let bench = Bench { peak: bf16_peak(&pool), pool, only: std::env::args().nth(2).unwrap_or_default() };
    println!(
        "{threads} threads, {:?}: {:.0} Gop/s bf16, {:.1} GB/s read",
        olivine_kernels::cpu::tier(),
        bench.peak / 1e9,
        read_bandwidth(&bench.pool) / 1e9
    );
    let qwen = Shape { heads: 16, kv_heads: 8, key_dim: 128, value_dim: 128, dtype: KvDtype::Bf16 };
    let llama = Shape { heads: 32, kv_heads: 8, key_dim: 64, value_dim: 64, ..qwen };
    let latent = Shape { heads: 20, kv_heads: 1, key_dim: 576, value_dim: 512, ..qwen };
    let wide = Shape { heads: 16, kv_heads: 2, key_dim: 256, value_dim: 256, ..qwen };
    bench.prefill("qwen3-0.6b bf16", qwen, 512, 512);
    bench.prefill("qwen3-0.6b bf16", qwen, 512, 4096);
    bench.prefill("qwen3-0.6b f16", Shape { dtype: KvDtype::F16, ..qwen }, 512, 512);
    bench.prefill("qwen3-0.6b q8", Shape { dtype: KvDtype::Q8, ..qwen }, 512, 512);
    bench.prefill("qwen3-0.6b q4", Shape { dtype: KvDtype::Q4, ..qwen }, 512, 512);
    bench.prefill("qwen3-0.6b f32", Shape { dtype: KvDtype::F32, ..qwen }, 512, 512);
    bench.prefill("llama-3.2-1b bf16", llama, 512, 512);
    bench.prefill("MLA 20 heads bf16", latent, 512, 512);
    bench.prefill("qwen3-next bf16", wide, 512, 512);
    bench.decode("qwen3-0.6b bf16", qwen, 1, 4096, 28);
    bench.decode("qwen3-0.6b f16", Shape { dtype: KvDtype::F16, ..qwen }, 1, 4096, 28);
    bench.decode("qwen3-0.6b q8", Shape { dtype: KvDtype::Q8, ..qwen }, 1, 4096, 28);
    bench.decode("qwen3-0.6b q4", Shape { dtype: KvDtype::Q4, ..qwen }, 1, 4096, 28);
    bench.decode("llama-3.2-1b bf16", llama, 1, 4096, 28);
    bench.decode("MLA 20 heads bf16", latent, 1, 4096, 28);
    bench.decode("qwen3-0.6b bf16", qwen, 8, 1024, 16);
    bench.decode("qwen3-0.6b bf16", qwen, 1, 64, 28);
    bench.decode("qwen3-0.6b bf16", qwen, 1, 512, 28);
    bench.write("qwen3-0.6b bf16", qwen, 512, 512);
    bench.write("qwen3-0.6b bf16", qwen, 1, 512);
    println!("read bandwidth again: {:.1} GB/s", read_bandwidth(&bench.pool) / 1e9);
    let delta = DeltaShape { key_heads: 16, value_heads: 32, key_dim: 128, value_dim: 128 };
    bench.delta(delta, 512);
    bench.delta(delta, 1);
}
