//! Products: which of the kernels `few.cu`, `team.cu`, `some.cu` and `gemm.cu` take how many rows.
//!
//! Up to 16 rows, and 33 to 64, are left to a product by the kernel in front (`left`). Where they are not, one row is made inside the
//! product, and more are made first (`made`); for many rows quantized weights are unpacked by `unpack.cu`. Where rows are left,
//! and of many, gates and ups are joined where they are made. All kernels sum in one order. Weights of f32 have a kernel of their
//! own, for any number of rows. Read next: `product`, `left`, `cuda/few.cu`.

use super::arguments::Arguments;
use super::left;
use super::made::{Arrangement, Made, SOME_ROWS, TEAM_ROWS, make, make_rows};
use super::mixture;
use super::plan::{Call, Left, Plan};
use super::product::{Experts, F32, GATED, PLAIN, Product, first_byte};
use super::team::{self, group_of};
use crate::device::Command;
use crate::error::GpuError;

/// Most rows of `few.cu`.
const FEW_ROWS: u32 = 8;

/// From so many rows an expert has on average, experts' weights are unpacked too.
const MANY_OF_EXPERT: u32 = 16;

/// Most bytes that unpacked experts may take.
const MOST_UNPACKED: u64 = 2 << 30;

/// Columns of one row that every block of a product makes by itself.
const LONG_ROW: u32 = 8192;

/// The dispatch `matmul`, and of the commands behind it as many as its kernels do too; how many those are.
pub(super) fn matmul(plan: &mut Plan, call: &Call, rest: &[Command]) -> Result<usize, GpuError> {
    let product = Product::of(call)?;
    if let Some(next) = rest.first().and_then(Call::of).filter(|next| is_gate_of(&product, next)) {
        let (next, done) = with_end(plan, Product::of(&next)?, &rest[1..]);
        if is_pair_of_many(plan, &product, &next) {
            pair_of_many(plan, &product, &next)?;
            return Ok(1 + done);
        }
    }
    let (product, done) = with_end(plan, product, rest);
    if let Some(more) = mixture::routed(plan, &product, &rest[done..])? {
        return Ok(done + more);
    }
    one_or_more(plan, &product)?;
    Ok(done)
}

/// With what commands behind a product do at its end: a sum with as many other values, or where tiles make it, what goes to
/// another card; how many commands that were.
pub(super) fn with_end<'a>(plan: &Plan, product: Product<'a>, rest: &'a [Command]) -> (Product<'a>, usize) {
    let pushed = product.with_push(rest);
    let is_pushed = pushed.1 > 0 && plan.chip.major == 9 && product.rows > SOME_ROWS && pushed.0.in_quads();
    if is_pushed { pushed } else { product.with_sum(rest) }
}

/// Whether `next` multiplies what the gates and ups that `product` makes give.
fn is_gate_of(product: &Product, next: &Call) -> bool {
    let rows = product.rows;
    let alone = |call: &Call| call.constant("EXPERTS") == 0 && call.params[0] == rows && call.constant("CODE") != F32;
    next.kernel.name == "matmul"
        && alone(product.call)
        && alone(next)
        && next.constant("INPUT") == GATED
        && next.address(0) == product.out
        && next.params[2] * 2 == product.features
        && product.features.is_multiple_of(64)
        && product.residual == 0
}

/// Whether tiles multiply what `first` makes, and nobody else reads it.
fn is_read_by_tiles_alone(plan: &Plan, first: &Call, next: &Product) -> bool {
    plan.chip.major == 9
        && next.rows > SOME_ROWS
        && next.in_quads()
        && plan.is_between(&next.call.buffers[0], first, next.call)
}

/// Whether rows of a product are what its tiles multiply once they are rounded, without any of the rest of a row.
fn is_of_rounded(product: &Product) -> bool {
    product.weights.code == 30 && product.weights.columns == product.stride
}

