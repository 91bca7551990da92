//! Experts and recurrent layers, against plain arithmetic and the CPU's kernels.

use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Experts, Gate, Input, Matmul, matmul};
use olivine_gpu::ops::moe::{Router, Scoring, max_tiles, mix, route, sort, tile_rows};
use olivine_gpu::ops::recurrent::{Convolution, DeltaInputs, DeltaShape, States, convolution, gated_delta};
use olivine_gpu::ops::weights::{Code, Matrix};
use olivine_gpu::{Device, List, Memory};
use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{FORMATS, Format, quantize};
use olivine_kernels::recurrent as cpu;

use crate::common::*;
use crate::matmul::{decoded, nvfp4_with_factors, product, with_every_scale};

/// Experts and weights of a token, best first.
fn chosen(router: &Router, correction: &[f32], logits: &[f32]) -> Vec<(usize, f32)> {
    let softmax = |values: &[f32]| -> Vec<f32> {
        let sum: f32 = values.iter().map(|v| v.exp()).sum();
        values.iter().map(|v| v.exp() / sum).collect()
    };
    let scores = match router.scoring {
        Scoring::Softmax => softmax(logits),
        Scoring::SoftmaxOfChosen => logits.to_vec(),
        Scoring::Sigmoid => logits.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect(),
    };
    let mut ranks: Vec<f32> = scores.clone();
    if router.correction.is_some() {
        ranks.iter_mut().zip(correction).for_each(|(rank, more)| *rank += more);
    }
    if let Some((groups, best)) = router.groups {
        let size = ranks.len() / groups;
        let strength = |group: usize| {
            let mut of_group = ranks[group * size..(group + 1) * size].to_vec();
            of_group.sort_by(|a, b| b.total_cmp(a));
            of_group[0] + of_group[1]
        };
        let mut order: Vec<usize> = (0..groups).collect();
        order.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)));
        for &group in &order[best..] {
            ranks[group * size..(group + 1) * size].fill(f32::NEG_INFINITY);
        }
    }
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by(|&a, &b| ranks[b].total_cmp(&ranks[a]));
    order.truncate(router.active);
    let mut weights: Vec<f32> = order.iter().map(|&expert| scores[expert]).collect();
    if router.scoring == Scoring::SoftmaxOfChosen {
        weights = softmax(&weights);
    }
    if router.normalize {
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    order.into_iter().zip(weights.into_iter().map(|weight| weight * router.scale)).collect()
}

#[test]
fn routers_choose_as_on_the_cpu() {
    let Some(device) = device() else { return };
    let (tokens, experts) = (5, 72);
    let logits: Vec<f32> = values(3, tokens * experts).iter().map(|v| v * 4.0).collect();
    let correction = values(4, experts);
    let (logit_memory, correction_memory) = (upload(&*device, &logits), upload(&*device, &correction));
    let plain = Router {
        experts,
        active: 6,
        scoring: Scoring::Softmax,
        correction: None,
        normalize: true,
        scale: 1.0,
        groups: None,
    };
    let routers = [
        plain,
        Router { scoring: Scoring::SoftmaxOfChosen, normalize: false, ..plain },
        Router {
            scoring: Scoring::Sigmoid,
            correction: Some(&correction_memory),
            groups: Some((8, 3)),
            scale: 2.5,
            ..plain
        },
    ];
    for router in &routers {
        let (ids, weights) = (room(&*device, tokens * 6), room(&*device, tokens * 6));
        run(&*device, |list| route(list, router, &logit_memory, tokens, &ids, &weights));
        let expected: Vec<(usize, f32)> =
            logits.chunks(experts).flat_map(|logits| chosen(router, &correction, logits)).collect();
        let ids: Vec<usize> = download(&*device, &ids).iter().map(|id| id.to_bits() as usize).collect();
        assert_eq!(ids, expected.iter().map(|pair| pair.0).collect::<Vec<_>>(), "{router:?}");
        let expected: Vec<f32> = expected.iter().map(|pair| pair.1).collect();
        assert_near(&download(&*device, &weights), &expected, 1e-6, &format!("{router:?}"));
    }
}

