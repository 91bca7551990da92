//! A query and documents → how relevant each is, by an encoder that reads pairs or by a model that answers yes or no.
//!
//! Invariant: a model of neither kind is refused; a score is between 0 and 1. Read `embedding` for vectors.

use std::future::poll_fn;
use std::sync::Arc;

use olivine_engine::{Event, Receiver, Request, Task};
use olivine_text::EncodeOptions;

use crate::error::{ApiError, Kind};
use crate::registry::{Lease, Loaded};
use crate::state::App;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    /// The model's name.
    pub model: String,
    /// What is looked for.
    pub query: String,
    /// Where.
    pub documents: Vec<String>,
    /// What relevant means, for models that take it.
    pub instruction: Option<String>,
    /// Most tokens of a document; the rest is not read.
    pub document_tokens: Option<usize>,
}

/// Scores in the order of the documents.
pub struct Scores {
    /// From 0 to 1.
    pub scores: Vec<f32>,
    /// Tokens that were read.
    pub tokens: usize,
}

/// How a model ranks.
enum Way {
    /// An encoder with a classification head reads the query and the document.
    Pairs,
    /// A language model is asked whether a document is relevant: the tokens of its two answers.
    Judges { yes: u32, no: u32 },
}

/// What models that answer yes or no were trained on.
const SYSTEM: &str = "Judge whether the Document meets the requirements based on the Query and the Instruct provided. \
                      Note that the answer can only be \"yes\" or \"no\".";
const INSTRUCTION: &str = "Given a web search query, retrieve relevant passages that answer the query";

/// All documents at once: they share the engine's steps, and what is before the document its cache.
pub async fn rank(app: &Arc<App>, ranking: Ranking) -> Result<Scores, ApiError> {
    let lease = Arc::new(app.registry.lease(&ranking.model, None).await?);
    let way = Way::of(&lease)?;
    if matches!(way, Way::Pairs) && ranking.instruction.is_some() {
        let why = "a model that reads pairs takes no instruction";
        return Err(ApiError::unsupported("instruction", why));
    }
    let (model, asked) = (lease.clone(), ranking);
    let requests = move || asked.documents.iter().map(|document| request(&model, &way, &asked, document)).collect();
    let requests: Result<Vec<Request>, ApiError> = tokio::task::spawn_blocking(requests)
        .await
        .map_err(|_| ApiError::new(Kind::Internal, "encoding the documents panicked"))?;
    let requests = requests?;
    let tokens = requests.iter().map(|request| request.tokens.len()).sum();
    let submit = |request| lease.parts.engine.submit(request).map_err(ApiError::from);
    let receivers: Vec<Receiver> = requests.into_iter().map(submit).collect::<Result<_, _>>()?;
    let mut scores = Vec::new();
    for receiver in receivers {
        scores.push(relevance(&numbers(&receiver).await?));
    }
    Ok(Scores { scores, tokens })
}

impl Way {
    fn of(model: &Lease) -> Result<Way, ApiError> {
        if model.parts.engine.ranks() {
            return Ok(Way::Pairs);
        }
        let card = &model.card;
        let judges =
            card.template.contains("Judge whether the Document") || card.name.to_lowercase().contains("reranker");
        let token = |word: &str| model.parts.tokenizer.id_of(word);
        match (token("yes"), token("no")) {
            (Some(yes), Some(no)) if judges && !model.parts.engine.is_encoder() => Ok(Way::Judges { yes, no }),
            _ => {
                let message = format!(
                    "\"{}\" does not rank documents: it is no cross-encoder (a classification head) and no model that \
                     was trained to judge them",
                    card.name
                );
                Err(ApiError::invalid("model", message))
            }
        }
    }
}

fn request(model: &Loaded, way: &Way, ranking: &Ranking, document: &str) -> Result<Request, ApiError> {
    match way {
        Way::Pairs => pair(model, ranking, document),
        Way::Judges { yes, no } => {
            let instruction = ranking.instruction.as_deref().unwrap_or(INSTRUCTION);
            let before = format!(
                "<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {}\n<Document>: ",
                ranking.query
            );
            let after = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
            let (before, after) = (rendered(model, &before)?, rendered(model, after)?);
            let room = model.parts.engine.context_tokens().saturating_sub(before.len() + after.len() + 1);
            let mut inside = encode(model, document, EncodeOptions::LITERAL)?;
            inside.truncate(ranking.document_tokens.unwrap_or(usize::MAX).min(room));
            let tokens = [before, inside, after].concat();
            Ok(Request { tokens, task: Task::Score(vec![*yes, *no]), ..Request::default() })
        }
    }
}

/// The query and, behind its separators, the document; what does not fit of the document is not read.
fn pair(model: &Loaded, ranking: &Ranking, document: &str) -> Result<Request, ApiError> {
    let query = encode(model, &ranking.query, EncodeOptions::TEXT)?;
    let whole = encode(model, document, EncodeOptions::TEXT)?;
    let (Some(&separator), [_, inside @ .., end]) = (query.last(), &whole[..]) else {
        return Err(ApiError::new(Kind::Internal, "the tokenizer has no tokens that begin and end texts"));
    };
    let mut tokens = query;
    tokens.extend(std::iter::repeat_n(separator, model.parts.engine.pair_separators() - 1));
    let second = tokens.len();
    let room = model.parts.engine.context_tokens().saturating_sub(second + 1);
    if room == 0 {
        return Err(ApiError::new(Kind::TooLong, format!("the query has {second} tokens, which leaves no room")));
    }
    let kept = inside.len().min(room).min(ranking.document_tokens.unwrap_or(usize::MAX));
    tokens.extend(&inside[..kept]);
    tokens.push(*end);
    Ok(Request { tokens, task: Task::Classify { second }, ..Request::default() })
}

fn rendered(model: &Loaded, text: &str) -> Result<Vec<u32>, ApiError> {
    encode(model, text, EncodeOptions::RENDERED)
}

fn encode(model: &Loaded, text: &str, options: EncodeOptions) -> Result<Vec<u32>, ApiError> {
    model.parts.tokenizer.encode(text, options).map_err(|error| ApiError::new(Kind::Invalid, error.to_string()))
}

async fn numbers(receiver: &Receiver) -> Result<Vec<f32>, ApiError> {
    loop {
        match poll_fn(|context| receiver.poll_recv(context)).await {
            Some(Event::Embedding(numbers)) => return Ok(numbers),
            Some(Event::Failed(failure)) => return Err(failure.into()),
            Some(_) => {}
            None => return Err(ApiError::new(Kind::Internal, "the engine gave no score")),
        }
    }
}

/// One number is a logit; two are the logarithms of yes and no, of which only the ratio counts.
fn relevance(numbers: &[f32]) -> f32 {
    let logit = match numbers {
        [yes, no, ..] => f64::from(*yes) - f64::from(*no),
        [one] => f64::from(*one),
        [] => f64::NEG_INFINITY,
    };
    (1.0 / (1.0 + (-logit).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::relevance;

    #[test]
    fn relevance_is_between_nothing_and_all() {
        assert_eq!(relevance(&[0.0]), 0.5);
        assert!((relevance(&[2.0]) - 0.880_797).abs() < 1e-6);
        assert!((relevance(&[(0.6f32).ln(), (0.2f32).ln()]) - 0.75).abs() < 1e-6);
        assert!(relevance(&[-200.0]) < 1e-6 && relevance(&[200.0]) == 1.0);
    }
}
