//! Element-wise loops for the array layer: fast ones for contiguous f32, general ones for any type and any strides.
//!
//! A [`View`] is a slice with an offset and one stride a dimension (0 broadcasts, negative reverses); results are
//! contiguous, row-major. Invariant: an element's bits depend on its operands alone, never on layout or place.
//! Read next: [`crate::reduce`].

use crate::activation::{Activation, activate_slice};
use crate::pool::Pool;
use crate::simd::{Simd, tiered};

/// A function of one f32.
#[derive(Clone, Copy, Debug)]
pub enum UnaryOp {
    /// `|x|`.
    Abs,
    /// `-x`.
    Negate,
    /// `x²`.
    Square,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `1 / x`.
    Reciprocal,
    /// To the nearest integer, ties to even.
    Round,
    /// One of the vectorized activation functions (e^x, tanh, erf, sigmoid among them).
    Activation(Activation),
    /// Any other function, applied value by value (logarithms, trigonometry).
    Scalar(fn(f32) -> f32),
}

/// A function of two f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Subtract,
    /// `a * b`.
    Multiply,
    /// `a / b`.
    Divide,
    /// The greater; NaN when either is NaN.
    Maximum,
    /// The smaller; NaN when either is NaN.
    Minimum,
}

/// Strided elements; the shape is given beside it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    /// The elements that `offset` counts in.
    pub data: &'a [T],
    /// Where element `[0, 0, …]` is.
    pub offset: usize,
    /// Elements from one index to the next, for each dimension of the shape.
    pub strides: &'a [isize],
}

/// `x = op(x)`.
pub fn unary_in_place(pool: &Pool, op: UnaryOp, x: &mut [f32]) {
    pool.run_chunks(x, BLOCK, |_, x| unary_slice(op, x));
}

/// `out = op(x)`, contiguous.
pub fn unary(pool: &Pool, op: UnaryOp, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "[unary] input and output differ in size");
    pool.run_chunks(out, BLOCK, |index, out| {
        out.copy_from_slice(&x[index * BLOCK..][..out.len()]);
        unary_slice(op, out);
    });
}

/// `a = op(a, b)`, contiguous, for a result that takes over an operand's buffer.
pub fn binary_in_place(pool: &Pool, op: BinaryOp, a: &mut [f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "[binary] operands differ in size");
    pool.run_chunks(a, BLOCK, |index, a| binary_onto(op, a, Operand::Slice(&b[index * BLOCK..][..a.len()])));
}

/// `out = op(a, b)` over any strides; `out` is contiguous with `shape`.
pub fn binary(pool: &Pool, op: BinaryOp, shape: &[usize], a: View<'_, f32>, b: View<'_, f32>, out: &mut [f32]) {
    let plan = Plan::new("binary", shape, [a.strides, b.strides], out.len());
    plan.check(0, a.data.len(), a.offset);
    plan.check(1, b.data.len(), b.offset);
    plan.run(pool, [a.offset, b.offset], out, |[i, j], [si, sj], out| {
        let (a, b) = (&a.data, &b.data);
        match (si, sj) {
            (1, 1) => {
                out.copy_from_slice(&a[i..i + out.len()]);
                binary_onto(op, out, Operand::Slice(&b[j..j + out.len()]));
            }
            (1, 0) => {
                out.copy_from_slice(&a[i..i + out.len()]);
                binary_onto(op, out, Operand::Value(b[j]));
            }
            (0, 1) => {
                out.fill(a[i]);
                binary_onto(op, out, Operand::Slice(&b[j..j + out.len()]));
            }
            _ => {
                for (n, out) in out.iter_mut().enumerate() {
                    *out = reference::binary(op, a[at(i, si, n)], b[at(j, sj, n)]);
                }
            }
        }
    });
}

/// `out = f(a)` over any strides and types; `out` is contiguous with `shape`.
pub fn map<A: Copy + Sync, O: Send>(
    pool: &Pool,
    shape: &[usize],
    a: View<'_, A>,
    out: &mut [O],
    f: impl Fn(A) -> O + Sync,
) {
    let plan = Plan::new("map", shape, [a.strides], out.len());
    plan.check(0, a.data.len(), a.offset);
    plan.run(pool, [a.offset], out, |[i], [si], out| {
        if si == 1 {
            out.iter_mut().zip(&a.data[i..]).for_each(|(out, &a)| *out = f(a));
        } else {
            out.iter_mut().enumerate().for_each(|(n, out)| *out = f(a.data[at(i, si, n)]));
        }
    });
}

