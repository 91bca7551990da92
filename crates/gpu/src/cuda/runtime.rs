//! Memory, kernels and lists on one CUDA device.
//!
//! One stream runs everything in order; kernels overlap their beginnings where the device can do that. A recorded list
//! becomes a graph. Invariant: after the device is lost every method returns the reason. Read next: `launch`.

use std::collections::HashMap;
use std::ffi::CString;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::driver::{Attribute, Context, Driver, Function, Graph};
use super::image;
use super::launch;
use super::plan::{AWAITED_BYTES, Chip, MOST_AWAITED, On, Step, address};
use crate::device::{
    ALIGNMENT, Allocation, Backend, Counters, Device, Info, Limits, List, MatrixShape, Memory, Recording, Replay,
};
use crate::error::GpuError;

/// Numbers of opened devices; those of other runtimes never meet these.
static DEVICES: AtomicU64 = AtomicU64::new(1 << 32);

/// A device of NVIDIA's driver.
pub struct Cuda {
    info: Info,
    shared: Arc<Shared>,
}

/// What recordings need too.
struct Shared {
    name: String,
    number: u64,
    context: Context,
    chip: Chip,
    memory_bytes: u64,
    /// What lists know as [`On::awaited`].
    awaited: u64,
    /// Held while work is started, so that no other thread's work comes between.
    kernels: Mutex<Kernels>,
    memory: Arc<Used>,
    lost: Mutex<Option<String>>,
    submissions: AtomicU64,
    dispatches: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
}

#[derive(Default)]
struct Kernels {
    modules: HashMap<&'static str, u64>,
    functions: HashMap<String, Function>,
    /// Memory between the kernels of one command, for lists that are not recorded.
    scratch: (u64, u64),
}

#[derive(Default)]
struct Used {
    allocated: AtomicU64,
    peak: AtomicU64,
    spare: Mutex<Spare>,
}

/// Memory that was given back, by size, for whoever asks for the same again: the driver waits for the device when it takes
/// some back. All work is done in one order, so what a new owner starts comes after the old one's.
#[derive(Default)]
struct Spare {
    blocks: HashMap<u64, Vec<u64>>,
    bytes: u64,
}

/// How much of the device's memory may be spare.
const SPARE_SHARE: u64 = 32;

struct Recorded {
    shared: Arc<Shared>,
    graph: Graph,
    dispatches: u64,
    scratch: u64,
    /// Keeps the memory.
    _list: List,
}

impl Cuda {
    pub(super) fn open(driver: Driver, number: usize) -> Result<Cuda, GpuError> {
        let device = format!("CUDA device {number}");
        let unusable = |reason: String| GpuError::Unusable { device: device.clone(), reason };
        let version = driver.version();
        if version < 12_000 {
            let found = format!("its driver is for CUDA {}.{}, 12.0 is needed", version / 1000, version % 1000 / 10);
            return Err(unusable(found));
        }
        let context = driver.open(number).map_err(&unusable)?;
        let name = context.name().map_err(&unusable)?;
        let get = |attribute| context.attribute(attribute).map_err(&unusable);
        let chip = Chip {
            major: get(Attribute::Major)?,
            minor: get(Attribute::Minor)?,
            multiprocessors: get(Attribute::Multiprocessors)?,
            shared_bytes: get(Attribute::SharedBytes)?,
        };
        if image::cubin("plain", chip.major, chip.minor).is_none() {
            let found = format!("no kernels for compute capability {}.{}", chip.major, chip.minor);
            return Err(unusable(format!("{found}; there are some for 8.x, 9.0 and 12.x")));
        }
        let memory_bytes = context.memory().map_err(&unusable)?;
        let info = Info {
            backend: Backend::Cuda,
            name: name.clone(),
            driver: format!("CUDA {}.{}", version / 1000, version % 1000 / 10),
            software: false,
            unified: false,
            memory_bytes: Some(memory_bytes),
            subgroup: (32, 32),
            matrices: vec![MatrixShape { m: 16, n: 8, k: 16 }],
            limits: Limits {
                allocation_bytes: memory_bytes,
                binding_bytes: memory_bytes,
                groups: 65_535,
                threads: 1024,
                shared_bytes: chip.shared_bytes,
            },
        };
        let awaited = vec![0xff; (AWAITED_BYTES * MOST_AWAITED) as usize];
        let words = context.allocate(awaited.len()).map_err(&unusable)?;
        context.upload(words, &awaited).map_err(&unusable)?;
        let shared = Shared {
            name,
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            context,
            chip,
            memory_bytes,
            awaited: words,
            kernels: Mutex::default(),
            memory: Arc::default(),
            lost: Mutex::default(),
            submissions: AtomicU64::new(0),
            dispatches: AtomicU64::new(0),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
        };
        Ok(Cuda { info, shared: Arc::new(shared) })
    }
}

