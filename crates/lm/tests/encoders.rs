//! Hidden states and scores of tiny random encoders against those of the reference implementation, in f32: alone and
//! beside other texts. Bits must not depend on what is computed beside a text.

use std::path::{Path, PathBuf};

use olivine_lm::ModelError;
use olivine_lm::Precision;
use olivine_lm::encoder::{Encoder, EncoderFile, EncoderInput};
use olivine_lm::model::{LoadOptions, Model};
use olivine_lm::pooling::Pooling;
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_gguf::TinyGguf;
use serde_json::Value;

/// Largest difference allowed, relative to the largest number of the row.
const TOLERANCE: f32 = 1e-4;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-encoders")
}

fn open(folder: &Path, precision: Precision) -> Result<Encoder, ModelError> {
    Encoder::load(&EncoderFile::open(folder)?.expect("an encoder"), precision)
}

fn check(tiny: &TinyModel, case: &Value, folder: &Path) {
    let encoder = open(folder, Precision::Exact).unwrap_or_else(|error| panic!("{}: {error}", tiny.name));
    let width = encoder.spec().hidden;
    let second = |index: usize| case["seconds"][index].as_u64().unwrap() as usize;
    let input = |index: usize| EncoderInput { tokens: &tiny.inputs[index], second: second(index) };
    let all: Vec<EncoderInput<'_>> = (0..tiny.inputs.len()).map(input).collect();
    let together = encoder.hidden(&all);
    let mut start = 0;
    for (index, one) in all.iter().enumerate() {
        let alone = encoder.hidden(&[*one]);
        assert_eq!(alone, together[start * width..(start + one.tokens.len()) * width], "{}: bits", tiny.name);
        start += one.tokens.len();
        for (row, (ours, theirs)) in alone.chunks(width).zip(tiny.logits(index).chunks(width)).enumerate() {
            let scale = theirs.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
            let error = ours.iter().zip(theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs() / scale));
            assert!(error <= TOLERANCE, "{} input {index}, row {row} differs by {error:.2e}", tiny.name);
        }
        let scores = encoder.scores(&alone[..width]);
        match case["scores"][index].as_array() {
            None => assert_eq!(scores, None),
            Some(theirs) => {
                let ours = scores.expect("a head");
                let theirs: Vec<f32> = theirs.iter().map(|score| score.as_f64().unwrap() as f32).collect();
                assert_eq!(ours.len(), theirs.len());
                let near = ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4);
                assert!(near, "{} input {index}: {ours:?} for {theirs:?}", tiny.name);
            }
        }
    }
    let fast = open(folder, Precision::Fast).unwrap();
    let first = fast.hidden(&all[..1]);
    assert_eq!(first, fast.hidden(&all)[..first.len()], "{}: bits in the fast mode", tiny.name);
}

#[test]
fn every_encoder_gives_the_reference_states() {
    let dirs = TinyModel::case_dirs(&golden());
    assert_eq!(dirs.len(), 4);
    for dir in dirs {
        let tiny = TinyModel::load(&dir);
        let case = serde_json::from_slice(&std::fs::read(dir.join("case.json")).unwrap()).unwrap();
        let folder = Place::of(&tiny);
        check(&tiny, &case, &folder);
        let path = folder.join("model.gguf");
        TinyGguf::load(&dir).expect("a GGUF form").write(&tiny, &path);
        // The converter leaves out the layer between BERT's first token and its ranking head: such a file is refused.
        if tiny.name == "bert-rank" {
            let problem = open(&path, Precision::Exact).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(problem.contains("`cls.weight`: is missing"), "{problem}");
        } else {
            check(&tiny, &case, &path);
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn pooling_is_what_the_files_say() {
    let folder = Place::new("pooling");
    std::fs::create_dir_all(folder.join("1_Pooling")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    assert_eq!(Pooling::of_folder(&folder).unwrap(), None);
    for (mode, pooling) in [
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_cls_token", Pooling::First),
        ("pooling_mode_lasttoken", Pooling::Last),
    ] {
        write("1_Pooling/config.json", &format!(r#"{{"word_embedding_dimension": 8, "{mode}": true}}"#));
        assert_eq!(Pooling::of_folder(&folder).unwrap(), Some(pooling));
    }
    write("1_Pooling/config.json", r#"{"pooling_mode_max_tokens": true}"#);
    let error = Pooling::of_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("1_Pooling") && error.contains("mean, cls and the last token"), "{error}");
    write("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens": true}"#);
    write(
        "modules.json",
        r#"[{"type": "sentence_transformers.models.Pooling"}, {"type": "sentence_transformers.models.Dense"}]"#,
    );
    let error = Pooling::of_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("modules.json") && error.contains("Dense"), "{error}");
}

#[test]
fn what_an_encoder_cannot_be_is_refused_by_its_field() {
    let tiny = TinyModel::load(&golden().join("bert"));
    let folder = Place::new("refused");
    for (field, value, part) in [
        ("position_embedding_type", "\"relative_key\"", "relative_key"),
        ("num_attention_heads", "5", "do not divide"),
        ("hidden_act", "\"quick\"", "quick"),
        ("is_decoder", "true", "only encoders"),
        ("intermediate_size", "97", "belongs to other weights"),
    ] {
        let mut changed = tiny.clone();
        changed.config[field] = serde_json::from_str(value).unwrap();
        changed.write_folder(&folder);
        let error = open(&folder, Precision::Fast).err().expect("it is refused").to_string();
        assert!(error.contains(part), "{field}: {error}");
    }
    tiny.write_folder(&folder);
    let error = olivine_lm::model::Checkpoint::open(&folder, None).err().expect("it writes no text").to_string();
    assert!(error.contains("an encoder (`bert`)") && error.contains("/v1/embeddings"), "{error}");
    let mut other = tiny.clone();
    other.config["model_type"] = "llama".into();
    other.write_folder(&folder);
    assert!(EncoderFile::open(&folder).unwrap().is_none());
}

#[test]
fn experts_in_encoders_are_refused_by_name() {
    let mut tiny = TinyModel::load(&golden().join("nomic-bert"));
    tiny.config["moe_every_n_layers"] = 2.into();
    let folder = Place::new("experts");
    tiny.write_folder(&folder);
    let error = open(&folder, Precision::Fast).err().expect("it is refused").to_string();
    assert!(error.contains("moe_every_n_layers") && error.contains("experts"), "{error}");
    let path = folder.join("experts.gguf");
    let mut gguf = TinyGguf::load(&golden().join("nomic-bert")).expect("a GGUF form");
    for entry in &mut gguf.metadata {
        let text = entry.to_string().replace("\"nomic-bert\"", "\"nomic-bert-moe\"");
        *entry = serde_json::from_str(&text).unwrap();
    }
    gguf.write(&tiny, &path);
    assert!(EncoderFile::open(&path).unwrap().is_none());
    let error = Model::open(&path, &LoadOptions::default()).err().expect("it is refused").to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains("nomic-bert-moe") && error.contains("known are"), "{error}");
}
