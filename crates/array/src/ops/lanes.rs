//! Lanes: the five number types that element-wise kernels compute in, and how all 14 dtypes are read into and written
//! from blocks of them.
//!
//! Invariant: a block is at most [`BLOCK`] elements, so its temporaries stay in the first-level cache; a position is read
//! before it is written, so an output may lie on an input. f16, bf16 and f32 compute in f32; integers up to 32 bits and
//! `i64` in `i64`, which wraps to the narrow type exactly; bool as 0 or 1. Read next: [`crate::ops::unary`].

use half::{bf16, f16};
use olivine_kernels::convert;
use olivine_kernels::pool::Pool;

use crate::dtype::{Complex64, Dtype};
use crate::shape::Layout;
use crate::tensor::Tensor;

/// Elements of a block.
pub const BLOCK: usize = 512;
/// Elements from which on work is spread over threads.
const PARALLEL: usize = 32 * 1024;

/// The type in which a dtype is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// f16, bf16, f32.
    F32,
    /// f64.
    F64,
    /// bool and all integers but u64.
    I64,
    /// u64.
    U64,
    /// complex.
    C64,
}

/// The class of `dtype`.
pub const fn class(dtype: Dtype) -> Class {
    match dtype {
        Dtype::F16 | Dtype::Bf16 | Dtype::F32 => Class::F32,
        Dtype::F64 => Class::F64,
        Dtype::U64 => Class::U64,
        Dtype::C64 => Class::C64,
        _ => Class::I64,
    }
}

/// A number type of blocks, made from and turned into any other.
pub trait Lane: Copy + Default + Send + Sync + 'static {
    /// From f32.
    fn from_f32(x: f32) -> Self;
    /// From f64.
    fn from_f64(x: f64) -> Self;
    /// From i64.
    fn from_i64(x: i64) -> Self;
    /// From u64.
    fn from_u64(x: u64) -> Self;
    /// From complex: reals keep the real part.
    fn from_c64(x: Complex64) -> Self;
    /// To f32.
    fn to_f32(self) -> f32;
    /// To f64.
    fn to_f64(self) -> f64;
    /// To i64: floats are truncated, and saturate.
    fn to_i64(self) -> i64;
    /// To u64: negative integers wrap.
    fn to_u64(self) -> u64;
    /// To complex.
    fn to_c64(self) -> Complex64;
    /// Whether it is not zero (NaN is not zero).
    fn is_true(self) -> bool;

    /// A slice of f16.
    fn widen_f16(from: &[f16], to: &mut [Self]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = Self::from_f32(from.to_f32()));
    }
    /// A slice of bf16.
    fn widen_bf16(from: &[bf16], to: &mut [Self]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = Self::from_f32(from.to_f32()));
    }
    /// To a slice of f16.
    fn narrow_f16(from: &[Self], to: &mut [f16]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = f16::from_f32(from.to_f32()));
    }
    /// To a slice of bf16.
    fn narrow_bf16(from: &[Self], to: &mut [bf16]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = bf16::from_f32(from.to_f32()));
    }
}

macro_rules! real_lane {
    ($type:ty, $zero:expr $(, $slices:item)*) => {
        impl Lane for $type {
            $($slices)*

            fn from_f32(x: f32) -> Self {
                x as $type
            }
            fn from_f64(x: f64) -> Self {
                x as $type
            }
            fn from_i64(x: i64) -> Self {
                x as $type
            }
            fn from_u64(x: u64) -> Self {
                x as $type
            }
            fn from_c64(x: Complex64) -> Self {
                x.re as $type
            }
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i64(self) -> i64 {
                self as i64
            }
            fn to_u64(self) -> u64 {
                self as u64
            }
            fn to_c64(self) -> Complex64 {
                Complex64 { re: self as f32, im: 0.0 }
            }
            fn is_true(self) -> bool {
                self != $zero
            }
        }
    };
}
real_lane!(
    f32,
    0.0,
    fn widen_f16(from: &[f16], to: &mut [f32]) {
        convert::f16_to_f32(from, to);
    },
    fn widen_bf16(from: &[bf16], to: &mut [f32]) {
        convert::bf16_to_f32(from, to);
    },
    fn narrow_f16(from: &[f32], to: &mut [f16]) {
        convert::f32_to_f16(from, to);
    },
    fn narrow_bf16(from: &[f32], to: &mut [bf16]) {
        convert::f32_to_bf16(from, to);
    }
);
real_lane!(f64, 0.0);
real_lane!(i64, 0);
real_lane!(u64, 0);

