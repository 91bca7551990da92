//! The device of the tests, data, and comparisons.

use std::sync::{Arc, OnceLock};

use olivine_gpu::ops::weights::Code;
use olivine_gpu::{Backend, Choice, Device, GpuError, List, Memory, open};

/// The device that all tests share; `None`, said aloud, where there is none.
pub fn device() -> Option<Arc<dyn Device>> {
    static DEVICE: OnceLock<Option<Arc<dyn Device>>> = OnceLock::new();
    DEVICE.get_or_init(fresh_device).clone()
}

/// A device of one's own.
pub fn fresh_device() -> Option<Arc<dyn Device>> {
    let choice = std::env::var("OLIVINE_DEVICE").unwrap_or_else(|_| "vulkan:0".to_string());
    let choice: Choice = choice.parse().expect("OLIVINE_DEVICE names a device");
    match open(choice) {
        Ok(device) => {
            let is_wanted = std::env::var("OLIVINE_MATRICES").is_ok_and(|wanted| wanted == "on");
            assert!(!is_wanted || !device.info().matrices.is_empty(), "OLIVINE_MATRICES=on, and the device has none");
            Some(device)
        }
        Err(GpuError::NotFound { .. }) => {
            eprintln!("SKIPPED: no Vulkan device here; Debian's mesa-vulkan-drivers has a software one");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether this is a run of `other_subgroup_widths`.
pub fn other_width() -> bool {
    std::env::var_os("OLIVINE_WIDTHS").is_some()
}

/// Values in -1..1 that depend on `seed`.
pub fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Bring floats to the device.
pub fn upload(device: &dyn Device, values: &[f32]) -> Memory {
    device.import(Arc::new(bytemuck::cast_slice(values).to_vec()), 0..values.len() * 4).expect("room")
}

/// Bring words to the device.
pub fn upload_words(device: &dyn Device, values: &[u32]) -> Memory {
    device.import(Arc::new(bytemuck::cast_slice(values).to_vec()), 0..values.len() * 4).expect("room")
}

/// Room for floats.
pub fn room(device: &dyn Device, count: usize) -> Memory {
    device.allocate(count as u64 * 4).expect("room")
}

/// Bring floats back.
pub fn download(device: &dyn Device, memory: &Memory) -> Vec<f32> {
    let mut values = vec![0.0; memory.bytes() as usize / 4];
    device.read(memory, 0, bytemuck::cast_slice_mut(&mut values)).expect("read");
    values
}

/// Run what `fill` lists.
pub fn run(device: &dyn Device, fill: impl FnOnce(&mut List)) {
    let mut list = List::new();
    fill(&mut list);
    device.submit(&list).expect("submitted");
}

/// What products with a matrix may be off: matrices in hardware take halves, except where weights are f32; CUDA's take
/// bf16 where weights are that.
pub fn product_tolerance(device: &dyn Device, code: Code) -> f32 {
    if device.info().backend == Backend::Cuda && code == Code::Bf16 {
        return 1e-2;
    }
    let has_floats = device.info().matrices.is_empty() && device.info().backend != Backend::Cuda;
    if has_floats || code == Code::F32 { 4e-6 } else { 2e-3 }
}

/// Panics unless all values are near: the largest difference in units of the largest magnitude.
#[track_caller]
pub fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    let largest = expected.iter().fold(1e-20f32, |most, value| most.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= tolerance * largest || found == expected;
        assert!(near, "{what}: {index}: {found} instead of {expected} (largest {largest})");
    }
}

/// Panics unless all bits are equal.
#[track_caller]
pub fn assert_bits(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.to_bits(), expected.to_bits(), "{what}: {index}: {found} and {expected}");
    }
}
