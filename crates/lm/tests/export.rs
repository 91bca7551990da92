//! GGUF files that are written: from the folders of tiny models, the same logits and the tensors of the reference
//! files; from a GGUF file, its metadata and the types of the mix.

use std::path::{Path, PathBuf};

use olivine_formats::TensorType;
use olivine_formats::gguf::Gguf;
use olivine_lm::Precision;
use olivine_lm::export::{Mix, write_gguf};
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A place for one test's files, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("olivine-export-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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
    let scale = theirs.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    let error = ours.iter().zip(theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / scale;
    assert!(ours.len() == theirs.len() && error < tolerance, "{what}: {error:.2e}");
}

#[test]
fn folders_become_the_tensors_of_the_reference_files() {
    let place = Place::new("folders");
    for case in ["llama", "llama3", "llama-bias-linear", "smollm3", "qwen2", "qwen3", "qwen3-moe"] {
        let tiny = TinyModel::load(&golden().join(case));
        let (folder, ours, theirs) =
            (place.join(case), place.join(&format!("{case}.gguf")), place.join(&format!("{case}-reference.gguf")));
        tiny.write_folder(&folder);
        write(&folder, &ours, "bf16").unwrap();
        TinyGguf::load(&golden().join(case)).unwrap().write(&tiny, &theirs);
        let (file, reference) = (Gguf::open(&ours).unwrap(), Gguf::open(&theirs).unwrap());
        assert_eq!(file.architecture().unwrap(), reference.architecture().unwrap());
        assert_eq!(file.tensors().count(), reference.tensors().count(), "{case}");
        for expected in reference.tensors() {
            let found = file.get(&expected.name).unwrap_or_else(|| panic!("{case}: no {}", expected.name));
            assert_eq!((found.dtype, &found.shape), (expected.dtype, &expected.shape), "{case} {}", expected.name);
            if expected.name != "rope_freqs.weight" {
                assert!(found.data.as_slice() == expected.data.as_slice(), "{case}: bytes of {}", expected.name);
            }
        }
        assert_near(&logits(&ours, &tiny.inputs[0]), tiny.logits(0), 1e-3, case);
    }
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

#[test]
fn what_a_file_cannot_say_is_refused() {
    let place = Place::new("refused");
    for (case, words) in
        [("gemma2", "gemma2"), ("mistral-window", "sliding windows"), ("qwen3-affine4", "quantized already")]
    {
        let dir = golden().join(case);
        if !dir.is_dir() {
            panic!("the case {case} is gone");
        }
        let folder = place.join(case);
        TinyModel::load(&dir).write_folder(&folder);
        let target = place.join(&format!("{case}.gguf"));
        let error = write(&folder, &target, "q8_0").unwrap_err();
        assert!(error.contains(words) && !error.contains('\n'), "{case}: {error}");
        assert!(!target.exists());
    }
}
