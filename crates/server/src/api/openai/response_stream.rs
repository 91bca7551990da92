//! The events of a response, in order: created, items with their deltas, completed.
//!
//! Invariant: one item is open at a time; every event has the next sequence number.

use olivine_text::parsers::{ParsedOutput, ParserEvent};
use serde_json::{Value, json};

use super::chat::call_id;
use super::failure::error_value;
use super::logprobs;
use super::response_shape::{Shape, function_call, message, reasoning, status};
use crate::api::new_id;
use crate::generation::{End, Piece, TextTokens, TokenInfo};
use crate::respond::{EVENT_STREAM, Encoder};
use crate::stored::Record;

/// Keeps a whole answer under its id.
pub type Keep = Box<dyn FnOnce(&str, Record) + Send>;

struct Open {
    id: String,
    kind: Kind,
    text: String,
    /// Of its tokens, where asked for.
    logprobs: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
    /// A call of the parser, with its id and name.
    Call(usize, String, String),
}

/// The encoder.
pub struct ResponseStream {
    shape: Shape,
    keep: Option<Keep>,
    sequence: u64,
    open: Option<Open>,
    /// Items that are whole.
    output: Vec<Value>,
    parsed: ParsedOutput,
    calls: usize,
    tokens: TextTokens,
}

impl ResponseStream {
    /// Nothing was told yet.
    pub fn new(shape: Shape, keep: Keep) -> ResponseStream {
        let (output, parsed) = (Vec::new(), ParsedOutput::default());
        ResponseStream {
            shape,
            keep: Some(keep),
            sequence: 0,
            open: None,
            output,
            parsed,
            calls: 0,
            tokens: TextTokens::default(),
        }
    }

    fn named(&mut self, name: &str, mut value: Value) -> String {
        value["type"] = json!(name);
        value["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        format!("event: {name}\ndata: {value}\n\n")
    }

    /// An event about the open item.
    fn about(&mut self, name: &str, more: Value) -> String {
        let id = self.open.as_ref().map(|open| open.id.clone()).unwrap_or_default();
        let mut value = json!({"item_id": id, "output_index": self.output.len()});
        if let (Some(map), Some(more)) = (value.as_object_mut(), more.as_object()) {
            map.extend(more.clone());
        }
        self.named(name, value)
    }

    fn event(&mut self, event: ParserEvent, tokens: &mut Vec<TokenInfo>) -> String {
        self.parsed.add(event.clone());
        match event {
            ParserEvent::Thinking(text) => {
                let frames = self.enter(Kind::Reasoning);
                self.add(&text);
                frames + &self.about("response.reasoning_text.delta", json!({"content_index": 0, "delta": text}))
            }
            ParserEvent::Content(text) | ParserEvent::CallBroken { text, .. } => {
                let frames = self.enter(Kind::Message);
                self.add(&text);
                let Value::Array(logprobs) = logprobs(&std::mem::take(tokens)) else { unreachable!("a list") };
                let delta = json!({"content_index": 0, "delta": text, "logprobs": logprobs});
                self.open.iter_mut().for_each(|open| open.logprobs.extend(logprobs.iter().cloned()));
                frames + &self.about("response.output_text.delta", delta)
            }
            ParserEvent::CallStart { .. } if self.shape.one_call && self.calls > 0 => String::new(),
            ParserEvent::CallStart { index, name, id } => {
                self.calls += 1;
                self.enter(Kind::Call(index, call_id(&id), name))
            }
            ParserEvent::CallArguments { index, delta } if self.in_call(index) => {
                self.add(&delta);
                self.about("response.function_call_arguments.delta", json!({"delta": delta}))
            }
            ParserEvent::CallEnd { index } if self.in_call(index) => self.close(),
            ParserEvent::CallArguments { .. } | ParserEvent::CallEnd { .. } => String::new(),
        }
    }

    fn in_call(&self, index: usize) -> bool {
        self.open.as_ref().is_some_and(|open| matches!(&open.kind, Kind::Call(call, ..) if *call == index))
    }

    fn add(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            open.text += text;
        }
    }

