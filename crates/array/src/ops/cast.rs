//! `astype` and `view_as`: the same numbers in another type, the same bits as another type.
//!
//! Read next: [`crate::ops::lanes`].

use std::any::Any;

use crate::array::Array;
use crate::dtype::{Complex64, Dtype};
use crate::ops::lanes::{Class, Lane, class, map};
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::tensor::Tensor;

impl Array {
    /// The values as `dtype`. Floats are truncated to integers, anything but 0 is true, complex numbers lose their
    /// imaginary part.
    pub fn astype(&self, dtype: Dtype) -> Array {
        if dtype == self.dtype() {
            return self.clone();
        }
        Array::apply(Cast { dtype }, &[self])
    }

    /// The same bytes read as `dtype`; the last dimension grows or shrinks with the size of an element.
    #[track_caller]
    pub fn view_as(&self, dtype: Dtype) -> Array {
        if dtype.size() == self.dtype().size() {
            return if dtype == self.dtype() { self.clone() } else { Array::apply(Bits { dtype }, &[self]) };
        }
        let bytes = self.shape().last().copied().unwrap_or(1) * self.dtype().size();
        let fits = self.rank() > 0 && bytes.is_multiple_of(dtype.size());
        assert!(fits, "[view_as] the last dimension of {:?} {} is no multiple of {dtype}", self.shape(), self.dtype());
        Array::apply(Bits { dtype }, &[self])
    }
}

#[derive(Debug, PartialEq)]
struct Cast {
    dtype: Dtype,
}

impl Primitive for Cast {
    fn name(&self) -> &'static str {
        "astype"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), self.dtype)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let out = &mut outputs[0];
        match class(inputs[0].dtype()) {
            Class::F32 => copy_lanes::<f32>(context, inputs, out),
            Class::F64 => copy_lanes::<f64>(context, inputs, out),
            Class::I64 => copy_lanes::<i64>(context, inputs, out),
            Class::U64 => copy_lanes::<u64>(context, inputs, out),
            Class::C64 => copy_lanes::<Complex64>(context, inputs, out),
        }
    }

    fn reuse(&self) -> Reuse {
        Reuse::Elementwise
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Cast>() == Some(self)
    }
}

fn copy_lanes<L: Lane>(context: &EvalContext, inputs: &[Tensor], out: &mut Tensor) {
    map::<1, L, L>(context.pool(), inputs, out, |[x], out| out.copy_from_slice(x));
}

#[derive(Debug, PartialEq)]
struct Bits {
    dtype: Dtype,
}

impl Primitive for Bits {
    fn name(&self) -> &'static str {
        "view_as"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut specs = one(inputs[0].shape(), self.dtype);
        if let Some(last) = specs[0].shape.last_mut() {
            *last = *last * inputs[0].dtype().size() / self.dtype.size();
        }
        specs
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        crate::ops::copy::copy_into(&inputs[0], outputs[0].bytes_mut());
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Bits>() == Some(self)
    }
}
