//! `POST /api/chat`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use olivine_text::parsers::ParserEvent;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::generate::{load_or_unload, logprobs};
use super::{Failure, error_value, finished, keep_alive, line, now, options};
use crate::api::openai::messages::{self, arguments};
use crate::api::{body, only, refuse_unknown};
use crate::call::{Call, Input};
use crate::conversation::{self, uses_tools};
use crate::error::ApiError;
use crate::generation::{Answer, Piece};
use crate::guard::RequestId;
use crate::respond::{self, Encoder, NDJSON};
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatRequest {
    #[serde(default)]
    model: String,
    #[serde(default)]
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    stream: Option<bool>,
    format: Option<Value>,
    keep_alive: Option<Value>,
    options: Option<Map<String, Value>>,
    think: Option<Value>,
    truncate: Option<bool>,
    shift: Option<bool>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl ChatRequest {
    /// Request → call.
    pub fn call(&self) -> Result<Call, ApiError> {
        refuse_unknown(&self.rest, &[])?;
        let messages = self.messages.iter().enumerate().map(|(index, message)| one(message, index));
        let mut messages = messages.collect::<Result<Vec<Value>, ApiError>>()?;
        link_results(&mut messages);
        let prefill =
            messages.last().is_some_and(|last| last["role"] == "assistant" && last.get("tool_calls").is_none());
        let input = Input::Chat { messages, tools: messages::tools(self.tools.as_ref())?, prefill };
        let mut call = Call {
            keep_alive: keep_alive(self.keep_alive.as_ref())?,
            format: options::format(self.format.as_ref())?,
            thinking: options::think(self.think.as_ref())?,
            truncate: self.truncate.unwrap_or(true) && self.shift.unwrap_or(true),
            ..Call::new(&self.model, input)
        };
        call.sampling.logprobs = options::logprobs(self.logprobs, self.top_logprobs)?;
        options::apply(self.options.as_ref(), &mut call)?;
        Ok(call)
    }
}

/// What a message may have.
const FIELDS: &[&str] = &["role", "content", "thinking", "images", "tool_calls", "tool_name", "name", "tool_call_id"];

fn one(message: &Value, index: usize) -> Result<Value, ApiError> {
    let param = format!("messages[{index}]");
    let role = message["role"].as_str().unwrap_or_default();
    if !["system", "user", "assistant", "tool"].contains(&role) {
        return Err(ApiError::invalid(&param, format!("invalid role: \"{role}\"")));
    }
    only(message, FIELDS, &param)?;
    if message["images"].as_array().is_some_and(|images| !images.is_empty()) {
        return Err(ApiError::unsupported("images", "models read text"));
    }
    let content = messages::text(&message["content"], &param)?;
    let mut out = json!({"role": role, "content": content});
    if let Some(thinking) = message["thinking"].as_str().filter(|text| !text.is_empty()) {
        out["reasoning_content"] = json!(thinking);
        out["thinking"] = json!(thinking);
    }
    for (from, to) in [("tool_name", "name"), ("name", "name"), ("tool_call_id", "tool_call_id")] {
        if let Some(value) = message.get(from).filter(|value| value.is_string()) {
            out[to] = value.clone();
        }
    }
    let mut calls = Vec::new();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let name = call["function"]["name"].as_str();
        let name = name.ok_or_else(|| ApiError::invalid(&param, "a call wants `function.name`"))?;
        let arguments = arguments(&call["function"]["arguments"], &param)?;
        calls.push(json!({"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}));
    }
    if !calls.is_empty() {
        out["tool_calls"] = json!(calls);
    }
    Ok(out)
}

/// Clients of this dialect mostly send calls and results without ids. Many templates match results with calls by id:
/// a result belongs to the first call of its name that has none yet.
fn link_results(messages: &mut [Value]) {
    let (mut count, mut open): (usize, Vec<(Value, Value)>) = (0, Vec::new());
    for message in messages {
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            if !call["id"].is_string() {
                call["id"] = json!(format!("call_{count}"));
                count += 1;
            }
            open.push((call["id"].clone(), call["function"]["name"].clone()));
        }
        if message["role"] != "tool" {
            continue;
        }
        let (id, name) = (message.get("tool_call_id").cloned(), message.get("name").cloned());
        let belongs = |(known, called): &(Value, Value)| match (&id, &name) {
            (Some(id), _) => id == known,
            (None, Some(name)) => name == called,
            (None, None) => true,
        };
        if let Some(at) = open.iter().position(belongs) {
            let (id, name) = open.remove(at);
            message["tool_call_id"] = id;
            message["name"] = name;
        }
    }
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let request: ChatRequest = body(&bytes)?;
    let call = Call { ids: vec![asked.0], ..request.call()? };
    if request.messages.is_empty() {
        let empty = json!({"role": "assistant", "content": ""});
        return Ok(load_or_unload(&app, &call, "message", empty).await?);
    }
    let card = app.registry.find(&call.model)?;
    if request.tools.as_ref().is_some_and(|tools| !tools.is_empty()) && !uses_tools(&card) {
        let message = format!("registry.ollama.ai/library/{} does not support tools", request.model);
        return Err(ApiError::invalid("tools", message).into());
    }
    let (mut generations, _) = conversation::start(&app, call).await?;
    if request.stream.unwrap_or(true) {
        let encoder = ChatStream { model: request.model, calls: HashMap::new(), told: 0 };
        return Ok(respond::stream(generations, encoder, app.options.heartbeat));
    }
    let answer = generations.remove(0).whole().await?;
    Ok(respond::json(StatusCode::OK, &whole(&request.model, &answer)))
}

fn document(model: &str, message: Value) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("model".into(), json!(model));
    document.insert("created_at".into(), json!(now()));
    document.insert("message".into(), message);
    document
}

fn tool_call(index: usize, name: &str, arguments: &str, id: Option<&str>) -> Value {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
    let id = id.map_or_else(|| crate::api::new_id("call_"), str::to_string);
    json!({"id": id, "function": {"index": index, "name": name, "arguments": arguments}})
}

fn whole(model: &str, answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.output.content});
    if !answer.output.thinking.is_empty() {
        message["thinking"] = json!(answer.output.thinking);
    }
    let calls = answer.output.calls.iter().enumerate();
    let calls: Vec<Value> =
        calls.map(|(index, call)| tool_call(index, &call.name, &call.arguments, call.id.as_deref())).collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let mut document = document(model, message);
    if !answer.tokens.is_empty() {
        document.insert("logprobs".into(), logprobs(&answer.tokens));
    }
    finished(document, &answer.end)
}

