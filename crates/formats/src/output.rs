//! A file under construction: written beside its place under another name, renamed when complete.
//!
//! Invariant: a reader never sees half a file; a writer that is dropped before the end leaves nothing behind.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{FormatError, TensorType};

/// A tensor that a writer is going to receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// Type of its elements or blocks.
    pub dtype: TensorType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl Declaration {
    /// All three.
    pub fn new(name: impl Into<String>, dtype: TensorType, shape: impl Into<Vec<usize>>) -> Declaration {
        Declaration { name: name.into(), dtype, shape: shape.into() }
    }

    /// Bytes of its data, or what is wrong with its shape.
    pub(crate) fn bytes(&self, path: &Path) -> Result<usize, FormatError> {
        let problem = || format!("tensor `{}`: {} cannot have the shape {:?}", self.name, self.dtype, self.shape);
        self.dtype.bytes(&self.shape).ok_or_else(|| FormatError::broken(path, 0, problem()))
    }
}

/// The tensors of one file in declared order, and how far they are written.
#[derive(Debug)]
pub(crate) struct Output {
    file: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
    tensors: Vec<(String, usize)>,
    current: usize,
    current_written: usize,
    offset: usize,
    alignment: usize,
}

impl Output {
    /// Starts a file with its header; data follows at a multiple of `alignment`, and so does each tensor.
    pub fn create(
        path: &Path,
        header: &[u8],
        tensors: Vec<(String, usize)>,
        alignment: usize,
    ) -> Result<Output, FormatError> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".unfinished");
        let unfinished = path.with_file_name(name);
        let file = File::create(&unfinished).map_err(|source| FormatError::io(&unfinished, source))?;
        let mut output = Output {
            file: Some(BufWriter::with_capacity(1 << 20, file)),
            unfinished,
            path: path.into(),
            tensors,
            current: 0,
            current_written: 0,
            offset: 0,
            alignment,
        };
        output.put(header)?;
        output.pad()?;
        output.skip_empty();
        Ok(output)
    }

    /// Appends bytes of tensor `name`: the whole of it, or the next piece.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormatError> {
        if self.tensors[..self.current].iter().any(|(done, length)| done == name && *length == 0) && bytes.is_empty() {
            return Ok(());
        }
        let problem = match self.tensors.get(self.current) {
            None => format!("tensor `{name}` was given after the last declared one"),
            Some((expected, _)) if expected != name => {
                format!("tensor `{name}` was given where `{expected}` is declared to follow")
            }
            Some((_, length)) if bytes.len() > length - self.current_written => {
                format!("tensor `{name}` has {length} bytes, {} were given", self.current_written + bytes.len())
            }
            Some(_) => {
                self.put(bytes)?;
                self.current_written += bytes.len();
                return self.advance();
            }
        };
        Err(FormatError::broken(&self.path, self.offset, problem))
    }

    /// Makes the file durable under its name. An error when a tensor is missing.
    pub fn finish(mut self) -> Result<(), FormatError> {
        if let Some((name, length)) = self.tensors.get(self.current) {
            let problem = format!("tensor `{name}` has {length} bytes, {} were given", self.current_written);
            return Err(FormatError::broken(&self.path, self.offset, problem));
        }
        let Some(buffered) = self.file.take() else { return Ok(()) };
        let sync = buffered.into_inner().map_err(|e| e.into_error()).and_then(|file| file.sync_all());
        let renamed = sync.and_then(|()| std::fs::rename(&self.unfinished, &self.path));
        renamed.map_err(|source| {
            let _ = std::fs::remove_file(&self.unfinished);
            FormatError::io(&self.path, source)
        })
    }

    fn advance(&mut self) -> Result<(), FormatError> {
        if self.tensors.get(self.current).is_some_and(|(_, length)| *length == self.current_written) {
            self.pad()?;
            self.current += 1;
            self.current_written = 0;
        }
        self.skip_empty();
        Ok(())
    }

    fn skip_empty(&mut self) {
        while self.current_written == 0 && self.tensors.get(self.current).is_some_and(|(_, length)| *length == 0) {
            self.current += 1;
        }
    }

    fn pad(&mut self) -> Result<(), FormatError> {
        let padding = self.offset.next_multiple_of(self.alignment) - self.offset;
        self.put(&vec![0; padding])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|source| FormatError::io(&self.unfinished, source))?;
        }
        self.offset += bytes.len();
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing can be done about a failure here; the name says that the file is not complete.
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}
