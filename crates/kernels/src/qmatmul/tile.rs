//! The inner product of all integer paths: all rows of a part x 2 or 3 panels over one slab, and its portable form.
//!
//! The order of every float operation is fixed here and is the same for any number of rows and panels and on any tier:
//! within a slab `sum = fma(bias, activation sum, sum)` group by group where there are biases, then `sum = fma(integer,
//! scale, sum)` group by group; then `total = fma(sum, activation scale, total)`. Integers are exact. AMX alone sums whole
//! slabs of integers where scales are integers too (`amx/whole.rs`).
//! Read next: [`super::tiers`].

use super::blocks::Block;
use super::layout::{Layout, Scales, Values};
use super::sizes::PANEL_ROWS;
use super::unpack::Headers;

/// Panels of the largest tile. Any number but one is a sum of twos and threes.
pub const TILE_PANELS: usize = 3;
/// Rows of a float tile.
pub const FLOAT_ROWS: usize = 8;

/// How the values that a tile reads are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Unsigned bytes, unpacked from the values of a matrix before.
    Open,
    /// As they lie in the packed matrix.
    Packed(Values),
}

/// One slab of weights, the activations against it, and where the result goes.
// AVX-512 alone reads headers.
#[allow(dead_code)]
#[derive(Clone, Copy)]
pub struct Tile {
    /// Format of `values`.
    pub stored: Stored,
    /// Units of the first panel; open ones are `[columns / 4, 16, 4]`, and there is memory of a whole slab.
    pub values: *const u8,
    /// Bytes from a panel's values to those of the next.
    pub stride: usize,
    /// Header of the first panel, the next ones `stride` apart; of packed values only.
    pub header: *const u8,
    /// What the headers hold.
    pub header_scales: Scales,
    /// What to ask memory for meanwhile, in order.
    pub ahead: *const u8,
    /// As many as the slabs of all panels have.
    pub ahead_bytes: usize,
    /// Not read where the headers are; zero for groups of a whole slab that this one lacks. `[groups, panels, 16]`
    pub scales: *const f32,
    /// As `scales`; not read unless `biased`.
    pub biases: *const f32,
    /// Groups in this slab.
    pub groups: usize,
    /// Columns of a group.
    pub group: usize,
    /// See [`Layout::offset_shift`].
    pub offset_shift: u32,
    /// See [`Layout::biased`].
    pub biased: bool,
    /// Whether weights are all below 128: sums of two products fit 16 bits then.
    pub narrow: bool,
    /// 2 or 3.
    pub panels: usize,
    /// Records of the activation rows; `count` of them.
    pub rows: *const *const u8,
    /// Number of rows.
    pub count: usize,
    /// This slab of the first block of the rows, where they are whole blocks one after the other, else null; see
    /// [`QuantizedActivations::blocks_from`](super::QuantizedActivations).
    pub blocks: *const Block,
    /// From one block to the next.
    pub block_stride: usize,
    /// Offset of this slab's values in a record.
    pub values_at: usize,
    /// Offset of this slab's sums in a record.
    pub sums_at: usize,
    /// As `sums_at`, of groups of 16 columns.
    pub finest_sums_at: usize,
    /// Offset of this slab's scale in a record.
    pub scale_at: usize,
    /// What is added to. `[count, panels, 16]`; those of direct rows lie as `tile` likes, in room for whole blocks of rows.
    pub totals: *mut f32,
    /// The first slab: totals of direct rows (see [`Kernels::direct_rows`]) are zero, whatever is there.
    pub fresh: bool,
    /// The last slab: where the totals of direct rows go instead, a pointer each. Else null.
    pub outputs: *const *mut f32,
}

/// A float product over one slab: up to 8 rows x 3 panels, one `fma` a column, in order.
pub struct FloatTile {
    /// `[columns, panels, 16]`
    pub weights: *const f32,
    /// Columns of the slab.
    pub columns: usize,
    /// 1 to 3.
    pub panels: usize,
    /// Activations of this slab; `count` of them.
    pub rows: [*const f32; FLOAT_ROWS],
    /// 1 to 8.
    pub count: usize,
    /// What is added to. `[count, panels, 16]`
    pub totals: *mut f32,
}

/// Values of so many columns of a slab, less an offset; meanwhile memory is asked for a line a unit from an address on.
pub type ReadSigned = unsafe fn(Values, &[u8], usize, *mut u8, (u8, Option<*const u8>));

