//! Memory and lists on one wgpu device.
//!
//! wgpu puts the barriers: each dispatch sees what earlier ones wrote. Invariant: after the device is lost every method
//! returns the reason. Read next: `pipelines`, `products`.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::memory::Buffers;
use super::pipelines::{Pipeline, Pipelines};
use super::products::{self, Shape};
use super::{block_on, lock, native};
use crate::device::{ALIGNMENT, Allocation, Backend, Command, Counters, Device, Info, List, Memory, Recording, Replay};
use crate::error::GpuError;

/// Bytes that are handed to the queue before it is waited for, so that staging memory stays small.
const UPLOAD_BYTES: u64 = 64 << 20;

/// How long a thread that waits asks again and again before it sleeps: to be woken takes it longer than several dispatches do.
const AWAKE: Duration = Duration::from_millis(20);

/// Numbers of opened devices.
static DEVICES: AtomicU64 = AtomicU64::new(1);

/// A device of wgpu.
pub struct Wgpu {
    info: Info,
    shared: Arc<Shared>,
}

/// What recordings need too.
struct Shared {
    name: String,
    number: u64,
    device: ::wgpu::Device,
    queue: ::wgpu::Queue,
    buffers: Arc<Buffers>,
    pipelines: Pipelines,
    allocation_bytes: u64,
    binding_bytes: u64,
    /// Whether who waits stays awake for a while: where neither what is waited for nor a battery suffers from it.
    is_awake: bool,
    failure: Arc<Mutex<Option<Failure>>>,
    staging: Mutex<Option<::wgpu::Buffer>>,
    /// How products are done, and memory for their inputs; commands run in order, so that all may share it.
    shape: Shape,
    scratch: Mutex<Option<Memory>>,
    submissions: AtomicU64,
    dispatches: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
    unflushed: AtomicU64,
}

#[derive(Clone, Debug)]
enum Failure {
    Lost(String),
    Error(String),
}

/// A command with everything looked up.
enum Step {
    Dispatch { pipeline: Arc<Pipeline>, group: ::wgpu::BindGroup, params: Vec<u32>, groups: [u32; 3] },
    Copy { from: ::wgpu::Buffer, from_offset: u64, to: ::wgpu::Buffer, to_offset: u64, bytes: u64 },
}

struct Recorded {
    shared: Arc<Shared>,
    steps: Vec<Step>,
    next: Mutex<Next>,
    /// Keeps the memory.
    _list: List,
}

/// What a recording knows of its next replay: encoding takes about as long as a small model's step, so that of a list that
/// has come back is done while the device still works on the one before.
enum Next {
    First,
    Again,
    Encoded(::wgpu::CommandBuffer),
}

impl Wgpu {
    /// Over an open device.
    pub(super) fn new(info: Info, device: ::wgpu::Device, queue: ::wgpu::Queue) -> Wgpu {
        let failure = Arc::new(Mutex::new(None));
        let lost = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            let text = if message.is_empty() { format!("{reason:?}") } else { message };
            lock(&lost).get_or_insert(Failure::Lost(text));
        });
        let error = failure.clone();
        device.on_uncaptured_error(Arc::new(move |message: ::wgpu::Error| {
            lock(&error).get_or_insert(Failure::Error(message.to_string()));
        }));
        let shared = Shared {
            name: info.name.clone(),
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            pipelines: Pipelines::new(device.clone()),
            device,
            queue,
            buffers: Arc::default(),
            allocation_bytes: info.limits.allocation_bytes,
            binding_bytes: info.limits.binding_bytes,
            is_awake: info.backend == Backend::Vulkan && !info.software,
            failure,
            staging: Mutex::default(),
            shape: Shape::of(&info),
            scratch: Mutex::default(),
            submissions: AtomicU64::new(0),
            dispatches: AtomicU64::new(0),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            unflushed: AtomicU64::new(0),
        };
        Wgpu { info, shared: Arc::new(shared) }
    }
}

impl Device for Wgpu {
    fn info(&self) -> &Info {
        &self.info
    }

