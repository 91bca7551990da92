//! Packed weights: the panels of one matrix, or of the equal matrices of several experts.
//!
//! The panels of a tile lie slab by slab: the first slabs of all two or three, then the second ones. So a part reads one
//! stream, whose memory can be asked for in order; streams side by side would leave 40 % of the bandwidth unused.
//! Parts may be packed as they are used ([`super::pending`]).
//! Mxfp8, whose values are no small integers times a scale, has panels of its own ([`super::columns`]).
//! Read next: [`super::layout`], [`super::pack`].

use super::columns;
use super::layout::Layout;
use super::memory::Memory;
use super::pack::{Columns, Staged};
use super::pending::{Pending, Place, Source, Sources};
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use super::tile::TILE_PANELS;
use super::{pack, unpack};
use crate::pool::Pool;
use crate::quant::{Format, QuantError, Row, ScaleType, Stored};

/// Parts that a thread packs one after the other: each asks memory for what the next one reads.
const PACKED_PARTS: usize = 8;

/// Bytes of parts whose sources are let go together.
const STRETCH_BYTES: usize = 1 << 20;

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
    pending: Pending,
    panel_bytes: usize,
    /// Parts of three panels in an expert.
    threes: usize,
    /// Slabs of full width, and the last one.
    slabs: [Slab; 2],
}

impl Panels {
    /// Pack matrices one below the other: the rows of all experts in their order. All have one format and width.
    /// Panics when they differ or the rows are not equal experts.
    pub fn pack(pool: &Pool, matrices: &[Stored], experts: usize) -> Result<Panels, QuantError> {
        let packed = Panels::new(matrices, experts)?;
        packed.each_part(pool, |expert, part| {
            // SAFETY: the memory of a part, which nobody else writes; `new` has checked the matrices.
            unsafe { packed.pack_part(expert, part, matrices, packed.resident(expert, part), false) }
        });
        Ok(packed)
    }

    /// The same, part by part as they are used.
    pub fn pack_in_use(sources: Vec<Box<dyn Source>>, experts: usize) -> Result<Panels, QuantError> {
        let mut panels = Panels::new(&sources.iter().map(|source| source.stored()).collect::<Vec<_>>(), experts)?;
        let stretch = (STRETCH_BYTES / (TILE_PANELS * panels.panel_bytes)).max(1);
        panels.pending = Pending::new(sources, experts * panels.parts(), stretch);
        Ok(panels)
    }

    /// Pack all parts that are not yet.
    pub fn pack_rest(&self, pool: &Pool) {
        if self.pending.is_over() {
            return;
        }
        self.each_part(pool, |expert, part| {
            let index = expert * self.parts() + part;
            if let Some(sources) = self.pending.claim_rest(index) {
                self.pack_own(expert, part, &sources);
            }
        });
    }

    /// Pack a claimed part to the memory of the matrix, where it begins.
    fn pack_own(&self, expert: usize, part: usize, sources: &Sources) -> *mut u8 {
        let matrices: Vec<Stored> = sources.iter().map(|source| source.stored()).collect();
        let start = self.resident(expert, part);
        // SAFETY: the memory of a part, which is ours alone until it is declared packed.
        unsafe { self.pack_part(expert, part, &matrices, start, false) };
        if let Some(done) = self.pending.packed(expert * self.parts() + part) {
            let row = |index: usize| {
                let (expert, part) = (index / self.parts(), index % self.parts());
                expert * self.rows + self.part(part).0 * PANEL_ROWS
            };
            let (mut first, mut end) = (row(done.start), row(done.end));
            for (source, matrix) in sources.iter().zip(&matrices) {
                source.release(first.min(matrix.rows)..end.min(matrix.rows));
                (first, end) = (first.saturating_sub(matrix.rows), end.saturating_sub(matrix.rows));
            }
        }
        start
    }

    fn each_part(&self, pool: &Pool, work: impl Fn(usize, usize) + Sync) {
        let block = pool.block_of(self.experts * self.parts(), 1).min(PACKED_PARTS);
        pool.run_blocks(self.experts * self.parts(), block, |parts| {
            parts.for_each(|index| work(index / self.parts(), index % self.parts()));
        });
    }

