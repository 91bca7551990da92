//! Attention against a plain softmax in f64, and its promise of equal bits, on every tier and storage type.

mod common;

use common::{exclusive, random};
use olivine_kernels::attention::{
    AttentionParams, BatchSequence, KvCacheLayer, KvDtype, KvLayout, RaggedBatch, SdpaMask, SdpaShape, attend,
    scaled_dot_product_attention,
};
use olivine_kernels::cpu;
use olivine_kernels::pool::Pool;

const DTYPES: [KvDtype; 5] = [KvDtype::F32, KvDtype::F16, KvDtype::Bf16, KvDtype::Q8, KvDtype::Q4];

/// A model's attention: shapes and parameters.
#[derive(Clone, Copy)]
struct Case {
    heads: usize,
    kv_heads: usize,
    key_dim: usize,
    value_dim: usize,
    page_tokens: usize,
    window: Option<usize>,
    soft_cap: Option<f32>,
    sinks: bool,
    causal: bool,
}

const BASE: Case = Case {
    heads: 4,
    kv_heads: 2,
    key_dim: 64,
    value_dim: 64,
    page_tokens: 64,
    window: None,
    soft_cap: None,
    sinks: false,
    causal: true,
};

const CASES: [Case; 11] = [
    BASE,
    Case { heads: 3, kv_heads: 1, key_dim: 16, value_dim: 16, page_tokens: 16, ..BASE },
    Case { heads: 7, kv_heads: 1, key_dim: 80, value_dim: 80, ..BASE },
    Case { heads: 2, kv_heads: 2, key_dim: 96, value_dim: 96, page_tokens: 32, window: Some(37), ..BASE },
    Case { heads: 8, kv_heads: 1, key_dim: 128, value_dim: 128, sinks: true, window: Some(128), ..BASE },
    Case { heads: 4, kv_heads: 4, key_dim: 256, value_dim: 256, soft_cap: Some(3.0), ..BASE },
    Case { heads: 20, kv_heads: 1, key_dim: 576, value_dim: 512, ..BASE },
    Case { heads: 2, kv_heads: 1, key_dim: 24, value_dim: 40, page_tokens: 48, sinks: true, ..BASE },
    Case { heads: 2, kv_heads: 1, key_dim: 33, value_dim: 7, ..BASE },
    Case { causal: false, ..BASE },
    Case { heads: 16, kv_heads: 2, key_dim: 72, value_dim: 72, window: Some(1), page_tokens: 128, ..BASE },
];

/// A few cases reach into a second split of 512 keys; the others stay short, for emulated processors.
fn tokens(case: usize) -> usize {
    if matches!(case, 1 | 3 | 7) { 530 } else { 100 }
}

/// A sequence's queries, keys and values.
struct Setup {
    case: Case,
    tokens: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    sinks: Vec<f32>,
}

impl Setup {
    fn new(case: Case, tokens: usize, seed: u64) -> Setup {
        let Case { heads, kv_heads, key_dim, value_dim, .. } = case;
        let queries = random(tokens * heads * key_dim, seed).iter().map(|value| value * 2.0).collect();
        let keys = random(tokens * kv_heads * key_dim, seed + 1);
        let values = random(tokens * kv_heads * value_dim, seed + 2);
        Setup { case, tokens, queries, keys, values, sinks: random(heads, seed + 3) }
    }

    fn cache(&self, dtype: KvDtype) -> KvCacheLayer {
        let Case { kv_heads, key_dim, value_dim, page_tokens, .. } = self.case;
        KvCacheLayer::new(KvLayout { kv_heads, key_dim, value_dim, page_tokens, dtype })
    }

