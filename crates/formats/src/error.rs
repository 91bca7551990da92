//! What can be wrong with a file, each with the file, the place and the name at fault.

use std::path::{Path, PathBuf};

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The system refused.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content breaks the format.
    #[error("{}: at byte {offset}: {}", path.display(), one_line(problem))]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
        /// What is wrong, naming the tensor or field.
        problem: String,
    },
    /// A metadata field that is absent or of the wrong type.
    #[error("{}: metadata `{}`: {}", path.display(), one_line(key), one_line(problem))]
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

/// What to do about a refusal of the system, with a leading separator; nothing where its words say enough.
pub fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => "; this user may not do that: check the permissions",
        std::io::ErrorKind::NotFound => "; check the path",
        std::io::ErrorKind::StorageFull => "; make room or choose another place",
        _ => "",
    }
}

/// Names and parts of the file are quoted in messages: whatever they hold, a message stays one line of bounded length.
fn one_line(text: &str) -> String {
    const CHARACTERS: usize = 500;
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut line: String = text.chars().take(CHARACTERS).map(visible).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        line.push('…');
    }
    line
}