/// A document a piece; a call is told when it is whole, for a line holds whole arguments.
struct ChatStream {
    model: String,
    calls: HashMap<usize, (String, Option<String>, String)>,
    told: usize,
}

impl ChatStream {
    fn output(&mut self, events: Vec<ParserEvent>) -> Option<Value> {
        let (mut thinking, mut content, mut calls) = (String::new(), String::new(), Vec::new());
        for event in events {
            match event {
                ParserEvent::Thinking(text) => thinking += &text,
                ParserEvent::Content(text) => content += &text,
                ParserEvent::CallStart { index, name, id } => {
                    self.calls.insert(index, (name, id, String::new()));
                }
                ParserEvent::CallArguments { index, delta } => {
                    if let Some((_, _, arguments)) = self.calls.get_mut(&index) {
                        *arguments += &delta;
                    }
                }
                ParserEvent::CallEnd { index } => {
                    if let Some((name, id, arguments)) = self.calls.remove(&index) {
                        calls.push(tool_call(self.told, &name, &arguments, id.as_deref()));
                        self.told += 1;
                    }
                }
                ParserEvent::CallBroken { index, text } => {
                    self.calls.remove(&index);
                    content += &text;
                }
            }
        }
        if thinking.is_empty() && content.is_empty() && calls.is_empty() {
            return None;
        }
        let mut message = json!({"role": "assistant", "content": content});
        if !thinking.is_empty() {
            message["thinking"] = json!(thinking);
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        Some(message)
    }

    fn line(&self, message: Value) -> String {
        let mut document = document(&self.model, message);
        document.insert("done".into(), json!(false));
        line(&Value::Object(document))
    }
}

fn nothing() -> Value {
    json!({"role": "assistant", "content": ""})
}

impl Encoder for ChatStream {
    fn content_type(&self) -> &'static str {
        NDJSON
    }

    fn begin(&mut self) -> String {
        String::new()
    }

    fn piece(&mut self, _choice: usize, piece: Piece) -> String {
        match piece {
            Piece::Prefill { .. } => String::new(),
            Piece::Output { events, tokens } => {
                let message = self.output(events);
                if message.is_none() && tokens.is_empty() {
                    return String::new();
                }
                let mut document = document(&self.model, message.unwrap_or_else(nothing));
                document.insert("done".into(), json!(false));
                if !tokens.is_empty() {
                    document.insert("logprobs".into(), logprobs(&tokens));
                }
                line(&Value::Object(document))
            }
            Piece::End(end) => line(&finished(document(&self.model, nothing()), &end)),
            Piece::Failed(error) => line(&error_value(&error)),
        }
    }

    fn heartbeat(&mut self) -> String {
        self.line(nothing())
    }

    fn end(&mut self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_belong_to_calls() {
        let call = |name: &str| json!({"id": null, "function": {"name": name, "arguments": {}}});
        let mut messages = vec![
            json!({"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]}),
            json!({"role": "tool", "name": "b", "content": "1"}),
            json!({"role": "tool", "name": "a", "content": "2"}),
            json!({"role": "tool", "content": "3"}),
            json!({"role": "tool", "name": "unasked", "content": "4"}),
        ];
        link_results(&mut messages);
        let ids: Vec<&Value> = messages[0]["tool_calls"].as_array().unwrap().iter().map(|call| &call["id"]).collect();
        assert_eq!(ids, ["call_0", "call_1", "call_2"]);
        let linked: Vec<(&Value, &Value)> =
            messages[1..].iter().map(|one| (&one["tool_call_id"], &one["name"])).collect();
        assert_eq!(linked[..2], [(&json!("call_1"), &json!("b")), (&json!("call_0"), &json!("a"))]);
        assert_eq!(linked[2..], [(&json!("call_2"), &json!("a")), (&Value::Null, &json!("unasked"))]);
    }
}
