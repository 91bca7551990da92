// Products of one row, or of up to eight: y[m][n] = x[m][k] . w[n][k], on tensor cores whatever m is.
//
// A team of 8 warps takes groups of half tiles (16 weight rows); each warp has one slice of k, its weights coming straight
// to registers some stretches ahead of their use (asked for before the kernel in front is done); what the slices give is
// added in order. A block of one row has two teams, which share the row; it is made in every block, or was left by the kernel
// in front, and its outputs, or what gates and ups give, may be left to the next one. Invariant: each slice is one chain of
// k16 products, slices are added in order: the bits of a row do not depend on m, nor on the kernel (some.cu and gemm.cu keep
// the same order). Read next: weights.cuh, left.cuh.
#include "left.cuh"

struct FewArgs {
    Weights weights;
    RowSource source;      // one row, made in every block, or what `rows` were made of
    const u16 *rows;       // or: [m][stride] in the order of lanes, made by rows.cu; null: `source`
    const float *factors;  // [m]
    const uint4 *tiles;    // experts: (expert, first pair, rows, 0) of each tile; or null
    const u32 *pairs;      // of the tiles: token * choices + choice
    const float *bias;     // [n] (of all experts) or null
    const float *residual; // [m][out_stride] or null
    float *y;              // [m][out_stride]
    float *plain;          // [m][out_stride]: what there is without the residual; or null
    LeftRows left;         // one row: what the kernel in front left, which `rows` are then
    LeftRows leaves;       // one row: what is left to the next product
    u32 m, n, k;           // n: rows of the matrix, of one expert
    u32 stride;            // of rows
    u32 out_stride;
    u32 halves;            // half tiles of a group
    u32 groups;
    u32 choices;           // experts: pairs that share a row of x
};

constexpr u32 WARPS = 8;