impl Cuda {
    /// Let this device's kernels read and write the memory of another one. Whether the machine can do that.
    pub(super) fn reach(&self, other: &Cuda) -> Result<bool, GpuError> {
        let unusable = |reason: String| GpuError::Unusable { device: self.shared.name.clone(), reason };
        self.shared.context.reach(&other.shared.context).map_err(unusable)
    }
}

impl Device for Cuda {
    fn info(&self) -> &Info {
        &self.info
    }

    fn allocate(&self, bytes: u64) -> Result<Memory, GpuError> {
        let shared = &self.shared;
        shared.check()?;
        let size = bytes.max(4).next_multiple_of(ALIGNMENT);
        let handle = shared.take_spare(size).map_or_else(|| shared.allocate_anew(size), Ok);
        let handle = handle.map_err(|reason| GpuError::Memory { device: shared.name.clone(), bytes, reason })?;
        let used = &shared.memory;
        let now = used.allocated.fetch_add(size, Ordering::Relaxed) + size;
        used.peak.fetch_max(now, Ordering::Relaxed);
        let owner = shared.clone();
        let release = Box::new(move |handle| {
            owner.give_back(handle, size);
            owner.memory.allocated.fetch_sub(size, Ordering::Relaxed);
        });
        Ok(Memory::new(Allocation { device: shared.number, handle, bytes: size, release, cards: Vec::new() })
            .slice(0, bytes))
    }

