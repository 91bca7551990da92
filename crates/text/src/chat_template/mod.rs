//! Chat templates: messages and tools → the prompt a model was trained on, by the Jinja source that ships with it, or by
//! the Go template of a Modelfile (`go_template`).
//!
//! Invariant: the text is that of Python's jinja2 with the settings Hugging Face uses (trim_blocks, lstrip_blocks, loop
//! controls, Python's spelling of values). `python` holds what Python does otherwise than the engine, `time` the clock.

mod methods;
mod python;
pub(crate) mod time;

use crate::error::TextError;
use crate::go_template::{self, GoTemplate};
use crate::parsers::{self, Syntax};
use minijinja::Environment;
use olivine_formats::gguf::{self, Gguf};
use serde_json::{Map, Value};
use std::path::Path;

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// The spellings of special tokens a template may use as variables.
#[derive(Clone, Debug, Default)]
pub struct SpecialStrings {
    /// `bos_token`
    pub bos_token: Option<String>,
    /// `eos_token`
    pub eos_token: Option<String>,
    /// `pad_token`
    pub pad_token: Option<String>,
    /// `unk_token`
    pub unk_token: Option<String>,
}

/// What a template renders.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    /// An array of messages: `role`, `content`, `tool_calls`, ….
    pub messages: &'a Value,
    /// An array of tool schemas.
    pub tools: Option<&'a Value>,
    /// An array of documents (`title`, `text`).
    pub documents: Option<&'a Value>,
    /// End with the header of an assistant message.
    pub add_generation_prompt: bool,
    /// The moment `strftime_now` states, in seconds since 1970; the present when not set.
    pub now_seconds: Option<u64>,
    /// Further variables (`enable_thinking`, …); they win over the special tokens.
    pub extra: Option<&'a Map<String, Value>>,
}

impl<'a> RenderInput<'a> {
    /// A conversation to be answered, with nothing else set.
    pub fn new(messages: &'a Value) -> RenderInput<'a> {
        RenderInput {
            messages,
            tools: None,
            documents: None,
            add_generation_prompt: true,
            now_seconds: None,
            extra: None,
        }
    }
}

/// The variables by which templates of one model or another switch reasoning: whether, and how much. Templates ignore
/// those that they do not know.
pub fn reasoning_variables(on: bool, effort: Option<&str>) -> Map<String, Value> {
    let mut variables = Map::new();
    variables.insert("enable_thinking".into(), on.into());
    variables.insert("thinking".into(), on.into());
    match (on, effort) {
        (false, _) => {
            variables.insert("reasoning_strength".into(), "none".into());
        }
        (true, Some(effort)) => {
            variables.insert("reasoning_effort".into(), effort.into());
            variables.insert("reasoning_strength".into(), effort.into());
            variables.insert("medium_effort".into(), (effort == "medium").into());
        }
        (true, None) => {}
    }
    variables
}

/// The compiled templates of a model.
pub struct ChatTemplate {
    origin: String,
    environment: Environment<'static>,
    /// In place of Jinja.
    go: Option<GoTemplate>,
    special: SpecialStrings,
    source: String,
    syntax: &'static Syntax,
}

impl ChatTemplate {
    /// Compiles one template. `name` is for messages of errors.
    pub fn new(name: &str, source: &str, special: SpecialStrings) -> Result<ChatTemplate, TextError> {
        ChatTemplate::from_named(name, &[(DEFAULT, source)], special)
    }

    /// Compiles named templates; `tool_use` serves when there are tools, `default` (or the first) otherwise.
    pub fn from_named(
        origin: &str,
        sources: &[(&str, &str)],
        special: SpecialStrings,
    ) -> Result<ChatTemplate, TextError> {
        let mut environment = python::environment();
        let has_default = sources.iter().any(|(name, _)| *name == DEFAULT);
        for (index, (name, source)) in sources.iter().enumerate() {
            let name = if index == 0 && !has_default { DEFAULT } else { name };
            let source = python::translate(source);
            environment.add_template_owned(name.to_string(), source).map_err(|error| template_error(origin, &error))?;
        }
        let all: Vec<&str> = sources.iter().map(|(_, source)| *source).collect();
        let source = all.join("\n");
        let syntax = parsers::detect(&source);
        Ok(ChatTemplate { origin: origin.to_string(), environment, go: None, special, source, syntax })
    }

