//! Perplexity of a token sequence in windows without overlap.

use crate::ModelError;
use crate::model::{Model, Outputs, Work};
use crate::sampling::log_softmax;

/// How a text is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// Tokens of a window.
    pub window: usize,
    /// Use the first windows only.
    pub windows: Option<usize>,
    /// Which tokens of a window count.
    pub scored: Scored,
    /// Stands in the place of every window's first token (`llama-perplexity` puts the begin token there).
    pub first: Option<u32>,
}

/// Which tokens of a window count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scored {
    /// All but the first.
    All,
    /// Those behind the middle, which have half a window before them: what `llama-perplexity` counts.
    SecondHalf,
}

/// Mean negative log-likelihood of each window, natural logarithm.
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

impl Scoring {
    /// Whole windows of `window` tokens.
    pub fn windows_of(window: usize) -> Scoring {
        Scoring { window, windows: None, scored: Scored::All, first: None }
    }

    /// The first row of a window whose prediction counts.
    fn first_row(&self) -> usize {
        match self.scored {
            Scored::All => 0,
            Scored::SecondHalf => self.window / 2,
        }
    }
}

/// Score `tokens` in whole windows; a rest that fills none is left out.
pub fn perplexity(model: &mut Model, tokens: &[u32], scoring: &Scoring) -> Result<WindowScores, ModelError> {
    let window = scoring.window;
    if window > model.context_tokens() {
        return Err(ModelError::PromptTooLong { prompt: window, context: model.context_tokens() });
    }
    if tokens.len() < window || window < 2 {
        let problem = format!("has {} tokens, less than one window of {window}; give a smaller window", tokens.len());
        return Err(ModelError::Field { file: "the text".into(), field: "length".into(), problem });
    }
    let vocabulary = model.spec().vocabulary;
    let windows = tokens.chunks_exact(window).take(scoring.windows.unwrap_or(usize::MAX));
    let window_nll = windows.map(|tokens| {
        let mut tokens = tokens.to_vec();
        tokens[0] = scoring.first.unwrap_or(tokens[0]);
        let logits = logits(model, &tokens, scoring.first_row());
        let next = &tokens[scoring.first_row() + 1..];
        let scored = logits.chunks_exact(vocabulary).zip(next);
        let nll: f64 = scored.map(|(row, &next)| -f64::from(log_softmax(row)[next as usize])).sum();
        nll / next.len() as f64
    });
    Ok(WindowScores { window_nll: window_nll.collect() })
}

/// Logits of the rows from `first` on, in a sequence of its own.
fn logits(model: &mut Model, tokens: &[u32], first: usize) -> Vec<f32> {
    let mut sequence = model.cache().sequence();
    if first > 0 {
        model.step(&mut [Work { sequence: &mut sequence, tokens: &tokens[..first], outputs: Outputs::None }]);
    }
    let logits = model.step(&mut [Work { sequence: &mut sequence, tokens: &tokens[first..], outputs: Outputs::All }]);
    model.cache().release(sequence);
    logits
}
