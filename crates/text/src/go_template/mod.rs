//! Go templates, in which Modelfiles and the models of Ollama's registry write their prompts.
//!
//! A template that names `.Messages` renders a conversation at once. An older one renders a turn (`.System`, `.Prompt`,
//! `.Response`) and is run for each; in the last one everything behind `.Response` is left out, for there the model goes
//! on. Invariant: what is not understood is an error with its line when the template is read, or when it meets data
//! that it cannot take. Read `lexer`, `parser`, `value`, `eval`.

mod eval;
mod functions;
mod lexer;
mod parser;
mod value;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json, json};

use parser::{Node, Operand, Pipe, Tree};
use value::{MESSAGE, TOOL, Value};

/// Deepest nesting of actions and of templates that call each other.
const MOST_NESTED: usize = 100;

/// What is wrong, and where; line 0 where that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub line: usize,
    pub reason: String,
}

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct GoTemplate {
    tree: Tree,
    /// The nodes of the last turn.
    last: Vec<Node>,
    whole: bool,
}

/// What a template is told beside messages and tools.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Whether to think, where somebody said.
    pub think: Option<bool>,
    /// How much.
    pub level: String,
    /// Seconds since 1970; the present when not set.
    pub now_seconds: Option<u64>,
}

impl GoTemplate {
    /// Reads a template.
    pub(crate) fn parse(source: &str) -> Result<GoTemplate, Problem> {
        let mut tree = parser::parse(source)?;
        let mut names = BTreeSet::new();
        tree.defined.values().chain([&tree.nodes]).for_each(|nodes| collect(nodes, &mut names));
        let whole = names.contains("messages");
        if !whole && !names.contains("response") {
            let response = Operand::Fields(Box::new(Operand::Dot), vec!["Response".into()]);
            let commands = vec![vec![response]];
            tree.nodes.push(Node::Print(Pipe { variables: Vec::new(), declares: false, commands, line: 0 }));
        }
        let last = cut(&tree.nodes, &mut false);
        Ok(GoTemplate { tree, last, whole })
    }

    /// Renders a conversation up to the beginning of the answer.
    pub(crate) fn render(&self, messages: &Json, tools: Option<&Json>, settings: &Settings) -> Result<String, Problem> {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now_seconds = settings.now_seconds.unwrap_or_else(now);
        let (system, messages) = collated(messages);
        if !self.whole {
            return self.turns(&messages, settings, now_seconds);
        }
        let mut data = base(settings);
        data.push(("System".into(), Value::text(&system)));
        data.push(("Messages".into(), Value::structs(&MESSAGE, &Json::Array(messages))));
        data.push(("Tools".into(), Value::structs(&TOOL, tools.unwrap_or(&Json::Null))));
        data.push(("Response".into(), Value::text("")));
        eval::run(&self.tree, &self.tree.nodes, &Value::Map(Rc::new(data)), now_seconds)
    }

    /// A template of one turn, for each turn.
    fn turns(&self, messages: &[Json], settings: &Settings, now_seconds: u64) -> Result<String, Problem> {
        let (mut system, mut prompt, mut response) = (String::new(), String::new(), String::new());
        let mut out = String::new();
        let run = |nodes: &[Node], system: &mut String, prompt: &mut String, response: &mut String| {
            let mut data = base(settings);
            for (name, text) in [("System", system), ("Prompt", prompt), ("Response", response)] {
                data.push((name.to_string(), Value::text(text)));
                text.clear();
            }
            eval::run(&self.tree, nodes, &Value::Map(Rc::new(data)), now_seconds)
        };
        for message in messages {
            let content = message["content"].as_str().unwrap_or_default().to_string();
            match message["role"].as_str() {
                Some("system") => {
                    if !prompt.is_empty() || !response.is_empty() {
                        out += &run(&self.tree.nodes, &mut system, &mut prompt, &mut response)?;
                    }
                    system = content;
                }
                Some("user") => {
                    if !response.is_empty() {
                        out += &run(&self.tree.nodes, &mut system, &mut prompt, &mut response)?;
                    }
                    prompt = content;
                }
                Some("assistant") => response = content,
                _ => {
                    let reason = "this template has no place for messages of tools".to_string();
                    return Err(Problem { line: 0, reason });
                }
            }
        }
        Ok(out + &run(&self.last, &mut system, &mut prompt, &mut response)?)
    }
}

