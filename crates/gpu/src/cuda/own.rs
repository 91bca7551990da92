//! Experts of some tokens whose weights have 4 bits: what `experts_own.cu` needs to bring them.
//!
//! Invariant: which products go there depends on shapes and formats alone. Read next: `cuda/experts_own.cu`, `mixture`.

use super::arguments::Arguments;
use super::plan::{Call, Plan};
use super::product::Product;
use crate::error::GpuError;

/// Warps of a block, bytes of the codes of 128 columns of an item, and rows of a tile.
const WARPS: u32 = 16;
const CODES: u32 = 1024;
const ROWS: u32 = 8;

/// Tiles whose rows are in shared memory.
const HELD: u32 = 2;

/// Stages of a warp's ring: fewer leave nothing on its way.
const LEAST_DEPTH: u32 = 2;

/// How a product's weights come.
pub(super) struct Own {
    /// Stretches of 128 columns in a slice of k, and those that come together.
    slice: u32,
    stage: u32,
    /// Tiles of rows that there may be.
    most: u32,
    /// Words of scales in a stretch.
    words_log2: u32,
    depth: u32,
    shared: u32,
}

/// Where a product's rows come from: made of each token, with their factors, or as the product before left them.
pub(super) enum Rows {
    Made(u64, u64),
    Left(u64),
}

impl Own {
    /// For a product of at most so many tiles, where there is a kernel for its format and room in a block's memory.
    pub fn of(product: &Product, most: u32, shared_bytes: u32) -> Option<Own> {
        let weights = &product.weights;
        let known = matches!((weights.code, weights.kind), (4, 2 | 4) | (20, 7..=9));
        let columns_log2 = weights.group.max(1).ilog2() + weights.groups_of_word_log2();
        if !known || !(5..=7).contains(&columns_log2) {
            return None;
        }
        let (stretches, words_log2) = (weights.columns.div_ceil(128), 7 - columns_log2);
        let slice = weights.columns.div_ceil(1024);
        // Items that a warp has together, of short rows two, for which there is room; most stages on their way, behind which
        // all else waits that other kernels and rows need.
        let (stage, together, most_depth) = match slice {
            1 => (2, 2, 8),
            2 => (2, 1, 2),
            3 | 4 => (slice, 1, 8),
            _ => return None,
        };
        let of_item = stage * CODES + ((stage << words_log2) * 64).next_multiple_of(128);
        let of_stage = WARPS * (together * of_item + 8);
        let row = stretches.next_multiple_of(stage) * 256 + 64;
        let tables = 16 * (most + 1) + 8 * product.rows;
        let rest = HELD * ROWS * (row + 8) + WARPS * 4 + tables;
        let depth = (shared_bytes.saturating_sub(rest) / of_stage).min(most_depth);
        let fits = depth >= LEAST_DEPTH;
        fits.then(|| Own { slice, stage, most, words_log2, depth, shared: depth * of_stage + rest })
    }

    /// Start the kernel of a product over the tiles of `table`, behind the most of which stands how many there are; gated units
    /// are joined as `gate` says.
    pub fn launch(
        &self,
        plan: &mut Plan,
        (product, table): (&Product, u64),
        (rows, pairs): (Rows, u64),
        (gate, out): (Option<&Call>, u64),
    ) -> Result<(), GpuError> {
        let weights = &product.weights;
        let (blocks, words) = (u64::from(weights.blocks()), u64::from(weights.scale_words()));
        // Of gated units gates and ups apart, 8 rows of both in a box.
        let halves: u32 = if gate.is_some() { 2 } else { 1 };
        let (eights, tiles) = (2 / halves, u64::from((product.features / halves).div_ceil(32)));
        let all = product.call.buffers[1].bytes() / (blocks * 512 * tiles);
        let map = |swizzled, index: usize, inner: u64, along: u64, part: u32| {
            let (bytes, box_of) = (inner * 2, [inner as u32, part, eights, 1, halves]);
            let strides = [4 * bytes, bytes, along * 4 * bytes, tiles * along * 4 * bytes];
            let map = plan.context.tensor_map(
                false,
                weights.parts[index],
                &[inner, along, 4, tiles, all],
                &strides,
                &box_of,
                swizzled,
            );
            map.map_err(|reason| product.call.error(reason))
        };
        let codes = map(true, 0, 64, blocks, 4 * self.stage)?;
        let scales = map(false, 2, 16, words, self.stage << self.words_log2)?;
        let (made, factors, left) = match rows {
            Rows::Made(made, factors) => (made, factors, 0),
            Rows::Left(values) => (0, 0, values),
        };
        let arguments = Arguments::new().map(&codes).map(&scales).inner(weights.arguments());
        let arguments = arguments.address(table).address(made).address(factors);
        let arguments = arguments.address(left).address(pairs).address(product.bias).address(out);
        let sizes = [product.features, weights.columns, product.stride, product.choices];
        let tables = [self.most, product.rows, self.words_log2, self.depth, HELD];
        let arguments = arguments.words(&sizes).words(&tables);
        let (act, alpha, limit) =
            gate.map_or((0, 0.0, 0.0), |gate| (gate.constant("GATE"), gate.float(8), gate.float(9)));
        let arguments = arguments.words(&[u32::from(gate.is_some()), act]).floats(&[alpha, limit]);
        let name = format!("own{}{}_{}", self.slice, self.stage, weights.product_name());
        plan.launch(name, [plan.chip.multiprocessors, 1, 1], 32 * WARPS, self.shared, arguments);
        Ok(())
    }
}
