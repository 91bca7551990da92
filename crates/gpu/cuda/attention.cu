// Attention of packed rows over paged keys and values: on tensor cores for heads of 64 and 128 in 16 bits, plainly for
// all others.
//
// Keys are taken in tiles of 64 at fixed positions; each tile is summed alone and the tiles are merged in order, span by span.
// Invariant: a row's bits depend on its query, its position and its keys, not on whether one warp walks all tiles
// (`prefill`) or each span has a warp of its own and `join` merges (`decode`). Read next: attention.cuh.
#include "attention.cuh"

// The tiles of a warp's spans, every `step` from `span` on, for up to 16 query heads of one row; `put(span, head)` is
// where what a span gives is put. The keys of the next tile come while the values of this one are
// weighed, and the other way round. RUNS: some spans may have more than one tile.
template <int ELEMENT, int DIM, bool RUNS, typename Put> DEV void walk_spans(const AttentionArgs &args, u8 *memory, uint2 row, u32 span, u32 step, Put put) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 blocks = (args.group + 15) / 16, head = blockIdx.y / blocks;
    const u32 seen = first_seen(args, row.x), first[2] = {seen, seen}, last[2] = {row.x, row.x}, last_tile = row.x / KEYS;
    u32 tile = maximum(begin_of(span), seen / KEYS);
    if (tile > last_tile) return;
    auto behind = [&](u32 of) { return !RUNS || begins_span(of + 1) ? begin_of(span_of(of) + step) : of + 1; };
    const u32 keys_at = shared_address(memory) + warp * KEYS * DIM * 4, values_at = keys_at + KEYS * DIM * 2;
    const u32 to_values = args.page * DIM * 2;
    u64 begin[2];
    Pages pages;
    pages.ask(args, row.y, tile * KEYS, row.x);
    pages.places<DIM>(args, head, tile * KEYS, row.x, begin);
    stage_tile<DIM, 32>(args, keys_at, begin, 0);
    stage_tile<DIM, 32>(args, values_at, begin, to_values);
    u32 next = behind(tile);
    pages.ask(args, row.y, next * KEYS, row.x);
    Queries<ELEMENT, DIM> q;
    const u32 of_group = blockIdx.y % blocks * 16, here = minimum(16u, args.group - of_group);
    const float *from = args.qkv + (u64)blockIdx.z * args.row_stride + (head * args.group + of_group) * DIM;
    q.load(g < here ? from + g * DIM : nullptr, g + 8 < here ? from + (g + 8) * DIM : nullptr, t);
    for (bool continues = false; tile <= last_tile; continues = RUNS && !begins_span(next), tile = next, next = behind(tile)) {
        const bool more = next <= last_tile;
        auto bring = [&](u32 to, u32 skip) {
            __syncwarp();
            if (more) {
                stage_tile<DIM, 32>(args, to, begin, skip);
            } else {
                copy_commit();
            }
        };
        pages.places<DIM>(args, head, next * KEYS, row.x, begin);
        copy_wait<1>();
        __syncwarp();
        float sums[DIM / 8][4], largest[2], total[2];
        auto between = [&]() {
            bring(keys_at, 0);
            copy_wait<1>();
            __syncwarp();
        };
        tile_sums<ELEMENT, DIM, false>(args, q, keys_at, values_at, tile * KEYS, first, last, lane, sums, largest, total, between);
        bring(values_at, to_values);
        pages.ask(args, row.y, behind(next) * KEYS, row.x);
        auto place = [&](u32 of) { return put(span_of(tile), of); };
        if (continues) merge_put<DIM>(sums, largest, total, here, place);
        put_sums<DIM>(sums, largest, total, here, place);
    }
}

