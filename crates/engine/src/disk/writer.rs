//! The thread that writes segment files, in the order it is told to.
//!
//! Invariant: a segment's bytes are written from its start without holes; after an error its file ends behind the last
//! record that was written whole, and nothing more is written to it. Read next: `mod.rs`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// Something to write.
pub(super) enum Job {
    /// These bytes at the end of a segment, which has `offset` bytes.
    Append { segment: u32, offset: u64, bytes: Vec<u8> },
    /// The same, copied from another segment.
    Move { segment: u32, offset: u64, from: u32, from_offset: u64, bytes: u64 },
    /// Nothing more comes for a segment.
    Close { segment: u32 },
    /// Remove a segment's file.
    Delete { segment: u32 },
}

/// A segment that can take no more; its bytes end at `offset`.
pub(super) struct Broken {
    pub segment: u32,
    pub offset: u64,
    pub error: Error,
}

pub(super) struct Writer {
    folder: PathBuf,
    files: HashMap<u32, File>,
    broken: Vec<u32>,
    failures: mpsc::Sender<Broken>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Writer {
    pub fn new(folder: PathBuf, failures: mpsc::Sender<Broken>, queued_bytes: Arc<AtomicUsize>) -> Writer {
        Writer { folder, files: HashMap::new(), broken: Vec::new(), failures, queued_bytes }
    }

    /// Work until the other end of `jobs` is gone and all of them are done.
    pub fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Append { segment, offset, bytes } => {
                    self.append(segment, offset, &bytes);
                    self.queued_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
                }
                Job::Move { segment, offset, from, from_offset, bytes } => {
                    match self.read(from, from_offset, bytes as usize) {
                        Ok(bytes) => self.append(segment, offset, &bytes),
                        Err(error) => self.fail(segment, offset, error),
                    }
                }
                Job::Close { segment } => drop(self.files.remove(&segment)),
                Job::Delete { segment } => {
                    self.files.remove(&segment);
                    // A file that cannot be removed is looked at again at the next start.
                    let _ = std::fs::remove_file(super::segment_path(&self.folder, segment));
                }
            }
        }
    }

    fn append(&mut self, segment: u32, offset: u64, bytes: &[u8]) {
        if self.broken.contains(&segment) {
            return;
        }
        let written = self.file(segment).and_then(|file| {
            if file.metadata()?.len() != offset {
                return Err(Error::new(ErrorKind::InvalidData, "somebody else changed the file"));
            }
            file.write_all(bytes)
        });
        if let Err(error) = written {
            self.fail(segment, offset, error);
        }
    }

    fn fail(&mut self, segment: u32, offset: u64, error: Error) {
        if self.broken.contains(&segment) {
            return;
        }
        self.broken.push(segment);
        if let Some(file) = self.files.remove(&segment) {
            // Where even this fails, the checksums tell.
            let _ = file.set_len(offset);
        }
        // The engine may be gone already.
        let _ = self.failures.send(Broken { segment, offset, error });
    }

    fn file(&mut self, segment: u32) -> Result<&mut File, Error> {
        if !self.files.contains_key(&segment) {
            let path = super::segment_path(&self.folder, segment);
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            self.files.insert(segment, file);
        }
        Ok(self.files.get_mut(&segment).expect("it was put there"))
    }

    fn read(&self, segment: u32, offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut file = File::open(super::segment_path(&self.folder, segment))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut out = vec![0; bytes];
        file.read_exact(&mut out)?;
        Ok(out)
    }
}
