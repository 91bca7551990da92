// Experts of many tokens on Hopper: products of rows that are sorted by expert, all experts in one launch.
//
// An item is a tile of up to N rows of one expert with a panel of 128 of its weight rows: 16 for each of 8 warps, which
// come straight to registers and are decoded there; the tensor cores multiply them with the rows, which the copy engine
// brings, a stretch of 128 columns at a time. Blocks stay: an item's loads begin while the one before ends. A panel of
// gated units has 64 gates and the 64 ups that belong to them. Invariant: a slice is one chain of k16 products, slices
// are added in order, as in few.cu. Read next: some.cu, experts_few.cu.
#include "weights.cuh"
#include "wgmma.cuh"

struct ExpertsArgs {
    TensorMap x;          // rows by expert [m][stride], arranged for registers, boxes of 64 columns by N rows, swizzled
    Weights weights;
    const uint4 *tiles;   // (expert, first row, rows, 0)
    const u32 *filled;    // how many tiles there are
    const u32 *pairs;     // row of y of each row, or null: rows stay where they are
    const float *factors; // of each row
    const float *bias;    // [experts][n] or null
    float *y;             // [m][n], of gated units [m][n / 2]
    u32 n, k;             // n: rows of an expert's matrix
    u32 panels;
    u32 gated, act;
    float alpha, limit;
};

constexpr u32 PANEL = 128, THREADS = 256;

// The compiler may not compute this again from what it came from.
template <typename T> DEV void keep_address(T *&address) { asm volatile("" : "+l"(address)); }

// Where a sum lies among those of an item: neighbouring rows next to each other, lanes that write together apart.
DEV u32 sum_place(u32 column, u32 row) { return column * PANEL + (row ^ ((column >> 1) & 3) << 3); }

// Four sums times their factor, and a bias: products are rounded before they are added to, as elsewhere.
DEV float4 scaled(const float *sums, float scale, float4 bias) {
    const float4 v = *(const float4 *)sums;
    return make_float4(__fmul_rn(v.x, scale) + bias.x, __fmul_rn(v.y, scale) + bias.y, __fmul_rn(v.z, scale) + bias.z, __fmul_rn(v.w, scale) + bias.w);
}

