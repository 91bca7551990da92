//! Mica against the reference: greedy tokens, logits and perplexity.
//!
//! The bf16 weights are not in the repository: `OLIVINE_MICA=folder` runs the exact checks on them. The built-in
//! 8-bit model is always checked, up to the first token that the reference itself chose by a small margin.
//! `OLIVINE_DEVICE=cuda:0` (or another device) runs all of it there.

use std::path::{Path, PathBuf};
use std::sync::Once;

use olivine_lm::Precision;
use olivine_lm::generate::{GenerateOptions, Session};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{LoadOptions, Outputs, Work};
use olivine_lm::perplexity::{Scored, Scoring, perplexity};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mica").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect("the golden file")).expect("valid JSON")
}

fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mica")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// The device of `OLIVINE_DEVICE`, if it says one.
fn choose_device() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        if let Ok(name) = std::env::var("OLIVINE_DEVICE") {
            olivine_lm::use_device(&name).unwrap_or_else(|error| panic!("OLIVINE_DEVICE: {error}"));
        }
    });
}

fn open(folder: &Path, precision: Precision) -> LanguageModel {
    choose_device();
    LanguageModel::open(folder, &LoadOptions { precision, ..LoadOptions::default() }).expect("the model loads")
}

/// Whether an emulator runs this, a hundred times slower: a part of the work must do (`cargo xtask cross` says so).
fn is_emulated() -> bool {
    std::env::var_os("OLIVINE_EMULATED").is_some()
}

/// How many greedy tokens agree, over all cases, up to the first one chosen by less than `margin`; and how many
/// there are.
fn greedy_agreement(model: &mut LanguageModel, margin: f64) -> (usize, usize) {
    let (mut equal, mut compared) = (0, 0);
    let cases = if is_emulated() { 9 } else { usize::MAX };
    for case in golden("greedy.json").as_array().expect("cases").iter().take(cases) {
        let expected = ids(&case["greedy_ids"]);
        let margins = case["margins"].as_array().expect("margins");
        let certain = margins.iter().take_while(|m| m.as_f64().expect("a number") >= margin).count();
        if certain == 0 {
            continue;
        }
        let options = GenerateOptions { max_tokens: Some(certain), ignore_end: true, ..Default::default() };
        let answer = model
            .generate(&mut Session::default(), &ids(&case["prompt_ids"]), &options, |_, _| true)
            .expect("the prompt fits");
        let same = answer.tokens.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        equal += same.min(certain);
        compared += certain;
    }
    (equal, compared)
}

#[test]
fn built_in_model_follows_the_reference_where_it_is_certain() {
    let (equal, compared) = greedy_agreement(&mut open(&built_in(), Precision::Exact), 0.25);
    let least = if is_emulated() { 30 } else { 90 };
    assert!(compared > least, "{compared} tokens compared");
    assert_eq!(equal, compared);
    // Integer activations move logits by more than 8-bit weights do: one sequence leaves the reference's path early.
    let (equal, compared) = greedy_agreement(&mut open(&built_in(), Precision::Fast), 0.5);
    assert!(compared > least * 9 / 10 && equal * 100 >= compared * 95, "{equal} of {compared} tokens");
}

#[test]
fn built_in_model_predicts_as_well_as_its_source() {
    let reference =
        golden("quantized_perplexity.json")["modes"]["affine8-g64"]["perplexity"].as_f64().expect("a number");
    let windows = golden("perplexity.json");
    let source: Vec<f64> =
        windows["window_nll"].as_array().expect("windows").iter().map(|w| w.as_f64().expect("a number")).collect();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mica/eval_excerpt.txt");
    let text = std::fs::read_to_string(text).expect("the excerpt");
    // The loss of one window strays further from the mean of the text than that of many.
    let runs = match is_emulated() {
        true => vec![(Precision::Fast, 1, 0.02)],
        false => vec![(Precision::Exact, 8, 0.003), (Precision::Fast, 16, 0.008)],
    };
    for (precision, windows, bound) in runs {
        let mut model = open(&built_in(), precision);
        let tokens = model.encode(&text, false).expect("text");
        let scoring = Scoring { windows: Some(windows), ..Scoring::windows_of(512) };
        let scores = perplexity(&mut model.model, &tokens, &scoring).expect("scores");
        let expected = source[..windows].iter().sum::<f64>() / windows as f64;
        let loss = (scores.mean_nll() - expected).exp() - 1.0;
        println!("{precision:?}: {:.3} % beside the bf16 source, whole-text reference {reference:.3}", 100.0 * loss);
        assert!(loss.abs() < bound, "{precision:?}: perplexity differs by {:.3} %", 100.0 * loss);
    }
}

#[test]
fn the_second_half_of_a_window_is_a_part_of_the_whole() {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mica/eval_excerpt.txt");
    let mut model = open(&built_in(), Precision::Exact);
    let tokens = model.encode(&std::fs::read_to_string(text).expect("the excerpt"), false).expect("text");
    let all = Scoring { windows: Some(1), ..Scoring::windows_of(64) };
    let mut score = |scoring: &Scoring| perplexity(&mut model.model, &tokens, scoring).expect("scores").mean_nll();
    // Rows 0 to 31 predict tokens 1 to 32: a window of 33. Behind them come 31 more.
    let first_half = score(&Scoring { window: 33, ..all });
    let second_half = score(&Scoring { scored: Scored::SecondHalf, ..all });
    assert!((score(&all) * 63.0 - first_half * 32.0 - second_half * 31.0).abs() < 1e-4);
    let other_start = score(&Scoring { first: Some(tokens[5]), ..all });
    assert!((other_start - score(&all)).abs() > 1e-4, "the first token matters");
    assert_eq!(score(&Scoring { first: Some(tokens[0]), ..all }), score(&all));
}

#[test]
fn bf16_weights_give_the_reference_tokens_and_logits() {
    let Some(folder) = std::env::var_os("OLIVINE_MICA") else {
        println!("SKIPPED: set OLIVINE_MICA to the folder with the bf16 weights");
        return;
    };
    let folder = PathBuf::from(folder);
    let mut exact = open(&folder, Precision::Exact);
    let (equal, compared) = greedy_agreement(&mut exact, 0.0);
    assert_eq!(equal, compared, "exact");
    let (equal, compared) = greedy_agreement(&mut open(&folder, Precision::Fast), 0.1);
    assert_eq!(equal, compared, "fast");
    for case in golden("greedy.json").as_array().expect("cases") {
        let mut sequence = exact.model.cache().sequence();
        let work = Work { sequence: &mut sequence, tokens: &ids(&case["prompt_ids"]), outputs: Outputs::Last };
        let logits = exact.model.step(&mut [work]);
        exact.model.cache().release(sequence);
        let expected = case["top_logits"].as_array().expect("logits").iter().map(|l| l.as_f64().expect("a number"));
        for (id, expected) in ids(&case["top_ids"]).into_iter().zip(expected) {
            let found = f64::from(logits[id as usize]);
            assert!((found - expected).abs() < 2e-3, "{}: token {id}: {found}, not {expected}", case["source"]);
        }
    }
}
