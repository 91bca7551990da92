//! Splits what a model writes into its thinking and its answer, as it comes.
//!
//! Thinking stands between `<think>` and `</think>` in front of the answer; some templates write the opening tag into
//! the prompt. Invariant: nothing that is handed out is taken back, and joined it is the model's text without the tags
//! and the white space around them.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Thinking,
    Answer,
}

/// Where the text has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    ThinkingBegins,
    Thinking,
    AnswerBegins,
    Answer,
}

/// The splitter of one answer.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    pending: String,
}

impl Splitter {
    /// For the answer to `prompt`, which may end with the opening tag.
    pub fn new(prompt: &str) -> Splitter {
        let opened = prompt.trim_end().ends_with(OPEN);
        Splitter { state: if opened { State::ThinkingBegins } else { State::Start }, pending: String::new() }
    }

    /// Take text; returns what is certain.
    pub fn push(&mut self, text: &str) -> Vec<(Kind, String)> {
        self.pending.push_str(text);
        let mut ready = Vec::new();
        while self.step(&mut ready) {}
        ready
    }

    /// What was held back, at the end.
    pub fn finish(&mut self) -> Vec<(Kind, String)> {
        let rest = std::mem::take(&mut self.pending);
        match self.state {
            _ if rest.trim().is_empty() => Vec::new(),
            State::Thinking | State::ThinkingBegins => vec![(Kind::Thinking, rest)],
            State::Start | State::AnswerBegins | State::Answer => vec![(Kind::Answer, rest)],
        }
    }

    /// Move one piece out of `pending`; whether the state changed, so that more may follow.
    fn step(&mut self, ready: &mut Vec<(Kind, String)>) -> bool {
        let before = self.state;
        let trimmed = self.pending.trim_start();
        match self.state {
            State::Start => {
                if let Some(rest) = trimmed.strip_prefix(OPEN) {
                    self.pending = rest.into();
                    self.state = State::ThinkingBegins;
                } else if !OPEN.starts_with(trimmed) {
                    self.state = State::Answer;
                }
            }
            State::ThinkingBegins | State::AnswerBegins => {
                self.pending = trimmed.into();
                if !self.pending.is_empty() {
                    let thinks = self.state == State::ThinkingBegins;
                    self.state = if thinks { State::Thinking } else { State::Answer };
                }
            }
            State::Thinking => {
                let (end, closed) = match self.pending.find(CLOSE) {
                    Some(at) => (at, true),
                    None => (self.pending.len() - held(&self.pending), false),
                };
                // White space in front of the closing tag is not part of the thinking.
                let end = self.pending[..end].trim_end().len();
                if end > 0 {
                    ready.push((Kind::Thinking, self.pending[..end].into()));
                }
                self.pending.drain(..end);
                if closed {
                    self.pending = self.pending.split_once(CLOSE).map_or(String::new(), |(_, rest)| rest.into());
                    self.state = State::AnswerBegins;
                }
            }
            State::Answer => {
                if !self.pending.is_empty() {
                    ready.push((Kind::Answer, std::mem::take(&mut self.pending)));
                }
            }
        }
        self.state != before
    }
}

/// Bytes at the end of `text` that may be the start of the closing tag.
fn held(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|&length| text.ends_with(&CLOSE[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and answer of a text cut into pieces.
    fn split(prompt: &str, pieces: &[&str]) -> (String, String) {
        let mut splitter = Splitter::new(prompt);
        let mut parts: Vec<_> = pieces.iter().flat_map(|piece| splitter.push(piece)).collect();
        parts.extend(splitter.finish());
        let join = |kind| parts.iter().filter(|(k, _)| *k == kind).map(|(_, text)| &text[..]).collect();
        (join(Kind::Thinking), join(Kind::Answer))
    }

    #[test]
    fn thinking_is_split_off_wherever_the_text_is_cut() {
        let text = "<think>\nIs 1 < 2? Yes.\n\nIt </is>.\n</think>\n\nYes: 1 < 2 </think> ok";
        let expected = ("Is 1 < 2? Yes.\n\nIt </is>.".to_string(), "Yes: 1 < 2 </think> ok".to_string());
        for at in 0..=text.len() {
            assert_eq!(split("", &[&text[..at], &text[at..]]), expected, "cut at {at}");
            let opened = text.trim_start_matches("<think>");
            let at = at.min(opened.len());
            assert_eq!(split("user: hi\n<think>\n", &[&opened[..at], &opened[at..]]), expected, "opened, cut at {at}");
        }
        let letters: Vec<_> = (0..text.len()).map(|at| &text[at..=at]).collect();
        assert_eq!(split("", &letters), expected);
    }

    #[test]
    fn an_answer_without_thinking_comes_as_it_is() {
        for text in ["  Hello\n", "<b>bold</b>", "a <think> b </think> c", "<thin"] {
            assert_eq!(split("", &[text]), (String::new(), text.into()));
        }
        assert_eq!(split("", &["<think>\n\n</think>\n\nhi"]), (String::new(), "hi".into()));
        assert_eq!(split("", &["<think>\nnever ends"]), ("never ends".into(), String::new()));
    }
}
