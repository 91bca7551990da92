//! Messages, system blocks and tools as Anthropic writes them → as chat templates take them.
//!
//! Invariant: blocks keep their order; a tool's results come before the user's words, as they were given. A system
//! message in the middle stays where it is. Claude Code's billing line, another one each time, is left out: it would
//! part every prompt from the cached one.

use olivine_engine::Grammar;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::openai::messages;
use crate::api::{only, refuse_unknown};
use crate::call::{Call, Force, Input, Thinking};
use crate::error::ApiError;

/// The body of both endpoints.
#[derive(Clone, Debug, Deserialize)]
pub struct MessagesRequest {
    /// The model's name.
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    messages: Vec<Value>,
    system: Option<Value>,
    max_tokens: Option<usize>,
    /// Events instead of one document.
    pub stream: Option<bool>,
    stop_sequences: Option<Vec<String>>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    thinking: Option<Value>,
    output_config: Option<Value>,
    output_format: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Fields that say who asks, how it is billed and how the server caches, which it does by itself.
const HINTS: &[&str] = &[
    "metadata",
    "service_tier",
    "cache_control",
    "betas",
    "context_management",
    "inference_geo",
    "speed",
    "billing_policy",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
];

const BILLING: &str = "x-anthropic-billing-header";

impl MessagesRequest {
    /// Request → call. `counting`: `max_tokens` is not wanted.
    pub fn call(&self, counting: bool) -> Result<Call, ApiError> {
        refuse_unknown(&self.rest, HINTS)?;
        if self
            .rest
            .get("context_management")
            .and_then(|value| value["edits"].as_array())
            .is_some_and(|list| !list.is_empty())
        {
            let keeps_all = |edit: &Value| edit["keep"] == "all";
            let edits = self.rest["context_management"]["edits"].as_array().into_iter().flatten();
            if !edits.clone().all(keeps_all) {
                return Err(ApiError::unsupported("context_management", "the conversation is used as it was sent"));
            }
        }
        // 0: the prompt is read and cached.
        if !counting && self.max_tokens.is_none() {
            return Err(ApiError::invalid("max_tokens", "max_tokens: Field required"));
        }
        if self.messages.is_empty() {
            return Err(ApiError::invalid("messages", "messages: at least one message is required"));
        }
        let mut messages = Vec::new();
        let system = system(self.system.as_ref())?;
        if !system.is_empty() {
            messages.push(json!({"role": "system", "content": system}));
        }
        for (index, message) in self.messages.iter().enumerate() {
            self::message(message, index, &mut messages)?;
        }
        name_results(&mut messages);
        let last = messages.last();
        let prefill = last.is_some_and(|last| last["role"] == "assistant" && last.get("tool_calls").is_none());
        let (tools, force) = self.tools()?;
        let mut call = Call::new(&self.model, Input::Chat { messages, tools, prefill });
        call.max_tokens = self.max_tokens;
        call.stop = self.stop_sequences.clone().unwrap_or_default();
        call.sampling.temperature = self.temperature;
        call.sampling.top_p = self.top_p;
        call.sampling.top_k = self.top_k;
        call.thinking = self.thinking()?;
        call.thinking_tokens = self.thinking_tokens()?;
        call.format = self.format()?;
        call.force = force;
        call.strict = messages::strict(self.tools.as_ref());
        Ok(call)
    }

    /// Whether at most one call is wanted.
    pub fn one_call(&self) -> bool {
        self.tool_choice.as_ref().is_some_and(|choice| choice["disable_parallel_tool_use"] == true)
    }

    fn thinking(&self) -> Result<Option<Thinking>, ApiError> {
        only(self.thinking.as_ref().unwrap_or(&Value::Null), &["type", "budget_tokens", "display"], "thinking")?;
        only(self.output_config.as_ref().unwrap_or(&Value::Null), &["effort", "format"], "output_config")?;
        let kind = self.thinking.as_ref().map(|thinking| thinking["type"].as_str().unwrap_or_default());
        match kind {
            Some("disabled") => Ok(Some(Thinking::Off)),
            // Clients ask every model for reasoning; one that has none answers without.
            Some("enabled" | "adaptive") => Ok(Some(Thinking::IfAble(self.effort()?))),
            None => Ok(self.effort()?.map(|effort| Thinking::IfAble(Some(effort)))),
            Some(other) => Err(ApiError::invalid("thinking", format!("thinking.type: `{other}` is none"))),
        }
    }

