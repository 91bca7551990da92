//! Running results along rows.

use crate::device::{Kernel, List, Memory};

/// What is carried along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanKind {
    /// The sum.
    Sum = 0,
    /// The product.
    Product = 1,
    /// The maximum.
    Maximum = 2,
    /// The minimum.
    Minimum = 3,
}

/// From which end, and whether a value is part of its own result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// From the end of a row to its beginning.
    pub is_reverse: bool,
    /// Without the value itself.
    pub is_exclusive: bool,
}

/// Running results of rows `[rows, dim]`, `x_stride` values apart. Each row is joined in one order.
#[track_caller]
pub fn scan(
    list: &mut List,
    kind: ScanKind,
    direction: Direction,
    x: &Memory,
    x_stride: usize,
    [rows, dim]: [usize; 2],
    out: &Memory,
) {
    let flags = [u32::from(direction.is_reverse), u32::from(direction.is_exclusive)];
    let params = [dim as u32, x_stride as u32, flags[0], flags[1]];
    list.dispatch(Kernel::new("scan", &[("KIND", kind as u32)]), &[x, out], &params, [rows as u32, 1, 1]);
}
