//! One blob from the network into the store: several ranges at once, resumed where it was broken off, checked at the
//! end.
//!
//! The bytes lie in `blobs/sha256-…-partial` at their places; `….json` beside it says which ranges are complete up to
//! where. Invariant: that record never claims bytes that were not written, and what gets the blob's name has its digest.
//! Whoever holds the lock of the partial file downloads; others wait and find the blob. Read `http` for the requests.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::http::{Ask, Client};
use crate::store::PARTIAL;
use crate::{Digest, HubError, Progress, Reporter, Store};

/// Ranges at once.
const CONNECTIONS: usize = 8;
/// Smallest and largest range.
const RANGE_BYTES: (u64, u64) = (4 << 20, 128 << 20);
/// Attempts at a range that bring nothing, one after the other.
const ATTEMPTS: u32 = 6;
/// The record is written this often.
const RECORD_EVERY: Duration = Duration::from_millis(500);
/// Progress is told this often.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What to download.
pub(crate) struct Wanted<'a> {
    /// Where it is.
    pub ask: Ask<'a>,
    /// What it must be.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What to tell, as `pulling 6a0746a1ec1a`.
    pub status: String,
}

/// A range, and how far it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    start: u64,
    end: u64,
    done: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    size: u64,
    ranges: Vec<Range>,
}

/// Brings a blob into the store, unless it is there.
pub(crate) fn fetch(store: &Store, client: &Client, wanted: &Wanted, report: Reporter) -> Result<(), HubError> {
    let tell = |completed| {
        let (status, digest, total) = (wanted.status.clone(), Some(wanted.digest), wanted.size);
        report.tell(Progress { status, digest, total, completed })
    };
    let partial = PathBuf::from(format!("{}{PARTIAL}", store.blob(&wanted.digest).display()));
    loop {
        if store.has(&wanted.digest) {
            return tell(wanted.size);
        }
        let Some(file) = lock(&partial, || tell(0))? else { continue };
        if store.has(&wanted.digest) {
            // The file whose lock this is has become the blob.
            return tell(wanted.size);
        }
        return Download::open(client, wanted, &partial, &file)?.run(store, &tell);
    }
}

/// The partial file with its lock; none when it was moved or removed while this waited.
fn lock(path: &Path, waiting: impl Fn() -> Result<(), HubError>) -> Result<Option<File>, HubError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(HubError::io(folder))?;
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(path).map_err(HubError::io(path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(path.is_file().then_some(file)),
            Err(TryLockError::WouldBlock) => {
                waiting()?;
                std::thread::sleep(Duration::from_millis(100));
                if !path.is_file() {
                    return Ok(None);
                }
            }
            Err(TryLockError::Error(error)) => return Err(HubError::io(path)(error)),
        }
    }
}

struct Download<'a> {
    client: &'a Client,
    wanted: &'a Wanted<'a>,
    path: &'a Path,
    file: &'a File,
    ranges: Vec<Mutex<Range>>,
    next: AtomicUsize,
    done: AtomicU64,
    /// The other side knows no ranges: one connection gets all of it.
    whole: AtomicBool,
    stop: AtomicBool,
    /// When progress was told and the record written.
    last: Mutex<(Instant, Instant)>,
}

type Tell<'a> = &'a (dyn Fn(u64) -> Result<(), HubError> + Sync);

