//! Splits what a model writes into its thinking and its answer, as it comes, in the syntax that its template speaks.
//!
//! Invariant: nothing that is handed out is taken back; calls of tools are shown as the model meant them, for nobody
//! here answers them. Read `text/parsers` for the syntaxes.

use olivine_lm::ChatTemplate;
use olivine_lm::parsers::{OutputParser, ParserEvent, ParserOptions};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Thinking,
    Answer,
}

/// The splitter of one answer; without a template all is answer.
pub struct Splitter(Option<OutputParser>);

impl Splitter {
    /// For the answer to `prompt`, which may end inside the thinking.
    pub fn new(template: Option<&ChatTemplate>, prompt: &str) -> Splitter {
        let options = ParserOptions { prompt_end: prompt, ..ParserOptions::default() };
        Splitter(template.map(|template| OutputParser::new(template.syntax(), options)))
    }

    /// Take text; returns what is certain.
    pub fn push(&mut self, text: &str) -> Vec<(Kind, String)> {
        match &mut self.0 {
            Some(parser) => parser.push(text).into_iter().filter_map(part).collect(),
            None if text.is_empty() => Vec::new(),
            None => vec![(Kind::Answer, text.into())],
        }
    }

    /// What was held back, at the end.
    pub fn finish(&mut self) -> Vec<(Kind, String)> {
        let rest = self.0.as_mut().map_or_else(Vec::new, OutputParser::finish);
        rest.into_iter().filter_map(part).collect()
    }
}

fn part(event: ParserEvent) -> Option<(Kind, String)> {
    Some(match event {
        ParserEvent::Thinking(text) => (Kind::Thinking, text),
        ParserEvent::Content(text) | ParserEvent::CallBroken { text, .. } => (Kind::Answer, text),
        ParserEvent::CallStart { name, .. } => (Kind::Answer, format!("\n{name} ")),
        ParserEvent::CallArguments { delta, .. } => (Kind::Answer, delta),
        ParserEvent::CallEnd { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and answer of a text that comes letter by letter.
    fn split(template: Option<&str>, prompt: &str, text: &str) -> (String, String) {
        let template =
            template.map(|source| ChatTemplate::new("test", source, Default::default()).expect("a template"));
        let mut splitter = Splitter::new(template.as_ref(), prompt);
        let mut parts: Vec<_> = text.chars().flat_map(|c| splitter.push(&c.to_string())).collect();
        parts.extend(splitter.finish());
        let join = |kind| parts.iter().filter(|(k, _)| *k == kind).map(|(_, text)| &text[..]).collect();
        (join(Kind::Thinking), join(Kind::Answer))
    }

    fn pair(thinking: &str, answer: &str) -> (String, String) {
        (thinking.into(), answer.into())
    }

    #[test]
    fn thinking_is_split_off_in_the_syntax_of_the_template() {
        let tags = "{{ messages[0].content }}<think>\n</think>{{ '<tool_call>' }}";
        let answer = pair("Is 1 < 2? Yes.", "Yes: 1 < 2");
        assert_eq!(split(Some(tags), "", "<think>\nIs 1 < 2? Yes.\n</think>\n\nYes: 1 < 2"), answer);
        assert_eq!(split(Some(tags), "<think>\n", "Is 1 < 2? Yes.\n</think>\n\nYes: 1 < 2"), answer);
        let channels = "<|start|>assistant<|channel|>analysis<|message|>";
        let text = "<|channel|>analysis<|message|>Is 1 < 2? Yes.<|end|><|start|>assistant<|channel|>final<|message|>Yes: 1 < 2";
        assert_eq!(split(Some(channels), "<|start|>assistant", text), answer);
    }

    #[test]
    fn an_answer_without_thinking_comes_as_it_is() {
        for text in ["  Hello\n", "<b>bold</b>", "<think>x</think>y"] {
            assert_eq!(split(None, "", text), pair("", text));
        }
        assert_eq!(split(Some("{{ messages }}"), "", "<b>bold</b>"), pair("", "<b>bold</b>"));
    }
}
