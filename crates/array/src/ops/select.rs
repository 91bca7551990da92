//! `where_`: one of two arrays by a condition.
//!
//! Read next: [`crate::ops::view`].

use std::any::Any;

use crate::array::Array;
use crate::dtype::{Complex64, Dtype, promote};
use crate::ops::binary::Operand;
use crate::ops::lanes::{BLOCK, Class, Input, Lane, class, for_chunks, store};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Layout, Shape, broadcast};
use crate::tensor::Tensor;

/// `x` where `condition` is true, `y` elsewhere; all three broadcast.
#[track_caller]
pub fn where_(condition: &Array, x: impl Operand, y: impl Operand) -> Array {
    // A plain number takes the dtype of the array on the other side.
    let first = x.operand(Dtype::Bool);
    let second = y.operand(first.dtype());
    let first = x.operand(second.dtype());
    let dtype = promote(first.dtype(), second.dtype());
    let shape = broadcast(first.shape(), second.shape()).and_then(|shape| broadcast(&shape, condition.shape()));
    let Some(shape) = shape else {
        let shapes = [condition.shape(), first.shape(), second.shape()];
        panic!("[where] the shapes {shapes:?} do not broadcast");
    };
    Array::apply(Select { shape }, &[&condition.astype(Dtype::Bool), &first.astype(dtype), &second.astype(dtype)])
}

#[derive(Debug, PartialEq)]
struct Select {
    shape: Shape,
}

impl Primitive for Select {
    fn name(&self) -> &'static str {
        "where"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(&self.shape, inputs[1].dtype())
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        match class(inputs[1].dtype()) {
            Class::F32 => select::<f32>(context, inputs, &mut outputs[0]),
            Class::F64 => select::<f64>(context, inputs, &mut outputs[0]),
            Class::I64 => select::<i64>(context, inputs, &mut outputs[0]),
            Class::U64 => select::<u64>(context, inputs, &mut outputs[0]),
            Class::C64 => select::<Complex64>(context, inputs, &mut outputs[0]),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Select>() == Some(self)
    }
}

fn select<L: Lane>(context: &EvalContext, inputs: &[Tensor], out: &mut Tensor) {
    let (dtype, item) = (out.dtype(), out.dtype().size());
    let layouts: [Layout; 3] = std::array::from_fn(|i| inputs[i].layout().broadcast_to(out.shape()).coalesce());
    for_chunks(context.pool(), out.bytes_mut(), item, BLOCK, &|first, bytes| {
        let (mut chosen, mut x, mut y) = ([0i64; BLOCK], [L::default(); BLOCK], [L::default(); BLOCK]);
        for start in (0..bytes.len() / item).step_by(BLOCK) {
            let length = BLOCK.min(bytes.len() / item - start);
            Input::new(&inputs[0], &layouts[0]).load(first + start, &mut chosen[..length]);
            Input::new(&inputs[1], &layouts[1]).load(first + start, &mut x[..length]);
            Input::new(&inputs[2], &layouts[2]).load(first + start, &mut y[..length]);
            // Both sides are loaded, so that the choice is no branch: conditions are often random.
            for ((x, y), chosen) in x[..length].iter_mut().zip(&y).zip(&chosen) {
                *x = if *chosen != 0 { *x } else { *y };
            }
            store(&mut bytes[start * item..(start + length) * item], dtype, &x[..length]);
        }
    });
}