    fn params(&self) -> AttentionParams<'_> {
        AttentionParams {
            heads: self.case.heads,
            scale: 1.0 / (self.case.key_dim as f32).sqrt(),
            window: self.case.window,
            soft_cap: self.case.soft_cap,
            sinks: self.case.sinks.then_some(&self.sinks[..]),
            causal: self.case.causal,
        }
    }

    fn rows<'a>(&self, data: &'a [f32], range: std::ops::Range<usize>) -> &'a [f32] {
        let width = data.len() / self.tokens;
        &data[range.start * width..range.end * width]
    }

    /// Write and attend the whole sequence in pieces of `piece` rows.
    fn in_pieces(&self, pool: &Pool, dtype: KvDtype, piece: usize, pages: &[u32]) -> Vec<f32> {
        let mut cache = self.cache(dtype);
        cache.grow(pages.iter().max().map_or(0, |&page| page as usize + 1));
        let mut out = Vec::new();
        for first in (0..self.tokens).step_by(piece) {
            let range = first..(first + piece).min(self.tokens);
            let mut part = vec![f32::NAN; range.len() * self.case.heads * self.case.value_dim];
            let sequence = BatchSequence { first_row: 0, rows: range.len(), first_position: first, pages };
            let batch = RaggedBatch { sequences: &[sequence] };
            cache.write(pool, self.rows(&self.keys, range.clone()), self.rows(&self.values, range.clone()), &batch);
            attend(pool, self.rows(&self.queries, range), &cache, &batch, &self.params(), &mut part);
            out.extend(part);
        }
        out
    }

    fn pages(&self) -> Vec<u32> {
        (0..self.tokens.div_ceil(self.case.page_tokens) as u32).collect()
    }

    /// Softmax over all visible keys, in f64.
    fn expected(&self) -> Vec<f64> {
        let Case { heads, kv_heads, key_dim, value_dim, .. } = self.case;
        let params = self.params();
        let mut out = Vec::new();
        for row in 0..self.tokens {
            for head in 0..heads {
                let kv_head = head / (heads / kv_heads);
                let query = &self.queries[(row * heads + head) * key_dim..][..key_dim];
                let last = if params.causal { row + 1 } else { self.tokens };
                let first = params.window.map_or(0, |window| (row + 1).saturating_sub(window));
                let scores: Vec<f64> = (first..last)
                    .map(|key| {
                        let key = &self.keys[(key * kv_heads + kv_head) * key_dim..][..key_dim];
                        let score = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>()
                            * f64::from(params.scale);
                        params.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                    })
                    .collect();
                let sink = params.sinks.map(|sinks| f64::from(sinks[head]));
                let best = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - best).exp()).collect();
                let sum = weights.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - best).exp());
                out.extend((0..value_dim).map(|dim| {
                    let value = |key: usize| self.values[(key * kv_heads + kv_head) * value_dim + dim];
                    (first..last).zip(&weights).map(|(key, w)| w * f64::from(value(key))).sum::<f64>() / sum
                }));
            }
        }
        out
    }
}

fn assert_close(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(got) - expected).abs() <= tolerance, "{what}, value {index}: {got} for {expected}");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Stored keys and values are rounded, so the tolerance is that of the storage type. Values are below 1.
fn tolerance(dtype: KvDtype) -> f64 {
    match dtype {
        KvDtype::F32 => 3e-6,
        KvDtype::F16 => 1.5e-3,
        KvDtype::Bf16 => 1.2e-2,
        // A step of 8 bits is 1/127 of the largest value; of 4 bits a third of the deviation, and widths below 16 are
        // hardly rotated. Scores and values both lose.
        KvDtype::Q8 => 2.4e-2,
        KvDtype::Q4 => 0.45,
    }
}

