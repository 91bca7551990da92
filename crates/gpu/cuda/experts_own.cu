// Experts of some tokens on Hopper, weights of 4 bits: products of up to 8 rows of each expert, each warp by itself.
//
// An item is 16 weight rows of one expert with a tile of its rows of x: of gated units 8 gates and the 8 ups that belong to
// them, else neighbours. A warp has an item whole, all of k, or two of one tile that share what is read of x: the copy engine
// brings its weights, some stretches at a time, into a ring that is the warp's own, so that nothing is exchanged and no warp
// waits for another. A block has neighbouring items; the rows of the tiles that those need stay in shared memory. Rows come
// made, by token, or as the product before left them. Invariant: a slice is one chain of k16 products, slices are added in
// order, as in few.cu. Read next: experts_few.cu, which takes other formats and longer rows.
#include "rows.cuh"
#include "wgmma.cuh"

struct ExpertsOwnArgs {
    TensorMap codes;      // [experts, or halves of them][tiles][4][blocks][8 rows of 16 bytes], boxes of a stage, swizzled
    TensorMap scales;     // the same of words [8 rows]
    Weights weights;
    const uint4 *tiles;   // (expert, first row, rows, 0); behind the most that there may be: how many there are
    const u16 *rows;      // [tokens][stride], for lanes
    const float *factors; // of each
    const float *values;  // or: [m][k], by expert, not made yet
    const u32 *pairs;     // token * choices + choice of each row by expert
    const float *bias;    // [experts][n] or null
    float *y;             // of `rows` by expert, of `values` by pair: [m][n], of gated units [m][n / 2]
    u32 n, k, stride;     // n: rows of an expert's matrix
    u32 choices;
    u32 most, count;      // tiles, and rows
    u32 words_log2;       // of scales in a stretch
    u32 depth;            // stages of a warp's ring
    u32 held;             // tiles of rows of x in shared memory
    u32 gated, act;
    float alpha, limit;
};

// EARLY: stages that a warp asks for before rows are asked for.
constexpr u32 WARPS = 16, COLUMNS = 8, EARLY = 2;

// A box of the 16 rows of an item; `major` is an expert, or its gates. Weights are needed once: they are the first to leave the
// second cache, so that instructions, rows and tables stay there.
DEV void load_box(u32 to, const TensorMap *map, u32 along, u32 eight, u32 tile, u32 major, u32 barrier) {
    constexpr u64 EVICT_FIRST = 0x12f0000000000000;
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%2, %3, %4, %5, %6}], [%7], %8;" ::"r"(to),
                 "l"(map), "r"(0), "r"(along), "r"(eight), "r"(tile), "r"(major), "r"(barrier), "l"(EVICT_FIRST)
                 : "memory");
}

// One lane of a warp, all of whose lanes are here.
DEV bool elected() {
    u32 is;
    asm volatile("{.reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p;}" : "=r"(is));
    return is;
}

