//! Answers → HTTP: streams of frames with heartbeats, or one document.
//!
//! Invariant: an encoder is pure: pieces in, text out. A client that goes away drops the stream, and with it the
//! generations, which cancels them.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;
use tokio::time::{Instant, Sleep};

use crate::error::ApiError;
use crate::generation::{Generation, Piece};

/// A dialect's stream.
pub trait Encoder: Send + 'static {
    /// The type of the body.
    fn content_type(&self) -> &'static str;
    /// Before anything else.
    fn begin(&mut self) -> String;
    /// What happened to one of the answers.
    fn piece(&mut self, choice: usize, piece: Piece) -> String;
    /// Nothing happened for a while.
    fn heartbeat(&mut self) -> String;
    /// All answers are whole.
    fn end(&mut self) -> String;
}

/// For server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// For a document a line.
pub const NDJSON: &str = "application/x-ndjson";

struct Frames<E> {
    /// With their numbers.
    generations: Vec<(usize, Generation)>,
    encoder: E,
    heartbeat: Duration,
    /// When something was last said.
    said: Instant,
    /// Goes off when nothing was said for too long; set anew only then, for a timer a token would cost more than the token.
    alarm: Pin<Box<Sleep>>,
    begin: String,
    over: bool,
}

/// Frames that go out in one write, in bytes.
const WRITE_BYTES: usize = 64 << 10;

/// A stream of the answers' pieces as they come.
pub fn stream<E: Encoder>(generations: Vec<Generation>, mut encoder: E, heartbeat: Duration) -> Response {
    let content_type = encoder.content_type();
    let begin = encoder.begin();
    let generations = generations.into_iter().enumerate().collect();
    let (said, alarm) = (Instant::now(), Box::pin(tokio::time::sleep(heartbeat)));
    let frames = Frames { generations, encoder, heartbeat, said, alarm, begin, over: false };
    let body = stream::unfold(frames, |mut frames| async move {
        let frame = frames.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), frames))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that collect would turn a stream into a wait.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl<E: Encoder> Frames<E> {
    async fn next(&mut self) -> Option<String> {
        let mut frames = std::mem::take(&mut self.begin);
        while frames.is_empty() {
            if self.over {
                return None;
            }
            frames = self.step().await;
        }
        self.said = Instant::now();
        Some(frames)
    }

    /// Waits until something happens, and takes along what has happened meanwhile.
    async fn step(&mut self) -> String {
        let mut frames = String::new();
        if !self.generations.is_empty() {
            let Some((at, piece)) = poll_fn(|context| self.poll(context)).await else {
                return self.encoder.heartbeat();
            };
            frames = self.say(at, piece);
            while frames.len() < WRITE_BYTES {
                let ready = |(at, (_, generation)): (usize, &mut (usize, Generation))| Some((at, generation.ready()?));
                let Some((at, piece)) = self.generations.iter_mut().enumerate().find_map(ready) else { break };
                frames += &self.say(at, Some(piece));
            }
        }
        if self.generations.is_empty() && !std::mem::replace(&mut self.over, true) {
            frames += &self.encoder.end();
        }
        frames
    }

    /// The next piece and whose it is (none: it has no more), or none when it is time for a heartbeat. Pieces that say
    /// nothing to the client (a part of the prompt was read) do not put that off.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Option<Piece>)>> {
        for (at, (_, generation)) in self.generations.iter_mut().enumerate() {
            if let Poll::Ready(piece) = generation.poll_next(context) {
                return Poll::Ready(Some((at, piece)));
            }
        }
        loop {
            ready!(self.alarm.as_mut().poll(context));
            let now = Instant::now();
            let due = self.said + self.heartbeat;
            self.alarm.as_mut().reset(if due > now { due } else { now + self.heartbeat });
            if due <= now {
                return Poll::Ready(None);
            }
        }
    }

    fn say(&mut self, at: usize, piece: Option<Piece>) -> String {
        let choice = self.generations[at].0;
        let Some(piece) = piece else {
            self.generations.remove(at);
            return String::new();
        };
        let failed = matches!(piece, Piece::Failed(_));
        let frame = self.encoder.piece(choice, piece);
        if failed {
            self.generations.clear();
            self.over = true;
        }
        frame
    }
}

/// A JSON document.
pub fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON document that says what went wrong, with a hint when to try again.
pub fn failure(status: StatusCode, error: &ApiError, value: &Value) -> Response {
    let mut response = json(status, value);
    if let Some(after) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    response
}
