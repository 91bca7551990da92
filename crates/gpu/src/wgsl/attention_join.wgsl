// Join the splits of rows and heads that `attention` took one by one.
#buffer partials read array<f32>
#buffer rows read array<vec2<u32>>
#buffer sinks read array<f32>
#buffer out write array<f32>

struct Params { out_stride: u32, splits: u32, window: u32 }
var<immediate> params: Params;

#include attention_merge

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let position = rows[group.y].x;
    let head = group.x;
    if (position == 0xffffffffu) {
        return;
    }
    var first_seen = 0u;
    if (params.window != 0u && position + 1u > params.window) {
        first_seen = position + 1u - params.window;
    }
    let base = (group.y * HEADS + head) * params.splits;
    for (var d = lane; d < VALUE_DIM; d += 128u) {
        var largest = -3.0e38;
        var total = 0.0;
        var sum = 0.0;
        for (var split = first_seen / SPLIT; split <= position / SPLIT; split++) {
            let at = (base + split) * (VALUE_DIM + 2u);
            let step = merge(largest, total, partials[at + VALUE_DIM], partials[at + VALUE_DIM + 1u]);
            largest = step.largest;
            total = step.total;
            sum = fma(sum, step.before, partials[at + d] * step.after);
        }
        out[group.y * params.out_stride + head * VALUE_DIM + d] = sum * finish(largest, total, head);
    }
}
