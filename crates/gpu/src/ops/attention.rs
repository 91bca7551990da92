//! Attention over paged keys and values: head norms and rotary embedding, writing the cache, attending.
//!
//! A page holds for each KV head its keys `[page_tokens, key_dim]`, then its values `[page_tokens, value_dim]`. Rows of a
//! step find their sequence through [`Rows`], so that one dispatch serves any mix of sequences. Invariant: keys are
//! split at fixed absolute positions and the splits are merged in order, so that an output row depends on its own
//! query and position alone (the order of sums inside a split is that of `wgsl/attention.wgsl`).
//! Read next: `wgsl/attention.wgsl`.

use crate::device::{Kernel, List, Memory};

/// Positions of a split.
pub const SPLIT_KEYS: u32 = 256;

/// Keys of a tile, which are weighed together.
const TILE_KEYS: u32 = 64;

/// Workgroups that keep a large device busy: where whole splits would give fewer, each tile has one.
const MANY_GROUPS: u32 = 512;

/// Most query heads that one workgroup takes together.
const MOST_BLOCK: u32 = 8;

/// Workgroup memory for queries, in floats.
const QUERY_FLOATS: u32 = 2048;

/// Most rows whose splits go to workgroups of their own: a step with more has enough workgroups without that.
const MOST_SPLIT_ROWS: u32 = 64;

/// How a key or value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// Half float.
    F16,
    /// Brain float.
    Bf16,
    /// Rotated, in 8 bits, with a scale for each position and head.
    Q8,
    /// Rotated, in 4 bits.
    Q4,
}

impl Element {
    /// Bits of a value, and the kernels' constant ELEMENT.
    fn numbers(self) -> (u32, u32) {
        match self {
            Element::F32 => (32, 0),
            Element::F16 => (16, 1),
            Element::Bf16 => (16, 2),
            Element::Q8 => (8, 3),
            Element::Q4 => (4, 4),
        }
    }

    /// Whether keys and values are rotated integers with scales.
    pub fn is_quantized(self) -> bool {
        matches!(self, Element::Q8 | Element::Q4)
    }
}

/// Sizes of one layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvShape {
    /// Heads of keys and values.
    pub kv_heads: u32,
    /// Width of a key.
    pub key_dim: u32,
    /// Width of a value.
    pub value_dim: u32,
    /// Positions of a page.
    pub page_tokens: u32,
    /// How they are stored.
    pub element: Element,
}

