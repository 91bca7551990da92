//! Memory for packed weights and activations: aligned to cache lines, in huge pages where the system has them.
//!
//! A 4 KiB page fault costs more than packing the page, and the walks cost a fifth of the bandwidth when weights stream
//! by. Matrices are rarely a whole number of huge pages, so weights lie one after the other in chunks of address space
//! that become resident huge page by huge page. Invariant: a chunk goes back to the system with its last matrix.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::sync::{Arc, Mutex};

const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Address space of a chunk; larger matrices have one of their own.
const CHUNK_BYTES: usize = 64 << 20;

/// Bytes aligned to 64, not initialised.
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
        let chunk = Arc::new(Chunk::new(bytes));
        Memory { start: chunk.start, bytes: chunk.layout.size(), _chunk: chunk }
    }

    /// Room for `bytes` of weights, behind those that were loaded before.
    pub fn for_weights(bytes: usize) -> Memory {
        static CURRENT: Mutex<Option<(Arc<Chunk>, usize)>> = Mutex::new(None);
        let bytes = bytes.next_multiple_of(64);
        let mut current = CURRENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // When nobody else holds the chunk, its matrices are gone.
        let (chunk, used) = match current.take() {
            Some((chunk, used)) if Arc::strong_count(&chunk) > 1 && used + bytes <= chunk.layout.size() => {
                (chunk, used)
            }
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

/// An allocation.
struct Chunk {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: an owner of memory that it never reads.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(bytes: usize) -> Chunk {
        let align = if bytes >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { 64 };
        let layout = Layout::from_size_align(bytes.max(64), align).expect("sizes fit the address space");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        // Only whole huge pages: a rounded-up tail would be resident memory that nobody uses.
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_PAGE_BYTES {
            // SAFETY: the range is ours; the advice changes no contents.
            unsafe { libc::madvise(start.cast(), bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES, libc::MADV_HUGEPAGE) };
        }
        Chunk { start, layout }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) }
    }
}
