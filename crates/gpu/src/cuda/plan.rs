//! The steps of a list while they are made: what is started, with what memory between the kernels of one command.
//!
//! Read next: `launch`, which walks the commands, and `matmul`, `attention`, `mixture`, which choose their kernels.

use std::ops::Range;

use super::arguments::Arguments;
use super::driver::{Context, Shape};
use crate::device::{ALIGNMENT, Buffers, Command, Kernel, List, Memory};
use crate::error::GpuError;
use crate::ops::moe::MAX_EXPERTS;

/// What the choice of kernels depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chip {
    pub major: u32,
    pub minor: u32,
    pub multiprocessors: u32,
    pub shared_bytes: u32,
}

/// Where a list is to run.
pub(super) struct On<'a> {
    pub context: &'a Context,
    pub chip: Chip,
    /// Words that kernels wait for (`cuda/chosen.cu`): of so many mixtures of a list, each its own, all ones while no list runs.
    pub awaited: u64,
}

/// Bytes of one mixture's, logits of the most experts and one word more, and so many mixtures.
pub(super) const AWAITED_BYTES: u64 = (4 * (MAX_EXPERTS as u64 + 1)).next_multiple_of(ALIGNMENT);
pub(super) const MOST_AWAITED: u64 = 128;

/// One thing that the driver starts.
pub(super) enum Step {
    Launch { name: String, shape: Shape, arguments: Vec<u8> },
    Copy { to: u64, from: u64, bytes: u64 },
}

/// The steps of a list, and what they need between them.
pub(super) struct Plan<'a> {
    pub context: &'a Context,
    pub chip: Chip,
    pub steps: Vec<Step>,
    list: &'a List,
    scratch: u64,
    /// Bytes of scratch memory that the command takes, and the most that any took.
    pub taken: u64,
    pub most: u64,
    /// At the beginning of that memory: bytes of what is left to a product, twice, and which of the two is next.
    left_bytes: u64,
    left_turn: u64,
    /// What is left to the next command, and what was left to this one.
    pub leaves: Option<Left>,
    pub left: Option<Left>,
    /// Words that kernels wait for, of the mixtures that are still to come.
    awaited: Range<u64>,
    /// What the join of a split attention, which is next, is to start: it knows the output.
    pub split: Option<Split>,
}

/// One dispatch.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub kernel: &'a Kernel,
    pub buffers: &'a Buffers,
    pub params: &'a [u32],
    pub groups: [u32; 3],
}

/// A kernel whose output is not known yet.
pub(super) struct Split {
    pub name: String,
    pub grid: [u32; 3],
    pub block: u32,
    pub shared: u32,
    pub arguments: Arguments,
}

/// Rows that a kernel leaves to the next product: struct LeftRows of `left.cuh`.
pub(super) struct Left {
    /// Elements, exponents (0: of bf16), squares (0: there is no norm) and the norm's weights.
    pub addresses: [u64; 4],
    /// Columns, their order, how rows are laid out, whether elements are bf16, and the gate.
    pub sizes: [u32; 5],
    /// Of the gate two, and the norm's epsilon.
    pub floats: [f32; 3],
    /// Features are gates, then ups, and what they give is left.
    pub gated: bool,
}

impl Left {
    /// Whether products of the rows are multiplied by their norm.
    pub fn normed(&self) -> bool {
        self.addresses[2] != 0
    }

    /// The struct; all zeros where there is none.
    pub fn arguments(left: Option<&Left>) -> Arguments {
        const NONE: Left = Left { addresses: [0; 4], sizes: [0; 5], floats: [0.0; 3], gated: false };
        let Left { addresses, sizes, floats, gated } = left.unwrap_or(&NONE);
        let arguments = addresses.iter().fold(Arguments::new(), |arguments, &address| arguments.address(address));
        arguments.words(sizes).floats(floats).words(&[u32::from(*gated)])
    }
}

