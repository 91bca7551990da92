// Experts of some tokens on Hopper, weights of 4 bits: products of up to 8 rows of each expert, for which the copy engine
// brings whole half tiles.
//
// 32 warps share a group: as many half tiles of one expert's weights as there are slices of k for them, or twice that (of
// gated units gates and the ups that belong to them in turn). While one group is multiplied the next is here and the one
// behind it on its way, also of the next tile; a block has neighbouring groups, whose rows stay in shared memory. Rows come
// made, by token, or as the product before left them. Invariant: a slice is one chain of k16 products, slices are added in
// order, as in few.cu. Read next: experts_few.cu, which takes other formats and longer rows.
#include "rows.cuh"
#include "wgmma.cuh"

struct ExpertsRingArgs {
    TensorMap codes;      // [tiles][blocks][4][8 rows of 16 bytes], boxes of half a tile, swizzled
    TensorMap scales;     // [tiles][words][32 rows], boxes of half a tile
    Weights weights;
    const uint4 *tiles;   // (expert, first row, rows, 0)
    const u32 *filled;    // how many tiles there are
    const u16 *rows;      // [tokens][stride], for lanes
    const float *factors; // of each
    const float *values;  // or: [m][k], by expert, not made yet
    const u32 *pairs;     // token * choices + choice of each row by expert
    const float *bias;    // [experts][n] or null
    float *y;             // of `rows` by expert, of `values` by pair: [m][n], of gated units [m][n / 2]
    u32 n, k, stride;     // n: rows of an expert's matrix
    u32 choices;
    u32 words_log2;       // of scales in a stretch
    u32 rounds;           // half tiles of a warp in a group
    u32 gated, act;
    float alpha, limit;
};

constexpr u32 WARPS = 32, THREADS = 32 * WARPS, COLUMNS = 8, CODES = 1024, HELD = 2;

DEV void load_codes(u32 to, const TensorMap *map, u32 eights, u32 tile, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %2, %4}], [%5];" ::"r"(to),
                 "l"(map), "r"(0), "r"(eights), "r"(tile), "r"(barrier)
                 : "memory");
}

DEV void load_scales(u32 to, const TensorMap *map, u32 row, u32 tile, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to),
                 "l"(map), "r"(row * 2), "r"(0), "r"(tile), "r"(barrier)
                 : "memory");
}