    /// Reads the template of a Modelfile: a Go template, or Jinja where it has Jinja's blocks.
    pub fn of_modelfile(origin: &str, source: &str, special: SpecialStrings) -> Result<ChatTemplate, TextError> {
        if source.contains("{%") {
            return ChatTemplate::new(origin, source, special);
        }
        let go = GoTemplate::parse(source).map_err(|problem| go_error(origin, problem))?;
        let mut syntax = parsers::detect(source);
        // Where the template writes calls in no way that is known by name, they are JSON.
        if syntax.name == "plain" && source.contains(".ToolCalls") {
            syntax = Syntax::named("json").unwrap_or(syntax);
        }
        let (origin, source) = (origin.to_string(), source.to_string());
        Ok(ChatTemplate { origin, environment: Environment::new(), go: Some(go), special, source, syntax })
    }

    /// The spellings of special tokens that it uses.
    pub fn special(&self) -> &SpecialStrings {
        &self.special
    }

    /// Finds and compiles the template of a model folder: `chat_template.jinja`, `chat_template.json`, then
    /// `tokenizer_config.json`. `None` when there is none.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Option<ChatTemplate>, TextError> {
        let folder = folder.as_ref();
        let config = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or(Value::Null);
        let special = SpecialStrings::from_config(&config);
        let path = folder.join("chat_template.jinja");
        if let Some(bytes) = read_optional(&path)? {
            let source = String::from_utf8_lossy(&bytes);
            return ChatTemplate::new(&path.display().to_string(), &source, special).map(Some);
        }
        let path = folder.join("chat_template.json");
        if let Some(json) = read_json(&path)? {
            return ChatTemplate::from_value(&path.display().to_string(), &json["chat_template"], special);
        }
        let origin = folder.join("tokenizer_config.json").display().to_string();
        ChatTemplate::from_value(&origin, &config["chat_template"], special)
    }

