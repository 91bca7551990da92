//! Evaluation: order the nodes that have no value, give each its memory, run it.
//!
//! Invariants: one evaluation at a time in the process (the CPU is one queue); no recursion, so depth is bounded by memory
//! alone; an input is freed or donated as soon as its last reader has run. Read next: [`crate::plan`], `ops/`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use olivine_kernels::pool::Pool;
use smallvec::SmallVec;

use crate::array::{Array, Node, Source, Value};
use crate::dtype::Dtype;
use crate::gpu;
use crate::ops::copy::copy_to_output;
use crate::primitive::{EvalContext, Primitive, Reuse};
use crate::shape::{Layout, element_count};
use crate::tensor::Tensor;

static DEVICE: Mutex<()> = Mutex::new(());
static POOL: RwLock<Option<Arc<Pool>>> = RwLock::new(None);
static EPOCH: AtomicU64 = AtomicU64::new(1);

/// Use `threads` threads from the next evaluation on; 0 means one a physical core.
pub fn set_threads(threads: usize) {
    *POOL.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Pool::new(threads)));
}

/// The threads that evaluation uses: one a physical core, unless [`set_threads`] said otherwise.
pub fn pool() -> Arc<Pool> {
    if let Some(pool) = &*POOL.read().unwrap_or_else(PoisonError::into_inner) {
        return pool.clone();
    }
    let mut slot = POOL.write().unwrap_or_else(PoisonError::into_inner);
    slot.get_or_insert_with(|| Arc::new(Pool::new(0))).clone()
}

/// Hold the device: evaluations of other threads wait.
pub(crate) fn device() -> MutexGuard<'static, ()> {
    DEVICE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compute the values of `arrays` and of all they depend on.
#[track_caller]
pub fn eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) {
    let pending: Vec<Array> = arrays.into_iter().filter(|array| !array.is_evaluated()).cloned().collect();
    if pending.is_empty() {
        return;
    }
    let _device = device();
    let context = context();
    for array in order(pending) {
        if let Some(source) = take_source(&array.0) {
            let value = compute(&context, source, &array.0);
            if array.0.value.set(value).is_err() {
                unreachable!("the device lock is held and the node had no value");
            }
            context.send_some();
        }
    }
    context.finish();
}

/// What evaluation works with from now on.
pub(crate) fn context() -> EvalContext {
    EvalContext { pool: pool(), gpu: gpu::gpu() }
}

/// All nodes without a value that `roots` need, inputs before their readers.
#[track_caller]
pub(crate) fn order(mut roots: Vec<Array>) -> Vec<Array> {
    let epoch = EPOCH.fetch_add(1, Relaxed);
    let (entered, done) = (2 * epoch, 2 * epoch + 1);
    let mut tape = Vec::new();
    roots.reverse();
    let mut stack = roots;
    while let Some(array) = stack.last() {
        let mark = array.0.mark.load(Relaxed);
        if mark == done || array.is_evaluated() {
            stack.pop();
            continue;
        }
        if mark == entered {
            array.0.mark.store(done, Relaxed);
            tape.extend(stack.pop());
            continue;
        }
        array.0.mark.store(entered, Relaxed);
        let node = array.0.clone();
        let source = node.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &*source {
            let fresh = |input: &&Array| !input.is_evaluated() && input.0.mark.load(Relaxed) < entered;
            stack.extend(source.inputs().iter().rev().filter(fresh).cloned());
        }
    }
    tape
}

#[track_caller]
fn take_source(node: &Node) -> Option<Source> {
    let source = node.source.lock().unwrap_or_else(PoisonError::into_inner).take();
    assert!(
        source.is_some() || node.value.get().is_some(),
        "[eval] this array cannot be computed: it is an input of a plan being traced, or its evaluation failed before"
    );
    source
}

fn compute(context: &EvalContext, source: Source, node: &Node) -> Value {
    match source {
        Source::Output { tuple, index } => match tuple.0.value.get() {
            Some(Value::Many(tensors)) => Value::One(tensors[index].clone()),
            _ => unreachable!("a tuple is evaluated before its outputs"),
        },
        Source::Compute { primitive, inputs, specs } => {
            let mut tensors: SmallVec<[Tensor; 3]> = inputs.into_iter().map(into_tensor).collect();
            if specs.is_empty() {
                if let Some(layout) = tensors.first().and_then(|first| primitive.view(&first.layout)) {
                    let first = tensors.swap_remove(0);
                    return Value::One(Tensor { layout, dtype: node.dtype, ..first });
                }
                let mut outputs = [output(context, &*primitive, &node.shape, node.dtype, &mut tensors, true)];
                context.run(&*primitive, &tensors, &mut outputs);
                let [output] = outputs;
                return Value::One(output);
            }
            let mut outputs: Vec<Tensor> = Vec::with_capacity(specs.len());
            for (index, spec) in specs.iter().enumerate() {
                outputs.push(output(context, &*primitive, &spec.shape, spec.dtype, &mut tensors, index == 0));
            }
            context.run(&*primitive, &tensors, &mut outputs);
            Value::Many(outputs)
        }
    }
}

