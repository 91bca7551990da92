//! What can go wrong on a device. A lost device stays lost: whoever meets that drops it and everything on it.

use crate::Choice;

/// A failure of a device or of a request to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// Not a name of a device.
    #[error("`{0}` is no device; there are auto, metal, vulkan:N, cuda:N and, for several cards, cuda:N,N")]
    Choice(String),
    /// No such device here.
    #[error("no device for `{choice}`: {found}")]
    NotFound {
        /// What was asked for.
        choice: Choice,
        /// What there is instead.
        found: String,
    },
    /// The device is there but lacks what the kernels need, or its driver refused to open it.
    #[error("{device} cannot be used: {reason}")]
    Unusable {
        /// Its name.
        device: String,
        /// What is missing.
        reason: String,
    },
    /// Not enough memory on the device, or more than one allocation may hold.
    #[error("{device}: no room for {bytes} bytes ({reason})")]
    Memory {
        /// Its name.
        device: String,
        /// What was asked for.
        bytes: u64,
        /// Why not.
        reason: String,
    },
    /// A kernel that does not compile or was called wrongly: a bug of ours or of the driver.
    #[error("kernel {kernel}: {reason}")]
    Kernel {
        /// Its name.
        kernel: String,
        /// The compiler's or the check's words.
        reason: String,
    },
    /// The device is gone: unplugged, reset, or its driver gave up. Its memory is lost.
    #[error("{device} was lost: {reason}")]
    Lost {
        /// Its name.
        device: String,
        /// The driver's words.
        reason: String,
    },
}

impl GpuError {
    /// A list for several cards was given to one.
    pub(crate) fn one_card() -> GpuError {
        GpuError::Kernel { kernel: "an exchange between cards".to_string(), reason: "this is one card".to_string() }
    }
}
