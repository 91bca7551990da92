// Products of 17 to 64 rows on Hopper: y[m][n] = x[m][k] . w[n][k], every weight read and decoded once.
//
// A block has a panel of 128 weight rows, or of 192, 16 for each of 8 or 12 warps, which come straight to registers and are decoded there;
// the tensor cores multiply them with all rows of x, which the copy engine brings, a stretch of 128 columns at a time.
// Where there are few panels the blocks of a cluster share the slices of k, and add up what each has for a part of the
// outputs. Rows are made before, or, more than 32, were left by the kernel in front: then one block finds a row's norm for all while they
// multiply, and rows of unusual scale are made again by all blocks together, where they lie. What the product, or its gates and
// ups, which a panel has half and half, give may be left to the next one.
// Invariant: a slice is one chain of k16 products, slices are added in order, as in few.cu. Read next: team.cu, left.cuh.
#include "left.cuh"
#include "wgmma.cuh"

struct SomeArgs {
    TensorMap x; // [m][stride], arranged for registers, boxes of 64 columns by N rows, swizzled
    Weights weights;
    const float *factors;  // [m], where rows are not left
    const float *bias;     // [n] or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]
    float *plain;          // [m][out_stride]: what there is without the residual; or null
    RowSource source;      // of the first row, from which others are x_stride apart
    LeftRows left;         // what the kernel in front left, which `x` are then
    LeftRows leaves;       // what is left to the next product
    u32 m, n, k, out_stride, x_stride;
    u32 parts;             // blocks of a cluster: 1, 2, 4 or 8
    u32 stages;            // stretches of x that are there or on their way, at most 16
};

// Slices of k, and bytes of shared memory for what warps find of rows that were left.
constexpr u32 SLICES = 8, GATHERED = 768;

// The compiler may not compute this again from what it came from.
template <typename T> DEV void keep_address(T *&address) { asm volatile("" : "+l"(address)); }

DEV float4 load_cluster(u32 address) {
    float4 v;
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address) : "memory");
    return v;
}

// Up to four values, `whole`: all four are there and aligned.
DEV float4 load_four(const float *from, u32 count, bool whole) {
    if (whole) return load_again(from);
    float4 v = make_float4(load_again_4(from), 0.0f, 0.0f, 0.0f);
    if (count > 1) v.y = load_again_4(from + 1);
    if (count > 2) v.z = load_again_4(from + 2);
    if (count > 3) v.w = load_again_4(from + 3);
    return v;
}

DEV void store_four(float *to, float4 v, u32 count, bool whole) {
    if (whole) {
        *(float4 *)to = v;
        return;
    }
    to[0] = v.x;
    if (count > 1) to[1] = v.y;
    if (count > 2) to[2] = v.z;
    if (count > 3) to[3] = v.w;
}

DEV float4 joined(const LeftRows &left, float4 gate, float4 up) {
    auto unit = [&](float gate, float up) { return gated_fast(left.act, gate, up, left.alpha, left.limit); };
    return make_float4(unit(gate.x, up.x), unit(gate.y, up.y), unit(gate.z, up.z), unit(gate.w, up.w));
}

DEV float4 add_four(float4 a, float4 b) { return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w)); }

// What threads of other blocks count. What this one did before is seen by who sees it counted.
DEV u32 count_one(u32 *at) {
    u32 before;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], 1;" : "=r"(before) : "l"(at) : "memory");
    return before;
}

DEV u32 load_count(const u32 *from) {
    u32 v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(from) : "memory");
    return v;
}

// What was written to memory is seen by the copy engine, and the other way round.
DEV void fence_copies() { asm volatile("fence.proxy.async;" ::: "memory"); }