impl KvShape {
    /// Whether the kernels can work on it: rows of whole quads, and queries that fit a workgroup.
    pub fn is_supported(&self) -> bool {
        self.key_dim.is_multiple_of(4) && self.value_dim.is_multiple_of(4) && self.key_dim <= QUERY_FLOATS
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> u64 {
        let bits = u64::from(self.kv_heads * self.page_tokens * (self.key_dim + self.value_dim))
            * u64::from(self.element.numbers().0);
        let scales = if self.element.is_quantized() { 8 * u64::from(self.kv_heads * self.page_tokens) } else { 0 };
        bits / 8 + scales
    }

    fn element(&self) -> u32 {
        self.element.numbers().1
    }
}

/// Which packed row belongs to which sequence.
#[derive(Clone, Debug)]
pub struct Rows {
    /// For each row its position (`u32::MAX`: a row of no sequence) and where its sequence's pages begin in `tables`.
    pub rows: Memory,
    /// Page numbers, sequence by sequence.
    pub tables: Memory,
    /// How many rows.
    pub count: u32,
    /// No row has a position from here on. It chooses the grid: a bound that changes seldom lets a recorded list live.
    pub most_keys: u32,
    /// Each row is of a sequence of its own, so that no row sees another's key.
    pub alone: bool,
}

/// How query and key heads are normed and rotated.
#[derive(Clone, Debug)]
pub struct Heads<'a> {
    /// Query heads at the start of a row.
    pub heads: u32,
    /// Key heads behind them.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Values of a row.
    pub row_stride: u32,
    /// Weights `[head_dim]` of the norms of queries and keys.
    pub norms: Option<(&'a Memory, &'a Memory)>,
    /// Epsilon of the norms.
    pub epsilon: f32,
    /// Cosine and sine `[rows, rotated / 2, 2]`, how many dimensions are rotated, and whether pairs are neighbours.
    pub rope: Option<(&'a Memory, u32, bool)>,
}

/// Norm and rotate the heads of packed rows in place.
pub fn heads(list: &mut List, pass: &Heads, rows: u32, qkv: &Memory) {
    let (rotated, interleaved) = pass.rope.map_or((0, false), |(_, rotated, interleaved)| (rotated, interleaved));
    if pass.norms.is_none() && rotated == 0 {
        return;
    }
    let kernel = Kernel::new(
        "heads",
        &[
            ("HEADS", pass.heads),
            ("HEAD_DIM", pass.head_dim),
            ("NORMS", pass.norms.is_some().into()),
            ("ROTATED", rotated),
            ("INTERLEAVED", interleaved.into()),
        ],
    );
    let (query, key) = pass.norms.unwrap_or((qkv, qkv));
    let angles = pass.rope.map_or(qkv, |(angles, ..)| angles);
    let params = [pass.row_stride, pass.epsilon.to_bits()];
    list.dispatch(kernel, &[qkv, query, key, angles], &params, [pass.heads + pass.kv_heads, rows, 1]);
}

/// Write the keys and values of packed rows `[rows, row_stride]` into their pages: keys of all KV heads begin at value
/// `first` of a row, values follow them.
pub fn write(list: &mut List, shape: &KvShape, rows: &Rows, qkv: &Memory, row_stride: u32, first: u32, pages: &Memory) {
    let constants = [
        ("KV_HEADS", shape.kv_heads),
        ("KEY_DIM", shape.key_dim),
        ("VALUE_DIM", shape.value_dim),
        ("PAGE", shape.page_tokens),
        ("ELEMENT", shape.element()),
    ];
    let (name, across) = if shape.element.is_quantized() {
        ("kv_write_quantized", 2 * shape.kv_heads)
    } else {
        let per_word = 32 / shape.element.numbers().0;
        ("kv_write", (shape.kv_heads * (shape.key_dim + shape.value_dim) / per_word).div_ceil(64))
    };
    let buffers = [qkv, &rows.rows, &rows.tables, pages];
    list.dispatch(Kernel::new(name, &constants), &buffers, &[row_stride, first], [across, rows.count, 1]);
}

/// How scores are made and limited.
#[derive(Clone, Debug)]
pub struct Attention<'a> {
    /// Query heads, at the start of a row.
    pub heads: u32,
    /// The cache.
    pub shape: KvShape,
    /// Values of a row of queries.
    pub row_stride: u32,
    /// Values of a row of the output.
    pub out_stride: u32,
    /// Factor on the scores.
    pub scale: f32,
    /// Positions seen, the own one among them.
    pub window: Option<u32>,
    /// `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// A logit for each query head without a value.
    pub sinks: Option<&'a Memory>,
}

impl Attention<'_> {
    /// Bytes of scratch memory that [`attend`] takes for these rows; 0 when it needs none.
    pub fn scratch_bytes(&self, rows: &Rows) -> u64 {
        if !self.is_split(rows) {
            return 0;
        }
        let parts = u64::from(rows.most_keys.div_ceil(SPLIT_KEYS) * (SPLIT_KEYS / TILE_KEYS / self.tiles(rows)));
        // Pairs behind the values are read two by two.
        let pairs = (u64::from(rows.count) * u64::from(self.heads) * parts).next_multiple_of(2);
        pairs * u64::from(self.shape.value_dim + 2) * 4
    }

    fn is_split(&self, rows: &Rows) -> bool {
        rows.count <= MOST_SPLIT_ROWS && rows.most_keys > SPLIT_KEYS
    }

    /// Tiles of a split that a workgroup takes.
    fn tiles(&self, rows: &Rows) -> u32 {
        let whole = rows.count * self.shape.kv_heads * self.blocks().2 * rows.most_keys.div_ceil(SPLIT_KEYS);
        if whole <= MANY_GROUPS { 1 } else { SPLIT_KEYS / TILE_KEYS }
    }

    /// Query heads of a KV head, how many a workgroup takes together, and how many times it takes for all.
    fn blocks(&self) -> (u32, u32, u32) {
        let group = self.heads / self.shape.kv_heads;
        let mut block = group.next_power_of_two().min(MOST_BLOCK);
        while block > 1 && block * self.shape.key_dim > QUERY_FLOATS {
            block /= 2;
        }
        (group, block, group.div_ceil(block))
    }
}