// Grid (blocks of two warps, KV heads * blocks of 16 heads, rows); `join` merges.
template <int ELEMENT, int DIM> DEV void decode(const AttentionArgs &args, u8 *memory) {
    const u32 blocks = (args.group + 15) / 16, first_head = blockIdx.y / blocks * args.group + blockIdx.y % blocks * 16;
    next_may_start();
    previous_done();
    const uint2 row = load_row(args, blockIdx.z);
    if (row.x == ~0u) return;
    auto put = [&](u32 span, u32 of) { return put_apart(args, blockIdx.z, first_head + of, span, DIM); };
    const u32 first = span_of(first_seen(args, row.x) / KEYS);
    walk_spans<ELEMENT, DIM, true>(args, memory, row, first + blockIdx.x * 2 + (threadIdx.x >> 5), gridDim.x * 2, put);
}

// The same for keys so few that a block keeps all it summed in shared memory, and merges: grid (1, KV heads * blocks of 16
// heads, rows).
template <int ELEMENT, int DIM> DEV void decode_close(const AttentionArgs &args, u8 *memory) {
    const u32 blocks = (args.group + 15) / 16, of_group = blockIdx.y % blocks * 16, first_head = blockIdx.y / blocks * args.group + of_group;
    const u32 here = minimum(16u, args.group - of_group);
    next_may_start();
    previous_done();
    const uint2 row = load_row(args, blockIdx.z);
    if (row.x == ~0u) return;
    float *kept = (float *)(memory + 2 * KEYS * DIM * 4);
    const u32 first = first_seen(args, row.x) / KEYS, tiles = row.x / KEYS + 1 - first;
    auto place = [&](u32 tile, u32 of) { return kept + (tile * here + of) * (DIM + 2); };
    auto put = [&](u32 tile, u32 of) { return put_close(place(tile - first, of), DIM); };
    walk_spans<ELEMENT, DIM, false>(args, memory, row, first + (threadIdx.x >> 5), 2, put);
    __syncthreads();
    for (u32 i = threadIdx.x; i < here * DIM; i += 64) {
        const u32 of = i / DIM, d = i % DIM;
        float largest = LEAST, total = 0.0f, sum = 0.0f;
        for (u32 tile = 0; tile < tiles; tile++) {
            const float *from = place(tile, of);
            const Merge step = merge(largest, total, from[DIM], from[DIM + 1]);
            largest = step.largest, total = step.total;
            sum = fmaf(sum, step.before, from[d] * step.after);
        }
        args.out[(u64)blockIdx.z * args.out_stride + (first_head + of) * DIM + d] = sum * finish(args, largest, total, first_head + of);
    }
}

constexpr u32 JOINED = 512, PART = 64, PARTS = 4, WIDTH = 32, PRODUCTS = PART + 4;

