//! Ops that are nothing but compositions of others: comparisons of whole arrays, diagonals, grids, Einstein sums.
//!
//! Read next: [`crate::ops::binary`].

use crate::array::Array;
use crate::dtype::Dtype;
use crate::ops::select::where_;
use crate::ops::{arange, zeros};
use crate::shape::{Shape, element_count, normalize_axis};

impl Array {
    /// Whether both have the same shape and equal elements.
    pub fn array_equal(&self, other: &Array, equal_nan: bool) -> Array {
        if self.shape() != other.shape() {
            return Array::scalar(false);
        }
        if equal_nan { self.nan_equal(other).all(&[], false) } else { self.equal(other).all(&[], false) }
    }

    /// Whether all elements are close (see [`Array::isclose`]).
    #[track_caller]
    pub fn allclose(&self, other: &Array, rtol: f32, atol: f32) -> Array {
        self.isclose(other, rtol, atol, false).all(&[], false)
    }

    /// NaN replaced by `nan`, infinities by the largest finite numbers of either sign.
    pub fn nan_to_num(&self, nan: f32) -> Array {
        if !self.dtype().is_float() {
            return self.clone();
        }
        let largest = match self.dtype() {
            Dtype::F16 => 65504.0,
            Dtype::Bf16 => f32::from_bits(0x7F7F_0000),
            _ => f32::MAX,
        };
        where_(&self.isnan(), nan, self.clip(Some(-largest), Some(largest)))
    }

    /// Diagonal `offset` of dimensions `a` and `b`, as the last dimension.
    #[track_caller]
    pub fn diagonal(&self, offset: i64, a: i32, b: i32) -> Array {
        let (a, b) = (normalize_axis("diagonal", a, self.rank()), normalize_axis("diagonal", b, self.rank()));
        assert!(self.rank() >= 2 && a != b, "[diagonal] axes {a} and {b} of {:?}", self.shape());
        let mut order: Vec<i32> =
            (0..self.rank() as i32).filter(|&axis| axis != a as i32 && axis != b as i32).collect();
        order.extend([a as i32, b as i32]);
        let x = self.transpose(&order);
        let (rows, columns) = (x.dim(-2) as i64, x.dim(-1) as i64);
        let (row, column) = ((-offset).max(0), offset.max(0));
        let count = (rows - row).min(columns - column).max(0) as usize;
        let step = arange(0.0, count as f64, 1.0, Dtype::I64);
        let flat = &(&(&step + row as i32) * columns as i32) + &(&step + column as i32);
        x.flatten(-2, -1).take(&flat, -1)
    }

    /// A vector as diagonal `offset` of a square matrix; the diagonal of a matrix.
    #[track_caller]
    pub fn diag(&self, offset: i64) -> Array {
        assert!(self.rank() == 1 || self.rank() == 2, "[diag] {:?}", self.shape());
        if self.rank() == 2 {
            return self.diagonal(offset, 0, 1);
        }
        let size = self.size() + offset.unsigned_abs() as usize;
        let step = arange(0.0, self.size() as f64, 1.0, Dtype::I64);
        let (row, column) = (&step + (-offset).max(0) as i32, &step + offset.max(0) as i32);
        let updates = self.reshape(&[-1, 1, 1]);
        zeros(&[size, size], self.dtype()).scatter(&[&row, &column], &updates, &[0, 1], crate::ops::ScatterMode::Set)
    }
}

/// All of `arrays` broadcast against each other.
#[track_caller]
pub fn broadcast_arrays(arrays: &[&Array]) -> Vec<Array> {
    let join = |shape: Shape, array: &&Array| {
        let joined = crate::shape::broadcast(&shape, array.shape());
        joined.unwrap_or_else(|| panic!("[broadcast_arrays] {:?} with {shape:?}", array.shape()))
    };
    let shape = arrays.iter().fold(Shape::new(), join);
    arrays.iter().map(|array| array.broadcast_to(&shape)).collect()
}

/// Coordinates of a grid over the vectors `axes`: one array for each, with rows and columns exchanged for `xy`.
#[track_caller]
pub fn meshgrid(axes: &[&Array], xy: bool) -> Vec<Array> {
    let grid = |(index, axis): (usize, &&Array)| {
        let mut shape = vec![1; axes.len()];
        let at = if xy && axes.len() > 1 && index < 2 { 1 - index } else { index };
        shape[at] = axis.size();
        axis.reshape_to(&shape)
    };
    let parts: Vec<Array> = axes.iter().enumerate().map(grid).collect();
    broadcast_arrays(&parts.iter().collect::<Vec<_>>())
}

