//! The conformance table: one file of cases for each file of ops, listed in [`table`].
//!
//! Invariant: every op file of the array crate has its entry (checked by the test). Read next: [`unary`].

// Tables of (name, op, reference) read best as tuples beside their entries.
#![allow(clippy::type_complexity)]

pub mod binary;
pub mod fast;
pub mod index;
pub mod matmul;
pub mod reduce;
pub mod rows;
pub mod shape;
pub mod unary;

use crate::conformance::Case;

/// All cases by the op file that they cover.
pub fn table() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("unary", unary::unary()),
        ("cast", unary::cast()),
        ("binary", binary::binary()),
        ("select", binary::select()),
        ("view", shape::view()),
        ("copy", shape::copy()),
        ("slice", shape::slice()),
        ("concatenate", shape::concatenate()),
        ("create", shape::create()),
        ("take", index::take()),
        ("gather", index::gather()),
        ("compose", index::compose()),
        ("reduce", reduce::reduce()),
        ("rows", rows::rows()),
        ("random", rows::random()),
        ("matmul", matmul::matmul()),
        ("quantized", matmul::quantized()),
        ("fast/norm", fast::norm()),
        ("fast/rope", fast::rope()),
        ("fast/attention", fast::attention()),
    ]
}
