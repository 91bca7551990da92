//! From the commands of a list to kernels of `crates/gpu/cuda`: which, with what grid and arguments.
//!
//! A command may become several kernels with scratch memory between them. Invariant: the order of every sum depends on
//! the shapes of the operation, never on how many rows there are. Read next: `matmul`, and the sources beside it.

use super::arguments::Arguments;
use super::driver::Shape;
use super::formula;
use super::layers;
use super::matmul::{self, Weights};
use super::runtime::{Shared, address};
use crate::device::{Buffers, Command, Kernel, List};
use crate::error::GpuError;
use crate::group::{MAIL_FLOATS, MOST_CARDS};

/// Keys of a tile of `attention.cu`.
const TILE_KEYS: u32 = 64;

/// Most tiles that are merged where they are summed.
const CLOSE_TILES: u32 = 16;

/// One thing that the driver starts.
pub(super) enum Step {
    Launch { name: String, shape: Shape, arguments: Vec<u8> },
    Copy { to: u64, from: u64, bytes: u64 },
}

/// The steps of a list, and what they need between them.
pub(super) struct Plan<'a> {
    pub shared: &'a Shared,
    steps: Vec<Step>,
    scratch: u64,
    /// Bytes of scratch memory that the command takes, and the most that any took.
    taken: u64,
    most: u64,
    /// What the join of a split attention, which is next, is to start: it knows the output.
    split: Option<Split>,
}

/// A kernel whose output is not known yet.
struct Split {
    name: String,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    arguments: Arguments,
}

/// One dispatch.
pub(super) struct Call<'a> {
    pub kernel: &'a Kernel,
    pub buffers: &'a Buffers,
    pub params: &'a [u32],
    pub groups: [u32; 3],
}

/// Bytes that the kernels of one command need between them, at most.
pub(super) fn scratch_bytes(shared: &Shared, list: &List) -> Result<u64, GpuError> {
    // Only sizes count: any address that is aligned will do.
    const NOWHERE: u64 = 1 << 44;
    Ok(plan(shared, list, NOWHERE)?.most)
}

/// The steps of a list, with scratch memory at an address.
pub(super) fn steps(shared: &Shared, list: &List, scratch: u64) -> Result<Vec<Step>, GpuError> {
    Ok(plan(shared, list, scratch)?.steps)
}

fn plan<'a>(shared: &'a Shared, list: &List, scratch: u64) -> Result<Plan<'a>, GpuError> {
    let mut plan = Plan { shared, steps: vec![], scratch, taken: 0, most: 0, split: None };
    let mut commands = list.commands.iter().peekable();
    while let Some(command) = commands.next() {
        match command {
            Command::Copy { from, to } => {
                plan.steps.push(Step::Copy { to: address(to), from: address(from), bytes: from.bytes() });
            }
            Command::Exchange { .. } => return Err(GpuError::one_card()),
            Command::Dispatch { kernel, buffers, params, groups } => {
                if kernel.name != "attention_join" {
                    plan.taken = 0;
                }
                let call = Call { kernel, buffers, params, groups: *groups };
                if kernel.name == "heads" {
                    let write = commands.peek().and_then(|next| written_heads(&call, next));
                    if write.is_some() {
                        commands.next();
                    }
                    heads(&mut plan, &call, write.as_ref());
                } else {
                    dispatch(&mut plan, &call)?;
                }
            }
        }
    }
    Ok(plan)
}

/// The command that writes the keys and values of just these heads to their pages, when `next` is that.
fn written_heads<'a>(heads: &Call, next: &'a Command) -> Option<Call<'a>> {
    let Command::Dispatch { kernel, buffers, params, groups } = next else { return None };
    let write = Call { kernel, buffers, params, groups: *groups };
    let dim = heads.constant("HEAD_DIM");
    let same = kernel.name == "kv_write"
        && write.address(0) == heads.address(0)
        && groups[1] == heads.groups[1]
        && (write.constant("KEY_DIM"), write.constant("VALUE_DIM")) == (dim, dim)
        && write.constant("KV_HEADS") + heads.constant("HEADS") == heads.groups[0]
        && params[..2] == [heads.params[0], heads.constant("HEADS") * dim];
    same.then_some(write)
}

