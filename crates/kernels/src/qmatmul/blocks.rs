//! Sixteen rows of activations side by side, a slab of columns at a time, as matrix registers take them.
//!
//! Beside the values lie the negated sums that biases and minimums are multiplied with: as floats, for vector units, and
//! in two pieces that bf16 holds, for tiles. What many products read is made once. Only x86-64 has a tier that wants it.
//! Read next: [`super::activations`], which fills them.

use super::sizes::{BLOCK_ROWS, SLAB_COLUMNS};

/// A slab of sixteen rows.
#[repr(C, align(64))]
pub struct Block {
    /// Lines of all rows, then the next lines. `[columns / 64, rows, 64]`
    pub values: [[[u8; 64]; BLOCK_ROWS]; SLAB_COLUMNS / 64],
    /// Negated sums of 16 columns: `[high piece, low piece]` as bf16. `[rows, groups]`
    pub pieces: [[u32; 16]; BLOCK_ROWS],
    /// Negated sums of 32 columns, from [`Block::SUMS_64`] of 64, from [`Block::SUMS_128`] of 128.
    pub floats: [[f32; 16]; BLOCK_ROWS],
    /// The rows' scales, side by side: many formats read nothing else but values.
    pub scales: [f32; BLOCK_ROWS],
}

// AMX alone writes them.
#[allow(dead_code)]
impl Block {
    /// First sum of 64 columns.
    pub const SUMS_64: usize = 8;
    /// First sum of 128 columns.
    pub const SUMS_128: usize = 12;
    /// Bits of the lower piece of a sum: of 16 columns these have eleven and a sign.
    pub const PIECE_BITS: u32 = 6;
}