    /// Opens an item unless one of its kind is open.
    fn enter(&mut self, kind: Kind) -> String {
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            return String::new();
        }
        let mut frames = self.close();
        let (id, item) = match &kind {
            Kind::Reasoning => {
                let id = new_id("rs_");
                let item = json!({"id": id, "type": "reasoning", "summary": [], "content": []});
                (id, item)
            }
            Kind::Message => {
                let id = new_id("msg_");
                let item = message(&id, "", "in_progress", json!([]));
                (id, item)
            }
            Kind::Call(_, call, name) => {
                let id = new_id("fc_");
                let item = function_call(&id, call, name, "", "in_progress");
                (id, item)
            }
        };
        let output_index = self.output.len();
        frames += &self.named("response.output_item.added", json!({"output_index": output_index, "item": item}));
        let part = match &kind {
            Kind::Message => Some(json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []})),
            Kind::Reasoning => Some(json!({"type": "reasoning_text", "text": ""})),
            Kind::Call(..) => None,
        };
        self.open = Some(Open { id, kind, text: String::new(), logprobs: Vec::new() });
        if let Some(part) = part {
            frames += &self.about("response.content_part.added", json!({"content_index": 0, "part": part}));
        }
        frames
    }

    fn close(&mut self) -> String {
        let Some(open) = &mut self.open else { return String::new() };
        let (id, text, kind) = (open.id.clone(), open.text.clone(), open.kind.clone());
        let logprobs = std::mem::take(&mut open.logprobs);
        let mut frames = String::new();
        let item = match kind {
            Kind::Reasoning => {
                frames += &self.about("response.reasoning_text.done", json!({"content_index": 0, "text": text}));
                let part = json!({"type": "reasoning_text", "text": text});
                frames += &self.about("response.content_part.done", json!({"content_index": 0, "part": part}));
                reasoning(&id, &text)
            }
            Kind::Message => {
                let done = json!({"content_index": 0, "text": text, "logprobs": logprobs});
                frames += &self.about("response.output_text.done", done);
                let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs});
                frames += &self.about("response.content_part.done", json!({"content_index": 0, "part": part}));
                message(&id, &text, "completed", json!(logprobs))
            }
            Kind::Call(_, call, name) => {
                let done = json!({"name": name, "arguments": text});
                frames += &self.about("response.function_call_arguments.done", done);
                function_call(&id, &call, &name, &text, "completed")
            }
        };
        let output_index = self.output.len();
        frames += &self.named("response.output_item.done", json!({"output_index": output_index, "item": item}));
        self.output.push(item);
        self.open = None;
        frames
    }

    fn finish(&mut self, end: &End) -> String {
        let closed = self.close();
        let status = status(end);
        let document = self.shape.document(status, self.output.clone(), Some(end));
        if let (Some(keep), Some(record)) = (self.keep.take(), self.shape.record(&self.parsed, &document)) {
            keep(&self.shape.id, record);
        }
        closed + &self.named(&format!("response.{status}"), json!({"response": document}))
    }
}

impl Encoder for ResponseStream {
    fn content_type(&self) -> &'static str {
        EVENT_STREAM
    }

    fn begin(&mut self) -> String {
        let document = self.shape.document("in_progress", Vec::new(), None);
        self.named("response.created", json!({"response": document}))
            + &self.named("response.in_progress", json!({"response": document}))
    }

    fn piece(&mut self, _choice: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, tokens } => {
                let mut tokens = self.tokens.of_text(&events, tokens);
                events.into_iter().map(|event| self.event(event, &mut tokens)).collect()
            }
            Piece::End(end) => self.finish(&end),
            Piece::Failed(error) => {
                let mut document = self.shape.document("failed", self.output.clone(), None);
                let value = error_value(&error);
                document["error"] = json!({"code": value["error"]["type"], "message": error.message});
                self.named("response.failed", json!({"response": document}))
            }
        }
    }

    fn heartbeat(&mut self) -> String {
        let document = self.shape.document("in_progress", self.output.clone(), None);
        self.named("response.in_progress", json!({"response": document}))
    }

    fn end(&mut self) -> String {
        String::new()
    }
}
