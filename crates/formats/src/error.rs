//! What can be wrong with a file, each with the file, the place and the name at fault.

use std::path::{Path, PathBuf};

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content breaks the format.
    #[error("{}: at byte {offset}: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
        /// What is wrong, naming the tensor or field.
        problem: String,
    },
    /// A metadata field that is absent or of the wrong type.
    #[error("{}: metadata `{key}`: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

impl FormatError {
    /// A broken place.
    pub fn broken(path: &Path, offset: usize, problem: impl Into<String>) -> FormatError {
        FormatError::Broken { path: path.into(), offset, problem: problem.into() }
    }

    /// The system refused.
    pub fn io(path: &Path, source: std::io::Error) -> FormatError {
        FormatError::Io { path: path.into(), source }
    }
}
