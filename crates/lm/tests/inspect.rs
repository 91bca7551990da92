//! The resolved spec of every golden case as text, and what can be said about a checkpoint before it is loaded.

use std::path::{Path, PathBuf};

use olivine_lm::KvDtype;
use olivine_lm::inspect::{fold, formats};
use olivine_lm::model::{Checkpoint, LoadOptions, Model};
use olivine_lm::spec::ModelSpec;
use olivine_testkit::place::Place;
use olivine_testkit::snapshot::check;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The case as a folder and, where it has that form, as a GGUF file; removed when dropped.
struct Files {
    _place: Place,
    folder: PathBuf,
    gguf: Option<PathBuf>,
}

impl Files {
    fn of(case: &Path, test: &str) -> Files {
        let tiny = TinyModel::load(case);
        let place = Place::new(&format!("{test}-{}", tiny.name));
        let folder = place.join("model");
        tiny.write_folder(&folder);
        let gguf = TinyGguf::load(case).map(|gguf| {
            let path = place.join("model.gguf");
            gguf.write(&tiny, &path);
            path
        });
        Files { _place: place, folder, gguf }
    }
}

#[test]
fn every_case_resolves_to_the_spec_beside_it() {
    for case in TinyModel::case_dirs(&golden()) {
        let files = Files::of(&case, "spec");
        let spec = Checkpoint::open(&files.folder, None).expect("the folder opens").spec;
        let mut text = spec.to_string();
        if let Some(path) = &files.gguf {
            let of_file = Checkpoint::open(path, None).expect("the file opens").spec.to_string();
            text += if of_file == text { "\nas GGUF: the same\n".into() } else { format!("\nas GGUF:\n{of_file}") }
                .as_str();
        }
        check(&case.join("spec.txt"), &text);
    }
}

#[test]
fn sizes_are_known_before_loading() {
    for case in TinyModel::case_dirs(&golden()) {
        let files = Files::of(&case, "sizes");
        for path in [Some(&files.folder), files.gguf.as_ref()].into_iter().flatten() {
            let checkpoint = Checkpoint::open(path, None).expect("it opens");
            let said = checkpoint.weight_sizes();
            let loaded = Model::load(&checkpoint, &LoadOptions::default()).expect("it loads").weight_sizes();
            let name = path.display();
            assert_eq!(said.experts > 0, loaded.experts > 0, "{name}");
            assert_eq!(said.quantized > 0, loaded.quantized > 0, "{name}");
            // Packing pads the rows of these tiny matrices; factors and convolutions are not matrices of the kernels.
            let ratio = said.total() as f64 / loaded.total() as f64;
            assert!((0.5..1.2).contains(&ratio), "{name}: {said:?}, loaded {loaded:?}");
        }
    }
}

#[test]
fn quantized_tensors_are_one_entry_with_their_scales() {
    let files = Files::of(&golden().join("qwen3-affine4"), "entries");
    let checkpoint = Checkpoint::open(&files.folder, None).expect("it opens");
    let entries = checkpoint.entries();
    let listed: usize = checkpoint.weights.listing().iter().map(|(_, _, _, bytes)| bytes).sum();
    assert_eq!(entries.iter().map(|entry| entry.bytes).sum::<usize>(), listed);
    assert!(entries.iter().all(|entry| entry.canonical.is_some() && !entry.name.ends_with("scales")));
    let groups = fold(&entries);
    let up = groups.iter().find(|group| group.name.ends_with("mlp.up_proj.weight")).expect("a group");
    assert_eq!(
        (&up.format[..], &up.shape[..], up.count),
        ("affine4-g64", &[128, 64][..], checkpoint.spec.layers.len())
    );
    assert_eq!(formats(&entries)[0].0, "affine4-g64");
}

#[test]
fn memory_grows_with_the_context_up_to_the_window() {
    let files = Files::of(&golden().join("gemma3"), "memory");
    let checkpoint = Checkpoint::open(&files.folder, None).expect("it opens");
    let need = |tokens| checkpoint.memory_need(tokens, KvDtype::Bf16);
    let growth = |tokens| need(tokens + 1).keys_and_values - need(tokens).keys_and_values;
    assert_eq!(need(0).keys_and_values, 0);
    assert!(growth(10_000) > 0 && growth(10_000) < growth(1), "windowed layers stop growing");
    assert_eq!(need(7).states, 0);
    assert_eq!(need(7).total(), need(7).weights + need(7).keys_and_values);
    let files = Files::of(&golden().join("qwen3-next"), "states");
    let checkpoint = Checkpoint::open(&files.folder, None).expect("it opens");
    assert!(checkpoint.memory_need(1, KvDtype::Bf16).states > 0);
    assert_eq!(checkpoint.memory_need(1, KvDtype::Bf16).states, checkpoint.memory_need(1000, KvDtype::Bf16).states);
}

#[test]
fn the_context_decides_how_far_positions_are_stretched() {
    let open = |case: &str, context: Option<usize>| {
        let files = Files::of(&golden().join(case), &format!("context-{}", context.unwrap_or(0)));
        Checkpoint::open(&files.folder, context).expect("it opens").spec
    };
    let rope =
        |spec: &ModelSpec| spec.to_string().lines().find(|line| line.contains("rope")).expect("a layer").to_string();
    // LongRoPE: short divisors up to the original 16 tokens, which are the context unless a longer one is asked for.
    let (short, long) = (open("phi3-longrope", None), open("phi3-longrope", Some(17)));
    assert_eq!((short.context_tokens, long.context_tokens), (16, 128));
    assert_eq!(rope(&short), rope(&open("phi3-longrope", Some(16))));
    assert!(rope(&short).contains("1 to 1.5") && rope(&long).contains("1 to 9"), "{short}{long}");
    // Dynamic scaling: the base grows with a context beyond the trained one.
    let trained = open("llama-dynamic", None);
    assert_eq!(open("llama-dynamic", Some(trained.context_tokens)), trained);
    assert_ne!(rope(&open("llama-dynamic", Some(2 * trained.context_tokens))), rope(&trained));
}
