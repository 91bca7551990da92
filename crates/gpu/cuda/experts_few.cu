// Experts of some tokens on Hopper: products of up to 8 rows of each expert, which wait for the weights' bytes alone.
//
// An item is a tile of rows of one expert with two half tiles of its weights: of gated units gates and the ups that belong
// to them, else neighbours. Each of 16 warps has one slice of k of one of the two, its weights coming straight to registers
// some stretches ahead of their use; a block has neighbouring items, whose rows stay in shared memory.
// Invariant: a slice is one chain of k16 products, slices are added in order, as in few.cu. Read next: experts.cu.
#include "weights.cuh"

struct ExpertsFewArgs {
    Weights weights;
    const uint4 *tiles;   // (expert, first row, rows, 0)
    const u32 *filled;    // how many tiles there are
    const u16 *rows;      // by expert [m][stride], for lanes
    const u32 *pairs;     // row of y of each row, or null: rows stay where they are
    const float *factors; // of each row
    const float *bias;    // [experts][n] or null
    float *y;             // [m][n], of gated units [m][n / 2]
    u32 n, k, stride;     // n: rows of an expert's matrix
    u32 gated, act;
    float alpha, limit;
};

constexpr u32 THREADS = 512, SLICES = 8, COLUMNS = 8, GROUP = 4;

template <int CODE, int KIND> DEV void experts_few(const ExpertsFewArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 ? 1 : T::BITS == 8 ? 2 : 4;
    // Sums of some items, so that there are few waits; of two such groups.
    float (*partials)[2][SLICES][COLUMNS][16] = (float (*)[2][SLICES][COLUMNS][16])memory;
    u8 *behind = memory + 2 * GROUP * sizeof(*partials);
    float *factors = (float *)(behind + COLUMNS * args.stride * 2);
    u32 *places = (u32 *)(factors + COLUMNS);
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, slice = warp % SLICES, part = warp / SLICES;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length;
    const u32 first_stretch = slice * length / 128;
    const u32 stretches = slice < slices ? (minimum(length, args.k - slice * length) + 127) / 128 : 0;
    const u32 tiles_of_expert = (args.n + 31) / 32, items_of_tile = tiles_of_expert, x = shared_address(behind);
    previous_done();
    next_may_start();
    const u32 all = __ldcg(args.filled) * items_of_tile, each = (all + gridDim.x - 1) / gridDim.x;
    u32 item = blockIdx.x * each;
    const u32 end = minimum(item + each, all);
    if (item >= end) return;

    Piece<CODE> low[DEPTH], high[DEPTH];
    // Which expert the loads are at is asked for one tile before.
    u32 ahead = item, ahead_stretch = first_stretch, ahead_tile = item / items_of_tile, in_tile = item % items_of_tile;
    const u32 last_tile = (end - 1) / items_of_tile;
    auto expert_of = [&](u32 tile) { return __ldcg(&args.tiles[minimum(tile, last_tile)].x); };
    u32 expert = expert_of(ahead_tile), next_expert = expert_of(ahead_tile + 1);
    Place place;
    auto seek = [&]() {
        // A tile of gates and the one of their ups have two items, as have two neighbouring half tiles.
        const u32 half = args.gated ? part * tiles_of_expert + in_tile : in_tile * 2 + part;
        place = place_of<CODE>(args.weights, expert * tiles_of_expert + (half >> 1), (half & 1) * 16 + g, t);
    };
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (ahead >= end || !stretches) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead_stretch, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead_stretch, t);
        if (++ahead_stretch < first_stretch + stretches) return;
        ahead_stretch = first_stretch, ahead++;
        if (++in_tile == items_of_tile) in_tile = 0, ahead_tile++, expert = next_expert, next_expert = expert_of(ahead_tile + 1);
        seek();
    };
    seek();
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);

    uint4 tile;
    u32 at = item % items_of_tile, number = item / items_of_tile;
    auto bring = [&]() {
        tile = __ldcg(args.tiles + number);
        // Words of neighbouring rows change places, so that lanes that read together meet different banks.
        const u32 pieces = args.stride / 8;
        for (u32 i = threadIdx.x; i < tile.z * pieces; i += THREADS) {
            const u32 row = i / pieces, piece = i % pieces;
            copy_async<16>(x + (row * pieces + (piece ^ ((row & 1) << 2))) * 16, args.rows + (u64)(tile.y + row) * args.stride + piece * 8);
        }
        if (threadIdx.x < tile.z) {
            factors[threadIdx.x] = load_again_4(args.factors + tile.y + threadIdx.x);
            places[threadIdx.x] = args.pairs ? __ldcg(args.pairs + tile.y + threadIdx.x) : tile.y + threadIdx.x;
        }
        copy_commit();
        copy_wait<0>();
        __syncthreads();
    };
    bring();
    const u32 width = args.gated ? args.n / 2 : args.n;
    // `at`: the group's first item in its tile; `count`: its items that are summed.
    u32 parity = 0, count = 0;
    auto finish = [&]() {
        item++;
        if (++count < GROUP && at + count < items_of_tile && item < end) return;
        __syncthreads();
        const u32 outputs = (args.gated ? 16 : 32) * count;
        for (u32 i = threadIdx.x; i < tile.z * outputs; i += THREADS) {
            const u32 r = i & 15, place = i % outputs, column = i / outputs;
            const u32 of = args.gated ? place / 16 : place / 32, which = args.gated ? 0 : place >> 4 & 1, output = at * (args.gated ? 16 : 32) + place;
            if (output >= width) continue;
            const float scale = factors[column] * args.weights.factor;
            auto sum_of = [&](u32 which, u32 feature) {
                const float(*from)[COLUMNS][16] = partials[parity * GROUP + of][which];
                float sum = from[0][column][r];
                for (u32 s = 1; s < slices; s++) sum += from[s][column][r];
                sum = __fmul_rn(sum, scale);
                return args.bias ? sum + args.bias[tile.x * args.n + feature] : sum;
            };
            float sum = sum_of(which, output);
            if (args.gated) sum = gated_call(args.act, sum, sum_of(1, width + output), args.alpha, args.limit);
            args.y[(u64)places[column] * width + output] = sum;
        }
        parity ^= 1, at += count, count = 0;
        if (at < items_of_tile || item >= end) return;
        // Everybody has read the rows and what belongs to them.
        __syncthreads();
        at = 0, number++;
        bring();
    };
    if (!stretches) {
        while (item < end) finish();
        return;
    }
    float sums[4] = {};
    u32 stretch = 0;
    while (item < end) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (item >= end) break;
            const u32 of_lane = minimum(g, tile.z - 1), turn = (of_lane & 1) << 6, k = first_stretch + stretch;
            const u32 x_at = x + of_lane * args.stride * 2 + t * 16 + k * 256;
            u32 low_pairs[2], high_pairs[2];
            piece_scales<CODE, KIND>(args.weights, low[d], k, t, low_pairs);
            piece_scales<CODE, KIND>(args.weights, high[d], k, t, high_pairs);
