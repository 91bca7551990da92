//! Packed weights: the panels of one matrix, or of the equal matrices of several experts.
//!
//! The panels of a tile lie slab by slab: the first slabs of all two or three, then the second ones. So a part reads one
//! stream, whose memory can be asked for in order; streams side by side would leave 40 % of the bandwidth unused.
//! Mxfp8, whose values are no small integers times a scale, has panels of its own ([`super::columns`]).
//! Read next: [`super::layout`], [`super::pack`].

use super::columns;
use super::layout::Layout;
use super::memory::Memory;
use super::pack::{Columns, Staged};
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use super::tile::TILE_PANELS;
use super::{pack, unpack};
use crate::pool::Pool;
use crate::quant::{Format, QuantError, Row, ScaleType, Stored};

/// Tiles that a thread packs one after the other.
const PACKED_TILES: usize = 8;

/// Sizes of a slab.
#[derive(Clone, Copy, Default)]
pub struct Slab {
    /// Columns with padding.
    pub width: usize,
    /// Groups of columns with one scale.
    pub groups: usize,
    /// Bytes of the header; the values follow.
    pub header: usize,
    /// Bytes of it all.
    pub bytes: usize,
}

impl Slab {
    fn new(layout: &Layout, width: usize) -> Slab {
        let (groups, header) = (width.div_ceil(layout.group), layout.header_bytes(width));
        Slab { width, groups, header, bytes: layout.slab_bytes(width) }
    }
}

/// Panels of all experts; a plain matrix is one expert.
pub struct Panels {
    format: Format,
    layout: Option<Layout>,
    experts: usize,
    rows: usize,
    columns: usize,
    bytes: usize,
    memory: Memory,
    panel_bytes: usize,
    /// Parts of three panels in an expert.
    threes: usize,
    /// Slabs of full width, and the last one.
    slabs: [Slab; 2],
}

impl Panels {
    /// Pack matrices one below the other: the rows of all experts in their order. All have one format and width.
    /// Panics when they differ or the rows are not equal experts.
    pub fn pack(pool: &Pool, parts: &[Stored], experts: usize) -> Result<Panels, QuantError> {
        let model = parts.first().expect("[pack] nothing to pack");
        for part in parts {
            part.check()?;
            let same = (part.format, part.columns) == (model.format, model.columns);
            assert!(same, "[pack] matrices of several formats or widths");
            let affine = matches!(part.format, Format::Affine { .. });
            assert!(!affine || part.scale_type == model.scale_type, "[pack] scales of several types");
        }
        let all = parts.iter().map(|part| part.rows).sum::<usize>();
        assert!(experts > 0 && all.is_multiple_of(experts), "[pack] {all} rows are not {experts} equal experts");
        let rows = all / experts;
        let layout = Layout::of(model.format, model.scale_type)?;
        let columns = model.columns;
        let padded = columns.next_multiple_of(UNIT_COLUMNS);
        let last = padded - padded.saturating_sub(1) / SLAB_COLUMNS * SLAB_COLUMNS;
        let slabs = layout.as_ref().map_or_else(Default::default, |layout| {
            [Slab::new(layout, SLAB_COLUMNS.min(padded)), Slab::new(layout, last)]
        });
        let panel_bytes = match &layout {
            Some(layout) => layout.panel_bytes(padded),
            None => columns::panel_bytes(columns),
        };
        let panels = rows.div_ceil(PANEL_ROWS);
        let bytes = experts * panels * panel_bytes;
        let most = panels.div_ceil(TILE_PANELS);
        let threes = most - (most * TILE_PANELS - panels).min(most);
        let (format, memory) = (model.format, Memory::for_weights(bytes));
        let packed = Panels { format, layout, experts, rows, columns, bytes, memory, panel_bytes, threes, slabs };
        // Neighbours on one thread: each asks memory for what the next one reads.
        let block = pool.block_of(experts * panels, TILE_PANELS).min(PACKED_TILES * TILE_PANELS);
        pool.run_blocks(experts * panels, block, |panels| panels.for_each(|index| packed.pack_one(index, parts)));
        Ok(packed)
    }

    /// Fill panel number `index` of the memory.
    fn pack_one(&self, index: usize, parts: &[Stored]) {
        let (expert, first) = (index / self.expert_panels(), index % self.expert_panels() * PANEL_ROWS);
        let count = PANEL_ROWS.min(self.rows - first);
        let nothing = Row { data: &[], scales: &[], biases: &[], scale_type: ScaleType::F32, global_scale: 1.0 };
        let mut rows = [nothing; PANEL_ROWS];
        for (lane, row) in rows.iter_mut().enumerate().take(count) {
            *row = find(parts, expert * self.rows + first + lane);
        }
        let out = |offset, bytes| {
            self.memory.make_resident(offset..offset + bytes);
            // SAFETY: each panel is written by one part of the region; its memory is zeros, and no two slabs overlap.
            unsafe { std::slice::from_raw_parts_mut(self.memory.start().add(offset), bytes) }
        };
        let Some(layout) = &self.layout else {
            let panel = out(index * self.panel_bytes, self.panel_bytes);
            return rows[..count].iter().enumerate().for_each(|(lane, row)| columns::pack_row(row, lane, panel));
        };
        let mut staged = Staged::default();
        for at in (0..self.padded_columns()).step_by(SLAB_COLUMNS) {
            let Slab { width, bytes, .. } = *self.slab_sizes(at);
            let columns = Columns { columns: self.columns, first: at, real: width.min(self.columns - at), width };
            let slab = out(self.slab_offset(expert, first / PANEL_ROWS, at), bytes);
            pack::pack_slab(layout, self.format, &rows[..count], &columns, &mut staged, slab);
        }
    }

