//! [`Plain`]: dense f64 arrays with the slowest and plainest code, what the array ops are compared with.
//!
//! Invariant: nothing here is shared with the code under test. Read next: [`crate::conformance`].

/// A dense row-major array of f64; bool is 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Plain {
    /// The array of `shape` whose element at `index` is `f(index)`.
    pub fn build(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Plain {
        let count = shape.iter().product();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::with_capacity(count);
        for _ in 0..count {
            data.push(f(&index));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Plain { shape: shape.to_vec(), data }
    }

    /// The element at `index`; unit and missing leading dimensions repeat.
    pub fn at(&self, index: &[usize]) -> f64 {
        let skip = index.len() - self.shape.len();
        let mut flat = 0;
        for (&dim, &i) in self.shape.iter().zip(&index[skip..]) {
            flat = flat * dim + if dim == 1 { 0 } else { i };
        }
        self.data[flat]
    }

    /// Element by element.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Plain {
        Plain { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// Element by element with broadcasting.
    pub fn zip(&self, other: &Plain, f: impl Fn(f64, f64) -> f64) -> Plain {
        let rank = self.shape.len().max(other.shape.len());
        let dim = |x: &Plain, axis: usize| {
            let skip = rank - x.shape.len();
            if axis < skip { 1 } else { x.shape[axis - skip] }
        };
        let shape: Vec<usize> = (0..rank).map(|axis| dim(self, axis).max(dim(other, axis))).collect();
        Plain::build(&shape, |index| f(self.at(index), other.at(index)))
    }

    /// Each row along `axis` (all others fixed) turned into another row of any one length.
    pub fn rows(&self, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Plain {
        let (count, inner): (usize, usize) = (self.shape[axis], self.shape[axis + 1..].iter().product());
        let outer: usize = self.shape[..axis].iter().product();
        let row =
            |o: usize, i: usize| -> Vec<f64> { (0..count).map(|l| self.data[(o * count + l) * inner + i]).collect() };
        let results: Vec<Vec<f64>> = (0..outer * inner).map(|at| f(&row(at / inner, at % inner))).collect();
        let length = results.first().map_or(0, Vec::len);
        let mut shape = self.shape.clone();
        shape[axis] = length;
        let mut data = vec![0.0; outer * length * inner];
        for (at, result) in results.iter().enumerate() {
            for (l, &value) in result.iter().enumerate() {
                data[(at / inner * length + l) * inner + at % inner] = value;
            }
        }
        Plain { shape, data }
    }

    /// Without dimension `axis`, which has length 1.
    pub fn dropped(mut self, axis: usize) -> Plain {
        assert_eq!(self.shape.remove(axis), 1, "only a unit dimension can go");
        self
    }

    /// The same elements with another shape.
    pub fn reshaped(mut self, shape: &[usize]) -> Plain {
        assert_eq!(shape.iter().product::<usize>(), self.data.len(), "the same number of elements");
        self.shape = shape.to_vec();
        self
    }

    /// Dimensions in another order.
    pub fn transposed(&self, axes: &[usize]) -> Plain {
        let shape: Vec<usize> = axes.iter().map(|&axis| self.shape[axis]).collect();
        Plain::build(&shape, |index| {
            let mut from = vec![0; axes.len()];
            for (&axis, &i) in axes.iter().zip(index) {
                from[axis] = i;
            }
            self.at(&from)
        })
    }

    /// The product of the last two dimensions; leading ones broadcast.
    pub fn matmul(&self, other: &Plain) -> Plain {
        let (a, b) = (&self.shape, &other.shape);
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        let rank = a.len().max(b.len());
        let lead = |shape: &[usize], axis: usize| {
            let skip = rank - shape.len();
            if axis < skip { 1 } else { shape[axis - skip] }
        };
        let mut shape: Vec<usize> = (0..rank - 2).map(|axis| lead(a, axis).max(lead(b, axis))).collect();
        shape.extend([m, n]);
        Plain::build(&shape, |index| {
            let (mut left, mut right) = (index.to_vec(), index.to_vec());
            (0..k)
                .map(|l| {
                    left[rank - 1] = l;
                    right[rank - 2] = l;
                    self.at(&left) * other.at(&right)
                })
                .sum()
        })
    }
}