/// `out = f(a, b)` over any strides and types; `out` is contiguous with `shape`.
pub fn zip<A: Copy + Sync, B: Copy + Sync, O: Send>(
    pool: &Pool,
    shape: &[usize],
    a: View<'_, A>,
    b: View<'_, B>,
    out: &mut [O],
    f: impl Fn(A, B) -> O + Sync,
) {
    let plan = Plan::new("zip", shape, [a.strides, b.strides], out.len());
    plan.check(0, a.data.len(), a.offset);
    plan.check(1, b.data.len(), b.offset);
    plan.run(pool, [a.offset, b.offset], out, |[i, j], [si, sj], out| {
        if si == 1 && sj == 1 {
            let operands = a.data[i..].iter().zip(&b.data[j..]);
            out.iter_mut().zip(operands).for_each(|(out, (&a, &b))| *out = f(a, b));
        } else {
            out.iter_mut().enumerate().for_each(|(n, out)| *out = f(a.data[at(i, si, n)], b.data[at(j, sj, n)]));
        }
    });
}

/// `out = f(a, b, c)` over any strides and types (select, clip); `out` is contiguous with `shape`.
pub fn zip3<A: Copy + Sync, B: Copy + Sync, C: Copy + Sync, O: Send>(
    pool: &Pool,
    shape: &[usize],
    a: View<'_, A>,
    b: View<'_, B>,
    c: View<'_, C>,
    out: &mut [O],
    f: impl Fn(A, B, C) -> O + Sync,
) {
    let plan = Plan::new("zip3", shape, [a.strides, b.strides, c.strides], out.len());
    plan.check(0, a.data.len(), a.offset);
    plan.check(1, b.data.len(), b.offset);
    plan.check(2, c.data.len(), c.offset);
    plan.run(pool, [a.offset, b.offset, c.offset], out, |[i, j, k], [si, sj, sk], out| {
        for (n, out) in out.iter_mut().enumerate() {
            *out = f(a.data[at(i, si, n)], b.data[at(j, sj, n)], c.data[at(k, sk, n)]);
        }
    });
}

/// What the operations mean for one value, in plain Rust, kept for ever.
pub mod reference {
    use super::{BinaryOp, UnaryOp};
    use crate::activation::reference::activation;

    /// One value.
    pub fn unary(op: UnaryOp, x: f32) -> f32 {
        match op {
            UnaryOp::Abs => x.abs(),
            UnaryOp::Negate => -x,
            UnaryOp::Square => x * x,
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Rsqrt => 1.0 / x.sqrt(),
            UnaryOp::Reciprocal => 1.0 / x,
            UnaryOp::Round => x.round_ties_even(),
            UnaryOp::Activation(function) => activation(function, x),
            UnaryOp::Scalar(function) => function(x),
        }
    }

    /// One pair.
    #[inline(always)]
    pub fn binary(op: BinaryOp, a: f32, b: f32) -> f32 {
        match op {
            BinaryOp::Add => a + b,
            BinaryOp::Subtract => a - b,
            BinaryOp::Multiply => a * b,
            BinaryOp::Divide => a / b,
            BinaryOp::Maximum => {
                if a.is_nan() || a > b {
                    a
                } else {
                    b
                }
            }
            BinaryOp::Minimum => {
                if a.is_nan() || a < b {
                    a
                } else {
                    b
                }
            }
        }
    }
}

/// Elements of a part.
const BLOCK: usize = 8192;

#[inline(always)]
fn at(start: usize, stride: isize, n: usize) -> usize {
    (start as isize + stride * n as isize) as usize
}

/// The right-hand side of an in-place operation.
#[derive(Clone, Copy)]
enum Operand<'a> {
    Slice(&'a [f32]),
    Value(f32),
}

/// The loop nest over a shape for `N` operands, with dimensions of size 1 dropped and mergeable ones merged.
struct Plan<const N: usize> {
    op: &'static str,
    /// Outermost first; at least one entry. Sizes and one stride for each operand.
    dims: Vec<(usize, [isize; N])>,
    total: usize,
}

impl<const N: usize> Plan<N> {
    fn new(op: &'static str, shape: &[usize], strides: [&[isize]; N], out: usize) -> Plan<N> {
        let total = shape.iter().product();
        assert_eq!(total, out, "[{op}] output of {out} elements for shape {shape:?}");
        for strides in strides {
            assert_eq!(strides.len(), shape.len(), "[{op}] strides {strides:?} for shape {shape:?}");
        }
        let mut dims: Vec<(usize, [isize; N])> = Vec::with_capacity(shape.len());
        for (axis, &size) in shape.iter().enumerate().filter(|&(_, &size)| size != 1) {
            let steps: [isize; N] = std::array::from_fn(|n| strides[n][axis]);
            match dims.last_mut() {
                // An outer step equals a whole inner dimension for every operand: one longer dimension.
                Some((outer, outer_steps)) if (0..N).all(|n| outer_steps[n] == steps[n] * size as isize) => {
                    (*outer, *outer_steps) = (*outer * size, steps);
                }
                _ => dims.push((size, steps)),
            }
        }
        if dims.is_empty() {
            dims.push((total, [1; N]));
        }
        Plan { op, dims, total }
    }

