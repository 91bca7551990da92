// Attention of decoding rows on Hopper, whose tiles of keys and values the tensor copy engine brings.
//
// `step`: rows of a sequence each. One kernel norms and rotates the heads, writes the new key and value, attends and
// merges: a cluster of blocks has a row and KV head, or where rows are many or keys few a lone block (`lone`), and what it
// sums stays in shared memory, that of the block which merges it. Old keys come while the kernel in front still runs: nobody
// writes them in this list. `long`: many keys, heads made before; each block has an equal share of all tiles in whole spans,
// which `attention_join` merges. Invariant: bits are those of `heads` with attention.cu. Read next: attention_tile.cuh.
#include "attention_pages.cuh"
#include "attention_tile.cuh"

// Heads and rounded heads as they wait for their use: so many elements from one to the next, that no two begin in the same bank.
template <int DIM> constexpr u32 APART = DIM + 8;

// Sums of a tile are kept as those do who merge them: 64 columns, behind them the largest score and the total of their head.
constexpr u32 UNIT = 64, KEPT = UNIT + 4;

// A cluster's threads come somewhere, and wait until all have come: what they wrote need not be seen.
DEV void cluster_arrive() { asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory"); }
DEV void cluster_wait() { asm volatile("barrier.cluster.wait;" ::: "memory"); }

// Two floats to the memory of a block of the cluster, at whose barrier they arrive by themselves.
DEV void put_pair(u32 to, u32 barrier, float2 v) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to), "f"(v.x), "f"(v.y), "r"(barrier) : "memory");
}

// What a block of `step` has beside tiles.
template <int DIM> struct Room {
    float *heads;       // [here + 2][APART]: queries, normed and rotated, the new key, the new value
    u16 *rounded;       // the same as elements of the cache, and a row of zeros behind them
    u32 kept, per_tile; // where sums are kept, [tiles][units that this block merges][KEPT], and bytes of a tile
    u32 full;           // the barrier at which they arrive, in a cluster
    Exchange *exchange; // of each four warps
};

// The heads of a block's queries; of the block that has the last tile, the new key and value too. A warp makes those from
// `first` on, N beside each other. `meanwhile` is called while they are on their way.
template <int ELEMENT, int DIM, u32 N, typename Meanwhile>
DEV void make_block(const StepArgs &args, const Room<DIM> &room, u32 head, u32 of_group, u32 here, bool has_last, u32 first, Meanwhile meanwhile) {
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, warps = blockDim.x >> 5, items = here + (has_last ? 2 : 0);
    float2 angles[2] = {make_float2(1.0f, 0.0f), make_float2(1.0f, 0.0f)};
    float query_weights[DIM / 32], key_weights[DIM / 32];
#pragma unroll
    for (u32 j = 0; j < 2; j++) {
        if (lane + 32 * j < args.pass.rotated / 2) angles[j] = __ldcg(args.angles + (u64)blockIdx.z * (args.pass.rotated / 2) + lane + 32 * j);
    }
#pragma unroll
    for (u32 j = 0; j < DIM / 32; j++) {
        query_weights[j] = args.query_norm ? load_again_4(args.query_norm + lane + 32 * j) : 1.0f;
        key_weights[j] = args.query_norm ? load_again_4(args.key_norm + lane + 32 * j) : 1.0f;
    }
    const float *of_row = args.qkv + (u64)blockIdx.z * a.row_stride, *queries = of_row + (head * a.group + of_group) * DIM, *key = of_row + args.keys + head * DIM;
    float v[N][DIM / 32];
    auto load = [&]() {
#pragma unroll
        for (u32 n = 0; n < N; n++) {
            const u32 item = minimum(first + n * warps, items - 1);
            const float *from = item < here ? queries + item * DIM : key + (item - here) * a.kv_heads * DIM;
#pragma unroll
            for (u32 j = 0; j < DIM / 32; j++) v[n][j] = load_again_4(from + lane + 32 * j);
        }
    };
    previous_done();
    if (first < items) load();
    meanwhile();
#pragma unroll 1
    while (first < items) {
        float made[N][DIM / 32], weights[N][DIM / 32], *to[N];
#pragma unroll
        for (u32 n = 0; n < N; n++) {
            const u32 item = first + n * warps;
            to[n] = room.heads + item * APART<DIM>;
#pragma unroll
            for (u32 j = 0; j < DIM / 32; j++) made[n][j] = v[n][j], weights[n][j] = item < here ? query_weights[j] : key_weights[j];
        }
        make_heads<DIM, N>(args.pass, made, weights, angles, to, minimum((items - first + warps - 1) / warps, N));
#pragma unroll
        for (u32 n = 0; n < N; n++) {
            const u32 item = first + n * warps;
            if (item >= items) break;
            u16 *rounded = room.rounded + item * APART<DIM>;
#pragma unroll
            for (u32 j = 0; j < DIM / 32; j++) {
                const float of = item <= here ? made[n][j] : v[n][j];
                to[n][lane + 32 * j] = of, rounded[lane + 32 * j] = pack<ELEMENT>(of, 0.0f);
            }
        }
        first += N * warps;
        if (first < items) load();
    }
}

