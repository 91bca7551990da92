//! Requests on tiny models: batching, prefixes, limits, failures.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Numbers, answer, bits, request, tiny};
use olivine_engine::{
    Constraint, EmbedOptions, Engine, EngineOptions, Event, FailureKind, FinishReason, Grammar, Pooling, Receiver,
    Request, SchedulerOptions, SubmitError, Task, Token, Vocabulary,
};
use olivine_lm::model::{Outputs, Work};

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
fn pages_made_ahead_are_free_and_taken_first() {
    for case in MODELS {
        let mut model = tiny(case);
        let groups = model.cache().groups().count();
        for group in 0..groups {
            let cache = model.cache();
            cache.make_page(group);
            cache.make_page(group);
            assert_eq!((cache.pages_free(group), cache.pages_in_use(group)), (2, 0), "{case}");
            let page = cache.take_page(group);
            assert_eq!((cache.pages_free(group), cache.pages_in_use(group)), (1, 1), "{case}: page {page}");
            cache.give_back(group, page);
        }
        let logits = |model: &mut olivine_lm::model::Model| {
            let mut sequence = model.cache().sequence();
            let tokens: Vec<u32> = (3..40).collect();
            let logits = model.step(&mut [Work { sequence: &mut sequence, tokens: &tokens, outputs: Outputs::Last }]);
            model.cache().release(sequence);
            logits
        };
        assert_eq!(logits(&mut model), logits(&mut tiny(case)), "{case}");
        assert!((0..groups).all(|group| model.cache().pages_free(group) >= 2), "{case}");
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

/// A vocabulary for the tiny models, whose 128 tokens are the ASCII characters; the last one ends texts.
fn ascii() -> Vocabulary {
    Vocabulary::new((0..128u8).map(|byte| (vec![byte], byte == 127)), 127)
}

#[test]
fn constrained_answers_match_their_grammar_and_keep_their_bits_in_a_batch() {
    let options = || EngineOptions { vocabulary: Some(ascii()), ..EngineOptions::default() };
    let engine = Engine::start(tiny("qwen3"), options());
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer"},"s":{"enum":["red","blue"]}},
        "required":["n","s"],"additionalProperties":false}"#;
    let grammars = [
        Grammar::Choice(vec!["yes".into(), "no".into()]),
        Grammar::Regex("[a-f]{3}-[0-9]{2}".into()),
        Grammar::JsonSchema(schema.into()),
        Grammar::Lark("start: \"<\" /[a-z]{1,5}/ \">\"".into()),
    ];
    let ask = |seed: u64| {
        let constraint = Constraint { grammar: grammars[seed as usize % 4].clone(), after: Vec::new(), again: false };
        let asked = request(Numbers(seed).tokens(20, 120), 300, seed);
        Request { constraint: Some(constraint), stop_tokens: vec![127], ..asked }
    };
    let text = |tokens: &[Token]| tokens.iter().map(|token| token.id as u8 as char).collect::<String>();
    let alone: Vec<_> = (0..16).map(|seed| answer(&engine.submit(ask(seed)).expect("fits"))).collect();
    for (seed, (tokens, finished)) in alone.iter().enumerate() {
        let text = text(tokens);
        let matches = match seed % 4 {
            0 => text == "yes" || text == "no",
            1 => {
                text.len() == 6 && text[..3].bytes().all(|b| b"abcdef".contains(&b)) && text[4..].parse::<u8>().is_ok()
            }
            2 => text.starts_with('{') && text.contains("\"n\"") && text.contains("\"s\"") && text.ends_with('}'),
            _ => text.starts_with('<') && text.ends_with('>'),
        };
        // A model that cannot count may write an integer until the limit.
        assert!(finished.reason == FinishReason::Length || matches, "{text:?}");
    }
    assert!(alone.iter().filter(|(_, finished)| finished.reason == FinishReason::Stop).count() >= 12);
    let receivers: Vec<_> = (0..16).map(|seed| engine.submit(ask(seed)).expect("fits")).collect();
    for (receiver, (tokens, finished)) in receivers.iter().zip(&alone) {
        let (beside, end) = answer(receiver);
        assert_eq!((bits(&beside), end.reason), (bits(tokens), finished.reason));
    }
    let wrong = Constraint { grammar: Grammar::Regex("(".into()), after: Vec::new(), again: false };
    let refused = engine.submit(Request { constraint: Some(wrong), ..request(vec![1], 5, 0) });
    assert!(matches!(refused, Err(SubmitError::Invalid { field: "constraint", .. })));
    // Words that the vocabulary cannot spell.
    let unspeakable = Constraint { grammar: Grammar::Choice(vec!["\u{e9}".into()]), after: Vec::new(), again: false };
    let failed = engine.submit(Request { constraint: Some(unspeakable), ..request(vec![1], 5, 0) }).expect("fits");
    let last = failed.last();
    assert!(matches!(&last, Some(Event::Failed(failure)) if failure.kind == FailureKind::Constraint), "{last:?}");
}

#[test]
fn embeddings_and_scores_are_those_of_the_model_however_prompts_are_cut() {
    for case in MODELS {
        let tokens = Numbers(6).tokens(150, 120);
        let mut model = tiny(case);
        let mut sequence = model.cache().sequence();
        let rows = model.hidden(&mut [Work { sequence: &mut sequence, tokens: &tokens, outputs: Outputs::All }]);
        let mut again = model.cache().sequence();
        let logits = model.step(&mut [Work { sequence: &mut again, tokens: &tokens, outputs: Outputs::Last }]);
        let scores = olivine_lm::sampling::log_softmax(&logits);
        let width = model.spec().hidden;
        for max_rows in [512, 7] {
            let scheduler = SchedulerOptions { max_rows, ..SchedulerOptions::default() };
            let engine = Engine::start(tiny(case), EngineOptions { scheduler, ..EngineOptions::default() });
            let ask = |task: Task| {
                let receiver = engine.submit(Request { tokens: tokens.clone(), task, ..Request::default() });
                let events: Vec<Event> = receiver.expect("fits").collect();
                let vector = events.into_iter().find_map(|event| match event {
                    Event::Embedding(vector) => Some(vector),
                    _ => None,
                });
                vector.expect("a vector")
            };
            let embed =
                |pooling, normalize, dimensions| ask(Task::Embed(EmbedOptions { pooling, normalize, dimensions }));
            assert_eq!(embed(Pooling::First, false, None), rows[..width], "{case}");
            assert_eq!(embed(Pooling::Last, false, None), rows[149 * width..], "{case}");
            let mean = embed(Pooling::Mean, false, None);
            for (column, mean) in mean.iter().enumerate() {
                let sum: f32 = rows.iter().skip(column).step_by(width).sum();
                assert!((mean - sum / 150.0).abs() < 1e-4, "{case}");
            }
            let short = embed(Pooling::Last, true, Some(5));
            assert_eq!(short.len(), 5);
            assert!((short.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5, "{case}");
            assert_eq!(ask(Task::Score(vec![3, 100])), [scores[3], scores[100]], "{case}");
        }
    }
}

#[test]
fn requests_that_begin_alike_at_the_same_time_are_computed_once() {
    for case in ["qwen3", "gemma3"] {
        let prompt = Numbers(9).tokens(1_000, 120);
        let ask = |seed| request(prompt.clone(), 6, seed);
        let alone = Engine::start(tiny(case), EngineOptions::default());
        let expected: Vec<_> = (0..8)
            .map(|seed| whole_answer(&alone.submit(Request { no_cache: true, ..ask(seed) }).expect("fits")))
            .collect();
        let engine = Engine::start(tiny(case), EngineOptions::default());
        let receivers: Vec<_> = (0..8).map(|seed| engine.submit(ask(seed)).expect("fits")).collect();
        for (receiver, expected) in receivers.iter().zip(&expected) {
            assert_eq!(bits(&whole_answer(receiver)), bits(expected), "{case}");
        }
        let computed = engine.status().prefilled_tokens;
        assert!(computed < 2 * 1_000, "{case}: {computed} prompt tokens were computed");
    }
}
