// Rows of a matrix as f32: a thread decodes 32 columns of one row.
#buffer tokens read array<u32>
#include weights
#buffer out write array<f32>

struct Params { columns: u32, global_scale: f32, factor: f32 }
var<immediate> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#include one
    let blocks = (params.columns + 31u) / 32u;
    let block = group.x * 64u + thread;
    if (block >= blocks) {
        return;
    }
    let row = tokens[group.y];
    let tile = row / 32u;
    let lane = row % 32u;
    let codes = load_block(tile * blocks + block, lane);
    let start = group.y * params.columns + block * 32u;
#for j in 0..8
    {
        let so = scale_offset(tile, block, blocks, ${j / 4 * (HALVES - 1)}u, lane, params.global_scale);
        let values = weight_${j}(codes, so) * params.factor;
        for (var i = 0u; i < 4u; i++) {
            if (block * 32u + ${j * 4}u + i < params.columns) {
                out[start + ${j * 4}u + i] = values[i];
            }
        }
    }
#end
}
