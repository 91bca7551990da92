// A row of queries against paged keys and values: one workgroup has one row and up to BLOCK query heads of one KV head.
//
// The order of a row's sums, here and in `attention_tile`: keys are taken in tiles of 64 at fixed positions, each weighed
// and summed alone, key by key; the tiles of a split of SPLIT keys are merged in order, then the splits are. So its bits
// do not depend on whether one workgroup takes all tiles (MODE 1), or TILES of them each (MODE 0: `attention_join` does the
// rest), or many rows at once. What the next tile takes is on its way while one is summed. With LONE only tiles of a single row
// are done. With HEADS (of queries) this begins with what `heads` and `kv_write` do; in MODE 0 others read the row's heads too, so
// they stay as they were.
#set SLOTS = BLOCK
#if HEADS > 0 && MODE == 1
#buffer qkv update array<f32>
#elif HEADS > 0
#buffer qkv read array<f32>
#else
#buffer qkv read array<vec4<f32>>
#end
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#set WRITES = HEADS
#include kv_quad
#buffer sinks read array<f32>
#buffer out write array<f32>
#if HEADS > 0
#set HEAD_DIM = KEY_DIM
#set AT_ONCE = 4
// Those of the queries and the key's.
#set HEAD_ROUNDS = (BLOCK + AT_ONCE) / AT_ONCE
#include head_shared
#end

#include attention_params
#if LONE == 1
#include attention_rows
#end

// Quads of a slice of the tile's keys or values, which is in memory at once, and how many of them a thread brings.
#set MOST_QUADS = 32
#if ELEMENT == 0
#set MOST_QUADS = 8
#elif KEY_QUADS > 32
#set MOST_QUADS = 16
#end
#set KEY_SLICES = (KEY_QUADS + MOST_QUADS - 1) / MOST_QUADS
#set KEY_SLICE = (KEY_QUADS + KEY_SLICES - 1) / KEY_SLICES
#set KEYS_EACH = (KEY_SLICE + 3) / 4
#set VALUE_SLICES = (VALUE_QUADS + MOST_QUADS - 1) / MOST_QUADS
#set VALUE_SLICE = (VALUE_QUADS + VALUE_SLICES - 1) / VALUE_SLICES
#set VALUES_EACH = (VALUE_SLICE + 3) / 4
// Keys stand so far apart that threads which read side by side meet different banks.
#set PITCH = KEY_SLICE / 2 * 2 + 1
#set WIDEST = PITCH
#if VALUE_SLICE > WIDEST
#set WIDEST = VALUE_SLICE
#end
// Threads that have the quads of the values of a head; heads of which a thread weighs a key.
#set ACROSS = 32
#for i in 0..4
#if VALUE_SLICE * 2 <= ACROSS
#set ACROSS = ACROSS / 2
#end
#end
#set HEADS_EACH = (BLOCK + 3) / 4

var<workgroup> query: array<vec4<f32>, ${BLOCK * KEY_QUADS}>;
var<workgroup> scores: array<f32, ${SLOTS * 64}>;
var<workgroup> staged: array<Raw, ${64 * WIDEST}>;
#if ELEMENT >= 3
var<workgroup> key_scales: array<f32, 64>;
var<workgroup> value_scales: array<f32, 64>;
#end

#include attention_merge

