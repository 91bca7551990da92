//! One sequence from prompt to text: prefill in pieces, decode, stop at end tokens, strings and limits.
//!
//! Invariant: text handed out is never taken back; what could be the start of a stop string waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::ModelError;
use crate::cache::Sequence;
use crate::language_model::LanguageModel;
use crate::logits::{Ask, Logits};
use crate::model::{Outputs, PREFILL_ROWS, Work};
use crate::sampling::Choice;
use crate::sampling_options::SamplingOptions;

/// When and how an answer ends, and how its tokens are chosen.
#[derive(Clone, Debug, Default)]
pub struct GenerateOptions {
    /// Of the tokens.
    pub sampling: SamplingOptions,
    /// Most tokens of the answer; none: until the context is full.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer and are not part of it.
    pub stop: Vec<String>,
    /// Go on past end tokens.
    pub ignore_end: bool,
    /// Control tokens are text too: what tells thinking and answer apart is written in them.
    pub with_control: bool,
    /// Set by another thread to end the answer soon, in the middle of a long prompt too.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl GenerateOptions {
    fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// An end token.
    End,
    /// A stop string.
    StopString,
    /// The limit of tokens, or the context is full.
    Length,
    /// The receiver asked for it.
    Cancelled,
}

/// What an answer was and what it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The tokens, the end token not among them.
    pub tokens: Vec<u32>,
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the prompt, and how many of them were in the cache.
    pub prompt_tokens: usize,
    /// Prompt tokens that did not have to be computed.
    pub cached_tokens: usize,
    /// Time of the prompt.
    pub prefill: Duration,
    /// Time of the answer.
    pub decode: Duration,
}

/// A conversation's tokens in the cache, kept from one answer to the next.
#[derive(Debug, Default)]
pub struct Session {
    sequence: Option<Sequence>,
    tokens: Vec<u32>,
}

impl Session {
    /// Give back what the session holds in the model's cache.
    pub fn close(&mut self, model: &mut LanguageModel) {
        if let Some(sequence) = self.sequence.take() {
            model.model.cache().release(sequence);
        }
        self.tokens.clear();
    }

    /// Keep the longest prefix that `prompt` shares with what is cached, one token of the prompt left to compute.
    fn reuse(&mut self, model: &mut LanguageModel, prompt: &[u32]) -> usize {
        let shared = self.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let kept = shared.min(prompt.len() - 1);
        let cut = self.sequence.as_mut().is_some_and(|sequence| model.model.cache().truncate(sequence, kept));
        if !cut {
            self.close(model);
            let mut sequence = model.model.cache().sequence();
            sequence.set_adapter(model.adapter.clone());
            self.sequence = Some(sequence);
        }
        self.tokens.truncate(if cut { kept } else { 0 });
        self.tokens.len()
    }
}

impl LanguageModel {
    /// Answer `prompt`. `emit` gets each finished piece of text with the choice it came from, and returns whether to
    /// go on.
    pub fn generate(
        &mut self,
        session: &mut Session,
        prompt: &[u32],
        options: &GenerateOptions,
        mut emit: impl FnMut(&str, &Choice) -> bool,
    ) -> Result<Answer, ModelError> {
        let context = self.model.context_tokens();
        if prompt.len() >= context || prompt.is_empty() {
            return Err(ModelError::PromptTooLong { prompt: prompt.len(), context });
        }
        self.check_tokens(prompt)?;
        let started = Instant::now();
        let cached_tokens = session.reuse(self, prompt);
        let mut logits = self.prefill(session, prompt, options);
        let (prefill, started) = (started.elapsed(), Instant::now());
        let mut text = StopFilter::new(&options.stop);
        let mut decoder = self.tokenizer.stream_decoder(!options.with_control);
        let (mut tokens, mut answer) = (Vec::new(), String::new());
        let limit = options.max_tokens.unwrap_or(usize::MAX).min(context - prompt.len());
        let finish = loop {
            let Some(row) = logits.take().filter(|_| !options.is_cancelled()) else { break FinishReason::Cancelled };
            if tokens.len() == limit {
                break FinishReason::Length;
            }
            let (history, position) = (&session.tokens[..], session.tokens.len());
            let choice = row.choose(&[Ask { sampling: &options.sampling, history, position }]).remove(0);
            drop(row);
            if !options.ignore_end && self.end_tokens.contains(&choice.token) {
                break FinishReason::End;
            }
            tokens.push(choice.token);
            let ready = text.push(&decoder.push(choice.token));
            answer.push_str(&ready);
            if !emit(&ready, &choice) {
                break FinishReason::Cancelled;
            }
            if text.stopped {
                break FinishReason::StopString;
            }
            if tokens.len() == limit {
                break FinishReason::Length;
            }
            logits = Some(self.append(session, &[choice.token], Outputs::Last));
        };
        if !text.stopped {
            let rest = text.push(&decoder.finish()) + &text.flush();
            answer.push_str(&rest);
            if !rest.is_empty() {
                emit(&rest, &Choice { token: tokens.last().copied().unwrap_or(0), logprobs: None });
            }
        }
        let decode = started.elapsed();
        Ok(Answer { tokens, text: answer, finish, prompt_tokens: prompt.len(), cached_tokens, prefill, decode })
    }

