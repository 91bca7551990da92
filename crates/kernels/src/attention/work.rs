//! What a thread is given: query rows, and what their block of keys and values is.
//!
//! Read next: `tile`, which computes it, and `schedule`, which makes it.

use super::cache::KvCacheLayer;

/// One query row of one head: where it lies and which positions `from..to` it sees.
pub(super) struct Item {
    pub query: usize,
    pub output: usize,
    pub mask: usize,
    pub head: usize,
    pub from: usize,
    pub to: usize,
}

/// What the tiles of a block need to know.
pub(super) struct Work<'a> {
    pub cache: &'a KvCacheLayer,
    pub pages: &'a [u32],
    pub kv_head: usize,
    pub queries: &'a [f32],
    pub query_scale: f32,
    pub soft_cap: f32,
    pub mask: &'a [f32],
    pub mask_keys: usize,
    pub key_dim: usize,
    pub key_steps: usize,
    pub value_stride: usize,
    pub is_quantized: bool,
    /// Whether products go through matrix registers.
    pub by_matrix: bool,
    /// One behind the last position that the block's rows see.
    pub last: usize,
}
