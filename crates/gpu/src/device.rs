//! The contract between what computes and what runs it: memory, kernels, lists of commands, recordings.
//!
//! Commands of a device run in the order in which they were submitted, and each sees all that earlier ones wrote;
//! a [`Device::write`] counts as a command. Invariant: whatever changes from step to step lies in memory, never in
//! the parameters or the grid of a dispatch, so that a [`Recording`] may be replayed. Read next: [`crate::ops`] for
//! the dispatches, [`crate::wgpu`] for a runtime.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::GpuError;
use crate::expression::Expression;

/// Every slice that is bound to a kernel starts at a multiple of this many bytes.
pub const ALIGNMENT: u64 = 256;

/// Parameters of one dispatch: at most this many words.
pub const MAX_PARAMS: usize = 16;

/// What drives the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// wgpu on Vulkan.
    Vulkan,
    /// wgpu on Metal.
    Metal,
    /// CUDA.
    Cuda,
}

/// A matrix product that the hardware does in one instruction of a subgroup: `[m, k] x [k, n]` of f16, summed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatrixShape {
    /// Rows of the result.
    pub m: u32,
    /// Columns of the result.
    pub n: u32,
    /// Length of the sums.
    pub k: u32,
}

/// What may be asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one allocation.
    pub allocation_bytes: u64,
    /// Bytes of one slice that a kernel sees.
    pub binding_bytes: u64,
    /// Workgroups along one axis of a grid.
    pub groups: u32,
    /// Threads of a workgroup.
    pub threads: u32,
    /// Memory of a workgroup.
    pub shared_bytes: u32,
}

/// What there is to know about an open device.
#[derive(Clone, Debug)]
pub struct Info {
    /// What drives it.
    pub backend: Backend,
    /// Its name, as the driver gives it.
    pub name: String,
    /// Name and version of the driver.
    pub driver: String,
    /// A program on the CPU that pretends to be a device: for tests.
    pub software: bool,
    /// It shares the machine's memory: imports need no copy.
    pub unified: bool,
    /// All of its memory, where the driver says.
    pub memory_bytes: Option<u64>,
    /// Fewest and most threads that run in step.
    pub subgroup: (u32, u32),
    /// Matrix products in hardware that kernels may use.
    pub matrices: Vec<MatrixShape>,
    /// What may be asked of it.
    pub limits: Limits,
}

/// What has happened on a device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lists submitted or replayed.
    pub submissions: u64,
    /// Kernels started.
    pub dispatches: u64,
    /// Bytes written to the device.
    pub written_bytes: u64,
    /// Bytes read back.
    pub read_bytes: u64,
    /// Bytes allocated now.
    pub allocated_bytes: u64,
    /// The most that was ever allocated.
    pub peak_bytes: u64,
    /// Kernels compiled.
    pub pipelines: u64,
}

/// One device. Its methods may be called from any thread; `submit` and `write` return before the work is done.
pub trait Device: Send + Sync {
    /// What it is.
    fn info(&self) -> &Info;

    /// New memory. Its content is zero or whatever lay there before.
    fn allocate(&self, bytes: u64) -> Result<Memory, GpuError>;

