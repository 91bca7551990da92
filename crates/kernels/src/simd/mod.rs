//! Vectors of f32 lanes for kernels that are written once and compiled for every tier.
//!
//! A kernel body is a generic `#[inline(always)]` function over [`Simd`]; [`tiered!`] wraps it in one
//! `#[target_feature]` function for each tier and picks one at run time. Bodies must not pass closures that use
//! vectors (a closure is not sure to be inlined into the function that has the features): use small structs.
//! Invariant: a value of a [`Simd`] type exists only where its tier is available, which makes its methods safe.
//! Read next: [`math`], then [`crate::activation`] as an example.

pub mod math;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use scalar::Scalar;

/// The widest vector of any tier, in lanes.
pub const MAX_LANES: usize = 16;

/// The instructions of one tier. The value is a proof that the processor has them.
pub trait Simd: Copy {
    /// A vector of [`Simd::LANES`] f32.
    type V: Copy;
    /// Lanes of a vector.
    const LANES: usize;
    /// Whether [`Simd::dot_bf16`] is an instruction of this tier.
    const HAS_DOT_BF16: bool = false;
    /// Input rows of a product's register tile; divides [`Simd::LANES`].
    const TILE_ROWS: usize;
    /// Vectors of output features of a product's register tile.
    const TILE_VECTORS: usize;

