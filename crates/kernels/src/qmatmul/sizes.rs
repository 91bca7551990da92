//! The sizes of the parts of a packed matrix.
//!
//! Read next: [`super::layout`], which says what lies in them.

/// Output rows of a panel.
pub const PANEL_ROWS: usize = 16;
/// Columns of a slab: also of one activation scale.
pub const SLAB_COLUMNS: usize = 256;
/// Columns of a unit of values.
pub const UNIT_COLUMNS: usize = 32;
/// Up to this many rows are few: hand-outs are long stretches of weights, read as they are.
pub const FEW_ROWS: usize = 16;
/// Rows of a block of activations, where a tier wants them side by side.
pub const BLOCK_ROWS: usize = 16;
/// Up to this many rows wait for weights alone.
// Portable tiers open the values of all rows.
#[allow(dead_code)]
pub const FEWEST_ROWS: usize = 4;
/// Up to this many rows are multiplied sooner than opened values are worth their opening, where tiles are matrix registers.
pub const FEW_TILE_ROWS: usize = 6;