impl<'a> Download<'a> {
    fn open(
        client: &'a Client,
        wanted: &'a Wanted<'a>,
        path: &'a Path,
        file: &'a File,
    ) -> Result<Download<'a>, HubError> {
        let length = file.metadata().map_err(HubError::io(path))?.len();
        let record = std::fs::read(record_path(path)).ok();
        let record = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        let usable = |record: &Record| record.size == wanted.size && length == wanted.size && covers(record);
        let ranges = match record.filter(usable) {
            Some(record) => record.ranges,
            None => {
                // The length without the bytes: the ranges are written at their places.
                file.set_len(0).and_then(|()| file.set_len(wanted.size)).map_err(HubError::io(path))?;
                cut(wanted.size)
            }
        };
        let done = ranges.iter().map(|range| range.done).sum();
        Ok(Download {
            client,
            wanted,
            path,
            file,
            ranges: ranges.into_iter().map(Mutex::new).collect(),
            next: AtomicUsize::new(0),
            done: AtomicU64::new(done),
            whole: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            last: Mutex::new((Instant::now(), Instant::now())),
        })
    }

    fn run(&self, store: &Store, tell: Tell) -> Result<(), HubError> {
        let got = self.get_all(tell);
        self.save()?;
        got?;
        tell(self.wanted.size)?;
        let got = Digest::of_file(self.path, |_| !self.stop.load(Ordering::Relaxed))?;
        if got != self.wanted.digest {
            // Nobody knows which of the bytes are wrong. The file stays, for its lock is what others wait for.
            self.file.set_len(0).map_err(HubError::io(self.path))?;
            let _ = std::fs::remove_file(record_path(self.path));
            return Err(HubError::DigestMismatch { want: self.wanted.digest.to_string(), got: got.to_string() });
        }
        self.file.sync_all().map_err(HubError::io(self.path))?;
        let blob = store.blob(&self.wanted.digest);
        std::fs::rename(self.path, &blob).map_err(HubError::io(&blob))?;
        let _ = std::fs::remove_file(record_path(self.path));
        Ok(())
    }

    /// All ranges, on some threads.
    fn get_all(&self, tell: Tell) -> Result<(), HubError> {
        tell(self.done.load(Ordering::Relaxed))?;
        let first = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS.min(self.ranges.len()) {
                scope.spawn(|| {
                    if let Err(error) = self.work(tell) {
                        // Before the others stop, which end as cancelled.
                        first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        self.stop.store(true, Ordering::Relaxed);
                    }
                });
            }
        });
        if self.whole.load(Ordering::Relaxed) {
            self.stop.store(false, Ordering::Relaxed);
            return self.get_whole(tell);
        }
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn work(&self, tell: Tell) -> Result<(), HubError> {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(range) = self.ranges.get(index) else { return Ok(()) };
            let mut failures = 0;
            loop {
                let Range { start, end, done } = *self.lock(range);
                if start + done == end {
                    break;
                }
                if self.stop.load(Ordering::Relaxed) {
                    return Err(HubError::Cancelled);
                }
                match self.get(range, tell) {
                    Ok(()) => {}
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => {
                        let moved = self.lock(range).done > done;
                        failures = if moved { 0 } else { failures + 1 };
                        if failures == ATTEMPTS {
                            return Err(error);
                        }
                        self.pause(failures);
                    }
                }
            }
        }
    }

    /// One request for what is left of a range.
    fn get(&self, range: &Mutex<Range>, tell: Tell) -> Result<(), HubError> {
        let Range { start, end, done } = *self.lock(range);
        let from = start + done;
        let (mut reader, partial) = self.client.range(&self.wanted.ask, from, Some(end))?;
        if !partial && (from, end) != (0, self.wanted.size) {
            self.whole.store(true, Ordering::Relaxed);
            return Err(HubError::Cancelled);
        }
        self.copy(&mut reader, range, tell)
    }

    /// Everything from the start on one connection, as often as it takes.
    fn get_whole(&self, tell: Tell) -> Result<(), HubError> {
        let mut last = HubError::Cancelled;
        for attempt in 0..ATTEMPTS {
            for range in &self.ranges {
                self.lock(range).done = 0;
            }
            self.done.store(0, Ordering::Relaxed);
            let got = (|| {
                let (mut reader, _) = self.client.range(&self.wanted.ask, 0, None)?;
                self.ranges.iter().try_for_each(|range| self.copy(&mut reader, range, tell))
            })();
            match got {
                Ok(()) => return Ok(()),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => last = error,
            }
            self.pause(attempt);
        }
        Err(last)
    }

    /// Bytes of the other side → the range's place in the file.
    fn copy(&self, reader: &mut dyn Read, range: &Mutex<Range>, tell: Tell) -> Result<(), HubError> {
        let Range { start, end, done } = *self.lock(range);
        let mut at = start + done;
        let mut file = OpenOptions::new().write(true).open(self.path).map_err(HubError::io(self.path))?;
        file.seek(SeekFrom::Start(at)).map_err(HubError::io(self.path))?;
        let mut buffer = vec![0; 128 << 10];
        while at < end {
            let most = buffer.len().min((end - at) as usize);
            let count = reader.read(&mut buffer[..most]).map_err(|error| self.broken(&error.to_string()))?;
            if count == 0 {
                return Err(self.broken("the answer ended too soon"));
            }
            file.write_all(&buffer[..count]).map_err(HubError::io(self.path))?;
            at += count as u64;
            // Only now: the record must not claim bytes that are not in the file.
            self.lock(range).done = at - start;
            let done = self.done.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            self.save_sometimes(done, tell)?;
        }
        Ok(())
    }

    fn broken(&self, reason: &str) -> HubError {
        let url = self.wanted.ask.url.split('?').next().unwrap_or_default().to_string();
        HubError::Http { url, status: 0, reason: reason.to_string() }
    }

    fn save_sometimes(&self, done: u64, tell: Tell) -> Result<(), HubError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(HubError::Cancelled);
        }
        let Ok(mut last) = self.last.try_lock() else { return Ok(()) };
        let (told, saved) = &mut *last;
        if told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            tell(done)?;
        }
        if saved.elapsed() >= RECORD_EVERY {
            *saved = Instant::now();
            self.save()?;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), HubError> {
        let ranges = self.ranges.iter().map(|range| *self.lock(range)).collect();
        let record = Record { size: self.wanted.size, ranges };
        let path = record_path(self.path);
        let bytes = serde_json::to_vec(&record).map_err(|error| HubError::form(path.display(), error))?;
        // Not synced: after a power cut the digest tells.
        let temporary = path.with_extension("json.tmp");
        std::fs::write(&temporary, &bytes)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(HubError::io(&path))
    }

    /// Longer from failure to failure.
    fn pause(&self, failures: u32) {
        let until = Instant::now() + Duration::from_millis(200 << failures.min(5));
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lock<'b>(&self, range: &'b Mutex<Range>) -> std::sync::MutexGuard<'b, Range> {
        range.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether trying again would bring nothing.
