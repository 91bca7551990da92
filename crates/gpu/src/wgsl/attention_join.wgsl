// Join the parts of rows that `attention` left: tiles of a split in order (TILES 1), then splits in order. One row and head a
// workgroup, which has STRIPES splits at a time.
#buffer partials read array<vec4<f32>>
#buffer rows read array<vec2<u32>>
#buffer sinks read array<f32>
#buffer out write array<f32>

struct Params { out_stride: u32, splits: u32, window: u32, count: u32 }
var<immediate> params: Params;

const NONE: f32 = -3.0e38;
#set VALUE_QUADS = VALUE_DIM / 4
// Threads that have the quads of a split.
#set ACROSS = 256
#for i in 0..5
#if VALUE_QUADS * 2 <= ACROSS
#set ACROSS = ACROSS / 2
#end
#end
#set STRIPES = 256 / ACROSS
#set PARTS = SPLIT / 64 / TILES
var<workgroup> sums: array<vec4<f32>, 256>;
var<workgroup> stands: array<vec2<f32>, ${STRIPES}>;

#include attention_merge

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let position = rows[group.y].x;
    let head = group.x;
    // A row of no sequence has no splits.
    let is_there = position != 0xffffffffu;
    var first_seen = 0u;
    if (params.window != 0u && position + 1u > params.window) {
        first_seen = position + 1u - params.window;
    }
    let stripe = thread / ${ACROSS}u;
    let lane = thread % ${ACROSS}u;
    let parts = params.splits * ${PARTS}u;
    let base = (group.y * HEADS + head) * parts;
    let all = params.count * HEADS * parts;
    for (var first = 0u; first < ${VALUE_QUADS}u; first += ${ACROSS}u) {
        let quad = min(first + lane, ${VALUE_QUADS - 1}u);
        var largest = NONE;
        var total = 0.0;
        var sum = vec4<f32>(0.0);
        for (var turn = 0u; turn < params.splits; turn += ${STRIPES}u) {
            let split = turn + stripe;
#for t in 0..PARTS
            let part_${t} = split * ${PARTS}u + ${t}u;
            let seen_${t} = part_${t} * ${64 * TILES}u <= position && (part_${t} + 1u) * ${64 * TILES}u > first_seen;
            let at_${t} = base + select(0u, part_${t}, seen_${t} && split < params.splits);
            let value_${t} = partials[at_${t} * ${VALUE_QUADS}u + quad];
            let pair_${t} = partials[all * ${VALUE_QUADS}u + at_${t} / 2u];
#end
            var split_largest = NONE;
            var split_total = 0.0;
            var split_sum = vec4<f32>(0.0);
#for t in 0..PARTS
            if (seen_${t}) {
                let stand = select(pair_${t}.xy, pair_${t}.zw, at_${t} % 2u == 1u);
                let step = merge(split_largest, split_total, stand.x, stand.y);
                split_largest = step.largest;
                split_total = step.total;
                split_sum = fma(split_sum, vec4<f32>(step.before), value_${t} * step.after);
            }
#end
            workgroupBarrier();
            sums[thread] = split_sum;
            if (lane == 0u) {
                stands[stripe] = vec2<f32>(split_largest, split_total);
            }
            workgroupBarrier();
            for (var s = 0u; s < ${STRIPES}u; s++) {
                let split = turn + s;
                if (split >= first_seen / SPLIT && split <= position / SPLIT) {
                    let step = merge(largest, total, stands[s].x, stands[s].y);
                    largest = step.largest;
                    total = step.total;
                    sum = fma(sum, vec4<f32>(step.before), sums[s * ${ACROSS}u + lane] * step.after);
                }
            }
        }
        if (is_there && stripe == 0u && first + lane < ${VALUE_QUADS}u) {
            let result = sum * finish(largest, total, head);
#for i in 0..4
            out[group.y * params.out_stride + head * VALUE_DIM + quad * 4u + ${i}u] = result[${i}];
#end
        }
    }
}
