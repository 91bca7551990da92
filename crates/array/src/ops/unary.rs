//! Element-wise functions of one array.
//!
//! One primitive for all: [`Unary`] names the function. Invariant: transcendental functions return an inexact type (f32 for
//! integers); abs, negative, sign, square and rounding keep the type. Read next: [`crate::ops::binary`].

use std::any::Any;
use std::sync::Arc;

use olivine_gpu::expression::{Expression as GpuExpression, Unary as GpuFunction};
use olivine_gpu::ops::elementwise::{self as on_gpu, Operand};
use olivine_kernels::activation::Activation;
use olivine_kernels::elementwise::{self, UnaryOp as UnaryKernel};

use crate::array::Array;
use crate::dtype::{Complex64, Dtype};
use crate::gpu::Gpu;
use crate::ops::copy::copy_parallel;
use crate::ops::lanes::{Class, class, map};
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::tensor::Tensor;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unary {
    Abs,
    Negative,
    Sign,
    Square,
    Ceil,
    Floor,
    Round,
    BitwiseInvert,
    LogicalNot,
    IsNan,
    IsInf,
    IsFinite,
    Exp,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sqrt,
    Rsqrt,
    Reciprocal,
    Sin,
    Cos,
    Tan,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Arcsinh,
    Arccosh,
    Arctanh,
    Erf,
    Erfinv,
    Sigmoid,
    Real,
    Imag,
    Conjugate,
}

use Unary::*;

impl Unary {
    const fn is_predicate(self) -> bool {
        matches!(self, LogicalNot | IsNan | IsInf | IsFinite)
    }

    const fn keeps_type(self) -> bool {
        matches!(self, Abs | Negative | Sign | Square | Ceil | Floor | Round | BitwiseInvert | Real | Imag | Conjugate)
    }
}

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident = $variant:ident;)*) => {
        impl Array {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Array { apply(Unary::$variant, self) }
        )*}
    };
}
unary_methods! {
    /// |x|, the modulus of complex numbers.
    abs = Abs;
    /// -x.
    negative = Negative;
    /// -1, 0 or 1; x/|x| for complex numbers.
    sign = Sign;
    /// x².
    square = Square;
    /// The smallest integer not below x.
    ceil = Ceil;
    /// The largest integer not above x.
    floor = Floor;
    /// The nearest integer, halves to even.
    rint = Round;
    /// All bits turned; logical not for bool.
    bitwise_invert = BitwiseInvert;
    /// Whether x is zero.
    logical_not = LogicalNot;
    /// Whether x is NaN.
    isnan = IsNan;
    /// Whether x is infinite.
    isinf = IsInf;
    /// Whether x is neither infinite nor NaN.
    isfinite = IsFinite;
    /// e^x.
    exp = Exp;
    /// e^x - 1, exact near 0.
    expm1 = Expm1;
    /// Natural logarithm.
    log = Log;
    /// Logarithm to base 2.
    log2 = Log2;
    /// Logarithm to base 10.
    log10 = Log10;
    /// ln(1 + x), exact near 0.
    log1p = Log1p;
    /// Square root.
    sqrt = Sqrt;
    /// 1 / √x.
    rsqrt = Rsqrt;
    /// 1 / x.
    reciprocal = Reciprocal;
    /// Sine.
    sin = Sin;
    /// Cosine.
    cos = Cos;
    /// Tangent.
    tan = Tan;
    /// Inverse sine.
    arcsin = Arcsin;
    /// Inverse cosine.
    arccos = Arccos;
    /// Inverse tangent.
    arctan = Arctan;
    /// Hyperbolic sine.
    sinh = Sinh;
    /// Hyperbolic cosine.
    cosh = Cosh;
    /// Hyperbolic tangent.
    tanh = Tanh;
    /// Inverse hyperbolic sine.
    arcsinh = Arcsinh;
    /// Inverse hyperbolic cosine.
    arccosh = Arccosh;
    /// Inverse hyperbolic tangent.
    arctanh = Arctanh;
    /// The error function.
    erf = Erf;
    /// The inverse of the error function.
    erfinv = Erfinv;
    /// 1 / (1 + e^-x).
    sigmoid = Sigmoid;
    /// The real part.
    real = Real;
    /// The imaginary part.
    imag = Imag;
    /// The complex conjugate.
    conjugate = Conjugate;
}

