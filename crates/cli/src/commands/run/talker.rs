//! Who answers: a model in this process, or one in a server that is already there.
//!
//! Invariant: the chat above does not know which. Read `remote.rs` and `output.rs`.

use anyhow::{Result, bail};
use olivine_lm::generate::Session;
use olivine_lm::language_model::LanguageModel;
use serde_json::Value;

use super::check_thinking;
use super::output::{Shown, Style, print_answer};
use super::remote::Remote;
use super::settings::Settings;

/// A model that answers.
pub enum Talker {
    /// Here, with the conversation so far.
    Here(Box<LanguageModel>, Session),
    /// In a server.
    There(Box<Remote>),
}

impl Talker {
    /// Whether there is a place for roles; without one the model goes on with a text.
    pub fn has_template(&self) -> bool {
        match self {
            Talker::Here(model, _) => model.template.is_some(),
            Talker::There(remote) => remote.has_template(),
        }
    }

    /// What `/show info` says.
    pub fn info(&self) -> String {
        match self {
            Talker::Here(model, _) => model.model.spec().to_string(),
            Talker::There(remote) => remote.info(),
        }
    }

    /// An error if the model cannot do what the settings ask for.
    pub fn supports(&self, settings: &Settings) -> Result<()> {
        match self {
            Talker::Here(model, _) => check_thinking(model, settings.think)?,
            Talker::There(remote) if settings.think == Some(true) && !remote.can_think() => {
                bail!("this model does not think");
            }
            Talker::There(_) => {}
        }
        if settings.system.is_some() && !self.has_template() {
            bail!("a system message needs a chat template, which this model has not");
        }
        Ok(())
    }

    /// Answers messages, or goes on with the last one where there is no template or `raw` is wanted.
    pub fn answer(&mut self, messages: &[Value], settings: &Settings, raw: bool, style: Style) -> Result<Shown> {
        let plain = raw || !self.has_template();
        let last = messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default();
        match self {
            Talker::Here(model, session) => {
                let text = match plain {
                    true => last.to_string(),
                    false => {
                        let messages = settings.conversation(messages);
                        model.render(&messages, None, Some(&settings.template_variables()))?
                    }
                };
                let ids = model.encode(&text, !plain)?;
                print_answer(model, session, &text, &ids, plain, &settings.options, style)
            }
            Talker::There(remote) if plain => remote.complete(last, settings, style),
            Talker::There(remote) => remote.chat(&settings.conversation(messages), settings, style),
        }
    }
}
