//! The GPU that evaluation uses: commands of an evaluation are collected and sent together; memory comes from it.
//!
//! Invariants: commands of a thread run in the order in which they were recorded, and reading back waits for all before it; an
//! error of the device is a panic that names it, so that it fails the evaluation that met it and nothing else. Scratch
//! memory of an operation is the next one's too.
//! Read next: [`crate::eval`], [`crate::buffer`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use olivine_gpu::Counters;
pub use olivine_gpu::GpuError;
use olivine_gpu::device::ALIGNMENT;
use olivine_gpu::ops::laying::{FileMatrix, Staging};
pub use olivine_gpu::ops::moe::MAX_EXPERTS;
use olivine_gpu::ops::weights::Matrix;
pub use olivine_gpu::ops::{laying, weights};
use olivine_gpu::{Choice, Device, List, Memory, Recording};

/// A device, and what recorded commands depend on.
pub struct Gpu {
    device: Arc<dyn Device>,
    /// Tells it from those before.
    number: u64,
    epoch: AtomicU64,
    /// Operations that the CPU did for want of kernels, by name.
    by_host: Mutex<BTreeMap<&'static str, u64>>,
}

thread_local! {
    /// What this thread recorded and did not send. Threads work on memory of their own: each has its own order.
    static PENDING: RefCell<List> = RefCell::default();
    /// How often this thread sent something.
    static SENT: Cell<u64> = const { Cell::new(0) };
    /// Scratch memory of this thread's operations.
    static SCRATCH: RefCell<Option<(u64, Memory)>> = const { RefCell::new(None) };
}

/// The name that the device was chosen by.
static CHOSEN: Mutex<String> = Mutex::new(String::new());
static GPUS: AtomicU64 = AtomicU64::new(0);
static GPU: RwLock<Option<Arc<Gpu>>> = RwLock::new(None);

/// Evaluate on `device` what has kernels there, from the next evaluation on; none: everything on the CPU.
pub fn set_gpu(device: Option<Arc<dyn Device>>) {
    let gpu = device.map(|device| {
        let number = GPUS.fetch_add(1, Relaxed);
        Arc::new(Gpu { device, number, epoch: AtomicU64::new(1), by_host: Mutex::default() })
    });
    *GPU.write().unwrap_or_else(PoisonError::into_inner) = gpu;
}

