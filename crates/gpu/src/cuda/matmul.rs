//! Products: which of the kernels `few.cu` and `gemm.cu` take how many rows, and the kernels that make their inputs.
//!
//! One row is made inside the product; more are made by `rows.cu` first, and for many rows quantized weights are
//! unpacked by `unpack.cu`. All of them sum in one order. Read next: `cuda/few.cu`.

use super::arguments::Arguments;
use super::launch::{Call, Plan};
use crate::error::GpuError;

/// From so many rows on the product of tiles is faster than several of few rows.
const MANY_ROWS: u32 = 33;

/// The constant INPUT of rows that are normed on the way in.
const NORM: u32 = 1;

/// A matrix as kernels see it: struct Weights of `weights.cuh`.
pub(super) struct Weights {
    parts: [u64; 4],
    code: u32,
    kind: u32,
    group: u32,
    zero: u32,
    pub columns: u32,
    factor: f32,
}

impl Weights {
    /// The matrix whose parts begin at buffer `first`.
    pub fn of(call: &Call, first: usize, columns: u32, factor: f32) -> Result<Weights, GpuError> {
        let [code, kind, group, zero] = ["CODE", "SCALE", "GROUP", "ZERO"].map(|name| call.constant(name));
        let there = [true, code == 5 || code == 6, kind != 0, kind == 5 || kind == 6];
        let parts = [0, 1, 2, 3].map(|part| call.address_if(there[part], first + part));
        let known = matches!(code, 4 | 5 | 6 | 8 | 9 | 20 | 30 | 31) && kind != 3;
        if !known || !columns.is_multiple_of(32) {
            let scales = if kind == 3 { " with scales in f32" } else { "" };
            return Err(call.error(format!("weights of code {code}{scales}, {columns} columns: not on CUDA")));
        }
        Ok(Weights { parts, code, kind, group, zero, columns, factor })
    }

    /// The code as kernels are named for it.
    pub fn code_name(&self) -> &'static str {
        match self.code {
            4 => "bits4",
            5 => "bits5",
            6 => "bits6",
            8 => "bits8",
            9 => "signed8",
            20 => "e2m1",
            30 => "bf16",
            _ => "f16",
        }
    }

    /// Code and scales as products are named for them.
    fn product_name(&self) -> String {
        let scales = match (self.code, self.kind) {
            (4, 2) if self.group >= 64 => "_pair",
            (4, 4) => "_single",
            (4, 5) => "_minima",
            _ => "",
        };
        format!("{}{scales}", self.code_name())
    }

    fn is_dense(&self) -> bool {
        self.code >= 30
    }

    /// The order of columns: enum Order of `weights.cuh`.
    fn order(&self) -> u32 {
        match self.code {
            30 | 31 => 0,
            8 | 9 => 2,
            _ => 1,
        }
    }

    /// Type of the products' operands.
    fn element(&self) -> &'static str {
        if self.code == 30 { "bf16" } else { "f16" }
    }

    /// Bytes that a warp brings at a time: Traits::STAGE.
    fn stage_bytes(&self) -> u32 {
        let (bits, high) = match self.code {
            30 | 31 => (16, 0),
            8 | 9 => (8, 0),
            5 => (4, 1),
            6 => (4, 2),
            _ => (4, 0),
        };
        let blocks = 2048 / bits / 32;
        let scales = if bits == 16 { 0 } else { blocks * 64 + 192 };
        blocks * bits * 64 + blocks * high * 64 + scales
    }

    /// What products come times the weights: 1 over FACTOR.
    fn result_factor(&self) -> f32 {
        let scaled = !self.is_dense() && self.code != 20;
        self.factor * if scaled { 1.0 / 256.0 } else { 1.0 }
    }

    pub fn arguments(&self) -> Arguments {
        let log2 = self.group.trailing_zeros();
        let of_word_log2 = match self.kind {
            4 | 5 => 1,
            6..=8 => 2,
            _ => 0,
        };
        let groups = self.columns.div_ceil(self.group.max(1));
        let words = if self.kind == 0 { 0 } else { groups.div_ceil(1 << of_word_log2) };
        let arguments = self.parts.iter().fold(Arguments::new(), |arguments, &part| arguments.address(part));
        let blocks = self.columns.div_ceil(32);
        arguments.words(&[self.kind, log2, self.zero, blocks, words, of_word_log2]).floats(&[self.factor])
    }
}

/// What a product is made of.
struct Product<'a> {
    call: &'a Call<'a>,
    weights: Weights,
    rows: u32,
    features: u32,
    x: u64,
    x_stride: u32,
    input: u32,
    /// Columns, padded.
    stride: u32,
    bias: u64,
    residual: u64,
    out: u64,
    out_stride: u32,
    /// Tiles of experts and their pairs, and how many tiles and rows of one there are.
    experts: Option<Experts>,
    choices: u32,
}

