// Parameters of the attention kernels, and what they share: a score from its sums, and the weights of tiles of 64 keys.
// A slot is a query head of a row in one tile; eight threads weigh one, and their order is that of its sum.
struct Params { row_stride: u32, out_stride: u32, splits: u32, scale: f32, window: u32, cap: f32, count: u32 }
var<immediate> params: Params;

const NONE: f32 = -3.0e38;

var<workgroup> parts: array<f32, ${8 * SLOTS}>;
var<workgroup> tile_largest: array<f32, ${SLOTS}>;
var<workgroup> tile_total: array<f32, ${SLOTS}>;

// Of four sums, each of every fourth product.
fn score(sums: vec4<f32>, key_scale: f32, seen: bool) -> f32 {
#if ELEMENT >= 3
    var score = ((sums.x + sums.y) + (sums.z + sums.w)) * key_scale * params.scale;
#else
    var score = ((sums.x + sums.y) + (sums.z + sums.w)) * params.scale;
#end
#if CAP
    score = params.cap * tanh(score / params.cap);
#end
    return select(NONE, score, seen);
}

fn is_seen(key: u32, position: u32) -> bool {
    return key <= position && (params.window == 0u || key + params.window > position);
}

fn first_key(position: u32) -> u32 {
    return select(0u, position + 1u - params.window, params.window != 0u && position + 1u > params.window);
}

// Scores become weights (those of a tile without keys: zeros), `tile_largest` and `tile_total` are set.
fn weigh(thread: u32) {
    let slot = thread / 8u;
    let here = slot < ${SLOTS}u;
    var a = vec4<f32>(NONE);
    var b = vec4<f32>(NONE);
    if (here) {
        a = scores_of(slot, thread % 8u * 2u);
        b = scores_of(slot, thread % 8u * 2u + 1u);
        let both = max(a, b);
        parts[thread] = max(max(both.x, both.y), max(both.z, both.w));
    }
    workgroupBarrier();
    var most = NONE;
    if (here) {
        for (var i = 0u; i < 8u; i++) {
            most = max(most, parts[slot * 8u + i]);
        }
    }
    a = exp(a - max(most, -1.0e38));
    b = exp(b - max(most, -1.0e38));
    workgroupBarrier();
    if (here) {
        parts[thread] = ((a.x + a.y) + (a.z + a.w)) + ((b.x + b.y) + (b.z + b.w));
        keep_weights(slot, thread % 8u * 2u, a);
        keep_weights(slot, thread % 8u * 2u + 1u, b);
    }
    workgroupBarrier();
    if (here && thread % 8u == 0u) {
        var sum = parts[thread];
        for (var i = 1u; i < 8u; i++) {
            sum += parts[thread + i];
        }
        tile_largest[slot] = most;
        tile_total[slot] = sum;
    }
    workgroupBarrier();
}
