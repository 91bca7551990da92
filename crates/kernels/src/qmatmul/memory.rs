//! Memory for packed weights and activations: aligned to cache lines, in huge pages where the system has them.
//!
//! A 4 KiB page fault costs more than packing the page, and the walks cost bandwidth when the weights stream by.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes aligned to 64, not initialised.
pub struct Memory {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: plain memory with one owner; shared access goes through raw pointers whose users split it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Room for `bytes`.
    pub fn new(bytes: usize) -> Memory {
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
        Memory { start, layout }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// First byte.
    pub fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) }
    }
}
