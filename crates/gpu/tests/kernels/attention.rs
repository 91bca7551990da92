//! Attention, its head pass and its cache on the device, beside the CPU's kernels.

use std::sync::Arc;

use olivine_gpu::ops::attention::{Attention, Element, Heads, KvShape, Rows, attend, heads, write};
use olivine_gpu::ops::gather;
use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Matmul, matmul};
use olivine_gpu::ops::weights::Code;
use olivine_gpu::{Backend, Device, List, Memory};
use olivine_kernels::attention::{
    AttentionParams, BatchSequence, KvCacheLayer, KvDtype, KvLayout, RaggedBatch, write_and_attend,
};
use olivine_kernels::heads::{HeadPass, norm_and_rotate};
use olivine_kernels::norm;
use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{Format, quantize};
use olivine_kernels::rope::{Angles, Frequencies, Pairing, Scaling};

use crate::common::{assert_bits, assert_near, device, download, room, run, upload, values};

const PAGE: usize = 64;

fn words(device: &dyn Device, values: &[u32]) -> Memory {
    device.import(Arc::new(bytemuck::cast_slice(values).to_vec()), 0..values.len() * 4).expect("room")
}

/// One kind of attention layer.
struct Case {
    heads: usize,
    layout: KvLayout,
    window: Option<usize>,
    soft_cap: Option<f32>,
    sinks: bool,
}

fn cases() -> Vec<Case> {
    let layout =
        |kv_heads, key_dim, value_dim, dtype| KvLayout { kv_heads, key_dim, value_dim, page_tokens: PAGE, dtype };
    let plain = |heads, layout| Case { heads, layout, window: None, soft_cap: None, sinks: false };
    vec![
        plain(4, layout(2, 32, 32, KvDtype::F32)),
        plain(6, layout(2, 64, 64, KvDtype::Bf16)),
        plain(8, layout(8, 16, 16, KvDtype::F16)),
        Case { window: Some(100), soft_cap: Some(5.0), ..plain(2, layout(1, 48, 144, KvDtype::F32)) },
        Case { window: Some(300), sinks: true, ..plain(16, layout(1, 96, 64, KvDtype::F32)) },
        Case { soft_cap: Some(5.0), sinks: true, ..plain(6, layout(2, 64, 96, KvDtype::Q8)) },
        Case { window: Some(100), ..plain(4, layout(2, 128, 128, KvDtype::Q4)) },
    ]
}

/// Sequences of a step: how many positions are cached, and how many rows are new.
const STEPS: &[&[(usize, usize)]] =
    &[&[(0, 70), (0, 3)], &[(70, 1), (3, 1)], &[(71, 530), (4, 1)], &[(601, 1), (5, 1)]];

fn shape(layout: &KvLayout) -> KvShape {
    KvShape {
        kv_heads: layout.kv_heads as u32,
        key_dim: layout.key_dim as u32,
        value_dim: layout.value_dim as u32,
        page_tokens: PAGE as u32,
        element: match layout.dtype {
            KvDtype::F32 => Element::F32,
            KvDtype::F16 => Element::F16,
            KvDtype::Bf16 => Element::Bf16,
            KvDtype::Q8 => Element::Q8,
            KvDtype::Q4 => Element::Q4,
        },
    }
}

/// Run the rows of one step on the device.
fn on_device(
    device: &dyn Device,
    case: &Case,
    pages: &Memory,
    steps: &[(usize, usize)],
    tables: &[Vec<u32>],
    packed: &[f32],
) -> Vec<f32> {
    let shape = shape(&case.layout);
    let width = case.heads * case.layout.key_dim + case.layout.kv_heads * (case.layout.key_dim + case.layout.value_dim);
    let (mut rows, mut flat) = (Vec::new(), Vec::new());
    for (&(cached, new), table) in steps.iter().zip(tables) {
        rows.extend((cached..cached + new).flat_map(|position| [position as u32, flat.len() as u32]));
        flat.extend_from_slice(table);
    }
    let count = rows.len() / 2;
    let most_keys = steps.iter().map(|(cached, new)| cached + new).max().unwrap() as u32;
    let rows =
        Rows { rows: words(device, &rows), tables: words(device, &flat), count: count as u32, most_keys, alone: false };
    let sinks = upload(device, &values(5, case.heads));
    let out_width = case.heads * case.layout.value_dim;
    let attention = Attention {
        heads: case.heads as u32,
        shape,
        row_stride: width as u32,
        out_stride: out_width as u32,
        scale: 0.3,
        window: case.window.map(|window| window as u32),
        soft_cap: case.soft_cap,
        sinks: case.sinks.then_some(&sinks),
    };
    let qkv = upload(device, packed);
    let out = upload(device, &vec![f32::NAN; count * out_width]);
    let scratch = device.allocate(attention.scratch_bytes(&rows).max(4)).unwrap();
    run(device, |list| {
        write(list, &shape, &rows, &qkv, width as u32, (case.heads * case.layout.key_dim) as u32, pages);
        attend(list, &attention, &rows, &qkv, pages, Some(&scratch), &out);
    });
    download(device, &out)
}

