//! The disk tier: one packed store for a model, in append-only segment files of a folder that one process locks.
//!
//! A block has a number; its records (pages of full layers, pages of windows, a state) name it and the block before
//! it, so the chain of blocks is found again at the next start from heads alone. When the bound is reached the oldest
//! segment goes; blocks in it that others stand on or that were used lately are moved to the newest first. Invariant: a
//! payload is only handed out when its checksum fits; nothing here fails a request. Read next: `format.rs`, `writer.rs`.

mod format;
mod neighbours;
mod writer;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::prefix::{Kind, Place};
use format::{HEAD_BYTES, Head, SEGMENT_MAGIC, TABLE_MAGIC, TRAILER_BYTES, What, checksum};
use writer::{Broken, Job, Writer};

/// Where a store is and how large it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// A folder for this model alone.
    pub folder: PathBuf,
    /// Most bytes of all its files.
    pub max_bytes: u64,
    /// Most bytes of all stores in folders beside this one; those that nobody uses give way. None: no such bound.
    pub total_bytes: Option<u64>,
}

/// A block or root as it was found at the start.
pub(crate) struct Found {
    pub id: u64,
    pub parent: u64,
    pub tokens: Vec<u32>,
    pub content: Content,
}

pub(crate) enum Content {
    Root(String),
    Part(Kind, Place),
}

/// The store, as the engine's thread sees it.
pub(crate) struct Store {
    options: DiskOptions,
    segment_bytes: u64,
    segments: Vec<Segment>,
    next_segment: u32,
    next_id: u64,
    jobs: Option<mpsc::Sender<Job>>,
    failures: mpsc::Receiver<Broken>,
    queued_bytes: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    paused_until: Option<Instant>,
    last_error: Option<String>,
    /// Held as long as the store is in use.
    _lock: File,
}

/// Offset, head and, for roots, text of a segment's records.
type Records = Vec<(u64, Head, String)>;

struct Segment {
    number: u32,
    bytes: u64,
    records: Records,
    /// More may be appended.
    open: bool,
}

/// What happens to a record of a segment that has to go.
pub(crate) enum Fate {
    /// It was moved.
    Moved(Place),
    /// It is gone.
    Dropped,
}

/// Bytes that may wait to be written before blocks are left out.
const QUEUE_BYTES: usize = 128 << 20;
/// How long nothing is written after a failure (a full disk).
const PAUSE: Duration = Duration::from_secs(20);

