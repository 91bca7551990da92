//! Which kernels make a product: the dispatch `matmul` as it is, or others that take its place on this device. (What stands
//! for `attention` is next door.)
//!
//! Without matrices in hardware a lone row goes to `matmul_row`, few rows are `matmul`'s own and many rows go to `matmul_tile`, in
//! the same order of sums.
//! With matrices all rows go through them, for their sums have an order that no other kernel can repeat: a lone row to
//! `matmul_matrix_one`, few and many to `matmul_matrix_few` and `matmul_matrix` behind `matmul_halves`. Rows of experts
//! and weights in f32 always stay with floats. Invariant: which family of kernels makes a product depends on the device
//! and the matrix, never on the number of rows. Read next: `lone`,
//! `wgsl/matmul_matrix_few.wgsl`, `wgsl/matmul_tile.wgsl`.

use std::borrow::Cow;

use super::lone::Gated;
use super::product::{CODE_F32, MATRIX_SHARED_BYTES, Product, eights, unit};
use super::{attention, joined};
use crate::device::{Backend, Command, Info, Kernel, List, Memory};
use crate::error::GpuError;

/// From so many rows on a tile of many rows pays.
const MANY_ROWS: u32 = 64;
/// Rows and features of its tiles; of those that share more of what they bring, where so many workgroups have one.
const TILE: u32 = 64;
const WIDE_TILE: u32 = 128;
const MANY_GROUPS: u32 = 128;
/// Most bytes of inputs that are made at a time: longer products are done in turns.
const SCRATCH_BYTES: u64 = 64 << 20;

/// How a device does products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// With sums of floats in every thread.
    Floats {
        /// Whether threads have registers for 8 by 8 of them.
        wide: bool,
    },
    /// With square matrices in hardware.
    Matrices {
        /// Their rows.
        size: u32,
        /// Threads of a subgroup.
        subgroup: u32,
    },
}

/// Whether matrices in hardware are to be used where there are some: `OLIVINE_MATRICES=on|off` decides; without it, not
/// on Metal, whose matrices of 8 by 8 are as fast as its floats but would do 8 rows where a decoding step has one.
pub(super) fn wants_matrices(backend: Backend, info: &::wgpu::AdapterInfo) -> bool {
    match std::env::var("OLIVINE_MATRICES").as_deref() {
        Ok("on") => true,
        Ok("off") => false,
        // A subgroup of unknown width cannot be given whole matrices.
        _ => backend == Backend::Vulkan && info.subgroup_min_size == info.subgroup_max_size,
    }
}

impl Shape {
    /// Whether threads have registers for 8 by 8 sums; Metal has no matrices of 16 by 16.
    fn is_wide(self) -> bool {
        matches!(self, Shape::Floats { wide: true } | Shape::Matrices { size: 16, .. })
    }

    /// Of a device.
    pub fn of(info: &Info) -> Shape {
        // Every Mac's subgroups have 32 threads; wgpu names a range.
        let subgroup = if info.backend == Backend::Metal { 32 } else { info.subgroup.1 };
        let usable = |size: u32| match size {
            16 => info.limits.shared_bytes >= MATRIX_SHARED_BYTES && info.backend != Backend::Metal && subgroup <= 64,
            8 => subgroup <= 32,
            _ => false,
        };
        let sizes = info.matrices.iter().map(|shape| shape.m).filter(|&size| usable(size));
        let fits = 8 * subgroup <= info.limits.threads && subgroup >= 4;
        // Apple's threads have 128 registers (dougallj.github.io/applegpu).
        let floats = Shape::Floats { wide: info.backend != Backend::Metal };
        sizes.max().filter(|_| fits).map_or(floats, |size| Shape::Matrices { size, subgroup })
    }
}

/// What a device does for the commands of a list. `scratch` gives memory of at least so many bytes.
pub fn rewrite<'a>(
    list: &'a List,
    shape: Shape,
    scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
) -> Result<Vec<Cow<'a, Command>>, GpuError> {
    let mut commands = Vec::with_capacity(list.commands.len());
    let mut rest = list.commands.iter();
    let mut gated = None;
    while let Some(command) = rest.next() {
        let command = match joined::joined(command, rest.as_slice()) {
            Some((all, behind)) => {
                rest = rest.as_slice()[behind..].iter();
                Cow::Owned(all)
            }
            None => Cow::Borrowed(command),
        };
        match replaced(&command, rest.as_slice().first(), shape, &mut gated, scratch)? {
            None => commands.push(command),
            Some(others) => commands.extend(others.into_iter().map(Cow::Owned)),
        }
    }
    Ok(commands)
}

