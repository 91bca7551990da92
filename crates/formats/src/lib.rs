//! File formats: safetensors, GGUF, npy and npz. Headers and memory-mapped views; no arrays, no network.
//!
//! Invariant: no file, however hostile, makes a reader panic or take more memory than the file has bytes.

mod error;
pub mod gguf;
mod gguf_split;
pub mod gguf_writer;
mod mapped;
pub mod npy;
pub mod npz;
mod output;
pub mod safetensors;
mod safetensors_header;
pub mod safetensors_writer;
mod tensor;

pub use error::{FormatError, advice};
pub use mapped::{Bytes, Mapped};
pub use output::Declaration;
pub use tensor::{TensorType, TensorView};
