//! CPU kernels on slices: vector maths, matrix products, quantized products, attention, norms.
//!
//! No arrays, no graph, no model: a kernel knows slices, sizes and strides. This is the only crate with CPU
//! `unsafe`. Every kernel has a scalar reference that stays for ever and SIMD tiers chosen at run time
//! (see [`cpu`]). The order in which one output element is reduced depends only on the shapes of the model,
//! never on the number of rows, so results are equal bit for bit in every batch. Read next: [`pool`].

pub mod activation;
mod ahead;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
pub mod convert;
pub mod cpu;
pub mod dense;
pub mod elementwise;
pub mod gather;
pub mod heads;
mod lanes;
pub mod limits;
pub mod low_rank;
pub mod mix;
pub mod norm;
pub mod pages;
pub mod pool;
pub mod qmatmul;
pub mod quant;
pub mod recurrent;
pub mod reduce;
pub mod rope;
mod simd;
pub mod softmax;
pub mod top_k;

pub use half::{bf16, f16};
