//! Dense products on every tier: values against the scalar reference, and equal bits however a row is batched.
//!
//! A test binary of its own, because it forces tiers for the whole process.

use std::sync::{Mutex, PoisonError};

use olivine_kernels::cpu::{Tier, available, force};
use olivine_kernels::dense::{
    BatchOffsets, DenseExperts, DenseMatrix, DenseType, ExpertGroup, Precision, StridedMatrix, gemm_f32, matmul,
    matmul_experts, reference,
};
use olivine_kernels::pool::Pool;
use olivine_kernels::{bf16, f16};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn on_every_tier(test: impl Fn(Tier)) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for tier in available() {
        force(tier);
        test(tier);
    }
}

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next() + next()).collect()
}

fn bytes(values: &[f32], dtype: DenseType) -> Vec<u8> {
    match dtype {
        DenseType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DenseType::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        DenseType::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
    }
}

const KINDS: [(DenseType, Precision); 4] = [
    (DenseType::F32, Precision::F32),
    (DenseType::F16, Precision::Native),
    (DenseType::Bf16, Precision::Native),
    (DenseType::Bf16, Precision::F32),
];

/// The sum of |x| |w| bounds the rounding of a sum.
fn assert_close(out: f32, x: &[f32], w: &[f32], rounded: bool, what: &dyn Fn() -> String) {
    let exact: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
    let size: f64 = x.iter().zip(w).map(|(&x, &w)| (f64::from(x) * f64::from(w)).abs()).sum();
    let allowed = size * if rounded { 1.0 / 256.0 } else { 2e-6 } + 1e-30;
    assert!((f64::from(out) - exact).abs() <= allowed, "{}: {out}, not {exact} ± {allowed}", what());
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// `(m, n, k)` on both sides of every tile and vector size.
const SHAPES: [(usize, usize, usize); 28] = [
    (1, 1, 1),
    (1, 5, 3),
    (2, 16, 32),
    (3, 17, 33),
    (5, 63, 31),
    (7, 64, 64),
    (4, 65, 100),
    (6, 100, 257),
    (8, 48, 128),
    (16, 50, 96),
    (17, 48, 32),
    (18, 49, 65),
    (33, 47, 127),
    (40, 97, 640),
    (100, 130, 200),
    (1, 70, 5000),
    (3, 33, 4999),
    (25, 51, 4163),
    (1, 3, 20_000),
    (600, 20, 40),
    (16, 15, 30),
    (15, 17, 34),
    (32, 32, 256),
    (48, 33, 258),
    (49, 31, 513),
    (0, 8, 8),
    (3, 0, 8),
    (2, 5, 0),
];

#[test]
fn matches_the_reference_over_odd_shapes() {
    let pool = Pool::new(3);
    on_every_tier(|tier| {
        for (m, n, k) in SHAPES {
            for (dtype, precision) in KINDS {
                // A first byte that is not part of the data: weights need no alignment.
                let mut data = vec![0u8];
                data.extend(bytes(&values(n * k, 7), dtype));
                let matrix = DenseMatrix { dtype, rows: n, columns: k, data: &data[1..] };
                let x = values(m * k, 3);
                let stride = n + 3;
                let mut out = vec![f32::NAN; m * stride];
                matmul(&pool, &x, m, &[(matrix, 2)], &mut out, stride, precision);
                let mut row = vec![0.0; k];
                let rounded = dtype == DenseType::Bf16 && precision == Precision::Native;
                for j in 0..n {
                    reference::weight_row(&matrix, j, &mut row);
                    for r in 0..m {
                        let what = || format!("{tier:?} {dtype:?} {precision:?} [{m}, {n}, {k}] at ({r}, {j})");
                        assert_close(out[r * stride + 2 + j], &x[r * k..(r + 1) * k], &row, rounded, &what);
                    }
                }
                let beside = |row: &[f32]| row[0].is_nan() && row[1].is_nan() && row[stride - 1].is_nan();
                assert!(out.chunks(stride).all(beside), "{tier:?} [{m}, {n}, {k}] wrote beside its columns");
            }
        }
    });
}

#[test]
fn native_bf16_rounds_the_input_and_nothing_else() {
    let (m, n, k) = (19, 40, 300);
    let data = bytes(&values(n * k, 1), DenseType::Bf16);
    let matrix = DenseMatrix { dtype: DenseType::Bf16, rows: n, columns: k, data: &data };
    let x = values(m * k, 2);
    let rounded: Vec<f32> = x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    let pool = Pool::new(2);
    on_every_tier(|tier| {
        let input = if matches!(tier, Tier::Avx512 | Tier::Amx) { &rounded } else { &x };
        let mut out = vec![0.0; m * n];
        matmul(&pool, &x, m, &[(matrix, 0)], &mut out, n, Precision::Native);
        let mut row = vec![0.0; k];
        for j in 0..n {
            reference::weight_row(&matrix, j, &mut row);
            for r in 0..m {
                let what = || format!("{tier:?} ({r}, {j})");
                assert_close(out[r * n + j], &input[r * k..(r + 1) * k], &row, false, &what);
            }
        }
    });
}

#[test]
fn a_row_has_the_same_bits_in_every_batch_and_on_every_number_of_threads() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(5)];
    on_every_tier(|tier| {
        for (n, k) in [(100, 96), (53, 333), (70, 4500), (16, 64)] {
            for (dtype, precision) in KINDS {
                let data = bytes(&values(n * k, 11), dtype);
                let matrix = DenseMatrix { dtype, rows: n, columns: k, data: &data };
                // A batch beyond what one part takes, on the smallest matrix: it is slow under emulation.
                let longest = if n * k < 2000 { 600 } else { 100 };
                let x = values(longest * k, 5);
                let mut alone = vec![0.0; 100 * n];
                for (r, out) in alone.chunks_exact_mut(n).enumerate() {
                    matmul(&pools[0], &x[r * k..(r + 1) * k], 1, &[(matrix, 0)], out, n, precision);
                }
                for m in [2, 3, 6, 7, 8, 16, 17, 64, longest] {
                    for pool in &pools {
                        let mut out = vec![0.0; m * n];
                        matmul(pool, &x[..m * k], m, &[(matrix, 0)], &mut out, n, precision);
                        let rows = m.min(100) * n;
                        let what = format!("{tier:?} {dtype:?} {precision:?} {m} rows, [{n}, {k}]");
                        assert!(same_bits(&out[..rows], &alone[..rows]), "{what}, {} threads", pool.threads());
                    }
                }
                // Where a weight row lies in its matrix does not matter either.
                let size = k * dtype.size();
                for first in [1, 5, 15] {
                    let last = n.min(first + 9);
                    let part = DenseMatrix { rows: last - first, data: &data[first * size..last * size], ..matrix };
                    let mut out = vec![0.0; part.rows];
                    matmul(&pools[1], &x[..k], 1, &[(part, 0)], &mut out, part.rows, precision);
                    assert!(same_bits(&out, &alone[first..last]), "{tier:?} {dtype:?} rows from {first}");
                }
            }
        }
    });
}

