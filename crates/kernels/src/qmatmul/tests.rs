//! Every format against its own decoder, every tier against the scalar one, every batch against a row alone.

use super::memory::Memory;
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use super::unpack::{read_integers, read_unit_row};
use super::*;
use crate::cpu::{self, Tier};
use crate::quant::{FORMATS, FormatInfo, ScaleType, StoredOwned, quantize};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The tier is global: one test at a time chooses it.
static TIER: Mutex<()> = Mutex::new(());

/// Run `test` on every tier of this processor.
fn on_every_tier(mut test: impl FnMut(Tier)) {
    let _guard = TIER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for tier in cpu::available() {
        cpu::force(tier);
        test(tier);
    }
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// A matrix of a format: encoded noise, or noise bytes with tame scales where there is no encoder.
fn stored(info: &FormatInfo, rows: usize, columns: usize) -> StoredOwned {
    let pool = Pool::new(1);
    if info.encode.is_some() {
        return quantize(&pool, info.format, rows, columns, noise(rows * columns, 3).as_slice()).expect("encodes");
    }
    let blocks = rows * columns / info.block_columns;
    let mut data: Vec<u8> =
        noise(blocks * info.block_bytes, 5).iter().map(|value| (value * 127.0) as i32 as u8).collect();
    for block in data.chunks_exact_mut(info.block_bytes) {
        // The first half float is the scale of the formats without encoder, IQ1_M's aside, which is in four pieces.
        block[..2].copy_from_slice(&0x2C00u16.to_le_bytes());
        if info.format == Format::Iq1M {
            (0..4).for_each(|i| block[48 + 2 * i + 1] = block[48 + 2 * i + 1] & 15 | [0, 0, 0xC0, 0x20][i]);
        }
    }
    let (scales, biases, scale_type) = (vec![], vec![], ScaleType::F32);
    StoredOwned { format: info.format, rows, columns, data, scales, biases, scale_type, global_scale: None }
}

fn columns_of(info: &FormatInfo) -> usize {
    // Two slabs, the second one short where the format allows.
    if info.block_columns == 256 { 512 } else { 256 + info.block_columns.max(32) }
}

#[test]
fn rows_come_back_as_the_decoder_gives_them_on_every_tier() {
    on_every_tier(|_| FORMATS.iter().for_each(rows_come_back));
}

fn rows_come_back(info: &FormatInfo) {
    let (rows, columns) = (37, columns_of(info));
    let source = stored(info, rows, columns);
    let packed = PackedMatrix::pack(&Pool::new(1), &[source.as_stored()]).expect("packs");
    let (mut expected, mut found) = (vec![0.0; columns], vec![0.0; columns]);
    for row in 0..rows {
        source.as_stored().row_dequantize(row, &mut expected);
        packed.dequantize_row(row, &mut found);
        assert!(expected.iter().any(|value| *value != 0.0), "{} decodes to zeros", info.name);
        for (column, (a, b)) in expected.iter().zip(&found).enumerate() {
            assert!((a - b).abs() <= 2e-7 * a.abs(), "{} row {row} column {column}: {a} {b}", info.name);
        }
    }
}

/// Exact product of dequantized weights and activations, with the sum of magnitudes beside it.
fn reference(weights: &StoredOwned, row: usize, x: &[f32]) -> (f64, f64) {
    let mut values = vec![0.0; weights.columns];
    weights.as_stored().row_dequantize(row, &mut values);
    let products = values.iter().zip(x).map(|(a, b)| *a as f64 * *b as f64);
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}

#[test]
fn products_agree_with_dequantized_weights() {
    on_every_tier(|tier| {
        for info in &FORMATS {
            let (rows, columns) = (53, columns_of(info));
            let source = stored(info, rows, columns);
            let pool = Pool::new(2);
            let packed = PackedMatrix::pack(&pool, &[source.as_stored()]).expect("packs");
            let x = noise(3 * columns, 11);
            let mut out = vec![0.0; 3 * rows];
            matmul_float(&pool, &x, 3, &packed, &mut out, rows);
            compare(info.name, tier, &source, &x, &out);
            if packed.needs_float() {
                continue;
            }
            let quantized = QuantizedActivations::new(&pool, &x, 3, columns);
            let mut rounded = vec![0.0; 3 * columns];
            (0..3).for_each(|row| quantized.dequantize_row(row, &mut rounded[row * columns..][..columns]));
            let worst = x.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst > 0.0 && worst <= 0.5 / 127.0 + 1e-6, "activations off by {worst}");
            matmul(&pool, &quantized, &[(&packed, 0)], &mut out, rows);
            compare(info.name, tier, &source, &rounded, &out);
        }
    });
}