impl Array {
    /// Whether x is +infinity.
    pub fn isposinf(&self) -> Array {
        self.equal(f32::INFINITY)
    }

    /// Whether x is -infinity.
    pub fn isneginf(&self) -> Array {
        self.equal(f32::NEG_INFINITY)
    }

    /// Radians to degrees.
    pub fn degrees(&self) -> Array {
        self.to_inexact() * (180.0 / std::f32::consts::PI)
    }

    /// Degrees to radians.
    pub fn radians(&self) -> Array {
        self.to_inexact() * (std::f32::consts::PI / 180.0)
    }

    /// Rounded to `decimals` places after the point (before it when negative), halves to even.
    pub fn round(&self, decimals: i32) -> Array {
        if decimals == 0 {
            return self.rint();
        }
        let scale = 10f32.powi(decimals.abs());
        let x = self.to_inexact();
        let rounded = if decimals > 0 { &(&x * scale).rint() / scale } else { &(&x / scale).rint() * scale };
        rounded.astype(self.dtype())
    }

    /// x · sigmoid(x).
    pub fn silu(&self) -> Array {
        self * &self.sigmoid()
    }

    /// The Gaussian error linear unit, exact: x · (1 + erf(x/√2)) / 2.
    pub fn gelu(&self) -> Array {
        let x = self.to_inexact();
        &(&x * &((&x * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0)) * 0.5
    }

    /// The Gaussian error linear unit by its tanh approximation.
    pub fn gelu_tanh(&self) -> Array {
        let x = self.to_inexact();
        let inner = (&x + &(&(&(&x * &x) * &x) * 0.044715)) * 0.797_884_6;
        &(&x * &(inner.tanh() + 1.0)) * 0.5
    }

    pub(crate) fn to_inexact(&self) -> Array {
        self.astype(self.dtype().at_least_float())
    }
}

#[track_caller]
fn apply(function: Unary, x: &Array) -> Array {
    let dtype = x.dtype();
    match function {
        BitwiseInvert if dtype == Dtype::Bool => return apply(LogicalNot, x),
        BitwiseInvert => assert!(!dtype.is_inexact(), "[bitwise_invert] not for {dtype}"),
        Negative => assert!(dtype != Dtype::Bool, "[negative] not for bool: use logical_not"),
        Erf | Erfinv => assert!(dtype != Dtype::C64, "[{function:?}] not for complex numbers"),
        Ceil | Floor | Round if !dtype.is_inexact() => return x.clone(),
        Conjugate | Real if dtype != Dtype::C64 => return x.clone(),
        LogicalNot => return Array::apply(UnaryOp(function), &[&x.astype(Dtype::Bool)]),
        _ => {}
    }
    let x = if function.keeps_type() || function.is_predicate() { x.clone() } else { x.to_inexact() };
    Array::apply(UnaryOp(function), &[&x])
}

#[derive(Debug, PartialEq)]
struct UnaryOp(Unary);

impl Primitive for UnaryOp {
    fn name(&self) -> &'static str {
        if self.0.is_predicate() { "unary_predicate" } else { "unary" }
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let dtype = match (self.0, inputs[0].dtype()) {
            (function, _) if function.is_predicate() => Dtype::Bool,
            (Abs | Real | Imag, Dtype::C64) => Dtype::F32,
            (_, dtype) => dtype,
        };
        one(inputs[0].shape(), dtype)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (function, pool, out) = (self.0, context.pool(), &mut outputs[0]);
        if inputs[0].dtype() == Dtype::F32
            && let Some(op) = kernel(function)
        {
            match (inputs[0].is_donated(), inputs[0].is_contiguous()) {
                (true, _) => return elementwise::unary_in_place(pool, op, out.slice_mut()),
                (false, true) => return elementwise::unary(pool, op, inputs[0].slice(), out.slice_mut()),
                (false, false) => {
                    // The same kernel as for contiguous input: a view's bits must not depend on its strides.
                    copy_parallel(context, &inputs[0], out);
                    return elementwise::unary_in_place(pool, op, out.slice_mut());
                }
            }
        }
        match class(inputs[0].dtype()) {
            Class::F32 => map(pool, inputs, out, |[x], out: &mut [f32]| unary_f32(function, x, out)),
            Class::F64 => map(pool, inputs, out, |[x], out: &mut [f64]| unary_f64(function, x, out)),
            Class::I64 => map(pool, inputs, out, |[x], out: &mut [i64]| unary_i64(function, x, out)),
            Class::U64 => map(pool, inputs, out, |[x], out: &mut [u64]| unary_u64(function, x, out)),
            Class::C64 => map(pool, inputs, out, |[x], out: &mut [Complex64]| unary_c64(function, x, out)),
        }
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let (Some(function), Dtype::F32, count @ 1..) = (gpu_function(self.0), outputs[0].dtype(), outputs[0].size())
        else {
            return false;
        };
        let from = if inputs[0].is_donated() { None } else { Some(inputs[0].on_gpu_dense(gpu)) };
        let (from, out) = match from {
            None => (None, outputs[0].on_gpu_mut(gpu)),
            Some(None) => return false,
            Some(from) => (from, outputs[0].on_gpu_fresh(gpu)),
        };
        let formula = Arc::new(GpuExpression::input(0).unary(function));
        let operand = Operand { memory: from.as_ref().unwrap_or(&out), divide: 1, modulo: count };
        gpu.record(|list| on_gpu::elementwise(list, &formula, &[operand], &[], count, &out));
        true
    }

