//! Low-rank corrections against plain loops in f64, and their promise of equal bits, on every tier and storage.

mod common;

use common::{exclusive, random};
use half::bf16;
use olivine_kernels::cpu;
use olivine_kernels::low_rank::{LowRank, Placed, Run, Storage, apply};
use olivine_kernels::pool::Pool;

const COLUMNS: usize = 70;
const WIDTH: usize = 1200;
const SCALE: f32 = 1.5;

/// First output, outputs, rank.
const SHAPES: [(usize, usize, usize); 3] = [(3, 100, 8), (200, 900, 20), (1150, 50, 1)];

fn factors(seed: u64, storage: Storage) -> Vec<Placed> {
    let factor = |(index, &(first, outputs, rank)): (usize, &(usize, usize, usize))| {
        let seed = seed * 10 + index as u64;
        let (down, up) = (random(rank * COLUMNS, seed), random(outputs * rank, seed + 100));
        (LowRank::new(COLUMNS, outputs, SCALE, &down, &up, storage), first)
    };
    SHAPES.iter().enumerate().map(factor).collect()
}

/// What a row of an adapter becomes, in f64.
fn expected(seed: u64, storage: Storage, x: &[f32], before: &[f32]) -> Vec<f64> {
    let rounded = |values: Vec<f32>| -> Vec<f64> {
        let round = |value: f32| if storage == Storage::Bf16 { bf16::from_f32(value).to_f32() } else { value };
        values.into_iter().map(|value| f64::from(round(value))).collect()
    };
    let mut out: Vec<f64> = before.iter().map(|&value| f64::from(value)).collect();
    for (index, &(first, outputs, rank)) in SHAPES.iter().enumerate() {
        let seed = seed * 10 + index as u64;
        let (down, up) = (rounded(random(rank * COLUMNS, seed)), rounded(random(outputs * rank, seed + 100)));
        let low = |r: usize| (0..COLUMNS).map(|c| f64::from(x[c]) * down[r * COLUMNS + c]).sum::<f64>();
        let low: Vec<f64> = (0..rank).map(low).collect();
        for output in 0..outputs {
            let sum: f64 = (0..rank).map(|r| low[r] * up[output * rank + r]).sum();
            out[first + output] += f64::from(SCALE) * sum;
        }
    }
    out
}

#[test]
fn corrections_are_those_of_plain_loops_on_every_tier() {
    let _turn = exclusive();
    let best = cpu::tier();
    let rows = 11;
    let (x, before) = (random(rows * COLUMNS, 1), random(rows * WIDTH, 2));
    for tier in cpu::available() {
        cpu::force(tier);
        for storage in [Storage::F32, Storage::Bf16] {
            let (one, two) = (factors(1, storage), factors(2, storage));
            let runs = [Run { first: 1, rows: 6, factors: &one }, Run { first: 8, rows: 2, factors: &two }];
            let mut out = before.clone();
            let fill = |row: usize, to: &mut [f32]| to.copy_from_slice(&x[row * COLUMNS..(row + 1) * COLUMNS]);
            apply(&Pool::new(2), &runs, &fill, &mut out, WIDTH);
            for row in 0..rows {
                let (x, part) = (&x[row * COLUMNS..(row + 1) * COLUMNS], row * WIDTH..(row + 1) * WIDTH);
                let expected = match row {
                    1..=6 => expected(1, storage, x, &before[part.clone()]),
                    8..=9 => expected(2, storage, x, &before[part.clone()]),
                    _ => before[part.clone()].iter().map(|&value| f64::from(value)).collect(),
                };
                for (output, (got, expected)) in out[part].iter().zip(expected).enumerate() {
                    let error = (f64::from(*got) - expected).abs();
                    assert!(error < 1e-4, "{tier:?} {storage:?} row {row} output {output}: {got} for {expected}");
                }
            }
        }
    }
    cpu::force(best);
}

#[test]
fn bits_of_a_row_do_not_depend_on_other_rows_or_threads() {
    let _turn = exclusive();
    let best = cpu::tier();
    let rows = 40;
    let (x, before) = (random(rows * COLUMNS, 3), random(rows * WIDTH, 4));
    let fill = |row: usize, to: &mut [f32]| to.copy_from_slice(&x[row * COLUMNS..(row + 1) * COLUMNS]);
    for tier in cpu::available() {
        cpu::force(tier);
        let adapters: Vec<_> = (0..3).map(|seed| factors(seed, Storage::Bf16)).collect();
        let mut alone = before.clone();
        for row in 0..rows {
            let run = Run { first: row, rows: 1, factors: &adapters[row / 4 % 3] };
            apply(&Pool::new(1), &[run], &fill, &mut alone, WIDTH);
        }
        for threads in [1, 2, 3, 16] {
            let mut together = before.clone();
            let run = |first: usize| Run { first, rows: 4, factors: &adapters[first / 4 % 3] };
            let runs: Vec<_> = (0..rows).step_by(4).map(run).collect();
            apply(&Pool::new(threads), &runs, &fill, &mut together, WIDTH);
            assert!(alone.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()), "{tier:?} {threads} threads");
        }
        // Few rows on many threads: outputs are handed out in parts.
        let mut few = before.clone();
        let run = Run { first: 4, rows: 3, factors: &adapters[1] };
        apply(&Pool::new(16), &[run], &fill, &mut few, WIDTH);
        let part = 4 * WIDTH..7 * WIDTH;
        assert!(alone[part.clone()].iter().zip(&few[part]).all(|(a, b)| a.to_bits() == b.to_bits()), "{tier:?}");
    }
    cpu::force(best);
}