// Merge the spans of a row and head: grid (heads, rows, value_dim / WIDTH). The largest score so far is found for 512 spans at
// once, asked for long before. Then sums come PART spans at a time, PARTS - 1 times that ahead: two warps bring them and
// multiply them by what their span counts, and a step later the first warp, a lane each dimension, adds them in order, and the
// second their totals. That is all that waits for the span before.
extern "C" __global__ void __launch_bounds__(128) attention_join(const __grid_constant__ AttentionArgs args) {
    constexpr u32 EACH = JOINED / 128, CHUNK = JOINED / PART;
    extern __shared__ __align__(128) float ring[]; // products [2][WIDTH][PRODUCTS], then sums [PARTS][PART][WIDTH]
    // What is before a span counts so much, what it gives so much, and its total by that.
    __shared__ __align__(16) float befores[2][JOINED], afters[JOINED], totals[2][JOINED];
    __shared__ float ends[4], whole;
    next_may_start();
    const uint2 row = load_row(args, blockIdx.y);
    if (row.x == ~0u) return;
    const u32 thread = threadIdx.x, lane = thread & 31, warp = thread >> 5, head = blockIdx.x;
    const u32 products_at = shared_address(ring), sums_at = products_at + 2 * WIDTH * PRODUCTS * 4;
    const u32 first = span_of(first_seen(args, row.x) / KEYS), count = span_of(row.x / KEYS) + 1 - first, parts = (count + PART - 1) / PART;
    const float *of_head = args.scratch + (u64)(blockIdx.y * args.heads + head) * args.spans * (args.value_dim + 4);
    const float *from = of_head + (blockIdx.z * args.spans + first) * WIDTH + (thread & 63) * 4;
    const float2 *owns = (const float2 *)(of_head + args.spans * args.value_dim) + first + thread * EACH;
    auto bring = [&](u32 part) {
        const u32 to = sums_at + (part % PARTS * PART * WIDTH + (thread & 63) * 4) * 4;
        if (part < parts) {
#pragma unroll
            for (u32 j = 0; j < PART * WIDTH / 256; j++) {
                copy_async_or_zero(to + j * 1024, from + part * PART * WIDTH + j * 256, part * PART + j * 8 + (thread & 63) / 8 < count);
            }
        }
        copy_commit();
    };
    float2 own[EACH];
    auto ask = [&](u32 span) {
#pragma unroll
        for (u32 j = 0; j < EACH; j++) {
            own[j] = make_float2(LEAST, 0.0f);
            if (span + thread * EACH + j < count) own[j] = __ldcg(owns + span + j);
        }
    };
    previous_done();
    ask(0);
#pragma unroll
    for (u32 part = 0; part + 1 < PARTS; part++) {
        if (warp >= 2) bring(part);
    }
    float largest = LEAST, sum = 0.0f;
    for (u32 part = 0; part <= parts; part++) {
        if (part % CHUNK == 0 && part < parts) {
            float all = LEAST;
#pragma unroll
            for (u32 j = 0; j < EACH; j++) all = fmaxf(all, own[j].x);
            for (u32 step = 1; step < 32; step *= 2) {
                const float other = __shfl_up_sync(~0u, all, step);
                if (lane >= step) all = fmaxf(all, other);
            }
            if (lane == 31) ends[warp] = all;
            float before = __shfl_up_sync(~0u, all, 1);
            if (lane == 0) before = LEAST;
            __syncthreads();
            before = fmaxf(before, largest);
#pragma unroll
            for (u32 other = 0; other < 4; other++) {
                if (other < warp) before = fmaxf(before, ends[other]);
                largest = fmaxf(largest, ends[other]);
            }
            float *into = befores[part / CHUNK & 1] + thread * EACH, *weighs = totals[part / CHUNK & 1] + thread * EACH;
#pragma unroll
            for (u32 j = 0; j < EACH; j++) {
                const float now = fmaxf(before, own[j].x), after = power(own[j].x - now);
                into[j] = power(before - now), afters[thread * EACH + j] = after, weighs[j] = __fmul_rn(own[j].y, after);
                before = now;
            }
            ask((part + CHUNK) * PART);
        }
        if (warp >= 2) copy_wait<PARTS - 2>();
        __syncthreads();
        if (warp >= 2) {
            bring(part + PARTS - 1);
            for (u32 j = 0; part < parts && j < PART / 2; j += 4) {
                const u32 span = (warp - 2) * (PART / 2) + j;
                const float *values = ring + 2 * WIDTH * PRODUCTS + (part % PARTS * PART + span) * WIDTH + lane;
                const float4 after = *(const float4 *)(afters + part % CHUNK * PART + span);
                *(float4 *)(ring + ((part & 1) * WIDTH + lane) * PRODUCTS + span) =
                    make_float4(values[0] * after.x, values[WIDTH] * after.y, values[2 * WIDTH] * after.z, values[3 * WIDTH] * after.w);
            }
        } else if (part > 0) {
            const u32 last = part - 1, place = last % CHUNK * PART;
            const float4 *before = (const float4 *)(befores[last / CHUNK & 1] + place);
            const float4 *adds = (const float4 *)(warp == 0 ? ring + ((last & 1) * WIDTH + lane) * PRODUCTS : totals[last / CHUNK & 1] + place);
#pragma unroll
            for (u32 j = 0; j < PART / 4; j++) {
                const float4 b = before[j], v = adds[j];
                sum = fmaf(fmaf(fmaf(fmaf(sum, b.x, v.x), b.y, v.y), b.z, v.z), b.w, v.w);
            }
        }
    }
    if (thread == 32) whole = sum;
    __syncthreads();
    if (warp == 0) args.out[(u64)blockIdx.y * args.out_stride + head * args.value_dim + blockIdx.z * WIDTH + lane] = sum * finish(args, largest, whole, head);
}

