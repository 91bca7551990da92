// Mixtures of experts: choose, sort by expert, add what they gave; and the product of f32 weights, which routers have.
// Order of buffers and parameters: src/ops/moe.rs, src/ops/matmul.rs. Read next: route.cuh, chosen.cu, experts.cu.
#include "left.cuh"
#include "route.cuh"

struct RouteArgs {
    Router router;
    const float *logits; // [tokens][experts]
    u32 *chosen;         // [tokens][active], best first
    float *weights;
    u32 tokens;
};

// The fewer experts a lane has, the fewer instructions.
DEV void choose(const Router &router, const float *logits, float *scores, u32 *taken, float *weights) {
    if (router.experts <= 128) route_token<4>(router, logits, scores, taken, weights);
    else route_token_among_many(router, logits, scores, taken, weights);
}

// A token a warp.
extern "C" __global__ void __launch_bounds__(128) route(const __grid_constant__ RouteArgs args) {
    __shared__ float scores[4][MAX_EXPERTS];
    __shared__ u32 taken[4][MAX_EXPERTS];
    next_may_start();
    previous_done();
    const u32 warp = threadIdx.x >> 5, token = blockIdx.x * 4 + warp;
    if (token >= args.tokens) return;
    const u64 at = (u64)token * args.router.active;
    choose(args.router, args.logits + (u64)token * args.router.experts, scores[warp], taken[warp], args.weights + at);
    for (u32 k = threadIdx.x & 31; k < args.router.active; k += 32) args.chosen[at + k] = taken[warp][k];
}

struct SortArgs {
    const u32 *chosen;
    u32 *pairs;
    uint4 *tiles; // (expert, first pair, rows, 0)
    u32 *filled;  // how many tiles have rows; or null
    u32 *places;  // where each pair stands; or null
    u32 count, max_tiles, experts, tile_rows;
};

DEV u32 warp_sum_of(u32 value) { return __reduce_add_sync(~0u, value); }

// Numbers of experts before each, of pairs and of tiles: thread e has expert e.
template <u32 THREADS> DEV uint2 before(u32 pairs, u32 tiles, u32 (&sums)[2][32]) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, own_pairs = pairs, own_tiles = tiles;
    for (u32 step = 1; step < 32; step *= 2) {
        const u32 p = __shfl_up_sync(~0u, pairs, step), t = __shfl_up_sync(~0u, tiles, step);
        if (lane >= step) pairs += p, tiles += t;
    }
    if (lane == 31) sums[0][warp] = pairs, sums[1][warp] = tiles;
    __syncthreads();
    pairs += warp_sum_of(lane < warp ? sums[0][lane] : 0), tiles += warp_sum_of(lane < warp ? sums[1][lane] : 0);
    return make_uint2(pairs - own_pairs, tiles - own_tiles);
}

// One block of 512 threads or more. Where a pair stands among those of its expert does not matter: a row's bits do not
// depend on its tile. `chosen(i)`: the expert of a pair. Nothing is written where `writes` is false.
template <u32 THREADS, typename Chosen> DEV void sort_by_expert(const SortArgs &args, bool writes, Chosen chosen) {
    __shared__ u32 counts[THREADS], starts[THREADS], sums[2][32], all_tiles;
    const u32 thread = threadIdx.x;
    counts[thread] = 0;
    __syncthreads();
    for (u32 i = thread; i < args.count; i += THREADS) atomicAdd(&counts[chosen(i)], 1u);
    __syncthreads();
    const u32 count = counts[thread], tiles = (count + args.tile_rows - 1) / args.tile_rows;
    const uint2 first = before<THREADS>(count, tiles, sums);
    starts[thread] = first.x;
    for (u32 i = 0; writes && i < tiles && first.y + i < args.max_tiles; i++) {
        args.tiles[first.y + i] = make_uint4(thread, first.x + i * args.tile_rows, minimum(count - i * args.tile_rows, args.tile_rows), 0);
    }
    if (thread == THREADS - 1) all_tiles = first.y + tiles;
    __syncthreads();
    if (writes && args.filled && thread == 0) *args.filled = all_tiles;
    for (u32 i = all_tiles + thread; writes && i < args.max_tiles; i += THREADS) args.tiles[i] = make_uint4(0, 0, 0, 0);
    for (u32 i = thread; i < args.count; i += THREADS) {
        const u32 place = atomicAdd(&starts[chosen(i)], 1u);
        if (writes) args.pairs[place] = i;
        if (writes && args.places) args.places[i] = place;
    }
}

