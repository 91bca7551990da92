//! [`Array`]: a cheap handle on a node of the graph, before and after its evaluation.
//!
//! Invariant: a node has a source (primitive and inputs) until it has a value, then only the value; dropping a graph of
//! any depth does not recurse. Read next: [`crate::primitive`], [`crate::eval`].

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use smallvec::SmallVec;

use crate::buffer::{Buffer, Owner};
use crate::dtype::{Dtype, Element};
use crate::primitive::{Primitive, Spec};
use crate::shape::{Shape, element_count};
use crate::tensor::Tensor;

/// An n-dimensional array whose values may not be computed yet. Cloning shares it.
#[derive(Clone)]
pub struct Array(pub(crate) Arc<Node>);

pub(crate) struct Node {
    pub(crate) shape: Shape,
    pub(crate) dtype: Dtype,
    pub(crate) value: OnceLock<Value>,
    pub(crate) source: Mutex<Option<Source>>,
    /// Which evaluation has visited this node; see `eval.rs`.
    pub(crate) mark: AtomicU64,
}

/// The result of a node; several tensors only for the hidden node of a primitive with several outputs.
pub(crate) enum Value {
    One(Tensor),
    Many(Vec<Tensor>),
}

pub(crate) type Inputs = SmallVec<[Array; 3]>;

/// How a node will be computed.
pub(crate) enum Source {
    /// A primitive on inputs. `specs` is empty unless this is the hidden node of several outputs.
    Compute { primitive: Arc<dyn Primitive>, inputs: Inputs, specs: Vec<Spec> },
    /// One output of a hidden node.
    Output { tuple: Array, index: usize },
}

impl Source {
    pub(crate) fn inputs(&self) -> &[Array] {
        match self {
            Source::Compute { inputs, .. } => inputs,
            Source::Output { tuple, .. } => std::slice::from_ref(tuple),
        }
    }

    fn into_inputs(self) -> Inputs {
        match self {
            Source::Compute { inputs, .. } => inputs,
            Source::Output { tuple, .. } => Inputs::from_iter([tuple]),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(source) = self.source.get_mut().ok().and_then(Option::take) else { return };
        let mut pending = source.into_inputs();
        while let Some(array) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(array.0)
                && let Some(source) = node.source.get_mut().ok().and_then(Option::take)
            {
                pending.extend(source.into_inputs());
            }
        }
    }
}

impl Array {
    fn node(shape: Shape, dtype: Dtype, value: OnceLock<Value>, source: Option<Source>) -> Array {
        Array(Arc::new(Node { shape, dtype, value, source: Mutex::new(source), mark: AtomicU64::new(0) }))
    }

    /// The output of `primitive` on `inputs`: a new node of the graph. Nothing runs.
    #[track_caller]
    pub fn apply<P: Primitive>(primitive: P, inputs: &[&Array]) -> Array {
        Array::apply_owned(Arc::new(primitive), inputs.iter().map(|&input| input.clone()).collect())
    }

    #[track_caller]
    pub(crate) fn apply_owned(primitive: Arc<dyn Primitive>, inputs: Inputs) -> Array {
        let mut specs = primitive.infer(&inputs);
        assert_eq!(specs.len(), 1, "[{}] has several outputs: use apply_multi", primitive.name());
        let spec = specs.pop().expect("one spec");
        let source = Source::Compute { primitive, inputs, specs: Vec::new() };
        Array::node(spec.shape, spec.dtype, OnceLock::new(), Some(source))
    }

    /// All outputs of `primitive` on `inputs`. Nothing runs.
    #[track_caller]
    pub fn apply_multi<P: Primitive>(primitive: P, inputs: &[&Array]) -> Vec<Array> {
        let inputs: Inputs = inputs.iter().map(|&input| input.clone()).collect();
        let specs = primitive.infer(&inputs).into_vec();
        let source = Source::Compute { primitive: Arc::new(primitive), inputs, specs: specs.clone() };
        let tuple = Array::node(Shape::new(), Dtype::Bool, OnceLock::new(), Some(source));
        let output = |(index, spec): (usize, Spec)| {
            let source = Source::Output { tuple: tuple.clone(), index };
            Array::node(spec.shape, spec.dtype, OnceLock::new(), Some(source))
        };
        specs.into_iter().enumerate().map(output).collect()
    }

    /// An array over an evaluated tensor.
    pub fn from_tensor(tensor: Tensor) -> Array {
        let (shape, dtype) = (tensor.layout.shape.clone(), tensor.dtype);
        Array::node(shape, dtype, OnceLock::from(Value::One(tensor)), None)
    }

    /// A node without value or source: an input while a plan is traced.
    pub(crate) fn placeholder(spec: &Spec) -> Array {
        Array::node(spec.shape.clone(), spec.dtype, OnceLock::new(), None)
    }

    /// `data` in row-major order as an array of `shape`.
    #[track_caller]
    pub fn from_slice<T: Element>(data: &[T], shape: &[usize]) -> Array {
        assert_eq!(data.len(), element_count(shape), "[array] {} values for the shape {shape:?}", data.len());
        let mut tensor = Tensor::new(shape, T::DTYPE);
        for (to, from) in tensor.slice_mut::<T::Raw>().iter_mut().zip(data) {
            *to = from.into_raw();
        }
        Array::from_tensor(tensor)
    }

    /// One value without dimensions.
    pub fn scalar<T: Element>(value: T) -> Array {
        Array::from_slice(&[value], &[])
    }

    /// `bytes` in native order as an array of `shape` and `dtype`.
    #[track_caller]
    pub fn from_bytes(bytes: &[u8], shape: &[usize], dtype: Dtype) -> Array {
        let mut tensor = Tensor::new(shape, dtype);
        assert_eq!(bytes.len(), tensor.bytes_mut().len(), "[array] bytes for {shape:?} of {dtype}");
        tensor.bytes_mut().copy_from_slice(bytes);
        Array::from_tensor(tensor)
    }

    /// Memory owned by somebody else (a mapped file), without a copy when `start` is aligned for `dtype`, else with one.
    #[track_caller]
    pub fn from_owner(owner: Owner, start: usize, shape: &[usize], dtype: Dtype) -> Array {
        let bytes = element_count(shape) * dtype.size();
        let buffer = Buffer::external(owner, start, bytes);
        if (buffer.bytes().as_ptr() as usize).is_multiple_of(dtype.size().min(8)) {
            return Array::from_tensor(Tensor::from_buffer(Arc::new(buffer), shape, dtype));
        }
        Array::from_bytes(buffer.bytes(), shape, dtype)
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// Length of dimension `axis`, counted from the end when negative.
    #[track_caller]
    pub fn dim(&self, axis: i32) -> usize {
        self.0.shape[crate::shape::normalize_axis("dim", axis, self.rank())]
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.shape.len()
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        element_count(&self.0.shape)
    }

    /// Bytes of all elements.
    pub fn byte_count(&self) -> usize {
        self.size() * self.0.dtype.size()
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.0.dtype
    }

    /// Whether the values are there already.
    pub fn is_evaluated(&self) -> bool {
        self.0.value.get().is_some()
    }

    /// Whether both are the same node.
    pub fn is_same(&self, other: &Array) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn value_tensor(&self) -> Option<&Tensor> {
        match self.0.value.get()? {
            Value::One(tensor) => Some(tensor),
            Value::Many(_) => None,
        }
    }
}
