//! The GPU that evaluation uses: commands of an evaluation are collected and sent together; memory comes from it.
//!
//! Invariants: commands of a thread run in the order in which they were recorded, and reading back waits for all before it; an
//! error of the device is a panic that names it, so that it fails the evaluation that met it and nothing else.
//! Read next: [`crate::eval`], [`crate::buffer`].

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

pub use olivine_gpu::GpuError;
pub use olivine_gpu::ops::moe::MAX_EXPERTS;
pub use olivine_gpu::ops::weights;
use olivine_gpu::ops::weights::{Matrix, Packed};
use olivine_gpu::{Choice, Device, List, Memory, Recording};

/// A device, and what recorded commands depend on.
pub struct Gpu {
    device: Arc<dyn Device>,
    epoch: AtomicU64,
}

thread_local! {
    /// What this thread recorded and did not send. Threads work on memory of their own: each has its own order.
    static PENDING: RefCell<List> = RefCell::default();
}

static GPU: RwLock<Option<Arc<Gpu>>> = RwLock::new(None);

/// Evaluate on `device` what has kernels there, from the next evaluation on; none: everything on the CPU.
pub fn set_gpu(device: Option<Arc<dyn Device>>) {
    let gpu = device.map(|device| Arc::new(Gpu { device, epoch: AtomicU64::new(1) }));
    *GPU.write().unwrap_or_else(PoisonError::into_inner) = gpu;
}

/// The GPU of this process, if one was set.
pub fn gpu() -> Option<Arc<Gpu>> {
    GPU.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Evaluate on the device of this name from now on: `cpu`, `auto` (a GPU if there is one), `gpu`, `metal`, `vulkan:N`,
/// `cuda:N`. Returns what the device calls itself; none for the CPU.
pub fn use_device(name: &str) -> Result<Option<String>, GpuError> {
    let device = match name {
        "cpu" => None,
        "auto" => olivine_gpu::open(Choice::Auto).ok(),
        _ => Some(olivine_gpu::open(name.parse()?)?),
    };
    let called = device.as_ref().map(|device| device.info().name.clone());
    set_gpu(device);
    Ok(called)
}

/// What the GPU that evaluation uses calls itself; none on the CPU.
pub fn device() -> Option<String> {
    gpu().map(|gpu| gpu.device().info().name.clone())
}

impl Gpu {
    /// The device.
    pub fn device(&self) -> &dyn Device {
        &*self.device
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
            check(self.device.submit(&list));
        }
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

    /// Bring a matrix.
    #[track_caller]
    pub(crate) fn bring(&self, matrix: Packed) -> Matrix {
        check(matrix.upload(&*self.device))
    }

    /// Memory of `bytes` bytes; its content is unspecified.
    #[track_caller]
    pub fn allocate(&self, bytes: usize) -> Memory {
        check(self.device.allocate(padded(bytes.max(1))))
    }

    /// New memory with the content of `bytes`.
    #[track_caller]
    pub fn upload(&self, bytes: &[u8]) -> Memory {
        let memory = self.allocate(bytes.len());
        self.write(&memory, 0, bytes);
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

    /// Read memory after everything recorded so far has run.
    #[track_caller]
    pub fn download(&self, from: &Memory, offset: usize, out: &mut [u8]) {
        self.submit();
        let (words, rest) = out.split_at_mut(out.len() / 4 * 4);
        if !words.is_empty() {
            check(self.device.read(from, offset as u64, words));
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            check(self.device.read(from, (offset + words.len()) as u64, &mut word));
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