impl Store {
    /// Open or make the store in a folder. Files of another identity (a model that changed) are removed. Fails when
    /// another process uses the folder, or the folder cannot be written.
    pub fn open(mut options: DiskOptions, identity: &str) -> Result<(Store, Vec<Found>), Error> {
        std::fs::create_dir_all(&options.folder)?;
        let lock = lock(&options.folder)?;
        options.max_bytes = neighbours::share(&options)?;
        let identity_path = options.folder.join("identity");
        if std::fs::read(&identity_path).ok().as_deref() != Some(identity.as_bytes()) {
            for number in segment_numbers(&options.folder)? {
                std::fs::remove_file(segment_path(&options.folder, number))?;
            }
            std::fs::write(&identity_path, identity)?;
        }
        let mut segments = Vec::new();
        for number in segment_numbers(&options.folder)? {
            match read_segment(&segment_path(&options.folder, number)) {
                Some((bytes, records)) => segments.push(Segment { number, bytes, records, open: false }),
                None => std::fs::remove_file(segment_path(&options.folder, number))?,
            }
        }
        while segments.iter().map(|segment| segment.bytes).sum::<u64>() > options.max_bytes {
            std::fs::remove_file(segment_path(&options.folder, segments.remove(0).number))?;
        }
        let found = found(&segments);
        let (jobs, receiver) = mpsc::channel();
        let (failure, failures) = mpsc::channel();
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer::new(options.folder.clone(), failure, queued_bytes.clone());
        let thread = std::thread::Builder::new().name("kv-writer".into()).spawn(move || writer.run(&receiver))?;
        let store = Store {
            segment_bytes: (options.max_bytes / 16).clamp(1 << 16, 256 << 20),
            options,
            next_segment: segments.last().map_or(0, |segment| segment.number + 1),
            next_id: found.iter().map(|found| found.id + 1).max().unwrap_or(1),
            segments,
            jobs: Some(jobs),
            failures,
            queued_bytes,
            thread: Some(thread),
            paused_until: None,
            last_error: None,
            _lock: lock,
        };
        Ok((store, found))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// What went wrong last.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Whether a block may be written now: the writer keeps up and the disk takes bytes.
    pub fn is_ready(&self) -> bool {
        let paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        !paused && self.queued_bytes.load(Ordering::Acquire) < QUEUE_BYTES
    }

    /// Write a root; its number.
    pub fn write_root(&mut self, text: &str) -> Option<u64> {
        let id = self.next_id;
        self.write(What::Root, id, 0, &[], text.as_bytes().to_vec(), text)?;
        self.next_id += 1;
        Some(id)
    }

    /// A number for a new block.
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Write a part of a block. The bytes are on their way when this returns; none when they cannot be taken.
    pub fn write_part(&mut self, kind: Kind, id: u64, parent: u64, tokens: &[u32], payload: Vec<u8>) -> Option<Place> {
        self.write(What::Block(kind), id, parent, tokens, payload, "")
    }

    /// Whether the oldest segment has to go before `bytes` more are written.
    pub fn is_full(&self, bytes: u64) -> bool {
        // The table of the open segment comes on top of its records.
        let tables: u64 = self.segments.iter().filter(|s| s.open).map(Segment::table_bytes).sum();
        let closed = self.segments.iter().any(|segment| !segment.open);
        closed && self.bytes() + tables + bytes + 4096 > self.options.max_bytes
    }

    /// Remove the oldest closed segment. `keep` gives each of its records a rank: those above zero are moved to the
    /// newest segment, the highest first, as long as they take less than half of it. Returns what became of each
    /// record: block, kind, place.
    pub fn evict(&mut self, keep: impl Fn(u64, Kind) -> u64) -> Vec<(u64, Kind, Place, Fate)> {
        let Some(index) = self.segments.iter().position(|segment| !segment.open) else { return Vec::new() };
        let old = self.segments.remove(index);
        let rank = |head: &Head| match head.what {
            What::Root => u64::MAX,
            What::Block(kind) => keep(head.id, kind),
        };
        let mut records: Vec<_> = old.records.iter().map(|record| (rank(&record.1), record)).collect();
        records.sort_by_key(|(rank, record)| (std::cmp::Reverse(*rank), record.0));
        let (mut fates, mut moved) = (Vec::new(), 0);
        for (rank, (offset, head, text)) in records {
            let place = Place { segment: old.number, offset: *offset, bytes: head.payload_bytes };
            let bytes = head.record_bytes();
            let mut fate = Fate::Dropped;
            if rank > 0 && (moved + bytes) * 2 <= old.bytes {
                moved += bytes;
                let segment = self.open_segment(bytes);
                let (to, to_offset) = (segment.number, segment.bytes);
                segment.bytes += bytes;
                segment.records.push((to_offset, head.clone(), text.clone()));
                let job = Job::Move { segment: to, offset: to_offset, from: old.number, from_offset: *offset, bytes };
                self.send(job);
                fate = Fate::Moved(Place { segment: to, offset: to_offset, bytes: head.payload_bytes });
            }
            if let What::Block(kind) = head.what {
                fates.push((head.id, kind, place, fate));
            }
        }
        self.send(Job::Delete { segment: old.number });
        fates
    }

    /// Segments that broke since the last call: the places in them that are not there.
    pub fn failed(&mut self) -> Vec<(u64, Kind, Place)> {
        let mut lost = Vec::new();
        while let Ok(Broken { segment, offset, error }) = self.failures.try_recv() {
            self.last_error = Some(format!("{}: {error}", segment_path(&self.options.folder, segment).display()));
            self.paused_until = Some(Instant::now() + PAUSE);
            let Some(segment) = self.segments.iter_mut().find(|s| s.number == segment) else { continue };
            segment.open = false;
            segment.bytes = offset;
            let gone = segment.records.extract_if(.., |(at, ..)| *at >= offset);
            for (offset, head, _) in gone {
                if let What::Block(kind) = head.what {
                    let place = Place { segment: segment.number, offset, bytes: head.payload_bytes };
                    lost.push((head.id, kind, place));
                }
            }
        }
        lost
    }

    /// Read payloads, several at once, and hand each to `take` with its number among them. False for one that is damaged
    /// or not there, or that `take` does not want.
    pub fn read(&self, wanted: &[(u64, Kind, Place)], take: impl Fn(usize, &[u8]) -> bool + Sync) -> Vec<bool> {
        // More than cores: some wait for the disk.
        let threads = std::thread::available_parallelism().map_or(8, usize::from).clamp(8, 16);
        let share = wanted.len().div_ceil(threads).max(1);
        let (folder, take) = (&self.options.folder, &take);
        let read = |(at, part): (usize, &[(u64, Kind, Place)])| {
            let mut reader = Reader { folder, file: None, buffer: Vec::new() };
            let one = |(index, wanted)| reader.payload(wanted).is_some_and(|payload| take(at * share + index, payload));
            part.iter().enumerate().map(one).collect::<Vec<bool>>()
        };
        std::thread::scope(|scope| {
            let parts = wanted.chunks(share).enumerate();
            let readers: Vec<_> = parts.map(|part| (part.1.len(), scope.spawn(move || read(part)))).collect();
            // What a reader that panicked has taken is not used.
            readers.into_iter().flat_map(|(len, reader)| reader.join().unwrap_or(vec![false; len])).collect()
        })
    }

    /// Remove everything.
    pub fn clear(&mut self) {
        for number in self.segments.drain(..).map(|segment| segment.number).collect::<Vec<_>>() {
            self.send(Job::Delete { segment: number });
        }
    }

    fn write(
        &mut self,
        what: What,
        id: u64,
        parent: u64,
        tokens: &[u32],
        payload: Vec<u8>,
        text: &str,
    ) -> Option<Place> {
        let payload_bytes = payload.len() as u64;
        let payload_sum = checksum(&payload);
        let head = Head { what, id, parent, tokens: tokens.to_vec(), payload_bytes, payload_sum };
        let bytes = head.record_bytes();
        if bytes * 4 > self.options.max_bytes || self.is_full(bytes) {
            return None;
        }
        let mut record = Vec::with_capacity(bytes as usize);
        head.encode(&mut record);
        record.extend(payload);
        let segment = self.open_segment(bytes);
        let (number, offset) = (segment.number, segment.bytes);
        segment.bytes += bytes;
        segment.records.push((offset, head, text.into()));
        self.append(number, offset, record);
        Some(Place { segment: number, offset, bytes: payload_bytes })
    }

    /// The segment that takes `bytes` more; a full one gets its table.
    fn open_segment(&mut self, bytes: u64) -> &mut Segment {
        let limit = self.segment_bytes;
        let full = self.segments.last().is_none_or(|s| !s.open || (!s.records.is_empty() && s.bytes + bytes > limit));
        if full {
            self.close_segment();
            let number = self.next_segment;
            self.next_segment += 1;
            let bytes = SEGMENT_MAGIC.len() as u64;
            self.segments.push(Segment { number, bytes, records: Vec::new(), open: true });
            self.append(number, 0, SEGMENT_MAGIC.to_vec());
        }
        self.segments.last_mut().expect("there is one")
    }

    fn close_segment(&mut self) {
        let Some(segment) = self.segments.last_mut().filter(|segment| segment.open) else { return };
        segment.open = false;
        let table = format::encode_table(&segment.records);
        let (number, offset) = (segment.number, segment.bytes);
        segment.bytes += table.len() as u64;
        self.append(number, offset, table);
        self.send(Job::Close { segment: number });
    }

    fn append(&mut self, segment: u32, offset: u64, bytes: Vec<u8>) {
        self.queued_bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        self.send(Job::Append { segment, offset, bytes });
    }

    fn send(&mut self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread only ends after this sender is gone.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close_segment();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has left whole records behind, which is all that matters.
            let _ = thread.join();
        }
    }
}