// WHOLE: codes of 4 bits, and each slice is a whole number of times DEPTH stretches: weights lie at constant steps, and no stretch
// asks whether it is there. What it shares with the way below stays written twice: as one the other formats' code is slower.
template <int CODE, int KIND, u32 COLUMNS, bool WHOLE> DEV void few(const FewArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 ? (COLUMNS == 1 ? 2 : 1) : T::BITS == 8 ? 2 : T::BITS == 4 && T::HIGH ? 3 : 4;
    constexpr u32 TEAMS = COLUMNS == 1 ? 2 : 1, THREADS = 256 * TEAMS;
    const u32 thread = threadIdx.x & 255, lane = thread & 31, warp = thread >> 5, team = threadIdx.x >> 8;
    const u32 g = lane >> 2, t = lane & 3;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length;
    const u32 first_stretch = warp * length / 128;
    const u32 stretches = warp < slices ? (minimum(length, args.k - warp * length) + 127) / 128 : 0;
    u32 base = 0, begin = 0, columns = args.m;

    next_may_start();
    if (COLUMNS > 1 && args.tiles) {
        previous_done();
        const uint4 tile = args.tiles[blockIdx.y];
        if (tile.z == 0) return;
        base = tile.x, begin = tile.y, columns = tile.z;
    }
    const u32 expert = base;
    base *= (args.n + 31) / 32 * 2;
    const u32 partial_floats = args.halves * WARPS * COLUMNS * 16;
    float *partials = (float *)memory + team * 2 * partial_floats;
    float *scratch = (float *)memory + TEAMS * 2 * partial_floats;
    u16 *x = (u16 *)(scratch + 64);
    const bool gated = COLUMNS == 1 && args.leaves.gated, is_left = COLUMNS == 1 && args.left.rows;
    const u32 halves = args.halves, pair = halves / 2, all_teams = gridDim.x * TEAMS, this_team = blockIdx.x + team * gridDim.x;

    // Where registers are left.
    constexpr bool EARLY = COLUMNS == 1 && T::BITS == 4 && T::HIGH == 0;
    float4 norm[4];
    const bool makes = COLUMNS == 1 && !args.rows && team == 0;
    if (EARLY && makes) ask_norm<4, 256>(args.source, norm);
    Piece<CODE> low[DEPTH], high[DEPTH];
    // A group's stretches are taken DEPTH at a time; what lacks at its end stays out, so that all end at one place.
    const u32 last_stretch = first_stretch + stretches, total = stretches * halves, all = args.groups * halves;
    u32 ahead = stretches ? this_team * halves : ~0u, ahead_end = ahead + halves, ahead_stretch = first_stretch, ahead_at = 0;
    Place place;
    const u32 scale_step = 128 >> (KIND == E4M3 ? 1 : args.weights.group_log2 + args.weights.groups_of_word_log2 - 5);
    auto find = [&]() {
        u32 half = base + ahead;
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

    previous_done();
    float factor = 1.0f;
    if (COLUMNS == 1 && !args.rows) {
        auto put = [&](u32 i, float4 v) { put_four<T::ELEMENT>(x, T::ORDER, LANES, i, v); };
        if (makes) {
            factor = EARLY ? make_row<T::ELEMENT, 4, 256>(args.source, norm, scratch, put) : make_row<T::ELEMENT, 4, 256>(args.source, scratch, put);
            if (thread == 0) scratch[32] = factor;
        }
        for (u32 i = (args.k + 3) / 4 * 4 + 4 * threadIdx.x; i < args.stride; i += 4 * THREADS) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    } else {
        // Words of neighbouring rows change places, so that lanes that read together meet different banks.
        const u32 pieces = args.stride / 8;
        for (u32 i = threadIdx.x; i < columns * pieces; i += THREADS) {
            const u32 row = i / pieces, piece = i % pieces;
            const u32 from = args.tiles ? args.pairs[begin + row] / args.choices : row;
            copy_async<16>(shared_address(x) + (row * pieces + (piece ^ ((row & 1) << 2))) * 16, args.rows + (u64)from * args.stride + piece * 8);
        }
        copy_commit();
        if (is_left && threadIdx.x / 32 == THREADS / 32 - 1) {
            LeftFactor of;
            of.ask(args.left, 0);
            const u32 biased = of.exponent(args.left, 0);
            factor = of.norm(args.left, 0) * (T::ELEMENT == F16 ? scale_of(biased).factor : 1.0f);
            if (lane == 0) scratch[32] = factor, scratch[33] = bits_f32(biased);
        }
        copy_wait<0>();
        if (COLUMNS == 1 && !is_left) factor = load_again_4(args.factors);
    }
    __syncthreads();
    if (COLUMNS == 1 && (is_left || !args.rows)) factor = scratch[32];
    if (T::ELEMENT == F16 && is_left && !is_usual(__float_as_uint(scratch[33]))) {
        make_again(args.source, 0, 0, x, T::ORDER, LANES, 0, args.k, __float_as_uint(scratch[33]), threadIdx.x, THREADS);
        __syncthreads();
    }
    const u32 of_lane = COLUMNS == 1 ? 0 : minimum(g, columns - 1), turn = (of_lane & 1) << 6;
    const u32 x_at = shared_address(x) + of_lane * args.stride * 2 + t * 16 + first_stretch * 256;

    u32 group = this_team, parity = 0, round = 0;
    // One row: what the end of a group needs is asked for at its beginning. Another warp has it each time, so that none
    // falls behind; outputs, or what gates and ups give.
    const u32 of_row = (gated ? pair : halves) * 16;
    u32 first = thread, only = 0;
    float residual = 0.0f, weight = 1.0f;
    bool is_there = false;
    auto ask = [&]() {
        first = (thread + round) & 255, only = group * of_row + first;
        is_there = first < of_row && only < (gated ? args.n / 2 : args.n);
        if (COLUMNS == 1 && args.residual && is_there) residual = load_again_4(args.residual + only);
        if (COLUMNS == 1 && args.leaves.weight && is_there) weight = load_again_4(args.leaves.weight + only);
    };
    auto finish = [&]() {
        meet(2 + team, 256);
        const float *partial = partials + parity * partial_floats;
        // Output `output` of a column: row r of half tile `of`.
        auto sum_of = [&](u32 of, u32 column, u32 r, u32 output) {
            const float scale = (COLUMNS == 1 ? factor : load_again_4(args.factors + (args.tiles ? args.pairs[begin + column] / args.choices : column))) *
                                args.weights.factor;
            const float *from = partial + (of * WARPS * COLUMNS + column) * 16 + r;
            float sum = from[0];
            for (u32 s = 1; s < slices; s++) sum += from[s * COLUMNS * 16];
            return with_bias(sum, scale, args.bias, expert * args.n + output);
        };
        if (COLUMNS == 1) {
            float v = 0.0f;
            if (is_there && gated) {
                const float gate = sum_of(first >> 4, 0, first & 15, only), up = sum_of((first >> 4) + pair, 0, first & 15, only + args.n / 2);
                v = gated_call(args.leaves.act, gate, up, args.leaves.alpha, args.leaves.limit);
                args.y[only] = gate, args.y[only + args.n / 2] = up;
            } else if (is_there) {
                v = sum_of(first >> 4, 0, first & 15, only);
                if (args.plain) args.plain[only] = v;
                if (args.residual) v = __fadd_rn(v, residual);
                args.y[only] = v;
            }
            if (args.leaves.rows && (first & ~31u) < of_row) leave_sixteen<1, 2, 4, 8>(args.leaves, 0, only, v, weight, is_there);
        } else {
            for (u32 i = first; i < halves * 16 * columns; i += 256) {
                const u32 r = i & 15, of = (i >> 4) % halves, column = (i >> 4) / halves;
                const u32 output = (group * halves + of) * 16 + r;
                if (output >= args.n) continue;
                float sum = sum_of(of, column, r, output);
                const u64 to = (u64)(args.tiles ? args.pairs[begin + column] : column) * args.out_stride + output;
                if (args.plain) args.plain[to] = sum;
                if (args.residual) sum = __fadd_rn(sum, load_again_4(args.residual + to));
                args.y[to] = sum;
            }
        }
        parity ^= 1, round += 32, group += all_teams;
    };
    float sums[4] = {};
    while (group < args.groups) {
        ask();
        u32 half = 0, stretch = 0;
        for (u32 at = 0; at < total; at += DEPTH) {
#pragma unroll
            for (u32 d = 0; d < DEPTH; d++) {
                if (WHOLE || at + d < total) {
                    // Where slices are whole, a stretch's groups lie in words of scales as those of any other.
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
                        const uint4 v = load_shared_16(x_at + stretch * 256 + ((word << 6) ^ turn));
                        mma_16816<T::ELEMENT>(sums, first, v.x, v.y);
                        mma_16816<T::ELEMENT>(sums, second, v.z, v.w);
                    }
                    stretch++;
                    if ((!WHOLE || d + 1 == DEPTH) && stretch == stretches) {
                        float *to = partials + parity * partial_floats + (half * WARPS + warp) * COLUMNS * 16;
                        const u32 column = 2 * t;
                        if (column < columns) to[column * 16 + g] = sums[0], to[column * 16 + g + 8] = sums[2];
                        if (COLUMNS > 1 && column + 1 < columns) to[column * 16 + 16 + g] = sums[1], to[column * 16 + 24 + g] = sums[3];
                        sums[0] = sums[1] = sums[2] = sums[3] = 0.0f, stretch = 0, half++;
                    }
                }
                fetch(low[d], high[d], d);
            }
        }
        finish();
    }
}

#define FEW(name, code, kind, columns, whole)                                                                          \
    extern "C" __global__ void __launch_bounds__(columns == 1 ? 512 : 256, columns == 1 ? 1 : 2) name(const __grid_constant__ FewArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        few<code, kind, columns, whole>(args, memory);                                                                 \
    }

#define FEW_OF(name, code, kind)                                                                                       \
    FEW(few1_##name, code, kind, 1, false)                                                                             \
    FEW(few8_##name, code, kind, 8, false)

#define FEW_WHOLE(name, code, kind) FEW(few1_whole_##name, code, kind, 1, true)

EVERY_FORMAT(FEW_OF)
#if __CUDA_ARCH__ == 900 // Where it has been measured.
EVERY_WHOLE_FORMAT(FEW_WHOLE)
#endif
