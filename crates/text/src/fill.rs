//! Text in the middle: the prompt of a model that was trained to write what stands between two texts.
//!
//! Invariant: a form is a model's own when its vocabulary has all of the form's markers; the texts themselves are data,
//! nothing in them is a marker. Read `tokenizer` for the encoding.

use crate::error::TextError;
use crate::pipeline::EncodeOptions;
use crate::tokenizer::Tokenizer;

/// A part of a form.
#[derive(Clone, Copy)]
enum Part {
    Marker(&'static str),
    Before,
    After,
}

use Part::{After, Before, Marker};

/// Forms of one model or another: FIM tokens of Qwen, Granite and CodeGemma; StarCoder; SantaCoder; DeepSeek Coder;
/// CodeLlama; Codestral, which reads what follows first; CodeGeeX.
const FORMS: &[&[Part]] = &[
    &[Marker("<|fim_prefix|>"), Before, Marker("<|fim_suffix|>"), After, Marker("<|fim_middle|>")],
    &[Marker("<fim_prefix>"), Before, Marker("<fim_suffix>"), After, Marker("<fim_middle>")],
    &[Marker("<fim-prefix>"), Before, Marker("<fim-suffix>"), After, Marker("<fim-middle>")],
    &[Marker("<｜fim▁begin｜>"), Before, Marker("<｜fim▁hole｜>"), After, Marker("<｜fim▁end｜>")],
    &[Marker("▁<PRE>"), Before, Marker("▁<SUF>"), After, Marker("▁<MID>")],
    &[Marker("[SUFFIX]"), After, Marker("[PREFIX]"), Before],
    &[Marker("<|code_prefix|>"), Before, Marker("<|code_suffix|>"), After, Marker("<|code_middle|>")],
];

/// Tokens that such models write where the middle ends, beside those that end any answer.
const ENDS: &[&str] = &["<|fim_pad|>", "<fim_pad>", "<|file_sep|>", "<file_sep>", "<|repo_name|>", "▁<EOT>"];

/// A prompt for what stands between two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The prompt.
    pub tokens: Vec<u32>,
    /// Further tokens that end the answer.
    pub end: Vec<u32>,
}

impl Tokenizer {
    /// The prompt for what stands between `before` and `after`; none: the model has no form for it.
    pub fn fill(&self, before: &str, after: &str) -> Result<Option<Fill>, TextError> {
        let known = |part: &Part| match part {
            Marker(marker) => self.id_of(marker).is_some(),
            Before | After => true,
        };
        let Some(form) = FORMS.iter().find(|form| form.iter().all(known)) else { return Ok(None) };
        let start = self.encode("", EncodeOptions::TEXT)?;
        let mut tokens: Vec<u32> =
            start.first().copied().filter(|&id| self.special_ids().bos == Some(id)).into_iter().collect();
        for part in *form {
            match part {
                Marker(marker) => tokens.extend(self.id_of(marker)),
                Before => tokens.extend(self.encode(before, EncodeOptions::LITERAL)?),
                After => tokens.extend(self.encode(after, EncodeOptions::LITERAL)?),
            }
        }
        Ok(Some(Fill { tokens, end: ENDS.iter().filter_map(|name| self.id_of(name)).collect() }))
    }
}
