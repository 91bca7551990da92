//! The user's functions, one file an op or family of ops: checks and composition first, then the primitive.
//!
//! Invariant: a function here never computes; it returns a node or a composition of nodes, and panics with `[op] …` at
//! the caller's line when the arguments do not fit. Read next: [`binary`] for a typical family, [`lanes`] for how typed
//! memory becomes numbers.

pub mod binary;
pub mod cast;
pub mod compose;
pub mod concatenate;
pub mod copy;
pub mod create;
pub mod gather;
pub mod lanes;
pub mod matmul;
pub mod quantized;
pub mod random;
pub mod reduce;
pub mod rows;
pub mod select;
pub mod slice;
pub mod take;
pub mod unary;
pub mod view;

pub use binary::*;
pub use compose::*;
pub use concatenate::*;
pub use create::*;
pub use gather::ScatterMode;
pub use quantized::{Quantized, gather_mm, gather_qmm, quantize};
pub use select::*;
pub use slice::Range;
