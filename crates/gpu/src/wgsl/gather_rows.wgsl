// Rows of a matrix of 32-bit elements, chosen by index.
#buffer source read array<u32>
#buffer indices read array<u32>
#buffer out write array<u32>

struct Params { columns: u32 }
var<immediate> params: Params;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = group.x * 128u + lane;
    if (column < params.columns) {
        out[group.y * params.columns + column] = source[indices[group.y] * params.columns + column];
    }
}
