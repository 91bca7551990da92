//! The contract of a node: [`Primitive`], and the [`Tensor`]s that it reads and writes when it runs.
//!
//! A user function (`ops/`) checks its arguments and composes primitives; a primitive infers shapes, may be a mere view,
//! and computes. Invariant: outputs that `eval_cpu` sees are row-major, start at offset 0 and are uniquely owned.
//! Gradient and vmap are further methods of this trait, each with its own default. Read next: [`crate::eval`].

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use bytemuck::Pod;
use olivine_gpu::Memory;
use olivine_gpu::ops::copy::{Element as GpuElement, View, copy};
use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::array::Array;
use crate::buffer::Buffer;
use crate::dtype::Dtype;
use crate::gpu::{Gpu, padded};
use crate::shape::{Layout, Shape, element_count};

/// Shape and dtype of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Dimensions.
    pub shape: Shape,
    /// Element type.
    pub dtype: Dtype,
}

impl Spec {
    /// A spec of `shape` and `dtype`.
    pub fn new(shape: &[usize], dtype: Dtype) -> Spec {
        Spec { shape: Shape::from_slice(shape), dtype }
    }

    /// The spec of `array`.
    pub fn of(array: &Array) -> Spec {
        Spec::new(array.shape(), array.dtype())
    }

    /// Bytes of a contiguous array of this spec.
    pub fn bytes(&self) -> usize {
        element_count(&self.shape) * self.dtype.size()
    }
}

/// Specs of the outputs of a primitive.
pub type Specs = SmallVec<[Spec; 1]>;

/// One output of `shape` and `dtype`: what most [`Primitive::infer`] return.
pub fn one(shape: &[usize], dtype: Dtype) -> Specs {
    let mut specs = Specs::new();
    specs.push(Spec::new(shape, dtype));
    specs
}

/// Which input may give its buffer to output 0 when nobody else needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// None: the output has its own memory.
    None,
    /// Any contiguous input of the same size in bytes: the kernel reads element `i` before it writes element `i`.
    /// The input that gave its buffer arrives as [`Tensor::is_donated`]; its values lie in output 0.
    Elementwise,
    /// The output starts as a copy of this input (moved when possible, copied when not). `eval_cpu` updates it and
    /// finds the input donated in every case.
    Update(usize),
}

/// What a running primitive may use.
pub struct EvalContext {
    pub(crate) pool: Arc<Pool>,
    pub(crate) gpu: Option<Arc<Gpu>>,
}

impl EvalContext {
    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Send what was recorded for the GPU once it is worth a call: the GPU begins with it, and memory that only it kept is
    /// used again.
    pub(crate) fn send_some(&self) {
        const WORTH_A_CALL: usize = 24;
        if let Some(gpu) = self.gpu.as_ref().filter(|gpu| gpu.recorded() >= WORTH_A_CALL) {
            gpu.submit();
        }
    }

    /// Send what was recorded for the GPU; it may still run when this returns.
    pub(crate) fn finish(&self) {
        if let Some(gpu) = &self.gpu {
            gpu.submit();
        }
    }

    /// Run `primitive`: on the GPU if there is one and it has kernels for this case, else on the CPU. Whether it was the GPU.
    pub(crate) fn run(&self, primitive: &dyn Primitive, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let on_gpu = self.gpu.as_ref().is_some_and(|gpu| primitive.eval_gpu(gpu, inputs, outputs));
        if !on_gpu {
            if let Some(gpu) = &self.gpu {
                gpu.count_host(primitive.name());
                // The host would take the first card's values for those of all.
                let tensors = inputs.iter().chain(outputs.iter()).filter_map(|tensor| tensor.buffer.as_ref());
                let is_split = gpu.cards() > 1 && tensors.into_iter().any(|buffer| buffer.is_on_gpu_alone());
                assert!(!is_split, "[{}] has no kernels here, and several cards need some", primitive.name());
            }
            primitive.eval_cpu(self, inputs, outputs);
        }
        on_gpu
    }
}

/// One operation of the graph: a closed contract that also other crates implement.
///
/// A primitive may hold handles with interior state (pages of a KV cache) and change them when it runs. Such a primitive
/// runs once for each evaluation of its node, after its inputs, and only if an output is asked for.
pub trait Primitive: Any + Debug + Send + Sync {
    /// Lower-case name for messages and profiles.
    fn name(&self) -> &'static str;

    /// Shapes and dtypes of the outputs. Panics with `[name] …` when the inputs do not fit.
    fn infer(&self, inputs: &[Array]) -> Specs;

    /// Compute on the CPU. Inputs may be strided, outputs are contiguous. It runs while the device is held, so it must not
    /// evaluate arrays itself.
    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]);

    /// Record the commands that compute this on the GPU. `false` when it has no kernels for this case: nothing was
    /// touched then, and [`Primitive::eval_cpu`] runs, for which memory comes back by itself.
    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let _ = (gpu, inputs, outputs);
        false
    }

    /// The output as a view of input 0 if no byte has to move; `eval_cpu` does not run then.
    fn view(&self, input: &Layout) -> Option<Layout> {
        let _ = input;
        None
    }

    /// Whether output 0 may take over the memory of an input.
    fn reuse(&self) -> Reuse {
        Reuse::None
    }

    /// Whether `other` computes the same function of its inputs. `false` is always safe.
    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        let _ = other;
        false
    }
}

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

    /// Whether this input gave its buffer to output 0 (see [`Reuse`]).
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

    /// Memory of an output on `gpu` that starts with the content of the input it was made from ([`Reuse`]).
    #[track_caller]
    pub fn on_gpu_mut(&mut self, gpu: &Arc<Gpu>) -> Memory {
        self.output().on_gpu_mut(gpu).clone()
    }

    #[track_caller]
    fn output(&mut self) -> &mut Buffer {
        self.buffer.as_mut().and_then(Arc::get_mut).expect("[tensor] only a new output can be written")
    }

    /// The same elements, contiguous: itself when it is, a copy when not.
    pub fn contiguous(&self) -> Tensor {
        if self.is_contiguous() {
            return self.clone();
        }
        let mut out = Tensor::new(self.shape(), self.dtype);
        crate::ops::copy::copy_into(self, out.bytes_mut());
        out
    }
}
