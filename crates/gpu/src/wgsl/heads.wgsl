// Query and key heads of packed rows, in place: RMS norm, then rotary embedding. One workgroup has one head of one row.
#buffer qkv update array<f32>
#set AT_ONCE = 1
#include head_shared

struct Params { row_stride: u32, epsilon: f32 }
var<immediate> params: Params;

#include head

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    make_head(group.y, group.x, 0u, lane);
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        qkv[group.y * params.row_stride + group.x * HEAD_DIM + d] = head[d];
    }
}