/// Attend the queries of packed rows to the cache, which has their own keys already. `scratch` has
/// [`Attention::scratch_bytes`]. `out`: `[rows, out_stride]`, the heads' values at the start of a row.
pub fn attend(
    list: &mut List,
    attention: &Attention,
    rows: &Rows,
    qkv: &Memory,
    pages: &Memory,
    scratch: Option<&Memory>,
    out: &Memory,
) {
    let shape = &attention.shape;
    let (group, block, blocks) = attention.blocks();
    let is_split = attention.is_split(rows);
    let tiles = attention.tiles(rows);
    let mut kernel = Kernel::new(
        "attention",
        &[
            ("GROUP", group),
            ("BLOCK", block),
            ("BLOCKS", blocks),
            ("KV_HEADS", shape.kv_heads),
            ("KEY_DIM", shape.key_dim),
            ("VALUE_DIM", shape.value_dim),
            ("PAGE", shape.page_tokens),
            ("ELEMENT", shape.element()),
            ("SPLIT", SPLIT_KEYS),
            ("MODE", u32::from(!is_split)),
            ("TILES", tiles),
            ("CAP", attention.soft_cap.is_some().into()),
            ("SINKS", attention.sinks.is_some().into()),
        ],
    );
    if rows.alone {
        kernel.constants.push(("ALONE", 1));
    }
    if shape.element.is_quantized() {
        kernel.constants.push(("ROTATION", rotation(shape.key_dim)));
    }
    let splits = rows.most_keys.div_ceil(SPLIT_KEYS);
    let window = attention.window.unwrap_or(0);
    let params = [
        attention.row_stride,
        attention.out_stride,
        splits,
        attention.scale.to_bits(),
        window,
        attention.soft_cap.unwrap_or(1.0).to_bits(),
    ];
    let sinks = attention.sinks.unwrap_or(qkv);
    let to = if is_split { scratch.expect("[attention] splits need scratch memory") } else { out };
    let parts = if is_split { splits * (SPLIT_KEYS / TILE_KEYS / tiles) } else { 1 };
    let groups = [parts, shape.kv_heads * blocks, rows.count];
    list.dispatch(kernel, &[qkv, &rows.rows, &rows.tables, pages, sinks, to], &params, groups);
    if is_split {
        let constants = [
            ("HEADS", attention.heads),
            ("VALUE_DIM", shape.value_dim),
            ("SPLIT", SPLIT_KEYS),
            ("TILES", tiles),
            ("SINKS", attention.sinks.is_some().into()),
        ];
        let params = [attention.out_stride, splits, window, rows.count];
        let groups = [attention.heads, rows.count, 1];
        list.dispatch(Kernel::new("attention_join", &constants), &[to, &rows.rows, sinks, out], &params, groups);
    }
    if shape.element.is_quantized() {
        // Values were rotated too; their mean is rotated back.
        let constants = [("DIM", shape.value_dim), ("BLOCK", rotation(shape.value_dim))];
        let groups = [attention.heads, rows.count, 1];
        list.dispatch(Kernel::new("rotate", &constants), &[&rows.rows, out], &[attention.out_stride], groups);
    }
}

/// Values that are rotated together.
fn rotation(dim: u32) -> u32 {
    1 << dim.trailing_zeros()
}