impl Segment {
    fn table_bytes(&self) -> u64 {
        let record = |(_, head, text): &(u64, Head, String)| (8 + head.bytes() + text.len()) as u64;
        self.records.iter().map(record).sum::<u64>() + TRAILER_BYTES as u64
    }
}

/// The store's folder is one process's.
fn lock(folder: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::other(format!("{} is used by another process", folder.display()))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.kv"))
}

/// Numbers of the segment files, in order.
fn segment_numbers(folder: &Path) -> Result<Vec<u32>, Error> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".kv")?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Length and records of a segment: from its table, or from the heads where there is none (the process was killed).
/// None for a file that holds nothing of use.
fn read_segment(path: &Path) -> Option<(u64, Records)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let magic = read_at(&mut file, 0, SEGMENT_MAGIC.len()).ok()?;
    if magic != SEGMENT_MAGIC {
        return None;
    }
    if let Some(records) = read_table(&mut file, length) {
        return Some((length, records));
    }
    let (end, records) = scan(&mut file, length);
    // What is behind was not written whole.
    file.set_len(end).ok()?;
    (!records.is_empty()).then_some((end, records))
}

fn read_table(file: &mut File, length: u64) -> Option<Records> {
    let start = length.checked_sub(TRAILER_BYTES as u64)?;
    let trailer = read_at(file, start, TRAILER_BYTES).ok()?;
    let number = |at: usize| u64::from_le_bytes(trailer[at..at + 8].try_into().expect("eight bytes"));
    let (bytes, sum, magic) = (number(0), number(8), number(16));
    if magic != TABLE_MAGIC || bytes > start {
        return None;
    }
    let table = read_at(file, start - bytes, bytes as usize).ok()?;
    let records = (checksum(&table) == sum).then(|| format::decode_table(&table))??;
    let inside = records.iter().all(|(offset, head, _)| offset.checked_add(head.record_bytes()) <= Some(start - bytes));
    inside.then_some(records)
}

