//! Reductions over axes: sum, product, extremes and where they are; mean, variance, log-sum-exp, any, all, median.
//!
//! One primitive ([`Reduce`]) that keeps the reduced dimensions at length 1; the rest is composed. Invariants: the order in
//! which one result is summed depends only on the reduced lengths; NaN wins over every extreme. Empty `axes` mean all.
//! Read next: [`crate::ops::rows`].

use std::any::Any;

use olivine_kernels::reduce::{self, Reduction};
use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::{Complex64, Dtype, Kind};
use crate::ops::binary::full_scalar;
use crate::ops::lanes::{BLOCK, Class, Input, Lane, class, for_rows, store};
use crate::ops::select::where_;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Layout, Shape, element_count, normalize_axis};
use crate::tensor::Tensor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Sum,
    Product,
    Maximum,
    Minimum,
    ArgMaximum,
    ArgMinimum,
}

type Axes = SmallVec<[usize; 4]>;

impl Array {
    /// The sum; bool and integers below 32 bits are summed as 32-bit ones.
    #[track_caller]
    pub fn sum(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Sum, "sum", &widened(self), axes, keep_dims)
    }

    /// The product, in the types of [`Array::sum`].
    #[track_caller]
    pub fn prod(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Product, "prod", &widened(self), axes, keep_dims)
    }

    /// The largest element.
    #[track_caller]
    pub fn max(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Maximum, "max", self, axes, keep_dims)
    }

    /// The smallest element.
    #[track_caller]
    pub fn min(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Minimum, "min", self, axes, keep_dims)
    }

    /// Whether an element is true.
    #[track_caller]
    pub fn any(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Maximum, "any", &self.astype(Dtype::Bool), axes, keep_dims)
    }

    /// Whether all elements are true.
    #[track_caller]
    pub fn all(&self, axes: &[i32], keep_dims: bool) -> Array {
        reduce_by(Kernel::Minimum, "all", &self.astype(Dtype::Bool), axes, keep_dims)
    }

    /// The position of the first largest element along `axis`, as u32.
    #[track_caller]
    pub fn argmax(&self, axis: i32, keep_dims: bool) -> Array {
        reduce_by(Kernel::ArgMaximum, "argmax", self, &[axis], keep_dims)
    }

    /// The position of the first smallest element along `axis`, as u32.
    #[track_caller]
    pub fn argmin(&self, axis: i32, keep_dims: bool) -> Array {
        reduce_by(Kernel::ArgMinimum, "argmin", self, &[axis], keep_dims)
    }

    /// The mean.
    #[track_caller]
    pub fn mean(&self, axes: &[i32], keep_dims: bool) -> Array {
        let count = reduced_count("mean", self, axes);
        scaled(&self.to_inexact().sum(axes, keep_dims), 1.0 / count as f64)
    }

    /// The mean squared distance from the mean, divided by `count - ddof` instead of the count.
    #[track_caller]
    pub fn var(&self, axes: &[i32], keep_dims: bool, ddof: usize) -> Array {
        let count = reduced_count("var", self, axes);
        let distance = self.to_inexact() - self.mean(axes, true);
        let square = if distance.dtype() == Dtype::C64 { distance.abs().square() } else { distance.square() };
        scaled(&square.sum(axes, keep_dims), 1.0 / (count as f64 - ddof as f64).max(0.0))
    }

    /// The square root of [`Array::var`].
    #[track_caller]
    pub fn std(&self, axes: &[i32], keep_dims: bool, ddof: usize) -> Array {
        self.var(axes, keep_dims, ddof).sqrt()
    }

    /// ln Σ e^x without overflow.
    #[track_caller]
    pub fn logsumexp(&self, axes: &[i32], keep_dims: bool) -> Array {
        let x = self.to_inexact();
        let top = x.max(axes, true);
        let shift = where_(&top.isfinite(), &top, 0.0);
        let sum = (&x - &shift).exp().sum(axes, true).log() + shift;
        if keep_dims { sum } else { dropped("logsumexp", &sum, axes, self.rank()) }
    }

    /// The median: the mean of the two middle elements for an even count.
    #[track_caller]
    pub fn median(&self, axis: i32, keep_dims: bool) -> Array {
        let axis = normalize_axis("median", axis, self.rank()) as i32;
        let (sorted, count) = (self.to_inexact().sort(axis), self.dim(axis) as i64);
        assert!(count > 0, "[median] of nothing");
        let (low, high) = ((count - 1) / 2, count / 2);
        let middle = sorted.slice_axis(axis, low..low + 1) + sorted.slice_axis(axis, high..high + 1);
        let middle = &middle * 0.5;
        if keep_dims { middle } else { middle.squeeze(&[axis]) }
    }

    /// The sum of diagonal `offset` of the last two dimensions.
    #[track_caller]
    pub fn trace(&self, offset: i64) -> Array {
        let (rows, columns) = (self.dim(-2), self.dim(-1));
        let mask = crate::ops::eye(rows, columns, offset, Dtype::Bool);
        where_(&mask, self, crate::ops::zeros(&[], self.dtype())).sum(&[-2, -1], false)
    }
}

