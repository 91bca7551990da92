//! Attention of a ragged batch over a paged KV cache, on slices.
//!
//! One call serves any mix of prompt pieces and decoding rows. Invariant: the bits of an output row depend only on
//! its own query, its position and the cached keys and values, never on the rest of the batch, on how the prompt was
//! cut, on the number of threads or on which pages hold the cache. (Different tiers and [`KvDtype`]s give different
//! last bits.) Read next: `cache` (how keys and values lie in memory), `quantized` (8 and
//! 4 bits), `tile` (the arithmetic; on the tier of AMX its products are `amx`'s), `schedule` (the work).

#[cfg(target_arch = "x86_64")]
mod amx;
mod cache;
mod element;
mod groups;
mod quantized;
mod schedule;
mod tile;
mod work;

pub use cache::{KvCacheLayer, KvDtype, KvLayout};

use crate::pool::Pool;
use schedule::{Attention, Mask, Rows};

/// The rows of one sequence in a batch: `rows` rows from `first_row` on, at positions from `first_position` on.
#[derive(Clone, Copy, Debug)]
pub struct BatchSequence<'a> {
    /// Its first row in the packed batch.
    pub first_row: usize,
    /// How many rows it has: 1 when decoding, more for a piece of a prompt.
    pub rows: usize,
    /// Position of its first row in the sequence; all positions before it are cached.
    pub first_position: usize,
    /// Its block table: page `i` holds positions from `i * page_tokens` on. Pages that lie wholly before every
    /// row's window are not looked at.
    pub pages: &'a [u32],
}

/// Packed rows of any mix of sequences.
#[derive(Clone, Copy, Debug)]
pub struct RaggedBatch<'a> {
    /// Their rows may lie in any order; rows that belong to none are left alone.
    pub sequences: &'a [BatchSequence<'a>],
}

/// How scores are made and which keys a row sees.
#[derive(Clone, Copy, Debug)]
pub struct AttentionParams<'a> {
    /// Query heads: a multiple of the cache's KV heads. Query head `h` reads KV head `h / (heads / kv_heads)`.
    pub heads: usize,
    /// Scores are multiplied by this, usually `1 / sqrt(key_dim)`.
    pub scale: f32,
    /// A row at position `p` sees only positions above `p - window`.
    pub window: Option<usize>,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// For each query head the logit of a key without a value, which takes its share of the softmax.
    pub sinks: Option<&'a [f32]>,
    /// A row sees no position behind its own. Otherwise it sees all of its sequence, to the last row of this batch.
    pub causal: bool,
}

/// Attend the queries of `batch` to the cache, which already holds the keys and values of the batch's own rows
/// (see [`KvCacheLayer::write`]).
///
/// `queries`: `[tokens, heads, key_dim]`, `out`: `[tokens, heads, value_dim]`. A row that sees no key gets zeros.
pub fn attend(
    pool: &Pool,
    queries: &[f32],
    cache: &KvCacheLayer,
    batch: &RaggedBatch,
    params: &AttentionParams,
    out: &mut [f32],
) {
    attend_rows(pool, queries, params.heads * cache.layout().key_dim, cache, batch, params, out);
}

/// Write the keys and values of packed rows into the cache (see [`KvCacheLayer::write`]), then attend their queries.
///
/// `rows`: `[tokens, heads * key_dim | kv_heads * key_dim | kv_heads * value_dim]`, `out`: `[tokens, heads, value_dim]`.
pub fn write_and_attend(
    pool: &Pool,
    rows: &[f32],
    cache: &mut KvCacheLayer,
    batch: &RaggedBatch,
    params: &AttentionParams,
    out: &mut [f32],
) {
    let KvLayout { kv_heads, key_dim, value_dim, .. } = *cache.layout();
    let keys = params.heads * key_dim;
    let values = keys + kv_heads * key_dim;
    let row = values + kv_heads * value_dim;
    if rows.is_empty() {
        return;
    }
    let from = cache::Rows {
        keys: &rows[keys..],
        values: &rows[values..],
        key_row: row,
        key_head: key_dim,
        value_row: row,
        value_head: value_dim,
    };
    cache.write_rows(pool, &from, batch);
    attend_rows(pool, rows, row, cache, batch, params, out);
}

/// [`attend`] with query rows `query_row` values apart.
fn attend_rows(
    pool: &Pool,
    queries: &[f32],
    query_row: usize,
    cache: &KvCacheLayer,
    batch: &RaggedBatch,
    params: &AttentionParams,
    out: &mut [f32],
) {
    let layout = cache.layout();
    let heads = params.heads;
    let out_row = heads * layout.value_dim;
    check_heads(heads, layout.kv_heads, params.sinks);
    check_rows(batch);
    let sequences = batch.sequences.iter().map(|sequence| {
        let last_row = sequence.first_row + sequence.rows;
        assert!(last_row * query_row <= queries.len(), "[attention] row {last_row} lies behind the queries");
        let keys = sequence.first_position + sequence.rows;
        let pages = sequence.pages.len();
        assert!(keys <= pages * layout.page_tokens, "[attention] {keys} positions in {pages} pages");
        Rows {
            query_start: sequence.first_row * query_row,
            output_start: sequence.first_row * out_row,
            rows: sequence.rows,
            first_position: sequence.first_position as isize,
            keys,
            pages: sequence.pages,
        }
    });
    let sequences: Vec<Rows> = sequences.collect();
    let attention = Attention {
        cache,
        queries,
        heads,
        query_strides: (query_row, layout.key_dim),
        output_strides: (out_row, layout.value_dim),
        scale: params.scale,
        window: params.window,
        soft_cap: params.soft_cap,
        sinks: params.sinks,
        causal: params.causal,
        mask: None,
    };
    attention.run(pool, &sequences, out);
}