// Leave normed and rotated heads as `heads` does, and the new key and value in their page: the last threads first, for the
// first ones merge.
template <int DIM> DEV void leave_heads(const StepArgs &args, const Room<DIM> &room, u32 page, u32 position, u32 head, u32 of_group, u32 here) {
    constexpr u32 QUADS = DIM / 4;
    const AttentionArgs &a = args.attention;
    float *of_row = args.qkv + (u64)blockIdx.z * a.row_stride, *queries = of_row + (head * a.group + of_group) * DIM, *key = of_row + args.keys + head * DIM;
    const u32 heads = here + (of_group == 0);
#pragma unroll 1
    for (u32 i = blockDim.x - 1 - threadIdx.x; i < (heads + (of_group == 0)) * QUADS; i += blockDim.x) {
        const u32 of = i / QUADS, at = i % QUADS;
        if (of < heads) {
            *(float4 *)((of < here ? queries + of * DIM : key) + 4 * at) = *(const float4 *)(room.heads + of * APART<DIM> + 4 * at);
        } else {
            const u32 is_value = at / (DIM / 8), piece = at % (DIM / 8);
            const u64 to = ((u64)(page * a.kv_heads + head) * 2 + is_value) * a.page + (position & (a.page - 1));
            *(uint4 *)((u16 *)a.pages + to * DIM + piece * 8) = *(const uint4 *)(room.rounded + (here + is_value) * APART<DIM> + piece * 8);
        }
    }
}

// Where two neighbours of a row are left, and the exponent of those that the lanes beside have.
struct PairPlace {
    u16 *low, *high;
    u8 *exponent; // null: another lane leaves it
};

DEV PairPlace pair_place(const LeftRows &left, u32 row, u32 column) {
    const bool is_wide = left.arrangement == REGISTERS, leaves = left.exponents && column % (is_wide ? 32 : 16) == 0;
    return {left_place(left, row, column), left_place(left, row, column + 1),
            !leaves ? nullptr : is_wide ? wide_exponent_place(left, row, column) : exponent_place(left, row, column)};
}