impl Plan<'_> {
    /// Scratch memory until the end of the command.
    pub fn take(&mut self, bytes: u64) -> u64 {
        let address = self.scratch + self.taken;
        self.taken += bytes.next_multiple_of(256);
        self.most = self.most.max(self.taken);
        address
    }

    /// Start a kernel.
    pub fn launch(&mut self, name: impl Into<String>, grid: [u32; 3], block: u32, shared: u32, arguments: Arguments) {
        self.launch_clusters(name, grid, (block, 1), shared, arguments);
    }

    /// Start a kernel whose blocks, of so many threads, run together in clusters of so many.
    pub fn launch_clusters(
        &mut self,
        name: impl Into<String>,
        grid: [u32; 3],
        (block, cluster): (u32, u32),
        shared: u32,
        arguments: Arguments,
    ) {
        let behind_kernel = matches!(self.steps.last(), Some(Step::Launch { .. }));
        let overlap = behind_kernel && self.shared.chip.major >= 9;
        let shape = Shape { grid, block, shared, overlap, cluster };
        self.steps.push(Step::Launch { name: name.into(), shape, arguments: arguments.finish() });
    }
}

impl Call<'_> {
    pub fn constant(&self, name: &str) -> u32 {
        self.kernel.constant(name)
    }

    pub fn address(&self, index: usize) -> u64 {
        address(&self.buffers[index])
    }

    /// The address of an optional buffer, 0 when it is absent.
    pub fn address_if(&self, there: bool, index: usize) -> u64 {
        if there { self.address(index) } else { 0 }
    }

    pub fn float(&self, index: usize) -> f32 {
        f32::from_bits(self.params[index])
    }

    pub fn error(&self, reason: impl Into<String>) -> GpuError {
        GpuError::Kernel { kernel: self.kernel.name.to_string(), reason: reason.into() }
    }
}

fn dispatch(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    match call.kernel.name {
        "matmul" => matmul::matmul(plan, call)?,
        "embedding" => embedding(plan, call)?,
        "attention" => attention(plan, call)?,
        "attention_join" => attention_join(plan, call)?,
        "elementwise" => elementwise(plan, call)?,
        "kv_write" => kv_write(plan, call),
        "kv_write_quantized" => plan.launch(call.kernel.name, [call.groups[0], call.groups[1], 1], 64, 0, cache(call)),
        "rotate" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.params[0], call.constant("DIM"), call.constant("BLOCK")]);
            plan.launch("rotate", [call.groups[0], call.groups[1], 1], 64, 0, arguments);
        }
        "gather_rows" => {
            let [columns, rows] = [call.params[0], call.groups[1]];
            take(plan, call, [columns * rows, columns, u32::MAX, 0]);
        }
        "take" => take(plan, call, [call.params[0], call.params[1], call.params[2], call.constant("SCATTER")]),
        "norm" => norm(plan, call),
        "greatest" => greatest(plan, call),
        "cards_sum" => cards_sum(plan, call),
        "cards_meet" => cards_meet(plan, call),
        "cards_add" => cards_add(plan, call),
        "cards_join" => cards_join(plan, call),
        "rows" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("KIND"), call.params[0], call.params[1], call.params[2]]);
            plan.launch("reduce_rows", [call.groups[0], 1, 1], 256, 0, arguments);
        }
        "gated" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("GATE")]).words(&call.params[..6]);
            plan.launch("gated", [call.params[0].div_ceil(256), 1, 1], 256, 0, arguments);
        }
        "copy" => {
            let p = call.params;
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("SOURCE"), call.constant("TARGET"), p[0]]).words(&p[1..4]);
            let arguments = arguments.words(&p[4..8]).words(&p[9..13]).words(&[p[8], p[13]]);
            plan.launch("copy", [p[0].div_ceil(256), 1, 1], 256, 0, arguments);
        }
        "route" => layers::route(plan, call),
        "sort_pairs" => layers::sort_pairs(plan, call),
        "mix" => layers::mix(plan, call),
        "convolution" => layers::convolution(plan, call),
        "delta" => layers::delta(plan, call),
        "sort" => layers::sort(plan, call),
        "scan" => layers::scan(plan, call),
        "random" => layers::random(plan, call),
        _ => return Err(call.error("there is no such kernel for CUDA")),
    }
    Ok(())
}

fn take(plan: &mut Plan, call: &Call, words: [u32; 4]) {
    let arguments = (0..3).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    plan.launch("take", [words[0].div_ceil(256), 1, 1], 256, 0, arguments.words(&words));
}

fn norm(plan: &mut Plan, call: &Call) {
    let there = |name, index| call.address_if(call.constant(name) == 1, index);
    let arguments = Arguments::new().address(call.address(0)).address(there("WEIGHT", 1)).address(there("BIAS", 2));
    let arguments = arguments.address(there("ADD", 3)).address(call.address(4));
    let arguments = arguments.words(&[call.constant("KIND")]).words(&call.params[..4]);
    plan.launch("norm_rows", [call.groups[0], 1, 1], 256, 0, arguments);
}

