//! Perplexity of a token sequence in windows without overlap.

use crate::ModelError;
use crate::model::{Model, Outputs, Work};
use crate::sampling::log_softmax;

/// Mean negative log-likelihood of each window, natural logarithm; a window's first token is not scored.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowScores {
    /// One number a window.
    pub window_nll: Vec<f64>,
}

impl WindowScores {
    /// Mean over the windows.
    pub fn mean_nll(&self) -> f64 {
        self.window_nll.iter().sum::<f64>() / self.window_nll.len() as f64
    }

    /// `e` to the mean.
    pub fn perplexity(&self) -> f64 {
        self.mean_nll().exp()
    }
}

/// Score `tokens` in whole windows of `window` tokens, at most `limit` of them.
pub fn perplexity(
    model: &mut Model,
    tokens: &[u32],
    window: usize,
    limit: Option<usize>,
) -> Result<WindowScores, ModelError> {
    if window > model.context_tokens() {
        return Err(ModelError::PromptTooLong { prompt: window, context: model.context_tokens() });
    }
    if tokens.len() < window {
        let problem = format!("has {} tokens, less than one window of {window}", tokens.len());
        return Err(ModelError::Field { file: "the text".into(), field: "length".into(), problem });
    }
    let vocabulary = model.spec().vocabulary;
    let windows = tokens.chunks_exact(window).take(limit.unwrap_or(usize::MAX));
    let window_nll = windows.map(|tokens| {
        let mut sequence = model.cache().sequence();
        let work = Work { sequence: &mut sequence, tokens, outputs: Outputs::All };
        let logits = model.step(&mut [work]);
        model.cache().release(sequence);
        let scored = logits.chunks_exact(vocabulary).zip(&tokens[1..]);
        let nll: f64 = scored.map(|(row, &next)| -f64::from(log_softmax(row)[next as usize])).sum();
        nll / (window - 1) as f64
    });
    Ok(WindowScores { window_nll: window_nll.collect() })
}
