//! How an answer appears: streamed, its thinking set off on a terminal, a spinner until the first word.
//!
//! Invariant: escape sequences, spinners and frames around the thinking go to terminals only; a pipe gets the model's
//! text as it is.

use std::io::{IsTerminal, StdoutLock, Write};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::generate::{GenerateOptions, Session};
use olivine_lm::language_model::LanguageModel;

use super::thinking::{Kind, Splitter};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Somebody watches.
    pub terminal: bool,
    /// Escape sequences are welcome.
    pub colours: bool,
    /// Leave the thinking out.
    pub hide_thinking: bool,
}

impl Style {
    /// What suits standard output.
    pub fn of_stdout(hide_thinking: bool) -> Style {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Style { terminal, colours: terminal && !dumb && !set("NO_COLOR"), hide_thinking }
    }

    /// `text` in grey, where that is possible.
    pub fn dim(self, text: &str) -> String {
        if self.colours { format!("{DIM}{text}{PLAIN}") } else { text.into() }
    }
}

/// A turning sign on standard error while something takes its time; gone when dropped.
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Shown on terminals only.
    pub fn start(message: &str) -> Spinner {
        if !std::io::stderr().is_terminal() {
            return Spinner(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {msg}").expect("a valid template");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(message.to_string());
        bar.enable_steady_tick(Duration::from_millis(100));
        Spinner(bar)
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.end();
    }
}

/// An answer as it was shown.
pub struct Shown {
    pub timings: Timings,
    /// Its parts; white space around the thinking is gone.
    pub thinking: String,
    pub text: String,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub answer_tokens: usize,
    pub prefill: Duration,
    pub decode: Duration,
    pub load: Duration,
}

/// Answer `prompt` and print the answer as it comes.
pub fn print_answer(
    model: &mut LanguageModel,
    session: &mut Session,
    prompt: &str,
    ids: &[u32],
    raw: bool,
    options: &GenerateOptions,
    style: Style,
) -> Result<Shown> {
    let mut printer = Printer::start(style);
    // A raw prompt is no conversation.
    let template = model.template.as_ref().filter(|_| !raw);
    let mut splitter = Splitter::new(template, prompt);
    // People see its parts, a pipe the text.
    let with_control = template.is_some() && (style.terminal || style.hide_thinking);
    let options = GenerateOptions { with_control, ..options.clone() };
    let answer = model.generate(session, ids, &options, |piece, _| printer.show(&splitter.push(piece), piece))?;
    // A pipe has this text already.
    printer.show(&splitter.finish(), "");
    let (thinking, text) = printer.end();
    let timings = Timings {
        prompt_tokens: answer.prompt_tokens,
        cached_tokens: answer.cached_tokens,
        answer_tokens: answer.tokens.len(),
        prefill: answer.prefill,
        decode: answer.decode,
        load: Duration::ZERO,
    };
    Ok(Shown { timings, thinking, text })
}

/// An answer on its way to standard output.
pub struct Printer {
    spinner: Spinner,
    screen: Screen<'static>,
    thinking: String,
    text: String,
}

impl Printer {
    /// Nothing has come yet.
    pub fn start(style: Style) -> Printer {
        let screen = Screen { out: std::io::stdout().lock(), style, last: None };
        Printer { spinner: Spinner::start("reading the prompt"), screen, thinking: String::new(), text: String::new() }
    }

    /// More of it: its parts for people, and as the model wrote it for a pipe. False: nobody reads any more.
    pub fn show(&mut self, parts: &[(Kind, String)], raw: &str) -> bool {
        if !parts.is_empty() || !raw.is_empty() {
            self.spinner.end();
        }
        for (kind, part) in parts {
            match kind {
                Kind::Thinking => self.thinking.push_str(part),
                Kind::Answer => self.text.push_str(part),
            }
        }
        // A closed pipe ends the answer as Ctrl-C does.
        self.screen.show(parts, raw).is_ok()
    }

    /// The end; the thinking and the text.
    pub fn end(mut self) -> (String, String) {
        self.spinner.end();
        // A reader that has seen enough (`| head -1`) is no error.
        let _ = self.screen.end();
        (self.thinking, self.text)
    }
}

/// Standard output with the frame around the thinking.
struct Screen<'a> {
    out: StdoutLock<'a>,
    style: Style,
    /// What was printed last.
    last: Option<Kind>,
}