// Leave two neighbours of a row, of whose 16 or 32 the lanes beside have the others: a warp together.
DEV void leave_pair(const LeftRows &left, const PairPlace &to, float2 v) {
    *to.low = left_element(left, v.x), *to.high = left_element(left, v.y);
    if (!left.exponents) return;
    float most = fmaxf(fabsf(v.x), fabsf(v.y));
#pragma unroll
    for (u32 apart = 1; apart < 8; apart *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
    if (left.arrangement == REGISTERS) most = fmaxf(most, __shfl_xor_sync(~0u, most, 8));
    if (to.exponent) *to.exponent = __float_as_uint(most) >> 23;
}

// The block that begins what is left.
DEV void first_begins(const LeftRows &left) {
    if ((blockIdx.x | blockIdx.y | blockIdx.z) == 0 && threadIdx.x < 32) begin_leaving(left);
}

// What a warp merges: 64 columns of what the heads of a block give at a time, a lane two of them.
template <int DIM> struct Merged {
    u32 unit, units, step; // the next, how many there are, from one to the next
    u32 column;            // of this lane
    u32 at, own_at;        // where they, and their head's largest score and total, are kept of a tile
    PairPlace to;

    __device__ __forceinline__ void find(const Room<DIM> &room, const LeftRows &left, u32 blocks, bool leaves, u32 first_column) {
        column = unit * UNIT + (threadIdx.x & 31) * 2;
        at = room.kept + (unit / blocks * KEPT + (threadIdx.x & 31) * 2) * 4, own_at = room.kept + (unit / blocks * KEPT + UNIT) * 4;
        if (leaves) to = pair_place(left, blockIdx.z, first_column + column);
    }
};

// Merge what is kept of all tiles.
template <int DIM, bool LEAVES>
DEV void merge_kept(const AttentionArgs &a, const LeftRows &leaves, const Room<DIM> &room, Merged<DIM> &merged, u32 blocks, u32 count, u32 first_head) {
    constexpr u32 HELD = 8;
    const u32 lane = threadIdx.x & 31;
    auto load = [&](u32 i, u32 at) {
        const uint2 v = load_shared_8(at + i * room.per_tile);
        return make_float2(bits_f32(v.x), bits_f32(v.y));
    };
    while (merged.unit < merged.units) {
        const u32 at = merged.at, own_at = merged.own_at;
        float largest = LEAST, total = 0.0f;
        float2 sums = make_float2(0.0f, 0.0f);
#pragma unroll 1
        for (u32 first = 0; first < count; first += 32) {
            const u32 tiles = minimum(count - first, 32u);
            float2 held[HELD], own = load(first + minimum(lane, tiles - 1), own_at);
#pragma unroll
            for (u32 i = 0; i < HELD; i++) held[i] = load(first + minimum(i, tiles - 1), at);
            if (lane >= tiles) own = make_float2(LEAST, 0.0f);
            float most = own.x;
#pragma unroll 1
            for (u32 step = 1; step < tiles; step *= 2) {
                const float other = __shfl_up_sync(~0u, most, step);
                if (lane >= step) most = fmaxf(most, other);
            }
            float until = __shfl_up_sync(~0u, most, 1);
            until = lane ? fmaxf(until, largest) : largest;
            const float now = fmaxf(most, largest), before = power(until - now), after = power(own.x - now), added = own.y * after;
            largest = __shfl_sync(~0u, now, tiles - 1);
#pragma unroll 1
            for (u32 of_held = 0; of_held < tiles; of_held += HELD) {
                float2 next[HELD];
#pragma unroll
                for (u32 i = 0; i < HELD; i++) {
                    next[i] = held[i];
                    if (of_held + HELD < tiles) held[i] = load(first + minimum(of_held + HELD + i, tiles - 1), at);
                }
#pragma unroll
                for (u32 i = 0; i < HELD; i++) {
                    if (of_held + i >= tiles) break;
                    const float by = __shfl_sync(~0u, before, of_held + i), of_own = __shfl_sync(~0u, after, of_held + i);
                    total = fmaf(total, by, __shfl_sync(~0u, added, of_held + i));
                    sums.x = fmaf(sums.x, by, next[i].x * of_own), sums.y = fmaf(sums.y, by, next[i].y * of_own);
                }
            }
        }
        const float share = finish(a, largest, total, first_head + merged.column / DIM);
        const float2 v = make_float2(sums.x * share, sums.y * share);
        *(float2 *)(a.out + (u64)blockIdx.z * a.out_stride + first_head * DIM + merged.column) = v;
        if (LEAVES) leave_pair(leaves, merged.to, v);
        merged.unit += merged.step;
        if (merged.unit < merged.units) merged.find(room, leaves, blocks, LEAVES, first_head * DIM);
    }
}

// A row of no sequence is left as zeros.
DEV void leave_nothing(const LeftRows &left, u32 row, u32 column, u32 columns) {
    previous_done();
    first_begins(left);
    for (u32 i = threadIdx.x; i < columns; i += blockDim.x) {
        leave(left, row, column + i, 0.0f);
        if (left.arrangement == REGISTERS) leave_wide_exponent(left, row, column + i, 0.0f);
        else if ((column + i) % 16 == 0) leave_exponent(left, row, column + i, 0.0f);
    }
}

// Grid (blocks of a cluster, KV heads * blocks of 16 heads, rows). Four warps take a tile. A lone block has up to four teams of
// them. Blocks of a cluster never meet to see what others wrote, which would be a fence for the whole device.
template <int ELEMENT, int DIM, bool LEAVES, bool LONE> DEV void attend(const StepArgs &args, u8 *memory) {
    constexpr u32 STAGE = KEYS * DIM * 4, QUADS = LONE ? 4 : 2;
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, quad = warp >> 2, part = warp & 3;
    const u32 warps = blockDim.x >> 5, quads = warps / 4, all = (LONE ? 1 : gridDim.x) * quads;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 blocks = (a.group + 15) / 16, head = blockIdx.y / blocks, of_group = blockIdx.y % blocks * 16;
    const u32 here = minimum(16u, a.group - of_group), first_head = head * a.group + of_group;
    const uint2 row = load_row(a, blockIdx.z);
    const u32 stages = args.stages, tiles_at = shared_address(memory) + quad * stages * STAGE;
    const u32 full = shared_address(memory) + quads * stages * STAGE + quad * 32;
    Room<DIM> room;
    room.exchange = (Exchange *)(memory + quads * stages * STAGE + 32 * 4);
    room.heads = (float *)(room.exchange + quads);
    room.rounded = (u16 *)(room.heads + (here + 2) * APART<DIM>);
    room.kept = shared_address(room.rounded + (here + 3) * APART<DIM>);
    const u32 blocks_log2 = LONE ? 0 : __popc(gridDim.x - 1), together = 1 << blocks_log2, units = here * (DIM / UNIT), own = LONE ? 0 : blockIdx.x;
    room.per_tile = ((units + together - 1) >> blocks_log2) * (KEPT * 4);
    room.full = shared_address(memory) + quads * stages * STAGE + 64;
    // Of four warps the first has keys brought, the second values: stage after stage, of each their own barrier.
    const u32 brings = part * STAGE / 2;
    if (part < 2 && lane < stages) barrier_init(full + part * 8 + lane * 16, 1);
    if (!LONE && threadIdx.x == 0) barrier_init(room.full, 1);
    if (part < 2) asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    if (warp == warps - 1 && lane < DIM / 8) *(uint4 *)(room.rounded + (here + 2) * APART<DIM> + lane * 8) = make_uint4(0, 0, 0, 0);
    __syncwarp();
    if (row.x == ~0u) {
        if (LEAVES && blockIdx.x == 0) leave_nothing(args.leaves, blockIdx.z, first_head * DIM, here * DIM);
        return;
    }
    const u32 first = first_seen(a, row.x) / KEYS, last_tile = row.x / KEYS;
    if (!LONE) {
        if (threadIdx.x == 0) barrier_expect(room.full, (last_tile - first + 1) * ((units - own + together - 1) >> blocks_log2) * ((UNIT + 2) * 4));
        // Whoever puts something there knows that there is a barrier.
        cluster_arrive();
    }
    u32 tile = first + (LONE ? 0 : blockIdx.x * quads) + quad, ahead = tile, number = 0;
    auto find = [&]() {
        if (ahead <= last_tile) number = page_number(a, row, ahead);
    };
    auto bring = [&](u32 stage) {
        if (ahead > last_tile) return;
        bring_tile<DIM>(args, tiles_at + stage * STAGE + brings, full + stage * 16 + part * 8, number, head, row, ahead, part);
        ahead += all, find();
    };
    if (part < 2) find();
    const bool has_last = LONE || ((last_tile - first) & (all - 1)) / quads == blockIdx.x;
    const u32 page = has_last ? load_word(a.tables + row.y + (row.x >> page_log2(a))) : 0;
    for (u32 stage = 0; part < 2 && stage < stages; stage++) bring(stage);
    Merged<DIM> merged = {(warp << blocks_log2) + own, units, warps << blocks_log2};
    // Warps that have nothing brought come first.
    make_block<ELEMENT, DIM, LONE ? 1 : 2>(args, room, head, of_group, here, has_last, (part < 2 ? warps / 2 : 0) + quad * 2 + (part & 1),
                                           [&]() { merged.find(room, args.leaves, together, LEAVES, first_head * DIM); });
    const u32 last_row = row.x % KEYS;
    // Behind the new value; of a team's first tile while others still make heads.
    auto clear = [&](u32 at) { clear_behind<DIM, DIM / 32>(at, last_row, part * (DIM / 32)); };
    if (tile == last_tile) barrier_wait(full + 8, 0), clear(tiles_at + STAGE / 2);
    __syncthreads();
    // All blocks have read heads, when all have come here: who leaves them waits for that.
    if (!LONE) cluster_wait(), cluster_arrive();
    // What the next kernel asks for at once is in the way of this one's heads, and of many rows or a cluster in that of their sums.
    const bool early = LONE && gridDim.z <= 16;
    if (early) next_may_start();
    Queries<ELEMENT, DIM> q;
    const u32 query_at = shared_address(room.rounded) + ((lane & 15) < here ? lane & 15 : here + 2) * (APART<DIM> * 2) + (lane >> 4) * 16;
#pragma unroll
    for (u32 i = 0; i < DIM / 16; i++) load_matrices(q.parts[i], query_at + i * 32, false);
    const u32 seen = first_seen(a, row.x), firsts[2] = {seen, seen}, lasts[2] = {row.x, row.x};
    u32 stage = 0, phase = 0;
    for (bool is_first = true; tile <= last_tile; tile += all, is_first = false) {
        const bool is_last = tile == last_tile;
        const u32 keys_at = tiles_at + stage * STAGE, values_at = keys_at + STAGE / 2;
        barrier_wait(full + stage * 16, phase);
        if (is_last && last_row / 16 == part) patch_row<DIM, DIM / 8>(keys_at, room.rounded + here * APART<DIM>, last_row, 0);
        __syncwarp();
        float sums[DIM / 32][4], largest[2], total[2];
        auto between = [&]() {
            if (part == 0) bring(stage);
        };
        auto values = [&]() {
            barrier_wait(full + stage * 16 + 8, phase);
            if (!is_last) return;
            patch_row<DIM, DIM / 32>(values_at, room.rounded + (here + 1) * APART<DIM>, last_row, part * (DIM / 32));
            if (is_first) __syncwarp();
            else clear(values_at);
        };
        sum_tile<ELEMENT, DIM>(a, q, room.exchange[quad], 1 + quad, part, keys_at, values_at, tile * KEYS, firsts, lasts, sums, largest, total, between, values);
        if (tile + stages * all <= last_tile) {
            if (part == 1) meet(1 + QUADS + quad, 128), bring(stage);
            else pass_by(1 + QUADS + quad, 128);
        }
        if (++stage == stages) stage = 0, phase ^= 1;
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            const u32 of = g + 8 * half;
            if (of >= here) continue;
            // Two floats of these columns of the head, or behind the last.
            auto keep = [&](u32 unit, u32 column, float2 v) {
                const u32 to = room.kept + (tile - first) * room.per_tile + ((unit >> blocks_log2) * KEPT + column) * 4, block = unit & (together - 1);
                if (LONE) store_shared_8(to, __float_as_uint(v.x), __float_as_uint(v.y));
                else put_pair(in_block(to, block), in_block(room.full, block), v);
            };
            const u32 unit = of * (DIM / UNIT) + part * (DIM / 4) / UNIT, column = part * (DIM / 4) % UNIT + 2 * t;
#pragma unroll
            for (u32 d = 0; d < DIM / 32; d++) keep(unit, column + d * 8, make_float2(sums[d][2 * half], sums[d][2 * half + 1]));
            if (part == 0 && t < DIM / UNIT) keep(of * (DIM / UNIT) + t, UNIT, make_float2(largest[half], total[half]));
        }
    }
    if (LONE) __syncthreads();
    else if (own < units) wait_cluster(room.full, 0);
    if (!early) next_may_start();
    merge_kept<DIM, LEAVES>(a, args.leaves, room, merged, together, last_tile - first + 1, first_head);
    if (LEAVES) first_begins(args.leaves);
    if (!LONE) cluster_wait();
    if (has_last) leave_heads<DIM>(args, room, page, row.x, head, of_group, here);
}

