//! Cases of `ops/take.rs`, `gather.rs`, `compose.rs`.

use olivine_array::{Array, Dtype, ScatterMode, einsum, meshgrid};

use crate::conformance::{Case, Domain, FLOATS, REALS};
use crate::plain::Plain;

const SHAPE: &[usize] = &[4, 6, 5];
const VALUES: Domain = Domain::Between(0.0, 50.0);
const SIX: Domain = Domain::Between(-6.0, 5.0);

fn wrapped(index: f64, dim: usize) -> usize {
    (index as i64).rem_euclid(dim as i64) as usize
}

/// Cases of `ops/take.rs`.
pub fn take() -> Vec<Case> {
    let case = |name: &str, indices: &[usize], op: fn(&[Array]) -> Array, reference: fn(&[Plain]) -> Plain| {
        Case::new(name, &[SHAPE], VALUES, op, reference).with(indices, SIX, Some(Dtype::I32)).dtypes(REALS)
    };
    let put = |x: &[Array]| x[0].put_along_axis(&x[1].slice_axis(1, 0..1), &x[0].slice_axis(1, 0..1), 1);
    vec![
        case(
            "take",
            &[2, 3],
            |x| x[0].take(&x[1], 1),
            |x| Plain::build(&[4, 2, 3, 5], |i| x[0].at(&[i[0], wrapped(x[1].at(&[i[1], i[2]]), 6), i[3]])),
        ),
        case(
            "take of rows",
            &[7],
            |x| x[0].take(&x[1], 1).take(&x[1], 1),
            |x| {
                let rows = Plain::build(&[4, 7, 5], |i| x[0].at(&[i[0], wrapped(x[1].at(&[i[1]]), 6), i[2]]));
                Plain::build(&[4, 7, 5], |i| rows.at(&[i[0], wrapped(x[1].at(&[i[1]]), 7), i[2]]))
            },
        ),
        case(
            "take_along_axis",
            &[4, 3, 5],
            |x| x[0].take_along_axis(&x[1], 1),
            |x| Plain::build(&[4, 3, 5], |i| x[0].at(&[i[0], wrapped(x[1].at(i), 6), i[2]])),
        ),
        case(
            "take_along_axis, broadcast",
            &[1, 3, 1],
            |x| x[0].take_along_axis(&x[1], 1),
            |x| Plain::build(&[4, 3, 5], |i| x[0].at(&[i[0], wrapped(x[1].at(&[0, i[1], 0]), 6), i[2]])),
        ),
        case("put_along_axis", &[4, 2, 5], put, |x| {
            Plain::build(SHAPE, |i| {
                let hit = wrapped(x[1].at(&[i[0], 0, i[2]]), 6) == i[1];
                if hit { x[0].at(&[i[0], 0, i[2]]) } else { x[0].at(i) }
            })
        }),
    ]
}

/// Cases of `ops/gather.rs`.
pub fn gather() -> Vec<Case> {
    let blocks = Case::new(
        "gather",
        &[SHAPE],
        VALUES,
        |x| x[0].gather(&[&x[1], &x[2]], &[0, 2], &[1, 6, 2]),
        |x| {
            Plain::build(&[3, 2, 1, 6, 2], |i| {
                let (a, c) = (wrapped(x[1].at(&[i[0], 0]), 4), x[2].at(&[i[1]]) as usize);
                x[0].at(&[a, i[3], c + i[4]])
            })
        },
    );
    let blocks = blocks.with(&[3, 1], Domain::Between(-4.0, 3.0), Some(Dtype::I64));
    let blocks = blocks.with(&[2], Domain::Between(0.0, 3.0), Some(Dtype::U32)).dtypes(REALS);
    let mut cases = vec![blocks];
    let modes: [(&str, ScatterMode, fn(f64, f64) -> f64); 5] = [
        ("set", ScatterMode::Set, |_, y| y),
        ("add", ScatterMode::Add, |x, y| x + y),
        ("multiply", ScatterMode::Multiply, |x, y| x * y),
        ("maximum", ScatterMode::Maximum, f64::max),
        ("minimum", ScatterMode::Minimum, f64::min),
    ];
    for (name, mode, f) in modes {
        let op = move |x: &[Array]| x[0].scatter(&[&x[2]], &x[1], &[1], mode);
        let reference = move |x: &[Plain]| {
            let mut out = x[0].clone();
            for k in 0..3 {
                let row = wrapped(x[2].at(&[k]), 6);
                for (a, c) in (0..4).flat_map(|a| (0..5).map(move |c| (a, c))) {
                    let at = (a * 6 + row) * 5 + c;
                    out.data[at] = f(out.data[at], x[1].at(&[k, a, 0, c]));
                }
            }
            out
        };
        let small = Domain::Between(0.0, 3.0);
        let case = Case::new(&format!("scatter {name}"), &[SHAPE, &[3, 4, 1, 5]], small, op, reference);
        cases.push(case.with(&[3], SIX, Some(Dtype::I32)).dtypes(REALS).within(3.0));
    }
    cases
}

/// Cases of `ops/compose.rs`.
pub fn compose() -> Vec<Case> {
    let matrix: &[&[usize]] = &[&[4, 6, 5], &[4, 7, 5]];
    let small = Domain::Between(-2.0, 2.0);
    vec![
        Case::new(
            "diagonal",
            &[SHAPE],
            VALUES,
            |x| x[0].diagonal(-2, 1, 2),
            |x| Plain::build(&[4, 4], |i| x[0].at(&[i[0], i[1] + 2, i[1]])),
        )
        .dtypes(REALS),
        Case::new(
            "diag",
            &[&[5]],
            VALUES,
            |x| x[0].diag(1),
            |x| Plain::build(&[6, 6], |i| if i[1] == i[0] + 1 { x[0].at(&[i[0]]) } else { 0.0 }),
        )
        .dtypes(REALS),
        Case::new(
            "meshgrid",
            &[&[3], &[4]],
            VALUES,
            |x| meshgrid(&[&x[0], &x[1]], true)[1].clone(),
            |x| Plain::build(&[4, 3], |i| x[1].at(&[i[0]])),
        )
        .dtypes(REALS),
        Case::new(
            "einsum",
            matrix,
            small,
            |x| einsum("bij,bkj->kbi", &[&x[0], &x[1]]),
            |x| x[0].matmul(&x[1].transposed(&[0, 2, 1])).transposed(&[2, 0, 1]),
        )
        .dtypes(FLOATS)
        .within(64.0),
        Case::new("array_equal", &[SHAPE], VALUES, |x| x[0].array_equal(&x[0], false), |_| Plain::build(&[], |_| 1.0))
            .dtypes(REALS),
        Case::new(
            "allclose",
            &[SHAPE],
            small,
            |x| x[0].allclose(&(&x[0] + 0.25), 0.0, 0.2),
            |_| Plain::build(&[], |_| 0.0),
        ),
        Case::new(
            "nan_to_num",
            &[SHAPE],
            small,
            |x| x[0].sqrt().nan_to_num(-1.0),
            |x| x[0].map(|x| if x < 0.0 { -1.0 } else { x.sqrt() }),
        )
        .within(1.0),
    ]
}
