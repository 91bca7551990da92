// Products of few rows: y[m][n] = x[m][k] . w[n][k], on tensor cores whatever m is.
//
// A block takes groups of half tiles (16 weight rows); its 8 warps share the slices of k, each warp streaming its
// weights through a ring of its own in shared memory; what the slices give is added in order. Weights are asked for
// before the kernel in front is done. Invariant: each slice is one chain of k16 products, slices are added in order:
// the bits of a row do not depend on m, nor on the kernel (gemm.cu keeps the same order). Read next: weights.cuh.
#include "rows.cuh"
#include "weights.cuh"

struct FewArgs {
    Weights weights;
    RowSource source;      // one row, made in every block
    const u16 *rows;       // else: [m][stride] in fragment order, made by rows.cu
    const float *factors;  // [m]
    const uint4 *tiles;    // experts: (expert, first pair, rows, 0) of each tile; or null
    const u32 *pairs;      // of the tiles: token * choices + choice
    const float *bias;     // [n] (of all experts) or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]
    u32 m, n, k;           // n: rows of the matrix, of one expert
    u32 stride;            // of rows
    u32 out_stride;
    u32 halves;            // half tiles of a group
    u32 groups;
    u32 gated;             // the first half of the rows gates the second half
    u32 act;
    float alpha, limit;
    u32 choices;           // experts: pairs that share a row of x
};

constexpr u32 WARPS = 8;

// The next chunk of a warp: slices, in each the half tiles of the group, in each the chunks.
struct Cursor {
    u32 group, slice, half, k;
};

// First row of a half tile; gated groups hold as many of gates as of ups.
DEV u32 first_row(const FewArgs &args, u32 group, u32 half) {
    if (!args.gated) return (group * args.halves + half) * 16;
    const u32 pairs = args.halves / 2;
    return half < pairs ? (group * pairs + half) * 16 : args.n / 2 + (group * pairs + half - pairs) * 16;
}

