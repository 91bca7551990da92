//! Element types: the 14 dtypes, their promotion, and the Rust types that carry them.
//!
//! Invariant: `bool` is stored as one byte, 0 or 1; everything else is plain old data in native byte order.
//! Read next: [`crate::shape`].

use std::fmt;

use bytemuck::{Pod, Zeroable};
pub use half::{bf16, f16};

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Two f32: real and imaginary part.
    C64,
}

/// What a dtype is, coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Bool`.
    Bool,
    /// `U8` to `U64`.
    Unsigned,
    /// `I8` to `I64`.
    Signed,
    /// `F16`, `Bf16`, `F32`, `F64`.
    Float,
    /// `C64`.
    Complex,
}

impl Dtype {
    /// All dtypes, in the order of the enum.
    pub const ALL: [Dtype; 14] = [
        Dtype::Bool,
        Dtype::U8,
        Dtype::U16,
        Dtype::U32,
        Dtype::U64,
        Dtype::I8,
        Dtype::I16,
        Dtype::I32,
        Dtype::I64,
        Dtype::F16,
        Dtype::Bf16,
        Dtype::F32,
        Dtype::F64,
        Dtype::C64,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::U8 | Dtype::I8 => 1,
            Dtype::U16 | Dtype::I16 | Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::U32 | Dtype::I32 | Dtype::F32 => 4,
            Dtype::U64 | Dtype::I64 | Dtype::F64 | Dtype::C64 => 8,
        }
    }

    /// Bool, unsigned, signed, float or complex.
    pub const fn kind(self) -> Kind {
        match self {
            Dtype::Bool => Kind::Bool,
            Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => Kind::Unsigned,
            Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => Kind::Signed,
            Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64 => Kind::Float,
            Dtype::C64 => Kind::Complex,
        }
    }

    /// A real floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    /// A float or complex type: what division and the transcendental functions return.
    pub const fn is_inexact(self) -> bool {
        matches!(self.kind(), Kind::Float | Kind::Complex)
    }

    /// A signed or unsigned integer (`Bool` is not one).
    pub const fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Unsigned | Kind::Signed)
    }

    /// The lower-case name that MLX and NumPy use.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::Bool => "bool",
            Dtype::U8 => "uint8",
            Dtype::U16 => "uint16",
            Dtype::U32 => "uint32",
            Dtype::U64 => "uint64",
            Dtype::I8 => "int8",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
            Dtype::I64 => "int64",
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
            Dtype::F32 => "float32",
            Dtype::F64 => "float64",
            Dtype::C64 => "complex64",
        }
    }

    /// This type if it is inexact, else `F32`: the result type of `exp`, `divide`, `mean`….
    pub const fn at_least_float(self) -> Dtype {
        if self.is_inexact() { self } else { Dtype::F32 }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type that holds the result of an operation on `a` and `b` (MLX's table: no value is looked at).
///
/// Two integers of different sign widen to the next signed type, `U64` with a signed one gives `F32`; an integer
/// never widens a float; `F16` with `Bf16` gives `F32`; complex wins over everything.
pub const fn promote(a: Dtype, b: Dtype) -> Dtype {
    if a as u8 == b as u8 {
        return a;
    }
    match (a.kind(), b.kind()) {
        (Kind::Complex, _) | (_, Kind::Complex) => Dtype::C64,
        (Kind::Float, Kind::Float) => match (a, b) {
            (Dtype::F16, Dtype::Bf16) | (Dtype::Bf16, Dtype::F16) => Dtype::F32,
            _ => larger(a, b),
        },
        (Kind::Float, _) | (_, Kind::Bool) => a,
        (_, Kind::Float) | (Kind::Bool, _) => b,
        (Kind::Signed, Kind::Unsigned) => mixed_sign(a, b),
        (Kind::Unsigned, Kind::Signed) => mixed_sign(b, a),
        _ => larger(a, b),
    }
}

const fn larger(a: Dtype, b: Dtype) -> Dtype {
    if a.size() >= b.size() { a } else { b }
}

const fn mixed_sign(signed: Dtype, unsigned: Dtype) -> Dtype {
    if signed.size() > unsigned.size() {
        return signed;
    }
    match unsigned {
        Dtype::U8 => Dtype::I16,
        Dtype::U16 => Dtype::I32,
        Dtype::U32 => Dtype::I64,
        _ => Dtype::F32,
    }
}

/// A complex number of two f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Complex64 {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

impl std::ops::Add for Complex64 {
    type Output = Complex64;
    fn add(self, other: Complex64) -> Complex64 {
        Complex64 { re: self.re + other.re, im: self.im + other.im }
    }
}

impl std::ops::Sub for Complex64 {
    type Output = Complex64;
    fn sub(self, other: Complex64) -> Complex64 {
        Complex64 { re: self.re - other.re, im: self.im - other.im }
    }
}

impl std::ops::Mul for Complex64 {
    type Output = Complex64;
    fn mul(self, other: Complex64) -> Complex64 {
        Complex64 { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl std::ops::Div for Complex64 {
    type Output = Complex64;
    fn div(self, other: Complex64) -> Complex64 {
        let norm = other.re * other.re + other.im * other.im;
        Complex64 {
            re: (self.re * other.re + self.im * other.im) / norm,
            im: (self.im * other.re - self.re * other.im) / norm,
        }
    }
}

impl Complex64 {
    /// Distance from zero.
    pub fn modulus(self) -> f32 {
        self.re.hypot(self.im)
    }

    /// e^z.
    pub fn exp(self) -> Complex64 {
        let size = self.re.exp();
        Complex64 { re: size * self.im.cos(), im: size * self.im.sin() }
    }

    /// Principal natural logarithm.
    pub fn ln(self) -> Complex64 {
        Complex64 { re: self.modulus().ln(), im: self.im.atan2(self.re) }
    }

    /// Principal square root.
    pub fn sqrt(self) -> Complex64 {
        let size = self.modulus();
        let re = ((size + self.re) * 0.5).max(0.0).sqrt();
        let im = ((size - self.re) * 0.5).max(0.0).sqrt();
        Complex64 { re, im: im.copysign(self.im) }
    }

    /// Hyperbolic sine.
    pub fn sinh(self) -> Complex64 {
        Complex64 { re: self.re.sinh() * self.im.cos(), im: self.re.cosh() * self.im.sin() }
    }

    /// Hyperbolic cosine.
    pub fn cosh(self) -> Complex64 {
        Complex64 { re: self.re.cosh() * self.im.cos(), im: self.re.sinh() * self.im.sin() }
    }
}

/// A Rust type that can be the element of an array.
pub trait Element: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Its dtype.
    const DTYPE: Dtype;
    /// How it lies in memory.
    type Raw: Pod + Send + Sync;
    /// From memory.
    fn from_raw(raw: Self::Raw) -> Self;
    /// To memory.
    fn into_raw(self) -> Self::Raw;
}

impl Element for bool {
    const DTYPE: Dtype = Dtype::Bool;
    type Raw = u8;
    #[inline]
    fn from_raw(raw: u8) -> bool {
        raw != 0
    }
    fn into_raw(self) -> u8 {
        u8::from(self)
    }
}

macro_rules! element {
    ($($type:ty => $dtype:ident),*) => {$(
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            type Raw = $type;
            #[inline]
            fn from_raw(raw: $type) -> $type { raw }
            fn into_raw(self) -> $type { self }
        }
    )*};
}
element!(u8 => U8, u16 => U16, u32 => U32, u64 => U64, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64, Complex64 => C64);