    /// Panics unless operand `n`, beginning at `offset`, stays inside `len` elements.
    fn check(&self, n: usize, len: usize, offset: usize) {
        let (mut least, mut most) = (offset as isize, offset as isize);
        for (size, steps) in &self.dims {
            let reach = steps[n] * (*size as isize - 1).max(0);
            least += reach.min(0);
            most += reach.max(0);
        }
        let inside = least >= 0 && most < len as isize;
        assert!(inside || self.total == 0, "[{}] operand {n} spans {least}..={most} of {len} elements", self.op);
    }

    /// Call `inner(starts, strides, out)` for runs along the innermost dimension that cover `out`.
    fn run<O: Send>(
        &self,
        pool: &Pool,
        offsets: [usize; N],
        out: &mut [O],
        inner: impl Fn([usize; N], [isize; N], &mut [O]) + Sync,
    ) {
        let (last, steps) = *self.dims.last().expect("[elementwise] a plan has a dimension");
        pool.run_chunks(out, BLOCK, |index, mut out| {
            let mut position = index * BLOCK;
            while !out.is_empty() {
                let (row, first) = (position / last, position % last);
                let count = (last - first).min(out.len());
                let starts = self.starts(row, first, offsets);
                let (now, rest) = std::mem::take(&mut out).split_at_mut(count);
                inner(starts, steps, now);
                position += count;
                out = rest;
            }
        });
    }

    fn starts(&self, mut row: usize, first: usize, offsets: [usize; N]) -> [usize; N] {
        let (outer, last) = self.dims.split_at(self.dims.len() - 1);
        let mut starts = offsets.map(|offset| offset as isize);
        (0..N).for_each(|n| starts[n] += last[0].1[n] * first as isize);
        for (size, steps) in outer.iter().rev() {
            (0..N).for_each(|n| starts[n] += steps[n] * (row % size) as isize);
            row /= size;
        }
        starts.map(|start| start as usize)
    }
}

fn unary_slice(op: UnaryOp, x: &mut [f32]) {
    match op {
        UnaryOp::Activation(activation) => activate_slice(activation, x),
        UnaryOp::Scalar(function) => x.iter_mut().for_each(|x| *x = function(*x)),
        _ => simple_slice(op, x),
    }
}

tiered! { fn simple_slice(op: UnaryOp, x: &mut [f32]) = simple_body; }

#[inline(always)]
fn simple_body<S: Simd>(_: S, op: UnaryOp, x: &mut [f32]) {
    // Plain loops: the compiler vectorizes them with the features of the tier.
    match op {
        UnaryOp::Abs => x.iter_mut().for_each(|x| *x = x.abs()),
        UnaryOp::Negate => x.iter_mut().for_each(|x| *x = -*x),
        UnaryOp::Square => x.iter_mut().for_each(|x| *x *= *x),
        UnaryOp::Sqrt => x.iter_mut().for_each(|x| *x = x.sqrt()),
        UnaryOp::Rsqrt => x.iter_mut().for_each(|x| *x = 1.0 / x.sqrt()),
        UnaryOp::Reciprocal => x.iter_mut().for_each(|x| *x = 1.0 / *x),
        UnaryOp::Round => x.iter_mut().for_each(|x| *x = x.round_ties_even()),
        UnaryOp::Activation(_) | UnaryOp::Scalar(_) => unreachable!("[unary] handled by the caller"),
    }
}

