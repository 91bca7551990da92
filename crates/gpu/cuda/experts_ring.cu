// Experts of some tokens on Hopper, weights of 4 bits: products of up to 8 rows of each expert, for whose weights the copy
// engine has a ring of stretches for each warp.
//
// 32 warps share as many half tiles of one expert's weights as there are slices of k for them (of gated units gates and the
// ups that belong to them in turn): a group. A warp asks for its stretches some ahead of their use, of the next groups and
// tiles too; a block has neighbouring groups, whose rows stay in shared memory. Rows come made, by token, or as the product
// before left them. Invariant: a slice is one chain of k16 products, slices are added in order, as in few.cu.
// Read next: experts_few.cu, which takes all other formats.
#include "rows.cuh"
#include "wgmma.cuh"

struct ExpertsRingArgs {
    TensorMap codes;      // [tiles][blocks][4][8 rows of 16 bytes], boxes of a stretch of half a tile, swizzled
    TensorMap scales;     // [tiles][words][32 rows], boxes of the same
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
    u32 slot_log2;        // stretches of a place in the ring: one or two
    u32 gated, act;
    float alpha, limit;
};

constexpr u32 WARPS = 32, THREADS = 32 * WARPS, COLUMNS = 8, RING = 4, CODES = 1024, HELD = 2;

DEV void load_codes(u32 to, const TensorMap *map, u32 eights, u32 block, u32 tile, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
                 "l"(map), "r"(0), "r"(eights), "r"(block), "r"(tile), "r"(barrier)
                 : "memory");
}

DEV void load_scales(u32 to, const TensorMap *map, u32 row, u32 word, u32 tile, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to),
                 "l"(map), "r"(row * 2), "r"(word), "r"(tile), "r"(barrier)
                 : "memory");
}

