//! Attention, its heads and its cache: kernels of `attention.cu`, `attention_step.cu`, `attention_prompt.cu` and `plain.cu`.
//!
//! On Hopper the commands of a step in which every row is of a sequence of its own, from norming the heads to the merged
//! result, become one kernel. Invariant: which kernels are taken depends on shapes alone, and all give the same bits.
//! Read next: `cuda/attention.cu`, `cuda/attention_step.cu`.

use super::arguments::Arguments;
use super::driver::TensorMap;
use super::left;
use super::matmul;
use super::plan::{Call, Left, Plan, Split, address};
use super::product::Product;
use crate::device::Command;
use crate::error::GpuError;

/// Keys of a tile.
const TILE_KEYS: u32 = 64;

/// Most tiles that are merged where they are summed.
const CLOSE_TILES: u32 = 16;

/// Tiles of a row that are merged one by one, each a span; so many one cluster of blocks attends to.
const STEP_TILES: u32 = 64;

/// Tiles of each span behind them.
const RUN_TILES: u32 = 8;

/// Most rows whose keys are split among blocks.
const SPLIT_ROWS: u32 = 64;

/// The dispatch `heads`, and of the commands behind it as many as its kernel does too; how many those are.
pub(super) fn heads(plan: &mut Plan, call: &Call, rest: &[Command]) -> Result<usize, GpuError> {
    let write = rest.first().and_then(Call::of).filter(|write| is_written(call, write));
    if let Some(write) = &write
        && let Some(done) = step(plan, call, write, &rest[1..])?
    {
        return Ok(1 + done);
    }
    let normed = call.constant("NORMS") == 1;
    let values = write.as_ref().map_or(0, |write| write.constant("KV_HEADS"));
    let nothing = || Arguments::new().address(0).address(0).address(0).address(0).words(&[0; 7]);
    let arguments = Arguments::new().inner(write.as_ref().map_or_else(nothing, cache));
    let arguments = arguments.address(call.address(0)).address(call.address_if(normed, 1));
    let arguments = arguments.address(call.address_if(normed, 2)).address(call.address(3));
    let names = ["HEADS", "HEAD_DIM", "ROTATED", "INTERLEAVED"];
    let count = call.groups[0] + values;
    let arguments = arguments.words(&names.map(|name| call.constant(name))).words(&call.params[..2]).words(&[count]);
    match call.constant("HEAD_DIM") {
        dim @ (64 | 128) if call.constant("ROTATED").is_multiple_of(8) => {
            // 128 elements at a time for each of 8 warps; of many rows a warp has up to six times as many.
            let times = if call.groups[1] > SPLIT_ROWS { 6 } else { 1 };
            let blocks = (count * dim).div_ceil(128 * 8 * times);
            plan.launch(format!("heads_{dim}"), [blocks, call.groups[1], 1], 256, 0, arguments)
        }
        _ => plan.launch("heads", [count, call.groups[1], 1], 64, 0, arguments),
    }
    Ok(write.is_some().into())
}

/// Whether `write` writes the keys and values of just these heads to their pages.
fn is_written(heads: &Call, write: &Call) -> bool {
    let dim = heads.constant("HEAD_DIM");
    write.kernel.name == "kv_write"
        && write.address(0) == heads.address(0)
        && write.groups[1] == heads.groups[1]
        && (write.constant("KEY_DIM"), write.constant("VALUE_DIM")) == (dim, dim)
        && write.constant("KV_HEADS") + heads.constant("HEADS") == heads.groups[0]
        && write.params[..2] == [heads.params[0], heads.constant("HEADS") * dim]
}