impl<'a> Plan<'a> {
    /// Nothing yet of a list; what is left to one of its products takes at most so many bytes.
    pub fn new(on: &'a On<'a>, list: &'a List, scratch: u64, left_bytes: u64) -> Plan<'a> {
        let (taken, most) = (2 * left_bytes, 2 * left_bytes);
        let (steps, left_turn, leaves, left, split) = (vec![], 0, None, None, None);
        let awaited = on.awaited..on.awaited + AWAITED_BYTES * MOST_AWAITED;
        Plan {
            context: on.context,
            chip: on.chip,
            steps,
            list,
            scratch,
            taken,
            most,
            left_bytes,
            left_turn,
            leaves,
            left,
            awaited,
            split,
        }
    }

    /// Go on with a command; with `with_scratch` it needs what the last one took.
    pub fn begin(&mut self, with_scratch: bool) {
        self.left = self.leaves.take();
        if !with_scratch {
            self.taken = 2 * self.left_bytes;
        }
    }

    /// Memory for what is left to the next command, beside what was left to this one.
    pub fn left_room(&mut self, bytes: [u64; 3]) -> [u64; 3] {
        self.left_turn ^= 1;
        let at = self.scratch + self.left_turn * self.left_bytes;
        [at, at + bytes[0], at + bytes[0] + bytes[1]]
    }

    /// Whether nobody but these two commands of the list knows a memory: what one leaves there only the other reads, and
    /// it need not be there afterwards.
    pub fn is_between(&self, memory: &Memory, first: &Call, second: &Call) -> bool {
        let same = |other: &&Memory| std::ptr::eq(other.allocation(), memory.allocation());
        let of = |buffers: &[Memory]| buffers.iter().filter(same).count();
        let of_command = |command: &Command| match command {
            Command::Dispatch { buffers, .. } => of(buffers),
            Command::Copy { from, to } | Command::Exchange { from, to, .. } => {
                [from, to].into_iter().filter(same).count()
            }
        };
        let of_both = of(first.buffers) + of(second.buffers);
        of_both == memory.holders() && of_both == self.list.commands.iter().map(of_command).sum()
    }

    /// Scratch memory until the end of the command.
    pub fn take(&mut self, bytes: u64) -> u64 {
        let address = self.scratch + self.taken;
        self.taken += bytes.next_multiple_of(256);
        self.most = self.most.max(self.taken);
        address
    }

    /// Words of one mixture that its kernels wait for, if there are some for another one in this list.
    pub fn await_words(&mut self) -> Option<u64> {
        let address = self.awaited.start;
        (address < self.awaited.end).then(|| {
            self.awaited.start += AWAITED_BYTES;
            address
        })
    }

    /// Start a kernel.
    pub fn launch(&mut self, name: impl Into<String>, grid: [u32; 3], block: u32, shared: u32, arguments: Arguments) {
        self.launch_clusters(name, grid, (block, 1), shared, arguments);
    }

    /// Start a kernel whose blocks, of so many threads, run together in clusters of so many.
    pub fn launch_clusters(
        &mut self,
        name: impl Into<String>,
        grid: [u32; 3],
        (block, cluster): (u32, u32),
        shared: u32,
        arguments: Arguments,
    ) {
        let behind_kernel = matches!(self.steps.last(), Some(Step::Launch { .. }));
        let overlap = behind_kernel && self.chip.major >= 9;
        let shape = Shape { grid, block, shared, overlap, cluster };
        self.steps.push(Step::Launch { name: name.into(), shape, arguments: arguments.finish() });
    }
}

impl<'a> Call<'a> {
    /// What a command calls, if that is a kernel.
    pub fn of(command: &'a Command) -> Option<Call<'a>> {
        let Command::Dispatch { kernel, buffers, params, groups } = command else { return None };
        Some(Call { kernel, buffers, params, groups: *groups })
    }

    pub fn constant(&self, name: &str) -> u32 {
        self.kernel.constant(name)
    }

    pub fn address(&self, index: usize) -> u64 {
        address(&self.buffers[index])
    }

    /// The address of an optional buffer, 0 when it is absent.
    pub fn address_if(&self, there: bool, index: usize) -> u64 {
        if there { self.address(index) } else { 0 }
    }

    pub fn float(&self, index: usize) -> f32 {
        f32::from_bits(self.params[index])
    }

    pub fn error(&self, reason: impl Into<String>) -> GpuError {
        GpuError::Kernel { kernel: self.kernel.name.to_string(), reason: reason.into() }
    }
}

/// Where memory lies on the device.
pub(super) fn address(memory: &Memory) -> u64 {
    memory.allocation().handle + memory.offset()
}
