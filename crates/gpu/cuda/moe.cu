// Mixtures of experts: choose, sort by expert, add what they gave; and the product of f32 weights, which routers have.
// Order of buffers and parameters: src/ops/moe.rs, src/ops/matmul.rs. Read next: few.cu, gemm.cu.
#include "weights.cuh"

constexpr u32 MAX_EXPERTS = 512;
constexpr float LEAST = -3.0e38f;

struct RouteArgs {
    const float *logits;     // [tokens][experts]
    const float *correction; // [experts] or null
    u32 *chosen;             // [tokens][active], best first
    float *weights;
    u32 experts, active, scoring, normalize, groups, best;
    float scale;
};

// A token a block. Ties go to the lower expert.
extern "C" __global__ void __launch_bounds__(128) route(const __grid_constant__ RouteArgs args) {
    __shared__ float scores[MAX_EXPERTS], ranks[MAX_EXPERTS], strengths[MAX_EXPERTS], shares[8];
    __shared__ u64 best_of[4];
    __shared__ u32 taken[MAX_EXPERTS];
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x, warp = thread >> 5;
    const float *logits = args.logits + (u64)blockIdx.x * args.experts;
    if (args.scoring == 0) {
        float largest = LEAST;
        for (u32 e = thread; e < args.experts; e += 128) largest = fmaxf(largest, load_again_4(logits + e));
        largest = warp_max(largest);
        if ((thread & 31) == 0) shares[warp] = largest;
        __syncthreads();
        largest = fmaxf(fmaxf(shares[0], shares[1]), fmaxf(shares[2], shares[3]));
        float sum = 0.0f;
        for (u32 e = thread; e < args.experts; e += 128) sum += scores[e] = expf(load_again_4(logits + e) - largest);
        sum = warp_sum(sum);
        if ((thread & 31) == 0) shares[4 + warp] = sum;
        __syncthreads();
        sum = (shares[4] + shares[5]) + (shares[6] + shares[7]);
        for (u32 e = thread; e < args.experts; e += 128) scores[e] /= sum;
    } else {
        for (u32 e = thread; e < args.experts; e += 128) {
            const float logit = load_again_4(logits + e);
            scores[e] = args.scoring == 1 ? logit : 1.0f / (1.0f + expf(-logit));
        }
    }
    // Each thread has experts thread, thread + 128, ...: no barrier until the groups.
    for (u32 e = thread; e < args.experts; e += 128) ranks[e] = (args.correction ? scores[e] + args.correction[e] : scores[e]) + 0.0f;
    if (args.groups > 1) {
        __syncthreads();
        const u32 size = args.experts / args.groups;
        for (u32 group = thread; group < args.groups; group += 128) {
            float first = LEAST, second = LEAST;
            for (u32 e = 0; e < size; e++) {
                const float rank = ranks[group * size + e];
                second = fmaxf(second, fminf(first, rank)), first = fmaxf(first, rank);
            }
            strengths[group] = first + second;
        }
        __syncthreads();
        for (u32 e = thread; e < args.experts; e += 128) {
            const u32 group = e / size;
            u32 better = 0;
            for (u32 other = 0; other < args.groups; other++) {
                better += strengths[other] > strengths[group] || (strengths[other] == strengths[group] && other < group);
            }
            if (better >= args.best) ranks[e] = LEAST;
        }
    }
    for (u32 k = 0; k < args.active; k++) {
        // Larger ranks first, then smaller places: one number orders both. 0: none.
        u64 best = 0;
        for (u32 e = thread; e < args.experts; e += 128) {
            const u32 bits = __float_as_uint(ranks[e]);
            const u32 ordered = bits & 0x80000000 ? ~bits : bits | 0x80000000;
            if (bits != 0xffffffff) best = maximum(best, (u64)ordered << 32 | ~e);
        }
        for (int step = 16; step > 0; step >>= 1) best = maximum(best, __shfl_xor_sync(~0u, best, step));
        if ((thread & 31) == 0) best_of[warp] = best;
        __syncthreads();
        best = maximum(maximum(best_of[0], best_of[1]), maximum(best_of[2], best_of[3]));
        const u32 expert = minimum(~(u32)best, args.experts - 1);
        // Its own thread takes it out, as a number that no rank is.
        if (expert % 128 == thread) ranks[expert] = bits_f32(0xffffffff), taken[k] = expert;
        __syncthreads();
    }
    if (thread >= 32) return;
    // One warp, each lane some of the chosen; sums in order.
    u32 *chosen = args.chosen + (u64)blockIdx.x * args.active;
    float *weights = args.weights + (u64)blockIdx.x * args.active;
    const float largest = scores[taken[0]];
    float all = 0.0f;
    if (args.scoring == 1) {
        for (u32 k = 0; k < args.active; k++) all += expf(scores[taken[k]] - largest);
    }
    auto weight = [&](u32 k) { return args.scoring == 1 ? expf(scores[taken[k]] - largest) / all : scores[taken[k]]; };
    float total = 1.0f;
    if (args.normalize) {
        total = args.scoring == 2 ? 1.0e-20f : 0.0f;
        for (u32 k = 0; k < args.active; k++) total += weight(k);
    }
    for (u32 k = thread; k < args.active; k += 32) chosen[k] = taken[k], weights[k] = weight(k) / total * args.scale;
}

