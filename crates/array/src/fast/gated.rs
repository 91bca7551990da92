//! Gated units: half of a row is let through by the other half (SwiGLU, GeGLU and their like).
//!
//! Oracle: the same in plain ops. Read next: [`crate::fast::rows`], where they stand before a product.

use std::sync::Arc;

use olivine_gpu::ops::{elementwise, matmul as gpu_matmul};
use olivine_kernels::activation::{self, Activation, Gate, GatedRows};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::tensor::Tensor;

/// `gate_up` `[.., 2 * width]`, gates first, → `[.., width]`.
#[track_caller]
pub fn gated(gate_up: &Array, gate: Gate) -> Array {
    Array::apply(GatedOp(gate), &[gate_up])
}

#[derive(Debug)]
struct GatedOp(Gate);

impl Primitive for GatedOp {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let mut shape = inputs[0].shape().to_vec();
        let last = shape.last_mut().expect("[gated] a scalar has no halves");
        assert!(last.is_multiple_of(2), "[gated] rows of {last} values have no halves");
        *last /= 2;
        one(&shape, Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let width = *outputs[0].shape().last().expect("checked");
        let from = inputs[0].contiguous();
        let rows = from.slice::<f32>().len() / (2 * width).max(1);
        let layout = GatedRows { rows, stride: 2 * width, gate: 0, up: width, dim: width };
        activation::gated(context.pool(), self.0, from.slice(), layout, outputs[0].slice_mut(), width);
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let (Some(gate), Some(from)) = (gpu_gate(self.0), inputs[0].on_gpu_dense(gpu)) else { return false };
        let width = *outputs[0].shape().last().expect("checked");
        let rows = outputs[0].size() / width;
        let out = outputs[0].on_gpu_fresh(gpu);
        gpu.record(|list| elementwise::gated(list, gate, &from, [2 * width, width], [rows, width], &out));
        true
    }
}

/// The GPU's name of a gate.
pub(crate) fn gpu_gate(gate: Gate) -> Option<gpu_matmul::Gate> {
    Some(match gate {
        Gate::Clamped { alpha, limit } => gpu_matmul::Gate::Clamped { alpha, limit },
        Gate::Product(activation) => match activation {
            Activation::Silu => gpu_matmul::Gate::Silu,
            Activation::Gelu => gpu_matmul::Gate::Gelu,
            Activation::GeluTanh => gpu_matmul::Gate::GeluTanh,
            Activation::Relu => gpu_matmul::Gate::Relu,
            Activation::ReluSquared => gpu_matmul::Gate::ReluSquared,
            Activation::GeluQuick => gpu_matmul::Gate::GeluFast,
            Activation::Sigmoid => gpu_matmul::Gate::Sigmoid,
            Activation::Tanh | Activation::Exp | Activation::Erf | Activation::Softplus => return None,
        },
    })
}
