//! Pipelines of one wgpu device: kernels specialised, compiled, and kept.
//!
//! A binding may be read by a kernel while another binding of the same buffer is written (two slices of one arena); such
//! bindings are all declared as written, which makes another variant of the pipeline. What a list lacks is compiled by all
//! cores at once, for a model's first step needs some fifty kernels and a driver takes up to a second for one. Invariant:
//! nobody waits for a compilation but who needs it. Read next: `runtime`, `crate::wgsl`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;

use super::{block_on, lock};
use crate::device::{Command, Kernel};
use crate::error::GpuError;
use crate::wgsl;

/// A compiled kernel and how its buffers are bound.
pub(super) struct Pipeline {
    pub(super) pipeline: ::wgpu::ComputePipeline,
    pub(super) layout: ::wgpu::BindGroupLayout,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kernel: Kernel,
    /// Bindings that share a buffer with a written one; empty where the kernel itself writes them all.
    also_written: SmallVec<[bool; 10]>,
}

/// All pipelines of a device.
pub(super) struct Pipelines {
    device: ::wgpu::Device,
    made: Mutex<HashMap<Key, Arc<Pipeline>>>,
    /// Which bindings a kernel writes.
    writes: Mutex<HashMap<Kernel, Arc<[bool]>>>,
}

impl Pipelines {
    pub(super) fn new(device: ::wgpu::Device) -> Pipelines {
        Pipelines { device, made: Mutex::default(), writes: Mutex::default() }
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.made).len()
    }

    /// Those of `commands`; none for what is no dispatch.
    pub(super) fn of(&self, commands: &[Cow<Command>]) -> Result<Vec<Option<Arc<Pipeline>>>, GpuError> {
        let keys: Vec<Option<Key>> = commands.iter().map(|command| self.key(command)).collect::<Result<_, _>>()?;
        let missing: Vec<&Key> = {
            let made = lock(&self.made);
            let mut seen = HashSet::new();
            keys.iter().flatten().filter(|key| !made.contains_key(key) && seen.insert(*key)).collect()
        };
        self.make(&missing)?;
        let made = lock(&self.made);
        Ok(keys.iter().map(|key| key.as_ref().map(|key| made[key].clone())).collect())
    }

    fn key(&self, command: &Command) -> Result<Option<Key>, GpuError> {
        let Command::Dispatch { kernel, buffers, .. } = command else { return Ok(None) };
        let writes = self.writes(kernel)?;
        if writes.len() != buffers.len() {
            let reason = format!("{} buffers instead of {}", buffers.len(), writes.len());
            return Err(GpuError::Kernel { kernel: kernel.name.to_string(), reason });
        }
        let handle = |index: usize| buffers[index].allocation().handle;
        let is_written = |index: usize| (0..writes.len()).any(|other| writes[other] && handle(other) == handle(index));
        let mut also_written: SmallVec<[bool; 10]> = (0..writes.len()).map(is_written).collect();
        if also_written[..] == writes[..] {
            also_written.clear();
        }
        Ok(Some(Key { kernel: kernel.clone(), also_written }))
    }

    fn writes(&self, kernel: &Kernel) -> Result<Arc<[bool]>, GpuError> {
        if let Some(writes) = lock(&self.writes).get(kernel) {
            return Ok(writes.clone());
        }
        let writes: Arc<[bool]> = wgsl::module(kernel, &[])?.writes.into();
        lock(&self.writes).insert(kernel.clone(), writes.clone());
        Ok(writes)
    }

    /// Compile `keys`, each on one of the threads.
    fn make(&self, keys: &[&Key]) -> Result<(), GpuError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), GpuError> {
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                let pipeline = Arc::new(self.compile(key)?);
                // Another list may have been first.
                lock(&self.made).entry((*key).clone()).or_insert(pipeline);
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(keys.len());
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let joined =
                others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.fold(own, Result::and)
        })
    }

    fn compile(&self, key: &Key) -> Result<Pipeline, GpuError> {
        let module = wgsl::module(&key.kernel, &key.also_written)?;
        let invalid = self.device.push_error_scope(::wgpu::ErrorFilter::Validation);
        let entries: Vec<::wgpu::BindGroupLayoutEntry> = (0..module.writes.len())
            .map(|index| {
                let written = module.writes[index] || key.also_written.get(index).copied().unwrap_or(false);
                ::wgpu::BindGroupLayoutEntry {
                    binding: index as u32,
                    visibility: ::wgpu::ShaderStages::COMPUTE,
                    ty: ::wgpu::BindingType::Buffer {
                        ty: ::wgpu::BufferBindingType::Storage { read_only: !written },
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                }
            })
            .collect();
        let descriptor = ::wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
        let layout = self.device.create_bind_group_layout(&descriptor);
        let pipeline_layout = self.device.create_pipeline_layout(&::wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: if module.text.contains("var<immediate>") { 64 } else { 0 },
        });
        let descriptor = ::wgpu::ShaderModuleDescriptor {
            label: Some(key.kernel.name),
            source: ::wgpu::ShaderSource::Wgsl(module.text.into()),
        };
        // SAFETY: our own kernels stay inside their bindings, whatever their tables hold that an op made, and end.
        let shader =
            unsafe { self.device.create_shader_module_trusted(descriptor, ::wgpu::ShaderRuntimeChecks::unchecked()) };
        let pipeline = self.device.create_compute_pipeline(&::wgpu::ComputePipelineDescriptor {
            label: Some(key.kernel.name),
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some("main"),
            compilation_options: ::wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        match block_on(invalid.pop()) {
            Some(error) => Err(GpuError::Kernel { kernel: key.kernel.name.to_string(), reason: error.to_string() }),
            None => Ok(Pipeline { pipeline, layout }),
        }
    }
}