    /// `output_config.effort`.
    fn effort(&self) -> Result<Option<String>, ApiError> {
        match self.output_config.as_ref().map(|config| &config["effort"]) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) if ["low", "medium", "high", "xhigh", "max"].contains(&word.as_str()) => {
                Ok(Some(word.clone()))
            }
            Some(other) => Err(ApiError::invalid("output_config", format!("output_config.effort: {other} is none"))),
        }
    }

    /// `thinking.budget_tokens`: with it the block is ended when it is spent.
    fn thinking_tokens(&self) -> Result<Option<usize>, ApiError> {
        let Some(thinking) = self.thinking.as_ref().filter(|thinking| thinking["type"] == "enabled") else {
            return Ok(None);
        };
        let budget = thinking["budget_tokens"].as_u64().filter(|&tokens| tokens > 0).map(|tokens| tokens as usize);
        let Some(budget) = budget else {
            let message = "thinking.enabled.budget_tokens: Field required; at least 1";
            return Err(ApiError::invalid("thinking", message));
        };
        if self.max_tokens.is_some_and(|most| most <= budget) {
            let message = "`max_tokens` must be greater than `thinking.budget_tokens`";
            return Err(ApiError::invalid("max_tokens", message));
        }
        Ok(Some(budget))
    }

    /// Whether reasoning is left out of the answer, though the model reasons.
    pub fn hides_thinking(&self) -> bool {
        self.thinking.as_ref().is_some_and(|thinking| thinking["display"] == "omitted")
    }

    fn format(&self) -> Result<Option<Grammar>, ApiError> {
        let config = self.output_config.as_ref().map(|config| &config["format"]);
        let Some(format) = config.or(self.output_format.as_ref()).filter(|format| !format.is_null()) else {
            return Ok(None);
        };
        match format["type"].as_str() {
            Some("json_schema") if format["schema"].is_object() => {
                Ok(Some(Grammar::JsonSchema(format["schema"].to_string())))
            }
            Some("json_schema") => Err(ApiError::invalid("output_format", "output_format.schema: Field required")),
            _ => Err(ApiError::invalid("output_format", "output_format.type must be json_schema")),
        }
    }

    fn tools(&self) -> Result<(Vec<Value>, Option<Force>), ApiError> {
        let mut tools = Vec::new();
        for (index, tool) in self.tools.iter().flatten().enumerate() {
            let kind = tool["type"].as_str().unwrap_or("custom");
            if kind != "custom" {
                let why = format!("tools[{index}] of type `{kind}` runs at Anthropic's");
                return Err(ApiError::unsupported("tools", &why));
            }
            let name = tool["name"].as_str();
            let name =
                name.ok_or_else(|| ApiError::invalid("tools", format!("tools[{index}].name: Field required")))?;
            tools.push(json!({"type": "function", "function": function(tool, name, &format!("tools.{index}"))?}));
        }
        let choice = self.tool_choice.as_ref();
        match choice.and_then(|choice| choice["type"].as_str()) {
            None | Some("auto") => Ok((tools, None)),
            Some("none") => Ok((Vec::new(), None)),
            Some("any") => Ok((tools, Some(Force::Any))),
            Some("tool") => {
                let name = choice.and_then(|choice| choice["name"].as_str()).unwrap_or_default();
                Ok((tools, Some(Force::Named(name.to_string()))))
            }
            Some(other) => Err(ApiError::invalid("tool_choice", format!("tool_choice.type: `{other}` is none"))),
        }
    }
}

/// What a tool may have beside its type.
const TOOL: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "input_examples",
    "strict",
    "allowed_callers",
    "defer_loading",
    // How the server caches and streams, which it does by itself.
    "cache_control",
    "eager_input_streaming",
];

fn function(tool: &Value, name: &str, param: &str) -> Result<Value, ApiError> {
    only(tool, TOOL, param)?;
    if !tool["input_schema"].is_object() {
        return Err(ApiError::invalid(param, format!("{param}.input_schema: Field required")));
    }
    if tool["defer_loading"] == true {
        return Err(ApiError::unsupported(param, "`defer_loading`: all tools are in the prompt"));
    }
    if tool["allowed_callers"].as_array().is_some_and(|list| list.iter().any(|caller| caller != "direct")) {
        return Err(ApiError::unsupported(param, "`allowed_callers`: the model alone calls tools"));
    }
    let mut parameters = tool["input_schema"].clone();
    if tool["input_examples"].as_array().is_some_and(|list| !list.is_empty()) {
        parameters["examples"] = tool["input_examples"].clone();
    }
    let mut function = json!({"name": name, "parameters": parameters});
    if let Some(description) = tool["description"].as_str() {
        function = json!({"name": name, "description": description, "parameters": parameters});
    }
    Ok(function)
}

fn system(value: Option<&Value>) -> Result<String, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(without_billing(text)),
        Some(Value::Array(blocks)) => {
            let text = |block: &Value| match (block["type"].as_str(), block["text"].as_str()) {
                (Some("text"), Some(text)) => Ok(without_billing(text)),
                (kind, _) => Err(refused(kind, "system")),
            };
            let texts = blocks.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Ok(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"))
        }
        Some(_) => Err(ApiError::invalid("system", "system must be a string or a list of text blocks")),
    }
}

