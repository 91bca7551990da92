//! The chat on a terminal: history, several lines, commands, Ctrl-C that stops the answer and keeps the chat.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use olivine_lm::generate::{GenerateOptions, Session};
use olivine_lm::language_model::LanguageModel;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use serde_json::{Map, Value, json};

use super::{print_answer, print_timings};

const HELP: &str = "\
/help               this text
/bye, Ctrl-D        leave
/clear              forget the conversation
/system TEXT        set the system message (and forget the conversation)
/temperature NUMBER how freely to choose words; 0: always the most likely
/seed NUMBER        same seed, same answers
/verbose            print timings, or stop printing them
\"\"\"                 begin and end a message of several lines
Ctrl-C              stop the answer";

/// Talk until the user leaves.
pub fn chat(
    model: &mut LanguageModel,
    options: GenerateOptions,
    system: Option<String>,
    extra: Map<String, Value>,
    verbose: bool,
    stop: &AtomicBool,
) -> Result<ExitCode> {
    let mut editor = DefaultEditor::with_config(Config::builder().auto_add_history(true).build())?;
    let history = history_file();
    if let Some(file) = &history {
        // The first chat has no history yet.
        let _ = editor.load_history(file);
    }
    let mut chat = Chat { options, system, extra, verbose, messages: Vec::new(), session: Session::default() };
    loop {
        match read_message(&mut editor) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) if line.starts_with('/') => {
                if !chat.command(line.trim()) {
                    break;
                }
            }
            Ok(line) => {
                stop.store(false, Ordering::Relaxed);
                if let Err(error) = chat.answer(model, line, stop) {
                    eprintln!("olivine: {error:#}");
                    chat.messages.pop();
                }
            }
            Err(ReadlineError::Interrupted) => println!("(Ctrl-D or /bye leaves)"),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(file) = &history {
        let saved = file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(anyhow::Error::from);
        if let Err(error) = saved.and_then(|()| Ok(editor.save_history(file)?)) {
            eprintln!("olivine: the history was not saved: {error}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Chat {
    options: GenerateOptions,
    system: Option<String>,
    extra: Map<String, Value>,
    verbose: bool,
    messages: Vec<Value>,
    session: Session,
}

impl Chat {
    /// Carry out a command; whether to stay.
    fn command(&mut self, line: &str) -> bool {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (name, rest.trim()) {
            ("/help" | "/?", _) => println!("{HELP}"),
            ("/bye" | "/exit" | "/quit", _) => return false,
            ("/clear", _) => self.messages.clear(),
            ("/system", text) => {
                self.system = (!text.is_empty()).then(|| text.to_string());
                self.messages.clear();
            }
            ("/verbose", _) => self.verbose = !self.verbose,
            ("/temperature", number) => match number.parse::<f32>() {
                Ok(value) if value >= 0.0 => self.options.sampling.temperature = value,
                _ => println!("a number of 0 or more is wanted"),
            },
            ("/seed", number) => match number.parse() {
                Ok(value) => self.options.sampling.seed = value,
                Err(_) => println!("a whole number is wanted"),
            },
            _ => println!("{name} is not a command; /help lists them"),
        }
        true
    }

    fn answer(&mut self, model: &mut LanguageModel, line: String, stop: &AtomicBool) -> Result<()> {
        self.messages.push(json!({"role": "user", "content": line}));
        let mut messages: Vec<Value> = Vec::new();
        messages.extend(self.system.as_ref().map(|text| json!({"role": "system", "content": text})));
        messages.extend(self.messages.iter().cloned());
        let text =
            if model.template.is_some() { model.render(&messages.into(), None, Some(&self.extra))? } else { line };
        let ids = model.encode(&text, true)?;
        let answer = print_answer(model, &mut self.session, &ids, &self.options, stop)?;
        println!("\n");
        self.messages.push(json!({"role": "assistant", "content": answer.text}));
        if self.verbose {
            print_timings(&answer, Duration::ZERO);
        }
        Ok(())
    }
}

/// One message: a line, or all lines between `"""`.
fn read_message(editor: &mut DefaultEditor) -> Result<String, ReadlineError> {
    let first = editor.readline(">>> ")?;
    let Some(rest) = first.strip_prefix("\"\"\"") else { return Ok(first) };
    let mut text = rest.to_string();
    while !text.ends_with("\"\"\"") {
        text.push('\n');
        text.push_str(&editor.readline("... ")?);
    }
    text.truncate(text.len() - 3);
    Ok(text)
}

fn history_file() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
    Some(std::path::Path::new(&home).join(".olivine").join("history"))
}
