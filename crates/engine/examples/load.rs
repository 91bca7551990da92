//! Measures an engine under load: aggregate speed of several streams, time between tokens, time to the first token of a
//! prompt that is cached (in memory, on disk), the pace of a neighbour while a long prompt is prefilled.
//!
//! `cargo run --release -p olivine-engine --example load -- MODEL [streams|prefix|neighbour]...`, or `-- MODEL draft DRAFT`

use std::path::Path;
use std::time::{Duration, Instant};

use olivine_engine::SpeculationOptions;
use olivine_engine::{DiskOptions, Engine, EngineOptions, Event, Finished, Receiver, Request, SamplingOptions};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{LoadOptions, Model};

const CONTEXT_TOKENS: usize = 40_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = arguments.first() else {
        eprintln!("load MODEL [streams|prefix|neighbour]...");
        std::process::exit(2);
    };
    if let [_, mode, draft] = &arguments[..]
        && mode == "draft"
    {
        return speculation(path, draft);
    }
    let wanted = |name: &str| arguments.len() == 1 || arguments.iter().any(|argument| argument == name);
    if wanted("streams") {
        streams(path);
    }
    if wanted("prefix") {
        prefix(path);
    }
    if wanted("neighbour") {
        neighbour(path);
    }
}

fn model(path: &str) -> Model {
    let options = LoadOptions { context_tokens: Some(CONTEXT_TOKENS), ..LoadOptions::default() };
    Model::open(Path::new(path), &options).unwrap_or_else(|error| panic!("{error}"))
}

fn tokens(count: usize, seed: u64) -> Vec<u32> {
    let mix = |index: u64| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 4000 + 100;
    (0..count as u64).map(|index| mix(index + seed * 1_000_003) as u32).collect()
}

fn request(prompt: Vec<u32>, answer: usize) -> Request {
    let sampling = SamplingOptions {
        temperature: std::env::var("LOAD_T").map_or(0.8, |t| t.parse().expect("a number")),
        seed: 1,
        ..SamplingOptions::default()
    };
    Request { tokens: prompt, max_tokens: Some(answer), sampling, ..Request::default() }
}

/// When the tokens of an answer came, and how it ended.
fn watch(receiver: &Receiver) -> (Vec<Instant>, Finished) {
    let mut times = Vec::new();
    loop {
        match receiver.recv() {
            Some(Event::Token(_)) => times.push(Instant::now()),
            Some(Event::Finished(finished)) => return (times, finished),
            Some(Event::Failed(failure)) => panic!("{failure:?}"),
            Some(_) => {}
            None => panic!("no last event"),
        }
    }
}