/// Whether gates and ups of many rows may be joined where they are made: tiles of both, and nobody else who reads them.
fn is_pair_of_many(plan: &Plan, product: &Product, next: &Product) -> bool {
    product.in_quads()
        && product.out_stride == product.features
        && next.x_stride == product.features
        && first_byte(product.call) == 0
        && is_read_by_tiles_alone(plan, product.call, next)
}

/// Gates and ups of many rows, joined where they are made, and the product of what they give. They are rounded there too
/// where that needs nothing of the whole row.
fn pair_of_many(plan: &mut Plan, product: &Product, next: &Product) -> Result<(), GpuError> {
    let call = next.call;
    let columns = next.weights.columns;
    let rounded = is_of_rounded(next);
    let values = plan.take(u64::from(product.rows) * u64::from(columns) * if rounded { 2 } else { 4 });
    // What the first product needs beside them, the second one takes again.
    let taken = plan.taken;
    let gate = TileGate { rounded, act: call.constant("GATE"), alpha: call.float(8), limit: call.float(9) };
    let (made, factors) = make_rows(plan, product, product.rows, Arrangement::Products, 0);
    let joined = Product { out: values, out_stride: columns, ..*product };
    tiles(plan, &joined, &Tiles { made, factors, experts: None, gate: Some(gate) })?;
    plan.taken = taken;
    let (made, factors) = if rounded {
        (values, 0)
    } else {
        let plain = Product { x: values, x_stride: columns, input: PLAIN, ..*next };
        make_rows(plan, &plain, next.rows, Arrangement::Products, 0)
    };
    tiles(plan, next, &Tiles { made, factors, experts: None, gate: None })
}

/// Whether `next` is one product of all of so many rows as they are at an address.
pub(super) fn is_of_rows(next: &Call, at: u64, rows: u32) -> bool {
    next.kernel.name == "matmul"
        && next.constant("EXPERTS") == 0
        && next.constant("INPUT") == PLAIN
        && next.params[0] == rows
        && next.address(0) == at
}

/// Whether rows that `first` makes may be left to a product as the bf16 that it multiplies: nobody else reads them.
pub(super) fn takes_rounded(plan: &Plan, first: &Call, next: &Product) -> bool {
    is_of_rounded(next) && next.x_stride == next.stride && is_read_by_tiles_alone(plan, first, next)
}

/// Where such rows are left.
pub(super) fn rounded(plan: &mut Plan, next: &Product) -> Left {
    let rows = plan.take(u64::from(next.rows) * u64::from(next.stride) * 2);
    let sizes = [next.stride, next.weights.order(), Arrangement::Products as u32, 1, 0];
    Left { addresses: [rows, 0, 0, 0], sizes, floats: [0.0; 3], gated: false }
}

/// The product of rows that are left so.
pub(super) fn of_rounded(plan: &mut Plan, next: &Product, left: &Left) -> Result<(), GpuError> {
    tiles(plan, next, &Tiles { made: left.addresses[0], factors: 0, experts: None, gate: None })
}

fn one_or_more(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let experts = product.experts;
    let hopper = plan.chip.major == 9;
    if product.weights.code == F32 {
        return f32_weights(plan, product);
    }
    if let Some(experts) = experts {
        return match many_experts(product) {
            Some(count) if hopper && product.in_quads() => many_of_experts(plan, product, experts, count),
            _ => few_rows(plan, product),
        };
    }
    match product.rows {
        1 => one(plan, product),
        _ if !hopper => few_rows(plan, product),
        rows if rows > SOME_ROWS && product.in_quads() => {
            let (made, factors) = make_rows(plan, product, rows, Arrangement::Products, 0);
            tiles(plan, product, &Tiles { made, factors, experts: None, gate: None })
        }
        _ => {
            let leaves = left::of_product(plan, product);
            if product.rows > TEAM_ROWS {
                return some(plan, product, leaves.filter(|leaves| left::is_alike(leaves, product)));
            }
            let leaves = leaves.filter(|leaves| team::takes(plan, product, leaves.gated));
            if team::team(plan, product, leaves) { Ok(()) } else { some(plan, product, None) }
        }
    }
}

