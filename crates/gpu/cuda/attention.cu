// Attention of packed rows over paged keys and values: on tensor cores for heads of 64 and 128 in 16 bits, plainly for
// all others.
//
// Keys are taken in tiles of 64 at fixed positions; each tile is summed alone and the tiles are merged in order.
// Invariant: a row's bits depend on its query, its position and its keys, not on whether one warp walks all tiles
// (`prefill`) or each tile has a warp of its own and `join` merges (`decode`). Read next: attention.cuh.
#include "attention.cuh"

// The tiles of a warp, every `step` from `tile` on, for up to 16 query heads of one row; `put(tile, half, sums, largest,
// total)` gets what row g + 8 half of a tile gave. The keys of the next tile come while the values of this one are
// weighed, and the other way round.
template <int ELEMENT, int DIM, typename Put> DEV void walk_tiles(const AttentionArgs &args, u8 *memory, uint2 row, u32 tile, u32 step, Put put) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 blocks = (args.group + 15) / 16, head = blockIdx.y / blocks;
    const u32 seen = first_seen(args, row.x), first[2] = {seen, seen}, last[2] = {row.x, row.x}, last_tile = row.x / KEYS;
    if (tile > last_tile) return;
    const u32 keys_at = shared_address(memory) + warp * KEYS * DIM * 4, values_at = keys_at + KEYS * DIM * 2;
    const u32 to_values = args.page * DIM * 2;
    u64 begin[2];
    Pages pages;
    pages.ask(args, row.y, tile * KEYS, row.x);
    pages.places<DIM>(args, head, tile * KEYS, row.x, begin);
    stage_tile<DIM, 32>(args, keys_at, begin, 0);
    stage_tile<DIM, 32>(args, values_at, begin, to_values);
    pages.ask(args, row.y, (tile + step) * KEYS, row.x);
    Queries<ELEMENT, DIM> q;
    const u32 of_group = blockIdx.y % blocks * 16, here = minimum(16u, args.group - of_group);
    const float *from = args.qkv + (u64)blockIdx.z * args.row_stride + (head * args.group + of_group) * DIM;
    q.load(g < here ? from + g * DIM : nullptr, g + 8 < here ? from + (g + 8) * DIM : nullptr, t);
    for (; tile <= last_tile; tile += step) {
        const bool more = tile + step <= last_tile;
        auto bring = [&](u32 to, u32 skip) {
            __syncwarp();
            if (more) {
                stage_tile<DIM, 32>(args, to, begin, skip);
            } else {
                copy_commit();
            }
        };
        pages.places<DIM>(args, head, (tile + step) * KEYS, row.x, begin);
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
        pages.ask(args, row.y, (tile + 2 * step) * KEYS, row.x);
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            if (g + 8 * half >= here) continue;
            float *to = put(tile, g + 8 * half);
#pragma unroll
            for (u32 d = 0; d < DIM / 8; d++) *(float2 *)(to + d * 8 + 2 * t) = make_float2(sums[d][2 * half], sums[d][2 * half + 1]);
            if (t == 0) *(float2 *)(to + DIM) = make_float2(largest[half], total[half]);
        }
    }
}

