//! What can go wrong between a name and the files of a model. Messages name the file, model or address at fault; where
//! Ollama's clients match on words, they are Ollama's. Every module of this crate returns [`HubError`].

use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A name that is none.
    #[error("invalid model name `{name}`: {reason}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A digest that is none.
    #[error("invalid digest format `{0}`: sha256: and 64 hexadecimal digits are wanted")]
    DigestForm(String),
    /// No such model in the store.
    #[error("model '{0}' not found")]
    NotFound(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A Modelfile that cannot be read.
    #[error("{file}, line {line}: {reason}")]
    Modelfile {
        /// The file.
        file: String,
        /// One-based.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A manifest, a layer or a record that has not the expected form.
    #[error("{what}: {reason}")]
    Form {
        /// The file, address or field.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are not what their name says.
    #[error("digest mismatch, file must be downloaded again: want {want}, got {got}")]
    DigestMismatch {
        /// The name.
        want: String,
        /// What the bytes have.
        got: String,
    },
    /// The other side refused or broke off.
    #[error("{url}: {reason}")]
    Http {
        /// The address.
        url: String,
        /// Its status; 0 where there was no answer.
        status: u16,
        /// What happened.
        reason: String,
    },
    /// What was asked for cannot be done.
    #[error("{0}")]
    Refused(String),
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

impl HubError {
    /// A file that could not be read or written.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> HubError {
        let path = path.as_ref().to_path_buf();
        move |source| HubError::Io { path, source }
    }

    /// Something that has not the expected form.
    pub fn form(what: impl ToString, reason: impl ToString) -> HubError {
        HubError::Form { what: what.to_string(), reason: reason.to_string() }
    }

    /// The status of the other side's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            HubError::Http { status, .. } if *status > 0 => Some(*status),
            _ => None,
        }
    }
}
