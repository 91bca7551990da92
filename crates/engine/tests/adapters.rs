//! Adapters under batching and caching: bits do not depend on neighbours, prefixes belong to the adapter's content, names
//! come and go while requests run.

mod common;

use std::path::{Path, PathBuf};

use common::{Numbers, answer, bits, request, tiny};
use olivine_engine::{
    AdapterError, DiskOptions, Engine, EngineOptions, Event, MemoryBudget, Request, SpeculationOptions, SubmitError,
};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_adapter::TinyAdapter;

const MODELS: [&str; 3] = ["qwen3", "gemma3", "qwen3-next"];
const NAMES: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];

fn folders(case: &str, scratch: &Place) -> Vec<(&'static str, PathBuf)> {
    let tiny = TinyModel::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden").join(case));
    let folder = |(seed, name): (usize, &'static str)| {
        let folder = scratch.join(name);
        // The last one corrects the queries or outputs of layers only.
        let wanted = |module: &str| seed != 2 || module.ends_with("q_proj") || module.ends_with("out_proj");
        TinyAdapter::of(&tiny, seed as u64, wanted).write_peft(&folder);
        (name, folder)
    };
    ["a", "b", "c"].into_iter().enumerate().map(folder).collect()
}

fn load(engine: &Engine, folders: &[(&str, PathBuf)]) {
    for (name, folder) in folders {
        engine.load_adapter(name, folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The same prompts under each adapter: three that begin alike, one of its own.
fn requests() -> Vec<Request> {
    let mut numbers = Numbers(5);
    let stem = numbers.tokens(150, 120);
    let mut requests = Vec::new();
    for index in 0..16usize {
        let tokens = match index / 4 {
            3 => numbers.tokens(190, 120),
            _ => [&stem[..], &numbers.tokens(3 + index, 120)].concat(),
        };
        let adapter = NAMES[index % 4].map(str::to_string);
        requests.push(Request { adapter, ..request(tokens, 9, index as u64) });
    }
    requests
}

#[test]
fn bits_are_those_of_a_request_alone_whatever_adapters_its_neighbours_have() {
    for case in MODELS {
        let scratch = Place::new("adapters");
        let (folders, requests) = (folders(case, &scratch), requests());
        let disk = DiskOptions { folder: scratch.join("kv"), max_bytes: 64 << 20, total_bytes: None };
        let options = EngineOptions { disk: Some(disk), ..EngineOptions::default() };
        let plain = Engine::start(tiny(case), EngineOptions::default());
        load(&plain, &folders);
        let alone: Vec<_> = requests
            .iter()
            .map(|request| {
                let request = Request { no_cache: true, ..request.clone() };
                bits(&answer(&plain.submit(request).expect("it fits")).0)
            })
            .collect();
        for four in alone.chunks(4).zip(requests.chunks(4)) {
            // Other tokens are in the prompts of the first three groups, the adapters differ in all.
            assert!(four.0.windows(2).all(|pair| pair[0] != pair[1]), "{case}: {:?}", four.0);
        }
        // Together, again from the cache, and from disk after a restart.
        for life in 0..2 {
            let engine = Engine::start(tiny(case), options.clone());
            load(&engine, &folders);
            for round in 0..2 {
                let receivers: Vec<_> =
                    requests.iter().map(|request| engine.submit(request.clone()).expect("it fits")).collect();
                for (index, (receiver, alone)) in receivers.iter().zip(&alone).enumerate() {
                    let (tokens, finished) = answer(receiver);
                    assert_eq!(bits(&tokens), *alone, "{case}: request {index}, life {life}, round {round}");
                    if life + round > 0 {
                        assert!(finished.usage.cached_tokens >= 64, "{case}: {index} {:?}", finished.usage);
                    }
                }
            }
            engine.shutdown();
        }
    }
}

#[test]
fn prefixes_belong_to_what_an_adapter_contains() {
    let scratch = Place::new("adapters-names");
    let folders = folders("qwen3", &scratch);
    let engine = Engine::start(tiny("qwen3"), EngineOptions::default());
    let tokens = Numbers(1).tokens(200, 120);
    let ask = |adapter: Option<&str>| {
        let adapter = adapter.map(str::to_string);
        let (tokens, finished) =
            answer(&engine.submit(Request { adapter, ..request(tokens.clone(), 6, 3) }).expect("it fits"));
        (bits(&tokens), finished.usage.cached_tokens)
    };
    let (base, _) = ask(None);
    engine.load_adapter("x", &folders[0].1).expect("it fits");
    let (first, cached) = ask(Some("x"));
    assert_eq!(cached, 0, "the model's own prefix is another");
    assert_eq!(ask(Some("x")), (first.clone(), 199));
    // Another content under the same name, then the first content under another name.
    engine.load_adapter("x", &folders[1].1).expect("it fits");
    let (second, cached) = ask(Some("x"));
    assert!(second != first && cached == 0);
    engine.load_adapter("y", &folders[0].1).expect("it fits");
    assert_eq!(ask(Some("y")), (first.clone(), 199));
    assert_eq!(engine.adapters().iter().map(|info| &info.name[..]).collect::<Vec<_>>(), ["x", "y"]);
    assert!(engine.unload_adapter("y") && !engine.unload_adapter("y"));
    let gone = engine.submit(Request { adapter: Some("y".into()), ..request(tokens.clone(), 6, 3) });
    assert!(matches!(gone, Err(SubmitError::Invalid { field: "adapter", .. })));
    assert_eq!(ask(None).0, base);
    // One that is usual is that of requests without a name.
    engine.load_usual_adapter("z", &folders[0].1).expect("it fits");
    assert_eq!(ask(None), (first, 199));
}

#[test]
fn an_adapter_that_is_unloaded_serves_those_who_run_under_it() {
    let scratch = Place::new("adapters-unload");
    let folders = folders("qwen3", &scratch);
    let engine = Engine::start(tiny("qwen3"), EngineOptions::default());
    load(&engine, &folders);
    let tokens = Numbers(1).tokens(100, 120);
    let ask = || Request { adapter: Some("a".into()), no_cache: true, ..request(tokens.clone(), 300, 3) };
    let (whole, _) = answer(&engine.submit(ask()).expect("it fits"));
    let receiver = engine.submit(ask()).expect("it fits");
    while !matches!(receiver.recv(), Some(Event::Token(_))) {}
    assert!(engine.unload_adapter("a"));
    let (rest, _) = answer(&receiver);
    assert_eq!(bits(&rest), bits(&whole[1..]));
    assert!(engine.submit(ask()).is_err());
}

#[test]
fn adapters_take_their_memory_from_the_budget_and_give_it_back() {
    let scratch = Place::new("adapters-memory");
    let folders = folders("qwen3", &scratch);
    let budget = MemoryBudget::new(64 << 20);
    let options = EngineOptions {
        memory: Some(budget.clone()),
        kv_bytes: Some(32 << 20),
        speculation: Some(SpeculationOptions::default()),
        ..EngineOptions::default()
    };
    let engine = Engine::open(tiny("qwen3"), None, options).expect("there is room");
    let free = budget.free();
    let info = engine.load_adapter("a", &folders[0].1).expect("there is room");
    assert!(info.bytes > 0 && info.modules == 14 && info.rank == 5, "{info:?}");
    assert_eq!(budget.free(), free - info.bytes);
    let all = budget.reserve(budget.free() - 100, std::time::Duration::ZERO).expect("there is room");
    let refused = engine.load_adapter("b", &folders[1].1);
    assert!(matches!(refused, Err(AdapterError::Memory { free_bytes: 100, .. })), "{refused:?}");
    drop(all);
    engine.unload_adapter("a");
    assert_eq!(budget.free(), free);
    for name in ["", "../a", "a/b", ".a", "a b"] {
        assert!(matches!(engine.load_adapter(name, &folders[0].1), Err(AdapterError::Name(_))), "{name}");
    }
    assert!(matches!(engine.load_adapter("b", Path::new("/nowhere")), Err(AdapterError::Files(_))));
    engine.shutdown();
    assert_eq!(budget.free(), 64 << 20);
}