    fn import(&self, owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Result<Memory, GpuError> {
        let bytes = &(*owner).as_ref()[range];
        let memory = self.allocate(bytes.len() as u64)?;
        self.write(&memory, 0, bytes)?;
        Ok(memory)
    }

    fn write(&self, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let shared = &self.shared;
        shared.check()?;
        assert!(offset + bytes.len() as u64 <= to.bytes(), "[write] {} bytes at {offset} of {to:?}", bytes.len());
        let _order = lock(&shared.kernels);
        shared.done(shared.context.upload(address(to) + offset, bytes))?;
        shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        let shared = &self.shared;
        shared.check()?;
        assert!(offset + bytes.len() as u64 <= from.bytes(), "[read] {} bytes at {offset} of {from:?}", bytes.len());
        shared.done(shared.context.download(address(from) + offset, bytes))?;
        shared.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn submit(&self, list: &List) -> Result<(), GpuError> {
        let shared = &self.shared;
        shared.check()?;
        let mut kernels = lock(&shared.kernels);
        let steps = launch::steps(&shared.on(), list, |needed| {
            if needed > kernels.scratch.1 {
                // The old one is in use until everything before is done.
                shared.done(shared.context.synchronize())?;
                shared.context.free(std::mem::take(&mut kernels.scratch).0);
                let room = needed.next_power_of_two();
                let fail = |reason| GpuError::Memory { device: shared.name.clone(), bytes: room, reason };
                kernels.scratch = (shared.context.allocate(room as usize).map_err(fail)?, room);
            }
            Ok(kernels.scratch.0)
        })?;
        // Kernels are loaded before: the driver may wait for the device then, and a kernel that waits for another card
        // would never end.
        for step in &steps {
            if let Step::Launch { name, .. } = step {
                shared.function(&mut kernels, name)?;
            }
        }
        for step in steps {
            shared.start(&mut kernels, step, false)?;
        }
        shared.submissions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn record(&self, list: List) -> Result<Recording, GpuError> {
        let shared = &self.shared;
        shared.check()?;
        let mut scratch = 0;
        let steps = launch::steps(&shared.on(), &list, |needed| {
            shared.context.free(std::mem::take(&mut scratch));
            let fail = |reason| GpuError::Memory { device: shared.name.clone(), bytes: needed, reason };
            scratch = shared.context.allocate(needed.max(ALIGNMENT) as usize).map_err(fail)?;
            Ok(scratch)
        })?;
        let mut kernels = lock(&shared.kernels);
        // Kernels are loaded before: a graph records none of that.
        for step in &steps {
            if let Step::Launch { name, .. } = step {
                shared.function(&mut kernels, name)?;
            }
        }
        let dispatches = steps.iter().filter(|step| matches!(step, Step::Launch { .. })).count() as u64;
        let mut failure = None;
        let graph = shared.context.record(|| {
            steps.into_iter().try_for_each(|step| {
                let started = shared.start(&mut kernels, step, true);
                started.map_err(|error| {
                    let text = error.to_string();
                    failure = Some(error);
                    text
                })
            })
        });
        match (graph, failure) {
            (Ok(graph), _) => {
                Ok(Box::new(Recorded { shared: shared.clone(), graph, dispatches, scratch, _list: list }))
            }
            (Err(_), Some(error)) => Err(error),
            (Err(reason), None) => Err(GpuError::Kernel { kernel: "a recorded list".to_string(), reason }),
        }
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.shared.check()?;
        self.shared.done(self.shared.context.synchronize())
    }

    fn counters(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = &self.shared;
        Counters {
            submissions: get(&shared.submissions),
            dispatches: get(&shared.dispatches),
            written_bytes: get(&shared.written),
            read_bytes: get(&shared.read),
            allocated_bytes: get(&shared.memory.allocated),
            peak_bytes: get(&shared.memory.peak),
            pipelines: lock(&shared.kernels).functions.len() as u64,
        }
    }

    fn simulate_loss(&self) {
        lock(&self.shared.lost).get_or_insert("simulated".to_string());
    }
}

impl Replay for Recorded {
    fn replay(&self) -> Result<(), GpuError> {
        let shared = &self.shared;
        shared.check()?;
        let _order = lock(&shared.kernels);
        shared.done(shared.context.replay(&self.graph))?;
        shared.submissions.fetch_add(1, Ordering::Relaxed);
        shared.dispatches.fetch_add(self.dispatches, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // A graph may not go while it runs; an error here has been met by whoever waited for it.
        let _ = self.shared.context.synchronize();
        self.shared.context.forget(&self.graph);
        self.shared.context.free(self.scratch);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.free_spare(&mut lock(&self.memory.spare));
        self.context.free(self.awaited);
    }
}

impl Shared {
    fn on(&self) -> On<'_> {
        On { context: &self.context, chip: self.chip, awaited: self.awaited }
    }

    fn take_spare(&self, size: u64) -> Option<u64> {
        let mut spare = lock(&self.memory.spare);
        let handle = spare.blocks.get_mut(&size)?.pop()?;
        spare.bytes -= size;
        Some(handle)
    }

    /// From the driver, which gets everything spare back where it has too little.
    fn allocate_anew(&self, size: u64) -> Result<u64, String> {
        self.context.allocate(size as usize).or_else(|_| {
            self.free_spare(&mut lock(&self.memory.spare));
            self.context.allocate(size as usize)
        })
    }

    fn give_back(&self, handle: u64, size: u64) {
        let most = self.memory_bytes / SPARE_SHARE;
        if size > most / 2 {
            return self.context.free(handle);
        }
        let mut spare = lock(&self.memory.spare);
        if spare.bytes + size > most {
            self.free_spare(&mut spare);
        }
        spare.blocks.entry(size).or_default().push(handle);
        spare.bytes += size;
    }

    fn free_spare(&self, spare: &mut Spare) {
        std::mem::take(spare).blocks.into_values().flatten().for_each(|handle| self.context.free(handle));
    }

    fn check(&self) -> Result<(), GpuError> {
        match lock(&self.lost).clone() {
            None => Ok(()),
            Some(reason) => Err(GpuError::Lost { device: self.name.clone(), reason }),
        }
    }

    /// A failure of a call that only a lost device or a broken kernel makes.
    fn done(&self, result: Result<(), String>) -> Result<(), GpuError> {
        result.map_err(|reason| {
            let reason = lock(&self.lost).get_or_insert(reason).clone();
            GpuError::Lost { device: self.name.clone(), reason }
        })
    }

    fn function(&self, kernels: &mut Kernels, name: &str) -> Result<Function, GpuError> {
        if let Some(&function) = kernels.functions.get(name) {
            return Ok(function);
        }
        let fail = |reason: String| GpuError::Kernel { kernel: name.to_string(), reason };
        let source = source_of(name);
        let module = match kernels.modules.get(source) {
            Some(&module) => module,
            None => {
                let cubin = image::cubin(source, self.chip.major, self.chip.minor);
                let cubin = cubin.ok_or_else(|| fail("it is not compiled for this device".to_string()))?;
                let module = self.context.module(&cubin).map_err(fail)?;
                kernels.modules.insert(source, module);
                module
            }
        };
        let symbol = CString::new(name).expect("kernels have names without zeros");
        // What a kernel has of its own comes on top: 16 KiB leaves room for it.
        let room = self.chip.shared_bytes.saturating_sub(if dynamic_only(name) { 0 } else { 16 * 1024 });
        let function = self.context.function(module, &symbol, room).map_err(fail)?;
        kernels.functions.insert(name.to_string(), function);
        Ok(function)
    }

    fn start(&self, kernels: &mut Kernels, step: Step, capture: bool) -> Result<(), GpuError> {
        match step {
            Step::Launch { name, shape, mut arguments } => {
                let function = self.function(kernels, &name)?;
                let started = self.context.launch(function, &shape, &mut arguments, capture);
                started.map_err(|reason| GpuError::Kernel { kernel: name.to_string(), reason })?;
                if !capture {
                    self.dispatches.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Step::Copy { to, from, bytes } => self.done(self.context.copy(to, from, bytes as usize, capture)),
        }
    }
}

/// Kernels of `attention_step.cu`.
const ATTENTION_STEP: [&str; 4] = ["attention_step", "attention_leaving", "attention_lone", "attention_long"];

/// The source that has a kernel.
fn source_of(name: &str) -> &'static str {
    let sources: [(&[&str], &str); 19] = [
        (&["few"], "few"),
        (&["team"], "team"),
        (&["some"], "some"),
        (&["rows_apart"], "rows_apart"),
        (&["rows_"], "rows"),
        (&["unpack", "embed"], "unpack"),
        (&ATTENTION_STEP, "attention_step"),
        (&["attention_prompt"], "attention_prompt"),
        (&["attention"], "attention"),
        (&["gemm"], "gemm"),
        (&["chosen"], "chosen"),
        (&["experts8"], "experts_few"),
        (&["own"], "experts_own"),
        (&["experts"], "experts"),
        (&["route", "sort_pairs", "expert_offsets", "spread", "mix", "product_f32"], "moe"),
        (&["convolution", "delta"], "recurrent"),
        (&["greatest"], "greatest"),
        (&["cards"], "cards"),
        (&["sort_values", "sort_apart", "sort_ends", "sort_taken", "scan", "random"], "sequences"),
    ];
    let found = sources.iter().find(|(prefixes, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    found.map_or("plain", |(_, source)| source)
}

/// Kernels all of whose shared memory is asked for at the start.
fn dynamic_only(name: &str) -> bool {
    let prefixes = ["few", "team", "some", "gemm", "experts", "own", "attention_prompt"];
    prefixes.iter().chain(&ATTENTION_STEP).any(|prefix| name.starts_with(prefix))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
