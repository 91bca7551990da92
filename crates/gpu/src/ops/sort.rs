//! Sorting rows.

use crate::device::{Kernel, List, Memory};

/// Values that one workgroup sorts by itself.
const STRETCH: usize = 1024;

/// Bytes of scratch memory that [`sort`] takes.
pub fn scratch_bytes(rows: usize, dim: usize) -> u64 {
    (rows * dim * 8).max(8) as u64
}

/// Sort rows `[rows, dim]`, `x_stride` values apart: `places[rows, dim]` (words) of the values in rising order, equal ones
/// in the order of their places, what is no number last; and the values `sorted[rows, dim]` themselves.
#[track_caller]
pub fn sort(
    list: &mut List,
    x: &Memory,
    x_stride: usize,
    [rows, dim]: [usize; 2],
    scratch: &Memory,
    places: &Memory,
    sorted: &Memory,
) {
    assert!(scratch.bytes() >= scratch_bytes(rows, dim), "[sort] {} bytes of scratch", scratch.bytes());
    let kernel = |mode| Kernel::new("sort", &[("MODE", mode)]);
    let params =
        |distance: usize, is_mirrored: bool| [dim as u32, x_stride as u32, distance as u32, u32::from(is_mirrored)];
    let groups = |threads: usize| [dim.div_ceil(threads) as u32, rows as u32, 1];
    list.dispatch(kernel(0), &[x, scratch], &params(0, false), groups(STRETCH));
    let padded = dim.next_power_of_two();
    let mut stretch = 2 * STRETCH;
    while stretch <= padded {
        // Half as many comparisons as there are values.
        let all = [padded.div_ceil(512) as u32, rows as u32, 1];
        list.dispatch(kernel(1), &[scratch], &params(stretch, true), all);
        let mut distance = stretch / 4;
        while distance >= STRETCH {
            list.dispatch(kernel(1), &[scratch], &params(distance, false), all);
            distance /= 2;
        }
        list.dispatch(kernel(2), &[scratch], &params(0, false), groups(STRETCH));
        stretch *= 2;
    }
    list.dispatch(kernel(3), &[x, scratch, places, sorted], &params(0, false), groups(256));
}
