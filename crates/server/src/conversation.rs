//! How a call becomes tokens and a request to the engine.
//!
//! Invariant: a call's templates, limits and grammars are checked before anything runs. Read `call` for what is asked and
//! `generation` for the answer.

use std::sync::Arc;

use olivine_engine::{Constraint, Grammar, ReasoningLimit, Request, SamplingOptions};
use olivine_text::chat_template::reasoning_variables;
use olivine_text::parsers::{OutputParser, ParserOptions, Syntax};
use olivine_text::{ChatTemplate, EncodeOptions, RenderInput};
use serde_json::{Map, Value, json};

use crate::adapters;
use crate::call::{Call, Force, Input, NO_LIMIT, Overrides, Thinking};
use crate::defaults;
use crate::error::{ApiError, Kind};
use crate::generation::{Generation, Plan};
use crate::registry::{Lease, Loaded};
use crate::state::App;

/// A call that is ready for the engine.
pub struct Prepared {
    /// The prompt.
    pub tokens: Vec<u32>,
    /// Its text; empty for tokens.
    pub text: String,
    /// The adapter, which is loaded.
    pub adapter: Option<String>,
    parser: Option<&'static Syntax>,
    /// What opens and closes reasoning in the answer, where it may have some.
    thinking: Option<(&'static str, &'static str)>,
    /// Tokens that end the answer beside the model's own.
    end: Vec<u32>,
}

/// Loads the model and makes the prompt.
pub async fn prepare(app: &Arc<App>, call: &Call) -> Result<(Arc<Lease>, Prepared), ApiError> {
    let call = &adapters::chosen(app, call);
    let call = &defaults::applied(&app.registry.find(&call.model)?, call);
    let lease = Arc::new(app.registry.lease(&call.model, call.keep_alive).await?);
    if let Some(adapter) = &call.adapter {
        adapters::load(app, &lease, adapter).await?;
    }
    let (model, call) = (lease.clone(), call.clone());
    let task = tokio::task::spawn_blocking(move || prompt(&model, &call));
    let prepared = task.await.map_err(|_| ApiError::new(Kind::Internal, "rendering the prompt panicked"))??;
    Ok((lease, prepared))
}

/// Hands the call to the engine, once for each answer.
pub async fn start(app: &Arc<App>, call: Call) -> Result<(Vec<Generation>, usize), ApiError> {
    let call = adapters::chosen(app, &call);
    let call = defaults::applied(&app.registry.find(&call.model)?, &call);
    let (lease, prepared) = prepare(app, &call).await?;
    let prompt_tokens = prepared.tokens.len();
    if lease.parts.engine.is_encoder() {
        let message = format!("\"{}\" does not support generate: it makes vectors of texts", lease.card.name);
        return Err(ApiError::invalid("model", message));
    }
    let request = request(&lease, &call, &prepared)?;
    let mut generations = Vec::new();
    for choice in 0..call.choices {
        let mut request = request.clone();
        request.sampling.seed = request.sampling.seed.wrapping_add(choice as u64);
        let parser = prepared.parser.map(|syntax| parser(syntax, &call, &prepared));
        let plan = Plan {
            lease: lease.clone(),
            request,
            stop: call.stop.clone(),
            parser,
            started: call.started,
            ids: call.ids.clone(),
            tells_tokens: call.tells_tokens,
        };
        generations.push(Generation::start(plan, app)?);
    }
    Ok((generations, prompt_tokens))
}

fn parser(syntax: &Syntax, call: &Call, prepared: &Prepared) -> OutputParser {
    let tools = match &call.input {
        Input::Chat { tools, .. } => Value::Array(tools.clone()),
        _ => Value::Null,
    };
    let end = prepared.text.char_indices().rev().nth(199).map_or(0, |(at, _)| at);
    let options = ParserOptions { tools: Some(&tools), prompt_end: &prepared.text[end..], hide_thinking: false };
    OutputParser::new(syntax, options)
}

/// The engine's request for a prepared call.
fn request(model: &Loaded, call: &Call, prepared: &Prepared) -> Result<Request, ApiError> {
    let mut max_tokens = call.max_tokens.filter(|most| *most != NO_LIMIT);
    if let Some(context) = call.context_tokens {
        let room = context.saturating_sub(prepared.tokens.len());
        if room == 0 {
            let message = format!("the prompt has {} tokens, but num_ctx is {context}", prepared.tokens.len());
            return Err(ApiError::new(Kind::TooLong, message));
        }
        max_tokens = Some(max_tokens.unwrap_or(room).min(room));
    }
    let stop_tokens = match call.ignore_end {
        true => Vec::new(),
        false => [&model.parts.end_tokens[..], &prepared.end].concat(),
    };
    Ok(Request {
        tokens: prepared.tokens.clone(),
        sampling: sampling(&model.parts.sampling, &call.sampling),
        max_tokens,
        stop_tokens,
        constraint: constraint(model, call, prepared)?,
        reasoning: reasoning(model, call, prepared)?,
        cache_salt: call.cache_salt.clone(),
        adapter: prepared.adapter.clone(),
        ..Request::default()
    })
}

