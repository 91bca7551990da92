//! General gather and scatter: blocks of an array at positions given by one index array an axis.
//!
//! Invariants: indices are wrapped from the end and checked; updates of a scatter are applied in row-major order of the
//! indices, so repeated positions have one result. Read next: [`crate::ops::take`].

use std::any::Any;

use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::Complex64;
use crate::ops::copy::copy_range;
use crate::ops::lanes::{Class, Input, Lane, class, store};
use crate::ops::take::read_indices;
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::{Layout, Shape, broadcast, element_count, normalize_axis};
use crate::tensor::Tensor;

/// How a scatter joins an update with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterMode {
    /// The update replaces it.
    Set,
    /// The sum.
    Add,
    /// The product.
    Multiply,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
}

type Axes = SmallVec<[usize; 4]>;

impl Array {
    /// Blocks of the shape `block` that begin at `indices[i]` along `axes[i]` and at 0 along the other axes. The index arrays
    /// broadcast; the result is `[indices…, block…]`.
    #[track_caller]
    pub fn gather(&self, indices: &[&Array], axes: &[i32], block: &[usize]) -> Array {
        let (axes, indices) = positions("gather", self, indices, axes);
        let fits = block.len() == self.rank() && block.iter().zip(self.shape()).all(|(part, whole)| part <= whole);
        assert!(fits, "[gather] blocks of {block:?} in {:?}", self.shape());
        let op = Gather { axes, block: Shape::from_slice(block) };
        Array::apply_owned(std::sync::Arc::new(op), std::iter::once(self.clone()).chain(indices).collect())
    }

    /// A copy in which `updates` `[indices…, block…]` are joined to the blocks at `indices`, as in [`Array::gather`].
    #[track_caller]
    pub fn scatter(&self, indices: &[&Array], updates: &Array, axes: &[i32], mode: ScatterMode) -> Array {
        let (axes, indices) = positions("scatter", self, indices, axes);
        let lead = indices.first().map_or(0, Array::rank);
        let fits = updates.rank() == lead + self.rank()
            && indices.first().is_none_or(|index| index.shape() == &updates.shape()[..lead])
            && updates.shape()[lead..].iter().zip(self.shape()).all(|(part, whole)| part <= whole);
        assert!(fits, "[scatter] updates {:?} for {:?}", updates.shape(), self.shape());
        let op = Scatter { axes, mode };
        let inputs = [self.clone(), updates.astype(self.dtype())].into_iter().chain(indices);
        Array::apply_owned(std::sync::Arc::new(op), inputs.collect())
    }
}

#[track_caller]
fn positions(op: &str, x: &Array, indices: &[&Array], axes: &[i32]) -> (Axes, Vec<Array>) {
    assert_eq!(indices.len(), axes.len(), "[{op}] one index array an axis");
    let axes: Axes = axes.iter().map(|&axis| normalize_axis(op, axis, x.rank())).collect();
    let mut shape = Shape::new();
    for index in indices {
        assert!(index.dtype().is_integer(), "[{op}] indices are integers, not {}", index.dtype());
        let joined = broadcast(&shape, index.shape());
        shape = joined.unwrap_or_else(|| panic!("[{op}] indices {:?} do not broadcast", index.shape()));
    }
    (axes, indices.iter().map(|index| index.broadcast_to(&shape)).collect())
}

/// The offset of each block in an array of `layout`.
fn block_offsets(op: &str, layout: &Layout, axes: &[usize], indices: &[Tensor], block: &[usize]) -> Vec<usize> {
    let count = indices.first().map_or(1, Tensor::size);
    let mut offsets = vec![layout.offset as isize; count];
    for (&axis, index) in axes.iter().zip(indices) {
        let dim = layout.shape[axis];
        for (offset, at) in offsets.iter_mut().zip(read_indices(op, index, dim)) {
            assert!(at + block[axis] <= dim, "[{op}] a block of {} at {at} of {dim} entries", block[axis]);
            *offset += at as isize * layout.strides[axis];
        }
    }
    offsets.into_iter().map(|offset| offset as usize).collect()
}

#[derive(Debug, PartialEq)]
struct Gather {
    axes: Axes,
    block: Shape,
}

