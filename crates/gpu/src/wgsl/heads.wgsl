// Query and key heads of packed rows, in place: RMS norm, then rotary embedding. One workgroup has one head of one row.
#buffer qkv update array<f32>
#buffer query_norm read array<f32>
#buffer key_norm read array<f32>
#buffer angles read array<vec2<f32>>

struct Params { row_stride: u32, epsilon: f32 }
var<immediate> params: Params;

var<workgroup> head: array<f32, HEAD_DIM>;
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = group.y * params.row_stride + group.x * HEAD_DIM;
#include head
}
