//! Matrix products: batched, broadcast, over any strides; and what is composed of them.
//!
//! Invariant: f16 and bf16 are multiplied and summed in f32 and rounded once; a row of the result does not depend on the
//! other rows. Read next: [`crate::ops::reduce`].

use std::any::Any;

use olivine_kernels::dense::{BatchOffsets, StridedMatrix, gemm_f32};

use crate::array::Array;
use crate::dtype::{Complex64, Dtype, promote};
use crate::ops::lanes::{Class, Input, Lane, class, for_rows, store};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Layout, Shape, broadcast, element_count};
use crate::tensor::Tensor;

impl Array {
    /// The matrix product of the last two dimensions; leading ones broadcast. A vector on the left is a row, on the
    /// right a column, and its dimension goes away again.
    #[track_caller]
    pub fn matmul(&self, other: &Array) -> Array {
        assert!(self.rank() > 0 && other.rank() > 0, "[matmul] a scalar has no dimension to sum over");
        if self.rank() == 1 {
            return self.expand_dims(&[0]).matmul(other).squeeze(&[if other.rank() == 1 { 0 } else { -2 }]);
        }
        if other.rank() == 1 {
            return self.matmul(&other.expand_dims(&[1])).squeeze(&[-1]);
        }
        let dtype = promote(self.dtype(), other.dtype());
        assert!(dtype.is_inexact(), "[matmul] only for floats and complex numbers, not {dtype}");
        let (a, b) = (self.shape(), other.shape());
        let (batch_a, batch_b) = (&a[..a.len() - 2], &b[..b.len() - 2]);
        let batch = broadcast(batch_a, batch_b).filter(|_| a[a.len() - 1] == b[b.len() - 2]);
        let Some(mut shape) = batch else { panic!("[matmul] the shapes {a:?} and {b:?} do not fit") };
        shape.extend_from_slice(&[a[a.len() - 2], b[b.len() - 1]]);
        Array::apply(Matmul { shape }, &[&self.astype(dtype), &other.astype(dtype)])
    }

    /// `alpha · a·b + beta · self`.
    #[track_caller]
    pub fn addmm(&self, a: &Array, b: &Array, alpha: f32, beta: f32) -> Array {
        &a.matmul(b) * alpha + &(self * beta)
    }

    /// The sums of products over the last dimensions of both.
    #[track_caller]
    pub fn inner(&self, other: &Array) -> Array {
        if self.rank() == 0 || other.rank() == 0 {
            return self * other;
        }
        self.tensordot(other, &[-1], &[-1])
    }

    /// All products of an element of `self` with one of `other`, both flattened.
    #[track_caller]
    pub fn outer(&self, other: &Array) -> Array {
        self.reshape(&[-1, 1]) * other.reshape(&[1, -1])
    }

    /// The sums of products over `axes` of `self` and `other_axes` of `other`, pair by pair.
    #[track_caller]
    pub fn tensordot(&self, other: &Array, axes: &[i32], other_axes: &[i32]) -> Array {
        let normalize = |x: &Array, axes: &[i32]| -> Vec<i32> {
            axes.iter().map(|&axis| crate::shape::normalize_axis("tensordot", axis, x.rank()) as i32).collect()
        };
        let (left, right) = (normalize(self, axes), normalize(other, other_axes));
        let dims = |x: &Array, axes: &[i32]| -> Vec<usize> { axes.iter().map(|&axis| x.dim(axis)).collect() };
        assert_eq!(dims(self, &left), dims(other, &right), "[tensordot] the summed dimensions differ");
        let free = |x: &Array, axes: &[i32]| -> Vec<i32> {
            (0..x.rank() as i32).filter(|axis| !axes.contains(axis)).collect()
        };
        let (free_left, free_right) = (free(self, &left), free(other, &right));
        let summed = element_count(&dims(self, &left)) as i32;
        let a = self.transpose(&[&free_left[..], &left].concat()).reshape(&[-1, summed]);
        let b = other.transpose(&[&right[..], &free_right].concat()).reshape(&[summed, -1]);
        a.matmul(&b).reshape_to(&[dims(self, &free_left), dims(other, &free_right)].concat())
    }
}

#[derive(Debug, PartialEq)]
struct Matmul {
    shape: Shape,
}

