//! Lazy arrays on unified memory: dtypes, views, ops over primitives, evaluation. No language model; files are read and
//! written through `olivine-formats` ([`io`]).
//!
//! The path of an op: the user's function in [`ops`] checks shapes and makes a node ([`array`]); [`eval`] orders nodes and
//! gives them memory ([`buffer`]); the node's [`primitive`] turns strides into slices and calls a kernel, or
//! records commands for the GPU ([`gpu`]). [`plan`] keeps a
//! traced graph for replay. Invariant: nothing is computed before someone asks for a value.

pub mod array;
pub mod buffer;
pub mod dtype;
pub mod eval;
pub mod fast;
pub mod gpu;
pub mod io;
pub mod ops;
pub mod plan;
pub mod primitive;
pub mod shape;
pub mod stream;
pub mod tensor;
mod values;

pub use array::Array;
pub use buffer::{
    Buffer, active_bytes, cache_bytes, clear_cache, peak_bytes, reset_peak_bytes, set_cache_limit, set_memory_limit,
};
pub use dtype::{Complex64, Dtype, Element, Kind, bf16, f16, promote};
pub use eval::{eval, pool, set_threads};
pub use gpu::{Gpu, gpu, set_gpu};
pub use io::{IoError, load, load_all, save, save_safetensors, savez, savez_compressed};
pub use ops::*;
pub use plan::Plan;
pub use primitive::{EvalContext, Primitive, Reuse, Spec, Specs, one};
pub use shape::{Layout, Shape, Strides};
pub use stream::{Stream, async_eval, default_stream};
pub use tensor::Tensor;