    fn reuse(&self) -> Reuse {
        Reuse::Elementwise
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<UnaryOp>() == Some(self)
    }
}

/// The vector kernel of `function`, where there is one.
fn kernel(function: Unary) -> Option<UnaryKernel> {
    Some(match function {
        Abs => UnaryKernel::Abs,
        Negative => UnaryKernel::Negate,
        Square => UnaryKernel::Square,
        Sqrt => UnaryKernel::Sqrt,
        Rsqrt => UnaryKernel::Rsqrt,
        Reciprocal => UnaryKernel::Reciprocal,
        Round => UnaryKernel::Round,
        Exp => UnaryKernel::Activation(Activation::Exp),
        Tanh => UnaryKernel::Activation(Activation::Tanh),
        Erf => UnaryKernel::Activation(Activation::Erf),
        Sigmoid => UnaryKernel::Activation(Activation::Sigmoid),
        _ => return None,
    })
}

#[inline(always)]
fn each<L: Copy>(x: &[L], out: &mut [L], f: impl Fn(L) -> L) {
    for (to, &from) in out.iter_mut().zip(x) {
        *to = f(from);
    }
}

macro_rules! unary_float {
    ($name:ident, $type:ident, $erf:path, $erfinv:path) => {
        fn $name(function: Unary, x: &[$type], out: &mut [$type]) {
            let truth = |yes: bool| if yes { 1.0 } else { 0.0 };
            match function {
                Abs => each(x, out, $type::abs),
                Negative => each(x, out, |x| -x),
                Sign => each(x, out, |x| {
                    if x > 0.0 {
                        1.0
                    } else if x < 0.0 {
                        -1.0
                    } else {
                        x
                    }
                }),
                Square => each(x, out, |x| x * x),
                Ceil => each(x, out, $type::ceil),
                Floor => each(x, out, $type::floor),
                Round => each(x, out, $type::round_ties_even),
                LogicalNot => each(x, out, |x| truth(x == 0.0)),
                IsNan => each(x, out, |x| truth(x.is_nan())),
                IsInf => each(x, out, |x| truth(x.is_infinite())),
                IsFinite => each(x, out, |x| truth(x.is_finite())),
                Exp => each(x, out, $type::exp),
                Expm1 => each(x, out, $type::exp_m1),
                Log => each(x, out, $type::ln),
                Log2 => each(x, out, $type::log2),
                Log10 => each(x, out, $type::log10),
                Log1p => each(x, out, $type::ln_1p),
                Sqrt => each(x, out, $type::sqrt),
                Rsqrt => each(x, out, |x| 1.0 / x.sqrt()),
                Reciprocal => each(x, out, |x| 1.0 / x),
                Sin => each(x, out, $type::sin),
                Cos => each(x, out, $type::cos),
                Tan => each(x, out, $type::tan),
                Arcsin => each(x, out, $type::asin),
                Arccos => each(x, out, $type::acos),
                Arctan => each(x, out, $type::atan),
                Sinh => each(x, out, $type::sinh),
                Cosh => each(x, out, $type::cosh),
                Tanh => each(x, out, $type::tanh),
                Arcsinh => each(x, out, $type::asinh),
                Arccosh => each(x, out, $type::acosh),
                Arctanh => each(x, out, $type::atanh),
                Erf => each(x, out, $erf),
                Erfinv => each(x, out, $erfinv),
                Sigmoid => each(x, out, |x| 1.0 / (1.0 + (-x).exp())),
                Imag => out.fill(0.0),
                Real | Conjugate | BitwiseInvert => out.copy_from_slice(x),
            }
        }
    };
}
unary_float!(unary_f32, f32, erf_f32, erfinv_f32);
unary_float!(unary_f64, f64, erf, erfinv_f64);