extern "C" __global__ void __launch_bounds__(1024) sort_pairs(const __grid_constant__ SortArgs args) {
    next_may_start();
    previous_done();
    sort_by_expert<1024>(args, true, [&](u32 i) { return __ldcg(args.chosen + i) % MAX_EXPERTS; });
}

struct RouteSortArgs {
    RouteArgs route;
    SortArgs sort;
};

// Both for some tokens: one block, a warp some of the tokens. `memory`: scores of a token for each warp, then what all tokens
// take, then its weights. While the kernel in front is not done the block goes its way once without writing anything, so that
// its instructions are near when they are needed.
constexpr u32 CHOOSERS = 512;
DEV void route_and_sort(const RouteSortArgs &args, u32 *memory) {
    constexpr u32 WARPS = CHOOSERS / 32;
    const RouteArgs &route = args.route;
    const u32 warp = threadIdx.x >> 5, experts = route.router.experts, active = route.router.active;
    float *scores = (float *)memory + warp * experts;
    u32 *chosen = memory + WARPS * experts;
    float *weights = (float *)(chosen + route.tokens * active);
#pragma unroll 1
    for (u32 turn = 0; turn < 2; turn++) {
        if (turn) previous_done();
#pragma unroll 1
        for (u32 token = warp; token < route.tokens; token += WARPS) {
            const u32 first = token * active;
            choose(route.router, route.logits + (u64)token * experts, scores, chosen + first, weights + first);
#pragma unroll 1
            for (u32 k = first + (threadIdx.x & 31); turn && k < first + active; k += 32) route.chosen[k] = chosen[k], route.weights[k] = weights[k];
            __syncwarp();
        }
        __syncthreads();
        sort_by_expert<CHOOSERS>(args.sort, turn, [&](u32 i) { return chosen[i]; });
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(CHOOSERS, 1) route_sort(const __grid_constant__ RouteSortArgs args) {
    extern __shared__ u32 memory[];
    next_may_start();
    route_and_sort(args, memory);
}

struct OffsetsArgs {
    const uint4 *tiles;
    u32 *offsets; // [experts + 1]: the first pair of each
    u32 count, experts;
};

// From tiles to the rows of each expert: one block.
extern "C" __global__ void __launch_bounds__(512) expert_offsets(const __grid_constant__ OffsetsArgs args) {
    __shared__ u32 counts[MAX_EXPERTS], sums[2][32];
    next_may_start();
    previous_done();
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < args.count; i += 512) {
        const uint4 tile = __ldcg(args.tiles + i);
        if (tile.z) atomicAdd(&counts[tile.x], tile.z);
    }
    __syncthreads();
    const uint2 first = before<512>(counts[threadIdx.x], 0, sums);
    if (threadIdx.x <= args.experts) args.offsets[threadIdx.x] = first.x;
    if (threadIdx.x == 511 && args.experts == MAX_EXPERTS) args.offsets[MAX_EXPERTS] = first.x + counts[511];
}

struct SpreadArgs {
    RowSource source;  // the first row
    const u32 *places; // of each row `copies` rows to write; or null: its own
    u16 *rows;
    float *factors;
    u32 x_stride, stride, order, arrangement, copies;
};

// Rows for the experts, each written wherever an expert takes it: a row is made in shared memory, then copied.
// The first THREADS of a block make row `number` once the kernel in front is done.
template <int ELEMENT, u32 HELD, u32 THREADS> DEV void spread(const SpreadArgs &args, u32 number, u16 *row) {
    __shared__ float scratch[64];
    RowSource source = args.source;
    source.values += (u64)number * args.x_stride;
    auto put = [&](u32 i, float4 v) { put_four<ELEMENT>(row, args.order, args.arrangement, i, v); };
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others);
    previous_done();
    const float factor = make_row<ELEMENT, HELD, THREADS>(source, others, scratch, put);
    for (u32 i = (source.k + 3) / 4 * 4 + 4 * threadIdx.x; i < args.stride; i += 4 * THREADS) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    meet(1, THREADS);
    const u32 pieces = args.stride / 8;
    for (u32 i = threadIdx.x; i < args.copies * pieces; i += THREADS) {
        const u32 copy = i / pieces, piece = i % pieces, at = number * args.copies + copy;
        const u32 to = args.places ? __ldcg(args.places + at) : at;
        *(uint4 *)(args.rows + (u64)to * args.stride + piece * 8) = *(const uint4 *)(row + piece * 8);
        if (piece == 0) args.factors[to] = factor;
    }
}

