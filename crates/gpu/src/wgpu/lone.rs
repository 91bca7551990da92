//! The product of a lone row, which decoding one sequence is made of: `matmul_row` by floats and `matmul_matrix_one` by matrices
//! in place of `matmul`.
//!
//! Gates and ups whose product with the next matrix follows are gated where they are made, so that not every workgroup of
//! that one does it again. Invariant: the bits are those of the same row among others. Read next: `wgsl/matmul_row.wgsl`,
//! `wgsl/matmul_matrix_one.wgsl`.

use super::joined::is_same;
use super::product::{MATRIX_SHARED_BYTES, Product, eights, unit};
use crate::device::{Command, Kernel, Memory};
use crate::error::GpuError;

/// Blocks of each part whose inputs are in a workgroup's memory at once.
const CHUNK: u32 = 4;
/// Loads of weights that a thread has on their way.
const LOADS: u32 = 4;
/// Threads that take a part of the columns.
const LANES: u32 = 8;
/// That of a workgroup on every Metal device.
const METAL_SHARED_BYTES: u32 = 32 << 10;

/// Gates and ups, and memory with what they make together.
pub(super) struct Gated {
    from: Memory,
    to: Memory,
}

/// A kernel of a lone row.
pub(super) struct Lone {
    name: &'static str,
    /// Features of a workgroup.
    features: u32,
    /// Whether they may be gates and ups.
    pairs: bool,
    constants: Vec<(&'static str, u32)>,
}

impl Product<'_> {
    pub(super) fn is_alone(&self) -> bool {
        self.kernel.constant("ROWS") == 1 && self.kernel.constant("EXPERTS") == 0
    }

    /// Whether `next` gates what this makes and nothing else.
    fn is_gated_by(&self, next: &Product) -> bool {
        let is_gating =
            next.kernel.constant("INPUT") == 2 && next.is_alone() && is_same(&next.buffers[0], &self.buffers[8]);
        let is_whole =
            self.params[11] == 0 && self.features() == 2 * next.columns() && next.columns().is_multiple_of(32);
        let is_plain = self.kernel.constant("INPUT") != 2 && self.kernel.constant("RESIDUAL") == 0;
        is_gating && is_whole && is_plain
    }

    /// Blocks of a part of the columns.
    fn part(&self) -> u32 {
        self.params[5]
    }

    /// The kernel by floats.
    pub(super) fn alone_with_floats(&self) -> Lone {
        // Where a thread has several blocks of a feature, those of two features keep enough of them on their way.
        let is_narrow = (4096..8192).contains(&self.features()) && (2..=CHUNK).contains(&self.part());
        let each = (if is_narrow { 2 } else { self.most_each() }).min(8 / self.loads());
        let chunk = self.part().min(CHUNK);
        let depth = (LOADS / (each * self.loads())).clamp(1, chunk);
        let constants = vec![("EACH", each), ("PART", self.part()), ("CHUNK", chunk), ("DEPTH", depth)];
        Lone { name: "matmul_row", features: LANES * each, pairs: each > 1, constants }
    }

    /// The kernel by matrices; none where there is no memory for the row.
    pub(super) fn alone_with_matrices(&self, size: u32, subgroup: u32) -> Option<Lone> {
        let most = match self.features() {
            _ if size == 8 => 16,
            0..4096 => 16,
            6144.. if self.loads() == 1 => 64,
            _ => 32,
        };
        let room = if size == 8 { METAL_SHARED_BYTES } else { MATRIX_SHARED_BYTES };
        let lone = [most, 16].map(|features| self.with_features(features, size, subgroup));
        lone.into_iter().find(|&(_, bytes)| self.is_alone() && bytes <= room).map(|(lone, _)| lone)
    }

    /// The kernel by matrices with so many features a workgroup, and the bytes that those share.
    fn with_features(&self, features: u32, size: u32, subgroup: u32) -> (Lone, u32) {
        let turn = features.min(32);
        // Blocks that are staged together, so that each thread has a feature of one.
        let at_once = subgroup.max(32) / turn;
        let each = eights(self.columns(), subgroup);
        let part = self.columns().div_ceil(8 * 32);
        let rounds = part.div_ceil(at_once);
        // Registers hold a few loads: a narrow subgroup's thread brings several features. Few rounds are no more than two turns of them.
        let most = (LOADS * turn / features / self.loads() * subgroup / 32).clamp(1, LOADS);
        let wanted = if rounds > 8 && rounds.is_multiple_of(LOADS) { LOADS } else { 2 };
        let depth = wanted.min(most).min(rounds);
        let constants = vec![
            ("MATRIX", size),
            ("SUBGROUP", subgroup),
            ("UNIT", unit(size)),
            ("EACH", each),
            ("FEATURES", features),
            ("AT_ONCE", at_once),
            ("PART", part),
            ("DEPTH", depth),
            ("ROUNDS", rounds.next_multiple_of(depth)),
            ("WHOLE", self.columns().is_multiple_of(8 * 32 * at_once * depth).into()),
        ];
        let staged = 8 * turn * (at_once * 32 + 8) * 2;
        let row = (each * 8 * 8 * subgroup + 32) * 2;
        let sums = if size == 8 { 8 * 8 * features * 4 + 256 } else { 8 * features * 4 };
        let bytes = staged + row + sums + 64;
        (Lone { name: "matmul_matrix_one", features, pairs: true, constants }, bytes)
    }

    /// This product of a lone row, by `lone`, before `next` if that is by the same kernel. `gated`: what the one before left gated.
    pub(super) fn alone(
        &self,
        lone: &Lone,
        next: Option<Product>,
        gated: &mut Option<Gated>,
        scratch: &dyn Fn(u64) -> Result<Memory, GpuError>,
    ) -> Result<Command, GpuError> {
        let p = self.params;
        let (mut input, mut gate, mut x, mut limits) =
            (self.kernel.constant("INPUT"), self.kernel.constant("GATE"), self.buffers[0].clone(), [p[8], p[9]]);
        if let Some(made) = gated.take().filter(|made| input == 2 && is_same(&made.from, &x)) {
            (input, x) = (0, made.to);
        }
        let paired = next.filter(|next| lone.pairs && self.is_gated_by(next));
        let sides = if paired.is_some() { 2 } else { 1 };
        let features = self.features() / sides;
        let mut buffers = vec![x];
        buffers.extend_from_slice(&self.buffers[1..]);
        if input != 1 {
            buffers[5] = buffers[0].clone();
        }
        if let Some(next) = &paired {
            (gate, limits) = (next.kernel.constant("GATE"), [next.params[8], next.params[9]]);
            let to = scratch(u64::from(features) * 4)?;
            *gated = Some(Gated { from: self.buffers[8].clone(), to: to.clone() });
            buffers.push(to);
        }
        let quads = self.quads(p[3]);
        let mut constants =
            self.constants(&[("INPUT", input), ("GATE", gate), ("QUADS", quads), ("PAIRED", paired.is_some().into())]);
        constants.extend_from_slice(&lone.constants);
        let params = vec![features, p[2], p[3], p[6], p[7], limits[0], limits[1], p[11]];
        let groups = [features.div_ceil(lone.features / sides), 1, 1];
        Ok(Command::Dispatch { kernel: Kernel::new(lone.name, &constants), buffers, params, groups })
    }
}