struct SortArgs {
    const u32 *chosen;
    u32 *pairs;
    uint4 *tiles; // (expert, first pair, rows, 0)
    u32 count, max_tiles, experts, tile_rows;
};

// Numbers of experts before each, of pairs and of tiles: 512 threads, thread e has expert e.
DEV uint2 before(u32 pairs, u32 tiles, u32 (&sums)[2][16]) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, own_pairs = pairs, own_tiles = tiles;
    for (u32 step = 1; step < 32; step *= 2) {
        const u32 p = __shfl_up_sync(~0u, pairs, step), t = __shfl_up_sync(~0u, tiles, step);
        if (lane >= step) pairs += p, tiles += t;
    }
    if (lane == 31) sums[0][warp] = pairs, sums[1][warp] = tiles;
    __syncthreads();
    for (u32 w = 0; w < warp; w++) pairs += sums[0][w], tiles += sums[1][w];
    return make_uint2(pairs - own_pairs, tiles - own_tiles);
}

// One block. Where a pair stands among those of its expert does not matter: a row's bits do not depend on its tile.
extern "C" __global__ void __launch_bounds__(512) sort_pairs(const __grid_constant__ SortArgs args) {
    __shared__ u32 counts[MAX_EXPERTS], starts[MAX_EXPERTS], sums[2][16], all_tiles;
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x;
    counts[thread] = 0;
    __syncthreads();
    for (u32 i = thread; i < args.count; i += 512) atomicAdd(&counts[__ldcg(args.chosen + i) % MAX_EXPERTS], 1u);
    __syncthreads();
    const u32 count = counts[thread], tiles = (count + args.tile_rows - 1) / args.tile_rows;
    const uint2 first = before(count, tiles, sums);
    starts[thread] = first.x;
    for (u32 i = 0; i < tiles && first.y + i < args.max_tiles; i++) {
        args.tiles[first.y + i] = make_uint4(thread, first.x + i * args.tile_rows, minimum(count - i * args.tile_rows, args.tile_rows), 0);
    }
    if (thread == 511) all_tiles = first.y + tiles;
    __syncthreads();
    for (u32 i = all_tiles + thread; i < args.max_tiles; i += 512) args.tiles[i] = make_uint4(0, 0, 0, 0);
    for (u32 i = thread; i < args.count; i += 512) args.pairs[atomicAdd(&starts[__ldcg(args.chosen + i) % MAX_EXPERTS], 1u)] = i;
}

struct OffsetsArgs {
    const uint4 *tiles;
    u32 *offsets; // [experts + 1]: the first pair of each
    u32 count, experts;
};

