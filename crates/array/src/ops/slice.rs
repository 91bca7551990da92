//! Slices with steps, the update of a slice, and splitting.
//!
//! Invariant: a slice is a view; an update moves its input's buffer when nobody else reads it, and copies it otherwise.
//! Read next: [`crate::ops::take`].

use std::any::Any;

use smallvec::SmallVec;

use crate::array::Array;
use crate::ops::copy::copy_parallel;
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::{Layout, Shape, Strides, normalize_axis};
use crate::tensor::Tensor;

/// A range of one dimension as Python writes it: `start:stop:step`, counted from the end when negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First index; absent: the beginning (the end for a negative step).
    pub start: Option<i64>,
    /// Index after the last one; absent: the end (before the beginning for a negative step).
    pub stop: Option<i64>,
    /// Distance of neighbours, not 0.
    pub step: i64,
}

impl Range {
    /// Everything.
    pub const ALL: Range = Range { start: None, stop: None, step: 1 };

    /// The first index and the count in a dimension of `dim`.
    fn resolve(&self, dim: usize) -> (usize, usize) {
        assert!(self.step != 0, "[slice] a step of 0");
        let dim = dim as i64;
        let wrap = |index: i64, low: i64, high: i64| (if index < 0 { index + dim } else { index }).clamp(low, high);
        let (start, stop) = if self.step > 0 {
            (self.start.map_or(0, |x| wrap(x, 0, dim)), self.stop.map_or(dim, |x| wrap(x, 0, dim)))
        } else {
            (self.start.map_or(dim - 1, |x| wrap(x, -1, dim - 1)), self.stop.map_or(-1, |x| wrap(x, -1, dim - 1)))
        };
        let span = (stop - start) * self.step.signum();
        let count = if span <= 0 { 0 } else { (span + self.step.abs() - 1) / self.step.abs() };
        (start.max(0) as usize, count as usize)
    }
}

impl From<std::ops::Range<i64>> for Range {
    fn from(range: std::ops::Range<i64>) -> Range {
        Range { start: Some(range.start), stop: Some(range.end), step: 1 }
    }
}

impl From<std::ops::RangeFrom<i64>> for Range {
    fn from(range: std::ops::RangeFrom<i64>) -> Range {
        Range { start: Some(range.start), stop: None, step: 1 }
    }
}

impl From<std::ops::RangeTo<i64>> for Range {
    fn from(range: std::ops::RangeTo<i64>) -> Range {
        Range { start: None, stop: Some(range.end), step: 1 }
    }
}

impl From<std::ops::RangeFull> for Range {
    fn from(_: std::ops::RangeFull) -> Range {
        Range::ALL
    }
}

impl Array {
    /// The part of each leading dimension given by `ranges`; dimensions without one stay whole.
    #[track_caller]
    pub fn slice(&self, ranges: &[Range]) -> Array {
        let part = Part::new(self.shape(), ranges);
        if part.is_whole(self.shape()) {
            return self.clone();
        }
        Array::apply(Slice { part }, &[self])
    }

    /// `range` of dimension `axis`.
    #[track_caller]
    pub fn slice_axis(&self, axis: i32, range: impl Into<Range>) -> Array {
        let axis = normalize_axis("slice", axis, self.rank());
        let mut ranges: SmallVec<[Range; 4]> = SmallVec::from_elem(Range::ALL, axis);
        ranges.push(range.into());
        self.slice(&ranges)
    }

    /// Entry `index` of dimension `axis`, which goes away.
    #[track_caller]
    pub fn index_axis(&self, axis: i32, index: i64) -> Array {
        let axis = normalize_axis("index", axis, self.rank());
        let dim = self.shape()[axis] as i64;
        let at = if index < 0 { index + dim } else { index };
        assert!((0..dim).contains(&at), "[index] {index} in dimension {axis} of {:?}", self.shape());
        self.slice_axis(axis as i32, at..at + 1).squeeze(&[axis as i32])
    }

    /// A copy in which the part given by `ranges` is `update` (broadcast to it).
    #[track_caller]
    pub fn slice_update(&self, update: &Array, ranges: &[Range]) -> Array {
        let part = Part::new(self.shape(), ranges);
        let update = update.astype(self.dtype()).broadcast_to(&part.shape);
        Array::apply(SliceUpdate { part }, &[self, &update])
    }

