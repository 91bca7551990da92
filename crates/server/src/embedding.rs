//! Texts → vectors, for the dialects that ask for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use olivine_engine::{EmbedOptions, Event, Pooling, Request, Task};
use std::future::poll_fn;

use crate::call::{Call, Input};
use crate::conversation::{self};
use crate::error::{ApiError, Kind};
use crate::registry::KeepAlive;
use crate::state::App;

/// What is wanted of the vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Keep only the first so many numbers.
    pub dimensions: Option<usize>,
    /// Which hidden states; none: what the model's files say.
    pub pooling: Option<Pooling>,
    /// A text that is too long is cut; else it is refused.
    pub truncate: bool,
    /// Longest text where it is cut, in tokens; none: the model's.
    pub context_tokens: Option<usize>,
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
        let engine = &lease.parts.engine;
        let mut tokens = prepared.tokens;
        if wanted.truncate {
            // A decoder's context holds one more token than a prompt may have.
            let longest = engine.context_tokens() - usize::from(!engine.is_encoder());
            cut(&mut tokens, wanted.context_tokens.unwrap_or(usize::MAX).min(longest));
        }
        prompt_tokens += tokens.len();
        load = load.max(lease.waited);
        let pooling = wanted.pooling.unwrap_or(engine.pooling());
        let options = EmbedOptions { pooling, normalize: true, dimensions: wanted.dimensions };
        let (task, adapter) = (Task::Embed(options), prepared.adapter);
        let request = Request { tokens, task, adapter, ..Request::default() };
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

/// What is too long loses its end, but for the last token, which ends every text of such a model.
fn cut(tokens: &mut Vec<u32>, longest: usize) {
    if let Some(&last) = tokens.last()
        && tokens.len() > longest.max(1)
    {
        tokens.truncate(longest.max(1) - 1);
        tokens.push(last);
    }
}

/// `pooling`: `mean`, `last` or `cls`.
pub(crate) fn pooling(name: Option<&str>) -> Result<Option<Pooling>, ApiError> {
    let wrong = || ApiError::invalid("pooling", "`pooling` must be mean, last or cls");
    name.map(|name| Pooling::named(name).ok_or_else(wrong)).transpose()
}
