//! Rows of a matrix chosen by index.

use crate::device::{Kernel, List, Memory};

/// `out[i] = source[indices[i]]` for `count` rows of `columns` 32-bit elements. Every index must be a row of `source`.
pub fn rows(list: &mut List, source: &Memory, indices: &Memory, columns: u32, count: u32, out: &Memory) {
    let groups = [columns.div_ceil(128), count, 1];
    list.dispatch(Kernel::new("gather_rows", &[]), &[source, indices, out], &[columns], groups);
}