#[test]
fn long_inputs_of_many_rows_give_the_bits_of_their_rows() {
    // Rows in one chunk of columns and in several; results on cache lines, where they go past the caches, and beside them.
    let m = 530;
    let pools = [Pool::new(1), Pool::new(7)];
    for (n, k) in [(300, 1100), (304, 1400)] {
        let data = bytes(&values(n * k, 31), DenseType::Bf16);
        let matrix = DenseMatrix { dtype: DenseType::Bf16, rows: n, columns: k, data: &data };
        let x = values(m * k, 32);
        on_every_tier(|tier| {
            for pool in pools.iter().filter(|_| tier >= Tier::Avx512) {
                let mut out = vec![0.0; m * n + 16];
                let start = out.as_ptr().align_offset(64);
                let out = &mut out[start..start + m * n];
                matmul(pool, &x, m, &[(matrix, 0)], out, n, Precision::Native);
                for r in [0, 15, 16, 31, 255, 511, 512, 529] {
                    let mut alone = vec![0.0; n];
                    matmul(pool, &x[r * k..][..k], 1, &[(matrix, 0)], &mut alone, n, Precision::Native);
                    assert!(same_bits(&out[r * n..][..n], &alone), "{tier:?} row {r}, {} threads", pool.threads());
                }
            }
        });
    }
}

/// One element of a product through matrix registers: 32 columns at a time, even and odd ones apart.
fn chain(x: &[f32], w: &[f32]) -> f32 {
    let mut sum = 0.0f32;
    for (x, w) in x.chunks(32).zip(w.chunks(32)) {
        let mut halves = [0.0f32; 2];
        for (i, (&x, &w)) in x.iter().zip(w).enumerate() {
            halves[i % 2] = bf16::from_f32(x).to_f32().mul_add(w, halves[i % 2]);
        }
        sum += halves[0] + halves[1];
    }
    sum
}