/// Records up to the first that is not whole, and where they end.
fn scan(file: &mut File, length: u64) -> (u64, Records) {
    let (mut offset, mut records) = (SEGMENT_MAGIC.len() as u64, Vec::new());
    loop {
        let Some(head) = scan_head(file, offset) else { return (offset, records) };
        let end = offset.checked_add(head.record_bytes());
        let Some(end) = end.filter(|&end| end <= length) else { return (offset, records) };
        let mut text = String::new();
        if head.what == What::Root {
            let payload = read_at(file, offset + head.bytes() as u64, head.payload_bytes as usize).unwrap_or_default();
            match String::from_utf8(payload).ok().filter(|text| checksum(text.as_bytes()) == head.payload_sum) {
                Some(payload) => text = payload,
                None => return (offset, records),
            }
        }
        records.push((offset, head, text));
        offset = end;
    }
}

fn scan_head(file: &mut File, offset: u64) -> Option<Head> {
    let mut bytes = read_at(file, offset, HEAD_BYTES).ok()?;
    let tokens = 4 * Head::token_count(&bytes)?;
    bytes.extend(read_at(file, offset + HEAD_BYTES as u64, tokens).ok()?);
    Head::decode(&bytes)
}

fn read_at(file: &mut File, offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
    file.seek(SeekFrom::Start(offset))?;
    let mut out = Vec::with_capacity(bytes);
    file.take(bytes as u64).read_to_end(&mut out)?;
    if out.len() == bytes { Ok(out) } else { Err(Error::from(std::io::ErrorKind::UnexpectedEof)) }
}

/// Reads records one after the other, into memory that it keeps.
struct Reader<'a> {
    folder: &'a Path,
    file: Option<(u32, File)>,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    fn payload(&mut self, (id, kind, place): &(u64, Kind, Place)) -> Option<&[u8]> {
        if self.file.as_ref().is_none_or(|(segment, _)| *segment != place.segment) {
            self.file = Some((place.segment, File::open(segment_path(self.folder, place.segment)).ok()?));
        }
        let (_, file) = self.file.as_mut()?;
        file.seek(SeekFrom::Start(place.offset)).ok()?;
        let mut start = [0; HEAD_BYTES];
        file.read_exact(&mut start).ok()?;
        let head_bytes = HEAD_BYTES + 4 * Head::token_count(&start)?;
        let length = head_bytes + place.bytes as usize;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        self.buffer[..HEAD_BYTES].copy_from_slice(&start);
        file.read_exact(&mut self.buffer[HEAD_BYTES..length]).ok()?;
        let head = Head::decode(&self.buffer[..head_bytes])?;
        let payload = &self.buffer[head_bytes..length];
        let right = head.what == What::Block(*kind) && head.id == *id && head.payload_bytes == place.bytes;
        (right && checksum(payload) == head.payload_sum).then_some(payload)
    }
}

/// What a start finds: the newest record of each part, roots and parents before those that stand on them.
fn found(segments: &[Segment]) -> Vec<Found> {
    let mut newest: HashMap<(u64, Option<Kind>), Found> = HashMap::new();
    for segment in segments {
        for (offset, head, text) in &segment.records {
            let place = Place { segment: segment.number, offset: *offset, bytes: head.payload_bytes };
            let (kind, content) = match head.what {
                What::Root => (None, Content::Root(text.clone())),
                What::Block(kind) => (Some(kind), Content::Part(kind, place)),
            };
            let Head { id, parent, ref tokens, .. } = *head;
            newest.insert((id, kind), Found { id, parent, tokens: tokens.clone(), content });
        }
    }
    let mut list: Vec<Found> = newest.into_values().collect();
    list.sort_by_key(|found| found.id);
    list
}

#[cfg(test)]
mod tests;