// Grid (blocks of two warps, KV heads * blocks of 16 heads, rows); `join` merges.
template <int ELEMENT, int DIM> DEV void decode(const AttentionArgs &args, u8 *memory) {
    const u32 blocks = (args.group + 15) / 16, first_head = blockIdx.y / blocks * args.group + blockIdx.y % blocks * 16;
    next_may_start();
    previous_done();
    const uint2 row = load_row(args, blockIdx.z);
    if (row.x == ~0u) return;
    float *scratch = args.scratch + (u64)(blockIdx.z * args.heads + first_head) * args.tiles * (DIM + 4);
    auto put = [&](u32 tile, u32 of) { return scratch + (u64)(of * args.tiles + tile) * (DIM + 4); };
    walk_tiles<ELEMENT, DIM>(args, memory, row, first_seen(args, row.x) / KEYS + blockIdx.x * 2 + (threadIdx.x >> 5), gridDim.x * 2, put);
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
    auto put = [&](u32 tile, u32 of) { return place(tile - first, of); };
    walk_tiles<ELEMENT, DIM>(args, memory, row, first + (threadIdx.x >> 5), 2, put);
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

constexpr u32 JOINED = 512, PART = 32, PARTS = 8, WIDTH = 32;

// Merge the tiles of a row and head: grid (heads, rows, value_dim / WIDTH), a lane of the first warp each dimension. The
// largest score so far is found for 512 tiles at once; what is left is one multiplication and addition a tile, in
// order, on sums that come PART tiles at a time, PARTS - 1 times that ahead.
extern "C" __global__ void __launch_bounds__(128) attention_join(const __grid_constant__ AttentionArgs args) {
    extern __shared__ __align__(128) float ring[]; // [PARTS][PART][WIDTH]
    constexpr u32 EACH = JOINED / 128, PIECES = WIDTH / 4;
    next_may_start();
    previous_done();
    const uint2 row = load_row(args, blockIdx.y);
    if (row.x == ~0u) return;
    // What is before a tile counts so much, what it gives so much, and its total by that.
    __shared__ float4 shares[JOINED];
    __shared__ float ends[4];
    const u32 d = threadIdx.x, head = blockIdx.x, stride = args.value_dim + 4;
    const float *from = args.scratch + (u64)(blockIdx.y * args.heads + head) * args.tiles * stride;
    const u32 last = row.x / KEYS;
    float largest = LEAST, total = 0.0f, sum = 0.0f;
    for (u32 first = first_seen(args, row.x) / KEYS; first <= last; first += JOINED) {
        const u32 count = minimum(JOINED, last - first + 1), parts = (count + PART - 1) / PART;
        auto bring = [&](u32 part) {
#pragma unroll
            for (u32 j = 0; j < PART * PIECES / 128; j++) {
                // Behind the last tile one is read again, and counts nothing.
                const u32 i = d + j * 128, tile = i / PIECES, piece = i % PIECES;
                const float *source = from + (u64)(first + minimum(part * PART + tile, count - 1)) * stride + blockIdx.z * WIDTH + piece * 4;
                if (part < parts) copy_async<16>(shared_address(ring) + ((part % PARTS * PART + tile) * PIECES + piece) * 16, source);
            }
            copy_commit();
        };
#pragma unroll
        for (u32 part = 0; part + 1 < PARTS; part++) bring(part);
        float2 own[EACH];
        float most[EACH];
#pragma unroll
        for (u32 j = 0; j < EACH; j++) {
            own[j] = make_float2(LEAST, 0.0f);
            if (d * EACH + j < count) own[j] = __ldcg((const float2 *)(from + (u64)(first + d * EACH + j) * stride + args.value_dim));
            most[j] = j ? fmaxf(most[j - 1], own[j].x) : own[j].x;
        }
        float all = most[EACH - 1];
        for (u32 step = 1; step < 32; step *= 2) {
            const float other = __shfl_up_sync(~0u, all, step);
            if ((d & 31) >= step) all = fmaxf(all, other);
        }
        if ((d & 31) == 31) ends[d >> 5] = all;
        float before = __shfl_up_sync(~0u, all, 1);
        if ((d & 31) == 0) before = LEAST;
        __syncthreads();
        before = fmaxf(before, largest);
        for (u32 warp = 0; warp < d >> 5; warp++) before = fmaxf(before, ends[warp]);
        for (u32 warp = 0; warp < 4; warp++) largest = fmaxf(largest, ends[warp]);
#pragma unroll
        for (u32 j = 0; j < EACH; j++) {
            const float now = fmaxf(before, own[j].x), after = power(own[j].x - now);
            shares[d * EACH + j] = make_float4(power(before - now), after, __fmul_rn(own[j].y, after), 0.0f);
            before = now;
        }
        for (u32 part = 0; part < parts; part++) {
            copy_wait<PARTS - 2>();
            __syncthreads();
            bring(part + PARTS - 1);
            if (d >= WIDTH) continue;
            const float *values = ring + part % PARTS * PART * WIDTH + d;
#pragma unroll
            for (u32 j = 0; j < PART; j++) {
                const float4 share = shares[part * PART + j];
                total = fmaf(total, share.x, share.z);
                sum = fmaf(sum, share.x, values[j * WIDTH] * share.y);
            }
        }
        __syncthreads();
    }
    if (d < WIDTH) args.out[(u64)blockIdx.y * args.out_stride + head * args.value_dim + blockIdx.z * WIDTH + d] = sum * finish(args, largest, total, head);
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
            float sums[DIM / 8][4], largest[2], total[2];
            const u32 at = slot * KEYS * DIM * 2;
            tile_sums<ELEMENT, DIM, false>(args, q, keys_at + at, values_at + at, start, first, last, lane, sums, largest, total, []() {});
#pragma unroll
            for (u32 half = 0; half < 2; half++) {
                if (!sees[half]) continue;
                const Merge step = merge(whole_largest[half], whole_total[half], largest[half], total[half]);
                whole_largest[half] = step.largest, whole_total[half] = step.total;
#pragma unroll
                for (u32 d = 0; d < DIM / 8; d++) {
#pragma unroll
                    for (u32 e = 2 * half; e < 2 * half + 2; e++) whole[d][e] = fmaf(whole[d][e], step.before, sums[d][e] * step.after);
                }
            }
        }
        __syncthreads();
        begin = end;
    }
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        if (token[half] == ~0u) continue;
        const u32 of_head = head * args.group + of_group[half];
        const float share = finish(args, whole_largest[half], whole_total[half], of_head);
        float *to = args.out + (u64)(first_token + token[half]) * args.out_stride + of_head * DIM;
#pragma unroll
        for (u32 d = 0; d < DIM / 8; d++) {
            *(float2 *)(to + d * 8 + 2 * t) = make_float2(whole[d][2 * half] * share, whole[d][2 * half + 1] * share);
        }
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
    float whole[8] = {}, largest = LEAST, total = 0.0f;
    for (u32 start = seen_from / KEYS * KEYS; start <= row.x; start += KEYS) {
        __syncthreads();
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
        score = seen ? limited(args, score) : LEAST;
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
    const float share = finish(args, largest, total, head);
#pragma unroll
    for (u32 j = 0; j < 8; j++) {
        const u32 d = thread + 128 * j;
        if (d < args.value_dim) args.out[(u64)blockIdx.y * args.out_stride + head * args.value_dim + d] = whole[j] * share;
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
