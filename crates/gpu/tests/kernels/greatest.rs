//! The greatest values of rows, against a full sort.

use olivine_gpu::ops::greatest::{greatest, parts, scratch_bytes};

use crate::common::*;

/// `(value, place)`: greatest first, equal ones by place, NaN last.
fn sorted(row: &[f32], count: usize) -> Vec<(u32, u32)> {
    let mut all: Vec<(f32, u32)> = row.iter().map(|value| value + 0.0).zip(0..).collect();
    let rank = |value: f32| if value.is_nan() { (0, 0.0) } else { (1, value) };
    all.sort_by(|a, b| {
        let (a_rank, b_rank) = (rank(a.0), rank(b.0));
        b_rank.0.cmp(&a_rank.0).then(b_rank.1.total_cmp(&a_rank.1)).then(a.1.cmp(&b.1))
    });
    all.truncate(count);
    all.into_iter().map(|(value, place)| (value.to_bits(), place)).collect()
}

#[test]
fn the_greatest_of_rows_are_those_of_a_sort() {
    let Some(device) = device() else { return };
    for (dim, count) in [(1, 1), (5, 4), (1024, 64), (1025, 1), (3000, 8), (70_001, 64), (70_001, 1)] {
        let rows = 3;
        let mut x = values(dim as u64, rows * dim);
        // Many equal ones, both zeros, infinities, and a row that ends with NaN.
        x.iter_mut().take(dim).for_each(|value| *value = (*value * 4.0).round() / 4.0);
        x[dim..2 * dim].iter_mut().step_by(7).for_each(|value| *value = f32::NEG_INFINITY);
        if dim > 4 {
            x[dim + 3] = f32::INFINITY;
            x[2 * dim] = f32::NAN;
            x[3 * dim - 1] = 7.0;
        }
        let from = upload(&*device, &x);
        let scratch = room(&*device, scratch_bytes([rows, dim], count) as usize / 4);
        let (out, sums) = (room(&*device, rows * count * 2), room(&*device, rows * parts(dim) * 2));
        let factors = [1.0, 0.5, 2.0];
        let all_factors = upload(&*device, &factors);
        run(&*device, |list| {
            greatest(list, &from, [rows, dim], count, Some((&all_factors, &sums)), &scratch, &out);
        });
        let (found, sums) = (download(&*device, &out), download(&*device, &sums));
        for (row, x) in x.chunks(dim).enumerate() {
            let expected = sorted(x, count);
            let pairs = found[row * count * 2..][..count * 2].chunks(2);
            let pairs: Vec<(u32, u32)> = pairs.map(|pair| (pair[0].to_bits(), pair[1].to_bits())).collect();
            let what = format!("{count} of {dim}, row {row}");
            for (place, (found, expected)) in pairs.iter().zip(&expected).enumerate() {
                assert_eq!(found.1, expected.1, "{what}: place {place}");
                let nan = f32::from_bits(found.0).is_nan() && f32::from_bits(expected.0).is_nan();
                assert!(found.0 == expected.0 || nan, "{what}: value {place}");
            }
            assert!(pairs[expected.len()..].iter().all(|pair| pair.1 == u32::MAX), "{what}: nothing behind the end");
            if row != 0 {
                continue;
            }
            for (part, x) in x.chunks(1024).enumerate() {
                let most = x.iter().copied().fold(f32::MIN, f32::max);
                let sum: f64 = x.iter().map(|v| f64::from((v - most) * factors[row]).exp()).sum();
                let found = &sums[(row * parts(dim) + part) * 2..][..2];
                assert_eq!(found[0], most, "{what}: maximum of part {part}");
                assert_near(&found[1..], &[sum as f32], 1e-5, &format!("{what}: sum of part {part}"));
            }
        }
        let again = room(&*device, rows * count * 2);
        run(&*device, |list| greatest(list, &from, [rows, dim], count, None, &scratch, &again));
        assert_bits(&download(&*device, &again), &found, "without sums");
    }
}
