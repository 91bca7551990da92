//! Messages and tools as OpenAI writes them → as chat templates take them.
//!
//! Invariant: order and roles stay; content is text; arguments of calls are objects.

use serde_json::{Map, Value, json};

use crate::api::only;
use crate::call::Force;
use crate::error::ApiError;

/// What a message may have: OpenAI's fields, and those of reasoning and of an answer that is begun under the names
/// that they have in other dialects.
const FIELDS: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning_content",
    "reasoning",
    "thinking",
    "prefix",
    "partial",
    // Notes of client libraries, which say nothing to a model.
    "id",
    "annotations",
    "cache_control",
    "images",
    "metadata",
    "parsed",
    "provider_specific_fields",
    "reasoning_details",
    "status",
    "thinking_blocks",
    "tool_name",
];

/// The messages of a chat request.
pub(crate) fn messages(list: &[Value]) -> Result<Vec<Value>, ApiError> {
    if list.is_empty() {
        return Err(ApiError::invalid("messages", "`messages` must not be empty"));
    }
    let mut names: Map<String, Value> = Map::new();
    list.iter().enumerate().map(|(index, message)| one(message, index, &mut names)).collect()
}

fn one(message: &Value, index: usize, names: &mut Map<String, Value>) -> Result<Value, ApiError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let role = message["role"].as_str().ok_or_else(|| ApiError::invalid(&at("role"), "`role` is missing"))?;
    only(message, FIELDS, &format!("messages[{index}]"))?;
    if message["images"].as_array().is_some_and(|images| !images.is_empty()) {
        return Err(ApiError::unsupported(&at("images"), "models read text"));
    }
    let content = text(&message["content"], &at("content"))?;
    let mut out = Map::new();
    match role {
        "system" | "developer" => {
            out.insert("role".into(), json!("system"));
            out.insert("content".into(), json!(content));
            named(message, &mut out);
        }
        "user" => {
            out.insert("role".into(), json!("user"));
            out.insert("content".into(), json!(content));
            named(message, &mut out);
        }
        "assistant" => assistant(message, content, index, &mut out, names)?,
        "tool" | "function" => {
            out.insert("role".into(), json!("tool"));
            out.insert("content".into(), json!(content));
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            // Results of the older kind name the function alone.
            let called = |(_, name): &(&String, &Value)| role == "function" && message["name"] == **name;
            let last = names.iter().filter(called).map(|(id, _)| id.clone()).next_back();
            let id = if id.is_empty() { last.as_deref().unwrap_or_default() } else { id };
            if !id.is_empty() {
                out.insert("tool_call_id".into(), json!(id));
            }
            if let Some(name) = message.get("name").filter(|name| name.is_string()).or_else(|| names.get(id)) {
                out.insert("name".into(), name.clone());
            }
        }
        other => return Err(ApiError::invalid(&at("role"), format!("`{other}` is no role"))),
    }
    Ok(Value::Object(out))
}

/// Some templates tell speakers apart.
fn named(message: &Value, out: &mut Map<String, Value>) {
    if let Some(name) = message["name"].as_str().filter(|name| !name.is_empty()) {
        out.insert("name".into(), json!(name));
    }
}

fn assistant(
    message: &Value,
    content: String,
    index: usize,
    out: &mut Map<String, Value>,
    names: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    out.insert("role".into(), json!("assistant"));
    out.insert("content".into(), json!(content));
    let reasoning = ["reasoning_content", "reasoning", "thinking"].iter().find_map(|key| message[*key].as_str());
    if let Some(reasoning) = reasoning.filter(|text| !text.is_empty()) {
        out.insert("reasoning_content".into(), json!(reasoning));
        out.insert("thinking".into(), json!(reasoning));
    }
    if let (true, Some(refusal)) = (out["content"] == "", message["refusal"].as_str()) {
        out.insert("content".into(), json!(refusal));
    }
    let mut calls = Vec::new();
    // A call of the older kind has no id of its own.
    let older = match &message["function_call"] {
        Value::Null => None,
        function => Some(json!({"id": format!("call_{index}"), "function": function})),
    };
    for (which, call) in message["tool_calls"].as_array().into_iter().flatten().chain(&older).enumerate() {
        let param = format!("messages[{index}].tool_calls[{which}].function");
        let name = call["function"]["name"].as_str();
        let name = name.ok_or_else(|| ApiError::invalid(&param, "a call wants `function.name`"))?;
        let arguments = arguments(&call["function"]["arguments"], &param)?;
        if let Some(id) = call["id"].as_str() {
            names.insert(id.into(), json!(name));
        }
        calls.push(json!({"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}));
    }
    if !calls.is_empty() {
        out.insert("tool_calls".into(), json!(calls));
    }
    Ok(())
}

/// Whether the last message is the beginning of the answer. Clients say so with `prefix` or `partial`.
pub(crate) fn is_begun(list: &[Value]) -> Result<bool, ApiError> {
    let begins = |message: &Value| message["prefix"] == true || message["partial"] == true;
    let last = list.len().saturating_sub(1);
    let wrong =
        |(index, message): &(usize, &Value)| begins(message) && (*index != last || message["role"] != "assistant");
    if let Some((index, _)) = list.iter().enumerate().find(wrong) {
        let message = "only the last message can be the beginning of an answer, and it must be the assistant's";
        return Err(ApiError::invalid(&format!("messages[{index}]"), message));
    }
    Ok(list.last().is_some_and(begins))
}

/// Arguments of an earlier call: an object, or its text. What a model wrote and is no JSON stays text.
pub(crate) fn arguments(value: &Value, param: &str) -> Result<Value, ApiError> {
    match value {
        Value::Object(_) => Ok(value.clone()),
        Value::Null => Ok(json!({})),
        Value::String(text) if text.trim().is_empty() => Ok(json!({})),
        Value::String(text) => Ok(serde_json::from_str(text).unwrap_or_else(|_| value.clone())),
        _ => Err(ApiError::invalid(param, "`arguments` must be an object or its JSON text")),
    }
}

/// Content: text, or parts of text.
pub(crate) fn text(content: &Value, param: &str) -> Result<String, ApiError> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let mut all = String::new();
            for part in parts {
                match part["type"].as_str() {
                    Some("text" | "input_text" | "output_text" | "summary_text") => {
                        all += part["text"].as_str().unwrap_or_default();
                    }
                    Some("refusal") => all += part["refusal"].as_str().unwrap_or_default(),
                    Some(other) => {
                        return Err(ApiError::unsupported(param, &format!("parts of type `{other}`; text alone is")));
                    }
                    None => return Err(ApiError::invalid(param, "a part of content wants a `type`")),
                }
            }
            Ok(all)
        }
        _ => Err(ApiError::invalid(param, "content must be a string or a list of parts")),
    }
}

