//! Memory for packed weights and activations: aligned to cache lines, in huge pages where the system has them.
//!
//! A 4 KiB page fault costs more than packing the page, and the walks cost a fifth of the bandwidth when weights stream
//! by. Matrices are rarely a whole number of huge pages, so weights lie one after the other in chunks of address space
//! that become resident huge page by huge page, each by one thread: two that touch one at once would both clear it, and
//! packing in parallel would clear twice as much as it fills. Invariant: a chunk goes back to the system with its last
//! matrix.

use crate::pages::{HUGE_PAGE_BYTES, Pages};
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// Address space of a chunk; larger matrices have one of their own.
const CHUNK_BYTES: usize = 64 << 20;

/// Bytes aligned to 64, zeros at first.
pub struct Memory {
    start: *mut u8,
    bytes: usize,
    chunk: Arc<Chunk>,
}

// SAFETY: plain memory with one owner; shared access goes through raw pointers whose users split it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Room for `bytes` that come and go.
    pub fn new(bytes: usize) -> Memory {
        let chunk = Chunk::new(bytes);
        Memory { start: chunk.start, bytes: chunk.pages.len(), chunk: Arc::new(chunk) }
    }

    /// Room for `bytes` of weights, behind those that were loaded before.
    pub fn for_weights(bytes: usize) -> Memory {
        static CURRENT: Mutex<Option<(Arc<Chunk>, usize)>> = Mutex::new(None);
        let bytes = bytes.next_multiple_of(64);
        let mut current = CURRENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // When nobody else holds the chunk, its matrices are gone.
        let (chunk, used) = match current.take() {
            Some((chunk, used)) if Arc::strong_count(&chunk) > 1 && used + bytes <= chunk.pages.len() => (chunk, used),
            // Whole huge pages, so that the system aligns them.
            _ => (Arc::new(Chunk::new(bytes.max(CHUNK_BYTES).next_multiple_of(HUGE_PAGE_BYTES))), 0),
        };
        // SAFETY: the range lies inside the chunk.
        let memory = Memory { start: unsafe { chunk.start.add(used) }, bytes, chunk: Arc::clone(&chunk) };
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

    /// Make the huge pages of a range resident, before it is written for the first time.
    pub fn make_resident(&self, range: Range<usize>) {
        let page = |at: usize| (self.start as usize + at) / HUGE_PAGE_BYTES - self.chunk.first_page();
        for page in page(range.start)..=page(range.end.max(1) - 1) {
            while self.chunk.touch(page) == BEING_TOUCHED {
                // Another thread is at it: meanwhile the next one.
                if self.chunk.touch(page + 1) != UNTOUCHED {
                    std::thread::yield_now();
                }
            }
        }
    }
}

/// Pages that several matrices share.
struct Chunk {
    start: *mut u8,
    pages: Pages,
    /// What is known of each huge page.
    states: Vec<AtomicU8>,
}

const UNTOUCHED: u8 = 0;
const BEING_TOUCHED: u8 = 1;
const RESIDENT: u8 = 2;

// SAFETY: an owner of memory that it never reads.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(bytes: usize) -> Chunk {
        let mut pages = Pages::zeroed(bytes.max(64), bytes >= HUGE_PAGE_BYTES);
        let states = (0..=bytes.div_ceil(HUGE_PAGE_BYTES)).map(|_| AtomicU8::new(UNTOUCHED)).collect();
        Chunk { start: pages.as_mut_ptr(), pages, states }
    }

    fn first_page(&self) -> usize {
        self.start as usize / HUGE_PAGE_BYTES
    }

    /// Make a huge page resident unless another thread has begun to. Its state before; there is none beyond the last.
    fn touch(&self, page: usize) -> u8 {
        let Some(state) = self.states.get(page) else { return RESIDENT };
        if let Err(state) = state.compare_exchange(UNTOUCHED, BEING_TOUCHED, Ordering::Relaxed, Ordering::Acquire) {
            return state;
        }
        let at = ((self.first_page() + page) * HUGE_PAGE_BYTES).saturating_sub(self.start as usize);
        if at < self.pages.len() {
            // SAFETY: inside the pages; nobody writes what is not resident yet, and zero it stays.
            unsafe { self.start.add(at).write_volatile(0) };
        }
        state.store(RESIDENT, Ordering::Release);
        UNTOUCHED
    }
}