/// Heads, their cache and attention in one kernel, where every row is of a sequence of its own and what a cluster of
/// blocks sums has room in their memory; how many commands behind `write` that were.
fn step(plan: &mut Plan, heads: &Call, write: &Call, rest: &[Command]) -> Result<Option<usize>, GpuError> {
    let Some(attention) = rest.first().and_then(Call::of).filter(|call| call.kernel.name == "attention") else {
        return Ok(None);
    };
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| attention.constant(name));
    let rows = attention.groups[2];
    let same_cache = (1..4).all(|index| attention.address(index) == write.address(index));
    let same = attention.address(0) == heads.address(0)
        && same_cache
        && attention.params[0] == heads.params[0]
        && (group * kv_heads, dim) == (heads.constant("HEADS"), heads.constant("HEAD_DIM"));
    if !(same && is_alone(&attention) && rows <= SPLIT_ROWS && is_brought(plan, &attention)) {
        return Ok(None);
    }
    let Some(name) = on_matrices(&attention) else { return Ok(None) };
    let tiles = tiles_of(&attention);
    let shares = Shares { tiles, others: kv_heads * group.div_ceil(16) * rows, here: group.min(16), dim };
    let Some(cluster) = Cluster::of(plan, shares) else { return Ok(None) };
    let (out, done) = match rest.get(1).and_then(Call::of) {
        Some(join) if attention.constant("MODE") == 0 && join.kernel.name == "attention_join" => (join.address(3), 2),
        _ if attention.constant("MODE") == 0 => return Ok(None),
        _ => (attention.address(5), 1),
    };
    let normed = heads.constant("NORMS") == 1;
    let columns = group * kv_heads * dim;
    let next = rest.get(done).and_then(Call::of).filter(|_| attention.params[1] == columns);
    // Values are left as they are: nobody adds up their squares here.
    let leaves = left::to_next(plan, next.as_ref(), out, rows, columns).filter(|left| !left.normed() && !left.gated);
    let pages = pages_map(plan, &attention)?;
    let arguments = Arguments::new().map(&pages).inner(attention_arguments(&attention, 0, out, rows, tiles));
    let arguments = arguments.address(heads.address(0)).address(heads.address_if(normed, 1));
    let arguments = arguments.address(heads.address_if(normed, 2)).address(heads.address(3));
    let names = ["NORMS", "ROTATED", "INTERLEAVED"];
    let arguments = arguments.words(&[heads.constant("HEADS") * dim]).words(&names.map(|name| heads.constant(name)));
    let arguments = arguments.floats(&[heads.float(1)]).words(&[cluster.stages]);
    let arguments = arguments.inner(Left::arguments(leaves.as_ref()));
    let kernel = match (cluster.blocks, leaves.is_some()) {
        (1, true) => "lone_leaving",
        (1, false) => "lone",
        (_, true) => "leaving",
        (_, false) => "step",
    };
    plan.leaves = leaves;
    let grid = [cluster.blocks, kv_heads * group.div_ceil(16), rows];
    let block = (cluster.quads * 128, cluster.blocks);
    plan.launch_clusters(format!("attention_{kernel}_{name}"), grid, block, cluster.shared, arguments);
    Ok(Some(done))
}

/// The end of struct StepArgs for kernels whose heads are made before.
fn without_heads(arguments: Arguments, leaves: Option<&Left>) -> Arguments {
    let arguments = arguments.address(0).address(0).address(0).address(0).words(&[0; 4]).floats(&[0.0]).words(&[0]);
    arguments.inner(Left::arguments(leaves))
}

/// Whether every row is of a sequence of its own.
fn is_alone(attention: &Call) -> bool {
    attention.groups[2] == 1 || attention.constant("ALONE") == 1
}

/// Bytes that four warps which sum a tile need to tell one another: struct Exchange of `attention_tile.cuh`.
const EXCHANGE_BYTES: u32 = (4 * 16 + 4 * 32 * 4 + TILE_KEYS / 8 * 32 * 4) * 4;

/// Columns that a warp merges.
const UNIT_COLUMNS: u32 = 64;

/// Bytes of the barriers of all warps that sum tiles, and of the one at which a cluster's sums arrive.
const BARRIER_BYTES: u32 = 128;

/// Tiles up to which a lone block is faster than a cluster though half of all processors have none.
const FEW_TILES: u32 = 8;

