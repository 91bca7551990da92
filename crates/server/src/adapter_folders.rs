//! Where the adapters of a server lie, by name.
//!
//! Invariant: names lead to folders that whoever started the server named. Read next: `adapters`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The adapters that a server may load.
#[derive(Default)]
pub struct AdapterFolders(Mutex<Known>);

#[derive(Default)]
struct Known {
    named: BTreeMap<String, PathBuf>,
    parents: Vec<PathBuf>,
}

impl AdapterFolders {
    /// An adapter's folder under a name.
    pub fn add(&self, name: &str, folder: PathBuf) {
        self.lock().named.insert(name.into(), folder);
    }

    /// A folder of folders of adapters, each under its own name; looked at whenever somebody asks.
    pub fn add_all_in(&self, parent: PathBuf) {
        self.lock().parents.push(parent);
    }

    /// All names and folders.
    pub fn list(&self) -> BTreeMap<String, PathBuf> {
        let known = self.lock();
        let mut all = BTreeMap::new();
        for parent in &known.parents {
            for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                let folder = entry.path();
                if let (Ok(name), true) =
                    (entry.file_name().into_string(), folder.join("adapter_config.json").is_file())
                {
                    all.insert(name, folder);
                }
            }
        }
        all.extend(known.named.clone());
        all
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
