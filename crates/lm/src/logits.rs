//! What a step gives: rows of logits, where the model ran. A token is chosen from a row's head where that decides it, so
//! that of logits on a GPU only few numbers come back.
//!
//! Invariant: a token does not depend on whether its row came back. Read next: `sampling.rs`, `draw.rs`.

use olivine_array::Array;
use olivine_array::fast::greatest::{self, Question, Reader};

use crate::sampling::Choice;
use crate::sampling_options::SamplingOptions;

/// Logits `[rows, vocabulary]`.
pub struct Logits {
    rows: Array,
    count: usize,
    vocabulary: usize,
    reader: Reader,
}

/// The token that is wanted of a row.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// How it is chosen.
    pub sampling: &'a SamplingOptions,
    /// The tokens of the sequence so far.
    pub history: &'a [u32],
    /// Its position in the sequence.
    pub position: usize,
}

impl Logits {
    /// Rows `[count, vocabulary]` of f32, or one row and a `count` of 0.
    pub fn new(rows: Array, count: usize, vocabulary: usize, reader: Reader) -> Logits {
        rows.eval();
        Logits { rows, count, vocabulary, reader }
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One row.
    pub fn row(&self, index: usize) -> Vec<f32> {
        greatest::row(&self.rows, index, self.vocabulary)
    }

    /// All rows, one behind the other.
    pub fn all(&self) -> Vec<f32> {
        if self.count == 0 { Vec::new() } else { self.rows.to_vec() }
    }

    /// The tokens that can be chosen without the rows, of rows that are asked for: on a GPU nearly all, elsewhere none.
    /// `asks`: one for each row.
    pub fn choose_by_heads(&self, asks: &[Option<Ask<'_>>]) -> Vec<Option<Choice>> {
        assert_eq!(asks.len(), self.count, "[logits] asks for {} rows", self.count);
        let question = |ask: &Option<Ask<'_>>| {
            let ask = ask.as_ref()?;
            ask.sampling.question(ask.history, self.vocabulary)
        };
        let questions: Vec<Option<Question>> = asks.iter().map(question).collect();
        let asked: Vec<Question> = questions.iter().map(|question| question.clone().unwrap_or_default()).collect();
        let heads = match questions.iter().any(Option::is_some) {
            true => self.reader.heads(&self.rows, &asked),
            false => None,
        };
        let Some(heads) = heads else { return vec![None; self.count] };
        let choose = |((ask, question), head): ((&Option<Ask<'_>>, &Option<Question>), &greatest::Head)| {
            let (Some(ask), Some(_)) = (ask, question) else { return None };
            ask.sampling.choose_by_head(head, ask.history, ask.position, self.vocabulary)
        };
        asks.iter().zip(&questions).zip(&heads).map(choose).collect()
    }

    /// A token for each row.
    pub fn choose(&self, asks: &[Ask<'_>]) -> Vec<Choice> {
        let early = self.choose_by_heads(&asks.iter().copied().map(Some).collect::<Vec<_>>());
        let chosen = early.into_iter().zip(asks).enumerate();
        let choose = |(index, (early, ask)): (usize, (Option<Choice>, &Ask<'_>))| {
            early.unwrap_or_else(|| ask.sampling.choose(&mut self.row(index), ask.history, ask.position))
        };
        chosen.map(choose).collect()
    }
}
