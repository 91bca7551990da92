//! The tier whose kernels are used.
//!
//! Read next: [`super::driver`].

use super::tile::{self, Kernels};
use super::unpack;
use crate::cpu::Tier;

/// The kernels of the tier in use.
pub fn kernels() -> Kernels {
    match crate::cpu::tier() {
        #[cfg(target_arch = "x86_64")]
        Tier::Amx => super::amx::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 => super::avx512::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => super::avx2::KERNELS,
        #[cfg(target_arch = "aarch64")]
        Tier::Neon => super::neon::kernels(),
        _ => SCALAR,
    }
}

const SCALAR: Kernels = Kernels {
    reads_packed: tile::nothing_packed,
    bytes_are_open: false,
    read_signed: None,
    read_values: unpack::read_values,
    read_scales: unpack::read_scales,
    reads_headers: tile::no_headers,
    tile: tile::tile,
    direct_rows: tile::no_direct_rows,
    float_tile: tile::float_tile,
};
