//! Random numbers from explicit keys: Threefry-2x32 with 20 rounds (Salmon et al., 2011) and MLX's distributions on it.
//!
//! Invariant: a key gives the same numbers on every machine and thread count; there is no hidden state. The bits of an
//! array depend on its number of bytes, as in MLX. Read next: [`crate::ops::rows`].

use std::any::Any;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::ops::binary::{Operand, full_scalar};
use crate::primitive::{EvalContext, Primitive, Specs, one};
use crate::shape::{Shape, normalize_axis};
use crate::tensor::Tensor;

/// The key of `seed`: two u32.
pub fn key(seed: u64) -> Array {
    Array::from_slice(&[(seed >> 32) as u32, seed as u32], &[2])
}

/// `count` new keys from one: `[count, 2]`.
#[track_caller]
pub fn split(key: &Array, count: usize) -> Array {
    bits(&[count, 2], 4, key)
}

/// Uniform bits: elements of `width` bytes (1, 2 or 4).
#[track_caller]
pub fn bits(shape: &[usize], width: usize, key: &Array) -> Array {
    let fits = key.dtype() == Dtype::U32 && key.shape() == [2];
    assert!(fits, "[bits] a key is two uint32, not {:?} {}", key.shape(), key.dtype());
    assert!(matches!(width, 1 | 2 | 4), "[bits] a width of {width} bytes");
    Array::apply(RandomBits { shape: Shape::from_slice(shape), width }, &[key])
}

/// Uniform in `[low, high)`.
#[track_caller]
pub fn uniform(low: impl Operand, high: impl Operand, shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    assert!(dtype.is_float(), "[uniform] only floats, not {dtype}");
    let below_one = match dtype {
        Dtype::F16 => 1.0 - 2f32.powi(-11),
        Dtype::Bf16 => 1.0 - 2f32.powi(-8),
        _ => 1.0f32.next_down(),
    };
    let (low, high) = (low.operand(dtype).astype(dtype), high.operand(dtype).astype(dtype));
    let unit = bits(shape, 4, key).astype(Dtype::F32) / u32::MAX as f32;
    let unit = unit.minimum(below_one).astype(dtype);
    (&high - &low) * &unit + &low
}

/// Normal with mean 0 and deviation 1.
#[track_caller]
pub fn normal(shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    assert!(dtype.is_float(), "[normal] only floats, not {dtype}");
    let unit = uniform((-1.0f32).next_up(), 1.0, shape, Dtype::F32, key);
    unit.erfinv().astype(dtype) * std::f32::consts::SQRT_2
}

/// Integers in `[low, high)`.
#[track_caller]
pub fn randint(low: impl Operand, high: impl Operand, shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    assert!(dtype.is_integer(), "[randint] only integers, not {dtype}");
    let (low, high) = (low.operand(Dtype::F32).astype(Dtype::F32), high.operand(Dtype::F32).astype(Dtype::F32));
    let x = uniform(&low, &high, shape, Dtype::F32, key);
    x.floor().minimum(&high - 1.0).maximum(&low).astype(dtype)
}

/// True with probability `p`.
#[track_caller]
pub fn bernoulli(p: impl Operand, shape: &[usize], key: &Array) -> Array {
    let p = p.operand(Dtype::F32);
    assert!(p.dtype().is_float(), "[bernoulli] a probability is a float, not {}", p.dtype());
    bits(shape, 4, key).less(p * (u32::MAX as f32).next_up())
}

/// Gumbel with location 0 and scale 1.
#[track_caller]
pub fn gumbel(shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    -(-uniform(0.0, 1.0, shape, dtype, key).log()).log()
}

/// Laplace with location 0 and scale 1.
#[track_caller]
pub fn laplace(shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    let x = uniform((-1.0f32).next_up(), 1.0, shape, dtype, key);
    x.sign() * (-x.abs()).log1p()
}

/// Normal, cut off outside `[lower, upper]`.
#[track_caller]
pub fn truncated_normal(lower: impl Operand, upper: impl Operand, shape: &[usize], dtype: Dtype, key: &Array) -> Array {
    assert!(dtype.is_float(), "[truncated_normal] only floats, not {dtype}");
    let root = full_scalar(std::f64::consts::SQRT_2, dtype);
    let (lower, upper) = (lower.operand(dtype).astype(dtype), upper.operand(dtype).astype(dtype));
    let x = uniform((&lower / &root).erf(), (&upper / &root).erf(), shape, dtype, key);
    (root * x.erfinv()).minimum(&upper).maximum(&lower)
}

/// Indices drawn along `axis` with probabilities softmax(`logits`), one for each position of the other dimensions.
#[track_caller]
pub fn categorical(logits: &Array, axis: i32, key: &Array) -> Array {
    let noise = gumbel(logits.shape(), Dtype::F32, key);
    (logits + noise).argmax(axis, false)
}

/// As [`categorical`], `count` independent draws in a new last dimension.
#[track_caller]
pub fn categorical_samples(logits: &Array, axis: i32, count: usize, key: &Array) -> Array {
    let axis = normalize_axis("categorical", axis, logits.rank());
    let mut shape = Shape::from_slice(logits.shape());
    shape.push(count);
    let noise = gumbel(&shape, Dtype::F32, key);
    (logits.expand_dims(&[-1]) + noise).argmax(axis as i32, false)
}

/// The numbers `0..count` in random order.
#[track_caller]
pub fn permutation(count: usize, key: &Array) -> Array {
    bits(&[count], 4, key).argsort(0)
}

/// The entries of `axis` in random order.
#[track_caller]
pub fn shuffle(x: &Array, axis: i32, key: &Array) -> Array {
    x.take(&permutation(x.dim(axis), key), axis)
}

/// One Threefry-2x32 block.
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for group in 0..5 {
        for rotation in ROTATIONS[group % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        x[0] = x[0].wrapping_add(keys[(group + 1) % 3]);
        x[1] = x[1].wrapping_add(keys[(group + 2) % 3]).wrapping_add(group as u32 + 1);
    }
    x
}

#[derive(Debug, PartialEq)]
struct RandomBits {
    shape: Shape,
    width: usize,
}

impl Primitive for RandomBits {
    fn name(&self) -> &'static str {
        "random_bits"
    }

    fn infer(&self, _: &[Array]) -> Specs {
        let dtype = [Dtype::U8, Dtype::U16, Dtype::U32][self.width / 2];
        one(&self.shape, dtype)
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let key = inputs[0].contiguous();
        let key = [key.slice::<u32>()[0], key.slice::<u32>()[1]];
        let out = outputs[0].bytes_mut();
        // Word i of the first half comes with word i of the second; of an odd number, the middle one stands alone.
        let words = out.len().div_ceil(4);
        let half = words / 2;
        let second = words - half;
        let mut write = |word: usize, value: u32| {
            let bytes = &mut out[word * 4..];
            let count = bytes.len().min(4);
            bytes[..count].copy_from_slice(&value.to_le_bytes()[..count]);
        };
        for word in 0..half {
            let block = threefry(key, [word as u32, (word + second) as u32]);
            write(word, block[0]);
            write(word + second, block[1]);
        }
        if second > half {
            write(half, threefry(key, [half as u32, 0])[0]);
        }
    }

    fn is_equivalent(&self, other: &dyn Primitive) -> bool {
        (other as &dyn Any).downcast_ref::<RandomBits>() == Some(self)
    }
}
