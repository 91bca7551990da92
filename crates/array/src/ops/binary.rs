//! Element-wise functions of two arrays: arithmetic, comparison, logic, bits.
//!
//! One primitive for all: [`Binary`] names the function; the user's functions promote dtypes and broadcast shapes first.
//! A plain number beside an array ([`Operand`]) takes the array's dtype: a float beside integers gives f32.
//! Read next: [`crate::ops::select`].

use std::any::Any;
use std::sync::Arc;

use olivine_gpu::Memory;
use olivine_gpu::expression::{Binary as GpuFunction, Expression};
use olivine_gpu::ops::elementwise::{self as on_gpu, Operand as GpuOperand};
use olivine_kernels::elementwise::{self, BinaryOp as BinaryKernel, View};

use crate::array::Array;
use crate::dtype::{Complex64, Dtype, promote};
use crate::gpu::Gpu;
use crate::ops::lanes::{Class, class, map};
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::shape::{Shape, broadcast, element_count};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    Maximum,
    Minimum,
    LogAddExp,
    Arctan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    NanEqual,
    LogicalAnd,
    LogicalOr,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    LeftShift,
    RightShift,
}

use Binary::*;

impl Binary {
    const fn is_predicate(self) -> bool {
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | NanEqual | LogicalAnd | LogicalOr)
    }

    const fn is_bitwise(self) -> bool {
        matches!(self, BitwiseAnd | BitwiseOr | BitwiseXor | LeftShift | RightShift)
    }
}

/// The right side of an operation: an array, or a number that adapts to the array's dtype.
pub trait Operand {
    /// As an array beside one of `beside`.
    fn operand(&self, beside: Dtype) -> Array;
}

impl Operand for Array {
    fn operand(&self, _: Dtype) -> Array {
        self.clone()
    }
}

impl Operand for &Array {
    fn operand(&self, _: Dtype) -> Array {
        (*self).clone()
    }
}

impl Operand for f32 {
    fn operand(&self, beside: Dtype) -> Array {
        constant(*self, beside.at_least_float())
    }
}

impl Operand for i32 {
    fn operand(&self, beside: Dtype) -> Array {
        match beside {
            Dtype::Bool => Array::scalar(*self),
            Dtype::F32 => Array::scalar(*self as f32),
            Dtype::I32 => Array::scalar(*self),
            _ => full_scalar(f64::from(*self), beside),
        }
    }
}

impl Operand for bool {
    fn operand(&self, _: Dtype) -> Array {
        Array::scalar(*self)
    }
}

fn constant(value: f32, dtype: Dtype) -> Array {
    if dtype == Dtype::F32 { Array::scalar(value) } else { full_scalar(f64::from(value), dtype) }
}

pub(crate) fn full_scalar(value: f64, dtype: Dtype) -> Array {
    let mut tensor = Tensor::new(&[], dtype);
    crate::ops::lanes::store(tensor.bytes_mut(), dtype, &[value]);
    Array::from_tensor(tensor)
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident = $variant:ident;)*) => {
        impl Array {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self, other: impl Operand) -> Array {
                apply(Binary::$variant, stringify!($name), self, &other.operand(self.dtype()))
            }
        )*}
    };
}
binary_methods! {
    /// x + y; logical or for bool.
    add = Add;
    /// x - y.
    subtract = Subtract;
    /// x · y; logical and for bool.
    multiply = Multiply;
    /// x / y, as floats.
    divide = Divide;
    /// x / y rounded down.
    floor_divide = FloorDivide;
    /// What division leaves over, with the sign of the divisor.
    remainder = Remainder;
    /// x to the power of y.
    power = Power;
    /// The larger one; NaN if one is.
    maximum = Maximum;
    /// The smaller one; NaN if one is.
    minimum = Minimum;
    /// ln(e^x + e^y) without overflow.
    logaddexp = LogAddExp;
    /// The angle of the point (y, x).
    arctan2 = Arctan2;
    /// x = y.
    equal = Equal;
    /// x ≠ y.
    not_equal = NotEqual;
    /// x < y.
    less = Less;
    /// x ≤ y.
    less_equal = LessEqual;
    /// x > y.
    greater = Greater;
    /// x ≥ y.
    greater_equal = GreaterEqual;
    /// x = y, or both NaN.
    nan_equal = NanEqual;
    /// Whether both are true.
    logical_and = LogicalAnd;
    /// Whether one is true.
    logical_or = LogicalOr;
    /// Bits set in both.
    bitwise_and = BitwiseAnd;
    /// Bits set in one of them.
    bitwise_or = BitwiseOr;
    /// Bits set in exactly one of them.
    bitwise_xor = BitwiseXor;
    /// x · 2^y, bits that leave are lost.
    left_shift = LeftShift;
    /// x / 2^y, keeping the sign.
    right_shift = RightShift;
}