// Exponents of the rows that were left, as all warps but the first bring them and gather them at `gathered`.
template <u32 THREADS> struct LeftExponents {
    static constexpr u32 HELD = 5, BRINGING = THREADS - 32;
    uint4 held[HELD];

    __device__ __forceinline__ void ask(const LeftRows &left, u32 first) {
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            const u32 i = first + threadIdx.x - 32 + BRINGING * j;
            held[j] = make_uint4(0, 0, 0, 0);
            if (i < left.columns / 8) held[j] = load_again((const u16 *)(left.exponents + 16 * i));
        }
    }

    __device__ __forceinline__ void gather(const LeftRows &left, u8 *gathered) {
        u32 most[4] = {};
        for (u32 first = 0; first < left.columns / 8; first += BRINGING * HELD) {
            if (first) ask(left, first);
#pragma unroll
            for (u32 j = 0; j < HELD; j++) {
                most[0] = __vmaxu4(most[0], held[j].x), most[1] = __vmaxu4(most[1], held[j].y);
                most[2] = __vmaxu4(most[2], held[j].z), most[3] = __vmaxu4(most[3], held[j].w);
            }
        }
        // Lanes whose numbers differ by fours have the same 16 rows.
#pragma unroll
        for (u32 apart = 4; apart < 32; apart *= 2) {
#pragma unroll
            for (u32 j = 0; j < 4; j++) most[j] = __vmaxu4(most[j], __shfl_xor_sync(~0u, most[j], apart));
        }
        if ((threadIdx.x & 31) < 4) ((uint4 *)gathered)[(threadIdx.x / 32 - 1) * 4 + (threadIdx.x & 3)] = make_uint4(most[0], most[1], most[2], most[3]);
    }

    // Of four rows, by each of 16 lanes.
    static __device__ __forceinline__ u32 of_four(const u8 *gathered) {
        u32 most = 0;
#pragma unroll
        for (u32 warp = 0; warp < BRINGING / 32; warp++) most = __vmaxu4(most, ((const u32 *)gathered)[warp * 16 + (threadIdx.x & 15)]);
        return most;
    }
};

// Rows of unusual scale are made again, one at a time by a block that takes it: all blocks take part, and go on when all are
// made. `factors`: those of all rows' scales.
template <int ORDER, u32 THREADS> DEV void make_rows_again(const LeftRows &left, const RowSource &source, u32 x_stride, u32 m, const float *factors, u32 *scratch) {
    u32 *counts = left_counts(left);
    for (;;) {
        if (threadIdx.x == 0) *scratch = count_one(counts);
        __syncthreads();
        const u32 row = *scratch;
        if (row >= m) break;
        // The exponent that gives this factor, as scale_of has it.
        const u32 biased = 10 + (__float_as_uint(factors[row]) >> 23);
        if (factors[row] != power_of_two(-USUAL_UP)) make_again(source, x_stride, row, left.rows + row * left.columns, ORDER, REGISTERS, 0, left.columns, biased, threadIdx.x, THREADS);
        fence_copies();
        __syncthreads();
        if (threadIdx.x == 0) count_one(counts + 1);
    }
    // Each thread may have some brought.
    while (load_count(counts + 1) < m) {}
    fence_copies();
}

// The norm of a row that was left: a warp together.
DEV float left_norm(const LeftRows &left, u32 row) {
    LeftFactor of;
    of.ask_squares(left, row, 0);
    return of.norm(left, row);
}

// The norms of 32 rows, a lane's is `row`'s: a warp together. `brought` are those that other blocks had found a while ago.
DEV void multiply_norms(const LeftRows &left, u32 m, u32 row, const float *brought, float *factors) {
    float norm = row < m ? brought[row] : 1.0f;
    if (__float_as_uint(norm) == NO_NORM) norm = load_again_4(left_norms(left) + row);
    // Who has not begun yet need not be waited for.
    for (u32 lacking = __ballot_sync(~0u, __float_as_uint(norm) == NO_NORM); lacking; lacking &= lacking - 1) {
        const u32 of = (row & 32) + __ffs(lacking) - 1;
        const float found = left_norm(left, of);
        if (of == row) norm = found;
    }
    if (row < m) factors[row] *= norm;
}

// What is left at a product's end.
template <bool ANY, bool UNITS> struct Leaving {
    static constexpr bool LEAVES = ANY, GATED = UNITS;
};

// Where a sum lies among those of a slice: neighbouring rows next to each other, lanes that write together apart.
template <u32 PANEL> DEV u32 sum_place(u32 column, u32 row) { return column * PANEL + (row ^ ((column >> 1) & 3) << 3); }

