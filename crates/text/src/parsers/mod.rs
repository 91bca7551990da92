//! What a model wrote → reasoning, text and tool calls, as it comes.
//!
//! Invariant: nothing is lost and nothing waits without need. Only what could still become a marker is held back;
//! arguments are handed on while the model writes them; a call that cannot be read comes out as the text it was. How
//! the output is cut into pieces never changes what comes out. Read `core` for the machinery, `outline` for the shape
//! that most syntaxes share, `bodies` for the inside of a call, `detect` for which syntax a model speaks, and one file
//! per syntax for its markers.

mod apertus;
mod apriel;
mod bodies;
mod cohere;
mod core;
mod deepseek;
mod detect;
mod functionary;
mod gemma;
mod gigachat;
mod glimmer;
mod glm;
mod granite;
mod harmony;
mod hermes;
mod hunyuan;
mod json_call;
mod kimi;
mod laguna;
mod lfm2;
mod llama;
mod minicpm;
mod minimax;
mod mistral;
mod nemotron;
mod nested;
mod olmo;
mod outline;
mod output;
mod phi;
mod plain;
mod pythonic;
mod qwen3_coder;
mod recipients;
mod seed;
mod solar;
mod syntax;
mod thinking;

pub use self::core::{ParsedCall, ParsedOutput, ParserEvent, ParserOptions};
pub use self::detect::{SYNTAXES, detect};
pub use self::output::OutputParser;
pub use self::syntax::Syntax;
