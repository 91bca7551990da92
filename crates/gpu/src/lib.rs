//! The GPU: one small device contract, its runtimes, and the kernels of a language model on raw buffers.
//!
//! [`device`] is the contract: memory, lists of dispatches, recordings. [`ops`] pushes the dispatches of an operation
//! onto a list and chooses grids; it is written once, for a kernel's name, constants, buffer order and parameters are
//! the same for every runtime. `wgsl` holds the kernel sources, `wgpu` runs them on Vulkan and Metal;
//! `cuda` has kernels of its own for NVIDIA's driver; `group` makes one device of several cards. There are no
//! arrays, no graphs and no policy here: a caller owns shapes, memory and order. Read next: [`device`].

pub mod cuda;
pub mod device;
mod error;
pub mod expression;
pub mod group;
pub mod ops;
pub mod wgpu;
pub mod wgsl;

pub use device::{Backend, Command, Counters, Device, Exchange, Info, Kernel, List, Memory, Recording};
pub use error::GpuError;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which device to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best one found: CUDA, Metal, then a Vulkan device, one with memory of its own before others; never a program on
    /// the CPU.
    Auto,
    /// The Vulkan device of this number, software ones among them.
    Vulkan(usize),
    /// The Metal device of a Mac.
    Metal,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = GpuError;

    fn from_str(text: &str) -> Result<Choice, GpuError> {
        let (name, number) = text.split_once(':').unwrap_or((text, "0"));
        let number = number.parse().map_err(|_| GpuError::Choice(text.to_string()))?;
        match name {
            "auto" | "gpu" if !text.contains(':') => Ok(Choice::Auto),
            "metal" if number == 0 => Ok(Choice::Metal),
            "vulkan" => Ok(Choice::Vulkan(number)),
            "cuda" => Ok(Choice::Cuda(number)),
            _ => Err(GpuError::Choice(text.to_string())),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Vulkan(number) => write!(f, "vulkan:{number}"),
            Choice::Metal => f.write_str("metal"),
            Choice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// The devices that a name means: `cuda:0,1` are two, all others are one.
pub fn choices(name: &str) -> Result<Vec<Choice>, GpuError> {
    match name.split_once(':') {
        Some((kind, numbers)) if numbers.contains(',') => {
            let choices: Result<Vec<Choice>, GpuError> =
                numbers.split(',').map(|number| format!("{kind}:{number}").parse()).collect();
            choices.map_err(|_| GpuError::Choice(name.to_string()))
        }
        _ => Ok(vec![name.parse()?]),
    }
}

/// Open the device of a name, or several that work together as one.
pub fn open_named(name: &str) -> Result<Arc<dyn Device>, GpuError> {
    match &choices(name)?[..] {
        [one] => open(*one),
        several => group::open(several),
    }
}

/// Open a device. The error says what was looked for and what was found instead.
pub fn open(choice: Choice) -> Result<Arc<dyn Device>, GpuError> {
    match choice {
        Choice::Cuda(number) => cuda::open(number),
        Choice::Auto if !may_have_gpu() => {
            Err(GpuError::NotFound { choice, found: "the system shows no GPU".to_string() })
        }
        // Without a driver for CUDA, or with one that is too old, the others get their turn and their say.
        Choice::Auto => cuda::open(0).or_else(|_| wgpu::open(choice)),
        Choice::Metal | Choice::Vulkan(_) => wgpu::open(choice),
    }
}

/// Whether it is worth while to load drivers, which takes a moment: Linux shows GPUs among its devices.
fn may_have_gpu() -> bool {
    let shown = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"];
    std::env::consts::OS != "linux" || shown.iter().any(|path| std::path::Path::new(path).exists())
}