#[test]
fn experts_take_sorted_pairs_and_their_rows_are_mixed() {
    let Some(device) = device() else { return };
    let (experts, active, hidden, inner) = (6, 2, 64, 32);
    let up = values(1, experts * 2 * inner * hidden);
    let down = values(2, experts * hidden * inner);
    let biases = values(6, experts * 2 * inner);
    let stack = |weights: &[f32], rows: usize, columns: usize| {
        let pieces = weights.chunks(rows * columns);
        let each = pieces.map(|w| FileMatrix::dense(Code::F32, rows, columns, bytemuck::cast_slice(w)));
        FileMatrix::of_experts(each.collect()).expect("one type").upload(&*device).expect("room")
    };
    let (up_matrix, down_matrix) = (stack(&up, 2 * inner, hidden), stack(&down, hidden, inner));
    let mut alone = vec![];
    for tokens in [23, 1] {
        let x = &values(3, 23 * hidden)[..tokens * hidden];
        let pairs = tokens * active;
        let ids: Vec<u32> = (0..pairs).map(|i| ((i / 2 * 5 + i % 2 * 3 + i / 7) % experts) as u32).collect();
        let weights = &values(4, 46)[..pairs];
        let rows = if tokens == 1 { 1 } else { tile_rows(pairs, experts) };
        let tiles = max_tiles(pairs, experts, rows);
        let (sorted, tile_memory) = (room(&*device, pairs), room(&*device, tiles * 4));
        let [x_memory, weight_memory, bias_memory] = [x, weights, &biases[..]].map(|values| upload(&*device, values));
        let chosen_memory = upload_words(&*device, &ids);
        let (middle, last) = (room(&*device, pairs * 2 * inner), room(&*device, pairs * hidden));
        let out = upload(&*device, x);
        run(&*device, |list| {
            sort(list, &chosen_memory, pairs, experts, rows, &sorted, &tile_memory);
            let share = Experts {
                tiles: &tile_memory,
                pairs: &sorted,
                max_tiles: tiles,
                tile_rows: rows,
                choices: active,
                features: 2 * inner,
            };
            let options = Matmul { experts: Some(share), bias: Some(&bias_memory), ..Matmul::default() };
            matmul(list, &up_matrix, &x_memory, hidden, pairs, &options, &middle);
            let share = Experts { choices: 1, features: hidden, ..share };
            let options = Matmul { input: Input::Gated(Gate::Silu), experts: Some(share), ..Matmul::default() };
            matmul(list, &down_matrix, &middle, 2 * inner, pairs, &options, &last);
            mix(list, &last, &weight_memory, [tokens, active, hidden], Some(&out), &out);
        });
        let found = download(&*device, &out);
        let mut expected = x.to_vec();
        for (pair, &expert) in ids.iter().enumerate() {
            let (expert, token) = (expert as usize, pair / active);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let x = &x[token * hidden..(token + 1) * hidden];
            let both: Vec<f64> = (0..2 * inner)
                .map(|o| {
                    dot(x, &up[(expert * 2 * inner + o) * hidden..][..hidden])
                        + f64::from(biases[expert * 2 * inner + o])
                })
                .collect();
            let joined: Vec<f32> =
                (0..inner).map(|i| (both[i] / (1.0 + (-both[i]).exp()) * both[inner + i]) as f32).collect();
            for o in 0..hidden {
                let value = dot(&joined, &down[(expert * hidden + o) * inner..][..inner]);
                expected[token * hidden + o] += (value * f64::from(weights[pair])) as f32;
            }
        }
        assert_near(&found, &expected, 2e-6, &format!("{tokens} tokens"));
        alone.push(found);
    }
    assert_bits(&alone[1], &alone[0][..hidden], "a token alone and among others");
}

/// A layer of experts in one storage format.
struct Layer {
    what: String,
    experts: usize,
    active: usize,
    hidden: usize,
    inner: usize,
    /// Gates and ups of all experts, and what they return from.
    matrices: [Matrix; 2],
    values: [Vec<f32>; 2],
    biases: Option<[Vec<f32>; 2]>,
    gate: Gate,
}

