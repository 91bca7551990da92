// Rows of queries against paged keys and values: one workgroup has one row and up to BLOCK query heads of one KV head.
// Keys are taken in splits of SPLIT positions, each summed alone and then merged in order; inside a split in tiles of
// 128. So a row's bits do not depend on whether one workgroup takes all splits (MODE 1) or one each (MODE 0).
#buffer qkv read array<f32>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#buffer pages read array<u32>
#buffer sinks read array<f32>
#buffer out write array<f32>

struct Params { row_stride: u32, out_stride: u32, splits: u32, scale: f32, window: u32, cap: f32 }
var<immediate> params: Params;

const TILE: u32 = 128u;
const NONE: f32 = -3.0e38;
const PARTS: u32 = TILE / BLOCK;
const DIMS: u32 = (VALUE_DIM + TILE - 1u) / TILE;

var<workgroup> row: vec2<u32>;
var<workgroup> query: array<f32, ${BLOCK * KEY_DIM}>;
var<workgroup> scores: array<f32, ${BLOCK * 128}>;
var<workgroup> part: array<f32, 128>;
// Of each head: the largest score, the sum, and the factor on what was summed before.
var<workgroup> largest: array<f32, BLOCK>;
var<workgroup> total: array<f32, BLOCK>;
var<workgroup> factor: array<f32, BLOCK>;

#include kv_element
#include attention_merge

fn score_tile(lane: u32, start: u32, head: u32) {
    let key = start + lane;
    let seen = key <= row.x && (params.window == 0u || key + params.window > row.x);
#for h in 0..BLOCK
    var s${h} = 0.0;
#end
    if (seen) {
        let page = tables[row.y + key / PAGE];
        let at = kv_page(page, head) + (key % PAGE) * KEY_DIM;
        for (var d = 0u; d < KEY_DIM; d++) {
            let k = kv_load(at + d);
#for h in 0..BLOCK
            s${h} = fma(query[${h}u * KEY_DIM + d], k, s${h});
#end
        }
#if ELEMENT >= 3
        let key_scale = kv_scale(page, head, key % PAGE);
#for h in 0..BLOCK
        s${h} *= key_scale;
#end
#end
    }
#for h in 0..BLOCK
    s${h} *= params.scale;
#if CAP
    s${h} = params.cap * tanh(s${h} / params.cap);
#end
    scores[${h}u * TILE + lane] = select(NONE, s${h}, seen);
#end
}