impl Screen<'_> {
    fn show(&mut self, parts: &[(Kind, String)], raw: &str) -> std::io::Result<()> {
        if !self.style.terminal && !self.style.hide_thinking {
            self.out.write_all(raw.as_bytes())?;
            return self.out.flush();
        }
        for (kind, part) in parts {
            self.out.write_all(framed(self.style, self.last, *kind, part).as_bytes())?;
            self.last = Some(*kind);
        }
        self.out.flush()
    }

    /// The end of the line, and of the frame where the model never stopped thinking.
    fn end(&mut self) -> std::io::Result<()> {
        if self.last == Some(Kind::Thinking) {
            self.out.write_all(framed(self.style, self.last, Kind::Answer, "").as_bytes())?;
        }
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

/// A part as it is printed behind one of the kind `last`.
fn framed(style: Style, last: Option<Kind>, kind: Kind, part: &str) -> String {
    match (style.hide_thinking, last, kind) {
        (true, _, Kind::Thinking) => String::new(),
        (true, _, Kind::Answer) => part.into(),
        (false, Some(Kind::Thinking), Kind::Thinking) => style.dim(part),
        (false, _, Kind::Thinking) => style.dim(&format!("Thinking…\n{part}")),
        (false, Some(Kind::Thinking), Kind::Answer) => style.dim("\n…done thinking.\n\n") + part,
        (false, _, Kind::Answer) => part.into(),
    }
}

/// The lines of `ollama run --verbose`, on standard error.
pub fn print_timings(timings: &Timings) {
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    let Timings { prompt_tokens, cached_tokens, answer_tokens, prefill, decode, load } = *timings;
    eprintln!();
    eprintln!("total duration:       {:?}", load + prefill + decode);
    eprintln!("load duration:        {load:?}");
    eprintln!("prompt eval count:    {prompt_tokens} token(s)");
    if cached_tokens > 0 {
        eprintln!("prompt from cache:    {cached_tokens} token(s)");
    }
    eprintln!("prompt eval duration: {prefill:?}");
    eprintln!("prompt eval rate:     {:.2} tokens/s", rate(prompt_tokens - cached_tokens, prefill));
    eprintln!("eval count:           {answer_tokens} token(s)");
    eprintln!("eval duration:        {decode:?}");
    eprintln!("eval rate:            {:.2} tokens/s", rate(answer_tokens, decode));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_framed_and_grey_where_colours_are_welcome() {
        let plain = Style { terminal: true, colours: false, hide_thinking: false };
        assert_eq!(framed(plain, None, Kind::Thinking, "hm"), "Thinking…\nhm");
        assert_eq!(framed(plain, Some(Kind::Thinking), Kind::Thinking, "hm"), "hm");
        assert_eq!(framed(plain, Some(Kind::Thinking), Kind::Answer, "so"), "\n…done thinking.\n\nso");
        assert_eq!(framed(plain, None, Kind::Answer, "so"), "so");
        let grey = Style { colours: true, ..plain };
        assert_eq!(framed(grey, Some(Kind::Thinking), Kind::Thinking, "hm"), "\x1b[2mhm\x1b[0m");
        assert_eq!(framed(grey, Some(Kind::Answer), Kind::Answer, "so"), "so");
        let hidden = Style { hide_thinking: true, ..grey };
        assert_eq!(framed(hidden, None, Kind::Thinking, "hm"), "");
        assert_eq!(framed(hidden, Some(Kind::Thinking), Kind::Answer, "so"), "so");
    }
}