#[derive(Clone, Copy)]
struct Experts {
    tiles: u64,
    pairs: u64,
    most_tiles: u32,
    tile_rows: u32,
}

/// The dispatch `matmul`.
pub(super) fn matmul(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let p = call.params;
    let with_experts = call.constant("EXPERTS") == 1;
    let experts = with_experts.then(|| Experts {
        tiles: call.address(8),
        pairs: call.address(9),
        most_tiles: call.groups[1],
        tile_rows: call.constant("ROWS"),
    });
    // Where the features begin in a row of the output, the residual and the bias.
    let first = u64::from(p.get(11).copied().unwrap_or(0)) * 4;
    let behind = |address: u64| if address == 0 { 0 } else { address + first };
    let bias = call.address_if(call.constant("BIAS") == 1, 6);
    if !p[3].is_multiple_of(4) && p[0] > 1 {
        return Err(call.error(format!("rows {} values apart", p[3])));
    }
    let product = Product {
        call,
        weights: Weights::of(call, 1, p[2], call.float(7))?,
        rows: p[0],
        features: p[1],
        x: call.address(0),
        x_stride: p[3],
        input: call.constant("INPUT"),
        stride: p[2].next_multiple_of(128),
        bias: if with_experts { bias } else { behind(bias) },
        residual: behind(call.address_if(call.constant("RESIDUAL") == 1, 7)),
        out: call.address(if with_experts { 10 } else { 8 }) + first,
        out_stride: p[4],
        experts,
        choices: p[10].max(1),
    };
    if experts.is_none() && product.rows == 1 && few(plan, &product, 0, 1, None) {
        return Ok(());
    }
    let many = product.rows >= MANY_ROWS && experts.is_none() && plan.shared.chip.major == 9;
    let in_pairs =
        product.features.is_multiple_of(2) && product.out_stride.is_multiple_of(2) && first.is_multiple_of(8);
    if many && in_pairs {
        return tiles(plan, &product);
    }
    let x_rows = if experts.is_some() { product.rows.div_ceil(product.choices) } else { product.rows };
    let (made, factors) = make_rows(plan, &product, x_rows, false);
    let mut first = 0;
    while first < product.rows {
        let rows = (product.rows - first).min(16);
        let wide = rows > 8 && few(plan, &product, first, rows, Some((made, factors)));
        let narrow = !wide && few(plan, &product, first, rows.min(8), Some((made, factors)));
        if !wide && !narrow {
            return Err(call.error("its memory of a block is more than this device has"));
        }
        first += if product.experts.is_some() {
            product.rows
        } else if wide {
            rows
        } else {
            rows.min(8)
        };
    }
    Ok(())
}

/// Have rows made; gives where they and their factors are.
fn make_rows(plan: &mut Plan, product: &Product, rows: u32, products: bool) -> (u64, u64) {
    let (call, weights) = (product.call, &product.weights);
    let made = plan.take(u64::from(rows) * u64::from(product.stride) * 2);
    let factors = plan.take(u64::from(rows) * 4);
    let norm = call.address_if(product.input == NORM, 5);
    let arguments = Arguments::new().address(product.x).address(norm).address(0).address(made).address(factors);
    let words = [weights.columns, product.x_stride, product.stride, product.input, call.constant("GATE")];
    let arguments = arguments.words(&words).words(&[weights.order(), products.into(), 1]);
    let arguments = arguments.floats(&[call.float(8), call.float(9), call.float(6)]);
    plan.launch(format!("rows_{}", weights.element()), [rows, 1, 1], 256, 0, arguments);
    (made, factors)
}