impl Lane for Complex64 {
    fn from_f32(x: f32) -> Self {
        Complex64 { re: x, im: 0.0 }
    }
    fn from_f64(x: f64) -> Self {
        Complex64 { re: x as f32, im: 0.0 }
    }
    fn from_i64(x: i64) -> Self {
        Complex64 { re: x as f32, im: 0.0 }
    }
    fn from_u64(x: u64) -> Self {
        Complex64 { re: x as f32, im: 0.0 }
    }
    fn from_c64(x: Complex64) -> Self {
        x
    }
    fn to_f32(self) -> f32 {
        self.re
    }
    fn to_f64(self) -> f64 {
        f64::from(self.re)
    }
    fn to_i64(self) -> i64 {
        self.re as i64
    }
    fn to_u64(self) -> u64 {
        self.re as u64
    }
    fn to_c64(self) -> Complex64 {
        self
    }
    fn is_true(self) -> bool {
        self.re != 0.0 || self.im != 0.0
    }
}

/// Where a block is read from: `bytes` of a whole buffer, seen through `layout`.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
    dtype: Dtype,
}

impl<'a> Input<'a> {
    /// Read `tensor` through `layout` (usually its own, coalesced or broadcast).
    pub fn new(tensor: &'a Tensor, layout: &'a Layout) -> Input<'a> {
        Input { bytes: tensor.buffer().bytes(), layout, dtype: tensor.dtype() }
    }

    /// Read the elements `start..start + out.len()` in row-major order into `out`.
    pub fn load<L: Lane>(&self, start: usize, out: &mut [L]) {
        load(self.bytes, self.dtype, self.layout, start, out);
    }
}

fn load<L: Lane>(bytes: &[u8], dtype: Dtype, layout: &Layout, start: usize, out: &mut [L]) {
    macro_rules! read {
        ($type:ty, $convert:expr) => {{
            let source: &[$type] = cast(bytes);
            gather(source, layout, start, out, $convert)
        }};
    }
    match dtype {
        Dtype::Bool | Dtype::U8 => read!(u8, |x| L::from_i64(i64::from(x))),
        Dtype::U16 => read!(u16, |x| L::from_i64(i64::from(x))),
        Dtype::U32 => read!(u32, |x| L::from_i64(i64::from(x))),
        Dtype::U64 => read!(u64, L::from_u64),
        Dtype::I8 => read!(i8, |x| L::from_i64(i64::from(x))),
        Dtype::I16 => read!(i16, |x| L::from_i64(i64::from(x))),
        Dtype::I32 => read!(i32, |x| L::from_i64(i64::from(x))),
        Dtype::I64 => read!(i64, L::from_i64),
        Dtype::F16 => gather_half(cast::<f16>(bytes), layout, start, out, f16::to_f32, L::widen_f16),
        Dtype::Bf16 => gather_half(cast::<bf16>(bytes), layout, start, out, bf16::to_f32, L::widen_bf16),
        Dtype::F32 => read!(f32, L::from_f32),
        Dtype::F64 => read!(f64, L::from_f64),
        Dtype::C64 => read!(Complex64, L::from_c64),
    }
}

/// Half-precision numbers, dense pieces on the conversion kernels.
fn gather_half<T: Copy, L: Lane>(
    source: &[T],
    layout: &Layout,
    start: usize,
    out: &mut [L],
    one: impl Fn(T) -> f32,
    many: impl Fn(&[T], &mut [L]),
) {
    let count = out.len();
    layout.runs(start, count, |position, offset, length, stride| {
        let out = &mut out[position..position + length];
        if stride == 1 || length == 1 {
            return many(&source[offset..offset + length], out);
        }
        for (i, to) in out.iter_mut().enumerate() {
            *to = L::from_f32(one(source[(offset as isize + i as isize * stride) as usize]));
        }
    });
}

fn cast<T: bytemuck::Pod>(bytes: &[u8]) -> &[T] {
    bytemuck::cast_slice(&bytes[..bytes.len() / size_of::<T>() * size_of::<T>()])
}

/// Copy elements through a layout, converting each.
#[inline(always)]
pub fn gather<T: Copy, L: Copy>(source: &[T], layout: &Layout, start: usize, out: &mut [L], convert: impl Fn(T) -> L) {
    let count = out.len();
    layout.runs(start, count, |position, offset, length, stride| {
        let out = &mut out[position..position + length];
        match stride {
            1 => {
                for (to, &from) in out.iter_mut().zip(&source[offset..offset + length]) {
                    *to = convert(from);
                }
            }
            0 => out.fill(convert(source[offset])),
            _ => {
                for (i, to) in out.iter_mut().enumerate() {
                    *to = convert(source[(offset as isize + i as isize * stride) as usize]);
                }
            }
        }
    });
}

