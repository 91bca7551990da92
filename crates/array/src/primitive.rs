//! The contract of a node: [`Primitive`], which reads and writes [`Tensor`]s when it runs.
//!
//! A user function (`ops/`) checks its arguments and composes primitives; a primitive infers shapes, may be a mere view,
//! and computes. Invariant: outputs that `eval_cpu` sees are row-major, start at offset 0 and are uniquely owned.
//! Gradient and vmap are further methods of this trait, each with its own default. Read next: [`crate::eval`].

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::gpu::Gpu;
use crate::shape::{Layout, Shape, element_count};
use crate::tensor::Tensor;

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
            gpu.submit_some();
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