DEV void expect_map(const TensorMap *map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

template <int CODE, int KIND> DEV void experts_ring(const ExpertsRingArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, stretches = (args.k + 127) / 128;
    const u32 at_once = WARPS / slices & (args.gated ? ~1u : ~0u), of_group = at_once * args.rounds;
    const u32 half_codes = stretches * CODES, half_scales = (stretches << args.words_log2) * 64, scales_room = (half_scales + 127) & ~127u;
    // Two groups of codes, of scales, and of sums; rows, and what belongs to them.
    u8 *scales_at = memory + 2 * of_group * half_codes, *behind = scales_at + 2 * of_group * scales_room;
    float (*partials)[WARPS][COLUMNS][16] = (float (*)[WARPS][COLUMNS][16])behind;
    u8 *made = behind + 2 * args.rounds * sizeof(*partials);
    float *factors = (float *)(made + COLUMNS * args.stride * 2), *mosts = factors + COLUMNS;
    u32 *places = (u32 *)(mosts + WARPS);
    const u32 codes = shared_address(memory), scales = shared_address(scales_at), full = shared_address(places + COLUMNS), x = shared_address(made);
    if (threadIdx.x == 0) {
        expect_map(&args.codes), expect_map(&args.scales);
        barrier_init(full, 1), barrier_init(full + 8, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    const u32 of = warp / slices, slice = warp % slices, first_stretch = slice * length / 128;
    const u32 count = (minimum(length, args.k - slice * length) + 127) / 128;
    const u32 tiles_of_expert = (args.n + 31) / 32, halves = 2 * tiles_of_expert, groups = (halves + of_group - 1) / of_group;
    __syncthreads();
    previous_done();
    next_may_start();
    const u32 all = __ldcg(args.filled) * groups, each = (all + gridDim.x - 1) / gridDim.x;
    u32 group = blockIdx.x * each, number = group / groups, in_tile = group % groups;
    const u32 end = minimum(group + each, all);
    if (group >= end) return;

    // The first warp of each half tile asks for it.
    u32 ahead = of < at_once && slice == 0 && lane == 0 ? group : end, ahead_tile = number, ahead_first = in_tile * of_group;
    u32 expert_tile = __ldcg(&args.tiles[number].x) * tiles_of_expert;
    auto ask = [&](u32 slot) {
        if (ahead >= end) return;
        const u32 barrier = full + 8 * slot;
        if (threadIdx.x == 0) barrier_expect(barrier, minimum(of_group, halves - ahead_first) * (half_codes + half_scales));
#pragma unroll 1
        for (u32 i = of; i < of_group && ahead_first + i < halves; i += at_once) {
            const u32 at = ahead_first + i, half = args.gated ? (at >> 1) + (at & 1 ? tiles_of_expert : 0) : at;
            const u32 tile = expert_tile + (half >> 1), to = slot * of_group + i;
            load_codes(codes + to * half_codes, &args.codes, (half & 1) * 2, tile, barrier);
            load_scales(scales + to * scales_room, &args.scales, (half & 1) * 16, tile, barrier);
        }
        ahead_first += of_group;
        if (++ahead == end || ahead_first < halves) return;
        ahead_first = 0, ahead_tile++;
        expert_tile = __ldcg(&args.tiles[ahead_tile].x) * tiles_of_expert;
    };
    ask(0);
    ask(1);

    // Words of neighbouring rows change places, so that lanes that read together meet different banks.
    uint4 tile = {};
    auto bring_made = [&]() {
        const u32 pieces = args.stride / 8;
        for (u32 i = threadIdx.x; i < tile.z * pieces; i += THREADS) {
            const u32 row = i / pieces, piece = i % pieces, token = __ldcg(args.pairs + tile.y + row) / args.choices;
            copy_async<16>(x + (row * pieces + (piece ^ ((row & 1) << 2))) * 16, args.rows + (u64)token * args.stride + piece * 8);
        }
        if (threadIdx.x < tile.z) {
            factors[threadIdx.x] = load_again_4(args.factors + __ldcg(args.pairs + tile.y + threadIdx.x) / args.choices);
            places[threadIdx.x] = tile.y + threadIdx.x;
        }
        copy_commit();
        copy_wait<0>();
        __syncthreads();
    };
    // Four warps a row.
    auto make = [&]() {
        const u32 row = warp >> 2, from = ((warp & 3) * 32 + lane) * 4;
        const bool has_row = row < tile.z;
        const float *values = args.values + (u64)(tile.y + row) * args.k;
        float4 held[HELD];
        float most = 0.0f;
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (has_row && from + 512 * j < args.k) held[j] = load_again(values + from + 512 * j);
        }
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (has_row && from + 512 * j < args.k) most = most_of(most, held[j]);
        }
        for (u32 i = from + 512 * HELD; has_row && i < args.k; i += 512) most = most_of(most, load_again(values + i));
        most = warp_max(most);
        if (lane == 0) mosts[warp] = most;
        if (threadIdx.x < tile.z) places[threadIdx.x] = __ldcg(args.pairs + tile.y + threadIdx.x);
        __syncthreads();
        for (u32 i = 0; i < 4; i++) most = fmaxf(most, mosts[(warp & ~3u) + i]);
        const RowScale by = row_scale<T::ELEMENT>(most);
        if (has_row && (warp & 3) == 0 && lane == 0) factors[row] = by.factor;
        auto put = [&](u32 i, float4 v) {
            const u32 p = pack<T::ELEMENT>(v.x * by.scale, v.y * by.scale), q = pack<T::ELEMENT>(v.z * by.scale, v.w * by.scale);
            u16 *to = (u16 *)made + row * args.stride + (position(LANES, NIBBLES, i) ^ (row & 1) << 5);
            to[0] = p, to[2] = p >> 16, to[4] = q, to[6] = q >> 16;
        };
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (has_row && from + 512 * j < args.k) put(from + 512 * j, held[j]);
        }
        for (u32 i = from + 512 * HELD; has_row && i < args.k; i += 512) put(i, load_again(values + i));
        for (u32 i = args.k + from; has_row && i < args.stride; i += 512) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
        __syncthreads();
    };
    u32 x_low, x_high;
    auto bring = [&]() {
        tile = __ldcg(args.tiles + number);
        if (args.values) make();
        else bring_made();
        const u32 of_lane = minimum(g, tile.z - 1), swap = (of_lane & 1) << 6, at = x + of_lane * args.stride * 2 + t * 16 + first_stretch * 256;
        x_low = at + swap, x_high = at + (swap ^ 64);
    };
    bring();

    const u32 width = args.gated ? args.n / 2 : args.n;
    // Pieces of eight rows are 128 bytes, whose 16-byte parts are exchanged by their number.
    const u32 low_at = codes + of * half_codes + first_stretch * CODES + t * 256 + ((g ^ 2 * t) << 4);
    const u32 high_at = codes + of * half_codes + first_stretch * CODES + t * 256 + 128 + ((g ^ (2 * t + 1)) << 4);
    const u32 scale_at = scales + of * scales_room + (first_stretch << args.words_log2) * 64 + ((t << args.words_log2 >> 2) * 16 + g) * 4;
    u32 turn = 0;
    while (group < end) {
        const u32 slot = turn & 1, first = in_tile * of_group;
        barrier_wait(full + 8 * slot, turn >> 1 & 1);
#pragma unroll 1
        for (u32 round = 0; round < args.rounds; round++) {
            const u32 i = of + round * at_once;
            if (of >= at_once || first + i >= halves) break;
            const u32 skip = (slot * of_group + round * at_once) * half_codes;
            u32 low_from = low_at + skip, high_from = high_at + skip, scale_from = scale_at + (slot * of_group + round * at_once) * scales_room;
            float sums[4] = {};
            for (u32 k = 0; k < count; k++) {
                Piece<CODE> low, high;
                const uint4 a = load_shared_16(low_from), b = load_shared_16(high_from);
                low.codes[0] = a.x, low.codes[1] = a.y, low.codes[2] = a.z, low.codes[3] = a.w;
                high.codes[0] = b.x, high.codes[1] = b.y, high.codes[2] = b.z, high.codes[3] = b.w;
                low.scale = load_shared_4(scale_from);
                high.scale = load_shared_4(scale_from + 32);
                low.super_word = high.super_word = 0;
                low_from += CODES, high_from += CODES, scale_from += 64 << args.words_log2;
                u32 low_pairs[2], high_pairs[2];
                piece_scales<CODE, KIND>(args.weights, low, first_stretch + k, t, low_pairs);
                piece_scales<CODE, KIND>(args.weights, high, first_stretch + k, t, high_pairs);
#pragma unroll
                for (u32 word = 0; word < 4; word++) {
                    u32 v[4], u[4];
                    unpack_word<CODE>(low, word, low_pairs, v);
                    unpack_word<CODE>(high, word, high_pairs, u);
                    const u32 one[4] = {v[0], u[0], v[1], u[1]}, two[4] = {v[2], u[2], v[3], u[3]};
                    const uint4 values = load_shared_16((word & 1 ? x_high : x_low) + k * 256 + (word >> 1) * 128);
                    mma_16816<T::ELEMENT>(sums, one, values.x, values.y);
                    mma_16816<T::ELEMENT>(sums, two, values.z, values.w);
                }
            }
            float(*to)[16] = partials[slot * args.rounds + round][warp];
            const u32 column = 2 * t;
            if (column < tile.z) to[column][g] = sums[0], to[column][g + 8] = sums[2];
            if (column + 1 < tile.z) to[column + 1][g] = sums[1], to[column + 1][g + 8] = sums[3];
        }
        __syncthreads();
        // Everybody is done with the group's place.
        ask(slot);
        // Others each time have the outputs.
        const u32 outputs = minimum(of_group, halves - first) * (args.gated ? 8 : 16);
        for (u32 i = (threadIdx.x + turn * 128) % THREADS; i < tile.z * outputs; i += THREADS) {
            const u32 column = i / outputs, place = i - column * outputs, r = place & 15;
            const u32 output = first * (args.gated ? 8 : 16) + place, in_group = (args.gated ? 2 : 1) * (place >> 4);
            if (output >= width) continue;
            const float scale = factors[column] * args.weights.factor;
            auto sum_of = [&](u32 i, u32 feature) {
                const u32 round = i >= at_once;
                const float(*from)[COLUMNS][16] = partials[slot * args.rounds + round] + (i - round * at_once) * slices;
                float sum = from[0][column][r];
                for (u32 s = 1; s < slices; s++) sum += from[s][column][r];
                sum = __fmul_rn(sum, scale);
                return args.bias ? sum + args.bias[tile.x * args.n + feature] : sum;
            };
            float sum = sum_of(in_group, output);
            if (args.gated) sum = gated_call(args.act, sum, sum_of(in_group + 1, width + output), args.alpha, args.limit);
            args.y[(u64)places[column] * width + output] = sum;
        }
        turn++, group++;
        if (++in_tile < groups || group >= end) continue;
        // Everybody has read the rows and what belongs to them.
        __syncthreads();
        in_tile = 0, number++;
        bring();
    }
}

#define EXPERTS_RING(name, code, kind)                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) ring8_##name(const __grid_constant__ ExpertsRingArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        experts_ring<code, kind>(args, memory);                                                                      \
    }

EXPERTS_RING(bits4_pair, BITS4, PAIR_BF16)
EXPERTS_RING(bits4_single, BITS4, SINGLE)
EXPERTS_RING(e2m1_exponent, E2M1, E8M0)