impl Array {
    /// x between `low` and `high` (either may be absent).
    #[track_caller]
    pub fn clip(&self, low: Option<f32>, high: Option<f32>) -> Array {
        let raised = low.map_or_else(|| self.clone(), |low| self.maximum(low));
        high.map_or_else(|| raised.clone(), |high| raised.minimum(high))
    }

    /// Whether |x - y| ≤ atol + rtol · |y|, element by element; infinities equal themselves.
    #[track_caller]
    pub fn isclose(&self, other: &Array, rtol: f32, atol: f32, equal_nan: bool) -> Array {
        let near = (self - other).abs().less_equal((other.abs() * rtol).add(atol));
        let finite = self.isfinite().logical_and(other.isfinite());
        let same = if equal_nan { self.nan_equal(other) } else { self.equal(other) };
        near.logical_and(finite).logical_or(same)
    }

    /// floor_divide and remainder in one.
    #[track_caller]
    pub fn divmod(&self, other: impl Operand) -> (Array, Array) {
        let other = other.operand(self.dtype());
        (self.floor_divide(&other), self.remainder(&other))
    }
}

#[track_caller]
fn apply(function: Binary, name: &'static str, x: &Array, y: &Array) -> Array {
    let dtype = match (function, promote(x.dtype(), y.dtype())) {
        (LogicalAnd | LogicalOr, _) => Dtype::Bool,
        (LeftShift | RightShift, Dtype::Bool) => Dtype::U8,
        (Divide | LogAddExp | Arctan2, dtype) => dtype.at_least_float(),
        (_, dtype) => dtype,
    };
    assert!(!(function.is_bitwise() && dtype.is_inexact()), "[{name}] only for integers and bool, not {dtype}");
    let complex = dtype == Dtype::C64 && matches!(function, Remainder | Arctan2);
    assert!(!complex, "[{name}] not for complex numbers");
    let Some(shape) = broadcast(x.shape(), y.shape()) else {
        panic!("[{name}] the shapes {:?} and {:?} do not broadcast", x.shape(), y.shape());
    };
    let op = BinaryOp { function, name, shape };
    if x.dtype() == dtype && y.dtype() == dtype {
        return Array::apply(op, &[x, y]);
    }
    Array::apply(op, &[&x.astype(dtype), &y.astype(dtype)])
}

#[derive(Debug, PartialEq)]
struct BinaryOp {
    function: Binary,
    name: &'static str,
    shape: Shape,
}

impl Primitive for BinaryOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(&self.shape, if self.function.is_predicate() { Dtype::Bool } else { inputs[0].dtype() })
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let (function, pool, out) = (self.function, context.pool(), &mut outputs[0]);
        if inputs[0].dtype() == Dtype::F32 && kernel(function).is_some_and(|op| on_kernels(context, op, inputs, out)) {
            return;
        }
        match class(inputs[0].dtype()) {
            Class::F32 => map(pool, inputs, out, |[x, y], out: &mut [f32]| binary_f32(function, x, y, out)),
            Class::F64 => map(pool, inputs, out, |[x, y], out: &mut [f64]| binary_f64(function, x, y, out)),
            Class::I64 => map(pool, inputs, out, |[x, y], out: &mut [i64]| binary_i64(function, x, y, out)),
            Class::U64 => map(pool, inputs, out, |[x, y], out: &mut [u64]| binary_u64(function, x, y, out)),
            Class::C64 => map(pool, inputs, out, |[x, y], out: &mut [Complex64]| binary_c64(function, x, y, out)),
        }
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let (Some(function), true) = (gpu_function(self.function), inputs[0].dtype() == Dtype::F32) else {
            return false;
        };
        let count = outputs[0].size();
        let stretched: SmallVec<[Option<(usize, usize)>; 2]> = inputs
            .iter()
            .map(|input| if input.is_donated() { Some((1, count)) } else { stretch(input.shape(), outputs[0].shape()) })
            .collect();
        if count == 0 || stretched.iter().any(Option::is_none) {
            return false;
        }
        let donated = inputs.iter().any(Tensor::is_donated);
        let from: SmallVec<[Option<Memory>; 2]> =
            inputs.iter().map(|input| if input.is_donated() { None } else { input.on_gpu_dense(gpu) }).collect();
        if inputs.iter().zip(&from).any(|(input, memory)| !input.is_donated() && memory.is_none()) {
            return false;
        }
        let out = if donated { outputs[0].on_gpu_mut(gpu) } else { outputs[0].on_gpu_fresh(gpu) };
        let operand = |i: usize| {
            let (divide, modulo) = stretched[i].expect("checked above");
            GpuOperand { memory: from[i].as_ref().unwrap_or(&out), divide, modulo }
        };
        let formula = Arc::new(Expression::input(0).binary(function, Expression::input(1)));
        let operands = [operand(0), operand(1)];
        gpu.record(|list| on_gpu::elementwise(list, &formula, &operands, &[], count, &out));
        true
    }

    fn reuse(&self) -> Reuse {
        Reuse::Elementwise
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<BinaryOp>() == Some(self)
    }
}

