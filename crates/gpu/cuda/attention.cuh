// What every attention over paged keys and values is made of: tiles of 64 keys summed alone on tensor cores, and how sums
// are merged. Heads of 64 and 128 in 16 bits.
//
// The first 64 tiles of a sequence are merged one by one; of those behind them first RUN, a run, are merged in order, and then
// their sum with all in front of them, so that a long context leaves few sums to merge. Such a tile or run is a span.
// Invariant: what a tile gives depends on the query, its position and the tile's keys alone. Read next: attention.cu,
// attention_step.cu.
#pragma once
#include "common.cuh"

struct AttentionArgs {
    const float *qkv;
    const uint2 *rows;  // position (~0: of no sequence) and where the pages begin in `tables`
    const u32 *tables;
    const u8 *pages;
    const float *sinks; // or null
    float *scratch;     // decode: of each row and head sums [dim / 32][span][32], then [span] largest score and total
    float *out;
    u32 count, heads, group, kv_heads; // group: query heads of a KV head
    u32 key_dim, value_dim, page, element;
    u32 row_stride, out_stride, spans, window;
    float scale, cap;   // cap 0: none
};

constexpr float LEAST = -3.0e38f;
constexpr u32 KEYS = 64;

// Tiles that are a span each, and tiles of a span behind them.
constexpr u32 ALONE = 64, RUN = 8;

DEV u32 span_of(u32 tile) { return tile < ALONE ? tile : ALONE - ALONE / RUN + tile / RUN; }

DEV u32 begin_of(u32 span) { return span < ALONE ? span : (span - (ALONE - ALONE / RUN)) * RUN; }

DEV bool begins_span(u32 tile) { return tile < ALONE || tile % RUN == 0; }

DEV uint2 load_row(const AttentionArgs &args, u32 row) {
    uint2 v;
    asm volatile("ld.global.cg.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(args.rows + row));
    return v;
}

DEV u32 load_word(const u32 *from) {
    u32 v;
    asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(v) : "l"(from));
    return v;
}

DEV u32 first_seen(const AttentionArgs &args, u32 position) {
    return args.window && position + 1 > args.window ? position + 1 - args.window : 0;
}

// 2^x. Scores and what is made of them are logarithms to this base.
DEV float power(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

constexpr float LOG2E = 1.44269504f;

// What two sums of powers give together.
struct Merge {
    float largest, total, before, after;
};

DEV Merge merge(float largest, float total, float next_largest, float next_total) {
    const float most = fmaxf(largest, next_largest);
    const float before = power(largest - most), after = power(next_largest - most);
    return {most, fmaf(total, before, next_total * after), before, after};
}

// Merge what a tile gave into a row's sums, those of half `half` of a lane's fragments; `of(d, e)`: the tile's.
template <int DIM, typename Of>
DEV void merge_tile(float (&whole)[DIM / 8][4], float &whole_largest, float &whole_total, u32 half, float largest, float total, Of of) {
    const Merge step = merge(whole_largest, whole_total, largest, total);
    whole_largest = step.largest, whole_total = step.total;
#pragma unroll
    for (u32 d = 0; d < DIM / 8; d++) {
#pragma unroll
        for (u32 e = 2 * half; e < 2 * half + 2; e++) whole[d][e] = fmaf(whole[d][e], step.before, of(d, e) * step.after);
    }
}

// What is merged of a row's spans in front of the one that a lane's fragments have.
struct Kept {
    float largest, total;
};

// Merge a row's fragments into what is kept: they have all then. `place(d)`: where the kept sums of two neighbours lie.
template <int DIM, typename Place>
DEV void take_kept(const Kept &kept, float (&whole)[DIM / 8][4], float &largest, float &total, u32 half, Place place) {
    if (!(kept.total > 0.0f)) return;
    const Merge step = merge(kept.largest, kept.total, largest, total);
    largest = step.largest, total = step.total;
#pragma unroll
    for (u32 d = 0; d < DIM / 8; d++) {
        const float2 v = *place(d);
        whole[d][2 * half] = fmaf(v.x, step.before, whole[d][2 * half] * step.after);
        whole[d][2 * half + 1] = fmaf(v.y, step.before, whole[d][2 * half + 1] * step.after);
    }
}

// The same, and keep all of it: the next span begins.
template <int DIM, typename Place>
DEV void keep_span(Kept &kept, float (&whole)[DIM / 8][4], float &largest, float &total, u32 half, Place place) {
    take_kept<DIM>(kept, whole, largest, total, half, place);
    kept = {largest, total};
#pragma unroll
    for (u32 d = 0; d < DIM / 8; d++) {
        *place(d) = make_float2(whole[d][2 * half], whole[d][2 * half + 1]);
        whole[d][2 * half] = whole[d][2 * half + 1] = 0.0f;
    }
    largest = LEAST, total = 0.0f;
}

DEV float finish(const AttentionArgs &args, float largest, float total, u32 head) {
    if (!args.sinks) return 1.0f / total;
    const Merge step = merge(largest, total, args.sinks[head] * LOG2E, 1.0f);
    return step.before / step.total;
}

// A score that has a cap, as a logarithm to base 2: tanh(x) = 1 - 2 / (1 + e^2x).
DEV float limited(const AttentionArgs &args, float score) {
    float share;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(share) : "f"(1.0f + power(score * (2.0f * LOG2E * args.scale / args.cap))));
    return args.cap * LOG2E * fmaf(-2.0f, share, 1.0f);
}

