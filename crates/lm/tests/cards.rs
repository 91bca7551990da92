//! Models that are split among the cards of a GPU: the logits of every family, on the first Vulkan device opened twice
//! or on the devices of `OLIVINE_DEVICES`; pages and states that are read from all cards and written back.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use olivine_lm::Precision;
use olivine_lm::model::{Checkpoint, LoadOptions, Model, Outputs, Work};
use olivine_lm::spec::{Ffn, Mixer};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

/// Largest difference allowed, relative to the largest logit of the row.
const TOLERANCE: f32 = 1e-3;

/// The same on CUDA, of the median row: rows of products have 16 bits there, and routers whose experts are nearly alike, as
/// those of random weights are, choose others for some tokens.
const CUDA_TOLERANCE: f32 = 0.1;

/// Two cards; none, said aloud, where there are none. The device is the process's, so tests take turns.
fn cards() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<bool> = Mutex::new(false);
    static ORDER: Mutex<()> = Mutex::new(());
    if std::env::var_os("OLIVINE_EMULATED").is_some() {
        return None;
    }
    let order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::env::var("OLIVINE_DEVICES").unwrap_or_else(|_| "vulkan:0,0".into());
    let mut is_open = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_open && let Err(error) = olivine_lm::use_device(&name) {
        println!("SKIPPED: {error}");
        return None;
    }
    *is_open = true;
    Some(order)
}

fn golden() -> Vec<TinyModel> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    TinyModel::case_dirs(&golden).iter().map(|dir| TinyModel::load(dir)).collect()
}

fn options() -> LoadOptions {
    LoadOptions { precision: Precision::Exact, ..LoadOptions::default() }
}

/// The difference between logits and reference, each row's relative to its largest value, of the row that counts, and what
/// is allowed.
fn difference(logits: &[f32], reference: &[f32], vocabulary: usize) -> (f32, f32) {
    let of_row = |(row, reference): (&[f32], &[f32])| {
        let most = reference.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        row.iter().zip(reference).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0) / most
    };
    let rows = logits.chunks_exact(vocabulary).zip(reference.chunks_exact(vocabulary));
    let mut rows: Vec<f32> = rows.map(of_row).collect();
    // What is no number is above all others.
    rows.sort_by(f32::total_cmp);
    let is_cuda = std::env::var("OLIVINE_DEVICES").is_ok_and(|name| name.starts_with("cuda"));
    if is_cuda { (rows[rows.len() / 2], CUDA_TOLERANCE) } else { (rows[rows.len() - 1], TOLERANCE) }
}

fn run(model: &mut Model, pieces: &[&[u32]]) -> Vec<f32> {
    let mut sequence = model.cache().sequence();
    let mut logits = Vec::new();
    for tokens in pieces {
        logits.extend(model.step(&mut [Work { sequence: &mut sequence, tokens, outputs: Outputs::All }]));
    }
    model.cache().release(sequence);
    logits
}

/// Count the kinds of blocks: mixers, then feed-forward blocks.
fn note(checkpoint: &Checkpoint, kinds: &mut [usize; 5]) {
    for layer in &checkpoint.spec.layers {
        let mixer = match layer.mixer {
            Mixer::Attention(_) => 0,
            Mixer::Latent(_) => 1,
            Mixer::GatedDelta(_) => 2,
        };
        kinds[mixer] += 1;
        kinds[if matches!(layer.ffn, Ffn::Moe(_)) { 4 } else { 3 }] += 1;
    }
}

/// The logits of an input, whole and in pieces.
fn check(model: &mut Model, tiny: &TinyModel, input: usize) -> Result<(), String> {
    let tokens = &tiny.inputs[input];
    let whole = run(model, &[tokens]);
    let (off, allowed) = difference(&whole, tiny.logits(input), tiny.vocab);
    if off.is_nan() || off > allowed {
        return Err(format!("{} input {input}: off by {off}", tiny.name));
    }
    let (a, b) = tokens.split_at(tokens.len() / 2);
    let (b, c) = b.split_at(b.len().min(1));
    let pieces: Vec<&[u32]> = [a, b, c].into_iter().filter(|piece| !piece.is_empty()).collect();
    match run(model, &pieces) == whole {
        true => Ok(()),
        false => Err(format!("{} input {input}: bits differ in pieces", tiny.name)),
    }
}

#[test]
fn every_family_that_divides_gives_the_reference_logits() {
    let Some(_turn) = cards() else { return };
    let only = std::env::var("OLIVINE_CASE").ok();
    let (mut kinds, mut refused, mut failures) = ([0; 5], Vec::new(), Vec::new());
    for tiny in golden().iter().filter(|tiny| only.as_ref().is_none_or(|only| *only == tiny.name)) {
        let folder = Place::of(tiny);
        for (input, tokens) in tiny.inputs.iter().enumerate() {
            // Some models stretch their positions by the length of the context.
            let options = LoadOptions { context_tokens: Some(tokens.len().max(8)), ..options() };
            let checkpoint = Checkpoint::open(&folder, options.context_tokens).expect("a case opens");
            match Model::load(&checkpoint, &options) {
                Ok(mut model) => {
                    note(&checkpoint, &mut kinds);
                    failures.extend(check(&mut model, tiny, input).err());
                }
                Err(error) => {
                    let text = error.to_string();
                    let says_why = text.contains("splitting") || text.contains("cannot be split among 2 devices");
                    assert!(says_why, "{}: {text}", tiny.name);
                    refused.push(format!("{}: {text}", tiny.name));
                    break;
                }
            }
        }
    }
    println!("refused:\n{}", refused.join("\n"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(only.is_some() || kinds.iter().all(|&count| count > 0), "kinds of blocks that were split: {kinds:?}");
}

#[test]
fn pages_and_states_come_back_from_all_cards() {
    let Some(_turn) = cards() else { return };
    for name in ["qwen3", "qwen3-next"] {
        let all = golden();
        let tiny = all.iter().find(|tiny| tiny.name == name).unwrap_or_else(|| panic!("no case {name}"));
        let folder = Place::of(tiny);
        let mut model = Model::open(&folder, &options()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let prompt: Vec<u32> = (0..64).map(|index| (index * 37 + 5) % tiny.vocab as u32).collect();
        let mut first = model.cache().sequence();
        model.step(&mut [Work { sequence: &mut first, tokens: &prompt, outputs: Outputs::None }]);
        let groups = model.cache().groups().count();
        let state = model.cache().save_state(&first);
        assert_eq!(state.len(), model.cache().state_len());
        let mut copies = Vec::new();
        for group in 0..groups {
            let (own, mut bytes) = (first.pages(group)[0], Vec::new());
            model.cache().read_page(group, own, &mut bytes);
            assert_eq!(bytes.len(), model.cache().page_bytes(group), "{name}");
            let copy = model.cache().take_page(group);
            model.cache().write_page(group, copy, &bytes);
            copies.push(vec![copy]);
        }
        let mut second = model.cache().sequence_from(
            64,
            copies,
            Some(&state).filter(|state| !state.is_empty()).map(|state| &state[..]),
        );
        let mut next = |sequence| model.step(&mut [Work { sequence, tokens: &[3], outputs: Outputs::All }]);
        assert_eq!(next(&mut first), next(&mut second), "{name}");
    }
}
