//! A pool of threads for parallel regions of 5 to 100 µs, hundreds of them for every token. The caller takes part.
//!
//! How a region works: one atomic word holds (generation, parts, next part). The caller publishes it; whoever gets
//! a part number by `fetch_add` must run that part, and the region ends when all parts are done. So the region never
//! waits for a thread that has not begun to work: a preempted or sleeping worker costs nothing but its help.
//! Idle workers spin for a bounded time (a decode step's next region comes within microseconds), then yield, then
//! park. A pool that is already busy (nested or concurrent use) runs the region inline.
//! Invariant: every part runs exactly once, and no worker touches `work` after `run` has returned.
//! Cost of a region: see `examples/pool_bench.rs`. Read next: [`crate::dense`].

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

use crate::ahead::{Ahead, Cursor};

/// Bits of the region word: `generation << 48 | parts << 24 | next`.
const FIELD_BITS: u32 = 24;
const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// More parts than this are handed out in blocks, so that `next` cannot overflow its field.
const MAX_PARTS: usize = 1 << 22;

/// How long an idle worker looks for the next region before it yields, and how often it yields before it parks.
/// A `pause` takes 10 to 40 ns, so this is 20 to 80 µs: longer than the gaps inside a token, shorter than a time slice.
const IDLE_SPINS: u32 = 2_000;
const IDLE_YIELDS: u32 = 20;
/// The same for a caller that waits for the last parts of its region.
const WAIT_SPINS: u32 = 4_000;
const WAIT_YIELDS: u32 = 50;

