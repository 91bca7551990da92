//! Concatenation and what is made of it: stack, tile, repeat, pad, roll.
//!
//! Read next: [`crate::ops::take`].

use std::any::Any;

use crate::array::Array;
use crate::dtype::{Dtype, promote};
use crate::ops::slice::{Range, scatter};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Layout, Shape, normalize_axis};
use crate::tensor::Tensor;

/// `arrays` one behind the other along `axis`; dtypes are promoted.
#[track_caller]
pub fn concatenate(arrays: &[&Array], axis: i32) -> Array {
    assert!(!arrays.is_empty(), "[concatenate] no arrays");
    if arrays.len() == 1 {
        return arrays[0].clone();
    }
    let first = arrays[0];
    let axis = normalize_axis("concatenate", axis, first.rank());
    for array in arrays {
        let same = array.rank() == first.rank()
            && (0..first.rank()).all(|other| other == axis || array.shape()[other] == first.shape()[other]);
        assert!(same, "[concatenate] {:?} beside {:?} along axis {axis}", array.shape(), first.shape());
    }
    let dtype = arrays.iter().map(|array| array.dtype()).fold(first.dtype(), promote);
    let inputs = arrays.iter().map(|array| array.astype(dtype)).collect();
    Array::apply_owned(std::sync::Arc::new(Concatenate { axis }), inputs)
}

/// `arrays` of one shape as entries of a new dimension `axis`.
#[track_caller]
pub fn stack(arrays: &[&Array], axis: i32) -> Array {
    assert!(!arrays.is_empty(), "[stack] no arrays");
    for array in arrays {
        assert_eq!(array.shape(), arrays[0].shape(), "[stack] shapes differ");
    }
    let rows: Vec<Array> = arrays.iter().map(|array| array.expand_dims(&[axis])).collect();
    concatenate(&rows.iter().collect::<Vec<_>>(), axis)
}

/// How [`Array::pad`] fills the border.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad {
    /// One value.
    Constant(f32),
    /// The nearest element.
    Edge,
}

impl Array {
    /// `count` copies of every element along `axis`, side by side.
    #[track_caller]
    pub fn repeat(&self, count: usize, axis: i32) -> Array {
        let axis = normalize_axis("repeat", axis, self.rank());
        let mut wide = Shape::from_slice(self.shape());
        wide.insert(axis + 1, count);
        let mut shape = Shape::from_slice(self.shape());
        shape[axis] *= count;
        self.expand_dims(&[axis as i32 + 1]).broadcast_to(&wide).reshape_to(&shape)
    }

    /// The whole array repeated `counts` times along its last dimensions.
    #[track_caller]
    pub fn tile(&self, counts: &[usize]) -> Array {
        let rank = counts.len().max(self.rank());
        let mut narrow = Shape::new();
        let mut wide = Shape::new();
        let mut shape = Shape::new();
        for axis in 0..rank {
            let dim = if axis + self.rank() >= rank { self.shape()[axis + self.rank() - rank] } else { 1 };
            let count = if axis + counts.len() >= rank { counts[axis + counts.len() - rank] } else { 1 };
            narrow.extend_from_slice(&[1, dim]);
            wide.extend_from_slice(&[count, dim]);
            shape.push(count * dim);
        }
        self.reshape_to(&narrow).broadcast_to(&wide).reshape_to(&shape)
    }

    /// `widths[axis] = (before, after)` more elements around the array.
    #[track_caller]
    pub fn pad(&self, widths: &[(usize, usize)], mode: Pad) -> Array {
        assert_eq!(widths.len(), self.rank(), "[pad] one pair of widths a dimension");
        if let Pad::Constant(value) = mode {
            let shape: Shape = self.shape().iter().zip(widths).map(|(dim, width)| dim + width.0 + width.1).collect();
            let range = |(&dim, width): (&usize, &(usize, usize))| Range::from(width.0 as i64..(width.0 + dim) as i64);
            let ranges: Vec<Range> = self.shape().iter().zip(widths).map(range).collect();
            return crate::ops::full(&shape, value, self.dtype()).slice_update(self, &ranges);
        }
        let mut out = self.clone();
        for (axis, &(before, after)) in widths.iter().enumerate() {
            let axis = axis as i32;
            let low = out.slice_axis(axis, 0..1).repeat(before, axis);
            let high = out.slice_axis(axis, -1..).repeat(after, axis);
            out = concatenate(&[&low, &out, &high], axis);
        }
        out
    }

    /// The elements moved by `shift` along `axis`, those that leave coming back at the other end.
    #[track_caller]
    pub fn roll(&self, shift: i64, axis: i32) -> Array {
        let dim = self.dim(axis) as i64;
        if dim == 0 || shift.rem_euclid(dim) == 0 {
            return self.clone();
        }
        let cut = dim - shift.rem_euclid(dim);
        concatenate(&[&self.slice_axis(axis, cut..), &self.slice_axis(axis, ..cut)], axis)
    }
}

#[derive(Debug, PartialEq)]
struct Concatenate {
    axis: usize,
}

impl Primitive for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut specs = one(inputs[0].shape(), inputs[0].dtype());
        specs[0].shape[self.axis] = inputs.iter().map(|input| input.shape()[self.axis]).sum();
        specs
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        let whole = Layout::contiguous(out.shape());
        let mut at = 0;
        for input in inputs {
            let mut target = whole.clone();
            target.shape[self.axis] = input.shape()[self.axis];
            target.offset = at * whole.strides[self.axis] as usize;
            at += input.shape()[self.axis];
            if input.size() == 0 {
                continue;
            }
            let input = input.contiguous();
            match input.dtype().size() {
                1 => scatter::<u8>(&input, &target, out),
                2 => scatter::<u16>(&input, &target, out),
                4 => scatter::<u32>(&input, &target, out),
                _ => scatter::<u64>(&input, &target, out),
            }
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Concatenate>() == Some(self)
    }
}

/// The dtype that holds all of `dtypes`.
pub fn result_type(dtypes: &[Dtype]) -> Dtype {
    dtypes.iter().copied().reduce(promote).unwrap_or(Dtype::F32)
}
