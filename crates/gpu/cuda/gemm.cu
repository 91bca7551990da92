// Products of many rows on Hopper: y[m][n] = x[m][k] . w[n][k], both of 16 bits, sums in f32.
//
// A persistent grid over tiles of 128 x BN: one warp brings tiles of x and w through the tensor copy engine, two
// warpgroups multiply, and seven warps take what a tile gave to memory while the next one is multiplied. Two blocks of a
// cluster have tiles of neighbouring rows, and each brings half of w for both: where the card's power is what limits it,
// bytes that need not come to a processor twice are time. Invariant: the sum of a slice of k (slice_length) is one chain of
// k16 products and slices are added in order, as in few.cu: the bits of a row are those of any other kernel here.
// Read next: wgmma.cuh.
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

// What a tile gave, on its way out, in shared memory: so many floats from one row to the next that neither who lays them
// there nor who takes them waits for a bank.
template <u32 BN> constexpr u32 LAID = BN + 8;

// Warps that take it from there while the next tile is summed.
constexpr u32 TAKERS = 7;

DEV float2 load_pair(u32 address) {
    const uint2 v = load_shared_8(address);
    return make_float2(__uint_as_float(v.x), __uint_as_float(v.y));
}

// To where y has them: half of a tile's rows, each by one of so many warps, once `ready` says that they are laid. What is not
// the tile's is asked for before that, and always some rows before any of them is used: the tensor cores leave little of
// shared memory's time, and y may be where the residual is. COMMON: gated by SiLU.
template <u32 BN, bool EXPERTS, bool GATED, bool COMMON, typename Ready>
DEV void take(const GemmArgs &args, const Tile &tile, u32 half, u32 expert, u32 laid, u32 warp, u32 warps, Ready ready) {
    constexpr u32 WIDTH = GATED ? BN / 2 : BN, PAIRS = (WIDTH + 63) / 64, ROWS = PAIRS == 2 && !GATED ? 4 : 1;
    const u32 outputs = GATED ? args.n / 2 : args.n, lane = threadIdx.x & 31, column = tile.first + 2 * lane;
    const float *bias = args.bias ? args.bias + (EXPERTS ? expert * args.n : 0) : nullptr;
    // Lane i knows of row warp + i * warps where it goes and its factor.
    const u32 first = tile.row + half * 64, rows = first < tile.end ? minimum(64u, tile.end - first) : 0;
    const u32 count = rows > warp ? (rows - warp + warps - 1) / warps : 0, own = first + minimum(warp + lane * warps, 63u);
    float factor = args.factor;
    u32 to = own;
    if (lane < count) {
        if (args.factors) factor *= __ldcg(args.factors + own);
        if (EXPERTS) to = __ldcg(args.pairs + own);
    }
    bool inside[PAIRS];
#pragma unroll
    for (u32 i = 0; i < PAIRS; i++) inside[i] = column + 64 * i < outputs && (WIDTH % 64 == 0 || 2 * lane + 64 * i < WIDTH);
    float2 before[ROWS][PAIRS];
    auto ask = [&](u32 begin) {
        if (GATED || !args.residual) return;
#pragma unroll
        for (u32 j = 0; j < ROWS; j++) {
            const float *from = args.residual + (u64)__shfl_sync(~0u, to, begin + j) * args.out_stride + column;
#pragma unroll
            for (u32 i = 0; i < PAIRS; i++) {
                if (begin + j < count && inside[i]) before[j][i] = __ldcg((const float2 *)(from + 64 * i));
            }
        }
    };
    ask(0);
    ready();
#pragma unroll 1
    for (u32 begin = 0; begin < count; begin += ROWS) {
        float2 sums[ROWS][PAIRS], ups[ROWS][PAIRS];
#pragma unroll
        for (u32 j = 0; j < ROWS; j++) {
            const u32 from = laid + (minimum(warp + (begin + j) * warps, 63u) * LAID<BN> + 2 * lane) * 4;
#pragma unroll
            for (u32 i = 0; i < PAIRS; i++) {
                sums[j][i] = load_pair(from + 256 * i);
                if (GATED) ups[j][i] = load_pair(from + 256 * i + WIDTH * 4);
            }
        }
#pragma unroll
        for (u32 j = 0; j < ROWS; j++) {
            const u64 row = (u64)__shfl_sync(~0u, to, begin + j) * args.out_stride;
            const float times = __shfl_sync(~0u, factor, begin + j);
#pragma unroll
            for (u32 i = 0; i < PAIRS; i++) {
                const u32 at = column + 64 * i;
                const bool there = begin + j < count && inside[i];
                const float *added = there ? bias : nullptr;
                float2 v = make_float2(with_bias(sums[j][i].x, times, added, at), with_bias(sums[j][i].y, times, added, at + 1));
                if (GATED) {
                    const float2 up = make_float2(with_bias(ups[j][i].x, times, added, outputs + at), with_bias(ups[j][i].y, times, added, outputs + at + 1));
                    v.x = COMMON ? gated_unit(SILU, v.x, up.x, 0.0f, 0.0f) : gated_call(args.act, v.x, up.x, args.alpha, args.limit);
                    v.y = COMMON ? gated_unit(SILU, v.y, up.y, 0.0f, 0.0f) : gated_call(args.act, v.y, up.y, args.alpha, args.limit);
                    if (args.rows) {
                        if (there) *(u32 *)((u16 *)args.y + row + at) = pack_bf16(v.x, v.y);
                        continue;
                    }
                } else {
                    if (args.plain && there) *(float2 *)(args.plain + row + at) = v;
                    if (args.residual) v = make_float2(__fadd_rn(v.x, before[j][i].x), __fadd_rn(v.y, before[j][i].y));
                }
                if (there) *(float2 *)(args.y + row + at) = v;
            }
        }
        if (begin + ROWS < count) ask(begin + ROWS);
    }
}

