//! One answer: from a prompt's tokens to reasoning, text and calls as they come.
//!
//! Invariant: every answer ends with one `End` or `Failed`. Dropping a `Generation` cancels it in the engine. Read
//! `conversation` for how a prompt is made and `respond` for how pieces become frames.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use olivine_engine::{Event, FinishReason, Receiver, Request, Usage};
use olivine_text::StreamDecoder;
use olivine_text::parsers::{OutputParser, ParsedOutput, ParserEvent};

use crate::error::{ApiError, Kind};
use crate::registry::Lease;
use crate::running::Ticket;
use crate::state::{App, Metrics};
use crate::stop::StopFilter;

/// What happens in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// The prompt is being read.
    Prefill {
        /// Prompt tokens that are in the cache.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// More of the answer.
    Output {
        /// What was recognised.
        events: Vec<ParserEvent>,
        /// Tokens with their probabilities, where asked for.
        tokens: Vec<TokenInfo>,
    },
    /// It is whole.
    End(End),
    /// It failed.
    Failed(ApiError),
}

/// A token and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenInfo {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The most likely tokens with theirs.
    pub top: Vec<(Vec<u8>, f32)>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model was done.
    Stop,
    /// A stop string came.
    StopString(String),
    /// The limit of tokens or the context.
    Length,
}

/// The end of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Why.
    pub why: Why,
    /// Whether tools were called.
    pub called: bool,
    /// What it took.
    pub usage: Usage,
    /// Tokens of the answer that were reasoning.
    pub reasoning_tokens: usize,
    /// From the request to the end, the load included.
    pub total: Duration,
    /// Loading the model, where this request waited for it.
    pub load: Duration,
    /// The prompt and the answer, where [`Plan::tells_tokens`].
    pub tokens: Vec<u32>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Reasoning, text and calls.
    pub output: ParsedOutput,
    /// Tokens with probabilities.
    pub tokens: Vec<TokenInfo>,
    /// Those among them that became text.
    pub text_tokens: Vec<TokenInfo>,
    /// Its end.
    pub end: End,
}

/// Tells the tokens of the text from those of reasoning and calls, though text may come later than its tokens.
#[derive(Default)]
pub struct TextTokens(Vec<TokenInfo>);

impl TextTokens {
    /// The tokens of the text among `events`, which came with `tokens`.
    pub fn of_text(&mut self, events: &[ParserEvent], tokens: Vec<TokenInfo>) -> Vec<TokenInfo> {
        self.0.extend(tokens);
        if events.is_empty() {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.0);
        let is_text = |event: &ParserEvent| matches!(event, ParserEvent::Content(_) | ParserEvent::CallBroken { .. });
        if events.iter().any(is_text) { held } else { Vec::new() }
    }
}

/// An answer being made.
pub struct Generation {
    receiver: Receiver,
    lease: Arc<Lease>,
    decoder: StreamDecoder,
    filter: StopFilter,
    parser: Option<OutputParser>,
    metrics: Arc<Metrics>,
    ticket: Ticket,
    /// Prompt and answer, where they are to be told.
    told: Option<Vec<u32>>,
    started: Instant,
    with_logprobs: bool,
    /// Tokens of the answer so far.
    tokens: usize,
    called: bool,
    /// The last text was reasoning.
    thinking: bool,
    reasoning_tokens: usize,
    /// The engine has sent its last event.
    over: bool,
    /// To be told after what was held back.
    end: Option<End>,
}

/// What a generation needs beside the request.
pub struct Plan {
    /// The model.
    pub lease: Arc<Lease>,
    /// What the engine does.
    pub request: Request,
    /// Stop strings.
    pub stop: Vec<String>,
    /// Splits reasoning and calls off; none: all is text.
    pub parser: Option<OutputParser>,
    /// When the request came.
    pub started: Instant,
    /// Ids by which it can be cancelled.
    pub ids: Vec<String>,
    /// [`End::tokens`] holds the prompt and the answer.
    pub tells_tokens: bool,
}

impl Generation {
    /// Hands the request to the engine.
    pub fn start(plan: Plan, app: &App) -> Result<Generation, ApiError> {
        let Plan { lease, request, stop, parser, started, ids, tells_tokens } = plan;
        let told = tells_tokens.then(|| request.tokens.clone());
        let prompt_tokens = request.tokens.len();
        let with_logprobs = request.sampling.logprobs.is_some();
        let receiver = lease.parts.engine.submit(request)?;
        let ticket = app.running.enter(&ids, &lease.card.name, prompt_tokens, started, receiver.canceller());
        // Markers of calls and reasoning are control tokens in many vocabularies: the parser must see them.
        let decoder = lease.parts.tokenizer.continuing_decoder(parser.is_none());
        Ok(Generation {
            receiver,
            decoder,
            filter: StopFilter::new(&stop),
            parser,
            metrics: app.metrics.clone(),
            ticket,
            told,
            started,
            with_logprobs,
            tokens: 0,
            called: false,
            thinking: false,
            reasoning_tokens: 0,
            over: false,
            end: None,
            lease,
        })
    }

