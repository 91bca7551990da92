//! Texts → vectors, for the dialects that ask for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use olivine_engine::{EmbedOptions, Event, Pooling, Request, Task};
use std::future::poll_fn;

use crate::conversation::{self, Call, Input};
use crate::error::{ApiError, Kind};
use crate::registry::KeepAlive;
use crate::state::App;

/// What is wanted of the vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Keep only the first so many numbers.
    pub dimensions: Option<usize>,
    /// How long the model stays.
    pub keep_alive: Option<KeepAlive>,
}

/// Vectors of texts.
pub struct Embeddings {
    /// One a text.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub prompt_tokens: usize,
    /// Loading the model.
    pub load: Duration,
    /// From the request to the end.
    pub total: Duration,
}

/// All texts at once: they share the engine's steps.
pub async fn embed(app: &Arc<App>, model: &str, inputs: Vec<Input>, wanted: Wanted) -> Result<Embeddings, ApiError> {
    let started = Instant::now();
    let (mut receivers, mut prompt_tokens, mut load) = (Vec::new(), 0, Duration::ZERO);
    for input in inputs {
        let call = Call { keep_alive: wanted.keep_alive, ..Call::new(model, input) };
        let (lease, prepared) = conversation::prepare(app, &call).await?;
        prompt_tokens += prepared.tokens.len();
        load = load.max(lease.waited);
        let options = EmbedOptions { pooling: Pooling::Last, normalize: true, dimensions: wanted.dimensions };
        let request = Request {
            tokens: prepared.tokens,
            task: Task::Embed(options),
            adapter: prepared.adapter,
            ..Request::default()
        };
        receivers.push((lease.parts.engine.submit(request)?, lease));
    }
    let mut vectors = Vec::new();
    for (receiver, _lease) in receivers {
        let vector = loop {
            match poll_fn(|context| receiver.poll_recv(context)).await {
                Some(Event::Embedding(vector)) => break vector,
                Some(Event::Failed(failure)) => return Err(failure.into()),
                Some(_) => {}
                None => return Err(ApiError::new(Kind::Internal, "the engine gave no vector")),
            }
        };
        vectors.push(vector);
    }
    Ok(Embeddings { vectors, prompt_tokens, load, total: started.elapsed() })
}