impl Layer {
    /// In some formats, with scales of every type, and in some dense types.
    fn all(device: &dyn Device, shape: [usize; 4], formats: &[Format], codes: &[Code]) -> Vec<Layer> {
        let [experts, active, hidden, inner] = shape;
        let shapes = [(2 * inner, hidden), (hidden, inner)];
        let sources = shapes.map(|(rows, columns)| values(columns as u64, experts * rows * columns));
        let biases = [1, 2].map(|seed| values(seed, experts * shapes[seed as usize - 1].0));
        let mut layers = vec![];
        let mut add = |what: String, made: [(Matrix, Vec<f32>); 2]| {
            let [up, down] = made;
            let matrices = [up.0, down.0];
            let clamped = layers.len() % 2 == 1;
            let gate = if clamped { Gate::Clamped { alpha: 1.702, limit: 7.0 } } else { Gate::Silu };
            let biases = clamped.then(|| biases.clone());
            let values = [up.1, down.1];
            layers.push(Layer { what, experts, active, hidden, inner, matrices, values, biases, gate });
        };
        if formats.contains(&Format::Nvfp4) {
            let made = [0, 1].map(|which: usize| {
                let (rows, columns) = shapes[which];
                nvfp4_with_factors(device, experts, rows, columns, &sources[which])
            });
            add("Nvfp4 with factors".into(), made);
        }
        for &format in formats {
            let [ups, downs] = [0, 1].map(|which: usize| {
                let (rows, columns) = shapes[which];
                with_every_scale(format, experts * rows, columns, &sources[which])
            });
            for (up, down) in ups.into_iter().zip(downs) {
                let what = format!("{:?} {:?}", up.format, up.scale_type);
                let stored = [up.as_stored(), down.as_stored()];
                if let [Some(one), Some(two)] = stored.map(|stored| FileMatrix::quantized(&stored)) {
                    let [one, two] = [one, two].map(|matrix| matrix.upload(device).expect("room"));
                    add(what, [(one, decoded(&up)), (two, decoded(&down))]);
                }
            }
        }
        for &code in codes {
            let made = [0, 1].map(|which: usize| {
                let (rows, columns) = shapes[which];
                dense(device, code, experts * rows, columns, &sources[which])
            });
            add(format!("{code:?}"), made);
        }
        layers
    }

    /// The layer's kernels for some tokens: normed rows in, added to the tokens themselves.
    fn run(&self, device: &dyn Device, x: &[f32], logits: &[f32], norm: &[f32]) -> Vec<f32> {
        let out = room(device, x.len());
        let memories = [x, logits, norm].map(|values| upload(device, values));
        run(device, |list| self.list(device, list, x.len() / self.hidden, &memories, &out));
        download(device, &out)
    }

    /// The same in a list: tokens, their logits and the norm are in memory.
    fn list(&self, device: &dyn Device, list: &mut List, tokens: usize, from: &[Memory; 3], out: &Memory) {
        let Layer { experts, active, hidden, inner, .. } = *self;
        let pairs = tokens * active;
        let rows = tile_rows(pairs, experts);
        let tiles = max_tiles(pairs, experts, rows);
        let [x, logits, norm] = from;
        let biases = self.biases.as_ref().map(|biases| [&biases[0], &biases[1]].map(|values| upload(device, values)));
        let [up_bias, down_bias] = [0, 1].map(|which| biases.as_ref().map(|biases| &biases[which]));
        let words = [pairs, pairs, pairs, 4 * tiles, pairs * 2 * inner, pairs * hidden];
        let [ids, weights, sorted, table, middle, last] = words.map(|count| room(device, count));
        route(list, &self.router(), logits, tokens, &ids, &weights);
        sort(list, &ids, pairs, experts, rows, &sorted, &table);
        let share = Experts {
            tiles: &table,
            pairs: &sorted,
            max_tiles: tiles,
            tile_rows: rows,
            choices: active,
            features: 2 * inner,
        };
        let input = Input::Norm { weight: norm, epsilon: 1e-6 };
        let options = Matmul { input, experts: Some(share), bias: up_bias, ..Matmul::default() };
        matmul(list, &self.matrices[0], x, hidden, pairs, &options, &middle);
        let share = Experts { choices: 1, features: hidden, ..share };
        let input = Input::Gated(self.gate);
        let options = Matmul { input, experts: Some(share), bias: down_bias, ..Matmul::default() };
        matmul(list, &self.matrices[1], &middle, 2 * inner, pairs, &options, &last);
        mix(list, &last, &weights, [tokens, active, hidden], Some(x), out);
    }