#pragma unroll
            for (u32 word = 0; word < 4; word++) {
                u32 a[4], b[4];
                unpack_word<CODE>(low[d], word, low_pairs, a);
                unpack_word<CODE>(high[d], word, high_pairs, b);
                const u32 first[4] = {a[0], b[0], a[1], b[1]}, second[4] = {a[2], b[2], a[3], b[3]};
                const uint4 v = load_shared_16(x_at + ((word << 6) ^ turn));
                mma_16816<T::ELEMENT>(sums, first, v.x, v.y);
                mma_16816<T::ELEMENT>(sums, second, v.z, v.w);
            }
            fetch(low[d], high[d]);
            if (++stretch < stretches) continue;
            const u32 column = 2 * t;
            float *to = partials[parity * GROUP + count][part][slice][column];
            if (column < tile.z) to[g] = sums[0], to[g + 8] = sums[2];
            if (column + 1 < tile.z) to[16 + g] = sums[1], to[24 + g] = sums[3];
            sums[0] = sums[1] = sums[2] = sums[3] = 0.0f, stretch = 0;
            finish();
            __syncwarp();
        }
    }
}

#define EXPERTS_FEW(name, code, kind)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) experts8_##name(const __grid_constant__ ExpertsFewArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        experts_few<code, kind>(args, memory);                                                                       \
    }

EVERY_FORMAT(EXPERTS_FEW)
