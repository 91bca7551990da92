//! `fast::rms_norm` and `fast::layer_norm` over the last dimension.
//!
//! Invariant: computed in f32 and rounded once to the input's dtype, each row alone. Read next: [`crate::fast::rope`].

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use olivine_gpu::ops::norm::{self as on_gpu, NormKind};
use olivine_kernels::norm;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::gpu::Gpu;
use crate::ops::lanes::{Input, store};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// `x / sqrt(mean(x²) + eps) · weight` for each row of the last dimension.
#[track_caller]
pub fn rms_norm(x: &Array, weight: Option<&Array>, eps: f32) -> Array {
    check("rms_norm", x, &[weight]);
    let kind = Kind::Rms { weight: weight.is_some() };
    let inputs: Vec<&Array> = std::iter::once(x).chain(weight).collect();
    Array::apply(Norm { kind, eps }, &inputs)
}

/// [`rms_norm`] in plain ops.
#[track_caller]
pub fn rms_norm_composed(x: &Array, weight: Option<&Array>, eps: f32) -> Array {
    let wide = x.astype(Dtype::F32);
    let scale = (&wide.square().mean(&[-1], true) + eps).rsqrt();
    finish(&(wide * scale), weight, None, x.dtype())
}

/// `(x - mean) / sqrt(variance + eps) · weight + bias` for each row of the last dimension.
#[track_caller]
pub fn layer_norm(x: &Array, weight: Option<&Array>, bias: Option<&Array>, eps: f32) -> Array {
    check("layer_norm", x, &[weight, bias]);
    let kind = Kind::Layer { weight: weight.is_some(), bias: bias.is_some() };
    let inputs: Vec<&Array> = std::iter::once(x).chain(weight).chain(bias).collect();
    Array::apply(Norm { kind, eps }, &inputs)
}

/// [`layer_norm`] in plain ops.
#[track_caller]
pub fn layer_norm_composed(x: &Array, weight: Option<&Array>, bias: Option<&Array>, eps: f32) -> Array {
    let wide = x.astype(Dtype::F32);
    let distance = &wide - &wide.mean(&[-1], true);
    let scale = (&distance.square().mean(&[-1], true) + eps).rsqrt();
    finish(&(distance * scale), weight, bias, x.dtype())
}

fn finish(x: &Array, weight: Option<&Array>, bias: Option<&Array>, dtype: Dtype) -> Array {
    let scaled = weight.map_or_else(|| x.clone(), |weight| x * &weight.astype(Dtype::F32));
    let shifted = bias.map_or_else(|| scaled.clone(), |bias| &scaled + &bias.astype(Dtype::F32));
    shifted.astype(dtype)
}

#[track_caller]
fn check(op: &str, x: &Array, parameters: &[Option<&Array>]) {
    assert!(x.rank() > 0 && x.dtype().is_float(), "[{op}] {:?} {}", x.shape(), x.dtype());
    for parameter in parameters.iter().flatten() {
        let fits = parameter.shape() == &x.shape()[x.rank() - 1..];
        assert!(fits, "[{op}] a parameter of {:?} for rows of {}", parameter.shape(), x.dim(-1));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Rms { weight: bool },
    Layer { weight: bool, bias: bool },
}

#[derive(Debug, PartialEq)]
struct Norm {
    kind: Kind,
    eps: f32,
}

impl Primitive for Norm {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Rms { .. } => "rms_norm",
            Kind::Layer { .. } => "layer_norm",
        }
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let dim = inputs[0].shape().last().copied().unwrap_or(1);
        if inputs[0].size() == 0 {
            return;
        }
        let x = f32_values(&inputs[0]);
        let mut parameters = inputs[1..].iter().map(f32_values);
        let mut next = |present: bool| if present { parameters.next() } else { None };
        let (weight, bias) = match self.kind {
            Kind::Rms { weight } => (next(weight), None),
            Kind::Layer { weight, bias } => (next(weight), next(bias)),
        };
        let run = |out: &mut [f32]| match self.kind {
            Kind::Rms { .. } => norm::rms_norm(context.pool(), &x, dim, weight.as_deref(), self.eps, out),
            Kind::Layer { .. } => {
                norm::layer_norm(context.pool(), &x, dim, weight.as_deref(), bias.as_deref(), self.eps, out);
            }
        };
        write_f32(&mut outputs[0], run);
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        if inputs.iter().any(|input| input.dtype() != Dtype::F32) {
            return false;
        }
        let Some(from) = inputs.iter().map(|input| input.on_gpu_dense(gpu)).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let dim = *inputs[0].shape().last().expect("a norm has rows");
        let rows = inputs[0].size() / dim;
        let mut parameters = from[1..].iter();
        let mut next = |present: bool| if present { parameters.next() } else { None };
        let (kind, weight, bias) = match self.kind {
            Kind::Rms { weight } => (NormKind::Rms, next(weight), None),
            Kind::Layer { weight, bias } => (NormKind::Layer, next(weight), next(bias)),
        };
        let norm = on_gpu::Norm { kind, weight, bias, epsilon: self.eps };
        let out = outputs[0].on_gpu_fresh(gpu);
        gpu.record(|list| on_gpu::norm(list, &norm, &from[0], dim, [rows, dim], None, &out));
        true
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<Norm>() == Some(self)
    }
}

/// The values of `x` in order as f32: borrowed when they lie so, copied when not.
pub(crate) fn f32_values(x: &Tensor) -> Cow<'_, [f32]> {
    if x.dtype() == Dtype::F32 && x.is_contiguous() {
        return Cow::Borrowed(x.slice());
    }
    let mut values = vec![0f32; x.size()];
    Input::new(x, &x.layout().coalesce()).load(0, &mut values);
    Cow::Owned(values)
}

/// Let `run` fill `out` with f32, through a copy when `out` has another dtype.
pub(crate) fn write_f32(out: &mut Tensor, run: impl FnOnce(&mut [f32])) {
    if out.dtype() == Dtype::F32 {
        return run(out.slice_mut());
    }
    let mut values = vec![0f32; out.size()];
    run(&mut values);
    let dtype = out.dtype();
    store(out.bytes_mut(), dtype, &values);
}
