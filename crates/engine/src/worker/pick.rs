//! The choice of a request's next tokens: one, and one more for each guess that was right.
//!
//! Invariant: the tokens are those that the rows of logits give, whether the rows came back from a GPU or only their
//! heads. Read next: `olivine_lm::logits`.

use olivine_lm::logits::{Ask, Logits};
use olivine_lm::sampling::{Choice, log_softmax};

use crate::live::Live;
use crate::reasoning::only;
use crate::types::Task;

/// What came of a request's rows of logits.
pub(super) enum Chosen {
    /// One, and one more for each guess that was right.
    Tokens(Vec<Choice>),
    Scores(Vec<f32>),
    /// The constraint allows no token, and why.
    Nothing(String),
}

/// A request whose rows are there.
pub(super) struct Pick<'a> {
    live: &'a Live,
    mask: Result<Option<Vec<u32>>, String>,
    /// Lately seen tokens, and the guesses behind them.
    history: Vec<u32>,
    /// The answer so far and the guesses, where reasoning is limited.
    answer: Vec<u32>,
    /// Its first row.
    pub first_row: usize,
    /// What the heads of its rows decided.
    pub early: Vec<Option<Choice>>,
    pub chosen: Option<Chosen>,
}

impl<'a> Pick<'a> {
    pub fn new(live: &'a Live, mask: Result<Option<Vec<u32>>, String>) -> Pick<'a> {
        let lately = live.tokens.len().saturating_sub(live.request.sampling.penalty_tokens);
        let history = [&live.tokens[lately..], &live.guesses].concat();
        let answer = match live.request.reasoning {
            Some(_) => [&live.tokens[live.request.tokens.len()..], &live.guesses].concat(),
            None => Vec::new(),
        };
        Pick { live, mask, history, answer, first_row: 0, early: Vec::new(), chosen: None }
    }

    /// Rows of logits: one behind the last token, one behind each guess.
    pub fn rows(&self) -> usize {
        1 + self.live.guesses.len()
    }

    /// Ask for the tokens that do not depend on a whole row.
    pub fn ask<'b>(&'b self, asks: &mut Vec<Option<Ask<'b>>>) {
        let is_free = matches!((&self.live.request.task, &self.mask), (Task::Generate, Ok(None)));
        for index in 0..self.rows() {
            let ask = Ask {
                sampling: &self.live.request.sampling,
                history: self.history(index),
                position: self.live.tokens.len() + index,
            };
            asks.push(Some(ask).filter(|_| is_free && self.forced(index).is_none()));
        }
    }

    /// Decide, bringing the rows that it takes.
    pub fn settle(&mut self, logits: &Logits) {
        let chosen = match (&self.live.request.task, &self.mask) {
            (Task::Score(tokens), _) => {
                let scores = log_softmax(&logits.row(self.first_row));
                Chosen::Scores(tokens.iter().map(|&token| scores[token as usize]).collect())
            }
            (_, Err(problem)) => Chosen::Nothing(problem.clone()),
            (_, Ok(mask)) => Chosen::Tokens(self.tokens(logits, mask.as_deref())),
        };
        self.chosen = Some(chosen);
    }

    /// Choose behind the last token, and go on as long as guesses were right.
    fn tokens(&self, logits: &Logits, mask: Option<&[u32]>) -> Vec<Choice> {
        let mut choices = Vec::new();
        for index in 0..self.rows() {
            let choice = self.early[index].clone().unwrap_or_else(|| {
                // A constraint that is active begins behind the reasoning.
                let forced = self.forced(index).filter(|_| mask.is_none()).map(only);
                let position = self.live.tokens.len() + index;
                let mut row = logits.row(self.first_row + index);
                let (sampling, history) = (&self.live.request.sampling, self.history(index));
                sampling.choose_among(&mut row, history, position, forced.as_deref().or(mask))
            });
            let right = self.live.guesses.get(index) == Some(&choice.token);
            choices.push(choice);
            if !right {
                break;
            }
        }
        choices
    }

    /// Tokens before row `index`, if the guesses before it are right.
    fn history(&self, index: usize) -> &[u32] {
        let guesses = self.live.guesses.len();
        let end = self.history.len() - guesses + index;
        &self.history[end.saturating_sub(self.live.request.sampling.penalty_tokens)..end]
    }

    /// The token that a limit of reasoning asks for in row `index`.
    fn forced(&self, index: usize) -> Option<u32> {
        let limit = self.live.request.reasoning.as_ref()?;
        limit.forced(&self.answer[..self.answer.len() - self.live.guesses.len() + index])
    }
}