fn sampling(base: &SamplingOptions, overrides: &Overrides) -> SamplingOptions {
    let o = overrides;
    SamplingOptions {
        temperature: o.temperature.unwrap_or(base.temperature),
        top_k: o.top_k.unwrap_or(base.top_k),
        top_p: o.top_p.unwrap_or(base.top_p),
        min_p: o.min_p.unwrap_or(base.min_p),
        typical_p: o.typical_p.unwrap_or(base.typical_p),
        repetition_penalty: o.repetition_penalty.unwrap_or(base.repetition_penalty),
        presence_penalty: o.presence_penalty.unwrap_or(base.presence_penalty),
        frequency_penalty: o.frequency_penalty.unwrap_or(base.frequency_penalty),
        penalty_tokens: o.penalty_tokens.unwrap_or(base.penalty_tokens),
        logit_bias: o.logit_bias.clone(),
        seed: o.seed.unwrap_or_else(clock_seed),
        logprobs: o.logprobs,
    }
}

/// Another one each time.
pub(crate) fn clock_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}

/// The form of the answer; behind the reasoning where the answer begins with it.
fn constraint(model: &Loaded, call: &Call, prepared: &Prepared) -> Result<Option<Constraint>, ApiError> {
    let grammar = match (&call.force, &call.format) {
        (None, None) => return strict_calls(model, call, prepared),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "tool_choice",
                "a forced call and a format of the answer exclude each other",
            ));
        }
        (Some(force), None) => forced_call(force, call)?,
        (None, Some(grammar)) => grammar.clone(),
    };
    let markers = prepared.thinking.filter(|(open, _)| prepared.text.trim_end().ends_with(open));
    let after = markers.map_or(Ok(Vec::new()), |(_, close)| encode(model, close, EncodeOptions::RENDERED))?;
    Ok(Some(Constraint { grammar, after, again: false }))
}

/// Calls whose arguments satisfy the schemas of strict tools. For models that write calls as JSON between two tokens of
/// their own; the syntax of others is not held to schemas.
fn strict_calls(model: &Loaded, call: &Call, prepared: &Prepared) -> Result<Option<Constraint>, ApiError> {
    let Input::Chat { tools, .. } = &call.input else { return Ok(None) };
    if call.strict.is_empty() || prepared.parser.is_none_or(|syntax| syntax.name != "hermes") {
        return Ok(None);
    }
    let token = |text: &str| encode(model, text, EncodeOptions::RENDERED);
    let (open, close) = (token("<tool_call>")?, token("</tool_call>")?);
    let ([_], [close]) = (&open[..], &close[..]) else { return Ok(None) };
    let schemas = tools.iter().map(|tool| {
        let is_strict = call.strict.iter().any(|name| tool["function"]["name"] == name.as_str());
        call_schema(tool, if is_strict { tool["function"]["parameters"].clone() } else { json!({"type": "object"}) })
    });
    let schema = json!({ "anyOf": schemas.collect::<Vec<Value>>() }).to_string();
    Ok(Some(Constraint { grammar: Grammar::Closed { schema, close: *close }, after: open, again: true }))
}

