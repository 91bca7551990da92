//! Requests on tiny models: batching, prefixes, limits, failures.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Numbers, answer, bits, request, tiny};
use olivine_engine::{Engine, EngineOptions, Event, FailureKind, FinishReason, Receiver, Request, SubmitError, Token};

/// An answer that came to its limit.
fn whole_answer(receiver: &Receiver) -> Vec<Token> {
    let (tokens, finished) = answer(receiver);
    assert_eq!(finished.reason, FinishReason::Length);
    tokens
}

const MODELS: [&str; 4] = ["qwen3", "gemma3", "gpt-oss", "qwen3-next"];

#[test]
fn an_answer_has_the_same_bits_alone_beside_others_and_after_a_cache_hit() {
    for case in MODELS {
        let engine = Engine::start(tiny(case), EngineOptions::default());
        let mut numbers = Numbers(1);
        let requests: Vec<Request> =
            (0..12).map(|index| request(numbers.tokens(1 + 37 * index, 120), 5 + index, index as u64)).collect();
        let alone: Vec<_> = requests
            .iter()
            .map(|request| whole_answer(&engine.submit(Request { no_cache: true, ..request.clone() }).expect("fits")))
            .collect();
        for round in 0..2 {
            let receivers: Vec<_> =
                requests.iter().map(|request| engine.submit(request.clone()).expect("fits")).collect();
            for (index, (receiver, alone)) in receivers.iter().zip(&alone).enumerate() {
                let (tokens, finished) = answer(receiver);
                assert_eq!(bits(&tokens), bits(alone), "{case}: request {index} in round {round}");
                let prompt = requests[index].tokens.len();
                if round == 1 && prompt > 200 {
                    assert_eq!(finished.usage.cached_tokens, prompt - 1, "{case}: request {index}");
                }
            }
        }
        assert!(engine.status().kv_bytes_used > 0);
        engine.clear_cache();
        let (tokens, finished) = answer(&engine.submit(requests[5].clone()).expect("fits"));
        assert_eq!((bits(&tokens), finished.usage.cached_tokens), (bits(&alone[5]), 0), "{case}");
    }
}

#[test]
fn too_little_memory_makes_requests_wait_and_changes_no_bit() {
    for case in MODELS {
        let mut numbers = Numbers(2);
        let requests: Vec<Request> =
            (0..8).map(|index| request(numbers.tokens(100 + 10 * index, 120), 150, index as u64)).collect();
        let roomy = Engine::start(tiny(case), EngineOptions::default());
        let expected: Vec<_> = requests.iter().map(|r| whole_answer(&roomy.submit(r.clone()).expect("fits"))).collect();
        drop(roomy);
        let mut model = tiny(case);
        let groups = model.cache().groups().count();
        // Room for two and a half of the eight, so that they wait, and are set back when they grow.
        let pages: usize = (0..groups).map(|group| model.cache().page_bytes(group)).sum();
        let kv_bytes = 14 * pages + 6 * 4 * model.cache().state_len();
        let engine = Engine::start(model, EngineOptions { kv_bytes: Some(kv_bytes), ..EngineOptions::default() });
        let receivers: Vec<_> = requests.iter().map(|r| engine.submit(r.clone()).expect("fits")).collect();
        for (index, (receiver, expected)) in receivers.iter().zip(&expected).enumerate() {
            assert_eq!(bits(&whole_answer(receiver)), bits(expected), "{case}: request {index}");
        }
        let status = engine.status();
        assert!(status.kv_bytes_used <= kv_bytes, "{case}: {status:?}");
        if case == "qwen3" {
            assert!(status.preempted > 0, "nobody was set back");
            let large = engine.submit(request(numbers.tokens(800, 120), 100, 0));
            assert!(matches!(large, Err(SubmitError::TooLarge { .. })));
        }
    }
}

#[test]
fn requests_end_as_they_ask() {
    let engine = Engine::start(tiny("qwen3"), EngineOptions::default());
    let tokens = whole_answer(&engine.submit(request(vec![1, 2, 3], 20, 3)).expect("fits"));
    let stop = tokens[4].id;
    let first = tokens.iter().position(|token| token.id == stop).expect("it is there");
    let stopped = Request { stop_tokens: vec![stop], ..request(vec![1, 2, 3], 20, 3) };
    let (short, finished) = answer(&engine.submit(stopped).expect("fits"));
    assert_eq!(bits(&short), bits(&tokens[..first]));
    assert_eq!((finished.reason, finished.stop_token), (FinishReason::Stop, Some(stop)));
    assert_eq!(finished.usage.answer_tokens, first + 1);
    let (none, finished) = answer(&engine.submit(request(vec![1, 2, 3], 0, 3)).expect("fits"));
    assert_eq!((none.len(), finished.reason), (0, FinishReason::Length));
    // A cancelled one ends, and so does one whose receiver is gone; what they computed stays.
    let long = request(Numbers(5).tokens(300, 120), 1700, 1);
    let receiver = engine.submit(long.clone()).expect("fits");
    while !matches!(receiver.recv(), Some(Event::Token(_))) {}
    receiver.cancel();
    assert_eq!(answer(&receiver).1.reason, FinishReason::Cancelled);
    let receiver = engine.submit(long.clone()).expect("fits");
    while !matches!(receiver.recv(), Some(Event::Token(_))) {}
    drop(receiver);
    let (_, finished) = answer(&engine.submit(Request { max_tokens: Some(1), ..long }).expect("fits"));
    assert_eq!(finished.usage.cached_tokens, 299);
}

