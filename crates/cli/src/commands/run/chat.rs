//! The chat on a terminal: Ctrl-C stops the answer and keeps the chat. Read next: `settings.rs`, `editor.rs`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use olivine_lm::generate::Session;
use olivine_lm::language_model::LanguageModel;
use rustyline::error::ReadlineError;
use serde_json::{Value, json};

use super::editor::MessageEditor;
use super::output::{Style, print_answer, print_timings};
use super::settings::{Reply, Settings};
use super::{check_thinking, conversation};

/// Talk until the user leaves.
pub fn chat(model: &mut LanguageModel, settings: Settings, style: Style, stop: &AtomicBool) -> Result<ExitCode> {
    let mut editor = MessageEditor::new(style)?;
    if model.template.is_none() {
        println!("{}", style.dim("This model has no chat template: it continues what you type, each time anew."));
    }
    let mut chat = Chat { settings, style, messages: Vec::new(), session: Session::default() };
    loop {
        match editor.read(chat.settings.keep_history) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) if line.starts_with('/') => {
                if chat.command(&line, model) {
                    break;
                }
            }
            Ok(line) => {
                stop.store(false, Ordering::Relaxed);
                if let Err(error) = chat.answer(model, line) {
                    chat.messages.pop();
                    eprintln!("olivine: {error:#}; /clear begins a new conversation");
                }
            }
            Err(ReadlineError::Interrupted) => println!("{}", style.dim("Ctrl-D or /bye leaves")),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Chat {
    settings: Settings,
    style: Style,
    messages: Vec<Value>,
    session: Session,
}

impl Chat {
    /// Carry out a command; whether to leave.
    fn command(&mut self, line: &str, model: &LanguageModel) -> bool {
        let before = self.settings.clone();
        match self.settings.command(line, model.model.spec()) {
            Reply::Leave => return true,
            Reply::Clear => {
                self.messages.clear();
                println!("the conversation is forgotten");
            }
            Reply::Text(text) => match self.supported(model) {
                Ok(()) => println!("{text}"),
                Err(error) => {
                    self.settings = before;
                    println!("{error:#}");
                }
            },
        }
        false
    }

    /// An error if the model cannot do what the settings ask for.
    fn supported(&self, model: &LanguageModel) -> Result<()> {
        check_thinking(model, self.settings.think)?;
        if self.settings.system.is_some() && model.template.is_none() {
            anyhow::bail!("a system message needs a chat template, which this model has not");
        }
        Ok(())
    }

    fn answer(&mut self, model: &mut LanguageModel, line: String) -> Result<()> {
        self.messages.push(json!({"role": "user", "content": line}));
        let text = match &model.template {
            None => line,
            Some(_) => {
                let messages = conversation(self.settings.system.as_deref(), &self.messages);
                model.render(&messages, None, Some(&self.settings.template_variables()))?
            }
        };
        let ids = model.encode(&text, model.template.is_some())?;
        let shown = print_answer(model, &mut self.session, &text, &ids, &self.settings.options, self.style)?;
        println!();
        let mut message = json!({"role": "assistant", "content": shown.text});
        if !shown.thinking.is_empty() {
            message["reasoning_content"] = shown.thinking.into();
        }
        self.messages.push(message);
        if self.settings.verbose {
            print_timings(&shown.answer, Duration::ZERO);
            eprintln!();
        }
        Ok(())
    }
}
