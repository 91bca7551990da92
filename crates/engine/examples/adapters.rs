//! Tokens a second of several streams: without adapters, all under one, each under its own.
//!
//! `cargo run --release -p olivine-engine --example adapters -- MODEL [STREAMS] [RANK] [ADAPTERS]`. The adapters correct all
//! projections of the model and are random. Streams, adapters and rounds alternate, so that a noisy machine is fair.

use std::path::Path;
use std::time::Instant;

use olivine_engine::{Engine, EngineOptions, Event, Request, SamplingOptions};
use olivine_lm::model::{Checkpoint, LoadOptions, Model};
use olivine_testkit::tiny_adapter::TinyAdapter;

const PROMPT: usize = 256;
const ANSWER: usize = 64;
const ROUNDS: usize = 3;

/// The adapter of a stream, of so many.
type Choice = fn(usize, usize) -> Option<usize>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = Path::new(&arguments[0]);
    let number =
        |index: usize, usual: usize| arguments.get(index).map_or(usual, |text| text.parse().expect("a number"));
    let (streams, rank, adapters) = (number(1, 8), number(2, 16), number(3, 4));
    let checkpoint = Checkpoint::open(path, None).expect("a model");
    let module = |(name, _, shape, _): (String, String, Vec<usize>, usize)| {
        let (name, &[rows, _]) = (name.strip_suffix(".weight")?.to_string(), &shape[..]) else { return None };
        let columns =
            checkpoint.weights.quantized_form(&format!("{name}.weight"), &name).map_or(shape[1], |(_, s, _)| s[1]);
        (name.contains("proj") && !name.contains("experts")).then_some((name, [rows, columns]))
    };
    let modules: Vec<_> = checkpoint.weights.listing().into_iter().filter_map(module).collect();
    let model = Model::load(&checkpoint, &LoadOptions::default()).expect("it loads");
    let vocabulary = model.spec().vocabulary as u32;
    let engine = Engine::start(model, EngineOptions::default());
    for index in 0..adapters {
        let folder = std::env::temp_dir().join(format!("olivine-adapter-{index}-{}", std::process::id()));
        let adapter = TinyAdapter { modules: modules.clone(), rank, alpha: 1e-3, seed: index as u64 };
        adapter.write_peft(&folder);
        let info = engine.load_adapter(&index.to_string(), &folder).expect("it fits");
        std::fs::remove_dir_all(&folder).expect("it was made above");
        if index == 0 {
            println!("{} modules, rank {rank}, {:.1} MB each", info.modules, info.bytes as f64 / 1e6);
        }
    }
    let kinds: [(&str, Choice); 3] =
        [("none", |_, _| None), ("same", |_, _| Some(0)), ("mixed", |stream, adapters| Some(stream % adapters))];
    let mut best = [[0.0f64; 2]; 3];
    for _ in 0..ROUNDS {
        for ((_, adapter), best) in kinds.iter().zip(&mut best) {
            let [prefill, decode] = run(&engine, streams, vocabulary, |stream| adapter(stream, adapters));
            *best = [best[0].max(prefill), best[1].max(decode)];
        }
    }
    for ((name, _), [prefill, decode]) in kinds.iter().zip(&best) {
        println!("{name:>6}: prefill {prefill:7.0} tokens/s, decode {decode:7.1} tokens/s");
    }
    let share = |part: usize| 100.0 * best[2][part] / best[1][part];
    println!("mixed / same: prefill {:.1} %, decode {:.1} %", share(0), share(1));
}

/// Prompt tokens and answer tokens a second, of all streams together.
fn run(engine: &Engine, streams: usize, vocabulary: u32, adapter: impl Fn(usize) -> Option<usize>) -> [f64; 2] {
    let request = |stream: usize, answer: usize| Request {
        tokens: (0..PROMPT).map(|at| (at * 31 + stream * 977) as u32 % vocabulary).collect(),
        max_tokens: Some(answer),
        adapter: adapter(stream).map(|index| index.to_string()),
        sampling: SamplingOptions { temperature: 0.0, ..SamplingOptions::default() },
        ..Request::default()
    };
    let all = |answer: usize| {
        let started = Instant::now();
        let receivers: Vec<_> =
            (0..streams).map(|stream| engine.submit(request(stream, answer)).expect("it fits")).collect();
        for receiver in receivers {
            while !matches!(receiver.recv(), Some(Event::Finished(_)) | None) {}
        }
        started.elapsed().as_secs_f64()
    };
    engine.clear_cache();
    let prefill = all(0);
    // The prompts are cached now.
    let decode = all(ANSWER);
    [(streams * PROMPT) as f64 / prefill, (streams * ANSWER) as f64 / decode]
}