// From tiles to the rows of each expert: one block.
extern "C" __global__ void __launch_bounds__(512) expert_offsets(const __grid_constant__ OffsetsArgs args) {
    __shared__ u32 counts[MAX_EXPERTS], sums[2][16];
    next_may_start();
    previous_done();
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < args.count; i += 512) {
        const uint4 tile = __ldcg(args.tiles + i);
        if (tile.z) atomicAdd(&counts[tile.x], tile.z);
    }
    __syncthreads();
    const uint2 first = before(counts[threadIdx.x], 0, sums);
    if (threadIdx.x <= args.experts) args.offsets[threadIdx.x] = first.x;
    if (threadIdx.x == 511 && args.experts == MAX_EXPERTS) args.offsets[MAX_EXPERTS] = first.x + counts[511];
}

struct MixArgs {
    const float *x, *weights, *residual; // or null
    float *out;
    u32 count, dim, choices;
};

extern "C" __global__ void __launch_bounds__(256) mix(const __grid_constant__ MixArgs args) {
    next_may_start();
    previous_done();
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    if (e >= args.count) return;
    const u32 token = e / args.dim;
    float sum = 0.0f;
#pragma unroll 8
    for (u32 k = 0; k < args.choices; k++) {
        const u64 pair = (u64)token * args.choices + k;
        sum = fmaf(load_again_4(args.weights + pair), load_again_4(args.x + pair * args.dim + e % args.dim), sum);
    }
    args.out[e] = args.residual ? load_again_4(args.residual + e) + sum : sum;
}

struct PlainArgs {
    Weights weights;
    const float *rows;     // [m][stride], made by rows.cu
    const uint4 *tiles;    // experts, as in few.cu
    const u32 *pairs;
    const float *bias;
    const float *residual;
    float *y;
    u32 m, n, k, stride, out_stride, choices;
};

constexpr u32 ROWS = 8;

// Weights of f32: a block has a tile of 32 outputs for 8 rows, a lane one output, a warp every eighth block of columns.
// Grid (tiles, stacks of rows).
extern "C" __global__ void __launch_bounds__(256) product_f32(const __grid_constant__ PlainArgs args) {
    __shared__ float partial[8][ROWS][32];
    next_may_start();
    previous_done();
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    u32 expert = 0, begin = blockIdx.y * ROWS, rows = minimum(ROWS, args.m - begin);
    if (args.tiles) {
        const uint4 tile = __ldcg(args.tiles + blockIdx.y);
        if (tile.z == 0) return;
        expert = tile.x, begin = tile.y, rows = tile.z;
    }
    const float *x[ROWS];
#pragma unroll
    for (u32 m = 0; m < ROWS; m++) {
        const u32 at = begin + minimum(m, rows - 1);
        x[m] = args.rows + (u64)(args.tiles ? __ldcg(args.pairs + at) / args.choices : at) * args.stride;
    }
    const u64 tile = (u64)expert * ((args.n + 31) / 32) + blockIdx.x;
    float sums[ROWS] = {};
    for (u32 block = warp; block < args.weights.blocks; block += 8) {
        float4 w[8];
#pragma unroll
        for (u32 i = 0; i < 8; i++) w[i] = __ldg((const float4 *)args.weights.codes + ((tile * args.weights.blocks + block) * 8 + i) * 32 + lane);
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
#pragma unroll
            for (u32 m = 0; m < ROWS; m++) {
                if (m >= rows) continue;
                const float4 v = load_again(x[m] + block * 32 + i * 4);
                sums[m] = fmaf(w[i].x, v.x, sums[m]), sums[m] = fmaf(w[i].y, v.y, sums[m]);
                sums[m] = fmaf(w[i].z, v.z, sums[m]), sums[m] = fmaf(w[i].w, v.w, sums[m]);
            }
        }
    }
#pragma unroll
    for (u32 m = 0; m < ROWS; m++) partial[warp][m][lane] = sums[m];
    __syncthreads();
    const u32 output = blockIdx.x * 32 + lane;
    if (output >= args.n || warp >= rows) return;
    float sum = partial[0][warp][lane];
    for (u32 other = 1; other < 8; other++) sum += partial[other][warp][lane];
    sum *= args.weights.factor;
    if (args.bias) sum += args.bias[expert * args.n + output];
    const u32 at = begin + warp;
    const u64 to = (u64)(args.tiles ? __ldcg(args.pairs + at) : at) * args.out_stride + output;
    if (args.residual) sum += load_again_4(args.residual + to);
    args.y[to] = sum;
}
