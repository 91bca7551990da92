//! Files in memory without a copy. The only `unsafe` of this crate: mapping a file.
//!
//! Invariant: a mapped file must not be cut short by others while it is in use; model files are not.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::FormatError;

/// A file's bytes: mapped, or in memory.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    File(Mmap),
    Owned(Box<[u8]>),
    Static(&'static [u8]),
}

impl Mapped {
    /// Map a file for reading.
    pub fn open(path: &Path) -> Result<Arc<Mapped>, FormatError> {
        let file = File::open(path).map_err(|source| FormatError::io(path, source))?;
        let about = file.metadata().map_err(|source| FormatError::io(path, source))?;
        if !about.is_file() {
            return Err(FormatError::broken(path, 0, "a file is needed here, this is a folder or a device"));
        }
        if about.len() == 0 {
            return Err(FormatError::broken(path, 0, "the file is empty; download it again"));
        }
        // SAFETY: the map is read-only and private; see the module's invariant on other writers.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| FormatError::io(path, source))?;
        Ok(Arc::new(Mapped { path: path.into(), memory: Memory::File(map) }))
    }

    /// Bytes of the program itself, under a name for messages.
    pub fn of_static(name: &str, bytes: &'static [u8]) -> Arc<Mapped> {
        Arc::new(Mapped { path: name.into(), memory: Memory::Static(bytes) })
    }

    /// Bytes in memory (a decompressed member, a file that was received), under a name for messages.
    pub fn of_vec(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Arc<Mapped> {
        Arc::new(Mapped { path: name.into(), memory: Memory::Owned(bytes.into_boxed_slice()) })
    }

    /// Where the bytes come from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.memory {
            Memory::File(map) => map,
            Memory::Owned(bytes) => bytes,
            Memory::Static(bytes) => bytes,
        }
    }

    /// Map the pages of a range at once, which costs a fraction of a fault for every few of them.
    pub fn populate(&self, range: Range<usize>) {
        #[cfg(target_os = "linux")]
        const ADVICE: Advice = Advice::PopulateRead;
        #[cfg(not(target_os = "linux"))]
        const ADVICE: Advice = Advice::WillNeed;
        if let Memory::File(map) = &self.memory {
            // Advice only: without it the pages come one by one.
            let _ = map.advise_range(ADVICE, range.start, range.len());
        }
    }

    /// Take whole pages of a range out of this process's memory; they come back from the file when touched.
    pub fn release(&self, range: Range<usize>) {
        const PAGE: usize = 4096;
        let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        if let Memory::File(map) = &self.memory
            && start < end
        {
            // SAFETY: the map is shared with the file and never written, so dropped pages read the same again.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        }
    }
}

/// A range of a file's bytes, kept alive by the handle.
#[derive(Clone, Debug)]
pub struct Bytes {
    mapped: Arc<Mapped>,
    range: Range<usize>,
}

impl Bytes {
    /// A range of `mapped`. Panics when it is not inside.
    pub fn new(mapped: Arc<Mapped>, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= mapped.as_slice().len(), "[bytes] {range:?} outside the file");
        Bytes { mapped, range }
    }

    /// All of `bytes`, under a name for messages.
    pub fn from_vec(name: &str, bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes::new(Mapped::of_vec(name, bytes), range)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.mapped.as_slice()[self.range.clone()]
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// A part. Panics when it is not inside.
    pub fn slice(&self, part: Range<usize>) -> Bytes {
        assert!(part.start <= part.end && part.end <= self.len(), "[bytes] {part:?} of {}", self.len());
        Bytes::new(self.mapped.clone(), self.range.start + part.start..self.range.start + part.end)
    }

    /// See [`Mapped::populate`]; of a part of these bytes.
    pub fn populate(&self, part: Range<usize>) {
        self.mapped.populate(self.range.start + part.start..self.range.start + part.end.min(self.len()));
    }

    /// See [`Mapped::release`].
    pub fn release(&self) {
        self.mapped.release(self.range.clone());
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}