/// How many experts there are, where so many rows come to each that their weights are better unpacked, and may be.
fn many_experts(product: &Product) -> Option<u32> {
    let tiles = u64::from(product.features.div_ceil(32));
    let experts = product.call.buffers[1].bytes() / (tiles * product.weights.tile_bytes()).max(1);
    let unpacked = experts * tiles * u64::from(product.weights.blocks()) * 2048;
    let experts = u32::try_from(experts).ok()?;
    let fits = experts <= 512 && (product.weights.is_dense() || unpacked <= MOST_UNPACKED);
    (fits && product.rows >= MANY_OF_EXPERT * experts).then_some(experts)
}

/// A product of one row. Gates, and long rows, cost more than a kernel of their own: not every block makes them again.
fn one(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let left = plan.left.take();
    let apart = left.is_none() && (product.input == GATED || product.weights.columns > LONG_ROW);
    let made = match &left {
        Some(left) => Some((left.addresses[0], 0)),
        None => apart.then(|| make_rows(plan, product, 1, Arrangement::Lanes, 0)),
    };
    let leaves = left::of_product(plan, product);
    few(plan, product, 0, 1, &Few { made, left: left.as_ref(), leaves: leaves.as_ref() })?;
    plan.leaves = leaves;
    Ok(())
}

/// Products of a few rows at a time; of experts, tile by tile.
fn few_rows(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let x_rows = if product.experts.is_some() { product.rows.div_ceil(product.choices) } else { product.rows };
    let made = make_rows(plan, product, x_rows, Arrangement::Lanes, 0);
    if product.experts.is_some() {
        return few(plan, product, 0, product.rows, &Few { made: Some(made), ..Few::default() });
    }
    let room = plan.chip.shared_bytes.saturating_sub(4 * FEW_ROWS * 1024) / (product.stride * 2);
    let most = room.clamp(1, FEW_ROWS);
    let mut first = 0;
    while first < product.rows {
        let rows = (product.rows - first).min(most);
        few(plan, product, first, rows, &Few { made: Some(made), ..Few::default() })?;
        first += rows;
    }
    Ok(())
}

/// What surrounds a product of few rows.
#[derive(Clone, Copy, Default)]
struct Few<'a> {
    /// Rows and their factors, where they are made already.
    made: Option<(u64, u64)>,
    /// One row: what the rows' factors are found by instead, and what it leaves.
    left: Option<&'a Left>,
    leaves: Option<&'a Left>,
}

/// A product of few rows, of one made inside or of `made` ones.
fn few(plan: &mut Plan, product: &Product, first: u32, rows: u32, around: &Few) -> Result<(), GpuError> {
    let (call, weights, chip) = (product.call, &product.weights, plan.chip);
    let most = product.experts.map_or(rows, |experts| experts.tile_rows);
    let (columns, teams) = if most == 1 && product.experts.is_none() { (1, 2) } else { (FEW_ROWS, 1) };
    let format =
        if columns == 1 && chip.major == 9 { weights.slices_name(product.features) } else { weights.product_name() };
    let name = format!("few{columns}_{format}");
    let shared_of = |of_group: u32| teams * of_group * 2 * 8 * columns * 64 + 256 + most * product.stride * 2;
    // As many blocks of a processor as its memory allows, and registers.
    let blocks = if teams == 2 { 1 } else { ((chip.shared_bytes + 1024) / (shared_of(4) + 1024)).clamp(1, 2) };
    let halves = product.features.div_ceil(32) * 2;
    let stacks = product.experts.map_or(1, |experts| experts.most_tiles);
    let of_stack = (chip.multiprocessors * blocks).div_ceil(stacks.min(8));
    let of_group =
        group_of(halves, of_stack * teams, if around.leaves.is_some_and(|leaves| leaves.gated) { 2 } else { 1 });
    if shared_of(of_group) > chip.shared_bytes {
        return Err(call.error("its memory of a block is more than this device has"));
    }
    let groups = halves / of_group;
    let across = groups.min(of_stack);
    let skipped = |bytes_of_row: u64| u64::from(first) * bytes_of_row;
    let of_row = |address: u64| if address == 0 { 0 } else { address + skipped(u64::from(product.out_stride) * 4) };
    let (made, factors) = around
        .made
        .map_or((0, 0), |(made, factors)| (made + skipped(u64::from(product.stride) * 2), factors + skipped(4)));
    let arguments = Arguments::new().inner(weights.arguments()).inner(product.source()).address(made).address(factors);
    let (tiles, pairs) = product.experts.map_or((0, 0), |experts| (experts.tiles, experts.pairs));
    let arguments = arguments.address(tiles).address(pairs).address(product.bias);
    let arguments = arguments.address(of_row(product.residual)).address(of_row(product.out));
    let arguments = arguments.address(of_row(product.plain)).inner(Left::arguments(around.left));
    let arguments = arguments.inner(Left::arguments(around.leaves));
    let sizes = [rows, product.features, weights.columns, product.stride, product.out_stride, of_group, groups];
    let arguments = arguments.words(&sizes).words(&[product.choices]);
    plan.launch(name, [across, stacks, 1], 256 * teams, shared_of(of_group), arguments);
    Ok(())
}