    fn allocate(&self, bytes: u64) -> Result<Memory, GpuError> {
        self.shared.allocate(bytes)
    }

    fn import(&self, owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Result<Memory, GpuError> {
        self.shared.check()?;
        if let Some(buffer) = native::import(&self.shared.device, &owner, range.clone()) {
            return Ok(self.shared.memory(buffer));
        }
        let bytes = &(*owner).as_ref()[range];
        let memory = self.allocate(bytes.len() as u64)?;
        let whole = bytes.len() / 4 * 4;
        self.write(&memory, 0, &bytes[..whole])?;
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            // The allocation is longer than what was asked for.
            let buffer = self.shared.buffers.get(memory.allocation().handle);
            self.shared.queue.write_buffer(&buffer, whole as u64, &last);
        }
        Ok(memory)
    }

    fn write(&self, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let shared = &self.shared;
        shared.check()?;
        assert!(offset + bytes.len() as u64 <= to.bytes(), "[write] {} bytes at {offset} of {to:?}", bytes.len());
        let buffer = shared.buffers.get(to.allocation().handle);
        let mut at = to.offset() + offset;
        for part in bytes.chunks(UPLOAD_BYTES as usize) {
            shared.queue.write_buffer(&buffer, at, part);
            at += part.len() as u64;
            if shared.unflushed.fetch_add(part.len() as u64, Ordering::Relaxed) + part.len() as u64 > UPLOAD_BYTES {
                shared.queue.submit([]);
                shared.wait()?;
                shared.unflushed.store(0, Ordering::Relaxed);
            }
        }
        shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        shared.check()
    }

    fn read(&self, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return self.wait();
        }
        self.shared.read(&[], from, offset, bytes)
    }

    fn submit_and_read(&self, list: &List, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        let steps = self.shared.prepare(list)?;
        self.shared.read(&steps, from, offset, bytes)
    }

    fn submit(&self, list: &List) -> Result<(), GpuError> {
        let steps = self.shared.prepare(list)?;
        self.shared.run(self.shared.encode(&steps), &steps)
    }

    fn record(&self, list: List) -> Result<Recording, GpuError> {
        let steps = self.shared.prepare(&list)?;
        Ok(Box::new(Recorded { shared: self.shared.clone(), steps, next: Mutex::new(Next::First), _list: list }))
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.shared.wait()
    }

    fn counters(&self) -> Counters {
        let shared = &self.shared;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            submissions: get(&shared.submissions),
            dispatches: get(&shared.dispatches),
            written_bytes: get(&shared.written),
            read_bytes: get(&shared.read),
            allocated_bytes: get(&shared.buffers.allocated),
            peak_bytes: get(&shared.buffers.peak),
            pipelines: shared.pipelines.count() as u64,
        }
    }

    fn simulate_loss(&self) {
        lock(&self.shared.failure).get_or_insert(Failure::Lost("simulated".to_string()));
    }
}

impl Replay for Recorded {
    fn replay(&self) -> Result<(), GpuError> {
        self.shared.check()?;
        let mut next = lock(&self.next);
        match std::mem::replace(&mut *next, Next::Again) {
            Next::First => self.shared.run(self.shared.encode(&self.steps), &self.steps),
            Next::Again => {
                self.shared.run(self.shared.encode(&self.steps), &self.steps)?;
                *next = Next::Encoded(self.shared.encode(&self.steps));
                Ok(())
            }
            Next::Encoded(commands) => {
                self.shared.run(commands, &self.steps)?;
                *next = Next::Encoded(self.shared.encode(&self.steps));
                Ok(())
            }
        }
    }
}

impl Shared {
    /// An error once something has gone wrong.
    fn check(&self) -> Result<(), GpuError> {
        match lock(&self.failure).clone() {
            None => Ok(()),
            Some(Failure::Lost(reason)) => Err(GpuError::Lost { device: self.name.clone(), reason }),
            Some(Failure::Error(reason)) => Err(GpuError::Unusable { device: self.name.clone(), reason }),
        }
    }

