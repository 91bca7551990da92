// Rotating heads of rows in place, one head a workgroup: the Hadamard rotation that keys, values and queries of a cache
// of few bits went through (`kv_write_quantized`) is its own inverse. A width that is no power of two is rotated in
// blocks of the largest one that divides it.
#buffer rows read array<vec2<u32>>
#buffer x update array<f32>

struct Params { row_stride: u32 }
var<immediate> params: Params;

var<workgroup> vector: array<f32, DIM>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (rows[group.y].x == 0xffffffffu) {
        return;
    }
    let at = group.y * params.row_stride + group.x * DIM;
    for (var i = thread; i < DIM; i += 64u) {
        vector[i] = x[at + i];
    }
    workgroupBarrier();
    for (var half = 1u; half < BLOCK; half *= 2u) {
        for (var i = thread; i < DIM / 2u; i += 64u) {
            let low = i / half * half * 2u + i % half;
            let a = vector[low];
            let b = vector[low + half];
            vector[low] = a + b;
            vector[low + half] = a - b;
        }
        workgroupBarrier();
    }
    for (var i = thread; i < DIM; i += 64u) {
        x[at + i] = vector[i] * (1.0 / sqrt(f32(BLOCK)));
    }
}