template <int CODE, int KIND, int NT, int STAGES> DEV void few(const FewArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 COLUMNS = NT == 0 ? 1 : NT * 8;
    constexpr int TILES = NT == 0 ? 1 : NT;
    constexpr u32 BLOCKS = T::CHUNK / 32, CHUNKS = 512 / T::CHUNK;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length;
    const u32 ring_at = shared_address(memory) + warp * STAGES * T::STAGE;
    float *partials = (float *)(memory + WARPS * STAGES * T::STAGE);
    u32 base = 0, begin = 0, columns = minimum(args.m, COLUMNS);

    next_may_start();
    if (args.tiles) {
        previous_done();
        const uint4 tile = args.tiles[blockIdx.y];
        if (tile.z == 0) return;
        base = tile.x, begin = tile.y, columns = tile.z;
    }
    const u32 expert = base;
    base *= (args.n + 31) / 32 * 32;
    const u32 partial_floats = args.halves * slices * COLUMNS * 16;
    float *scratch = partials + 2 * partial_floats;
    u16 *row = (u16 *)(scratch + 16);

    Cursor ahead = {warp < slices ? blockIdx.x : args.groups, warp, 0, warp * length};
    auto fetch = [&](u32 slot) {
        if (ahead.group < args.groups) {
            const u32 end = minimum((ahead.slice + 1) * length, args.k);
            const u32 here = (minimum(T::CHUNK, end - ahead.k) + 31) & ~31u;
            const u32 first = base + first_row(args, ahead.group, ahead.half);
            stage_weights<CODE>(ring_at + slot * T::STAGE, args.weights, first, ahead.k, here, lane);
            ahead.k += T::CHUNK;
            if (ahead.k >= end) {
                if (++ahead.half == args.halves) {
                    ahead.half = 0, ahead.slice += WARPS;
                    if (ahead.slice >= slices) ahead.slice = warp, ahead.group += gridDim.x;
                }
                ahead.k = ahead.slice * length;
            }
        }
        copy_commit();
    };

    for (u32 slot = 0; slot < STAGES - 1; slot++) fetch(slot);
    previous_done();
    float factor = 1.0f;
    if (NT == 0) {
        auto put = [&](u32 i, u32 p, u32 q) {
            if (T::ORDER == NIBBLES) {
                u16 *to = row + fragment_position(NIBBLES, i);
                to[0] = p, to[2] = p >> 16, to[4] = q, to[6] = q >> 16;
            } else {
                *(uint2 *)(row + fragment_position(T::ORDER, i)) = make_uint2(p, q);
            }
        };
        factor = make_row<T::ELEMENT>(args.source, scratch, put);
        for (u32 i = args.k + 4 * threadIdx.x; i < args.stride; i += 1024) put(i, 0, 0);
        __syncthreads();
    }
    const u32 row_at = shared_address(row);
    const u16 *rows_of[TILES] = {};
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        const u32 column = minimum(tile * 8 + g, columns - 1);
        const u32 from = args.tiles ? args.pairs[begin + column] / args.choices : column;
        if (NT > 0) rows_of[tile] = args.rows + (u64)from * args.stride + t * 8;
    }

    u32 slot = 0, parity = 0, round = 0, have = ~0u;
    u32 x[TILES][16][4];
    for (u32 group = blockIdx.x; group < args.groups; group += gridDim.x, parity ^= 1, round += 32) {
        float *partial = partials + parity * partial_floats;
        for (u32 slice = warp; slice < slices; slice += WARPS) {
            const u32 start = slice * length, end = minimum(start + length, args.k);
            if (NT > 0 && slice != have) {
                have = slice;
#pragma unroll
                for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
                    for (u32 block = 0; block < 16; block++) {
                        const u32 k = start + block * 32;
                        uint4 v = make_uint4(0, 0, 0, 0);
                        if (k < end) v = load_again(rows_of[tile] + k);
                        x[tile][block][0] = v.x, x[tile][block][1] = v.y, x[tile][block][2] = v.z, x[tile][block][3] = v.w;
                    }
                }
            }
            for (u32 half = 0; half < args.halves; half++) {
                float sums[TILES][4] = {};
#pragma unroll
                for (u32 c = 0; c < CHUNKS; c++) {
                    const u32 first = start + c * T::CHUNK;
                    if (first >= end) break;
                    copy_wait<STAGES - 2>();
                    __syncwarp();
                    fetch(slot == 0 ? STAGES - 1 : slot - 1);
                    const u32 chunk = ring_at + slot * T::STAGE;
                    slot = slot + 1 == STAGES ? 0 : slot + 1;
                    u32 low_scale = 0, high_scale = 0;
#pragma unroll
                    for (u32 block = 0; block < BLOCKS; block++) {
                        const u32 k = first + block * 32;
                        if (block % 4 == 0 && block > 0 && k >= end) break;
                        if (T::BITS < 16 && (block % 2 == 0 || (KIND < 0 ? args.weights.group_log2 < 6 : KIND != PAIR_BF16))) {
                            low_scale = staged_scale<CODE, KIND>(chunk, args.weights, first, k, g, t);
                            high_scale = staged_scale<CODE, KIND>(chunk, args.weights, first, k, g + 8, t);
                        }
                        u32 low[4], high[4];
                        unpack_weights<CODE>(chunk, args.weights, first, k, g, t, low_scale, low);
                        unpack_weights<CODE>(chunk, args.weights, first, k, g + 8, t, high_scale, high);
                        const u32 a0[4] = {low[0], high[0], low[1], high[1]}, a1[4] = {low[2], high[2], low[3], high[3]};
                        if (NT == 0) {
                            const uint4 v = load_shared_16(row_at + (k + t * 8) * 2);
                            mma_16816<T::ELEMENT>(sums[0], a0, v.x, v.y);
                            mma_16816<T::ELEMENT>(sums[0], a1, v.z, v.w);
                        } else {
#pragma unroll
                            for (int tile = 0; tile < TILES; tile++) {
                                const u32(&v)[4] = x[tile][c * BLOCKS + block];
                                mma_16816<T::ELEMENT>(sums[tile], a0, v[0], v[1]);
                                mma_16816<T::ELEMENT>(sums[tile], a1, v[2], v[3]);
                            }
                        }
                    }
                }
                float *to = partial + (half * slices + slice) * COLUMNS * 16;
#pragma unroll
                for (int tile = 0; tile < TILES; tile++) {
                    const u32 column = tile * 8 + 2 * t;
                    if (column < columns) {
                        to[column * 16 + g] = sums[tile][0];
                        to[column * 16 + g + 8] = sums[tile][2];
                    }
                    if (column + 1 < columns) {
                        to[column * 16 + 16 + g] = sums[tile][1];
                        to[column * 16 + 24 + g] = sums[tile][3];
                    }
                }
            }
        }
        __syncthreads();
        const u32 outputs = args.gated ? args.n / 2 : args.n;
        const u32 halves = args.gated ? args.halves / 2 : args.halves;
        // Another warp each time, so that none falls behind.
        for (u32 i = (threadIdx.x + round) & 255; i < halves * 16 * columns; i += 256) {
            const u32 r = i & 15, half = (i >> 4) % halves, column = (i >> 4) / halves;
            const u32 output = first_row(args, group, half) + r;
            if (output >= outputs) continue;
            const u32 pair = args.tiles ? args.pairs[begin + column] : column;
            const float scale = (NT == 0 ? factor : load_again_4(args.factors + (args.tiles ? pair / args.choices : column))) *
                                T::FACTOR * args.weights.factor;
            auto total = [&](u32 of_half, u32 of_row) {
                const float *from = partial + (of_half * slices * COLUMNS + column) * 16 + r;
                float sum = from[0];
                for (u32 s = 1; s < slices; s++) sum += from[s * COLUMNS * 16];
                sum *= scale;
                return args.bias ? sum + args.bias[expert * args.n + of_row] : sum;
            };
            float sum = total(half, output);
            if (args.gated) sum = gated_unit(args.act, sum, total(half + halves, output + outputs), args.alpha, args.limit);
            const u64 to = (u64)pair * args.out_stride + output;
            if (args.residual) sum += load_again_4(args.residual + to);
            args.y[to] = sum;
        }
    }
}