// GROUPS of four warps, a panel's rows among them.
template <int CODE, int KIND, u32 N, u32 D, u32 GROUPS> DEV void some(const SomeArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 STAGE = N * 256, DEPTH = D, PANEL = 64 * GROUPS, THREADS = 128 * GROUPS;
    const u32 stages = args.stages;
    const u32 lane = threadIdx.x & 31, warp = (threadIdx.x >> 5) & 3, group = threadIdx.x >> 7;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 base = shared_address(memory), full = base + stages * STAGE, empty = full + 8 * stages;
    float *factors = (float *)(memory + stages * STAGE + 256), *norms = factors + MOST_LEFT, *partials = norms + MOST_LEFT + GATHERED / 4;
    // Rows are left from 33 on; fewer are sooner made than looked at.
    const bool is_left = N == 64 && args.left.rows, leaves = N == 64 && args.leaves.rows, gated = N == 64 && args.leaves.gated;
    const bool normed = is_left && args.left.squares;
    const u32 panel = blockIdx.x / args.parts, part = blockIdx.x % args.parts;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, each_part = SLICES / args.parts;
    const u32 first_k = minimum(part * each_part * length, args.k), end_k = minimum((part + 1) * each_part * length, args.k);
    const u32 first_stretch = first_k / 128, stretches = (end_k - first_k + 127) / 128, of_slice = length / 128;
    // Of 32 weight rows; a panel has gates and their ups half and half.
    const u32 of_panel = group * 2 + (warp >> 1), pairs = PANEL / 64, row = (warp & 1) * 16 + g;
    const u32 tile = gated ? minimum(panel * pairs + of_panel % pairs, args.n / 64 - 1) + of_panel / pairs * (args.n / 64)
                           : minimum(panel * (PANEL / 32) + of_panel, (args.n + 31) / 32 - 1);

    next_may_start();
    Piece<CODE> low[DEPTH], high[DEPTH];
    Place place = place_of<CODE>(args.weights, tile, row, t);
    keep_address(place.codes);
    if (KIND != NONE) keep_address(place.scales);
    // What is counted down here need not be computed again.
    u32 ahead = first_stretch, to_fetch = stretches;
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (to_fetch == 0) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead, t);
        ahead++, to_fetch--;
    };
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);
    auto init = [&]() {
        for (u32 s = threadIdx.x; s < stages; s += THREADS) barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, GROUPS);
        if (threadIdx.x < stages) asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    };
    init();
    __syncthreads();
    previous_done();
    auto load_stage = [&](u32 slot, u32 stretch) {
        const u32 barrier = full + 8 * slot, to = base + slot * STAGE;
        barrier_expect(barrier, STAGE);
        load_tile(to, &args.x, (first_stretch + stretch) * 128, 0, barrier);
        load_tile(to + STAGE / 2, &args.x, (first_stretch + stretch) * 128 + 64, 0, barrier);
    };
    // One stage stays free for the stretch that is brought while the first is multiplied, unless all have one. Each warp brings
    // one of the first.
    const u32 at_first = stages < stretches ? stages - 1 : stretches, block_warp = threadIdx.x >> 5;
    u32 brought = at_first, bring_slot = at_first % stages, bring_phase = at_first / stages ^ 1;
    auto bring = [&]() {
        if (brought == stretches) return;
        barrier_wait(empty + 8 * bring_slot, bring_phase);
        load_stage(bring_slot, brought++);
        if (++bring_slot == stages) bring_slot = 0, bring_phase ^= 1;
    };
    u8 *gathered = (u8 *)(norms + MOST_LEFT);
    LeftFactor norm;
    LeftExponents<THREADS> exponents;
    const bool checks = T::ELEMENT == F16 && is_left;
    const u32 found = blockIdx.x + gridDim.x * (THREADS / 32 - 1 - block_warp);
    const bool finds = normed && found < args.m;
    if (checks && block_warp) exponents.ask(args.left, 0);
    for (bool again = false;; again = true) {
        if (lane == 0) {
            for (u32 s = block_warp; s < at_first; s += THREADS / 32) load_stage(s, s);
        }
        if (again) break;
        if (finds) norm.ask_squares(args.left, found, 0);
        if (leaves && blockIdx.x == 0 && threadIdx.x >= THREADS - 32) begin_leaving(args.leaves);
        if (!checks) {
            if (threadIdx.x < args.m) factors[threadIdx.x] = is_left ? 1.0f : load_again_4(args.factors + threadIdx.x);
            break;
        }
        // The first warp has not brought any.
        if (block_warp) {
            exponents.gather(args.left, gathered);
            meet(1, THREADS - 32);
            asm volatile("bar.arrive 2, %0;" ::"n"(THREADS) : "memory");
        } else {
            meet(2, THREADS);
        }
        const u32 four = LeftExponents<THREADS>::of_four(gathered);
        bool usual = true;
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            usual = usual && (is_usual(four >> 8 * j & 255) || (lane & 15) * 4 + j >= args.m);
        }
        if (block_warp < 2) factors[threadIdx.x] = scale_of(__shfl_sync(~0u, four, threadIdx.x / 4) >> threadIdx.x % 4 * 8 & 255).factor;
        if (__all_sync(~0u, usual)) break;
        __syncthreads();
        make_rows_again<T::ORDER, THREADS>(args.left, args.source, args.x_stride, args.m, factors, (u32 *)partials);
        // What was brought too early is brought anew.
        for (u32 s = threadIdx.x; s < at_first; s += THREADS) barrier_wait(full + 8 * s, 0);
        for (u32 s = threadIdx.x; s < stages; s += THREADS) {
            asm volatile("mbarrier.inval.shared.b64 [%0];" ::"r"(full + 8 * s) : "memory");
            asm volatile("mbarrier.inval.shared.b64 [%0];" ::"r"(empty + 8 * s) : "memory");
        }
        init();
        __syncthreads();
    }
    if (finds) {
        const float of_row = norm.norm(args.left, found);
        if (lane == 0) __stcg(left_norms(args.left) + found, of_row);
    }

    // Where the sums of rows g and g + 8 go.
    const u32 at = group * 64 + warp * 16 + g;
    float *low_sums = partials + 2 * t * PANEL + (at ^ t << 3), *high_sums = partials + 2 * t * PANEL + (at ^ t << 3 ^ 8);
    float sums[N / 2];
    u32 slot = 0, phase = 0, remaining = stretches, of_this = of_slice, has_sums = 0, current = first_stretch;
    bool add = false;
    // Norms that other blocks have found by now: 16 bytes a lane, each warp what it needs.
    auto ask_norms = [&]() {
        const u32 first = (threadIdx.x & 32) + 4 * lane;
        if (normed && threadIdx.x < MOST_LEFT && lane < 8) copy_async<16>(shared_address(norms + first), left_norms(args.left) + first);
    };
    if (stretches == 0) ask_norms();
    while (remaining) {
        if (remaining <= DEPTH) ask_norms();
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (remaining == 0) break;
            remaining--;
            // Into the slot of the stretch before, which everybody is done with, or nearly.
            if (threadIdx.x == 0) bring();
            __syncwarp();
            u32 low_pairs[2], high_pairs[2];
            piece_scales<CODE, KIND>(args.weights, low[d], current, t, low_pairs);
            piece_scales<CODE, KIND>(args.weights, high[d], current, t, high_pairs);
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
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][0], x, word > 0 ? 1 : has_sums);
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][1], x + 2, 1);
                products_asked();
                products_wait<1>();
            }
            products_wait<0>();
            hold(sums);
            if ((threadIdx.x & 127) == 0) barrier_arrive(empty + 8 * slot);
            fetch(low[d], high[d]);
            if (++slot == stages) slot = 0, phase ^= 1;
            has_sums = 1, current++;
            if (--of_this && remaining) continue;
            of_this = of_slice, has_sums = 0;
