//! Which kernels attend: the dispatch `attention` takes every row alone; where a step has many, neighbours of one sequence go
//! to `attention_tile` and only rows without neighbours stay. Invariant: both have one order of sums, so the choice changes
//! no bit. Read next: `wgsl/attention.wgsl`.

use crate::device::{Command, Kernel, Memory};
use crate::error::GpuError;

/// From so many rows on their neighbours are taken together: fewer would leave most of a device idle.
const MANY_ROWS: u32 = 65;
/// The widest values that a thread of a tile has registers for.
const TILE_VALUE_DIM: u32 = 256;
/// Slots of a wide tile, the widest values of one, and so many of them keep the largest devices busy.
const WIDE_SLOTS: u32 = 64;
const WIDE_VALUE_DIM: u32 = 128;
const MANY_TILES: u32 = 1024;
/// The constant ELEMENT of rotated integers, and those above.
const QUANTIZED: u32 = 3;

/// What stands for the dispatch `attention` of these arguments. `scratch` gives memory of at least so many bytes.
pub(super) fn rewrite(
    kernel: &Kernel,
    buffers: &[Memory],
    params: &[u32],
    groups: [u32; 3],
    scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
) -> Result<Vec<Command>, GpuError> {
    let [_, across, count] = groups;
    let (mut buffers, mut params) = (buffers.to_vec(), params.to_vec());
    // With heads there is one more: their epsilon.
    params.insert(6, count);
    let mut kernel = kernel.clone();
    if params.len() == 7 {
        kernel.constants.push(("HEADS", 0));
    }
    let mut commands = vec![];
    if kernel.constant("ELEMENT") >= QUANTIZED {
        let heads = kernel.constant("GROUP") * kernel.constant("KV_HEADS");
        let width = heads * kernel.constant("KEY_DIM");
        let rotated = scratch(u64::from(count) * u64::from(width) * 4)?;
        commands.push(Command::Dispatch {
            kernel: Kernel::new(
                "rotate_queries",
                &[("DIM", kernel.constant("KEY_DIM")), ("BLOCK", kernel.constant("ROTATION"))],
            ),
            buffers: vec![buffers[1].clone(), buffers[0].clone(), rotated.clone()],
            params: vec![params[0], width],
            groups: [heads, count, 1],
        });
        buffers[0] = rotated;
        params[0] = width;
    }
    assert!(params[0].is_multiple_of(4), "[attention] rows of {} values, which is no multiple of 4", params[0]);
    let is_whole = kernel.constant("MODE") == 1;
    let has_neighbours = kernel.constant("ALONE") == 0 && count >= MANY_ROWS;
    let is_tiled = is_whole && has_neighbours && kernel.constant("VALUE_DIM") <= TILE_VALUE_DIM;
    let mut alone = kernel.clone();
    alone.constants.push(("LONE", is_tiled.into()));
    if is_tiled {
        let slots = tile_slots(&kernel, across, count);
        alone.constants.push(("TILE_SLOTS", slots));
        let mut tile = Kernel { name: "attention_tile", ..kernel.clone() };
        tile.constants.push(("TILE_SLOTS", slots));
        let (buffers, params) = (buffers.clone(), params.clone());
        commands.push(Command::Dispatch { kernel: tile, buffers, params, groups: [1, across, count] });
    }
    commands.push(Command::Dispatch { kernel: alone, buffers, params, groups });
    Ok(commands)
}

/// Query heads of rows that a tile takes: many share more of what they bring, as long as there are enough tiles for a large device
/// and registers for their sums.
fn tile_slots(kernel: &Kernel, across: u32, count: u32) -> u32 {
    let tiles = count * kernel.constant("BLOCK") * across / WIDE_SLOTS;
    if kernel.constant("VALUE_DIM") <= WIDE_VALUE_DIM && tiles >= MANY_TILES { WIDE_SLOTS } else { WIDE_SLOTS / 2 }
}