    /// Finds and compiles the template of a model folder or a GGUF file. `None` when there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<ChatTemplate>, TextError> {
        let path = path.as_ref();
        if path.is_dir() {
            return ChatTemplate::from_folder(path);
        }
        let file =
            Gguf::open(path).map_err(|error| TextError::tokenizer(&path.display().to_string(), "GGUF", error))?;
        ChatTemplate::from_gguf(&file)
    }

    /// Compiles the templates of an opened GGUF file: `tokenizer.chat_template` and `tokenizer.chat_template.NAME`.
    pub fn from_gguf(file: &Gguf) -> Result<Option<ChatTemplate>, TextError> {
        const KEY: &str = "tokenizer.chat_template";
        let token = |key: &str| {
            let id = file.value(&format!("tokenizer.ggml.{key}_token_id"))?.as_u64()? as usize;
            file.strings("tokenizer.ggml.tokens").ok()?.nth(id).map(str::to_string)
        };
        let special = SpecialStrings {
            bos_token: token("bos"),
            eos_token: token("eos"),
            pad_token: token("padding"),
            unk_token: token("unknown"),
        };
        let mut sources = Vec::new();
        for (key, value) in file.metadata() {
            let gguf::Value::String(source) = value else { continue };
            match key.strip_prefix(KEY).map(|rest| rest.strip_prefix('.').unwrap_or(rest)) {
                Some("") => sources.insert(0, (DEFAULT, source.as_str())),
                Some(name) => sources.push((name, source.as_str())),
                None => {}
            }
        }
        if sources.is_empty() { Ok(None) } else { ChatTemplate::from_named(KEY, &sources, special).map(Some) }
    }

    /// Compiles a `chat_template` value: a string, or a list of `{name, template}`. `None` for null.
    pub fn from_value(origin: &str, value: &Value, special: SpecialStrings) -> Result<Option<ChatTemplate>, TextError> {
        match value {
            Value::String(source) => ChatTemplate::new(origin, source, special).map(Some),
            Value::Array(list) => {
                let named: Vec<(&str, &str)> = list
                    .iter()
                    .filter_map(|entry| Some((entry["name"].as_str()?, entry["template"].as_str()?)))
                    .collect();
                if named.is_empty() {
                    return Ok(None);
                }
                ChatTemplate::from_named(origin, &named, special).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What it was compiled from; several templates one after the other.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How a model with this template writes reasoning and calls.
    pub fn syntax(&self) -> &'static Syntax {
        self.syntax
    }

    /// Renders a conversation whose last message is the beginning of the answer: the text ends with that beginning.
    /// What the template writes before an answer (earlier reasoning, say) stays as the template writes it.
    pub fn render_begun(&self, input: RenderInput) -> Result<String, TextError> {
        // Stands for the beginning, which the template may write twice, trim, or take apart.
        const MARK: &str = "\u{e000}begun\u{e000}";
        let mut messages = input.messages.clone();
        let last = messages.as_array_mut().and_then(|list| list.last_mut());
        let begun = match last {
            Some(last) => {
                let begun = last["content"].as_str().unwrap_or_default().to_string();
                last["content"] = MARK.into();
                begun
            }
            None => return self.render(input),
        };
        let whole = RenderInput { messages: &messages, add_generation_prompt: false, ..input };
        if let Ok(text) = self.render(whole)
            && let Some(at) = text.rfind(MARK)
        {
            return Ok(text[..at].to_string() + &begun);
        }
        let before: Vec<Value> = messages.as_array().into_iter().flatten().cloned().collect();
        let before = Value::Array(before[..before.len() - 1].to_vec());
        Ok(self.render(RenderInput { messages: &before, add_generation_prompt: true, ..input })? + &begun)
    }

    /// Renders a conversation.
    pub fn render(&self, input: RenderInput) -> Result<String, TextError> {
        if let Some(go) = &self.go {
            return self.render_go(go, input);
        }
        let has_tools = input.tools.is_some_and(|tools| tools.as_array().is_some_and(|list| !list.is_empty()));
        let template = match has_tools {
            true => self.environment.get_template(TOOL_USE).or_else(|_| self.environment.get_template(DEFAULT)),
            false => self.environment.get_template(DEFAULT),
        };
        let template = template.map_err(|error| template_error(&self.origin, &error))?;
        let optional = |value: Option<&Value>| value.map_or(minijinja::Value::from(()), python::value);
        let mut variables = self.special.variables();
        variables.extend([
            ("messages", python::value(input.messages)),
            ("tools", optional(input.tools.filter(|_| has_tools))),
            ("documents", optional(input.documents)),
            ("add_generation_prompt", input.add_generation_prompt.into()),
        ]);
        if let Some(seconds) = input.now_seconds {
            let strftime = move |format: String| time::strftime(&format, seconds);
            variables.push(("strftime_now", minijinja::Value::from_function(strftime)));
        }
        let extra = input.extra.into_iter().flatten().map(|(key, value)| (key.as_str(), python::value(value)));
        variables.extend(extra);
        template.render(minijinja::Value::from_pairs(variables)).map_err(|error| template_error(&self.origin, &error))
    }
}

impl ChatTemplate {
    /// The beginning of the answer is a part of such a template.
    fn render_go(&self, go: &GoTemplate, input: RenderInput) -> Result<String, TextError> {
        let last = input.messages.as_array().and_then(|list| list.last());
        if !input.add_generation_prompt && last.is_none_or(|last| last["role"] != "assistant") {
            let reason = "a Go template always begins an answer".to_string();
            return Err(TextError::Template { name: self.origin.clone(), line: 0, reason });
        }
        let extra = |name: &str| input.extra.and_then(|extra| extra.get(name));
        let level = extra("reasoning_effort").and_then(Value::as_str).unwrap_or_default().to_string();
        let think = extra("enable_thinking").or(extra("thinking")).and_then(Value::as_bool);
        let think = think.or((!level.is_empty()).then_some(true));
        let settings = go_template::Settings { think, level, now_seconds: input.now_seconds };
        go.render(input.messages, input.tools, &settings).map_err(|problem| go_error(&self.origin, problem))
    }
}

impl SpecialStrings {
    fn variables(&self) -> Vec<(&str, minijinja::Value)> {
        [
            ("bos_token", &self.bos_token),
            ("eos_token", &self.eos_token),
            ("pad_token", &self.pad_token),
            ("unk_token", &self.unk_token),
        ]
        .into_iter()
        .filter_map(|(name, token)| Some((name, token.as_deref()?.into())))
        .collect()
    }

    /// Reads the tokens of a `tokenizer_config.json` (strings or `{content: …}`).
    pub fn from_config(config: &Value) -> SpecialStrings {
        let read = |key: &str| {
            let value = &config[key];
            value.as_str().or_else(|| value["content"].as_str()).map(str::to_string)
        };
        SpecialStrings {
            bos_token: read("bos_token"),
            eos_token: read("eos_token"),
            pad_token: read("pad_token"),
            unk_token: read("unk_token"),
        }
    }
}

fn go_error(origin: &str, problem: go_template::Problem) -> TextError {
    TextError::Template { name: origin.to_string(), line: problem.line, reason: problem.reason }
}

fn template_error(origin: &str, error: &minijinja::Error) -> TextError {
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let name = match error.name() {
        Some(name) if name != DEFAULT => format!("{origin} ({name})"),
        _ => origin.to_string(),
    };
    TextError::Template { name, line: error.line().unwrap_or(0), reason }
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, TextError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TextError::io(path, error)),
    }
}

fn read_json(path: &Path) -> Result<Option<Value>, TextError> {
    let Some(bytes) = read_optional(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| TextError::tokenizer(&path.display().to_string(), "JSON", error))
}
