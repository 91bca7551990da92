//! The product of a lone row by floats, which decoding one sequence is made of: `matmul_row` in place of `matmul`.
//!
//! Gates and ups whose product with the next matrix follows are gated where they are made, so that not every workgroup of
//! that one does it again. Invariant: the bits are `matmul`'s. Read next: `wgsl/matmul_row.wgsl`.

use super::joined::is_same;
use super::product::Product;
use crate::device::{Command, Kernel, Memory};
use crate::error::GpuError;

/// Blocks of each part whose inputs are in a workgroup's memory at once.
const CHUNK: u32 = 4;
/// Loads of weights that a thread has on their way.
const LOADS: u32 = 4;
/// Threads that take a part of the columns.
const LANES: u32 = 8;

/// Gates and ups, and memory with what they make together.
pub(super) struct Gated {
    from: Memory,
    to: Memory,
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
        is_gating && is_whole && is_plain && self.each() > 1
    }

    /// Features of a thread.
    fn each(&self) -> u32 {
        // Where a thread has several blocks of a feature, those of two features keep enough of them on their way.
        let is_narrow = (4096..8192).contains(&self.features()) && (2..=CHUNK).contains(&self.part());
        (if is_narrow { 2 } else { self.most_each() }).min(8 / self.loads())
    }

    /// Blocks of a part of the columns.
    fn part(&self) -> u32 {
        self.params[5]
    }

    /// This product of a lone row, before `next` if that is by floats too. `gated`: what the one before left gated.
    pub(super) fn alone(
        &self,
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
        let paired = next.filter(|next| self.is_gated_by(next));
        let sides = if paired.is_some() { 2 } else { 1 };
        let (features, part, each) = (self.features() / sides, self.part(), self.each());
        let chunk = part.min(CHUNK);
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
        let constants = self.constants(&[
            ("INPUT", input),
            ("GATE", gate),
            ("QUADS", self.quads(p[3])),
            ("EACH", each),
            ("PART", part),
            ("CHUNK", chunk),
            ("DEPTH", (LOADS / (each * self.loads())).clamp(1, chunk)),
            ("PAIRED", paired.is_some().into()),
        ]);
        let params = vec![features, p[2], p[3], p[6], p[7], limits[0], limits[1], p[11]];
        let groups = features.div_ceil(LANES * each / sides);
        Ok(Command::Dispatch { kernel: Kernel::new("matmul_row", &constants), buffers, params, groups: [groups, 1, 1] })
    }
}