#[test]
fn equals_a_plain_softmax() {
    let _turn = exclusive();
    let pool = Pool::new(2);
    for (number, case) in CASES.into_iter().enumerate() {
        let tokens = tokens(number);
        let setup = Setup::new(case, tokens, number as u64 * 10 + 1);
        let expected = setup.expected();
        for tier in cpu::available() {
            cpu::force(tier);
            for dtype in DTYPES {
                let got = setup.in_pieces(&pool, dtype, tokens, &setup.pages());
                assert_close(&got, &expected, tolerance(dtype), &format!("case {number}, {dtype:?}, {tier:?}"));
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_pieces_threads_or_pages() {
    let _turn = exclusive();
    for tier in cpu::available() {
        cpu::force(tier);
        for (number, case) in CASES.into_iter().enumerate().filter(|(_, case)| case.causal) {
            let tokens = tokens(number);
            let setup = Setup::new(case, tokens, number as u64 * 10 + 5);
            let shuffled: Vec<u32> = setup.pages().iter().rev().map(|page| page * 3 + 2).collect();
            for dtype in DTYPES {
                let whole = bits(&setup.in_pieces(&Pool::new(1), dtype, tokens, &setup.pages()));
                for (threads, piece) in [(1, 1), (2, 7), (3, 64), (3, tokens)] {
                    let pieces = bits(&setup.in_pieces(&Pool::new(threads), dtype, piece, &shuffled));
                    assert!(
                        whole == pieces,
                        "case {number}, {dtype:?}, {tier:?}, {threads} threads, pieces of {piece}"
                    );
                }
            }
        }
    }
}

/// Seventeen sequences of all lengths, decoding and in the middle of their prompts, in one batch; each must get what
/// it gets alone.
#[test]
fn bits_do_not_depend_on_the_batch() {
    let _turn = exclusive();
    for tier in cpu::available() {
        cpu::force(tier);
        for case in [CASES[0], CASES[3], CASES[4], CASES[7]] {
            for dtype in DTYPES {
                check_batch(case, dtype);
            }
        }
    }
}

fn check_batch(case: Case, dtype: KvDtype) {
    let pool = Pool::new(2);
    let setups: Vec<Setup> = (0..17).map(|index| Setup::new(case, 1 + index * 36, 100 + index as u64)).collect();
    let mut cache = setups[0].cache(dtype);
    let (mut tables, mut next_page) = (Vec::new(), 0);
    for setup in &setups {
        let count = setup.pages().len() as u32;
        tables.push((next_page..next_page + count).collect::<Vec<u32>>());
        next_page += count;
    }
    cache.grow(next_page as usize);
    // Every third sequence has its last 20 rows in the batch, the others are decoding.
    let batch_rows = |index: usize| if index % 3 == 2 { 20 } else { 1 };
    let (mut sequences, mut queries, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut first_row = 0;
    for (index, setup) in setups.iter().enumerate() {
        let rows = batch_rows(index);
        let first_position = setup.tokens - rows;
        let before = BatchSequence { first_row: 0, rows: first_position, first_position: 0, pages: &tables[index] };
        cache.write(&pool, &setup.keys, &setup.values, &RaggedBatch { sequences: &[before] });
        sequences.push(BatchSequence { first_row, rows, first_position, pages: &tables[index] });
        queries.extend_from_slice(setup.rows(&setup.queries, first_position..setup.tokens));
        keys.extend_from_slice(setup.rows(&setup.keys, first_position..setup.tokens));
        values.extend_from_slice(setup.rows(&setup.values, first_position..setup.tokens));
        first_row += rows;
    }
    // Sinks belong to the model: all sequences share them.
    let params = setups[0].params();
    let batch = RaggedBatch { sequences: &sequences };
    cache.write(&pool, &keys, &values, &batch);
    let width = case.heads * case.value_dim;
    let mut together = vec![f32::NAN; first_row * width];
    attend(&pool, &queries, &cache, &batch, &params, &mut together);
    for sequence in &sequences {
        for row in 0..sequence.rows {
            let at = sequence.first_row + row;
            let alone =
                BatchSequence { first_row: 0, rows: 1, first_position: sequence.first_position + row, ..*sequence };
            let query_width = case.heads * case.key_dim;
            let query = &queries[at * query_width..][..query_width];
            let mut out = vec![f32::NAN; width];
            attend(&pool, query, &cache, &RaggedBatch { sequences: &[alone] }, &params, &mut out);
            assert!(bits(&out) == bits(&together[at * width..][..width]), "row {at}, {dtype:?}, {:?}", cpu::tier());
        }
    }
}

/// A page that another sequence has filled with NaN must not show through.
#[test]
fn stale_pages_do_not_show() {
    let _turn = exclusive();
    let pool = Pool::new(1);
    for tier in cpu::available() {
        cpu::force(tier);
        for dtype in DTYPES {
            let setup = Setup::new(BASE, 5, 7);
            let clean = setup.in_pieces(&pool, dtype, 5, &[0]);
            let mut cache = setup.cache(dtype);
            cache.grow(1);
            let stale = BatchSequence { first_row: 0, rows: 64, first_position: 0, pages: &[0] };
            let poison = vec![f32::NAN; 64 * BASE.kv_heads * BASE.key_dim];
            cache.write(&pool, &poison, &poison, &RaggedBatch { sequences: &[stale] });
            let sequence = BatchSequence { rows: 5, ..stale };
            let batch = RaggedBatch { sequences: &[sequence] };
            cache.write(&pool, &setup.keys, &setup.values, &batch);
            let mut out = vec![f32::NAN; clean.len()];
            attend(&pool, &setup.queries, &cache, &batch, &setup.params(), &mut out);
            assert!(bits(&out) == bits(&clean), "{dtype:?}, {tier:?}");
        }
    }
}

#[test]
fn cache_gives_back_what_was_written() {
    let pool = Pool::new(2);
    for dtype in DTYPES {
        let setup = Setup::new(CASES[7], 200, 3);
        let mut cache = setup.cache(dtype);
        cache.grow(9);
        let pages = [4, 0, 7, 2, 8];
        let sequence = BatchSequence { first_row: 0, rows: 200, first_position: 0, pages: &pages };
        cache.write(&pool, &setup.keys, &setup.values, &RaggedBatch { sequences: &[sequence] });
        if matches!(dtype, KvDtype::Q8 | KvDtype::Q4) {
            check_quantized(&setup, &cache, &pages, dtype);
            continue;
        }
        let round = |value: f32| match dtype {
            KvDtype::F32 => value,
            KvDtype::F16 => half::f16::from_f32(value).to_f32(),
            KvDtype::Bf16 => half::bf16::from_f32(value).to_f32(),
            KvDtype::Q8 | KvDtype::Q4 => unreachable!("checked apart"),
        };
        let (keys, values) = cache.read(&pages, 37..161);
        let rounded =
            |data: &[f32]| -> Vec<f32> { setup.rows(data, 37..161).iter().map(|&value| round(value)).collect() };
        assert_eq!(keys, rounded(&setup.keys));
        assert_eq!(values, rounded(&setup.values));
        cache.copy_page(7, 1);
        assert_eq!(cache.read(&[4, 0, 1, 2, 8], 37..161), (keys, values));
        let page = cache.page(7).to_vec();
        cache.page_mut(3).copy_from_slice(&page);
        assert_eq!(cache.page(3), cache.page(1));
    }
}

/// Rotated vectors come back with the error of so many bits: signal over noise in decibels.
fn check_quantized(setup: &Setup, cache: &KvCacheLayer, pages: &[u32], dtype: KvDtype) {
    let (keys, values) = cache.read(pages, 37..161);
    for (got, stored) in [(keys, &setup.keys), (values, &setup.values)] {
        let stored = setup.rows(stored, 37..161);
        assert_eq!(got.len(), stored.len());
        let power: f64 = stored.iter().map(|&value| f64::from(value).powi(2)).sum();
        let noise: f64 = stored.iter().zip(&got).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
        let decibels = 10.0 * (power / noise).log10();
        assert!(decibels > if dtype == KvDtype::Q8 { 42.0 } else { 18.5 }, "{dtype:?}: {decibels} dB");
    }
}

#[test]
fn growing_keeps_pages_and_shrinking_gives_memory_back() {
    let layout = KvLayout { kv_heads: 8, key_dim: 128, value_dim: 128, page_tokens: 64, dtype: KvDtype::Bf16 };
    let mut cache = KvCacheLayer::new(layout);
    cache.grow(3);
    cache.page_mut(2).fill(0x5a);
    let address = cache.page(2).as_ptr();
    cache.grow(1000);
    assert_eq!(cache.page(2).as_ptr(), address);
    assert!(cache.page(2).iter().all(|&byte| byte == 0x5a));
    let all = cache.bytes();
    cache.shrink(3);
    assert!(cache.bytes() < all / 10 && cache.pages() == 3);
}

const PLAIN: SdpaShape =
    SdpaShape { batch: 2, heads: 4, kv_heads: 2, query_len: 9, key_len: 75, key_dim: 48, value_dim: 32 };

/// Plain attention of shape `PLAIN` in f64, with what `mask(head, row, key)` adds to the scores.
fn plain_expected(data: [&[f32]; 3], mask: &dyn Fn(usize, usize, usize) -> f32) -> Vec<f64> {
    let [queries, keys, values] = data;
    let mut out = Vec::new();
    for at in 0..2 * 4 * 9 {
        let (batch, head, row) = (at / 36, at / 9 % 4, at % 9);
        let kv = batch * 2 + head / 2;
        let scores: Vec<f64> = (0..75)
            .map(|key| {
                let (q, k) = (&queries[at * 48..][..48], &keys[(kv * 75 + key) * 48..][..48]);
                let dot: f64 = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                dot * 0.2 + f64::from(mask(head, row, key))
            })
            .collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if best == f64::NEG_INFINITY {
            out.extend([0.0; 32]);
            continue;
        }
        let weights: Vec<f64> = scores.iter().map(|score| (score - best).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let value = |key: usize, dim: usize| f64::from(values[(kv * 75 + key) * 32 + dim]);
        out.extend((0..32).map(|dim| (0..75).map(|key| weights[key] * value(key, dim)).sum::<f64>() / sum));
    }
    out
}

#[test]
fn plain_attention_applies_masks() {
    let _turn = exclusive();
    let pool = Pool::new(2);
    let (queries, keys, values) = (random(2 * 4 * 9 * 48, 1), random(2 * 2 * 75 * 48, 2), random(2 * 2 * 75 * 32, 3));
    let noise = random(4 * 9 * 75, 4);
    let hidden = f32::NEG_INFINITY;
    let causal: Vec<f32> = (0..9 * 75).map(|at| if at % 75 <= at / 75 + 66 { 0.0 } else { hidden }).collect();
    let mut all_hidden = noise.clone();
    all_hidden[75..150].fill(hidden);
    let run = |mask: SdpaMask| {
        let mut out = vec![f32::NAN; 2 * 4 * 9 * 32];
        scaled_dot_product_attention(&pool, &PLAIN, &queries, &keys, &values, 0.2, mask, None, &mut out);
        out
    };
    let expected = |mask: &dyn Fn(usize, usize, usize) -> f32| plain_expected([&queries, &keys, &values], mask);
    for tier in cpu::available() {
        cpu::force(tier);
        assert_close(&run(SdpaMask::None), &expected(&|_, _, _| 0.0), 3e-6, "no mask");
        assert_close(&run(SdpaMask::Causal), &expected(&|_, row, key| causal[row * 75 + key]), 3e-6, "causal");
        let per_head = SdpaMask::Additive { values: &all_hidden, strides: [0, 9 * 75, 75] };
        let want = expected(&|head, row, key| all_hidden[(head * 9 + row) * 75 + key]);
        assert_close(&run(per_head), &want, 3e-6, "one mask a head, a row that sees nothing");
        let one = SdpaMask::Additive { values: &noise[75..150], strides: [0, 0, 0] };
        assert_close(&run(one), &expected(&|_, _, key| noise[75 + key]), 3e-6, "one row for all");
        let shared = run(SdpaMask::Additive { values: &causal, strides: [0, 0, 75] });
        assert!(bits(&shared) == bits(&run(SdpaMask::Causal)), "a mask and a rule that mean the same");
    }
}