    /// A token that a product makes, its router and its experts, for each of some `inputs` in turn: in one list, which is sent twice,
    /// or step by step. What there is of each: the token, its logits and what it becomes.
    fn routed(&self, device: &dyn Device, matrices: [&Matrix; 2], inputs: &[f32], in_one: bool) -> Vec<Vec<f32>> {
        let Layer { experts, hidden, .. } = *self;
        let [front, router] = matrices;
        let norm = upload(device, &values(5, hidden));
        let bias = upload(device, &values(6, experts));
        let mut lists = vec![List::new()];
        let mut memories = vec![];
        for input in inputs.chunks(front.columns) {
            let mut next = || {
                if !in_one {
                    lists.push(List::new());
                }
                lists.len() - 1
            };
            let steps = [next(), next(), next()];
            let [x, logits, out] = [hidden, experts, hidden].map(|count| room(device, count));
            let input = upload(device, input);
            matmul(&mut lists[steps[0]], front, &input, front.columns, 1, &Matmul::default(), &x);
            let normed = Input::Norm { weight: &norm, epsilon: 1e-6 };
            let options = Matmul { input: normed, bias: Some(&bias), ..Matmul::default() };
            matmul(&mut lists[steps[1]], router, &x, hidden, 1, &options, &logits);
            let from = [x, logits, norm.clone()];
            self.list(device, &mut lists[steps[2]], 1, &from, &out);
            let [x, logits, _] = from;
            memories.extend([x, logits, out]);
        }
        for _ in 0..2 {
            lists.iter().for_each(|list| device.submit(list).expect("submitted"));
        }
        memories.iter().map(|memory| download(device, memory)).collect()
    }

    fn router(&self) -> Router<'static> {
        let (experts, active) = (self.experts, self.active);
        let scoring = Scoring::Softmax;
        Router { experts, active, scoring, correction: None, normalize: true, scale: 1.0, groups: None }
    }

    /// What one token is to become.
    fn expected(&self, x: &[f32], logits: &[f32], norm: &[f32]) -> Vec<f32> {
        let Layer { hidden, inner, .. } = *self;
        let square: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        let factor = (square / hidden as f64 + 1e-6).sqrt().recip() as f32;
        let normed: Vec<f32> = x.iter().zip(norm).map(|(x, norm)| x * norm * factor).collect();
        let mut sum = x.to_vec();
        for (expert, weight) in chosen(&self.router(), &[], logits) {
            let of = |which: usize, x: &[f32], rows: usize| {
                let size = rows * x.len();
                let mut y = product(x, &self.values[which][expert * size..(expert + 1) * size], x.len());
                if let Some(biases) = &self.biases {
                    y.iter_mut().zip(&biases[which][expert * rows..]).for_each(|(y, bias)| *y += bias);
                }
                y
            };
            let both = of(0, &normed, 2 * inner);
            let joined: Vec<f32> = (0..inner).map(|i| self.joined(both[i], both[inner + i])).collect();
            sum.iter_mut().zip(of(1, &joined, hidden)).for_each(|(sum, y)| *sum += weight * y);
        }
        sum
    }

    fn joined(&self, gate: f32, up: f32) -> f32 {
        match self.gate {
            Gate::Clamped { alpha, limit } => {
                let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
                (up + 1.0) * gate / (1.0 + (-alpha * gate).exp())
            }
            _ => gate / (1.0 + (-gate).exp()) * up,
        }
    }
}

/// A dense matrix of a type, and its values.
fn dense(device: &dyn Device, code: Code, rows: usize, columns: usize, source: &[f32]) -> (Matrix, Vec<f32>) {
    let (bytes, values): (Vec<u8>, Vec<f32>) = match code {
        Code::Bf16 => {
            let stored: Vec<half::bf16> = source.iter().map(|v| half::bf16::from_f32(*v)).collect();
            (bytemuck::cast_slice(&stored).to_vec(), stored.iter().map(|v| v.to_f32()).collect())
        }
        Code::F16 => {
            let stored: Vec<half::f16> = source.iter().map(|v| half::f16::from_f32(*v)).collect();
            (bytemuck::cast_slice(&stored).to_vec(), stored.iter().map(|v| v.to_f32()).collect())
        }
        _ => (bytemuck::cast_slice(source).to_vec(), source.to_vec()),
    };
    (FileMatrix::dense(code, rows, columns, bytes).upload(device).expect("room"), values)
}