/// A product of few rows, of one made inside or of `made` ones; false when the device has too little memory of a block.
fn few(plan: &mut Plan, product: &Product, first: u32, rows: u32, made: Option<(u64, u64)>) -> bool {
    let (call, weights) = (product.call, &product.weights);
    let most = product.experts.map_or(rows, |experts| experts.tile_rows);
    let slices = weights.columns.div_ceil(slice_length(weights.columns));
    let mut name = weights.product_name();
    let (columns, stages) = match made {
        None => (1, 2),
        Some(_) if most <= 8 => (8, 2),
        Some(_) => (16, 3),
    };
    // Sixteen rows at a time are there for the common formats.
    if columns == 16 && !matches!(&name[..], "bits4_pair" | "bits4_single" | "bits4_minima" | "bf16") {
        return false;
    }
    name.insert_str(0, &format!("few{columns}_"));
    let row_bytes = if made.is_none() { product.stride * 2 } else { 0 };
    let shared = 8 * stages * weights.stage_bytes() + 2 * slices * columns * 64 + 64 + row_bytes;
    if shared > plan.shared.chip.shared_bytes {
        return false;
    }
    let halves = product.features.div_ceil(32) * 2;
    let of_processor = if columns < 16 && 2 * (shared + 1024) <= plan.shared.chip.shared_bytes { 2 } else { 1 };
    let stacks = product.experts.map_or(1, |experts| experts.most_tiles);
    // Where a block has many groups, larger ones spare it waiting.
    let all = plan.shared.chip.multiprocessors * of_processor;
    let of_group = match halves / all {
        16.. if halves.is_multiple_of(4) => 4,
        5.. => 2,
        _ => 1,
    };
    let groups = halves / of_group;
    let shared = shared + 2 * (of_group - 1) * slices * columns * 64;
    if shared > plan.shared.chip.shared_bytes {
        return false;
    }
    let blocks = groups.min(all.div_ceil(stacks.min(8)));
    let norm = call.address_if(product.input == NORM, 5);
    let source = Arguments::new().address(product.x).address(norm);
    let source = source.words(&[weights.columns, product.input, call.constant("GATE")]);
    let source = source.floats(&[call.float(8), call.float(9), call.float(6)]);
    let (made, factors) = made.unwrap_or((0, 0));
    let skipped = |bytes_of_row: u64| u64::from(first) * bytes_of_row;
    let of_row = |address: u64| if address == 0 { 0 } else { address + skipped(u64::from(product.out_stride) * 4) };
    let arguments = Arguments::new().inner(weights.arguments()).inner(source);
    let arguments = arguments.address(made + skipped(u64::from(product.stride) * 2)).address(factors + skipped(4));
    let (tiles, pairs) = product.experts.map_or((0, 0), |experts| (experts.tiles, experts.pairs));
    let arguments = arguments.address(tiles).address(pairs).address(product.bias);
    let arguments = arguments.address(of_row(product.residual)).address(of_row(product.out));
    let sizes = [rows, product.features, weights.columns, product.stride, product.out_stride, of_group, groups, 0, 0];
    let arguments = arguments.words(&sizes).floats(&[0.0, 0.0]).words(&[product.choices]);
    plan.launch(name, [blocks, stacks, 1], 256, shared, arguments);
    true
}

/// A product of many rows, tile by tile.
fn tiles(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let (call, weights) = (product.call, &product.weights);
    let blocks = u64::from(weights.columns.div_ceil(32));
    let row_tiles = u64::from(product.features.div_ceil(32));
    let (made, factors) = make_rows(plan, product, product.rows, true);
    let dense = if weights.is_dense() {
        weights.parts[0]
    } else {
        let dense = plan.take(row_tiles * blocks * 2048);
        let arguments = Arguments::new().inner(weights.arguments()).address(dense).words(&[row_tiles as u32 * 32]);
        let name = format!("unpack_{}", weights.code_name());
        plan.launch(name, [(row_tiles * blocks).div_ceil(8) as u32, 1, 1], 256, 0, arguments);
        dense
    };
    let processors = plan.shared.chip.multiprocessors;
    let row_blocks = product.rows.div_ceil(128);
    let waves = |width: u32| (row_blocks * product.features.div_ceil(width)).div_ceil(processors);
    // The narrower tile asks more of the second cache.
    let width: u32 = if waves(128) * 128 * 21 < waves(192) * 192 * 20 { 128 } else { 192 };
    let stages = if width == 192 { 5 } else { 6 };
    let brain = weights.code == 30;
    let context = plan.shared.context();
    let stride = u64::from(product.stride);
    let x = context.tensor_map(brain, made, &[stride, product.rows.into()], &[stride * 2], &[64, 128], true);
    let sizes = [256, row_tiles, 1, blocks * 4];
    let strides = [blocks * 2048, row_tiles * blocks * 2048, 512];
    let w = context.tensor_map(brain, dense, &sizes, &strides, &[256, width / 32, 1, 8], false);
    let (x, w) = (x.map_err(|reason| call.error(reason))?, w.map_err(|reason| call.error(reason))?);
    let arguments = Arguments::new().map(&x).map(&w).address(0).address(factors).address(product.bias);
    let arguments = arguments.address(product.residual).address(product.out);
    let arguments = arguments.floats(&[weights.result_factor(), 0.0, 0.0]);
    let arguments = arguments.words(&[product.rows, product.features, weights.columns, product.out_stride, 0, 0, 0]);
    let grid = [(row_blocks * product.features.div_ceil(width)).min(processors), 1, 1];
    let shared = stages * (128 + width) * 128 + 1024 + 128;
    plan.launch(format!("gemm_{}_{width}", weights.element()), grid, 384, shared, arguments);
    Ok(())
}

/// As in `common.cuh`.
fn slice_length(columns: u32) -> u32 {
    if columns > 4096 { 512 } else { (columns / 8).next_multiple_of(128) }
}