#define FEW(name, code, kind, columns, stages, blocks)                                                                       \
    extern "C" __global__ void __launch_bounds__(256, blocks) name(const __grid_constant__ FewArgs args) {           \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        few<code, kind, columns, stages>(args, memory);                                                                    \
    }

#define FEW_OF(name, code, kind)                                                                                       \
    FEW(few1_##name, code, kind, 0, 2, 2)                                                                              \
    FEW(few8_##name, code, kind, 1, 2, 2)

// The common formats of 4 bits know their scales; pairs in bf16 have groups of 64 or more.
FEW_OF(bits4_pair, BITS4, PAIR_BF16)
FEW_OF(bits4_single, BITS4, SINGLE)
FEW_OF(bits4_minima, BITS4, MINIMA)
FEW_OF(bits4, BITS4, -1)
FEW_OF(bits5, BITS5, -1)
FEW_OF(bits6, BITS6, -1)
FEW_OF(bits8, BITS8, -1)
FEW_OF(signed8, SIGNED8, -1)
FEW_OF(e2m1, E2M1, -1)
FEW_OF(bf16, CODE_BF16, NONE)
FEW_OF(f16, CODE_F16, NONE)
FEW(few16_bits4_pair, BITS4, PAIR_BF16, 2, 3, 1)
FEW(few16_bits4_single, BITS4, SINGLE, 2, 3, 1)
FEW(few16_bits4_minima, BITS4, MINIMA, 2, 3, 1)
FEW(few16_bf16, CODE_BF16, NONE, 2, 3, 1)