// A block has 64 query rows of one KV head (tokens by heads of its group), a warp 16 of them; all walk the tiles of each
// sequence that they belong to. Grid (KV heads, blocks of tokens).
template <int ELEMENT, int DIM> DEV void prefill(const AttentionArgs &args, u8 *memory) {
    __shared__ uint2 rows[64];
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 tokens = 64 / args.group, head = blockIdx.x;
    next_may_start();
    previous_done();
    // The last rows of a prompt see the most keys: they begin first.
    const u32 first_token = (gridDim.y - 1 - blockIdx.y) * tokens;
    const u32 here = minimum(tokens, args.count - first_token);
    if (threadIdx.x < tokens) rows[threadIdx.x] = threadIdx.x < here ? load_row(args, first_token + threadIdx.x) : make_uint2(~0u, 0);
    __syncthreads();
    u32 token[2], of_group[2];
    const float *from[2];
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        const u32 i = warp * 16 + g + 8 * half;
        token[half] = i / args.group, of_group[half] = i % args.group;
        const bool there = token[half] < here && rows[minimum(token[half], 63u)].x != ~0u;
        from[half] = there ? args.qkv + (u64)(first_token + token[half]) * args.row_stride + (head * args.group + of_group[half]) * DIM : nullptr;
        if (!there) token[half] = ~0u;
    }
    Queries<ELEMENT, DIM> q;
    q.load(from[0], from[1], t);
    float whole[DIM / 8][4] = {}, whole_largest[2] = {LEAST, LEAST}, whole_total[2] = {0.0f, 0.0f};
    // Spans that are merged wait where the result will be.
    Kept kept[2] = {{LEAST, 0.0f}, {LEAST, 0.0f}};
    auto place = [&](u32 half, u32 d) {
        return (float2 *)(args.out + (u64)(first_token + token[half]) * args.out_stride + (head * args.group + of_group[half]) * DIM + d * 8 + 2 * t);
    };
    const u32 keys_at = shared_address(memory), values_at = keys_at + 2 * KEYS * DIM * 2;
    for (u32 begin = 0; begin < here;) {
        if (rows[begin].x == ~0u) {
            begin++;
            continue;
        }
        u32 end = begin, most = 0, least = ~0u;
        for (; end < here && rows[end].x != ~0u && rows[end].y == rows[begin].y; end++) {
            most = maximum(most, rows[end].x), least = minimum(least, first_seen(args, rows[end].x));
        }
        const u32 table = rows[begin].y, last_tile = most / KEYS;
        u32 first[2], last[2];
        bool mine[2];
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            mine[half] = token[half] >= begin && token[half] < end;
            last[half] = mine[half] ? rows[token[half]].x : 0;
            first[half] = mine[half] ? first_seen(args, last[half]) : ~0u;
        }
        u32 slot = 0;
        const u32 to_values = args.page * DIM * 2, first_start = least / KEYS * KEYS;
        u64 places[2];
        Pages pages;
        pages.ask(args, table, first_start, most);
        pages.places<DIM>(args, head, first_start, most, places);
        stage_tile<DIM, 128>(args, keys_at, places, 0);
        stage_tile<DIM, 128>(args, values_at, places, to_values);
        pages.ask(args, table, first_start + KEYS, most);
        for (u32 tile = least / KEYS; tile <= last_tile; tile++, slot ^= 1) {
            copy_wait<0>();
            __syncthreads();
            if (tile < last_tile) {
                const u32 next = (slot ^ 1) * KEYS * DIM * 2;
                pages.places<DIM>(args, head, (tile + 1) * KEYS, most, places);
                stage_tile<DIM, 128>(args, keys_at + next, places, 0);
                stage_tile<DIM, 128>(args, values_at + next, places, to_values);
                pages.ask(args, table, (tile + 2) * KEYS, most);
            }
            const u32 start = tile * KEYS;
            bool sees[2];
#pragma unroll
            for (u32 half = 0; half < 2; half++) sees[half] = mine[half] && start <= last[half] && start + KEYS > first[half];
            if (!__any_sync(~0u, sees[0] || sees[1])) continue;
#pragma unroll
            for (u32 half = 0; tile >= ALONE && begins_span(tile) && half < 2; half++) {
                if (sees[half] && whole_total[half] > 0.0f) keep_span<DIM>(kept[half], whole, whole_largest[half], whole_total[half], half, [&](u32 d) { return place(half, d); });
            }
            float sums[DIM / 8][4], largest[2], total[2];
            const u32 at = slot * KEYS * DIM * 2;
            tile_sums<ELEMENT, DIM, false>(args, q, keys_at + at, values_at + at, start, first, last, lane, sums, largest, total, []() {});
#pragma unroll
            for (u32 half = 0; half < 2; half++) {
                if (sees[half]) merge_tile<DIM>(whole, whole_largest[half], whole_total[half], half, largest[half], total[half], [&](u32 d, u32 e) { return sums[d][e]; });
            }
        }
        __syncthreads();
        begin = end;
    }
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        if (token[half] == ~0u) continue;
        take_kept<DIM>(kept[half], whole, whole_largest[half], whole_total[half], half, [&](u32 d) { return place(half, d); });
        const float share = finish(args, whole_largest[half], whole_total[half], head * args.group + of_group[half]);