#define SPREAD(name, element, held, threads)                                                                           \
    extern "C" __global__ void __launch_bounds__(threads) spread_##name(const __grid_constant__ SpreadArgs args) {      \
        extern __shared__ __align__(16) u16 made[];                                                                  \
        next_may_start();                                                                                            \
        spread<element, held, threads>(args, blockIdx.x, made);                                                      \
    }

SPREAD(f16, F16, 8, 256)
SPREAD(bf16, BF16, 8, 256)
// Rows without sums, which fewer threads make alike.
SPREAD(f16_narrow, F16, 4, 64)
SPREAD(bf16_narrow, BF16, 4, 64)

// Have the second cache bring so many bytes, whole sixteens.
DEV void prefetch(const void *from, u32 bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
#endif
}

struct RouteSortRowsArgs {
    RouteSortArgs sort;
    SpreadArgs rows;
    const u8 *ahead; // weights of the experts' first product
    u64 apart;       // bytes from the beginning of one of their matrices to that of the next
    u32 matrices;
    u32 bytes;       // of each
};

// Some of every expert's weights, by these blocks of so many threads.
DEV void bring_ahead(const RouteSortRowsArgs &args, u32 block, u32 blocks) {
    constexpr u32 PIECE = 2048;
    const u32 pieces = args.bytes / PIECE;
    for (u32 i = block * CHOOSERS + threadIdx.x; i < args.matrices * pieces; i += blocks * CHOOSERS) {
        prefetch(args.ahead + i / pieces * args.apart + i % pieces * PIECE, PIECE);
    }
}

// What stands before the experts of some tokens: the first block chooses and sorts, the next ones make a row each. All others
// have the second cache bring some of every expert's weights, most of which will be asked for, while memory has nothing to do.
extern "C" __global__ void __launch_bounds__(CHOOSERS, 1) route_sort_rows(const __grid_constant__ RouteSortRowsArgs args) {
    extern __shared__ __align__(16) u32 shared[];
    next_may_start();
    const u32 tokens = args.sort.route.tokens;
    if (blockIdx.x == 0) {
        route_and_sort(args.sort, shared);
    } else if (blockIdx.x > tokens) {
        bring_ahead(args, blockIdx.x - tokens - 1, gridDim.x - tokens - 1);
    } else if (threadIdx.x < 256) {
        spread<F16, 2, 256>(args.rows, blockIdx.x - 1, (u16 *)shared);
    }
}

struct MixArgs {
    const float *x, *weights, *residual; // or null
    float *out;
    LeftRows leaves; // what is left to the next product
    u32 count, dim, choices;
};

DEV float mixed(const MixArgs &args, u32 e) {
    const u32 token = e / args.dim;
    float sum = 0.0f;
#pragma unroll 1
    for (u32 k = 0; k < args.choices; k++) {
        const u64 pair = (u64)token * args.choices + k;
        sum = fmaf(load_again_4(args.weights + pair), load_again_4(args.x + pair * args.dim + e % args.dim), sum);
    }
    return args.residual ? load_again_4(args.residual + e) + sum : sum;
}

