//! Slabs of the lattice formats (IQ1, IQ2, IQ3): super-blocks as they lie in the file, 16 rows behind each other.
//!
//! A super-block is a slab wide. Its points are looked up each time they are read and become what every other format
//! becomes, unsigned bytes with an offset of 128 and a scale a group, exactly: packing them as bytes instead would take
//! three times their memory. Read next: [`crate::quant::gguf_iq`].

use super::layout::{PANEL_ROWS, SLAB_COLUMNS};
use crate::quant::gguf_iq::{Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, Lattice};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IQ2_XXS.
    Iq2Xxs,
    /// IQ2_XS.
    Iq2Xs,
    /// IQ2_S.
    Iq2S,
    /// IQ3_XXS.
    Iq3Xxs,
    /// IQ3_S.
    Iq3S,
    /// IQ1_S.
    Iq1S,
    /// IQ1_M.
    Iq1M,
}

/// `call::<L>(arguments)` for the lattice of a kind.
macro_rules! with_lattice {
    ($kind:expr, $call:ident($($argument:expr),*)) => {
        match $kind {
            Kind::Iq2Xxs => $call::<Iq2Xxs>($($argument),*),
            Kind::Iq2Xs => $call::<Iq2Xs>($($argument),*),
            Kind::Iq2S => $call::<Iq2S>($($argument),*),
            Kind::Iq3Xxs => $call::<Iq3Xxs>($($argument),*),
            Kind::Iq3S => $call::<Iq3S>($($argument),*),
            Kind::Iq1S => $call::<Iq1S>($($argument),*),
            Kind::Iq1M => $call::<Iq1M>($($argument),*),
        }
    };
}

impl Kind {
    /// Bytes of a super-block, the slab of one row.
    pub fn block_bytes(self) -> usize {
        fn bytes<L: Lattice>() -> usize {
            L::BYTES
        }
        with_lattice!(self, bytes())
    }

    /// Columns that share a scale.
    pub fn group(self) -> usize {
        fn group<L: Lattice>() -> usize {
            L::GROUP
        }
        with_lattice!(self, group())
    }
}

/// The values of a slab as unsigned bytes. `[64, 16, 4]`
///
/// # Safety
/// `out` must be valid for `16 * 256` bytes.
pub unsafe fn read_values(kind: Kind, slab: &[u8], out: *mut u8) {
    // SAFETY: the caller's promise.
    let out = unsafe { std::slice::from_raw_parts_mut(out, PANEL_ROWS * SLAB_COLUMNS) };
    with_lattice!(kind, values_of(slab, out))
}

fn values_of<L: Lattice>(slab: &[u8], out: &mut [u8]) {
    let out: &mut [[u8; 128]; SLAB_COLUMNS / 8] = out.as_chunks_mut().0.first_chunk_mut().expect("a slab");
    for (row, block) in slab.chunks_exact(L::BYTES).take(PANEL_ROWS).enumerate() {
        for (index, out) in out.iter_mut().enumerate() {
            let bytes = L::integers(block, index).map(|integer| integer as u8 ^ 0x80);
            out[row * 4..][..4].copy_from_slice(&bytes[..4]);
            out[64 + row * 4..][..4].copy_from_slice(&bytes[4..]);
        }
    }
}

/// The scales of a slab as floats, groups `stride` floats apart. `[256 / group, 16]`
///
/// # Safety
/// `scales` must be valid for all groups.
pub unsafe fn read_scales(kind: Kind, slab: &[u8], scales: *mut f32, stride: usize) {
    // SAFETY: passed on.
    unsafe { with_lattice!(kind, scales_of(slab, scales, stride)) }
}

unsafe fn scales_of<L: Lattice>(slab: &[u8], scales: *mut f32, stride: usize) {
    for (row, block) in slab.chunks_exact(L::BYTES).take(PANEL_ROWS).enumerate() {
        for group in 0..SLAB_COLUMNS / L::GROUP {
            // SAFETY: the caller vouches for all groups of 16 rows.
            unsafe { scales.add(group * stride + row).write(L::scale(block, group)) }
        }
    }
}
