//! Copies through layouts: the bytes of a strided view, dense.
//!
//! Invariant: only the size of an element matters here, never its type. Read next: [`crate::ops::view`].

use std::sync::Arc;

use crate::array::Array;
use crate::gpu::Gpu;
use crate::ops::lanes::{for_chunks, gather};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::Layout;
use crate::tensor::Tensor;

/// Write the elements of `tensor` in row-major order to `out`.
pub fn copy_into(tensor: &Tensor, out: &mut [u8]) {
    copy_range(tensor, &tensor.layout().coalesce(), 0, out);
}

impl Tensor {
    /// The same elements, contiguous: itself when it is, a copy when not.
    pub fn contiguous(&self) -> Tensor {
        if self.is_contiguous() {
            return self.clone();
        }
        let mut out = Tensor::new(self.shape(), self.dtype);
        copy_into(self, out.bytes_mut());
        out
    }
}

/// Fill a new output with the elements of `tensor`, on the GPU if there is one that can.
pub(crate) fn copy_to_output(context: &EvalContext, tensor: &Tensor, out: &mut Tensor) {
    match &context.gpu {
        Some(gpu) if tensor.size() > 0 && tensor.can_copy_on_gpu() => {
            let to = out.on_gpu_fresh(gpu);
            tensor.copy_on_gpu(gpu, &to);
        }
        _ => copy_into(tensor, out.bytes_mut()),
    }
}

/// Write the elements from position `first` on, seen through `layout`, until `out` is full.
pub fn copy_range(tensor: &Tensor, layout: &Layout, first: usize, out: &mut [u8]) {
    macro_rules! copy {
        ($type:ty) => {
            gather(tensor.storage::<$type>(), layout, first, bytemuck::cast_slice_mut::<u8, $type>(out), |x| x)
        };
    }
    match tensor.dtype().size() {
        1 => copy!(u8),
        2 => copy!(u16),
        4 => copy!(u32),
        _ => copy!(u64),
    }
}

/// As [`copy_into`] a whole output, on all threads.
pub fn copy_parallel(context: &EvalContext, tensor: &Tensor, out: &mut Tensor) {
    let (layout, item) = (tensor.layout().coalesce(), tensor.dtype().size());
    if let Some(plane) = Plane::of(&layout) {
        let row_bytes = plane.columns * item;
        return for_chunks(context.pool(), out.bytes_mut(), item, plane.columns * TILE, &|first, bytes| {
            debug_assert!(bytes.len().is_multiple_of(row_bytes), "pieces are whole rows");
            match item {
                1 => plane.copy::<u8>(tensor, first / plane.columns, bytes),
                2 => plane.copy::<u16>(tensor, first / plane.columns, bytes),
                4 => plane.copy::<u32>(tensor, first / plane.columns, bytes),
                _ => plane.copy::<u64>(tensor, first / plane.columns, bytes),
            }
        });
    }
    for_chunks(context.pool(), out.bytes_mut(), item, 64, &|first, bytes| copy_range(tensor, &layout, first, bytes));
}

/// Rows and columns of a square of a transposed copy: each source line is used whole while it is in the cache.
const TILE: usize = 16;

/// A transposed matrix: neighbours of a column lie side by side in memory.
struct Plane {
    offset: usize,
    columns: usize,
    stride: usize,
}

impl Plane {
    fn of(layout: &Layout) -> Option<Plane> {
        let (&[_, columns], &[1, stride]) = (&layout.shape[..], &layout.strides[..]) else { return None };
        (stride > 1 && columns > 1).then_some(Plane { offset: layout.offset, columns, stride: stride as usize })
    }

    /// Write rows from `first` on until `out` is full.
    fn copy<T: bytemuck::Pod>(&self, tensor: &Tensor, first: usize, out: &mut [u8]) {
        let source = tensor.storage::<T>();
        let out = bytemuck::cast_slice_mut::<u8, T>(out);
        for (band, rows) in out.chunks_mut(self.columns * TILE).enumerate() {
            let start = self.offset + first + band * TILE;
            for left in (0..self.columns).step_by(TILE) {
                let right = (left + TILE).min(self.columns);
                for (row, out) in rows.chunks_exact_mut(self.columns).enumerate() {
                    for (column, to) in (left..right).zip(&mut out[left..right]) {
                        *to = source[start + row + column * self.stride];
                    }
                }
            }
        }
    }
}

impl Array {
    /// The same values one behind the other in row-major order: itself when it already is.
    pub fn contiguous(&self) -> Array {
        Array::apply(Contiguous, &[self])
    }
}

#[derive(Debug)]
struct Contiguous;

impl Primitive for Contiguous {
    fn name(&self) -> &'static str {
        "contiguous"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn view(&self, input: &Layout) -> Option<Layout> {
        input.is_contiguous().then(|| input.clone())
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        copy_parallel(context, &inputs[0], &mut outputs[0]);
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let can_copy = inputs[0].size() > 0 && inputs[0].can_copy_on_gpu();
        if can_copy {
            let to = outputs[0].on_gpu_fresh(gpu);
            inputs[0].copy_on_gpu(gpu, &to);
        }
        can_copy
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn std::any::Any).is::<Contiguous>()
    }
}
