//! Buffers of a device by number, and how much memory an adapter has.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Live buffers: a [`crate::device::Allocation`]'s handle is the key.
#[derive(Default)]
pub struct Buffers {
    live: Mutex<HashMap<u64, ::wgpu::Buffer>>,
    next: AtomicU64,
    /// Bytes of all of them.
    pub allocated: AtomicU64,
    /// The most there ever were.
    pub peak: AtomicU64,
}

impl Buffers {
    /// Keep a buffer; gives its handle.
    pub fn insert(&self, buffer: ::wgpu::Buffer) -> u64 {
        let bytes = self.allocated.fetch_add(buffer.size(), Ordering::Relaxed) + buffer.size();
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(handle, buffer);
        handle
    }

    /// The buffer of a handle that is alive.
    pub fn get(&self, handle: u64) -> ::wgpu::Buffer {
        self.lock()[&handle].clone()
    }

    /// Let go of a buffer; the driver frees it when nothing that runs uses it.
    pub fn remove(&self, handle: u64) {
        if let Some(buffer) = self.lock().remove(&handle) {
            self.allocated.fetch_sub(buffer.size(), Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, ::wgpu::Buffer>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All memory of the adapter's own heaps, where its driver says.
pub fn total_bytes(adapter: &::wgpu::Adapter) -> Option<u64> {
    vulkan_bytes(adapter)
}

fn vulkan_bytes(adapter: &::wgpu::Adapter) -> Option<u64> {
    // SAFETY: the driver's handle is only asked for properties, while the adapter lives.
    unsafe {
        let hal = adapter.as_hal::<::wgpu::hal::api::Vulkan>()?;
        let instance = hal.shared_instance().raw_instance();
        let properties = instance.get_physical_device_memory_properties(hal.raw_physical_device());
        let heaps = &properties.memory_heaps[..properties.memory_heap_count as usize];
        // Bit 0 of a heap's flags: memory that is near the device.
        heaps.iter().filter(|heap| heap.flags.as_raw() & 1 != 0).map(|heap| heap.size).max()
    }
}