fn scores_of(slot: u32, quad: u32) -> vec4<f32> {
    let at = slot * 64u + quad * 4u;
    return vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

fn keep_weights(slot: u32, quad: u32, weights: vec4<f32>) {
    let at = slot * 64u + quad * 4u;
#for i in 0..4
#if ELEMENT >= 3
    scores[at + ${i}u] = weights[${i}] * value_scales[quad * 4u + ${i}u];
#else
    scores[at + ${i}u] = weights[${i}];
#end
#end
}

// A key that is not seen stands for none: in its place the row's own is read.
fn seen_or_own(key: u32, position: u32) -> u32 {
    return select(position, key, is_seen(key, position));
}

#if HEADS > 0
#include kv_word
// The row's own key and value.
var<workgroup> own_key: array<Raw, ${KEY_QUADS}>;
var<workgroup> own_value: array<Raw, ${VALUE_QUADS}>;

fn raw_of(a: f32, b: f32, c: f32, d: f32) -> Raw {
#if ELEMENT == 0
    return vec4<f32>(a, b, c, d);
#else
    return vec2<u32>(word(a, b), word(c, d));
#end
}
#end

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#if LONE == 1
    if (rows_of_tile(group.z, thread) != 1u) {
        return;
    }
#end
    let here = rows[group.z];
    let position = here.x;
    let kv_head = group.y / BLOCKS;
    let first_head = kv_head * GROUP + (group.y % BLOCKS) * BLOCK;
    let heads_here = min(BLOCK, (kv_head + 1u) * GROUP - first_head);
#if HEADS > 0
    // The heads of the queries, and behind them that of the key; then the value.
    let slot = thread / 64u;
    let lane = thread % 64u;
    let of_row = group.z;
#for r in 0..HEAD_ROUNDS
    let place_${r} = slot + ${r * AT_ONCE}u;
    let number_${r} = select(HEADS + kv_head, first_head + place_${r}, place_${r} < heads_here);
#end
#include head_load
#set LANE_QUADS = (VALUE_QUADS + 63) / 64
    let own_values = of_row * params.row_stride + ${(HEADS + KV_HEADS) * KEY_DIM}u + kv_head * VALUE_DIM;
#for i in 0..LANE_QUADS
    let own_at_${i} = own_values + min(lane + ${i * 64}u, ${VALUE_QUADS - 1}u) * 4u;
    let own_${i} = vec4<f32>(qkv[own_at_${i}], qkv[own_at_${i} + 1u], qkv[own_at_${i} + 2u], qkv[own_at_${i} + 3u]);
#end
#end
    // A row of no sequence.
    if (position == 0xffffffffu) {
        return;
    }
    let first_seen = first_key(position);
#if MODE == 0
    let first_here = group.x * TILES;
    if (first_here > position / 64u || first_here + TILES <= first_seen / 64u) {
        return;
    }
    let first_tile = max(first_here, first_seen / 64u);
    let last_tile = min(first_here + TILES - 1u, position / 64u);
#else
    let first_tile = first_seen / 64u;
    let last_tile = position / 64u;
#end
#for e in 0..KEYS_EACH
    var key_${e}: Raw;
#end
#for e in 0..VALUES_EACH
    var value_${e}: Raw;
#end
#if ELEMENT >= 3
    var key_scale: f32;
    var value_scale: f32;
#end
    var next = first_tile;
#set P = 0
#include attention_keys
#include attention_values
#if HEADS > 0
#include head_norm
#for r in 0..HEAD_ROUNDS
#if r > 0
    workgroupBarrier();
#end
#set R = r
#include head
    for (var d = lane; d < KEY_DIM; d += 64u) {
        if (place_${r} < heads_here) {
            query[place_${r} * ${KEY_QUADS}u + d / 4u][d % 4u] = head[slot * KEY_DIM + d];
        }
#if MODE == 1
        if (place_${r} <= heads_here) {
            qkv[of_row * params.row_stride + number_${r} * KEY_DIM + d] = head[slot * KEY_DIM + d];
        }
#end
    }
    if (place_${r} == heads_here) {
        for (var q = lane; q < ${KEY_QUADS}u; q += 64u) {
            let at = slot * KEY_DIM + q * 4u;
            own_key[q] = raw_of(head[at], head[at + 1u], head[at + 2u], head[at + 3u]);
        }
    }
#end
    if (slot == (heads_here + 1u) % ${AT_ONCE}u) {
#for i in 0..LANE_QUADS
        if (lane + ${i * 64}u < ${VALUE_QUADS}u) {
            own_value[lane + ${i * 64}u] = raw_of(own_${i}.x, own_${i}.y, own_${i}.z, own_${i}.w);
        }
#end
    }
    workgroupBarrier();
    if (last_tile == position / 64u) {
        let to = kv_page(tables[here.y + position / PAGE], kv_head);
        for (var q = thread; q < ${KEY_QUADS}u; q += 256u) {
            pages[to + position % PAGE * ${KEY_QUADS}u + q] = own_key[q];
        }
        for (var q = thread; q < ${VALUE_QUADS}u; q += 256u) {
            pages[to + ${PAGE * KEY_QUADS}u + position % PAGE * ${VALUE_QUADS}u + q] = own_value[q];
        }
    }
#else
    for (var i = thread; i < ${BLOCK * KEY_QUADS}u; i += 256u) {
        let from_query = min(i / ${KEY_QUADS}u, heads_here - 1u) * ${KEY_QUADS}u + i % ${KEY_QUADS}u;
        query[i] = qkv[group.z * (params.row_stride / 4u) + first_head * ${KEY_QUADS}u + from_query];
    }
#end
    // This thread's key and the first of its heads; its quads of the values and their head.
    let own = thread % 64u;
    let share = thread / 64u;
    let quad = thread % ${ACROSS}u;
    let value_head = thread / ${ACROSS}u;
    let is_summing = value_head < BLOCK && quad < ${VALUE_SLICE}u;
    var largest = NONE;
    var total = 0.0;
#for p in 0..VALUE_SLICES
    var split_${p} = vec4<f32>(0.0);
#end
#if MODE == 1
    var whole_largest = NONE;
    var whole_total = 0.0;
#for p in 0..VALUE_SLICES
    var whole_${p} = vec4<f32>(0.0);
#end
#end
    for (var tile = first_tile; tile <= last_tile; tile++) {
        let start = tile * 64u;
        let after = min(tile + 1u, last_tile);
        let seen = is_seen(start + own, position);
        // Where in the tile the last key is, which is the row's own, if it is there.
        let last_here = position - start;
#for h in 0..HEADS_EACH
        var sums_${h} = vec4<f32>(0.0);
#end
#for p in 0..KEY_SLICES
        workgroupBarrier();
#for e in 0..KEYS_EACH
        if (thread + ${e * 256}u < ${64 * KEY_SLICE}u) {
            let key = (thread + ${e * 256}u) / ${KEY_SLICE}u;
            let quad = (thread + ${e * 256}u) % ${KEY_SLICE}u;
            staged[key * ${PITCH}u + quad] = key_${e};
        }
#end
#if HEADS > 0
        // In place of what lies there, the row's own, by the thread that brought it.
        let own_key_quad_${p} = (thread - last_here * ${KEY_SLICE}u) % 256u;
        if (last_here < 64u && own_key_quad_${p} < ${KEY_SLICE}u) {
            staged[last_here * ${PITCH}u + own_key_quad_${p}] = own_key[min(own_key_quad_${p} + ${p * KEY_SLICE}u, ${KEY_QUADS - 1}u)];
        }
#end
#if ELEMENT >= 3 && p == 0
        if (thread < 64u) {
            key_scales[thread] = key_scale;
            value_scales[thread] = value_scale;
        }
#end
        workgroupBarrier();
#if p + 1 < KEY_SLICES
#set P = p + 1
        next = tile;
#else
#set P = 0
        next = after;
#end
#include attention_keys
        if (share < BLOCK) {
            for (var d = 0u; d < ${KEY_SLICE}u; d++) {
#if (p + 1) * KEY_SLICE > KEY_QUADS
                if (d + ${p * KEY_SLICE}u >= ${KEY_QUADS}u) { break; }
#end
                let k = kv_of(staged[own * ${PITCH}u + d]);
#for h in 0..HEADS_EACH
                sums_${h} = fma(query[min(share + ${h * 4}u, BLOCK - 1u) * ${KEY_QUADS}u + ${p * KEY_SLICE}u + d], k, sums_${h});
#end
            }
        }
#end
#for h in 0..HEADS_EACH
        if (share + ${h * 4}u < BLOCK) {
#if ELEMENT >= 3
            scores[(share + ${h * 4}u) * 64u + own] = score(sums_${h}, key_scales[own], seen);
#else
            scores[(share + ${h * 4}u) * 64u + own] = score(sums_${h}, 1.0, seen);
#end
        }
#end
        workgroupBarrier();
        // Values of what is not seen, where they are added, are zeros: whatever lies there may be no number.
        let first_key_here = select(0u, first_seen - start, first_seen > start) / 4u * 4u;
        let end_here = min(64u, position + 1u - start);
#for p in 0..VALUE_SLICES
#if p > 0
        workgroupBarrier();
#end
#for e in 0..VALUES_EACH
        if (thread + ${e * 256}u < ${64 * VALUE_SLICE}u) {
            staged[thread + ${e * 256}u] = value_${e};
        }
#end
        // Values are summed four by four: of the four with the last one those behind it are cleared, and of those with the first one in front
        // of it, by the threads that brought them.
        let behind_${p} = (thread - last_here * ${VALUE_SLICE}u) % 256u;
        if (last_here < 64u && last_here % 4u + behind_${p} / ${VALUE_SLICE}u < 4u) {
#if HEADS > 0
            var own_here = Raw();
            if (behind_${p} < ${VALUE_SLICE}u) {
                own_here = own_value[min(behind_${p} + ${p * VALUE_SLICE}u, ${VALUE_QUADS - 1}u)];
            }
            staged[last_here * ${VALUE_SLICE}u + behind_${p}] = own_here;
#else
            if (behind_${p} >= ${VALUE_SLICE}u) {
                staged[last_here * ${VALUE_SLICE}u + behind_${p}] = Raw();
            }
#end
        }
        if (first_seen > start) {
            let before = (thread - first_key_here * ${VALUE_SLICE}u) % 256u;
            if (first_key_here + before / ${VALUE_SLICE}u < first_seen - start) {
                staged[first_key_here * ${VALUE_SLICE}u + before] = Raw();
            }
        }
#if p == 0
        weigh(thread);
#else
        workgroupBarrier();
#end
#if p + 1 < VALUE_SLICES
#set P = p + 1
        next = tile;
#else
#set P = 0
        next = after;
#end
#include attention_values
        var sum_${p} = vec4<f32>(0.0);
        if (is_summing) {
            for (var i = first_key_here; i < end_here; i += 4u) {
#for k in 0..4
                sum_${p} = fma(vec4<f32>(scores[value_head * 64u + i + ${k}u]), kv_of(staged[(i + ${k}u) * ${VALUE_SLICE}u + quad]), sum_${p});
#end
            }
        }
#end
        {
            let slot = min(value_head, BLOCK - 1u);
            let step = merge(largest, total, tile_largest(slot), tile_total(slot));
            largest = step.largest;
            total = step.total;
#for p in 0..VALUE_SLICES
            split_${p} = fma(split_${p}, vec4<f32>(step.before), sum_${p} * step.after);
#end
        }
#if MODE == 1
        if (tile % (SPLIT / 64u) == SPLIT / 64u - 1u || tile == last_tile) {
            let step = merge(whole_largest, whole_total, largest, total);
            whole_largest = step.largest;
            whole_total = step.total;
            largest = NONE;
            total = 0.0;
#for p in 0..VALUE_SLICES
            whole_${p} = fma(whole_${p}, vec4<f32>(step.before), split_${p} * step.after);
            split_${p} = vec4<f32>(0.0);
#end
        }
#end
    }
    if (!is_summing || value_head >= heads_here) {
        return;
    }
    let of_head = first_head + value_head;
#if MODE == 0
    // Values of all parts, then for each its largest score and total.
    let parts = params.splits * (SPLIT / 64u / TILES);
    let part = (group.z * KV_HEADS * GROUP + of_head) * parts + group.x;
    let at = part * VALUE_DIM;
    if (quad == 0u) {
        let stands = params.count * KV_HEADS * GROUP * parts * VALUE_DIM + part * 2u;
        out[stands] = largest;
        out[stands + 1u] = total;
    }
#for p in 0..VALUE_SLICES
    let result_${p} = split_${p};
#end
#else
    let share_of_row = finish(whole_largest, whole_total, of_head);
    let at = group.z * params.out_stride + of_head * VALUE_DIM;
#for p in 0..VALUE_SLICES
    let result_${p} = whole_${p} * share_of_row;
#end
#end
#for p in 0..VALUE_SLICES
    if (quad + ${p * VALUE_SLICE}u < ${VALUE_QUADS}u) {
#for i in 0..4
        out[at + (quad + ${p * VALUE_SLICE}u) * 4u + ${i}u] = result_${p}[${i}];
#end
    }
#end
}
