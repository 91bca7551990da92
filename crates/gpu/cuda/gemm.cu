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
    float *plain;          // [m][out_stride]: what there is without the residual, here or on another card; or null
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

// What half of a tile's rows gave, on its way out, in shared memory: so many floats from one row to the next that neither who
// lays them there nor who takes them waits for a bank.
template <u32 BN> constexpr u32 LAID = BN + 8;

// Warps that take it from there while the next tile is summed.
constexpr u32 TAKERS = 7;

// Four neighbouring outputs.
struct Quad {
    float at[4];
};

DEV Quad load_quad(u32 address) {
    const uint4 v = load_shared_16(address);
    return {{__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w)}};
}

// As many of a quad as there are, at once where addresses allow it (`whole`).
DEV void get(Quad &quad, const float *from, u32 some, bool whole) {
    if (some == 4 && whole) {
        const float4 v = __ldcg((const float4 *)from);
        quad = {{v.x, v.y, v.z, v.w}};
    } else {
#pragma unroll
        for (u32 i = 0; i < 4; i++) quad.at[i] = i < some ? __ldcg(from + i) : 0.0f;
    }
}

DEV void put(float *to, const Quad &v, u32 some, bool whole) {
    if (some == 4 && whole) {
        *(float4 *)to = make_float4(v.at[0], v.at[1], v.at[2], v.at[3]);
    } else {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (i < some) to[i] = v.at[i];
        }
    }
}

DEV void put(u16 *to, const Quad &v, u32 some, bool whole) {
    const u32 low = pack_bf16(v.at[0], v.at[1]), high = pack_bf16(v.at[2], v.at[3]);
    if (some == 4 && whole) {
        *(uint2 *)to = make_uint2(low, high);
    } else {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (i < some) to[i] = (i < 2 ? low : high) >> i % 2 * 16;
        }
    }
}

DEV Quad with_factor(Quad sums, float times, const float *bias, u32 output, u32 some) {
#pragma unroll
    for (u32 i = 0; i < 4; i++) sums.at[i] = with_bias(sums.at[i], times, i < some ? bias : nullptr, output + i);
    return sums;
}

// What `gated_unit` gives for SiLU. The reciprocal is the quotient's own bits where its divisor is below 2^126; to ask once for
// four leaves their instructions beside each other.
DEV Quad gated_by_silu(const Quad &gates, const Quad &ups) {
    float below[4];
    Quad v;
    bool usual = true;
#pragma unroll
    for (u32 i = 0; i < 4; i++) below[i] = 1.0f + __expf(-gates.at[i]), usual = usual && below[i] < 8.5e37f;
    if (usual) {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            float about;
            asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(about) : "f"(below[i]));
            v.at[i] = gates.at[i] * __fmaf_rn(about, -__fmaf_rn(below[i], about, -1.0f), about) * ups.at[i];
        }
    } else {
#pragma unroll
        for (u32 i = 0; i < 4; i++) v.at[i] = gated_call(SILU, gates.at[i], ups.at[i], 0.0f, 0.0f);
    }
    return v;
}

// To where y has them: half of a tile's rows, by one of so many warps, once `ready` says that they are laid. Quads of outputs
// go to lanes in order, over the ends of rows. What is not the tile's is asked for before that, and always before what is in
// front of it is used: the tensor cores leave little of shared memory's time, and y may be where the residual is.
template <u32 BN, bool EXPERTS, bool GATED, typename Ready>
DEV void take(const GemmArgs &args, const Tile &tile, u32 half, u32 expert, u32 laid, u32 warp, u32 warps, Ready ready) {
    constexpr u32 WIDTH = GATED ? BN / 2 : BN, QUADS = WIDTH / 4, MANY = GATED || BN > 128 ? 1 : 2;
    const u32 outputs = GATED ? args.n / 2 : args.n, lane = threadIdx.x & 31;
    const float *bias = args.bias ? args.bias + (EXPERTS ? expert * args.n : 0) : nullptr;
    const u32 first = tile.row + half * 64, rows = first < tile.end ? minimum(64u, tile.end - first) : 0;
    const bool whole = args.out_stride % 4 == 0;
    // Lane i knows of rows i and 32 + i where they go and their factors.
    float factors[2];
    u32 to[2];
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        const u32 own = first + minimum(lane + 32 * i, rows - 1);
        factors[i] = args.factor, to[i] = own;
        if (rows > 0 && args.factors) factors[i] *= __ldcg(args.factors + own);
        if (rows > 0 && EXPERTS) to[i] = __ldcg(args.pairs + own);
    }
    auto of_row = [&](const auto (&known)[2], u32 row) {
        const auto low = __shfl_sync(~0u, known[0], row), high = __shfl_sync(~0u, known[1], row);
        return row & 32 ? high : low;
    };
    struct Place {
        u32 row, column, some; // of the tile's half, of the tile; how many of the four there are
    };
    auto place = [&](u32 quad) {
        Place p;
        p.row = quad / QUADS, p.column = quad % QUADS * 4;
        p.some = quad < rows * QUADS && tile.first + p.column < outputs ? minimum(4u, outputs - tile.first - p.column) : 0;
        return p;
    };
    auto start_of = [&](const Place &p) {
        const u32 row = EXPERTS ? of_row(to, p.row) : first + p.row;
        return (u64)row * args.out_stride + tile.first + p.column;
    };
    Quad before[MANY];
    auto ask = [&](u32 quad) {
        if (GATED || !args.residual) return;
#pragma unroll
        for (u32 j = 0; j < MANY; j++) {
            const Place p = place(quad + 32 * warps * j);
            const float *from = args.residual + start_of(p);
            get(before[j], from, p.some, whole);
        }
    };
    ask(32 * warp + lane);
    ready();
