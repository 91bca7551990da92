// The queries of rows, rotated, one head a workgroup: `[rows, heads, DIM]`. The cached keys are rotated too, so scores
// stay what they are.
#buffer rows read array<vec2<u32>>
#buffer qkv read array<f32>
#buffer out write array<f32>

struct Params { row_stride: u32, out_stride: u32 }
var<immediate> params: Params;

#set WIDEST = DIM
#include rotation

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (rows[group.y].x == 0xffffffffu) {
        return;
    }
    for (var i = thread; i < DIM; i += 64u) {
        vector[i] = qkv[group.y * params.row_stride + group.x * DIM + i];
    }
    rotate(thread, DIM, BLOCK);
    for (var i = thread; i < DIM; i += 64u) {
        out[group.y * params.out_stride + group.x * DIM + i] = vector[i] * (1.0 / sqrt(f32(BLOCK)));
    }
}
