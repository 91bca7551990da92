//! The chat's commands: what `/set` changes and `/show` tells. No input, no output: text in, text out.

use olivine_lm::generate::GenerateOptions;
use serde_json::{Map, Value, json};

/// What `/help` prints.
pub const HELP: &str = "\
/set                what can be set
/show               what can be shown
/clear              forget the conversation
/bye, Ctrl-D        leave
/help, /?           this text
\"\"\"                 begin and end a message of several lines
Ctrl-C              stop the answer; Ctrl-R searches the history, Tab completes a command";

const SET_HELP: &str = "\
/set parameter NAME VALUE   a parameter: /show parameters lists them
/set system TEXT            the system message; no text: none
/set think | nothink        let the model think first, or not
/set verbose | quiet        print timings, or not
/set history | nohistory    keep what you type for the next chat, or not";

const SHOW_HELP: &str = "\
/show info                  the model
/show parameters            how answers are made
/show system                the system message";

/// All commands, for completion.
pub const COMMANDS: &[&str] = &[
    "/bye",
    "/clear",
    "/help",
    "/set history",
    "/set nohistory",
    "/set nothink",
    "/set parameter ",
    "/set quiet",
    "/set system ",
    "/set think",
    "/set verbose",
    "/show info",
    "/show parameters",
    "/show system",
];

/// What the user may change while talking.
#[derive(Clone, Debug)]
pub struct Settings {
    pub options: GenerateOptions,
    pub system: Option<String>,
    /// Messages of the Modelfile, before all others.
    pub first_messages: Vec<Value>,
    /// Names of parameters that the user set.
    pub changed: Vec<String>,
    pub think: Option<bool>,
    pub verbose: bool,
    pub keep_history: bool,
}

/// What a command comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// Print this and go on.
    Text(String),
    /// Forget the conversation.
    Clear,
    /// Leave the chat.
    Leave,
}

impl Settings {
    /// Carry out a line that begins with `/`.
    pub fn command(&mut self, line: &str, info: &dyn Fn() -> String) -> Reply {
        let (name, rest) = split(line);
        match name {
            "/bye" | "/exit" | "/quit" => Reply::Leave,
            "/clear" => Reply::Clear,
            "/help" | "/?" => Reply::Text(HELP.into()),
            "/set" => Reply::Text(self.set(rest).unwrap_or_else(|problem| problem)),
            "/show" => Reply::Text(self.show(rest, info)),
            _ => Reply::Text(format!("{name} is not a command; /help lists them")),
        }
    }

    /// Messages behind the system message and those of the Modelfile.
    pub fn conversation(&self, messages: &[Value]) -> Value {
        let system = self.system.as_ref().map(|text| json!({"role": "system", "content": text}));
        system.into_iter().chain(self.first_messages.iter().cloned()).chain(messages.iter().cloned()).collect()
    }

    /// Template variables of the settings.
    pub fn template_variables(&self) -> Map<String, Value> {
        thinking_variables(self.think)
    }

    fn set(&mut self, rest: &str) -> Result<String, String> {
        let (what, value) = split(rest);
        Ok(match (what, value) {
            ("parameter", "") => "a name and a value are wanted: /set parameter temperature 0.7".into(),
            ("parameter", value) => {
                let (name, value) = split(value);
                self.set_parameter(name, value)?;
                format!("{name}: {value}")
            }
            ("system", text) => {
                let text = unquoted(text);
                self.system = (!text.is_empty()).then(|| text.to_string());
                if self.system.is_some() { "system message set" } else { "no system message" }.into()
            }
            ("think", "") => self.switch(|s| s.think = Some(true), "the model thinks first"),
            ("nothink", "") => self.switch(|s| s.think = Some(false), "the model answers at once"),
            ("verbose", "") => self.switch(|s| s.verbose = true, "timings are printed"),
            ("quiet", "") => self.switch(|s| s.verbose = false, "timings are not printed"),
            ("history", "") => self.switch(|s| s.keep_history = true, "what you type is kept"),
            ("nohistory", "") => self.switch(|s| s.keep_history = false, "what you type is not kept"),
            ("", _) => SET_HELP.into(),
            (other, _) => return Err(format!("`{other}` cannot be set\n{SET_HELP}")),
        })
    }