#[test]
fn ragged_rows_attend_as_on_the_cpu_and_alike_in_any_company() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    for (index, case) in cases().iter().enumerate() {
        let mut cache = KvCacheLayer::new(case.layout);
        cache.grow(20);
        // What nobody wrote is no number.
        let pages = words(&*device, &vec![u32::MAX; 20 * shape(&case.layout).page_bytes() as usize / 4]);
        let tables: Vec<Vec<u32>> = vec![vec![3, 1, 7, 2, 9, 8, 12, 11, 15, 14], vec![5, 0]];
        let width =
            case.heads * case.layout.key_dim + case.layout.kv_heads * (case.layout.key_dim + case.layout.value_dim);
        let sinks = values(5, case.heads);
        for (step, sequences) in STEPS.iter().enumerate() {
            let count: usize = sequences.iter().map(|(_, new)| new).sum();
            let packed = values((100 * index + step) as u64, count * width);
            let mut first_row = 0;
            let batch: Vec<BatchSequence> = sequences
                .iter()
                .zip(&tables)
                .map(|(&(cached, new), pages)| {
                    first_row += new;
                    BatchSequence { first_row: first_row - new, rows: new, first_position: cached, pages }
                })
                .collect();
            let params = AttentionParams {
                heads: case.heads,
                scale: 0.3,
                window: case.window,
                soft_cap: case.soft_cap,
                sinks: case.sinks.then_some(&sinks[..]),
                causal: true,
            };
            let out_width = case.heads * case.layout.value_dim;
            let mut expected = vec![0f32; count * out_width];
            write_and_attend(&pool, &packed, &mut cache, &RaggedBatch { sequences: &batch }, &params, &mut expected);
            let found = on_device(&*device, case, &pages, sequences, &tables, &packed);
            // The CPU rounds queries and weights to bf16 where the cache is bf16 or has fewer bits.
            let exact = matches!(case.layout.dtype, KvDtype::F32 | KvDtype::F16);
            let tolerance = if exact { 1e-3 } else { 2e-2 };
            assert_near(&found, &expected, tolerance, &format!("case {index}, step {step}"));
            // The last row of the first sequence alone: other grids, the same bits.
            let (cached, new) = sequences[0];
            let row = &packed[(new - 1) * width..new * width];
            let alone = on_device(&*device, case, &pages, &[(cached + new - 1, 1)], &tables, row);
            assert_bits(
                &alone,
                &found[(new - 1) * out_width..new * out_width],
                &format!("case {index}, step {step}: alone"),
            );
        }
    }
}

/// Enough rows for the widest tiles.
#[test]
fn a_long_prompt_has_the_bits_of_its_rows_alone() {
    let Some(device) = device() else { return };
    let layout = KvLayout { kv_heads: 8, key_dim: 16, value_dim: 16, page_tokens: PAGE, dtype: KvDtype::F16 };
    let case = Case { heads: 64, layout, window: None, soft_cap: None, sinks: false };
    let (count, width, out_width) = (1030, 80 * 16, 64 * 16);
    let pages = device.allocate(17 * shape(&layout).page_bytes()).unwrap();
    let table: Vec<u32> = (0..17).map(|page| (page * 5 + 2) % 17).collect();
    let packed = values(3, count * width);
    let all = on_device(&*device, &case, &pages, &[(0, count)], std::slice::from_ref(&table), &packed);
    for position in [0, 1, 63, 64, 700, 1023, 1029] {
        let row = &packed[position * width..][..width];
        let alone = on_device(&*device, &case, &pages, &[(position, 1)], std::slice::from_ref(&table), row);
        assert_bits(&alone, &all[position * out_width..][..out_width], &format!("position {position}"));
    }
}