/// Sizes of a plain attention over contiguous arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpaShape {
    /// Independent sequences.
    pub batch: usize,
    /// Query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Rows of queries.
    pub query_len: usize,
    /// Rows of keys and values.
    pub key_len: usize,
    /// Width of queries and keys.
    pub key_dim: usize,
    /// Width of values.
    pub value_dim: usize,
}

/// Which keys a row of [`scaled_dot_product_attention`] sees.
#[derive(Clone, Copy, Debug)]
pub enum SdpaMask<'a> {
    /// All.
    None,
    /// Up to its own position, where the last query stands at the last key.
    Causal,
    /// What is added to the scores (minus infinity hides a key): rows of `key_len` values, at these distances in
    /// values for one step in batch, head and query row (0 repeats).
    Additive {
        /// The mask's values.
        values: &'a [f32],
        /// Distances `[batch, head, row]`.
        strides: [usize; 3],
    },
}

/// Plain attention in exact f32 over contiguous arrays: `queries` `[batch, heads, query_len, key_dim]`, `keys`
/// `[batch, kv_heads, key_len, key_dim]`, `values` `[batch, kv_heads, key_len, value_dim]`, `out`
/// `[batch, heads, query_len, value_dim]`. `sinks` as in [`AttentionParams`].
pub fn scaled_dot_product_attention(
    pool: &Pool,
    shape: &SdpaShape,
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    scale: f32,
    mask: SdpaMask,
    sinks: Option<&[f32]>,
    out: &mut [f32],
) {
    let SdpaShape { batch, heads, kv_heads, query_len, key_len, key_dim, value_dim } = *shape;
    check_heads(heads, kv_heads, sinks);
    assert_eq!(queries.len(), batch * heads * query_len * key_dim, "[attention] queries of {shape:?}");
    assert_eq!(keys.len(), batch * kv_heads * key_len * key_dim, "[attention] keys of {shape:?}");
    assert_eq!(values.len(), batch * kv_heads * key_len * value_dim, "[attention] values of {shape:?}");
    assert_eq!(out.len(), batch * heads * query_len * value_dim, "[attention] output of {shape:?}");
    if out.is_empty() {
        return;
    }
    let page_tokens = 64;
    let mut cache = KvCacheLayer::new(KvLayout { kv_heads, key_dim, value_dim, page_tokens, dtype: KvDtype::F32 });
    let pages_each = key_len.div_ceil(page_tokens);
    cache.grow(batch * pages_each);
    let pages: Vec<u32> = (0..(batch * pages_each) as u32).collect();
    let table = |index: usize| &pages[index * pages_each..(index + 1) * pages_each];
    for index in 0..batch {
        let start = index * kv_heads * key_len;
        let from = cache::Rows {
            keys: &keys[start * key_dim..],
            values: &values[start * value_dim..],
            key_row: key_dim,
            key_head: key_len * key_dim,
            value_row: value_dim,
            value_head: key_len * value_dim,
        };
        let sequence = BatchSequence { first_row: 0, rows: key_len, first_position: 0, pages: table(index) };
        cache.write_rows(pool, &from, &RaggedBatch { sequences: &[sequence] });
    }
    let sequences: Vec<Rows> = (0..batch)
        .map(|index| Rows {
            query_start: index * heads * query_len * key_dim,
            output_start: index * heads * query_len * value_dim,
            rows: query_len,
            first_position: key_len as isize - query_len as isize,
            keys: key_len,
            pages: table(index),
        })
        .collect();
    let attention = Attention {
        cache: &cache,
        queries,
        heads,
        query_strides: (key_dim, query_len * key_dim),
        output_strides: (value_dim, query_len * value_dim),
        scale,
        window: None,
        soft_cap: None,
        sinks,
        causal: matches!(mask, SdpaMask::Causal),
        mask: match mask {
            SdpaMask::Additive { values, strides } => Some(Mask { values, keys: key_len, strides }),
            SdpaMask::None | SdpaMask::Causal => None,
        },
    };
    attention.run(pool, &sequences, out);
}

/// Panics when two sequences share a row: their outputs are written in parallel.
fn check_rows(batch: &RaggedBatch) {
    let mut spans: Vec<(usize, usize)> = batch.sequences.iter().map(|rows| (rows.first_row, rows.rows)).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "[attention] two sequences share a row");
}

fn check_heads(heads: usize, kv_heads: usize, sinks: Option<&[f32]>) {
    assert!(heads > 0 && heads.is_multiple_of(kv_heads), "[attention] {heads} heads over {kv_heads} KV heads");
    if let Some(sinks) = sinks {
        assert_eq!(sinks.len(), heads, "[attention] one sink a query head");
    }
}