/// What a tier must provide. Pointers as in the portable functions of the same names.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// Whether `tile` reads packed values of this layout for so many rows; else they must be open.
    pub reads_packed: fn(layout: &Layout, rows: usize) -> bool,
    /// Whether packed bytes are open as they lie.
    pub bytes_are_open: bool,
    /// As `read_values`, without an offset, as signed bytes: what `tile` wants where it is there.
    pub read_signed: Option<ReadSigned>,
    /// [`unpack::read_values`].
    pub read_values: unsafe fn(Values, &[u8], usize, *mut u8),
    /// [`unpack::read_scales`].
    pub read_scales: unsafe fn(&Layout, &Headers, *mut f32, *mut f32),
    /// Whether `tile` reads scales and biases of `count` rows from the headers.
    pub reads_headers: fn(layout: &Layout, stored: Stored, count: usize) -> bool,
    /// [`tile`].
    pub tile: unsafe fn(&Tile),
    /// How many rows, from the first on, of `panels` panels and `count` rows `tile` begins and ends by itself.
    pub direct_rows: fn(stored: Stored, panels: usize, count: usize) -> usize,
    /// [`float_tile`].
    pub float_tile: unsafe fn(&FloatTile),
}

/// This tier takes open values only.
pub fn nothing_packed(_: &Layout, _: usize) -> bool {
    false
}

/// This tier takes scales as floats.
pub fn no_headers(_: &Layout, _: Stored, _: usize) -> bool {
    false
}

/// All rows of this tier go through the totals.
pub fn no_direct_rows(_: Stored, _: usize, _: usize) -> usize {
    0
}

/// Add one slab's products to the totals. Takes open values only.
///
/// # Safety
/// All pointers must be valid for what the fields say.
pub unsafe fn tile(tile: &Tile) {
    debug_assert_eq!(tile.stored, Stored::Open);
    debug_assert!(tile.outputs.is_null(), "no row of this tier is direct");
    for row in 0..tile.count {
        for panel in 0..tile.panels {
            // SAFETY: passed on.
            unsafe { tile_lanes(tile, row, panel) }
        }
    }
}

/// One row against one panel.
unsafe fn tile_lanes(tile: &Tile, row: usize, panel: usize) {
    // SAFETY: the caller vouches for the row.
    let record = unsafe { tile.rows.add(row).read() };
    let mut sums = [0.0f32; PANEL_ROWS];
    // SAFETY: group, step and lane stay below the bounds of the fields.
    let negated = |group: usize| unsafe { record.add(tile.sums_at + group * 4).cast::<i32>().read() };
    let scales_at = |group: usize| (group * tile.panels + panel) * PANEL_ROWS;
    for group in 0..if tile.biased { tile.groups } else { 0 } {
        // SAFETY: as above.
        let biases = unsafe { &*tile.biases.add(scales_at(group)).cast::<[f32; PANEL_ROWS]>() };
        sums.iter_mut().zip(biases).for_each(|(sum, bias)| *sum = bias.mul_add(-negated(group) as f32, *sum));
    }
    for group in 0..tile.groups {
        let mut dots = [if tile.biased { 0 } else { negated(group) << tile.offset_shift }; PANEL_ROWS];
        // SAFETY: as above.
        unsafe {
            for step in group * tile.group / 4..(group + 1) * tile.group / 4 {
                let weights = &*tile.values.add(panel * tile.stride + step * 64).cast::<[[u8; 4]; PANEL_ROWS]>();
                let x = record.add(tile.values_at + step * 4).cast::<[i8; 4]>().read();
                for (dot, weights) in dots.iter_mut().zip(weights) {
                    *dot += (0..4).map(|j| weights[j] as i32 * x[j] as i32).sum::<i32>();
                }
            }
            let scales = &*tile.scales.add(scales_at(group)).cast::<[f32; PANEL_ROWS]>();
            for ((sum, dot), scale) in sums.iter_mut().zip(dots).zip(scales) {
                *sum = (dot as f32).mul_add(*scale, *sum);
            }
        }
    }
    // SAFETY: the scale of this slab and the totals of this row and panel.
    unsafe {
        let scale = record.add(tile.scale_at).cast::<f32>().read();
        let totals = &mut *tile.totals.add((row * tile.panels + panel) * PANEL_ROWS).cast::<[f32; PANEL_ROWS]>();
        let before = if tile.fresh { [0.0; PANEL_ROWS] } else { *totals };
        totals.iter_mut().zip(sums).zip(before).for_each(|((total, sum), before)| *total = sum.mul_add(scale, before));
    }
}

/// Add one slab's float products to the totals.
///
/// # Safety
/// All pointers must be valid for what the fields say.
#[inline(always)]
pub unsafe fn float_tile(tile: &FloatTile) {
    for row in 0..tile.count {
        for panel in 0..tile.panels {
            // SAFETY: passed on from the caller.
            unsafe {
                let at = (row * tile.panels + panel) * PANEL_ROWS;
                let totals = &mut *tile.totals.add(at).cast::<[f32; PANEL_ROWS]>();
                for column in 0..tile.columns {
                    let x = tile.rows[row].add(column).read();
                    let at = (column * tile.panels + panel) * PANEL_ROWS;
                    let weights = &*tile.weights.add(at).cast::<[f32; PANEL_ROWS]>();
                    totals.iter_mut().zip(weights).for_each(|(total, weight)| *total = x.mul_add(*weight, *total));
                }
            }
        }
    }
}
