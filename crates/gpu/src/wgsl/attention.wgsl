// A row of queries against paged keys and values: one workgroup has one row and up to BLOCK query heads of one KV head.
//
// The order of a row's sums, here and in `attention_tile`: keys are taken in tiles of 64 at fixed positions, each weighed
// and summed alone, key by key; the tiles of a split of SPLIT keys are merged in order, then the splits are. So its bits
// do not depend on whether one workgroup takes all splits (MODE 1), or one each (MODE 0), or many rows at once. Here
// every key of a split has a thread, then every tile of it 64 threads. With LONE only tiles of a single row are done.
#set SLOTS = 4 * BLOCK
#set SPAN = 256
#buffer qkv read array<vec4<f32>>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#include kv_quad
#buffer sinks read array<f32>
#buffer out write array<f32>

#include attention_params
#if LONE == 1
#include attention_rows
#end

// Quads of a key that are on their way at once.
#set AHEAD = 1
#if KEY_QUADS % 16 == 0
#set AHEAD = 16
#elif KEY_QUADS % 4 == 0
#set AHEAD = 4
#end
// Threads of a tile that share a quad of the values, having some of the heads each.
#set SHARE = 1
#if VALUE_QUADS <= 8 && BLOCK >= 8
#set SHARE = 8
#elif VALUE_QUADS <= 16 && BLOCK >= 4
#set SHARE = 4
#elif VALUE_QUADS <= 32 && BLOCK >= 2
#set SHARE = 2
#end
#set ACROSS = 64 / SHARE
#set HEADS_EACH = BLOCK / SHARE
#set QUADS_EACH = (VALUE_QUADS + ACROSS - 1) / ACROSS

var<workgroup> row: vec2<u32>;
var<workgroup> query: array<vec4<f32>, ${BLOCK * KEY_QUADS}>;
var<workgroup> scores: array<f32, ${SLOTS * 64}>;
// Where the values of the split's keys begin; of a key that is not seen: those of the row's own.
var<workgroup> value_at: array<u32, ${SPAN}>;
#if ELEMENT >= 3
var<workgroup> value_scales: array<f32, ${SPAN}>;
#end
var<workgroup> carried: array<vec4<f32>, ${BLOCK * VALUE_QUADS}>;

#include attention_merge