/// The tools of a chat request; those that are no functions have no place in a prompt.
pub(crate) fn tools(list: Option<&Vec<Value>>) -> Result<Vec<Value>, ApiError> {
    let mut out = Vec::new();
    for (index, tool) in list.into_iter().flatten().enumerate() {
        match tool["type"].as_str() {
            Some("function") | None if tool["function"]["name"].is_string() => {
                let mut function = tool["function"].clone();
                // A promise to the server, not a part of the description.
                function.as_object_mut().map(|object| object.remove("strict"));
                if function.get("parameters").is_none_or(Value::is_null) {
                    function["parameters"] = json!({"type": "object", "properties": {}});
                }
                out.push(json!({"type": "function", "function": function}));
            }
            _ => {
                let message = "a tool wants `type: function` and `function.name`";
                return Err(ApiError::invalid(&format!("tools[{index}]"), message));
            }
        }
    }
    Ok(out)
}

/// Names of the tools whose arguments must satisfy their schema.
pub(crate) fn strict(list: Option<&Vec<Value>>) -> Vec<String> {
    let tools = list.into_iter().flatten();
    let is_strict = |tool: &&Value| tool["strict"] == true || tool["function"]["strict"] == true;
    let name = |tool: &Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()).map(str::to_string);
    tools.filter(is_strict).filter_map(name).collect()
}

/// What `tool_choice` leaves of the tools, and whether the answer must be a call.
pub(crate) fn choose_tools(choice: Option<&Value>, tools: Vec<Value>) -> Result<(Vec<Value>, Option<Force>), ApiError> {
    let wrong = |choice: &Value| ApiError::invalid("tool_choice", format!("{choice} is no tool_choice"));
    match choice {
        None | Some(Value::Null) => Ok((tools, None)),
        Some(choice @ Value::String(word)) => match word.as_str() {
            "auto" => Ok((tools, None)),
            "none" => Ok((Vec::new(), None)),
            "required" | "any" => Ok((tools, Some(Force::Any))),
            _ => Err(wrong(choice)),
        },
        Some(choice) if choice["type"] == "allowed_tools" => allowed_tools(choice, tools).ok_or_else(|| wrong(choice)),
        Some(choice) => match choice["function"]["name"].as_str().or_else(|| choice["name"].as_str()) {
            Some(name) => Ok((tools, Some(Force::Named(name.to_string())))),
            None => Err(wrong(choice)),
        },
    }
}

/// `{type: allowed_tools, …}`, its fields beside the type (responses) or in an object of that name (chat).
fn allowed_tools(choice: &Value, tools: Vec<Value>) -> Option<(Vec<Value>, Option<Force>)> {
    let fields = choice.get("allowed_tools").filter(|fields| fields.is_object()).unwrap_or(choice);
    let name = |tool: &Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()).map(str::to_string);
    let allowed: Vec<String> = fields["tools"].as_array()?.iter().filter_map(name).collect();
    let force = match fields["mode"].as_str() {
        Some("auto") | None => None,
        Some("required") => Some(Force::Any),
        Some(_) => return None,
    };
    let is_allowed = |tool: &Value| name(tool).is_some_and(|name| allowed.contains(&name));
    Some((tools.into_iter().filter(is_allowed).collect(), force))
}