/// All ways that mixtures go: a single token, a few, and many whose experts have some rows or more.
#[test]
fn tokens_of_a_mixture_have_the_same_bits_alone_and_among_others() {
    let Some(device) = device() else { return };
    let many = !device.info().software;
    let shapes: &[[usize; 4]] =
        if many { &[[6, 3, 256, 512], [8, 3, 352, 96], [5, 4, 1248, 160]] } else { &[[6, 3, 256, 64]] };
    let counts: &[usize] = if many { &[2, 9, 70, 150] } else { &[3] };
    let formats = FORMATS.map(|info| info.format);
    for shape in shapes {
        let layers = Layer::all(&*device, *shape, &formats, &[Code::Bf16, Code::F16, Code::F32]);
        for layer in layers.into_iter().take(if many { usize::MAX } else { 2 }) {
            check_tokens(&*device, &layer, counts);
        }
    }
    if !many {
        return;
    }
    // Experts so wide that a block takes several groups of their tiles; many experts with some tiles of a few rows each; rows of
    // the length that large models have.
    let formats = [Format::Affine { bits: 4, group: 64 }, Format::Mxfp4, Format::Nvfp4, Format::Q4_0, Format::Q8_0];
    let shapes: [([usize; 4], &[usize]); 4] = [
        ([4, 4, 1056, 2304], &[3, 40]),
        ([24, 2, 512, 96], &[5, 60, 130]),
        ([12, 4, 2048, 768], &[2, 16, 30]),
        ([5, 2, 3136, 160], &[3, 9]),
    ];
    for (shape, counts) in shapes {
        for layer in Layer::all(&*device, shape, &formats, &[Code::Bf16]) {
            check_tokens(&*device, &layer, counts);
        }
    }
}

/// Devices may choose a token's experts while its router is at work; they give what the steps give. Tokens are of many sizes, up to
/// what halves do not hold, and some have the same experts as the one before, others not.
#[test]
fn a_router_in_one_list_with_its_experts_is_what_its_steps_are() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    let shapes = if device.info().software { &[(40, 384)][..] } else { &[(40, 384), (128, 2048), (20, 352)] };
    for &(experts, hidden) in shapes {
        let formats = [Format::Affine { bits: 4, group: 32 }, Format::Mxfp4];
        let source = values(7, hidden * hidden);
        let (front, _) = dense(&*device, Code::Bf16, hidden, 64, &source[..hidden * 64]);
        let of_format = |bits| {
            let format = Format::Affine { bits, group: 32 };
            let stored = quantize(&pool, format, experts, hidden, &source[..experts * hidden]).unwrap();
            FileMatrix::quantized(&stored.as_stored()).unwrap().upload(&*device).unwrap()
        };
        let dense = |code| dense(&*device, code, experts, hidden, &source[..experts * hidden]).0;
        let routers = [dense(Code::Bf16), dense(Code::F32), of_format(4), of_format(8)];
        let sized = |(at, value): (usize, f32)| value * [1.0, 1.0, 1e7, 1e-6, -1.0][at / 64];
        let inputs: Vec<f32> = values(8, 5 * 64).into_iter().enumerate().map(sized).collect();
        for layer in Layer::all(&*device, [experts, 4, hidden, 96], &formats, &[]).iter().take(2) {
            for router in &routers {
                let apart = layer.routed(&*device, [&front, router], &inputs, false);
                let one = layer.routed(&*device, [&front, router], &inputs, true);
                for (index, (one, apart)) in one.iter().zip(&apart).enumerate() {
                    let code = router.layout.code;
                    assert_bits(
                        one,
                        apart,
                        &format!("{} {experts} x {hidden} by {code:?}, buffer {index}", layer.what),
                    );
                }
            }
        }
    }
}

/// The last of `counts` tokens are as they should be, and each number of them gives the same.
fn check_tokens(device: &dyn Device, layer: &Layer, counts: &[usize]) {
    let Layer { experts, hidden, inner, .. } = *layer;
    let tokens = counts[counts.len() - 1];
    let (x, logits) = (values(3, tokens * hidden), values(4, tokens * experts));
    let norm: Vec<f32> = values(5, hidden).iter().map(|v| 1.0 + 0.5 * v).collect();
    let what = format!("{} {experts} {hidden} {inner}", layer.what);
    let all = layer.run(device, &x, &logits, &norm);
    let row = |values: &[f32], token: usize, width: usize| values[token * width..(token + 1) * width].to_vec();
    for token in [0, tokens - 1] {
        let (x, logits) = (row(&x, token, hidden), row(&logits, token, experts));
        let expected = layer.expected(&x, &logits, &norm);
        let tolerance = 2.0 * product_tolerance(device, layer.matrices[0].layout.code);
        assert_near(&row(&all, token, hidden), &expected, tolerance, &format!("{what}, token {token}"));
        let alone = layer.run(device, &x, &logits, &norm);
        assert_bits(&alone, &row(&all, token, hidden), &format!("{what}, token {token} alone"));
    }
    for &count in counts {
        let some = layer.run(device, &x[..count * hidden], &logits[..count * experts], &norm);
        assert_bits(&some, &all[..count * hidden], &format!("{what}, {count} tokens"));
    }
}