    /// All lanes equal.
    fn splat(self, value: f32) -> Self::V;
    /// # Safety
    /// `from` points to `LANES` readable f32 (any alignment).
    unsafe fn load(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `to` points to `LANES` writable f32 (any alignment).
    unsafe fn store(self, v: Self::V, to: *mut f32);
    /// # Safety
    /// `from` points to `LANES` readable bf16 (any alignment).
    unsafe fn load_bf16(self, from: *const u16) -> Self::V;
    /// # Safety
    /// `from` points to `LANES` readable binary16 (any alignment).
    unsafe fn load_f16(self, from: *const u16) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the tier can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater; `b` when either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` when either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// Without the sign.
    fn abs(self, a: Self::V) -> Self::V;
    /// `magnitude` with the sign bit of `sign`; `magnitude` must not be negative.
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `a < b ? x : y` for each lane; NaN compares false.
    fn select_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// `v * 2^n` for integral `n` in -252..=254, right also where the result is subnormal or overflows.
    fn scale2(self, v: Self::V, n: Self::V) -> Self::V;
    /// `acc + a · b` for each lane's pair of bf16 held in 32 bits; only where [`Simd::HAS_DOT_BF16`].
    fn dot_bf16(self, acc: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// `LANES` pairs of f32 `(x[2i], x[2i + 1])` rounded to bf16, one pair a lane; only where [`Simd::HAS_DOT_BF16`].
    ///
    /// # Safety
    /// `from` points to `2 * LANES` readable f32.
    unsafe fn load_rounded_pairs(self, from: *const f32) -> Self::V;
    /// Ask for the cache line at `at`; never faults.
    fn prefetch(self, at: *const u8);
    /// Ask for the cache line at `at`, which will be written; never faults.
    fn prefetch_to_write(self, at: *const u8);
    /// Ask for the cache line at `at`, no closer than the second-level cache; never faults.
    fn prefetch_far(self, at: *const u8);
    /// Transpose `LANES` vectors of 32-bit lanes in place.
    fn transpose(self, rows: &mut [Self::V]);

    /// All lanes zero.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// The first `LANES` of `x`, or all of a shorter `x` and zeros.
    #[inline(always)]
    fn load_slice(self, x: &[f32]) -> Self::V {
        if x.len() >= Self::LANES {
            // SAFETY: the slice has enough elements.
            return unsafe { self.load(x.as_ptr()) };
        }
        let mut buffer = [0.0; MAX_LANES];
        buffer[..x.len()].copy_from_slice(x);
        // SAFETY: the buffer holds the widest vector.
        unsafe { self.load(buffer.as_ptr()) }
    }

    /// Write the first `min(LANES, out.len())` lanes.
    #[inline(always)]
    fn store_slice(self, v: Self::V, out: &mut [f32]) {
        if out.len() >= Self::LANES {
            // SAFETY: the slice has enough elements.
            return unsafe { self.store(v, out.as_mut_ptr()) };
        }
        out.copy_from_slice(&self.lanes(v)[..out.len()]);
    }

    /// The lanes as an array, padded with zeros.
    #[inline(always)]
    fn lanes(self, v: Self::V) -> [f32; MAX_LANES] {
        let mut buffer = [0.0; MAX_LANES];
        // SAFETY: the buffer holds the widest vector.
        unsafe { self.store(v, buffer.as_mut_ptr()) };
        buffer
    }

    /// The sum of all lanes, pairwise (lane i with lane i + half).
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lanes = self.lanes(v);
        let mut half = Self::LANES / 2;
        while half > 0 {
            (0..half).for_each(|i| lanes[i] += lanes[i + half]);
            half /= 2;
        }
        lanes[0]
    }

    /// The greatest lane; NaN when there is one.
    #[inline(always)]
    fn greatest(self, v: Self::V) -> f32 {
        self.lanes(v)[..Self::LANES].iter().fold(f32::NEG_INFINITY, |a, &b| if b > a || b.is_nan() { b } else { a })
    }
}

/// `fn name(arguments) = body;` defines `name`, which runs `body::<S>(s, arguments)` compiled for the tier in use.
macro_rules! tiered {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $($body:ident)::+ $([$($generic:ty),+])?;) => {
        $(#[$meta])*
        #[inline]
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            match $crate::cpu::tier() {
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Tier::Avx512 | $crate::cpu::Tier::Amx => {
                    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
                    fn run($($argument: $type),*) $(-> $result)? {
                        // SAFETY: this function runs only where the tier is available.
                        let simd = unsafe { $crate::simd::Avx512::new() };
                        $($body)::+::<$crate::simd::Avx512 $($(, $generic)+)?>(simd, $($argument),*)
                    }
                    // SAFETY: `tier` gives only tiers that the processor has.
                    unsafe { run($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Tier::Avx2 => {
                    #[target_feature(enable = "avx2,fma,f16c")]
                    fn run($($argument: $type),*) $(-> $result)? {
                        // SAFETY: this function runs only where the tier is available.
                        let simd = unsafe { $crate::simd::Avx2::new() };
                        $($body)::+::<$crate::simd::Avx2 $($(, $generic)+)?>(simd, $($argument),*)
                    }
                    // SAFETY: `tier` gives only tiers that the processor has.
                    unsafe { run($($argument),*) }
                }
                #[cfg(target_arch = "aarch64")]
                $crate::cpu::Tier::Neon => {
                    // SAFETY: NEON is part of the aarch64 baseline.
                    let simd = unsafe { $crate::simd::Neon::new() };
                    $($body)::+::<$crate::simd::Neon $($(, $generic)+)?>(simd, $($argument),*)
                }
                _ => $($body)::+::<$crate::simd::Scalar $($(, $generic)+)?>($crate::simd::Scalar, $($argument),*),
            }
        }
    };
}
pub(crate) use tiered;

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    fn exercise_body<S: Simd>(s: S, out: &mut [f32]) {
        let x: Vec<f32> = (0..16).map(|i| (i as f32 - 7.3) * 1.5).collect();
        let y: Vec<f32> = (0..16).map(|i| (i * 5 % 7) as f32 - 2.5).collect();
        let (a, b) = (s.load_slice(&x), s.load_slice(&y));
        let results = [
            s.add(a, b),
            s.sub(a, b),
            s.mul(a, b),
            s.div(a, b),
            s.fma(a, b, a),
            s.max(a, b),
            s.min(a, b),
            s.abs(a),
            s.round(a),
            s.with_sign(s.abs(b), a),
            s.select_less(a, b, s.splat(1.0), s.zero()),
            s.scale2(a, s.round(b)),
        ];
        for (index, v) in results.into_iter().enumerate() {
            s.store_slice(v, &mut out[index * 4..index * 4 + 3]);
        }
        let mut rows = [s.zero(); MAX_LANES];
        for (i, row) in rows.iter_mut().enumerate().take(S::LANES) {
            let values: Vec<f32> = (0..S::LANES).map(|j| (i * 100 + j) as f32).collect();
            *row = s.load_slice(&values);
        }
        s.transpose(&mut rows[..S::LANES]);
        for (i, &row) in rows.iter().enumerate().take(S::LANES) {
            for (j, &value) in s.lanes(row).iter().enumerate().take(S::LANES) {
                assert_eq!(value, (j * 100 + i) as f32, "transposed ({i}, {j})");
            }
        }
    }

    tiered! { fn exercise(out: &mut [f32]) = exercise_body; }

    #[test]
    fn tiers_agree_with_scalar() {
        let mut expected = vec![0.0; 48];
        exercise_body(Scalar, &mut expected);
        assert_eq!(expected[..3], [-13.450001, -6.950001, -7.4500003]);
        crate::cpu::tests::on_every_tier(|tier| {
            let mut out = vec![0.0; 48];
            exercise(&mut out);
            for (a, b) in out.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-5 * b.abs(), "{tier:?}: {out:?} {expected:?}");
            }
        });
    }

    #[inline(always)]
    fn widen_body<S: Simd>(s: S, bf16: &[u16], f16: &[u16], out: &mut [f32]) {
        for i in (0..bf16.len()).step_by(S::LANES) {
            // SAFETY: the lengths are multiples of the widest vector.
            unsafe {
                s.store(s.load_bf16(bf16.as_ptr().add(i)), out.as_mut_ptr().add(2 * i));
                s.store(s.load_f16(f16.as_ptr().add(i)), out.as_mut_ptr().add(2 * i + S::LANES));
            }
        }
    }

    tiered! { fn widen(bf16: &[u16], f16: &[u16], out: &mut [f32]) = widen_body; }

    #[test]
    fn halves_widen_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        crate::cpu::tests::on_every_tier(|tier| {
            let mut out = vec![0.0; 2 * bits.len()];
            widen(&bits, &bits, &mut out);
            let lanes = match tier {
                crate::cpu::Tier::Avx512 | crate::cpu::Tier::Amx => 16,
                crate::cpu::Tier::Avx2 | crate::cpu::Tier::Scalar => 8,
                crate::cpu::Tier::Neon => 4,
            };
            for (block, values) in out.chunks(2 * lanes).enumerate() {
                for i in 0..lanes {
                    let bits = (block * lanes + i) as u16;
                    let (b, h) = (crate::bf16::from_bits(bits).to_f32(), crate::f16::from_bits(bits).to_f32());
                    assert!(values[i] == b || b.is_nan() && values[i].is_nan(), "{tier:?} bf16 {bits:#x}");
                    let got = values[lanes + i];
                    assert!(got == h || h.is_nan() && got.is_nan(), "{tier:?} f16 {bits:#x}: {got} {h}");
                }
            }
        });
    }
}
