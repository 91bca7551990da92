//! Memory and layout of an array that has its values: what primitives read and write.
//!
//! Invariant: an output is row-major, starts at offset 0 and is uniquely owned until its primitive has run. Read next:
//! [`crate::buffer`], and [`crate::ops::copy`] for what is strided.

use std::sync::Arc;

use bytemuck::Pod;
use olivine_gpu::Memory;
use olivine_gpu::ops::copy::{Element as GpuElement, View, copy};

use crate::buffer::Buffer;
use crate::dtype::Dtype;
use crate::gpu::{Gpu, padded};
use crate::shape::{Layout, element_count};

/// Memory and layout of an evaluated array, as kernels see it.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub(crate) buffer: Option<Arc<Buffer>>,
    pub(crate) layout: Layout,
    pub(crate) dtype: Dtype,
}

impl Tensor {
    /// A new contiguous tensor; its content is unspecified.
    pub fn new(shape: &[usize], dtype: Dtype) -> Tensor {
        let buffer = Buffer::new(element_count(shape) * dtype.size());
        Tensor { buffer: Some(Arc::new(buffer)), layout: Layout::contiguous(shape), dtype }
    }

    /// A contiguous tensor over `buffer`.
    pub fn from_buffer(buffer: Arc<Buffer>, shape: &[usize], dtype: Dtype) -> Tensor {
        assert!(element_count(shape) * dtype.size() <= buffer.len(), "[tensor] {shape:?} of {dtype} in {buffer:?}");
        Tensor { buffer: Some(buffer), layout: Layout::contiguous(shape), dtype }
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// Shape, strides, offset.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.layout.size()
    }

    /// Whether this input gave its buffer to output 0 (see [`crate::Reuse`]).
    pub fn is_donated(&self) -> bool {
        self.buffer.is_none()
    }

    /// Whether the elements lie one behind the other.
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// The buffer below.
    pub fn buffer(&self) -> &Arc<Buffer> {
        self.buffer.as_ref().expect("[tensor] a donated input is read from output 0")
    }

    /// The whole buffer as `T`s, to index by [`Tensor::layout`]. `T` is the storage type (`u8` for bool).
    #[track_caller]
    pub fn storage<T: Pod>(&self) -> &[T] {
        assert_eq!(size_of::<T>(), self.dtype.size(), "[tensor] {} read as another size", self.dtype);
        self.buffer().slice()
    }

    /// The elements in order. Panics when they are not contiguous.
    #[track_caller]
    pub fn slice<T: Pod>(&self) -> &[T] {
        assert!(self.is_contiguous(), "[tensor] slice of a strided {:?}", self.layout);
        let size = self.size();
        if size == 0 {
            return &[];
        }
        &self.storage()[self.layout.offset..self.layout.offset + size]
    }

    /// The bytes of the elements in order. Panics when they are not contiguous.
    #[track_caller]
    pub fn bytes(&self) -> &[u8] {
        assert!(self.is_contiguous(), "[tensor] bytes of a strided {:?}", self.layout);
        let (size, item) = (self.size(), self.dtype.size());
        if size == 0 {
            return &[];
        }
        &self.buffer().bytes()[self.layout.offset * item..][..size * item]
    }

    /// The elements of an output, to write.
    #[track_caller]
    pub fn slice_mut<T: Pod>(&mut self) -> &mut [T] {
        assert_eq!(size_of::<T>(), self.dtype.size(), "[tensor] {} written as another size", self.dtype);
        let size = self.size();
        &mut self.output().slice_mut()[..size]
    }

    /// The bytes of an output, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes = self.size() * self.dtype.size();
        &mut self.output().bytes_mut()[..bytes]
    }

    /// The elements on `gpu`, to read; none when they are strided or do not start where a kernel can.
    pub fn on_gpu(&self, gpu: &Arc<Gpu>) -> Option<Memory> {
        let (start, bytes) = (self.layout.offset * self.dtype.size(), self.size() * self.dtype.size());
        if !self.is_contiguous() || bytes == 0 || !(start as u64).is_multiple_of(olivine_gpu::device::ALIGNMENT) {
            return None;
        }
        let memory = self.buffer().on_gpu(gpu);
        Some(if start == 0 { memory.clone() } else { memory.slice(start as u64, padded(bytes)) })
    }

    /// The elements on `gpu`, to read, one behind the other: where they lie, or a copy that is made there. None for what the
    /// GPU cannot copy.
    pub fn on_gpu_dense(&self, gpu: &Arc<Gpu>) -> Option<Memory> {
        self.on_gpu(gpu).or_else(|| {
            let can_copy = self.size() > 0 && self.can_copy_on_gpu();
            let to = can_copy.then(|| gpu.allocate(self.size() * self.dtype.size()))?;
            self.copy_on_gpu(gpu, &to);
            Some(to)
        })
    }

    /// Whether the GPU can put the elements in order.
    pub(crate) fn can_copy_on_gpu(&self) -> bool {
        self.dtype.size() == 4 && self.layout.coalesce().shape.len() <= 4
    }

    /// Record the copy of the elements, one behind the other, to memory on `gpu`.
    pub(crate) fn copy_on_gpu(&self, gpu: &Arc<Gpu>, to: &Memory) {
        let layout = self.layout.coalesce();
        let (mut shape, mut strides) = ([1; 4], [0; 4]);
        let first = 4 - layout.shape.len();
        shape[first..].copy_from_slice(&layout.shape);
        strides[first..].copy_from_slice(&layout.strides);
        let plain = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1].map(|stride| stride as isize);
        let memory = self.buffer().on_gpu(gpu);
        let from = View { memory, element: GpuElement::Word, start: layout.offset, strides };
        let to = View { memory: to, element: GpuElement::Word, start: 0, strides: plain };
        gpu.record(|list| copy(list, shape, from, to));
    }

    /// Memory of an output on `gpu`, all of which will be written.
    #[track_caller]
    pub fn on_gpu_fresh(&mut self, gpu: &Arc<Gpu>) -> Memory {
        self.output().on_gpu_fresh(gpu).clone()
    }

    /// Memory of an output on `gpu` that starts with the content of the input it was made from ([`crate::Reuse`]).
    #[track_caller]
    pub fn on_gpu_mut(&mut self, gpu: &Arc<Gpu>) -> Memory {
        self.output().on_gpu_mut(gpu).clone()
    }

    #[track_caller]
    fn output(&mut self) -> &mut Buffer {
        self.buffer.as_mut().and_then(Arc::get_mut).expect("[tensor] only a new output can be written")
    }
}
