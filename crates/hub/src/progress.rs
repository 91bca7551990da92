//! How work that takes a while tells what it does, and hears that nobody wants it any more.
//!
//! Invariant: a status is one of Ollama's where clients match on it. Read `hub` for who reports.

use crate::{Digest, HubError};

/// A step of some work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// `pulling manifest`, `pulling 6a0746a1ec1a`, ….
    pub status: String,
    /// The blob it is about.
    pub digest: Option<Digest>,
    /// Bytes of it; 0: not known.
    pub total: u64,
    /// Bytes done.
    pub completed: u64,
}

impl Progress {
    /// A step without bytes.
    pub fn status(status: impl Into<String>) -> Progress {
        Progress { status: status.into(), ..Progress::default() }
    }
}

/// Hears of progress; false: stop.
#[derive(Clone, Copy)]
pub struct Reporter<'a>(pub &'a (dyn Fn(Progress) -> bool + Sync));

impl Reporter<'_> {
    /// Nobody listens.
    pub const SILENT: Reporter<'static> = Reporter(&|_| true);

    /// Tells.
    pub fn tell(&self, progress: Progress) -> Result<(), HubError> {
        if (self.0)(progress) { Ok(()) } else { Err(HubError::Cancelled) }
    }

    /// Tells a status.
    pub fn status(&self, status: impl Into<String>) -> Result<(), HubError> {
        self.tell(Progress::status(status))
    }
}
