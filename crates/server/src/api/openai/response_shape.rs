//! A response as one document, and the items that it shares with its events.
//!
//! Read next: `response_stream`.

use olivine_engine::Usage;
use olivine_text::parsers::ParsedOutput;
use serde_json::{Map, Value, json};

use super::chat::call_id;
use super::{logprobs, messages};
use crate::api::new_id;
use crate::generation::{End, TokenInfo, Why};
use crate::stored::Record;

/// What is left of the request once it is a call.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `resp_…`
    pub id: String,
    pub(super) created: u64,
    pub(super) model: String,
    /// Events instead of one document.
    pub stream: bool,
    pub(super) store: bool,
    /// At most one call is told.
    pub one_call: bool,
    /// Fields that are told back.
    pub(super) echo: Map<String, Value>,
    /// The conversation up to the answer.
    pub(super) messages: Vec<Value>,
}

/// `completed` or `incomplete`.
pub(super) fn status(end: &End) -> &'static str {
    if end.why == Why::Length { "incomplete" } else { "completed" }
}

impl Shape {
    /// The items of a whole answer.
    pub(super) fn output(&self, output: &ParsedOutput, text_tokens: &[TokenInfo]) -> Vec<Value> {
        let mut items = Vec::new();
        if !output.thinking.is_empty() {
            items.push(reasoning(&new_id("rs_"), &output.thinking));
        }
        if !output.content.is_empty() {
            items.push(message(&new_id("msg_"), &output.content, "completed", logprobs(text_tokens)));
        }
        let most = if self.one_call { 1 } else { usize::MAX };
        for call in output.calls.iter().take(most) {
            items.push(function_call(&new_id("fc_"), &call_id(&call.id), &call.name, &call.arguments, "completed"));
        }
        items
    }

    /// The response as a document.
    pub fn document(&self, status: &str, output: Vec<Value>, end: Option<&End>) -> Value {
        let mut document = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": if status == "incomplete" { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "model": self.model,
            "output": output,
            "usage": end.map(|end| usage(&end.usage, end.reasoning_tokens)),
        });
        if let Some(map) = document.as_object_mut() {
            map.extend(self.echo.clone());
        }
        document
    }

    /// What is kept of the answer, if anything.
    pub fn record(&self, output: &ParsedOutput, document: &Value) -> Option<Record> {
        if !self.store {
            return None;
        }
        let mut messages = self.messages.clone();
        let mut message = json!({"role": "assistant", "content": output.content});
        if !output.thinking.is_empty() {
            message["reasoning_content"] = json!(output.thinking);
            message["thinking"] = json!(output.thinking);
        }
        let told = document["output"].as_array().into_iter().flatten().filter(|item| item["type"] == "function_call");
        let calls: Vec<Value> = told
            .map(|item| {
                let arguments = messages::arguments(&item["arguments"], "arguments").unwrap_or_else(|_| json!({}));
                json!({"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": arguments}})
            })
            .collect();
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        messages.push(message);
        Some(Record { messages, document: document.clone() })
    }
}

pub(super) fn reasoning(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]})
}

pub(super) fn message(id: &str, text: &str, status: &str, logprobs: Value) -> Value {
    let content = match text {
        "" => json!([]),
        text => json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}]),
    };
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

pub(super) fn function_call(id: &str, call_id: &str, name: &str, arguments: &str, status: &str) -> Value {
    json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name, "arguments": arguments})
}

fn usage(usage: &Usage, reasoning_tokens: usize) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.answer_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.answer_tokens,
    })
}
