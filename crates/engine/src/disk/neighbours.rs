//! Stores beside each other in one folder share a bound: those that nobody uses give way, the one unused the longest first.
//!
//! Each store writes down how much it may take, for a store in use can grow. Invariant: what stores in use may take and
//! what the others have is within the bound. Read next: `mod.rs`.

use std::fs::{File, OpenOptions};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{DiskOptions, lock};

/// A store with less is not worth it.
const LEAST_BYTES: u64 = 1 << 20;
/// In a store's folder: how much it may take. Written whenever it is opened.
const BOUND: &str = "bound";

/// A store that nobody uses.
struct Idle {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    _lock: File,
}

/// Bytes that the store of `options`, whose lock the caller holds, may take; makes room for it.
pub(super) fn share(options: &DiskOptions) -> Result<u64, Error> {
    let Some(total) = options.total_bytes else { return Ok(options.max_bytes) };
    let parent = options.folder.parent().unwrap_or(Path::new("."));
    // Two that come at once must not take the same bytes.
    let turn = OpenOptions::new().write(true).create(true).truncate(false).open(parent.join("lock"))?;
    turn.lock()?;
    let (mut free, mut idle) = (total, Vec::new());
    for entry in std::fs::read_dir(parent)?.flatten() {
        let path = entry.path();
        if path == options.folder || !path.join("lock").is_file() {
            continue;
        }
        let bytes = bytes_of(&path);
        match lock(&path) {
            Ok(_lock) => idle.push(Idle { used: used(&path), path, bytes, _lock }),
            Err(_) => {
                let bound = std::fs::read_to_string(path.join(BOUND)).ok().and_then(|text| text.trim().parse().ok());
                free = free.saturating_sub(bytes.max(bound.unwrap_or(0)));
            }
        }
    }
    let granted = options.max_bytes.min(free);
    if granted < LEAST_BYTES.min(options.max_bytes) {
        return Err(Error::other(format!("other models use all of the {total} bytes for cached prefixes")));
    }
    idle.sort_by_key(|store| std::cmp::Reverse(store.used));
    let mut kept: u64 = idle.iter().map(|store| store.bytes).sum();
    while kept + granted > free
        && let Some(oldest) = idle.pop()
    {
        empty(&oldest.path)?;
        kept -= oldest.bytes;
    }
    std::fs::write(options.folder.join(BOUND), granted.to_string())?;
    Ok(granted)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "kv")).collect()
}

fn bytes_of(folder: &Path) -> u64 {
    segments(folder).iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn used(folder: &Path) -> SystemTime {
    let time = std::fs::metadata(folder.join(BOUND)).and_then(|metadata| metadata.modified());
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn empty(folder: &Path) -> Result<(), Error> {
    segments(folder).iter().try_for_each(std::fs::remove_file)
}