    /// Memory that holds `owner`'s bytes of `range`: the very same bytes on a unified device where their place allows
    /// it (they are then only read), a copy elsewhere.
    fn import(&self, owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Result<Memory, GpuError>;

    /// Write `bytes` at `offset` of `to`, both multiples of 4, behind everything that was submitted before.
    fn write(&self, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError>;

    /// Read `bytes` at `offset` of `from`, both multiples of 4, once everything that was submitted before is done.
    fn read(&self, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError>;

    /// Start the commands of a list.
    fn submit(&self, list: &List) -> Result<(), GpuError>;

    /// Start the commands of a list, and bring bytes back behind them.
    fn submit_and_read(&self, list: &List, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.submit(list)?;
        self.read(from, offset, bytes)
    }

    /// Prepare a list that will be run many times: pipelines are made, nothing is left to look up.
    fn record(&self, list: List) -> Result<Recording, GpuError>;

    /// Wait until everything that was submitted is done.
    fn wait(&self) -> Result<(), GpuError>;

    /// What has happened so far.
    fn counters(&self) -> Counters;

    /// Behave from now on as a device that was lost (for tests of what depends on it).
    fn simulate_loss(&self);

    /// How many cards work together behind this device ([`crate::group`]): each runs every list on its own memory.
    fn cards(&self) -> usize {
        1
    }

    /// [`Device::write`] on one card alone.
    fn write_to(&self, card: usize, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        assert_eq!(card, 0, "[write] a single card");
        self.write(to, offset, bytes)
    }

    /// [`Device::read`] on one card, where it is not the first.
    fn read_from(&self, card: usize, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        assert_eq!(card, 0, "[read] a single card");
        self.read(from, offset, bytes)
    }
}

/// A prepared list of commands; it keeps the memory that it uses.
pub trait Replay: Send + Sync {
    /// Start the commands once more.
    fn replay(&self) -> Result<(), GpuError>;
}

/// See [`Device::record`].
pub type Recording = Box<dyn Replay>;

/// Memory that a runtime gave out and takes back when the last handle is dropped.
pub struct Allocation {
    /// Number of the device that owns it.
    pub device: u64,
    /// What the runtime calls it: an index, an address.
    pub handle: u64,
    /// Its size.
    pub bytes: u64,
    /// Called with the handle when nobody holds the memory any more.
    pub release: Box<dyn Fn(u64) + Send + Sync>,
    /// That of several cards: the memory on each.
    pub cards: Vec<Memory>,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        (self.release)(self.handle);
    }
}

/// A stretch of device memory: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Memory {
    allocation: Arc<Allocation>,
    offset: u64,
    bytes: u64,
    /// Of a card's part of a group's memory: how many handles that memory had.
    holders: Option<usize>,
}

impl Memory {
    /// All of an allocation.
    pub fn new(allocation: Allocation) -> Memory {
        let bytes = allocation.bytes;
        Memory { allocation: Arc::new(allocation), offset: 0, bytes, holders: None }
    }

    /// `bytes` of it from `offset` on. To be bound to a kernel, `offset` must be a multiple of [`ALIGNMENT`].
    #[track_caller]
    pub fn slice(&self, offset: u64, bytes: u64) -> Memory {
        assert!(offset + bytes <= self.bytes, "[memory] {bytes} bytes at {offset} of {}", self.bytes);
        let (allocation, offset) = (self.allocation.clone(), self.offset + offset);
        Memory { allocation, offset, bytes, holders: self.holders }
    }

    /// The same stretch on one of several cards; itself where there is one.
    pub fn on(&self, card: usize) -> Memory {
        match self.allocation.cards.get(card) {
            Some(own) => Memory {
                allocation: own.allocation.clone(),
                offset: own.offset + self.offset,
                bytes: self.bytes,
                holders: Some(self.holders()),
            },
            None => self.clone(),
        }
    }

    /// The allocation that it lies in.
    pub fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// How many handles of its allocation there are. Of a card's part of a group's memory: how many of the group's there were
    /// when it was asked for the part, for a card's list has as many handles as the group's list that it is made from.
    pub fn holders(&self) -> usize {
        self.holders.unwrap_or_else(|| Arc::strong_count(&self.allocation))
    }

    /// Where it begins in its allocation.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({}: {}..+{})", self.allocation.handle, self.offset, self.bytes)
    }
}

/// Which kernel, specialised how: the identity of a pipeline, which a runtime makes when it first meets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Name of the source.
    pub name: &'static str,
    /// Constants that the source is specialised for, in the order of the op that makes it.
    pub constants: Vec<(&'static str, u32)>,
    /// The formula of a generated kernel.
    pub expression: Option<Arc<Expression>>,
}

impl Kernel {
    /// A kernel with these constants.
    pub fn new(name: &'static str, constants: &[(&'static str, u32)]) -> Kernel {
        Kernel { name, constants: constants.to_vec(), expression: None }
    }

    /// The value of a constant; 0 when it has none of that name.
    pub fn constant(&self, name: &str) -> u32 {
        self.constants.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
    }

    /// Give a constant that it has another value.
    #[track_caller]
    pub(crate) fn set_constant(&mut self, name: &str, value: u32) {
        let constant = self.constants.iter_mut().find(|(known, _)| *known == name);
        constant.unwrap_or_else(|| panic!("[gpu] {} has no constant {name}", self.name)).1 = value;
    }
}

