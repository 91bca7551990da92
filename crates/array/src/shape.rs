//! Shapes, strides and layouts: where element `[i, j, …]` of a view lies in its buffer.
//!
//! Invariant: `offset` and `strides` count elements, not bytes; a layout never reaches outside its buffer (views are
//! made only by functions that keep it so, and slices check bounds). Read next: [`crate::buffer`].

use smallvec::SmallVec;

/// Dimensions of an array, outermost first. Empty for a scalar.
pub type Shape = SmallVec<[usize; 4]>;
/// Distance in elements between neighbours along each dimension.
pub type Strides = SmallVec<[isize; 4]>;

/// Shape, strides and offset of a view on a buffer, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Dimensions.
    pub shape: Shape,
    /// One stride a dimension.
    pub strides: Strides,
    /// Position of the first element.
    pub offset: usize,
}

/// Number of elements of `shape`.
pub fn element_count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Row-major strides of `shape`.
pub fn row_major(shape: &[usize]) -> Strides {
    let mut strides = Strides::from_elem(1, shape.len());
    let mut step = 1isize;
    for axis in (0..shape.len()).rev() {
        strides[axis] = step;
        step *= shape[axis].max(1) as isize;
    }
    strides
}

/// The common shape of `a` and `b`, or `None` when they do not broadcast.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let mut shape = Shape::from_elem(1, rank);
    for (axis, out) in shape.iter_mut().enumerate() {
        let x = if axis + a.len() >= rank { a[axis + a.len() - rank] } else { 1 };
        let y = if axis + b.len() >= rank { b[axis + b.len() - rank] } else { 1 };
        *out = match (x, y) {
            _ if x == y => x,
            (1, _) => y,
            (_, 1) => x,
            _ => return None,
        };
    }
    Some(shape)
}

impl Layout {
    /// Row-major from the start of the buffer.
    pub fn contiguous(shape: &[usize]) -> Layout {
        Layout { shape: Shape::from_slice(shape), strides: row_major(shape), offset: 0 }
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        element_count(&self.shape)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Whether the elements lie one behind the other in row-major order (at any offset).
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1isize;
        for (&dim, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if dim == 0 {
                return true;
            }
            if dim != 1 && stride != step {
                return false;
            }
            step *= dim as isize;
        }
        true
    }

    /// The same elements with `shape`, if no element has to move; `None` otherwise.
    pub fn reshape(&self, shape: &[usize]) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { shape: Shape::from_slice(shape), strides: row_major(shape), offset: self.offset });
        }
        let old: SmallVec<[(usize, isize); 4]> =
            self.shape.iter().copied().zip(self.strides.iter().copied()).filter(|&(dim, _)| dim != 1).collect();
        let mut strides = row_major(shape);
        let (mut from, mut to) = (0, 0);
        // Match groups of old and new dimensions with equal products; inside a group the old ones must be dense.
        while from < old.len() && to < shape.len() {
            let (first, new_first) = (from, to);
            let (mut have, mut want) = (old[from].0, shape[to]);
            while have != want {
                if have < want {
                    from += 1;
                    have *= old.get(from)?.0;
                } else {
                    to += 1;
                    want *= shape.get(to)?;
                }
            }
            for pair in old[first..=from].windows(2) {
                if pair[0].1 != pair[1].1 * pair[1].0 as isize {
                    return None;
                }
            }
            let mut step = old[from].1;
            for axis in (new_first..=to).rev() {
                strides[axis] = step;
                step *= shape[axis] as isize;
            }
            from += 1;
            to += 1;
        }
        Some(Layout { shape: Shape::from_slice(shape), strides, offset: self.offset })
    }

    /// The view repeated along new and unit dimensions. The caller has checked that `shape` is a valid target.
    pub fn broadcast_to(&self, shape: &[usize]) -> Layout {
        let lead = shape.len() - self.rank();
        let mut strides = Strides::from_elem(0, shape.len());
        for axis in 0..self.rank() {
            if self.shape[axis] == shape[lead + axis] {
                strides[lead + axis] = self.strides[axis];
            }
        }
        Layout { shape: Shape::from_slice(shape), strides, offset: self.offset }
    }

    /// The view with its dimensions in the order `axes`.
    pub fn permute(&self, axes: &[usize]) -> Layout {
        Layout {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: axes.iter().map(|&axis| self.strides[axis]).collect(),
            offset: self.offset,
        }
    }

    /// The same elements in the same order with neighbouring dimensions merged where they are dense and unit
    /// dimensions dropped: what strided loops run over. Rank 0 stays rank 0.
    pub fn coalesce(&self) -> Layout {
        let mut shape = Shape::new();
        let mut strides = Strides::new();
        for (&dim, &stride) in self.shape.iter().zip(&self.strides) {
            if dim == 1 {
                continue;
            }
            match (shape.last_mut(), strides.last_mut()) {
                (Some(outer), Some(outer_stride)) if *outer_stride == stride * dim as isize => {
                    *outer *= dim;
                    *outer_stride = stride;
                }
                _ => {
                    shape.push(dim);
                    strides.push(stride);
                }
            }
        }
        Layout { shape, strides, offset: self.offset }
    }

    /// Call `run(position, offset, count, stride)` for the elements `start..start + count` in row-major order, one
    /// call for each piece of the innermost dimension: `position` counts from 0 at `start`.
    pub fn runs(&self, start: usize, count: usize, mut run: impl FnMut(usize, usize, usize, isize)) {
        if count == 0 {
            return;
        }
        let Some((&inner, outer)) = self.shape.split_last() else {
            return run(0, self.offset, 1, 0);
        };
        let inner_stride = self.strides[outer.len()];
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer.len());
        let mut rest = start / inner;
        let mut base = self.offset as isize;
        for axis in (0..outer.len()).rev() {
            index[axis] = rest % outer[axis];
            rest /= outer[axis];
            base += index[axis] as isize * self.strides[axis];
        }
        let (mut column, mut done) = (start % inner, 0);
        loop {
            let piece = (inner - column).min(count - done);
            run(done, (base + column as isize * inner_stride) as usize, piece, inner_stride);
            done += piece;
            if done == count {
                return;
            }
            column = 0;
            for axis in (0..outer.len()).rev() {
                index[axis] += 1;
                base += self.strides[axis];
                if index[axis] < outer[axis] {
                    break;
                }
                base -= self.strides[axis] * outer[axis] as isize;
                index[axis] = 0;
            }
        }
    }
}

/// `axis` counted from the end when negative. Panics naming `op` when out of range.
#[track_caller]
pub fn normalize_axis(op: &str, axis: i32, rank: usize) -> usize {
    let wrapped = if axis < 0 { axis + rank as i32 } else { axis };
    assert!(wrapped >= 0 && (wrapped as usize) < rank, "[{op}] axis {axis} is out of range for {rank} dimensions");
    wrapped as usize
}