    fn allocate(&self, bytes: u64) -> Result<Memory, GpuError> {
        self.check()?;
        let fail = |reason: String| GpuError::Memory { device: self.name.clone(), bytes, reason };
        let size = bytes.max(4).next_multiple_of(ALIGNMENT);
        if size > self.allocation_bytes {
            return Err(fail(format!("one allocation holds at most {}", self.allocation_bytes)));
        }
        let out_of_memory = self.device.push_error_scope(::wgpu::ErrorFilter::OutOfMemory);
        let usage = ::wgpu::BufferUsages::STORAGE | ::wgpu::BufferUsages::COPY_SRC | ::wgpu::BufferUsages::COPY_DST;
        let descriptor = ::wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        if let Some(error) = block_on(out_of_memory.pop()) {
            return Err(fail(error.to_string()));
        }
        self.check()?;
        Ok(self.memory(buffer).slice(0, bytes))
    }

    /// Memory for inputs of products. What was recorded keeps the smaller one that it began with.
    fn scratch(&self, bytes: u64) -> Result<Memory, GpuError> {
        let mut scratch = lock(&self.scratch);
        if scratch.as_ref().is_none_or(|memory| memory.bytes() < bytes) {
            *scratch = Some(self.allocate(bytes)?);
        }
        Ok(scratch.as_ref().expect("made above").clone())
    }

    fn memory(&self, buffer: ::wgpu::Buffer) -> Memory {
        let bytes = buffer.size();
        let handle = self.buffers.insert(buffer);
        let buffers = self.buffers.clone();
        let release = Box::new(move |handle| buffers.remove(handle));
        Memory::new(Allocation { device: self.number, handle, bytes, release, cards: Vec::new() })
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.check()?;
        let start = Instant::now();
        while self.is_awake && start.elapsed() < AWAKE {
            match self.device.poll(::wgpu::PollType::Poll) {
                Ok(status) if status.is_queue_empty() => return self.check(),
                Ok(_) => std::hint::spin_loop(),
                Err(_) => break,
            }
        }
        if let Err(error) = self.device.poll(::wgpu::PollType::wait_indefinitely()) {
            lock(&self.failure).get_or_insert(Failure::Lost(error.to_string()));
        }
        self.check()
    }

