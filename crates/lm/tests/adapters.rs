//! Low-rank adapters: the logits of the same model with them merged, bits that do not depend on neighbours, and clear
//! words about what is not supported.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use olivine_formats::safetensors::Safetensors;
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_lm::weights::widen;
use olivine_lm::{Adapter, Precision};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_adapter::{Floats, TinyAdapter, safetensors};
use olivine_testkit::tiny_gguf::TinyGguf;
use serde_json::{Value, json};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn open(path: &Path, precision: Precision) -> Model {
    let options = LoadOptions { precision, context_tokens: Some(256), ..LoadOptions::default() };
    Model::open(path, &options).unwrap_or_else(|error| panic!("{error}"))
}

fn logits(model: &mut Model, adapter: Option<Arc<Adapter>>, tokens: &[u32]) -> Vec<f32> {
    let mut sequence = model.cache().sequence();
    sequence.set_adapter(adapter);
    let logits = model.step(&mut [Work { sequence: &mut sequence, tokens, outputs: Outputs::All }]);
    model.cache().release(sequence);
    logits
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    let scale = theirs.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / scale
}

/// The folder of a model with an adapter merged, all in f32.
fn write_merged(tiny: &TinyModel, adapter: &TinyAdapter, plain: &Path, merged: &Path) {
    tiny.write_folder(plain);
    tiny.write_folder(merged);
    let file = Safetensors::open(&plain.join("model.safetensors")).unwrap();
    let mut tensors: Vec<Floats> =
        file.tensors().map(|view| (view.name.clone(), view.shape.clone(), widen(view))).collect();
    adapter.merge(&mut tensors);
    std::fs::write(merged.join("model.safetensors"), safetensors(&tensors)).unwrap();
}

