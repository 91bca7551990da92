//! Everything between strings and token ids: tokenizers, streaming decode, chat templates, and what a model's text means
//! (reasoning, tool calls). No arrays.
//!
//! Invariant: nothing here knows a model; the same `Tokenizer` serves every thread (`Send + Sync`, cheap to clone the
//! shared parts of). Read `tokenizer` first, then `pipeline`, `stream`, `chat_template` and `parsers`.

mod added;
mod bpe;
pub mod chat_template;
pub mod error;
pub mod fill;
pub mod gguf;
mod go_template;
mod json;
mod pairs;
pub mod parsers;
mod pipeline;
mod split;
mod spm;
pub mod stream;
pub mod tokenizer;
pub mod vocabulary;

pub use chat_template::{ChatTemplate, RenderInput, SpecialStrings};
pub use error::TextError;
pub use fill::Fill;
pub use gguf::GgufVocabulary;
pub use pipeline::EncodeOptions;
pub use stream::StreamDecoder;
pub use tokenizer::{SpecialIds, Tokenizer};
pub use vocabulary::{TokenKind, Vocabulary};
