//! Ops that transform each row along one axis as a whole: sort and argsort, cumulative reductions, softmax.
//!
//! The axis is brought to the end first, so a primitive here sees rows. Invariants: sorting is stable and NaN comes last;
//! a row's bits do not depend on the other rows. Read next: [`crate::ops::matmul`].

use std::any::Any;
use std::cmp::Ordering;

use crate::array::Array;
use crate::dtype::{Complex64, Dtype};
use crate::ops::lanes::{Class, Input, Lane, class, for_rows, store};
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::normalize_axis;
use crate::tensor::Tensor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    Sum,
    Product,
    Maximum,
    Minimum,
    LogAddExp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKernel {
    Sort,
    Argsort,
    Scan { scan: Scan, reverse: bool, inclusive: bool },
    Softmax,
}

impl Array {
    /// Sorted along `axis`, NaN last.
    #[track_caller]
    pub fn sort(&self, axis: i32) -> Array {
        on_rows(RowKernel::Sort, "sort", self, axis)
    }

    /// The positions that sort `axis`, equal elements in order, as u32.
    #[track_caller]
    pub fn argsort(&self, axis: i32) -> Array {
        on_rows(RowKernel::Argsort, "argsort", self, axis)
    }

    /// Reordered along `axis` so that the element at `at` is where sorting would put it, smaller ones before it.
    #[track_caller]
    pub fn partition(&self, at: i64, axis: i32) -> Array {
        check_position("partition", self, at, axis);
        self.sort(axis)
    }

    /// The positions that [`Array::partition`] takes its elements from.
    #[track_caller]
    pub fn argpartition(&self, at: i64, axis: i32) -> Array {
        check_position("argpartition", self, at, axis);
        self.argsort(axis)
    }

    /// The `count` largest elements along `axis`, smallest of them first.
    #[track_caller]
    pub fn topk(&self, count: usize, axis: i32) -> Array {
        let dim = self.dim(axis);
        assert!(count <= dim, "[topk] {count} of {dim} elements");
        self.sort(axis).slice_axis(axis, (dim - count) as i64..dim as i64)
    }

    /// Sums up to each element along `axis`: from the end when `reverse`, without the element unless `inclusive`.
    #[track_caller]
    pub fn cumsum(&self, axis: i32, reverse: bool, inclusive: bool) -> Array {
        let x = if self.dtype() == Dtype::Bool { self.astype(Dtype::I32) } else { self.clone() };
        on_rows(RowKernel::Scan { scan: Scan::Sum, reverse, inclusive }, "cumsum", &x, axis)
    }

    /// Products up to each element along `axis`.
    #[track_caller]
    pub fn cumprod(&self, axis: i32, reverse: bool, inclusive: bool) -> Array {
        on_rows(RowKernel::Scan { scan: Scan::Product, reverse, inclusive }, "cumprod", self, axis)
    }

    /// The largest element so far along `axis`.
    #[track_caller]
    pub fn cummax(&self, axis: i32, reverse: bool, inclusive: bool) -> Array {
        on_rows(RowKernel::Scan { scan: Scan::Maximum, reverse, inclusive }, "cummax", self, axis)
    }

    /// The smallest element so far along `axis`.
    #[track_caller]
    pub fn cummin(&self, axis: i32, reverse: bool, inclusive: bool) -> Array {
        on_rows(RowKernel::Scan { scan: Scan::Minimum, reverse, inclusive }, "cummin", self, axis)
    }

    /// ln Σ e^x up to each element along `axis`.
    #[track_caller]
    pub fn logcumsumexp(&self, axis: i32, reverse: bool, inclusive: bool) -> Array {
        let kernel = RowKernel::Scan { scan: Scan::LogAddExp, reverse, inclusive };
        on_rows(kernel, "logcumsumexp", &self.to_inexact(), axis)
    }

    /// e^x / Σ e^x over `axes` (all when empty), computed in f32 or better.
    #[track_caller]
    pub fn softmax(&self, axes: &[i32]) -> Array {
        let x = self.to_inexact();
        if let ([axis], true) = (axes, x.dtype() != Dtype::C64) {
            return on_rows(RowKernel::Softmax, "softmax", &x, *axis);
        }
        let powers = (&x - &x.max(axes, true)).exp();
        &powers / &powers.sum(axes, true)
    }

