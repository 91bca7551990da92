// Products of many rows on Hopper: y[m][n] = x[m][k] . w[n][k], both of 16 bits, sums in f32.
//
// A persistent grid over tiles of 128 x BN: one warp brings tiles of x and w through the tensor copy engine, two
// warpgroups multiply. Two blocks of a cluster have tiles of neighbouring rows, and each brings half of w for both: where the
// card's power is what limits it, bytes that need not come to a processor twice are time. Invariant: the sum of a slice of k
// (slice_length) is one chain of k16 products and slices are added in order, as in few.cu: the bits of a row are those of any
// other kernel here. Read next: wgmma.cuh.
#include "wgmma.cuh"

struct GemmArgs {
    TensorMap x;           // [m][stride], swizzled
    TensorMap w;           // dense layout: [piece][half][tile][512 bytes], four pieces a time; of gates and ups both halves are brought
    const u32 *offsets;    // experts: first row of each, [experts + 1]; or null
    const u32 *pairs;      // experts: row of y of each row
    const float *factors;  // [m], or null: ones
    const float *bias;     // [n] (of all experts) or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]; bf16 where `rows` says so
    float *plain;          // [m][out_stride]: what there is without the residual; or null
    float factor;
    float alpha, limit;
    u32 m, n, k;           // n: rows of the matrix, of one expert
    u32 out_stride;
    u32 rows, act;         // of gates and ups: whether what they give is left as the rows of a product of bf16; how they are joined
    u32 experts;
};

constexpr u32 BM = 128, BK = 64;

// Four pieces of a tile; `both`: to the same place of both blocks of a cluster.
DEV void load_weights(u32 to, const TensorMap *map, u32 tile, u32 piece, u32 barrier, bool both) {
    if (both) {
        asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3, %2, %4}], [%5], %6;" ::"r"(to),
                     "l"(map), "r"(0), "r"(tile), "r"(piece), "r"(barrier), "h"((u16)3)
                     : "memory");
    } else {
        asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %2, %4}], [%5];" ::"r"(to),
                     "l"(map), "r"(0), "r"(tile), "r"(piece), "r"(barrier)
                     : "memory");
    }
}

DEV u32 cluster_blocks() {
    u32 blocks;
    asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(blocks));
    return blocks;
}

// At a barrier of a block of the cluster. It need not release anything to all of the cluster, which would be a fence.
DEV void arrive_in(u32 at, u32 block) { asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(in_block(at, block)) : "memory"); }

// Pieces of 8 rows by 16 bytes: 128 bytes from one to the next along rows, `step` along columns.
DEV u64 plain_descriptor(u32 at, u32 step) { return (u64)((at & 0x3ffff) >> 4) | (u64)(step >> 4) << 16 | (u64)8 << 32; }

struct Tile {
    u32 row, end; // rows of x
    u32 first;    // first output
};

// Walks the tiles of a block in order.
struct Walk {
    u32 index, expert, before;

    __device__ __forceinline__ void start() { index = blockIdx.x, expert = 0, before = 0; }

    template <u32 BN, bool EXPERTS, bool GATED> __device__ __forceinline__ bool at(const GemmArgs &args, Tile &tile) {
        const u32 outputs = GATED ? args.n / 2 : args.n;
        const u32 width = GATED ? BN / 2 : BN, columns = (outputs + width - 1) / width;
        u32 rows, local;
        if (EXPERTS) {
            u32 begin, end;
            while (true) {
                if (expert >= args.experts) return false;
                begin = __ldcg(args.offsets + expert), end = __ldcg(args.offsets + expert + 1);
                rows = (end - begin + BM - 1) / BM;
                if (index < before + rows * columns) break;
                before += rows * columns, expert++;
            }
            local = index - before;
            tile.row = begin + local % rows * BM, tile.end = end;
        } else {
            rows = (args.m + BM - 1) / BM;
            if (index >= rows * columns) return false;
            // 16 tiles of rows at a time, so that what a wave of blocks reads stays in the cache.
            u32 band = index / (16 * columns), high = minimum(16u, rows - band * 16);
            u32 inside = index - band * 16 * columns;
            tile.row = (band * 16 + inside % high) * BM, tile.end = args.m;
            local = inside / high * rows;
        }
        u32 column = local / rows;
        tile.first = column * width;
        return true;
    }
};

