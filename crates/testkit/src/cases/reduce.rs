//! Cases of `ops/reduce.rs`.

use olivine_array::{Array, Dtype};

use crate::conformance::{Case, Domain, FLOATS, INTEGERS, REALS};
use crate::plain::Plain;

const SHAPE: &[usize] = &[3, 11, 7];

type Fold = fn(&[f64]) -> f64;
type Op = fn(&Array, &[i32], bool) -> Array;

/// The reference over `axes`, kept as unit dimensions.
fn folded(x: &Plain, axes: &[usize], fold: Fold) -> Plain {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let outer: Vec<usize> = kept.iter().map(|&axis| x.shape[axis]).collect();
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    let moved = x.transposed(&order);
    let data = moved.data.chunks(count).map(fold).collect();
    Plain { shape: outer, data }
}

/// Cases of `ops/reduce.rs`.
pub fn reduce() -> Vec<Case> {
    let wide = Domain::Between(-4.0, 4.0);
    let sum: Fold = |x| x.iter().sum();
    let mean: Fold = |x| x.iter().sum::<f64>() / x.len() as f64;
    let variance: Fold = |x| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64
    };
    let largest: Fold = |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest: Fold = |x| x.iter().copied().fold(f64::INFINITY, f64::min);
    let logsumexp: Fold = |x| x.iter().map(|x| x.exp()).sum::<f64>().ln();
    let ops: [(&str, Op, Fold, &'static [Dtype], f64); 9] = [
        ("sum", Array::sum, sum, FLOATS, 16.0),
        ("max", Array::max, largest, REALS, 0.0),
        ("min", Array::min, smallest, REALS, 0.0),
        ("mean", Array::mean, mean, FLOATS, 4.0),
        ("var", |x, axes, keep| x.var(axes, keep, 0), variance, &[Dtype::F32], 16.0),
        ("std", |x, axes, keep| x.std(axes, keep, 0), |x| std_of(x), &[Dtype::F32], 16.0),
        ("logsumexp", Array::logsumexp, logsumexp, &[Dtype::F32, Dtype::F64], 16.0),
        ("any", Array::any, |x| f64::from(x.iter().any(|&x| x != 0.0)), REALS, 0.0),
        ("all", Array::all, |x| f64::from(x.iter().all(|&x| x != 0.0)), REALS, 0.0),
    ];
    let axes: [&'static [i32]; 5] = [&[], &[-1], &[0], &[1], &[0, 2]];
    let mut cases = Vec::new();
    for (name, op, fold, dtypes, epsilons) in ops {
        for axes in axes {
            let at: Vec<usize> = if axes.is_empty() {
                vec![0, 1, 2]
            } else {
                axes.iter().map(|&axis| axis.rem_euclid(3) as usize).collect()
            };
            let name = format!("{name} over {axes:?}");
            let case =
                Case::new(&name, &[SHAPE], wide, move |x| op(&x[0], axes, false), move |x| folded(&x[0], &at, fold));
            cases.push(case.dtypes(dtypes).within(epsilons));
        }
    }
    cases.extend(others());
    cases
}

fn std_of(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64).sqrt()
}

fn others() -> Vec<Case> {
    let small = Domain::Between(0.0, 3.0);
    let position = |best: fn(f64, f64) -> bool| {
        move |row: &[f64]| {
            let mut at = 0;
            for (i, &x) in row.iter().enumerate() {
                if best(x, row[at]) {
                    at = i;
                }
            }
            vec![at as f64]
        }
    };
    let median = |row: &[f64]| {
        let mut row = row.to_vec();
        row.sort_by(f64::total_cmp);
        vec![(row[(row.len() - 1) / 2] + row[row.len() / 2]) / 2.0]
    };
    vec![
        Case::new(
            "sum of integers",
            &[SHAPE],
            small,
            |x| x[0].sum(&[1], true),
            |x| x[0].rows(1, |row| vec![row.iter().sum()]),
        )
        .dtypes(INTEGERS),
        Case::new(
            "sum of flags",
            &[SHAPE],
            Domain::Flag,
            |x| x[0].sum(&[1], true),
            |x| x[0].rows(1, |row| vec![row.iter().sum()]),
        )
        .dtypes(&[Dtype::Bool]),
        Case::new(
            "prod",
            &[&[5, 4]],
            small,
            |x| x[0].prod(&[1], true),
            |x| x[0].rows(1, |row| vec![row.iter().product()]),
        )
        .dtypes(REALS)
        .within(4.0),
        Case::new("argmax", &[SHAPE], small, |x| x[0].argmax(1, true), move |x| x[0].rows(1, position(|x, y| x > y)))
            .dtypes(REALS),
        Case::new("argmin", &[SHAPE], small, |x| x[0].argmin(-1, true), move |x| x[0].rows(2, position(|x, y| x < y)))
            .dtypes(REALS),
        Case::new("median", &[SHAPE], Domain::Distinct, |x| x[0].median(1, true), move |x| x[0].rows(1, median))
            .dtypes(FLOATS)
            .within(1.0),
        Case::new(
            "median of an even count",
            &[&[4, 6]],
            Domain::Distinct,
            |x| x[0].median(0, true),
            move |x| x[0].rows(0, median),
        ),
        Case::new(
            "trace",
            &[&[3, 5, 4]],
            small,
            |x| x[0].trace(-1),
            |x| Plain::build(&[3], |i| (0..4).map(|k| x[0].at(&[i[0], k + 1, k])).sum()),
        )
        .within(4.0),
    ]
}