// d = a * b, added to d unless `fresh`.
template <int ELEMENT> DEV void mma_16816(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, bool fresh) {
    if (!fresh) return mma_16816<ELEMENT>(d, a, b0, b1);
    if (ELEMENT == BF16) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
                     : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
                     : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
    }
}

// Four 8 x 8 blocks of 16 bits; lane l gives the address of row l % 8 of block l / 8.
DEV void load_matrices(u32 (&r)[4], u32 at, bool transposed) {
    if (transposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
    }
}

// Where keys l and l + 32 of a tile lie, for lane l: their pages are asked for long before they are needed.
struct Pages {
    u32 numbers[2];

    __device__ __forceinline__ void ask(const AttentionArgs &args, u32 table, u32 start, u32 end) {
#pragma unroll
        for (u32 half = 0; half < 2; half++) numbers[half] = load_word(args.tables + table + minimum(start + half * 32 + (threadIdx.x & 31), end) / args.page);
    }

    template <int DIM> __device__ __forceinline__ void places(const AttentionArgs &args, u32 head, u32 start, u32 end, u64 (&begin)[2]) const {
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            const u32 key = minimum(start + half * 32 + (threadIdx.x & 31), end);
            begin[half] = ((u64)(numbers[half] * args.kv_heads + head) * 2 * args.page + key % args.page) * DIM * 2;
        }
    }
};

// Where a piece of 16 bytes of a tile's row lies: rows behind one another, or, as the tensor copy engine brings them (BULK),
// of 8 rows the first 128 bytes each, then what follows these.
template <int DIM, bool BULK> DEV u32 piece_place(u32 row, u32 piece) {
    if (BULK) return (row >> 3) * (DIM * 16) + (piece >> 3) * 1024 + (row & 7) * 128 + (((piece & 7) ^ (row & 7)) << 4);
    return row * DIM * 2 + ((piece ^ (row & 7)) << 4);
}

// Keys or values (`skip`: how far they are from the keys) of a tile to shared memory: rows of DIM elements, 16-byte pieces
// of a row exchanged by its number.
template <int DIM, u32 THREADS> DEV void stage_tile(const AttentionArgs &args, u32 to, const u64 (&begin)[2], u32 skip) {
    constexpr u32 PIECES = DIM / 8;
    const u32 thread = threadIdx.x % THREADS;
#pragma unroll
    for (u32 j = 0; j < KEYS * PIECES / THREADS; j++) {
        const u32 i = thread + j * THREADS, row = i / PIECES, piece = i % PIECES;
        const u64 from = __shfl_sync(~0u, begin[j * THREADS / PIECES / 32], row & 31);
        copy_async<16>(to + piece_place<DIM, false>(row, piece), args.pages + skip + from + piece * 16);
    }
    copy_commit();
}

// Query rows of a warp: of each lane rows g and g + 8.
template <int ELEMENT, int DIM> struct Queries {
    u32 parts[DIM / 16][4];

    __device__ __forceinline__ void load(const float *low, const float *high, u32 t) {
#pragma unroll
        for (int i = 0; i < DIM / 16; i++) {
            const u32 at = i * 16 + 2 * t;
            float2 v[4] = {};
            if (low) v[0] = load_again_8(low + at), v[2] = load_again_8(low + at + 8);
            if (high) v[1] = load_again_8(high + at), v[3] = load_again_8(high + at + 8);
#pragma unroll
            for (u32 j = 0; j < 4; j++) parts[i][j] = pack<ELEMENT>(v[j].x, v[j].y);
        }
    }
};

// What scores are multiplied by to be logarithms of weights.
DEV float scale_of(const AttentionArgs &args) { return args.cap > 0.0f ? 1.0f : args.scale * LOG2E; }

