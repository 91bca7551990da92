//! Cases of `ops/view.rs`, `copy.rs`, `slice.rs`, `concatenate.rs`, `create.rs`.

use olivine_array::{Array, Dtype, Pad, Range, arange, concatenate as join, eye, full, linspace, stack, tri};

use crate::conformance::{Case, Domain, REALS};
use crate::plain::Plain;

const SHAPE: &[usize] = &[4, 3, 10];

fn case(name: &str, op: fn(&Array) -> Array, reference: fn(&Plain) -> Plain) -> Case {
    Case::new(name, &[SHAPE], Domain::Between(0.0, 100.0), move |x| op(&x[0]), move |x| reference(&x[0])).dtypes(REALS)
}

fn picked(x: &Plain, shape: &[usize], from: impl Fn(&[usize]) -> Vec<usize>) -> Plain {
    Plain::build(shape, |index| x.at(&from(index)))
}

/// Cases of `ops/view.rs`.
pub fn view() -> Vec<Case> {
    vec![
        case("reshape", |x| x.reshape(&[2, -1, 5]), |x| x.clone().reshaped(&[2, 12, 5])),
        case("flatten", |x| x.flatten(1, -1), |x| x.clone().reshaped(&[4, 30])),
        case("unflatten", |x| x.unflatten(2, &[5, -1]), |x| x.clone().reshaped(&[4, 3, 5, 2])),
        case(
            "reshape of transpose",
            |x| x.transpose(&[1, 0, 2]).reshape(&[3, 40]),
            |x| x.transposed(&[1, 0, 2]).reshaped(&[3, 40]),
        ),
        case(
            "reshape of transpose that stays a view",
            |x| x.transpose(&[2, 0, 1]).reshape(&[10, 2, 2, 3]),
            |x| x.transposed(&[2, 0, 1]).reshaped(&[10, 2, 2, 3]),
        ),
        case("transpose", |x| x.transpose(&[2, 0, 1]), |x| x.transposed(&[2, 0, 1])),
        case("swapaxes", |x| x.swapaxes(0, -1), |x| x.transposed(&[2, 1, 0])),
        case("moveaxis", |x| x.moveaxis(0, 2), |x| x.transposed(&[1, 2, 0])),
        case(
            "expand_dims and squeeze",
            |x| x.expand_dims(&[0, -1]).squeeze(&[0]),
            |x| x.clone().reshaped(&[4, 3, 10, 1]),
        ),
        case(
            "broadcast_to",
            |x| x.expand_dims(&[1]).broadcast_to(&[4, 2, 3, 10]),
            |x| picked(x, &[4, 2, 3, 10], |i| vec![i[0], i[2], i[3]]),
        ),
        case("flip", |x| x.flip(&[0, 2]), |x| picked(x, SHAPE, |i| vec![3 - i[0], i[1], 9 - i[2]])),
        case(
            "as_strided",
            |x| x.as_strided(&[5, 4], &[3, -2], 20),
            |x| Plain::build(&[5, 4], |i| x.data[20 + 3 * i[0] - 2 * i[1]]),
        ),
    ]
}

/// Cases of `ops/copy.rs`.
pub fn copy() -> Vec<Case> {
    vec![
        case("contiguous", Array::contiguous, Plain::clone),
        Case::new(
            "contiguous of a large transpose",
            &[&[70, 613]],
            Domain::Distinct,
            |x| x[0].t().contiguous(),
            |x| x[0].transposed(&[1, 0]),
        )
        .dtypes(&[Dtype::F32, Dtype::F64]),
        case("contiguous of transpose", |x| x.transpose(&[1, 2, 0]).contiguous(), |x| x.transposed(&[1, 2, 0])),
    ]
}

/// Cases of `ops/slice.rs`.
pub fn slice() -> Vec<Case> {
    let stepped: fn(&Array) -> Array = |x| {
        let range = |start, stop, step| Range { start, stop, step };
        x.slice(&[range(Some(3), None, -2), (1..3).into(), range(Some(-9), Some(9), 3)])
    };
    let update = |x: &[Array]| {
        let step = Range { start: Some(1), stop: None, step: 3 };
        x[0].slice_update(&x[1], &[(1..3).into(), Range::ALL, step])
    };
    let updated = |x: &[Plain]| {
        Plain::build(SHAPE, |i| {
            let inside = (1..3).contains(&i[0]) && i[2] % 3 == 1;
            if inside { x[1].at(&[i[0] - 1, i[1], i[2] / 3]) } else { x[0].at(i) }
        })
    };
    let domain = Domain::Between(0.0, 100.0);
    vec![
        case("slice", stepped, |x| picked(x, &[2, 2, 3], |i| vec![3 - 2 * i[0], 1 + i[1], 1 + 3 * i[2]])),
        case("index_axis", |x| x.index_axis(1, -1), |x| picked(x, &[4, 10], |i| vec![i[0], 2, i[1]])),
        case("split", |x| x.split(2, 2)[1].clone(), |x| picked(x, &[4, 3, 5], |i| vec![i[0], i[1], 5 + i[2]])),
        case(
            "split_at",
            |x| x.split_at(&[1, 3], 0)[1].clone(),
            |x| picked(x, &[2, 3, 10], |i| vec![1 + i[0], i[1], i[2]]),
        ),
        Case::new("slice_update", &[SHAPE, &[2, 3, 3]], domain, update, updated).dtypes(REALS),
        Case::new("slice_update, broadcast", &[SHAPE, &[1, 3]], domain, update, |x| {
            Plain::build(SHAPE, |i| {
                let inside = (1..3).contains(&i[0]) && i[2] % 3 == 1;
                if inside { x[1].at(&[0, i[2] / 3]) } else { x[0].at(i) }
            })
        })
        .dtypes(REALS),
    ]
}

