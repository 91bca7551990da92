//! Panels of mxfp8, whose values are floats of 8 bits and no small integers: column by column, the bytes of 16 rows side
//! by side, then the scales group by group. So a register of floats is one load of 16 bytes.
//!
//! Read next: [`super::driver`], whose float products read them.

use super::sizes::PANEL_ROWS;
use crate::quant::Row;
use crate::quant::mx::{e4m3_to_f32, e8m0_to_f32};
use crate::simd::{Simd, tiered};

/// Columns of a scale.
const GROUP: usize = 32;

/// Bytes of a panel of `columns` (a multiple of 32).
pub fn panel_bytes(columns: usize) -> usize {
    PANEL_ROWS * (columns + columns / GROUP)
}

/// Write row `lane` of a panel.
pub fn pack_row(row: &Row<'_>, lane: usize, panel: &mut [u8]) {
    let bytes = row.data.iter().chain(row.scales);
    panel[lane..].iter_mut().step_by(PANEL_ROWS).zip(bytes).for_each(|(out, byte)| *out = *byte);
}

/// Row `lane` of a panel of `columns` as floats.
pub fn read_row(panel: &[u8], columns: usize, lane: usize, out: &mut [f32]) {
    let (values, scales) = panel.split_at(PANEL_ROWS * columns);
    for (column, out) in out.iter_mut().enumerate() {
        *out =
            e4m3_to_f32(values[column * PANEL_ROWS + lane]) * e8m0_to_f32(scales[column / GROUP * PANEL_ROWS + lane]);
    }
}

tiered! {
    /// Columns from `at` on of a panel of `columns`, as floats: those of a column 16 side by side, columns `stride` apart.
    pub fn read_columns(panel: &[u8], columns: usize, at: usize, stride: usize, out: &mut [f32]) = read;
}

#[inline(always)]
fn read<S: Simd>(_: S, panel: &[u8], columns: usize, at: usize, stride: usize, out: &mut [f32]) {
    let (values, scales) = panel.split_at(PANEL_ROWS * columns);
    let values = values[at * PANEL_ROWS..].as_chunks::<PANEL_ROWS>().0.chunks(GROUP);
    let scales = scales[at / GROUP * PANEL_ROWS..].as_chunks::<PANEL_ROWS>().0;
    for ((values, scales), out) in values.zip(scales).zip(out.chunks_mut(GROUP * stride)) {
        let scales = scales.map(e8m0_to_f32);
        for (values, out) in values.iter().zip(out.chunks_mut(stride)) {
            let out: &mut [f32; PANEL_ROWS] = out.first_chunk_mut().expect("a register of every column");
            for lane in 0..PANEL_ROWS {
                out[lane] = e4m3_to_f32(values[lane]) * scales[lane];
            }
        }
    }
}