// Scores of keys from `start` on, 8 to a fragment of 16 rows, limited where they have a cap; the least where rows g and g + 8 do
// not see a key.
template <u32 N> DEV void limit_scores(const AttentionArgs &args, float (&scores)[N][4], u32 start, const u32 (&first)[2], const u32 (&last)[2], u32 lane) {
    const u32 t = lane & 3;
#pragma unroll
    for (u32 n = 0; args.cap > 0.0f && n < N; n++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) scores[n][e] = limited(args, scores[n][e]);
    }
    const bool sees_all = maximum(first[0], first[1]) <= start && minimum(last[0], last[1]) >= start + 8 * N - 1;
    if (__all_sync(~0u, sees_all)) return;
#pragma unroll
    for (u32 n = 0; n < N; n++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) {
            const u32 key = start + n * 8 + 2 * t + (e & 1), half = e >> 1;
            if (key > last[half] || key < first[half]) scores[n][e] = LEAST;
        }
    }
}

// The largest of them of rows g and g + 8.
template <u32 N> DEV void find_largest(const float (&scores)[N][4], float (&largest)[2]) {
    float most[N < 4 ? N : 4][2];
#pragma unroll
    for (u32 n = 0; n < N; n++) {
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            const float pair = fmaxf(scores[n][2 * half], scores[n][2 * half + 1]);
            most[n % 4][half] = n < 4 ? pair : fmaxf(most[n % 4][half], pair);
        }
    }
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        largest[half] = N < 4 ? fmaxf(most[0][half], most[1][half]) : fmaxf(fmaxf(most[0][half], most[1][half]), fmaxf(most[N < 4 ? 0 : 2][half], most[N < 4 ? 0 : 3][half]));
    }
#pragma unroll
    for (u32 step = 1; step < 4; step *= 2) {
#pragma unroll
        for (u32 half = 0; half < 2; half++) largest[half] = fmaxf(largest[half], __shfl_xor_sync(~0u, largest[half], step));
    }
}

// They become weights, and the largest a logarithm. What is not seen weighs nothing, also where nothing is seen.
template <u32 N> DEV void make_weights(float (&scores)[N][4], float (&largest)[2], float scale) {
    float from[2];
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        const bool none = largest[half] == LEAST;
        from[half] = none ? 0.0f : -(largest[half] * scale), largest[half] = none ? LEAST : -from[half];
    }
#pragma unroll
    for (u32 n = 0; n < N; n++) {
#pragma unroll
        for (u32 e = 0; e < 4; e++) scores[n][e] = power(fmaf(scores[n][e], scale, from[e >> 1]));
    }
}

// Totals of rows g and g + 8: each lane's weights of all even keys in order and of all odd ones, both, then those of four lanes.
template <typename Of> DEV void add_weights(float (&total)[2], Of of) {
    float4 sums = of(0);
#pragma unroll
    for (u32 n = 1; n < KEYS / 8; n++) {
        const float4 v = of(n);
        sums.x += v.x, sums.y += v.y, sums.z += v.z, sums.w += v.w;
    }
    total[0] = sums.x + sums.y, total[1] = sums.z + sums.w;
#pragma unroll
    for (u32 step = 1; step < 4; step *= 2) {
#pragma unroll
        for (u32 half = 0; half < 2; half++) total[half] += __shfl_xor_sync(~0u, total[half], step);
    }
}

// Scores of a tile's keys become weights, with the largest score and the total of rows g and g + 8.
DEV void weigh(float (&scores)[KEYS / 8][4], float scale, float (&largest)[2], float (&total)[2]) {
    find_largest(scores, largest);
    make_weights(scores, largest, scale);
    add_weights(total, [&](u32 n) { return make_float4(scores[n][0], scores[n][1], scores[n][2], scores[n][3]); });
}

