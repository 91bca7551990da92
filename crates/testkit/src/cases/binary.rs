//! Cases of `ops/binary.rs` and `ops/select.rs`.

use olivine_array::{Array, Dtype, where_};

use super::unary::SHAPE;
use crate::conformance::{Case, Domain, FLOATS, INTEGERS, REALS};

type Op = fn(&Array, &Array) -> Array;

/// Shapes whose second broadcasts: the same, a row, a column, a scalar, and both ways.
const PAIRS: [(&[usize], &[usize]); 5] =
    [(SHAPE, SHAPE), (SHAPE, &[47]), (SHAPE, &[5, 1]), (SHAPE, &[]), (&[3, 1, 47], &[5, 1])];

/// Cases of `ops/binary.rs`.
pub fn binary() -> Vec<Case> {
    let wide = Domain::Between(-4.0, 4.0);
    let small = Domain::Between(0.0, 3.0);
    let ops: [(&str, Domain, Op, fn(f64, f64) -> f64, &'static [Dtype], f64); 20] = [
        ("add", small, |x, y| x + y, |x, y| x + y, REALS, 1.0),
        ("subtract", wide, |x, y| x - y, |x, y| x - y, FLOATS, 1.0),
        ("multiply", small, |x, y| x * y, |x, y| x * y, REALS, 1.0),
        ("divide", Domain::NonZero(-4.0, 4.0), |x, y| x / y, |x, y| x / y, FLOATS, 1.0),
        ("floor_divide", Domain::NonZero(-9.0, 9.0), |x, y| x.floor_divide(y), |x, y| (x / y).floor(), INTEGERS, 0.0),
        ("remainder", Domain::NonZero(-9.0, 9.0), |x, y| x % y, |x, y| x - y * (x / y).floor(), REALS, 2.0),
        ("power", small, |x, y| x.power(y), f64::powf, REALS, 8.0),
        ("maximum", wide, |x, y| x.maximum(y), f64::max, REALS, 0.0),
        ("minimum", wide, |x, y| x.minimum(y), f64::min, REALS, 0.0),
        ("logaddexp", wide, |x, y| x.logaddexp(y), |x, y| (x.exp() + y.exp()).ln(), FLOATS, 8.0),
        ("arctan2", wide, |x, y| x.arctan2(y), f64::atan2, FLOATS, 8.0),
        ("equal", small, |x, y| x.equal(y), |x, y| f64::from(x == y), REALS, 0.0),
        ("not_equal", small, |x, y| x.not_equal(y), |x, y| f64::from(x != y), REALS, 0.0),
        ("less", wide, |x, y| x.less(y), |x, y| f64::from(x < y), REALS, 0.0),
        ("less_equal", wide, |x, y| x.less_equal(y), |x, y| f64::from(x <= y), REALS, 0.0),
        ("greater", wide, |x, y| x.greater(y), |x, y| f64::from(x > y), REALS, 0.0),
        ("greater_equal", wide, |x, y| x.greater_equal(y), |x, y| f64::from(x >= y), REALS, 0.0),
        ("logical_and", small, |x, y| x.logical_and(y), |x, y| f64::from(x != 0.0 && y != 0.0), REALS, 0.0),
        ("logical_or", small, |x, y| x.logical_or(y), |x, y| f64::from(x != 0.0 || y != 0.0), REALS, 0.0),
        (
            "isclose",
            wide,
            |x, y| x.isclose(y, 0.0, 0.5, false),
            |x, y| f64::from((x - y).abs() <= 0.5),
            &[Dtype::F32],
            0.0,
        ),
    ];
    let mut cases = Vec::new();
    for (name, domain, op, f, dtypes, epsilons) in ops {
        for (i, (left, right)) in PAIRS.into_iter().enumerate() {
            // The first pair runs in every dtype, the other shapes in one of each class.
            let dtypes = if i == 0 || dtypes.len() == 1 { dtypes } else { &dtypes[..1] };
            let name = format!("{name} {left:?} {right:?}");
            let reference = move |x: &[crate::plain::Plain]| x[0].zip(&x[1], f);
            let case = Case::new(&name, &[left, right], domain, move |x| op(&x[0], &x[1]), reference);
            cases.push(case.dtypes(dtypes).within(epsilons));
        }
    }
    cases.extend(bitwise());
    cases
}

fn bitwise() -> Vec<Case> {
    let ops: [(&str, Domain, Op, fn(i64, i64) -> i64); 5] = [
        ("bitwise_and", Domain::Between(0.0, 100.0), |x, y| x & y, |x, y| x & y),
        ("bitwise_or", Domain::Between(0.0, 100.0), |x, y| x | y, |x, y| x | y),
        ("bitwise_xor", Domain::Between(0.0, 100.0), |x, y| x ^ y, |x, y| x ^ y),
        ("left_shift", Domain::Between(0.0, 4.0), |x, y| x << y, |x, y| x << y),
        ("right_shift", Domain::Between(0.0, 6.0), |x, y| x >> y, |x, y| x >> y),
    ];
    let case = |(name, domain, op, f): (&str, Domain, Op, fn(i64, i64) -> i64)| {
        let reference = move |x: &[crate::plain::Plain]| x[0].zip(&x[1], |x, y| f(x as i64, y as i64) as f64);
        Case::new(name, &[SHAPE, SHAPE], domain, move |x| op(&x[0], &x[1]), reference).dtypes(INTEGERS)
    };
    ops.into_iter().map(case).collect()
}

/// Cases of `ops/select.rs`.
pub fn select() -> Vec<Case> {
    let shapes: [(&[usize], &[usize], &[usize]); 3] =
        [(SHAPE, SHAPE, SHAPE), (SHAPE, &[47], &[5, 1]), (&[3, 1, 1], SHAPE, &[])];
    let case = |(condition, x, y): (&[usize], &[usize], &[usize])| {
        let op = |inputs: &[Array]| where_(&inputs[2], &inputs[0], &inputs[1]);
        let reference = |inputs: &[crate::plain::Plain]| {
            let wide = inputs[2].zip(&inputs[0], |_, x| x).zip(&inputs[1], |x, _| x);
            let second = inputs[2].zip(&inputs[0], |_, _| 0.0).zip(&inputs[1], |_, y| y);
            let chosen = inputs[2].zip(&wide, |c, _| c);
            let picked = chosen.zip(&wide, |c, x| c * x);
            picked.zip(&chosen.zip(&second, |c, y| (1.0 - c) * y), |x, y| x + y)
        };
        let name = format!("where {condition:?} {x:?} {y:?}");
        Case::new(&name, &[x, y], Domain::Between(-9.0, 9.0), op, reference)
            .with(condition, Domain::Flag, Some(Dtype::Bool))
            .dtypes(REALS)
    };
    shapes.into_iter().map(case).collect()
}
