// out[r, i] = the gated unit of x[r, i] and x[r, up + i].
#include math
#include gate
#buffer x read array<f32>
#buffer out write array<f32>

struct Params {
    count: u32,
    dim: u32,
    x_stride: u32,
    up: u32,
    alpha: f32,
    limit: f32,
}
var<immediate> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let e = (group.y * 32768u + group.x) * 256u + thread;
    if (e >= params.count) { return; }
    let at = e / params.dim * params.x_stride + e % params.dim;
    out[e] = gated(x[at], x[at + params.up], params.alpha, params.limit);
}
