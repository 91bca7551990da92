//! The greatest values of rows and where they are, with what a softmax needs: so that logits need not leave the device.
//!
//! A pass takes the greatest of every 1,024 elements; the next one takes those of what the last one left. Invariant:
//! the result is the beginning of the row in its one order: greatest first, equal ones by number, NaN last, -0 as 0.

use crate::device::{ALIGNMENT, Kernel, List, Memory};

/// Elements of a part.
pub const PART: usize = 1024;

/// Most values that can be asked for.
pub const MOST: usize = 64;

/// Parts of a row.
pub fn parts(dim: usize) -> usize {
    dim.div_ceil(PART)
}

/// Bytes of scratch memory for [`greatest`].
pub fn scratch_bytes([rows, dim]: [usize; 2], count: usize) -> u64 {
    let first = pass_bytes(rows, parts(dim) * count);
    first + pass_bytes(rows, parts(parts(dim) * count) * count)
}

fn pass_bytes(rows: usize, pairs: usize) -> u64 {
    (rows * pairs * 8).max(8).next_multiple_of(ALIGNMENT as usize) as u64
}

/// `out` `[rows, count]`: pairs of a value and its place, from `values` `[rows, dim]`. `count` is a power of two up to
/// [`MOST`]; rows that are shorter end with the number `u32::MAX`. With `sums`, factors `[rows]` and memory for
/// `[rows, parts(dim), 2]`: each part's maximum m and the sum of `exp((x - m) * factor)`.
#[track_caller]
pub fn greatest(
    list: &mut List,
    values: &Memory,
    [rows, dim]: [usize; 2],
    count: usize,
    sums: Option<(&Memory, &Memory)>,
    scratch: &Memory,
    out: &Memory,
) {
    assert!(count.is_power_of_two() && count <= MOST && dim > 0, "[greatest] {count} of rows of {dim}");
    let second = pass_bytes(rows, parts(dim) * count);
    let halves = [scratch.slice(0, second), scratch.slice(second, scratch.bytes() - second)];
    let (mut from, mut dim, mut pass) = (values, dim, 0);
    loop {
        let parts = parts(dim);
        let to = if parts == 1 { out } else { &halves[pass % 2] };
        let sums = sums.filter(|_| pass == 0);
        let constants = [("COUNT", count as u32), ("FIRST", u32::from(pass == 0)), ("SUMS", u32::from(sums.is_some()))];
        let mut buffers = vec![from, to];
        buffers.extend(sums.map_or([None, None], |(factors, sums)| [Some(factors), Some(sums)]).into_iter().flatten());
        let params = [dim as u32, parts as u32];
        list.dispatch(Kernel::new("greatest", &constants), &buffers, &params, [parts as u32, rows as u32, 1]);
        if parts == 1 {
            return;
        }
        (from, dim, pass) = (to, parts * count, pass + 1);
    }
}