/// `x · factor`, the factor rounded once to the dtype of `x`.
fn scaled(x: &Array, factor: f64) -> Array {
    x * &full_scalar(factor, x.dtype())
}

fn widened(x: &Array) -> Array {
    let dtype = match (x.dtype().kind(), x.dtype().size()) {
        (Kind::Bool, _) | (Kind::Signed, 1 | 2) => Dtype::I32,
        (Kind::Unsigned, 1 | 2) => Dtype::U32,
        _ => x.dtype(),
    };
    x.astype(dtype)
}

#[track_caller]
fn normalized(op: &str, axes: &[i32], rank: usize) -> Axes {
    if axes.is_empty() {
        return (0..rank).collect();
    }
    let mut all: Axes = axes.iter().map(|&axis| normalize_axis(op, axis, rank)).collect();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "[{op}] the axes {axes:?} repeat");
    all
}

#[track_caller]
fn reduced_count(op: &str, x: &Array, axes: &[i32]) -> usize {
    normalized(op, axes, x.rank()).iter().map(|&axis| x.shape()[axis]).product()
}

#[track_caller]
fn dropped(op: &str, x: &Array, axes: &[i32], rank: usize) -> Array {
    let axes = normalized(op, axes, rank);
    let shape: Shape = (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| x.shape()[axis]).collect();
    x.reshape_to(&shape)
}

#[track_caller]
fn reduce_by(kernel: Kernel, name: &'static str, x: &Array, axes: &[i32], keep_dims: bool) -> Array {
    let reduced = normalized(name, axes, x.rank());
    let count: usize = reduced.iter().map(|&axis| x.shape()[axis]).product();
    let extreme = !matches!(kernel, Kernel::Sum | Kernel::Product);
    assert!(count > 0 || !extreme, "[{name}] of nothing: the shape is {:?}", x.shape());
    let node = Array::apply(Reduce { kernel, name, axes: reduced }, &[x]);
    if keep_dims { node } else { dropped(name, &node, axes, x.rank()) }
}

#[derive(Debug, PartialEq)]
struct Reduce {
    kernel: Kernel,
    name: &'static str,
    axes: Axes,
}

impl Primitive for Reduce {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let position = matches!(self.kernel, Kernel::ArgMaximum | Kernel::ArgMinimum);
        let mut specs = one(inputs[0].shape(), if position { Dtype::U32 } else { inputs[0].dtype() });
        for &axis in &self.axes {
            specs[0].shape[axis] = 1;
        }
        specs
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        if self.on_kernels(context, &inputs[0], &mut outputs[0]) {
            return;
        }
        match class(inputs[0].dtype()) {
            Class::F32 | Class::F64 => self.run::<f64>(context, &inputs[0], &mut outputs[0]),
            Class::I64 => self.run::<i64>(context, &inputs[0], &mut outputs[0]),
            Class::U64 => self.run::<u64>(context, &inputs[0], &mut outputs[0]),
            Class::C64 => self.run::<Complex64>(context, &inputs[0], &mut outputs[0]),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Reduce>() == Some(self)
    }
}

impl Reduce {
    /// f32 over neighbouring axes: `[outer, length, inner]` on the vector kernels, whatever the layout was.
    fn on_kernels(&self, context: &EvalContext, x: &Tensor, out: &mut Tensor) -> bool {
        let reduction = match self.kernel {
            Kernel::Sum => Reduction::Sum,
            Kernel::Product => Reduction::Product,
            Kernel::Maximum => Reduction::Maximum,
            Kernel::Minimum => Reduction::Minimum,
            _ => return false,
        };
        let (Some(&first), Some(&last)) = (self.axes.first(), self.axes.last()) else { return false };
        if x.dtype() != Dtype::F32 || last - first + 1 != self.axes.len() || x.size() == 0 {
            return false;
        }
        let x = x.contiguous();
        let length = element_count(&x.shape()[first..=last]);
        let inner = element_count(&x.shape()[last + 1..]);
        reduce::reduce(context.pool(), reduction, x.slice(), length, inner, out.slice_mut());
        true
    }