    /// Bring bytes back behind the commands of `steps`.
    fn read(&self, steps: &[Step], from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        assert!(offset + bytes.len() as u64 <= from.bytes(), "[read] {} bytes at {offset} of {from:?}", bytes.len());
        self.check()?;
        let size = (bytes.len() as u64).next_multiple_of(4);
        let mut staging = lock(&self.staging);
        let buffer = match staging.take() {
            Some(buffer) if buffer.size() >= size => buffer,
            _ => self.device.create_buffer(&::wgpu::BufferDescriptor {
                label: None,
                size: size.next_power_of_two().max(4096),
                usage: ::wgpu::BufferUsages::MAP_READ | ::wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        };
        let mut encoder = self.device.create_command_encoder(&::wgpu::CommandEncoderDescriptor::default());
        encode(&mut encoder, steps);
        let source = self.buffers.get(from.allocation().handle);
        encoder.copy_buffer_to_buffer(&source, from.offset() + offset, &buffer, 0, size);
        match steps {
            [] => _ = self.queue.submit([encoder.finish()]),
            _ => self.run(encoder.finish(), steps)?,
        }
        buffer.map_async(::wgpu::MapMode::Read, ..size, |_| {});
        self.wait()?;
        let range = buffer.get_mapped_range(..size);
        let range = range.map_err(|error| GpuError::Lost { device: self.name.clone(), reason: error.to_string() })?;
        bytes.copy_from_slice(&range[..bytes.len()]);
        drop(range);
        buffer.unmap();
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // A large buffer is not kept: reads are of a few tokens or logits.
        *staging = (buffer.size() <= UPLOAD_BYTES).then_some(buffer);
        Ok(())
    }

    /// Look everything up.
    fn prepare(&self, list: &List) -> Result<Vec<Step>, GpuError> {
        self.check()?;
        let commands = products::rewrite(list, self.shape, &|bytes| self.scratch(bytes))?;
        let pipelines = self.pipelines.of(&commands)?;
        let steps = commands.iter().zip(pipelines).map(|(command, pipeline)| self.prepare_one(command, pipeline));
        let steps = steps.collect::<Result<_, _>>()?;
        self.check()?;
        Ok(steps)
    }

    fn prepare_one(&self, command: &Command, pipeline: Option<Arc<Pipeline>>) -> Result<Step, GpuError> {
        let (kernel, buffers, params, groups) = match command {
            Command::Copy { from, to } => {
                return Ok(Step::Copy {
                    from: self.buffers.get(from.allocation().handle),
                    from_offset: from.offset(),
                    to: self.buffers.get(to.allocation().handle),
                    to_offset: to.offset(),
                    bytes: from.bytes(),
                });
            }
            Command::Exchange { .. } => return Err(GpuError::one_card()),
            Command::Dispatch { kernel, buffers, params, groups } => (kernel, buffers, params, groups),
        };
        let fail = |reason: String| GpuError::Kernel { kernel: kernel.name.to_string(), reason };
        let pipeline = pipeline.expect("every dispatch has one");
        let live: Vec<::wgpu::Buffer> =
            buffers.iter().map(|memory| self.buffers.get(memory.allocation().handle)).collect();
        let mut entries = vec![];
        for (index, (memory, buffer)) in buffers.iter().zip(&live).enumerate() {
            let size = memory.bytes().next_multiple_of(16);
            if size > self.binding_bytes {
                return Err(fail(format!("buffer {index} of {size} bytes, the device binds {}", self.binding_bytes)));
            }
            let binding = ::wgpu::BufferBinding {
                buffer,
                offset: memory.offset(),
                size: Some(std::num::NonZero::new(size.max(16)).expect("at least 16")),
            };
            entries.push(::wgpu::BindGroupEntry {
                binding: index as u32,
                resource: ::wgpu::BindingResource::Buffer(binding),
            });
        }
        let descriptor = ::wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        let invalid = self.device.push_error_scope(::wgpu::ErrorFilter::Validation);
        let group = self.device.create_bind_group(&descriptor);
        if let Some(error) = block_on(invalid.pop()) {
            return Err(fail(error.to_string()));
        }
        Ok(Step::Dispatch { pipeline, group, params: params.clone(), groups: *groups })
    }

    fn encode(&self, steps: &[Step]) -> ::wgpu::CommandBuffer {
        let mut encoder = self.device.create_command_encoder(&::wgpu::CommandEncoderDescriptor::default());
        encode(&mut encoder, steps);
        encoder.finish()
    }

    /// Submit the commands of `steps`.
    fn run(&self, commands: ::wgpu::CommandBuffer, steps: &[Step]) -> Result<(), GpuError> {
        self.queue.submit([commands]);
        let dispatches = steps.iter().filter(|step| matches!(step, Step::Dispatch { .. })).count();
        self.dispatches.fetch_add(dispatches as u64, Ordering::Relaxed);
        self.unflushed.store(0, Ordering::Relaxed);
        self.submissions.fetch_add(1, Ordering::Relaxed);
        self.check()
    }
}

fn encode(encoder: &mut ::wgpu::CommandEncoder, steps: &[Step]) {
    let mut at = 0;
    while at < steps.len() {
        if let Step::Copy { from, from_offset, to, to_offset, bytes } = &steps[at] {
            encoder.copy_buffer_to_buffer(from, *from_offset, to, *to_offset, *bytes);
            at += 1;
            continue;
        }
        let mut pass = encoder.begin_compute_pass(&::wgpu::ComputePassDescriptor::default());
        let mut last: *const Pipeline = std::ptr::null();
        while let Some(Step::Dispatch { pipeline, group, params, groups }) = steps.get(at) {
            if !std::ptr::eq(last, &**pipeline) {
                pass.set_pipeline(&pipeline.pipeline);
                last = &**pipeline;
            }
            pass.set_bind_group(0, group, &[]);
            if !params.is_empty() {
                pass.set_immediates(0, bytemuck::cast_slice(params));
            }
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
            at += 1;
        }
    }
}