#pragma unroll
        for (u32 d = 0; d < DIM / 8; d++) *place(half, d) = make_float2(whole[d][2 * half] * share, whole[d][2 * half + 1] * share);
    }
}

// Element of the cache; of 8 and 4 bits (element 3, 4) without its scale.
DEV float cached(const AttentionArgs &args, u64 element) {
    if (args.element == 0) return ((const float *)args.pages)[element];
    if (args.element == 3) return (float)((const signed char *)args.pages)[element];
    if (args.element == 4) return (float)(2 * (int)(args.pages[element >> 1] >> (element & 1) * 4 & 15) - 15);
    const u32 bits = ((const u16 *)args.pages)[element];
    return args.element == 1 ? f16_f32(bits) : bf16_f32(bits);
}

// Where a page's keys of a head begin, in elements: their values and, for 8 and 4 bits, all scales stand behind them.
DEV u64 page_begin(const AttentionArgs &args, u32 page, u32 head) {
    const u32 scales = args.element < 3 ? 0 : 2 * args.page * (args.element == 3 ? 4 : 8);
    return (u64)(page * args.kv_heads + head) * (args.page * (args.key_dim + args.value_dim) + scales);
}

DEV float cached_scale(const AttentionArgs &args, u64 begin, u32 place) {
    if (args.element < 3) return 1.0f;
    const u64 integers = begin + args.page * (args.key_dim + args.value_dim);
    return ((const float *)args.pages)[(integers >> (args.element == 3 ? 2 : 3)) + place];
}