    fn run<L: Fold>(&self, context: &EvalContext, x: &Tensor, out: &mut Tensor) {
        let mut order: Axes = (0..x.shape().len()).filter(|axis| !self.axes.contains(axis)).collect();
        order.extend_from_slice(&self.axes);
        let layout: Layout = x.layout().permute(&order).coalesce();
        let length: usize = self.axes.iter().map(|&axis| x.shape()[axis]).product();
        let (dtype, item) = (out.dtype(), out.dtype().size());
        let input = Input::new(x, &layout);
        for_rows(context.pool(), out.bytes_mut(), item, length, &|first, bytes| {
            let mut block = [L::default(); BLOCK];
            for (i, bytes) in bytes.chunks_exact_mut(item).enumerate() {
                let mut state = L::start(self.kernel);
                for begin in (0..length).step_by(BLOCK) {
                    let block = &mut block[..BLOCK.min(length - begin)];
                    input.load((first + i) * length + begin, block);
                    state = L::fold(self.kernel, state, begin, block);
                }
                match self.kernel {
                    Kernel::ArgMaximum | Kernel::ArgMinimum => store(bytes, dtype, &[state.1 as i64]),
                    _ => store(bytes, dtype, &[state.0]),
                }
            }
        });
    }
}

/// A number type that can be reduced. The state is a value and, for extremes, its position.
trait Fold: Lane {
    fn start(kernel: Kernel) -> (Self, usize);
    fn fold(kernel: Kernel, state: (Self, usize), begin: usize, block: &[Self]) -> (Self, usize);
}

macro_rules! fold {
    ($type:ty, $zero:expr, $one:expr, $add:expr, $multiply:expr, $above:expr) => {
        impl Fold for $type {
            fn start(kernel: Kernel) -> (Self, usize) {
                (if kernel == Kernel::Product { $one } else { $zero }, usize::MAX)
            }

            fn fold(kernel: Kernel, mut state: (Self, usize), begin: usize, block: &[Self]) -> (Self, usize) {
                match kernel {
                    Kernel::Sum => state.0 = block.iter().fold(state.0, |sum, &x| $add(sum, x)),
                    Kernel::Product => state.0 = block.iter().fold(state.0, |product, &x| $multiply(product, x)),
                    Kernel::Maximum | Kernel::ArgMaximum => {
                        for (i, &x) in block.iter().enumerate() {
                            if state.1 == usize::MAX || $above(x, state.0) {
                                state = (x, begin + i);
                            }
                        }
                    }
                    Kernel::Minimum | Kernel::ArgMinimum => {
                        for (i, &x) in block.iter().enumerate() {
                            if state.1 == usize::MAX || !nan(state.0) && (nan(x) || $above(state.0, x)) {
                                state = (x, begin + i);
                            }
                        }
                    }
                }
                state
            }
        }
    };
}

/// Whether the number differs from itself.
fn nan<L: Lane>(x: L) -> bool {
    let z = x.to_c64();
    z.re.is_nan() || z.im.is_nan()
}

fn above_f64(x: f64, y: f64) -> bool {
    !y.is_nan() && (x > y || x.is_nan())
}

fn above_c64(x: Complex64, y: Complex64) -> bool {
    !nan(y) && (nan(x) || (x.re, x.im) > (y.re, y.im))
}

fold!(f64, 0.0, 1.0, |a: f64, b: f64| a + b, |a: f64, b: f64| a * b, above_f64);
fold!(i64, 0, 1, i64::wrapping_add, i64::wrapping_mul, |a: i64, b: i64| a > b);
fold!(u64, 0, 1, u64::wrapping_add, u64::wrapping_mul, |a: u64, b: u64| a > b);
fold!(
    Complex64,
    Complex64::default(),
    Complex64 { re: 1.0, im: 0.0 },
    |a: Complex64, b: Complex64| a + b,
    |a: Complex64, b: Complex64| a * b,
    above_c64
);
