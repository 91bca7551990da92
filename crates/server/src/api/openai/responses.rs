//! `POST /v1/responses`: items in, one document or typed events out.
//!
//! Invariant: what is stored under an answer's id is the whole conversation, so that `previous_response_id` needs
//! nothing else. Read `response_stream` for the events.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::chat::{effort, variables};
use super::failure::Failure;
use super::response_shape::{Shape, status};
use super::response_stream::ResponseStream;
use super::{SamplingFields, format, messages};
use crate::api::{body, new_id, now_seconds, only, refuse_unknown};
use crate::call::{Call, Input, Thinking};
use crate::conversation;
use crate::error::ApiError;
use crate::guard::RequestId;
use crate::respond;
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct ResponsesRequest {
    #[serde(default)]
    model: String,
    input: Option<Value>,
    instructions: Option<String>,
    previous_response_id: Option<String>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    max_output_tokens: Option<usize>,
    text: Option<Value>,
    reasoning: Option<Value>,
    store: Option<bool>,
    stream: Option<bool>,
    metadata: Option<Value>,
    background: Option<bool>,
    truncation: Option<String>,
    include: Option<Vec<String>>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    sampling: SamplingFields,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Fields that say who asks, how it is billed, and what to send of things that are not there.
const HINTS: &[&str] = &[
    "user",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "stream_options",
    "client_metadata",
    "max_tool_calls",
];

impl ResponsesRequest {
    /// Request → call. `before`: the conversation that `previous_response_id` names.
    pub fn call(self, before: Vec<Value>) -> Result<(Call, Shape), ApiError> {
        refuse_unknown(&self.rest, HINTS)?;
        if self.background == Some(true) {
            return Err(ApiError::unsupported("background", "answers are made while the client waits"));
        }
        if let Some(other) = self.truncation.as_deref().filter(|word| !["auto", "disabled"].contains(word)) {
            return Err(ApiError::invalid("truncation", format!("`truncation` must be auto or disabled, not {other}")));
        }
        only(self.text.as_ref().unwrap_or(&Value::Null), &["format", "verbosity"], "text")?;
        let reasoning = ["effort", "summary", "generate_summary"];
        only(self.reasoning.as_ref().unwrap_or(&Value::Null), &reasoning, "reasoning")?;
        let top = self.top_logprobs.unwrap_or(0);
        if top > 20 {
            return Err(ApiError::invalid("top_logprobs", "`top_logprobs` must be from 0 to 20"));
        }
        let included = self.include.iter().flatten().any(|what| what == "message.output_text.logprobs");
        let logprobs = (included || top > 0).then_some(top);
        let mut list = Vec::new();
        if let Some(text) = self.instructions.as_ref().filter(|text| !text.is_empty()) {
            list.push(json!({"role": "system", "content": text}));
        }
        // Instructions of earlier turns are not carried over.
        list.extend(before);
        items(self.input.as_ref(), &mut list)?;
        let kept = list[usize::from(self.instructions.as_ref().is_some_and(|text| !text.is_empty()))..].to_vec();
        let (tools, force) = messages::choose_tools(self.tool_choice.as_ref(), tools(self.tools.as_ref())?)?;
        let text_format = self.text.as_ref().map(|text| &text["format"]);
        let word = self.reasoning.as_ref().and_then(|reasoning| reasoning["effort"].as_str());
        let call = Call {
            thinking: word.map(effort).filter(|thinking| *thinking == Thinking::Off),
            variables: variables(
                word.map(|word| Map::from_iter([("reasoning_effort".into(), json!(word))])).unwrap_or_default(),
                self.text.as_ref().and_then(|text| text["verbosity"].as_str()),
            ),
            sampling: self.sampling.overrides(logprobs)?,
            max_tokens: self.max_output_tokens,
            format: format(text_format, "text.format")?,
            truncate: self.truncation.as_deref() == Some("auto"),
            force,
            strict: messages::strict(self.tools.as_ref()),
            ..Call::new(&self.model, Input::Chat { messages: list, tools, prefill: false })
        };
        let echo = json!({
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata.clone().unwrap_or_else(|| json!({})),
            "parallel_tool_calls": self.parallel_tool_calls.unwrap_or(true),
            "previous_response_id": self.previous_response_id,
            "reasoning": self.reasoning.clone().unwrap_or_else(|| json!({"effort": null, "summary": null})),
            "store": self.store.unwrap_or(true),
            "temperature": call.sampling.temperature,
            "text": self.text.clone().unwrap_or_else(|| json!({"format": {"type": "text"}})),
            "tool_choice": self.tool_choice.clone().unwrap_or_else(|| json!("auto")),
            "tools": self.tools.clone().unwrap_or_default(),
            "top_logprobs": top,
            "top_p": call.sampling.top_p,
            "truncation": self.truncation.clone().unwrap_or_else(|| "disabled".into()),
        });
        let shape = Shape {
            id: new_id("resp_"),
            created: now_seconds(),
            model: self.model,
            stream: self.stream.unwrap_or(false),
            store: self.store.unwrap_or(true),
            one_call: self.parallel_tool_calls == Some(false),
            echo: echo.as_object().cloned().unwrap_or_default(),
            messages: kept,
        };
        Ok((call, shape))
    }
}

/// Functions; tools of other types run at OpenAI's or in the client, and agents send them to every server.
fn tools(list: Option<&Vec<Value>>) -> Result<Vec<Value>, ApiError> {
    let functions = list.into_iter().flatten().filter(|tool| tool["type"] == "function");
    let wrapped: Vec<Value> = functions
        .map(|tool| match tool.get("function") {
            Some(_) => tool.clone(),
            None => {
                let mut function = tool.as_object().cloned().unwrap_or_default();
                function.remove("type");
                json!({"type": "function", "function": function})
            }
        })
        .collect();
    messages::tools(Some(&wrapped))
}

/// Items → messages. Reasoning, text and calls of one turn of the assistant become one message.
fn items(input: Option<&Value>, list: &mut Vec<Value>) -> Result<(), ApiError> {
    match input {
        Some(Value::String(text)) => list.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                self::item(item, &format!("input[{index}]"), list)?;
            }
        }
        _ => return Err(ApiError::invalid("input", "`input` must be a string or a list of items")),
    }
    Ok(())
}

