//! The chat on a terminal: Ctrl-C stops the answer and keeps the chat. Read next: `settings.rs`, `editor.rs`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rustyline::error::ReadlineError;
use serde_json::{Value, json};

use super::editor::MessageEditor;
use super::output::{Style, print_timings};
use super::settings::{Reply, Settings};
use super::talker::Talker;

/// Talk until the user leaves.
pub fn chat(model: &mut Talker, settings: Settings, style: Style, stop: &AtomicBool) -> Result<ExitCode> {
    let mut editor = MessageEditor::new(style)?;
    if !model.has_template() {
        println!("{}", style.dim("This model has no chat template: it continues what you type, each time anew."));
    }
    let mut chat = Chat { settings, style, messages: Vec::new() };
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
}

impl Chat {
    /// Carry out a command; whether to leave.
    fn command(&mut self, line: &str, model: &Talker) -> bool {
        let before = self.settings.clone();
        match self.settings.command(line, &|| model.info()) {
            Reply::Leave => return true,
            Reply::Clear => {
                self.messages.clear();
                println!("the conversation is forgotten");
            }
            Reply::Text(text) => match model.supports(&self.settings) {
                Ok(()) => println!("{text}"),
                Err(error) => {
                    self.settings = before;
                    println!("{error:#}");
                }
            },
        }
        false
    }

    fn answer(&mut self, model: &mut Talker, line: String) -> Result<()> {
        self.messages.push(json!({"role": "user", "content": line}));
        let shown = model.answer(&self.messages, &self.settings, false, self.style)?;
        println!();
        let mut message = json!({"role": "assistant", "content": shown.text});
        if !shown.thinking.is_empty() {
            message["reasoning_content"] = shown.thinking.into();
        }
        self.messages.push(message);
        if self.settings.verbose {
            print_timings(&shown.timings);
            eprintln!();
        }
        Ok(())
    }
}
