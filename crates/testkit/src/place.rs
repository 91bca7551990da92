//! A folder for one test's files.
//!
//! Invariant: no two places of a process are the same, and each goes away with its value. Read next: `tiny`, which writes
//! models into one.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::tiny::TinyModel;

/// A folder of its own, removed with all that lies in it when dropped.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// An empty folder whose name has `name` in it.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Place {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("olivine-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Place(path)
    }

    /// A folder with the files of a model, as the hub has them.
    #[must_use]
    pub fn of(tiny: &TinyModel) -> Place {
        let place = Place::new(&tiny.name);
        tiny.write_folder(&place);
        place
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