fn without_billing(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(BILLING));
    if text.contains(BILLING) { lines.collect::<Vec<_>>().join("\n") } else { text.to_string() }
}

fn message(message: &Value, index: usize, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let param = format!("messages.{index}");
    only(message, &["role", "content"], &param)?;
    let role = message["role"].as_str().unwrap_or_default();
    let text = [json!({"type": "text", "text": message["content"]})];
    let blocks: &[Value] = match &message["content"] {
        Value::String(_) => &text,
        Value::Array(blocks) => blocks,
        _ => return Err(ApiError::invalid(&param, format!("{param}.content: must be a string or a list of blocks"))),
    };
    match role {
        "user" => user(blocks, &param, out),
        "assistant" => assistant(blocks, &param, out),
        "system" => {
            let text = system(Some(&json!(blocks)))?;
            out.push(json!({"role": "system", "content": text}));
            Ok(())
        }
        other => Err(ApiError::invalid(&param, format!("{param}.role: `{other}` is no role"))),
    }
}

fn user(blocks: &[Value], param: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let mut text: Vec<String> = Vec::new();
    let flush = |text: &mut Vec<String>, out: &mut Vec<Value>| {
        if !text.is_empty() {
            out.push(json!({"role": "user", "content": std::mem::take(text).join("\n")}));
        }
    };
    for block in blocks {
        match block["type"].as_str() {
            Some("text") => text.push(without_billing(block["text"].as_str().unwrap_or_default())),
            Some("tool_result") => {
                flush(&mut text, out);
                let content = result_text(&block["content"], param)?;
                let content = if block["is_error"] == true { format!("Error: {content}") } else { content };
                out.push(json!({"role": "tool", "content": content, "tool_call_id": block["tool_use_id"]}));
            }
            Some("document") => text.push(document(block, param)?),
            other => return Err(refused(other, param)),
        }
    }
    flush(&mut text, out);
    Ok(())
}

/// A document's title, what it says of itself, and its text.
fn document(block: &Value, param: &str) -> Result<String, ApiError> {
    if block["citations"]["enabled"] == true {
        return Err(ApiError::unsupported(param, "citations: answers do not say where they come from"));
    }
    let source = &block["source"];
    let body = match source["type"].as_str() {
        Some("text") => source["data"].as_str().unwrap_or_default().to_string(),
        Some("content") => result_text(&source["content"], param)?,
        other => {
            let what = format!("documents from a source of type `{}`; models read text", other.unwrap_or("(none)"));
            return Err(ApiError::unsupported(param, &what));
        }
    };
    let before = ["title", "context"].into_iter().filter_map(|field| block[field].as_str());
    Ok(before.chain([body.as_str()]).collect::<Vec<_>>().join("\n"))
}

fn result_text(content: &Value, param: &str) -> Result<String, ApiError> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(blocks) => {
            let text = |block: &Value| match block["type"].as_str() {
                Some("text") => Ok(block["text"].as_str().unwrap_or_default().to_string()),
                Some("document") => document(block, param),
                other => Err(refused(other, param)),
            };
            Ok(blocks.iter().map(text).collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        _ => Err(ApiError::invalid(param, format!("{param}: a tool's result must be text"))),
    }
}

fn assistant(blocks: &[Value], param: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let (mut content, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str() {
            Some("text") => content += block["text"].as_str().unwrap_or_default(),
            Some("thinking") => thinking += block["thinking"].as_str().unwrap_or_default(),
            // Another provider's secret; nothing here can read it.
            Some("redacted_thinking") => {}
            Some("tool_use") => {
                let function = json!({"name": block["name"], "arguments": block["input"]});
                calls.push(json!({"id": block["id"], "type": "function", "function": function}));
            }
            other => return Err(refused(other, param)),
        }
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !thinking.is_empty() {
        message["reasoning_content"] = json!(thinking);
        message["thinking"] = json!(thinking);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    out.push(message);
    Ok(())
}

/// Templates of some models want the name of the tool beside its result.
fn name_results(messages: &mut [Value]) {
    let mut names: Map<String, Value> = Map::new();
    for message in messages {
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            if let Some(id) = call["id"].as_str() {
                names.insert(id.into(), call["function"]["name"].clone());
            }
        }
        let name = message["tool_call_id"].as_str().and_then(|id| names.get(id).cloned());
        if let Some(name) = name {
            message["name"] = name;
        }
    }
}

fn refused(kind: Option<&str>, param: &str) -> ApiError {
    let kind = kind.unwrap_or("(none)");
    ApiError::invalid(param, format!("{param}: blocks of type `{kind}` are not supported; models read text"))
}
