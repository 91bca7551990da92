//! Time to the first token of a prompt: computed, again from memory, and from disk after a restart.
//!
//! `cargo run --release -p olivine-engine --example prefix -- MODEL [TOKENS] [KV TYPE] [cold]`. `cold` drops the system's page
//! cache before the restart (Linux, as root). MODEL is a folder, a GGUF file, or a
//! case of `crates/lm/tests/golden`, of which a model with random weights is made.

use std::path::{Path, PathBuf};
use std::time::Instant;

use olivine_engine::{DiskOptions, Engine, EngineOptions, Event, Request, SamplingOptions, Usage};
use olivine_lm::KvDtype;
use olivine_lm::model::{LoadOptions, Model};
use olivine_testkit::tiny::TinyModel;

const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tokens: usize = arguments.get(1).map_or(12_000, |text| text.parse().expect("a number"));
    let kv_dtype = arguments.get(2).map(|name| match &name[..] {
        "q8" => KvDtype::Q8,
        "q4" => KvDtype::Q4,
        "bf16" => KvDtype::Bf16,
        other => panic!("{other} is no type"),
    });
    let scratch = std::env::temp_dir().join(format!("olivine-prefix-{}", std::process::id()));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden").join(&arguments[0]);
    let path = if golden.join("case.json").is_file() {
        TinyModel::load(&golden).write_folder(&scratch.join("model"));
        scratch.join("model")
    } else {
        PathBuf::from(&arguments[0])
    };
    let start = || {
        let options = LoadOptions { context_tokens: Some(tokens + 64), kv_dtype, ..LoadOptions::default() };
        let model = Model::open(&path, &options).expect("a model");
        let disk = DiskOptions { folder: scratch.join("kv"), max_bytes: 16 << 30, total_bytes: None };
        let began = Instant::now();
        let engine = Engine::start(model, EngineOptions { disk: Some(disk), ..EngineOptions::default() });
        // The store is open when the first command is answered.
        engine.probe(Request { tokens: vec![0], ..Request::default() });
        (engine, began.elapsed())
    };
    let (engine, _) = start();
    let (cold, _) = first_token(&engine, tokens);
    let warm: Vec<f64> = (0..ROUNDS).map(|_| first_token(&engine, tokens).0).collect();
    let used = engine.status().kv_bytes_used;
    engine.shutdown();
    if arguments.get(3).is_some_and(|word| word == "cold") {
        // What is not written yet would not be dropped.
        std::process::Command::new("sync").status().expect("a system with `sync`");
        std::fs::write("/proc/sys/vm/drop_caches", "3").expect("Linux, as root");
    }
    let (engine, opened) = start();
    let (disk, usage) = first_token(&engine, tokens);
    let bytes = engine.status().disk_bytes;
    let least = warm.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{}, {tokens} tokens: computed {:.1} ms, from memory {:.2} ms (best of {ROUNDS}), from disk {:.1} ms ({} tokens of it, \
         {} cached), store opened in {:.1} ms; {:.1} MB in memory, {:.1} MB on disk",
        arguments[0],
        cold * 1e3,
        least * 1e3,
        disk * 1e3,
        usage.disk_tokens,
        usage.cached_tokens,
        opened.as_secs_f64() * 1e3,
        used as f64 / 1e6,
        bytes as f64 / 1e6,
    );
    drop(engine);
    std::fs::remove_dir_all(&scratch).expect("it was made above");
}

/// Seconds until the first token of the answer.
fn first_token(engine: &Engine, tokens: usize) -> (f64, Usage) {
    let request = Request {
        tokens: (0..tokens as u32).map(|at| (at * 31 + at / 7) % 120).collect(),
        max_tokens: Some(1),
        sampling: SamplingOptions { temperature: 0.0, ..SamplingOptions::default() },
        ..Request::default()
    };
    let began = Instant::now();
    let receiver = engine.submit(request).expect("it fits");
    let mut seconds = f64::NAN;
    loop {
        match receiver.recv() {
            Some(Event::Token(_)) => seconds = began.elapsed().as_secs_f64(),
            Some(Event::Finished(finished)) => return (seconds, finished.usage),
            Some(Event::Failed(failure)) => panic!("{failure:?}"),
            Some(_) => {}
            None => panic!("no end"),
        }
    }
}