// Any shape: a block of 128 threads has one query head of one row. Grid (heads, rows); values of up to 1,024.
extern "C" __global__ void __launch_bounds__(128) attention_any(const __grid_constant__ AttentionArgs args) {
    __shared__ float query[1024], weights[KEYS], shares[4];
    next_may_start();
    previous_done();
    const uint2 row = load_row(args, blockIdx.y);
    if (row.x == ~0u) return;
    const u32 head = blockIdx.x, kv_head = head / args.group, thread = threadIdx.x, seen_from = first_seen(args, row.x);
    for (u32 d = thread; d < args.key_dim; d += 128) query[d] = args.qkv[(u64)blockIdx.y * args.row_stride + head * args.key_dim + d];
    // Cached keys of few bits are rotated, so queries are too: scores stay what they are.
    const u32 rotation = args.element < 3 ? 1 : args.key_dim & -args.key_dim;
    for (u32 half = 1; half < rotation; half *= 2) {
        __syncthreads();
        for (u32 i = thread; i < args.key_dim / 2; i += 128) {
            const u32 low = i / half * half * 2 + i % half;
            const float a = query[low], b = query[low + half];
            query[low] = a + b, query[low + half] = a - b;
        }
    }
    const float rotated = 1.0f / sqrtf((float)rotation);
    // The sums of a span, and of all in front of it.
    float whole[8] = {}, kept[8] = {}, largest = LEAST, total = 0.0f, kept_largest = LEAST, kept_total = 0.0f;
    auto keep = [&]() {
        const Merge step = merge(kept_largest, kept_total, largest, total);
        kept_largest = step.largest, kept_total = step.total, largest = LEAST, total = 0.0f;
#pragma unroll
        for (u32 j = 0; j < 8; j++) kept[j] = fmaf(kept[j], step.before, whole[j] * step.after), whole[j] = 0.0f;
    };
    for (u32 start = seen_from / KEYS * KEYS; start <= row.x; start += KEYS) {
        __syncthreads();
        if (start >= ALONE * KEYS && begins_span(start / KEYS)) keep();
        // Two threads share a key.
        const u32 key = start + thread / 2;
        float score = 0.0f;
        const bool seen = key <= row.x && key >= seen_from;
        if (seen) {
            const u64 begin = page_begin(args, args.tables[row.y + key / args.page], kv_head), at = begin + key % args.page * args.key_dim;
            for (u32 d = thread & 1; d < args.key_dim; d += 2) score = fmaf(query[d], cached(args, at + d), score);
            score *= rotated * cached_scale(args, begin, key % args.page);
        }
        score += __shfl_xor_sync(~0u, score, 1);
        score = !seen ? LEAST : args.cap > 0.0f ? limited(args, score) : score * scale_of(args);
        const float most_of_warp = warp_max(score);
        if ((thread & 31) == 0) shares[thread >> 5] = most_of_warp;
        __syncthreads();
        const float most = fmaxf(fmaxf(shares[0], shares[1]), fmaxf(shares[2], shares[3]));
        const float weight = seen ? power(score - most) : 0.0f;
        if ((thread & 1) == 0) weights[thread / 2] = weight;
        const float sum_of_warp = warp_sum(thread & 1 ? 0.0f : weight);
        __syncthreads();
        if ((thread & 31) == 0) shares[thread >> 5] = sum_of_warp;
        __syncthreads();
        const float sum = (shares[0] + shares[1]) + (shares[2] + shares[3]);
        const Merge step = merge(largest, total, most, sum);
        largest = step.largest, total = step.total;
        float sums[8] = {};
        for (u32 i = maximum(start, seen_from) - start; i < KEYS && start + i <= row.x; i++) {
            const u32 k = start + i;
            const u64 begin = page_begin(args, args.tables[row.y + k / args.page], kv_head);
            const u64 at = begin + args.page * args.key_dim + k % args.page * args.value_dim;
            const float weight = weights[i] * cached_scale(args, begin, args.page + k % args.page);
#pragma unroll
            for (u32 j = 0; j < 8; j++) {
                if (thread + 128 * j < args.value_dim) sums[j] = fmaf(weight, cached(args, at + thread + 128 * j), sums[j]);
            }
        }
#pragma unroll
        for (u32 j = 0; j < 8; j++) whole[j] = fmaf(whole[j], step.before, sums[j] * step.after);
    }
    keep();
    const float share = finish(args, kept_largest, kept_total, head);
#pragma unroll
    for (u32 j = 0; j < 8; j++) {
        const u32 d = thread + 128 * j;
        if (d < args.value_dim) args.out[(u64)blockIdx.y * args.out_stride + head * args.value_dim + d] = kept[j] * share;
    }
}

#define ATTENTION(name, element, dim)                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) attention_decode_##name(const __grid_constant__ AttentionArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        decode<element, dim>(args, memory);                                                                          \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(64) attention_close_##name(const __grid_constant__ AttentionArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        decode_close<element, dim>(args, memory);                                                                    \
    }                                                                                                                \
    extern "C" __global__ void __launch_bounds__(128) attention_prefill_##name(const __grid_constant__ AttentionArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        prefill<element, dim>(args, memory);                                                                         \
    }

ATTENTION(f16_64, F16, 64)
ATTENTION(f16_128, F16, 128)
ATTENTION(bf16_64, BF16, 64)
ATTENTION(bf16_128, BF16, 128)
