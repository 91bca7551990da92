// Products of one row, or of up to eight: y[m][n] = x[m][k] . w[n][k], on tensor cores whatever m is.
//
// A block takes groups of half tiles (16 weight rows); each of its 8 warps has one slice of k, its weights coming straight
// to registers some stretches ahead of their use (asked for before the kernel in front is done); what the slices give is
// added in order. Invariant: each slice is one chain of k16 products, slices are added in order: the bits of a row do not
// depend on m, nor on the kernel (some.cu and gemm.cu keep the same order). Read next: weights.cuh.
#include "rows.cuh"

struct FewArgs {
    Weights weights;
    RowSource source;      // one row, made in every block
    const u16 *rows;       // or: [m][stride] in the order of lanes, made by rows.cu; null: `source`
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
    u32 choices;           // experts: pairs that share a row of x
};

constexpr u32 WARPS = 8;

template <int CODE, int KIND, u32 COLUMNS> DEV void few(const FewArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 ? (COLUMNS == 1 ? 2 : 1) : T::BITS == 8 ? 2 : 4;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length;
    const u32 first_stretch = warp * length / 128;
    const u32 stretches = warp < slices ? (minimum(length, args.k - warp * length) + 127) / 128 : 0;
    u32 base = 0, begin = 0, columns = args.m;

    next_may_start();
    if (args.tiles) {
        previous_done();
        const uint4 tile = args.tiles[blockIdx.y];
        if (tile.z == 0) return;
        base = tile.x, begin = tile.y, columns = tile.z;
    }
    const u32 expert = base;
    base *= (args.n + 31) / 32 * 2;
    const u32 partial_floats = args.halves * WARPS * COLUMNS * 16;
    float *partials = (float *)memory;
    float *scratch = partials + 2 * partial_floats;
    u16 *x = (u16 *)(scratch + 64);

    Piece<CODE> low[DEPTH], high[DEPTH];
    u32 ahead = stretches ? blockIdx.x * args.halves : ~0u, ahead_stretch = first_stretch;
    const u32 last_stretch = first_stretch + stretches, skipped = (gridDim.x - 1) * args.halves, all = args.groups * args.halves;
    u32 ahead_end = ahead + args.halves;
    Place place;
    if (ahead < all) place = place_of<CODE>(args.weights, (base + ahead) >> 1, ((base + ahead) & 1) * 16 + g, t);
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (ahead >= all) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead_stretch, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead_stretch, t);
        if (++ahead_stretch < last_stretch) return;
        ahead_stretch = first_stretch;
        if (++ahead == ahead_end) ahead += skipped, ahead_end = ahead + args.halves;
        if (ahead < all) place = place_of<CODE>(args.weights, (base + ahead) >> 1, ((base + ahead) & 1) * 16 + g, t);
    };
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);

    previous_done();
    float factor = 1.0f;
    if (COLUMNS == 1 && !args.rows) {
        auto put = [&](u32 i, float4 v) { put_four<T::ELEMENT>(x, T::ORDER, LANES, i, v); };
        factor = make_row<T::ELEMENT, 4, 256>(args.source, scratch, put);
        for (u32 i = (args.k + 3) / 4 * 4 + 4 * threadIdx.x; i < args.stride; i += 1024) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    } else {
        // Words of neighbouring rows change places, so that lanes that read together meet different banks.
        const u32 pieces = args.stride / 8;
        for (u32 i = threadIdx.x; i < columns * pieces; i += 256) {
            const u32 row = i / pieces, piece = i % pieces;
            const u32 from = args.tiles ? args.pairs[begin + row] / args.choices : row;
            copy_async<16>(shared_address(x) + (row * pieces + (piece ^ ((row & 1) << 2))) * 16, args.rows + (u64)from * args.stride + piece * 8);
        }
        copy_commit();
        copy_wait<0>();
        if (COLUMNS == 1) factor = load_again_4(args.factors);
    }
    __syncthreads();
    const u32 of_lane = COLUMNS == 1 ? 0 : minimum(g, columns - 1), turn = (of_lane & 1) << 6;
    const u32 x_at = shared_address(x) + of_lane * args.stride * 2 + t * 16 + first_stretch * 256;

    const u32 halves = args.halves;
    u32 group = blockIdx.x, half = 0, stretch = 0, parity = 0, round = 0;
    auto finish = [&]() {
        asm volatile("bar.sync 0;" ::: "memory");
        const float *partial = partials + parity * partial_floats;
        // Another warp each time, so that none falls behind.
        for (u32 i = (threadIdx.x + round) & 255; i < halves * 16 * columns; i += 256) {
            const u32 r = i & 15, of = (i >> 4) % halves, column = (i >> 4) / halves;
            const u32 output = (group * halves + of) * 16 + r;
            if (output >= args.n) continue;
            const u32 pair = args.tiles ? args.pairs[begin + column] : column;
            const float scale = (COLUMNS == 1 ? factor : load_again_4(args.factors + (args.tiles ? pair / args.choices : column))) *
                                T::FACTOR * args.weights.factor;
            const float *from = partial + (of * WARPS * COLUMNS + column) * 16 + r;
            float sum = from[0];
            for (u32 s = 1; s < slices; s++) sum += from[s * COLUMNS * 16];
            sum *= scale;
            if (args.bias) sum += args.bias[expert * args.n + output];
            const u64 to = (u64)pair * args.out_stride + output;
            if (args.residual) sum += load_again_4(args.residual + to);
            args.y[to] = sum;
        }
        parity ^= 1, round += 32, group += gridDim.x;
    };
    if (!stretches) {
        while (group < args.groups) finish();
        return;
    }
    float sums[4] = {};
    while (group < args.groups) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (group >= args.groups) break;
            const u32 k = first_stretch + stretch;
            u32 low_pairs[2], high_pairs[2];
            piece_scales<CODE, KIND>(args.weights, low[d], k, t, low_pairs);
            piece_scales<CODE, KIND>(args.weights, high[d], k, t, high_pairs);