#[test]
fn matrix_registers_add_in_one_order() {
    let pool = Pool::new(1);
    on_every_tier(|tier| {
        for (m, n, k) in [(1, 19, 77), (3, 16, 1024), (40, 50, 300)].into_iter().filter(|_| tier == Tier::Amx) {
            let data = bytes(&values(n * k, 41), DenseType::Bf16);
            let matrix = DenseMatrix { dtype: DenseType::Bf16, rows: n, columns: k, data: &data };
            let x = values(m * k, 42);
            let (mut out, mut row) = (vec![0.0; m * n], vec![0.0; k]);
            matmul(&pool, &x, m, &[(matrix, 0)], &mut out, n, Precision::Native);
            for j in 0..n {
                reference::weight_row(&matrix, j, &mut row);
                for r in 0..m {
                    let expected = chain(&x[r * k..][..k], &row);
                    assert_eq!(out[r * n + j].to_bits(), expected.to_bits(), "[{m}, {n}, {k}] at ({r}, {j})");
                }
            }
        }
    });
}

#[test]
fn matrices_that_share_their_input() {
    let pool = Pool::new(2);
    let (k, rows) = (130, [40, 7, 65]);
    on_every_tier(|tier| {
        for m in [1, 5, 30] {
            let x = values(m * k, 9);
            let types = [DenseType::Bf16, DenseType::F32, DenseType::Bf16];
            let data: Vec<Vec<u8>> = (0..3).map(|i| bytes(&values(rows[i] * k, i as u32), types[i])).collect();
            let offsets = [0, 40, 50];
            let matrices: Vec<_> = (0..3)
                .map(|i| (DenseMatrix { dtype: types[i], rows: rows[i], columns: k, data: &data[i] }, offsets[i]))
                .collect();
            let mut out = vec![0.0; m * 120];
            matmul(&pool, &x, m, &matrices, &mut out, 120, Precision::Native);
            for (matrix, offset) in &matrices {
                let n = matrix.rows;
                let mut single = vec![0.0; m * n];
                matmul(&pool, &x, m, &[(*matrix, 0)], &mut single, n, Precision::Native);
                for r in 0..m {
                    assert!(same_bits(&out[r * 120 + offset..][..n], &single[r * n..][..n]), "{tier:?} row {r}");
                }
            }
        }
    });
}

#[test]
fn experts_give_the_bits_of_their_matrices() {
    let pool = Pool::new(3);
    let (experts, n, k, tokens) = (5, 50, 96, 70);
    // Expert 0: one row; 1: none; 2: seventeen; 3: all; 4: three, one of them twice.
    let inputs = [vec![69], vec![], (0..17).rev().collect(), (0..70).collect(), vec![3, 8, 3]];
    let mut next = 0u32..;
    let lists = inputs.map(|inputs: Vec<u32>| inputs.into_iter().zip(next.by_ref()).collect::<Vec<_>>());
    let groups: Vec<_> = lists.iter().enumerate().map(|(expert, rows)| ExpertGroup { expert, rows }).collect();
    on_every_tier(|tier| {
        for (dtype, precision) in KINDS {
            let data: Vec<Vec<u8>> = (0..2).map(|i| bytes(&values(experts * n * k, i + 20), dtype)).collect();
            let stacks: Vec<_> =
                data.iter().map(|data| DenseExperts { dtype, experts, rows: n, columns: k, data }).collect();
            let x = values(tokens * k, 4);
            let mut out = vec![0.0; 100 * 2 * n];
            matmul_experts(&pool, &x, &[(stacks[0], 0), (stacks[1], n)], &groups, &mut out, 2 * n, precision);
            for group in &groups {
                for &(i, o) in group.rows {
                    let mut single = vec![0.0; 2 * n];
                    let matrices = [(stacks[0].expert(group.expert), 0), (stacks[1].expert(group.expert), n)];
                    matmul(&pool, &x[i as usize * k..][..k], 1, &matrices, &mut single, 2 * n, precision);
                    let row = &out[o as usize * 2 * n..][..2 * n];
                    assert!(same_bits(row, &single), "{tier:?} {dtype:?} expert {} row {i}", group.expert);
                }
            }
        }
    });
}

