//! Ops that only change the layout: reshape, transpose, broadcast, axes, flip, as_strided.
//!
//! One primitive a kind of change; each is a view when evaluated, but for a reshape of a view that is not dense enough,
//! which copies. Read next: [`crate::ops::slice`].

use std::any::Any;

use smallvec::SmallVec;

use crate::array::Array;
use crate::ops::copy::copy_parallel;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Layout, Shape, Strides, element_count, normalize_axis};
use crate::tensor::Tensor;

impl Array {
    /// The same elements in the same order with another shape. One dimension may be -1: what is left.
    #[track_caller]
    pub fn reshape(&self, shape: &[i32]) -> Array {
        let known: usize = shape.iter().filter(|&&dim| dim >= 0).map(|&dim| dim as usize).product();
        let unknown = shape.iter().filter(|&&dim| dim < 0).count();
        assert!(unknown <= 1 && shape.iter().all(|&dim| dim >= -1), "[reshape] the shape {shape:?}");
        let rest = if unknown == 1 && known > 0 { self.size() / known } else { 0 };
        let shape: Shape = shape.iter().map(|&dim| if dim < 0 { rest } else { dim as usize }).collect();
        self.reshape_to(&shape)
    }

    /// [`Array::reshape`] with every dimension given.
    #[track_caller]
    pub fn reshape_to(&self, shape: &[usize]) -> Array {
        assert_eq!(element_count(shape), self.size(), "[reshape] {:?} into {shape:?}", self.shape());
        if shape == self.shape() {
            return self.clone();
        }
        Array::apply(Reshape { shape: Shape::from_slice(shape) }, &[self])
    }

    /// Dimensions `start..=end` as one.
    #[track_caller]
    pub fn flatten(&self, start: i32, end: i32) -> Array {
        if self.rank() == 0 {
            return self.reshape_to(&[1]);
        }
        let (start, end) = (normalize_axis("flatten", start, self.rank()), normalize_axis("flatten", end, self.rank()));
        assert!(start <= end, "[flatten] from {start} to {end}");
        let mut shape = Shape::from_slice(&self.shape()[..start]);
        shape.push(element_count(&self.shape()[start..=end]));
        shape.extend_from_slice(&self.shape()[end + 1..]);
        self.reshape_to(&shape)
    }

    /// Dimension `axis` split into `shape` (one may be -1).
    #[track_caller]
    pub fn unflatten(&self, axis: i32, shape: &[i32]) -> Array {
        let axis = normalize_axis("unflatten", axis, self.rank());
        let mut full: SmallVec<[i32; 8]> = self.shape()[..axis].iter().map(|&dim| dim as i32).collect();
        full.extend_from_slice(shape);
        full.extend(self.shape()[axis + 1..].iter().map(|&dim| dim as i32));
        self.reshape(&full)
    }

    /// Without the unit dimensions `axes`; without any unit dimension when `axes` is empty.
    #[track_caller]
    pub fn squeeze(&self, axes: &[i32]) -> Array {
        let drop: SmallVec<[usize; 4]> = if axes.is_empty() {
            (0..self.rank()).filter(|&axis| self.shape()[axis] == 1).collect()
        } else {
            axes.iter().map(|&axis| normalize_axis("squeeze", axis, self.rank())).collect()
        };
        for &axis in &drop {
            assert_eq!(self.shape()[axis], 1, "[squeeze] axis {axis} of {:?}", self.shape());
        }
        let keep = (0..self.rank()).filter(|axis| !drop.contains(axis));
        self.reshape_to(&keep.map(|axis| self.shape()[axis]).collect::<Shape>())
    }

    /// With unit dimensions at the positions `axes` of the result.
    #[track_caller]
    pub fn expand_dims(&self, axes: &[i32]) -> Array {
        let rank = self.rank() + axes.len();
        let new: SmallVec<[usize; 4]> = axes.iter().map(|&axis| normalize_axis("expand_dims", axis, rank)).collect();
        let mut old = self.shape().iter();
        let mut shape = Shape::new();
        for axis in 0..rank {
            let dim = if new.contains(&axis) { Some(&1) } else { old.next() };
            shape.push(*dim.unwrap_or_else(|| panic!("[expand_dims] the axes {axes:?} repeat")));
        }
        self.reshape_to(&shape)
    }

