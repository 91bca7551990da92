//! The sizes of the parts of a packed matrix.
//!
//! Read next: [`super::layout`], which says what lies in them.

/// Output rows of a panel.
pub const PANEL_ROWS: usize = 16;
/// Columns of a slab: also of one activation scale.
pub const SLAB_COLUMNS: usize = 256;
/// Columns of a unit of values.
pub const UNIT_COLUMNS: usize = 32;
