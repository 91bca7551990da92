//! Copies with strides and changes of type, rows by number.

use crate::device::{Kernel, List, Memory};
use crate::ops::elementwise::grid;

/// Type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32 bits, floats where a type is changed.
    Word = 0,
    /// Half floats.
    F16 = 1,
    /// Brain floats.
    Bf16 = 2,
}

/// Elements in up to four dimensions.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Where they lie.
    pub memory: &'a Memory,
    /// Type.
    pub element: Element,
    /// Number of the first element.
    pub start: usize,
    /// Elements between neighbours of each dimension.
    pub strides: [isize; 4],
}

/// Copy elements of `shape`. A result of 16-bit elements has no gaps and begins at an even element.
#[track_caller]
pub fn copy(list: &mut List, shape: [usize; 4], from: View, to: View) {
    let count: usize = shape.iter().product();
    let plain = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1].map(|stride| stride as isize);
    let packed = to.strides == plain && to.start.is_multiple_of(2);
    assert!(to.element == Element::Word || packed, "[copy] 16-bit results {:?} of {shape:?}", to.strides);
    let mut params = vec![count as u32];
    params.extend(shape[1..].iter().map(|&size| size.max(1) as u32));
    params.extend(from.strides.iter().map(|&stride| stride as i32 as u32));
    params.push(from.start as u32);
    params.extend(to.strides.iter().map(|&stride| stride as i32 as u32));
    params.push(to.start as u32);
    let threads = if to.element == Element::Word { count } else { count.div_ceil(2) };
    let kernel = Kernel::new("copy", &[("SOURCE", from.element as u32), ("TARGET", to.element as u32)]);
    list.dispatch(kernel, &[from.memory, to.memory], &params, grid(threads));
}

/// `out[i, :] = x[numbers[i], :]` for rows of `width` words; `x` has `rows` rows, numbers beyond leave `out` alone.
#[track_caller]
pub fn take(list: &mut List, x: &Memory, [rows, width]: [usize; 2], numbers: &Memory, count: usize, out: &Memory) {
    let params = [(count * width) as u32, width as u32, rows as u32];
    list.dispatch(Kernel::new("take", &[("SCATTER", 0)]), &[x, numbers, out], &params, grid(count * width));
}

/// `out[numbers[i], :] = x[i, :]` for rows of `width` words; `out` has `rows` rows, numbers beyond are left out.
#[track_caller]
pub fn scatter(list: &mut List, x: &Memory, [rows, width]: [usize; 2], numbers: &Memory, count: usize, out: &Memory) {
    let params = [(count * width) as u32, width as u32, rows as u32];
    list.dispatch(Kernel::new("take", &[("SCATTER", 1)]), &[x, numbers, out], &params, grid(count * width));
}