DEV void expect_map(const TensorMap *map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

template <int CODE, int KIND> DEV void experts_ring(const ExpertsRingArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 slots = RING >> args.slot_log2, of_slot = 1 << args.slot_log2, stretch_scales = 64 << args.words_log2;
    const u32 slot_codes = CODES << args.slot_log2, slot_scales = stretch_scales << args.slot_log2, scales_room = maximum(slot_scales, 128u);
    u8 *scales_at = memory + WARPS * RING * CODES, *behind = scales_at + WARPS * slots * scales_room;
    float (*partials)[WARPS][COLUMNS][16] = (float (*)[WARPS][COLUMNS][16])behind;
    u8 *made = behind + 2 * sizeof(*partials);
    float *factors = (float *)(made + COLUMNS * args.stride * 2), *mosts = factors + COLUMNS;
    u32 *places = (u32 *)(mosts + WARPS);
    const u32 codes = shared_address(memory) + warp * RING * CODES, scales = shared_address(scales_at) + warp * slots * scales_room;
    const u32 full = shared_address(places + COLUMNS) + warp * RING * 8, x = shared_address(made);
    if (lane < RING) barrier_init(full + 8 * lane, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    if (threadIdx.x == 0) expect_map(&args.codes), expect_map(&args.scales);

    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, at_once = WARPS / slices & (args.gated ? ~1u : ~0u);
    const u32 of = warp / slices, slice = warp % slices, first_stretch = slice * length / 128;
    const u32 last_stretch = first_stretch + (minimum(length, args.k - slice * length) + 127) / 128;
    const u32 tiles_of_expert = (args.n + 31) / 32, halves = 2 * tiles_of_expert, groups = (halves + at_once - 1) / at_once;
    __syncthreads();
    previous_done();
    next_may_start();
    const u32 all = __ldcg(args.filled) * groups, each = (all + gridDim.x - 1) / gridDim.x;
    u32 group = blockIdx.x * each, number = group / groups, in_tile = group % groups;
    const u32 end = minimum(group + each, all);
    if (group >= end) return;

    u32 ahead = of < at_once ? group : end, ahead_tile = number, ahead_half = in_tile * at_once + of, ahead_stretch = first_stretch;
    // The first tile of its expert.
    u32 expert_tile = __ldcg(&args.tiles[number].x) * tiles_of_expert;
    auto turn = [&]() {
        ahead_half += at_once;
        if (++ahead == end || ahead_half < groups * at_once) return;
        ahead_half = of, ahead_tile++;
        expert_tile = __ldcg(&args.tiles[ahead_tile].x) * tiles_of_expert;
    };
    // The last group of a tile may have nothing for this warp.
    if (ahead < end && ahead_half >= halves) turn();
    auto ask = [&](u32 slot) {
        if (ahead >= end) return;
        if (lane == 0) {
            const u32 half = args.gated ? (ahead_half >> 1) + (ahead_half & 1 ? tiles_of_expert : 0) : ahead_half;
            const u32 tile = expert_tile + (half >> 1), barrier = full + 8 * slot;
            barrier_expect(barrier, slot_codes + slot_scales);
            load_codes(codes + slot * slot_codes, &args.codes, (half & 1) * 2, ahead_stretch * 4, tile, barrier);
            load_scales(scales + slot * scales_room, &args.scales, (half & 1) * 16, ahead_stretch << args.words_log2, tile, barrier);
        }
        if ((ahead_stretch += of_slot) < last_stretch) return;
        ahead_stretch = first_stretch;
        turn();
        if (ahead < end && ahead_half >= halves) turn();
    };
    #pragma unroll 1
    for (u32 slot = 0; slot < slots; slot++) ask(slot);

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
    auto bring = [&]() {
        tile = __ldcg(args.tiles + number);
        if (args.values) make();
        else bring_made();
    };
    bring();

    const u32 width = args.gated ? args.n / 2 : args.n;
    // Pieces of eight rows are 128 bytes, whose 16-byte parts are exchanged by their number.
    const u32 low_at = t * 256 + ((g ^ 2 * t) << 4), high_at = t * 256 + 128 + ((g ^ (2 * t + 1)) << 4);
    const u32 scale_at = ((t << args.words_log2 >> 2) * 16 + g) * 4;
    u32 parity = 0, slot = 0, phase = 0;
    while (group < end) {
        const u32 half = in_tile * at_once + of;
        if (of < at_once && half < halves) {
            const u32 of_lane = minimum(g, tile.z - 1), swap = (of_lane & 1) << 6, x_at = x + of_lane * args.stride * 2 + t * 16;
            float sums[4] = {};
            u32 left = 0, codes_at, scales_of;
            for (u32 k = first_stretch; k < last_stretch; k++) {
                if (left == 0) {
                    barrier_wait(full + 8 * slot, phase);
                    left = of_slot, codes_at = codes + slot * slot_codes, scales_of = scales + slot * scales_room + scale_at;
                }
                Piece<CODE> low, high;
                const uint4 a = load_shared_16(codes_at + low_at), b = load_shared_16(codes_at + high_at);
                low.codes[0] = a.x, low.codes[1] = a.y, low.codes[2] = a.z, low.codes[3] = a.w;
                high.codes[0] = b.x, high.codes[1] = b.y, high.codes[2] = b.z, high.codes[3] = b.w;
                low.scale = load_shared_4(scales_of);
                high.scale = load_shared_4(scales_of + 32);
                low.super_word = high.super_word = 0;
                u32 low_pairs[2], high_pairs[2];
                piece_scales<CODE, KIND>(args.weights, low, k, t, low_pairs);
                piece_scales<CODE, KIND>(args.weights, high, k, t, high_pairs);
#pragma unroll
                for (u32 word = 0; word < 4; word++) {
                    u32 v[4], u[4];
                    unpack_word<CODE>(low, word, low_pairs, v);
                    unpack_word<CODE>(high, word, high_pairs, u);
                    const u32 first[4] = {v[0], u[0], v[1], u[1]}, second[4] = {v[2], u[2], v[3], u[3]};
                    const uint4 values = load_shared_16(x_at + k * 256 + ((word << 6) ^ swap));
                    mma_16816<T::ELEMENT>(sums, first, values.x, values.y);
                    mma_16816<T::ELEMENT>(sums, second, values.z, values.w);
                }
                codes_at += CODES, scales_of += stretch_scales;
                if (--left && k + 1 < last_stretch) continue;
                // All lanes have what they need of the place.
                left = 0;
                __syncwarp();
                ask(slot);
                if (++slot == slots) slot = 0, phase ^= 1;
            }
            float(*to)[16] = partials[parity][warp];
            const u32 column = 2 * t;
            if (column < tile.z) to[column][g] = sums[0], to[column][g + 8] = sums[2];
            if (column + 1 < tile.z) to[column + 1][g] = sums[1], to[column + 1][g + 8] = sums[3];
        }
        __syncthreads();
        // A warp has two half tiles of a column; others each time.
        const u32 first = in_tile * at_once, count = minimum(at_once, halves - first), outputs = args.gated ? count * 8 : count * 16;
        for (u32 i = threadIdx.x ^ parity << 9; i < tile.z * outputs; i += THREADS) {
            const u32 column = i / outputs, place = i - column * outputs, r = place & 15;
            const u32 output = (args.gated ? first * 8 : first * 16) + place, at = (args.gated ? 2 : 1) * (place >> 4);
            if (output >= width) continue;
            const float scale = factors[column] * T::FACTOR * args.weights.factor;
            auto sum_of = [&](u32 at, u32 feature) {
                const float(*from)[COLUMNS][16] = partials[parity] + at * slices;
                float sum = from[0][column][r];
                for (u32 s = 1; s < slices; s++) sum += from[s][column][r];
                sum = __fmul_rn(sum, scale);
                return args.bias ? sum + args.bias[tile.x * args.n + feature] : sum;
            };
            float sum = sum_of(at, output);
            if (args.gated) sum = gated_call(args.act, sum, sum_of(at + 1, width + output), args.alpha, args.limit);
            args.y[(u64)places[column] * width + output] = sum;
        }
        parity ^= 1, group++;
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