impl Primitive for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut shape = inputs.get(1).map_or_else(Shape::new, |index| Shape::from_slice(index.shape()));
        shape.extend_from_slice(&self.block);
        one(&shape, inputs[0].dtype())
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let source = &inputs[0];
        let offsets = block_offsets("gather", source.layout(), &self.axes, &inputs[1..], &self.block);
        let bytes = element_count(&self.block) * source.dtype().size();
        if bytes == 0 {
            return;
        }
        let block = Layout { shape: self.block.clone(), ..source.layout().clone() }.coalesce();
        for (offset, out) in offsets.into_iter().zip(outputs[0].bytes_mut().chunks_exact_mut(bytes)) {
            copy_range(source, &Layout { offset, ..block.clone() }, 0, out);
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Gather>() == Some(self)
    }
}

#[derive(Debug, PartialEq)]
struct Scatter {
    axes: Axes,
    mode: ScatterMode,
}

impl Primitive for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn reuse(&self) -> Reuse {
        Reuse::Update(0)
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        match class(out.dtype()) {
            Class::F32 => self.run::<f32>(inputs, out, |mode, a, b| match mode {
                ScatterMode::Add => a + b,
                ScatterMode::Multiply => a * b,
                ScatterMode::Maximum => {
                    if a.is_nan() || a > b {
                        a
                    } else {
                        b
                    }
                }
                ScatterMode::Minimum => {
                    if a.is_nan() || a < b {
                        a
                    } else {
                        b
                    }
                }
                ScatterMode::Set => b,
            }),
            Class::F64 => self.run::<f64>(inputs, out, |mode, a, b| match mode {
                ScatterMode::Add => a + b,
                ScatterMode::Multiply => a * b,
                ScatterMode::Maximum => {
                    if a.is_nan() || a > b {
                        a
                    } else {
                        b
                    }
                }
                ScatterMode::Minimum => {
                    if a.is_nan() || a < b {
                        a
                    } else {
                        b
                    }
                }
                ScatterMode::Set => b,
            }),
            Class::I64 => self.run::<i64>(inputs, out, |mode, a, b| match mode {
                ScatterMode::Add => a.wrapping_add(b),
                ScatterMode::Multiply => a.wrapping_mul(b),
                ScatterMode::Maximum => a.max(b),
                ScatterMode::Minimum => a.min(b),
                ScatterMode::Set => b,
            }),
            Class::U64 => self.run::<u64>(inputs, out, |mode, a, b| match mode {
                ScatterMode::Add => a.wrapping_add(b),
                ScatterMode::Multiply => a.wrapping_mul(b),
                ScatterMode::Maximum => a.max(b),
                ScatterMode::Minimum => a.min(b),
                ScatterMode::Set => b,
            }),
            Class::C64 => self.run::<Complex64>(inputs, out, |mode, a, b| {
                let above = (a.re, a.im) > (b.re, b.im);
                match mode {
                    ScatterMode::Add => a + b,
                    ScatterMode::Multiply => a * b,
                    ScatterMode::Maximum => {
                        if above {
                            a
                        } else {
                            b
                        }
                    }
                    ScatterMode::Minimum => {
                        if above {
                            b
                        } else {
                            a
                        }
                    }
                    ScatterMode::Set => b,
                }
            }),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Scatter>() == Some(self)
    }
}

impl Scatter {
    fn run<L: Lane>(&self, inputs: &[Tensor], out: &mut Tensor, join: impl Fn(ScatterMode, L, L) -> L) {
        let updates = &inputs[1];
        let lead = updates.shape().len() - out.shape().len();
        let block: Shape = Shape::from_slice(&updates.shape()[lead..]);
        let whole = Layout::contiguous(out.shape());
        let offsets = block_offsets("scatter", &whole, &self.axes, &inputs[2..], &block);
        let (count, dtype, item) = (element_count(&block), out.dtype(), out.dtype().size());
        if count == 0 {
            return;
        }
        let source = updates.layout().coalesce();
        let target = Layout { shape: block, ..whole }.coalesce();
        let mut values = vec![L::default(); count];
        for (index, offset) in offsets.into_iter().enumerate() {
            Input::new(updates, &source).load(index * count, &mut values);
            Layout { offset, ..target.clone() }.runs(0, count, |position, start, length, stride| {
                for i in 0..length {
                    let at = (start as isize + i as isize * stride) as usize;
                    let mut old = [L::default()];
                    let one = Layout { shape: Shape::new(), strides: Default::default(), offset: at };
                    Input::new(out, &one).load(0, &mut old);
                    let new = join(self.mode, old[0], values[position + i]);
                    store(&mut out.bytes_mut()[at * item..(at + 1) * item], dtype, &[new]);
                }
            });
        }
    }
}
