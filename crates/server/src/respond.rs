//! Answers → HTTP: streams of frames with heartbeats, or one document.
//!
//! Invariant: an encoder is pure: pieces in, text out. A client that goes away drops the stream, and with it the
//! generations, which cancels them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::future::select_all;
use futures_util::stream;
use serde_json::Value;
use tokio::time::Instant;

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
    generations: Vec<(usize, Generation)>,
    encoder: E,
    heartbeat: Duration,
    /// When something was last said.
    said: Instant,
    ready: VecDeque<String>,
    over: bool,
}

/// A stream of the answers' pieces as they come.
pub fn stream<E: Encoder>(generations: Vec<Generation>, mut encoder: E, heartbeat: Duration) -> Response {
    let content_type = encoder.content_type();
    let ready = VecDeque::from([encoder.begin()]);
    let generations = generations.into_iter().enumerate().collect();
    let frames = Frames { generations, encoder, heartbeat, said: Instant::now(), ready, over: false };
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
        loop {
            if let Some(frame) = self.ready.pop_front() {
                if frame.is_empty() {
                    continue;
                }
                self.said = Instant::now();
                return Some(frame);
            }
            if self.over {
                return None;
            }
            self.step().await;
        }
    }

    async fn step(&mut self) {
        if self.generations.is_empty() {
            self.over = true;
            self.ready.push_back(self.encoder.end());
            return;
        }
        let pieces = self.generations.iter_mut().map(|(_, generation)| Box::pin(generation.next()));
        let next = select_all(pieces);
        // Pieces that say nothing to the client (a part of the prompt was read) do not put the heartbeat off.
        let (piece, at) = match tokio::time::timeout_at(self.said + self.heartbeat, next).await {
            Ok((piece, at, _)) => (piece, at),
            Err(_) => {
                self.ready.push_back(self.encoder.heartbeat());
                return;
            }
        };
        let choice = self.generations[at].0;
        match piece {
            None => {
                self.generations.remove(at);
            }
            Some(piece) => {
                if matches!(piece, Piece::Failed(_)) {
                    self.generations.clear();
                    self.over = true;
                }
                let frame = self.encoder.piece(choice, piece);
                self.ready.push_back(frame);
            }
        }
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