/// Teams of four warps that there is room for on a processor, for the registers that they take.
const MOST_TEAMS: u32 = 4;

/// Blocks that have a row and KV head together, or a lone one; each four of their warps take tiles, and have so many on their
/// way.
struct Cluster {
    blocks: u32,
    quads: u32,
    stages: u32,
    shared: u32,
}

/// What all of them have to do: tiles, rows and KV heads (blocks of 16 heads), heads of a block.
#[derive(Clone, Copy)]
struct Shares {
    tiles: u32,
    others: u32,
    here: u32,
    dim: u32,
}

impl Cluster {
    /// A lone block where rows are many or each of its teams has a tile at most, or else a cluster; or neither, for there
    /// is no room for what they sum.
    fn of(plan: &Plan, shares: Shares) -> Option<Cluster> {
        let Shares { tiles, others, .. } = shares;
        let processors = plan.chip.multiprocessors;
        let is_short = tiles <= MOST_TEAMS || 4 * others > processors && tiles <= FEW_TILES;
        let is_many = 2 * others > processors;
        let lone = (is_many || is_short).then(|| Cluster::lone(plan, shares, is_many)).flatten();
        lone.or_else(|| Cluster::shared(plan, shares)).filter(|_| tiles <= STEP_TILES)
    }

    fn new(shares: Shares, blocks: u32, quads: u32, stages: u32) -> Cluster {
        let Shares { tiles, here, dim, .. } = shares;
        // Queries, the new key and value; these rounded, and zeros; of all tiles the units that a block merges.
        let heads = (here + 2) * (dim + 8) * 4 + (here + 3) * (dim + 8) * 2;
        let kept = tiles * (here * dim / UNIT_COLUMNS).div_ceil(blocks) * (UNIT_COLUMNS + 4) * 4;
        let shared = quads * (stages * 2 * TILE_KEYS * dim * 2 + EXCHANGE_BYTES) + BARRIER_BYTES + heads + kept;
        Cluster { blocks, quads, stages, shared }
    }

    /// How many of its blocks have room on a processor.
    fn resident(&self, plan: &Plan) -> u32 {
        ((plan.chip.shared_bytes + 1024) / (self.shared + 1024)).min(MOST_TEAMS / self.quads)
    }

    /// A block of its own for each row and KV head, of as many teams and tiles on their way as are soonest done: each turn
    /// of all processors costs a beginning and an end beside its tiles, and where the next kernel finds none of them idle
    /// (`is_many`) more of it with more teams.
    fn lone(plan: &Plan, shares: Shares, is_many: bool) -> Option<Cluster> {
        let ways = [(1, 2), (1, 1), (2, 1), (4, 1)].map(|(quads, stages)| Cluster::new(shares, 1, quads, stages));
        let cost = |way: &Cluster| {
            let turns = shares.others.div_ceil(plan.chip.multiprocessors * way.resident(plan));
            turns * (2 * shares.tiles.div_ceil(way.quads) + 4 + if is_many { way.quads } else { 0 })
        };
        ways.into_iter().filter(|way| way.resident(plan) > 0).min_by_key(cost)
    }

    /// Several blocks: so many that all processors have work, and that what they sum has room: one block on a processor, or
    /// where there are many rows two of fewer warps.
    fn shared(plan: &Plan, shares: Shares) -> Option<Cluster> {
        let processors = plan.chip.multiprocessors;
        let (quads, stages, together) = match shares.others.div_ceil(processors) {
            ..=1 => (2, 2, 1),
            2 => (1, 2, 2),
            _ => (1, 1, 2),
        };
        let enough = |blocks: &u32| blocks * quads >= shares.tiles || 2 * blocks * shares.others > processors;
        let least = [2, 4].into_iter().find(enough).unwrap_or(8);
        let ways = [2, 4, 8].into_iter().filter(|blocks| *blocks >= least);
        let mut ways = ways.map(|blocks| Cluster::new(shares, blocks, quads, stages));
        ways.find(|way| together * (way.shared + 1024) <= plan.chip.shared_bytes + 1024)
    }
}

