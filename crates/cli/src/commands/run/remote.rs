//! A model in a server that is already there: asked over its HTTP interface, so that it is loaded once.
//!
//! Invariant: only what the user set is sent; everything else is as the server has it. Read `talker.rs` for the choice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use olivine_hub::LocalServer;
use serde_json::{Map, Value, json};

use super::output::{Printer, Shown, Style, Timings};
use super::settings::Settings;
use super::thinking::Kind;

/// A model of a server.
pub struct Remote {
    server: LocalServer,
    name: String,
    about: Value,
    stop: Arc<AtomicBool>,
}

impl Remote {
    /// The model with this name, where a server of ours answers and knows it.
    pub fn find(name: &str, stop: Arc<AtomicBool>) -> Option<Remote> {
        let server = LocalServer::find()?;
        let about = server.post("/api/show", &json!({"model": name})).ok()?;
        Some(Remote { server, name: name.to_string(), about, stop })
    }

    /// What the server says of it.
    pub fn info(&self) -> String {
        let details = &self.about["details"];
        let text = |key: &str| details[key].as_str().unwrap_or_default().to_string();
        let (family, size, format) = (text("family"), text("parameter_size"), text("quantization_level"));
        format!("{} at {}: {family}, {size} parameters, {format}", self.name, self.server.base())
    }

    /// Whether it can chat.
    pub fn has_template(&self) -> bool {
        self.about["template"].as_str().is_some_and(|template| !template.is_empty())
    }

    /// Whether it can think or not think.
    pub fn can_think(&self) -> bool {
        self.about["capabilities"].as_array().is_some_and(|list| list.iter().any(|word| word == "thinking"))
    }

    /// Answers messages and prints the answer as it comes.
    pub fn chat(&self, messages: &Value, settings: &Settings, style: Style) -> Result<Shown> {
        let mut body = json!({"model": self.name, "messages": messages, "options": options(settings)});
        if let Some(think) = settings.think {
            body["think"] = json!(think);
        }
        self.print("/api/chat", &body, style)
    }

    /// Goes on with a text.
    pub fn complete(&self, prompt: &str, settings: &Settings, style: Style) -> Result<Shown> {
        let body = json!({"model": self.name, "prompt": prompt, "raw": true, "options": options(settings)});
        self.print("/api/generate", &body, style)
    }

    fn print(&self, path: &str, body: &Value, style: Style) -> Result<Shown> {
        let mut printer = Printer::start(style);
        let (mut last, mut thought) = (None, false);
        self.server.stream(path, body, |document| {
            let message = if document["message"].is_object() { &document["message"] } else { &document };
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_string();
            let thinking = text("thinking");
            let content = text("content") + &text("response") + &calls(message);
            let (mut parts, mut raw) = (Vec::new(), String::new());
            if !thinking.is_empty() {
                raw += if thought { "" } else { "<think>\n" };
                raw += &thinking;
                thought = true;
                parts.push((Kind::Thinking, thinking));
            }
            if !content.is_empty() {
                raw += if std::mem::take(&mut thought) { "\n</think>\n\n" } else { "" };
                raw += &content;
                parts.push((Kind::Answer, content));
            }
            if document["done"] == true {
                last = Some(document.clone());
            }
            printer.show(&parts, &raw) && !self.stop.load(Ordering::Relaxed)
        })?;
        let stopped = self.stop.load(Ordering::Relaxed);
        let (thinking, text) = printer.end();
        match last {
            Some(last) => Ok(Shown { timings: timings(&last), thinking, text }),
            None if stopped || !text.is_empty() => Ok(Shown { timings: Timings::default(), thinking, text }),
            None => bail!("{}: the answer has no end", self.server.base()),
        }
    }
}

/// Calls of tools that nobody offered, as the text that they are.
fn calls(message: &Value) -> String {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    calls.map(|call| format!("<tool_call>\n{}\n</tool_call>", call["function"])).collect()
}

fn options(settings: &Settings) -> Map<String, Value> {
    let sampling = &settings.options.sampling;
    let mut options = Map::new();
    for name in &settings.changed {
        let value = match name.as_str() {
            "temperature" => json!(sampling.temperature),
            "top_k" => json!(sampling.top_k),
            "top_p" => json!(sampling.top_p),
            "min_p" => json!(sampling.min_p),
            "typical_p" => json!(sampling.typical_p),
            "repeat_penalty" => json!(sampling.repetition_penalty),
            "repeat_last_n" => json!(sampling.penalty_tokens.min(i64::MAX as usize)),
            "presence_penalty" => json!(sampling.presence_penalty),
            "frequency_penalty" => json!(sampling.frequency_penalty),
            "seed" => json!(sampling.seed as i64),
            "num_predict" => json!(settings.options.max_tokens.map_or(-1, |tokens| tokens as i64)),
            _ => continue,
        };
        options.insert(name.clone(), value);
    }
    if !settings.options.stop.is_empty() {
        options.insert("stop".into(), json!(settings.options.stop));
    }
    options
}

fn timings(document: &Value) -> Timings {
    let number = |key: &str| document[key].as_u64().unwrap_or(0);
    let time = |key: &str| Duration::from_nanos(number(key));
    Timings {
        prompt_tokens: number("prompt_eval_count") as usize,
        cached_tokens: 0,
        answer_tokens: number("eval_count") as usize,
        prefill: time("prompt_eval_duration"),
        decode: time("eval_duration"),
        load: time("load_duration"),
    }
}
