//! The whole answer as a message, and what it shares with its events.
//!
//! Read next: `stream`.

use olivine_engine::Usage;
use serde_json::{Value, json};

use crate::api::new_id;
use crate::generation::{Answer, Why};

/// What is left of the request once it is a call.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `msg_…`
    pub id: String,
    /// The model as it was asked for.
    pub model: String,
    /// At most one call is told.
    pub one_call: bool,
    /// Reasoning is not told.
    pub hides_thinking: bool,
}

impl Shape {
    /// The whole answer.
    pub fn whole(&self, answer: &Answer) -> Value {
        let output = &answer.output;
        let mut content = Vec::new();
        if !output.thinking.is_empty() {
            let thinking = if self.hides_thinking { "" } else { &output.thinking };
            content.push(json!({"type": "thinking", "thinking": thinking, "signature": ""}));
        }
        if !output.content.is_empty() {
            content.push(json!({"type": "text", "text": output.content}));
        }
        let most = if self.one_call { 1 } else { usize::MAX };
        for call in output.calls.iter().take(most) {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
            content.push(json!({"type": "tool_use", "id": new_id("toolu_"), "name": call.name, "input": input}));
        }
        let (reason, sequence) = stop_reason(&answer.end.why, answer.end.called);
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage(&answer.end.usage),
        })
    }
}

pub(super) fn stop_reason(why: &Why, called: bool) -> (&'static str, Option<&str>) {
    match why {
        Why::Length => ("max_tokens", None),
        Why::StopString(stop) => ("stop_sequence", Some(stop)),
        _ if called => ("tool_use", None),
        _ => ("end_turn", None),
    }
}

/// `input_tokens` are those that were not cached.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens - usage.cached_tokens.min(usage.prompt_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.answer_tokens,
    })
}
