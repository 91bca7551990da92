//! New arrays: constants, ranges, identity, triangles.
//!
//! Read next: [`crate::ops::binary`].

use std::any::Any;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::ops::binary::full_scalar;
use crate::ops::lanes::{BLOCK, for_chunks, store};
use crate::ops::select::where_;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// `value` everywhere.
pub fn full(shape: &[usize], value: f32, dtype: Dtype) -> Array {
    full_scalar(f64::from(value), dtype).broadcast_to(shape)
}

/// Zeros.
pub fn zeros(shape: &[usize], dtype: Dtype) -> Array {
    full(shape, 0.0, dtype)
}

/// Ones.
pub fn ones(shape: &[usize], dtype: Dtype) -> Array {
    full(shape, 1.0, dtype)
}

impl Array {
    /// Zeros of this array's shape and dtype.
    pub fn zeros_like(&self) -> Array {
        zeros(self.shape(), self.dtype())
    }

    /// Ones of this array's shape and dtype.
    pub fn ones_like(&self) -> Array {
        ones(self.shape(), self.dtype())
    }

    /// The elements on and below diagonal `k` of the last two dimensions, zeros above.
    #[track_caller]
    pub fn tril(&self, k: i64) -> Array {
        let (rows, columns) = (self.dim(-2), self.dim(-1));
        where_(&tri(rows, columns, k, Dtype::Bool), self, zeros(&[], self.dtype()))
    }

    /// The elements on and above diagonal `k` of the last two dimensions, zeros below.
    #[track_caller]
    pub fn triu(&self, k: i64) -> Array {
        let (rows, columns) = (self.dim(-2), self.dim(-1));
        where_(&tri(rows, columns, k - 1, Dtype::Bool), zeros(&[], self.dtype()), self)
    }
}

/// `start, start + step, …` below `stop` (above it for a negative step).
#[track_caller]
pub fn arange(start: f64, stop: f64, step: f64, dtype: Dtype) -> Array {
    assert!(step != 0.0 && step.is_finite(), "[arange] a step of {step}");
    assert!(start.is_finite() && stop.is_finite() && dtype != Dtype::Bool, "[arange] {start}..{stop} as {dtype}");
    let count = ((stop - start) / step).ceil().max(0.0) as usize;
    Array::apply(Arange { start, step, count, dtype }, &[])
}

/// `count` numbers from `start` to `stop`, both included, at equal distances.
pub fn linspace(start: f64, stop: f64, count: usize, dtype: Dtype) -> Array {
    if count == 1 {
        return full_scalar(start, dtype).reshape_to(&[1]);
    }
    let step = 1.0 / count.saturating_sub(1).max(1) as f32;
    let t = arange(0.0, count as f64, 1.0, Dtype::F32) * step;
    let low = (1f32 - &t) * start as f32;
    (low + t * stop as f32).astype(dtype)
}

/// Ones on diagonal `k`, zeros elsewhere.
pub fn eye(rows: usize, columns: usize, k: i64, dtype: Dtype) -> Array {
    let (row, column) = row_and_column(rows, columns);
    (row + k as i32).equal(column).astype(dtype)
}

/// The identity matrix.
pub fn identity(size: usize, dtype: Dtype) -> Array {
    eye(size, size, 0, dtype)
}

/// Ones on and below diagonal `k`, zeros above.
pub fn tri(rows: usize, columns: usize, k: i64, dtype: Dtype) -> Array {
    let (row, column) = row_and_column(rows, columns);
    (row + k as i32).greater_equal(column).astype(dtype)
}

fn row_and_column(rows: usize, columns: usize) -> (Array, Array) {
    let row = arange(0.0, rows as f64, 1.0, Dtype::I64).expand_dims(&[1]);
    (row, arange(0.0, columns as f64, 1.0, Dtype::I64).expand_dims(&[0]))
}

#[derive(Debug, PartialEq)]
struct Arange {
    start: f64,
    step: f64,
    count: usize,
    dtype: Dtype,
}

impl Primitive for Arange {
    fn name(&self) -> &'static str {
        "arange"
    }

    fn infer(&self, _: &[Array]) -> Specs {
        one(&[self.count], self.dtype)
    }

    fn eval_cpu(&self, context: &EvalContext, _: &[Tensor], outputs: &mut [Tensor]) {
        let (dtype, item) = (self.dtype, self.dtype.size());
        for_chunks(context.pool(), outputs[0].bytes_mut(), item, BLOCK, &|first, bytes| {
            let mut block = [0f64; BLOCK];
            for (index, piece) in bytes.chunks_mut(BLOCK * item).enumerate() {
                let count = piece.len() / item;
                for (i, value) in block[..count].iter_mut().enumerate() {
                    *value = self.start + (first + index * BLOCK + i) as f64 * self.step;
                }
                store(piece, dtype, &block[..count]);
            }
        });
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Arange>() == Some(self)
    }
}
