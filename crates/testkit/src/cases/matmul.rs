//! Cases of `ops/matmul.rs` and `ops/quantized.rs`.

use olivine_array::{Array, Dtype, gather_mm, gather_qmm, quantize};
use olivine_kernels::quant::{FORMATS, Format};

use crate::conformance::{Case, Domain, FLOATS};
use crate::plain::Plain;

const SMALL: Domain = Domain::Rough(-2.0, 2.0);

/// Cases of `ops/matmul.rs`.
pub fn matmul() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 7] = [
        (&[1, 1], &[1, 1]),
        (&[5, 7], &[7, 3]),
        (&[1, 130], &[130, 70]),
        (&[33, 64], &[64, 65]),
        (&[2, 3, 5, 8], &[3, 8, 4]),
        (&[3, 1, 5, 8], &[2, 8, 4]),
        (&[4, 9], &[2, 9, 6]),
    ];
    let mut cases = Vec::new();
    for (a, b) in shapes {
        let name = format!("matmul {a:?} {b:?}");
        let case = Case::new(&name, &[a, b], SMALL, |x| x[0].matmul(&x[1]), |x| x[0].matmul(&x[1]));
        cases.push(case.dtypes(FLOATS).within(128.0));
    }
    cases.push(
        Case::new(
            "matmul of transposes",
            &[&[8, 5], &[6, 8]],
            SMALL,
            |x| x[0].t().matmul(&x[1].t()),
            |x| x[0].transposed(&[1, 0]).matmul(&x[1].transposed(&[1, 0])),
        )
        .dtypes(FLOATS)
        .within(32.0),
    );
    cases.push(
        Case::new(
            "addmm",
            &[&[5], &[4, 6], &[6, 5]],
            SMALL,
            |x| x[0].addmm(&x[1], &x[2], 0.5, 2.0),
            |x| x[1].matmul(&x[2]).zip(&x[0], |product, c| 0.5 * product + 2.0 * c),
        )
        .within(32.0),
    );
    cases.push(
        Case::new(
            "inner",
            &[&[3, 8], &[5, 8]],
            SMALL,
            |x| x[0].inner(&x[1]),
            |x| x[0].matmul(&x[1].transposed(&[1, 0])),
        )
        .within(32.0),
    );
    cases.push(
        Case::new(
            "outer",
            &[&[3], &[5]],
            SMALL,
            |x| x[0].outer(&x[1]),
            |x| Plain::build(&[3, 5], |i| x[0].at(&i[..1]) * x[1].at(&i[1..])),
        )
        .within(1.0),
    );
    let tensordot = |x: &[Array]| x[0].tensordot(&x[1], &[2, 0], &[0, 1]);
    cases.push(
        Case::new("tensordot", &[&[4, 3, 5], &[5, 4, 2]], SMALL, tensordot, |x| {
            Plain::build(&[3, 2], |i| {
                let terms = (0..4).flat_map(|a| (0..5).map(move |c| (a, c)));
                terms.map(|(a, c)| x[0].at(&[a, i[0], c]) * x[1].at(&[c, a, i[1]])).sum()
            })
        })
        .within(64.0),
    );
    let gathered = Case::new(
        "gather_mm",
        &[&[3, 2, 6], &[4, 6, 5]],
        SMALL,
        |x| gather_mm(&x[0], &x[1], Some(&x[2]), Some(&x[3])),
        |x| {
            Plain::build(&[7, 2, 5], |i| {
                let (a, b) = (x[2].at(&i[..1]) as usize, x[3].at(&i[..1]) as usize);
                (0..6).map(|k| x[0].at(&[a, i[1], k]) * x[1].at(&[b, k, i[2]])).sum()
            })
        },
    );
    let gathered = gathered.with(&[7], Domain::Between(0.0, 2.0), Some(Dtype::U32));
    cases.push(gathered.with(&[7], Domain::Between(0.0, 3.0), Some(Dtype::U32)).within(32.0));
    cases
}

/// Cases of `ops/quantized.rs`: products against the decoded matrix, and decoding against the source.
pub fn quantized() -> Vec<Case> {
    let mut cases = Vec::new();
    for info in &FORMATS {
        if info.encode.is_none() || matches!(info.format, Format::Affine { group: 32 | 128, .. }) {
            continue;
        }
        let format = info.format;
        let shapes: &[&[usize]] = &[&[3, 256], &[2, 20, 256]];
        // The reference multiplies what the format holds: `dequantize` is checked against the kernels' golden data.
        let held = move |w: &Plain| -> Plain {
            let array = Array::from_slice(&w.data, &w.shape).astype(Dtype::F32);
            let decoded = quantize(&array, format).dequantize(Dtype::F64);
            Plain { shape: w.shape.clone(), data: decoded.to_vec() }
        };
        let op = move |x: &[Array]| {
            let w = quantize(&x[1].astype(Dtype::F32), format);
            let x = x[0].astype(Dtype::F32).expand_dims(&[0]);
            let indices = Array::from_slice(&[1u32, 0], &[2]);
            gather_qmm(&x, &w, Some(&Array::from_slice(&[0u32], &[1])), Some(&indices), true)
        };
        let reference = move |x: &[Plain]| {
            let w = held(&x[1]);
            Plain::build(&[2, 3, 20], |i| (0..256).map(|k| x[0].at(&[i[1], k]) * w.at(&[1 - i[0], i[2], k])).sum())
        };
        cases.push(Case::new(&format!("gather_qmm {format}"), shapes, SMALL, op, reference).within(512.0));
        let error = move |x: &[Array]| {
            let w = &x[1];
            let back = quantize(w, format).dequantize(Dtype::F32);
            ((back - w).abs().max(&[], false)).less(1.5).astype(Dtype::F32)
        };
        cases.push(Case::new(&format!("quantize {format}"), shapes, SMALL, error, |_| Plain::build(&[], |_| 1.0)));
    }
    cases
}