/// Sums of products by Einstein's convention, as `"bij,bjk->bik"`; without an arrow, labels that occur once are kept in
/// alphabetical order. Operands are joined from left to right.
#[track_caller]
pub fn einsum(subscripts: &str, operands: &[&Array]) -> Array {
    let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) =
        text.split_once("->").map_or((text.as_str(), None), |(inputs, output)| (inputs, Some(output)));
    let labels: Vec<Vec<char>> = inputs.split(',').map(|labels| labels.chars().collect()).collect();
    assert_eq!(labels.len(), operands.len(), "[einsum] operands of {subscripts}");
    let implicit = || {
        let mut once: Vec<char> = inputs.chars().filter(|&c| c != ',' && inputs.matches(c).count() == 1).collect();
        once.sort_unstable();
        once
    };
    let output: Vec<char> = output.map_or_else(implicit, |output| output.chars().collect());
    let mut operands = operands.iter().zip(labels).map(|(operand, labels)| {
        assert_eq!(operand.rank(), labels.len(), "[einsum] {labels:?} of {:?} in {subscripts}", operand.shape());
        without_repeats(operand, labels)
    });
    let first = operands.next().unwrap_or_else(|| panic!("[einsum] no operands"));
    let rest: Vec<_> = operands.collect();
    let mut joined = first;
    for (index, next) in rest.iter().enumerate() {
        let later: Vec<char> = rest[index + 1..].iter().flat_map(|(_, labels)| labels.clone()).collect();
        let needed = |label: &char| output.contains(label) || later.contains(label);
        joined = contract(&joined, next, needed);
    }
    let (x, labels) = joined;
    let gone: Vec<i32> = (0..labels.len()).filter(|&i| !output.contains(&labels[i])).map(|i| i as i32).collect();
    let kept: Vec<char> = labels.into_iter().filter(|label| output.contains(label)).collect();
    let x = if gone.is_empty() { x } else { x.sum(&gone, false) };
    let position = |label: &char| kept.iter().position(|other| other == label);
    let order =
        output.iter().map(|label| position(label).unwrap_or_else(|| panic!("[einsum] {label} in {subscripts}")));
    let order: Vec<i32> = order.map(|axis| axis as i32).collect();
    if order.is_empty() { x } else { x.transpose(&order) }
}

type Labelled = (Array, Vec<char>);

/// A label that occurs twice in one operand means its diagonal.
#[track_caller]
fn without_repeats(x: &Array, mut labels: Vec<char>) -> Labelled {
    let mut x = x.clone();
    while let Some((a, b)) =
        (0..labels.len()).flat_map(|b| (0..b).map(move |a| (a, b))).find(|&(a, b)| labels[a] == labels[b])
    {
        x = x.diagonal(0, a as i32, b as i32);
        let label = labels.remove(b);
        labels.remove(a);
        labels.push(label);
    }
    (x, labels)
}

/// Two operands as one batched matrix product; labels that nobody needs are summed over.
#[track_caller]
fn contract((a, a_labels): &Labelled, (b, b_labels): &Labelled, needed: impl Fn(&char) -> bool) -> Labelled {
    let both = |label: &&char| b_labels.contains(label);
    let batch: Vec<char> = a_labels.iter().filter(both).filter(|label| needed(label)).copied().collect();
    let summed: Vec<char> = a_labels.iter().filter(both).filter(|label| !needed(label)).copied().collect();
    let left: Vec<char> = a_labels.iter().filter(|label| !b_labels.contains(label)).copied().collect();
    let right: Vec<char> = b_labels.iter().filter(|label| !a_labels.contains(label)).copied().collect();
    let dims = |x: &Array, of: &[char], labels: &[char]| -> Vec<usize> {
        let dim = |label: &char| x.shape()[of.iter().position(|other| other == label).expect("a label of the operand")];
        labels.iter().map(dim).collect()
    };
    let arrange = |x: &Array, of: &[char], groups: [&[char]; 3]| {
        let order: Vec<i32> = groups
            .concat()
            .iter()
            .map(|label| of.iter().position(|other| other == label).expect("a label of the operand") as i32)
            .collect();
        let shape = groups.map(|group| element_count(&dims(x, of, group)));
        let x = if order.is_empty() { x.clone() } else { x.transpose(&order) };
        x.reshape_to(&shape)
    };
    let product =
        arrange(a, a_labels, [&batch, &left, &summed]).matmul(&arrange(b, b_labels, [&batch, &summed, &right]));
    let shape = [dims(a, a_labels, &batch), dims(a, a_labels, &left), dims(b, b_labels, &right)].concat();
    (product.reshape_to(&shape), [batch, left, right].concat())
}
