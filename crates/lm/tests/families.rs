//! Logits of tiny random models of every family against those of the reference implementation, in f32: whole, in
//! pieces, and beside other sequences. Bits must not depend on how a prompt is cut.

use std::path::Path;

use olivine_lm::Precision;
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;

/// Largest difference allowed, relative to the largest logit of the row.
const TOLERANCE: f32 = 1e-3;

/// The same on CUDA, of the median row: rows of products have 16 bits there, and routers whose experts are nearly alike, as
/// those of random weights are, choose others for some tokens.
const CUDA_TOLERANCE: f32 = 0.1;

/// The device of `OLIVINE_DEVICE`, if it says one.
fn choose_device() {
    static CHOSEN: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| {
        if let Ok(name) = std::env::var("OLIVINE_DEVICE")
            && let Err(error) = olivine_lm::use_device(&name)
        {
            println!("SKIPPED: {error}");
            std::process::exit(0);
        }
    });
}

/// All of these tests again on the first Vulkan device, a software one as well.
#[test]
fn on_a_gpu() {
    // An emulator runs this program, not those that it starts.
    if std::env::var_os("OLIVINE_DEVICE").is_some() || std::env::var_os("OLIVINE_EMULATED").is_some() {
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("a test has a path"));
    let output = command.env("OLIVINE_DEVICE", "vulkan:0").output().expect("the test runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on the GPU: {text}");
    text.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| println!("{line}"));
}

#[test]
fn every_family_gives_the_reference_logits() {
    choose_device();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let only = std::env::var("OLIVINE_CASE").ok();
    let mut failures = Vec::new();
    let mut count = 0;
    for dir in TinyModel::case_dirs(&golden) {
        let tiny = TinyModel::load(&dir);
        if only.as_ref().is_some_and(|only| *only != tiny.name) {
            continue;
        }
        count += 1;
        let folder = Place::of(&tiny);
        for input in 0..tiny.inputs.len() {
            if let Err(problem) = check(&tiny, &folder, input) {
                failures.push(format!("{} input {input}: {problem}", tiny.name));
            }
        }
    }
    assert!(count > 0, "no case ran");
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_gguf_file_gives_the_logits_of_its_folder() {
    choose_device();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let only = std::env::var("OLIVINE_CASE").ok();
    let (mut failures, mut architectures) = (Vec::new(), Vec::new());
    for dir in TinyModel::case_dirs(&golden) {
        let Some(gguf) = TinyGguf::load(&dir).filter(|gguf| gguf.same_logits) else { continue };
        let tiny = TinyModel::load(&dir);
        if only.as_ref().is_some_and(|only| *only != tiny.name) {
            continue;
        }
        let path = std::env::temp_dir().join(format!("olivine-{}-{}.gguf", tiny.name, std::process::id()));
        gguf.write(&tiny, &path);
        for input in 0..tiny.inputs.len() {
            if let Err(problem) = check(&tiny, &path, input) {
                failures.push(format!("{} input {input}: {problem}", tiny.name));
            }
        }
        std::fs::remove_file(&path).expect("the file was made above");
        architectures.push(gguf.architecture);
    }
    architectures.sort();
    architectures.dedup();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(only.is_some() || architectures.len() == 13, "{architectures:?}");
}

fn check(tiny: &TinyModel, folder: &Path, input: usize) -> Result<(), String> {
    let tokens = &tiny.inputs[input];
    let options = LoadOptions {
        precision: Precision::Exact,
        context_tokens: Some(tokens.len().max(8)),
        ..LoadOptions::default()
    };
    let mut model = Model::open(folder, &options).map_err(|error| error.to_string())?;
    let whole = run(&mut model, tokens, tokens.len());
    let reference = tiny.logits(input);
    let vocabulary = model.spec().vocabulary;
    let error = |(ours, theirs): (&[f32], &[f32])| {
        let scale = theirs.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / scale).max_by(f32::total_cmp).expect("a row has logits")
    };
    let mut errors: Vec<f32> = whole.chunks(vocabulary).zip(reference.chunks(vocabulary)).map(error).collect();
    errors.sort_by(f32::total_cmp);
    let is_cuda = std::env::var("OLIVINE_DEVICE").is_ok_and(|name| name.starts_with("cuda"));
    let (error, tolerance) =
        if is_cuda { (errors[errors.len() / 2], CUDA_TOLERANCE) } else { (errors[errors.len() - 1], TOLERANCE) };
    // What is no number is above all others.
    if error.is_nan() || error > tolerance {
        return Err(format!("rows differ by {error:.2e} of their largest logits"));
    }
    for piece in [1, 7] {
        if run(&mut model, tokens, piece) != whole {
            return Err(format!("pieces of {piece} give other bits than the whole"));
        }
    }
    let fast = LoadOptions { precision: Precision::Fast, ..options };
    let mut model = Model::open(folder, &fast).map_err(|error| error.to_string())?;
    let whole = run(&mut model, tokens, tokens.len());
    if run(&mut model, tokens, 5) != whole {
        return Err("in the fast mode, pieces of 5 give other bits than the whole".into());
    }
    Ok(())
}

/// All rows' logits, the prompt cut into pieces, a second sequence running beside it.
fn run(model: &mut Model, tokens: &[u32], piece: usize) -> Vec<f32> {
    let mut sequence = model.cache().sequence();
    let mut other = model.cache().sequence();
    let mut logits = Vec::new();
    for (index, tokens) in tokens.chunks(piece).enumerate() {
        let beside = [tokens[0]];
        let mut work = vec![Work { sequence: &mut sequence, tokens, outputs: Outputs::All }];
        if index % 2 == 1 {
            work.insert(0, Work { sequence: &mut other, tokens: &beside, outputs: Outputs::None });
        }
        logits.extend(model.step(&mut work));
    }
    model.cache().release(sequence);
    model.cache().release(other);
    logits
}
