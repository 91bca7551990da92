//! Cases of `ops/rows.rs` and `ops/random.rs`.

use olivine_array::{Array, Dtype, random};

use crate::conformance::{Case, Domain, FLOATS, REALS};
use crate::plain::Plain;

const SHAPE: &[usize] = &[3, 20, 2];

fn case(name: &str, domain: Domain, op: fn(&Array) -> Array, row: fn(&[f64]) -> Vec<f64>) -> Case {
    Case::new(name, &[SHAPE], domain, move |x| op(&x[0]), move |x| x[0].rows(1, row)).dtypes(REALS)
}

fn scan(row: &[f64], start: f64, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut state = start;
    let step = |&x: &f64| {
        state = f(state, x);
        state
    };
    row.iter().map(step).collect()
}

fn sorted(row: &[f64]) -> Vec<f64> {
    let mut row = row.to_vec();
    row.sort_by(f64::total_cmp);
    row
}

/// Cases of `ops/rows.rs`.
pub fn rows() -> Vec<Case> {
    let distinct = Domain::Distinct;
    let small = Domain::Between(0.0, 2.0);
    let softmax: fn(&[f64]) -> Vec<f64> = |row| {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - top).exp()).sum();
        row.iter().map(|x| (x - top).exp() / sum).collect()
    };
    vec![
        case("sort", small, |x| x.sort(1), sorted),
        case(
            "argsort",
            small,
            |x| x.argsort(1),
            |row| {
                let mut order: Vec<usize> = (0..row.len()).collect();
                order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
                order.into_iter().map(|at| at as f64).collect()
            },
        ),
        case("topk", distinct, |x| x.topk(4, 1), |row| sorted(row)[16..].to_vec()),
        case("partition", distinct, |x| x.partition(5, 1).slice_axis(1, 5..6), |row| vec![sorted(row)[5]]),
        case(
            "argpartition",
            distinct,
            |x| x.take_along_axis(&x.argpartition(-3, 1), 1).slice_axis(1, 17..18),
            |row| vec![sorted(row)[17]],
        ),
        case("cumsum", small, |x| x.cumsum(1, false, true), |row| scan(row, 0.0, |a, b| a + b)).within(20.0),
        case(
            "cumsum, reverse and exclusive",
            small,
            |x| x.cumsum(1, true, false),
            |row| (0..row.len()).map(|i| row[i + 1..].iter().sum()).collect(),
        )
        .within(20.0),
        case(
            "cumprod",
            small,
            |x| x.slice_axis(1, 0..6).cumprod(1, false, true),
            |row| scan(&row[..6], 1.0, |a, b| a * b),
        )
        .within(6.0),
        case("cummax", distinct, |x| x.cummax(1, false, true), |row| scan(row, f64::NEG_INFINITY, f64::max)),
        case(
            "cummin",
            distinct,
            |x| x.cummin(1, true, true),
            |row| (0..row.len()).map(|i| row[i..].iter().copied().fold(f64::INFINITY, f64::min)).collect(),
        ),
        case(
            "logcumsumexp",
            small,
            |x| x.logcumsumexp(1, false, true),
            |row| scan(row, f64::NEG_INFINITY, |a, b| (a.exp() + b.exp()).ln()),
        )
        .dtypes(&[Dtype::F32, Dtype::F64])
        .within(32.0),
        case("softmax", Domain::Between(-9.0, 9.0), |x| x.softmax(&[1]), softmax).dtypes(FLOATS).within(4.0),
        case(
            "log_softmax",
            Domain::Between(-9.0, 9.0),
            |x| x.log_softmax(&[1]),
            |row| {
                let sum: f64 = row.iter().map(|x| x.exp()).sum();
                row.iter().map(|x| x - sum.ln()).collect()
            },
        )
        .dtypes(&[Dtype::F32, Dtype::F64])
        .within(8.0),
        Case::new(
            "softmax over two axes",
            &[SHAPE],
            Domain::Between(-3.0, 3.0),
            |x| x[0].softmax(&[0, 2]),
            |x| {
                let power = x[0].map(f64::exp);
                let sums = Plain::build(&[1, 20, 1], |i| {
                    (0..3).flat_map(|a| (0..2).map(move |c| (a, c))).map(|(a, c)| power.at(&[a, i[1], c])).sum()
                });
                power.zip(&sums, |x, sum| x / sum)
            },
        )
        .within(8.0),
    ]
}

/// Cases of `ops/random.rs`: moments and ranges; the bits are compared with MLX's in the array crate's tests.
pub fn random() -> Vec<Case> {
    let within = |x: Array, wanted: f32, error: f32| (x - wanted).abs().less(error).astype(Dtype::F32);
    let yes = |_: &[Plain]| Plain::build(&[], |_| 1.0);
    let key = || random::key(42);
    let moment = |name: &str, op: Box<dyn Fn() -> Array>, mean: f32, deviation: f32| {
        let op = move |_: &[Array]| {
            let x = op().astype(Dtype::F32);
            let mean = within(x.mean(&[], false), mean, 0.02 * deviation.max(1.0));
            mean * within(x.std(&[], false, 0), deviation, 0.02 * deviation.max(1.0))
        };
        Case::new(name, &[], Domain::Flag, op, yes)
    };
    let count: &[usize] = &[200, 200];
    vec![
        moment("uniform", Box::new(move || random::uniform(-1.0, 3.0, count, Dtype::F32, &key())), 1.0, 1.1547),
        moment("normal", Box::new(move || random::normal(count, Dtype::F32, &key())), 0.0, 1.0),
        moment("gumbel", Box::new(move || random::gumbel(count, Dtype::F32, &key())), 0.57722, 1.28255),
        moment("laplace", Box::new(move || random::laplace(count, Dtype::F32, &key())), 0.0, std::f32::consts::SQRT_2),
        moment("bernoulli", Box::new(move || random::bernoulli(0.25, count, &key())), 0.25, 0.43301),
        moment("randint", Box::new(move || random::randint(0, 10, count, Dtype::I32, &key())), 4.5, 2.87228),
        moment(
            "truncated_normal",
            Box::new(move || random::truncated_normal(-1.0, 1.0, count, Dtype::F32, &key())),
            0.0,
            0.53956,
        ),
        moment("permutation", Box::new(move || random::permutation(1000, &key())), 499.5, 288.675),
    ]
}
