// Products of 2 to 16 rows on Hopper: y[m][n] = x[m][k] . w[n][k], every weight read and decoded once.
//
// A team of eight warps takes groups of half tiles (16 weight rows); each warp has one slice of k, its weights coming straight
// to registers some stretches ahead of their use (asked for before the kernel in front is done), its columns of x lying in
// the block's memory. Teams are spread over the blocks of a cluster, so that each block brings a part of x alone: 16 warps
// of a block have `8 / parts` slices of `2 parts` teams. The warp of slice s adds up what all slices give for rows 2 s and
// 2 s + 1 of x: the others send it there, into the memory of its block, and it does so a group later, when all has come.
// Rows are made before, or were left by the kernel in front; what the product, or its gates and ups, give may be left to the
// next one. Invariant: a slice is one chain of k16 products, slices are added in order, as in few.cu. Read next: few.cu,
// left.cuh, some.cu.
#include "left.cuh"
#include "wgmma.cuh"

struct TeamArgs {
    Weights weights;
    const u8 *rows;        // 16 rows, those behind `m` of any value: [stretch][16][128], arranged as SIXTEEN
    const float *factors;  // [m]
    const float *bias;     // [n] or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]
    float *plain;          // [m][out_stride]: what there is without the residual; or null
    RowSource source;      // of the first row, from which others are x_stride apart
    LeftRows left;         // what the kernel in front left, which `rows` are then
    LeftRows leaves;       // what is left to the next product
    u32 m, n, k, out_stride, x_stride;
    u32 parts;             // blocks of a cluster: 1, 2, 4 or 8
    u32 halves;            // half tiles of a group: 1, 2 or 4
    u32 groups;
};

// Bytes of a stretch of all rows; slots for what is sent: one group is added up while the next is made.
constexpr u32 ROWS = 16, THREADS = 512, SLICES = 8, STRETCH = 4096, SLOTS = 2, MOST_HALVES = 4;

DEV void send(u32 to, const float (&v)[4], u32 barrier) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to), "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]), "r"(barrier)
                 : "memory");
}

