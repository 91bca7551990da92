//! Memory of arrays: 64-byte-aligned buffers, a size-classed cache of free ones, and the counters.
//!
//! Invariants: memory is zeroed when it first comes from the system and stays initialised when it is reused, so every
//! view of it as plain old data is sound without `unsafe`; a buffer is written only through unique ownership.
//! Read next: [`crate::primitive`].

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use bytemuck::{Pod, Zeroable};
use olivine_gpu::Memory;
use olivine_kernels::pages::{HUGE_PAGE_BYTES, Pages};

use crate::gpu::Gpu;

/// Bytes that live elsewhere (a mapped file) and are only read.
pub type Owner = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The unit of allocation: one cache line.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Memory of one or more arrays: on the host, on the GPU, or on both with the same content.
///
/// A side that is missing is made from the other when it is asked for; writing one side drops the other.
pub struct Buffer {
    host: OnceLock<Storage>,
    device: OnceLock<DeviceSide>,
    bytes: usize,
}

enum Storage {
    Owned(Block),
    External { owner: Owner, start: usize },
}

struct DeviceSide {
    gpu: Arc<Gpu>,
    memory: Memory,
}

/// Owned memory, aligned to [`Line`].
enum Block {
    Lines(Vec<Line>),
    /// Large ones: not resident before they are written, and then written by all threads.
    Pages(Pages),
}

impl Block {
    fn zeroed(lines: usize) -> Block {
        let bytes = lines * size_of::<Line>();
        match bytes >= HUGE_PAGE_BYTES {
            true => Block::Pages(Pages::zeroed(bytes, true)),
            false => Block::Lines(bytemuck::zeroed_vec(lines)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Block::Lines(lines) => bytemuck::cast_slice(lines),
            Block::Pages(pages) => pages,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Block::Lines(lines) => bytemuck::cast_slice_mut(lines),
            Block::Pages(pages) => pages,
        }
    }
}

impl Buffer {
    /// A buffer of at least `bytes` bytes whose content is unspecified (but initialised). It takes memory when it is used.
    pub fn new(bytes: usize) -> Buffer {
        Buffer { host: OnceLock::new(), device: OnceLock::new(), bytes }
    }

    /// A read-only buffer of `bytes` bytes from `start` on in `owner`. Panics when that is out of bounds.
    pub fn external(owner: Owner, start: usize, bytes: usize) -> Buffer {
        let length = (*owner).as_ref().len();
        assert!(start <= length && bytes <= length - start, "[buffer] {start}+{bytes} bytes of an owner of {length}");
        Buffer { host: OnceLock::from(Storage::External { owner, start }), device: OnceLock::new(), bytes }
    }

    /// Words that differ from card to card of a GPU: `shares[card]` lies on card `card`.
    pub fn of_cards(gpu: &Arc<Gpu>, shares: &[&[u8]]) -> Buffer {
        let memory = gpu.allocate(shares[0].len());
        shares.iter().enumerate().for_each(|(card, bytes)| gpu.write_to(card, &memory, bytes));
        let device = OnceLock::from(DeviceSide { gpu: gpu.clone(), memory });
        Buffer { host: OnceLock::new(), device, bytes: shares[0].len() }
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it can be written when uniquely owned.
    pub fn is_owned(&self) -> bool {
        !matches!(self.host.get(), Some(Storage::External { .. }))
    }

    /// All bytes. What only the GPU has is read back, after the work that makes it.
    pub fn bytes(&self) -> &[u8] {
        match self.host.get_or_init(|| self.make_host()) {
            Storage::Owned(block) => &block.bytes()[..self.bytes],
            Storage::External { owner, start } => &(**owner).as_ref()[*start..*start + self.bytes],
        }
    }

    /// All bytes, to write. Panics on external memory.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes();
        self.device.take();
        match self.host.get_mut() {
            Some(Storage::Owned(block)) => &mut block.bytes_mut()[..self.bytes],
            _ => panic!("[buffer] external memory is read-only"),
        }
    }

    /// Whether the host would have to ask a GPU for the content.
    pub fn is_on_gpu_alone(&self) -> bool {
        self.host.get().is_none() && self.device.get().is_some()
    }

    /// The memory on `gpu`, to read. What only the host has is sent there.
    pub fn on_gpu(&self, gpu: &Arc<Gpu>) -> &Memory {
        let side = self.device.get_or_init(|| DeviceSide {
            memory: match self.host.get() {
                Some(_) => gpu.upload(self.bytes()),
                None => gpu.allocate(self.bytes),
            },
            gpu: gpu.clone(),
        });
        assert!(Arc::ptr_eq(&side.gpu, gpu), "[buffer] memory of another GPU");
        &side.memory
    }

    /// The memory on `gpu`, to change: it has the content of the buffer, which the host drops.
    pub fn on_gpu_mut(&mut self, gpu: &Arc<Gpu>) -> &Memory {
        self.on_gpu(gpu);
        self.drop_host();
        self.on_gpu(gpu)
    }

    /// The memory on `gpu`, to be written all over: its content is unspecified.
    pub fn on_gpu_fresh(&mut self, gpu: &Arc<Gpu>) -> &Memory {
        self.drop_host();
        self.on_gpu(gpu)
    }

    fn make_host(&self) -> Storage {
        let mut block = allocate(self.bytes);
        if let Some(side) = self.device.get() {
            side.gpu.download(&side.memory, 0, &mut block.bytes_mut()[..self.bytes]);
        }
        Storage::Owned(block)
    }

