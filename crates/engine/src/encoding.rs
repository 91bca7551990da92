//! An engine of an encoder: texts become vectors or scores, several of them in a step; nothing is cached.
//!
//! Invariant: a text's bits do not depend on those beside it; a step that panics fails its own texts, others go on.
//! Read `engine.rs` for the handle and `worker` for the engine of a decoder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use olivine_lm::encoder::{Encoder, EncoderInput};
use olivine_lm::encoder_spec::EncoderSpec;

use crate::live::Live;
use crate::shared::{Command, Probe, Shared, Status};
use crate::types::{EmbedOptions, Event, FailureKind, FinishReason, Pooling, Task};
use crate::worker::{fail, panic_message};

/// Most tokens in a step, unless one text has more.
const STEP_TOKENS: usize = 2048;

/// Bytes that a step takes at most beside the weights: rows of the widest kinds, and the scores of one block of queries.
pub(crate) fn activation_bytes(spec: &EncoderSpec) -> usize {
    let tokens = STEP_TOKENS.max(spec.context_tokens);
    let rows = tokens * (8 * spec.hidden + 3 * spec.layer.width);
    4 * (rows + 2 * spec.layer.heads * olivine_lm::encoder::QUERY_ROWS * spec.context_tokens)
}

pub(crate) struct Encoding {
    pub encoder: Encoder,
    pub commands: Receiver<Command>,
    pub shared: Arc<Shared>,
    pub waiting: Vec<Live>,
    pub closing: bool,
}

impl Encoding {
    /// Serve until the handle is gone, or until all is done after a shutdown.
    pub fn run(mut self) {
        while self.receive() {
            let texts = self.take();
            if !texts.is_empty() {
                self.step(texts);
            } else if self.closing {
                break;
            }
        }
        for live in self.waiting.drain(..) {
            fail(&live, FailureKind::Closed, "the engine was closed".into());
        }
    }

    /// Take commands, waiting for one when there is nothing else to do. False when the handle is gone.
    fn receive(&mut self) -> bool {
        if self.waiting.is_empty() && !self.closing {
            match self.commands.recv() {
                Ok(command) => self.obey(command),
                Err(_) => return false,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return self.closing,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(live) => {
                live.sender.send(Event::Queued { ahead: self.waiting.len() });
                self.waiting.push(*live);
                self.waiting.sort_by_key(|live| (std::cmp::Reverse(live.request.priority), live.id));
            }
            Command::Probe { answer, .. } => drop(answer.send(Probe::default())),
            Command::ClearCache { answer } => drop(answer.send(0)),
            Command::Shutdown => self.closing = true,
        }
    }

    /// The texts of the next step.
    fn take(&mut self) -> Vec<Live> {
        let (mut texts, mut tokens) = (Vec::<Live>::new(), 0);
        while let Some(next) = self.waiting.first() {
            let cancelled = next.sender.is_cancelled();
            if !cancelled && !texts.is_empty() && tokens + next.tokens.len() > STEP_TOKENS {
                break;
            }
            let mut live = self.waiting.remove(0);
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            if cancelled {
                live.finish(FinishReason::Cancelled, None);
                continue;
            }
            tokens += live.tokens.len();
            live.started = Some(Instant::now());
            live.sender.send(Event::Started { cached_tokens: 0 });
            texts.push(live);
        }
        self.count(|status| {
            status.running = texts.len();
            status.prompt_tokens += tokens as u64;
        });
        texts
    }

    fn step(&mut self, mut texts: Vec<Live>) {
        let computed = catch_unwind(AssertUnwindSafe(|| self.vectors(&texts)));
        let tokens: usize = texts.iter().map(|live| live.tokens.len()).sum();
        self.count(|status| {
            status.steps += 1;
            status.running = 0;
            status.finished += texts.len() as u64;
            status.prefilled_tokens += tokens as u64;
            status.panics += u64::from(computed.is_err());
        });
        match computed {
            Ok(vectors) => {
                for (live, vector) in texts.iter_mut().zip(vectors) {
                    live.sender.send(Event::Embedding(vector));
                    live.finish(FinishReason::Stop, None);
                }
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                texts.iter().for_each(|live| fail(live, FailureKind::Internal, message.clone()));
            }
        }
    }

    /// What each text asks for.
    fn vectors(&self, texts: &[Live]) -> Vec<Vec<f32>> {
        let second = |live: &Live| match live.request.task {
            Task::Classify { second } => second,
            _ => live.tokens.len(),
        };
        let inputs: Vec<EncoderInput<'_>> =
            texts.iter().map(|live| EncoderInput { tokens: &live.tokens, second: second(live) }).collect();
        let hidden = self.encoder.hidden(&inputs);
        let width = self.encoder.spec().hidden;
        let (mut vectors, mut start) = (Vec::new(), 0);
        for live in texts {
            let rows = &hidden[start * width..(start + live.tokens.len()) * width];
            start += live.tokens.len();
            vectors.push(match &live.request.task {
                Task::Embed(options) => embed(options, rows, width),
                _ => self.encoder.scores(&rows[..width]).expect("[engine] checked when it was submitted"),
            });
        }
        vectors
    }

    fn count(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.shared.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn embed(options: &EmbedOptions, rows: &[f32], width: usize) -> Vec<f32> {
    let rows = rows.chunks_exact(width);
    let count = rows.len();
    let skipped = if options.pooling == Pooling::Last { count - 1 } else { 0 };
    let taken = if options.pooling == Pooling::Mean { count } else { 1 };
    let mut picked = rows.skip(skipped).take(taken);
    let mut sum = picked.next().unwrap_or_default().to_vec();
    for row in picked {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    options.finish(sum, count)
}