/// How an operand is stretched to `to`: how many neighbours share a value, and how many values there are before they come
/// again. None where it is stretched in more ways.
fn stretch(shape: &[usize], to: &[usize]) -> Option<(usize, usize)> {
    let missing = to.len() - shape.len();
    let own = |axis: usize| if axis < missing { 1 } else { shape[axis - missing] };
    // Behind the last dimension that it has, values are shared; before the first one, they come again.
    let last = (0..to.len()).rev().find(|&axis| own(axis) > 1).map_or(0, |axis| axis + 1);
    let first = (0..last).find(|&axis| own(axis) > 1).unwrap_or(last);
    let whole = (first..last).all(|axis| own(axis) == to[axis]);
    whole.then(|| (element_count(&to[last..]), element_count(&to[first..last])))
}

/// The GPU's formula of `function`, where its result is the CPU's for all numbers.
fn gpu_function(function: Binary) -> Option<GpuFunction> {
    Some(match function {
        Add => GpuFunction::Add,
        Subtract => GpuFunction::Subtract,
        Multiply => GpuFunction::Multiply,
        Divide => GpuFunction::Divide,
        _ => return None,
    })
}

/// The vector kernel of `function`, where there is one.
fn kernel(function: Binary) -> Option<BinaryKernel> {
    Some(match function {
        Add => BinaryKernel::Add,
        Subtract => BinaryKernel::Subtract,
        Multiply => BinaryKernel::Multiply,
        Divide => BinaryKernel::Divide,
        Maximum => BinaryKernel::Maximum,
        Minimum => BinaryKernel::Minimum,
        _ => return None,
    })
}

/// Run f32 operands on the vector kernels; `false` when a donated operand makes that impossible.
fn on_kernels(context: &EvalContext, op: BinaryKernel, inputs: &[Tensor], out: &mut Tensor) -> bool {
    let (x, y, pool) = (&inputs[0], &inputs[1], context.pool());
    let swaps = !matches!(op, BinaryKernel::Subtract | BinaryKernel::Divide);
    let whole = |tensor: &Tensor| tensor.shape() == out.shape() && tensor.is_contiguous();
    match (x.is_donated(), y.is_donated()) {
        (true, false) if whole(y) => elementwise::binary_in_place(pool, op, out.slice_mut(), y.slice()),
        (false, true) if swaps && whole(x) => elementwise::binary_in_place(pool, op, out.slice_mut(), x.slice()),
        (false, false) => {
            let shape = out.layout().shape.clone();
            let layouts = [x.layout().broadcast_to(&shape), y.layout().broadcast_to(&shape)];
            let view = |tensor, i: usize| View {
                data: Tensor::storage::<f32>(tensor),
                offset: layouts[i].offset,
                strides: &layouts[i].strides,
            };
            elementwise::binary(pool, op, &shape, view(x, 0), view(y, 1), out.slice_mut());
        }
        _ => return false,
    }
    true
}

