//! File formats: safetensors, GGUF. Headers and memory-mapped views; no arrays, no network.
//!
//! Invariant: no file, however hostile, makes a reader panic or take more memory than the file has bytes.

mod error;
pub mod gguf;
mod mapped;
pub mod safetensors;
mod tensor;

pub use error::FormatError;
pub use mapped::{Bytes, Mapped};
pub use tensor::{TensorType, TensorView};