/// Slices that a kernel sees, in its order. Where an optional one is absent, the first is repeated.
pub type Buffers = Vec<Memory>;

/// Most cards of a group.
pub const MOST_CARDS: usize = 8;

/// Floats that a block of the kernel `cards_sum` adds.
pub(crate) const MAIL_FLOATS: usize = 512;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a kernel.
    Dispatch {
        /// Which.
        kernel: Kernel,
        /// On what.
        buffers: Buffers,
        /// Its parameters, in its order; floats as their bits.
        params: Vec<u32>,
        /// How many workgroups.
        groups: [u32; 3],
    },
    /// Copy `from` to the beginning of `to`, another allocation; multiples of 4 bytes.
    Copy {
        /// What.
        from: Memory,
        /// Where to.
        to: Memory,
    },
    /// Between the cards of a group.
    Exchange {
        /// What.
        kind: Exchange,
        /// Of each card.
        from: Memory,
        /// Alike on all cards afterwards.
        to: Memory,
    },
}

/// What the cards of a group make of one memory of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The sum of their floats, added in the order of the cards.
    Sum,
    /// Rows of words from pieces: a card has `[rows, piece]`, all get `[rows, cards * piece]`.
    Join {
        /// How many.
        rows: u32,
    },
}

/// Commands in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The commands.
    pub commands: Vec<Command>,
}

impl List {
    /// Nothing yet.
    pub fn new() -> List {
        List::default()
    }

    /// Add a kernel. A grid with a zero runs nothing and is left out.
    #[track_caller]
    pub fn dispatch(&mut self, kernel: Kernel, buffers: &[&Memory], params: &[u32], groups: [u32; 3]) {
        assert!(params.len() <= MAX_PARAMS, "[{}] {} parameters", kernel.name, params.len());
        if groups.contains(&0) {
            return;
        }
        for memory in buffers {
            assert!(memory.offset.is_multiple_of(ALIGNMENT), "[{}] slice at byte {}", kernel.name, memory.offset);
        }
        let buffers = buffers.iter().map(|&memory| memory.clone()).collect();
        self.commands.push(Command::Dispatch { kernel, buffers, params: params.to_vec(), groups });
    }

    /// Add a copy of all of `from` to the beginning of `to`.
    #[track_caller]
    pub fn copy(&mut self, from: &Memory, to: &Memory) {
        assert!(from.bytes <= to.bytes && from.bytes.is_multiple_of(4), "[copy] {} bytes to {}", from.bytes, to.bytes);
        self.commands.push(Command::Copy { from: from.clone(), to: to.clone() });
    }

    /// Add a sum over the cards of a group.
    #[track_caller]
    pub fn sum_of_cards(&mut self, from: &Memory, to: &Memory) {
        let fits = from.bytes.is_multiple_of(4) && from.bytes <= to.bytes;
        assert!(fits && from.offset.is_multiple_of(ALIGNMENT), "[sum_of_cards] {from:?} to {to:?}");
        self.commands.push(Command::Exchange { kind: Exchange::Sum, from: from.clone(), to: to.clone() });
    }

    /// Add the joining of rows whose pieces the cards of a group have.
    #[track_caller]
    pub fn join_cards(&mut self, rows: usize, from: &Memory, to: &Memory) {
        assert!(from.bytes.is_multiple_of(4 * rows as u64), "[join_cards] {rows} rows of {from:?}");
        let kind = Exchange::Join { rows: rows as u32 };
        self.commands.push(Command::Exchange { kind, from: from.clone(), to: to.clone() });
    }

    /// Take out the commands from the last attention's heads on; none, if there are none. Those in front are whole: a device
    /// does none of them together with one behind.
    pub fn split_at_heads(&mut self) -> Option<List> {
        let is_heads =
            |command: &Command| matches!(command, Command::Dispatch { kernel, .. } if kernel.name == "heads");
        let first = self.commands.iter().rposition(is_heads)?;
        Some(List { commands: self.commands.split_off(first) })
    }

    /// How many kernels it runs.
    pub fn dispatches(&self) -> usize {
        self.commands.iter().filter(|command| matches!(command, Command::Dispatch { .. })).count()
    }
}
