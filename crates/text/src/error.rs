//! Errors of loading and using tokenizers and chat templates. Each names the file or template and the field at fault.
//! Everything in this crate that can fail returns [`TextError`]; see `tokenizer` and `chat_template` for the callers.

/// What can go wrong between strings and token ids.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file could not be read.
    #[error("{path}: {source}{}", olivine_formats::advice(source))]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A tokenizer definition is malformed or of an unknown kind.
    #[error("tokenizer {origin}: {field}: {reason}")]
    Tokenizer {
        /// File or source of the definition.
        origin: String,
        /// The field at fault.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A text could not be encoded.
    #[error("tokenizer: encoding failed: {0}")]
    Encode(String),
    /// A chat template does not compile or does not render.
    #[error("chat template {name}, line {line}: {reason}")]
    Template {
        /// Name of the template (its file or key).
        name: String,
        /// One-based line; 0 when the engine does not know it.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl TextError {
    /// A malformed tokenizer definition.
    pub fn tokenizer(origin: &str, field: impl Into<String>, reason: impl ToString) -> TextError {
        TextError::Tokenizer { origin: origin.to_string(), field: field.into(), reason: reason.to_string() }
    }

    /// A file that could not be read.
    pub fn io(path: &std::path::Path, source: std::io::Error) -> TextError {
        TextError::Io { path: path.display().to_string(), source }
    }
}