fn scores_of(slot: u32, quad: u32) -> vec4<f32> {
    let at = slot * 64u + quad * 4u;
    return vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

fn keep_weights(slot: u32, quad: u32, weights: vec4<f32>) {
    let at = slot * 64u + quad * 4u;
#for i in 0..4
#if ELEMENT >= 3
    scores[at + ${i}u] = weights[${i}] * value_scales[slot / ${BLOCK}u * 64u + quad * 4u + ${i}u];
#else
    scores[at + ${i}u] = weights[${i}];
#end
#end
}

// The scores of the key that is this thread's.
fn score_key(thread: u32, key: u32, position: u32, head: u32, table: u32) {
    let seen = is_seen(key, position);
    let there = select(position, key, seen);
    let page = tables[table + there / PAGE];
    let first = kv_page(page, head);
    value_at[thread] = first + ${PAGE * KEY_QUADS}u + there % PAGE * ${VALUE_QUADS}u;
    var key_scale = 1.0;
#if ELEMENT >= 3
    key_scale = kv_scale(page, head, there % PAGE);
    value_scales[thread] = kv_scale(page, head, PAGE + there % PAGE);
#end
#for h in 0..BLOCK
    var sums_${h} = vec4<f32>(0.0);
#end
    if (seen) {
        let at = first + there % PAGE * ${KEY_QUADS}u;
        for (var d = 0u; d < ${KEY_QUADS}u; d += ${AHEAD}u) {
#for a in 0..AHEAD
            let k_${a} = kv_quad(at + d + ${a}u);
#end
#for a in 0..AHEAD
#for h in 0..BLOCK
            sums_${h} = fma(query[${h * KEY_QUADS + a}u + d], k_${a}, sums_${h});
#end
#end
        }
    }
#for h in 0..BLOCK
    scores[(thread / 64u * ${BLOCK}u + ${h}u) * 64u + thread % 64u] = score(sums_${h}, key_scale, seen);
#end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#if LONE == 1
    if (rows_of_tile(group.z, thread) != 1u) {
        return;
    }
#end
    if (thread == 0u) {
        row = rows[group.z];
    }
    let here = workgroupUniformLoad(&row);
    let position = here.x;
    // A row of no sequence.
    if (position == 0xffffffffu) {
        return;
    }
    let first_seen = first_key(position);
#if MODE == 0
    let split_first = group.x;
    if (split_first < first_seen / SPLIT || split_first > position / SPLIT) {
        return;
    }
    let split_last = split_first;
#else
    let split_first = first_seen / SPLIT;
    let split_last = position / SPLIT;
#end
    let head = group.y / BLOCKS;
    let first_head = head * GROUP + (group.y % BLOCKS) * BLOCK;
    let heads_here = min(BLOCK, (head + 1u) * GROUP - first_head);
    for (var i = thread; i < ${BLOCK * KEY_QUADS}u; i += 256u) {
        let from_query = min(i / ${KEY_QUADS}u, heads_here - 1u) * ${KEY_QUADS}u + i % ${KEY_QUADS}u;
        query[i] = qkv[group.z * (params.row_stride / 4u) + first_head * ${KEY_QUADS}u + from_query];
    }
    // This thread's tile of a split, its quads of the values and its heads.
    let tile = thread / 64u;
    let quad = thread % ${ACROSS}u;
    let heads_from = thread % 64u / ${ACROSS}u * ${HEADS_EACH}u;
#if MODE == 1
#for h in 0..HEADS_EACH
    var whole_largest_${h} = NONE;
    var whole_total_${h} = 0.0;
#for e in 0..QUADS_EACH
    var whole_${h}_${e} = vec4<f32>(0.0);
#end
#end
#end
    for (var split = split_first; split <= split_last; split++) {
        workgroupBarrier();
        score_key(thread, split * SPLIT + thread, position, head, here.y);
        workgroupBarrier();
        weigh(thread);
#for h in 0..HEADS_EACH
#for e in 0..QUADS_EACH
        var sum_${h}_${e} = vec4<f32>(0.0);
#end
#end
        let start = split * SPLIT + tile * 64u;
        let first_here = select(0u, (max(first_seen, start) - start) / 16u * 16u, first_seen < start + 64u);
        let end_here = select(0u, min(64u, position + 1u - min(start, position)), start <= position && first_seen < start + 64u);
        for (var i = first_here; i < end_here; i += 16u) {
#for k in 0..16
            let at_${k} = value_at[tile * 64u + i + ${k}u];
#for e in 0..QUADS_EACH
            let v_${k}_${e} = kv_quad(at_${k} + min(quad + ${e * ACROSS}u, ${VALUE_QUADS - 1}u));
#end
#end
#for k in 0..16
#for h in 0..HEADS_EACH
            {
                let weight = vec4<f32>(scores[(tile * ${BLOCK}u + heads_from + ${h}u) * 64u + i + ${k}u]);
#for e in 0..QUADS_EACH
                sum_${h}_${e} = fma(weight, v_${k}_${e}, sum_${h}_${e});
#end
            }
#end
#end
        }
        // Tiles hand on what they have so far, in order.
#for h in 0..HEADS_EACH
        var largest_${h} = NONE;
        var total_${h} = 0.0;
#end
        for (var turn = 0u; turn < 4u; turn++) {
            workgroupBarrier();
            if (turn <= tile) {
#for h in 0..HEADS_EACH
                let slot_${h} = turn * ${BLOCK}u + heads_from + ${h}u;
                let step_${h} = merge(largest_${h}, total_${h}, tile_largest[slot_${h}], tile_total[slot_${h}]);
                largest_${h} = step_${h}.largest;
                total_${h} = step_${h}.total;
#end
                if (turn == tile) {
#for h in 0..HEADS_EACH
#for e in 0..QUADS_EACH
                    if (quad + ${e * ACROSS}u < ${VALUE_QUADS}u) {
                        let at = (heads_from + ${h}u) * ${VALUE_QUADS}u + quad + ${e * ACROSS}u;
                        var before = vec4<f32>(0.0);
                        if (turn > 0u) {
                            before = carried[at];
                        }
                        sum_${h}_${e} = fma(before, vec4<f32>(step_${h}.before), sum_${h}_${e} * step_${h}.after);
                        carried[at] = sum_${h}_${e};
                    }
#end
#end
                }
            }
        }
#if MODE == 0
        if (tile == 3u) {
#for h in 0..HEADS_EACH
            if (heads_from + ${h}u < heads_here) {
                let of_head = group.z * KV_HEADS * GROUP + first_head + heads_from + ${h}u;
                let at = (of_head * params.splits + split) * (VALUE_DIM + 2u);
#for e in 0..QUADS_EACH
                if (quad + ${e * ACROSS}u < ${VALUE_QUADS}u) {
#for i in 0..4
                    out[at + (quad + ${e * ACROSS}u) * 4u + ${i}u] = sum_${h}_${e}[${i}];
#end
                }
#end
                if (quad == 0u) {
                    out[at + VALUE_DIM] = largest_${h};
                    out[at + VALUE_DIM + 1u] = total_${h};
                }
            }
#end
        }
#else
#for h in 0..HEADS_EACH
        {
            let step = merge(whole_largest_${h}, whole_total_${h}, largest_${h}, total_${h});
            whole_largest_${h} = step.largest;
            whole_total_${h} = step.total;
#for e in 0..QUADS_EACH
            whole_${h}_${e} = fma(whole_${h}_${e}, vec4<f32>(step.before), sum_${h}_${e} * step.after);
#end
        }
#end
#end
    }
#if MODE == 1
    // The last tile of a split has what all of them gave.
    if (tile == 3u) {
#for h in 0..HEADS_EACH
        if (heads_from + ${h}u < heads_here) {
            let head_here = first_head + heads_from + ${h}u;
            let share = finish(whole_largest_${h}, whole_total_${h}, head_here);
            let at = group.z * params.out_stride + head_here * VALUE_DIM;
#for e in 0..QUADS_EACH
            if (quad + ${e * ACROSS}u < ${VALUE_QUADS}u) {
#for i in 0..4
                out[at + (quad + ${e * ACROSS}u) * 4u + ${i}u] = whole_${h}_${e}[${i}] * share;
#end
            }
#end
        }
#end
    }
#end
}
