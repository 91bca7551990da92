//! Entries of one dimension chosen by an index array: `take`, `take_along_axis`, `put_along_axis`.
//!
//! Invariant: indices may be negative (from the end); out of range they panic with the index and the dimension when the
//! node runs, they never read elsewhere. Read next: [`crate::ops::concatenate`].

use std::any::Any;
use std::sync::Arc;

use bytemuck::Pod;
use olivine_gpu::ops::gather;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::gpu::Gpu;
use crate::ops::lanes::Input;
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::{Shape, broadcast, element_count, normalize_axis};
use crate::tensor::Tensor;

impl Array {
    /// The entries `indices` of dimension `axis`: the result has the dimensions of `indices` in place of `axis`.
    #[track_caller]
    pub fn take(&self, indices: &Array, axis: i32) -> Array {
        let axis = normalize_axis("take", axis, self.rank());
        check_indices("take", indices);
        Array::apply(Take { axis }, &[self, indices])
    }

    /// For every position the entry `indices` says along `axis`; other dimensions broadcast.
    #[track_caller]
    pub fn take_along_axis(&self, indices: &Array, axis: i32) -> Array {
        let (axis, shape) = along("take_along_axis", self, indices, axis);
        let mut whole = shape.clone();
        whole[axis] = self.shape()[axis];
        Array::apply(TakeAlong { axis }, &[&self.broadcast_to(&whole), &indices.broadcast_to(&shape)])
    }

    /// A copy in which the entries `indices` along `axis` are `values`.
    #[track_caller]
    pub fn put_along_axis(&self, indices: &Array, values: &Array, axis: i32) -> Array {
        let (axis, shape) = along("put_along_axis", self, indices, axis);
        let values = values.astype(self.dtype()).broadcast_to(&shape);
        Array::apply(PutAlong { axis }, &[self, &indices.broadcast_to(&shape), &values])
    }
}

#[track_caller]
fn check_indices(op: &str, indices: &Array) {
    assert!(indices.dtype().is_integer(), "[{op}] indices are integers, not {}", indices.dtype());
}

/// The axis, and the shape of the indices broadcast against the array in all other dimensions.
#[track_caller]
fn along(op: &str, array: &Array, indices: &Array, axis: i32) -> (usize, Shape) {
    check_indices(op, indices);
    assert_eq!(array.rank(), indices.rank(), "[{op}] dimensions of array and indices");
    let axis = normalize_axis(op, axis, array.rank());
    let mut shape = Shape::from_slice(array.shape());
    shape[axis] = indices.shape()[axis];
    let shape = broadcast(&shape, indices.shape());
    let shape = shape.unwrap_or_else(|| panic!("[{op}] indices {:?} for {:?}", indices.shape(), array.shape()));
    (axis, shape)
}

/// All indices, wrapped and checked against `dim`.
pub(crate) fn read_indices(op: &str, indices: &Tensor, dim: usize) -> Vec<usize> {
    let layout = indices.layout().coalesce();
    let mut values = vec![0i64; indices.size()];
    Input::new(indices, &layout).load(0, &mut values);
    let wrap = |index: i64| {
        let at = if index < 0 { index + dim as i64 } else { index };
        assert!((0..dim as i64).contains(&at), "[{op}] the index {index} is out of range for {dim} entries");
        at as usize
    };
    values.into_iter().map(wrap).collect()
}

/// All values of a small integer tensor.
pub(crate) fn read_positions(positions: &Tensor) -> Vec<i32> {
    let mut values = vec![0i64; positions.size()];
    Input::new(positions, &positions.layout().coalesce()).load(0, &mut values);
    values.into_iter().map(|position| position as i32).collect()
}

#[derive(Debug, PartialEq)]
struct Take {
    axis: usize,
}