/// Whether the copy engine can bring the tiles of this cache: Hopper's, whole boxes of pages, whose keys are a power of two.
fn is_brought(plan: &Plan, attention: &Call) -> bool {
    let page = attention.constant("PAGE");
    let boxes =
        if page < TILE_KEYS { page >= 8 && TILE_KEYS.is_multiple_of(page) } else { page.is_multiple_of(TILE_KEYS) };
    plan.chip.major == 9 && boxes && page.is_power_of_two()
}

/// The pages as keys and values: 64 columns of 8 of them, the columns behind these, the next 8.
fn pages_map(plan: &Plan, attention: &Call) -> Result<TensorMap, GpuError> {
    let (dim, page) = (attention.constant("KEY_DIM"), attention.constant("PAGE"));
    let (pages, row_bytes) = (&attention.buffers[3], u64::from(dim) * 2);
    let sizes = [64, 8, u64::from(dim / 64), pages.bytes() / row_bytes / 8];
    let strides = [row_bytes, 128, 8 * row_bytes];
    let part = [64, 8, dim / 64, page.min(TILE_KEYS) / 8];
    let brain = attention.constant("ELEMENT") == 2;
    let map = plan.context.tensor_map(brain, address(pages), &sizes, &strides, &part, true);
    map.map_err(|reason| attention.error(reason))
}

/// struct KvWriteArgs.
pub(super) fn cache(call: &Call) -> Arguments {
    let names = ["KV_HEADS", "KEY_DIM", "VALUE_DIM", "PAGE", "ELEMENT"].map(|name| call.constant(name));
    let arguments = (0..4).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    arguments.words(&names).words(&call.params[..2])
}

/// The dispatch `kv_write`.
pub(super) fn write(plan: &mut Plan, call: &Call) {
    let elements = call.constant("KV_HEADS") * (call.constant("KEY_DIM") + call.constant("VALUE_DIM"));
    plan.launch("kv_write", [elements.div_ceil(128), call.groups[1], 1], 128, 0, cache(call));
}

/// Arguments of every kernel of `attention.cu`.
fn attention_arguments(call: &Call, scratch: u64, out: u64, count: u32, tiles: u32) -> Arguments {
    let names = ["GROUP", "KV_HEADS", "KEY_DIM", "VALUE_DIM", "PAGE", "ELEMENT"].map(|name| call.constant(name));
    let [group, kv_heads, ..] = names;
    let arguments = (0..4).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    let arguments = arguments.address(call.address_if(call.constant("SINKS") == 1, 4)).address(scratch).address(out);
    let arguments = arguments.words(&[count, group * kv_heads]).words(&names);
    let arguments = arguments.words(&[call.params[0], call.params[1], tiles, call.params[4]]);
    let cap = if call.constant("CAP") == 1 { call.float(5) } else { 0.0 };
    arguments.floats(&[call.float(3), cap])
}

/// How many blocks share the pairs of tiles of each row and KV head, so that all that run at a time (`room`) have about
/// as much to do; each block's beginning costs as much as three quarters of a pair.
fn blocks_across(pairs: u32, others: u32, room: u32) -> u32 {
    let cost = |each: &u32| (pairs.div_ceil(*each) * others).div_ceil(room) * (4 * each + 3);
    pairs.div_ceil((1..=16).min_by_key(cost).unwrap_or(1)).max(1)
}

/// Name of the cache's element where the tensor cores' kernels know the shape.
fn on_matrices(call: &Call) -> Option<String> {
    let dim = call.constant("KEY_DIM");
    let known = matches!(dim, 64 | 128) && call.constant("VALUE_DIM") == dim && call.constant("GROUP") <= 64;
    match call.constant("ELEMENT") {
        1 if known => Some(format!("f16_{dim}")),
        2 if known => Some(format!("bf16_{dim}")),
        _ => None,
    }
}