#pragma unroll 1
    for (u32 begin = 32 * warp; begin < rows * QUADS; begin += 32 * warps * MANY) {
        Quad sums[MANY], ups[MANY];
#pragma unroll
        for (u32 j = 0; j < MANY; j++) {
            const Place p = place(begin + lane + 32 * warps * j);
            const u32 from = laid + (minimum(p.row, 63u) * LAID<BN> + p.column) * 4;
            sums[j] = load_quad(from);
            if (GATED) ups[j] = load_quad(from + WIDTH * 4);
        }
#pragma unroll
        for (u32 j = 0; j < MANY; j++) {
            const Place p = place(begin + lane + 32 * warps * j);
            const u64 start = start_of(p);
            const float times = args.factors ? of_row(factors, p.row) : args.factor;
            const u32 output = tile.first + p.column;
            Quad v = with_factor(sums[j], times, bias, output, p.some);
            if (GATED) {
                const Quad up = with_factor(ups[j], times, bias, outputs + output, p.some);
                if (args.act == SILU) {
                    v = gated_by_silu(v, up);
                } else {
#pragma unroll
                    for (u32 i = 0; i < 4; i++) v.at[i] = gated_call(args.act, v.at[i], up.at[i], args.alpha, args.limit);
                }
                if (args.rows) {
                    put((u16 *)args.y + start, v, p.some, whole);
                    continue;
                }
            } else {
                if (args.plain) put(args.plain + start, v, p.some, whole);
                if (args.residual) {
#pragma unroll
                    for (u32 i = 0; i < 4; i++) v.at[i] = __fadd_rn(v.at[i], before[j].at[i]);
                }
            }
            put(args.y + start, v, p.some, whole);
        }
        if (begin + 32 * warps * MANY < rows * QUADS) ask(begin + 32 * warps * MANY + lane);
    }
}

// GATED: the first half of the outputs are gates, the second ups, and a tile has as many of both.
template <int ELEMENT, u32 BN, u32 STAGES, bool EXPERTS, bool GATED> DEV void gemm(const GemmArgs &args, u8 *memory) {
    constexpr u32 X_BYTES = BM * BK * 2, W_BYTES = BN * BK * 2, STAGE = X_BYTES + W_BYTES, HALF = 64 * LAID<BN> * 4;
    // Registers of a thread of those who sum, and of the others: together what all begin with.
    constexpr u32 SUMMING = BN <= 128 ? 168 : 208, TAKING = 2 * 128 - SUMMING;
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const u32 laid_at = base + STAGES * STAGE, full = laid_at + HALF, empty = full + 8 * STAGES;
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
                    take<BN, EXPERTS, GATED>(args, tile, half, walk.expert, half == 1 && last ? base : laid_at, warp, warps, [&]() { barrier_wait(laid + 8 * half, turn); });
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
        // What a tile gave stays in `total` while the tensor cores sum the next one's first slice. The first group's is laid into
        // shared memory at that slice's beginning, the second's at its end, when the first's is taken from there by the warps that
        // do not sum. The last tile is taken by all, the second half from where tiles came to.
        u32 tiles = 0;
        const u32 lays_at = ((warp * 16 + (lane >> 2)) * LAID<BN> + (lane & 3) * 2) * 4;
        auto lay = [&](u32 at) {
            at += lays_at;
#pragma unroll
            for (u32 i = 0; i < BN / 2; i += 2) {
                asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(at + (i / 4 * 8 + i / 2 % 2 * 8 * LAID<BN>) * 4), "f"(total[i]), "f"(total[i + 1]) : "memory");
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
                    products_begin();
#pragma unroll
                    for (u32 i = 0; i < BK / 16; i++) Wgmma<ELEMENT, BN>::run(sums, x + 2 * i, w + 2 * BN * i, block - first + i);
                    products_asked();
                    if (block == (group == 0 ? 0 : slice_blocks - 1) && tiles > 0) {
                        barrier_wait(taken + 8 * (1 - group), (tiles ^ group) & 1);
                        lay(laid_at);
                    }
                    products_wait<1>();
                    if (block > first) release(slot == 0 ? STAGES - 1 : slot - 1);
                    step();
                }
                products_wait<0>();
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
            if (group == 0) barrier_wait(taken + 8, tiles & 1);
            meet(3, 256);
            lay(group == 0 ? laid_at : base);
            take<BN, EXPERTS, GATED>(args, tile, group, walk.expert, group == 0 ? laid_at : base, warp, 4 + TAKERS, [&]() { meet(1 + group, 128); });
        }
    }
}

#define GEMM(name, element, bn, stages, experts, gated)                                                                 \
    extern "C" __global__ void __launch_bounds__(512, 1) gemm_##name(const __grid_constant__ GemmArgs args) {        \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        gemm<element, bn, stages, experts, gated>(args, memory);                                                     \
    }

GEMM(bf16_192, BF16, 192, 4, false, false)
GEMM(f16_192, F16, 192, 4, false, false)
GEMM(bf16_128, BF16, 128, 5, false, false)
GEMM(f16_128, F16, 128, 5, false, false)
GEMM(experts_bf16_192, BF16, 192, 4, true, false)
GEMM(experts_f16_192, F16, 192, 4, true, false)
GEMM(experts_bf16_128, BF16, 128, 5, true, false)
GEMM(experts_f16_128, F16, 128, 5, true, false)
GEMM(gated_bf16_192, BF16, 192, 4, false, true)
GEMM(gated_f16_192, F16, 192, 4, false, true)
