//! Zeroed memory straight from the system: resident only where it is written, in huge pages where that is asked for and
//! the system has them (a walk of the page table for every 4 KiB costs a tenth of the speed of streaming).

use memmap2::MmapMut;

/// Bytes of a huge page; the smallest size for which huge pages make sense.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Memory with one owner, aligned to pages.
#[derive(Debug)]
pub struct Pages(MmapMut);

impl Pages {
    /// `bytes` zeros, at least one. `huge`: in huge pages, which become resident as a whole.
    pub fn zeroed(bytes: usize, huge: bool) -> Pages {
        let pages = MmapMut::map_anon(bytes).unwrap_or_else(|error| panic!("[pages] {bytes} bytes: {error}"));
        #[cfg(target_os = "linux")]
        if huge {
            // Advice: a kernel without huge pages refuses it, and nothing is lost.
            let _ = pages.advise(memmap2::Advice::HugePage);
        }
        let _ = huge;
        Pages(pages)
    }
}

impl std::ops::Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