/// The tensor of an evaluated input; its only reference when nobody else holds the array.
fn into_tensor(array: Array) -> Tensor {
    let mut array = array;
    if let Some(node) = Arc::get_mut(&mut array.0)
        && let Some(Value::One(tensor)) = node.value.take()
    {
        return tensor;
    }
    array.value_tensor().expect("inputs are evaluated before their readers").clone()
}

/// Whether a new value of `bytes` bytes can take over the memory of `tensor`.
pub(crate) fn is_reusable(tensor: &Tensor, bytes: usize) -> bool {
    tensor.layout.offset == 0
        && tensor.layout.is_contiguous()
        && tensor.size() * tensor.dtype.size() == bytes
        && tensor.buffer.as_ref().is_some_and(|buffer| buffer.is_owned() && Arc::strong_count(buffer) == 1)
}

/// Memory for an output: an input's when the primitive and its last reader allow, else new.
fn output(
    context: &EvalContext,
    primitive: &dyn Primitive,
    shape: &[usize],
    dtype: Dtype,
    inputs: &mut [Tensor],
    first: bool,
) -> Tensor {
    let bytes = element_count(shape) * dtype.size();
    let donor = match primitive.reuse() {
        Reuse::Elementwise if first => {
            // The dtype sizes must agree: the kernel reads and writes element by element in one buffer.
            inputs.iter().position(|input| input.dtype.size() == dtype.size() && is_reusable(input, bytes))
        }
        Reuse::Update(index) if first => Some(index),
        _ => None,
    };
    let Some(donor) = donor else { return Tensor::new(shape, dtype) };
    let input = &mut inputs[donor];
    if is_reusable(input, bytes) {
        return Tensor { buffer: input.buffer.take(), layout: Layout::contiguous(shape), dtype };
    }
    let mut out = Tensor::new(shape, dtype);
    copy_to_output(context, input, &mut out);
    input.buffer = None;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_a_hundred_thousand_nodes_needs_no_stack() {
        let run = || {
            let mut x = Array::scalar(0f32);
            for _ in 0..100_000 {
                x = &x + 1.0;
            }
            let dropped = &x + 1.0;
            let value = x.item::<f32>();
            drop(dropped);
            let mut lazy = Array::scalar(0f32);
            for _ in 0..100_000 {
                lazy = &lazy + 1.0;
            }
            drop(lazy);
            value
        };
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(run).expect("a thread");
        assert_eq!(thread.join().expect("no stack overflow"), 100_000.0);
    }

    #[test]
    fn the_last_reader_takes_the_buffer() {
        let x = Array::from_slice(&[1f32, 2.0, 3.0], &[3]);
        let address = x.tensor().buffer().bytes().as_ptr();
        let shared = &x + 1.0;
        assert_ne!(shared.tensor().buffer().bytes().as_ptr(), address, "x is still held");
        let negative = -&x;
        drop(x);
        assert_eq!(negative.tensor().buffer().bytes().as_ptr(), address);
        assert_eq!(negative.to_vec::<f32>(), [-1.0, -2.0, -3.0]);
        let square = &negative * &negative;
        drop(negative);
        assert_eq!(square.to_vec::<f32>(), [1.0, 4.0, 9.0]);
    }

    #[test]
    fn a_failed_node_fails_again_and_harms_no_other() {
        let bad = Array::apply(Failing, &[&Array::scalar(1f32)]);
        for _ in 0..2 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eval([&bad])));
            assert!(result.is_err());
        }
        assert_eq!((&Array::scalar(1f32) + 1.0).item::<f32>(), 2.0);
    }

    #[derive(Debug)]
    struct Failing;

    impl Primitive for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }
        fn infer(&self, inputs: &[Array]) -> crate::primitive::Specs {
            crate::primitive::one(inputs[0].shape(), inputs[0].dtype())
        }
        fn eval_cpu(&self, _: &EvalContext, _: &[Tensor], _: &mut [Tensor]) {
            panic!("[failing] on purpose");
        }
    }
}
