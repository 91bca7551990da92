//! Reading an array's values, which computes them first.
//!
//! Read next: [`crate::eval`].

use std::fmt;

use crate::array::Array;
use crate::dtype::{Dtype, Element};
use crate::eval::eval;
use crate::shape::Layout;
use crate::tensor::Tensor;

impl Array {
    /// Compute the values if they are not there.
    pub fn eval(&self) -> &Array {
        if !self.is_evaluated() {
            eval([self]);
        }
        self
    }

    /// The evaluated tensor.
    pub fn tensor(&self) -> &Tensor {
        self.eval().value_tensor().expect("an evaluated array has a tensor")
    }

    /// Layout of the evaluated array.
    pub fn layout(&self) -> &Layout {
        &self.tensor().layout
    }

    /// All values in row-major order. Panics when `T` is not the array's dtype.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        assert_eq!(T::DTYPE, self.dtype(), "[to_vec] the array is {}, not {}", self.dtype(), T::DTYPE);
        self.tensor().contiguous().slice::<T::Raw>().iter().map(|&raw| T::from_raw(raw)).collect()
    }

    /// The only value of an array of one element. Panics when `T` is not the array's dtype.
    #[track_caller]
    pub fn item<T: Element>(&self) -> T {
        assert_eq!(self.size(), 1, "[item] the array has the shape {:?}", self.shape());
        self.to_vec::<T>()[0]
    }

    /// All values as f32, whatever the dtype (the real part of complex numbers).
    pub fn to_f32_vec(&self) -> Vec<f32> {
        self.astype(Dtype::F32).to_vec()
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "array({:?}, {}", self.shape(), self.dtype())?;
        match self.value_tensor() {
            Some(tensor) if self.size() <= 64 && self.dtype() != Dtype::C64 => {
                let values = Array::from_tensor(tensor.clone()).astype(Dtype::F64).to_vec::<f64>();
                write!(f, ", {values:?})")
            }
            Some(_) => write!(f, ")"),
            None => write!(f, ", lazy)"),
        }
    }
}