#pragma unroll
            for (u32 word = 0; word < 4; word++) {
                u32 a[4], b[4];
                unpack_word<CODE>(low[d], word, low_pairs, a);
                unpack_word<CODE>(high[d], word, high_pairs, b);
                const u32 first[4] = {a[0], b[0], a[1], b[1]}, second[4] = {a[2], b[2], a[3], b[3]};
                const uint4 v = load_shared_16(x_at + stretch * 256 + ((word << 6) ^ turn));
                mma_16816<T::ELEMENT>(sums, first, v.x, v.y);
                mma_16816<T::ELEMENT>(sums, second, v.z, v.w);
            }
            fetch(low[d], high[d]);
            if (++stretch < stretches) continue;
            float *to = partials + parity * partial_floats + (half * WARPS + warp) * COLUMNS * 16;
            const u32 column = 2 * t;
            if (column < columns) to[column * 16 + g] = sums[0], to[column * 16 + g + 8] = sums[2];
            if (COLUMNS > 1 && column + 1 < columns) to[column * 16 + 16 + g] = sums[1], to[column * 16 + 24 + g] = sums[3];
            sums[0] = sums[1] = sums[2] = sums[3] = 0.0f, stretch = 0;
            if (++half == halves) half = 0, finish();
        }
    }
}

#define FEW(name, code, kind, columns)                                                                                 \
    extern "C" __global__ void __launch_bounds__(256, 2) name(const __grid_constant__ FewArgs args) {           \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        few<code, kind, columns>(args, memory);                                                                      \
    }

#define FEW_OF(name, code, kind)                                                                                       \
    FEW(few1_##name, code, kind, 1)                                                                                    \
    FEW(few8_##name, code, kind, 8)

// The common formats of 4 bits know their scales; these have groups of 32 or more.
FEW_OF(bits4_pair, BITS4, PAIR_BF16)
FEW_OF(bits4_single, BITS4, SINGLE)
FEW_OF(bits4_minima, BITS4, MINIMA)
FEW_OF(e2m1_exponent, E2M1, E8M0)
FEW_OF(bits2, BITS2, -1)
FEW_OF(bits3, BITS3, -1)
FEW_OF(bits4, BITS4, -1)
FEW_OF(bits5, BITS5, -1)
FEW_OF(bits6, BITS6, -1)
FEW_OF(bits8, BITS8, -1)
FEW_OF(signed8, SIGNED8, -1)
FEW_OF(e2m1, E2M1, -1)
FEW_OF(e4m3, CODE_E4M3, -1)
FEW_OF(bf16, CODE_BF16, NONE)
FEW_OF(f16, CODE_F16, NONE)
