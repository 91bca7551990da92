//! Fused operations: each has a composition in plain ops that is its fallback, its gradient and its test oracle.
//!
//! Invariant: one file an operation; the fused primitive and the composition agree within the tolerance of their tests.
