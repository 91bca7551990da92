//! Products of activations with matrices, with what stands before and behind them.
//!
//! One kernel serves one row, a few and many: a workgroup takes 1, 2, 4 or 8 rows, and the order of every sum is the
//! same. Several matrices of one input are stacked ([`super::laying::FileMatrix::stack`]) so that one dispatch makes their
//! outputs side by side. Read next: `wgsl/matmul.wgsl`.

use crate::device::{Kernel, List, Memory};
use crate::ops::weights::{BLOCK, Matrix, TILE};

/// How two halves of a row are joined. The numbers are the kernels' constant GATE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// `silu(gate) * up`
    Silu,
    /// `gelu_tanh(gate) * up`
    GeluTanh,
    /// `gelu(gate) * up`
    Gelu,
    /// `relu(gate) * up`
    Relu,
    /// `sigmoid(gate) * up`
    Sigmoid,
    /// `relu(gate)^2 * up`
    ReluSquared,
    /// `gate * sigmoid(1.702 gate) * up`
    GeluFast,
    /// gpt-oss: `(clamp(up) + 1) * g * sigmoid(alpha g)`, `g = min(gate, limit)`.
    Clamped {
        /// Slope of the sigmoid.
        alpha: f32,
        /// Bound of both halves.
        limit: f32,
    },
}

impl Gate {
    /// Constant GATE, alpha and limit.
    pub(crate) fn numbers(self) -> (u32, f32, f32) {
        match self {
            Gate::Silu => (0, 0.0, 0.0),
            Gate::GeluTanh => (1, 0.0, 0.0),
            Gate::Gelu => (2, 0.0, 0.0),
            Gate::Relu => (3, 0.0, 0.0),
            Gate::Sigmoid => (4, 0.0, 0.0),
            Gate::ReluSquared => (5, 0.0, 0.0),
            Gate::GeluFast => (6, 0.0, 0.0),
            Gate::Clamped { alpha, limit } => (7, alpha, limit),
        }
    }
}

/// What is done to the input rows first.
#[derive(Clone, Copy, Debug, Default)]
pub enum Input<'a> {
    /// Nothing: rows of `columns` values.
    #[default]
    Plain,
    /// RMS norm over the row.
    Norm {
        /// `[columns]`, f32.
        weight: &'a Memory,
        /// Epsilon.
        epsilon: f32,
    },
    /// Rows of `2 * columns` values, gates before ups.
    Gated(Gate),
}

/// Rows that go to experts: made by [`super::moe::route`].
#[derive(Clone, Copy, Debug)]
pub struct Experts<'a> {
    /// Tiles of rows of one expert: (expert, first place in `pairs`, rows, 0).
    pub tiles: &'a Memory,
    /// Numbers `token * choices + choice`, sorted by expert.
    pub pairs: &'a Memory,
    /// Upper bound of the tiles.
    pub max_tiles: usize,
    /// Rows of a tile, as `route` was told.
    pub tile_rows: usize,
    /// Choices that share an input row: all of a token's, or 1 when each has its own.
    pub choices: usize,
    /// Output features of one expert.
    pub features: usize,
}

/// What surrounds a product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matmul<'a> {
    /// What is done to the input.
    pub input: Input<'a>,
    /// `[features]` (of all experts), added to the result.
    pub bias: Option<&'a Memory>,
    /// Added to the result; of the shape of the output, which it may be.
    pub residual: Option<&'a Memory>,
    /// Rows are sorted by expert.
    pub experts: Option<Experts<'a>>,
    /// Values from one row of the output (and of the residual) to the next; 0: the features.
    pub out_stride: usize,
    /// Where the features begin in a row of the output, of the residual and (without experts) of the bias.
    pub out_first: usize,
}

/// Parts that a sum is made of: sums of so many stretches of the columns, added in order.
const PARTS: usize = 32;

/// Most rows of a workgroup.
pub const MAX_ROWS: usize = 8;

/// `out[rows, features] = input(x)[rows, columns] * matrix^T` (of experts, `rows` is the number of pairs), rows of `x` being `x_stride` values apart and rows of
/// `out` [`Matmul::out_stride`].
#[track_caller]
pub fn matmul(
    list: &mut List,
    matrix: &Matrix,
    x: &Memory,
    x_stride: usize,
    rows: usize,
    options: &Matmul,
    out: &Memory,
) {
    let features = options.experts.map_or(matrix.rows, |experts| experts.features);
    let (input, norm, epsilon, gate) = match options.input {
        Input::Plain => (0, x, 0.0, (0, 0.0, 0.0)),
        Input::Norm { weight, epsilon } => (1, weight, epsilon, (0, 0.0, 0.0)),
        Input::Gated(gate) => (2, x, 0.0, gate.numbers()),
    };
    let width = if input == 2 { 2 * matrix.columns } else { matrix.columns };
    assert!(width <= x_stride, "[matmul] rows of {x_stride} for {width} columns");
    if rows == 0 {
        return;
    }
    let tile_rows = options.experts.map_or_else(|| workgroup_rows(rows), |experts| experts.tile_rows);
    let mut constants = matrix.layout.constants().to_vec();
    constants.extend([
        ("ROWS", tile_rows as u32),
        ("INPUT", input),
        ("GATE", gate.0),
        ("BIAS", u32::from(options.bias.is_some())),
        ("RESIDUAL", u32::from(options.residual.is_some())),
        ("EXPERTS", u32::from(options.experts.is_some())),
    ]);
    let mut buffers = vec![x];
    buffers.extend(matrix.parts.iter().map(|part| part.as_ref().unwrap_or(x)));
    buffers.extend([norm, options.bias.unwrap_or(x), options.residual.unwrap_or(x)]);
    if let Some(experts) = &options.experts {
        buffers.extend([experts.tiles, experts.pairs]);
    }
    buffers.push(out);
    let params = [
        rows as u32,
        features as u32,
        matrix.columns as u32,
        x_stride as u32,
        if options.out_stride == 0 { features } else { options.out_stride } as u32,
        matrix.columns.div_ceil(BLOCK).div_ceil(PARTS) as u32,
        epsilon.to_bits(),
        matrix.global_scale.to_bits(),
        gate.1.to_bits(),
        gate.2.to_bits(),
        options.experts.map_or(1, |experts| experts.choices as u32),
        options.out_first as u32,
        matrix.scale_up.to_bits(),
    ];
    let stacks = options.experts.map_or_else(|| rows.div_ceil(tile_rows), |experts| experts.max_tiles);
    let groups = [features.div_ceil(TILE) as u32, stacks as u32, 1];
    list.dispatch(Kernel::new("matmul", &constants), &buffers, &params, groups);
}

/// Rows that one workgroup takes of so many.
fn workgroup_rows(rows: usize) -> usize {
    match rows {
        1 => 1,
        2 => 2,
        3..=4 => 4,
        _ => MAX_ROWS,
    }
}
