//! The text and the log-probabilities of a request are the same bit for bit whatever happens around it: alone, among
//! others, however its prompt is cut, after a hit in memory, after one on disk, after a restart, with little memory.

mod common;

use common::{Numbers, answer, bits, request, tiny};
use olivine_engine::{DiskOptions, Engine, EngineOptions, Request, SchedulerOptions, SpeculationOptions};
use olivine_testkit::place::Place;

const MODELS: [&str; 4] = ["qwen3", "gemma3", "gpt-oss", "qwen3-next"];
const SCHEDULES: usize = 200;

/// Prompts of a few families with common beginnings, so that prefixes are shared in all ways.
fn requests(numbers: &mut Numbers) -> Vec<Request> {
    let stems: Vec<Vec<u32>> = (0..3).map(|index| numbers.tokens(90 + 100 * index, 120)).collect();
    let mut requests = Vec::new();
    for index in 0..17u64 {
        let stem = &stems[numbers.below(stems.len())];
        let shared = numbers.below(stem.len()) + 1;
        let own = numbers.below(120);
        let tail = numbers.tokens(own, 120);
        requests.push(request([&stem[..shared], &tail].concat(), 4 + numbers.below(28), index));
    }
    requests
}

#[test]
fn two_hundred_random_schedules_give_the_same_bits() {
    for case in MODELS {
        let mut numbers = Numbers(2026);
        let requests = requests(&mut numbers);
        let engine = Engine::start(tiny(case), EngineOptions::default());
        let alone = |request: &Request| {
            let receiver = engine.submit(Request { no_cache: true, ..request.clone() }).expect("it fits");
            bits(&answer(&receiver).0)
        };
        let expected: Vec<_> = requests.iter().map(alone).collect();
        drop(engine);
        let mut model = tiny(case);
        let groups = model.cache().groups().count();
        let page_bytes: usize = (0..groups).map(|group| model.cache().page_bytes(group)).sum();
        let state_bytes = 4 * model.cache().state_len();
        let folder = Place::new("bits");
        let (mut from_memory, mut from_disk) = (0, 0);
        for schedule in 0..SCHEDULES / MODELS.len() {
            let scheduler = SchedulerOptions {
                max_rows: 1 + numbers.below(150),
                min_rows: 1 + numbers.below(20),
                step_seconds: [1e-5, 1e-3, 1.0][numbers.below(3)],
                decode_share: 0.1 + 0.1 * numbers.below(9) as f64,
            };
            // From hardly enough for the longest request to plenty.
            let kv_bytes = (10 + numbers.below(60)) * page_bytes + (4 + numbers.below(20)) * state_bytes;
            let disk = DiskOptions {
                folder: folder.to_path_buf(),
                max_bytes: (300 + 50 * numbers.below(10)) as u64 * 20_000,
                total_bytes: None,
            };
            let options = EngineOptions {
                scheduler,
                kv_bytes: Some(kv_bytes),
                max_running: 1 + numbers.below(20),
                disk: (schedule % 3 > 0).then_some(disk),
                speculation: (schedule % 2 > 0).then(SpeculationOptions::default),
                ..EngineOptions::default()
            };
            let engine = Engine::start(tiny(case), options);
            let order: Vec<usize> = (0..24).map(|_| numbers.below(requests.len())).collect();
            let receivers: Vec<_> =
                order.iter().map(|&index| engine.submit(requests[index].clone()).expect("it fits")).collect();
            for (&index, receiver) in order.iter().zip(&receivers) {
                if numbers.below(9) == 0 {
                    receiver.cancel();
                    continue;
                }
                let (tokens, finished) = answer(receiver);
                assert_eq!(bits(&tokens), expected[index], "{case}: schedule {schedule}, request {index}");
                from_memory += finished.usage.cached_tokens;
                from_disk += finished.usage.disk_tokens;
            }
            let status = engine.status();
            assert!(status.kv_bytes_used <= kv_bytes, "{case}: {status:?}");
            assert_eq!((status.panics, status.disk_error), (0, None), "{case}");
        }
        assert!(from_memory > 10_000, "{case}: {from_memory} tokens from the cache");
        assert!(from_disk > 1_000, "{case}: {from_disk} tokens from disk");
    }
}