fn compare(name: &str, tier: Tier, source: &StoredOwned, x: &[f32], out: &[f32]) {
    for (x, out) in x.chunks_exact(source.columns).zip(out.chunks_exact(source.rows)) {
        for (row, out) in out.iter().enumerate() {
            let (exact, size) = reference(source, row, x);
            assert!((exact - *out as f64).abs() <= 1e-5 * size, "{name} {tier:?} row {row}: {out}, exact {exact}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_every_batch_on_every_tier() {
    let mut all: Vec<Vec<u32>> = Vec::new();
    on_every_tier(|tier| {
        for (index, info) in FORMATS.iter().enumerate() {
            // Seven panels: a part of three and two of two.
            let (rows, columns) = (101, columns_of(info));
            let source = stored(info, rows, columns);
            let packed = PackedMatrix::pack(&Pool::new(1), &[source.as_stored()]).expect("packs");
            let x = noise(100 * columns, 17);
            let product = |threads: usize, count: usize, float: bool| {
                let pool = Pool::new(threads);
                let mut out = vec![f32::NAN; count * rows];
                if float {
                    matmul_float(&pool, &x[..count * columns], count, &packed, &mut out, rows);
                } else {
                    let x = QuantizedActivations::new(&pool, &x[..count * columns], count, columns);
                    matmul(&pool, &x, &[(&packed, 0)], &mut out, rows);
                }
                out.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            for float in [false, true] {
                if !float && packed.needs_float() {
                    continue;
                }
                let largest = product(2, 100, float);
                for count in [1, 2, 3, 7, 8, 9, 16, 17] {
                    let name = info.name;
                    assert!(product(1 + count % 3, count, float) == largest[..count * rows], "{name} {tier:?} {count}");
                }
                // Integer products agree between the tiers too, but for those of AMX that have a sum for a whole slab.
                let whole = !float
                    && tier == Tier::Amx
                    && packed.panels.layout().is_some_and(|layout| layout.scales.are_integers());
                if whole {
                    let x = QuantizedActivations::new(&Pool::new(1), &x, 100, columns);
                    assert!(whole_slabs(&packed, &x) == largest, "{} is not what slabs of integers give", info.name);
                } else if !float && tier == Tier::Scalar {
                    all.resize(index + 1, Vec::new());
                    all[index] = largest;
                } else if !float {
                    assert!(all[index] == largest, "{} differs on {tier:?}", info.name);
                }
            }
        }
    });
}

#[test]
fn results_of_many_rows_on_cache_lines_have_the_bits_of_their_rows() {
    let pool = Pool::new(2);
    on_every_tier(|tier| {
        // Of this tier alone such results go another way.
        for info in FORMATS.iter().filter(|_| tier == Tier::Amx) {
            let (rows, columns, count, stride) = (101, columns_of(info), 301, 112);
            let source = stored(info, rows, columns);
            let packed = PackedMatrix::pack(&pool, &[source.as_stored()]).expect("packs");
            if packed.needs_float() {
                continue;
            }
            let x = noise(count * columns, 19);
            let quantized = QuantizedActivations::new(&pool, &x, count, columns);
            let mut out = vec![f32::NAN; count * stride + 16];
            let start = out.as_ptr().align_offset(64);
            let out = &mut out[start..start + count * stride];
            matmul(&pool, &quantized, &[(&packed, 0)], out, stride);
            for row in [0, 15, 16, 100, 255, 300] {
                let quantized = QuantizedActivations::new(&pool, &x[row * columns..][..columns], 1, columns);
                let mut alone = vec![f32::NAN; rows];
                matmul(&pool, &quantized, &[(&packed, 0)], &mut alone, rows);
                let same = alone.iter().zip(&out[row * stride..]).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{} row {row}", info.name);
            }
        }
    });
}

/// The scalar reference of [`super::amx::whole`]: bits of all outputs.
fn whole_slabs(weights: &PackedMatrix, x: &QuantizedActivations) -> Vec<u32> {
    let (panels, layout) = (&weights.panels, weights.panels.layout().expect("a layout"));
    let mut out = vec![0.0f32; x.rows() * weights.rows()];
    for at in (0..weights.columns()).step_by(SLAB_COLUMNS) {
        for feature in 0..weights.rows() {
            let ((part, within), lane) = (panels.part_of(feature / PANEL_ROWS), feature % PANEL_ROWS);
            let spare = Memory::new(panels.spare_bytes());
            // SAFETY: room for a part.
            let part = unsafe { panels.open(0, part, spare.start()) };
            let (slab, sizes) = (part.slab(within, at), panels.slab_sizes(at));
            let mut codes = [[0; UNIT_COLUMNS]; SLAB_COLUMNS / UNIT_COLUMNS];
            let units = slab[sizes.header..].chunks_exact(layout.values.unit_bytes());
            units.zip(&mut codes).for_each(|(unit, codes)| read_unit_row(layout.values, unit, lane, codes));
            let offset = if layout.biased { 0 } else { 1 << layout.offset_shift };
            let half = |array: usize| {
                let bytes = slab[(array * PANEL_ROWS + lane) * 2..][..2].try_into().expect("two bytes");
                half::f16::from_bits(u16::from_le_bytes(bytes)).to_f32()
            };
            let (d, least) = (half(0), if layout.biased { half(1) } else { 0.0 });
            for row in 0..x.rows() {
                let (mut integer, mut minimum) = (0i32, 0i32);
                for (column, code) in codes.iter().flatten().enumerate() {
                    let (scale, below) = read_integers(layout, slab, sizes.groups, column / layout.group, lane);
                    // SAFETY: columns of the row.
                    let value = unsafe { x.row(row).add(at + column).cast::<i8>().read() } as i32;
                    integer += value * scale * (*code as i32 - offset);
                    minimum -= value * below;
                }
                // SAFETY: the scale of this slab.
                let scale = unsafe { x.row(row).add(x.record().scales + at / SLAB_COLUMNS * 4).cast::<f32>().read() };
                let sum = (integer as f32).mul_add(d, minimum as f32 * least);
                let total = &mut out[row * weights.rows() + feature];
                *total = sum.mul_add(scale, *total);
            }
        }
    }
    out.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn several_matrices_and_parts_fill_their_columns() {
    on_every_tier(|_| {
        let pool = Pool::new(2);
        let info = Format::Q4_0.info();
        let (first, second, third) = (stored(info, 40, 96), stored(info, 7, 96), stored(info, 20, 96));
        let x = noise(5 * 96, 1);
        let quantized = QuantizedActivations::new(&pool, &x, 5, 96);
        let parts = [first.as_stored(), second.as_stored()];
        let both = PackedMatrix::pack(&pool, &parts).expect("packs");
        let alone = PackedMatrix::pack(&pool, &[third.as_stored()]).expect("packs");
        let mut out = vec![7.0; 5 * 70];
        matmul(&pool, &quantized, &[(&alone, 0), (&both, 21)], &mut out, 70);
        let mut rounded = vec![0.0; 96];
        for row in 0..5 {
            quantized.dequantize_row(row, &mut rounded);
            let out = &out[row * 70..][..70];
            let checks = [(&third, 0), (&first, 21), (&second, 61)];
            for (source, at) in checks {
                (0..source.rows).for_each(|n| {
                    let (exact, size) = reference(source, n, &rounded);
                    assert!((exact - out[at + n] as f64).abs() <= 1e-5 * size);
                });
            }
            assert_eq!([out[20], out[68], out[69]], [7.0; 3], "untouched columns");
        }
    });
}

/// What belongs to one of several equal experts.
fn expert_bytes(bytes: &[u8], expert: usize, experts: usize) -> &[u8] {
    let length = bytes.len() / experts;
    &bytes[expert * length..][..length]
}

#[test]
fn experts_give_what_each_gives_alone() {
    on_every_tier(|tier| {
        for info in [Format::Q4K.info(), Format::Mxfp4.info(), Format::Mxfp8.info()] {
            let (experts, rows, columns, pool) = (4, 20, 256, Pool::new(2));
            let stacked = stored(info, experts * rows, columns);
            let packed = PackedExperts::pack(&pool, &[stacked.as_stored()], experts).expect("packs");
            let x = noise(30 * columns, 23);
            let many: Vec<(u32, u32)> = (0..20).map(|i| ((i * 7) % 30, 23 - i)).collect();
            let groups = [
                ExpertGroup { expert: 2, rows: &many },
                ExpertGroup { expert: 0, rows: &[(5, 3)] },
                ExpertGroup { expert: 3, rows: &[] },
            ];
            let mut out = vec![0.0; 24 * rows];
            let quantized = QuantizedActivations::new(&pool, &x, 30, columns);
            if packed.needs_float() {
                matmul_experts_float(&pool, &x, &[(&packed, 0)], &groups, &mut out, rows);
            } else {
                matmul_experts(&pool, &quantized, &[(&packed, 0)], &groups, &mut out, rows);
            }
            for group in groups {
                let all = stacked.as_stored();
                let part = |bytes| expert_bytes(bytes, group.expert, experts);
                let one = Stored { rows, data: part(all.data), scales: part(all.scales), ..all };
                let one = PackedMatrix::pack(&pool, &[one]).expect("packs");
                for (input, output) in group.rows {
                    let x = &x[*input as usize * columns..][..columns];
                    let mut alone = vec![0.0; rows];
                    if packed.needs_float() {
                        matmul_float(&pool, x, 1, &one, &mut alone, rows);
                    } else {
                        let x = QuantizedActivations::new(&pool, x, 1, columns);
                        matmul(&pool, &x, &[(&one, 0)], &mut alone, rows);
                    }
                    assert_eq!(alone, out[*output as usize * rows..][..rows], "{} {tier:?}", info.name);
                }
            }
        }
    });
}

/// A source that says which of its rows were let go.
struct Kept {
    matrix: StoredOwned,
    released: Arc<Vec<AtomicBool>>,
}

impl Source for Kept {
    fn stored(&self) -> Stored<'_> {
        self.matrix.as_stored()
    }

    fn release(&self, rows: Range<usize>) {
        rows.for_each(|row| assert!(!self.released[row].swap(true, Ordering::Relaxed), "row {row} twice"));
    }
}

/// A matrix packed in use, and which rows of its sources were let go.
fn in_use(matrices: &[StoredOwned]) -> (PackedMatrix, Vec<Arc<Vec<AtomicBool>>>) {
    let marks = |matrix: &StoredOwned| Arc::new((0..matrix.rows).map(|_| AtomicBool::new(false)).collect());
    let released: Vec<Arc<Vec<AtomicBool>>> = matrices.iter().map(marks).collect();
    let source = |(matrix, released): (&StoredOwned, &Arc<Vec<AtomicBool>>)| {
        Box::new(Kept { matrix: matrix.clone(), released: released.clone() }) as Box<dyn Source>
    };
    let sources = matrices.iter().zip(&released).map(source).collect();
    (PackedMatrix::pack_in_use(sources).expect("packs"), released)
}

/// Whether sources and all of their rows are gone.
fn are_gone(released: &[Arc<Vec<AtomicBool>>]) -> bool {
    let rows = || released.iter().flat_map(|rows| rows.iter());
    rows().all(|row| row.load(Ordering::Relaxed)) && released.iter().all(|rows| Arc::strong_count(rows) == 1)
}

fn product(pool: &Pool, matrix: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    let (rows, columns) = (x.len() / matrix.columns(), matrix.columns());
    let mut out = vec![0.0; rows * matrix.rows()];
    if matrix.needs_float() {
        matmul_float(pool, x, rows, matrix, &mut out, matrix.rows());
    } else {
        matmul(pool, &QuantizedActivations::new(pool, x, rows, columns), &[(matrix, 0)], &mut out, matrix.rows());
    }
    out
}

#[test]
fn what_is_packed_in_use_has_the_same_bits_from_the_first_time_on() {
    on_every_tier(|tier| {
        for info in &FORMATS {
            // Two matrices, whose seam and whose last rows lie within panels; two threads cut the rows of a product.
            let (rows, columns, pool) = (85, columns_of(info), Pool::new(2));
            let matrices = [stored(info, 45, columns), stored(info, rows - 45, columns)];
            let whole = PackedMatrix::pack(&pool, &matrices.each_ref().map(StoredOwned::as_stored)).expect("packs");
            let x = noise(200 * columns, 31);
            let row = |matrix: &PackedMatrix, row: usize| {
                let mut out = vec![0.0; columns];
                matrix.dequantize_row(row, &mut out);
                out
            };
            for (counts, is_over) in [([1, 1, 1], true), ([200, 3, 7], true), ([3, 0, 0], false)] {
                let (matrix, released) = in_use(&matrices);
                for count in counts.into_iter().filter(|count| *count > 0) {
                    let x = &x[..count * columns];
                    assert_eq!(row(&matrix, 84), row(&whole, 84), "{} {tier:?}", info.name);
                    assert_eq!(product(&pool, &matrix, x), product(&pool, &whole, x), "{} {tier:?}", info.name);
                }
                assert_eq!(are_gone(&released), is_over, "{} {tier:?} {counts:?}", info.name);
                matrix.rest().pack(&pool);
                assert!(are_gone(&released), "{} {tier:?}", info.name);
                assert_eq!(row(&matrix, 44), row(&whole, 44), "{} {tier:?}", info.name);
                assert_eq!(product(&pool, &matrix, &x), product(&pool, &whole, &x), "{} {tier:?}", info.name);
            }
        }
    });
}

#[test]
fn large_sources_go_a_stretch_at_a_time() {
    let (pool, columns) = (Pool::new(2), 1024);
    let matrices = [stored(Format::Q8_0.info(), 5000, columns), stored(Format::Q8_0.info(), 1003, columns)];
    let whole = PackedMatrix::pack(&pool, &matrices.each_ref().map(StoredOwned::as_stored)).expect("packs");
    let (matrix, released) = in_use(&matrices);
    let x = noise(columns, 37);
    for is_over in [false, true] {
        assert_eq!(product(&pool, &matrix, &x), product(&pool, &whole, &x));
        assert_eq!(are_gone(&released), is_over);
    }
}

#[test]
fn activations_that_are_not_finite_or_are_zero() {
    on_every_tier(|_| {
        let pool = Pool::new(1);
        let info = Format::Q8_0.info();
        let source = stored(info, 16, 64);
        let packed = PackedMatrix::pack(&pool, &[source.as_stored()]).expect("packs");
        let mut x = vec![0.0; 3 * 64];
        x[64] = f32::NAN;
        x[128] = f32::INFINITY;
        let quantized = QuantizedActivations::new(&pool, &x, 3, 64);
        let mut out = vec![1.0; 3 * 16];
        matmul(&pool, &quantized, &[(&packed, 0)], &mut out, 16);
        assert!(out[..16].iter().all(|value| *value == 0.0));
        assert!(out[16..].iter().all(|value| value.is_nan()));
    });
}

#[test]
fn activations_have_the_same_bytes_on_every_tier_and_made_on_the_way() {
    let columns = 3 * 256 + 40;
    let mut x = noise(6 * columns, 29);
    x[columns + 3] = f32::NAN;
    x[columns + 300] = f32::NEG_INFINITY;
    x[2 * columns..3 * columns].fill(0.0);
    x[3 * columns..3 * columns + 256].fill(1e-36);
    (0..columns).for_each(|i| x[4 * columns + i] = (i as f32 - 300.0) / 127.0);
    let mut first: Option<Vec<u8>> = None;
    on_every_tier(|tier| {
        let pool = Pool::new(2);
        let plain = QuantizedActivations::new(&pool, &x, 6, columns);
        let mut made = QuantizedActivations::default();
        made.requantize_with(&pool, 6, columns, |row, out| out.copy_from_slice(&x[row * columns..][..columns]));
        let first = first.get_or_insert_with(|| bytes_of(&plain));
        assert_eq!(*first, bytes_of(&plain), "{tier:?}");
        assert_eq!(*first, bytes_of(&made), "{tier:?}, made");
    });
}

/// All that products read of a row: values, sums, scales.
fn bytes_of(x: &QuantizedActivations) -> Vec<u8> {
    let length = x.record().scales + x.columns().div_ceil(256) * 4;
    // SAFETY: every row was written up to its last scale.
    let row = |row| unsafe { std::slice::from_raw_parts(x.row(row), length) };
    (0..x.rows()).flat_map(row).copied().collect()
}