#[inline(always)]
fn each<L: Copy>(x: &[L], y: &[L], out: &mut [L], f: impl Fn(L, L) -> L) {
    for ((to, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *to = f(x, y);
    }
}

macro_rules! binary_float {
    ($name:ident, $type:ident) => {
        fn $name(function: Binary, x: &[$type], y: &[$type], out: &mut [$type]) {
            let truth = |yes: bool| if yes { 1.0 } else { 0.0 };
            match function {
                Add => each(x, y, out, |x, y| x + y),
                Subtract => each(x, y, out, |x, y| x - y),
                Multiply => each(x, y, out, |x, y| x * y),
                Divide => each(x, y, out, |x, y| x / y),
                FloorDivide => each(x, y, out, |x, y| (x / y).floor()),
                Remainder => each(x, y, out, |x, y| {
                    let rest = x % y;
                    if rest != 0.0 && (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
                }),
                Power => each(x, y, out, $type::powf),
                Maximum => each(x, y, out, |x, y| if x.is_nan() || x > y { x } else { y }),
                Minimum => each(x, y, out, |x, y| if x.is_nan() || x < y { x } else { y }),
                LogAddExp => each(x, y, out, |x, y| {
                    let (low, high) = if x < y { (x, y) } else { (y, x) };
                    let plain = low == $type::NEG_INFINITY || high == $type::INFINITY;
                    if plain { high } else { high + (low - high).exp().ln_1p() }
                }),
                Arctan2 => each(x, y, out, $type::atan2),
                Equal => each(x, y, out, |x, y| truth(x == y)),
                NotEqual => each(x, y, out, |x, y| truth(x != y)),
                Less => each(x, y, out, |x, y| truth(x < y)),
                LessEqual => each(x, y, out, |x, y| truth(x <= y)),
                Greater => each(x, y, out, |x, y| truth(x > y)),
                GreaterEqual => each(x, y, out, |x, y| truth(x >= y)),
                NanEqual => each(x, y, out, |x, y| truth(x == y || x.is_nan() && y.is_nan())),
                LogicalAnd => each(x, y, out, |x, y| truth(x != 0.0 && y != 0.0)),
                LogicalOr => each(x, y, out, |x, y| truth(x != 0.0 || y != 0.0)),
                BitwiseAnd | BitwiseOr | BitwiseXor | LeftShift | RightShift => unreachable!("checked by the op"),
            }
        }
    };
}
binary_float!(binary_f32, f32);
binary_float!(binary_f64, f64);

macro_rules! binary_integer {
    ($name:ident, $type:ident, $divide:expr, $remainder:expr, $power:expr) => {
        fn $name(function: Binary, x: &[$type], y: &[$type], out: &mut [$type]) {
            let truth = |yes: bool| $type::from(yes);
            match function {
                Add => each(x, y, out, $type::wrapping_add),
                Subtract => each(x, y, out, $type::wrapping_sub),
                Multiply => each(x, y, out, $type::wrapping_mul),
                FloorDivide => each(x, y, out, |x, y| if y == 0 { 0 } else { $divide(x, y) }),
                Remainder => each(x, y, out, |x, y| if y == 0 { 0 } else { $remainder(x, y) }),
                Power => each(x, y, out, $power),
                Maximum => each(x, y, out, $type::max),
                Minimum => each(x, y, out, $type::min),
                Equal | NanEqual => each(x, y, out, |x, y| truth(x == y)),
                NotEqual => each(x, y, out, |x, y| truth(x != y)),
                Less => each(x, y, out, |x, y| truth(x < y)),
                LessEqual => each(x, y, out, |x, y| truth(x <= y)),
                Greater => each(x, y, out, |x, y| truth(x > y)),
                GreaterEqual => each(x, y, out, |x, y| truth(x >= y)),
                LogicalAnd => each(x, y, out, |x, y| truth(x != 0 && y != 0)),
                LogicalOr => each(x, y, out, |x, y| truth(x != 0 || y != 0)),
                BitwiseAnd => each(x, y, out, |x, y| x & y),
                BitwiseOr => each(x, y, out, |x, y| x | y),
                BitwiseXor => each(x, y, out, |x, y| x ^ y),
                LeftShift => each(x, y, out, |x, y| x.wrapping_shl(y as u32)),
                RightShift => each(x, y, out, |x, y| x.wrapping_shr(y as u32)),
                Divide | LogAddExp | Arctan2 => unreachable!("cast to floats by the op"),
            }
        }
    };
}
binary_integer!(binary_i64, i64, floor_quotient, signed_remainder, signed_power);
binary_integer!(binary_u64, u64, u64::wrapping_div, u64::wrapping_rem, unsigned_power);

fn floor_quotient(x: i64, y: i64) -> i64 {
    let quotient = x.wrapping_div(y);
    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { quotient - 1 } else { quotient }
}

fn signed_remainder(x: i64, y: i64) -> i64 {
    let rest = x.wrapping_rem(y);
    if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest }
}

fn signed_power(x: i64, y: i64) -> i64 {
    if y < 0 { 0 } else { x.wrapping_pow(y.min(i64::from(u32::MAX)) as u32) }
}

fn unsigned_power(x: u64, y: u64) -> u64 {
    x.wrapping_pow(y.min(u64::from(u32::MAX)) as u32)
}

fn binary_c64(function: Binary, x: &[Complex64], y: &[Complex64], out: &mut [Complex64]) {
    let truth = |yes: bool| Complex64 { re: if yes { 1.0 } else { 0.0 }, im: 0.0 };
    let some = |z: Complex64| z.re != 0.0 || z.im != 0.0;
    let order = |x: Complex64, y: Complex64| (x.re, x.im).partial_cmp(&(y.re, y.im));
    let nan = |z: Complex64| z.re.is_nan() || z.im.is_nan();
    match function {
        Add => each(x, y, out, |x, y| x + y),
        Subtract => each(x, y, out, |x, y| x - y),
        Multiply => each(x, y, out, |x, y| x * y),
        Divide => each(x, y, out, |x, y| x / y),
        FloorDivide => each(x, y, out, |x, y| {
            let quotient = x / y;
            Complex64 { re: quotient.re.floor(), im: quotient.im.floor() }
        }),
        Power => each(x, y, out, |x, y| if some(x) { (x.ln() * y).exp() } else { truth(!some(y)) }),
        Maximum => each(x, y, out, |x, y| if nan(x) || order(x, y).is_some_and(|o| o.is_gt()) { x } else { y }),
        Minimum => each(x, y, out, |x, y| if nan(x) || order(x, y).is_some_and(|o| o.is_lt()) { x } else { y }),
        Equal => each(x, y, out, |x, y| truth(x == y)),
        NotEqual => each(x, y, out, |x, y| truth(x != y)),
        Less => each(x, y, out, |x, y| truth(order(x, y).is_some_and(|o| o.is_lt()))),
        LessEqual => each(x, y, out, |x, y| truth(order(x, y).is_some_and(|o| o.is_le()))),
        Greater => each(x, y, out, |x, y| truth(order(x, y).is_some_and(|o| o.is_gt()))),
        GreaterEqual => each(x, y, out, |x, y| truth(order(x, y).is_some_and(|o| o.is_ge()))),
        NanEqual => each(x, y, out, |x, y| truth(x == y || nan(x) && nan(y))),
        LogicalAnd => each(x, y, out, |x, y| truth(some(x) && some(y))),
        LogicalOr => each(x, y, out, |x, y| truth(some(x) || some(y))),
        LogAddExp => each(x, y, out, |x, y| (x.exp() + y.exp()).ln()),
        _ => unreachable!("[{function:?}] is refused for complex numbers"),
    }
}

macro_rules! operators {
    ($($trait:ident :: $method:ident = $op:ident),*) => {$(
        impl<R: Operand> std::ops::$trait<R> for &Array {
            type Output = Array;
            #[track_caller]
            fn $method(self, other: R) -> Array { self.$op(other) }
        }
        impl<R: Operand> std::ops::$trait<R> for Array {
            type Output = Array;
            #[track_caller]
            fn $method(self, other: R) -> Array { (&self).$op(other) }
        }
        impl std::ops::$trait<&Array> for f32 {
            type Output = Array;
            #[track_caller]
            fn $method(self, other: &Array) -> Array { self.operand(other.dtype()).$op(other) }
        }
    )*};
}
operators!(
    Add::add = add,
    Sub::sub = subtract,
    Mul::mul = multiply,
    Div::div = divide,
    Rem::rem = remainder,
    BitAnd::bitand = bitwise_and,
    BitOr::bitor = bitwise_or,
    BitXor::bitxor = bitwise_xor,
    Shl::shl = left_shift,
    Shr::shr = right_shift
);