#[test]
fn a_restart_resumes_at_the_last_token() {
    for case in MODELS {
        let folder = Place::new("restart");
        let options = || EngineOptions {
            disk: Some(DiskOptions { folder: folder.to_path_buf(), max_bytes: 1 << 28, total_bytes: None }),
            ..EngineOptions::default()
        };
        let asked = request(Numbers(8).tokens(700, 120), 30, 4);
        let engine = Engine::start(tiny(case), options());
        let (first, finished) = answer(&engine.submit(asked.clone()).expect("it fits"));
        assert_eq!(finished.usage.cached_tokens, 0);
        drop(engine);
        let engine = Engine::start(tiny(case), options());
        let (second, finished) = answer(&engine.submit(asked.clone()).expect("it fits"));
        assert_eq!(bits(&second), bits(&first), "{case}");
        assert_eq!(finished.usage.cached_tokens, 699, "{case}");
        assert!(finished.usage.disk_tokens >= 640, "{case}: {}", finished.usage.disk_tokens);
        // Another salt shares nothing, in memory or on disk.
        let salted = Request { cache_salt: "another".into(), ..asked.clone() };
        assert_eq!(answer(&engine.submit(salted).expect("it fits")).1.usage.cached_tokens, 0);
        engine.clear_cache();
        assert_eq!(answer(&engine.submit(asked.clone()).expect("it fits")).1.usage.cached_tokens, 0, "{case}");
        drop(engine);
        // A model that changed finds nothing of the old one.
        let changed = EngineOptions { identity: "other weights".into(), ..options() };
        let engine = Engine::start(tiny(case), changed);
        assert_eq!(answer(&engine.submit(asked).expect("it fits")).1.usage.cached_tokens, 0, "{case}");
    }
}

#[test]
fn guesses_change_no_bit() {
    for case in ["qwen3", "gemma3", "gpt-oss"] {
        let mut numbers = Numbers(11);
        // Prompts that repeat themselves, so that looking up finds something; greedy and sampled.
        let prompt = |numbers: &mut Numbers| numbers.tokens(12, 120).repeat(8);
        let requests: Vec<Request> = (0..6).map(|seed| request(prompt(&mut numbers), 120, seed)).collect();
        let run = |engine: &Engine| {
            let receivers: Vec<_> = requests.iter().map(|r| engine.submit(r.clone()).expect("it fits")).collect();
            receivers.iter().map(|receiver| bits(&answer(receiver).0)).collect::<Vec<_>>()
        };
        let expected = run(&Engine::start(tiny(case), EngineOptions::default()));
        let options = EngineOptions { speculation: Some(SpeculationOptions::default()), ..EngineOptions::default() };
        let engine = Engine::start(tiny(case), options.clone());
        assert_eq!(run(&engine), expected, "{case}: from lookup");
        // Whether an answer repeats itself is the model's affair.
        assert!(case == "gpt-oss" || engine.status().accepted_tokens > 20, "{case}: {:?}", engine.status());
        // The model as its own draft is right whenever both compute the same, which is always.
        let lookup = SpeculationOptions { lookup: false, ..SpeculationOptions::default() };
        let options = EngineOptions { speculation: Some(lookup), ..options };
        let engine = Engine::open(tiny(case), Some(tiny(case)), options.clone()).expect("the same tokens");
        assert_eq!(run(&engine), expected, "{case}: from itself");
        let status = engine.status();
        assert!(status.drafted_tokens > 100 && status.accepted_tokens == status.drafted_tokens, "{case}: {status:?}");
        // Another model guesses badly, and that changes nothing either.
        let other = if case == "qwen3" { "gemma3" } else { "qwen3" };
        let engine = Engine::open(tiny(case), Some(tiny(other)), options).expect("as many tokens");
        assert_eq!(run(&engine), expected, "{case}: from another model");
    }
    assert!(Engine::open(tiny("qwen3-next"), Some(tiny("qwen3")), EngineOptions::default()).is_err());
}