DEV void expect_map(const TensorMap *map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

// So many items, as a type.
template <u32 COUNT> struct Items {
    static constexpr u32 count = COUNT;
};

// SLICE: stretches of 128 columns in a slice of k; STAGE: those that come together; TOGETHER: items that a warp has at a time.
template <int CODE, int KIND, u32 SLICE, u32 STAGE, u32 TOGETHER> DEV void experts_own(const ExpertsOwnArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 CODES = STAGE * 1024, SLOT = TOGETHER * CODES, ROUND = TOGETHER * WARPS;
    // A warp's number, and all that follows from it, is known to be its lanes' alike.
    const u32 lane = threadIdx.x & 31, warp = __shfl_sync(~0u, threadIdx.x >> 5, 0), g = lane >> 2, t = lane & 3;
    const u32 stages = (args.k + STAGE * 128 - 1) / (STAGE * 128), row_bytes = stages * STAGE * 256 + 64;
    const u32 half_scales = (STAGE << args.words_log2) * 32, scales_room = (2 * half_scales + 127) & ~127u;
    const u32 scales_slot = TOGETHER * scales_room;
    u8 *scales_at = memory + WARPS * args.depth * SLOT, *made = scales_at + WARPS * args.depth * scales_slot;
    // Of each row of x what belongs to it; all tiles and pairs.
    float *factors = (float *)(made + args.held * COLUMNS * row_bytes), *mosts = factors + args.held * COLUMNS;
    u32 *places = (u32 *)(mosts + WARPS);
    uint4 *tiles = (uint4 *)(places + args.held * COLUMNS);
    u32 *pairs = (u32 *)(tiles + args.most + 1) + WARPS * args.depth * 2;
    float *of_tokens = (float *)(pairs + args.count);
    const u32 codes = shared_address(memory) + warp * args.depth * SLOT, scales = shared_address(scales_at) + warp * args.depth * scales_slot;
    const u32 full = shared_address(tiles + args.most + 1) + warp * args.depth * 8, x = shared_address(made);
    if (lane == 0) {
        for (u32 i = 0; i < args.depth; i++) barrier_init(full + 8 * i, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        expect_map(&args.codes), expect_map(&args.scales);
    }
    __syncwarp();
    // Of the second product: what chose and sorted was done before the kernel in front let this one begin, so that only its
    // rows are waited for.
    if (!args.values) previous_done();
    next_may_start();
    // Everything that says what is to be done is asked for at once.
    for (u32 i = threadIdx.x; i <= maximum(args.most, args.count - 1); i += 32 * WARPS) {
        uint4 tile;
        u32 pair;
        float factor;
        const bool is_token = !args.values && i < args.count / args.choices;
        if (is_token) factor = load_again_4(args.factors + i);
        if (i <= args.most) tile = __ldcg(args.tiles + i);
        if (i < args.count) pair = __ldcg(args.pairs + i);
        if (i <= args.most) tiles[i] = tile;
        if (i < args.count) pairs[i] = pair;
        if (is_token) of_tokens[i] = factor;
    }
    __syncthreads();
    const u32 items_of_tile = args.gated ? args.n / 16 : (args.n + 31) / 32 * 2;
    const u32 all = tiles[args.most].x * items_of_tile, each = ((all + gridDim.x - 1) / gridDim.x + 1) & ~1u;
    const u32 begin = blockIdx.x * each, end = minimum(begin + each, all);
    if (begin >= end) return;
    // Items two by two, but for a last round that has one for each warp at most.
    const u32 rest = (end - begin) % ROUND, paired = TOGETHER == 1 ? begin : rest > WARPS ? end : end - rest;
    auto place = [&](u32 item) { return item < paired ? item : paired + warp; };
    auto behind = [&](u32 item) { return item < paired ? place(item + ROUND) : item + WARPS; };

    const u32 last_tile = (end - 1) / items_of_tile;
    u32 ahead = place(begin + TOGETHER * warp), ahead_stage = 0, ahead_tile = ahead / items_of_tile, in_tile = ahead % items_of_tile, expert;
    auto seek = [&]() {
        for (; in_tile >= items_of_tile; in_tile -= items_of_tile) ahead_tile++;
        expert = __shfl_sync(~0u, tiles[minimum(ahead_tile, last_tile)].x, 0);
    };
    seek();
    const u32 eights_log2 = args.gated ? 0 : 1;
    auto ask = [&](u32 slot) {
        if (ahead >= end) return;
        if (elected()) {
            const u32 barrier = full + 8 * slot, count = TOGETHER == 2 && ahead < paired ? 2 : 1;
            const u32 eight = in_tile << eights_log2 & 3, tile = in_tile >> (2 - eights_log2);
            const u32 major = expert << (1 - eights_log2), along = (ahead_stage * STAGE) << args.words_log2;
            barrier_expect(barrier, count * (CODES + 2 * half_scales));
            load_box(codes + slot * SLOT, &args.codes, ahead_stage * STAGE * 4, eight, tile, major, barrier);
            load_box(scales + slot * scales_slot, &args.scales, along, eight, tile, major, barrier);
            if (count == 2) {
                load_box(codes + slot * SLOT + CODES, &args.codes, ahead_stage * STAGE * 4, eight + (1 << eights_log2), tile, major, barrier);
                load_box(scales + slot * scales_slot + scales_room, &args.scales, along, eight + (1 << eights_log2), tile, major, barrier);
            }
        }
        if (++ahead_stage < stages) return;
        const u32 now = ahead;
        ahead_stage = 0, ahead = behind(now), in_tile += ahead - now;
        seek();
    };
    // Rows come behind the weights that are asked for by then, those of all processors.
    u32 asked = 0;
    auto ask_until = [&](u32 count) {
        for (; asked < minimum(count, args.depth); asked++) ask(asked);
    };
    ask_until(EARLY);

    // Rows of the tiles from `first` on, each by some warps.
    auto bring = [&](u32 first) {
        constexpr u32 SPAN = SLICE == 1 ? 2 : 4, HELD = SLICE == 1 ? 4 : 6;
        const u32 span = args.values ? SPAN : 1, behind_last = minimum(first + args.held, last_tile + 1);
        u32 number = first, in_order = warp / span;
        for (;; in_order += WARPS / span) {
            for (; number < behind_last && in_order >= tiles[number].z; number++) in_order -= tiles[number].z;
            if (number == behind_last) break;
            const uint4 tile = tiles[number];
            const u32 pair = pairs[tile.y + in_order], row = (number - first) * COLUMNS + in_order;
            previous_done();
            u8 *to = made + row * row_bytes;
            if (args.values) {
                const u32 thread = threadIdx.x % (32 * SPAN);
                const RowSource source = {args.values + (u64)(tile.y + in_order) * args.k, nullptr, args.k, PLAIN, 0, 0.0f, 0.0f, 0.0f};
                float4 others[HELD];
                auto gather = [&](float &, float &most) {
                    if (lane == 0) mosts[warp] = most;
                    meet(1 + warp / SPAN, 32 * SPAN);
                    for (u32 i = 0; i < SPAN; i++) most = fmaxf(most, mosts[warp / SPAN * SPAN + i]);
                    meet(1 + warp / SPAN, 32 * SPAN);
                };
                auto put = [&](u32 i, float4 v) { put_four<T::ELEMENT>((u16 *)to, T::ORDER, LANES, i, v); };
                const float factor = make_row_by<T::ELEMENT, HELD, 32 * SPAN>(source, others, thread, gather, put);
                if (thread == 0) factors[row] = factor, places[row] = pair;
                for (u32 i = args.k + 4 * thread; i < args.stride; i += 128 * SPAN) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
            } else {
                const u32 token = pair / args.choices;
                for (u32 piece = lane; piece < args.stride / 8; piece += 32) copy_async<16>(shared_address(to) + piece * 16, args.rows + (u64)token * args.stride + piece * 8);
                if (lane == 0) factors[row] = of_tokens[token], places[row] = tile.y + in_order;
            }
            for (u32 i = args.stride * 2 + lane * 16; i < row_bytes; i += 512) *(uint4 *)(to + i) = make_uint4(0, 0, 0, 0);
        }
        copy_commit();
        previous_done();
        ask_until(args.depth);
        copy_wait<0>();
        __syncthreads();
    };

    const u32 width = args.gated ? args.n / 2 : args.n;
    // Eight rows of a block are 128 bytes, whose 16-byte parts are exchanged by the block's number. Row r of them is row g of a
    // product, so that lanes that read together meet different banks.
    const u32 r = g >> 1 | (g & 1) << 2, codes_even = codes + t * 128 + ((r ^ t) << 4), codes_odd = codes_even ^ 64;
    const u32 scale_at = scales + (t << args.words_log2 >> 2) * 32 + r * 4, scale_step = 32 << args.words_log2;
    u32 slot = 0, parity = 0, item = place(begin + TOGETHER * warp), number = item / items_of_tile, at = item % items_of_tile;
    // Of E4M3 factors of rows, which all supers of a row are, asked for an item before they are needed: 1 where there are none.
    const bool has_supers = KIND == E4M3 && args.weights.supers;
    u32 next_supers[TOGETHER][2];
#pragma unroll
    for (u32 i = 0; i < TOGETHER; i++) next_supers[i][0] = next_supers[i][1] = KIND == E4M3 ? __float_as_uint(1.0f) : 0;
    auto ask_supers = [&](u32 number, u32 at) {
        if (!has_supers) return;
        for (; at >= items_of_tile; at -= items_of_tile) number++;
        const u32 *of_expert = args.weights.supers + (u64)tiles[minimum(number, last_tile)].x * ((args.n + 31) / 32) * (((args.weights.blocks + 7) >> 3) * 32);
#pragma unroll
        for (u32 i = 0; i < TOGETHER; i++) {
#pragma unroll
            for (u32 half = 0; half < 2; half++) {
                const u32 row = minimum(at + i, items_of_tile - 1) * (args.gated ? 8 : 16) + r + half * (args.gated ? width : 8);
                next_supers[i][half] = __ldg(of_expert + (row >> 5) * (((args.weights.blocks + 7) >> 3) * 32) + (row & 31));
            }
        }
    };
    ask_supers(number, at);
    for (u32 first = begin / items_of_tile;; first += args.held) {
        bring(first);
        const u32 until = minimum(end, (first + args.held) * items_of_tile);
        auto multiply = [&](auto items) {
            constexpr u32 COUNT = decltype(items)::count;
            const u32 of = number - first;
            const uint4 tile = tiles[number];
            u32 x_at = x + (of * COLUMNS + minimum(g, tile.z - 1)) * row_bytes + t * 16;
            float total[COUNT][4] = {};
            u32 supers[COUNT][2];
#pragma unroll
            for (u32 i = 0; i < COUNT; i++) supers[i][0] = next_supers[i][0], supers[i][1] = next_supers[i][1];
            ask_supers(number, at + behind(item) - item);
            for (u32 stage = 0; stage < stages; stage++, x_at += STAGE * 256) {
                Piece<CODE> low[COUNT][STAGE], high[COUNT][STAGE];
                // A word of x is asked for while the one before is multiplied.
                uint4 values = load_shared_16(x_at);
                barrier_wait(full + 8 * slot, parity);
#pragma unroll
                for (u32 s = 0; s < STAGE; s++) {
#pragma unroll
                    for (u32 i = 0; i < COUNT; i++) {
                        const u32 skip = slot * SLOT + i * CODES + s * 512, scale = scale_at + slot * scales_slot + i * scales_room + s * scale_step;
                        const uint4 a = load_shared_16((s & 1 ? codes_odd : codes_even) + skip);
                        const uint4 b = load_shared_16(((s + STAGE) & 1 ? codes_odd : codes_even) + skip + STAGE * 512);
                        low[i][s].codes[0] = a.x, low[i][s].codes[1] = a.y, low[i][s].codes[2] = a.z, low[i][s].codes[3] = a.w;
                        high[i][s].codes[0] = b.x, high[i][s].codes[1] = b.y, high[i][s].codes[2] = b.z, high[i][s].codes[3] = b.w;
                        low[i][s].scale = load_shared_4(scale), high[i][s].scale = load_shared_4(scale + half_scales);
                        low[i][s].super_word = supers[i][0], high[i][s].super_word = supers[i][1];
                    }
                }
                // All lanes have what was in the stage.
                __syncwarp();
                ask(slot);
                float sums[COUNT][4] = {};
#pragma unroll
                for (u32 s = 0; s < STAGE; s++) {
                    u32 low_pairs[COUNT][2], high_pairs[COUNT][2];
#pragma unroll
                    for (u32 i = 0; i < COUNT; i++) {
                        piece_scales<CODE, KIND>(args.weights, low[i][s], stage * STAGE + s, t, low_pairs[i]);
                        piece_scales<CODE, KIND>(args.weights, high[i][s], stage * STAGE + s, t, high_pairs[i]);
                    }
#pragma unroll
                    for (u32 word = 0; word < 4; word++) {
                        const uint4 own = values;
                        if (s + 1 < STAGE || word < 3) values = load_shared_16(x_at + s * 256 + (word + 1) * 64);
                        u32 v[COUNT][4], u[COUNT][4];
#pragma unroll
                        for (u32 i = 0; i < COUNT; i++) {
                            unpack_word<CODE>(low[i][s], word, low_pairs[i], v[i]);
                            unpack_word<CODE>(high[i][s], word, high_pairs[i], u[i]);
                        }
#pragma unroll
                        for (u32 i = 0; i < COUNT; i++) {
                            const u32 one[4] = {v[i][0], u[i][0], v[i][1], u[i][1]};
                            mma_16816<T::ELEMENT>(sums[i], one, own.x, own.y);
                        }
#pragma unroll
                        for (u32 i = 0; i < COUNT; i++) {
                            const u32 two[4] = {v[i][2], u[i][2], v[i][3], u[i][3]};
                            mma_16816<T::ELEMENT>(sums[i], two, own.z, own.w);
                        }
                    }
                    if ((s + 1) % SLICE) continue;
#pragma unroll
                    for (u32 i = 0; i < COUNT; i++) {
#pragma unroll
                        for (u32 j = 0; j < 4; j++) total[i][j] += sums[i][j], sums[i][j] = 0.0f;
                    }
                }
                if (++slot == args.depth) slot = 0, parity ^= 1;
            }
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                const u32 column = of * COLUMNS + 2 * t + i;
                if (2 * t + i >= tile.z) break;
                const float scale = factors[column] * args.weights.factor;
                float *y = args.y + (u64)places[column] * width;
                auto sum_of = [&](float sum, u32 feature) {
                    sum = __fmul_rn(sum, scale);
                    return args.bias ? sum + args.bias[tile.x * args.n + feature] : sum;
                };
#pragma unroll
                for (u32 j = 0; j < COUNT; j++) {
                    const u32 output = (at + j) * (args.gated ? 8 : 16) + r;
                    if (args.gated) {
                        y[output] = gated_call(args.act, sum_of(total[j][i], output), sum_of(total[j][2 + i], width + output), args.alpha, args.limit);
                    } else {
                        if (output < width) y[output] = sum_of(total[j][i], output);
                        if (output + 8 < width) y[output + 8] = sum_of(total[j][2 + i], output + 8);
                    }
                }
            }
        };
        while (item < until) {
            for (; at >= items_of_tile; at -= items_of_tile) number++;
            if (TOGETHER == 2 && item < paired) multiply(Items<TOGETHER>());
            else multiply(Items<1>());
            const u32 now = item;
            item = behind(now), at += item - now;
        }
        if (until == end) break;
        // Everybody has read the rows and what belongs to them.
        __syncthreads();
    }
}

#define OWN(name, code, kind, slice, stage, together)                                                                  \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, 1) own##slice##stage##_##name(const __grid_constant__ ExpertsOwnArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        experts_own<code, kind, slice, stage, together>(args, memory);                                               \
    }

#define OWN_OF(name, code, kind)                                                                                       \
    OWN(name, code, kind, 1, 2, 2)                                                                                     \
    OWN(name, code, kind, 2, 2, 1)                                                                                     \
    OWN(name, code, kind, 3, 3, 1)                                                                                     \
    OWN(name, code, kind, 4, 4, 1)

OWN_OF(bits4_pair, BITS4, PAIR_BF16)
OWN_OF(bits4_single, BITS4, SINGLE)
OWN_OF(e2m1_exponent, E2M1, E8M0)
OWN_OF(e2m1, E2M1, E4M3)
