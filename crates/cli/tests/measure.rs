//! `inspect`, `bench` and `perplexity`: their figures and their JSON.

mod common;

use common::{Folder, stdout, tiny, write_tiny_gguf};
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let text = stdout(arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[test]
fn bench_tells_speed_and_limit() {
    let arguments =
        ["bench", "mica", "-p", "16", "-n", "4", "-r", "2", "-t", "1", "--rows", "3", "--depth", "8", "--json"];
    let report = json(&arguments);
    assert_eq!((&report["model"], &report["family"]), (&"mica".into(), &"qwen3".into()));
    assert_eq!((&report["threads"], &report["rows"], &report["depth"]), (&1.into(), &3.into(), &8.into()));
    assert!(number(&report, "weight_bytes") > 3e7 && number(&report, "read_bytes_per_second") > 1e8);
    assert!(number(&report, "parameters") >= number(&report, "parameters_per_token"));
    assert!(number(&report, "load_seconds") > 0.0);
    let peaks = report["peaks"].as_array().expect("a list");
    assert!(peaks.iter().any(|peak| peak["operands"] == "f32" && number(peak, "operations_per_second") > 1e8));
    let tests = report["tests"].as_array().expect("a list");
    for (test, (name, unit)) in
        tests.iter().zip([("pp16 @ d8 x 3", "operations_per_token"), ("tg4 @ d8 x 3", "bytes_per_token")])
    {
        assert_eq!(test["test"], name);
        let speeds: Vec<f64> =
            test["repetitions"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        assert_eq!(speeds.len(), 2);
        let mean = number(test, "tokens_per_second");
        assert!((mean - (speeds[0] + speeds[1]) / 2.0).abs() < 1e-6 * mean);
        assert_eq!(number(test, "best"), speeds[0].max(speeds[1]));
        assert!((number(test, "share") - mean / number(test, "limit_tokens_per_second")).abs() < 1e-9);
        assert!(number(test, unit) > 0.0 && number(test, "deviation") >= 0.0);
    }
    assert_eq!(tests.len(), 2);
    let one = json(&["bench", "mica", "-p", "0", "-n", "2", "-r", "1", "--json"]);
    assert_eq!(one["tests"].as_array().map(Vec::len), Some(1));
    assert!(number(&one["tests"][0], "bytes_per_token") > 3e7);
}

#[test]
fn every_field_of_the_json_is_documented() {
    fn fields(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(name, value)| {
                names.push(name.clone());
                fields(value, names);
            }),
            Value::Array(list) => list.iter().for_each(|value| fields(value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    fields(&json(&["bench", "mica", "-p", "8", "-n", "2", "-r", "1", "--json"]), &mut names);
    let help = stdout(&["bench", "--help"]);
    assert!(names.len() > 15);
    names.iter().for_each(|name| assert!(help.contains(name.as_str()), "{name} is not in --help"));
}

#[test]
fn bench_prints_a_table() {
    let text = stdout(&["bench", "mica", "-p", "8", "-n", "2", "-r", "1"]);
    for part in ["mica: qwen3", "weights", "threads", "read ", "GB/s", "pp8", "tg2", "of the limit"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn inspect_shows_the_model() {
    let text = stdout(&["inspect", "mica", "--context", "1024"]);
    for part in [
        "family      qwen3",
        "layer 0-7",
        "affine8-g64",
        "model.layers.{0-7}.mlp.up_proj.weight",
        "memory for one conversation of 1024 tokens",
        "keys and values",
        "tokens/s",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(stdout(&["inspect", "mica", "--tensors"]).contains("model.layers.5.mlp.up_proj.weight"));
    let (short, long) = (json(&["inspect", "mica", "--context", "64", "--json"]), json(&["inspect", "mica", "--json"]));
    let memory = |report: &Value, field: &str| number(&report["memory"], field);
    assert_eq!(memory(&short, "key_value_bytes") * 32.0, memory(&long, "key_value_bytes"));
    assert_eq!(memory(&short, "weight_bytes"), memory(&long, "weight_bytes"));
    assert_eq!(memory(&long, "bytes"), memory(&long, "weight_bytes") + memory(&long, "key_value_bytes"));
    assert!(number(&long, "answer_tokens_per_second") > number(&long, "answer_tokens_per_second_full_context"));
    let bytes: f64 = long["tensors"].as_array().expect("a list").iter().map(|tensor| number(tensor, "bytes")).sum();
    let formats: f64 = long["formats"].as_array().expect("a list").iter().map(|format| number(format, "bytes")).sum();
    assert_eq!(bytes, formats);
}

#[test]
fn a_gguf_file_and_its_folder_are_the_same_model() {
    let folder = Folder::new("inspect");
    tiny("qwen3-moe").write_folder(&folder.join("model"));
    write_tiny_gguf("qwen3-moe", &folder.join("model.gguf"));
    let inspect = |name: &str| json(&["inspect", &folder.join(name).display().to_string(), "--json"]);
    let (model, file) = (inspect("model"), inspect("model.gguf"));
    assert_eq!(model["spec"], file["spec"]);
    // Routers and norms are f32 in the file.
    let weights = |report: &Value| number(&report["memory"], "weight_bytes");
    assert!((weights(&file) / weights(&model) - 1.0).abs() < 0.1, "{} {}", weights(&file), weights(&model));
}

#[test]
fn perplexity_counts_all_or_the_second_half() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../lm/tests/golden/mica/eval_excerpt.txt");
    let score = |more: &[&str]| {
        json(&[&["perplexity", "mica", text, "--windows", "2", "--window", "128", "--json"], more].concat())
    };
    let (all, half) = (score(&[]), score(&["--count", "second-half"]));
    for report in [&all, &half] {
        assert_eq!(report["windows"], 2);
        assert!((number(report, "mean_nll").exp() - number(report, "perplexity")).abs() < 1e-9);
    }
    assert!(number(&half, "perplexity") < number(&all, "perplexity"), "more context predicts better: {half} {all}");
    let line = stdout(&["perplexity", "mica", text, "--windows", "1", "--window", "64"]);
    assert!(line.starts_with("perplexity ") && line.contains("1 windows of 64"), "{line}");
}
