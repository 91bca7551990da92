// Many rows of queries against paged keys and values: a workgroup has up to TILE_SLOTS / BLOCK rows of one sequence
// and up to BLOCK query heads of one KV head, and brings each tile of 64 keys once for them. Every workgroup looks
// whether a tile of rows begins at its own (`attention_rows`). The order of every sum is that of `attention`.
#set SLOTS = TILE_SLOTS
// Slots of a thread; quads of a slice of keys and queries, and the pitch of one over the slots.
#set PER = SLOTS / 16
#set SLICE = 256 / SLOTS
#set PITCH = SLOTS + 1
#set KEYS_BROUGHT = SLICE / 4
#buffer qkv read array<vec4<f32>>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#set WRITES = 0
#include kv_quad
#buffer sinks read array<f32>
#buffer out write array<f32>

#include attention_params
#include attention_rows
#include attention_merge

// Quads of the values that a thread has, every 16th; a row of them in memory; keys of a slice of values; its quads a thread.
#set EACH = (VALUE_QUADS + 15) / 16
#set ACROSS = 16 * EACH
#set VALUE_KEYS = 8
#if EACH <= 2
#set VALUE_KEYS = 32 / EACH
#end
#set ITEMS = (VALUE_KEYS * ACROSS + 255) / 256

// A slice of 64 keys and of the queries, or one of the values.
var<workgroup> staged: array<vec4<f32>, ${SLICE * (65 + PITCH)}>;
var<workgroup> scores: array<vec4<f32>, ${16 * PITCH}>;
var<workgroup> key_at: array<u32, 64>;
var<workgroup> value_at: array<u32, 64>;
#if ELEMENT >= 3
var<workgroup> key_scales: array<f32, 64>;
var<workgroup> value_scales: array<f32, 64>;
#end

fn scores_of(slot: u32, quad: u32) -> vec4<f32> {
    return scores[quad * ${PITCH}u + slot];
}

fn keep_weights(slot: u32, quad: u32, weights: vec4<f32>) {
#if ELEMENT >= 3
    let key = quad * 4u;
    let scales = vec4<f32>(value_scales[key], value_scales[key + 1u], value_scales[key + 2u], value_scales[key + 3u]);
    scores[quad * ${PITCH}u + slot] = weights * scales;
#else
    scores[quad * ${PITCH}u + slot] = weights;
#end
}