template <int CODE, int KIND, u32 N, u32 STAGES, u32 DEPTH> DEV void experts(const ExpertsArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 STAGE = N * 256;
    const u32 lane = threadIdx.x & 31, warp = (threadIdx.x >> 5) & 3, group = threadIdx.x >> 7;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 base = shared_address(memory), full = base + STAGES * STAGE, empty = full + 8 * STAGES;
    float *results = (float *)(memory + STAGES * STAGE + 128);
    const u32 length = slice_length(args.k), of_slice = length / 128, stretches = (args.k + 127) / 128;
    const u32 tiles_of_expert = (args.n + 31) / 32;
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < STAGES; s++) barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, 2);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    previous_done();
    next_may_start();
    const u32 items = __ldcg(args.filled) * args.panels;

    Piece<CODE> low[DEPTH], high[DEPTH];
    Place place;
    u32 item = blockIdx.x, ahead_item = item, ahead = 0;
    auto tile_of = [&](u32 item) { return item < items ? __ldcg(args.tiles + item / args.panels) : make_uint4(0, 0, 0, 0); };
    // Asked for an item before it is needed.
    uint4 tile = tile_of(item), next_tile = tile_of(item + gridDim.x);
    auto seek = [&]() {
        if (ahead_item >= items) return;
        const u32 expert = ahead_item == item ? tile.x : ahead_item == item + gridDim.x ? next_tile.x : tile_of(ahead_item).x, panel = ahead_item % args.panels;
        // Half of a panel's tiles: of gates, of ups.
        const u32 half = tiles_of_expert / 2;
        const u32 tile = args.gated ? group * half + minimum(panel * 2 + (warp >> 1), half - 1)
                                    : minimum(panel * 4 + group * 2 + (warp >> 1), tiles_of_expert - 1);
        place = place_of<CODE>(args.weights, expert * tiles_of_expert + tile, (warp & 1) * 16 + g, t);
        keep_address(place.codes);
        if (KIND != NONE) keep_address(place.scales);
    };
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (ahead_item >= items) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead, t);
        if (++ahead < stretches) return;
        ahead = 0, ahead_item += gridDim.x;
        seek();
    };
    seek();
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);

    u32 bring_item = blockIdx.x, bring_stretch = 0, bring_row = 0, bring_slot = 0, bring_phase = 1;
    auto bring = [&]() {
        if (bring_item >= items) return;
        if (bring_stretch == 0) bring_row = __ldcg(&args.tiles[bring_item / args.panels].y);
        const u32 barrier = full + 8 * bring_slot, to = base + bring_slot * STAGE;
        barrier_wait(empty + 8 * bring_slot, bring_phase);
        barrier_expect(barrier, STAGE);
        load_tile(to, &args.x, bring_stretch * 128, bring_row, barrier);
        load_tile(to + STAGE / 2, &args.x, bring_stretch * 128 + 64, bring_row, barrier);
        if (++bring_stretch == stretches) bring_stretch = 0, bring_item += gridDim.x;
        if (++bring_slot == STAGES) bring_slot = 0, bring_phase ^= 1;
    };
    if (threadIdx.x == 0) {
        for (u32 s = 0; s + 1 < STAGES; s++) bring();
    }

    const u32 at = group * 64 + warp * 16 + g;
    float *low_sums = results + 2 * t * PANEL + (at ^ t << 3), *high_sums = results + 2 * t * PANEL + (at ^ t << 3 ^ 8);
    float sums[N / 2], total[N / 2];
    u32 slot = 0, phase = 0, stretch = 0, left_of_slice = of_slice;
    auto finish = [&]() {
        const u32 panel = item % args.panels, width = args.gated ? args.n / 2 : args.n, each = args.gated ? PANEL / 2 : PANEL;
        // Everybody has read what was there.
        __syncthreads();
#pragma unroll
        for (u32 i = 0; i < N / 2; i++) *((i >> 1 & 1 ? high_sums : low_sums) + (i / 4 * 8 + (i & 1)) * PANEL) = total[i];
        __syncthreads();
        // Some lanes have a row of y, four outputs each.
        const u32 lanes = each / 4, of = lane % lanes * 4, output = panel * each + of, step = THREADS / lanes;
        float4 bias = make_float4(0.0f, 0.0f, 0.0f, 0.0f), other_bias = bias;
        if (args.bias && output < width) bias = *(const float4 *)(args.bias + tile.x * args.n + output);
        if (args.bias && args.gated && output < width) other_bias = *(const float4 *)(args.bias + tile.x * args.n + width + output);
#pragma unroll 4
        for (u32 column = threadIdx.x / lanes; column < tile.z; column += step) {
            const u32 row = args.pairs ? __ldcg(args.pairs + tile.y + column) : tile.y + column;
            const float scale = load_again_4(args.factors + tile.y + column) * args.weights.factor;
            float4 sum = scaled(results + sum_place(column, of), scale, bias);
            if (args.gated) {
                const float4 other = scaled(results + sum_place(column, PANEL / 2 + of), scale, other_bias);
                sum.x = gated_call(args.act, sum.x, other.x, args.alpha, args.limit);
                sum.y = gated_call(args.act, sum.y, other.y, args.alpha, args.limit);
                sum.z = gated_call(args.act, sum.z, other.z, args.alpha, args.limit);
                sum.w = gated_call(args.act, sum.w, other.w, args.alpha, args.limit);
            }
            if (output < width) *(float4 *)(args.y + (u64)row * width + output) = sum;
        }
        // Warps go on as wholes: tensor cores take no less.
        __syncwarp();
        item += gridDim.x, stretch = 0, tile = next_tile, next_tile = tile_of(item + gridDim.x);
    };
    while (item < items) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (item >= items) break;
            // Into the slot of the stretch before, which everybody is done with, or nearly.
            if (threadIdx.x == 0) bring();
            __syncwarp();
            u32 low_pairs[2], high_pairs[2];
            piece_scales<CODE, KIND>(args.weights, low[d], stretch, t, low_pairs);
            piece_scales<CODE, KIND>(args.weights, high[d], stretch, t, high_pairs);
            u32 a[2][2][4];
            barrier_wait(full + 8 * slot, phase);