    /// Room for the panels of matrices, which are checked.
    fn new(matrices: &[Stored], experts: usize) -> Result<Panels, QuantError> {
        let model = matrices.first().expect("[pack] nothing to pack");
        for matrix in matrices {
            matrix.check()?;
            let same = (matrix.format, matrix.columns) == (model.format, model.columns);
            assert!(same, "[pack] matrices of several formats or widths");
            let affine = matches!(matrix.format, Format::Affine { .. });
            assert!(!affine || matrix.scale_type == model.scale_type, "[pack] scales of several types");
        }
        let all = matrices.iter().map(|matrix| matrix.rows).sum::<usize>();
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
        let (format, memory, pending) = (model.format, Memory::for_weights(bytes), Pending::none());
        Ok(Panels { format, layout, experts, rows, columns, bytes, memory, pending, panel_bytes, threes, slabs })
    }

    /// Write the panels of a part to `out`.
    ///
    /// # Safety
    /// `out` has room for them, is nobody else's, and holds zeros unless it is `used`. The matrices are those of `new`.
    unsafe fn pack_part(&self, expert: usize, part: usize, matrices: &[Stored], out: *mut u8, used: bool) {
        let (first, count) = self.part(part);
        let fills = self.layout.as_ref().is_some_and(Layout::fills_slabs) && self.columns.is_multiple_of(SLAB_COLUMNS);
        if used && !(fills && (first + count) * PANEL_ROWS <= self.rows) {
            // SAFETY: there is room.
            unsafe { out.write_bytes(0, count * self.panel_bytes) };
        }
        let nothing = Row { data: &[], scales: &[], biases: &[], scale_type: ScaleType::F32, global_scale: 1.0 };
        let mut staged = Staged::default();
        for within in 0..count {
            let first_row = (first + within) * PANEL_ROWS;
            let row_count = PANEL_ROWS.min(self.rows - first_row);
            let mut rows = [nothing; PANEL_ROWS];
            for (lane, row) in rows.iter_mut().enumerate().take(row_count) {
                *row = find(matrices, expert * self.rows + first_row + lane);
            }
            // SAFETY: passed on; each panel of the part is written once.
            unsafe { self.pack_panel(&rows[..row_count], (count, within), &mut staged, out) };
        }
    }

    /// Write the panel of up to 16 rows that is number `within` of a part of `count`.
    ///
    /// # Safety
    /// `out` has room for the part, and nobody else uses this panel of it.
    unsafe fn pack_panel(&self, rows: &[Row], (count, within): (usize, usize), staged: &mut Staged, out: *mut u8) {
        // SAFETY: inside the part, of which each slab is borrowed once.
        let out = |at: usize, bytes| unsafe { std::slice::from_raw_parts_mut(out.add(at), bytes) };
        let Some(layout) = &self.layout else {
            let panel = out(within * self.panel_bytes, self.panel_bytes);
            return rows.iter().enumerate().for_each(|(lane, row)| columns::pack_row(row, lane, panel));
        };
        for at in (0..self.padded_columns()).step_by(SLAB_COLUMNS) {
            let Slab { width, bytes, .. } = *self.slab_sizes(at);
            let columns = Columns { columns: self.columns, first: at, real: width.min(self.columns - at), width };
            let slab = out(self.slab_offset(count, within, at), bytes);
            pack::pack_slab(layout, self.format, rows, &columns, staged, slab);
        }
    }