/// A token each of many sequences, whose keys may be merged elsewhere than those of a lone row.
#[test]
fn tokens_of_many_sequences_attend_as_each_alone() {
    let Some(device) = device() else { return };
    let layout = KvLayout { kv_heads: 4, key_dim: 64, value_dim: 64, page_tokens: PAGE, dtype: KvDtype::Bf16 };
    for (window, sinks) in [(None, false), (Some(200), true)] {
        let case = Case { heads: 8, layout, window, soft_cap: None, sinks };
        let (width, out_width) = (16 * 64, 8 * 64);
        let pages = device.allocate(10 * shape(&layout).page_bytes()).unwrap();
        let table = vec![3, 1, 7, 2, 9, 8, 0, 5, 6, 4];
        on_device(&*device, &case, &pages, &[(0, 640)], std::slice::from_ref(&table), &values(1, 640 * width));
        // All read the same pages; each writes a position of its own.
        let steps: Vec<(usize, usize)> = (0..36).map(|index| (630 - 17 * index, 1)).collect();
        let packed = values(2, steps.len() * width);
        let together = on_device(&*device, &case, &pages, &steps, &vec![table.clone(); steps.len()], &packed);
        for index in [0, 7, 20, 35] {
            let row = &packed[index * width..][..width];
            let alone = on_device(&*device, &case, &pages, &steps[index..=index], std::slice::from_ref(&table), row);
            assert_bits(&alone, &together[index * out_width..][..out_width], &format!("{window:?}, sequence {index}"));
        }
    }
}

/// Rows behind thousands of keys, whose tiles are merged in runs on some devices.
struct LongContext {
    shape: KvShape,
    window: Option<u32>,
    sinks: bool,
    /// Position of the first of `LONG_ROWS` rows.
    first: usize,
}

const LONG_ROWS: usize = 70;
const LONG_HEADS: usize = 3;

impl LongContext {
    fn width(&self) -> usize {
        (LONG_HEADS + 2) * self.shape.key_dim as usize
    }

    /// What rows give in each of these companies.
    fn run(
        &self,
        device: &dyn Device,
        old: &[f32],
        new: &[f32],
        companies: &[std::ops::Range<usize>],
    ) -> Vec<Vec<f32>> {
        let (shape, width, first) = (self.shape, self.width(), self.first);
        let columns = LONG_HEADS * shape.key_dim as usize;
        let all = (first + LONG_ROWS).div_ceil(shape.page_tokens as usize) as u32;
        let tables = words(device, &(0..all).rev().collect::<Vec<u32>>());
        let pages = device.allocate(u64::from(all) * shape.page_bytes()).unwrap();
        let sinks = upload(device, &values(5, LONG_HEADS));
        let rows_of = |positions: std::ops::Range<usize>| Rows {
            rows: words(
                device,
                positions.clone().map(|position| [position as u32, 0]).collect::<Vec<_>>().as_flattened(),
            ),
            tables: tables.clone(),
            count: positions.len() as u32,
            most_keys: (first + LONG_ROWS) as u32,
            alone: positions.len() == 1,
        };
        for (values, positions) in [(old, 0..first), (new, first..first + LONG_ROWS)] {
            let (from, rows) = (upload(device, values), rows_of(positions));
            run(device, |list| write(list, &shape, &rows, &from, width as u32, columns as u32, &pages));
        }
        let attention = Attention {
            heads: LONG_HEADS as u32,
            shape,
            row_stride: width as u32,
            out_stride: columns as u32,
            scale: 0.3,
            window: self.window,
            soft_cap: None,
            sinks: self.sinks.then_some(&sinks),
        };
        let attended = |company: &std::ops::Range<usize>| {
            let rows = rows_of(first + company.start..first + company.end);
            let qkv = upload(device, &new[company.start * width..company.end * width]);
            let out = upload(device, &vec![f32::NAN; company.len() * columns]);
            let scratch = device.allocate(attention.scratch_bytes(&rows).max(4)).unwrap();
            run(device, |list| attend(list, &attention, &rows, &qkv, &pages, Some(&scratch), &out));
            download(device, &out)
        };
        companies.iter().map(attended).collect()
    }