#[test]
fn strided_batches() {
    let pool = Pool::new(2);
    on_every_tier(|tier| {
        for (m, n, k) in [(1, 1, 1), (5, 7, 9), (33, 50, 20), (130, 100, 70), (2, 3, 1500), (1, 40, 64), (3, 4, 0)] {
            let (a, b) = (values(m * k * 2 + 1, 1), values(n * k * 2 + 1, 2));
            let (mi, ni, ki) = (m as isize, n as isize, k as isize);
            // Row-major, transposed, every second element, reversed, broadcast.
            let lefts = [(ki, 1, 0), (1, mi, 0), (2 * ki, 2, 1), (-ki, 1, (m - 1) * k), (0, 1, m * k)];
            let rights = [(ni, 1, 0), (1, ki, 0), (2 * ni, 2, 1), (1, -ki, k.saturating_sub(1) * k), (ni, 0, 0)];
            for left in lefts {
                // A reversed right operand needs k * k + n elements.
                for right in rights.into_iter().filter(|right| right.2 + n <= b.len()) {
                    let a = StridedMatrix { data: &a, row_stride: left.0, column_stride: left.1 };
                    let b = StridedMatrix { data: &b, row_stride: right.0, column_stride: right.1 };
                    check_strided(&pool, tier, (m, n, k), (a, left.2), (b, right.2));
                }
            }
        }
    });
}

fn check_strided(
    pool: &Pool,
    tier: Tier,
    (m, n, k): (usize, usize, usize),
    (a, a_start): (StridedMatrix<'_>, usize),
    (b, b_start): (StridedMatrix<'_>, usize),
) {
    let reach = |offset: usize, steps: [(usize, isize); 2]| -> isize {
        offset as isize + steps.iter().map(|&(size, step)| ((size as isize - 1) * step).min(0)).sum::<isize>()
    };
    let top = |offset: usize, steps: [(usize, isize); 2]| -> isize {
        offset as isize + steps.iter().map(|&(size, step)| ((size as isize - 1) * step).max(0)).sum::<isize>()
    };
    let (a_steps, b_steps) = ([(m, a.row_stride), (k, a.column_stride)], [(k, b.row_stride), (n, b.column_stride)]);
    let inside = |data: &[f32], offset, steps| reach(offset, steps) >= 0 && top(offset, steps) < data.len() as isize;
    if k > 0 && !(inside(a.data, a_start, a_steps) && inside(b.data, b_start, b_steps)) {
        return;
    }
    let stride = n + 1;
    let batch =
        [BatchOffsets { a: a_start, b: b_start, out: 0 }, BatchOffsets { a: a_start, b: b_start, out: m * stride }];
    let mut out = vec![f32::NAN; 2 * m * stride];
    gemm_f32(pool, (m, n, k), a, b, &batch, &mut out, stride);
    for i in 0..m {
        let row: Vec<f32> = (0..k).map(|l| a.at(a_start, i, l)).collect();
        for j in 0..n {
            let column: Vec<f32> = (0..k).map(|l| b.at(b_start, l, j)).collect();
            let value = out[i * stride + j];
            assert_close(value, &row, &column, false, &|| format!("{tier:?} [{m}, {n}, {k}] {a_steps:?} {b_steps:?}"));
            assert_eq!(value.to_bits(), out[(m + i) * stride + j].to_bits(), "batch entries differ");
        }
        assert!(out[i * stride + n].is_nan(), "wrote beside its columns");
    }
}

#[test]
fn a_strided_product_has_the_bits_of_a_dense_one() {
    let pool = Pool::new(2);
    on_every_tier(|tier| {
        for (m, n, k) in [(1, 33, 100), (20, 50, 1500), (7, 16, 64)] {
            let (x, w) = (values(m * k, 1), values(n * k, 2));
            let data = bytes(&w, DenseType::F32);
            let matrix = DenseMatrix { dtype: DenseType::F32, rows: n, columns: k, data: &data };
            let (mut dense, mut general) = (vec![0.0; m * n], vec![0.0; m * n]);
            matmul(&pool, &x, m, &[(matrix, 0)], &mut dense, n, Precision::F32);
            let a = StridedMatrix { data: &x, row_stride: k as isize, column_stride: 1 };
            let b = StridedMatrix { data: &w, row_stride: 1, column_stride: k as isize };
            gemm_f32(&pool, (m, n, k), a, b, &[BatchOffsets { a: 0, b: 0, out: 0 }], &mut general, n);
            assert!(same_bits(&dense, &general), "{tier:?} [{m}, {n}, {k}]");
        }
    });
}

#[test]
#[should_panic(expected = "[matmul] x of 5 values is not [1, 4]")]
fn a_wrong_shape_panics() {
    let matrix = DenseMatrix { dtype: DenseType::F32, rows: 1, columns: 4, data: &[0; 16] };
    matmul(&Pool::new(1), &[0.0; 5], 1, &[(matrix, 0)], &mut [0.0], 1, Precision::F32);
}