/// How `some.cu` splits a product: groups of four warps of a block, 64 features each, and blocks that share a panel's columns.
struct Panels {
    groups: u32,
    parts: u32,
}

impl Panels {
    /// So that processors have alike to do, as measured. Blocks of three groups have a processor for themselves; clusters of
    /// four or eight such blocks do not fill every group of processors, and those of two groups lie two on one.
    fn of(features: u32, width: u32, multiprocessors: u32) -> Panels {
        let (three, two) = (features.div_ceil(192), features.div_ceil(128));
        let clusters = |parts: u32| multiprocessors / parts - multiprocessors / parts / 8;
        let (groups, parts) = match width {
            64 if three <= clusters(8) => (3, 8),
            64 if three <= clusters(4) => (3, 4),
            64 if two * 2 <= multiprocessors => (2, 2),
            64 if three * 2 <= multiprocessors => (3, 2),
            64 if two > multiprocessors && three <= multiprocessors => (3, 1),
            64 => (2, 1),
            _ if two * 8 <= multiprocessors * 2 => (2, 8),
            _ if two * 2 <= multiprocessors * 2 => (2, 2),
            _ => (2, 1),
        };
        Panels { groups, parts }
    }
}

/// Products of 17 to 64 rows at a time, on Hopper. They leave `leaves`, of which there is none where there are more rows.
fn some(plan: &mut Plan, product: &Product, leaves: Option<Left>) -> Result<(), GpuError> {
    let (call, weights) = (product.call, &product.weights);
    let left = plan.left.take();
    let (made, factors) = match &left {
        Some(left) => (left.addresses[0], 0),
        None => make_rows(plan, product, product.rows, Arrangement::Registers, 0),
    };
    let behind = |address: u64, bytes: u64| if address == 0 { 0 } else { address + bytes };
    for first in (0..product.rows).step_by(SOME_ROWS as usize) {
        let rows = (product.rows - first).min(SOME_ROWS);
        let width = rows.next_power_of_two().max(32);
        let Panels { groups, parts } = Panels::of(product.features, width, plan.chip.multiprocessors);
        let (panel, panels) = (64 * groups, product.features.div_ceil(64 * groups));
        let skipped = |bytes_of_row: u64| u64::from(first) * bytes_of_row;
        let of_row = |address: u64| behind(address, skipped(u64::from(product.out_stride) * 4));
        let stride = u64::from(product.stride);
        let at = made + skipped(stride * 2);
        let (sizes, part) = ([stride, rows.into()], [64, width]);
        let x = plan.context.tensor_map(weights.code == 30, at, &sizes, &[stride * 2], &part, true);
        let x = x.map_err(|reason| call.error(reason))?;
        let arguments = Arguments::new().map(&x).inner(weights.arguments()).address(behind(factors, skipped(4)));
        let arguments = arguments.address(product.bias).address(of_row(product.residual)).address(of_row(product.out));
        let arguments = arguments.address(of_row(product.plain)).inner(product.source());
        let arguments = arguments.inner(Left::arguments(left.as_ref())).inner(Left::arguments(leaves.as_ref()));
        let slots = if parts == 1 { 1 } else { 8 / parts };
        let sums = slots * width * panel * 4 + 1536;
        // Stretches of rows on their way: those of a narrow product are here sooner.
        let most = if groups == 3 {
            8
        } else if width == 64 {
            4
        } else {
            3
        };
        let stages = most.min((plan.chip.shared_bytes - sums) / (width * 256));
        let sizes = [rows, product.features, weights.columns, product.out_stride, product.x_stride, parts, stages];
        let shared = stages * width * 256 + sums;
        let wide = if groups == 3 { "_wide" } else { "" };
        let name = format!("some{width}{wide}_{}", weights.product_name());
        plan.launch_clusters(name, [panels * parts, 1, 1], (128 * groups, parts), shared, arguments.words(&sizes));
    }
    plan.leaves = leaves;
    Ok(())
}

