//! Buffers that a thread keeps between products, aligned to cache lines: allocating megabytes anew for every product
//! would cost a page fault for each 4 KiB.

use std::cell::RefCell;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A growing buffer of f32 (or any 32-bit pattern) at an alignment of 64 bytes.
pub struct Scratch(Vec<Line>);

impl Scratch {
    const fn new() -> Scratch {
        Scratch(Vec::new())
    }

    /// At least `count` elements of unspecified value.
    pub fn take(&mut self, count: usize) -> &mut [f32] {
        let lines = count.div_ceil(16);
        if self.0.len() < lines {
            self.0.clear();
            self.0.reserve_exact(lines);
            self.0.resize(lines, Line([0.0; 16]));
        }
        // SAFETY: a line is 16 f32 without padding, and the slice covers initialized lines.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), lines * 16) }
    }
}

thread_local! {
    /// The calling thread's input in units, for the length of a product.
    pub static INPUT: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
    /// A worker's panel of weights and its sums, for the length of a part.
    pub static PANEL: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}
