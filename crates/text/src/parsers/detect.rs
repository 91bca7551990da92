//! Which syntax a model speaks: told from its chat template, which writes the same markers.
//!
//! Invariant: the list is in order of how telling the markers are; the first syntax whose markers a template holds is
//! it. A new syntax is its file and a line here.

use crate::parsers::syntax::Syntax;
use crate::parsers::{
    apertus, apriel, cohere, deepseek, functionary, gemma, gigachat, glimmer, glm, granite, harmony, hermes, hunyuan,
    json_call, kimi, laguna, lfm2, llama, minicpm, minimax, mistral, nemotron, nested, olmo, phi, plain, pythonic,
    qwen3_coder, recipients, seed, solar,
};

impl Syntax {
    /// The syntax with this name.
    pub fn named(name: &str) -> Option<&'static Syntax> {
        SYNTAXES.iter().copied().find(|syntax| syntax.name == name)
    }
}

/// All of them, the most telling first.
pub const SYNTAXES: &[&Syntax] = &[
    &harmony::SYNTAX,
    &glimmer::SYNTAX,
    &cohere::SYNTAX,
    &cohere::ACTIONS,
    &gemma::GEMMA4,
    &gemma::FUNCTION_GEMMA,
    &deepseek::DSML,
    &deepseek::COGITO,
    &deepseek::DEEPSEEK,
    &kimi::K3,
    &kimi::SYNTAX,
    &nested::SYNTAX,
    &minimax::M2,
    &minimax::M1,
    &mistral::SYNTAX,
    &solar::SYNTAX,
    &apertus::SYNTAX,
    &apriel::APRIEL16,
    &apriel::SYNTAX,
    &hunyuan::SYNTAX,
    &seed::SYNTAX,
    &nemotron::NANO_V2,
    &gigachat::SYNTAX,
    &lfm2::SYNTAX,
    &olmo::SYNTAX,
    &olmo::THINK,
    &functionary::FIREFUNCTION,
    &laguna::SYNTAX,
    &glm::SYNTAX,
    &minicpm::SYNTAX,
    &qwen3_coder::SYNTAX,
    &granite::SYNTAX,
    &phi::SYNTAX,
    &functionary::V31,
    &recipients::SYNTAX,
    &hermes::SYNTAX,
    &llama::SYNTAX,
    &pythonic::SYNTAX,
    &json_call::SYNTAX,
    &plain::SYNTAX,
];

/// The syntax of a model with this chat template.
pub fn detect(template: &str) -> &'static Syntax {
    let speaks = |syntax: &&&Syntax| syntax.signs.iter().any(|line| line.iter().all(|sign| template.contains(sign)));
    SYNTAXES.iter().find(speaks).copied().unwrap_or(&plain::SYNTAX)
}