/// What surrounds a product in tiles.
struct Tiles {
    /// Rows and their factors; no factors: ones.
    made: u64,
    factors: u64,
    /// Rows sorted by expert: pairs, where each expert's rows begin, and how many experts.
    experts: Option<(u64, u64, u32)>,
    /// The features are gates and ups.
    gate: Option<TileGate>,
}

struct TileGate {
    /// What they give is left as rows of bf16.
    rounded: bool,
    act: u32,
    alpha: f32,
    limit: f32,
}

/// A product of many rows of experts, which are sorted.
fn many_of_experts(plan: &mut Plan, product: &Product, experts: Experts, count: u32) -> Result<(), GpuError> {
    let offsets = plan.take(u64::from(count + 1) * 4);
    let arguments = Arguments::new().address(experts.tiles).address(offsets).words(&[experts.most_tiles, count]);
    plan.launch("expert_offsets", [1, 1, 1], 512, 0, arguments);
    let (made, factors) = make_rows(plan, product, product.rows, Arrangement::Products, experts.pairs);
    tiles(plan, product, &Tiles { made, factors, experts: Some((experts.pairs, offsets, count)), gate: None })
}

/// A product of many rows, tile by tile.
fn tiles(plan: &mut Plan, product: &Product, around: &Tiles) -> Result<(), GpuError> {
    let (call, weights) = (product.call, &product.weights);
    let (pairs, offsets, count) = around.experts.unwrap_or((0, 0, 1));
    let row_tiles = u64::from(product.features.div_ceil(32) * count);
    let (dense, blocks) = if weights.is_dense() {
        (weights.parts[0], u64::from(weights.blocks()))
    } else {
        let stretches = u64::from(weights.blocks().div_ceil(4));
        let dense = plan.take(row_tiles * stretches * 4 * 2048);
        let arguments = Arguments::new().inner(weights.arguments()).address(dense).words(&[row_tiles as u32 * 32]);
        let name = format!("unpack_{}", weights.code_name());
        plan.launch(name, [(row_tiles * stretches).div_ceil(8) as u32, 1, 1], 256, 0, arguments);
        (dense, stretches * 4)
    };
    let processors = plan.chip.multiprocessors;
    // Of experts, each may have a block that is not full.
    let row_blocks = if count > 1 { product.rows / 128 + count } else { product.rows.div_ceil(128) };
    let waves = |width: u32| (row_blocks * product.features.div_ceil(width)).div_ceil(processors);
    // The narrower tile asks more of the second cache.
    let narrow = around.gate.is_none() && waves(128) * 128 * 21 < waves(192) * 192 * 20;
    let width: u32 = if narrow { 128 } else { 192 };
    let stages = if width == 192 { 4 } else { 5 };
    let brain = weights.code == 30;
    let context = plan.context;
    let stride = u64::from(product.stride);
    let x = context.tensor_map(brain, around.made, &[stride, product.rows.into()], &[stride * 2], &[64, 128], true);
    let halves = if around.gate.is_some() { 2 } else { 1 };
    let sizes = [256, row_tiles / halves, halves, blocks * 4];
    let strides = [blocks * 2048, row_tiles / halves * blocks * 2048, 512];
    let part = [256, width / 32 / halves as u32, halves as u32, 4];
    let w = context.tensor_map(brain, dense, &sizes, &strides, &part, false);
    let (x, w) = (x.map_err(|reason| call.error(reason))?, w.map_err(|reason| call.error(reason))?);
    let arguments = Arguments::new().map(&x).map(&w).address(offsets).address(pairs).address(around.factors);
    let arguments = arguments.address(product.bias).address(product.residual).address(product.out);
    let arguments = arguments.address(product.plain);
    let (rounded, act, alpha, limit) =
        around.gate.as_ref().map_or((false, 0, 0.0, 0.0), |gate| (gate.rounded, gate.act, gate.alpha, gate.limit));
    let arguments = arguments.floats(&[weights.result_factor(), alpha, limit]);
    let sizes = [product.rows, product.features, weights.columns, product.out_stride, u32::from(rounded), act, count];
    // Two blocks that have neighbouring rows' tiles bring the weights for each other.
    let cluster = if around.experts.is_none() && row_blocks.is_multiple_of(2) { 2 } else { 1 };
    let grid = [(row_blocks * product.features.div_ceil(width)).min(processors / cluster * cluster), 1, 1];
    // Tiles that come, what half a tile gave, and barriers.
    let shared = stages * (128 + width) * 128 + 64 * (width + 8) * 4 + 1024 + 128;
    let kind = match (around.experts, &around.gate) {
        (Some(_), _) => "experts_",
        (None, Some(_)) => "gated_",
        (None, None) => "",
    };
    let name = format!("gemm_{kind}{}_{width}", weights.element());
    plan.launch_clusters(name, grid, (512, cluster), shared, arguments.words(&sizes));
    Ok(())
}