impl Primitive for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(&self.shape, inputs[0].dtype())
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        match out.dtype() {
            Dtype::F32 => multiply_f32(context, &inputs[0], &inputs[1], out),
            Dtype::F16 | Dtype::Bf16 => {
                let mut result = Tensor::new(out.shape(), Dtype::F32);
                multiply_f32(context, &widen(&inputs[0]), &widen(&inputs[1]), &mut result);
                store(out.bytes_mut(), inputs[0].dtype(), result.slice::<f32>());
            }
            dtype if class(dtype) == Class::F64 => {
                multiply_lanes(context, inputs, out, |sum: f64, a, b| sum + a * b);
            }
            _ => multiply_lanes(context, inputs, out, |sum: Complex64, a, b| sum + a * b),
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Matmul>() == Some(self)
    }
}

/// A contiguous f32 copy, of the stored elements only (broadcast dimensions stay broadcast).
pub(crate) fn widen(x: &Tensor) -> Tensor {
    let mut once = x.layout().clone();
    for axis in 0..once.rank() {
        if once.strides[axis] == 0 {
            once.shape[axis] = once.shape[axis].min(1);
        }
    }
    let mut out = Tensor::new(&once.shape, Dtype::F32);
    Input::new(x, &once).load(0, out.slice_mut::<f32>());
    out.layout = out.layout.broadcast_to(x.shape());
    out
}

fn multiply_f32(context: &EvalContext, a: &Tensor, b: &Tensor, out: &mut Tensor) {
    let shape = out.layout().shape.clone();
    if element_count(&shape) == 0 {
        return;
    }
    let (batch_shape, matrix) = shape.split_at(shape.len() - 2);
    let (m, n, k) = (matrix[0], matrix[1], a.shape()[a.shape().len() - 1]);
    if k == 0 {
        return out.slice_mut::<f32>().fill(0.0);
    }
    let view = |x: &Tensor| {
        let rank = x.layout().rank();
        let strides = &x.layout().strides[rank - 2..];
        (strides[0], strides[1], batch_offsets(x.layout(), batch_shape))
    };
    let ((a_row, a_column, a_starts), (b_row, b_column, b_starts)) = (view(a), view(b));
    let starts = a_starts.iter().zip(&b_starts).enumerate();
    let batch: Vec<BatchOffsets> = starts.map(|(i, (&a, &b))| BatchOffsets { a, b, out: i * m * n }).collect();
    let a = StridedMatrix { data: a.storage(), row_stride: a_row, column_stride: a_column };
    let b = StridedMatrix { data: b.storage(), row_stride: b_row, column_stride: b_column };
    gemm_f32(context.pool(), (m, n, k), a, b, &batch, out.slice_mut(), n);
}

/// Where each matrix of the batch begins.
fn batch_offsets(layout: &Layout, batch_shape: &[usize]) -> Vec<usize> {
    let rank = layout.rank();
    let lead = Layout {
        shape: Shape::from_slice(&layout.shape[..rank - 2]),
        strides: layout.strides[..rank - 2].into(),
        offset: layout.offset,
    };
    let mut starts = Vec::with_capacity(element_count(batch_shape));
    lead.broadcast_to(batch_shape).runs(0, element_count(batch_shape), |_, offset, count, stride| {
        starts.extend((0..count as isize).map(|i| (offset as isize + i * stride) as usize));
    });
    starts
}

/// The plain loops, for double precision and complex numbers.
fn multiply_lanes<L: Lane>(
    context: &EvalContext,
    inputs: &[Tensor],
    out: &mut Tensor,
    step: impl Fn(L, L, L) -> L + Sync,
) {
    let shape = out.layout().shape.clone();
    let (batch_shape, matrix) = shape.split_at(shape.len() - 2);
    let (m, n, k) = (matrix[0], matrix[1], inputs[0].shape()[inputs[0].shape().len() - 1]);
    let whole = |x: &Tensor, rows: usize, columns: usize| {
        let full: Shape = batch_shape.iter().copied().chain([rows, columns]).collect();
        x.layout().broadcast_to(&full).coalesce()
    };
    let (a_layout, b_layout) = (whole(&inputs[0], m, k), whole(&inputs[1], k, n));
    let (dtype, item) = (out.dtype(), out.dtype().size());
    for_rows(context.pool(), out.bytes_mut(), n.max(1) * item, n * k, &|first, bytes| {
        let (mut row, mut other, mut sums) = (vec![L::default(); k], vec![L::default(); n], vec![L::default(); n]);
        for (i, bytes) in bytes.chunks_exact_mut(n * item).enumerate() {
            let r = first + i;
            Input::new(&inputs[0], &a_layout).load(r * k, &mut row);
            sums.fill(L::default());
            for (l, &a) in row.iter().enumerate() {
                Input::new(&inputs[1], &b_layout).load((r / m * k + l) * n, &mut other);
                for (sum, &b) in sums.iter_mut().zip(&other) {
                    *sum = step(*sum, a, b);
                }
            }
            store(bytes, dtype, &sums);
        }
    });
}
