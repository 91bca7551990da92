//! Buffers of a device by number.

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