    fn switch(&mut self, change: impl FnOnce(&mut Settings), text: &str) -> String {
        change(self);
        text.into()
    }

    /// Parameters by the names that Modelfiles use.
    fn set_parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        fn number<T: std::str::FromStr>(name: &str, value: &str, kind: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("{name}: {kind} is wanted, not `{value}`"))
        }
        let (decimal, whole) = (|| number::<f32>(name, value, "a number"), || number(name, value, "a whole number"));
        let mut options = self.options.clone();
        let sampling = &mut options.sampling;
        match name {
            "temperature" => sampling.temperature = decimal()?,
            "top_k" => sampling.top_k = whole()?,
            "top_p" => sampling.top_p = decimal()?,
            "min_p" => sampling.min_p = decimal()?,
            "typical_p" => sampling.typical_p = decimal()?,
            "repeat_penalty" => sampling.repetition_penalty = decimal()?,
            "repeat_last_n" => sampling.penalty_tokens = whole()?,
            "presence_penalty" => sampling.presence_penalty = decimal()?,
            "frequency_penalty" => sampling.frequency_penalty = decimal()?,
            "seed" => sampling.seed = number(name, value, "a whole number")?,
            "num_predict" if value == "-1" => options.max_tokens = None,
            "num_predict" => options.max_tokens = Some(whole()?),
            "stop" if value.is_empty() => options.stop.clear(),
            "stop" => options.stop.push(value.into()),
            "num_ctx" | "num_thread" => {
                return Err(format!(
                    "{name} is fixed while a model is loaded; start again with --context or --threads"
                ));
            }
            _ => return Err(format!("`{name}` is not a parameter; /show parameters lists them")),
        }
        sampling_check(&options)?;
        self.options = options;
        if !self.changed.iter().any(|known| known == name) {
            self.changed.push(name.to_string());
        }
        Ok(())
    }

    fn show(&self, what: &str, info: &dyn Fn() -> String) -> String {
        match what {
            "info" => info().trim_end().into(),
            "parameters" => self.parameters(),
            "system" => self.system.clone().unwrap_or_else(|| "no system message".into()),
            "" => SHOW_HELP.into(),
            other => format!("`{other}` cannot be shown\n{SHOW_HELP}"),
        }
    }

    fn parameters(&self) -> String {
        let sampling = &self.options.sampling;
        let limit = self.options.max_tokens.map_or("-1".into(), |tokens| tokens.to_string());
        let rows: [(&str, &dyn std::fmt::Display); 11] = [
            ("temperature", &sampling.temperature),
            ("top_k", &sampling.top_k),
            ("top_p", &sampling.top_p),
            ("min_p", &sampling.min_p),
            ("typical_p", &sampling.typical_p),
            ("repeat_penalty", &sampling.repetition_penalty),
            ("repeat_last_n", &sampling.penalty_tokens),
            ("presence_penalty", &sampling.presence_penalty),
            ("frequency_penalty", &sampling.frequency_penalty),
            ("seed", &sampling.seed),
            ("num_predict", &limit),
        ];
        let mut lines: Vec<_> = rows.iter().map(|(name, value)| format!("{name:<18} {value}")).collect();
        lines.extend(self.options.stop.iter().map(|stop| format!("{:<18} {stop:?}", "stop")));
        lines.join("\n")
    }
}

/// Both names that templates have for the switch.
pub fn thinking_variables(think: Option<bool>) -> Map<String, Value> {
    let names = ["enable_thinking", "thinking"];
    let pair = |think| names.map(|name| (name.to_string(), Value::Bool(think)));
    think.into_iter().flat_map(pair).collect()
}

/// A message without the quotes that let it have several lines.
pub fn unquoted(text: &str) -> &str {
    let inner = text.strip_prefix("\"\"\"").and_then(|text| text.strip_suffix("\"\"\""));
    inner.map_or(text, |inner| inner.trim_matches('\n'))
}