#[test]
fn an_adapter_gives_the_logits_of_the_merged_model() {
    let cases = [
        "llama",
        "qwen3",
        "qwen2",
        "phi3",
        "gemma3",
        "gpt-oss-bf16",
        "qwen3-next",
        "qwen3-5",
        "qwen3-moe",
        "glm4-moe-lite",
    ];
    for name in cases {
        let place = Place::new(name);
        let tiny = TinyModel::load(&case(name));
        let adapter = TinyAdapter::of(&tiny, 1, |_| true);
        assert!(adapter.modules.len() >= 4, "{name}: {:?}", adapter.modules);
        write_merged(&tiny, &adapter, &place.join("plain"), &place.join("merged"));
        adapter.write_peft(&place.join("peft"));
        adapter.write_mlx(&place.join("mlx"));
        let mut plain = open(&place.join("plain"), Precision::Exact);
        let mut merged = open(&place.join("merged"), Precision::Exact);
        let tokens = &tiny.inputs[0];
        let expected = logits(&mut merged, None, tokens);
        let without = logits(&mut plain, None, tokens);
        assert!(difference(&without, &expected) > 0.05, "{name}: the adapter changes something");
        for kind in ["peft", "mlx"] {
            let loaded = plain.adapters().load(&place.join(kind)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(loaded.modules, adapter.modules.len());
            let got = logits(&mut plain, Some(loaded.adapter), tokens);
            let error = difference(&got, &expected);
            assert!(error < 1e-4, "{name} {kind}: differs by {error:.2e}");
            assert_eq!(logits(&mut plain, None, tokens), without, "{name}: without it all is as before");
        }
        // The same weights as a GGUF file, whose heads may be in another order.
        if let Some(gguf) = TinyGguf::load(&case(name)).filter(|gguf| gguf.same_logits) {
            let path = place.join("model.gguf");
            gguf.write(&tiny, &path);
            let mut model = open(&path, Precision::Exact);
            match model.adapters().load(&place.join("peft")) {
                Ok(loaded) => {
                    let error = difference(&logits(&mut model, Some(loaded.adapter), tokens), &expected);
                    assert!(error < 1e-4, "{name} as GGUF: differs by {error:.2e}");
                }
                Err(error) => assert!(name.starts_with("qwen3-") && error.to_string().contains("order"), "{error}"),
            }
        }
    }
}

#[test]
fn bits_of_a_row_do_not_depend_on_its_neighbours_adapters() {
    for name in ["qwen3", "qwen3-affine4", "qwen3-next"] {
        let place = Place::new(&format!("bits-{name}"));
        let tiny = TinyModel::load(&case(name));
        let shapes = TinyModel::load(&case(if name == "qwen3-next" { name } else { "qwen3" }));
        tiny.write_folder(&place.join("model"));
        let mut model = open(&place.join("model"), Precision::Fast);
        let mut adapters = vec![None];
        for seed in 0..3 {
            let folder = place.join(seed.to_string());
            let wanted = |module: &str| match seed {
                2 => module.ends_with("q_proj") || module.ends_with("out_proj"),
                _ => module.contains("attn"),
            };
            TinyAdapter::of(&shapes, seed, wanted).write_peft(&folder);
            adapters.push(Some(model.adapters().load(&folder).unwrap_or_else(|error| panic!("{error}")).adapter));
        }
        let prompt: Vec<u32> = (0..40).map(|token| token * 7 % 100).collect();
        let alone: Vec<Vec<f32>> =
            adapters.iter().map(|adapter| logits(&mut model, adapter.clone(), &prompt)).collect();
        assert!(alone.windows(2).all(|pair| pair[0] != pair[1]), "{name}: each adapter has its own logits");
        // Each adapter twice, among the others, in pieces: prompts and single rows in one step.
        let mut sequences: Vec<_> = (0..8)
            .map(|index| {
                let mut sequence = model.cache().sequence();
                sequence.set_adapter(adapters[index % 4].clone());
                sequence
            })
            .collect();
        let vocabulary = model.spec().vocabulary;
        let mut got: Vec<Vec<f32>> = vec![Vec::new(); 8];
        while got.iter().any(|rows| rows.len() < prompt.len() * vocabulary) {
            let pieces: Vec<&[u32]> = (0..8)
                .map(|index| {
                    let done = got[index].len() / vocabulary;
                    &prompt[done..(done + 1 + index * index).min(prompt.len())]
                })
                .collect();
            let mut work: Vec<Work> = sequences
                .iter_mut()
                .zip(&pieces)
                .filter(|(_, tokens)| !tokens.is_empty())
                .map(|(sequence, tokens)| Work { sequence, tokens, outputs: Outputs::All })
                .collect();
            let rows = model.step(&mut work);
            let mut rows = rows.chunks_exact(vocabulary);
            for (index, piece) in pieces.iter().enumerate() {
                rows.by_ref().take(piece.len()).for_each(|row| got[index].extend(row));
            }
        }
        for (index, rows) in got.iter().enumerate() {
            assert!(*rows == alone[index % 4], "{name}: sequence {index}");
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_in_clear_words() {
    let place = Place::new("refused");
    let tiny = TinyModel::load(&case("qwen3"));
    tiny.write_folder(&place.join("model"));
    let model = open(&place.join("model"), Precision::Fast);
    let adapter = TinyAdapter::of(&tiny, 1, |module| module.ends_with("q_proj"));
    let folder = place.join("adapter");
    let config = |key: &str, value: Value| {
        adapter.write_peft(&folder);
        let path = folder.join("adapter_config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(&path, config.to_string()).unwrap();
    };
    let refused = |words: &[&str]| {
        let error = model.adapters().load(&folder).map(|loaded| loaded.modules).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    };
    for (key, value, words) in [
        ("use_dora", json!(true), "DoRA"),
        ("bias", json!("all"), "biases"),
        ("lora_bias", json!(true), "lora_bias"),
        ("modules_to_save", json!(["lm_head"]), "modules_to_save"),
        ("fan_in_fan_out", json!(true), "fan_in_fan_out"),
        ("peft_type", json!("IA3"), "IA3"),
        ("init_lora_weights", json!("pissa_niter_4"), "pissa"),
        ("rank_pattern", json!({"^model.*q_proj$": 4}), "regular expression"),
        ("r", json!(3), "rank 5"),
        ("lora_alpha", json!("much"), "lora_alpha"),
    ] {
        config(key, value);
        refused(&["adapter_config.json", words]);
    }
    // Scales that differ between modules, and over the root of the rank.
    config("alpha_pattern", json!({"layers.0.self_attn.q_proj": 3.0}));
    assert!(model.adapters().load(&folder).is_ok());
    config("use_rslora", json!(true));
    assert!(model.adapters().load(&folder).is_ok());

    let write = |modules: &[(&str, [usize; 2])]| {
        let modules = modules.iter().map(|(name, shape)| (name.to_string(), *shape)).collect();
        TinyAdapter { modules, ..adapter.clone() }.write_peft(&folder);
    };
    write(&[("model.layers.0.mlp.experts.3.gate_proj", [8, 8])]);
    refused(&["experts.3.gate_proj", "experts of a mixture"]);
    write(&[("lm_head", [128, 64])]);
    refused(&["lm_head", "not supported"]);
    write(&[("model.layers.77.self_attn.q_proj", [64, 64])]);
    refused(&["layers.77", "another"]);
    write(&[("model.layers.0.self_attn.q_proj", [64, 60])]);
    refused(&["q_proj", "[5, 64] fits"]);
    std::fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    refused(&["adapter_model.safetensors", "missing"]);
    std::fs::write(folder.join("adapter_model.bin"), b"pickle").unwrap();
    refused(&["pickle"]);
    adapter.write_mlx(&folder);
    std::fs::write(folder.join("adapter_config.json"), r#"{"fine_tune_type": "full"}"#).unwrap();
    refused(&["full"]);
}

#[test]
fn alpha_and_rank_give_the_scale() {
    // Twice the alpha is twice the correction; over the root of the rank it is larger by that root.
    let place = Place::new("scale");
    let tiny = TinyModel::load(&case("qwen3"));
    let adapter = TinyAdapter::of(&tiny, 1, |module| module.ends_with("down_proj"));
    let scaled = TinyAdapter { alpha: adapter.alpha * (adapter.rank as f32).sqrt(), ..adapter.clone() };
    write_merged(&tiny, &scaled, &place.join("plain"), &place.join("merged"));
    adapter.write_peft(&place.join("adapter"));
    let path = place.join("adapter/adapter_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["use_rslora"] = json!(true);
    std::fs::write(&path, config.to_string()).unwrap();
    let (mut plain, mut merged) =
        (open(&place.join("plain"), Precision::Exact), open(&place.join("merged"), Precision::Exact));
    let loaded = plain.adapters().load(&place.join("adapter")).unwrap();
    let tokens = &tiny.inputs[0];
    let error = difference(&logits(&mut plain, Some(loaded.adapter), tokens), &logits(&mut merged, None, tokens));
    assert!(error < 1e-4, "differs by {error:.2e}");
}