// A thread makes four neighbours, which are of one row where rows have whole fours. All that eight choices gave is asked for
// before any of it is added.
extern "C" __global__ void __launch_bounds__(256) mix(const __grid_constant__ MixArgs args) {
    constexpr u32 HELD = 8;
    next_may_start();
    const u32 e = (blockIdx.x * 256 + threadIdx.x) * 4, row = e / args.dim, column = e % args.dim;
    const bool leaves = args.leaves.rows && e < args.count;
    const float4 norm = leaves ? left_weights(args.leaves, column) : make_float4(1.0f, 1.0f, 1.0f, 1.0f);
    previous_done();
    if (args.leaves.rows && blockIdx.x == 0 && threadIdx.x < 32) begin_leaving(args.leaves);
    if (e >= args.count) return;
    if (args.dim % 4) {
        for (u32 i = e; i < minimum(e + 4, args.count); i++) args.out[i] = mixed(args, i);
        return;
    }
    const u64 first = (u64)row * args.choices;
    const float *x = args.x + first * args.dim + column;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f), residual = sum;
    if (args.residual) residual = load_again(args.residual + e);
#pragma unroll 1
    for (u32 begin = 0; begin < args.choices; begin += HELD) {
        float weights[HELD];
        float4 v[HELD];
#pragma unroll
        for (u32 k = 0; k < HELD; k++) {
            if (begin + k < args.choices) weights[k] = load_again_4(args.weights + first + begin + k), v[k] = load_again(x + (u64)(begin + k) * args.dim);
        }
#pragma unroll
        for (u32 k = 0; k < HELD; k++) {
            if (begin + k >= args.choices) break;
            sum.x = fmaf(weights[k], v[k].x, sum.x), sum.y = fmaf(weights[k], v[k].y, sum.y);
            sum.z = fmaf(weights[k], v[k].z, sum.z), sum.w = fmaf(weights[k], v[k].w, sum.w);
        }
    }
    if (args.residual) sum.x += residual.x, sum.y += residual.y, sum.z += residual.z, sum.w += residual.w;
    *(float4 *)(args.out + e) = sum;
    if (leaves) leave_four(args.leaves, row, column, sum, norm);
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

constexpr u32 PLAIN_WARPS = 16;

// Weights of f32: a block has 4 EACH outputs of some rows, a warp every sixteenth block of 32 columns, a lane four of its
// columns for EACH outputs, so that all weights are on their way before the first is used. Lanes' sums are added as a tree,
// then warps' in order: of each row alike, however many there are. HELD: blocks of a warp that are asked for together.
// Grid (outputs, stacks of rows). `row_of(m)`: where row m lies, which is there once `wait` has returned.
template <u32 ROWS, u32 EACH, u32 HELD, typename Wait, typename Row>
DEV void plain_product(const PlainArgs &args, u32 rows, u32 first_tile, Wait wait, Row row_of, float (*partial)[ROWS][4 * EACH]) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, i = lane >> 2, blocks = args.weights.blocks;
    const u32 output = blockIdx.x * 4 * EACH + (lane & 3), tile = first_tile + (output >> 5);
    const float4 *from = (const float4 *)args.weights.codes + ((u64)tile * blocks * 8 + i) * 32 + (output & 31);
    float4 w[HELD][EACH];
    auto fetch = [&](u32 first) {
#pragma unroll
        for (u32 h = 0; h < HELD; h++) {
#pragma unroll
            for (u32 e = 0; e < EACH; e++) {
                if (first + h * PLAIN_WARPS < blocks) w[h][e] = __ldg(from + (u64)(first + h * PLAIN_WARPS) * 256 + 4 * e);
            }
        }
    };
    fetch(warp);
    wait();
    float sums[ROWS][EACH] = {};
    for (u32 first = warp; first < blocks; first += HELD * PLAIN_WARPS) {
        if (first != warp) fetch(first);
#pragma unroll
        for (u32 h = 0; h < HELD; h++) {
            const u32 block = first + h * PLAIN_WARPS;
            if (block >= blocks) break;
#pragma unroll
            for (u32 m = 0; m < ROWS; m++) {
                if (m >= rows) break;
                const float4 v = row_of(m, block * 32 + i * 4);
#pragma unroll
                for (u32 e = 0; e < EACH; e++) {
                    sums[m][e] = fmaf(w[h][e].x, v.x, sums[m][e]), sums[m][e] = fmaf(w[h][e].y, v.y, sums[m][e]);
                    sums[m][e] = fmaf(w[h][e].z, v.z, sums[m][e]), sums[m][e] = fmaf(w[h][e].w, v.w, sums[m][e]);
                }
            }
        }
    }
