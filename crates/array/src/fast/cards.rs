//! What several cards make of arrays that differ from card to card: sums, and rows joined from pieces.
//!
//! Invariant: the result is alike on all cards, to the bit; with one card both are the array itself.
//! Read next: `olivine_gpu::group`.

use std::sync::Arc;

use crate::array::Array;
use crate::buffer::Buffer;
use crate::dtype::Dtype;
use crate::gpu::{self, Gpu};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// Floats `[n]` of which each card has its own; one share is that of all.
#[track_caller]
pub fn of_cards(shares: &[Vec<f32>]) -> Array {
    let length = shares[0].len();
    let (Some(gpu), false) = (gpu::gpu(), shares.len() == 1) else { return Array::from_slice(&shares[0], &[length]) };
    let bytes: Vec<&[u8]> = shares.iter().map(|share| bytemuck::cast_slice(&share[..])).collect();
    let buffer = Arc::new(Buffer::of_cards(&gpu, &bytes));
    Array::from_tensor(Tensor::from_buffer(buffer, &[length], Dtype::F32))
}

/// The sum over the cards, in their order. `x`: f32.
#[track_caller]
pub fn sum_of_cards(x: &Array, cards: usize) -> Array {
    if cards == 1 { x.clone() } else { Array::apply(SumOfCards, &[x]) }
}

/// Rows from pieces: `x` `[rows, piece]` of 32-bit elements, of each card its own → `[rows, cards * piece]`.
#[track_caller]
pub fn join_cards(x: &Array, cards: usize) -> Array {
    if cards == 1 { x.clone() } else { Array::apply(JoinCards(cards), &[x]) }
}

#[derive(Debug)]
struct SumOfCards;

#[derive(Debug)]
struct JoinCards(usize);

impl Primitive for SumOfCards {
    fn name(&self) -> &'static str {
        "sum_of_cards"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        assert!(inputs[0].dtype() == Dtype::F32, "[sum_of_cards] x is {}, not f32", inputs[0].dtype());
        one(inputs[0].shape(), Dtype::F32)
    }

    fn eval_cpu(&self, _: &EvalContext, _: &[Tensor], _: &mut [Tensor]) {
        panic!("[sum_of_cards] on the CPU");
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let Some(from) = inputs[0].on_gpu_dense(gpu) else { return false };
        let to = outputs[0].on_gpu_fresh(gpu);
        let bytes = 4 * inputs[0].size() as u64;
        gpu.record(|list| list.sum_of_cards(&from.slice(0, bytes), &to));
        true
    }
}

impl Primitive for JoinCards {
    fn name(&self) -> &'static str {
        "join_cards"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (shape, dtype) = (inputs[0].shape(), inputs[0].dtype());
        assert!(shape.len() == 2 && dtype.size() == 4, "[join_cards] {shape:?} of {dtype}");
        one(&[shape[0], self.0 * shape[1]], dtype)
    }

    fn eval_cpu(&self, _: &EvalContext, _: &[Tensor], _: &mut [Tensor]) {
        panic!("[join_cards] on the CPU");
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let Some(from) = inputs[0].on_gpu_dense(gpu) else { return false };
        let to = outputs[0].on_gpu_fresh(gpu);
        let (rows, bytes) = (inputs[0].shape()[0], 4 * inputs[0].size() as u64);
        gpu.record(|list| list.join_cards(rows, &from.slice(0, bytes), &to));
        true
    }
}
