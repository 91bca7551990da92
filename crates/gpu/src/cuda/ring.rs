//! Experts of some tokens whose weights have 4 bits: what `experts_ring.cu` needs to bring them.
//!
//! Invariant: which products go there depends on shapes and formats alone. Read next: `cuda/experts_ring.cu`, `mixture`.

use super::arguments::Arguments;
use super::matmul::Product;
use super::plan::{Call, Plan};
use crate::error::GpuError;

/// Warps of a block, bytes of the codes of 128 columns of half a tile, and rows of a tile.
const WARPS: u32 = 32;
const CODES: u32 = 1024;
const ROWS: u32 = 8;

/// Most elements along a side of a box that the copy engine brings.
const LONGEST: u32 = 256;

/// How a product's weights come.
pub(super) struct Ring {
    /// Stretches of 128 columns, and words of scales in one.
    stretches: u32,
    words_log2: u32,
    /// Half tiles of a warp in a group.
    rounds: u32,
    shared: u32,
}

/// Where a product's rows come from: made of each token, with their factors, or as the product before left them.
pub(super) enum Rows {
    Made(u64, u64),
    Left(u64),
}

impl Ring {
    /// For a product, where there is a kernel for its format and room in a block's memory.
    pub fn of(product: &Product, shared_bytes: u32) -> Option<Ring> {
        let weights = &product.weights;
        let known = matches!((weights.code, weights.kind), (4, 2 | 4) | (20, 7));
        let columns_log2 = weights.group.max(1).ilog2() + weights.groups_of_word_log2();
        if !known || !(5..=7).contains(&columns_log2) {
            return None;
        }
        let (stretches, words_log2) = (weights.columns.div_ceil(128), 7 - columns_log2);
        let slices = weights.columns.div_ceil(weights.columns.div_ceil(1024) * 128);
        let of_half = stretches * CODES + ((stretches << words_log2) * 64).next_multiple_of(128);
        let rows = ROWS * (product.stride * 2 + 8) + WARPS * 4 + 16;
        // Two groups of weights and of sums.
        let shared = |rounds: u32| 2 * rounds * (WARPS / slices * of_half + WARPS * ROWS * 64) + rows;
        let rounds = [2, 1].into_iter().find(|&rounds| shared(rounds) <= shared_bytes)?;
        let fits = 4 * stretches <= LONGEST && stretches << words_log2 <= LONGEST && slices < WARPS;
        fits.then(|| Ring { stretches, words_log2, rounds, shared: shared(rounds) })
    }

    /// Start the kernel of a product over the tiles of `table`, of which there are as many as `filled` says; gated units are joined as `gate` says.
    pub fn launch(
        &self,
        plan: &mut Plan,
        (product, [table, filled]): (&Product, [u64; 2]),
        (rows, pairs): (Rows, u64),
        (gate, out): (Option<&Call>, u64),
    ) -> Result<(), GpuError> {
        let weights = &product.weights;
        let (blocks, words) = (u64::from(weights.blocks()), u64::from(weights.scale_words()));
        let all = product.call.buffers[1].bytes() / (blocks * 512);
        let context = plan.context;
        let (sizes, part) = ([64, 4, blocks, all], [64, 2, 4 * self.stretches, 1]);
        let codes = context.tensor_map(false, weights.parts[0], &sizes, &[128, 512, blocks * 512], &part, true);
        let (sizes, part) = ([64, words, all], [32, self.stretches << self.words_log2, 1]);
        let scales = context.tensor_map(false, weights.parts[2], &sizes, &[128, words * 128], &part, false);
        let map = |map: Result<_, String>| map.map_err(|reason| product.call.error(reason));
        let (made, factors, left) = match rows {
            Rows::Made(made, factors) => (made, factors, 0),
            Rows::Left(values) => (0, 0, values),
        };
        let arguments = Arguments::new().map(&map(codes)?).map(&map(scales)?).inner(weights.arguments());
        let arguments = arguments.address(table).address(filled).address(made).address(factors);
        let arguments = arguments.address(left).address(pairs).address(product.bias).address(out);
        let sizes = [product.features, weights.columns, product.stride, product.choices];
        let arguments = arguments.words(&sizes).words(&[self.words_log2, self.rounds]);
        let (act, alpha, limit) =
            gate.map_or((0, 0.0, 0.0), |gate| (gate.constant("GATE"), gate.float(8), gate.float(9)));
        let arguments = arguments.words(&[u32::from(gate.is_some()), act]).floats(&[alpha, limit]);
        let name = format!("ring8_{}", weights.product_name());
        plan.launch(name, [plan.chip.multiprocessors, 1, 1], 32 * WARPS, self.shared, arguments);
        Ok(())
    }
}