/// What stands for `command`, which stands before `next`; `None`: itself.
fn replaced(
    command: &Command,
    next: Option<&Command>,
    shape: Shape,
    gated: &mut Option<Gated>,
    scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
) -> Result<Option<Vec<Command>>, GpuError> {
    let Command::Dispatch { kernel, buffers, params, groups } = command else { return Ok(None) };
    if kernel.name == "attention" {
        return attention::rewrite(kernel, buffers, params, *groups, scratch).map(Some);
    }
    if kernel.name != "matmul" {
        return Ok(None);
    }
    let product = Product { kernel, buffers, params };
    let next = next.and_then(|next| in_family(next, takes_matrices(kernel, shape), shape));
    if kernel.constant("EXPERTS") == 1 {
        return product.with_floats(groups[1], scratch).map(Some);
    }
    let commands = match shape {
        Shape::Matrices { size, subgroup } if takes_matrices(kernel, shape) => {
            match product.alone_with_matrices(size, subgroup) {
                Some(lone) => {
                    let next = next.filter(|next| next.alone_with_matrices(size, subgroup).is_some());
                    vec![product.alone(&lone, next, gated, scratch)?]
                }
                None => product.with_matrices(size, subgroup, scratch)?,
            }
        }
        _ if product.is_alone() => vec![product.alone(&product.alone_with_floats(), next, gated, scratch)?],
        _ if product.rows() >= MANY_ROWS => product.with_tiles(shape.is_wide(), scratch)?,
        _ => product.with_floats(groups[1], scratch)?,
    };
    Ok(Some(commands))
}

/// Whether matrices in hardware make a product.
fn takes_matrices(kernel: &Kernel, shape: Shape) -> bool {
    matches!(shape, Shape::Matrices { .. }) && kernel.constant("CODE") != CODE_F32
}

/// `command`, if it is a product by matrices, or by floats.
fn in_family(command: &Command, by_matrices: bool, shape: Shape) -> Option<Product<'_>> {
    let Command::Dispatch { kernel, buffers, params, .. } = command else { return None };
    let is_there = kernel.name == "matmul" && takes_matrices(kernel, shape) == by_matrices;
    is_there.then_some(Product { kernel, buffers, params })
}