template <u32 BN, bool EXPERTS, bool GATED, typename Ready>
DEV void take(const GemmArgs &args, const Tile &tile, u32 half, u32 expert, u32 laid, u32 warp, u32 warps, Ready ready) {
    if (!GATED || args.act == SILU) {
        take<BN, EXPERTS, GATED, true>(args, tile, half, expert, laid, warp, warps, ready);
    } else {
        take<BN, EXPERTS, GATED, false>(args, tile, half, expert, laid, warp, warps, ready);
    }
}

// GATED: the first half of the outputs are gates, the second ups, and a tile has as many of both.
template <int ELEMENT, u32 BN, u32 STAGES, bool EXPERTS, bool GATED> DEV void gemm(const GemmArgs &args, u8 *memory) {
    constexpr u32 X_BYTES = BM * BK * 2, W_BYTES = BN * BK * 2, STAGE = X_BYTES + W_BYTES, HALF = 64 * LAID<BN> * 4;
    // Registers of a thread of those who sum, and of the others: together what all begin with.
    constexpr u32 SUMMING = BN <= 128 ? 168 : 208, TAKING = 2 * 128 - SUMMING;
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const u32 laid_at = base + STAGES * STAGE, full = laid_at + 2 * HALF, empty = full + 8 * STAGES;
    // Of both halves of a tile's rows: whether it is laid into shared memory, and whether it is taken from there.
    const u32 laid = empty + 8 * STAGES, taken = laid + 16;
    const u32 group = __shfl_sync(~0u, threadIdx.x >> 7, 0), block_of_pair = blockIdx.x & 1;
    const bool paired = !EXPERTS && cluster_blocks() == 2;
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < STAGES; s++) barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, paired ? 4 : 2);
        for (u32 half = 0; half < 2; half++) barrier_init(laid + 8 * half, 4), barrier_init(taken + 8 * half, TAKERS);
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
    if (group >= 2) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(TAKING));
        previous_done();
        next_may_start();
        if (threadIdx.x >= 512 - 32 * TAKERS) {
            for (u32 turn = 0; walk.at<BN, EXPERTS, GATED>(args, tile); turn ^= 1) {
                Walk next = walk;
                Tile behind;
                next.index += gridDim.x;
                const bool last = !next.at<BN, EXPERTS, GATED>(args, behind);
                for (u32 half = 0; half < 2; half++) {
                    const u32 warp = (threadIdx.x >> 5) - (16 - TAKERS) + (last ? 4 : 0), warps = TAKERS + (last ? 4 : 0);
                    take<BN, EXPERTS, GATED>(args, tile, half, walk.expert, laid_at + half * HALF, warp, warps, [&]() { barrier_wait(laid + 8 * half, turn); });
                    __syncwarp();
                    if ((threadIdx.x & 31) == 0) barrier_arrive(taken + 8 * half);
                }
                walk.index += gridDim.x;
            }
        } else if (threadIdx.x == 256) {
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
        asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(SUMMING));
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
        float total[BN / 2], sums[BN / 2];
        // What a tile gave stays in `total` until the next one's second slice; it is laid into shared memory while the tensor
        // cores sum the first, and taken from there by the warps that do not sum. The last one is taken by all.
        u32 tiles = 0;
        const u32 lays_at = laid_at + group * HALF + ((warp * 16 + (lane >> 2)) * LAID<BN> + (lane & 3) * 2) * 4;
        auto lay = [&]() {
            barrier_wait(taken + 8 * group, tiles & 1);
#pragma unroll
            for (u32 i = 0; i < BN / 2; i += 2) {
                asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(lays_at + (i / 4 * 8 + i / 2 % 2 * 8 * LAID<BN>) * 4), "f"(total[i]), "f"(total[i + 1]) : "memory");
            }
            __syncwarp();
            if (lane == 0) barrier_arrive(laid + 8 * group);
        };
        while (walk.at<BN, EXPERTS, GATED>(args, tile)) {
            for (u32 first = 0; first < blocks; first += slice_blocks) {
                const u32 end = minimum(first + slice_blocks, blocks);
                for (u32 block = first; block < end; block++) {
                    barrier_wait(full + 8 * slot, phase);
                    const u64 x = descriptor(base + slot * STAGE + group * 64 * BK * 2);
                    const u64 w = plain_descriptor(base + slot * STAGE + X_BYTES, BN * 16);
                    hold(sums);
                    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
                    for (u32 i = 0; i < BK / 16; i++) Wgmma<ELEMENT, BN>::run(sums, x + 2 * i, w + 2 * BN * i, block - first + i);
                    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                    if (block == 0 && tiles > 0) lay();
                    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
                    if (block > first) release(slot == 0 ? STAGES - 1 : slot - 1);
                    step();
                }
                asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                hold(sums);
                release(slot == 0 ? STAGES - 1 : slot - 1);
#pragma unroll
                for (u32 i = 0; i < BN / 2; i++) total[i] = first == 0 ? sums[i] : total[i] + sums[i];
            }
            tiles++, walk.index += gridDim.x;
        }
        if (tiles > 0) {
            walk.index -= gridDim.x;
            if (EXPERTS) walk.expert = 0, walk.before = 0;
            walk.at<BN, EXPERTS, GATED>(args, tile);
            lay();
            take<BN, EXPERTS, GATED>(args, tile, group, walk.expert, laid_at + group * HALF, warp, 4 + TAKERS, [&]() { meet(1 + group, 128); });
        }
    }
}

#define GEMM(name, element, bn, stages, experts, gated)                                                                 \
    extern "C" __global__ void __launch_bounds__(512, 1) gemm_##name(const __grid_constant__ GemmArgs args) {        \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        gemm<element, bn, stages, experts, gated>(args, memory);                                                     \
    }

GEMM(bf16_192, BF16, 192, 3, false, false)
GEMM(f16_192, F16, 192, 3, false, false)
GEMM(bf16_128, BF16, 128, 4, false, false)
GEMM(f16_128, F16, 128, 4, false, false)
GEMM(experts_bf16_192, BF16, 192, 3, true, false)
GEMM(experts_f16_192, F16, 192, 3, true, false)
GEMM(experts_bf16_128, BF16, 128, 4, true, false)
GEMM(experts_f16_128, F16, 128, 4, true, false)
GEMM(gated_bf16_192, BF16, 192, 3, false, true)
GEMM(gated_f16_192, F16, 192, 3, false, true)
