//! Random words of an explicit key.

use crate::device::{Kernel, List, Memory};
use crate::ops::elementwise::grid;

/// `words` words from `key` (two words): Threefry-2x32 of their places, the same on every device.
#[track_caller]
pub fn words(list: &mut List, key: &Memory, words: usize, out: &Memory) {
    list.dispatch(Kernel::new("random", &[]), &[key, out], &[words as u32], grid(words.div_ceil(2)));
}