fn unary_i64(function: Unary, x: &[i64], out: &mut [i64]) {
    match function {
        Abs => each(x, out, i64::wrapping_abs),
        Negative => each(x, out, i64::wrapping_neg),
        Sign => each(x, out, i64::signum),
        Square => each(x, out, |x| x.wrapping_mul(x)),
        BitwiseInvert => each(x, out, |x| !x),
        LogicalNot => each(x, out, |x| i64::from(x == 0)),
        IsNan | IsInf | Imag => out.fill(0),
        IsFinite => out.fill(1),
        _ => out.copy_from_slice(x),
    }
}

/// The GPU's formula of `function`, where it has one that is as good for all numbers.
fn gpu_function(function: Unary) -> Option<GpuFunction> {
    Some(match function {
        Negative => GpuFunction::Negative,
        Abs => GpuFunction::Absolute,
        Exp => GpuFunction::Exp,
        Sqrt => GpuFunction::Sqrt,
        Tanh => GpuFunction::Tanh,
        Sigmoid => GpuFunction::Sigmoid,
        _ => return None,
    })
}

fn unary_u64(function: Unary, x: &[u64], out: &mut [u64]) {
    match function {
        Negative => each(x, out, u64::wrapping_neg),
        Sign => each(x, out, |x| u64::from(x != 0)),
        Square => each(x, out, |x| x.wrapping_mul(x)),
        BitwiseInvert => each(x, out, |x| !x),
        LogicalNot => each(x, out, |x| u64::from(x == 0)),
        IsNan | IsInf | Imag => out.fill(0),
        IsFinite => out.fill(1),
        _ => out.copy_from_slice(x),
    }
}