// Warps of a block of `long` that sum tiles, and most rows.
constexpr u32 LONG_WARPS = 5, LONG_ROWS = 64;

// What a block of `long` has beside tiles: where it takes which tiles from.
struct Rows {
    uint2 rows[LONG_ROWS];
    u32 starts[LONG_ROWS + 1]; // where each row's tiles begin, for one block of heads
};

// Tiles of one row and block of heads: `begin` to `end` of all, the first of them `first` of the row.
struct Unit {
    u32 row, heads, begin, end, first;
    uint2 where;
};

// Of which row and heads tile i of all is; a warp finds it together.
DEV Unit find_unit(const AttentionArgs &a, const Rows &rows, u32 others, u32 i) {
    const u32 lane = threadIdx.x & 31;
    const u32 low = __ballot_sync(~0u, rows.starts[lane + 1] * others <= i), high = __ballot_sync(~0u, rows.starts[lane + 33] * others <= i);
    Unit unit;
    unit.row = __popc(low) + __popc(high);
    unit.where = rows.rows[unit.row];
    const u32 start = rows.starts[unit.row], tiles = rows.starts[unit.row + 1] - start;
    unit.heads = (i - start * others) / tiles;
    unit.begin = start * others + unit.heads * tiles, unit.end = unit.begin + tiles;
    unit.first = first_seen(a, unit.where.x) / KEYS;
    return unit;
}

