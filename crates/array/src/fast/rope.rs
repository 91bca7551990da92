//! `fast::rope`: rotary position embedding of the last dimension by the position in the last but one.
//!
//! Invariant: angles are computed in f64 and rounded once; dimensions beyond `dims` pass unchanged.
//! Read next: [`crate::fast::attention`].

use std::any::Any;

use olivine_kernels::norm::Heads;
use olivine_kernels::rope::{Angles, Frequencies, Pairing};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::norm::f32_values;
use crate::ops::lanes::{Input, store};
use crate::ops::take::read_positions;
use crate::ops::{arange, concatenate, stack};
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::Layout;
use crate::tensor::Tensor;

/// How to rotate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// How many dimensions are rotated, even.
    pub dims: usize,
    /// Pairs are neighbours `(2i, 2i + 1)`; else `(i, i + dims / 2)`.
    pub traditional: bool,
    /// Base of the frequencies.
    pub base: f32,
    /// Positions are multiplied by it.
    pub scale: f32,
}

/// Rotate `x` `[batch, …, tokens, dim]`. The first token of every batch entry has the position `offset`: i32, one for all
/// (`[]`) or one an entry (`[batch]`). `periods` `[dims / 2]` replaces the powers of the base.
#[track_caller]
pub fn rope(x: &Array, rope: Rope, offset: &Array, periods: Option<&Array>) -> Array {
    assert!(x.rank() >= 2 && x.dtype().is_float(), "[rope] {:?} {}", x.shape(), x.dtype());
    let dims = rope.dims;
    assert!(dims.is_multiple_of(2) && dims <= x.dim(-1), "[rope] {dims} of {} dimensions", x.dim(-1));
    let fits = offset.size() == 1 || (offset.rank() == 1 && offset.dim(0) == x.dim(0) && x.rank() >= 3);
    assert!(fits && offset.dtype().is_integer(), "[rope] offset {:?} {}", offset.shape(), offset.dtype());
    assert!(periods.is_none_or(|periods| periods.shape() == [dims / 2]), "[rope] periods are not [{}]", dims / 2);
    let inputs: Vec<&Array> = [x, offset].into_iter().chain(periods).collect();
    Array::apply(RopeOp { rope }, &inputs)
}

/// [`rope()`] in plain ops.
#[track_caller]
pub fn rope_composed(x: &Array, rope: Rope, offset: &Array, periods: Option<&Array>) -> Array {
    let (tokens, half) = (x.dim(-2), rope.dims / 2);
    let mut offset_shape = vec![1; x.rank() - 1];
    offset_shape[0] = offset.size();
    let steps = arange(0.0, tokens as f64, 1.0, Dtype::F64);
    // [batch, 1…, tokens, 1]
    let positions = offset.astype(Dtype::F64).reshape_to(&offset_shape) + steps;
    let exponent = arange(0.0, half as f64, 1.0, Dtype::F64) * (-f64::from(rope.base).ln() as f32 / half as f32);
    let inverse = periods.map_or_else(|| exponent.exp(), |periods| 1.0 / &periods.astype(Dtype::F64));
    let angles = (positions.expand_dims(&[-1]) * inverse) * rope.scale;
    let (cos, sin) = (angles.cos().astype(Dtype::F32), angles.sin().astype(Dtype::F32));
    let wide = x.astype(Dtype::F32);
    let rotated = wide.slice_axis(-1, 0..rope.dims as i64);
    let (a, b) = if rope.traditional {
        let pairs = rotated.unflatten(-1, &[half as i32, 2]);
        (pairs.index_axis(-1, 0), pairs.index_axis(-1, 1))
    } else {
        (rotated.slice_axis(-1, ..half as i64), rotated.slice_axis(-1, half as i64..))
    };
    let first = &a * &cos - &b * &sin;
    let second = &a * &sin + &b * &cos;
    let joined = if rope.traditional {
        stack(&[&first, &second], -1).flatten(-2, -1)
    } else {
        concatenate(&[&first, &second], -1)
    };
    concatenate(&[&joined, &wide.slice_axis(-1, rope.dims as i64..)], -1).astype(x.dtype())
}

#[derive(Debug, PartialEq)]
struct RopeOp {
    rope: Rope,
}

impl Primitive for RopeOp {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn reuse(&self) -> Reuse {
        Reuse::Update(0)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        if out.size() == 0 {
            return;
        }
        let shape = out.layout().shape.clone();
        let (tokens, dim) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let frequencies = self.frequencies(inputs.get(2));
        let pairing = if self.rope.traditional { Pairing::Interleaved } else { Pairing::Halves };
        let offsets = read_positions(&inputs[1]);
        let dtype = out.dtype();
        let mut copy = Vec::new();
        if dtype != Dtype::F32 {
            copy.resize(out.size(), 0f32);
            Input::new(out, &Layout::contiguous(&shape)).load(0, &mut copy);
        }
        let values: &mut [f32] = if dtype == Dtype::F32 { out.slice_mut() } else { &mut copy };
        let entry = values.len() / offsets.len();
        for (values, offset) in values.chunks_exact_mut(entry).zip(&offsets) {
            let positions: Vec<i32> = (0..tokens as i32).map(|token| offset + token).collect();
            let angles = Angles::new(context.pool(), &frequencies, &positions);
            let heads = Heads { rows: values.len() / dim, row_stride: dim, first: 0, heads: 1, dim };
            olivine_kernels::rope::rope(context.pool(), values, heads, &angles, pairing);
        }
        if dtype != Dtype::F32 {
            store(out.bytes_mut(), dtype, &copy);
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<RopeOp>() == Some(self)
    }
}

impl RopeOp {
    fn frequencies(&self, periods: Option<&Tensor>) -> Frequencies {
        let scale = f64::from(self.rope.scale);
        let inverse = match periods {
            Some(periods) => f32_values(periods).iter().map(|&period| scale / f64::from(period)).collect(),
            None => {
                let power = |i: usize| f64::from(self.rope.base).powf(-2.0 * i as f64 / self.rope.dims as f64);
                (0..self.rope.dims / 2).map(|i| power(i) * scale).collect()
            }
        };
        Frequencies { inverse, attention_factor: 1.0 }
    }
}
