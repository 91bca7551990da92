//! The device contract on whatever Vulkan devices there are.

use std::sync::Arc;

use olivine_gpu::ops::attention::{Heads, heads};
use olivine_gpu::{Choice, GpuError, List, open};

use crate::common::fresh_device as device;

#[test]
fn memory_keeps_what_is_written_and_is_given_back() {
    let Some(device) = device() else { return };
    let bytes: Vec<u8> = (0..1003_u32).map(|index| (index * 7) as u8).collect();
    let memory = device.import(Arc::new(bytes.clone()), 0..1003).unwrap();
    let other = device.allocate(2048).unwrap();
    let mut list = List::new();
    list.copy(&memory.slice(0, 1000), &other.slice(512, 1000));
    let recording = device.record(list).unwrap();
    recording.replay().unwrap();
    let mut back = vec![0; 1003];
    device.read(&memory, 0, &mut back).unwrap();
    assert_eq!(back, bytes);
    device.read(&other, 512, &mut back[..1000]).unwrap();
    assert_eq!(back[..1000], bytes[..1000]);
    device.write(&memory, 8, &[1, 2, 3, 4]).unwrap();
    recording.replay().unwrap();
    let mut four = [0; 4];
    device.read(&other, 520, &mut four).unwrap();
    assert_eq!(four, [1, 2, 3, 4]);
    let held = device.counters().allocated_bytes;
    drop((other, recording));
    assert_eq!(device.counters().allocated_bytes, held - 2048);
    assert_eq!(device.counters().submissions, 2);
}

#[test]
fn a_list_is_split_where_the_last_attention_begins() {
    let Some(device) = device() else { return };
    let memory = device.allocate(4096).unwrap();
    let (from, to) = (memory.slice(0, 1024), memory.slice(1024, 1024));
    let rope = Some((&from, 64, false));
    let pass = Heads { heads: 1, kv_heads: 1, head_dim: 64, row_stride: 192, norms: None, epsilon: 0.0, rope };
    let mut list = List::new();
    list.copy(&from, &to);
    assert!(list.split_at_heads().is_none());
    for _ in 0..2 {
        heads(&mut list, &pass, 1, &to);
        list.copy(&from, &to);
    }
    let behind = list.split_at_heads().unwrap();
    assert_eq!((list.commands.len(), behind.commands.len()), (3, 2));
    assert_eq!((list.dispatches(), behind.dispatches()), (1, 1));
}

#[test]
fn failures_say_what_is_wrong() {
    assert!(matches!("vulkan:x".parse::<Choice>(), Err(GpuError::Choice(text)) if text == "vulkan:x"));
    assert_eq!("cuda:1".parse::<Choice>().unwrap(), Choice::Cuda(1));
    let Err(error) = open(Choice::Vulkan(99)) else { panic!("device 99") };
    assert!(error.to_string().starts_with("no device for `vulkan:99`"), "{error}");
    let Some(device) = device() else { return };
    let Err(error) = device.allocate(1 << 50) else { panic!("a petabyte") };
    assert!(matches!(error, GpuError::Memory { bytes, .. } if bytes == 1 << 50), "{error}");
    let memory = device.allocate(64).unwrap();
    device.simulate_loss();
    let error = device.write(&memory, 0, &[0; 4]).unwrap_err();
    assert!(error.to_string().ends_with("was lost: simulated"), "{error}");
    assert!(matches!(device.wait(), Err(GpuError::Lost { .. })));
    assert!(matches!(device.allocate(4), Err(GpuError::Lost { .. })));
}