    /// A part wherever it lies: in the memory of the matrix, or in `spare` when it is used for the first time.
    ///
    /// # Safety
    /// `spare` has room for [`Panels::spare_bytes`] and is used for nothing else while the part is.
    pub unsafe fn open(&self, expert: usize, part: usize, spare: *mut u8) -> Part<'_> {
        assert!(expert < self.experts && part < self.parts(), "[quantized product] no such panel");
        let index = expert * self.parts() + part;
        let start = match self.pending.claim(index) {
            None => self.part_start(expert, part),
            Some((sources, Place::Own)) => self.pack_own(expert, part, &sources),
            Some((sources, Place::Spare)) => {
                let matrices: Vec<Stored> = sources.iter().map(|source| source.stored()).collect();
                // SAFETY: room, as the caller vouches.
                unsafe { self.pack_part(expert, part, &matrices, spare, true) };
                spare
            }
        };
        Part { panels: self, start, count: self.part(part).1 }
    }

    /// Bytes that [`Panels::open`] may need; none once all is packed.
    pub fn spare_bytes(&self) -> usize {
        if self.pending.is_over() { 0 } else { TILE_PANELS * self.panel_bytes }
    }

    /// Where a part lies when it is packed.
    pub fn part_start(&self, expert: usize, part: usize) -> *mut u8 {
        let panel = expert * self.expert_panels() + self.part(part).0;
        // SAFETY: inside the memory.
        unsafe { self.memory.start().add(panel * self.panel_bytes) }
    }

    /// The same, in memory that is resident.
    fn resident(&self, expert: usize, part: usize) -> *mut u8 {
        let start = self.part_start(expert, part);
        let at = start as usize - self.memory.start() as usize;
        self.memory.make_resident(at..at + self.part(part).1 * self.panel_bytes);
        start
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

    /// The part that has a panel of an expert, and which panel of it that is.
    pub fn part_of(&self, panel: usize) -> (usize, usize) {
        match panel.checked_sub(self.threes * TILE_PANELS) {
            None => (panel / TILE_PANELS, panel % TILE_PANELS),
            Some(beyond) => (self.threes + beyond / 2, beyond % 2),
        }
    }

    /// Where in a part of `count` panels the slab of one lies that begins at column `at`.
    fn slab_offset(&self, count: usize, within: usize, at: usize) -> usize {
        at / SLAB_COLUMNS * count * self.slabs[0].bytes + within * self.slab_sizes(at).bytes
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

    /// Sizes of the slab that begins at column `at`.
    pub fn slab_sizes(&self, at: usize) -> &Slab {
        &self.slabs[usize::from(at + SLAB_COLUMNS >= self.padded_columns())]
    }

    /// One row as floats, as decoding the source gives them.
    pub fn dequantize_row(&self, expert: usize, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "[dequantize] row {row} of {}", self.rows);
        assert_eq!(out.len(), self.columns, "[dequantize] output of another length than the row");
        let ((part, mut within), mut lane) = (self.part_of(row / PANEL_ROWS), row % PANEL_ROWS);
        let (mut start, mut count) = (self.part_start(expert, part).cast_const(), self.part(part).1);
        let mut alone = Vec::new();
        if let Some(sources) = self.pending.sources(expert * self.parts() + part) {
            // A panel of this row: decoding it as it lies in the file may round otherwise.
            let matrices: Vec<Stored> = sources.iter().map(|source| source.stored()).collect();
            let row = find(&matrices, expert * self.rows + row);
            alone.resize(self.panel_bytes, 0);
            // SAFETY: room for a part of one panel.
            unsafe { self.pack_panel(&[row], (1, 0), &mut Staged::default(), alone.as_mut_ptr()) };
            (start, count, within, lane) = (alone.as_ptr(), 1, 0, 0);
        }
        let part = Part { panels: self, start, count };
        let Some(layout) = &self.layout else {
            return columns::read_row(part.float_panel(within), self.columns, lane, out);
        };
        for (index, out) in out.chunks_mut(SLAB_COLUMNS).enumerate() {
            let at = index * SLAB_COLUMNS;
            let sizes = self.slab_sizes(at);
            let slab = part.slab(within, at);
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

/// Two or three panels that are packed, wherever they lie.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    panels: &'a Panels,
    start: *const u8,
    count: usize,
}

impl<'a> Part<'a> {
    /// The slab of a panel that begins at column `at`.
    pub fn slab(&self, within: usize, at: usize) -> &'a [u8] {
        assert!(within < self.count && at < self.panels.padded_columns(), "[quantized product] no column {at}");
        // SAFETY: inside the part, which is written.
        unsafe {
            let start = self.start.add(self.panels.slab_offset(self.count, within, at));
            std::slice::from_raw_parts(start, self.panels.slab_sizes(at).bytes)
        }
    }

    /// A panel of a format without small integers.
    fn float_panel(&self, within: usize) -> &'a [u8] {
        assert!(within < self.count, "[quantized product] no such panel");
        let bytes = self.panels.panel_bytes;
        // SAFETY: inside the part, which is written.
        unsafe { std::slice::from_raw_parts(self.start.add(within * bytes), bytes) }
    }

    /// Columns from `at` on of a panel of floats; see [`columns::read_columns`].
    pub fn read_columns(&self, within: usize, at: usize, stride: usize, out: &mut [f32]) {
        columns::read_columns(self.float_panel(within), self.panels.columns, at, stride, out);
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