// One tile of keys: sums of 16 rows, [dim / 8] fragments, with the largest score and the total of rows g and g + 8.
// `between` is called once the keys are no longer needed and before the values are.
template <int ELEMENT, int DIM, bool BULK, typename Between>
DEV void tile_sums(const AttentionArgs &args, const Queries<ELEMENT, DIM> &q, u32 keys_at, u32 values_at, u32 start, const u32 (&first)[2],
                   const u32 (&last)[2], u32 lane, float (&sums)[DIM / 8][4], float (&largest)[2], float (&total)[2], Between between) {
    float scores[KEYS / 8][4];
    // Blocks of keys, and of values below, come two a time, before those in front of them are used.
    u32 blocks[2][2][4];
    auto load_keys = [&](u32 step) {
#pragma unroll
        for (u32 j = 0; j < 2; j++) {
            // Two blocks of 8 keys, each of two blocks of 8 dimensions.
            const u32 row = (step % 2 * 2 + j) * 16 + (lane >> 4) * 8 + (lane & 7), piece = step / 2 * 2 + ((lane >> 3) & 1);
            load_matrices(blocks[step & 1][j], keys_at + piece_place<DIM, BULK>(row, piece), false);
        }
    };
    load_keys(0);
#pragma unroll
    for (u32 step = 0; step < DIM / 8; step++) {
        if (step + 1 < DIM / 8) load_keys(step + 1);
        const u32 i = step / 2;
#pragma unroll
        for (u32 j = 0; j < 2; j++) {
            const u32 n = step % 2 * 2 + j;
            const u32(&k)[4] = blocks[step & 1][j];
            mma_16816<ELEMENT>(scores[2 * n], q.parts[i], k[0], k[1], i == 0);
            mma_16816<ELEMENT>(scores[2 * n + 1], q.parts[i], k[2], k[3], i == 0);
        }
    }
    limit_scores(args, scores, start, first, last, lane);
    weigh(scores, scale_of(args), largest, total);
    between();
    auto load_values = [&](u32 step) {
#pragma unroll
        for (u32 j = 0; j < 2; j++) {
            const u32 row = step / (DIM / 32) * 16 + ((lane >> 3) & 1) * 8 + (lane & 7), piece = 2 * (step % (DIM / 32) * 2 + j) + (lane >> 4);
            load_matrices(blocks[step & 1][j], values_at + piece_place<DIM, BULK>(row, piece), true);
        }
    };
    load_values(0);
#pragma unroll
    for (u32 step = 0; step < KEYS / 16 * (DIM / 32); step++) {
        if (step + 1 < KEYS / 16 * (DIM / 32)) load_values(step + 1);
        const u32 n = step / (DIM / 32);
        const u32 weights[4] = {pack<ELEMENT>(scores[2 * n][0], scores[2 * n][1]), pack<ELEMENT>(scores[2 * n][2], scores[2 * n][3]),
                                pack<ELEMENT>(scores[2 * n + 1][0], scores[2 * n + 1][1]), pack<ELEMENT>(scores[2 * n + 1][2], scores[2 * n + 1][3])};
#pragma unroll
        for (u32 j = 0; j < 2; j++) {
            const u32 d = step % (DIM / 32) * 2 + j;
            const u32(&v)[4] = blocks[step & 1][j];
            mma_16816<ELEMENT>(sums[2 * d], weights, v[0], v[1], n == 0);
            mma_16816<ELEMENT>(sums[2 * d + 1], weights, v[2], v[3], n == 0);
        }
    }
}


// Where what a tile gives is put: 32 dimensions of its sums, so far behind them the next 32; largest score and total.
struct Put {
    float *sums;
    u32 step;
    float *own;
};

DEV Put put_close(float *sums, u32 dim) { return {sums, 32, sums + dim}; }

// Of a span of a row and head in scratch memory.
DEV Put put_apart(const AttentionArgs &args, u32 row, u32 head, u32 span, u32 dim) {
    float *of_head = args.scratch + (u64)(row * args.heads + head) * args.spans * (dim + 4);
    return {of_head + span * 32, args.spans * 32, of_head + args.spans * dim + span * 2};
}

// What was put of a span's tiles in front, with what the next one gave: a warp together.
template <int DIM, typename Place> DEV void merge_put(float (&sums)[DIM / 8][4], float (&largest)[2], float (&total)[2], u32 here, Place place) {
    const u32 g = threadIdx.x >> 2 & 7, t = threadIdx.x & 3;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        const u32 of = g + 8 * half;
        if (of >= here) continue;
        const Put from = place(of);
        const float2 own = *(const float2 *)from.own;
        const Merge step = merge(own.x, own.y, largest[half], total[half]);
        largest[half] = step.largest, total[half] = step.total;
#pragma unroll
        for (u32 d = 0; d < DIM / 8; d++) {
            const float2 v = *(const float2 *)(from.sums + d / 4 * from.step + d % 4 * 8 + 2 * t);
            sums[d][2 * half] = fmaf(v.x, step.before, sums[d][2 * half] * step.after);
            sums[d][2 * half + 1] = fmaf(v.y, step.before, sums[d][2 * half + 1] * step.after);
        }
    }
    __syncwarp();
}

// What a tile gave, to where `place` has it of each of its heads.
template <int DIM, typename Place> DEV void put_sums(const float (&sums)[DIM / 8][4], const float (&largest)[2], const float (&total)[2], u32 here, Place place) {
    const u32 g = threadIdx.x >> 2 & 7, t = threadIdx.x & 3;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        const u32 of = g + 8 * half;
        if (of >= here) continue;
        const Put to = place(of);
#pragma unroll
        for (u32 d = 0; d < DIM / 8; d++) *(float2 *)(to.sums + d / 4 * to.step + d % 4 * 8 + 2 * t) = make_float2(sums[d][2 * half], sums[d][2 * half + 1]);
        if (t == 0) *(float2 *)to.own = make_float2(largest[half], total[half]);
    }
}