/// A fixed set of worker threads.
pub struct Pool {
    threads: usize,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` threads in all, the caller among them. At least one; 0 means [`physical_cores`].
    pub fn new(threads: usize) -> Pool {
        let threads = if threads == 0 { physical_cores() } else { threads };
        let shared = Arc::new(Shared::new(threads));
        let workers = (0..threads - 1)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("olivine-kernel-{}", index + 1))
                    .spawn(move || shared.worker(index))
                    .expect("[pool] the system refused a worker thread")
            })
            .collect();
        Pool { threads, shared, workers }
    }

    /// How many threads take part in a region.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// What threads that wait ask memory for; products of few rows tell it where they read.
    pub(crate) fn ahead(&self) -> &Ahead {
        &self.shared.ahead
    }

    /// Call `work(part)` once for every part in `0..parts`, on all threads, handed out one by one; returns when
    /// all are done. A panic in a part is passed on to the caller after the region has ended.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        if parts > MAX_PARTS {
            let block = parts.div_ceil(MAX_PARTS);
            return self.run(parts.div_ceil(block), &|index| {
                (index * block..((index + 1) * block).min(parts)).for_each(work);
            });
        }
        let alone = self.threads == 1 || parts <= 1 || INSIDE.get();
        if alone || self.shared.busy.swap(true, Ordering::Acquire) {
            return (0..parts).for_each(work);
        }
        self.shared.region(parts, work, &self.workers);
    }

    /// Call `work(range)` for consecutive ranges of at most `block` that cover `0..total`.
    pub fn run_blocks(&self, total: usize, block: usize, work: impl Fn(Range<usize>) + Sync) {
        let block = block.max(1);
        self.run(total.div_ceil(block), &|part| work(part * block..((part + 1) * block).min(total)));
    }

    /// Call `work(index, chunk)` for consecutive chunks of `data`, each of `chunk` elements but for the last.
    pub fn run_chunks<T: Send>(&self, data: &mut [T], chunk: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let total = data.len();
        let shared = Disjoint::new(data);
        let chunk = chunk.max(1);
        self.run(total.div_ceil(chunk), &|part| {
            let range = part * chunk..((part + 1) * chunk).min(total);
            // SAFETY: every part is run once and the ranges of different parts do not overlap.
            work(part, unsafe { shared.slice(range) });
        });
    }

    /// A block size that gives each thread a few blocks, at least `smallest`, and a multiple of `smallest`.
    pub fn block_of(&self, total: usize, smallest: usize) -> usize {
        let smallest = smallest.max(1);
        total.div_ceil(self.threads * 4).div_ceil(smallest).max(1) * smallest
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            let _ = worker.join();
        }
    }
}

/// A mutable slice that the parts of a region write at places that do not overlap.
pub struct Disjoint<'a, T> {
    data: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `slice`, whose caller promises that concurrent ranges do not overlap.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: it is a mutable borrow of sendable elements.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Borrow `data` for the length of a region.
    pub fn new(data: &'a mut [T]) -> Self {
        Disjoint { data: data.as_mut_ptr(), len: data.len(), owner: PhantomData }
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in `range`; panics when it is out of bounds.
    ///
    /// # Safety
    /// No two live slices may overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "[pool] {range:?} of {}", self.len);
        // SAFETY: in bounds (checked), and not aliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.end - range.start) }
    }

    /// Set one element; panics when it is out of bounds.
    ///
    /// # Safety
    /// No other thread may use this element, and no live slice may contain it.
    pub unsafe fn write(&self, index: usize, value: T) {
        assert!(index < self.len, "[pool] {index} of {}", self.len);
        // SAFETY: in bounds (checked), and ours alone by the caller's promise.
        unsafe { *self.data.add(index) = value };
    }
}

/// The number of physical cores that this process may use: hyper-threads counted once, on Apple Silicon the
/// performance cores.
pub fn physical_cores() -> usize {
    let logical = std::thread::available_parallelism().map_or(1, |n| n.get());
    performance_cores().or_else(sysfs_cores).map_or(logical, |cores| cores.clamp(1, logical))
}

thread_local! {
    /// Set while this thread runs a part: a region started from inside it runs inline.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

type Work<'a> = &'a (dyn Fn(usize) + Sync);

/// One cache line of its own, so that spinning on it does not slow the neighbours.
#[repr(align(128))]
struct Padded<T>(T);

struct Shared {
    /// The region word; the acquire/release pair on it publishes `work` and `remaining`.
    word: Padded<AtomicU64>,
    /// Parts of this region that are not finished yet.
    remaining: Padded<AtomicUsize>,
    /// The region's closure. Written by the caller before it publishes the word.
    work: std::cell::UnsafeCell<Option<Work<'static>>>,
    /// A region is running.
    busy: AtomicBool,
    quit: AtomicBool,
    parked: Vec<Padded<AtomicBool>>,
    ahead: Ahead,
    /// The caller is about to park, or has; the thread that finishes the last part wakes it.
    waiting: AtomicBool,
    caller: Mutex<Option<Thread>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written only by the caller that holds `busy`, before the release store of `word`, and read only by
// a thread that got a part of that generation through an acquire of `word`; the region (and with it the next write)
// cannot end before that part is counted off `remaining`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the closure is `Sync`, so any thread may call it.
unsafe impl Send for Shared {}

fn has_parts(word: u64) -> bool {
    word & FIELD_MASK < (word >> FIELD_BITS) & FIELD_MASK
}

impl Shared {
    fn new(threads: usize) -> Shared {
        Shared {
            word: Padded(AtomicU64::new(0)),
            remaining: Padded(AtomicUsize::new(0)),
            work: std::cell::UnsafeCell::new(None),
            busy: AtomicBool::new(false),
            quit: AtomicBool::new(false),
            parked: (1..threads).map(|_| Padded(AtomicBool::new(false))).collect(),
            ahead: Ahead::new(threads),
            waiting: AtomicBool::new(false),
            caller: Mutex::new(None),
            panic: Mutex::new(None),
        }
    }

    fn region(&self, parts: usize, work: Work<'_>, workers: &[JoinHandle<()>]) {
        // SAFETY: only the lifetime is changed, and the closure is not called after this function has returned:
        // a part is run only by a thread that took it, and all taken parts are waited for below.
        let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        // SAFETY: `busy` is ours, and no part of an earlier region is left, so nobody reads `work`.
        unsafe { *self.work.get() = Some(work) };
        self.remaining.0.store(parts, Ordering::Relaxed);
        let generation = (self.word.0.load(Ordering::Relaxed) >> (2 * FIELD_BITS)).wrapping_add(1) & 0xffff;
        // Sequentially consistent against `parked`: either this caller sees the flag or the worker sees the word.
        self.word.0.store(generation << (2 * FIELD_BITS) | (parts as u64) << FIELD_BITS, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        for (parked, worker) in self.parked.iter().zip(workers).take(parts - 1) {
            if parked.0.load(Ordering::Relaxed) && parked.0.swap(false, Ordering::Relaxed) {
                worker.thread().unpark();
            }
        }
        INSIDE.set(true);
        self.take_parts();
        INSIDE.set(false);
        self.wait();
        let panic = self.panic.lock().expect("[pool] the panic slot is never held across a panic").take();
        self.busy.store(false, Ordering::Release);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Run parts until none is left.
    fn take_parts(&self) {
        let mut done = 0;
        while has_parts(self.word.0.load(Ordering::Relaxed)) {
            let word = self.word.0.fetch_add(1, Ordering::Acquire);
            if !has_parts(word) {
                break;
            }
            // SAFETY: we hold a part of the region in `word`, so the region has not ended and `work` is its closure.
            let work = unsafe { (*self.work.get()).expect("[pool] a published region has its closure") };
            let part = (word & FIELD_MASK) as usize;
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(part))) {
                self.panic.lock().expect("[pool] the panic slot is never held across a panic").get_or_insert(payload);
            }
            done += 1;
        }
        if done > 0 && self.remaining.0.fetch_sub(done, Ordering::SeqCst) == done && self.waiting.load(Ordering::SeqCst)
        {
            let caller = self.caller.lock().expect("[pool] the caller slot is never held across a panic");
            if let Some(caller) = caller.as_ref() {
                caller.unpark();
            }
        }
    }

    /// Wait until the parts that workers hold are done.
    fn wait(&self) {
        let done = || self.remaining.0.load(Ordering::Acquire) == 0;
        let mut cursor = Cursor::default();
        for _ in 0..WAIT_SPINS {
            if done() {
                return;
            }
            self.ahead.ask(0, &mut cursor);
            std::hint::spin_loop();
        }
        for _ in 0..WAIT_YIELDS {
            if done() {
                return;
            }
            std::thread::yield_now();
        }
        *self.caller.lock().expect("[pool] the caller slot is never held across a panic") =
            Some(std::thread::current());
        self.waiting.store(true, Ordering::SeqCst);
        while self.remaining.0.load(Ordering::SeqCst) != 0 {
            std::thread::park();
        }
        self.waiting.store(false, Ordering::Relaxed);
    }

    fn worker(&self, index: usize) {
        INSIDE.set(true);
        let idle = || !has_parts(self.word.0.load(Ordering::Relaxed));
        let (mut looks, mut cursor) = (0, Cursor::default());
        while !self.quit.load(Ordering::Relaxed) {
            if !idle() {
                self.take_parts();
                looks = 0;
                continue;
            }
            looks += 1;
            if looks < IDLE_SPINS {
                self.ahead.ask(index + 1, &mut cursor);
                std::hint::spin_loop();
            } else if looks < IDLE_SPINS + IDLE_YIELDS {
                std::thread::yield_now();
            } else {
                self.park(index, idle);
                looks = 0;
            }
        }
    }

    fn park(&self, index: usize, idle: impl Fn() -> bool) {
        let parked = &self.parked[index].0;
        parked.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        while idle() && parked.load(Ordering::Relaxed) && !self.quit.load(Ordering::Acquire) {
            std::thread::park();
        }
        parked.store(false, Ordering::Relaxed);
    }
}

/// Linux: distinct sets of sibling threads among the processors. `None` where there is no sysfs.
fn sysfs_cores() -> Option<usize> {
    let mut cores = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        if let Ok(siblings) = std::fs::read_to_string(entry.path().join("topology/thread_siblings_list")) {
            cores.insert(siblings);
        }
    }
    (!cores.is_empty()).then_some(cores.len())
}

#[cfg(target_os = "macos")]
fn performance_cores() -> Option<usize> {
    unsafe extern "C" {
        fn sysctlbyname(
            name: *const std::ffi::c_char,
            old: *mut std::ffi::c_void,
            old_len: *mut usize,
            new: *mut std::ffi::c_void,
            new_len: usize,
        ) -> std::ffi::c_int;
    }
    let mut count: i32 = 0;
    let mut len = size_of::<i32>();
    // SAFETY: the name is a C string, and `count` and `len` describe a buffer of four bytes.
    let status = unsafe {
        sysctlbyname(
            c"hw.perflevel0.physicalcpu".as_ptr(),
            (&raw mut count).cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    (status == 0 && count > 0).then_some(count as usize)
}

#[cfg(not(target_os = "macos"))]
fn performance_cores() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads);
            for parts in [0, 1, 2, 3, 17, 1000] {
                let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                pool.run(parts, &|part| {
                    counts[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|count| count.load(Ordering::Relaxed) == 1),
                    "{threads} threads {parts} parts"
                );
            }
        }
    }

    #[test]
    fn many_regions_with_pauses_between() {
        let pool = Pool::new(4);
        let total = AtomicUsize::new(0);
        for region in 0..20_000 {
            pool.run(5, &|part| {
                total.fetch_add(part + region % 3, Ordering::Relaxed);
            });
            if region % 4_000 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
        }
        let expected: usize = (0..20_000).map(|region| 10 + 5 * (region % 3)).sum();
        assert_eq!(total.load(Ordering::Relaxed), expected);
    }

    #[test]
    fn nested_and_concurrent_regions() {
        let pool = Pool::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(4, &|_| {
                            pool.run(3, &|part| {
                                total.fetch_add(part, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 3 * 200 * 4 * 3);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives() {
        let pool = Pool::new(3);
        for _ in 0..10 {
            let finished = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(20, &|part| {
                    assert!(part != 7, "part seven");
                    finished.fetch_add(1, Ordering::Relaxed);
                });
            }));
            let payload = result.expect_err("the panic must be passed on");
            assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("part seven")));
            assert_eq!(finished.load(Ordering::Relaxed), 19);
        }
    }

    #[test]
    fn slow_parts_make_the_caller_park() {
        let pool = Pool::new(2);
        let done = AtomicUsize::new(0);
        for _ in 0..5 {
            pool.run(2, &|part| {
                std::thread::sleep(std::time::Duration::from_millis(if part == 0 { 1 } else { 20 }));
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(done.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn blocks_and_chunks_cover_everything() {
        let pool = Pool::new(2);
        let seen: Vec<AtomicUsize> = (0..103).map(|_| AtomicUsize::new(0)).collect();
        pool.run_blocks(103, 10, |range| {
            for index in range {
                seen[index].fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        let mut data = vec![0; 103];
        pool.run_chunks(&mut data, 10, |index, chunk| chunk.fill(index));
        assert!(data.iter().enumerate().all(|(index, &value)| value == index / 10));
        assert!(physical_cores() >= 1);
    }
}