    /// The last head of a row in f64, of keys and values that are not rounded.
    fn last_head(&self, old: &[f32], new: &[f32], row: usize) -> Vec<f32> {
        let (dim, width, position) = (self.shape.key_dim as usize, self.width(), self.first + row);
        let of = |key: usize| if key < self.first { &old[key * width..] } else { &new[(key - self.first) * width..] };
        let query = &of(position)[(LONG_HEADS - 1) * dim..LONG_HEADS * dim];
        let begin = self.window.map_or(0, |window| (position + 1).saturating_sub(window as usize));
        let (mut sums, mut total) = (vec![0f64; dim], 0f64);
        if self.sinks {
            total += f64::from(values(5, LONG_HEADS)[LONG_HEADS - 1]).exp();
        }
        for row in (begin..=position).map(of) {
            let (key, value) = (&row[LONG_HEADS * dim..], &row[(LONG_HEADS + 1) * dim..]);
            let score: f64 = query.iter().zip(key).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let weight = (0.3 * score).exp();
            total += weight;
            sums.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
        sums.iter().map(|sum| (sum / total) as f32).collect()
    }
}

/// The end of a prompt, some of its rows and each alone, at the first run and where the next one begins, with pages of any
/// size.
#[test]
fn rows_behind_thousands_of_keys_attend_alike_in_any_company() {
    let Some(device) = device() else { return };
    let companies: Vec<_> =
        [0..LONG_ROWS, 20..60].into_iter().chain([0, 35, 36, 37, 38, 69].map(|row| row..row + 1)).collect();
    for (dim, element, window, sinks, first) in [
        (128, Element::Bf16, None, false, 4060),
        (64, Element::F16, None, true, 4570),
        (64, Element::Bf16, Some(600), false, 4570),
        (128, Element::F16, Some(1100), true, 5082),
    ] {
        let mut expected: Option<Vec<f32>> = None;
        for page_tokens in [64, 48] {
            let shape = KvShape { kv_heads: 1, key_dim: dim, value_dim: dim, page_tokens, element };
            let case = LongContext { shape, window, sinks, first };
            let (width, columns) = (case.width(), LONG_HEADS * dim as usize);
            let (old, new) = (values(1, first * width), values(2, LONG_ROWS * width));
            let found = case.run(&*device, &old, &new, &companies);
            let expected = expected.get_or_insert_with(|| {
                let last = case.last_head(&old, &new, LONG_ROWS - 1);
                assert_near(
                    &found[0][LONG_ROWS * columns - dim as usize..],
                    &last,
                    2e-2,
                    &format!("{dim}, {window:?}"),
                );
                found[0].clone()
            });
            for (company, found) in companies.iter().zip(&found) {
                let of = &expected[company.start * columns..company.end * columns];
                assert_bits(found, of, &format!("{dim}, {window:?}, pages of {page_tokens}, rows {company:?}"));
            }
        }
    }
}

/// A step of rows of a sequence each, as its parts are recorded: from norming the heads to what attends.
struct LoneStep {
    shape: KvShape,
    heads: u32,
    /// Dimensions that are rotated, and whether pairs are neighbours.
    rope: (u32, bool),
    normed: bool,
    window: Option<u32>,
    soft_cap: Option<f32>,
    sinks: bool,
    /// Of each row.
    positions: Vec<u32>,
}

impl LoneStep {
    fn width(&self) -> u32 {
        (self.heads + 2 * self.shape.kv_heads) * self.shape.key_dim
    }

