//! Long lives: conversations that grow, caches of few bits, thousands of requests, and what all of it costs.

mod common;

use common::{Numbers, answer, bits, request, tiny, tiny_with};
use olivine_engine::{DiskOptions, Engine, EngineOptions, Request};
use olivine_lm::KvDtype;
use olivine_testkit::place::Place;

#[test]
fn caches_of_eight_and_four_bits_keep_bits_in_batches_from_memory_and_from_disk() {
    for case in ["qwen3", "gemma3", "glm4-moe-lite", "qwen3-next"] {
        let mut answers = Vec::new();
        for dtype in [KvDtype::Bf16, KvDtype::Q8, KvDtype::Q4] {
            let scratch = Place::new("kv-types");
            let disk = DiskOptions { folder: scratch.to_path_buf(), max_bytes: 64 << 20, total_bytes: None };
            let options = EngineOptions { disk: Some(disk), ..EngineOptions::default() };
            let mut numbers = Numbers(3);
            let requests: Vec<Request> =
                (0..8).map(|index| request(numbers.tokens(140 + 31 * index, 120), 8, index as u64)).collect();
            let plain = Engine::start(tiny_with(case, Some(dtype), 2048), EngineOptions::default());
            let alone: Vec<_> = requests
                .iter()
                .map(|request| {
                    let request = Request { no_cache: true, ..request.clone() };
                    bits(&answer(&plain.submit(request).expect("it fits")).0)
                })
                .collect();
            for life in 0..2 {
                let engine = Engine::start(tiny_with(case, Some(dtype), 2048), options.clone());
                for round in 0..2 {
                    let receivers: Vec<_> =
                        requests.iter().map(|request| engine.submit(request.clone()).expect("it fits")).collect();
                    for (index, (receiver, alone)) in receivers.iter().zip(&alone).enumerate() {
                        let (tokens, finished) = answer(receiver);
                        assert_eq!(bits(&tokens), *alone, "{case} {dtype:?} request {index}, life {life}, {round}");
                        if life + round > 0 {
                            assert!(finished.usage.cached_tokens >= 128, "{case} {dtype:?} {:?}", finished.usage);
                        }
                    }
                }
                engine.shutdown();
            }
            answers.push(alone);
        }
        assert!(answers[0] != answers[1] && answers[1] != answers[2], "{case}: fewer bits are other bits");
    }
}

/// An agent's conversation: each turn sends all that was said before, the answers among it, and something new.
#[test]
fn an_agent_of_thirty_turns_computes_each_token_once() {
    for case in ["qwen3", "gemma3", "gpt-oss", "qwen3-next"] {
        let engine = Engine::start(tiny_with(case, None, 16_384), EngineOptions::default());
        let mut numbers = Numbers(11);
        let mut said = numbers.tokens(700, 120);
        let mut sent = 0;
        for turn in 0..30u64 {
            said.extend(numbers.tokens(90 + 7 * turn as usize, 120));
            sent += said.len();
            let (tokens, finished) = answer(&engine.submit(request(said.clone(), 25, turn)).expect("it fits"));
            assert_eq!(finished.usage.answer_tokens, 25);
            said.extend(tokens.iter().map(|token| token.id));
        }
        let status = engine.status();
        // Answers are computed token by token while they are made; all else of the conversation is prefill.
        let new = said.len() - 30 * 25;
        let computed = status.prefilled_tokens as usize;
        println!(
            "{case}: {sent} tokens sent, {new} new, {computed} computed: {:.4} times",
            computed as f64 / new as f64
        );
        // The last token of each answer is chosen but not computed before the next turn.
        assert!(computed <= new + 30, "{case}: {computed} computed of {new} new ones");
        engine.shutdown();
    }
}

/// Bytes of the process that are in memory; none where the system does not tell.
fn resident_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4096)
}

#[test]
fn ten_thousand_requests_leak_nothing() {
    let options = EngineOptions { kv_bytes: Some(8 << 20), max_waiting: 1000, ..EngineOptions::default() };
    let engine = Engine::start(tiny("qwen3"), options);
    let mut numbers = Numbers(17);
    let mut run = |count: usize| {
        for _ in 0..count / 50 {
            let receivers: Vec<_> = (0..50)
                .map(|index| {
                    let tokens = numbers.tokens(1 + numbers_below(index), 120);
                    // Each with a salt of its own, as a server gives its users.
                    let cache_salt = format!("user {}", numbers.next());
                    engine.submit(Request { cache_salt, ..request(tokens, 3, index as u64) }).expect("it fits")
                })
                .collect();
            for (index, receiver) in receivers.iter().enumerate() {
                // Some go away in the middle.
                if index % 10 != 9 {
                    answer(receiver);
                }
            }
        }
    };
    run(3_000);
    let before = resident_bytes();
    run(10_000);
    let status = engine.status();
    assert!(status.kv_bytes_used <= status.kv_bytes_budget, "{status:?}");
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let grown = after.saturating_sub(before);
        println!("{:.1} MB before, {:.1} MB after", before as f64 / 1e6, after as f64 / 1e6);
        assert!(grown < 4 << 20, "{grown} bytes more after 10,000 requests");
    }
}

/// Lengths from 1 to 150.
fn numbers_below(index: usize) -> usize {
    index * 61 % 150
}