/// A call as JSON.
fn call_schema(tool: &Value, arguments: Value) -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"const": tool["function"]["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// The end of reasoning that is too long.
fn reasoning(model: &Loaded, call: &Call, prepared: &Prepared) -> Result<Option<ReasoningLimit>, ApiError> {
    let (Some(budget_tokens), Some((open, close))) = (call.thinking_tokens, prepared.thinking) else { return Ok(None) };
    let opened = prepared.text.trim_end().ends_with(open);
    let tokens = |text: &str| encode(model, text, EncodeOptions::RENDERED);
    Ok(Some(ReasoningLimit { budget_tokens, opened, open: tokens(open)?, close: tokens(close)? }))
}

/// One call as plain JSON, which every model can write whatever its own syntax is.
fn forced_call(force: &Force, call: &Call) -> Result<Grammar, ApiError> {
    let Input::Chat { tools, .. } = &call.input else {
        return Err(ApiError::invalid("tool_choice", "calls want a chat"));
    };
    let wanted = |tool: &&Value| match force {
        Force::Any => true,
        Force::Named(name) => tool["function"]["name"] == name.as_str(),
    };
    let one = |tool: &Value| call_schema(tool, tool["function"]["parameters"].clone());
    let schemas: Vec<Value> = tools.iter().filter(wanted).map(one).collect();
    match schemas.len() {
        0 => Err(ApiError::invalid("tool_choice", "the tool of `tool_choice` is not among `tools`")),
        1 => Ok(Grammar::JsonSchema(schemas[0].to_string())),
        _ => Ok(Grammar::JsonSchema(json!({ "anyOf": schemas }).to_string())),
    }
}

/// Renders and encodes.
fn prompt(model: &Loaded, call: &Call) -> Result<Prepared, ApiError> {
    let plain = |tokens: Vec<u32>, text: &str| Prepared {
        tokens,
        text: text.to_string(),
        adapter: None,
        parser: None,
        thinking: None,
        end: Vec::new(),
    };
    let mut prepared = match &call.input {
        Input::Tokens(tokens) => plain(tokens.clone(), ""),
        Input::Text(text) => plain(encode(model, text, EncodeOptions::TEXT)?, text),
        Input::Fill { before, after } => {
            let fill = model.parts.tokenizer.fill(before, after);
            let fill = fill.map_err(|error| ApiError::invalid("suffix", error.to_string()))?;
            let none = || ApiError::invalid("suffix", format!("\"{}\" does not support insert", model.card.name));
            let fill = fill.ok_or_else(none)?;
            Prepared { end: fill.end, ..plain(fill.tokens, "") }
        }
        Input::Chat { messages, tools, prefill } => chat(model, call, messages, tools, *prefill)?,
    };
    prepared.adapter = call.adapter.clone();
    if !call.context.is_empty() {
        let bos = model.parts.tokenizer.special_ids().bos;
        let repeated = usize::from(prepared.tokens.first().is_some_and(|&first| Some(first) == bos));
        prepared.tokens = [&call.context[..], &prepared.tokens[repeated..]].concat();
    }
    Ok(prepared)
}

fn encode(model: &Loaded, text: &str, options: EncodeOptions) -> Result<Vec<u32>, ApiError> {
    model.parts.tokenizer.encode(text, options).map_err(|error| ApiError::new(Kind::Invalid, error.to_string()))
}

fn chat(model: &Loaded, call: &Call, messages: &[Value], tools: &[Value], prefill: bool) -> Result<Prepared, ApiError> {
    let own = call.template.as_deref().map(|source| own_template(model, source)).transpose()?;
    let Some(template) = own.as_ref().or(model.parts.template.as_ref()) else {
        let message = format!("{} has no chat template; it completes text only", model.card.name);
        return Err(ApiError::invalid("messages", message));
    };
    let variables = variables(model, call)?;
    let mut kept = messages.to_vec();
    let limit = call.context_tokens.unwrap_or(usize::MAX).min(model.parts.engine.context_tokens());
    let limit = limit.saturating_sub(call.context.len());
    loop {
        let messages = Value::Array(kept.clone());
        let tools = Value::Array(tools.to_vec());
        let input = RenderInput { tools: Some(&tools), extra: Some(&variables), ..RenderInput::new(&messages) };
        let text = if prefill { template.render_begun(input) } else { template.render(input) };
        let text = text.map_err(|error| ApiError::invalid("messages", error.to_string()))?;
        let tokens = encode(model, &text, EncodeOptions::RENDERED)?;
        if tokens.len() < limit || !call.truncate || !drop_oldest(&mut kept) {
            let forced = call.force.is_some().then(|| Syntax::named("json")).flatten();
            let (parser, thinking) = (Some(forced.unwrap_or(template.syntax())), template.syntax().thinking());
            return Ok(Prepared { tokens, text, adapter: None, parser, thinking, end: Vec::new() });
        }
    }
}

/// The template that a request brings.
fn own_template(model: &Loaded, source: &str) -> Result<ChatTemplate, ApiError> {
    let special = model.parts.template.as_ref().map(|template| template.special().clone()).unwrap_or_default();
    ChatTemplate::of_modelfile("template", source, special)
        .map_err(|error| ApiError::invalid("template", error.to_string()))
}

/// Leaves the oldest message out that is not the system's; false when only the last is left.
fn drop_oldest(messages: &mut Vec<Value>) -> bool {
    let last = messages.len().saturating_sub(1);
    let oldest = messages.iter().position(|message| message["role"] != "system").filter(|&at| at < last);
    oldest.map(|at| messages.remove(at)).is_some()
}

fn variables(model: &Loaded, call: &Call) -> Result<Map<String, Value>, ApiError> {
    let mut variables = call.variables.clone();
    match &call.thinking {
        None => {}
        Some(Thinking::IfAble(_)) if !thinks(model) => {}
        Some(Thinking::Off) => variables.extend(reasoning_variables(false, None)),
        Some(on) => {
            if !thinks(model) {
                let message = format!("\"{}\" does not support thinking", model.card.name);
                return Err(ApiError::invalid("think", message));
            }
            let effort = match on {
                Thinking::Effort(effort) | Thinking::IfAble(Some(effort)) => Some(effort.as_str()),
                _ => None,
            };
            variables.extend(reasoning_variables(true, effort));
        }
    }
    if let Some(tokens) = call.thinking_tokens {
        // A few templates tell the model itself.
        variables.insert("thinking_budget".into(), json!(tokens));
    }
    Ok(variables)
}

/// Whether the model reasons before it answers.
pub fn thinks(model: &Loaded) -> bool {
    let signs =
        ["<think>", "enable_thinking", "reasoning_content", "<|channel|>analysis", "[THINK]", "thinking", ".Think"];
    signs.iter().any(|sign| model.card.template.contains(sign))
}

/// Whether the model was made for tools.
pub fn uses_tools(model: &crate::registry::ModelCard) -> bool {
    model.template.contains("tools") || model.template.contains(".Tools")
}