fn gaps(times: &[Instant]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect()
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

fn streams(path: &str) {
    let engine = Engine::start(model(path), EngineOptions::default());
    watch(&engine.submit(request(tokens(64, 99), 8)).expect("it fits"));
    for count in [1, 2, 4, 8] {
        let began = Instant::now();
        let receivers: Vec<_> = (0..count)
            .map(|index| engine.submit(request(tokens(64, 7 * count + index), 96)).expect("it fits"))
            .collect();
        let threads: Vec<_> =
            receivers.into_iter().map(|receiver| std::thread::spawn(move || watch(&receiver).0)).collect();
        let times: Vec<Vec<Instant>> = threads.into_iter().map(|t| t.join().expect("a stream")).collect();
        let first = times.iter().map(|times| times[0]).max().expect("a stream");
        let last = times.iter().filter_map(|times| times.last()).max().expect("a stream");
        let decoded: usize = times.iter().flatten().filter(|&&time| time > first).count();
        let mut all: Vec<f64> = times.iter().flat_map(|times| gaps(times)).collect();
        println!(
            "{count} streams: {:.1} tokens/s while all decode, {:.1} with prompts; between tokens p50 {:.1} ms, p95 {:.1} ms",
            decoded as f64 / (*last - first).as_secs_f64(),
            96.0 * count as f64 / began.elapsed().as_secs_f64(),
            percentile(&mut all, 0.5),
            percentile(&mut all, 0.95),
        );
    }
}

fn prefix(path: &str) {
    let folder = std::env::temp_dir().join(format!("olivine-load-{}", std::process::id()));
    let disk = Some(DiskOptions { folder: folder.clone(), max_bytes: 8 << 30, total_bytes: None });
    let start = || Engine::start(model(path), EngineOptions { disk: disk.clone(), ..EngineOptions::default() });
    let ask = |engine: &Engine| {
        let began = Instant::now();
        let (times, finished) = watch(&engine.submit(request(tokens(12_000, 3), 4)).expect("it fits"));
        (times[0] - began, finished.usage)
    };
    let engine = start();
    for name in ["cold", "memory", "memory"] {
        let (time, usage) = ask(&engine);
        println!("12,000 tokens, {name}: first token after {time:.1?}, {} cached", usage.cached_tokens);
    }
    engine.shutdown();
    let engine = start();
    // The store is read at the start of the thread, not at the first request.
    while engine.status().kv_bytes_budget == 0 && engine.probe(request(vec![1], 1)).is_none() {}
    engine.probe(request(vec![1], 1));
    let status = engine.status();
    let (time, usage) = ask(&engine);
    println!(
        "12,000 tokens, disk: first token after {time:.1?}, {} cached, {} from disk ({} MB there)",
        usage.cached_tokens,
        usage.disk_tokens,
        status.disk_bytes >> 20
    );
    drop(engine);
    let _ = std::fs::remove_dir_all(&folder);
}

/// Answers to a few questions with and without guesses.
fn speculation(path: &str, draft: &str) {
    let open =
        || LanguageModel::open(Path::new(path), &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let questions =
        ["Tell me a story about a dog and a boat.", "What is the capital of France?", "Count from 1 to 30."];
    for temperature in [0.0, 0.8] {
        for way in ["none", "lookup", "draft"] {
            let language = open();
            let prompt = |text: &str| {
                let messages = serde_json::json!([{"role": "user", "content": text}]);
                let text = language.render(&messages, None, None).unwrap_or_else(|error| panic!("{error}"));
                language.encode(&text, true).unwrap_or_else(|error| panic!("{error}"))
            };
            let prompts: Vec<Vec<u32>> = questions.map(prompt).to_vec();
            let lookup = SpeculationOptions { lookup: way == "lookup", ..SpeculationOptions::default() };
            let options = EngineOptions { speculation: (way != "none").then_some(lookup), ..EngineOptions::default() };
            let draft =
                || Model::open(Path::new(draft), &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
            let engine = match way {
                "draft" => Engine::open(language.model, Some(draft()), options).unwrap_or_else(|e| panic!("{e}")),
                _ => Engine::start(language.model, options),
            };
            let (mut count, mut seconds, mut hash) = (0, 0.0, 0u64);
            for round in 0..2 {
                for prompt in &prompts {
                    let mut request = request(prompt.clone(), 150);
                    request.sampling.temperature = temperature;
                    let (times, finished) = watch(&engine.submit(request).expect("it fits"));
                    if round == 1 {
                        count += times.len();
                        seconds += finished.usage.decode.as_secs_f64();
                        hash = hash.wrapping_mul(31).wrapping_add(times.len() as u64);
                    }
                }
            }
            let status = engine.status();
            println!(
                "temperature {temperature}, {way}: {:.1} tokens/s, {} of {} guesses right ({:.0} %), lengths {hash:x}",
                count as f64 / seconds,
                status.accepted_tokens,
                status.drafted_tokens,
                100.0 * status.accepted_tokens as f64 / status.drafted_tokens.max(1) as f64,
            );
        }
    }
}

fn neighbour(path: &str) {
    let engine = Engine::start(model(path), EngineOptions::default());
    let steady = engine.submit(request(tokens(64, 1), 30_000)).expect("it fits");
    let measure = |duration: Duration| {
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < duration {
            if let Some(Event::Token(_)) = steady.recv() {
                times.push(Instant::now());
            }
        }
        let mut gaps = gaps(&times);
        (times.len() as f64 / began.elapsed().as_secs_f64(), percentile(&mut gaps, 0.95))
    };
    measure(Duration::from_millis(500));
    let (alone, gap) = measure(Duration::from_secs(3));
    println!("alone: {alone:.1} tokens/s, p95 {gap:.1} ms");
    let long = engine.submit(request(tokens(32_000, 2), 1)).expect("it fits");
    measure(Duration::from_millis(500));
    let (beside, gap) = measure(Duration::from_secs(4));
    let done = std::iter::from_fn(|| long.try_recv()).filter_map(|event| match event {
        Event::Prefill { done, .. } => Some(done),
        _ => None,
    });
    let done = done.last().unwrap_or(0);
    println!(
        "beside a prompt of 32,000: {beside:.1} tokens/s ({:.0} %), p95 {gap:.1} ms; {done} done",
        100.0 * beside / alone
    );
    let began = Instant::now();
    let short = engine.submit(request(tokens(100, 5), 1)).expect("it fits");
    let first = std::thread::spawn(move || watch(&short).0[0] - began);
    measure(Duration::from_secs(2));
    println!("a new request of 100 tokens beside both: first token after {:.1?}", first.join().expect("a stream"));
    // The answer has grown meanwhile, which is not the prompt's fault.
    long.cancel();
    measure(Duration::from_millis(500));
    let (again, _) = measure(Duration::from_secs(3));
    println!("alone again: {again:.1} tokens/s; {:.0} % of the mean was kept", 200.0 * beside / (alone + again));
}