fn value_quad(slice: u32, item: u32) -> vec4<f32> {
    return kv_quad(value_at[slice + item / ${ACROSS}u] + min(item % ${ACROSS}u, ${VALUE_QUADS - 1}u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // The last rows of a prompt have the most keys, so they begin.
    let first_row = params.count - 1u - group.z;
    let count = rows_of_tile(first_row, thread);
    if (count < 2u) {
        return;
    }
    let row = rows[first_row];
    let last = row.x + count - 1u;
    let first_seen = first_key(row.x);
    let head = group.y / BLOCKS;
    let first_head = head * GROUP + (group.y % BLOCKS) * BLOCK;
    let heads_here = min(BLOCK, (head + 1u) * GROUP - first_head);
    // Scores and sums: two slots, and four keys or every 16th quad of the values.
    let column = thread % 16u;
    let slot = thread / 16u;
    // Bringing keys and queries: a quad of a slice, two keys, a slot.
    let quad = thread % ${SLICE}u;
    let brought = thread / ${SLICE}u;
    let query_row = first_row + min(brought / ${BLOCK}u, count - 1u);
    let query_head = first_head + min(brought % ${BLOCK}u, heads_here - 1u);
    let query_at = query_row * (params.row_stride / 4u) + query_head * ${KEY_QUADS}u;
#for i in 0..PER
    let position_${i} = row.x + (slot + ${i * 16}u) / ${BLOCK}u;
    var whole_largest_${i} = NONE;
    var whole_total_${i} = 0.0;
#for e in 0..EACH
    var whole_${i}_${e} = vec4<f32>(0.0);
#end
#end
    for (var split = first_seen / SPLIT; split <= last / SPLIT; split++) {
#for i in 0..PER
        var largest_${i} = NONE;
        var total_${i} = 0.0;
#for e in 0..EACH
        var split_${i}_${e} = vec4<f32>(0.0);
#end
#end
        for (var start = split * SPLIT; start < (split + 1u) * SPLIT; start += 64u) {
            if (start > last || start + 64u <= first_seen) {
                continue;
            }
            workgroupBarrier();
            if (thread < 64u) {
                // Keys that no row sees stand for one that is there.
                let key = clamp(start + thread, first_seen, last);
                let page = tables[row.y + key / PAGE];
                let first = kv_page(page, head);
                key_at[thread] = first + key % PAGE * ${KEY_QUADS}u;
                value_at[thread] = first + ${PAGE * KEY_QUADS}u + key % PAGE * ${VALUE_QUADS}u;
#if ELEMENT >= 3
                key_scales[thread] = kv_scale(page, head, key % PAGE);
                value_scales[thread] = kv_scale(page, head, PAGE + key % PAGE);
#end
            }
            workgroupBarrier();
#for i in 0..PER
#for k in 0..4
            var sums_${i}_${k} = vec4<f32>(0.0);
#end
#end
#for k in 0..KEYS_BROUGHT
            let key_at_${k} = key_at[brought + ${k * SLOTS}u];
            var key_${k} = kv_quad(key_at_${k} + min(quad, ${KEY_QUADS - 1}u));
#end
            var query = qkv[query_at + min(quad, ${KEY_QUADS - 1}u)];
            for (var slice = 0u; slice < ${KEY_QUADS}u; slice += ${SLICE}u) {
                let inside = slice + quad < ${KEY_QUADS}u;
                workgroupBarrier();
                // Key 4 c + k stands in column 16 k + c.
#for k in 0..KEYS_BROUGHT
                staged[quad * 65u + brought % 4u * 16u + brought / 4u + ${k * SLOTS / 4}u] = key_${k};
#end
                staged[${SLICE * 65}u + quad * ${PITCH}u + brought] = select(vec4<f32>(0.0), query, inside);
                workgroupBarrier();
                let next = min(slice + ${SLICE}u + quad, ${KEY_QUADS - 1}u);
#for k in 0..KEYS_BROUGHT
                key_${k} = kv_quad(key_at_${k} + next);
#end
                query = qkv[query_at + next];
#for j in 0..SLICE
                {
#for k in 0..4
                    let k_${k} = staged[${j * 65 + k * 16}u + column];
#end
#for i in 0..PER
                    let q_${i} = staged[${SLICE * 65 + j * PITCH + i * 16}u + slot];
#for k in 0..4
                    sums_${i}_${k} = fma(q_${i}, k_${k}, sums_${i}_${k});
#end
#end
                }
#end
            }
#for i in 0..PER
            scores[column * ${PITCH}u + slot + ${i * 16}u] = vec4<f32>(
#for k in 0..4
#if ELEMENT >= 3
                score(sums_${i}_${k}, key_scales[column * 4u + ${k}u], is_seen(start + column * 4u + ${k}u, position_${i})),
#else
                score(sums_${i}_${k}, 1.0, is_seen(start + column * 4u + ${k}u, position_${i})),
#end
#end
            );
#end
            workgroupBarrier();
            weigh(thread);
#for s in 0..ITEMS
            var value_${s} = value_quad(0u, min(thread + ${s * 256}u, ${VALUE_KEYS * ACROSS - 1}u));
#end
#for i in 0..PER
#for e in 0..EACH
            var sum_${i}_${e} = vec4<f32>(0.0);
#end
#end
            for (var slice = 0u; slice < 64u; slice += ${VALUE_KEYS}u) {
                workgroupBarrier();
#for s in 0..ITEMS
                if (thread + ${s * 256}u < ${VALUE_KEYS * ACROSS}u) {
                    staged[thread + ${s * 256}u] = value_${s};
                }
#end
                workgroupBarrier();
#for s in 0..ITEMS
                value_${s} = value_quad(min(slice + ${VALUE_KEYS}u, ${64 - VALUE_KEYS}u), min(thread + ${s * 256}u, ${VALUE_KEYS * ACROSS - 1}u));
#end
                for (var k = 0u; k < ${VALUE_KEYS}u; k += 4u) {
#for i in 0..PER
                    let weights_${i} = scores[(slice + k) / 4u * ${PITCH}u + slot + ${i * 16}u];
#end
#for n in 0..4
                    {
#for e in 0..EACH
                        let v_${e} = staged[(k + ${n}u) * ${ACROSS}u + column + ${e * 16}u];
#for i in 0..PER
                        sum_${i}_${e} = fma(vec4<f32>(weights_${i}[${n}]), v_${e}, sum_${i}_${e});
#end
#end
                    }
#end
                }
            }
#for i in 0..PER
            {
                let step = merge(largest_${i}, total_${i}, tile_largest(slot + ${i * 16}u), tile_total(slot + ${i * 16}u));
                largest_${i} = step.largest;
                total_${i} = step.total;
#for e in 0..EACH
                split_${i}_${e} = fma(split_${i}_${e}, vec4<f32>(step.before), sum_${i}_${e} * step.after);
#end
            }
#end
        }
#for i in 0..PER
        {
            let step = merge(whole_largest_${i}, whole_total_${i}, largest_${i}, total_${i});
            whole_largest_${i} = step.largest;
            whole_total_${i} = step.total;
#for e in 0..EACH
            whole_${i}_${e} = fma(whole_${i}_${e}, vec4<f32>(step.before), split_${i}_${e} * step.after);
#end
        }
#end
    }
#for i in 0..PER
    {
        let row_here = (slot + ${i * 16}u) / ${BLOCK}u;
        let head_here = (slot + ${i * 16}u) % ${BLOCK}u;
        if (row_here < count && head_here < heads_here) {
            let share = finish(whole_largest_${i}, whole_total_${i}, first_head + head_here);
            let at = (first_row + row_here) * params.out_stride + (first_head + head_here) * VALUE_DIM;
#for e in 0..EACH
            if (column + ${e * 16}u < ${VALUE_QUADS}u) {
#for n in 0..4
                out[at + (column + ${e * 16}u) * 4u + ${n}u] = whole_${i}_${e}[${n}] * share;
#end
            }
#end
        }
    }
#end
}