    /// Parts of an expert.
    pub fn parts(&self) -> usize {
        self.expert_panels().div_ceil(TILE_PANELS)
    }

    /// First panel and number of panels of part `index` of an expert: threes, then up to two twos.
    pub fn part(&self, index: usize) -> (usize, usize) {
        let first = index * TILE_PANELS - index.saturating_sub(self.threes);
        (first, (if index < self.threes { TILE_PANELS } else { TILE_PANELS - 1 }).min(self.expert_panels() - first))
    }

    /// Where the slab of a panel that begins at column `at` lies.
    fn slab_offset(&self, expert: usize, panel: usize, at: usize) -> usize {
        let (part, within) = match panel.checked_sub(self.threes * TILE_PANELS) {
            None => (panel / TILE_PANELS, panel % TILE_PANELS),
            Some(beyond) => (self.threes + beyond / 2, beyond % 2),
        };
        let (first, count) = self.part(part);
        (expert * self.expert_panels() + first) * self.panel_bytes
            + at / SLAB_COLUMNS * count * self.slabs[0].bytes
            + within * self.slab_sizes(at).bytes
    }

    /// Rows of one expert.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns with padding to whole units.
    pub fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(UNIT_COLUMNS)
    }

    /// Number of experts.
    pub fn experts(&self) -> usize {
        self.experts
    }

    /// Panels of one expert.
    pub fn expert_panels(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// Format of the source.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How panels are laid out; none for mxfp8.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A panel of a format without small integers.
    fn float_panel(&self, expert: usize, panel: usize) -> &[u8] {
        let index = expert * self.expert_panels() + panel;
        assert!(expert < self.experts && panel < self.expert_panels(), "[quantized product] no such panel");
        // SAFETY: inside the memory, all of which `pack` has written.
        unsafe { std::slice::from_raw_parts(self.memory.start().add(index * self.panel_bytes), self.panel_bytes) }
    }

    /// Sizes of the slab that begins at column `at`.
    pub fn slab_sizes(&self, at: usize) -> &Slab {
        &self.slabs[usize::from(at + SLAB_COLUMNS >= self.padded_columns())]
    }

    /// The slab that begins at column `at`.
    pub fn slab(&self, expert: usize, panel: usize, at: usize) -> &[u8] {
        assert!(expert < self.experts && panel < self.expert_panels(), "[quantized product] no such panel");
        assert!(at < self.padded_columns(), "[quantized product] no column {at}");
        // SAFETY: inside the memory, all of which `pack` has written.
        unsafe {
            let start = self.memory.start().add(self.slab_offset(expert, panel, at));
            std::slice::from_raw_parts(start, self.slab_sizes(at).bytes)
        }
    }

    /// Columns from `at` on of a panel of floats; see [`columns::read_columns`].
    pub fn read_columns(&self, expert: usize, panel: usize, at: usize, stride: usize, out: &mut [f32]) {
        columns::read_columns(self.float_panel(expert, panel), self.columns, at, stride, out);
    }

    /// One row as floats, the same as decoding the source.
    pub fn dequantize_row(&self, expert: usize, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "[dequantize] row {row} of {}", self.rows);
        assert_eq!(out.len(), self.columns, "[dequantize] output of another length than the row");
        let (panel, lane) = (row / PANEL_ROWS, row % PANEL_ROWS);
        let Some(layout) = &self.layout else {
            return columns::read_row(self.float_panel(expert, panel), self.columns, lane, out);
        };
        for (index, out) in out.chunks_mut(SLAB_COLUMNS).enumerate() {
            let at = index * SLAB_COLUMNS;
            let sizes = self.slab_sizes(at);
            let slab = self.slab(expert, panel, at);
            let (header, values) = slab.split_at(sizes.header);
            let mut codes = [0; UNIT_COLUMNS];
            for (column, out) in out.iter_mut().enumerate() {
                if column.is_multiple_of(UNIT_COLUMNS) {
                    let unit = &values[column / UNIT_COLUMNS * layout.values.unit_bytes()..];
                    unpack::read_unit_row(layout.values, unit, lane, &mut codes);
                }
                let (scale, bias) = unpack::read_scale(layout, header, sizes.groups, column / layout.group, lane);
                let code = codes[column % UNIT_COLUMNS] as i32;
                *out = if layout.biased {
                    code as f32 * scale + bias
                } else {
                    (code - (1 << layout.offset_shift)) as f32 * scale
                };
            }
        }
    }
}

/// Row `row` of matrices one below the other.
fn find<'a>(parts: &[Stored<'a>], mut row: usize) -> Row<'a> {
    for part in parts {
        if row < part.rows {
            return part.row(row);
        }
        row -= part.rows;
    }
    unreachable!("a panel has rows of the matrix only")
}
