//! The markers of reasoning of a syntax, for those who write them for the model.
//!
//! Invariant: a pair is a syntax's own because its parser says so, not because a list does. Read `detect` for syntaxes.

use super::core::ParserOptions;
use super::output::OutputParser;
use super::syntax::Syntax;

/// What opens and closes reasoning in one syntax or another.
const PAIRS: &[(&str, &str)] = &[
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"),
    ("<think:opensource>", "</think:opensource>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("<mm:think>", "</mm:think>"),
    ("<thinking>", "</thinking>"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
    (" to=self<|message|>", "<|eom|><|start|>assistant to=user<|message|>"),
    ("<think>", "</think>"),
];

impl Syntax {
    /// What opens and what closes reasoning at the start of an answer; none: this syntax has none.
    pub fn thinking(&self) -> Option<(&'static str, &'static str)> {
        PAIRS.iter().copied().find(|(open, close)| {
            let text = format!("{open}\nreason{close}answer");
            let parsed = OutputParser::parse(self, ParserOptions::default(), &text);
            parsed.thinking.trim() == "reason" && parsed.content.trim() == "answer"
        })
    }
}