fn item(item: &Value, param: &str, list: &mut Vec<Value>) -> Result<(), ApiError> {
    match item["type"].as_str() {
        None | Some("message") => {
            let content = messages::text(&item["content"], param)?;
            match item["role"].as_str() {
                Some("assistant") => {
                    let turn = turn(list);
                    let before = turn["content"].as_str().unwrap_or_default().to_string();
                    turn["content"] = json!(before + &content);
                }
                Some("user") => list.push(json!({"role": "user", "content": content})),
                Some("system" | "developer") => list.push(json!({"role": "system", "content": content})),
                _ => return Err(ApiError::invalid(param, "`role` must be user, assistant, system or developer")),
            }
        }
        Some("reasoning") => {
            let parts = if item["content"].as_array().is_some_and(|parts| !parts.is_empty()) {
                &item["content"]
            } else {
                &item["summary"]
            };
            let texts = parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
            let text: String = texts.collect::<Vec<_>>().join("\n");
            let turn = turn(list);
            turn["reasoning_content"] = json!(text);
            turn["thinking"] = json!(text);
        }
        Some("function_call") => {
            let function = json!({"name": item["name"], "arguments": messages::arguments(&item["arguments"], param)?});
            let call = json!({"id": item["call_id"], "type": "function", "function": function});
            let turn = turn(list);
            match turn["tool_calls"].as_array_mut() {
                Some(calls) => calls.push(call),
                None => turn["tool_calls"] = json!([call]),
            }
        }
        Some("function_call_output") => {
            let content = messages::text(&item["output"], param)?;
            let id = &item["call_id"];
            let calls = list.iter().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
            let name = calls.filter(|call| call["id"] == *id).map(|call| call["function"]["name"].clone()).next_back();
            list.push(json!({"role": "tool", "content": content, "tool_call_id": id, "name": name}));
        }
        Some(other) => return Err(ApiError::unsupported(param, &format!("items of type `{other}`"))),
    }
    Ok(())
}

/// The assistant's message that is being put together; a new one behind somebody else's.
fn turn(list: &mut Vec<Value>) -> &mut Value {
    if list.last().is_none_or(|last| last["role"] != "assistant") {
        list.push(json!({"role": "assistant", "content": ""}));
    }
    let last = list.len() - 1;
    &mut list[last]
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, asked: RequestId, bytes: Bytes) -> Result<Response, Failure> {
    let request: ResponsesRequest = body(&bytes)?;
    let before = match &request.previous_response_id {
        Some(id) => app.stored.get(id)?.messages,
        None => Vec::new(),
    };
    let (mut call, shape) = request.call(before)?;
    call.ids = vec![asked.0, shape.id.clone()];
    let (mut generations, _) = conversation::start(&app, call).await?;
    if shape.stream {
        let keeper = app.clone();
        let encoder = ResponseStream::new(shape, Box::new(move |id, record| keeper.stored.put(id, record)));
        return Ok(respond::stream(generations, encoder, app.options.heartbeat));
    }
    let answer = generations.remove(0).whole().await?;
    let output = shape.output(&answer.output, &answer.text_tokens);
    let document = shape.document(status(&answer.end), output, Some(&answer.end));
    if let Some(record) = shape.record(&answer.output, &document) {
        app.stored.put(&shape.id, record);
    }
    Ok(respond::json(StatusCode::OK, &document))
}