fn is_final(error: &HubError) -> bool {
    match error {
        HubError::Http { status, .. } => (400..500).contains(status) && ![408, 425, 429].contains(status),
        _ => true,
    }
}

fn record_path(partial: &Path) -> PathBuf {
    PathBuf::from(format!("{}.json", partial.display()))
}

fn cut(size: u64) -> Vec<Range> {
    let length = (size / (2 * CONNECTIONS as u64)).clamp(RANGE_BYTES.0, RANGE_BYTES.1);
    let count = size.div_ceil(length).max(1);
    (0..count).map(|index| Range { start: index * length, end: ((index + 1) * length).min(size), done: 0 }).collect()
}

/// Whether the ranges of a record are the whole file, each no further than it can be.
fn covers(record: &Record) -> bool {
    let mut at = 0;
    for range in &record.ranges {
        let length = range.end.checked_sub(range.start);
        if range.start != at || length.is_none_or(|length| range.done > length) {
            return false;
        }
        at = range.end;
    }
    at == record.size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_a_file() {
        for size in [0, 1, (4 << 20) - 1, (4 << 20) + 1, 1 << 30, 70 << 30] {
            let record = Record { size, ranges: cut(size) };
            assert!(covers(&record), "{size}");
            assert!(record.ranges.iter().all(|range| range.end - range.start <= RANGE_BYTES.1));
        }
        let range = |start, end, done| Range { start, end, done };
        for ranges in [vec![], vec![range(0, 5, 6), range(5, 10, 0)], vec![range(1, 10, 0)], vec![range(0, 9, 0)]] {
            assert!(!covers(&Record { size: 10, ranges }));
        }
    }
}