fn greatest(plan: &mut Plan, call: &Call) {
    let has_sums = call.constant("SUMS") == 1;
    let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
    let arguments = arguments.address(call.address_if(has_sums, 2)).address(call.address_if(has_sums, 3));
    let arguments = arguments.words(&[call.constant("COUNT"), call.constant("FIRST")]).words(&call.params[..2]);
    plan.launch("greatest", [call.groups[0], call.groups[1], 1], 256, 0, arguments);
}

/// Heads, written to their pages too where `write` is there.
fn heads(plan: &mut Plan, call: &Call, write: Option<&Call>) {
    let normed = call.constant("NORMS") == 1;
    let values = write.map_or(0, |write| write.constant("KV_HEADS"));
    let cache =
        write.map_or_else(|| Arguments::new().address(0).address(0).address(0).address(0).words(&[0; 7]), cache);
    let arguments = Arguments::new().inner(cache).address(call.address(0)).address(call.address_if(normed, 1));
    let arguments = arguments.address(call.address_if(normed, 2)).address(call.address(3));
    let names = ["HEADS", "HEAD_DIM", "ROTATED", "INTERLEAVED"];
    let arguments = arguments.words(&names.map(|name| call.constant(name))).words(&call.params[..2]);
    plan.launch("heads", [call.groups[0] + values, call.groups[1], 1], 64, 0, arguments);
}

/// struct KvWriteArgs.
fn cache(call: &Call) -> Arguments {
    let names = ["KV_HEADS", "KEY_DIM", "VALUE_DIM", "PAGE", "ELEMENT"].map(|name| call.constant(name));
    let arguments = (0..4).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    arguments.words(&names).words(&call.params[..2])
}

fn kv_write(plan: &mut Plan, call: &Call) {
    let elements = call.constant("KV_HEADS") * (call.constant("KEY_DIM") + call.constant("VALUE_DIM"));
    plan.launch("kv_write", [elements.div_ceil(128), call.groups[1], 1], 128, 0, cache(call));
}

fn embedding(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let columns = call.params[0];
    let weights = Weights::of(call, 1, columns, call.float(1))?;
    let arguments = Arguments::new().inner(weights.arguments()).address(call.address(0)).address(call.address(5));
    let arguments = arguments.words(&[columns, weights.code]).floats(&[call.float(2)]);
    plan.launch("embed", [columns.div_ceil(256), call.groups[1], 1], 256, 0, arguments);
    Ok(())
}

fn elementwise(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let expression = call.kernel.expression.as_ref().ok_or_else(|| call.error("a formula is missing"))?;
    let (length, code) = formula::encode(expression).ok_or_else(|| call.error("the formula is too long"))?;
    let (inputs, extras) = (call.constant("INPUTS") as usize, call.constant("EXTRA") as usize);
    if extras > 8 {
        return Err(call.error(format!("{extras} extra parameters")));
    }
    let address = |index: usize| call.address(index.min(inputs.saturating_sub(1)));
    let arguments = (0..4).fold(Arguments::new(), |arguments, index| arguments.address(address(index)));
    let operand = |index: usize, field: usize| if index < inputs { call.params[1 + 2 * index + field] } else { 1 };
    let mut values = [0; 8];
    values[..extras].copy_from_slice(&call.params[1 + 2 * inputs..][..extras]);
    let arguments = arguments.address(call.address(inputs));
    let arguments = arguments.words(&[0, 1, 2, 3].map(|index| operand(index, 0)));
    let arguments = arguments.words(&[0, 1, 2, 3].map(|index| operand(index, 1))).words(&values);
    let arguments = arguments.words(&[call.params[0], length]).words(&code);
    plan.launch("formula", [call.params[0].div_ceil(256), 1, 1], 256, 0, arguments);
    Ok(())
}

/// Addresses of as many cards as the kernels of `cards.cu` know; those that are not there are null.
fn of_cards(call: &Call, first: usize, arguments: Arguments) -> Arguments {
    let cards = call.constant("CARDS") as usize;
    (0..MOST_CARDS).fold(arguments, |arguments, card| arguments.address(call.address_if(card < cards, first + card)))
}

fn place_among_cards(call: &Call) -> [u32; 2] {
    ["CARD", "CARDS"].map(|name| call.constant(name))
}