// The begin of the span that is nearest to tile i of all.
DEV u32 nearest_span(const AttentionArgs &a, const Rows &rows, u32 others, u32 i) {
    if (i == rows.starts[LONG_ROWS] * others) return i;
    const Unit unit = find_unit(a, rows, others, i);
    const u32 tile = unit.first + i - unit.begin, last = unit.where.x / KEYS + 1, span = span_of(tile);
    const u32 low = maximum(begin_of(span), unit.first), high = minimum(begin_of(span + 1), last);
    return 2 * tile < low + high ? i - (tile - low) : i + (high - tile);
}

// How many tiles all rows have, with where each row's begin: by the first warp.
DEV void count_tiles(const AttentionArgs &a, Rows &rows) {
    const u32 lane = threadIdx.x;
    u32 before = 0;
    if (lane == 0) rows.starts[0] = 0;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        const u32 row = half * 32 + lane;
        uint2 where = make_uint2(~0u, 0);
        if (row < a.count) where = load_row(a, row);
        u32 tiles = where.x == ~0u ? 0 : where.x / KEYS + 1 - first_seen(a, where.x) / KEYS;
        for (u32 step = 1; step < 32; step *= 2) {
            const u32 other = __shfl_up_sync(~0u, tiles, step);
            if (lane >= step) tiles += other;
        }
        rows.rows[row] = where, rows.starts[row + 1] = before + tiles;
        before += __shfl_sync(~0u, tiles, 31);
    }
}