/// The dispatch `attention`, and of the commands behind it as many as its kernels do too; how many those are.
pub(super) fn attention(plan: &mut Plan, call: &Call, rest: &[Command]) -> Result<usize, GpuError> {
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| call.constant(name));
    let (rows, heads) = (call.groups[2], group * kv_heads);
    if dim.max(call.constant("VALUE_DIM")) > 1024 {
        return Err(call.error(format!("heads of {dim}")));
    }
    let out = call.address(5);
    let is_split = call.constant("MODE") == 0;
    match on_matrices(call) {
        Some(name) if is_split => split_attention(plan, call, &name)?,
        Some(name) if rows <= SPLIT_ROWS && is_alone(call) => {
            let (tiles, shared) = close(call);
            let arguments = attention_arguments(call, 0, out, rows, tiles);
            let grid = [1, kv_heads * group.div_ceil(16), rows];
            plan.launch(format!("attention_close_{name}"), grid, 64, shared, arguments);
        }
        Some(name) if is_brought(plan, call) => return prompt(plan, call, &name, rest),
        Some(name) => {
            let arguments = attention_arguments(call, 0, out, rows, 0);
            let grid = [kv_heads, rows.div_ceil(64 / group), 1];
            plan.launch(format!("attention_prefill_{name}"), grid, 128, 4 * TILE_KEYS * dim * 2, arguments);
        }
        None if is_split => {
            let arguments = attention_arguments(call, 0, JOINED, rows, 0);
            let name = "attention_any".to_string();
            plan.split = Some(Split { name, grid: [heads, rows, 1], block: 128, shared: 0, arguments });
        }
        None => {
            let arguments = attention_arguments(call, 0, out, rows, 0);
            plan.launch("attention_any", [heads, rows, 1], 128, 0, arguments);
        }
    }
    Ok(0)
}

/// Threads of two teams of a prompt's attention, which keep their spans; bytes of its tiles, eight of 64 keys or values of
/// heads of 128, with their barriers: `attention_prompt.cu`.
const PROMPT_THREADS: u32 = 256;
const PROMPT_STAGES: u32 = 8 * 64 * 128 * 2 + 256;

/// Attention of a prompt's rows. Where a product of bf16 behind it is all that reads them, it leaves them as that has them.
fn prompt(plan: &mut Plan, call: &Call, name: &str, rest: &[Command]) -> Result<usize, GpuError> {
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| call.constant(name));
    let rows = call.groups[2];
    // Units of 64 rows a team: two teams share tiles where all processors have some even so.
    let (units, processors) = (|teams: u32| rows.div_ceil(teams * (64 / group)) * kv_heads, plan.chip.multiprocessors);
    let teams = if units(1) > processors { 2 } else { 1 };
    // Spans that are merged wait in memory of their own while the next one is summed.
    let kept = if tiles_of(call) > STEP_TILES { PROMPT_THREADS * dim * 2 } else { 0 };
    let (grid, shared) = ([processors.min(units(teams)), 1, 1], PROMPT_STAGES + kept);
    let attend = |plan: &mut Plan, out: u64, leaves: Option<&Left>| -> Result<(), GpuError> {
        let arguments = Arguments::new().map(&pages_map(plan, call)?);
        let arguments = without_heads(arguments.inner(attention_arguments(call, 0, out, rows, 0)), leaves);
        plan.launch(format!("attention_prompt_{name}"), grid, 128 * (teams + 1), shared, arguments);
        Ok(())
    };
    if let Some(next) = rest.first().and_then(Call::of).filter(|next| matmul::is_of_rows(next, call.address(5), rows)) {
        let (next, done) = matmul::with_end(plan, Product::of(&next)?, &rest[1..]);
        if next.x_stride == call.params[1] && matmul::takes_rounded(plan, call, &next) {
            let left = matmul::rounded(plan, &next);
            attend(plan, 0, Some(&left))?;
            matmul::of_rounded(plan, &next, &left)?;
            return Ok(1 + done);
        }
    }
    attend(plan, call.address(5), None)?;
    Ok(0)
}

