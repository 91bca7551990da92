// Rotating heads of rows in place, one head a workgroup: the rotation that keys, values and queries of a cache of few bits
// went through (`kv_write_quantized`) is its own inverse.
#buffer rows read array<vec2<u32>>
#buffer x update array<f32>

struct Params { row_stride: u32 }
var<immediate> params: Params;

#set WIDEST = DIM
#include rotation

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (rows[group.y].x == 0xffffffffu) {
        return;
    }
    let at = group.y * params.row_stride + group.x * DIM;
    for (var i = thread; i < DIM; i += 64u) {
        vector[i] = x[at + i];
    }
    rotate(thread, DIM, BLOCK);
    for (var i = thread; i < DIM; i += 64u) {
        x[at + i] = vector[i] * (1.0 / sqrt(f32(BLOCK)));
    }
}