#pragma unroll
            for (u32 word = 0; word < 4; word++) {
                u32 v[4], u[4];
                unpack_word<CODE>(low[d], word, low_pairs, v);
                unpack_word<CODE>(high[d], word, high_pairs, u);
#pragma unroll
                for (u32 i = 0; i < 2; i++) {
                    a[word & 1][i][0] = v[2 * i], a[word & 1][i][1] = u[2 * i];
                    a[word & 1][i][2] = v[2 * i + 1], a[word & 1][i][3] = u[2 * i + 1];
                }
                const u64 x = descriptor(base + slot * STAGE + (word >> 1) * (STAGE / 2)) + 4 * (word & 1);
                hold(sums);
                products_begin();
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][0], x, word > 0 ? 1 : left_of_slice != of_slice);
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][1], x + 2, 1);
                products_asked();
                products_wait<1>();
            }
            products_wait<0>();
            hold(sums);
            if ((threadIdx.x & 127) == 0) barrier_arrive(empty + 8 * slot);
            fetch(low[d], high[d]);
            if (++slot == STAGES) slot = 0, phase ^= 1;
            const bool is_first = stretch < of_slice;
            if (--left_of_slice && ++stretch < stretches) continue;
            if (left_of_slice == 0) stretch++;
            left_of_slice = of_slice;
#pragma unroll
            for (u32 i = 0; i < N / 2; i++) total[i] = is_first ? sums[i] : total[i] + sums[i];
            if (stretch >= stretches) finish();
        }
    }
}

#define EXPERTS(name, code, kind, n, stages, blocks, depth)                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) experts##n##_##name(const __grid_constant__ ExpertsArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        experts<code, kind, n, stages, depth>(args, memory);                                                         \
    }

#define EXPERTS_OF(name, code, kind, some, many)                                                                       \
    EXPERTS(name, code, kind, 64, 4, 1, some)                                                                          \
    EXPERTS(name, code, kind, 128, 4, 1, many)

EXPERTS_OF(bits4_pair, BITS4, PAIR_BF16, 4, 2)
EXPERTS_OF(bits4_single, BITS4, SINGLE, 4, 2)
EXPERTS_OF(bits4_minima, BITS4, MINIMA, 4, 2)
EXPERTS_OF(e2m1_exponent, E2M1, E8M0, 4, 2)
EXPERTS_OF(bits2, BITS2, -1, 2, 2)
EXPERTS_OF(bits3, BITS3, -1, 2, 2)
EXPERTS_OF(bits4, BITS4, -1, 2, 2)
EXPERTS_OF(bits5, BITS5, -1, 2, 1)
EXPERTS_OF(bits6, BITS6, -1, 2, 1)
EXPERTS_OF(bits6_signed, BITS6, SIGNED, 2, 1)
EXPERTS_OF(bits8, BITS8, -1, 2, 1)
EXPERTS_OF(signed8, SIGNED8, -1, 2, 1)
EXPERTS_OF(e2m1, E2M1, E4M3, 2, 2)
EXPERTS_OF(e4m3, CODE_E4M3, -1, 2, 1)
EXPERTS_OF(bf16, CODE_BF16, NONE, 2, 1)
EXPERTS_OF(f16, CODE_F16, NONE, 2, 1)
