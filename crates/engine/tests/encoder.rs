//! An encoder on the engine: vectors and scores are those of the model itself, whatever is computed beside them.

use std::path::Path;

use olivine_engine::{EmbedOptions, Engine, EngineOptions, Event, Pooling, Request, SubmitError, Task};
use olivine_lm::Precision;
use olivine_lm::encoder::{Encoder, EncoderFile, EncoderInput};
use olivine_lm::model::{LoadOptions, Model};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

fn encoder(case: &str) -> Encoder {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden-encoders");
    let folder = Place::of(&TinyModel::load(&golden.join(case)));
    let file = EncoderFile::open(&folder).expect("it opens").expect("an encoder");
    Encoder::load(&file, Precision::Exact).expect("a tiny encoder")
}

fn vector(engine: &Engine, tokens: &[u32], task: Task) -> Vec<f32> {
    let events: Vec<Event> =
        engine.submit(Request { tokens: tokens.to_vec(), task, ..Request::default() }).expect("it fits").collect();
    assert!(matches!(events.last(), Some(Event::Finished(_))), "{events:?}");
    let vectors =
        events.into_iter().filter_map(|event| if let Event::Embedding(vector) = event { Some(vector) } else { None });
    let vectors: Vec<Vec<f32>> = vectors.collect();
    assert_eq!(vectors.len(), 1);
    vectors.into_iter().next().unwrap()
}

fn text(seed: u32, tokens: u32) -> Vec<u32> {
    (0..tokens).map(|index| 3 + (seed * 31 + index * 7) % 120).collect()
}

#[test]
fn vectors_are_pooled_cut_and_normalised() {
    let encoder = encoder("bert");
    let tokens = text(1, 20);
    let hidden = encoder.hidden(&[EncoderInput { tokens: &tokens, second: 20 }]);
    let engine = Engine::open_encoder(encoder, EngineOptions::default()).expect("no budget");
    assert!(engine.is_encoder() && !engine.ranks());
    assert_eq!(engine.pooling(), Pooling::Mean);
    let ask = |pooling, normalize, dimensions| {
        vector(&engine, &tokens, Task::Embed(EmbedOptions { pooling, normalize, dimensions }))
    };
    assert_eq!(ask(Pooling::First, false, None), hidden[..64]);
    assert_eq!(ask(Pooling::Last, false, None), hidden[19 * 64..]);
    let mean: Vec<f32> = (0..64).map(|i| hidden.iter().skip(i).step_by(64).sum::<f32>() / 20.0).collect();
    let near = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&ask(Pooling::Mean, false, None), &mean));
    let short = ask(Pooling::Mean, true, Some(16));
    let length = mean[..16].iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(near(&short, &mean[..16].iter().map(|x| x / length).collect::<Vec<_>>()), "cut, then normalised anew");
    assert!((short.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
}

#[test]
fn many_at_once_are_as_each_alone() {
    let encoder = encoder("nomic-bert");
    let options = EmbedOptions { pooling: Pooling::Mean, normalize: true, dimensions: None };
    let engine = Engine::open_encoder(encoder, EngineOptions { max_waiting: 100, ..EngineOptions::default() }).unwrap();
    let texts: Vec<Vec<u32>> = (0..60).map(|seed| text(seed, 3 + seed * 5 % 97)).collect();
    let alone: Vec<Vec<f32>> = texts.iter().map(|one| vector(&engine, one, Task::Embed(options.clone()))).collect();
    let submit = |tokens: &Vec<u32>| {
        engine
            .submit(Request { tokens: tokens.clone(), task: Task::Embed(options.clone()), ..Request::default() })
            .unwrap()
    };
    let receivers: Vec<_> = texts.iter().map(submit).collect();
    for (receiver, alone) in receivers.into_iter().zip(&alone) {
        let found = receiver.into_iter().any(|event| event == Event::Embedding(alone.clone()));
        assert!(found, "other bits beside other texts");
    }
    let status = engine.status();
    assert_eq!((status.finished, status.panics), (120, 0));
}

#[test]
fn what_it_cannot_do_is_refused() {
    let plain = encoder("bert");
    let engine = Engine::open_encoder(plain, EngineOptions::default()).unwrap();
    let ask = |tokens: Vec<u32>, task: Task| engine.submit(Request { tokens, task, ..Request::default() }).err();
    let embed = |dimensions| Task::Embed(EmbedOptions { pooling: Pooling::Mean, normalize: true, dimensions });
    let invalid = |error: Option<SubmitError>| matches!(error, Some(SubmitError::Invalid { field: "task", .. }));
    assert!(invalid(ask(text(1, 5), Task::Generate)));
    assert!(invalid(ask(text(1, 5), Task::Classify { second: 2 })));
    assert!(invalid(ask(text(1, 5), embed(Some(65)))));
    assert_eq!(ask(text(1, 64), embed(None)), None, "the whole context");
    assert_eq!(ask(text(1, 65), embed(None)), Some(SubmitError::TooLong { prompt_tokens: 65, context_tokens: 64 }));
    let ranker = encoder("bert-rank");
    let tokens = text(4, 30);
    let hidden = ranker.hidden(&[EncoderInput { tokens: &tokens, second: 10 }]);
    let score = ranker.scores(&hidden[..64]).unwrap();
    let engine = Engine::open_encoder(ranker, EngineOptions::default()).unwrap();
    assert!(engine.ranks());
    assert_eq!(vector(&engine, &tokens, Task::Classify { second: 10 }), score);
    assert_ne!(vector(&engine, &tokens, Task::Classify { second: 11 }), score, "the second text begins elsewhere");
}

/// An embedding of a language model, as Qwen3-Embedding makes it: what the head would read behind the last token.
#[test]
fn the_last_token_of_a_decoder_is_what_its_head_reads() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden/qwen3");
    let tiny = TinyModel::load(&golden);
    let folder = Place::of(&tiny);
    let load = LoadOptions { precision: Precision::Exact, ..LoadOptions::default() };
    let model = Model::open(&folder, &load).expect("a tiny model");
    let engine = Engine::start(model, EngineOptions::default());
    assert_eq!(engine.pooling(), Pooling::Last, "where its files do not say");
    let options = EmbedOptions { pooling: Pooling::Last, normalize: false, dimensions: None };
    let hidden = vector(&engine, &tiny.inputs[0], Task::Embed(options));
    let head = tiny.tensor("model.embed_tokens.weight").expect("which is the head as well").values();
    let logits = head.chunks(hidden.len()).map(|row| row.iter().zip(&hidden).map(|(a, b)| a * b).sum::<f32>());
    let reference = &tiny.logits(0)[(tiny.inputs[0].len() - 1) * tiny.vocab..];
    let scale = reference.iter().fold(0f32, |max, x| max.max(x.abs()));
    assert!(logits.zip(reference).all(|(ours, theirs)| (ours - theirs).abs() <= 1e-3 * scale));
}
