//! Which instruction set the kernels use. Detected once at run time; one stock binary serves every machine.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of kernels. Each tier gives the same bits for a row whatever the batch; tiers may differ in the last bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Portable Rust: the reference.
    Scalar = 1,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2 = 2,
    /// x86-64 with AVX-512 F, BW, VL, DQ, VNNI and BF16.
    Avx512 = 3,
    /// aarch64 with NEON and dotprod (i8mm is asked for where it is used).
    Neon = 4,
    /// x86-64 with all of [`Tier::Avx512`] and the matrix registers of AMX (INT8, BF16), which Linux lends on request.
    Amx = 5,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The tier in use: the best that this processor has, unless [`force`] chose another.
pub fn tier() -> Tier {
    #[cfg(test)]
    if let Some(tier) = tests::here() {
        return tier;
    }
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Tier::Scalar,
        2 => Tier::Avx2,
        3 => Tier::Avx512,
        4 => Tier::Neon,
        5 => Tier::Amx,
        _ => {
            let best = *available().last().expect("the scalar tier is always there");
            CHOSEN.store(best as u8, Ordering::Relaxed);
            best
        }
    }
}

/// Use `tier` from now on in the whole process (tests, `--cpu-tier`). Panics when this processor lacks it.
pub fn force(tier: Tier) {
    assert!(available().contains(&tier), "[cpu] this processor has no {tier:?} tier");
    CHOSEN.store(tier as u8, Ordering::Relaxed);
}

/// All tiers of this processor, worst first.
pub fn available() -> Vec<Tier> {
    let mut tiers = vec![Tier::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            tiers.push(Tier::Avx2);
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bf16")
        {
            tiers.push(Tier::Avx512);
            if crate::amx::lent() {
                tiers.push(Tier::Amx);
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            tiers.push(Tier::Neon);
        }
    }
    tiers
}

/// Whether a core of this processor computes faster than its own prefetching follows a stream of memory, so that it must
/// ask for what comes: AMD's from Zen 5 (family 1Ah) on. Intel's have tiers of their own.
#[cfg(target_arch = "x86_64")]
pub fn falls_behind() -> bool {
    use std::arch::x86_64::__cpuid;
    static FALLS_BEHIND: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let (vendor, version) = (__cpuid(0), __cpuid(1).eax);
        // Extended families are added to the family 15.
        let family = (version >> 8 & 0xF) + (version >> 20 & 0xFF);
        vendor.ebx.to_le_bytes() == *b"Auth" && vendor.edx.to_le_bytes() == *b"enti" && family >= 0x1A
    });
    *FALLS_BEHIND
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// What [`tier`] says on this thread while [`on_every_tier`] runs: other tests are not disturbed.
        static HERE: Cell<Option<Tier>> = const { Cell::new(None) };
    }

    pub(super) fn here() -> Option<Tier> {
        HERE.get()
    }

    /// Run `test` under each tier of this processor, on this thread alone: use pools of one thread inside.
    pub(crate) fn on_every_tier(test: impl Fn(Tier)) {
        for tier in available() {
            HERE.set(Some(tier));
            test(tier);
        }
        HERE.set(None);
    }

    #[test]
    fn the_scalar_tier_is_always_there() {
        assert_eq!(available()[0], Tier::Scalar);
        on_every_tier(|chosen| assert_eq!(tier(), chosen));
    }
}
