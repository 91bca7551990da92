//! What stays on a GPU: tokens are chosen from the heads of rows that do not come back, and the tokens are those of the
//! host's sampler; no operation of any family's decode step is left to the CPU; a step of 28 layers has few dispatches.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use olivine_array::Array;
use olivine_array::fast::greatest::Reader;
use olivine_lm::logits::{Ask, Logits};
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_lm::sampling_options::SamplingOptions;
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

/// The device of `OLIVINE_DEVICE`, else the first of Vulkan; none, said aloud, where there is none. Counters are the
/// device's, so tests take turns.
fn device() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if std::env::var_os("OLIVINE_EMULATED").is_some() {
        return None;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::env::var("OLIVINE_DEVICE").unwrap_or_else(|_| "vulkan:0".into());
    match (olivine_lm::device(), olivine_lm::use_device(&name)) {
        (_, Ok(Some(_))) => Some(turn),
        (_, Ok(None)) => None,
        (_, Err(error)) => {
            println!("SKIPPED: {error}");
            None
        }
    }
}

fn golden(name: &str) -> TinyModel {
    TinyModel::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
}

/// Numbers in [-1, 1).
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn tokens_are_those_of_the_hosts_sampler() {
    let Some(_turn) = device() else { return };
    let (rows, vocabulary) = (6, 20_011);
    let base = SamplingOptions::default();
    let kinds = [
        base.clone(),
        SamplingOptions { repetition_penalty: 1.2, frequency_penalty: 0.3, ..base.clone() },
        SamplingOptions { temperature: 0.7, top_k: 20, top_p: 0.8, ..base.clone() },
        SamplingOptions { temperature: 1.0, top_p: 0.9, presence_penalty: 0.5, ..base.clone() },
        SamplingOptions { temperature: 0.8, min_p: 0.05, logit_bias: vec![(3, 12.0), (4, -100.0)], ..base.clone() },
        SamplingOptions { temperature: 1.0, ..base.clone() },
        SamplingOptions { temperature: 1.5, top_k: 500, ..base.clone() },
        SamplingOptions { temperature: 1.0, typical_p: 0.5, ..base.clone() },
        SamplingOptions { logprobs: Some(3), ..base },
    ];
    let reader = Reader::default();
    let (mut decided, mut asked) = (0, 0);
    for (round, kind) in kinds.iter().enumerate() {
        for seed in 0..8 {
            let sampling = SamplingOptions { seed, ..kind.clone() };
            // Peaked as logits are, with many equal ones.
            let value = |x: f32| ((x.powi(9) * 30.0) * 16.0).round() / 16.0;
            let values: Vec<f32> =
                numbers(seed * 31 + round as u64, rows * vocabulary).into_iter().map(value).collect();
            let on_device = Array::from_slice(&values, &[rows, vocabulary]).add(Array::scalar(0f32));
            let logits = Logits::new(on_device, rows, vocabulary, reader.clone());
            let before = olivine_lm::gpu_counters().expect("a device").read_bytes;
            let history: Vec<u32> =
                (0..40).map(|i| (i * 7919 + seed as u32) % vocabulary as u32).chain([5, 5, 9]).collect();
            let ask = |row| Ask { sampling: &sampling, history: &history, position: 100 + row };
            let asks: Vec<Option<Ask>> = (0..rows).map(|row| Some(ask(row))).collect();
            let early = logits.choose_by_heads(&asks);
            let read = olivine_lm::gpu_counters().expect("a device").read_bytes - before;
            assert!(read < (vocabulary * 4) as u64, "{read} bytes came back");
            for (row, early) in early.into_iter().enumerate() {
                asked += 1;
                let host = sampling.choose(&mut values[row * vocabulary..][..vocabulary].to_vec(), &history, 100 + row);
                if let Some(early) = early {
                    assert_eq!(early, host, "{sampling:?} row {row}");
                    decided += 1;
                }
            }
            let all: Vec<Ask> = (0..rows).map(ask).collect();
            let chosen = logits.choose(&all);
            for (row, chosen) in chosen.into_iter().enumerate() {
                let mut values = values[row * vocabulary..][..vocabulary].to_vec();
                assert_eq!(chosen, sampling.choose(&mut values, &history, 100 + row), "{sampling:?} row {row}");
            }
        }
    }
    assert!(decided * 3 > asked, "only {decided} of {asked} were decided by heads");
}