    /// The model that answers.
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// What happens next; none after the end.
    pub async fn next(&mut self) -> Option<Piece> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Generation::next`], for a future.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            if self.over {
                return Poll::Ready(self.end.take().map(Piece::End));
            }
            let Some(event) = std::task::ready!(self.receiver.poll_recv(context)) else {
                self.over = true;
                let error = ApiError::new(Kind::Internal, "the engine ended without an answer");
                return Poll::Ready(Some(Piece::Failed(error)));
            };
            if let Some(piece) = self.take(event) {
                return Poll::Ready(Some(piece));
            }
        }
    }

    /// What has happened already; none when nothing has, or nothing more will.
    pub fn ready(&mut self) -> Option<Piece> {
        loop {
            if self.over {
                return self.end.take().map(Piece::End);
            }
            let event = self.receiver.try_recv()?;
            if let Some(piece) = self.take(event) {
                return Some(piece);
            }
        }
    }

    /// All of it at once.
    pub async fn whole(mut self) -> Result<Answer, ApiError> {
        let (mut output, mut tokens, mut text_tokens) = (ParsedOutput::default(), Vec::new(), Vec::new());
        let mut told = TextTokens::default();
        while let Some(piece) = self.next().await {
            match piece {
                Piece::Prefill { .. } => {}
                Piece::Output { events, tokens: more } => {
                    text_tokens.extend(told.of_text(&events, more.clone()));
                    events.into_iter().for_each(|event| output.add(event));
                    tokens.extend(more);
                }
                Piece::End(end) => {
                    let end = End { called: !output.calls.is_empty(), ..end };
                    return Ok(Answer { output, tokens, text_tokens, end });
                }
                Piece::Failed(error) => return Err(error),
            }
        }
        Err(ApiError::new(Kind::Internal, "the answer has no end"))
    }

    fn take(&mut self, event: Event) -> Option<Piece> {
        match event {
            Event::Queued { .. } | Event::Started { .. } | Event::Embedding(_) => None,
            Event::Prefill { done, total } => Some(Piece::Prefill { done, total }),
            Event::Token(_) if self.filter.stopped.is_some() => None,
            Event::Token(token) => self.token(token),
            Event::Finished(finished) => {
                self.over = true;
                if finished.reason == FinishReason::Cancelled && self.filter.stopped.is_none() {
                    return Some(Piece::Failed(ApiError::new(Kind::Cancelled, "the request was cancelled")));
                }
                self.tell(finished.stop_token);
                self.finish(finished.reason, finished.usage)
            }
            Event::Failed(failure) => {
                self.over = true;
                self.metrics.failed();
                Some(Piece::Failed(failure.into()))
            }
        }
    }

    fn token(&mut self, token: olivine_engine::Token) -> Option<Piece> {
        self.tokens += 1;
        self.ticket.count_token();
        self.tell(Some(token.id));
        let text = self.decoder.push(token.id);
        let text = self.filter.push(&text);
        if self.filter.stopped.is_some() {
            // The prefix cache keeps what was computed; the last event is `Finished` all the same.
            self.receiver.cancel();
        }
        let events = self.parse(&text);
        if let Some(last) = events.last() {
            self.thinking = matches!(last, ParserEvent::Thinking(_));
        }
        self.reasoning_tokens += usize::from(self.thinking);
        let mut tokens = Vec::new();
        if self.with_logprobs {
            let tokenizer = &self.lease.parts.tokenizer;
            let bytes = |id: u32| tokenizer.token_bytes(id).to_vec();
            let top = token.top.iter().map(|&(id, logprob)| (bytes(id), logprob)).collect();
            tokens.push(TokenInfo { bytes: bytes(token.id), logprob: token.logprob.unwrap_or(0.0), top });
        }
        (!events.is_empty() || !tokens.is_empty()).then_some(Piece::Output { events, tokens })
    }

    fn tell(&mut self, token: Option<u32>) {
        if let Some(told) = &mut self.told {
            told.extend(token);
        }
    }

    fn parse(&mut self, text: &str) -> Vec<ParserEvent> {
        let events = match &mut self.parser {
            Some(parser) => parser.push(text),
            None if text.is_empty() => Vec::new(),
            None => vec![ParserEvent::Content(text.to_string())],
        };
        self.note_calls(&events);
        events
    }

    fn note_calls(&mut self, events: &[ParserEvent]) {
        self.called |= events.iter().any(|event| matches!(event, ParserEvent::CallEnd { .. }));
    }

    /// What was held back; the end comes after it.
    fn finish(&mut self, reason: FinishReason, mut usage: Usage) -> Option<Piece> {
        let events = self.rest();
        let why = match (self.filter.stopped.take(), reason) {
            (Some(stop), _) => Why::StopString(stop),
            (None, FinishReason::Stop | FinishReason::Cancelled) => Why::Stop,
            (None, FinishReason::Length) => Why::Length,
        };
        if matches!(why, Why::StopString(_)) {
            usage.answer_tokens = self.tokens;
        }
        self.metrics.finished(&usage);
        let load = self.lease.waited;
        let (called, reasoning_tokens) = (self.called, self.reasoning_tokens);
        let (total, tokens) = (self.started.elapsed(), self.told.take().unwrap_or_default());
        self.end = Some(End { why, called, usage, reasoning_tokens, total, load, tokens });
        Some(Piece::Output { events, tokens: Vec::new() })
    }

    fn rest(&mut self) -> Vec<ParserEvent> {
        let mut text = String::new();
        if self.filter.stopped.is_none() {
            let last = self.decoder.finish();
            text = self.filter.push(&last) + &self.filter.finish();
        }
        let mut events = self.parse(&text);
        if let Some(parser) = &mut self.parser {
            events.extend(parser.finish());
        }
        self.note_calls(&events);
        events
    }
}