    /// All earlier positions written, then the step in one list or in a list for each part: what attended, the heads, and
    /// the pages.
    fn run(&self, device: &dyn Device, in_one: bool) -> [Vec<f32>; 4] {
        let (shape, width, count) = (self.shape, self.width(), self.positions.len());
        let dim = shape.key_dim as usize;
        let first = self.heads * shape.key_dim;
        let pages_of: Vec<u32> = self.positions.iter().map(|position| position / shape.page_tokens + 1).collect();
        let all: u32 = pages_of.iter().sum();
        // Pages of the sequences lie apart; what nobody wrote is no number.
        let tables: Vec<u32> = (0..all).map(|index| (index * 7 + 3) % all.next_power_of_two()).collect();
        let pages = device.allocate(u64::from(all.next_power_of_two()) * shape.page_bytes()).unwrap();
        device.write(&pages, 0, &vec![0xff; pages.bytes() as usize]).unwrap();
        let starts: Vec<u32> = (0..count).map(|row| pages_of[..row].iter().sum()).collect();
        let rows_of = |positions: Vec<[u32; 2]>, alone: bool| Rows {
            rows: words(device, positions.as_flattened()),
            tables: words(device, &tables),
            count: positions.len() as u32,
            most_keys: (self.positions.iter().max().unwrap() + 1).next_power_of_two().max(256),
            alone,
        };
        for (row, &position) in self.positions.iter().enumerate().filter(|(_, position)| **position > 0) {
            let old = upload(device, &values(row as u64, (position * width) as usize));
            let old_rows = rows_of((0..position).map(|position| [position, starts[row]]).collect(), false);
            run(device, |list| write(list, &shape, &old_rows, &old, width, first, &pages));
        }
        let rows =
            rows_of(self.positions.iter().zip(&starts).map(|(position, start)| [*position, *start]).collect(), true);
        let qkv = upload(device, &values(77, count * width as usize));
        let (query, key) = (upload(device, &values(1, dim)), upload(device, &values(2, dim)));
        let angles = upload(device, &values(3, (count * self.rope.0 as usize).max(1)));
        let pass = Heads {
            heads: self.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.key_dim,
            row_stride: width,
            norms: self.normed.then_some((&query, &key)),
            epsilon: 1e-6,
            rope: (self.rope.0 > 0).then_some((&angles, self.rope.0, self.rope.1)),
        };
        let sinks = upload(device, &values(5, self.heads as usize));
        let attention = Attention {
            heads: self.heads,
            shape,
            row_stride: width,
            out_stride: first,
            scale: 0.1,
            window: self.window,
            soft_cap: self.soft_cap,
            sinks: self.sinks.then_some(&sinks),
        };
        let out = upload(device, &vec![f32::NAN; count * first as usize]);
        let scratch = device.allocate(attention.scratch_bytes(&rows).max(4)).unwrap();
        let make = |list: &mut List| heads(list, &pass, count as u32, &qkv);
        let keep = |list: &mut List| write(list, &shape, &rows, &qkv, width, first, &pages);
        let see = |list: &mut List| attend(list, &attention, &rows, &qkv, &pages, Some(&scratch), &out);
        let (columns, features) = (first as usize, 64);
        let format = Format::Affine { bits: 4, group: 64 };
        let stored = quantize(&Pool::new(1), format, features, columns, &values(9, features * columns)[..]).unwrap();
        let matrix = FileMatrix::quantized(&stored.as_stored()).unwrap().upload(device).unwrap();
        let product = room(device, count * features);
        let mix = |list: &mut List| matmul(list, &matrix, &out, columns, count, &Matmul::default(), &product);
        if in_one {
            run(device, |list| {
                make(list);
                keep(list);
                see(list);
                mix(list);
            });
        } else {
            run(device, make);
            run(device, keep);
            run(device, see);
            run(device, mix);
        }
        [&out, &qkv, &pages, &product].map(|memory| download(device, memory))
    }
}

/// Devices may do all of a step of lone rows in one kernel; it gives what its parts give.
#[test]
fn lone_rows_attend_in_one_list_as_part_by_part() {
    let Some(device) = device() else { return };
    let shape =
        |kv_heads, dim, page_tokens, element| KvShape { kv_heads, key_dim: dim, value_dim: dim, page_tokens, element };
    let base = LoneStep {
        shape: shape(2, 128, 32, Element::Bf16),
        heads: 8,
        rope: (128, false),
        normed: true,
        window: None,
        soft_cap: None,
        sinks: false,
        positions: vec![],
    };
    let ragged: Vec<u32> = (0..19).map(|row| (row * 97 + 63) % 700).collect();
    let cases = [
        LoneStep { positions: vec![0], ..base },
        LoneStep { positions: vec![200], ..base },
        LoneStep { positions: vec![1023], ..base },
        LoneStep { positions: vec![2600], ..base },
        LoneStep { positions: vec![9000], shape: shape(1, 128, 64, Element::F16), rope: (64, true), ..base },
        LoneStep {
            positions: vec![5000, 70, 4607],
            shape: shape(1, 64, 32, Element::Bf16),
            heads: 4,
            rope: (64, false),
            ..base
        },
        LoneStep {
            positions: (0..35).map(|row| if row == 7 { 4200 } else { row * 11 }).collect(),
            shape: shape(1, 64, 64, Element::F16),
            heads: 4,
            window: Some(300),
            rope: (64, false),
            ..base
        },
        LoneStep { positions: vec![40, 0, 255, 64], rope: (0, false), ..base },
        LoneStep { positions: ragged.clone(), normed: false, ..base },
        LoneStep {
            positions: (0..33).map(|row| row * 37 % 900).collect(),
            shape: shape(5, 128, 32, Element::Bf16),
            heads: 20,
            ..base
        },
        LoneStep {
            positions: ragged,
            shape: shape(3, 64, 16, Element::F16),
            heads: 15,
            rope: (64, false),
            window: Some(130),
            sinks: true,
            ..base
        },
        LoneStep {
            positions: (0..64).map(|row| row * 61 % 1500).collect(),
            shape: shape(8, 64, 64, Element::Bf16),
            heads: 64,
            rope: (32, true),
            soft_cap: Some(4.0),
            ..base
        },
        LoneStep {
            positions: vec![300, 5],
            shape: shape(1, 64, 128, Element::Bf16),
            heads: 20,
            rope: (64, false),
            ..base
        },
    ];
    for (index, case) in cases.iter().enumerate() {
        let (one, parts) = (case.run(&*device, true), case.run(&*device, false));
        assert!(one[0].iter().all(|value| value.is_finite()), "case {index}");
        // Through wgpu several workgroups read the heads of a row with many keys, and leave them as they were.
        let is_kept = device.info().backend == Backend::Cuda || case.positions.iter().all(|position| *position < 256);
        for (what, (one, part)) in ["attended", "heads", "pages", "product"].iter().zip(one.iter().zip(&parts)) {
            if *what == "heads" && !is_kept {
                continue;
            }
            assert_bits(one, part, &format!("case {index}: {what}"));
        }
    }
}

/// Where nobody but a product of bf16 reads what a prompt's rows attend to, it may be left as that has it.
#[test]
fn a_prompt_attends_for_its_product_alone_as_for_all() {
    let Some(device) = device() else { return };
    let device = &*device;
    for (heads, kv_heads, dim) in [(8, 2, 128), (8, 1, 64), (5, 5, 64)] {
        let element = Element::Bf16;
        let shape = KvShape { kv_heads, key_dim: dim, value_dim: dim, page_tokens: 32, element };
        let (width, out_stride) = ((heads + 2 * kv_heads) * dim, heads * dim);
        // 70 rows of one sequence and 40 behind 16 of another.
        let positions: Vec<[u32; 2]> = (0..70).map(|at| [at, 0]).chain((16..56).map(|at| [at, 3])).collect();
        let count = positions.len();
        let tables = words(device, &[4, 0, 2, 1, 3]);
        let rows_of = |positions: &[[u32; 2]]| Rows {
            rows: words(device, positions.as_flattened()),
            tables: tables.clone(),
            count: positions.len() as u32,
            most_keys: 256,
            alone: false,
        };
        let pages = device.allocate(5 * shape.page_bytes()).unwrap();
        device.write(&pages, 0, &vec![0; pages.bytes() as usize]).unwrap();
        let (old, rows) = (rows_of(&(0..16).map(|at| [at, 3]).collect::<Vec<_>>()), rows_of(&positions));
        let qkv = upload(device, &values(7, count * width as usize));
        for rows in [&old, &rows] {
            run(device, |list| write(list, &shape, rows, &qkv, width, out_stride, &pages));
        }
        let attention = Attention {
            heads,
            shape,
            row_stride: width,
            out_stride,
            scale: 0.1,
            window: None,
            soft_cap: None,
            sinks: None,
        };
        let (columns, features) = (out_stride as usize, 96);
        let brains: Vec<half::bf16> = values(9, features * columns).into_iter().map(half::bf16::from_f32).collect();
        let dense = FileMatrix::dense(Code::Bf16, features, columns, bytemuck::cast_slice(&brains));
        let matrix = dense.upload(device).unwrap();
        let multiplied = |kept: Option<&Memory>| {
            let product = room(device, count * features);
            run(device, |list| {
                let out = kept.cloned().unwrap_or_else(|| room(device, count * columns));
                attend(list, &attention, &rows, &qkv, &pages, None, &out);
                matmul(list, &matrix, &out, columns, count, &Matmul::default(), &product);
            });
            download(device, &product)
        };
        let kept = room(device, count * columns);
        let (all, alone) = (multiplied(Some(&kept)), multiplied(None));
        assert!(all.iter().all(|value| value.is_finite()), "heads of {dim}");
        assert_bits(&alone, &all, &format!("{heads} heads of {dim}"));
    }
}

#[test]
fn heads_are_normed_and_rotated_as_on_the_cpu() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    for (dim, rotated, pairing, normed) in [
        (64, 64, Pairing::Halves, true),
        (128, 64, Pairing::Interleaved, false),
        (40, 0, Pairing::Halves, true),
        (256, 256, Pairing::Halves, true),
    ] {
        let (rows, query_heads, key_heads) = (5, 3, 2);
        let stride = (query_heads + 2 * key_heads) * dim;
        let mut expected = values(dim as u64, rows * stride);
        let memory = upload(&*device, &expected);
        let (query, key) = (values(1, dim), values(2, dim));
        let positions: Vec<i32> = (0..rows as i32).map(|row| 17 * row).collect();
        let angles = (rotated > 0)
            .then(|| Angles::new(&pool, &Frequencies::new(rotated, 1e4, &Scaling::None, 4096), &positions));
        let queries = norm::Heads { rows, row_stride: stride, first: 0, heads: query_heads, dim };
        let pass = HeadPass {
            queries,
            keys: norm::Heads { first: query_heads * dim, heads: key_heads, ..queries },
            norms: normed.then_some((&query[..], &key[..])),
            epsilon: 1e-6,
            rope: angles.as_ref().map(|angles| (angles, pairing)),
        };
        norm_and_rotate(&pool, &mut expected, &pass);
        let mut pairs = Vec::new();
        if let Some(angles) = &angles {
            for row in 0..rows {
                let (cos, sin) = angles.row(row);
                pairs.extend(cos.iter().zip(sin).flat_map(|(cos, sin)| [*cos, *sin]));
            }
        }
        pairs.push(0.0);
        let (query, key, pairs) = (upload(&*device, &query), upload(&*device, &key), upload(&*device, &pairs));
        let on_gpu = Heads {
            heads: query_heads as u32,
            kv_heads: key_heads as u32,
            head_dim: dim as u32,
            row_stride: stride as u32,
            norms: normed.then_some((&query, &key)),
            epsilon: 1e-6,
            rope: (rotated > 0).then_some((&pairs, rotated as u32, pairing == Pairing::Interleaved)),
        };
        run(&*device, |list| heads(list, &on_gpu, rows as u32, &memory));
        assert_near(&download(&*device, &memory), &expected, 1e-5, &format!("heads of {dim}"));
    }
}

#[test]
fn rows_are_gathered() {
    let Some(device) = device() else { return };
    let source = values(3, 7 * 130);
    let (from, indices) = (upload(&*device, &source), words(&*device, &[6, 0, 6]));
    let out = device.allocate(3 * 130 * 4).unwrap();
    run(&*device, |list| gather::rows(list, &from, &indices, 130, 3, &out));
    let expected: Vec<f32> = [6, 0, 6].iter().flat_map(|row| &source[row * 130..][..130]).copied().collect();
    assert_bits(&download(&*device, &out), &expected, "gathered");
}