// The largest score and the sum of the exponentials of the tile join those of the split.
fn weigh_tile(lane: u32) {
    let h = lane / PARTS;
    let first = h * TILE + (lane % PARTS) * BLOCK;
    var most = NONE;
    for (var i = 0u; i < BLOCK; i++) {
        most = max(most, scores[first + i]);
    }
    part[lane] = most;
    workgroupBarrier();
    if (lane < BLOCK) {
        most = largest[lane];
        for (var i = 0u; i < PARTS; i++) {
            most = max(most, part[lane * PARTS + i]);
        }
        factor[lane] = exp(largest[lane] - most);
        largest[lane] = most;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < BLOCK; i++) {
        let weight = exp(scores[first + i] - largest[h]);
        scores[first + i] = weight;
        sum += weight;
    }
    part[lane] = sum;
    workgroupBarrier();
    if (lane < BLOCK) {
        sum = total[lane] * factor[lane];
        for (var i = 0u; i < PARTS; i++) {
            sum += part[lane * PARTS + i];
        }
        total[lane] = sum;
    }
    workgroupBarrier();
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if (lane == 0u) {
        row = rows[group.z];
    }
    let position = workgroupUniformLoad(&row).x;
    // A row of no sequence.
    if (position == 0xffffffffu) {
        return;
    }
    let head = group.y / BLOCKS;
    let first_head = head * GROUP + (group.y % BLOCKS) * BLOCK;
    let heads_here = min(BLOCK, (head + 1u) * GROUP - first_head);
    for (var i = lane; i < BLOCK * KEY_DIM; i += TILE) {
        let value = qkv[group.z * params.row_stride + first_head * KEY_DIM + min(i, heads_here * KEY_DIM - 1u)];
        query[i] = select(0.0, value, i < heads_here * KEY_DIM);
    }
#if ELEMENT >= 3
    // The cached keys are rotated, so queries are too (`rotate`): scores stay what they are.
    workgroupBarrier();
    for (var half = 1u; half < ROTATION; half *= 2u) {
        for (var i = lane; i < BLOCK * KEY_DIM / 2u; i += TILE) {
            let low = i / half * half * 2u + i % half;
            let a = query[low];
            let b = query[low + half];
            query[low] = a + b;
            query[low + half] = a - b;
        }
        workgroupBarrier();
    }
    for (var i = lane; i < BLOCK * KEY_DIM; i += TILE) {
        query[i] *= 1.0 / sqrt(f32(ROTATION));
    }
#end
    var first_seen = 0u;
    if (params.window != 0u && position + 1u > params.window) {
        first_seen = position + 1u - params.window;
    }
#if MODE == 0
    let split_first = group.x;
    if (split_first < first_seen / SPLIT || split_first > position / SPLIT) {
        return;
    }
    let split_last = split_first;
#else
    let split_first = first_seen / SPLIT;
    let split_last = position / SPLIT;
#for h in 0..BLOCK
    var whole_largest${h} = NONE;
    var whole_total${h} = 0.0;
#for d in 0..(VALUE_DIM + 127) / 128
    var whole${h}_${d} = 0.0;
#end
#end
#end
    for (var split = split_first; split <= split_last; split++) {
        if (lane < BLOCK) {
            largest[lane] = NONE;
            total[lane] = 0.0;
        }
#for h in 0..BLOCK
#for d in 0..(VALUE_DIM + 127) / 128
        var sum${h}_${d} = 0.0;
#end
#end
        for (var tile = 0u; tile < SPLIT / TILE; tile++) {
            let start = split * SPLIT + tile * TILE;
            if (start > position || start + TILE <= first_seen) {
                continue;
            }
            workgroupBarrier();
            score_tile(lane, start, head);
            workgroupBarrier();
            weigh_tile(lane);
#for h in 0..BLOCK
#for d in 0..(VALUE_DIM + 127) / 128
            sum${h}_${d} *= factor[${h}];
#end
#end
            let first = max(start, first_seen) - start;
            let to = min(TILE, position - start + 1u);
            for (var i = first; i < to; i++) {
                let key = start + i;
                let page = tables[row.y + key / PAGE];
                let at = kv_page(page, head) + PAGE * KEY_DIM + (key % PAGE) * VALUE_DIM;
#for d in 0..(VALUE_DIM + 127) / 128
                let v${d} = kv_load(at + min(lane + ${d * 128}u, VALUE_DIM - 1u));
#end
#if ELEMENT >= 3
                let value_scale = kv_scale(page, head, PAGE + key % PAGE);
#end
#for h in 0..BLOCK
#if ELEMENT >= 3
                let w${h} = scores[${h}u * TILE + i] * value_scale;
#else
                let w${h} = scores[${h}u * TILE + i];
#end
#for d in 0..(VALUE_DIM + 127) / 128
                sum${h}_${d} = fma(w${h}, v${d}, sum${h}_${d});
#end
#end
            }
        }
#if MODE == 0
#for h in 0..BLOCK
        if (${h}u < heads_here) {
            let at = ((group.z * KV_HEADS * GROUP + first_head + ${h}u) * params.splits + split) * (VALUE_DIM + 2u);
#for d in 0..(VALUE_DIM + 127) / 128
            if (lane + ${d * 128}u < VALUE_DIM) {
                out[at + lane + ${d * 128}u] = sum${h}_${d};
            }
#end
            if (lane == 0u) {
                out[at + VALUE_DIM] = largest[${h}];
                out[at + VALUE_DIM + 1u] = total[${h}];
            }
        }
#end
#else
#for h in 0..BLOCK
        {
            let step = merge(whole_largest${h}, whole_total${h}, largest[${h}], total[${h}]);
            whole_largest${h} = step.largest;
            whole_total${h} = step.total;
#for d in 0..(VALUE_DIM + 127) / 128
            whole${h}_${d} = fma(whole${h}_${d}, step.before, sum${h}_${d} * step.after);
#end
        }
#end
        workgroupBarrier();
#end
    }
#if MODE == 1
#for h in 0..BLOCK
    if (${h}u < heads_here) {
        let share = finish(whole_largest${h}, whole_total${h}, first_head + ${h}u);
        let at = group.z * params.out_stride + (first_head + ${h}u) * VALUE_DIM;
#for d in 0..(VALUE_DIM + 127) / 128
        if (lane + ${d * 128}u < VALUE_DIM) {
            out[at + lane + ${d * 128}u] = whole${h}_${d} * share;
        }
#end
    }
#end
#end
}
