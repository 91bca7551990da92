//! Operations: functions that push the dispatches of one operation onto a [`crate::List`] and choose its grid.
//!
//! Activations are f32 in memory. A kernel's name, constants, order of buffers and parameters are fixed here, for all
//! runtimes. Invariant: the order in which one output row is reduced depends on the shapes of the operation, never on
//! how many rows there are. Read next: [`matmul`], [`attention`].

pub mod attention;
pub mod copy;
pub mod elementwise;
pub mod embedding;
pub mod gather;
pub mod greatest;
pub mod laying;
pub mod matmul;
pub mod moe;
pub mod norm;
pub mod random;
pub mod recurrent;
pub mod rows;
pub mod scan;
pub mod sort;
pub mod weights;
