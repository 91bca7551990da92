//! The line editor of the chat: history from chat to chat, several lines between `"""`, commands completed by Tab.

use std::borrow::Cow;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::output::Style;
use super::settings::{COMMANDS, unquoted};

const QUOTES: &str = "\"\"\"";
const PLACEHOLDER: &str = "Send a message (/? for help)";

/// Reads messages from the terminal.
pub struct MessageEditor {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

impl MessageEditor {
    pub fn new(style: Style) -> Result<MessageEditor, ReadlineError> {
        let config = Config::builder().history_ignore_space(true).history_ignore_dups(true)?.build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant { style }));
        let history = history_file();
        if let Some(file) = &history {
            // The first chat has no history yet.
            let _ = editor.load_history(file);
        }
        Ok(MessageEditor { editor, history })
    }

    /// The next message or command, without the quotes around several lines.
    pub fn read(&mut self, keep_history: bool) -> Result<String, ReadlineError> {
        let line = self.editor.readline(">>> ")?;
        if keep_history && !line.trim().is_empty() {
            self.editor.add_history_entry(&line)?;
            self.save();
        }
        let trimmed = line.trim();
        Ok(if trimmed.starts_with(QUOTES) { unquoted(trimmed).into() } else { line })
    }

    /// After each message, for a chat may end in any way.
    fn save(&mut self) {
        let Some(file) = &self.history else { return };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.map_err(ReadlineError::from).and_then(|()| self.editor.append_history(file)) {
            eprintln!("olivine: {}: the history is not kept: {error}", file.display());
            self.history = None;
        }
    }
}

/// Whether quotes are open at the end of `text`.
fn is_open(text: &str) -> bool {
    let text = text.trim_start();
    (text.starts_with(QUOTES) || text.starts_with('/')) && text.matches(QUOTES).count() % 2 == 1
}

fn history_file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
    Some(PathBuf::from(home).join(".olivine").join("history"))
}

struct Assistant {
    style: Style,
}

/// A hint that is only to be read.
struct Placeholder;

impl Hint for Placeholder {
    fn display(&self) -> &str {
        PLACEHOLDER
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Helper for Assistant {}

impl Hinter for Assistant {
    type Hint = Placeholder;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<Placeholder> {
        // Only grey tells it from what was typed.
        (line.is_empty() && self.style.colours).then_some(Placeholder)
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        self.style.dim(hint).into()
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        if !typed.starts_with('/') {
            return Ok((at, Vec::new()));
        }
        Ok((0, COMMANDS.iter().filter(|command| command.starts_with(typed)).map(|c| c.to_string()).collect()))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let open = is_open(context.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_open_until_they_are_closed() {
        for (text, open) in [
            ("\"\"\"", true),
            ("\"\"\"first\nsecond", true),
            ("\"\"\"first\nsecond\"\"\"", false),
            ("\"\"\"one line\"\"\"", false),
            ("/set system \"\"\"You are", true),
            ("say \"\"\" to me", false),
            ("plain", false),
        ] {
            assert_eq!(is_open(text), open, "{text}");
        }
        assert_eq!(unquoted("\"\"\"\nfirst\nsecond\n\"\"\""), "first\nsecond");
    }
}