impl Primitive for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut shape = Shape::from_slice(&inputs[0].shape()[..self.axis]);
        shape.extend_from_slice(inputs[1].shape());
        shape.extend_from_slice(&inputs[0].shape()[self.axis + 1..]);
        one(&shape, inputs[0].dtype())
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let source = inputs[0].contiguous();
        let dim = source.shape()[self.axis];
        let indices = read_indices("take", &inputs[1], dim);
        let row = element_count(&source.shape()[self.axis + 1..]) * source.dtype().size();
        let (from, to) = (source.bytes(), outputs[0].bytes_mut());
        if to.is_empty() {
            return;
        }
        for (outer, block) in to.chunks_exact_mut(row * indices.len()).enumerate() {
            for (entry, &index) in block.chunks_exact_mut(row).zip(&indices) {
                entry.copy_from_slice(&from[(outer * dim + index) * row..][..row]);
            }
        }
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let (source, indices) = (&inputs[0], &inputs[1]);
        // Unsigned 32-bit indices are not negative, but they may be too large: whoever brings them from the host checks.
        let fits = self.axis == 0 && source.dtype().size() == 4 && indices.dtype() == Dtype::U32;
        if !fits {
            return false;
        }
        let (Some(from), Some(rows)) = (source.on_gpu_dense(gpu), indices.on_gpu_dense(gpu)) else { return false };
        let columns = source.size() / source.shape()[0];
        let out = outputs[0].on_gpu_fresh(gpu);
        let (columns, count) = (columns as u32, indices.size() as u32);
        gpu.record(|list| gather::rows(list, &from, &rows, columns, count, &out));
        true
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Take>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct TakeAlong {
    axis: usize,
}

impl Primitive for TakeAlong {
    fn name(&self) -> &'static str {
        "take_along_axis"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[1].shape(), inputs[0].dtype())
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let source = inputs[0].contiguous();
        let dim = source.shape()[self.axis];
        let indices = read_indices("take_along_axis", &inputs[1], dim);
        let walk = Along::new(outputs[0].shape(), self.axis, dim);
        match source.dtype().size() {
            1 => walk.gather(source.slice::<u8>(), &indices, outputs[0].slice_mut()),
            2 => walk.gather(source.slice::<u16>(), &indices, outputs[0].slice_mut()),
            4 => walk.gather(source.slice::<u32>(), &indices, outputs[0].slice_mut()),
            _ => walk.gather(source.slice::<u64>(), &indices, outputs[0].slice_mut()),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<TakeAlong>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct PutAlong {
    axis: usize,
}

impl Primitive for PutAlong {
    fn name(&self) -> &'static str {
        "put_along_axis"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn reuse(&self) -> Reuse {
        Reuse::Update(0)
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let dim = outputs[0].shape()[self.axis];
        let indices = read_indices("put_along_axis", &inputs[1], dim);
        let values = inputs[2].contiguous();
        let walk = Along::new(inputs[1].shape(), self.axis, dim);
        match values.dtype().size() {
            1 => walk.scatter(values.slice::<u8>(), &indices, outputs[0].slice_mut()),
            2 => walk.scatter(values.slice::<u16>(), &indices, outputs[0].slice_mut()),
            4 => walk.scatter(values.slice::<u32>(), &indices, outputs[0].slice_mut()),
            _ => walk.scatter(values.slice::<u64>(), &indices, outputs[0].slice_mut()),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<PutAlong>() == Some(self)
    }
}

/// Walks positions of the index array beside the positions they mean in an array with `dim` entries along the axis.
struct Along {
    count: usize,
    inner: usize,
    dim: usize,
}

impl Along {
    fn new(shape: &[usize], axis: usize, dim: usize) -> Along {
        Along { count: shape[axis], inner: element_count(&shape[axis + 1..]), dim }
    }

    fn position(&self, flat: usize, index: usize) -> usize {
        let (outer, inner) = (flat / (self.count * self.inner), flat % self.inner);
        (outer * self.dim + index) * self.inner + inner
    }

    fn gather<T: Pod>(&self, source: &[T], indices: &[usize], out: &mut [T]) {
        for (flat, (to, &index)) in out.iter_mut().zip(indices).enumerate() {
            *to = source[self.position(flat, index)];
        }
    }

    fn scatter<T: Pod>(&self, values: &[T], indices: &[usize], out: &mut [T]) {
        for (flat, (&from, &index)) in values.iter().zip(indices).enumerate() {
            out[self.position(flat, index)] = from;
        }
    }
}