fn base(settings: &Settings) -> Vec<(String, Value)> {
    let on = settings.think.unwrap_or(false);
    vec![
        ("Think".into(), Value::Bool(on)),
        ("ThinkLevel".into(), Value::text(&settings.level)),
        ("IsThinkSet".into(), Value::Bool(settings.think.is_some())),
    ]
}

/// All system messages as one text, and the messages with neighbours of the same role joined.
fn collated(messages: &Json) -> (String, Vec<Json>) {
    let (mut system, mut out): (Vec<String>, Vec<Json>) = (Vec::new(), Vec::new());
    for message in messages.as_array().into_iter().flatten() {
        let message = of_ollama(message);
        let content = message["content"].as_str().unwrap_or_default().to_string();
        let has_calls = message.get("tool_calls").is_some_and(Json::is_array);
        if message["role"] == "system" {
            system.push(content.clone());
        }
        match out.last_mut() {
            // Calls of a second message would be lost.
            Some(last) if last["role"] == message["role"] && message["role"] != "tool" && !has_calls => {
                last["content"] = json!(format!("{}\n\n{content}", last["content"].as_str().unwrap_or_default()));
            }
            _ => out.push(message),
        }
    }
    (system.join("\n\n"), out)
}

/// A message of chat templates in Ollama's words.
fn of_ollama(message: &Json) -> Json {
    let mut out: Map<String, Json> = message.as_object().cloned().unwrap_or_default();
    let content = match &message["content"] {
        Json::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        other => other.as_str().unwrap_or_default().to_string(),
    };
    out.insert("content".into(), json!(content));
    for (from, to) in [("reasoning_content", "thinking"), ("name", "tool_name")] {
        if let Some(value) = out.get(from).cloned().filter(Json::is_string)
            && !out.contains_key(to)
        {
            out.insert(to.into(), value);
        }
    }
    for (index, call) in out.get_mut("tool_calls").and_then(Json::as_array_mut).into_iter().flatten().enumerate() {
        if let Some(function) = call.get_mut("function").and_then(Json::as_object_mut) {
            function.entry("index").or_insert(json!(index));
        }
    }
    Json::Object(out)
}

/// Names of fields, in small letters.
fn collect(nodes: &[Node], names: &mut BTreeSet<String>) {
    for node in nodes {
        match node {
            Node::Print(pipe) | Node::Call(_, Some(pipe), _) => collect_pipe(pipe, names),
            Node::If(pipe, body, otherwise)
            | Node::With(pipe, body, otherwise)
            | Node::Range(pipe, body, otherwise) => {
                collect_pipe(pipe, names);
                collect(body, names);
                collect(otherwise, names);
            }
            _ => {}
        }
    }
}

fn collect_pipe(pipe: &Pipe, names: &mut BTreeSet<String>) {
    fn operand(of: &Operand, names: &mut BTreeSet<String>) {
        match of {
            Operand::Group(pipe) => collect_pipe(pipe, names),
            Operand::Fields(of, fields) => {
                names.extend(fields.iter().map(|name| name.to_lowercase()));
                operand(of, names);
            }
            _ => {}
        }
    }
    pipe.commands.iter().flatten().for_each(|of| operand(of, names));
}

/// The nodes up to the first that prints `.Response`, that one included.
fn cut(nodes: &[Node], done: &mut bool) -> Vec<Node> {
    let mut kept = Vec::new();
    for node in nodes {
        if *done {
            break;
        }
        kept.push(match node {
            Node::If(pipe, body, otherwise) => {
                let body = cut(body, done);
                Node::If(pipe.clone(), body, cut(otherwise, done))
            }
            Node::With(pipe, body, otherwise) => {
                let body = cut(body, done);
                Node::With(pipe.clone(), body, cut(otherwise, done))
            }
            Node::Range(pipe, body, otherwise) => {
                let body = cut(body, done);
                Node::Range(pipe.clone(), body, cut(otherwise, done))
            }
            Node::Print(pipe) => {
                let is_response =
                    |of: &Operand| matches!(of, Operand::Fields(_, names) if names.contains(&"Response".into()));
                *done = pipe.commands.iter().flatten().any(is_response);
                node.clone()
            }
            other => other.clone(),
        });
    }
    kept
}
