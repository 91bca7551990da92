//! The events of a message: start, blocks with deltas, the reason it stopped.
//!
//! Invariant: one block is open at a time; its index grows by one.

use olivine_text::parsers::ParserEvent;
use serde_json::{Value, json};

use super::error_value;
use super::shape::{Shape, stop_reason, usage};
use crate::api::new_id;
use crate::generation::Piece;
use crate::respond::{EVENT_STREAM, Encoder};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Thinking,
    Text,
    /// A call of the parser.
    Tool(usize),
}

/// The encoder.
pub struct MessageStream {
    shape: Shape,
    prompt_tokens: usize,
    open: Option<Block>,
    index: usize,
    calls: usize,
}

impl MessageStream {
    /// Nothing was told yet.
    pub fn new(shape: Shape, prompt_tokens: usize) -> MessageStream {
        MessageStream { shape, prompt_tokens, open: None, index: 0, calls: 0 }
    }

    fn event(&mut self, event: ParserEvent) -> String {
        match event {
            ParserEvent::Thinking(text) => {
                let opened =
                    self.enter(Block::Thinking, || json!({"type": "thinking", "thinking": "", "signature": ""}));
                match self.shape.hides_thinking {
                    true => opened,
                    false => opened + &self.delta(json!({"type": "thinking_delta", "thinking": text})),
                }
            }
            ParserEvent::Content(text) | ParserEvent::CallBroken { text, .. } => {
                let opened = self.enter(Block::Text, || json!({"type": "text", "text": ""}));
                opened + &self.delta(json!({"type": "text_delta", "text": text}))
            }
            ParserEvent::CallStart { .. } if self.shape.one_call && self.calls > 0 => String::new(),
            ParserEvent::CallStart { index, name, .. } => {
                self.calls += 1;
                let block = || json!({"type": "tool_use", "id": new_id("toolu_"), "name": name, "input": {}});
                self.enter(Block::Tool(index), block)
            }
            ParserEvent::CallArguments { index, delta } if self.open == Some(Block::Tool(index)) => {
                self.delta(json!({"type": "input_json_delta", "partial_json": delta}))
            }
            ParserEvent::CallEnd { index } if self.open == Some(Block::Tool(index)) => self.close(),
            ParserEvent::CallArguments { .. } | ParserEvent::CallEnd { .. } => String::new(),
        }
    }

    /// Opens a block unless it is open.
    fn enter(&mut self, block: Block, start: impl FnOnce() -> Value) -> String {
        if self.open == Some(block) {
            return String::new();
        }
        let closed = self.close();
        self.open = Some(block);
        let value = json!({"type": "content_block_start", "index": self.index, "content_block": start()});
        closed + &named("content_block_start", &value)
    }

    fn close(&mut self) -> String {
        let Some(block) = self.open.take() else { return String::new() };
        let mut frames = String::new();
        if block == Block::Thinking {
            let delta = json!({"type": "signature_delta", "signature": ""});
            frames += &self.delta(delta);
        }
        let value = json!({"type": "content_block_stop", "index": self.index});
        self.index += 1;
        frames + &named("content_block_stop", &value)
    }

    fn delta(&self, delta: Value) -> String {
        let value = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
        named("content_block_delta", &value)
    }
}

fn named(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}

impl Encoder for MessageStream {
    fn content_type(&self) -> &'static str {
        EVENT_STREAM
    }

    fn begin(&mut self) -> String {
        let message = json!({
            "id": self.shape.id,
            "type": "message",
            "role": "assistant",
            "model": self.shape.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": {
                "input_tokens": self.prompt_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 0,
            },
        });
        named("message_start", &json!({"type": "message_start", "message": message}))
    }

    fn piece(&mut self, _choice: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, .. } => events.into_iter().map(|event| self.event(event)).collect(),
            Piece::End(end) => {
                let closed = self.close();
                let (reason, sequence) = stop_reason(&end.why, end.called);
                let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
                let value = json!({"type": "message_delta", "delta": delta, "usage": usage(&end.usage)});
                closed + &named("message_delta", &value) + &named("message_stop", &json!({"type": "message_stop"}))
            }
            Piece::Failed(error) => named("error", &error_value(&error)),
        }
    }

    fn heartbeat(&mut self) -> String {
        named("ping", &json!({"type": "ping"}))
    }

    fn end(&mut self) -> String {
        String::new()
    }
}