/// Buffers: from, to, the card's turns, each card's mail.
fn cards_sum(plan: &mut Plan, call: &Call) {
    let arguments = (0..3).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    let arguments = of_cards(call, 3, arguments).words(&[call.params[0]]).words(&place_among_cards(call));
    plan.launch("cards_sum", [call.params[0].div_ceil(MAIL_FLOATS as u32), 1, 1], 256, 0, arguments);
}

/// Buffers: each card's turns.
fn cards_meet(plan: &mut Plan, call: &Call) {
    let arguments = of_cards(call, 0, Arguments::new()).words(&place_among_cards(call));
    plan.launch("cards_meet", [1, 1, 1], 32, 0, arguments);
}

/// Buffers: from of each card, to of each card.
fn cards_add(plan: &mut Plan, call: &Call) {
    let cards = call.constant("CARDS");
    let arguments = of_cards(call, cards as usize, of_cards(call, 0, Arguments::new()));
    let arguments = arguments.words(&[call.params[0]]).words(&place_among_cards(call));
    let threads = call.params[0].div_ceil(4).div_ceil(cards);
    plan.launch(
        "cards_add",
        [threads.div_ceil(256).min(8 * plan.shared.chip.multiprocessors), 1, 1],
        256,
        0,
        arguments,
    );
}

/// Buffers: from, to of each card.
fn cards_join(plan: &mut Plan, call: &Call) {
    let arguments = of_cards(call, 1, Arguments::new().address(call.address(0)));
    let [rows, piece] = [call.params[0], call.params[1]];
    let arguments = arguments.words(&[rows, piece]).words(&place_among_cards(call));
    let threads = (u64::from(rows) * u64::from(piece)).div_ceil(256) as u32;
    plan.launch("cards_join", [threads.min(8 * plan.shared.chip.multiprocessors), 1, 1], 256, 0, arguments);
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

fn attention(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| call.constant(name));
    let (rows, heads) = (call.groups[2], group * kv_heads);
    if dim.max(call.constant("VALUE_DIM")) > 1024 {
        return Err(call.error(format!("heads of {dim}")));
    }
    let out = call.address(5);
    let is_split = call.constant("MODE") == 0;
    match on_matrices(call) {
        Some(name) if is_split => split_attention(plan, call, &name),
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
    Ok(())
}

/// Attention of few rows on matrices, its keys split: all in one kernel where they are few, else with a join.
fn split_attention(plan: &mut Plan, call: &Call, name: &str) {
    let [group, kv_heads, dim] = ["GROUP", "KV_HEADS", "KEY_DIM"].map(|name| call.constant(name));
    let (rows, heads, chip) = (call.groups[2], group * kv_heads, plan.shared.chip);
    let tiles = call.params[2] * (call.constant("SPLIT") / TILE_KEYS);
    let blocks_of_heads = kv_heads * group.div_ceil(16);
    let others = blocks_of_heads * rows;
    let two_tiles = 2 * TILE_KEYS * dim * 4;
    // Where all have work and there are few tiles, a block keeps what they gave: sums, largest score and total of each head.
    let kept = two_tiles + tiles * group.min(16) * (dim + 2) * 4;
    if tiles <= CLOSE_TILES && others >= chip.multiprocessors && 2 * (kept + 16 * 1024) <= chip.shared_bytes {
        let (name, arguments) = (format!("attention_close_{name}"), attention_arguments(call, 0, JOINED, rows, tiles));
        plan.split = Some(Split { name, grid: [1, blocks_of_heads, rows], block: 64, shared: kept, arguments });
        return;
    }
    let floats = u64::from(rows) * u64::from(heads) * u64::from(tiles) * u64::from(dim + 4);
    let scratch = plan.take(floats * 4);
    let arguments = attention_arguments(call, scratch, 0, rows, tiles);
    let across = blocks_across(tiles.div_ceil(2), others, chip.multiprocessors * 3);
    plan.launch(format!("attention_decode_{name}"), [across, blocks_of_heads, rows], 64, two_tiles, arguments);
    let arguments = attention_arguments(call, scratch, JOINED, rows, tiles);
    let name = "attention_join".to_string();
    // Sums of 32 tiles, four times where there are so many.
    let shared = tiles.div_ceil(32).min(4) * 32 * dim * 4;
    plan.split = Some(Split { name, grid: [heads, rows, 1], block: 128, shared, arguments });
}

/// Stands for the output that only the join knows.
const JOINED: u64 = 0x4a4f_494e_4544_0000;

fn attention_join(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let split = plan.split.take().ok_or_else(|| call.error("no split attention stands before it"))?;
    let arguments = split.arguments.replace(JOINED, call.address(3));
    plan.launch(split.name, split.grid, split.block, split.shared, arguments);
    Ok(())
}