#pragma unroll
    for (u32 m = 0; m < ROWS; m++) {
#pragma unroll
        for (u32 e = 0; e < EACH; e++) {
            float sum = sums[m][e];
            for (u32 step = 16; step >= 4; step >>= 1) sum += __shfl_xor_sync(~0u, sum, step);
            if (i == 0) partial[warp][m][4 * e + (lane & 3)] = sum;
        }
    }
    __syncthreads();
}

// Sum of the warps' parts, with what follows a product.
DEV float plain_sum(const PlainArgs &args, const float *part, u32 apart, u32 expert, u32 output) {
    float sum = part[0];
#pragma unroll
    for (u32 other = 1; other < PLAIN_WARPS; other++) sum += part[other * apart];
    return with_bias(sum, args.weights.factor, args.bias, expert * args.n + output);
}

// Rows made before, or of experts.
template <u32 ROWS, u32 EACH, u32 HELD> DEV void plain_rows(const PlainArgs &args) {
    __shared__ float partial[PLAIN_WARPS][ROWS][4 * EACH];
    next_may_start();
    u32 expert = 0, begin = blockIdx.y * ROWS, rows = minimum(ROWS, args.m - begin);
    if (args.tiles) {
        previous_done();
        const uint4 tile = __ldcg(args.tiles + blockIdx.y);
        if (tile.z == 0) return;
        expert = tile.x, begin = tile.y, rows = tile.z;
    }
    const float *x[ROWS];
    auto wait = [&]() {
        if (!args.tiles) previous_done();
#pragma unroll
        for (u32 m = 0; m < ROWS; m++) {
            const u32 at = begin + minimum(m, rows - 1);
            x[m] = args.rows + (u64)(args.tiles ? __ldcg(args.pairs + at) / args.choices : at) * args.stride;
        }
    };
    plain_product<ROWS, EACH, HELD>(args, rows, expert * ((args.n + 31) / 32), wait, [&](u32 m, u32 k) { return load_again(x[m] + k); }, partial);
    for (u32 at = threadIdx.x; at < rows * 4 * EACH; at += 32 * PLAIN_WARPS) {
        const u32 m = at / (4 * EACH), o = at % (4 * EACH), output = blockIdx.x * 4 * EACH + o;
        if (output >= args.n) continue;
        float sum = plain_sum(args, &partial[0][m][o], ROWS * 4 * EACH, expert, output);
        const u64 to = (u64)(args.tiles ? __ldcg(args.pairs + begin + m) : begin + m) * args.out_stride + output;
        if (args.residual) sum += load_again_4(args.residual + to);
        args.y[to] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(32 * PLAIN_WARPS) product_f32(const __grid_constant__ PlainArgs args) { plain_rows<8, 1, 6>(args); }
extern "C" __global__ void __launch_bounds__(32 * PLAIN_WARPS) product_f32_many(const __grid_constant__ PlainArgs args) { plain_rows<16, 4, 1>(args); }

struct PlainRowArgs {
    PlainArgs product;
    RowSource source;
};

// One row, made in every block.
extern "C" __global__ void __launch_bounds__(32 * PLAIN_WARPS) product_f32_row(const __grid_constant__ PlainRowArgs args) {
    extern __shared__ __align__(16) float row[];
    __shared__ float partial[PLAIN_WARPS][1][4], scratch[64];
    const PlainArgs &product = args.product;
    next_may_start();
    auto wait = [&]() {
        previous_done();
        auto put = [&](u32 i, float4 v) { *(float4 *)(row + i) = v; };
        if (threadIdx.x < 256) make_row<F32, 4, 256>(args.source, scratch, put);
        for (u32 i = (product.k + 3) / 4 * 4 + 4 * threadIdx.x; i < product.stride; i += 128 * PLAIN_WARPS) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
        __syncthreads();
    };
    plain_product<1, 1, 6>(product, 1, 0, wait, [&](u32, u32 k) { return *(const float4 *)(row + k); }, partial);
    const u32 output = blockIdx.x * 4 + threadIdx.x;
    if (threadIdx.x >= 4 || output >= product.n) return;
    float sum = plain_sum(product, &partial[0][0][threadIdx.x], 4, 0, output);
    if (product.residual) sum += load_again_4(product.residual + output);
    product.y[output] = sum;
}