/// The GPU of this process, if one was set.
pub fn gpu() -> Option<Arc<Gpu>> {
    GPU.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Evaluate on the device of this name from now on: `cpu`, `auto` (a GPU if there is one), `gpu`, `metal`, `vulkan:N`,
/// `cuda:N`, or `cuda:N,N` for several that work together. Returns what the device calls itself; none for the CPU.
pub fn use_device(name: &str) -> Result<Option<String>, GpuError> {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = name.to_string();
    let device = match name {
        "cpu" => None,
        "auto" => olivine_gpu::open(Choice::Auto).ok(),
        _ => Some(olivine_gpu::open_named(name)?),
    };
    let called = device.as_ref().map(|device| device.info().name.clone());
    set_gpu(device);
    Ok(called)
}

/// If the GPU was lost, open the device that was chosen anew. What lay on the old one is gone.
pub fn reopen_if_lost() -> Result<(), GpuError> {
    if gpu().is_some_and(|gpu| gpu.is_lost()) {
        let name = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        set_gpu(None);
        use_device(&name)?;
    }
    Ok(())
}

/// Forget what this thread recorded and did not send: an evaluation failed.
pub fn discard_recorded() {
    PENDING.take();
}

/// Bytes that may still be taken of the GPU's own memory; none where it has none, or its driver does not say.
pub fn room_bytes() -> Option<usize> {
    let gpu = gpu()?;
    let info = gpu.device().info();
    let all = info.memory_bytes.filter(|_| !info.unified && !info.software)?;
    // The driver and other programs want a share.
    Some((all / 10 * 9).saturating_sub(gpu.device().counters().allocated_bytes) as usize)
}

/// What the GPU that evaluation uses calls itself; none on the CPU.
pub fn device() -> Option<String> {
    gpu().map(|gpu| gpu.device().info().name.clone())
}

/// What has happened so far on the GPU that evaluation uses; none on the CPU.
pub fn gpu_counters() -> Option<Counters> {
    gpu().map(|gpu| gpu.device().counters())
}

/// Operations that the CPU did since the GPU was chosen because there are no kernels for them, by name.
pub fn host_operations() -> BTreeMap<&'static str, u64> {
    gpu().map_or_else(BTreeMap::new, |gpu| gpu.by_host.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

impl Gpu {
    /// The device.
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// How many cards work together: memory has the same places on all, and may differ.
    pub fn cards(&self) -> usize {
        self.device.cards()
    }

    /// Whether the device is gone, with everything on it.
    pub fn is_lost(&self) -> bool {
        self.device.wait().is_err()
    }

    /// A number that grows when memory behind a handle has moved or a step has another shape: commands that were recorded
    /// before do not fit any more.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// See [`Gpu::epoch`].
    pub(crate) fn new_epoch(&self) {
        self.epoch.fetch_add(1, Relaxed);
    }

    /// Append commands.
    pub fn record(&self, work: impl FnOnce(&mut List)) {
        PENDING.with_borrow_mut(work);
    }

    /// Send what was recorded.
    #[track_caller]
    pub fn submit(&self) {
        let list = self.take();
        if !list.commands.is_empty() {
            SENT.set(SENT.get() + 1);
            check(self.device.submit(&list));
        }
    }

    /// Send what was recorded up to the last attention's heads, with which something begins that a device may do together; all
    /// of it, if there are none or if they are where this begins.
    #[track_caller]
    pub(crate) fn submit_some(&self) {
        let behind = PENDING.with_borrow_mut(List::split_at_heads).unwrap_or_default();
        if self.recorded() == 0 {
            PENDING.set(behind);
            return self.submit();
        }
        self.submit();
        PENDING.set(behind);
    }

    /// How often this thread sent something so far.
    pub(crate) fn sent(&self) -> u64 {
        SENT.get()
    }

    /// How many commands this thread recorded and did not send.
    pub(crate) fn recorded(&self) -> usize {
        PENDING.with_borrow(|list| list.commands.len())
    }

    /// What was recorded and not sent.
    pub(crate) fn take(&self) -> List {
        PENDING.take()
    }

    /// Make `list` ready to be sent again and again.
    #[track_caller]
    pub(crate) fn keep(&self, list: List) -> Recording {
        check(self.device.record(list))
    }

    /// Send a kept list, after what was recorded.
    #[track_caller]
    pub(crate) fn replay(&self, recording: &Recording) {
        self.submit();
        check(recording.replay());
    }

    /// Bring a matrix: one for all cards, or one for each.
    #[track_caller]
    pub(crate) fn bring(&self, shares: &[FileMatrix], staging: &mut Staging) -> Matrix {
        assert!([1, self.cards()].contains(&shares.len()), "[gpu] shares of a matrix");
        check(FileMatrix::upload_each(shares, &*self.device, staging))
    }

    /// Memory of `bytes` bytes; its content is unspecified.
    #[track_caller]
    pub fn allocate(&self, bytes: usize) -> Memory {
        check(self.device.allocate(padded(bytes.max(1))))
    }

    /// Memory for what lies between the commands of one operation, of these sizes: other operations of this thread use it
    /// too, one after the other.
    #[track_caller]
    pub fn scratch<const N: usize>(&self, bytes: [usize; N]) -> [Memory; N] {
        let step = ALIGNMENT as usize;
        let all: usize = bytes.iter().map(|bytes| bytes.next_multiple_of(step).max(step)).sum();
        let known = SCRATCH.take().filter(|(number, known)| *number == self.number && known.bytes() >= all as u64);
        let whole = known.map_or_else(|| self.allocate(all.next_power_of_two()), |(_, known)| known);
        SCRATCH.set(Some((self.number, whole.clone())));
        let mut at = 0;
        bytes.map(|bytes| {
            let part = whole.slice(at, padded(bytes.max(1)));
            at += bytes.next_multiple_of(step).max(step) as u64;
            part
        })
    }

    /// The CPU does an operation of this name.
    pub(crate) fn count_host(&self, name: &'static str) {
        *self.by_host.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// New memory with the content of `bytes`.
    #[track_caller]
    pub fn upload(&self, bytes: &[u8]) -> Memory {
        let memory = self.allocate(bytes.len());
        self.write(&memory, 0, bytes);
        memory
    }

    /// New memory with floats: the same on all cards, or a share for each.
    #[track_caller]
    pub fn upload_floats(&self, shares: &[Vec<f32>]) -> Memory {
        let memory = self.upload(bytemuck::cast_slice(&shares[0]));
        for (card, share) in shares.iter().enumerate().skip(1) {
            self.write_to(card, &memory, bytemuck::cast_slice(share));
        }
        memory
    }

    /// Change memory after everything recorded so far has run. `offset` is a multiple of 4; a last word is filled with zeros.
    #[track_caller]
    pub fn write(&self, to: &Memory, offset: usize, bytes: &[u8]) {
        self.submit();
        let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
        if !words.is_empty() {
            check(self.device.write(to, offset as u64, words));
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            check(self.device.write(to, (offset + words.len()) as u64, &word));
        }
    }

    /// Change memory of one card alone, in whole words.
    #[track_caller]
    pub fn write_to(&self, card: usize, to: &Memory, bytes: &[u8]) {
        self.submit();
        check(self.device.write_to(card, to, 0, bytes));
    }

    /// Read memory after everything recorded so far has run.
    #[track_caller]
    pub fn download(&self, from: &Memory, offset: usize, out: &mut [u8]) {
        self.download_from(0, from, offset, out);
    }

    /// As [`Gpu::download`], what lies on one of the cards.
    #[track_caller]
    pub fn download_from(&self, card: usize, from: &Memory, offset: usize, out: &mut [u8]) {
        let (words, rest) = out.split_at_mut(out.len() / 4 * 4);
        if card == 0 && !words.is_empty() && self.recorded() > 0 {
            SENT.set(SENT.get() + 1);
            check(self.device.submit_and_read(&self.take(), from, offset as u64, words));
        } else {
            self.submit();
            if !words.is_empty() {
                check(self.device.read_from(card, from, offset as u64, words));
            }
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            check(self.device.read_from(card, from, (offset + words.len()) as u64, &mut word));
            rest.copy_from_slice(&word[..rest.len()]);
        }
    }
}

/// Devices read and write whole words.
pub(crate) fn padded(bytes: usize) -> u64 {
    bytes.next_multiple_of(4) as u64
}

#[track_caller]
fn check<T>(result: Result<T, GpuError>) -> T {
    result.unwrap_or_else(|error| panic!("[gpu] {error}"))
}