// GATED: the first half of the outputs are gates, the second ups, and a tile has as many of both.
template <int ELEMENT, u32 BN, u32 STAGES, bool EXPERTS, bool GATED> DEV void gemm(const GemmArgs &args, u8 *memory) {
    constexpr u32 X_BYTES = BM * BK * 2, W_BYTES = BN * BK * 2, STAGE = X_BYTES + W_BYTES;
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const u32 full = base + STAGES * STAGE, empty = full + 8 * STAGES;
    const u32 group = threadIdx.x >> 7, block_of_pair = blockIdx.x & 1;
    const bool paired = !EXPERTS && cluster_blocks() == 2;
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < STAGES; s++) barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, paired ? 4 : 2);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (paired) cluster_begins();
    const u32 blocks = (args.k + 127) / 128 * 2;
    Walk walk;
    walk.start();
    Tile tile;
    u32 slot = 0, phase = 0;
    auto step = [&]() {
        if (++slot == STAGES) slot = 0, phase ^= 1;
    };
    if (group == 2) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        previous_done();
        next_may_start();
        if (threadIdx.x == 256) {
            for (; walk.at<BN, EXPERTS, GATED>(args, tile); walk.index += gridDim.x) {
                for (u32 block = 0; block < blocks; block++, step()) {
                    barrier_wait(empty + 8 * slot, phase ^ 1);
                    const u32 at = base + slot * STAGE, barrier = full + 8 * slot;
                    barrier_expect(barrier, STAGE);
                    load_tile(at, &args.x, block * BK, tile.row, barrier);
                    const u32 expert = EXPERTS ? walk.expert * ((args.n + 31) / 32) : 0;
#pragma unroll
                    for (u32 half = 0; half < 2; half++) {
                        if (paired && half != block_of_pair) continue;
                        load_weights(at + X_BYTES + half * (W_BYTES / 2), &args.w, expert + tile.first / 32, block * 8 + half * 4, barrier, paired);
                    }
                }
            }
            // The other block arrives here until all that it was brought is used.
            for (u32 s = 0; paired && s < STAGES; s++, step()) barrier_wait(empty + 8 * slot, phase ^ 1);
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        previous_done();
        next_may_start();
        const u32 lane = threadIdx.x & 31, warp = (threadIdx.x >> 5) & 3;
        const u32 slice_blocks = slice_length(args.k) / BK;
        const bool elected = (threadIdx.x & 127) == 0;
        auto release = [&](u32 of) {
            if (!elected) return;
            if (paired) {
                arrive_in(empty + 8 * of, 0), arrive_in(empty + 8 * of, 1);
            } else {
                barrier_arrive(empty + 8 * of);
            }
        };
        for (; walk.at<BN, EXPERTS, GATED>(args, tile); walk.index += gridDim.x) {
            float total[BN / 2], sums[BN / 2];
#pragma unroll
            for (u32 i = 0; i < BN / 2; i++) total[i] = 0.0f;
            for (u32 first = 0; first < blocks; first += slice_blocks) {
                const u32 end = minimum(first + slice_blocks, blocks);
                u32 before = 0;
                for (u32 block = first; block < end; block++) {
                    barrier_wait(full + 8 * slot, phase);
                    const u64 x = descriptor(base + slot * STAGE + group * 64 * BK * 2);
                    const u64 w = plain_descriptor(base + slot * STAGE + X_BYTES, BN * 16);
                    hold(sums);
                    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
                    for (u32 i = 0; i < BK / 16; i++) Wgmma<ELEMENT, BN>::run(sums, x + 2 * i, w + 2 * BN * i, block - first + i);
                    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
                    if (block > first) release(before);
                    before = slot;
                    step();
                }
                asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                hold(sums);
                release(before);
#pragma unroll
                for (u32 i = 0; i < BN / 2; i++) total[i] = first == 0 ? sums[i] : total[i] + sums[i];
            }
            const u32 outputs = GATED ? args.n / 2 : args.n;
            const float *bias = args.bias ? args.bias + (EXPERTS ? walk.expert * args.n : 0) : nullptr;
#pragma unroll
            for (u32 high = 0; high < 2; high++) {
                const u32 row = tile.row + group * 64 + warp * 16 + high * 8 + (lane >> 2);
                if (row >= tile.end) continue;
                const float factor = args.factors ? args.factors[row] * args.factor : args.factor;
                const u64 to = (u64)(EXPERTS ? __ldcg(args.pairs + row) : row) * args.out_stride;
                // Some are asked for before any of them is used: y may be where they are.
                constexpr u32 ASKED = 8;
                float2 left[ASKED];
#pragma unroll
                for (u32 i = 0; i < (GATED ? BN / 16 : BN / 8); i++) {
                    const u32 column = tile.first + i * 8 + (lane & 3) * 2;
                    if (!GATED && args.residual && i % ASKED == 0) {
#pragma unroll
                        for (u32 j = 0; j < ASKED; j++) {
                            if (column + 8 * j < outputs) left[j] = __ldcg((const float2 *)(args.residual + to + column + 8 * j));
                        }
                    }
                    if (column >= outputs) continue;
                    auto value = [&](u32 at, u32 output) { return with_bias(total[at], factor, bias, output); };
                    const u32 at = i * 4 + high * 2;
                    float2 v = make_float2(value(at, column), value(at + 1, column + 1));
                    if (GATED) {
                        const u32 up = (i + BN / 16) % (BN / 8) * 4 + high * 2;
                        v.x = gated_fast(args.act, v.x, value(up, outputs + column), args.alpha, args.limit);
                        v.y = gated_fast(args.act, v.y, value(up + 1, outputs + column + 1), args.alpha, args.limit);
                        if (args.rows) {
                            *(u32 *)((u16 *)args.y + to + column) = pack_bf16(v.x, v.y);
                            continue;
                        }
                    } else {
                        if (args.plain) *(float2 *)(args.plain + to + column) = v;
                        if (args.residual) v = make_float2(__fadd_rn(v.x, left[i % ASKED].x), __fadd_rn(v.y, left[i % ASKED].y));
                    }
                    *(float2 *)(args.y + to + column) = v;
                }
            }
        }
    }
}

#define GEMM(name, element, bn, stages, experts, gated)                                                                 \
    extern "C" __global__ void __launch_bounds__(384, 1) gemm_##name(const __grid_constant__ GemmArgs args) {        \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        gemm<element, bn, stages, experts, gated>(args, memory);                                                     \
    }

GEMM(bf16_192, BF16, 192, 5, false, false)
GEMM(f16_192, F16, 192, 5, false, false)
GEMM(bf16_128, BF16, 128, 6, false, false)
GEMM(f16_128, F16, 128, 6, false, false)
GEMM(experts_bf16_192, BF16, 192, 5, true, false)
GEMM(experts_f16_192, F16, 192, 5, true, false)
GEMM(experts_bf16_128, BF16, 128, 6, true, false)
GEMM(experts_f16_128, F16, 128, 6, true, false)
GEMM(gated_bf16_192, BF16, 192, 5, false, true)
GEMM(gated_f16_192, F16, 192, 5, false, true)