/// Tiles of the longest sequence.
fn tiles_of(call: &Call) -> u32 {
    call.params[2] * (call.constant("SPLIT") / TILE_KEYS)
}

/// Tiles of the longest sequence, and memory of a block that keeps what all of them give: sums, largest score and total of
/// each head.
fn close(call: &Call) -> (u32, u32) {
    let [group, dim] = ["GROUP", "KEY_DIM"].map(|name| call.constant(name));
    let tiles = tiles_of(call);
    (tiles, 2 * TILE_KEYS * dim * 4 + tiles * group.min(16) * (dim + 2) * 4)
}

/// Attention of few rows on matrices, its keys split: all in one kernel where they are few, else with a join.
fn split_attention(plan: &mut Plan, call: &Call, name: &str) -> Result<(), GpuError> {
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| call.constant(name));
    let (rows, heads, chip) = (call.groups[2], group * kv_heads, plan.chip);
    let (tiles, kept) = close(call);
    let blocks_of_heads = kv_heads * group.div_ceil(16);
    let others = blocks_of_heads * rows;
    // Where all have work and there are few tiles, a block keeps what they gave.
    if tiles <= CLOSE_TILES && others >= chip.multiprocessors && 2 * (kept + 16 * 1024) <= chip.shared_bytes {
        let (name, arguments) = (format!("attention_close_{name}"), attention_arguments(call, 0, JOINED, rows, tiles));
        plan.split = Some(Split { name, grid: [1, blocks_of_heads, rows], block: 64, shared: kept, arguments });
        return Ok(());
    }
    let spans = tiles.min(STEP_TILES) + tiles.saturating_sub(STEP_TILES).div_ceil(RUN_TILES);
    let floats = u64::from(rows) * u64::from(heads) * u64::from(spans) * u64::from(dim + 4);
    let scratch = plan.take(floats * 4);
    let arguments = attention_arguments(call, scratch, 0, rows, spans);
    if is_brought(plan, call) {
        let arguments = Arguments::new().map(&pages_map(plan, call)?).inner(arguments);
        let arguments = without_heads(arguments, None);
        let stages = LONG_WARPS * 128 / dim;
        let run = 16 * (dim + 8) * 4 + LONG_WARPS * 8;
        let shared = stages * (2 * TILE_KEYS * dim * 2 + 32) + run + SPLIT_ROWS * 8 + (SPLIT_ROWS + 1) * 4;
        let grid = [chip.multiprocessors.min(tiles * others), 1, 1];
        plan.launch(format!("attention_long_{name}"), grid, (LONG_WARPS + 1) * 32, shared, arguments);
    } else {
        let across = blocks_across(spans.div_ceil(2), others, chip.multiprocessors * 3);
        let grid = [across, blocks_of_heads, rows];
        plan.launch(format!("attention_decode_{name}"), grid, 64, 2 * TILE_KEYS * dim * 4, arguments);
    }
    let arguments = attention_arguments(call, scratch, JOINED, rows, spans);
    let name = "attention_join".to_string();
    // 32 dimensions: what 64 spans count, twice, and sums of 64 spans, four times where there are so many.
    let shared = 2 * 32 * (64 + 4) * 4 + spans.div_ceil(64).min(4) * 64 * 32 * 4;
    plan.split = Some(Split { name, grid: [heads, rows, dim / 32], block: 128, shared, arguments });
    Ok(())
}

/// Warps that sum tiles in a block of `attention_long`.
const LONG_WARPS: u32 = 5;

/// Stands for the output that only the join knows.
const JOINED: u64 = 0x4a4f_494e_4544_0000;

/// The dispatch `attention_join`: what the split attention before it left to be started.
pub(super) fn join(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let split = plan.split.take().ok_or_else(|| call.error("no split attention stands before it"))?;
    let arguments = split.arguments.replace(JOINED, call.address(3));
    plan.launch(split.name, split.grid, split.block, split.shared, arguments);
    Ok(())
}
