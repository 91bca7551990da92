//! Tiny models for the tests of the engine, and how to run one request.

use std::path::Path;

use olivine_engine::{Event, Finished, Receiver, Request, SamplingOptions, Token};
use olivine_lm::KvDtype;
use olivine_lm::model::{LoadOptions, Model};
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

/// The device of `OLIVINE_DEVICE`, if it says one: all of these tests hold there too.
fn choose_device() {
    static CHOSEN: std::sync::Once = std::sync::Once::new();
    CHOSEN.call_once(|| {
        if let Ok(name) = std::env::var("OLIVINE_DEVICE") {
            olivine_lm::use_device(&name).unwrap_or_else(|error| panic!("OLIVINE_DEVICE: {error}"));
        }
    });
}

/// The tiny model of a golden case, with room for 2,048 tokens.
pub fn tiny(case: &str) -> Model {
    tiny_with(case, None, 2048)
}

/// The same with another type of keys and values, or more room.
pub fn tiny_with(case: &str, kv_dtype: Option<KvDtype>, context: usize) -> Model {
    choose_device();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden").join(case);
    let folder = Place::of(&TinyModel::load(&golden));
    let options = LoadOptions { context_tokens: Some(context), kv_dtype, ..LoadOptions::default() };
    Model::open(&folder, &options).unwrap_or_else(|error| panic!("{case}: {error}"))
}

/// Numbers by a counter (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn tokens(&mut self, count: usize, vocabulary: usize) -> Vec<u32> {
        (0..count).map(|_| self.below(vocabulary) as u32).collect()
    }
}

/// A request whose answer shows its bits: sampled, with log-probabilities.
pub fn request(tokens: Vec<u32>, max_tokens: usize, seed: u64) -> Request {
    let sampling = SamplingOptions {
        temperature: if seed.is_multiple_of(3) { 0.0 } else { 0.9 },
        top_p: 0.95,
        seed,
        logprobs: Some(2),
        ..SamplingOptions::default()
    };
    Request { tokens, sampling, max_tokens: Some(max_tokens), ..Request::default() }
}

/// All of an answer: its tokens, and how it ended.
pub fn answer(receiver: &Receiver) -> (Vec<Token>, Finished) {
    let mut tokens = Vec::new();
    loop {
        match receiver.recv() {
            Some(Event::Token(token)) => tokens.push(token),
            Some(Event::Finished(finished)) => return (tokens, finished),
            Some(Event::Failed(failure)) => panic!("{failure:?}"),
            Some(_) => {}
            None => panic!("the receiver ended without a last event"),
        }
    }
}

/// Tokens and the bits of their probabilities, short enough to be printed: the count, the ids of the first few, and a
/// hash of all.
pub fn bits(tokens: &[Token]) -> (usize, Vec<u32>, u64) {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |value: u32| hash = (hash ^ u64::from(value)).wrapping_mul(0x100_0000_01b3);
    for token in tokens {
        add(token.id);
        add(token.logprob.map_or(0, f32::to_bits));
        for (id, logprob) in &token.top {
            add(*id);
            add(logprob.to_bits());
        }
    }
    (tokens.len(), tokens.iter().take(8).map(|token| token.id).collect(), hash)
}