    /// Cut dimension `axis` at `indices`.
    #[track_caller]
    pub fn split_at(&self, indices: &[usize], axis: i32) -> Vec<Array> {
        let dim = self.dim(axis);
        let mut edges: Vec<usize> = vec![0];
        edges.extend(indices.iter().map(|&index| index.min(dim)));
        edges.push(dim);
        edges.windows(2).map(|edge| self.slice_axis(axis, edge[0] as i64..edge[1] as i64)).collect()
    }

    /// Cut dimension `axis` into `parts` equal parts.
    #[track_caller]
    pub fn split(&self, parts: usize, axis: i32) -> Vec<Array> {
        let dim = self.dim(axis);
        assert!(parts > 0 && dim.is_multiple_of(parts), "[split] {dim} into {parts} equal parts");
        let indices: Vec<usize> = (1..parts).map(|part| part * dim / parts).collect();
        self.split_at(&indices, axis)
    }
}

/// Where a slice lies in an array of a known shape.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    starts: Shape,
    steps: Strides,
    shape: Shape,
}

impl Part {
    #[track_caller]
    fn new(shape: &[usize], ranges: &[Range]) -> Part {
        assert!(ranges.len() <= shape.len(), "[slice] {} ranges for the shape {shape:?}", ranges.len());
        let mut part = Part { starts: Shape::new(), steps: Strides::new(), shape: Shape::new() };
        for (axis, &dim) in shape.iter().enumerate() {
            let range = ranges.get(axis).unwrap_or(&Range::ALL);
            let (start, count) = range.resolve(dim);
            part.starts.push(start);
            part.steps.push(range.step as isize);
            part.shape.push(count);
        }
        part
    }

    fn is_whole(&self, shape: &[usize]) -> bool {
        self.shape[..] == *shape && self.steps.iter().all(|&step| step == 1)
    }

    fn layout(&self, whole: &Layout) -> Layout {
        let mut offset = whole.offset as isize;
        let mut strides = Strides::new();
        for axis in 0..self.shape.len() {
            if self.shape.iter().all(|&dim| dim > 0) {
                offset += self.starts[axis] as isize * whole.strides[axis];
            }
            strides.push(self.steps[axis] * whole.strides[axis]);
        }
        Layout { shape: self.shape.clone(), strides, offset: offset as usize }
    }
}

#[derive(Debug, PartialEq)]
struct Slice {
    part: Part,
}

impl Primitive for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(&self.part.shape, inputs[0].dtype())
    }

    fn view(&self, input: &Layout) -> Option<Layout> {
        Some(self.part.layout(input))
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        copy_parallel(context, &inputs[0], &mut outputs[0]);
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Slice>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct SliceUpdate {
    part: Part,
}

impl Primitive for SliceUpdate {
    fn name(&self) -> &'static str {
        "slice_update"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn reuse(&self) -> Reuse {
        Reuse::Update(0)
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let target = self.part.layout(&Layout::contiguous(outputs[0].shape()));
        let update = inputs[1].contiguous();
        match update.dtype().size() {
            1 => scatter::<u8>(&update, &target, &mut outputs[0]),
            2 => scatter::<u16>(&update, &target, &mut outputs[0]),
            4 => scatter::<u32>(&update, &target, &mut outputs[0]),
            _ => scatter::<u64>(&update, &target, &mut outputs[0]),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<SliceUpdate>() == Some(self)
    }
}

/// Write the dense `update` through the layout `target` of `out`.
pub(crate) fn scatter<T: bytemuck::Pod>(update: &Tensor, target: &Layout, out: &mut Tensor) {
    let source = update.slice::<T>();
    let out = out.slice_mut::<T>();
    target.coalesce().runs(0, source.len(), |position, offset, length, stride| {
        let source = &source[position..position + length];
        if stride == 1 {
            return out[offset..offset + length].copy_from_slice(source);
        }
        for (i, &value) in source.iter().enumerate() {
            out[(offset as isize + i as isize * stride) as usize] = value;
        }
    });
}