/// Operations that the CPU did, bytes that came back and dispatches, of the last of a few decode steps.
struct Step {
    by_host: String,
    read_bytes: u64,
    dispatches: u64,
}

fn decode(tiny: &TinyModel) -> Result<Step, String> {
    let folder = Place::of(tiny);
    let options = LoadOptions { context_tokens: Some(64), ..LoadOptions::default() };
    let mut model = Model::open(&folder, &options).map_err(|error| error.to_string())?;
    let mut sequences = [model.cache().sequence(), model.cache().sequence()];
    let prompt = &tiny.inputs[0][..4];
    let mut work: Vec<Work> = Vec::new();
    for sequence in &mut sequences {
        work.push(Work { sequence, tokens: prompt, outputs: Outputs::None });
    }
    drop(model.logits(&mut work));
    let (mut before, sampling) = (Default::default(), SamplingOptions::default());
    let mut drawn = vec![tiny.inputs[0][4]; 2];
    for step in 0..4 {
        if step == 3 {
            before = (olivine_array::gpu::host_operations(), olivine_lm::gpu_counters().expect("a device"));
        }
        let pieces = sequences.iter_mut().zip(drawn.chunks(1));
        let mut work: Vec<Work> =
            pieces.map(|(sequence, tokens)| Work { sequence, tokens, outputs: Outputs::Last }).collect();
        let logits = model.logits(&mut work);
        let asks = [Ask { sampling: &sampling, history: &[], position: 5 + step }; 2];
        drawn = logits.choose(&asks).into_iter().map(|choice| choice.token).collect();
    }
    let (host, after) = (olivine_array::gpu::host_operations(), olivine_lm::gpu_counters().expect("a device"));
    let more = host.iter().filter(|(name, count)| before.0.get(*name) != Some(count));
    let by_host = more.map(|(name, count)| format!("{name} x {}", count - before.0.get(name).unwrap_or(&0)));
    Ok(Step {
        by_host: by_host.collect::<Vec<_>>().join(", "),
        read_bytes: after.read_bytes - before.1.read_bytes,
        dispatches: after.dispatches - before.1.dispatches,
    })
}

#[test]
fn decode_steps_of_all_families_stay_on_the_device() {
    let Some(_turn) = device() else { return };
    let only = std::env::var("OLIVINE_CASE").ok();
    let (mut problems, mut count) = (Vec::new(), 0);
    for dir in TinyModel::case_dirs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")) {
        let tiny = TinyModel::load(&dir);
        if only.as_ref().is_some_and(|only| *only != tiny.name) {
            continue;
        }
        count += 1;
        match decode(&tiny) {
            Err(error) => problems.push(format!("{}: {error}", tiny.name)),
            Ok(step) => {
                println!("{}: {} dispatches, {} bytes back", tiny.name, step.dispatches, step.read_bytes);
                if !step.by_host.is_empty() {
                    problems.push(format!("{}: the CPU did {}", tiny.name, step.by_host));
                }
                // Two tokens with their logits.
                if step.read_bytes > 64 {
                    problems.push(format!("{}: {} bytes came back", tiny.name, step.read_bytes));
                }
            }
        }
    }
    assert!(count > 0, "no case ran");
    assert!(problems.is_empty(), "of {count} cases:\n{}", problems.join("\n"));
}

#[test]
fn a_decode_step_of_28_layers_has_few_dispatches() {
    let Some(_turn) = device() else { return };
    let mut tiny = golden("qwen3");
    let layer: Vec<_> = tiny.tensors.iter().filter(|tensor| tensor.name.contains(".layers.0.")).cloned().collect();
    tiny.tensors.retain(|tensor| !tensor.name.contains(".layers."));
    for index in 0..28 {
        let name = |of: &str| of.replace(".layers.0.", &format!(".layers.{index}."));
        tiny.tensors.extend(layer.iter().map(|tensor| tensor.renamed(name(&tensor.name))));
    }
    tiny.config["num_hidden_layers"] = 28.into();
    tiny.config["max_window_layers"] = 28.into();
    tiny.name = "qwen3-28-layers".into();
    let step = decode(&tiny).expect("a model");
    assert!(step.dispatches < 300, "{} dispatches", step.dispatches);
    assert_eq!(step.by_host, "", "operations of the CPU");
}
