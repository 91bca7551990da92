//! A device that is lost in the middle of a run: requests of that step fail with its name, the engine ends, and a model
//! loaded anew gives the same answers on the device opened again. Layers split between the GPU and the CPU.

use std::path::Path;

use olivine_engine::{Engine, EngineOptions, Event, FailureKind, Receiver, Request, SamplingOptions, SubmitError};
use olivine_lm::model::{LoadOptions, Model};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

fn model(gpu_layers: Option<usize>) -> Model {
    let tiny = TinyModel::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden/qwen3"));
    let folder = Place::of(&tiny);
    let options = LoadOptions { context_tokens: Some(256), gpu_layers, ..LoadOptions::default() };
    Model::open(&folder, &options).expect("a model")
}

/// The tokens of an answer, or why there is none.
fn outcome(receiver: &Receiver) -> Result<Vec<u32>, (FailureKind, String)> {
    let mut tokens = Vec::new();
    loop {
        match receiver.recv().expect("a last event") {
            Event::Token(token) => tokens.push(token.id),
            Event::Finished(_) => return Ok(tokens),
            Event::Failed(failure) => return Err((failure.kind, failure.message)),
            _ => {}
        }
    }
}

#[test]
fn a_lost_device_fails_its_requests_and_is_opened_again() {
    let name = std::env::var("OLIVINE_DEVICE").unwrap_or_else(|_| "vulkan:0".into());
    if let Err(error) = olivine_lm::use_device(&name) {
        println!("SKIPPED: {error}");
        return;
    }
    let Some(first) = olivine_lm::gpu() else { return };
    let engine = Engine::start(model(None), EngineOptions::default());
    let sampling = || SamplingOptions { temperature: 0.8, seed: 3, ..SamplingOptions::default() };
    let ask =
        || Request { tokens: vec![5, 9, 17, 80], sampling: sampling(), max_tokens: Some(12), ..Request::default() };
    let before = outcome(&engine.submit(ask()).expect("it runs")).expect("an answer");
    assert_eq!(before.len(), 12);
    let status = engine.status();
    assert_eq!(status.device.as_deref(), Some(&first.device().info().name[..]));
    assert!(status.device_bytes_used > 0);
    first.device().simulate_loss();
    let (kind, message) = outcome(&engine.submit(ask()).expect("it is taken")).expect_err("the device is gone");
    assert_eq!(kind, FailureKind::Internal);
    assert!(message.contains("was lost") && message.contains(&first.device().info().name), "{message}");
    while !engine.is_gone() {
        std::thread::yield_now();
    }
    assert!(matches!(engine.submit(ask()), Err(SubmitError::Closed)));
    olivine_lm::reopen_if_lost().expect("the device can be opened again");
    assert!(!olivine_lm::gpu().expect("a device").is_lost());
    let engine = Engine::start(model(None), EngineOptions::default());
    assert_eq!(outcome(&engine.submit(ask()).expect("it runs")).expect("an answer"), before);
    drop(engine);
    // Half of the layers with the CPU: other bits, an answer all the same.
    let half = model(Some(1));
    assert_eq!(half.gpu_layers(), Some(1));
    let engine = Engine::start(half, EngineOptions::default());
    assert_eq!(engine.status().device_layers, Some(1));
    assert_eq!(outcome(&engine.submit(ask()).expect("it runs")).expect("an answer").len(), 12);
}