// What was read before has been used: nothing else of this thread need be seen by who waits.
DEV void arrive_at(u32 barrier) { asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory"); }

DEV void bring_rows(u32 to, const void *from, u32 bytes, u32 barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

// WHOLE: as in few.cu.
template <int CODE, int KIND, bool WHOLE> DEV void team(const TeamArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 || T::BITS == 8 ? 2 : T::BITS == 4 ? 4 - T::HIGH : 4;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 parts = args.parts, here = SLICES / parts, part = blockIdx.x % parts, cluster = blockIdx.x / parts, clusters = gridDim.x / parts;
    const u32 own = warp % here, team = warp / here, slice = part * here + own;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, of_slice = length / 128;
    const u32 first_stretch = slice * of_slice, stretches = slice < slices ? (minimum(length, args.k - slice * length) + 127) / 128 : 0;
    const u32 all_teams = clusters * 2 * parts, this_team = cluster + team * clusters, halves = args.halves, pair = halves / 2;
    const bool leaves = args.leaves.rows, gated = args.leaves.gated;
    // Bytes that a half tile has in a block: of each slice, for each pair of rows, 32 sums.
    const u32 half_bytes = SLICES * here * 128, team_bytes = SLOTS * halves * half_bytes;
    const u32 x = shared_address(memory), partials = x + here * of_slice * STRETCH, brought = partials + 2 * parts * team_bytes;
    const u32 full = brought + here * 8 + team * SLOTS * 16, empty = full + SLOTS * 8, sent = slices * halves * here * 128;

    next_may_start();
    Piece<CODE> low[DEPTH], high[DEPTH];
    // A group's stretches are taken DEPTH at a time; what lacks at its end stays out, so that all end at one place.
    const u32 last_stretch = first_stretch + stretches, total = stretches * halves, all = args.groups * halves;
    u32 ahead = stretches ? this_team * halves : ~0u, ahead_end = ahead + halves, ahead_stretch = first_stretch, ahead_at = 0;
    Place place;
    const u32 scale_step = 128 >> (KIND == E4M3 ? 1 : args.weights.group_log2 + args.weights.groups_of_word_log2 - 5);
    auto find = [&]() {
        u32 half = ahead;
        // Half tiles of gates, then those of their ups.
        if (gated) half = (ahead >> pair) * pair + (ahead & (pair - 1)) + (ahead & pair ? args.n / 32 : 0);
        place = place_of<CODE>(args.weights, half >> 1, (half & 1) * 16 + g, t);
        if (WHOLE) step_into<CODE, KIND>(place, args.weights, first_stretch, t);
    };
    if (ahead < all) find();
    bool is_more = ahead < all;
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high, u32 d) {
        if (WHOLE) {
            if (!is_more) return;
            load_at<CODE, KIND, 0>(to_low, args.weights, place, d, scale_step);
            load_at<CODE, KIND, 8>(to_high, args.weights, place, d, scale_step);
            if (d + 1 < DEPTH) return;
            place.codes += DEPTH * 2048, place.scales += DEPTH * scale_step, place.supers += DEPTH / 2 * 32;
            if ((ahead_stretch += DEPTH) < last_stretch) return;
            ahead_stretch = first_stretch;
            if (++ahead == ahead_end) ahead_end += all_teams * halves, ahead = ahead_end - halves;
            is_more = ahead < all;
            if (is_more) find();
            return;
        }
        if (ahead >= all) return;
        if (ahead_stretch < last_stretch) {
            load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead_stretch, t);
            load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead_stretch, t);
            if (++ahead_stretch == last_stretch && ahead + 1 < ahead_end) ahead++, ahead_stretch = first_stretch, find();
        }
        if (d + 1 < DEPTH || (ahead_at += DEPTH) < total) return;
        ahead_end += all_teams * halves, ahead = ahead_end - halves, ahead_stretch = first_stretch, ahead_at = 0;
        if (ahead < all) find();
    };
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d], d);

    if (lane == 0 && own == 0) {
        for (u32 s = 0; s < SLOTS; s++) {
            barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, SLICES);
            barrier_expect(full + 8 * s, sent);
        }
        for (u32 s = 0; warp == 0 && s < here; s++) barrier_init(brought + 8 * s, 1);
    }
    cluster_begins();
    previous_done();
    if (team == 0 && lane == 0 && stretches) {
        barrier_expect(brought + 8 * own, stretches * STRETCH);
        bring_rows(x + own * of_slice * STRETCH, args.rows + (u64)first_stretch * STRETCH, stretches * STRETCH, brought + 8 * own);
    }
    float *factors = (float *)(memory + (brought - x) + here * 8 + 2 * parts * 32);
    if (args.left.rows) {
        u32 biased = 0;
        if (warp < args.m) {
            LeftFactor of;
            of.ask(args.left, warp);
            biased = of.exponent(args.left, warp);
            const float factor = of.norm(args.left, warp) * (T::ELEMENT == F16 ? scale_of(biased).factor : 1.0f);
            if (lane == 0) factors[warp] = factor;
        }
        if (T::ELEMENT == BF16) {
            __syncthreads();
        } else if (__syncthreads_or(!is_usual(biased))) {
            for (u32 s = 0; s < here && (part * here + s) * length < args.k; s++) barrier_wait(brought + 8 * s, 0);
            const u32 begin = part * here * length, end = minimum(args.k, begin + here * length);
            if (!is_usual(biased)) make_again(args.source, args.x_stride, warp, (u16 *)memory + warp * 128 - begin * ROWS, T::ORDER, SIXTEEN, begin, end, biased, lane, 32);
            __syncthreads();
        }
    }
    // What this lane adds up: a sum of row `column` of x.
    const u32 column = 2 * slice + (lane & 1), row = (lane >> 2) + (lane & 2) * 4;
    const float scale = column < args.m ? (args.left.rows ? factors[column] : load_again_4(args.factors + column)) * args.weights.factor : 0.0f;
    // Where the lane's sums of rows 2 t and 2 t + 1 go, and those of 8 + 2 t and 9 + 2 t.
    u32 to[2], to_full[2];
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        const u32 pair = 4 * i + t;
        to[i] = in_block(partials + team * team_bytes + (slice * here + pair % here) * 128 + g * 16, pair / here);
        to_full[i] = in_block(full, pair / here);
    }
    const u32 from = partials + team * team_bytes + own * 128 + lane * 4;
    // Words of neighbouring rows have changed places, so that lanes that read together meet different banks.
    const u32 x_even = x + own * of_slice * STRETCH + g * 256 + t * 16 + ((g & 1) << 6), x_odd = x_even ^ 64;

    auto finish = [&](u32 group, u32 round) {
        const u32 slot = round & 1;
        float residual[MOST_HALVES], weight[MOST_HALVES], sums[MOST_HALVES];
        auto output_of = [&](u32 half) { return (gated ? group * pair + (half & (pair - 1)) + (half & pair ? args.n / 32 : 0) : group * halves + half) * 16 + row; };
#pragma unroll
        for (u32 half = 0; half < MOST_HALVES; half++) {
            const u32 output = output_of(half);
            const bool is_there = half < halves && column < args.m && output < args.n;
            residual[half] = args.residual && is_there ? load_again_4(args.residual + (u64)column * args.out_stride + output) : 0.0f;
            weight[half] = leaves && args.leaves.weight && is_there ? load_again_4(args.leaves.weight + output) : 1.0f;
        }
        wait_cluster(full + 8 * slot, round >> 1 & 1);
        if (lane == 0 && own == 0) barrier_expect(full + 8 * slot, sent);
#pragma unroll
        for (u32 half = 0; half < MOST_HALVES; half++) {
            sums[half] = 0.0f;
            if (half >= halves) break;
            const u32 output = output_of(half), at = from + (slot * halves + half) * half_bytes;
            const bool is_there = column < args.m && output < args.n;
            float sum = bits_f32(load_shared_4(at));
#pragma unroll
            for (u32 s = 1; s < SLICES; s++) {
                if (s < slices) sum += bits_f32(load_shared_4(at + s * here * 128));
            }
            if (is_there) {
                sum = with_bias(sum, scale, args.bias, output);
                const u64 where = (u64)column * args.out_stride + output;
                if (args.plain) args.plain[where] = sum;
                if (args.residual) sum = __fadd_rn(sum, residual[half]);
                args.y[where] = sum;
                sums[half] = sum;
            }
        }
        __syncwarp();
        if (lane < parts && group + SLOTS * all_teams < args.groups) arrive_at(in_block(empty + 8 * slot, lane));
        if (!leaves) return;
        const u32 count = gated ? pair : halves;
        if (gated) {
            sums[0] = gated_call(args.leaves.act, sums[0], pair == 2 ? sums[2] : sums[1], args.leaves.alpha, args.leaves.limit);
            if (pair == 2) sums[1] = gated_call(args.leaves.act, sums[1], sums[3], args.leaves.alpha, args.leaves.limit);
        }
#pragma unroll
        for (u32 of = 0; of < MOST_HALVES; of++) {
            if (of < count) leave_sixteen<4, 8, 16, 2>(args.leaves, column, (group * count + of) * 16 + row, sums[of], weight[of], column < args.m);
        }
    };
    if (stretches) barrier_wait(brought + 8 * own, 0);
    float sums[2][4] = {};
    u32 group = this_team;
    for (u32 round = 0;; round++, group += all_teams) {
        const bool there = group < args.groups;
        if (there) {
            u32 half = 0, stretch = 0, even = x_even, odd = x_odd;
            for (u32 at = 0; at < total; at += DEPTH) {
#pragma unroll
                for (u32 d = 0; d < DEPTH; d++) {
                    if (WHOLE || at + d < total) {
                        const u32 k = WHOLE ? 0 : first_stretch + stretch;
                        u32 low_pairs[2], high_pairs[2];
                        piece_scales<CODE, KIND>(args.weights, low[d], k, t, low_pairs);
                        piece_scales<CODE, KIND>(args.weights, high[d], k, t, high_pairs);
#pragma unroll
                        for (u32 word = 0; word < 4; word++) {
                            u32 a[4], b[4];
                            unpack_word<CODE>(low[d], word, low_pairs, a);
                            unpack_word<CODE>(high[d], word, high_pairs, b);
                            const u32 first[4] = {a[0], b[0], a[1], b[1]}, second[4] = {a[2], b[2], a[3], b[3]};
                            const u32 words = (word & 1 ? odd : even) + (word >> 1) * 128;
                            const uint4 v = load_shared_16(words), u = load_shared_16(words + 8 * 256);
                            mma_16816<T::ELEMENT>(sums[0], first, v.x, v.y);
                            mma_16816<T::ELEMENT>(sums[1], first, u.x, u.y);
                            mma_16816<T::ELEMENT>(sums[0], second, v.z, v.w);
                            mma_16816<T::ELEMENT>(sums[1], second, u.z, u.w);
                        }
                        even += STRETCH, odd += STRETCH, stretch++;
                        if ((!WHOLE || d + 1 == DEPTH) && stretch == stretches) {
                            const u32 slot = round & 1, skip = (slot * halves + half) * half_bytes;
                            // When those who add up what was sent there before have done so.
                            if (half == 0) barrier_wait(empty + 8 * slot, (round >> 1 & 1) ^ 1);
                            send(to[0] + skip, sums[0], to_full[0] + 8 * slot), send(to[1] + skip, sums[1], to_full[1] + 8 * slot);
#pragma unroll
                            for (u32 i = 0; i < 4; i++) sums[0][i] = sums[1][i] = 0.0f;
                            stretch = 0, even = x_even, odd = x_odd, half++;
                        }
                    }
                    fetch(low[d], high[d], d);
                }
            }
        }
        if (round) finish(group - all_teams, round - 1);
        if (!there) break;
    }
}

#define TEAM(name, code, kind, whole)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) name(const __grid_constant__ TeamArgs args) {                 \
        extern __shared__ __align__(1024) u8 memory[];                                                                 \
        team<code, kind, whole>(args, memory);                                                                         \
    }

#define TEAM_OF(name, code, kind) TEAM(team_##name, code, kind, false)
#define TEAM_WHOLE(name, code, kind) TEAM(team_whole_##name, code, kind, true)

EVERY_FORMAT(TEAM_OF)
EVERY_WHOLE_FORMAT(TEAM_WHOLE)
