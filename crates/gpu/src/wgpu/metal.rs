//! What wgpu does not say about a Metal device, and buffers over the machine's own memory.
//!
//! This file is type-checked on every machine (`cargo xtask cross`); it has not run on a Mac yet.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use block2::RcBlock;
use objc2_metal::{MTLDevice, MTLResourceOptions};

/// Pages of Apple's processors.
const PAGE: usize = 16 << 10;

/// What the device may use without paging.
pub fn total_bytes(adapter: &::wgpu::Adapter) -> Option<u64> {
    // SAFETY: the device is only asked for a property, while the adapter lives.
    unsafe { adapter.as_hal::<::wgpu::hal::api::Metal>().map(|hal| hal.raw_device().recommendedMaxWorkingSetSize()) }
}

/// A buffer over `owner`'s bytes of `range` themselves, where they begin at a page and there are whole pages of them.
/// The driver keeps the owner until nothing that runs uses the buffer.
pub fn import(
    device: &::wgpu::Device,
    owner: &Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
) -> Option<::wgpu::Buffer> {
    let bytes = &(**owner).as_ref()[range];
    let start = NonNull::new(bytes.as_ptr().cast_mut().cast())?;
    if !bytes.as_ptr().addr().is_multiple_of(PAGE) || !bytes.len().is_multiple_of(PAGE) || bytes.is_empty() {
        return None;
    }
    let kept = owner.clone();
    let release = RcBlock::new(move |_, _| {
        // The block holds the owner; it goes when the buffer does.
        let _ = &kept;
    });
    // SAFETY: the pages live as long as the block that the buffer holds; kernels only read them.
    unsafe {
        let hal = device.as_hal::<::wgpu::hal::api::Metal>()?;
        let options = MTLResourceOptions::StorageModeShared;
        let raw = hal.raw_device().newBufferWithBytesNoCopy_length_options_deallocator(
            start,
            bytes.len(),
            options,
            Some(&release),
        )?;
        let buffer = ::wgpu::hal::metal::Device::buffer_from_raw(raw, bytes.len() as u64);
        drop(hal);
        let usage = ::wgpu::BufferUsages::STORAGE | ::wgpu::BufferUsages::COPY_SRC;
        let size = bytes.len() as u64;
        let descriptor = ::wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        Some(device.create_buffer_from_hal::<::wgpu::hal::api::Metal>(buffer, &descriptor))
    }
}
