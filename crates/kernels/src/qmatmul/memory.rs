//! Memory for packed weights and activations: aligned to cache lines, in huge pages where the system has them.
//!
//! A 4 KiB page fault costs more than packing the page, and the walks cost a fifth of the bandwidth when weights stream
//! by. Matrices are rarely a whole number of huge pages, so weights lie one after the other in chunks of address space
//! that become resident huge page by huge page. Invariant: a chunk goes back to the system with its last matrix.

use crate::pages::{HUGE_PAGE_BYTES, Pages};
use std::sync::{Arc, Mutex};

/// Address space of a chunk; larger matrices have one of their own.
const CHUNK_BYTES: usize = 64 << 20;

/// Bytes aligned to 64, zeros at first.
pub struct Memory {
    start: *mut u8,
    bytes: usize,
    /// Kept for its `Drop`.
    _chunk: Arc<Chunk>,
}

// SAFETY: plain memory with one owner; shared access goes through raw pointers whose users split it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Room for `bytes` that come and go.
    pub fn new(bytes: usize) -> Memory {
        let chunk = Chunk::new(bytes);
        Memory { start: chunk.start, bytes: chunk.pages.len(), _chunk: Arc::new(chunk) }
    }

    /// Room for `bytes` of weights, behind those that were loaded before.
    pub fn for_weights(bytes: usize) -> Memory {
        static CURRENT: Mutex<Option<(Arc<Chunk>, usize)>> = Mutex::new(None);
        let bytes = bytes.next_multiple_of(64);
        let mut current = CURRENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // When nobody else holds the chunk, its matrices are gone.
        let (chunk, used) = match current.take() {
            Some((chunk, used)) if Arc::strong_count(&chunk) > 1 && used + bytes <= chunk.pages.len() => (chunk, used),
            _ => (Arc::new(Chunk::new(bytes.max(CHUNK_BYTES))), 0),
        };
        // SAFETY: the range lies inside the chunk.
        let memory = Memory { start: unsafe { chunk.start.add(used) }, bytes, _chunk: Arc::clone(&chunk) };
        *current = Some((chunk, used + bytes));
        memory
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// First byte.
    pub fn start(&self) -> *mut u8 {
        self.start
    }
}

/// Pages that several matrices share.
struct Chunk {
    start: *mut u8,
    pages: Pages,
}

// SAFETY: an owner of memory that it never reads.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(bytes: usize) -> Chunk {
        let mut pages = Pages::zeroed(bytes.max(64), bytes >= HUGE_PAGE_BYTES);
        Chunk { start: pages.as_mut_ptr(), pages }
    }
}