// A warp asks for tiles `i` to `end` of all: keys and values of each to the next stage, once that is free.
template <int DIM, u32 STAGES> DEV void bring_tiles(const StepArgs &args, const Rows &rows, u32 others, u32 i, u32 end, u32 stages_at, u32 full, u32 empty) {
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, box = minimum(a.page, KEYS), boxes = KEYS / box, each = 32 / boxes, blocks = (a.group + 15) / 16;
    u32 stage = 0, phase = 1;
    bool is_after = false;
    while (i < end) {
        const Unit unit = find_unit(a, rows, others, i);
        const u32 last_tile = unit.where.x / KEYS, stop = minimum(end, unit.end), head = unit.heads / blocks;
        // Pages of so many tiles, one box a lane, are asked for at a time, the next ones before these are used.
        auto ask = [&](u32 tile) { return load_word(a.tables + unit.where.y + minimum(tile * KEYS + lane * box, unit.where.x) / a.page); };
        u32 tile = unit.first + i - unit.begin, numbers = 0, next = ask(tile);
        for (u32 of = 0; i < stop; i++, tile++, of = of + 1 == each ? 0 : of + 1) {
            if (of == 0) numbers = next, next = ask(tile + each);
            // Rows beside this one may write keys just before it.
            if (!is_after && tile + 1 >= last_tile) previous_done(), is_after = true;
            const u32 start = tile * KEYS, mine = lane - of * boxes, there = minimum((unit.where.x - start) / box + 1, boxes);
            const u32 from = (numbers * a.kv_heads + head) * 2 * a.page + (start + mine * box) % a.page;
#pragma unroll
            for (u32 values = 0; values < 2; values++) {
                const u32 barrier = full + stage * 16 + values * 8;
                barrier_wait(empty + stage * 16 + values * 8, phase);
                if (lane == 0) barrier_expect(barrier, there * box * DIM * 2);
                __syncwarp();
                if (mine < there) load_rows(stages_at + ((stage * 2 + values) * KEYS + mine * box) * DIM * 2, &args.pages, from + values * a.page, barrier);
            }
            if (++stage == STAGES) stage = 0, phase ^= 1;
        }
    }
}

