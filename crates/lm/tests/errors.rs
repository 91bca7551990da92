//! A model that cannot be opened says in one line which file, which part of it, and what to do.

use std::path::{Path, PathBuf};

use olivine_lm::model::{LoadOptions, Model};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;

fn case() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen3")
}

/// The message of a folder whose parts `change` has spoilt.
fn message(name: &str, change: impl FnOnce(&mut TinyModel)) -> String {
    let mut tiny = TinyModel::load(&case());
    change(&mut tiny);
    let place = Place::new(name);
    tiny.write_folder(&place);
    open(&place)
}

fn open(path: &Path) -> String {
    let Err(error) = Model::open(path, &LoadOptions::default()) else { panic!("{} was opened", path.display()) };
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    assert!(message.contains(&path.file_name().unwrap().to_string_lossy()[..]), "names no file: {message}");
    message
}

fn assert_says(message: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(message.contains(word), "`{word}` is missing in: {message}"));
}

#[test]
fn a_missing_tensor() {
    let message = message("missing", |tiny| tiny.tensors.retain(|t| t.name != "model.layers.1.mlp.up_proj.weight"));
    assert_says(&message, &["model.layers.1.mlp.up_proj.weight", "is missing", "download"]);
}

#[test]
fn a_configuration_that_contradicts_the_shapes() {
    let message = message("shape", |tiny| tiny.config["intermediate_size"] = 128.into());
    assert_says(&message, &["model.layers.0.mlp.gate_proj.weight", "[96, 64]", "[128, 64]", "config.json"]);
}

#[test]
fn an_unknown_architecture() {
    let message = message("architecture", |tiny| tiny.config["model_type"] = "mamba9".into());
    assert_says(&message, &["config.json", "mamba9", "known are", "llama", "qwen3"]);
}

#[test]
fn a_missing_field_and_one_of_the_wrong_kind() {
    let missing = message("field", |tiny| {
        tiny.config.as_object_mut().unwrap().remove("hidden_size");
    });
    assert_says(&missing, &["config.json", "hidden_size", "is missing"]);
    let wrong = message("kind", |tiny| tiny.config["num_hidden_layers"] = "two".into());
    assert_says(&wrong, &["config.json", "num_hidden_layers", "two"]);
}

#[test]
fn a_quantization_that_is_not_known() {
    let message = message("method", |tiny| {
        tiny.config["quantization_config"] = serde_json::json!({"quant_method": "awq"});
    });
    assert_says(&message, &["config.json", "awq", "supported are"]);
}

#[test]
fn a_gguf_file_that_was_cut_short() {
    let path = std::env::temp_dir().join(format!("olivine-error-{}.gguf", std::process::id()));
    TinyGguf::load(&case()).unwrap().write(&TinyModel::load(&case()), &path);
    let bytes = std::fs::read(&path).unwrap();
    for length in [bytes.len() - 4096, bytes.len() / 2, 10] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert_says(&open(&path), &["cut short"]);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_path_that_leads_nowhere() {
    assert_says(&open(Path::new("/nowhere/model")), &["no such file or folder", "give a model folder"]);
}
