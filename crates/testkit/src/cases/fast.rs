//! Cases of `fast/`: every fused op against a naive reference and against its composition.

use olivine_array::fast::{self, Mask, Rope};
use olivine_array::{Array, Dtype};

use crate::conformance::{Case, Domain, HALVES_AND_SINGLES};
use crate::plain::Plain;

const SMALL: Domain = Domain::Rough(-2.0, 2.0);

/// Cases of `fast/norm.rs`.
pub fn norm() -> Vec<Case> {
    let rms = |x: &[Plain]| {
        let unit = x[0].rows(1, |row| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            row.iter().map(|x| x / (mean + 1e-5).sqrt()).collect()
        });
        unit.zip(&x[1], |x, weight| x * weight)
    };
    let layer = |x: &[Plain]| {
        let unit = x[0].rows(1, |row| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / row.len() as f64;
            row.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
        });
        unit.zip(&x[1], |x, weight| x * weight).zip(&x[2], |x, bias| x + bias)
    };
    let shapes: &[&[usize]] = &[&[6, 100], &[100], &[100]];
    let case = |name: &str, op: fn(&[Array]) -> Array, reference: fn(&[Plain]) -> Plain| {
        Case::new(name, shapes, SMALL, op, reference).dtypes(HALVES_AND_SINGLES).within(8.0)
    };
    vec![
        case("rms_norm", |x| fast::rms_norm(&x[0], Some(&x[1]), 1e-5), rms),
        case("rms_norm, composed", |x| fast::rms_norm_composed(&x[0], Some(&x[1]), 1e-5), rms),
        case("layer_norm", |x| fast::layer_norm(&x[0], Some(&x[1]), Some(&x[2]), 1e-5), layer),
        case("layer_norm, composed", |x| fast::layer_norm_composed(&x[0], Some(&x[1]), Some(&x[2]), 1e-5), layer),
    ]
}

/// Cases of `fast/rope.rs`.
pub fn rope() -> Vec<Case> {
    let mut cases = Vec::new();
    for traditional in [false, true] {
        let rope = Rope { dims: 12, traditional, base: 500.0, scale: 0.5 };
        let reference = move |x: &[Plain]| {
            Plain::build(&[2, 3, 5, 16], |i| {
                if i[3] >= 12 {
                    return x[0].at(i);
                }
                let (pair, second) = if traditional { (i[3] / 2, i[3] % 2) } else { (i[3] % 6, i[3] / 6) };
                let angle = 0.5 * (x[1].at(&i[..1]) + i[2] as f64) * 500f64.powf(-(pair as f64) / 6.0);
                let other = match (traditional, second) {
                    (true, _) => i[3] ^ 1,
                    (false, 0) => i[3] + 6,
                    (false, _) => i[3] - 6,
                };
                let (own, other) = (x[0].at(i), x[0].at(&[i[0], i[1], i[2], other]));
                let sign = if second == 0 { -1.0 } else { 1.0 };
                own * angle.cos() + sign * other * angle.sin()
            })
        };
        let ops: [(&str, fn(&Array, Rope, &Array) -> Array); 2] = [
            ("rope", |x, rope, offset| fast::rope(x, rope, offset, None)),
            ("rope, composed", |x, rope, offset| fast::rope_composed(x, rope, offset, None)),
        ];
        for (name, op) in ops {
            let name = format!("{name}, {}", if traditional { "neighbours" } else { "halves" });
            let case = Case::new(&name, &[&[2, 3, 5, 16]], SMALL, move |x| op(&x[0], rope, &x[1]), reference);
            let case = case.with(&[2], Domain::Between(0.0, 50.0), Some(Dtype::I32));
            cases.push(case.dtypes(HALVES_AND_SINGLES).within(16.0));
        }
    }
    cases
}

/// Cases of `fast/attention.rs`.
pub fn attention() -> Vec<Case> {
    let shapes: &[&[usize]] = &[&[2, 4, 3, 8], &[2, 2, 7, 8], &[2, 2, 7, 5], &[4]];
    let masks: [(&str, Mask<'static>, fn(usize, usize) -> bool); 3] = [
        ("none", Mask::None, |_, _| true),
        ("causal", Mask::Causal, |query, key| key <= query + 4),
        ("window", Mask::Window(3), |query, key| key <= query + 4 && query + 4 < key + 3),
    ];
    let mut cases = Vec::new();
    for (name, mask, seen) in masks {
        for sinks in [false, true] {
            let op = move |x: &[Array]| fast::attention(&x[0], &x[1], &x[2], 0.25, mask, sinks.then_some(&x[3]));
            let reference = move |x: &[Plain]| {
                Plain::build(&[2, 4, 3, 5], |i| {
                    let score = |key: usize| -> f64 {
                        (0..8).map(|d| x[0].at(&[i[0], i[1], i[2], d]) * x[1].at(&[i[0], i[1] / 2, key, d])).sum()
                    };
                    let keys: Vec<usize> = (0..7).filter(|&key| seen(i[2], key)).collect();
                    let power = |key: usize| (0.25 * score(key)).exp();
                    let sink = if sinks { x[3].at(&[i[1]]).exp() } else { 0.0 };
                    let total = keys.iter().map(|&key| power(key)).sum::<f64>() + sink;
                    keys.iter().map(|&key| power(key) / total * x[2].at(&[i[0], i[1] / 2, key, i[3]])).sum()
                })
            };
            let name = format!("attention, mask {name}{}", if sinks { ", sinks" } else { "" });
            cases.push(Case::new(&name, shapes, SMALL, op, reference).dtypes(HALVES_AND_SINGLES).within(16.0));
        }
    }
    cases
}