#[test]
fn wrong_requests_and_a_full_queue_are_refused() {
    let gate = Arc::new(AtomicBool::new(false));
    let hook_gate = gate.clone();
    let wait = move |_: &[(u64, usize)]| {
        while !hook_gate.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let options =
        EngineOptions { max_running: 1, max_waiting: 2, on_step: Some(Arc::new(wait)), ..EngineOptions::default() };
    let engine = Engine::start(tiny("qwen3"), options);
    assert!(matches!(engine.submit(Request::default()), Err(SubmitError::Invalid { field: "tokens", .. })));
    assert!(matches!(engine.submit(request(vec![9_999], 1, 0)), Err(SubmitError::Invalid { field: "tokens", .. })));
    assert!(matches!(engine.submit(request(vec![1; 2048], 1, 0)), Err(SubmitError::TooLong { .. })));
    let mut hot = request(vec![1], 1, 0);
    hot.sampling.temperature = -1.0;
    assert!(matches!(engine.submit(hot), Err(SubmitError::Invalid { field: "sampling", .. })));
    let mut accepted = vec![engine.submit(request(vec![1], 2, 0)).expect("the queue is empty")];
    while !matches!(accepted[0].recv(), Some(Event::Started { .. })) {}
    accepted.extend((0..2).map(|_| engine.submit(request(vec![1], 2, 0)).expect("two may wait")));
    for _ in 0..100 {
        assert!(matches!(engine.submit(request(vec![1], 2, 0)), Err(SubmitError::QueueFull { limit: 2, .. })));
    }
    gate.store(true, Ordering::Release);
    accepted.iter().for_each(|receiver| assert_eq!(whole_answer(receiver).len(), 2));
    assert_eq!(engine.status().finished, 3);
}

#[test]
fn a_panic_fails_the_requests_of_its_step_alone() {
    for case in MODELS {
        let armed = Arc::new(AtomicBool::new(false));
        let trigger = armed.clone();
        let hook = move |_: &[(u64, usize)]| {
            if trigger.swap(false, Ordering::AcqRel) {
                panic!("[test_op] a shape that does not fit");
            }
        };
        let options = EngineOptions { on_step: Some(Arc::new(hook)), ..EngineOptions::default() };
        let engine = Engine::start(tiny(case), options);
        let asked = request(Numbers(4).tokens(200, 120), 10, 1);
        let expected = whole_answer(&engine.submit(asked.clone()).expect("fits"));
        armed.store(true, Ordering::Release);
        let failed = engine.submit(request(Numbers(4).tokens(230, 120), 10, 1)).expect("fits");
        let last = failed.last().expect("a last event");
        let Event::Failed(failure) = last else { panic!("{last:?}") };
        assert_eq!(failure.kind, FailureKind::Internal);
        assert!(failure.message.contains("[test_op]"), "{failure:?}");
        let (tokens, finished) = answer(&engine.submit(asked).expect("fits"));
        assert_eq!(bits(&tokens), bits(&expected), "{case}");
        assert_eq!(finished.usage.cached_tokens, 199, "{case}: caches live on");
        assert_eq!(engine.status().panics, 1);
    }
}

#[test]
fn shutdown_finishes_what_was_accepted_and_dropping_ends_it() {
    let engine = Engine::start(tiny("qwen3"), EngineOptions::default());
    let receivers: Vec<_> = (0..4).map(|seed| engine.submit(request(vec![1, 2], 50, seed)).expect("fits")).collect();
    engine.shutdown();
    receivers.iter().for_each(|receiver| assert_eq!(whole_answer(receiver).len(), 50));
    let engine = Engine::start(tiny("qwen3"), EngineOptions::default());
    let receiver = engine.submit(request(vec![1, 2], 2000, 1)).expect("fits");
    while !matches!(receiver.recv(), Some(Event::Token(_))) {}
    drop(engine);
    let last = receiver.last();
    assert!(matches!(&last, Some(Event::Failed(failure)) if failure.kind == FailureKind::Closed), "{last:?}");
}