    fn drop_host(&mut self) {
        match self.host.take() {
            Some(Storage::Owned(block)) => release(block),
            Some(Storage::External { .. }) => panic!("[buffer] external memory is read-only"),
            None => {}
        }
    }

    /// The content as `T`s (whole ones; a rest is left out). Panics when external memory is not aligned for `T`.
    pub fn slice<T: Pod>(&self) -> &[T] {
        let bytes = self.bytes();
        bytemuck::cast_slice(&bytes[..bytes.len() / size_of::<T>() * size_of::<T>()])
    }

    /// The content as `T`s, to write.
    pub fn slice_mut<T: Pod>(&mut self) -> &mut [T] {
        let bytes = self.bytes_mut();
        let whole = bytes.len() / size_of::<T>() * size_of::<T>();
        bytemuck::cast_slice_mut(&mut bytes[..whole])
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes{})", self.bytes, if self.is_owned() { "" } else { ", external" })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(Storage::Owned(block)) = self.host.take() {
            release(block);
        }
    }
}

/// Classes of sizes in lines: 1 to 8, then 8 steps an octave. Waste is at most 1/8.
const CLASSES: usize = 8 + 8 * 48;

struct Cache {
    free: Vec<Vec<Block>>,
}

static CACHE: Mutex<Cache> = Mutex::new(Cache { free: Vec::new() });
static ACTIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CACHED: AtomicUsize = AtomicUsize::new(0);
static CACHE_LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static MEMORY_LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

fn class_of(lines: usize) -> (usize, usize) {
    if lines <= 8 {
        return (lines.max(1) - 1, lines.max(1));
    }
    let octave = (lines - 1).ilog2() as usize;
    let step = 1usize << (octave - 3);
    let steps = lines.div_ceil(step);
    (8 + (octave - 3) * 8 + steps - 9, steps * step)
}

fn allocate(bytes: usize) -> Block {
    let (class, lines) = class_of(bytes.div_ceil(size_of::<Line>()));
    let size = lines * size_of::<Line>();
    let cached = {
        let mut cache = CACHE.lock().expect("no panic while the cache is locked");
        cache.free.get_mut(class).and_then(Vec::pop)
    };
    if cached.is_some() {
        CACHED.fetch_sub(size, Relaxed);
    } else if ACTIVE.load(Relaxed) + CACHED.load(Relaxed) + size > MEMORY_LIMIT.load(Relaxed) {
        clear_cache();
    }
    let active = ACTIVE.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(active, Relaxed);
    cached.unwrap_or_else(|| Block::zeroed(lines))
}

fn release(block: Block) {
    let size = block.bytes().len();
    if size == 0 {
        return;
    }
    ACTIVE.fetch_sub(size, Relaxed);
    let held = CACHED.load(Relaxed) + size;
    if held > CACHE_LIMIT.load(Relaxed) || ACTIVE.load(Relaxed) + held > MEMORY_LIMIT.load(Relaxed) {
        return;
    }
    CACHED.fetch_add(size, Relaxed);
    let mut cache = CACHE.lock().expect("no panic while the cache is locked");
    if cache.free.is_empty() {
        cache.free.resize_with(CLASSES, Vec::new);
    }
    cache.free[class_of(size / size_of::<Line>()).0].push(block);
}

/// Bytes of all live buffers (external memory is not counted).
pub fn active_bytes() -> usize {
    ACTIVE.load(Relaxed)
}

/// The most that [`active_bytes`] has been since the start or the last [`reset_peak_bytes`].
pub fn peak_bytes() -> usize {
    PEAK.load(Relaxed)
}

/// Let [`peak_bytes`] start again from now.
pub fn reset_peak_bytes() {
    PEAK.store(ACTIVE.load(Relaxed), Relaxed);
}

/// Bytes of free buffers kept for reuse.
pub fn cache_bytes() -> usize {
    CACHED.load(Relaxed)
}

/// Keep at most `bytes` of free buffers; returns the old limit. Frees what is above it.
pub fn set_cache_limit(bytes: usize) -> usize {
    let old = CACHE_LIMIT.swap(bytes, Relaxed);
    if cache_bytes() > bytes {
        clear_cache();
    }
    old
}

/// Try to keep live and free buffers together below `bytes`: beyond it, free buffers are given back to the system.
/// Returns the old limit. Live buffers are never refused.
pub fn set_memory_limit(bytes: usize) -> usize {
    let old = MEMORY_LIMIT.swap(bytes, Relaxed);
    if active_bytes() + cache_bytes() > bytes {
        clear_cache();
    }
    old
}

/// Give all free buffers back to the system.
pub fn clear_cache() {
    let free = std::mem::take(&mut CACHE.lock().expect("no panic while the cache is locked").free);
    let bytes: usize = free.iter().flatten().map(|block| block.bytes().len()).sum();
    CACHED.fetch_sub(bytes, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_size_and_wastes_little() {
        let mut last = (0, 0);
        for lines in 1..5000 {
            let (class, capacity) = class_of(lines);
            assert!(capacity >= lines && capacity - lines <= lines / 8, "{lines} lines in {capacity}");
            assert_eq!(class_of(capacity), (class, capacity), "a freed buffer comes back to its class");
            assert!(class == last.0 && capacity == last.1 || class == last.0 + 1 || lines == 1);
            last = (class, capacity);
        }
    }
}