fn unary_c64(function: Unary, x: &[Complex64], out: &mut [Complex64]) {
    let real = |re: f32| Complex64 { re, im: 0.0 };
    let truth = |yes: bool| real(if yes { 1.0 } else { 0.0 });
    let one = real(1.0);
    let i = Complex64 { re: 0.0, im: 1.0 };
    let asinh = |z: Complex64| (z + (z * z + one).sqrt()).ln();
    let acosh = |z: Complex64| (z + (z + one).sqrt() * (z - one).sqrt()).ln();
    let atanh = |z: Complex64| ((one + z).ln() - (one - z).ln()) * real(0.5);
    match function {
        Abs => each(x, out, |z| real(z.modulus())),
        Negative => each(x, out, |z| real(0.0) - z),
        Sign => each(x, out, |z| if z.modulus() == 0.0 { z } else { z / real(z.modulus()) }),
        Square => each(x, out, |z| z * z),
        Ceil => each(x, out, |z| Complex64 { re: z.re.ceil(), im: z.im.ceil() }),
        Floor => each(x, out, |z| Complex64 { re: z.re.floor(), im: z.im.floor() }),
        Round => each(x, out, |z| Complex64 { re: z.re.round_ties_even(), im: z.im.round_ties_even() }),
        LogicalNot => each(x, out, |z| truth(z.modulus() == 0.0)),
        IsNan => each(x, out, |z| truth(z.re.is_nan() || z.im.is_nan())),
        IsInf => each(x, out, |z| truth(z.re.is_infinite() || z.im.is_infinite())),
        IsFinite => each(x, out, |z| truth(z.re.is_finite() && z.im.is_finite())),
        Exp => each(x, out, Complex64::exp),
        Expm1 => each(x, out, |z| z.exp() - one),
        Log => each(x, out, Complex64::ln),
        Log2 => each(x, out, |z| z.ln() * real(std::f32::consts::LOG2_E)),
        Log10 => each(x, out, |z| z.ln() * real(std::f32::consts::LOG10_E)),
        Log1p => each(x, out, |z| (z + one).ln()),
        Sqrt => each(x, out, Complex64::sqrt),
        Rsqrt => each(x, out, |z| one / z.sqrt()),
        Reciprocal => each(x, out, |z| one / z),
        Sin => each(x, out, |z| (i * z).sinh() / i),
        Cos => each(x, out, |z| (i * z).cosh()),
        Tan => each(x, out, |z| (i * z).sinh() / (i * (i * z).cosh())),
        Arcsin => each(x, out, |z| asinh(i * z) / i),
        Arccos => each(x, out, |z| real(std::f32::consts::FRAC_PI_2) - asinh(i * z) / i),
        Arctan => each(x, out, |z| atanh(i * z) / i),
        Sinh => each(x, out, Complex64::sinh),
        Cosh => each(x, out, Complex64::cosh),
        Tanh => each(x, out, |z| z.sinh() / z.cosh()),
        Arcsinh => each(x, out, asinh),
        Arccosh => each(x, out, acosh),
        Arctanh => each(x, out, atanh),
        Sigmoid => each(x, out, |z| one / (one + (real(0.0) - z).exp())),
        Imag => each(x, out, |z| real(z.im)),
        Conjugate => each(x, out, |z| Complex64 { re: z.re, im: -z.im }),
        Erf | Erfinv | Real | BitwiseInvert => each(x, out, |z| real(z.re)),
    }
}

fn erf_f32(x: f32) -> f32 {
    erf(f64::from(x)) as f32
}

/// The error function to about 1e-15: its series below 3, the continued fraction of its complement above.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    let value = if a < 3.0 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum
    } else if a < 6.0 {
        let fraction = (1..=60).rev().fold(a, |inner, k| a + f64::from(k) * 0.5 / inner);
        1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())
    } else {
        1.0
    };
    value.copysign(x)
}

/// Inverse error function: Giles' single-precision polynomials ("Approximating the erfinv function", 2010).
fn erfinv_f32(y: f32) -> f32 {
    const CENTRE: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    const TAIL: [f32; 9] = [
        -0.000_200_214_26,
        0.000_100_950_56,
        0.001_349_343_2,
        -0.003_673_428_4,
        0.005_739_507_7,
        -0.007_622_461_3,
        0.009_438_870_5,
        1.001_674,
        2.832_976_8,
    ];
    if y.abs() == 1.0 {
        return f32::INFINITY.copysign(y);
    }
    let w = -((1.0 - y) * (1.0 + y)).ln();
    let (w, coefficients) = if w < 5.0 { (w - 2.5, CENTRE) } else { (w.sqrt() - 3.0, TAIL) };
    y * coefficients.iter().fold(0.0, |sum, c| sum * w + c)
}

/// In double precision: two Halley steps from the single-precision value.
fn erfinv_f64(y: f64) -> f64 {
    let mut x = f64::from(erfinv_f32(y as f32));
    if !x.is_finite() {
        return x;
    }
    for _ in 0..2 {
        let step = (erf(x) - y) / (std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp());
        x -= step / (1.0 + x * step);
    }
    x
}

impl std::ops::Neg for &Array {
    type Output = Array;
    #[track_caller]
    fn neg(self) -> Array {
        self.negative()
    }
}

impl std::ops::Neg for Array {
    type Output = Array;
    #[track_caller]
    fn neg(self) -> Array {
        self.negative()
    }
}

impl std::ops::Not for &Array {
    type Output = Array;
    #[track_caller]
    fn not(self) -> Array {
        self.bitwise_invert()
    }
}