    fn check_tokens(&self, prompt: &[u32]) -> Result<(), ModelError> {
        let vocabulary = self.model.spec().vocabulary;
        match prompt.iter().find(|&&token| token as usize >= vocabulary) {
            None => Ok(()),
            Some(token) => Err(ModelError::Field {
                file: "tokenizer.json".into(),
                field: "vocab".into(),
                problem: format!("token {token} is beyond the model's vocabulary of {vocabulary}"),
            }),
        }
    }

    /// Logits behind the prompt; none when it was cancelled before its end.
    fn prefill(&mut self, session: &mut Session, prompt: &[u32], options: &GenerateOptions) -> Option<Logits> {
        let mut logits = None;
        let start = session.tokens.len();
        let pieces = prompt[start..].chunks(PREFILL_ROWS);
        let last = pieces.len() - 1;
        for (index, piece) in pieces.enumerate() {
            if options.is_cancelled() {
                return None;
            }
            let outputs = if index == last { Outputs::Last } else { Outputs::None };
            logits = Some(self.append(session, piece, outputs)).filter(|_| index == last);
        }
        // The answer has no use for the buffers of a long prompt.
        olivine_array::clear_cache();
        logits
    }

    fn append(&mut self, session: &mut Session, tokens: &[u32], outputs: Outputs) -> Logits {
        let sequence = session.sequence.as_mut().expect("a session in use has a sequence");
        let logits = self.model.logits(&mut [Work { sequence, tokens, outputs }]);
        session.tokens.extend_from_slice(tokens);
        logits
    }
}

/// Holds back text that may turn out to be the start of a stop string.
struct StopFilter<'a> {
    stop: &'a [String],
    pending: String,
    stopped: bool,
}

impl<'a> StopFilter<'a> {
    fn new(stop: &'a [String]) -> StopFilter<'a> {
        StopFilter { stop, pending: String::new(), stopped: false }
    }

    /// Take text; returns what is certain to belong to the answer.
    fn push(&mut self, text: &str) -> String {
        self.pending.push_str(text);
        let found =
            self.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| self.pending.find(&stop[..])).min();
        if let Some(at) = found {
            self.stopped = true;
            self.pending.truncate(at);
            return std::mem::take(&mut self.pending);
        }
        let partial = |stop: &String| {
            let starts = stop.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>();
            starts.into_iter().rev().find(|&at| self.pending.ends_with(&stop[..at])).unwrap_or(0)
        };
        let held = self.stop.iter().map(partial).max().unwrap_or(0);
        let rest = self.pending.split_off(self.pending.len() - held);
        std::mem::replace(&mut self.pending, rest)
    }

    fn flush(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::StopFilter;

    #[test]
    fn stop_strings_are_cut_at_every_split() {
        let stop = ["</end>".to_string(), "STOP".to_string()];
        let text = "a < b </en STO </end> more";
        for at in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let mut filter = StopFilter::new(&stop);
            let mut out = filter.push(&text[..at]);
            if !filter.stopped {
                out += &filter.push(&text[at..]);
            }
            assert!(filter.stopped, "split at {at}");
            assert_eq!(out, "a < b </en STO ", "split at {at}");
        }
    }

    #[test]
    fn a_partial_stop_string_comes_out_at_the_end() {
        let stop = ["STOP".to_string()];
        let mut filter = StopFilter::new(&stop);
        assert_eq!(filter.push("x ST"), "x ");
        assert_eq!(filter.push("A"), "STA");
        assert_eq!(filter.push("STO"), "");
        assert_eq!(filter.flush(), "STO");
    }
}
