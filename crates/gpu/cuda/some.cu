// Products of 17 to 64 rows on Hopper: y[m][n] = x[m][k] . w[n][k], every weight read and decoded once.
//
// A block has a panel of 128 weight rows, or of 192, 16 for each of 8 or 12 warps, which come straight to registers and are decoded there;
// the tensor cores multiply them with all rows of x, which the copy engine brings, a stretch of 128 columns at a time.
// Where there are few panels the blocks of a cluster share the slices of k, and add up what each has for a part of the
// outputs. Invariant: a slice is one chain of k16 products, slices are added in order, as in few.cu. Read next: team.cu.
#include "weights.cuh"
#include "wgmma.cuh"

struct SomeArgs {
    TensorMap x; // [m][stride], arranged for registers, boxes of 64 columns by N rows, swizzled
    Weights weights;
    const float *factors;  // [m]
    const float *bias;     // [n] or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]
    float *plain;          // [m][out_stride]: what there is without the residual; or null
    u32 m, n, k, out_stride;
    u32 parts;             // blocks of a cluster: 1, 2, 4 or 8
    u32 stages;            // stretches of x that are there or on their way, at most 16
};

constexpr u32 SLICES = 8;

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

DEV float4 add_four(float4 a, float4 b) { return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w)); }

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
    float *factors = (float *)(memory + stages * STAGE + 256), *partials = factors + 64;
    const u32 panel = blockIdx.x / args.parts, part = blockIdx.x % args.parts;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, each = SLICES / args.parts;
    const u32 first_k = minimum(part * each * length, args.k), end_k = minimum((part + 1) * each * length, args.k);
    const u32 first_stretch = first_k / 128, stretches = (end_k - first_k + 127) / 128, of_slice = length / 128;
    const u32 tile = minimum(panel * (PANEL / 32) + group * 2 + (warp >> 1), (args.n + 31) / 32 - 1), row = (warp & 1) * 16 + g;

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
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < stages; s++) barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, GROUPS);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    previous_done();
    if (threadIdx.x < args.m) factors[threadIdx.x] = load_again_4(args.factors + threadIdx.x) * args.weights.factor;
    u32 to_bring = stretches, column = first_stretch * 128, bring_slot = 0, bring_phase = 1;
    auto bring = [&]() {
        if (to_bring == 0) return;
        const u32 barrier = full + 8 * bring_slot, to = base + bring_slot * STAGE;
        barrier_wait(empty + 8 * bring_slot, bring_phase);
        barrier_expect(barrier, STAGE);
        load_tile(to, &args.x, column, 0, barrier);
        load_tile(to + STAGE / 2, &args.x, column + 64, 0, barrier);
        to_bring--, column += 128;
        if (++bring_slot == stages) bring_slot = 0, bring_phase ^= 1;
    };
    // One stage stays free for the stretch that is brought while the first is multiplied, unless all have one.
    if (threadIdx.x == 0) {
        for (u32 s = 0; s + (stages < stretches) < stages; s++) bring();
    }

    // Where the sums of rows g and g + 8 go.
    const u32 at = group * 64 + warp * 16 + g;
    float *low_sums = partials + 2 * t * PANEL + (at ^ t << 3), *high_sums = partials + 2 * t * PANEL + (at ^ t << 3 ^ 8);
    float sums[N / 2];
    u32 slot = 0, phase = 0, left = stretches, of_this = of_slice, has_sums = 0, current = first_stretch;
    bool add = false;
    while (left) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (left == 0) break;
            left--;
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
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][0], x, word > 0 ? 1 : has_sums);
                WgmmaRows<T::ELEMENT, N>::run(sums, a[word & 1][1], x + 2, 1);
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
            }
            asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
            hold(sums);
            if ((threadIdx.x & 127) == 0) barrier_arrive(empty + 8 * slot);
            fetch(low[d], high[d]);
            if (++slot == stages) slot = 0, phase ^= 1;
            has_sums = 1, current++;
            if (--of_this && left) continue;
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
    if (args.parts > 1) {
        cluster_meet();
    } else {
        __syncthreads();
    }
    // Four neighbouring outputs of a row at a time, all that is read for them asked for before any of it is used.
    constexpr u32 EACH = 2;
    const u32 step = args.parts * THREADS, pieces = args.m * (PANEL / 4);
    const bool whole = ((args.n | args.out_stride) & 3) == 0 && (((u64)args.y | (u64)args.residual | (u64)args.plain | (u64)args.bias) & 15) == 0;
    u32 from[SLICES];
#pragma unroll
    for (u32 s = 0; s < SLICES; s++) from[s] = args.parts > 1 ? in_block(shared_address(partials + s % each * N * PANEL), s / each) : 0;
    for (u32 begin = part * THREADS + threadIdx.x; begin < pieces; begin += EACH * step) {
        float4 residual[EACH], v[EACH][SLICES];
#pragma unroll
        for (u32 j = 0; j < EACH; j++) {
            const u32 i = begin + j * step, column = i / (PANEL / 4), of = i % (PANEL / 4) * 4, output = panel * PANEL + of, at = sum_place<PANEL>(column, of);
            if (i >= pieces || output >= args.n) continue;
            if (args.residual) residual[j] = load_four(args.residual + (u64)column * args.out_stride + output, args.n - output, whole);
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
            const u32 i = begin + j * step, column = i / (PANEL / 4), of = i % (PANEL / 4) * 4, output = panel * PANEL + of;
            if (i >= pieces || output >= args.n) continue;
            float4 sum = v[j][0];
#pragma unroll
            for (u32 s = 1; s < SLICES; s++) {
                if (args.parts > 1 && s < slices) sum.x += v[j][s].x, sum.y += v[j][s].y, sum.z += v[j][s].z, sum.w += v[j][s].w;
            }
            const float scale = factors[column];
            sum.x = __fmul_rn(sum.x, scale), sum.y = __fmul_rn(sum.y, scale), sum.z = __fmul_rn(sum.z, scale), sum.w = __fmul_rn(sum.w, scale);
            if (args.bias) sum = add_four(sum, load_four(args.bias + output, args.n - output, whole));
            const u64 to = (u64)column * args.out_stride + output;
            if (args.plain) store_four(args.plain + to, sum, args.n - output, whole);
            if (args.residual) sum = add_four(sum, residual[j]);
            store_four(args.y + to, sum, args.n - output, whole);
        }
    }
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
