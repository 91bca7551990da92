//! Running sums, sorting, random words: in exact arithmetic beside them.

use olivine_gpu::ops::random::words;
use olivine_gpu::ops::scan::{Direction, ScanKind, scan};
use olivine_gpu::ops::sort::{scratch_bytes, sort};

use crate::common::*;

/// Running results in f64.
fn expected(kind: ScanKind, direction: Direction, row: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    if direction.is_reverse {
        order.reverse();
    }
    let (mut running, join): (f64, fn(f64, f64) -> f64) = match kind {
        ScanKind::Sum => (0.0, |a, b| a + b),
        ScanKind::Product => (1.0, |a, b| a * b),
        ScanKind::Maximum => (f64::from(f32::MIN), f64::max),
        ScanKind::Minimum => (f64::from(f32::MAX), f64::min),
    };
    let mut out = vec![0.0; row.len()];
    for at in order {
        let next = join(running, f64::from(row[at]));
        out[at] = if direction.is_exclusive { running } else { next } as f32;
        running = next;
    }
    out
}

#[test]
fn rows_are_scanned_both_ways() {
    let Some(device) = device() else { return };
    for dim in [1, 7, 300, 5000] {
        let rows = 3;
        let x = values(dim as u64, rows * dim);
        let factors: Vec<f32> = x.iter().map(|value| 1.0 + value * 0.01).collect();
        for kind in [ScanKind::Sum, ScanKind::Product, ScanKind::Maximum, ScanKind::Minimum] {
            let x = if kind == ScanKind::Product { &factors } else { &x };
            let (from, out) = (upload(&*device, x), room(&*device, rows * dim));
            for (is_reverse, is_exclusive) in [(false, false), (true, false), (false, true)] {
                let direction = Direction { is_reverse, is_exclusive };
                run(&*device, |list| scan(list, kind, direction, &from, dim, [rows, dim], &out));
                let all: Vec<f32> = x.chunks(dim).flat_map(|row| expected(kind, direction, row)).collect();
                let what = format!("{kind:?} of {dim}, {direction:?}");
                assert_near(&download(&*device, &out), &all, 1e-5, &what);
            }
        }
    }
}

#[test]
fn rows_are_sorted_with_equal_values_in_place() {
    let Some(device) = device() else { return };
    for dim in [1, 2, 700, 1024, 1025, 9000] {
        let rows = 2;
        // Few different values, so that many are equal; infinities, both zeros, and what is no number.
        let mut x: Vec<f32> = values(dim as u64, rows * dim).iter().map(|value| (value * 50.0).round() / 8.0).collect();
        if dim > 100 {
            let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, -f32::NAN, 1e-40, f32::MAX];
            x[40..48].copy_from_slice(&odd);
        }
        let (from, places, sorted) = (upload(&*device, &x), room(&*device, rows * dim), room(&*device, rows * dim));
        let scratch = device.allocate(scratch_bytes(rows, dim)).unwrap();
        run(&*device, |list| sort(list, &from, dim, [rows, dim], &scratch, &places, &sorted));
        let (places, sorted) = (download(&*device, &places), download(&*device, &sorted));
        for (row, x) in x.chunks(dim).enumerate() {
            let mut order: Vec<usize> = (0..dim).collect();
            order.sort_by(|&a, &b| match (x[a].is_nan(), x[b].is_nan()) {
                (false, false) => x[a].partial_cmp(&x[b]).expect("numbers"),
                (a, b) => a.cmp(&b),
            });
            for (index, &place) in order.iter().enumerate() {
                let at = row * dim + index;
                assert_eq!(places[at].to_bits() as usize, place, "place {index} of {dim}");
                assert!(sorted[at] == x[place] || x[place].is_nan() && sorted[at].is_nan(), "value {index} of {dim}");
            }
        }
    }
}

/// Known answers of Threefry-2x32 with 20 rounds (Random123's `kat_vectors`): key, counter, result.
const KNOWN: [([u32; 2], [u32; 2], [u32; 2]); 2] =
    [([0, 0], [0, 0], [0x6b20_0159, 0x99ba_4efe]), ([u32::MAX; 2], [u32::MAX; 2], [0x1cb9_96fc, 0xbb00_2be7])];

/// The same generator, here.
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let (mut a, mut b) = (counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1]));
    for group in 0..5u32 {
        let rotations = if group % 2 == 0 { [13, 15, 26, 6] } else { [17, 29, 16, 24] };
        for rotation in rotations {
            a = a.wrapping_add(b);
            b = b.rotate_left(rotation) ^ a;
        }
        a = a.wrapping_add(keys[(group as usize + 1) % 3]);
        b = b.wrapping_add(keys[(group as usize + 2) % 3]).wrapping_add(group + 1);
    }
    [a, b]
}

#[test]
fn random_words_are_those_of_the_generator() {
    for (key, counter, result) in KNOWN {
        assert_eq!(threefry(key, counter), result);
    }
    let Some(device) = device() else { return };
    let key = [0xdead_beef, 17];
    for count in [1usize, 2, 9, 4000] {
        let (from, out) = (upload_words(&*device, &key), room(&*device, count));
        run(&*device, |list| words(list, &from, count, &out));
        let found: Vec<u32> = download(&*device, &out).iter().map(|value| value.to_bits()).collect();
        let second = count - count / 2;
        for word in 0..count {
            let (pair, half) = if word < second { (word, 0) } else { (word - second, 1) };
            let other = if pair + second < count { pair + second } else { 0 };
            assert_eq!(found[word], threefry(key, [pair as u32, other as u32])[half], "word {word} of {count}");
        }
    }
}
