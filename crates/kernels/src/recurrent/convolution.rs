//! A short causal convolution of each channel by itself, with the inputs that it still needs carried as its state.
//!
//! Invariant: an output is `bias + w[0] * x[t - kernel + 1] + … + w[kernel - 1] * x[t]` in this order, wherever the
//! inputs come from, the batch or the state.

use super::{RecurrentRows, RowView, SharedOut, check_rows};
use crate::lanes::{self, Job, LANES, Lanes};
use crate::pool::Pool;

/// Channels of a part: long enough runs of memory, enough parts for all threads.
const CHANNELS: usize = 16 * LANES;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Channels, each convolved by itself.
    pub channels: usize,
    /// Inputs that an output depends on, itself included: 2 to 8.
    pub kernel: usize,
}

/// Most inputs of an output.
const MAX_KERNEL: usize = 8;

impl ConvolutionShape {
    /// Values of one sequence's state `[kernel - 1, channels]`, oldest first.
    pub fn state_len(&self) -> usize {
        (self.kernel - 1) * self.channels
    }
}

/// Convolve the rows of `sequences`, followed by `silu` where `has_silu`.
///
/// `input`: `[tokens, channels]`; `weight`: `[kernel, channels]`, the newest input's last; `bias`: `[channels]`;
/// `states`: `[slots, kernel - 1, channels]`, read and written; `out`: `[tokens, channels]`.
pub fn causal_convolution(
    pool: &Pool,
    shape: &ConvolutionShape,
    input: RowView,
    weight: &[f32],
    bias: Option<&[f32]>,
    has_silu: bool,
    sequences: &[RecurrentRows],
    states: &mut [f32],
    out: &mut [f32],
) {
    let ConvolutionShape { channels, kernel } = *shape;
    assert!((2..=MAX_KERNEL).contains(&kernel), "[causal_convolution] kernel of {kernel}");
    assert_eq!(weight.len(), kernel * channels, "[causal_convolution] weight of {shape:?}");
    assert!(bias.is_none_or(|bias| bias.len() == channels), "[causal_convolution] bias of {shape:?}");
    check_rows("causal_convolution", sequences, out.len() / channels, states.len() / shape.state_len());
    let blocks = channels.div_ceil(CHANNELS);
    let (states, out) = (SharedOut(states.as_mut_ptr()), SharedOut(out.as_mut_ptr()));
    pool.run(sequences.len() * blocks, &|part| {
        let (states, out) = (&states, &out);
        let (sequence, first) = (&sequences[part / blocks], part % blocks * CHANNELS);
        let width = CHANNELS.min(channels - first);
        // SAFETY: slots are checked and apart; the channels of this part are its own.
        let state = unsafe { states.0.add(sequence.slot * shape.state_len()) };
        lanes::run(Block { shape, input, weight, bias, has_silu, sequence, state, out, first, width });
    });
}

/// A block of channels over all rows of a sequence.
struct Block<'a> {
    shape: &'a ConvolutionShape,
    input: RowView<'a>,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    has_silu: bool,
    sequence: &'a RecurrentRows,
    state: *mut f32,
    out: &'a SharedOut,
    first: usize,
    width: usize,
}

impl Job for Block<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let ConvolutionShape { channels, kernel } = *self.shape;
        let mut window: [&[f32]; MAX_KERNEL] = [&[]; MAX_KERNEL];
        for row in 0..self.sequence.rows {
            for (age, inputs) in window[..kernel].iter_mut().enumerate() {
                *inputs = self.inputs(row + age);
            }
            let at = (self.sequence.first_row + row) * channels + self.first;
            // SAFETY: the row was checked; these channels are this part's own; the caller has the instructions.
            unsafe {
                let out = std::slice::from_raw_parts_mut(self.out.0.add(at), self.width);
                self.convolve::<L>(&window[..kernel], out);
            }
        }
        for age in 0..kernel - 1 {
            let from = self.inputs(self.sequence.rows + age).as_ptr();
            // SAFETY: these channels of the state are this part's own. Ages go up, so what is still needed is not
            // overwritten; without rows it is a copy onto itself.
            unsafe { std::ptr::copy(from, self.state.add(age * channels + self.first), self.width) }
        }
    }
}

impl Block<'_> {
    /// Inputs by age: those of the state first, then the batch's rows.
    #[inline(always)]
    fn inputs(&self, index: usize) -> &[f32] {
        let ConvolutionShape { channels, kernel } = *self.shape;
        if index < kernel - 1 {
            // SAFETY: inside this sequence's state, of which this part alone uses these channels.
            return unsafe { std::slice::from_raw_parts(self.state.add(index * channels + self.first), self.width) };
        }
        self.input.part(self.sequence.first_row + index - (kernel - 1), self.first, self.width)
    }

    #[inline(always)]
    unsafe fn convolve<L: Lanes>(&self, window: &[&[f32]], out: &mut [f32]) {
        for first in (0..self.width).step_by(LANES) {
            let part = first..(first + LANES).min(self.width);
            // SAFETY: the caller has the instructions of `L`.
            unsafe {
                let mut sum = match self.bias {
                    Some(bias) => lanes::load_part::<L>(&bias[self.first..][part.clone()]),
                    None => L::splat(0.0),
                };
                for (age, inputs) in window.iter().enumerate() {
                    let weight = &self.weight[age * self.shape.channels + self.first..][part.clone()];
                    sum = L::fma(lanes::load_part::<L>(&inputs[part.clone()]), lanes::load_part::<L>(weight), sum);
                }
                if self.has_silu {
                    sum = L::mul(sum, lanes::sigmoid::<L>(sum));
                }
                lanes::store_part::<L>(&mut out[part], sum);
            }
        }
    }
}