/// A product with weights of f32. One row is made inside it.
fn f32_weights(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let weights = &product.weights;
    let sizes = [product.rows, product.features, weights.columns, product.stride, product.out_stride, product.choices];
    let with = |rows: u64, tiles: u64, pairs: u64| {
        let arguments = Arguments::new().inner(weights.arguments()).address(rows).address(tiles).address(pairs);
        arguments.address(product.bias).address(product.residual).address(product.out).words(&sizes)
    };
    let lone = product.experts.is_none() && product.rows == 1;
    if lone && product.input != GATED && weights.columns <= LONG_ROW {
        let arguments = Arguments::new().inner(with(0, 0, 0)).inner(product.source());
        plan.launch("product_f32_row", [product.features.div_ceil(4), 1, 1], 512, product.stride * 4, arguments);
        return Ok(());
    }
    let x_rows = product.experts.map_or(product.rows, |_| product.rows.div_ceil(product.choices));
    let made =
        Made { name: "f32".to_string(), element_bytes: 4, rows: x_rows, arrangement: Arrangement::Lanes, pairs: 0 };
    let (rows, _) = make(plan, product, &made);
    let (tiles, pairs) = product.experts.map_or((0, 0), |experts| (experts.tiles, experts.pairs));
    // So many rows, and outputs, for a block.
    let (name, of_rows, of_outputs) = match product.experts {
        None if product.rows > SOME_ROWS => ("product_f32_many", 16, 16),
        _ => ("product_f32", FEW_ROWS, 4),
    };
    let stacks = product.experts.map_or(product.rows.div_ceil(of_rows), |experts| experts.most_tiles);
    let grid = [product.features.div_ceil(of_outputs), stacks, 1];
    plan.launch(name, grid, 512, 0, with(rows, tiles, pairs));
    Ok(())
}