    /// Dimensions in the order `axes`; reversed when `axes` is empty.
    #[track_caller]
    pub fn transpose(&self, axes: &[i32]) -> Array {
        let order: SmallVec<[usize; 4]> = if axes.is_empty() {
            (0..self.rank()).rev().collect()
        } else {
            axes.iter().map(|&axis| normalize_axis("transpose", axis, self.rank())).collect()
        };
        let mut seen: SmallVec<[usize; 4]> = order.clone();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..self.rank()), "[transpose] {axes:?} of {} dimensions", self.rank());
        if order.iter().copied().eq(0..self.rank()) {
            return self.clone();
        }
        Array::apply(Transpose { axes: order }, &[self])
    }

    /// The transpose of the last two dimensions.
    #[track_caller]
    pub fn t(&self) -> Array {
        self.swapaxes(-1, -2)
    }

    /// Two dimensions exchanged.
    #[track_caller]
    pub fn swapaxes(&self, a: i32, b: i32) -> Array {
        let (a, b) = (normalize_axis("swapaxes", a, self.rank()), normalize_axis("swapaxes", b, self.rank()));
        let mut order: SmallVec<[i32; 4]> = (0..self.rank() as i32).collect();
        order.swap(a, b);
        self.transpose(&order)
    }

    /// Dimension `from` moved to position `to`.
    #[track_caller]
    pub fn moveaxis(&self, from: i32, to: i32) -> Array {
        let (from, to) = (normalize_axis("moveaxis", from, self.rank()), normalize_axis("moveaxis", to, self.rank()));
        let mut order: Vec<i32> = (0..self.rank() as i32).filter(|&axis| axis != from as i32).collect();
        order.insert(to, from as i32);
        self.transpose(&order)
    }

    /// Repeated along unit and new leading dimensions up to `shape`, without a copy.
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Array {
        let fits = crate::shape::broadcast(self.shape(), shape).is_some_and(|result| result[..] == *shape);
        assert!(fits, "[broadcast_to] {:?} to {shape:?}", self.shape());
        if shape == self.shape() {
            return self.clone();
        }
        Array::apply(Broadcast { shape: Shape::from_slice(shape) }, &[self])
    }

    /// A view on the elements in row-major order with free strides and offset, counted in elements.
    #[track_caller]
    pub fn as_strided(&self, shape: &[usize], strides: &[isize], offset: usize) -> Array {
        assert_eq!(shape.len(), strides.len(), "[as_strided] one stride a dimension");
        let reach = |sign: isize| -> isize {
            let part = |(&dim, &stride): (&usize, &isize)| (stride * sign).max(0) * (dim as isize - 1);
            shape.iter().zip(strides).map(part).sum()
        };
        if element_count(shape) > 0 {
            let fits = offset as isize >= reach(-1) && offset as isize + reach(1) < self.size() as isize;
            assert!(fits, "[as_strided] {shape:?} by {strides:?} from {offset} leaves {} elements", self.size());
        }
        let layout = Layout { shape: Shape::from_slice(shape), strides: Strides::from_slice(strides), offset };
        Array::apply(AsStrided { layout }, &[&self.contiguous()])
    }

    /// The order along `axes` reversed, without a copy.
    #[track_caller]
    pub fn flip(&self, axes: &[i32]) -> Array {
        let axes: SmallVec<[usize; 4]> = axes.iter().map(|&axis| normalize_axis("flip", axis, self.rank())).collect();
        Array::apply(Flip { axes }, &[self])
    }
}

/// Defines a primitive that is a view when `$layout` gives one, and a copy of its input otherwise.
macro_rules! view_primitive {
    ($(#[$doc:meta])* $type:ident { $field:ident: $kind:ty }, $name:literal,
     |$self:ident, $shape:ident| $infer:expr, |$this:ident, $input:ident| $layout:expr) => {
        $(#[$doc])*
        #[derive(Debug, PartialEq)]
        struct $type {
            $field: $kind,
        }

        impl Primitive for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn infer(&self, inputs: &[Array]) -> Specs {
                let ($self, $shape) = (self, inputs[0].shape());
                one(&$infer, inputs[0].dtype())
            }

            fn view(&self, input: &Layout) -> Option<Layout> {
                let ($this, $input) = (self, input);
                $layout
            }

            fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
                copy_parallel(context, &inputs[0], &mut outputs[0]);
            }

            fn is_equivalent(&self, other: &dyn Primitive) -> bool {
                (other as &dyn Any).downcast_ref::<$type>() == Some(self)
            }
        }
    };
}

view_primitive!(
    /// Another shape; a copy in row-major order when the strides do not allow a view.
    Reshape { shape: Shape }, "reshape", |op, _shape| op.shape.clone(), |op, input| input.reshape(&op.shape)
);
view_primitive!(
    /// Another order of the dimensions.
    Transpose { axes: SmallVec<[usize; 4]> }, "transpose",
    |op, shape| op.axes.iter().map(|&axis| shape[axis]).collect::<Shape>(),
    |op, input| Some(input.permute(&op.axes))
);
view_primitive!(
    /// Repetition by strides of 0.
    Broadcast { shape: Shape }, "broadcast_to", |op, _shape| op.shape.clone(),
    |op, input| Some(input.broadcast_to(&op.shape))
);
view_primitive!(
    /// Free strides on a contiguous input.
    AsStrided { layout: Layout }, "as_strided", |op, _shape| op.layout.shape.clone(),
    |op, input| Some(Layout { offset: input.offset + op.layout.offset, ..op.layout.clone() })
);
view_primitive!(
    /// Negative strides.
    Flip { axes: SmallVec<[usize; 4]> }, "flip", |_op, shape| Shape::from_slice(shape),
    |op, input| Some(flipped(input, &op.axes))
);

fn flipped(input: &Layout, axes: &[usize]) -> Layout {
    let mut layout = input.clone();
    for &axis in axes {
        let last = layout.shape[axis].saturating_sub(1) as isize;
        layout.offset = (layout.offset as isize + last * layout.strides[axis]) as usize;
        layout.strides[axis] = -layout.strides[axis];
    }
    layout
}
