//! Layers with a state instead of a cache: the gated delta rule and the causal convolution before it.
//!
//! A sequence's state lies in a slot of one buffer; a batch is any mix of prompt pieces and decoding rows. Invariant:
//! tokens are taken one by one in order, so outputs and states have the same bits however a prompt is cut, whatever
//! else is in the batch and on any number of threads. Read next: `delta` (the rule), `convolution`, `norm`.

mod convolution;
mod delta;
mod norm;

pub use convolution::{ConvolutionShape, causal_convolution};
pub use delta::{DeltaInputs, DeltaShape, delta_gates, gated_delta_rule};
pub use norm::gated_rms_norm;

/// The rows of one sequence in a batch, and where its state lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrentRows {
    /// Its first row in the packed batch.
    pub first_row: usize,
    /// How many rows it has, in order of position.
    pub rows: usize,
    /// Its state in the buffer of states: no other sequence of the batch has the same. Zeros before the first token.
    pub slot: usize,
}

/// Rows of f32 that lie `row_stride` values apart: a column block of a wider projection can be read in place.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    /// Row `i` begins at `i * row_stride`.
    pub values: &'a [f32],
    /// Distance of two rows.
    pub row_stride: usize,
}

impl<'a> RowView<'a> {
    /// Rows without gaps.
    pub fn packed(values: &'a [f32], width: usize) -> RowView<'a> {
        RowView { values, row_stride: width }
    }

    /// `width` values of row `row`, from value `first` on.
    fn part(&self, row: usize, first: usize, width: usize) -> &'a [f32] {
        &self.values[row * self.row_stride + first..][..width]
    }
}

/// A buffer that parallel parts write in disjoint places.
struct SharedOut(*mut f32);
// SAFETY: whoever makes one hands out disjoint places.
unsafe impl Sync for SharedOut {}
// SAFETY: as above.
unsafe impl Send for SharedOut {}

/// Panics unless no two sequences share a row or a slot, and all lie inside `rows` rows and `slots` slots. Parallel
/// writes rely on it.
fn check_rows(op: &str, sequences: &[RecurrentRows], rows: usize, slots: usize) {
    let mut spans: Vec<(usize, usize)> = sequences.iter().map(|rows| (rows.first_row, rows.rows)).collect();
    let mut used: Vec<usize> = sequences.iter().map(|rows| rows.slot).collect();
    spans.sort_unstable();
    used.sort_unstable();
    let apart = spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
    assert!(apart, "[{op}] two sequences share a row: {sequences:?}");
    assert!(used.windows(2).all(|pair| pair[0] != pair[1]), "[{op}] two sequences share a slot: {sequences:?}");
    assert!(spans.iter().all(|span| span.0 + span.1 <= rows), "[{op}] rows beyond {rows}: {sequences:?}");
    assert!(used.iter().all(|&slot| slot < slots), "[{op}] slots beyond {slots}: {sequences:?}");
}