    /// x - ln Σ e^x over `axes` (all when empty).
    #[track_caller]
    pub fn log_softmax(&self, axes: &[i32]) -> Array {
        let x = self.to_inexact();
        &x - &x.logsumexp(axes, true)
    }
}

#[track_caller]
fn check_position(op: &str, x: &Array, at: i64, axis: i32) {
    let dim = x.dim(axis) as i64;
    assert!((-dim..dim).contains(&at), "[{op}] position {at} of {dim} elements");
}

#[track_caller]
fn on_rows(kernel: RowKernel, name: &'static str, x: &Array, axis: i32) -> Array {
    let axis = normalize_axis(name, axis, x.rank());
    let last = x.rank() - 1;
    if axis == last {
        return Array::apply(RowOp { kernel, name }, &[x]);
    }
    let moved = x.moveaxis(axis as i32, last as i32);
    Array::apply(RowOp { kernel, name }, &[&moved]).moveaxis(last as i32, axis as i32)
}

#[derive(Debug, PartialEq)]
struct RowOp {
    kernel: RowKernel,
    name: &'static str,
}

impl Primitive for RowOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let dtype = if self.kernel == RowKernel::Argsort { Dtype::U32 } else { inputs[0].dtype() };
        one(inputs[0].shape(), dtype)
    }

    fn reuse(&self) -> Reuse {
        // Softmax works in place; the others keep a row of their own.
        if self.kernel == RowKernel::Softmax { Reuse::Update(0) } else { Reuse::None }
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        if self.kernel == RowKernel::Softmax {
            return softmax(context, out);
        }
        match class(inputs[0].dtype()) {
            Class::F32 => self.run::<f32>(context, &inputs[0], out),
            Class::F64 => self.run::<f64>(context, &inputs[0], out),
            Class::I64 => self.run::<i64>(context, &inputs[0], out),
            Class::U64 => self.run::<u64>(context, &inputs[0], out),
            Class::C64 => self.run::<Complex64>(context, &inputs[0], out),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<RowOp>() == Some(self)
    }
}

impl RowOp {
    fn run<L: Row>(&self, context: &EvalContext, x: &Tensor, out: &mut Tensor) {
        let (dtype, length) = (out.dtype(), x.shape().last().copied().unwrap_or(1));
        let layout = x.layout().coalesce();
        let input = Input::new(x, &layout);
        for_rows(context.pool(), out.bytes_mut(), length.max(1) * dtype.size(), length * 8, &|first, bytes| {
            let mut row = vec![L::default(); length];
            let mut order: Vec<u32> = Vec::new();
            for (i, bytes) in bytes.chunks_exact_mut(length * dtype.size()).enumerate() {
                input.load((first + i) * length, &mut row);
                match self.kernel {
                    RowKernel::Sort => row.sort_by(|a, b| L::order(*a, *b)),
                    RowKernel::Argsort => {
                        order.clear();
                        order.extend(0..length as u32);
                        order.sort_by(|&a, &b| L::order(row[a as usize], row[b as usize]));
                        bytes.copy_from_slice(bytemuck::cast_slice(&order));
                        continue;
                    }
                    RowKernel::Scan { scan, reverse, inclusive } => {
                        if reverse {
                            row.reverse();
                        }
                        scan_row(scan, inclusive, dtype, &mut row);
                        if reverse {
                            row.reverse();
                        }
                    }
                    RowKernel::Softmax => unreachable!("softmax has its own path"),
                }
                store(bytes, dtype, &row);
            }
        });
    }
}

fn scan_row<L: Row>(scan: Scan, inclusive: bool, dtype: Dtype, row: &mut [L]) {
    let mut state = L::identity(scan, dtype);
    for x in row {
        let next = L::step(scan, state, *x);
        *x = if inclusive { next } else { state };
        state = next;
    }
}

/// A number type whose rows can be sorted and scanned.
trait Row: Lane {
    /// Total order with NaN last.
    fn order(a: Self, b: Self) -> Ordering;
    /// What an exclusive scan of `dtype` starts with.
    fn identity(scan: Scan, dtype: Dtype) -> Self;
    /// One more element.
    fn step(scan: Scan, state: Self, x: Self) -> Self;
}

