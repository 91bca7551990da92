//! The matrix registers of AMX: eight tiles of up to 16 rows of 64 bytes each, and what must be done before they are used.
//!
//! A tile of weights or activations is filled from memory row by row; a product adds `a . b` to a third tile. Their sizes
//! are set for a thread by [`configure`] and stay until [`release`], which a kernel calls when it is done: the system then
//! saves and restores less of the thread. No compiler uses tiles by itself, so they stay between calls.
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.

use std::arch::asm;
use std::arch::x86_64::*;

/// Rows of a tile at most.
pub const ROWS: usize = 16;
/// Bytes of a row of a tile at most.
pub const ROW_BYTES: usize = 64;

/// Rows of a product from which on no second-level cache keeps its results until they are read. They go past the caches,
/// which then need not read the lines first: 512 rows of Qwen3-0.6B take 7 to 10 % less time, 128 as long as before.
pub const PAST_CACHES_ROWS: usize = 256;

/// Whether the processor has tiles for bytes and bf16, and the system lends them to this process. Asks for them.
pub fn lent() -> bool {
    let features = __cpuid_count(7, 0).edx;
    let [bf16, tile, int8] = [22, 24, 25].map(|bit| features >> bit & 1 == 1);
    bf16 && tile && int8 && system_lends()
}

/// Linux saves tiles only for processes that have asked.
#[cfg(target_os = "linux")]
fn system_lends() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of `asm/prctl.h`.
    const REQUEST: libc::c_long = 0x1023;
    /// The state component of the tiles' contents.
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: changes nothing but what the system saves for this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn system_lends() -> bool {
    false
}

/// Sizes of all tiles, as the processor reads them.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Sizes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Sizes {
    /// `(rows, bytes of a row)` of each tile.
    pub const fn new(tiles: [(u8, u16); 8]) -> Sizes {
        let mut sizes = Sizes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut tile = 0;
        while tile < 8 {
            (sizes.rows[tile], sizes.row_bytes[tile]) = tiles[tile];
            tile += 1;
        }
        sizes
    }
}

/// Set the sizes of this thread's tiles; all become zero.
///
/// # Safety
/// [`lent`] must have said yes.
#[inline(always)]
pub unsafe fn configure(sizes: &Sizes) {
    // SAFETY: 64 readable bytes that are a valid configuration.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) sizes, out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _, options(nostack, preserves_flags, readonly));
    }
}

/// Give the tiles of this thread back.
///
/// # Safety
/// [`lent`] must have said yes.
#[inline(always)]
pub unsafe fn release() {
    // SAFETY: touches tiles alone.
    unsafe {
        asm!("tilerelease", out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
            out("tmm6") _, out("tmm7") _, options(nostack, preserves_flags, nomem));
    }
}

/// Sixteen floats to `to`, past the caches if asked for and on a line of its own. [`drain`] must follow before anybody
/// else is told of them.
///
/// # Safety
/// [`lent`] must have said yes, and there is room for them.
#[inline]
#[target_feature(enable = "avx512f")]
pub unsafe fn write(to: *mut f32, v: __m512, past_caches: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        match past_caches && to.addr().is_multiple_of(ROW_BYTES) {
            true => _mm512_stream_ps(to, v),
            false => _mm512_storeu_ps(to, v),
        }
    }
}

/// What went past the caches is there for all to see.
#[inline(always)]
pub fn drain() {
    // SAFETY: all processors of this kind have the instruction.
    unsafe { _mm_sfence() };
}
