//! Portable loops compiled once per instruction set. Rust neither reorders nor fuses float operations, so all
//! versions give the same bits.

/// Define functions whose `#[inline(always)]` body is compiled for AVX-512, AVX2 and the base set; the call picks
/// by [`crate::cpu::tier`].
macro_rules! tiered {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:path;)*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,f16c")]
                fn avx512($($arg: $type),*) {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,f16c")]
                fn avx2($($arg: $type),*) {
                    $body($($arg),*)
                }
                match $crate::cpu::tier() {
                    // SAFETY: a tier is only chosen on a processor that has it.
                    $crate::cpu::Tier::Avx512 | $crate::cpu::Tier::Amx => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::Tier::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            $body($($arg),*)
        }
    )*};
}

pub(super) use tiered;
