//! Exponential, hyperbolic tangent and error function on vectors, within about 2 ulp.
//!
//! Polynomials are minimax fits of the function itself (weighted least squares in double precision); every lane
//! goes through the same steps, so a value's bits do not depend on its place. Read next: [`crate::activation`].

use super::Simd;

/// Evaluate a polynomial, lowest coefficient first.
#[inline(always)]
pub fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[N - 1]);
    for &coefficient in coefficients[..N - 1].iter().rev() {
        sum = s.fma(sum, x, s.splat(coefficient));
    }
    sum
}

/// `e^x`; 0 below -104.5, infinite above 89, NaN for NaN.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    // Operand order matters: min and max give their second operand for NaN.
    let x = s.max(s.splat(-104.5), s.min(s.splat(89.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts; the first has few bits, so that its product with n is exact without a fused multiply-add.
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let p = polynomial(s, r, [0.5, 1.666_652_1e-1, 4.166_839e-2, 8.368_717_5e-3, 1.381_459_6e-3]);
    let e = s.add(s.fma(s.mul(r, r), p, r), s.splat(1.0));
    s.scale2(e, n)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.zero(), x))))
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let (magnitude, square, one) = (s.abs(x), s.mul(x, x), s.splat(1.0));
    let p = polynomial(s, square, [-3.333_328_4e-1, 1.333_149_1e-1, -5.374_349_7e-2, 2.065_057_9e-2, -5.717_037e-3]);
    let small = s.fma(s.mul(x, square), p, x);
    let large = s.sub(one, s.div(s.splat(2.0), s.add(exp(s, s.add(magnitude, magnitude)), one)));
    // The sign is set at the end: -0 stays -0.
    s.with_sign(s.abs(s.select_less(magnitude, s.splat(0.625), small, large)), x)
}

/// Error function.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let (magnitude, square) = (s.abs(x), s.mul(x, x));
    let small =
        [1.283_791_7e-1, -3.761_263_5e-1, 1.128_369_4e-1, -2.685_927e-2, 5.200_634e-3, -8.137_437e-4, 8.345_225e-5];
    let small = s.fma(x, polynomial(s, square, small), x);
    // -ln(1 - erf) is close to a polynomial; beyond 4 the result rounds to 1.
    let large =
        [2.070_084_9e-4, 1.127_627_4, 6.372_657_4e-1, 1.038_563_8e-1, -2.218_977_7e-2, 3.033_692_5e-3, -1.949_467_7e-4];
    let bounded = s.min(s.splat(4.0), magnitude);
    let complement = exp(s, s.sub(s.zero(), polynomial(s, bounded, large)));
    let large = s.sub(s.splat(1.0), complement);
    s.with_sign(s.abs(s.select_less(magnitude, s.splat(0.925), small, large)), x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tiered;

    #[inline(always)]
    fn all_body<S: Simd>(s: S, x: &[f32], out: &mut [[f32; 4]]) {
        for (x, out) in x.chunks(S::LANES).zip(out.chunks_mut(S::LANES)) {
            let v = s.load_slice(x);
            let (a, b) = (s.lanes(exp(s, v)), s.lanes(sigmoid(s, v)));
            let (c, d) = (s.lanes(tanh(s, v)), s.lanes(erf(s, v)));
            out.iter_mut().enumerate().for_each(|(i, out)| *out = [a[i], b[i], c[i], d[i]]);
        }
    }

    tiered! { fn all(x: &[f32], out: &mut [[f32; 4]]) = all_body; }

    /// Error function in double precision: Taylor series below 3, continued fraction of the complement above.
    fn erf_reference(x: f64) -> f64 {
        let z = x.abs();
        if z < 3.0 {
            let (mut term, mut sum) = (z, z);
            for n in 1..120 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return (sum * std::f64::consts::FRAC_2_SQRT_PI).copysign(x);
        }
        let mut fraction = z;
        for n in (1..80).rev() {
            fraction = z + f64::from(n) / 2.0 / fraction;
        }
        (1.0 - (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
    }

    fn ulps(value: f32, exact: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) * exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor().exp2();
        (f64::from(value) - exact).abs() / unit
    }

    #[test]
    fn within_two_and_a_half_ulp() {
        let x: Vec<f32> =
            (-400_000..400_000).map(|i| i as f32 * 2.17e-4).chain((-2000..2000).map(|i| i as f32 * 1e-3)).collect();
        crate::cpu::tests::on_every_tier(|tier| {
            let mut out = vec![[0.0; 4]; x.len()];
            all(&x, &mut out);
            let mut worst = [0.0f64; 4];
            for (&x, out) in x.iter().zip(&out) {
                let wide = f64::from(x);
                let exact = [wide.exp(), 1.0 / (1.0 + (-wide).exp()), wide.tanh(), erf_reference(wide)];
                for i in 0..4 {
                    worst[i] = worst[i].max(ulps(out[i], exact[i]));
                }
            }
            println!("{tier:?}: exp, sigmoid, tanh, erf within {worst:.2?} ulp");
            assert!(worst[0] < 1.5 && worst[1] < 2.5 && worst[2] < 2.5 && worst[3] < 2.5, "{tier:?} {worst:?}");
        });
    }

    #[test]
    fn special_values() {
        crate::cpu::tests::on_every_tier(|tier| {
            let x = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, 0.0, -0.0, 88.7, -103.9];
            let mut out = [[0.0; 4]; 7];
            all(&x, &mut out);
            assert_eq!(out[0], [0.0, 0.0, -1.0, -1.0], "{tier:?}");
            assert_eq!(out[1], [f32::INFINITY, 1.0, 1.0, 1.0], "{tier:?}");
            assert!(out[2].iter().all(|value| value.is_nan()), "{tier:?} {:?}", out[2]);
            assert_eq!(out[3], [1.0, 0.5, 0.0, 0.0], "{tier:?}");
            assert!(out[4][2].is_sign_negative() && out[4][3].is_sign_negative(), "{tier:?} keeps -0");
            assert!(out[5][0] > 3.3e38 && out[5][0].is_finite(), "{tier:?}");
            assert!(out[6][0] > 0.0 && out[6][0] < 1e-44, "{tier:?} subnormal {:e}", out[6][0]);
        });
    }
}