tiered! { fn binary_onto(op: BinaryOp, a: &mut [f32], b: Operand<'_>) = onto_body; }

#[inline(always)]
fn onto_body<S: Simd>(_: S, op: BinaryOp, a: &mut [f32], b: Operand<'_>) {
    macro_rules! each {
        ($op:expr) => {
            match b {
                Operand::Slice(b) => a.iter_mut().zip(b).for_each(|(a, &b)| *a = reference::binary($op, *a, b)),
                Operand::Value(b) => a.iter_mut().for_each(|a| *a = reference::binary($op, *a, b)),
            }
        };
    }
    match op {
        BinaryOp::Add => each!(BinaryOp::Add),
        BinaryOp::Subtract => each!(BinaryOp::Subtract),
        BinaryOp::Multiply => each!(BinaryOp::Multiply),
        BinaryOp::Divide => each!(BinaryOp::Divide),
        BinaryOp::Maximum => each!(BinaryOp::Maximum),
        BinaryOp::Minimum => each!(BinaryOp::Minimum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: [BinaryOp; 6] =
        [BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide, BinaryOp::Maximum, BinaryOp::Minimum];

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| if i % 53 == 7 { f32::NAN } else { (i * 37 % 101) as f32 - 50.0 }).collect()
    }

    fn same(a: f32, b: f32) -> bool {
        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
    }

    #[test]
    fn binary_over_every_layout_and_tier() {
        type Layout = (&'static [usize], &'static [isize], &'static [isize], usize);
        let layouts: [Layout; 8] = [
            (&[], &[], &[], 0),
            (&[10_000], &[1], &[1], 0),
            (&[7, 11], &[11, 1], &[0, 0], 3),
            (&[7, 11], &[0, 0], &[11, 1], 0),
            (&[7, 11], &[1, 7], &[11, 1], 0),
            (&[3, 1, 5, 9], &[45, 100, 9, 1], &[0, 0, 0, 1], 2),
            (&[4, 3000], &[3000, -1], &[0, 1], 3000),
            (&[5, 0, 2], &[1, 1, 1], &[1, 1, 1], 0),
        ];
        let data = values(20_000);
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            for (shape, a, b, offset) in layouts {
                let total = shape.iter().product();
                for op in BINARY {
                    let mut out = vec![0.0; total];
                    let view = |strides| View { data: &data[..], offset, strides };
                    binary(&pool, op, shape, view(a), view(b), &mut out);
                    let mut zipped = vec![0.0; total];
                    zip(&pool, shape, view(a), view(b), &mut zipped, |a, b| reference::binary(op, a, b));
                    for (index, (&out, &zipped)) in out.iter().zip(&zipped).enumerate() {
                        let (mut rest, mut i, mut j) = (index, offset as isize, offset as isize);
                        for axis in (0..shape.len()).rev() {
                            i += a[axis] * (rest % shape[axis]) as isize;
                            j += b[axis] * (rest % shape[axis]) as isize;
                            rest /= shape[axis];
                        }
                        let expected = reference::binary(op, data[i as usize], data[j as usize]);
                        assert!(same(out, expected) && same(zipped, expected), "{tier:?} {op:?} {shape:?} at {index}");
                    }
                }
            }
        });
    }

    #[test]
    fn unary_and_in_place_match_their_reference() {
        let x = values(9_001);
        let ops = [
            UnaryOp::Abs,
            UnaryOp::Negate,
            UnaryOp::Square,
            UnaryOp::Sqrt,
            UnaryOp::Rsqrt,
            UnaryOp::Reciprocal,
            UnaryOp::Round,
            UnaryOp::Scalar(f32::ln),
        ];
        crate::cpu::tests::on_every_tier(|tier| {
            let pool = Pool::new(1);
            for op in ops {
                let mut out = vec![0.0; x.len()];
                unary(&pool, op, &x, &mut out);
                assert!(x.iter().zip(&out).all(|(&x, &out)| same(out, reference::unary(op, x))), "{tier:?} {op:?}");
            }
            for op in BINARY {
                let mut out = x.clone();
                let b: Vec<f32> = x.iter().rev().copied().collect();
                binary_in_place(&pool, op, &mut out, &b);
                assert!((0..x.len()).all(|i| same(out[i], reference::binary(op, x[i], b[i]))), "{tier:?} {op:?}");
            }
        });
    }

    #[test]
    fn maps_and_selects_other_types() {
        let pool = Pool::new(2);
        let (a, b) = ([1i32, 2, 3, 4, 5, 6], [10u8, 20, 30]);
        let (row, transposed): (&[isize], &[isize]) = (&[0, 1], &[1, 2]);
        let mut mapped = [0i64; 6];
        map(&pool, &[2, 3], View { data: &a, offset: 0, strides: transposed }, &mut mapped, |a| i64::from(a) * 2);
        assert_eq!(mapped, [2, 6, 10, 4, 8, 12]);
        let mut selected = [0i32; 6];
        let condition = View { data: &[true, false][..], offset: 0, strides: &[1, 0] };
        let (a, b) = (View { data: &a, offset: 0, strides: &[3, 1] }, View { data: &b, offset: 0, strides: row });
        zip3(&pool, &[2, 3], condition, a, b, &mut selected, |c, a, b| if c { a } else { i32::from(b) });
        assert_eq!(selected, [1, 2, 3, 10, 20, 30]);
    }

    #[test]
    #[should_panic(expected = "[map] operand 0 spans 0..=6 of 6 elements")]
    fn a_view_beyond_its_data_panics() {
        map(&Pool::new(1), &[7], View { data: &[0.0; 6], offset: 0, strides: &[1] }, &mut [0.0; 7], |a: f32| a);
    }
}
