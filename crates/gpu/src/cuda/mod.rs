//! The CUDA runtime: NVIDIA's driver, loaded at run time, with kernels of our own that travel in the binary.
//!
//! A user needs the driver and nothing else; a machine without one gets an error, nothing else happens. Kernels are
//! CUDA C++ in `crates/gpu/cuda`, compiled by `cargo xtask cuda` for compute capability 8.x, 9.0 and 12.x. They compute
//! the operations of [`crate::ops`] in orders of their own: the same bits for a row however many rows there are, but not
//! those of the WGSL kernels. Read next: `runtime`, `launch`.

mod arguments;
mod attention;
mod cards;
mod driver;
mod formula;
mod image;
mod launch;
mod layers;
mod left;
mod made;
mod matmul;
mod mixture;
mod own;
mod plan;
mod product;
mod runtime;
mod team;

use std::sync::Arc;

use crate::Choice;
use crate::device::Device;
use crate::error::GpuError;

pub use image::sources_hash;
pub use runtime::Cuda;

/// Open the CUDA device of this number.
pub fn open(number: usize) -> Result<Arc<dyn Device>, GpuError> {
    Ok(Arc::new(one(number)?))
}

fn one(number: usize) -> Result<Cuda, GpuError> {
    let not_found = |found: String| GpuError::NotFound { choice: Choice::Cuda(number), found };
    let driver = driver::Driver::load().map_err(&not_found)?;
    let devices = driver.devices().map_err(&not_found)?;
    if number >= devices {
        return Err(not_found(format!("the driver has {devices} devices")));
    }
    Cuda::open(driver, number)
}

/// Open several CUDA devices, and say whether each can use the memory of all others.
pub fn open_several(numbers: &[usize]) -> Result<(Vec<Arc<dyn Device>>, bool), GpuError> {
    let mut devices = Vec::new();
    for &number in numbers {
        devices.push(Arc::new(one(number)?));
    }
    let mut linked = true;
    for (index, device) in devices.iter().enumerate() {
        for (other, peer) in devices.iter().enumerate() {
            linked = linked && (index == other || device.reach(peer)?);
        }
    }
    Ok((devices.into_iter().map(|device| device as Arc<dyn Device>).collect(), linked))
}
