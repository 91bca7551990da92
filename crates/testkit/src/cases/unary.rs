//! Cases of `ops/unary.rs` and `ops/cast.rs`.

use olivine_array::{Array, Dtype};

use crate::conformance::{Case, Domain, FLOATS, INTEGERS, REALS};

/// Enough elements for several blocks and a ragged end, with dimensions that every placement changes.
pub const SHAPE: &[usize] = &[3, 5, 47];

type Op = fn(&Array) -> Array;

fn case(name: &str, domain: Domain, op: Op, f: fn(f64) -> f64) -> Case {
    Case::new(name, &[SHAPE], domain, move |x| op(&x[0]), move |x| x[0].map(f))
}

/// Cases of `ops/unary.rs`.
pub fn unary() -> Vec<Case> {
    let wide = Domain::Between(-4.0, 4.0);
    let positive = Domain::Between(0.25, 8.0);
    let unit = Domain::Between(-0.875, 0.875);
    let mut cases = vec![
        case("abs", wide, Array::abs, f64::abs).dtypes(REALS),
        case("negative", wide, Array::negative, |x| -x).dtypes(FLOATS),
        case("sign", wide, Array::sign, |x| if x == 0.0 { 0.0 } else { x.signum() }).dtypes(REALS),
        case("square", wide, Array::square, |x| x * x).dtypes(REALS).within(1.0),
        case("ceil", wide, Array::ceil, f64::ceil).dtypes(REALS),
        case("floor", wide, Array::floor, f64::floor).dtypes(REALS),
        case("rint", wide, Array::rint, f64::round_ties_even).dtypes(REALS),
        case("logical_not", Domain::Between(-1.0, 1.0), Array::logical_not, |x| f64::from(x == 0.0)).dtypes(REALS),
        case("isnan", wide, |x| x.log().isnan(), |x| f64::from(x < 0.0)).dtypes(FLOATS),
        case("isinf", Domain::Between(-1.0, 1.0), |x| x.reciprocal().isinf(), |x| f64::from(x == 0.0)).dtypes(FLOATS),
        case("bitwise_invert", Domain::Between(-100.0, 100.0), Array::bitwise_invert, |x| -x - 1.0).dtypes(&[
            Dtype::I8,
            Dtype::I16,
            Dtype::I32,
            Dtype::I64,
        ]),
    ];
    cases.push(case("isfinite", wide, |x| x.log().isfinite(), |x| f64::from(x > 0.0)).dtypes(FLOATS));
    let transcendental: [(&str, Domain, Op, fn(f64) -> f64); 26] = [
        ("exp", wide, Array::exp, f64::exp),
        ("expm1", wide, Array::expm1, f64::exp_m1),
        ("log", positive, Array::log, f64::ln),
        ("log2", positive, Array::log2, f64::log2),
        ("log10", positive, Array::log10, f64::log10),
        ("log1p", positive, Array::log1p, f64::ln_1p),
        ("sqrt", positive, Array::sqrt, f64::sqrt),
        ("rsqrt", positive, Array::rsqrt, |x| 1.0 / x.sqrt()),
        ("reciprocal", positive, Array::reciprocal, |x| 1.0 / x),
        ("sin", wide, Array::sin, f64::sin),
        ("cos", wide, Array::cos, f64::cos),
        ("tan", unit, Array::tan, f64::tan),
        ("arcsin", unit, Array::arcsin, f64::asin),
        ("arccos", unit, Array::arccos, f64::acos),
        ("arctan", wide, Array::arctan, f64::atan),
        ("sinh", wide, Array::sinh, f64::sinh),
        ("cosh", wide, Array::cosh, f64::cosh),
        ("tanh", wide, Array::tanh, f64::tanh),
        ("arcsinh", wide, Array::arcsinh, f64::asinh),
        ("arccosh", Domain::Between(1.0, 8.0), Array::arccosh, f64::acosh),
        ("arctanh", unit, Array::arctanh, f64::atanh),
        ("erf", Domain::Between(-2.0, 2.0), Array::erf, erf),
        ("sigmoid", wide, Array::sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        ("degrees", wide, Array::degrees, f64::to_degrees),
        ("radians", wide, Array::radians, f64::to_radians),
        ("erf of erfinv", unit, |x| x.erfinv().erf(), |x| x),
    ];
    for (name, domain, op, f) in transcendental {
        // Constants of `degrees` and `radians` are f32, so f64 is checked for the others.
        let exact = !matches!(name, "degrees" | "radians" | "erf of erfinv");
        let dtypes = if exact { FLOATS } else { crate::conformance::HALVES_AND_SINGLES };
        cases.push(case(name, domain, op, f).dtypes(dtypes).within(8.0));
    }
    let composed: [(&str, Op, fn(f64) -> f64); 3] = [
        ("silu", Array::silu, |x| x / (1.0 + (-x).exp())),
        ("gelu", Array::gelu, |x| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()))),
        ("gelu_tanh", Array::gelu_tanh, |x| {
            x * 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }),
    ];
    for (name, op, f) in composed {
        cases.push(case(name, wide, op, f).within(16.0));
    }
    cases.push(case("exp of integers", Domain::Between(0.0, 4.0), Array::exp, f64::exp).dtypes(INTEGERS).within(8.0));
    cases.push(case("isposinf", wide, |x| (x * f32::MAX).isposinf(), |x| f64::from(x > 1.0)));
    cases.push(case("isneginf", wide, |x| (x * f32::MAX).isneginf(), |x| f64::from(x < -1.0)));
    cases
}

/// Cases of `ops/cast.rs`: through every dtype and back.
pub fn cast() -> Vec<Case> {
    let whole = Domain::Distinct;
    let mut cases = Vec::new();
    for dtype in Dtype::ALL {
        let truth = dtype == Dtype::Bool;
        let there = move |x: &[Array]| x[0].astype(dtype).astype(Dtype::F32);
        let back = move |x: f64| if truth { f64::from(x != 0.0) } else { x };
        let domain =
            if matches!(dtype.kind(), olivine_array::Kind::Unsigned) { Domain::Between(0.0, 9.0) } else { whole };
        let name = format!("astype {dtype}");
        let floor = matches!(dtype.kind(), olivine_array::Kind::Unsigned);
        let reference = move |x: f64| if floor { x.trunc() } else { back(x) };
        cases.push(Case::new(&name, &[&[4, 25]], domain, there, move |x| x[0].map(reference)).dtypes(REALS));
    }
    let bits = |x: &[Array]| x[0].astype(Dtype::F32).view_as(Dtype::U32).astype(Dtype::F64);
    let reference = |x: f64| f64::from((x as f32).to_bits());
    cases.push(Case::new("view_as", &[&[4, 25]], whole, bits, move |x| x[0].map(reference)));
    let narrow = |x: &[Array]| x[0].astype(Dtype::F32).view_as(Dtype::U16).view_as(Dtype::F32);
    cases.push(Case::new("view_as narrower and back", &[&[4, 25]], whole, narrow, |x| x[0].clone()));
    cases
}

/// The error function by its Taylor series: exact to 1e-14 for |x| ≤ 2, to 1e-9 for |x| ≤ 4.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}
