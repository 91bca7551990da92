//! GGUF files that are written: from the folders of tiny models, the same logits and the tensors of the reference
//! files; from a GGUF file, its metadata and the types of the mix.

use std::path::{Path, PathBuf};

use olivine_formats::TensorType;
use olivine_formats::gguf::Gguf;
use olivine_lm::Precision;
use olivine_lm::export::{Mix, write_gguf};
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn write(source: &Path, target: &Path, mix: &str) -> Result<(), String> {
    write_gguf(source, target, Mix::parse(mix).unwrap(), |_, _| {}).map_err(|error| error.to_string())
}

fn logits(path: &Path, tokens: &[u32]) -> Vec<f32> {
    let context_tokens = Some(tokens.len().max(8));
    let options = LoadOptions { precision: Precision::Exact, context_tokens, ..LoadOptions::default() };
    let mut model = Model::open(path, &options).unwrap();
    let mut sequence = model.cache().sequence();
    model.step(&mut [Work { sequence: &mut sequence, tokens, outputs: Outputs::All }])
}

fn assert_near(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(difference(ours, theirs, tolerance, what), None);
}

/// What is wrong, if anything is.
fn difference(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) -> Option<String> {
    let scale = theirs.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    let error = ours.iter().zip(theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / scale;
    let near = ours.len() == theirs.len() && error < tolerance;
    (!near).then(|| format!("{what}: differs by {error:.2e}"))
}

#[test]
fn folders_become_the_files_of_the_reference() {
    let place = Place::new("folders");
    let mut architectures = std::collections::BTreeSet::new();
    for case in TinyModel::case_dirs(&golden()) {
        let Some(recipe) = TinyGguf::load(&case).filter(|recipe| recipe.same_logits) else { continue };
        let tiny = TinyModel::load(&case);
        let name = &tiny.name;
        let (folder, ours, theirs) =
            (place.join(name), place.join(format!("{name}.gguf")), place.join(format!("{name}-reference.gguf")));
        tiny.write_folder(&folder);
        write(&folder, &ours, "bf16").unwrap();
        recipe.write(&tiny, &theirs);
        let (file, reference) = (Gguf::open(&ours).unwrap(), Gguf::open(&theirs).unwrap());
        assert_same_metadata(&file, &reference, name);
        assert_eq!(file.tensors().count(), reference.tensors().count(), "{name}");
        for expected in reference.tensors() {
            let found = file.get(&expected.name).unwrap_or_else(|| panic!("{name}: no {}", expected.name));
            assert_eq!((found.dtype, &found.shape), (expected.dtype, &expected.shape), "{name} {}", expected.name);
            let (found, wanted) = (found.data.as_slice(), expected.data.as_slice());
            // Exponentials and powers may differ in their last bits.
            if expected.name.ends_with("ssm_a") || expected.name == "rope_freqs.weight" {
                assert_near(&floats(found), &floats(wanted), 1e-6, name);
            } else {
                assert!(found == wanted, "{name}: bytes of {}", expected.name);
            }
        }
        for input in 0..tiny.inputs.len() {
            assert_near(&logits(&ours, &tiny.inputs[input]), tiny.logits(input), 1e-3, name);
        }
        architectures.insert(recipe.architecture);
    }
    assert_eq!(architectures.len(), 13, "{architectures:?}");
}

/// Everything that the reference file says is said by ours in the same way.
fn assert_same_metadata(file: &Gguf, reference: &Gguf, case: &str) {
    for (key, expected) in reference.raw_metadata() {
        // The mix of ours is bf16 whatever the experts are; the bases are equal where a file has only one.
        if key == "general.file_type" {
            continue;
        }
        let found = file.raw_metadata().find(|(other, _)| *other == key);
        assert!(found.is_some_and(|(_, found)| found == expected), "{case}: {key}: {:?}", file.value(key));
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// Folders without a reference file, and what is said about those that a file cannot express.
const OTHER_FOLDERS: &[(&str, Option<&str>)] = &[
    ("gemma2", Some("scale 0.204")),
    ("gemma3", Some("pattern of layers")),
    ("gemma3-vision", Some("pattern of layers")),
    ("glm4-moe-lite-groups", Some("YaRN with the attention factor")),
    ("glm4-moe-lite-mlx", None),
    ("gpt-oss", Some("limit: 1.5")),
    ("gpt-oss-bf16", Some("turns 1 to 32, attention factor")),
    ("gpt-oss-mlx", Some("limit: 1.5")),
    ("llama-dynamic", Some("dynamic scaling")),
    ("mistral-window", Some("sliding windows")),
    ("phi3", None),
    ("qwen2-window-yarn", Some("sliding windows")),
    ("qwen3-5-moe-mlx", Some("quantized already")),
    ("qwen3-affine4", Some("quantized already")),
    ("qwen3-moe-mixed", Some("not normalized")),
    ("qwen3-moe-mlx", Some("quantized already")),
    ("qwen3-next-mlx", Some("quantized already")),
    ("qwen3-next-wide", None),
];

#[test]
fn every_other_folder_is_written_or_refused() {
    let place = Place::new("others");
    let mut problems = Vec::new();
    for (case, refusal) in OTHER_FOLDERS {
        let tiny = TinyModel::load(&golden().join(case));
        let (folder, file) = (place.join(case), place.join(format!("{case}.gguf")));
        tiny.write_folder(&folder);
        match (write(&folder, &file, "bf16"), refusal) {
            (Ok(()), None) => problems.extend(difference(&logits(&file, &tiny.inputs[0]), tiny.logits(0), 1e-3, case)),
            (Err(error), Some(words)) if error.contains(words) && !error.contains('\n') && !file.exists() => {}
            (result, _) => problems.push(format!("{case}: {result:?}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn eight_bits_change_little_and_the_metadata_stays() {
    let place = Place::new("eight");
    let tiny = TinyModel::load(&golden().join("qwen3-moe"));
    let (source, target) = (place.join("a.gguf"), place.join("b.gguf"));
    TinyGguf::load(&golden().join("qwen3-moe")).unwrap().write(&tiny, &source);
    write(&source, &target, "q8_0").unwrap();
    let (before, after) = (Gguf::open(&source).unwrap(), Gguf::open(&target).unwrap());
    for (key, bytes) in before.raw_metadata().filter(|(key, _)| *key != "general.file_type") {
        let copied = after.raw_metadata().find(|(other, _)| *other == key);
        assert!(copied.is_some_and(|(_, copy)| copy == bytes), "{key}");
    }
    assert_eq!(after.u32("general.file_type").unwrap(), 7);
    assert_eq!(after.get("blk.0.ffn_up_exps.weight").unwrap().dtype, TensorType::Q8_0);
    assert_eq!(after.get("blk.0.ffn_gate_inp.weight").unwrap().dtype, TensorType::F32);
    // The mean: where two experts are nearly equal, rounding may choose the other one for a single token.
    let (ours, theirs) = (logits(&target, &tiny.inputs[0]), tiny.logits(0));
    let total = |values: &mut dyn Iterator<Item = f32>| values.map(f32::abs).sum::<f32>();
    let error = total(&mut ours.iter().zip(theirs).map(|(a, b)| a - b)) / total(&mut theirs.iter().copied());
    assert!(ours.len() == theirs.len() && error < 0.1, "q8_0: {error:.2e}");
    let error = write(&target, &place.join("c.gguf"), "q4_0").unwrap_err();
    assert!(error.contains("quantized already") && error.contains("start from a file of bf16"), "{error}");
    let error = write(&source, &target, "q4_0").unwrap_err();
    assert!(error.contains("exists") && error.contains("another name"), "{error}");
}
