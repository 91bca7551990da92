//! What can go wrong when a model is opened, each with the file, field or tensor at fault.

use std::path::PathBuf;

/// A model that cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such file or folder.
    #[error("{0}: no such file or folder; give a model folder (config.json and *.safetensors) or a .gguf file")]
    NotFound(PathBuf),
    /// A folder or file that lacks a part.
    #[error("{path}: {what} is missing; {fix}")]
    Missing {
        /// The folder or file.
        path: PathBuf,
        /// What is not there.
        what: String,
        /// What to do about it.
        fix: String,
    },
    /// A configuration field that is absent or of the wrong kind.
    #[error("{file}: field `{field}`: {problem}")]
    Field {
        /// The configuration file.
        file: String,
        /// The field's name.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A family that is not known.
    #[error("{file}: unknown architecture `{architecture}`; known are: {known}")]
    Architecture {
        /// The configuration file.
        file: String,
        /// What it asked for.
        architecture: String,
        /// What there is.
        known: String,
    },
    /// A tensor that is absent or has the wrong shape or type.
    #[error("{file}: tensor `{tensor}`: {problem}")]
    Tensor {
        /// The weight file or folder.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A feature that is refused rather than approximated.
    #[error("{file}: {feature} is not supported{hint}")]
    Unsupported {
        /// The configuration file.
        file: String,
        /// What it asks for.
        feature: String,
        /// What to do instead, with a leading separator, or nothing.
        hint: String,
    },
    /// A prompt that does not fit.
    #[error(
        "the prompt has {prompt} tokens and the context {context}; shorten it, or raise --context if the model allows more"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A broken weight file.
    #[error(transparent)]
    Format(#[from] olivine_formats::FormatError),
    /// A broken tokenizer or template.
    #[error(transparent)]
    Text(#[from] olivine_text::TextError),
    /// Reading or writing failed.
    #[error("{path}: {source}{}", olivine_formats::advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Weights that cannot be packed.
    #[error("tensor `{tensor}`: {source}")]
    Quant {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        source: olivine_kernels::quant::QuantError,
    },
}
