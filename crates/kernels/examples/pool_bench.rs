//! What a parallel region costs: `pool_bench [threads]`.
//!
//! Empty regions back to back; regions of 5 to 100 µs of work beside the same work on one thread; regions after a pause
//! long enough for the workers to have parked.

use std::time::{Duration, Instant};

use olivine_kernels::pool::Pool;

/// About `steps` dependent multiplications.
fn work(steps: u64) {
    let mut x = std::hint::black_box(1u64);
    for _ in 0..steps {
        x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1;
    }
    std::hint::black_box(x);
}

/// Microseconds of a call: median and 99th percentile.
fn measure_us(calls: usize, mut call: impl FnMut()) -> (f64, f64) {
    let mut times: Vec<f64> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[calls / 2], times[calls * 99 / 100])
}

fn main() {
    let threads = std::env::args().nth(1).map_or(0, |text| text.parse().expect("threads"));
    let pool = Pool::new(threads);
    let threads = pool.threads();
    println!("{threads} threads; median and 99th percentile in µs");
    for parts in [1, threads, 4 * threads, 16 * threads] {
        let start = Instant::now();
        (0..200_000).for_each(|_| pool.run(parts, &|_| {}));
        println!("empty region of {parts} parts: mean {:.3} µs", start.elapsed().as_secs_f64() * 5.0);
    }
    for steps in [2_500, 10_000, 50_000] {
        let (alone, _) = measure_us(2_000, || work(steps * 2));
        let (median, tail) = measure_us(2_000, || pool.run(8, &|_| work(steps / 4)));
        let ideal = alone / threads as f64;
        println!("{alone:6.1} of work in 8 parts: {median:6.1} ({tail:.1}); {:.1} above the ideal", median - ideal);
    }
    let (median, tail) = measure_us(200, || {
        std::thread::sleep(Duration::from_millis(2));
        let start = Instant::now();
        pool.run(4 * threads, &|_| {});
        std::hint::black_box(start.elapsed());
    });
    let (pause, _) = measure_us(200, || std::thread::sleep(Duration::from_millis(2)));
    println!("first region after a pause: {:.1} ({:.1})", median - pause, tail - pause);
}
