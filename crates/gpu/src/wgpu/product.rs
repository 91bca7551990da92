//! A `matmul` dispatch taken apart, and what follows from its numbers. Read next: `products`, which chooses its kernels.

use crate::device::{Kernel, Memory};

/// The constant CODE of weights in f32.
pub(super) const CODE_F32: u32 = 32;
/// Workgroup memory that the kernels with matrices of 16 by 16 take.
pub(super) const MATRIX_SHARED_BYTES: u32 = 48 << 10;

/// A `matmul` dispatch taken apart.
pub(super) struct Product<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) buffers: &'a [Memory],
    pub(super) params: &'a [u32],
}

impl Product<'_> {
    pub(super) fn rows(&self) -> u32 {
        self.params[0]
    }

    pub(super) fn features(&self) -> u32 {
        self.params[1]
    }

    pub(super) fn columns(&self) -> u32 {
        self.params[2]
    }

    /// Whether rows so many values apart begin at whole quads and end with one.
    pub(super) fn quads(&self, stride: u32) -> u32 {
        (stride.is_multiple_of(4) && self.columns().is_multiple_of(4)).into()
    }

    /// The constants of weights, and those of the end of a product.
    pub(super) fn constants(&self, more: &[(&'static str, u32)]) -> Vec<(&'static str, u32)> {
        let kept = ["CODE", "SCALE", "GROUP", "ZERO", "BIAS", "RESIDUAL"];
        kept.map(|name| (name, self.kernel.constant(name))).into_iter().chain(more.iter().copied()).collect()
    }

    /// Features that a thread may have, for what is read of the input serves them all: as long as there are workgroups for a large
    /// device.
    pub(super) fn most_each(&self) -> u32 {
        match self.features() {
            0..2048 => 1,
            2048..4096 => 2,
            _ => 4,
        }
    }

    /// Loads that bring a feature's codes of a block; threads have registers for 8.
    pub(super) fn loads(&self) -> u32 {
        pieces(self.kernel.constant("CODE"))
    }
}

/// Loads that bring a row's codes of a block.
fn pieces(code: u32) -> u32 {
    match code {
        8 | 9 | 21 => 2,
        30 | 31 => 4,
        CODE_F32 => 8,
        _ => 1,
    }
}

/// Times that a workgroup of 8 subgroups brings eight columns a thread until it has a row of so many.
pub(super) fn eights(columns: u32, subgroup: u32) -> u32 {
    columns.div_ceil(8 * 8 * subgroup)
}

/// Halves of an element of workgroup memory: Metal loads matrices from scalars only.
pub(super) fn unit(size: u32) -> u32 {
    if size == 8 { 1 } else { 4 }
}
