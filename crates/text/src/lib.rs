//! Everything between strings and token ids: tokenizers, streaming decode, chat templates. No arrays.
//!
//! Invariant: nothing here knows a model; the same `Tokenizer` serves every thread (`Send + Sync`, cheap to clone the
//! shared parts of). Read `tokenizer` first, then `stream`, then `chat_template`.

pub mod chat_template;
pub mod error;
pub mod stream;
pub mod tokenizer;
pub mod vocabulary;

pub use chat_template::{ChatTemplate, RenderInput, SpecialStrings};
pub use error::TextError;
pub use stream::StreamDecoder;
pub use tokenizer::{EncodeOptions, Tokenizer};
pub use vocabulary::{TokenKind, Vocabulary};