#pragma unroll
            for (u32 i = 0; i < N / 2; i++) {
                float *sum = (i >> 1 & 1 ? high_sums : low_sums) + (i / 4 * 8 + (i & 1)) * PANEL;
                *sum = add ? *sum + sums[i] : sums[i];
            }
            add = args.parts == 1;
            if (!add) low_sums += N * PANEL, high_sums += N * PANEL;
        }
    }
    if (threadIdx.x < MOST_LEFT) {
        if (normed) {
            asm volatile("cp.async.wait_all;" ::: "memory");
            __syncwarp();
            multiply_norms(args.left, args.m, threadIdx.x, norms, factors);
        }
        if (threadIdx.x < args.m) factors[threadIdx.x] *= args.weights.factor;
    }
    if (args.parts > 1) {
        cluster_meet();
    } else {
        __syncthreads();
    }
    // Four neighbouring outputs of a row at a time, twice, or gates and their ups; all that is read for them asked for before
    // any of it is used. What is left a warp leaves together.
    constexpr u32 EACH = 2;
    u32 from[SLICES];
#pragma unroll
    for (u32 s = 0; s < SLICES; s++) from[s] = args.parts > 1 ? in_block(shared_address(partials + s % each_part * N * PANEL), s / each_part) : 0;
    auto finish = [&](auto how) {
        constexpr bool LEAVES = decltype(how)::LEAVES, GATED = decltype(how)::GATED;
        constexpr u32 QUADS = PANEL / (GATED ? 8 : 4);
        const u32 step = args.parts * THREADS, pieces = args.m * QUADS, width = GATED ? args.n / 2 : args.n;
        const bool whole = LEAVES || (((args.n | args.out_stride) & 3) == 0 && (((u64)args.y | (u64)args.residual | (u64)args.plain | (u64)args.bias) & 15) == 0);
        for (u32 begin = part * THREADS + threadIdx.x; (LEAVES ? begin - lane : begin) < pieces; begin += GATED ? step : EACH * step) {
            float4 residual[EACH], weight[EACH], v[EACH][SLICES];
            u32 columns[EACH], outputs[EACH];
            bool is_there[EACH];
#pragma unroll
            for (u32 j = 0; j < EACH; j++) {
                const u32 i = GATED ? begin : begin + j * step, of = i % QUADS * 4;
                columns[j] = i / QUADS, outputs[j] = panel * QUADS * 4 + of, is_there[j] = i < pieces && outputs[j] < width;
                if (LEAVES) weight[j] = make_float4(1.0f, 1.0f, 1.0f, 1.0f);
                if (!is_there[j]) continue;
                const u32 at = sum_place<PANEL>(columns[j], GATED ? of + j * (PANEL / 2) : of);
                if (args.residual) residual[j] = load_four(args.residual + (u64)columns[j] * args.out_stride + outputs[j], args.n - outputs[j], whole);
                if (LEAVES && args.leaves.weight) weight[j] = load_again(args.leaves.weight + outputs[j]);
                if (args.parts == 1) {
                    v[j][0] = *(const float4 *)(partials + at);
                    continue;
                }
#pragma unroll
                for (u32 s = 0; s < SLICES; s++) {
                    if (s < slices) v[j][s] = load_cluster(from[s] + at * 4);
                }
            }
#pragma unroll
            for (u32 j = 0; j < EACH; j++) {
                if (!is_there[j]) continue;
                float4 sum = v[j][0];
#pragma unroll
                for (u32 s = 1; s < SLICES; s++) {
                    if (args.parts > 1 && s < slices) sum.x += v[j][s].x, sum.y += v[j][s].y, sum.z += v[j][s].z, sum.w += v[j][s].w;
                }
                const u32 output = GATED ? outputs[j] + j * width : outputs[j];
                const float scale = factors[columns[j]];
                sum.x = __fmul_rn(sum.x, scale), sum.y = __fmul_rn(sum.y, scale), sum.z = __fmul_rn(sum.z, scale), sum.w = __fmul_rn(sum.w, scale);
                if (args.bias) sum = add_four(sum, load_four(args.bias + output, args.n - output, whole));
                const u64 to = (u64)columns[j] * args.out_stride + output;
                if (args.plain) store_four(args.plain + to, sum, args.n - output, whole);
                if (args.residual) sum = add_four(sum, residual[j]);
                store_four(args.y + to, sum, args.n - output, whole);
                v[j][0] = sum;
            }
            if (GATED) v[0][0] = joined(args.leaves, v[0][0], v[1][0]);
#pragma unroll
            for (u32 j = 0; j < (LEAVES ? GATED ? 1 : EACH : 0); j++) leave_words<T::ELEMENT, T::ORDER>(args.leaves, columns[j], outputs[j], v[j][0], weight[j], is_there[j]);
        }
    };
    if (!leaves) finish(Leaving<false, false>());
    else if (gated) finish(Leaving<true, true>());
    else finish(Leaving<true, false>());
    // Nobody may go while others read what it has; what was written need not have arrived.
    if (args.parts > 1) cluster_part();
}

#define SOME(name, code, kind, n, depth)                                                                               \
    extern "C" __global__ void __launch_bounds__(256, 2) some##n##_##name(const __grid_constant__ SomeArgs args) {     \
        extern __shared__ __align__(1024) u8 memory[];                                                                 \
        some<code, kind, n, depth, 2>(args, memory);                                                                   \
    }

#define WIDE(name, code, kind, n, depth)                                                                               \
    extern "C" __global__ void __launch_bounds__(384, 1) some##n##_wide_##name(const __grid_constant__ SomeArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                                 \
        some<code, kind, n, depth, 3>(args, memory);                                                                   \
    }

#define SOME_OF(name, code, kind)                                                                                      \
    SOME(name, code, kind, 32, Traits<code>::BITS == 16 ? 1 : 2)                                                       \
    SOME(name, code, kind, 64, Traits<code>::BITS == 16 ? 1 : Traits<code>::BITS == 4 && !Traits<code>::HIGH ? 3 : 2)  \
    WIDE(name, code, kind, 64, Traits<code>::BITS == 16 ? 2 : Traits<code>::BITS == 8 ? 3 : 4)

EVERY_FORMAT(SOME_OF)