#[test]
fn recurrent_layers_are_the_cpus_and_may_be_cut() {
    let Some(device) = device() else { return };
    let pool = Pool::new(1);
    let (rows, channels, kernel) = (11, 100, 4);
    let spans = [(0, 7, 1), (7, 4, 0)];
    let sequences: Vec<cpu::RecurrentRows> =
        spans.iter().map(|&(first_row, rows, slot)| cpu::RecurrentRows { first_row, rows, slot }).collect();
    let table = |spans: &[(usize, usize, usize)]| -> Vec<u32> {
        spans.iter().flat_map(|&(first, rows, slot)| [first as u32, rows as u32, slot as u32, 0]).collect()
    };
    let (x, weight, bias) = (values(1, rows * channels), values(2, kernel * channels), values(3, channels));
    let states = values(4, 2 * (kernel - 1) * channels);
    let (mut cpu_states, mut expected) = (states.clone(), vec![0.0; rows * channels]);
    let shape = cpu::ConvolutionShape { channels, kernel };
    let input = cpu::RowView::packed(&x, channels);
    cpu::causal_convolution(
        &pool,
        &shape,
        input,
        &weight,
        Some(&bias),
        true,
        &sequences,
        &mut cpu_states,
        &mut expected,
    );
    let [x, weight, bias, states] = [&x, &weight, &bias, &states].map(|values| upload(&*device, values));
    let plan = Convolution { channels, kernel, weight: &weight, bias: Some(&bias), has_silu: true };
    let out = room(&*device, rows * channels);
    // The first sequence in two pieces.
    for piece in [[(0, 3, 1), (7, 4, 0)], [(3, 4, 1), (0, 0, 0)]] {
        let spans = upload_words(&*device, &table(&piece));
        let at = States { spans: &spans, count: 2, states: &states };
        run(&*device, |list| convolution(list, &plan, &at, &x, channels, &out));
    }
    assert_near(&download(&*device, &out), &expected, 1e-6, "convolution");
    assert_near(&download(&*device, &states), &cpu_states, 0.0, "its states");

    let shape = cpu::DeltaShape { key_heads: 2, value_heads: 4, key_dim: 64, value_dim: 48 };
    let (queries, keys, inputs) = (values(1, rows * 128), values(2, rows * 128), values(3, rows * 192));
    let decay: Vec<f32> = values(4, rows * 4).iter().map(|v| 0.9 + 0.1 * v).collect();
    let beta: Vec<f32> = values(5, rows * 4).iter().map(|v| 0.5 + 0.5 * v).collect();
    let states = values(6, 2 * shape.state_len());
    let (mut cpu_states, mut expected) = (states.clone(), vec![0.0; rows * 192]);
    let views = cpu::DeltaInputs {
        queries: cpu::RowView::packed(&queries, 128),
        keys: cpu::RowView::packed(&keys, 128),
        values: cpu::RowView::packed(&inputs, 192),
        decay: cpu::RowView::packed(&decay, 4),
        beta: cpu::RowView::packed(&beta, 4),
    };
    cpu::gated_delta_rule(&pool, &shape, &views, &sequences, &mut cpu_states, &mut expected);
    let [queries, keys, inputs, decay, beta, states] =
        [&queries, &keys, &inputs, &decay, &beta, &states].map(|values| upload(&*device, values));
    let shape = DeltaShape { key_heads: 2, value_heads: 4, key_dim: 64, value_dim: 48 };
    let read = DeltaInputs {
        queries: (&queries, 128),
        keys: (&keys, 128),
        values: (&inputs, 192),
        decay: &decay,
        beta: &beta,
    };
    let out = room(&*device, rows * 192);
    for piece in [[(0, 3, 1), (7, 4, 0)], [(3, 4, 1), (0, 0, 0)]] {
        let spans = upload_words(&*device, &table(&piece));
        let at = States { spans: &spans, count: 2, states: &states };
        run(&*device, |list| gated_delta(list, &shape, &read, &at, &out));
    }
    assert_near(&download(&*device, &out), &expected, 3e-6, "delta rule");
    assert_near(&download(&*device, &states), &cpu_states, 3e-6, "its states");
}
