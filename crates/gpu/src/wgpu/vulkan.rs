//! What wgpu does not say about a Vulkan device.

use std::ops::Range;
use std::sync::Arc;

/// The largest heap near the device.
pub fn total_bytes(adapter: &::wgpu::Adapter) -> Option<u64> {
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

/// A buffer over the machine's own memory: none here, the device may have memory of its own.
pub fn import(_: &::wgpu::Device, _: &Arc<dyn AsRef<[u8]> + Send + Sync>, _: Range<usize>) -> Option<::wgpu::Buffer> {
    None
}