/// Cases of `ops/concatenate.rs`.
pub fn concatenate() -> Vec<Case> {
    let domain = Domain::Between(0.0, 100.0);
    let two: &[&[usize]] = &[SHAPE, &[4, 2, 10]];
    vec![
        Case::new(
            "concatenate",
            two,
            domain,
            |x| join(&[&x[0], &x[1], &x[0]], 1),
            |x| {
                Plain::build(&[4, 8, 10], |i| match i[1] {
                    0..3 => x[0].at(i),
                    3..5 => x[1].at(&[i[0], i[1] - 3, i[2]]),
                    _ => x[0].at(&[i[0], i[1] - 5, i[2]]),
                })
            },
        )
        .dtypes(REALS),
        Case::new(
            "stack",
            &[SHAPE, SHAPE],
            domain,
            |x| stack(&[&x[0], &x[1]], 1),
            |x| Plain::build(&[4, 2, 3, 10], |i| x[i[1]].at(&[i[0], i[2], i[3]])),
        )
        .dtypes(REALS),
        case("repeat", |x| x.repeat(3, 1), |x| picked(x, &[4, 9, 10], |i| vec![i[0], i[1] / 3, i[2]])),
        case("tile", |x| x.tile(&[2, 1, 3]), |x| picked(x, &[8, 3, 30], |i| vec![i[0] % 4, i[1], i[2] % 10])),
        case("roll", |x| x.roll(-3, 2), |x| picked(x, SHAPE, |i| vec![i[0], i[1], (i[2] + 3) % 10])),
        case(
            "pad",
            |x| x.pad(&[(1, 0), (0, 0), (2, 3)], Pad::Constant(7.0)),
            |x| {
                Plain::build(&[5, 3, 15], |i| {
                    let inside = i[0] >= 1 && (2..12).contains(&i[2]);
                    if inside { x.at(&[i[0] - 1, i[1], i[2] - 2]) } else { 7.0 }
                })
            },
        ),
        case(
            "pad with the edge",
            |x| x.pad(&[(1, 0), (0, 0), (2, 3)], Pad::Edge),
            |x| picked(x, &[5, 3, 15], |i| vec![i[0].saturating_sub(1), i[1], i[2].saturating_sub(2).min(9)]),
        ),
    ]
}

/// Cases of `ops/create.rs`.
pub fn create() -> Vec<Case> {
    let fixed = |name: &str, op: fn() -> Array, shape: &[usize], f: fn(&[usize]) -> f64| {
        let shape = shape.to_vec();
        Case::new(name, &[], Domain::Flag, move |_| op(), move |_| Plain::build(&shape, f))
    };
    vec![
        fixed("full", || full(&[3, 4], 2.5, Dtype::Bf16), &[3, 4], |_| 2.5),
        fixed("arange", || arange(7.0, -5.0, -0.5, Dtype::F64), &[24], |i| 7.0 - 0.5 * i[0] as f64),
        fixed("arange of integers", || arange(-700.0, 900.0, 1.0, Dtype::I16), &[1600], |i| i[0] as f64 - 700.0),
        fixed("linspace", || linspace(-1.0, 1.0, 5, Dtype::F32), &[5], |i| -1.0 + 0.5 * i[0] as f64),
        fixed("eye", || eye(3, 5, -1, Dtype::U8), &[3, 5], |i| f64::from(i[0] == i[1] + 1)),
        fixed("tri", || tri(3, 5, 1, Dtype::I32), &[3, 5], |i| f64::from(i[1] <= i[0] + 1)),
        case("tril", |x| x.tril(-1), |x| Plain::build(SHAPE, |i| if i[2] < i[1] { x.at(i) } else { 0.0 })),
        case("triu", |x| x.triu(2), |x| Plain::build(SHAPE, |i| if i[2] >= i[1] + 2 { x.at(i) } else { 0.0 })),
        case("zeros_like and ones_like", |x| x.zeros_like() + x.ones_like(), |x| x.map(|_| 1.0)),
    ]
}
