// Query and key heads of packed rows, in place: RMS norm, then rotary embedding. One workgroup has one head of one row.
#include head_shared

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.y * params.row_stride + group.x * HEAD_DIM;
#include head
}