macro_rules! row_float {
    ($type:ident) => {
        impl Row for $type {
            fn order(a: $type, b: $type) -> Ordering {
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }

            fn identity(scan: Scan, _: Dtype) -> $type {
                match scan {
                    Scan::Sum => 0.0,
                    Scan::Product => 1.0,
                    Scan::Maximum | Scan::LogAddExp => $type::NEG_INFINITY,
                    Scan::Minimum => $type::INFINITY,
                }
            }

            fn step(scan: Scan, state: $type, x: $type) -> $type {
                match scan {
                    Scan::Sum => state + x,
                    Scan::Product => state * x,
                    Scan::Maximum => {
                        if state.is_nan() || state > x {
                            state
                        } else {
                            x
                        }
                    }
                    Scan::Minimum => {
                        if state.is_nan() || state < x {
                            state
                        } else {
                            x
                        }
                    }
                    Scan::LogAddExp => {
                        let (low, high) = if state < x { (state, x) } else { (x, state) };
                        if low == $type::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
                    }
                }
            }
        }
    };
}
row_float!(f32);
row_float!(f64);

macro_rules! row_integer {
    ($type:ident) => {
        impl Row for $type {
            fn order(a: $type, b: $type) -> Ordering {
                a.cmp(&b)
            }

            fn identity(scan: Scan, dtype: Dtype) -> $type {
                match scan {
                    Scan::Sum | Scan::LogAddExp => 0,
                    Scan::Product => 1,
                    Scan::Maximum => lowest(dtype) as $type,
                    Scan::Minimum => highest(dtype) as $type,
                }
            }

            fn step(scan: Scan, state: $type, x: $type) -> $type {
                match scan {
                    Scan::Sum | Scan::LogAddExp => state.wrapping_add(x),
                    Scan::Product => state.wrapping_mul(x),
                    Scan::Maximum => state.max(x),
                    Scan::Minimum => state.min(x),
                }
            }
        }
    };
}
row_integer!(i64);
row_integer!(u64);

fn lowest(dtype: Dtype) -> i128 {
    match dtype {
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => -(1 << (8 * dtype.size() - 1)),
        _ => 0,
    }
}

fn highest(dtype: Dtype) -> i128 {
    match dtype {
        Dtype::Bool => 1,
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => (1 << (8 * dtype.size() - 1)) - 1,
        _ => (1 << (8 * dtype.size())) - 1,
    }
}

impl Row for Complex64 {
    fn order(a: Complex64, b: Complex64) -> Ordering {
        f32::order(a.re, b.re).then(f32::order(a.im, b.im))
    }

    fn identity(scan: Scan, dtype: Dtype) -> Complex64 {
        Complex64 { re: f32::identity(scan, dtype), im: 0.0 }
    }

    fn step(scan: Scan, state: Complex64, x: Complex64) -> Complex64 {
        match scan {
            Scan::Sum => state + x,
            Scan::Product => state * x,
            Scan::LogAddExp => (state.exp() + x.exp()).ln(),
            Scan::Maximum => {
                if Self::order(state, x).is_gt() {
                    state
                } else {
                    x
                }
            }
            Scan::Minimum => {
                if Self::order(state, x).is_lt() {
                    state
                } else {
                    x
                }
            }
        }
    }
}

/// Softmax of the rows of `out`, which holds the input.
fn softmax(context: &EvalContext, out: &mut Tensor) {
    let dim = out.shape().last().copied().unwrap_or(1);
    if out.size() == 0 {
        return;
    }
    match out.dtype() {
        Dtype::F32 => olivine_kernels::softmax::softmax(context.pool(), out.slice_mut(), dim),
        Dtype::F64 => {
            for row in out.slice_mut::<f64>().chunks_exact_mut(dim) {
                let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|x| *x = (*x - top).exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }
        dtype => {
            let layout = crate::shape::Layout::contiguous(out.shape());
            let mut values = vec![0f32; out.size()];
            Input::new(out, &layout).load(0, &mut values);
            olivine_kernels::softmax::softmax(context.pool(), &mut values, dim);
            store(out.bytes_mut(), dtype, &values);
        }
    }
}