impl Product<'_> {
    /// Blocks of a part of the columns where matrices make the sums: there are 8 parts.
    fn matrix_part_blocks(&self) -> u32 {
        self.columns().div_ceil(32).div_ceil(8)
    }

    /// Rows from `first_row` on, normed or gated, `[rows, stride]` of the first of `to`.
    fn input(&self, [first_row, rows, stride]: [u32; 3], kernel: Kernel, to: &[&Memory]) -> Command {
        let mut buffers = vec![self.buffers[0].clone(), self.buffers[5].clone()];
        buffers.extend(to.iter().map(|&memory| memory.clone()));
        let p = self.params;
        let params = vec![first_row, self.columns(), p[3], stride, p[6], p[8], p[9]];
        Command::Dispatch { kernel, buffers, params, groups: [rows, 1, 1] }
    }

    /// What is done to the input.
    fn input_constants(&self) -> Vec<(&'static str, u32)> {
        vec![("INPUT", self.kernel.constant("INPUT")), ("GATE", self.kernel.constant("GATE"))]
    }

    /// A product of `rows` rows from `first_row` on, whose inputs are `x` with `stride`.
    fn product(
        &self,
        kernel: Kernel,
        inputs: &[&Memory],
        [first_row, rows, stride]: [u32; 3],
        [tile_rows, tile_features]: [u32; 2],
    ) -> Command {
        let mut buffers: Vec<Memory> = inputs.iter().map(|&memory| memory.clone()).collect();
        buffers.extend_from_slice(&self.buffers[1..5]);
        buffers.extend_from_slice(&self.buffers[6..8]);
        // The output, and where the product goes without the residual too.
        buffers.extend_from_slice(&self.buffers[8..]);
        let p = self.params;
        let part_blocks = if kernel.name == "matmul_tile" { p[5] } else { self.matrix_part_blocks() };
        let params = vec![rows, first_row, self.features(), self.columns(), stride, p[4], part_blocks, p[7], p[11]];
        let groups = [self.features().div_ceil(tile_features), rows.div_ceil(tile_rows), 1];
        Command::Dispatch { kernel, buffers, params, groups }
    }

    /// `matmul` itself, `stacks` tiles of rows: how many threads take a part of the columns, and how many features one of them.
    /// Rows of tiles of eight are normed or gated first: each group would do it again, and compilers may round it otherwise there.
    fn with_floats(
        &self,
        stacks: u32,
        scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
    ) -> Result<Vec<Command>, GpuError> {
        let is_eight = self.kernel.constant("ROWS") == 8;
        let lanes = if is_eight { 16 } else { 8 };
        let each = (32 / lanes).min(self.most_each()).min(8 / self.loads());
        let (mut kernel, mut buffers, mut params) = (self.kernel.clone(), self.buffers.to_vec(), self.params.to_vec());
        let mut commands = vec![];
        if is_eight && kernel.constant("INPUT") != 0 {
            let (stride, x_rows) = (self.columns(), self.rows().div_ceil(self.params[10].max(1)));
            let memory = scratch(u64::from(x_rows) * u64::from(stride) * 4)?;
            let input = Kernel::new("matmul_input", &self.input_constants());
            commands.push(self.input([0, x_rows, stride], input, &[&memory]));
            kernel.set_constant("INPUT", 0);
            (buffers[0], params[3]) = (memory, stride);
        }
        kernel.constants.extend([("LANES", lanes), ("EACH", each), ("QUADS", self.quads(params[3]))]);
        let groups = [self.features().div_ceil(lanes * each), stacks, 1];
        commands.push(Command::Dispatch { kernel, buffers, params, groups });
        Ok(commands)
    }

    fn with_tiles(
        &self,
        wide: bool,
        scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
    ) -> Result<Vec<Command>, GpuError> {
        let rows = self.rows();
        let groups = self.features().div_ceil(WIDE_TILE) * rows.div_ceil(WIDE_TILE);
        let side = if wide && groups >= MANY_GROUPS { WIDE_TILE } else { TILE };
        let kernel = |stride: u32| {
            Kernel::new("matmul_tile", &self.constants(&[("STEPS", side / 16), ("QUADS", self.quads(stride))]))
        };
        if self.kernel.constant("INPUT") == 0 {
            let stride = self.params[3];
            return Ok(vec![self.product(kernel(stride), &[&self.buffers[0]], [0, rows, stride], [side; 2])]);
        }
        let stride = self.columns();
        let turn = turn_rows(u64::from(stride) * 4, side).min(rows);
        let memory = scratch(u64::from(turn) * u64::from(stride) * 4)?;
        let mut commands = vec![];
        for first in (0..rows).step_by(turn as usize) {
            let part = [first, turn.min(rows - first), stride];
            commands.push(self.input(part, Kernel::new("matmul_input", &self.input_constants()), &[&memory]));
            commands.push(self.product(kernel(stride), &[&memory], part, [side; 2]));
        }
        Ok(commands)
    }

    fn with_matrices(
        &self,
        size: u32,
        subgroup: u32,
        scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
    ) -> Result<Vec<Command>, GpuError> {
        let rows = self.rows();
        let stride = self.columns().next_multiple_of(32);
        let is_few = rows <= 4 * size;
        let row_tiles = rows.div_ceil(size).next_power_of_two();
        let (kernel, tile) = if is_few {
            let more = [
                ("MATRIX", size),
                ("SUBGROUP", subgroup),
                ("UNIT", unit(size)),
                ("ROW_TILES", row_tiles),
                ("AT_ONCE", 8 / row_tiles),
            ];
            (Kernel::new("matmul_matrix_few", &self.constants(&more)), [row_tiles * size, 32])
        } else {
            many_rows(size, subgroup, &self.constants(&[]))
        };
        // Whole tiles of rows are read; what stands behind the last row is not looked at.
        let turn = turn_rows(u64::from(stride) * 2, tile[0]).min(rows.next_multiple_of(tile[0]));
        let factor_bytes = (u64::from(turn) * 4).next_multiple_of(256);
        let input_bytes = u64::from(turn) * u64::from(stride) * 2;
        let memory = scratch(factor_bytes + input_bytes)?;
        let (factors, x) = (memory.slice(0, factor_bytes), memory.slice(factor_bytes, input_bytes));
        let mut constants = self.input_constants();
        let quads = self.quads(self.params[3]);
        constants.extend([("SUBGROUP", subgroup), ("EACH", eights(stride, subgroup)), ("QUADS", quads)]);
        let halves = Kernel::new("matmul_halves", &constants);
        let mut commands = vec![];
        for first in (0..rows).step_by(turn as usize) {
            let here = turn.min(rows - first);
            commands.push(self.input([first, here, stride], halves.clone(), &[&x, &factors]));
            // One row stands for all rows of a matrix.
            let stride = if is_few && rows == 1 { 0 } else { stride };
            commands.push(self.product(kernel.clone(), &[&x, &factors], [first, here, stride], tile));
        }
        Ok(commands)
    }
}

/// The kernel of many rows, and the rows and features of its tiles.
fn many_rows(size: u32, subgroup: u32, constants: &[(&'static str, u32)]) -> (Kernel, [u32; 2]) {
    let [sub_rows, sub_columns, row_tiles, column_tiles] = [2, 4, 4, 2];
    let mut constants = constants.to_vec();
    constants.extend([
        ("MATRIX", size),
        ("SUBGROUP", subgroup),
        ("UNIT", unit(size)),
        ("SUB_ROWS", sub_rows),
        ("SUB_COLUMNS", sub_columns),
        ("ROW_TILES", row_tiles),
        ("COLUMN_TILES", column_tiles),
    ]);
    let tile = [sub_rows * row_tiles * size, sub_columns * column_tiles * size];
    (Kernel::new("matmul_matrix", &constants), tile)
}

/// Rows whose inputs of `row_bytes` are made at a time: whole tiles.
fn turn_rows(row_bytes: u64, tile_rows: u32) -> u32 {
    let rows = SCRATCH_BYTES / row_bytes.max(1) / u64::from(tile_rows);
    (rows.max(1) as u32).saturating_mul(tile_rows)
}
