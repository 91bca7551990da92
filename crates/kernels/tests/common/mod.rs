//! What tests of the kernels share: turns on the tier of instructions, and numbers that depend on a seed alone.
//!
//! Read next: `attention.rs`, which uses both.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tier is a setting of the process: tests that set it take turns.
pub fn exclusive() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uniform values in -1..1 that depend only on the seed.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