// Many keys: each block has an equal share of all tiles, in whole spans of one row and block of heads after another, and its warps
// take them in turn while one more asks for those to come. A stage is one warp's: it cannot be a round ahead of what comes to it.
// Tiles of a run are merged in shared memory, by warp after warp. Grid (blocks that run at a time).
template <int ELEMENT, int DIM> DEV void attend_long(const StepArgs &args, u8 *memory) {
    constexpr u32 TILE = KEYS * DIM * 2, STAGES = LONG_WARPS * 128 / DIM;
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 blocks = (a.group + 15) / 16, others = a.kv_heads * blocks;
    const u32 stages_at = shared_address(memory), full = stages_at + STAGES * 2 * TILE, empty = full + STAGES * 16;
    // Of each warp: whether all tiles in front of its own are merged. What a run gave so far: sums, then largest score and total.
    const u32 merged = empty + STAGES * 16;
    float *const run = (float *)(memory + STAGES * (2 * TILE + 32) + LONG_WARPS * 8);
    Rows &rows = *(Rows *)(run + 16 * APART<DIM>);
    next_may_start();
    if (warp == 0) count_tiles(a, rows);
    if (warp == 1 && lane < 2 * STAGES) barrier_init(full + lane * 8, 1), barrier_init(empty + lane * 8, 1);
    if (warp == 1 && lane < LONG_WARPS) barrier_init(merged + lane * 8, 1);
    if (warp == 1) asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    __syncthreads();
    const u64 all = rows.starts[LONG_ROWS] * others;
    const u32 begin = nearest_span(a, rows, others, all * blockIdx.x / gridDim.x), end = nearest_span(a, rows, others, all * (blockIdx.x + 1) / gridDim.x);
    if (warp == LONG_WARPS) return bring_tiles<DIM, STAGES>(args, rows, others, begin, end, stages_at, full, empty);
    previous_done();
    Queries<ELEMENT, DIM> q;
    Unit unit;
    unit.end = 0;
    u32 here = 0, first_head = 0;
    for (u32 turn = warp; begin + turn < end; turn += LONG_WARPS) {
        const u32 i = begin + turn;
        if (i >= unit.end) {
            unit = find_unit(a, rows, others, i);
            const u32 of_group = unit.heads % blocks * 16;
            here = minimum(16u, a.group - of_group), first_head = unit.heads / blocks * a.group + of_group;
            const float *from = a.qkv + (u64)unit.row * a.row_stride + first_head * DIM;
            q.load(g < here ? from + g * DIM : nullptr, g + 8 < here ? from + (g + 8) * DIM : nullptr, t);
        }
        const u32 tile = unit.first + i - unit.begin, stage = turn % STAGES, phase = turn / STAGES & 1;
        const u32 keys_at = stages_at + stage * 2 * TILE, values_at = keys_at + TILE;
        const u32 seen = first_seen(a, unit.where.x), firsts[2] = {seen, seen}, lasts[2] = {unit.where.x, unit.where.x};
        const bool is_last = tile == unit.where.x / KEYS;
        barrier_wait(full + stage * 16, phase);
        float sums[DIM / 8][4], largest[2], total[2];
        auto between = [&]() {
            __syncwarp();
            if (lane == 0) barrier_arrive(empty + stage * 16);
            barrier_wait(full + stage * 16 + 8, phase);
            if (is_last) clear_behind<DIM, DIM / 8>(values_at, unit.where.x % KEYS, 0);
        };
        tile_sums<ELEMENT, DIM, true>(a, q, keys_at, values_at, tile * KEYS, firsts, lasts, lane, sums, largest, total, between);
        // The copy engine writes here next.
        if (is_last) asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncwarp();
        if (lane == 0) barrier_arrive(empty + stage * 16 + 8);
        const bool begins = i == unit.begin || begins_span(tile), ends = i + 1 == unit.end || begins_span(tile + 1);
        auto so_far = [&](u32 of) { return put_close(run + of * APART<DIM>, DIM); };
        if (turn > 0) barrier_wait(merged + warp * 8, (turn - 1) / LONG_WARPS & 1);
        if (!begins) merge_put<DIM>(sums, largest, total, here, so_far);
        if (!ends) put_sums<DIM>(sums, largest, total, here, so_far);
        __syncwarp();
        if (lane == 0) barrier_arrive(merged + (warp + 1) % LONG_WARPS * 8);
        if (ends) put_sums<DIM>(sums, largest, total, here, [&](u32 of) { return put_apart(a, unit.row, first_head + of, span_of(tile), DIM); });
    }
}

#define STEP_OF(kernel, threads, name, element, dim, leaves, lone)                                                       \
    extern "C" __global__ void __launch_bounds__(threads) attention_##kernel##_##name(const __grid_constant__ StepArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        attend<element, dim, leaves, lone>(args, memory);                                                            \
    }

#define STEP(name, element, dim)                                                                                       \
    STEP_OF(leaving, 256, name, element, dim, true, false)                                                               \
    STEP_OF(step, 256, name, element, dim, false, false)                                                                 \
    STEP_OF(lone_leaving, 512, name, element, dim, true, true)                                                           \
    STEP_OF(lone, 512, name, element, dim, false, true)                                                                  \
    extern "C" __global__ void __launch_bounds__(32 * LONG_WARPS + 32, 1) attention_long_##name(const __grid_constant__ StepArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        attend_long<element, dim>(args, memory);                                                                   \
    }

STEP(f16_64, F16, 64)
STEP(f16_128, F16, 128)
STEP(bf16_64, BF16, 64)
STEP(bf16_128, BF16, 128)