fn sampling_check(options: &GenerateOptions) -> Result<(), String> {
    options.sampling.check()
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> String {
        "some-family".into()
    }

    fn settings() -> Settings {
        let options = GenerateOptions::default();
        let first_messages = Vec::new();
        Settings {
            options,
            system: None,
            first_messages,
            changed: Vec::new(),
            think: None,
            verbose: false,
            keep_history: true,
        }
    }

    fn say(settings: &mut Settings, line: &str) -> String {
        match settings.command(line, &info) {
            Reply::Text(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_that_end_or_clear() {
        let mut settings = settings();
        assert_eq!(settings.command("/bye", &info), Reply::Leave);
        assert_eq!(settings.command("/clear", &info), Reply::Clear);
        assert!(say(&mut settings, "/help").contains("/set") && say(&mut settings, "/?").contains("/bye"));
        assert!(say(&mut settings, "/nonsense").contains("/nonsense is not a command"));
    }

    #[test]
    fn every_parameter_can_be_set_and_is_shown() {
        let mut settings = settings();
        for (name, value) in [
            ("temperature", "0.25"),
            ("top_k", "7"),
            ("top_p", "0.5"),
            ("min_p", "0.125"),
            ("typical_p", "0.75"),
            ("repeat_penalty", "1.5"),
            ("repeat_last_n", "33"),
            ("presence_penalty", "0.5"),
            ("frequency_penalty", "-0.5"),
            ("seed", "42"),
            ("num_predict", "99"),
        ] {
            assert_eq!(say(&mut settings, &format!("/set parameter {name} {value}")), format!("{name}: {value}"));
            let shown = say(&mut settings, "/show parameters");
            let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a line");
            assert!(line.ends_with(&format!(" {value}")), "{line}");
        }
        say(&mut settings, "/set parameter stop two words");
        assert_eq!(settings.options.stop, ["two words"]);
        say(&mut settings, "/set parameter num_predict -1");
        assert_eq!(settings.options.max_tokens, None);
    }

    #[test]
    fn wrong_values_change_nothing() {
        let mut settings = settings();
        let before = format!("{settings:?}");
        for (line, part) in [
            ("/set parameter temperature hot", "a number is wanted, not `hot`"),
            ("/set parameter temperature -1", "temperature must be 0 or more"),
            ("/set parameter top_k 1.5", "a whole number"),
            ("/set parameter top_p 3", "top_p must be from 0 to 1"),
            ("/set parameter num_ctx 100", "--context"),
            ("/set parameter warmth 3", "not a parameter"),
            ("/set parameter", "a name and a value"),
            ("/set colour", "cannot be set"),
            ("/show colour", "cannot be shown"),
        ] {
            let text = say(&mut settings, line);
            assert!(text.contains(part), "{line}: {text}");
        }
        assert_eq!(format!("{settings:?}"), before);
    }

    #[test]
    fn switches_and_the_system_message() {
        let mut settings = settings();
        for (line, check) in [
            ("/set think", (|s| s.think == Some(true)) as fn(&Settings) -> bool),
            ("/set nothink", |s| s.think == Some(false)),
            ("/set verbose", |s| s.verbose),
            ("/set quiet", |s| !s.verbose),
            ("/set nohistory", |s| !s.keep_history),
            ("/set history", |s| s.keep_history),
            ("/set system Be brief.", |s| s.system.as_deref() == Some("Be brief.")),
            ("/set system \"\"\"Be\nbrief.\"\"\"", |s| s.system.as_deref() == Some("Be\nbrief.")),
        ] {
            say(&mut settings, line);
            assert!(check(&settings), "{line}: {settings:?}");
        }
        assert_eq!(settings.template_variables()["enable_thinking"], false);
        assert_eq!(say(&mut settings, "/show system"), "Be\nbrief.");
        say(&mut settings, "/set system");
        assert_eq!(settings.system, None);
        assert!(say(&mut settings, "/show info").contains("some-family"));
    }
}
