//! The portable runtime: wgpu on Vulkan and Metal, with kernels in WGSL.
//!
//! Opened at run time: a machine without a driver gives an error, nothing else. Only immediates (parameters of a
//! dispatch) are required of a device; everything beyond is asked for where it is there. Read next: `runtime`.

mod attention;
mod joined;
mod lone;
mod memory;
#[cfg(target_vendor = "apple")]
#[path = "metal.rs"]
mod native;
#[cfg(not(target_vendor = "apple"))]
#[path = "vulkan.rs"]
mod native;
mod pipelines;
mod product;
pub mod products;
mod runtime;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::Choice;
use crate::device::{Backend, Device, Info, Limits, MatrixShape};
use crate::error::GpuError;

pub use runtime::Wgpu;

/// Open the device of `choice`, which is not a CUDA one.
pub fn open(choice: Choice) -> Result<Arc<dyn Device>, GpuError> {
    let backends = match choice {
        Choice::Vulkan(_) => ::wgpu::Backends::VULKAN,
        Choice::Metal => ::wgpu::Backends::METAL,
        Choice::Auto | Choice::Cuda(_) => ::wgpu::Backends::VULKAN | ::wgpu::Backends::METAL,
    };
    let adapters = adapters(backends);
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let found = if names.is_empty() { "no driver found".to_string() } else { format!("found {}", names.join(", ")) };
    let adapter = match choice {
        Choice::Vulkan(number) => adapters.into_iter().nth(number),
        // A program on the CPU is slower than the CPU's own kernels.
        _ => adapters.into_iter().find(|adapter| adapter.get_info().device_type != ::wgpu::DeviceType::Cpu),
    };
    let adapter = adapter.ok_or(GpuError::NotFound { choice, found })?;
    Ok(Arc::new(open_adapter(&adapter)?))
}

/// What kernels with matrices take; all others do without.
const FOR_MATRICES: ::wgpu::Features = ::wgpu::Features::SHADER_F16
    .union(::wgpu::Features::SUBGROUP)
    .union(::wgpu::Features::SUBGROUP_BARRIER)
    .union(::wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// Adapters of the backends, those with memory of their own first.
fn adapters(backends: ::wgpu::Backends) -> Vec<::wgpu::Adapter> {
    if !::wgpu::Instance::enabled_backend_features().intersects(backends) {
        return vec![];
    }
    let mut descriptor = ::wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = ::wgpu::InstanceFlags::empty();
    let instance = ::wgpu::Instance::new(descriptor);
    let mut adapters = block_on(instance.enumerate_adapters(backends));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        ::wgpu::DeviceType::DiscreteGpu => 0,
        ::wgpu::DeviceType::IntegratedGpu => 1,
        ::wgpu::DeviceType::VirtualGpu => 2,
        ::wgpu::DeviceType::Other => 3,
        ::wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

fn open_adapter(adapter: &::wgpu::Adapter) -> Result<Wgpu, GpuError> {
    let info = adapter.get_info();
    let unusable = |reason: String| GpuError::Unusable { device: info.name.clone(), reason };
    let there = adapter.features();
    let required = ::wgpu::Features::IMMEDIATES;
    if !there.contains(required) {
        return Err(unusable("its driver is too old: no immediate data".to_string()));
    }
    let mut features = required | (FOR_MATRICES & there);
    let backend = if info.backend == ::wgpu::Backend::Metal { Backend::Metal } else { Backend::Vulkan };
    let matrices = if products::wants_matrices(backend, &info) { matrices(adapter, features) } else { vec![] };
    if matrices.is_empty() {
        // A driver may name the feature and have no shape; opening it with the feature would fail.
        features.remove(::wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    }
    // SAFETY: cooperative matrices are used by `wgsl/matrix.wgsl` only, with a shape that the adapter lists.
    let experimental = unsafe { ::wgpu::ExperimentalFeatures::enabled() };
    let limits = adapter.limits();
    if limits.max_storage_buffers_per_shader_stage < 10 || limits.max_immediate_size < 64 {
        return Err(unusable("its driver binds fewer than 10 buffers or 64 bytes of parameters".to_string()));
    }
    let descriptor = ::wgpu::DeviceDescriptor {
        label: None,
        required_features: features,
        required_limits: limits.clone(),
        experimental_features: experimental,
        memory_hints: ::wgpu::MemoryHints::MemoryUsage,
        trace: ::wgpu::Trace::Off,
    };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).map_err(|error| unusable(error.to_string()))?;
    let info = Info {
        backend,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        software: info.device_type == ::wgpu::DeviceType::Cpu,
        unified: backend == Backend::Metal,
        memory_bytes: native::total_bytes(adapter),
        subgroup: (info.subgroup_min_size, info.subgroup_max_size),
        matrices,
        limits: Limits {
            allocation_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            groups: limits.max_compute_workgroups_per_dimension,
            threads: limits.max_compute_invocations_per_workgroup,
            shared_bytes: limits.max_compute_workgroup_storage_size,
        },
        name: info.name,
    };
    Ok(Wgpu::new(info, device, queue))
}

/// Square products of f16 summed in f32, where the device has them.
fn matrices(adapter: &::wgpu::Adapter, features: ::wgpu::Features) -> Vec<MatrixShape> {
    if !features.contains(FOR_MATRICES) {
        return vec![];
    }
    let (f16, f32) = (::wgpu::CooperativeScalarType::F16, ::wgpu::CooperativeScalarType::F32);
    let usable = adapter.cooperative_matrix_properties().into_iter().filter(|shape| {
        shape.ab_type == f16 && shape.cr_type == f32 && shape.m_size == shape.n_size && shape.n_size == shape.k_size
    });
    usable.map(|shape| MatrixShape { m: shape.m_size, n: shape.n_size, k: shape.k_size }).collect()
}

/// The value of a future that needs nobody else to become ready, as all of wgpu's native ones.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
