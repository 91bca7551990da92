// Query and key heads of packed rows, in place: RMS norm, then rotary embedding. One workgroup has one head of one row.
#buffer qkv update array<f32>
#set AT_ONCE = 1
#set HEAD_ROUNDS = 1
#include head_shared

struct Params { row_stride: u32, epsilon: f32 }
var<immediate> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let slot = 0u;
    let of_row = group.y;
    let number_0 = group.x;
#include head_load
#include head_norm
#set R = 0
#include head
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        qkv[group.y * params.row_stride + group.x * HEAD_DIM + d] = head[d];
    }
}