/// Write `block` as `dtype` into `bytes`.
pub fn store<L: Lane>(bytes: &mut [u8], dtype: Dtype, block: &[L]) {
    macro_rules! write {
        ($type:ty, $convert:expr) => {{
            let out: &mut [$type] = bytemuck::cast_slice_mut(bytes);
            for (to, &from) in out.iter_mut().zip(block) {
                *to = $convert(from);
            }
        }};
    }
    match dtype {
        Dtype::Bool => write!(u8, |x: L| u8::from(x.is_true())),
        Dtype::U8 => write!(u8, |x: L| x.to_i64() as u8),
        Dtype::U16 => write!(u16, |x: L| x.to_i64() as u16),
        Dtype::U32 => write!(u32, |x: L| x.to_i64() as u32),
        Dtype::U64 => write!(u64, |x: L| x.to_u64()),
        Dtype::I8 => write!(i8, |x: L| x.to_i64() as i8),
        Dtype::I16 => write!(i16, |x: L| x.to_i64() as i16),
        Dtype::I32 => write!(i32, |x: L| x.to_i64() as i32),
        Dtype::I64 => write!(i64, |x: L| x.to_i64()),
        Dtype::F16 => L::narrow_f16(block, bytemuck::cast_slice_mut(bytes)),
        Dtype::Bf16 => L::narrow_bf16(block, bytemuck::cast_slice_mut(bytes)),
        Dtype::F32 => write!(f32, |x: L| x.to_f32()),
        Dtype::F64 => write!(f64, |x: L| x.to_f64()),
        Dtype::C64 => write!(Complex64, |x: L| x.to_c64()),
    }
}

/// Split `out` into pieces of `unit` elements of `item` bytes for the threads, and call `work(first element, bytes)`.
/// Small outputs stay on the caller's thread.
pub fn for_chunks(pool: &Pool, out: &mut [u8], item: usize, unit: usize, work: &(dyn Fn(usize, &mut [u8]) + Sync)) {
    let count = out.len() / item;
    if count == 0 {
        return;
    }
    let parts = if count < PARALLEL { 1 } else { pool.threads() * 4 };
    let chunk = count.div_ceil(parts).div_ceil(unit) * unit;
    if pool.threads() == 1 || chunk >= count {
        return work(0, out);
    }
    pool.run_chunks(out, chunk * item, |part, piece| work(part * chunk, piece));
}

/// Split `out` into pieces of whole rows of `row_bytes` for the threads, and call `work(first row, bytes)`. A row costs
/// about `row_cost` element operations.
pub fn for_rows(
    pool: &Pool,
    out: &mut [u8],
    row_bytes: usize,
    row_cost: usize,
    work: &(dyn Fn(usize, &mut [u8]) + Sync),
) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / row_bytes;
    let parts = (rows * row_cost / PARALLEL).clamp(1, pool.threads() * 4);
    let chunk = rows.div_ceil(parts);
    if pool.threads() == 1 || parts == 1 {
        return work(0, out);
    }
    pool.run_chunks(out, chunk * row_bytes, |part, piece| work(part * chunk, piece));
}

/// `out[i] = apply(inputs[0][i], inputs[1][i], …)` block by block. `apply` gets the loaded blocks and fills the last
/// argument. A donated input is read from the output's memory.
pub fn map<const N: usize, L: Lane, R: Lane>(
    pool: &Pool,
    inputs: &[Tensor],
    out: &mut Tensor,
    apply: impl Fn([&[L]; N], &mut [R]) + Sync,
) {
    let (dtype, shape) = (out.dtype(), out.layout().shape.clone());
    let dense = Layout { shape: [out.size()].into_iter().collect(), strides: [1].into_iter().collect(), offset: 0 };
    let layouts: [Layout; N] = std::array::from_fn(|i| match inputs[i].is_donated() {
        true => dense.clone(),
        false => inputs[i].layout().broadcast_to(&shape).coalesce(),
    });
    let item = dtype.size();
    for_chunks(pool, out.bytes_mut(), item, BLOCK, &|first, bytes| {
        let mut blocks = [[L::default(); BLOCK]; N];
        let mut result = [R::default(); BLOCK];
        let count = bytes.len() / item;
        for start in (0..count).step_by(BLOCK) {
            let length = BLOCK.min(count - start);
            for i in 0..N {
                let block = &mut blocks[i][..length];
                if inputs[i].is_donated() {
                    load(bytes, inputs[i].dtype(), &dense, start, block);
                } else {
                    Input::new(&inputs[i], &layouts[i]).load(first + start, block);
                }
            }
            apply(std::array::from_fn(|i| &blocks[i][..length]), &mut result[..length]);
            store(&mut bytes[start * item..(start + length) * item], dtype, &result[..length]);
        }
    });
}
